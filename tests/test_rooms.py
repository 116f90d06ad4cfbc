"""Imports run downward only, in the order that CONTRIBUTING.md gives the rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = (
    ("names", "podspec"),
    ("settings", "capacity", "releases"),
    ("kube",),
    ("seen", "probe"),
    ("components",),
    ("preview",),
    ("policies", "report", "page"),
    ("lab",),
    ("cli",),
)
"""From the bottom up; those of one line may use one another."""
LEVEL = {room: level for level, line in enumerate(ROOMS) for room in line}


def imports(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0], node.lineno


@pytest.mark.parametrize("room", LEVEL)
def test_a_room_imports_nothing_from_above(room: str) -> None:
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").exists() else sorted((ROOT / room).rglob("*.py"))
    assert files
    upward = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files
        for module, line in imports(file)
        if LEVEL.get(module, -1) > LEVEL[room]
    ]
    assert upward == []


def test_every_room_has_its_place() -> None:
    """A new folder of code gets a level here, and so a reader knows what it may use."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found - set(LEVEL) == {"tests"}
