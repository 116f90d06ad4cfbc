"""Runs mutants, each in a fork of its own.

Most change the body of a function. For them a room's tests are collected once, a first run tells which tests reach
which function, and each mutant is a fork in which the functions of one file have their new code. The others change what
is worked out at import, or a function that no test calls, as its file does it: in their fork the file, and what may
stand on it, is imported anew.
"""

from __future__ import annotations

import ast
import functools
import gc
import importlib.abc
import importlib.util
import inspect
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from importlib.machinery import ModuleSpec
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Final, NoReturn, TextIO

import pytest
from _pytest.runner import runtestprotocol

from tests.mutants.changes import Mutant
from tests.mutants.files import ROOT, TESTS
from tests.test_rooms import ROOMS

TIMEOUT_SECONDS: Final = 60.0
"""A mutant that runs longer hangs, and that is noticed, too. The tests of one file take some seconds. Waiting for a CPU
is not counted: a busy machine would notice everything."""
MOST_SECONDS: Final = 20.0
"""Of a CPU, for the tests that one mutant is shown to: of its file's tests those that reach it, the first files' and
the quickest first."""
MOST_BYTES: Final = 4 * 1024**3
"""Of memory, ten times what the tests need: a loop without an end that collects would take the machine's."""
_SKIP: Final = "not ten_times and not importing_the_policies and not token_is_one_of_the_sdk"
"""Tests about work, imports and the SDK: slow here, and no mutant is theirs."""
_OPTIONS: Final = (
    *("-x", "-q", "--no-header", "--tb=no", "--assert=plain", "-k", _SKIP),
    *("-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:unraisableexception"),
)


def function_of(mutant: Mutant) -> str | None:
    """The outermost function whose body a mutant changes, by its qualified name; None: it changes an import."""
    node: ast.AST = _parsed(mutant.file)
    names: list[str] = []
    for field, index in mutant.path:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return ".".join([*names, node.name]) if field == "body" else None
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
        value = getattr(node, field)
        node = value if index is None else value[index]
    return None


@functools.cache
def _parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


REACHED: Final[set[str]] = set()
"""Functions that were called, `file::name`: what `_Noted` files say of themselves."""


class Turns:
    """As many forks run at once as there are turns, whichever rooms they are of: a pipe has a byte for each."""

    def __init__(self, number: int) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.write(self._write, b"." * number)

    def take(self) -> bool:
        """Take a turn, if one is left."""
        try:
            return bool(os.read(self._read, 1))
        except BlockingIOError:
            return False

    def give_back(self) -> None:
        """Let another have it."""
        os.write(self._write, b".")


def survivors(todo: Sequence[Mutant], turns: Turns, told_to: int) -> list[str]:
    """Return the entries of the mutants that none of their files' tests notices, when there was a turn for each.

    `told_to` is the file descriptor to which each is written at once.
    Raises `SystemExit` where the tests fail without any mutant.
    """
    while not turns.take():  # for the first run
        time.sleep(0.1)
    told = os.fdopen(told_to, "w", closefd=False)
    tests = list(dict.fromkeys(test for mutant in todo for test in TESTS[mutant.file]))
    inside = {mutant.entry: found for mutant in todo if (found := function_of(mutant)) is not None}
    _, missed = tempfile.mkstemp()
    pid = os.fork()
    if not pid:
        _be_quiet()
        loop = _Loop([mutant for mutant in todo if mutant.entry in inside], inside, Path(missed), turns, told)
        _leave(lambda: int(pytest.main([*_OPTIONS, *tests], plugins=[loop])))
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status):
        turns.give_back()  # it may have ended before it did
        which = Path(missed).read_text(encoding="utf-8") or " ".join(tests)
        sys.exit(f"a test fails without any mutant: {which}")
    found = json.loads(Path(missed).read_text(encoding="utf-8"))
    Path(missed).unlink()
    anew = [mutant for mutant in todo if mutant.entry not in inside or mutant.entry in found["unreached"]]
    return [*found["survived"], *_run(anew, lambda mutant: _imported_anew(mutant, TESTS[mutant.file]), turns, told)]


