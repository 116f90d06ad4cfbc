"""Mutation: breaks the rules and the arithmetic one small way at a time and asks whether a test notices.

    make mutants                                  everything
    python -m tests.mutants policies/gate.py      one file

Each mutant runs in a fork of its own, so nothing on disk is touched and a mutant cannot spoil the next. One that
changes no verdict is listed in tests/mutants/equivalent.txt with its reason and not counted. Our own, because the
well-known tools start an interpreter for each mutant (hours here) or mutate messages, whose wording is no verdict. The
last line is `mutants killed=<n> survived=<n>`; exit status 1 when one survived.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.abc
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

from tests.mutants.changes import Mutant, mutants
from tests.mutants.files import ROOT, TESTS

EQUIVALENT: Final = ROOT / "tests" / "mutants" / "equivalent.txt"
WORKERS: Final = max(1, min(4, os.cpu_count() or 1))
TIMEOUT_SECONDS: Final = 60.0
"""A mutant that runs longer hangs, and that is noticed, too. The tests of one file take some seconds."""


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
