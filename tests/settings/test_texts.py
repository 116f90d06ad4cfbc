"""Every text of a stack file follows a grammar, the same one for the loader and the schema."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings.build import mistakes, raw, validator

CPU_POOL = {"nodes": ["c"], "gpusPerNode": 0}
UNSEEN = {
    "line break": "a\nb",
    "line break at the end": "a\n",
    "carriage return": "a\r",
    "tab": "a\tb",
    "NUL": "a\x00",
    "ESC": "\x1b[31ma",
    "BEL": "a\x07",
    "C1": "a\x9bm",
    "right to left": "a\u202eb",
    "isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "soft hyphen": "a\u00adb",
    "line separator": "a\u2028b",
    "byte order mark": "\ufeffa",
    "tag": "a\U000e0041",
    "hangul filler": "a\u3164",
    "blank braille": "a\u2800",
    "joiner of graphemes": "a\u034fb",
    "Mongolian variation": "a\u180bb",
    "no character": "a\uffff",
    "unassigned and ignored": "a\ufff0",
}
"""What no text may have, whatever it is for: a terminal or browser acts on it, or nobody sees it."""

PLACES: dict[str, Any] = {
    "host.context": lambda text: {"host.context": text},
    "host.kubeconfig": lambda text: {"host.kubeconfig": text},
    "host.address": lambda text: {"host.address": text},
    "host.storageClass": lambda text: {"host.storageClass": text},
    "host.name": lambda text: {"host.name": text},
    "gpu.runtimeClass": lambda text: {"gpu.runtimeClass": text},
    "gpu.runtimeClass.handler": lambda text: {"gpu.runtimeClass": {"handler": text}},
    "pools.x.nodes": lambda text: {"pools.x": {"nodes": [text], "gpusPerNode": 0}},
    "pools.x.selector key": lambda text: {"pools.x": {"selector": {text: "b"}, "nodeCount": 1, "gpusPerNode": 0}},
    "pools.x.selector value": lambda text: {"pools.x": {"selector": {"a": text}, "nodeCount": 1, "gpusPerNode": 0}},
    "pools.x.product": lambda text: {"pools.x": {**CPU_POOL, "product": text}},
    "pools name": lambda text: {"pools": {**raw()["pools"], text: CPU_POOL}},
    "teams name": lambda text: {"teams": {**raw()["teams"], text: {"resources": {"pods": 1}}}},
    "queue name": lambda text: {"teams.ml.queues": {**raw()["teams"]["ml"]["queues"], text: {}}},
    "teams.ml.access.hostNames": lambda text: {"teams.ml.access": {"hostNames": [text]}},
    "check.image": lambda text: {"check": {"image": text}},
    "artifacts.imageRegistry": lambda text: {"artifacts": {"imageRegistry": text}},
    "overrides[0].reason": lambda text: {
        "overrides": [{"team": "x", "allow": ["delete"], "until": "2026-12-24", "reason": f"long enough {text}"}]
    },
    "overrides[0].team": lambda text: {
        "overrides": [{"team": text, "allow": ["delete"], "until": "2026-12-24", "reason": "long enough"}]
    },
    "scheduler.version": lambda text: {"teams.ml.scheduler.version": text},
    "vcluster.version": lambda text: {"teams.ml.vcluster": {"version": text}},
    "check.queue": lambda text: {"teams.ml.check": {"queue": text}},
}


def underlined(changes: dict[str, Any]) -> bool:
    return not validator().is_valid({"config": {"gpu-tenancy:platform": raw(changes)}})


SOME = 9
"""One in so many, another one in each place: together they are all."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("every", [SOME, pytest.param(1, marks=pytest.mark.slow)])
def test_no_text_has_what_a_terminal_acts_on_or_nobody_sees(place: str, every: int) -> None:
    for what, text in list(UNSEEN.items())[list(PLACES).index(place) % every :: every]:
        changes = PLACES[place](text)
        lines = mistakes(changes)
        assert len(lines) == 1, what
        assert lines[0].isprintable(), what
        assert underlined(changes), what


