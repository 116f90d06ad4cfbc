"""Mutation: breaks the rules and the arithmetic one small way at a time and asks whether a test notices.

    make mutants                                  everything
    python -m tests.mutants policies/gate.py      one file

Each mutant runs in a fork of its own, so nothing on disk is touched and a mutant cannot spoil the next. One that
changes no verdict is listed in tests/mutants_equivalent.txt with its reason and not counted. Our own, because the
well-known tools start an interpreter for each mutant (hours here) or mutate messages, whose wording is no verdict. The
last line is `mutants killed=<n> survived=<n>`; exit status 1 when one survived.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import importlib.abc
import importlib.util
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).resolve().parents[1]
EQUIVALENT: Final = ROOT / "tests" / "mutants_equivalent.txt"
WORKERS: Final = max(1, min(4, os.cpu_count() or 1))
TIMEOUT_SECONDS: Final = 60.0
"""A mutant that runs longer hangs, and that is noticed, too. The tests of one file take some seconds."""

_POLICIES: Final = "tests/policies"
_ALL_RULES: Final = tuple(
    f"{_POLICIES}/test_{name}.py"
    for name in (
        *("quota", "placement", "isolation", "objects", "workloads", "charts", "supply"),
        *("paths", "plain", "rules", "pack"),
    )
)


def _first(*names: str) -> tuple[str, ...]:
    """Tests of a file, those that know it best first: the first failure ends a mutant."""
    best = tuple(f"{_POLICIES}/test_{name}.py" for name in names)
    return (*best, *(test for test in _ALL_RULES if test not in best))


_PROBE: Final = tuple(
    f"tests/probe/test_{name}.py" for name in ("recordings", "identity", "health", "work", "sharing", "report")
)

TESTS: Final[dict[str, tuple[str, ...]]] = {
    "policies/rules/quota.py": _first("quota", "rules"),
    "policies/rules/requests.py": _first("quota", "rules"),
    "policies/rules/objects.py": _first("objects", "rules"),
    "policies/rules/workloads.py": _first("workloads", "rules"),
    "policies/rules/charts.py": _first("charts", "rules"),
    "policies/rules/placement.py": _first("placement", "rules"),
    "policies/rules/isolation.py": _first("isolation", "rules"),
    "policies/rules/supply.py": _first("supply", "rules"),
    "policies/facts.py": _first("quota", "placement", "rules"),
    "policies/pods.py": _first("quota", "workloads", "placement", "rules"),
    "policies/paths.py": _first("paths", "objects"),
    "policies/inventory.py": _first("quota", "placement", "isolation", "rules"),
    "policies/plain.py": _first("plain", "quota"),
    "policies/rule.py": _first("rules", "quota"),
    "policies/run.py": (*_first("rules"), f"{_POLICIES}/test_run.py", f"{_POLICIES}/test_offline.py"),
    "policies/config.py": (f"{_POLICIES}/test_config.py", *_ALL_RULES),
    "policies/offline.py": (f"{_POLICIES}/test_offline.py",),
    "policies/gate.py": (f"{_POLICIES}/test_gate.py",),
    "policies/pack.py": _first("pack"),
    **{
        f"capacity/{room}.py": (
            "tests/test_capacity.py",
            "tests/test_quantities.py",
            "tests/test_capacity_search.py",
            f"{_POLICIES}/test_quota.py",
            "tests/settings/test_rules.py",
        )
        for room in ("quantity", "claims", "gpus", "room", "ports", "sets", "words")
    },
    "components/check/job.py": ("tests/components/test_job.py",),
    "probe/injection.py": ("tests/probe/test_injection.py", "tests/probe/test_sharing.py"),
    "probe/judge/sharing.py": ("tests/probe/test_sharing.py", *_PROBE),
    "probe/why.py": ("tests/probe/test_why.py",),
    "components/team/protection.py": ("tests/components/test_protection.py", f"{_POLICIES}/test_gate.py"),
}

# --- making mutants -------------------------------------------------------------------------------------------------

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]*")
"""Texts that name something: a property, a label, a token. Wording has spaces."""


_Path: TypeAlias = tuple[tuple[str, int | None], ...]
"""The way from a module's root to a node: fields, and positions in those that are lists."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one file. `name` says which, and stays the same when lines move."""

    file: str
    name: str
    line: int
    change: str
    path: _Path
    replacement: ast.AST

    def tree(self) -> ast.Module:
        """The file with the change."""
        tree = ast.parse((ROOT / self.file).read_text(encoding="utf-8"))
        _put(tree, self.path, self.replacement)
        return ast.fix_missing_locations(tree)

    @property
    def entry(self) -> str:
        """How it is written in the list of equivalent ones."""
        return f"{self.name} {self.change}"


