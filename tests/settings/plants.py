"""Mistakes to plant in a sound stack file, each with the line that must be told. It calls nothing of ours."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from settings.hosts import HostProvider
from tests.settings.fuzz_text import Bare, Tree


@dataclass(frozen=True, kw_only=True)
class Told:
    """One line that must be said: at which path, and with which words."""

    path: str
    words: str
    underlined: bool = False
    """Whether the JSON Schema sees it, too: one value that is wrong by itself, the same one to every reader."""


Plant: TypeAlias = Callable[[Tree, str, Random], Told]
"""Plants one mistake in the team or pool of this name, and says what must be told."""


def _set(tree: Tree, path: str, value: Any) -> str:
    *above, last = path.split("/")
    for step in above:
        tree = tree.setdefault(step, {})
    tree[last] = value
    return ".".join(path.split("/"))


def _field(path: str, values: tuple[Any, ...], words: str, *, rule: bool = False) -> Plant:
    """A wrong value at a path below the team or pool. `rule`: it is wrong beside other values only."""

    def plant(tree: Tree, name: str, random: Random) -> Told:
        where = path.format(name)
        return Told(
            path=_set(tree, where, random.choice(values)),
            words=words,
            underlined=not rule and words != READ_DIFFERENTLY,
        )

    return plant


def _override(key: str, values: tuple[Any, ...], words: str, *, rule: bool = False) -> Plant:
    """A wrong value in the one override."""

    def plant(tree: Tree, name: str, random: Random) -> Told:
        override = {"team": "gone", "allow": ["delete"], "until": "2026-12-24", "reason": "moved elsewhere"}
        tree["overrides"] = [{**override, key: random.choice(values)}]
        return Told(path=f"overrides[0].{key}", words=words, underlined=not rule and words != READ_DIFFERENTLY)

    return plant


_APP = {"kind": "app", "cpu": "100m", "memory": "64Mi"}


def _workload(base: Tree, key: str, values: tuple[Any, ...], words: str) -> Plant:
    """A wrong value in a workload of the team; `key` may have a dot."""

    def plant(tree: Tree, name: str, random: Random) -> Told:
        workload = copy.deepcopy(base)
        _set(tree, f"teams/{name}/workloads/new", workload)
        _set(workload, key.replace(".", "/"), random.choice(values))
        return Told(path=f"teams.{name}.workloads.new.{key}", words=words, underlined=True)

    return plant


def _too_little_storage(tree: Tree, name: str, random: Random) -> Told:
    _set(tree, f"teams/{name}/vcluster/persistence", True)
    where = _set(tree, f"teams/{name}/resources/storage", random.choice(("1Gi", "4.9Gi", 0)))
    return Told(path=where, words="the control plane's own volume takes 5Gi of it")


_NOT_WHOLE = ("50", True, 1.5, [1], Bare("'7'"))
_DIFFERENT = (Bare("1:20"), Bare("0x10"), Bare("1_0"), Bare("010"), Bare("1e1"))
_BIDI = "a\u202eb"
_BAD_NAMES = ("", "GPU-0", "a b", "n\nx", "\x1b[31m", _BIDI, "x\u200b", "-a", "a" * 254, "ä")
READ_DIFFERENTLY = "is read differently by different YAML readers"

TEAM_PLANTS: tuple[tuple[str, Plant], ...] = (
    ("priority", _field("teams/{}/priority", ("urgent", 5, "High", None), "must be one of high, standard, bestEffort")),
    ("unknown", _field("teams/{}/priorty_", ("high", {}, 3), "is not a known key; did you mean 'priority'?")),
    ("isolation", _field("teams/{}/isolation", (Bare("off"), Bare("Yes")), "must be one of restricted, ")),
    ("pods", _field("teams/{}/resources/pods", _NOT_WHOLE, "must be a whole number")),
    ("pods", _field("teams/{}/resources/pods", (0, -1), "must be at least 1")),
    ("pods", _field("teams/{}/resources/pods", _DIFFERENT, READ_DIFFERENTLY)),
    ("pods", _field("teams/{}/resources/pods", (10**19, Bare("9" * 5000)), "has more digits than a number keeps")),
    ("cpu", _field("teams/{}/resources/cpu", ("5x", "1e3", "-1", "", "8 cores"), "is not a quantity")),
    ("cpu", _field("teams/{}/resources/cpu", ("8Gi", "4k", -1, 10**7, True, [8], None), "must be CPU in cores")),
    (
        "memory",
        _field("teams/{}/resources/memory", ("512m", 8, 0.5, "99999P", "8", True), "must be bytes, with a unit"),
    ),
    ("vcluster", _too_little_storage),
    ("port", _field("teams/{}/access/port", (8443, 65535), "must be a NodePort, 30000 to 32767", rule=True)),
    ("port", _field("teams/{}/access/port", (70000,), "must be at most 65535")),
    ("kubeconfig", _field("teams/{}/access/userKubeconfig", ("yes", 1, "true"), "must be true or false")),
    ("kubeconfig", _field("teams/{}/access/userKubeconfig", (Bare("yes"), Bare("OFF"), Bare("on")), READ_DIFFERENTLY)),
    ("hosts", _field("teams/{}/access/hostNames", (["https://a.example"], ["a_b"], ["*.x"]), "")),
    ("vcluster", _field("teams/{}/vcluster/version", (0.36, 1, True), "must be text")),
    (
        "vcluster",
        _field(
            "teams/{}/vcluster/version",
            ("0.99.0", "9.9.9"),
            "is not a vCluster release that this program knows",
            rule=True,
        ),
    ),
    ("store", _field("teams/{}/vcluster/backingStore", ("mysql", Bare("~1")), "must be one of sqlite, etcd")),
    (
        "weight",
        _field("teams/{}/queues/w1/gpu/overQuotaWeight", (Bare(".inf"), Bare(".NaN")), "must be a finite number"),
    ),
    ("weight", _field("teams/{}/queues/w1/gpu/overQuotaWeight", (-0.5, -1), "must be at least 0")),
    ("queue", _field("teams/{}/queues/w2/gpu/quota", (-0.5, -2, -1.5), "must be -1 or at least 0")),
    ("queue", _field("teams/{}/queues/w2/gpu", ("one", True, []), "must be a number or quota and limit")),
    ("queue", _field("teams/{}/queues/w2/gpu/over_quota_weight", (1,), "did you mean 'overQuotaWeight'?")),
    ("queue name", _field("teams/{}/queues/W_3", ({"gpu": 0},), "must be a DNS label")),
    ("canary", _field("teams/{}/scheduler/gpu_sharing", (True,), "is not a known key; did you mean 'gpuSharing'?")),
    ("workload", _workload(_APP, "kind", ("job", "App", 5, None), "must be one of inference, app")),
    ("workload", _workload(_APP, "port", (0, "80", 70000, True), "must be ")),
    ("workload", _workload(_APP, "replicas", (0, -1), "must be at least 1")),
    ("workload", _workload(_APP, "healthPath", ("x", "/a b", _BIDI), "must be a path of a URL")),
    ("workload", _workload(_APP, "secrets.A", ({"config": "A b"}, {"config": 5}), "")),
    ("workload", _workload(_APP, "secrets.A", ({"environment": "1a"}, {"environment": None}), "")),
    ("workload", _workload(_APP, "expose.ingress", (5, "x", []), "must be a mapping")),
    ("check", _field("teams/{}/check/queue", ("nowhere", "trainin"), "must be a leaf queue of the team", rule=True)),
    ("check", _field("teams/{}/check/deadline", (5,), "is not a known key")),
)

POOL_PLANTS: tuple[tuple[str, Plant], ...] = (
    ("architecture", _field("pools/{}/architecture", ("x86", Bare("2026-12-31")), "must be one of amd64, arm64")),
    ("product", _field("pools/{}/product", ("NVIDIA H200", _BIDI, "x" * 64, "a/b"), "must be a GPU's product")),
    ("product", _field("pools/{}/product", (200, True, Bare("2026-12-31")), "must be text")),
    ("memory", _field("pools/{}/gpuMemoryMib", (0, -5), "must be at least 1")),
    ("memory", _field("pools/{}/gpuMemoryMib", (2**40,), "must be at most 16777216")),
    ("memory", _field("pools/{}/gpu_memory_mib", (4,), "is not a known key; did you mean 'gpuMemoryMib'?")),
    ("taint", _field("pools/{}/taint", ("true", 1, []), "must be true or false")),
    ("taint", _field("pools/{}/taint", (Bare("no"), Bare("On")), READ_DIFFERENTLY)),
)

OTHER_PLANTS: tuple[tuple[str, Plant], ...] = (
    (
        "address",
        _field("host/address", ("https://u:hunter2@x", "a b", "10.0.0.256", _BIDI, "x:80"), "must be a DNS name"),
    ),
    ("class", _field("host/storageClass", _BAD_NAMES[1:], "must be a StorageClass's name")),
    ("context", _field("host/context", ("a\nb", _BIDI, "\x07", ""), "must be a context's name")),
    ("kubeconfig", _field("host/kubeconfig", ("apiVersion: v1\ntoken: hunter2", "a\nb"), "must be a path")),
    ("provider", _field("host/provider", ("exsting", 3, None), f"must be one of {', '.join(HostProvider)}")),
    ("gpu", _field("gpu/stack", ("plugin", Bare("1e3")), "")),
    ("gpu", _field("gpu/version", ("0.1", "v9"), "is not a device plugin that this program knows", rule=True)),
    ("handler", _field("gpu/runtimeClass", ({"name": "nvidia", "handler": "a b"},), "")),
    ("image", _field("check/image", ("x/UPPER", "a b", "x:tag:tag", "x@sha256:1", "x\u200b"), "must be an image")),
    ("fraction", _field("check/gpuMemoryFraction", (0.99, 7), "must be at most 0.95")),
    ("deadline", _field("check/deadlineSeconds", (10**6,), "must be at most 86400")),
    ("extra", _field("artefacts", ({}, 3), "is not a known key; did you mean 'artifacts'?")),
    ("slurm", _field("slurm", ({"host": "h", "gpus": "2"}, {"host": "A", "gpus": 2}), "must be ")),
    ("slurm", _field("slurm", ({"host": "h", "gpus": 1, "devices": ["nvidia0"]},), "must be a path below /dev")),
    ("overrides", _field("overrides", (5, "x"), "must be a list")),
    ("overrides", _override("until", ("9999-12-31", Bare("2027-06-01")), "must be at most 90 days ahead", rule=True)),
    ("overrides", _override("until", ("2026-02-30", Bare("2026-13-01"), 20261231, True, None), "must be a date")),
    ("overrides", _override("until", (Bare("2026-1-2"), Bare("2026-12-31T00:00:00Z")), READ_DIFFERENTLY)),
    (
        "overrides",
        _override("reason", ("short", "  a blank reason", f"{_BIDI} is no reason", "x" * 501), "must be 10 to"),
    ),
    ("overrides", _override("reason", (True, 12345678901), "must be text")),
    ("overrides", _override("reason", (Bare("2026-12-31"),), "must be text", rule=True)),
    ("overrides", _override("allow", (["remove"], [None]), "must be one of delete, replace, lowerLimit")),
    ("overrides", _override("allow", ([],), "needs at least 1 entry")),
    ("overrides", _override("team", ("A", "a b", ""), "must be a DNS label")),
)