def _run(todo: Sequence[Mutant], noticed: Callable[[Mutant], int], turns: Turns, told: TextIO) -> list[str]:
    """Run mutants as there are turns; return the entries of those for which `noticed` gives 0."""
    waiting, running, found = list(reversed(todo)), dict[int, tuple[Mutant, float]](), list[str]()
    left = Counter(mutant.file for mutant in todo)
    while waiting or running:
        while waiting and turns.take():
            mutant = waiting.pop()
            running[_fork(lambda mutant=mutant: noticed(mutant))] = (mutant, time.monotonic())  # type: ignore[misc]
        pid, status = os.waitpid(-1, os.WNOHANG) if running else (0, 0)
        if pid in running:
            mutant, _ = running.pop(pid)
            turns.give_back()
            if os.waitstatus_to_exitcode(status) == 0:
                found.append(mutant.entry)
                print(f"survived: {mutant.file}:{mutant.line}: {mutant.entry}", file=told, flush=True)
            left[mutant.file] -= 1
            if not left[mutant.file]:
                print(f"done: {mutant.file}", file=told, flush=True)
            continue
        for late, (_, started) in running.items():
            if (took := time.monotonic() - started) > TIMEOUT_SECONDS and took - _kept_waiting(late) > TIMEOUT_SECONDS:
                os.kill(late, signal.SIGKILL)
        time.sleep(0.005)
    return found


def _kept_waiting(pid: int) -> float:
    """Seconds that a process could have run and had no CPU, as Linux counts them; 0 where nobody does."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _fork(work: Callable[[], int]) -> int:
    pid = os.fork()
    if not pid:
        _be_quiet()
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
        _leave(work)
    return pid


def _leave(work: Callable[[], int]) -> NoReturn:
    status = 1  # a mutant that cannot even be imported is noticed
    try:
        status = work()
    finally:
        os._exit(status)


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


class _Loop:
    """Takes the place of pytest's own loop over the collected tests."""

    def __init__(
        self, todo: Sequence[Mutant], inside: Mapping[str, str], missed: Path, turns: Turns, told: TextIO
    ) -> None:
        self._todo, self._inside, self._missed, self._turns, self._told = todo, inside, missed, turns, told

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if not session.testsfailed:
            pid = _fork(lambda: self._first(session.items))
            _, status = os.waitpid(pid, 0)
            session.testsfailed = os.waitstatus_to_exitcode(status)
        self._turns.give_back()
        if not session.testsfailed:
            told = json.loads(self._missed.read_text(encoding="utf-8"))
            reach: dict[str, list[tuple[str, float, int]]] = told["reach"]
            for name in told["imported"]:
                with suppress(ImportError):
                    importlib.import_module(name)
            gc.freeze()

            def near_by(mutant: Mutant) -> list[tuple[int, float, int]]:
                rank = {test: number for number, test in enumerate(TESTS[mutant.file])}
                reached = reach.get(f"{mutant.file}::{self._inside[mutant.entry]}", [])
                return sorted((rank[test], seconds, index) for test, seconds, index in reached if test in rank)

            def noticed(mutant: Mutant) -> int:
                near = near_by(mutant)
                spent = accumulate(seconds for _, seconds, _ in near)
                _give(mutant.file, mutant.tree())
                return _failed(
                    [session.items[at[2]] for at, sum_ in zip(near, spent, strict=True) if sum_ < MOST_SECONDS]
                )

            unreached = [mutant.entry for mutant in self._todo if not near_by(mutant)]
            survived = _run([one for one in self._todo if one.entry not in unreached], noticed, self._turns, self._told)
            self._missed.write_text(json.dumps({"survived": survived, "unreached": unreached}), encoding="utf-8")
        return True

    def _first(self, items: Sequence[pytest.Item]) -> int:
        """Run every test on what is there, and write which reach a function: the test's file, seconds, number."""
        reach: defaultdict[str, list[tuple[str, float, int]]] = defaultdict(list)
        before = set(sys.modules)
        for file in {mutant.file for mutant in self._todo}:
            tree = deepcopy(_parsed(file))
            _give(file, ast.fix_missing_locations(_Noted(file).visit(tree)))
        for index, item in enumerate(items):
            REACHED.clear()
            _forget()
            began = time.process_time()
            if _failed([item]):
                self._missed.write_text(item.nodeid, encoding="utf-8")
                return 1
            for function in REACHED:
                reach[function].append((item.nodeid.partition("::")[0], time.process_time() - began, index))
        # what tests import as they run is imported once for all forks
        told = {"reach": reach, "imported": [name for name in sys.modules if name not in before]}
        self._missed.write_text(json.dumps(told), encoding="utf-8")
        return 0


