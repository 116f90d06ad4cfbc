"""What pods wait for while the engine waits for them: shown when seen, and kept for the end.

Helm removes a failed install, and with it the pods that show the cause. The engine then only says that it waited too
long. So this looks at the teams' namespaces meanwhile.

Owns: the thread that looks, its memory, and the readers.
Leaves to others: what can't start, and why (`stuck.py`), the engine (`engine.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import httpx2

from cli import say
from cli.beside import Beside
from cli.causes import Failure, distinct
from cli.cluster import Target, asking
from cli.errors import CommandError
from cli.stuck import INSIDE, OUR_NAMESPACES, Stuck, ours, stuck
from lenient import Json, rows, table

Reader = Callable[[], tuple[list[Json], list[Json]]]
"""Reads pods and events. Raises `CommandError`."""

INTERVAL_SECONDS: Final = 10.0
PATIENCE: Final = 2
"""The number of looks in a row that must see the same before it is shown, because a new pod waits for a moment, too.
With the interval above a cause is shown within half a minute.
"""
QUICK: Final = httpx2.Timeout(5.0, connect=3.0)

HOPELESS_SECONDS: Final = 60.0
"""A hopeless cause counts when it was seen for this long."""


@dataclass
class Seen:
    """What was seen so far. `look` takes the result of one look and returns the new causes to show."""

    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _kept: dict[tuple[str, str], Failure] = field(default_factory=dict)
    _said: set[tuple[str | None, str]] = field(default_factory=set)
    _hopeless: dict[tuple[str, str], float] = field(default_factory=dict)
    """The time since when, by the monotonic clock."""
    _before: set[tuple[str, str]] | None = None
    """What the first look saw. It belongs to the run before. When it disappears, this run has replaced it."""

    @property
    def failures(self) -> list[Failure]:
        """What could not start, and was not well later. The cause of a removed pod stays, because Helm removed it."""
        return list(self._kept.values())

    def hopeless(self) -> Failure | None:
        """Return the cause that has lasted for a while and that waiting does not help."""
        for key, since in list(self._hopeless.items()):
            if time.monotonic() - since >= HOPELESS_SECONDS and key in self._kept:
                return self._kept[key]
        return None

    def look(self, found: Sequence[Stuck], well: set[str]) -> list[Failure]:
        bad = {(one.of, one.failure.id) for one in found if one.hopeless}
        self._hopeless = {key: self._hopeless.get(key, time.monotonic()) for key in bad}
        now = {(one.of, one.failure.id): one.failure for one in found}
        self._before = set(now) if self._before is None else self._before
        self._counts = {key: self._counts.get(key, 0) + 1 for key in now}
        self._kept = {
            key: failure
            for key, failure in self._kept.items()
            if key[0] not in well and (key in now or key not in self._before)
        }
        new = []
        for key, failure in now.items():
            if self._counts[key] < PATIENCE:
                continue
            self._kept[key] = failure
            about = (failure.team, failure.cause)
            if about not in self._said:
                self._said.add(about)
                new.append(failure)
        return new


class Watch(Beside):
    """Looks at pods and events in its own thread, from `__enter__` to `__exit__`, and prints what it sees.

    `begun`: whether there is anything to see yet.
    """

    def __init__(
        self,
        read: Reader,
        *,
        teams: Mapping[str, str],
        stack: str,
        interval: float = INTERVAL_SECONDS,
        begun: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(interval)
        self._read = read
        self._teams = teams
        self._stack = stack
        self._begun = begun
        self.seen = Seen()
        """Complete after the end."""

    def _run(self) -> None:
        began = datetime.now(UTC)
        while not self._end.wait(self._interval):
            if not self._begun():
                continue  # this belongs to the run before
            try:
                pods, events = ours(*self._read(), since=began)
            except CommandError:
                continue  # the engine itself reports what it can't reach
            found, well = stuck(pods, events, teams=self._teams, stack=self._stack, now=datetime.now(UTC))
            for failure in distinct(self.seen.look(found, well), sorted(self._teams.values())):
                say.line(f"waiting: {failure}\n  fix: {failure.fix}")


def reader(target: Target, namespaces: Sequence[str]) -> Reader:
    """Return what reads the pods and the warnings of these namespaces."""

    def read() -> tuple[list[Json], list[Json]]:
        pods: list[Json] = []
        events: list[Json] = []
        # plain JSON: the typed client is not safe in a thread
        with asking(target, timeout=QUICK) as ask:
            for namespace in namespaces:
                for kind, into in (("pods", pods), ("events?fieldSelector=type%3DWarning", events)):
                    into += rows(ask(f"/api/v1/namespaces/{namespace}/{kind}"), "items")
        return pods, events

    return read


def together(
    host: Reader,
    inners: Callable[[], Iterable[Reader]],
) -> Reader:
    """Return a function that reads the host and every virtual cluster that answers."""

    def read() -> tuple[list[Json], list[Json]]:
        pods, events = host()
        for inner in inners():
            with suppress(CommandError):  # a virtual cluster that is not up yet, or is being removed
                more_pods, more_events = inner()
                pods, events = [*pods, *more_pods], [*events, *more_events]
        return pods, events

    return read


def inner_reader(team: str, target: Target) -> Reader:
    """Return a function that reads tenancy's pods in a team's cluster and their events, each with the team's name."""
    read = reader(target, OUR_NAMESPACES)

    def marked() -> tuple[list[Json], list[Json]]:
        pods, events = read()
        return [_inside(pod, "metadata", team) for pod in pods], [_inside(e, "involvedObject", team) for e in events]

    return marked


def _inside(thing: Json, key: str, team: str) -> Json:
    place = table(thing.get(key))
    return {**thing, key: {**place, "namespace": f"{place.get('namespace', '')}{INSIDE}{team}"}}
