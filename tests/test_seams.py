"""What is one of a kind has all its pieces: CONTRIBUTING.md's recipes, as far as a test can tell.

For a provider of hosts, a way of sharing GPUs, a workload, a rule of the pack and a finding: which have each piece.
A failure names what lacks which piece, and where that belongs. Fields have `tests/preview/test_fields.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias, get_args

import pytest
from pydantic import BaseModel

import settings.workloads
from components.workloads.workloads import KINDS
from policies.rules import RULES
from probe.expect import SHARINGS
from probe.judge.findings import ADVICE
from settings.hosts import INSTALLS, Host, HostProvider, Install
from settings.sharing import WAYS, Sharing, Way
from settings.workloads import AnyWorkload
from tests.conftest import ROOT

Pieces: TypeAlias = Mapping[str, Collection[str]]
"""The words of those that have a piece, by what the piece is and where it belongs."""
NOT_MADE: Final = {HostProvider.EXISTING, HostProvider.LAB}
"""Providers whose cluster nobody makes on a host."""
NO_ADVICE: Final = {
    *("allreduce.speed", "run.placed", "runtime.fake"),
    *("run.error", "run.hung", "run.killed"),
}
"""Findings that never need any, and those whose advice depends on what was seen."""


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def files(folder: str, end: str) -> set[str]:
    """Names of the folder's files that end like that, without the end."""
    return {path.name.removesuffix(end) for path in (ROOT / folder).iterdir() if path.name.endswith(end)}


def fields(section: type[BaseModel], base: type[BaseModel], table: Mapping[str, type[BaseModel]]) -> set[str]:
    """The words whose field in that section has a model of that base, the one that the table has."""
    words = {
        field.alias or name: model
        for name, field in section.model_fields.items()
        for model in get_args(field.annotation)
        if isinstance(model, type) and issubclass(model, base)
    }
    return {word for word, model in words.items() if table.get(word, model) is model}


def in_tests(folder: str, words: Collection[str]) -> set[str]:
    """The words that a test of that folder writes."""
    tests = "".join(path.read_text() for path in (ROOT / "tests" / folder).glob("test_*.py"))
    return {word for word in words if f'"{word}"' in tests}


def providers() -> Pieces:
    hosts = page("hosts.md")
    head = next(line for line in hosts.splitlines() if line.startswith("| | kind |"))
    columns = {cell.strip() for cell in head.split("|")} - {""}
    lives = [text for path in (ROOT / "tests" / "hosts").glob("test_*.py") if "(Life):" in (text := path.read_text())]
    return {
        "module in settings/hosts": files("settings/hosts", ".py") - {"__init__", "install"},
        "entry in INSTALLS (settings/hosts/__init__.py)": INSTALLS,
        "word in HostProvider (settings/hosts/__init__.py)": set(HostProvider) - NOT_MADE,
        "field of its model in Host (settings/hosts/__init__.py)": fields(Host, Install, INSTALLS),
        "script components/host/scripts/<provider>-install.sh": files("components/host/scripts", "-install.sh"),
        "script components/host/scripts/<provider>-remove.sh": files("components/host/scripts", "-remove.sh"),
        "column in docs/hosts.md": columns,
        "row in docs/hosts.md that says what was run": {way for way in columns if f"\n| {way} |" in hosts},
        "class TestLife(Life) in tests/hosts/test_<provider>.py": {
            way for text in lives for way in re.findall(r'\n    provider = "(\w+)"', text)
        },
    }


def ways_of_sharing() -> Pieces:
    return {
        "entry in WAYS (settings/sharing.py)": WAYS,
        "field of its model in Sharing (settings/sharing.py)": fields(Sharing, Way, WAYS),
        "word in SHARINGS (probe/expect.py)": SHARINGS,
        "word in docs/stack-file.md": {way for way in WAYS if re.search(rf"\b{way}\b", page("stack-file.md"))},
        "test in tests/settings": in_tests("settings", WAYS),
    }


def workloads() -> Pieces:
    sections = [
        section for section in vars(settings.workloads).values() if "kind" in getattr(section, "model_fields", ())
    ]
    models = {get_args(section.model_fields["kind"].annotation)[0]: section for section in sections}
    return {
        "place in AnyWorkload (settings/workloads.py)": {
            word for word, model in models.items() if model in get_args(AnyWorkload)
        },
        "component in KINDS (components/workloads/workloads.py)": {
            word for word, model in models.items() if model in KINDS
        },
        "section with `kind: <word>` in docs/workloads.md": set(re.findall(r"kind: (\w+)", page("workloads.md"))),
        "test in tests/workloads": in_tests("workloads", models),
    }


def rules_of_the_pack() -> Pieces:
    listed = page("policies.md").partition("**Quota**")[2].partition("They fail closed")[0]
    known = {rule.name for rule in RULES}
    return {
        "entry in policies/rules": known,
        "place in the list of docs/policies.md": set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", listed)),
        "test in tests/policies": in_tests("policies", known),
    }


def findings() -> Pieces:
    code = "".join(path.read_text() for path in (ROOT / "probe" / "judge").glob("*.py"))
    made = set(re.findall(r'found\.(?:add|missing)\(\s*"([\w.]+)"', code))
    text = page("gpu-check.md")
    return {
        "judgement in probe/judge": made,
        "advice in ADVICE (probe/judge/findings.py)": {
            finding for finding in made if {finding, finding.partition(".")[0]} & ADVICE.keys()
        }
        | NO_ADVICE,
        "row in docs/gpu-check.md": {finding for finding in made if in_a_row(finding, text)},
    }


def in_a_row(finding: str, text: str) -> bool:
    """By its whole name, by its last part beside others of its kind, or by its kind alone."""
    kind, _, last = finding.partition(".")
    return bool(re.search(rf"`({kind})?\.{last}`|`{kind}\.\*`", text))


def lacking(pieces: Pieces) -> list[str]:
    every = sorted({word for words in pieces.values() for word in words})
    return [f"{word} has no {piece}" for word in every for piece, words in pieces.items() if word not in words]


@pytest.mark.parametrize("kind", [providers, ways_of_sharing, workloads, rules_of_the_pack, findings])
def test_nothing_of_a_kind_lacks_a_piece(kind: Callable[[], Pieces]) -> None:
    missing = lacking(kind())
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)


def test_what_lacks_a_piece_is_named_with_the_piece() -> None:
    pieces = {"field": {"kind", "k3s"}, "script": {"k3s", "minikube"}}
    assert lacking(pieces) == ["kind has no script", "minikube has no field"]
