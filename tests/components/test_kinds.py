"""While the guards wait, the SDK's modules are loaded; and the end of the program takes nothing apart."""

from __future__ import annotations

import atexit
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cli.guards import program as guards
from cli.guards.memory import Remembered
from components import kinds
from tests.components.program import lab
from tests.conftest import ROOT, Declare

CUSTOM = ("scheduling.run.ai", "kai.scheduler")
"""Groups of which the SDK has no module."""
SMALL = {"apiextensions.v1", "node.v1"}
"""Of few kinds, and not of every team: a KAI's CRDs and the RuntimeClass."""
USED = re.compile(r"\bk8s\.(\w+\.v\d\w*)\.")


def test_all_of_them_are_loaded_at_the_end_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(kinds, "import_module", loaded.append)
    with kinds.loading():
        pass
    assert loaded == [f"pulumi_kubernetes.{module}" for module in kinds.MODULES]


def test_each_is_one_that_the_components_use() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "components").rglob("*.py")]
    used = {module for text in texts for module in USED.findall(text)}
    assert set(kinds.MODULES) <= used


def test_each_kind_of_a_team_is_in_one_of_them(declare: Declare) -> None:
    types = [resource.type.split(":") for resource in declare(lab("ml", checked=True)).resources]
    groups = {kind[1] for kind in types if kind[0] == "kubernetes" and not kind[1].startswith(CUSTOM)}
    modules = {f"{group.partition('.')[0]}.{version}" for group, _, version in (one.partition("/") for one in groups)}
    assert modules - SMALL == set(kinds.MODULES)


def test_what_can_not_be_loaded_is_told_by_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(kinds, "import_module", broken)
    with kinds.loading():
        begun = True
    assert begun


def test_the_guards_ask_meanwhile_and_the_end_is_short(declare: Declare, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    @contextmanager
    def loading() -> Iterator[None]:
        seen.append("begins")
        yield
        seen.append("ends")

    def guard(*_: object, **__: object) -> Remembered:
        seen.append("asked")
        return Remembered()

    at_the_end: list[object] = []
    monkeypatch.setattr(kinds, "loading", loading)
    monkeypatch.setattr(guards, "is_simulated", lambda: False)
    monkeypatch.setattr(guards, "refuse_the_lab", lambda *_, **__: None)
    monkeypatch.setattr(guards, "guard", guard)
    monkeypatch.setattr(atexit, "register", at_the_end.append)
    declare("lab", stack="guarded")
    assert seen == ["begins", "asked", "ends"]
    assert at_the_end.count(gc.freeze) == 1