class _Noted(ast.NodeTransformer):
    """A file whose outermost functions say in `REACHED` that they were called: a mutant is looked up by its own."""

    def __init__(self, file: str) -> None:
        self._file, self._scope = file, list[str]()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._scope.append(node.name)
        self.generic_visit(node)
        self._scope.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        name = f"{self._file}::{'.'.join([*self._scope, node.name])}"
        where = f"__import__('sys').modules[{__name__!r}].REACHED"
        node.body.insert(0, ast.Expr(ast.parse(f"{where}.add({name!r})", mode="eval").body))
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815


def _failed(items: Sequence[pytest.Item]) -> int:
    for item, following in zip(items, [*items[1:], None], strict=False):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return 1
    return 0


def _forget() -> None:
    """Forget what functions keep, and programs that ran already: each test is to reach what it is about."""
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").split(".")[0] in ROOMS:
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
    from tests import conftest

    conftest._DECLARED.clear()


def _give(file: str, tree: ast.Module) -> None:
    """Give the functions of a file the code of a changed one."""
    module = importlib.import_module(_module(file))
    new = {(code.co_qualname, code.co_firstlineno): code for code in _codes(compile(tree, str(ROOT / file), "exec"))}
    for function in _functions(vars(module).values(), module.__name__, set()):
        function.__code__ = new[function.__code__.co_qualname, function.__code__.co_firstlineno]
    _forget()


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)


def _functions(values: object, module: str, met: set[int]) -> Iterator[FunctionType]:
    """Every function that a module's own file defines: in classes and below decorators, too."""
    for value in list(values):  # type: ignore[call-overload]
        if id(value) in met or getattr(value, "__module__", module) != module:
            continue
        met.add(id(value))
        if isinstance(value, FunctionType) and value.__code__.co_filename.endswith(f"{module.replace('.', '/')}.py"):
            yield value
        elif isinstance(value, type):
            yield from _functions(vars(value).values(), module, met)
        below = [getattr(value, name, None) for name in ("__func__", "fget", "func", "__wrapped__")]
        yield from _functions([each for each in below if inspect.isfunction(each)], module, met)


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a mutant's tree."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != _module(self._mutant.file):
            return None
        package = self._mutant.file.endswith("/__init__.py")
        places = [str((ROOT / self._mutant.file).parent)] if package else None
        return importlib.util.spec_from_file_location(
            fullname, ROOT / self._mutant.file, loader=self, submodule_search_locations=places
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.tree(), str(ROOT / self._mutant.file), "exec"), module.__dict__)


def _imported_anew(mutant: Mutant, tests: Sequence[str]) -> int:
    sys.meta_path.insert(0, _Mutated(mutant))
    above = ROOMS[ROOMS.index(_module(mutant.file).split(".")[0]) :]
    for name in [name for name in sys.modules if name.split(".")[0] in above and not name.startswith("tests.mutants")]:
        del sys.modules[name]
    for test in tests:
        if status := int(pytest.main([*_OPTIONS, test])):
            return status
    return 0