def mutants(file: str) -> list[Mutant]:
    """Return every mutant of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    found = []
    for path, scope in _sites(tree):
        node = _at(tree, path)
        for replacement, change in _changes(node):
            key = f"{file}::{scope} {change}"
            seen[key] += 1
            found.append(
                Mutant(
                    file=file,
                    name=f"{file}::{scope}#{seen[key]}",
                    line=getattr(node, "lineno", 0),
                    change=change,
                    path=path,
                    replacement=replacement,
                )
            )
    return found


def _sites(tree: ast.Module) -> Iterator[tuple[_Path, str]]:
    """Yield every node that may be changed. Annotations, decorators, docstrings and the last `if __name__` may not."""

    def walk(node: ast.AST, path: _Path, scope: str) -> Iterator[tuple[_Path, str]]:
        if path:
            yield path, scope or "module"
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            scope = f"{scope}.{node.name}".lstrip(".")
        if isinstance(node, ast.JoinedStr):
            return
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases", "keywords_of_class"):
                continue
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.AST) and not _is_wording(item):
                        yield from walk(item, (*path, (name, index)), scope)
            elif isinstance(value, ast.AST):
                yield from walk(value, (*path, (name, None)), scope)

    yield from walk(tree, (), "")


def _is_wording(node: ast.AST) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return True
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _at(tree: ast.AST, path: _Path) -> ast.AST:
    node = tree
    for name, index in path:
        value = getattr(node, name)
        node = value if index is None else value[index]
    return node


def _put(tree: ast.AST, path: _Path, replacement: ast.AST) -> None:
    *way, (name, index) = path
    parent = _at(tree, tuple(way))
    if index is None:
        setattr(parent, name, replacement)
    else:
        getattr(parent, name)[index] = replacement


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            other = _COMPARISONS[type(operator)]()
            ops = [*node.ops[:position], other, *node.ops[position + 1 :]]
            yield _said(node, ast.Compare(left=node.left, ops=ops, comparators=node.comparators))
    elif isinstance(node, ast.BoolOp):
        other_op: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _said(node, ast.BoolOp(op=other_op, values=node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _said(node, node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield _said(node, ast.BinOp(left=node.left, op=_OPERATORS[type(node.op)](), right=node.right))
    elif isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, (ast.Compare, ast.UnaryOp, ast.BoolOp)):
        copy = deepcopy(node)
        copy.test = ast.UnaryOp(op=ast.Not(), operand=copy.test)
        yield copy, f"if {ast.unparse(node.test)} -> if not"
    elif isinstance(node, (ast.Continue, ast.Break)) or (isinstance(node, ast.Return) and node.value is None):
        yield ast.Pass(), f"{ast.unparse(node)} -> pass"
    elif isinstance(node, ast.Expr) and isinstance(node.value, (ast.Yield, ast.YieldFrom)):
        yield ast.Expr(ast.IfExp(ast.Constant(False), node.value, ast.Constant(None))), f"no {_short(node)}"
    elif isinstance(node, ast.Constant):
        yield from _constants(node)


def _constants(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.value, bool):
        yield _said(node, ast.Constant(not node.value))
    elif isinstance(node.value, int):
        yield _said(node, ast.Constant(node.value + 1))
    elif isinstance(node.value, str) and _KEY.fullmatch(node.value):
        yield _said(node, ast.Constant(f"{node.value}X"))


def _said(old: ast.AST, new: ast.AST) -> tuple[ast.AST, str]:
    return new, f"{_short(old)} -> {_short(new)}"


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(deepcopy(node))).split())
    return text if len(text) <= 70 else f"{text[:67]}..."


# --- running them ---------------------------------------------------------------------------------------------------


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a mutant's tree."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._module = mutant.file.removesuffix(".py").replace("/", ".")

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_file_location(fullname, ROOT / self._mutant.file, loader=self)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.tree(), self._mutant.file, "exec"), module.__dict__)


def preload() -> None:
    """Import what most mutants leave alone, once for all forks: no file of ours that imports a policy."""
    for name in (
        "pytest",
        "pulumi",
        "pulumi_policy",
        "pulumi_kubernetes",
        "settings.load",
        "components.team.protection",
    ):
        importlib.import_module(name)
    gc.disable()
    gc.freeze()


def noticed(mutant: Mutant | None, tests: Sequence[str]) -> int:
    """Start a fork that runs `tests` on a mutant (None: on what is there); return its pid. Status 0: nobody noticed."""
    pid = os.fork()
    if pid:
        return pid
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        import pytest

        if mutant is not None:
            sys.meta_path.insert(0, _Mutated(mutant))
            if not mutant.file.startswith("policies/"):
                ours = ("components", "settings", "capacity", "releases", "kube", "probe", "names")
                for name in [name for name in sys.modules if name.split(".")[0] in ours]:
                    del sys.modules[name]
        status = 0
        for test in tests:
            status = status or int(pytest.main([*OPTIONS, test]))
    except BaseException:  # a mutant that cannot even be imported is noticed
        status = 1
    os._exit(status)


_SKIP: Final = "not ten_times and not importing_the_policies and not token_is_one_of_the_sdk"
"""Tests about work, imports and the SDK: slow here, and no mutant is theirs."""
OPTIONS: Final = (
    *("-x", "-q", "--no-header", "--tb=no", "--assert=plain", "--noconftest", "-k", _SKIP),
    *("-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:unraisableexception"),
)


def run(todo: Sequence[Mutant]) -> list[Mutant]:
    """Run mutants, some at a time; return those that no test noticed."""
    waiting, running, survived = list(reversed(todo)), dict[int, tuple[Mutant, float]](), list[Mutant]()
    done, began = 0, time.monotonic()
    while waiting or running:
        while waiting and len(running) < WORKERS:
            mutant = waiting.pop()
            running[noticed(mutant, TESTS[mutant.file])] = (mutant, time.monotonic())
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            mutant, _ = running.pop(pid)
            done += 1
            if os.waitstatus_to_exitcode(status) == 0:
                survived.append(mutant)
                print(f"survived: {mutant.file}:{mutant.line}: {mutant.entry}", flush=True)
            if done % 50 == 0:
                print(
                    f"{done} of {len(todo)} in {time.monotonic() - began:.0f} s, {len(survived)} survived", flush=True
                )
            continue
        for late, (_, started) in running.items():
            if time.monotonic() - started > TIMEOUT_SECONDS:
                os.kill(late, 9)
        time.sleep(0.005)
    return survived


def equivalents() -> dict[str, str]:
    """Return the mutants that change no verdict, with the reason. Raises `SystemExit` for one without a reason."""
    found = {}
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        entry, separator, reason = line.partition(" || ")
        if not separator or len(reason) < 10:
            sys.exit(f"{EQUIVALENT.name}: write `<mutant> || <reason>`, got: {line}")
        found[entry] = reason
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all mutants, or those of some files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="mutation over rules and arithmetic")
    parser.add_argument("files", nargs="*", choices=[*TESTS, []], help="default: all")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    options = parser.parse_args(arguments)
    files = options.files or list(TESTS)
    everything = [mutant for file in files for mutant in mutants(file)]
    known = equivalents()
    stale = {entry for entry in known if entry.split("::")[0] in files} - {mutant.entry for mutant in everything}
    if stale:
        sys.exit("\n".join([f"{EQUIVALENT.name}: no such mutant any more:", *sorted(stale)]))
    todo = [mutant for mutant in everything if mutant.entry not in known]
    if options.list:
        print("\n".join(f"{mutant.file}:{mutant.line}: {mutant.entry}" for mutant in todo))
        return 0
    os.chdir(ROOT)
    preload()
    tests = sorted({test for file in files for test in TESTS[file]})
    _, status = os.waitpid(noticed(None, tests), 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"the tests fail without any mutant: {' '.join(tests)}")
    print(
        f"{len(todo)} mutants of {len(files)} files, {len(known)} known as equivalent, {WORKERS} at a time", flush=True
    )
    survived = run(todo)
    print(f"mutants killed={len(todo) - len(survived)} survived={len(survived)}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
