"""Run the engine and show its progress: what is shown while it works, and what is kept for the end.

Owns: starting the engine in its own session, passing Ctrl-C on, choosing among the engine's lines.
Leaves to others: what a failure means (`causes`), which command runs (`engine.py`).

The engine prints everything twice (its preview, then the update), and each step at its beginning and at its end. This
shows the ends of steps in the update, each phase's summary, and what the engine waits for. The rest is kept, and goes
into a file when the run fails.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli import say

PHASE: Final = re.compile(r"^(?P<what>Previewing|Updating|Destroying|Refreshing)\b.*\(")
HELD: Final = ("Diagnostics:", "Policies:", "Policy")
SUMMARY: Final = re.compile(r"^(?:Resources:|Duration:|    [+~±-]|    \d+ (?:unchanged|errored))")
"""The engine's own summary of a phase: a heading and a few lines below it."""
STEP: Final = re.compile(r"^.{1,4}\S+:\S+ \S+ .*(?:\b(?:created|updated|deleted|replaced)\b|\*\*)")
"""The end of a step: ` +  kubernetes:core/v1:Namespace ml-guardrails-namespace created (0.1s)`."""
REMOVAL: Final = re.compile(r"^ *-+ +\S+:\S+ (?P<name>\S+) (?P<what>deleting|deleted)\b")
"""The beginning and the end of a resource's removal."""
STACK_ROW: Final = re.compile(r"^.{1,4}pulumi:pulumi:Stack ")


TICK: Final = 5.0
"""Seconds after which the caller is called."""


class Progress:
    """The engine's output: all of it in `text`; the part that people need during the run on standard error."""

    def __init__(self, show: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._removals: dict[str, tuple[float, float]] = {}
        self._parts: list[str] = []
        self.phase = ""
        """`Previewing`, `Updating`, `Destroying`; empty before the first."""
        self._holding = False
        self._show = show or show_on_stderr
        self.last_step = time.monotonic()
        """When the last step ended, by the monotonic clock."""

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def removals(self, teams: Iterable[str], stay: Iterable[str]) -> list[str]:
        """A line for each of these teams that was removed, with the seconds from its first removal step to the last."""
        found: dict[str, tuple[float, float]] = {}
        for name, (began, ended) in self._removals.items():
            # a canary's resources begin with its team's name, too
            mine = [team for team in teams if name == team or name.startswith(f"{team}-")]
            if mine:
                team = max(mine, key=len)
                first, last = found.get(team, (began, ended))
                found[team] = min(first, began), max(last, ended)
        gone = {team: last - first for team, (first, last) in found.items() if team not in stay}
        return [f"team {team}: removed in {seconds:.0f} s" for team, seconds in gone.items()]

    def take(self, line: str) -> None:
        self._parts.append(line)
        if self.phase != "Previewing" and (found := REMOVAL.match(line)):
            now = self._clock()
            self._removals[found["name"]] = self._removals.get(found["name"], (now, now))[0], now
        if match := PHASE.match(line):
            self.phase, self._holding = match["what"], False
            self.last_step = time.monotonic()
            self._show(line)
        elif line.startswith(HELD):
            self._holding = True
        elif line.startswith(("Resources:", "Outputs:")):
            self._holding = line.startswith("Outputs:")
        if STEP.match(line) and not STACK_ROW.match(line):
            self.last_step = time.monotonic()
            if self.phase != "Previewing" and not self._holding:
                self._show(line)
        elif not self._holding and SUMMARY.match(line):
            self._show(line)


def show_on_stderr(text: str) -> None:
    # a closed reader (`| head`) must not end an update in the middle
    with suppress(BrokenPipeError):
        sys.stderr.write(text)
        sys.stderr.flush()


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run of the engine. `stopped`: why we ended it ourselves; empty where we did not."""

    code: int
    text: str
    interrupted: bool
    stopped: str = ""

    @property
    def whole(self) -> bool:
        """Whether it did all. The engine ends with 0 where an interrupt comes between two steps of a removal, too."""
        return self.code == 0 and not (self.interrupted or self.stopped)


def run_shown(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    progress: Progress | None = None,
    hopeless: Callable[[Progress], str] = lambda _: "",
    tick: float = TICK,
    result: Path | None = None,
) -> Run:
    """Run the engine to its end and show its progress. `result`: a file for its standard output, separate from its
    messages; None takes both together.

    The engine leads its own session, so a Ctrl-C in the terminal only reaches us. We pass it on once; the engine then
    ends its plugins and writes its state. We pass on a second Ctrl-C, too; then the engine stops at once. `hopeless` is
    called a few times a minute; where it returns a reason, we interrupt the engine in the same way.
    """
    shown = progress or Progress()
    stopped = ""
    with ExitStack() as held:
        file = held.enter_context(result.open("wb")) if result is not None else None
        child = held.enter_context(
            subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=file or subprocess.PIPE,
                stderr=subprocess.PIPE if file is not None else subprocess.STDOUT,
                start_new_session=True,
            )
        )
        words = child.stderr if file is not None else child.stdout
        assert words is not None
        with handed_on(child.send_signal) as came:
            for line in lines(words.fileno(), tick):
                if line is not None:
                    shown.take(line)
                elif not stopped and not came and (stopped := hopeless(shown)):
                    with suppress(ProcessLookupError):
                        child.send_signal(signal.SIGINT)
            code = child.wait()
    return Run(code=code, text=shown.text, interrupted=bool(came), stopped=stopped)


@contextmanager
def handed_on(send: Callable[[int], None]) -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on as SIGINT, each once; yields the list of those received."""
    came: list[int] = []

    def handler(number: int, _frame: object) -> None:
        came.append(number)
        with suppress(ProcessLookupError):
            send(signal.SIGINT)
        if len(came) == 1:
            # Python refuses to print a line in the middle of another one; the engine must get its interrupt all the
            # same
            with suppress(RuntimeError):
                say.line("\ninterrupted: the engine finishes its running steps; press Ctrl-C again to stop it at once")

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def lines(descriptor: int, tick: float = TICK) -> Iterator[str | None]:
    """Yield complete lines as they come, and None about every `tick` seconds, also while the engine prints dots."""
    rest, last = b"", time.monotonic()
    while True:
        ready, _, _ = select.select([descriptor], [], [], tick)
        if time.monotonic() - last >= tick:
            last = time.monotonic()
            yield None
        if not ready:
            continue
        chunk = os.read(descriptor, 65536)
        if not chunk:
            break
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace") + "\n"
    if rest:
        yield rest.decode(errors="replace")