@pytest.mark.parametrize(
    ("place", "good", "bad"),
    [
        ("pools.x.nodes", ["n1", "ip-10-0-0-5.ec2.internal", "1"], ["", "GPU-0", "a b", "a_b", "-a", "a.", "a" * 254]),
        ("pools.x.selector key", ["a", "node.kubernetes.io/pool", "A_b.c"], ["", "/a", "a/b/c", "-a", "a" * 64, "a b"]),
        ("pools.x.selector value", ["", "a", "l40s-4", "A_b.c"], ["a b", "-a", "a/b", "a" * 64, "ä"]),
        ("pools.x.product", ["NVIDIA-H200", "Tesla_T4"], ["", "NVIDIA H200", "a" * 64, "-a"]),
        ("host.storageClass", ["fast-ssd", "a.b"], ["", "Fast", "a b", "a/b"]),
        ("host.context", ["gpu-prod", "arn:aws:eks:eu:1:cluster/x", "admin@b", "Docker Desktop", "ä"], ["", "a" * 501]),
        ("host.kubeconfig", ["~/.kube/config", "/a b/c", "C:\\a"], ["", "apiVersion: v1", "a" * 4097]),
        (
            "host.address",
            ["10.0.0.5", "gpu.example.com", "GPU-host", "::1", "fd00::12:5", "1:2:3:4:5:6:7:8", "2001:db8::", "a1"],
            [
                "",
                "https://a",
                "a:80",
                "a/b",
                "10.0.0.256",
                "10.0.0",
                "1.2.3.4.5",
                "::",
                "1::2::3",
                "fe80::1%eth0",
                "a_b",
            ],
        ),
        (
            "teams.ml.access.hostNames",
            ["ml.example.com", "ml"],
            ["", "*.example.com", "a:80", "10.0.0.5", "-a", "a..b"],
        ),
        (
            "check.image",
            [
                "a",
                "a/b:c",
                "docker.io/a/b:1.0",
                "localhost:5000/a@sha256:" + "0" * 64,
                "ghcr.io/a/b_c/d--e:v1@sha256:" + "a" * 64,
            ],
            [
                *("", "a b", "a:", "a@sha256:1", "https://a/b", "a/B", "a//b", "/a", "a:b:c", "a:" + "b" * 129),
                *("r:70000/a", "r:0/a", "a" * 256, "r.io/" + "a/" * 130 + "a", "a" * 64 + ".io:1/a"),
            ],
        ),
        (
            "artifacts.imageRegistry",
            ["mirror.example", "mirror.example:5000/proxy_1/x", "m/", "r:65535", "10.0.0.5:5000"],
            ["", "a..b", "a.", "r:0", "r:65536", "a" * 64, "a/b..c", "a/b_-c", "a//b", "a/" + "b" * 299],
        ),
        ("gpu.runtimeClass", ["nvidia", "n-1"], ["", "Nvidia", "a.b", "a" * 64]),
        ("gpu.runtimeClass.handler", ["nvidia", "n-1"], ["", "Nvidia", "a/b"]),
        ("pools name", ["a", "a-1", "1"], ["", "A", "a_b", "a.b", "a" * 64]),
        ("queue name", ["a", "a-1", "1"], ["", "A", "a_b", "a.b", "a" * 64]),
        ("overrides[0].team", ["a", "gone-1"], ["", "A", "a b"]),
        ("overrides[0].reason", ["it's said: gone [all], größer?", "🚀 moved"], ["x" * 500, "ends blank "]),
    ],
)
def test_a_text_follows_its_grammar_for_the_loader_and_the_schema(place: str, good: list[str], bad: list[str]) -> None:
    for text in good:
        assert mistakes(PLACES[place](text)) == [], text
        assert not underlined(PLACES[place](text)), text
    for text in bad:
        assert len(mistakes(PLACES[place](text))) == 1, text
        assert underlined(PLACES[place](text)), text


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        (
            "cpu",
            [0, 8, 0.5, 2.25, "8", "0.5", "500m", "999999", 0.0001],
            ["", "8 ", "-1", "+1", "8Gi", "1k", "1e3", 1e6, -1, "0.5m"],
        ),
        (
            "memory",
            ["0", 0, "16Gi", "1.5Gi", "1G", "512Mi", 1000000, "999Pi", "17179869184"],
            ["", "512m", 8, "8", 0.5, 1e18, "1000Pi", "1Ei", "9" * 19, -1],
        ),
        ("pods", [1, 50, 51], [0, -1, 1.5, "50", True, 150001, 2**31, 2**63]),
    ],
)
def test_an_amount_is_what_kubernetes_can_hold(key: str, good: list[object], bad: list[object]) -> None:
    for amount in good:
        assert mistakes({f"teams.dev.resources.{key}": amount}) == [], amount
        assert not underlined({f"teams.dev.resources.{key}": amount}), amount
    for amount in bad:
        assert len(mistakes({f"teams.dev.resources.{key}": amount})) == 1, amount
        assert underlined({f"teams.dev.resources.{key}": amount}), amount


@pytest.mark.parametrize(
    "until", ["2026-12-24", "2024-02-29", "2000-02-29", "0001-01-01", "2026-12-24 00:00:00 +0000 UTC"]
)
def test_a_day_of_the_calendar_is_a_valid_end(until: str) -> None:
    changes = {"overrides": [{"team": "x", "allow": ["delete"], "until": until, "reason": "long enough"}]}
    assert mistakes(changes) == []
    assert not underlined(changes)


@pytest.mark.parametrize(
    "until",
    [
        "2026-02-29",
        "2100-02-29",
        "2026-04-31",
        "2026-13-01",
        "2026-00-10",
        "0000-01-01",
        "2026-1-2",
        "26-01-02",
        "",
        "x",
        "2026-12-24T00:00:00Z",
        "2026-12-24\n",
        "tomorrow",
    ],
)
def test_what_is_no_day_is_refused_by_both(until: str) -> None:
    changes = {"overrides": [{"team": "x", "allow": ["delete"], "until": until, "reason": "long enough"}]}
    [line] = mistakes(changes)
    assert line.startswith("overrides[0].until: must be a date, got ")
    assert underlined(changes)
