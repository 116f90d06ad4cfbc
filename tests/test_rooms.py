"""The rooms of the program: imports run downward only, never in a circle, and no file is long."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.conftest import ROOT
from tests.test_dependencies import imports_in, own_files

ROOMS = (
    *("names", "hints", "lenient", "podspec", "tokens", "releases", "capacity", "settings", "kube", "seen", "probe"),
    *("components", "preview", "policies", "report", "page", "lab", "cli", "__main__", "tests"),
)
"""Lowest first. A module imports from its own room and from those before it."""

WITHOUT_PULUMI = (
    "names",
    "hints",
    "lenient",
    "podspec",
    "tokens",
    "releases",
    "capacity",
    "settings",
    "kube",
    "seen",
    "probe",
    "preview",
    "report",
    "page",
)
"""Rooms that never import the SDK."""

LONGEST = 400
"""Lines of a file that holds more than data."""
DATA = {
    "releases/kai.py": "what each version of KAI needs",
    "tests/lab/pods.py": "pods that are let in, and attacks that are not",
}
"""Longer, each with what it lists."""


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room_of(module: str) -> str:
    return module.split(".")[0]


def imports_of(code: str, modules: Iterable[str]) -> Iterator[str]:
    """Modules of ours, and the names of others, that a file imports anywhere: in a function and for types, too."""
    known = set(modules)
    for node in imports_in(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.module is not None, "relative imports are not read here"
            assert not node.level, "relative imports are not read here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


@cache
def house() -> Mapping[str, frozenset[str]]:
    """Every module of the repository with what it imports."""
    files = {module_of(file): file for file in own_files()}
    return {
        module: frozenset(imports_of((ROOT / file).read_text(encoding="utf-8"), files))
        for module, file in files.items()
    }


def upward(imports: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Imports from a lower room to a higher one."""
    height = {room: number for number, room in enumerate(ROOMS)}
    return [
        (module, imported)
        for module, found in imports.items()
        for imported in found
        if room_of(imported) in height and height[room_of(imported)] > height[room_of(module)]
    ]


def circle(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """The modules of one circle; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_every_module_is_in_a_room_and_every_room_has_one() -> None:
    assert {room_of(module) for module in house()} == set(ROOMS)


def test_the_types_of_every_room_are_checked() -> None:
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    assert {file.removesuffix(".py") for file in checked} == set(ROOMS)


def test_imports_run_downward_only() -> None:
    assert upward(house()) == []


def test_no_imports_run_in_a_circle() -> None:
    assert circle(house()) == []


@pytest.mark.parametrize("room", WITHOUT_PULUMI)
def test_a_room_without_the_sdk_imports_none_of_it(room: str) -> None:
    of_the_room = {module: found for module, found in house().items() if room_of(module) == room}
    assert [
        (module, imported)
        for module, found in of_the_room.items()
        for imported in found
        if room_of(imported).startswith("pulumi")
    ] == []


@pytest.mark.parametrize(
    "line", ["import cli.app", "from cli import app", "def f():\n    from cli.app import main", "import cli.app as x"]
)
def test_an_import_upward_is_seen_wherever_it_stands(line: str) -> None:
    imports = {"settings.load": list(imports_of(line, {"cli.app", "settings.load"}))}
    assert upward(imports) == [("settings.load", "cli.app")]


def test_a_circle_is_seen_also_where_it_is_only_for_types() -> None:
    text = "if TYPE_CHECKING:\n    from settings.models import Platform"
    imports = {
        "settings.models": ["settings.hosts"],
        "settings.hosts": list(imports_of(text, {"settings.models", "settings.hosts"})),
    }
    assert set(circle(imports)) == {"settings.models", "settings.hosts"}


def test_no_file_is_long_but_those_that_list_data() -> None:
    lines = {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in own_files()}
    assert {file for file, count in lines.items() if count > LONGEST} == set(DATA)
