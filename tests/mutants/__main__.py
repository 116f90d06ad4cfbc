"""Mutation: breaks the program one small way at a time and asks whether a test notices.

    make mutants                                       everything
    python -m tests.mutants components/team/network.py   one file
    python -m tests.mutants --jobs 4                      four at a time

Nothing on disk is touched, and a mutant cannot spoil the next (`forks.py`). One that changes no verdict is listed in
tests/mutants/equivalent.txt with its reason and not counted. Our own, because the well-known tools start an interpreter
for each mutant (hours here) or mutate messages, whose wording is no verdict. The last line is
`mutants killed=<n> survived=<n>`; exit status 1 when one survived.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Final

from tests.mutants.changes import Mutant, mutants
from tests.mutants.files import ROOT, TESTS
from tests.mutants.forks import Turns, survivors

EQUIVALENT: Final = ROOT / "tests" / "mutants" / "equivalent.txt"
PRELOADED: Final = ("pulumi", "pulumi_policy", "pulumi_kubernetes", "settings.load", "components.platform")
"""What most mutants leave alone is imported once for all forks: no file of ours that imports a policy."""


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
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="mutation of the program's own code")
    parser.add_argument("files", nargs="*", choices=[*TESTS, []], help="default: all")
    parser.add_argument("--only", action="append", help="those whose entry begins so; may be given again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many run at a time; default: one a core")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    options = parser.parse_args(arguments)
    files = options.files or list(TESTS)
    everything = [mutant for file in files for mutant in mutants(file)]
    known = equivalents()
    stale = {entry for entry in known if entry.split("::")[0] in files} - {mutant.entry for mutant in everything}
    if stale:
        sys.exit("\n".join([f"{EQUIVALENT.name}: no such mutant any more:", *sorted(stale)]))
    todo = [mutant for mutant in everything if mutant.entry not in known]
    if options.only:
        todo = [mutant for mutant in todo if mutant.entry.startswith(tuple(options.only))]
    if options.list:
        print("\n".join(f"{mutant.file}:{mutant.line}: {mutant.entry}" for mutant in todo))
        return 0
    os.chdir(ROOT)
    for name in PRELOADED:
        importlib.import_module(name)
    gc.disable()
    gc.freeze()
    at_once = max(1, options.jobs)
    print(
        f"{len(todo)} mutants of {len(files)} files, {len(known)} known as equivalent, {at_once} at a time", flush=True
    )
    began, survived = time.monotonic(), 0
    rooms: defaultdict[str, list[Mutant]] = defaultdict(list)
    for mutant in todo:
        rooms[mutant.file.split("/")[0]].append(mutant)
    # rooms side by side: each begins with one run of its tests, on one core
    with ProcessPoolExecutor(max(1, len(rooms)), get_context("fork")) as pool:
        of_a_room = partial(survivors, turns=Turns(at_once), told_to=os.dup(1))
        for room, found in zip(rooms, pool.map(of_a_room, rooms.values()), strict=True):
            survived += len(found)
            seconds = time.monotonic() - began
            print(f"{room}: killed={len(rooms[room]) - len(found)} survived={len(found)}, {seconds:.0f} s", flush=True)
    print(f"mutants killed={len(todo) - survived} survived={survived}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
