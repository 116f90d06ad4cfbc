"""What is imported is declared, what is declared is imported, and both ways of installing install the same."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from typing import Final

import yaml

from tests.conftest import ROOT

NOT_IMPORTED = {
    "pytest-xdist": "a plugin of pytest",
    "ruff": "a tool",
    "mypy": "a tool",
    "zizmor": "a tool",
    "types-pyyaml": "types for mypy",
    "types-jsonschema": "types for mypy",
}
"""Declared, and no module of this repository imports it; each with what it is for."""


@cache
def own_files() -> list[str]:
    """Every Python file of the repository, without environments and caches."""
    return [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


IMPORT: Final = re.compile(
    r"^[ \t]*(?:import [\w.]+(?: as \w+)?(?:, [\w.]+(?: as \w+)?)*|from [\w.]+ import (?:\([^)]*\)|[^\n(#]+))"
    r"[ \t]*(?:#.*)?$",
    flags=re.MULTILINE,
)
"""An import as `ruff format` writes it, wherever it stands, also in a program that is a text here. To parse all that
stands around them takes a second."""


def imports_in(code: str) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import of a file, inside functions, too."""
    for found in IMPORT.finditer(code):
        (statement,) = ast.parse(found[0].strip()).body
        assert isinstance(statement, ast.Import | ast.ImportFrom)
        yield statement


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def imported() -> dict[str, set[str]]:
    """Modules that ours import, each with the distributions that bring it: of a shared name like `google` several."""
    files = own_files()
    ours = {file.split("/")[0].removesuffix(".py") for file in files}
    modules: set[str] = set()
    for file in files:
        for node in imports_in((ROOT / file).read_text(encoding="utf-8")):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif node.module and not node.level:
                modules.add(node.module.split(".")[0])
    known = packages_distributions()
    # torch is the check image's own
    foreign = modules - ours - sys.stdlib_module_names - {"torch"}
    return {module: {normal(name) for name in known.get(module, ())} for module in foreign}


def declared() -> set[str]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [*pyproject["project"]["dependencies"], *pyproject["dependency-groups"]["dev"]]
    return {normal(line.split("==")[0]) for line in lines}


def test_what_is_imported_is_declared() -> None:
    assert [module for module, brought_by in imported().items() if not brought_by & declared()] == []


def test_what_is_declared_is_imported_or_says_what_it_is_for() -> None:
    used = set().union(*imported().values())
    assert declared() - used == set(NOT_IMPORTED)


def test_the_engine_s_own_install_step_installs_the_lock_with_its_hashes() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["-r requirements.lock"]
    pins = re.findall(r"^(\S+)==(\S+?)(?: ;.*)? \\$", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    assert declared() <= {normal(name) for name, _ in pins}
    blocks = re.split(r"^(?=\S)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    assert [block.split()[0] for block in blocks if block.strip() and "--hash=sha256:" not in block] == []


def test_make_and_the_engine_share_one_environment() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert project["runtime"]["options"] == {"toolchain": "pip", "virtualenv": ".venv"}
    assert "VENV   := .venv\n" in (ROOT / "Makefile").read_text()


def test_the_commit_hooks_run_what_make_check_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"], "a hook from elsewhere has a version of its own"
    entries = [hook["entry"] for hook in hooks[0]["hooks"]]
    assert all(entry.startswith(".venv/bin/") for entry in entries)
    makefile = (ROOT / "Makefile").read_text()
    assert "$(VENV)/bin/ruff format --check ." in makefile
    assert "$(VENV)/bin/ruff check ." in makefile
