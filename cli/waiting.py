"""What pods wait for while the engine waits for them: named while it is seen, kept for the end.

Helm takes a failed install back, and with it the pods that had the cause; the engine then says only that it waited too
long. So the team's namespaces are looked at meanwhile.

Owns: reading causes out of pods and events (pure), and the thread that looks.
Leaves to others: what a message means (`causes`), the engine (`engine.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

import httpx2

from cli import say
from cli.causes import Failure, failure_of
from cli.cluster import Target, get_json
from cli.errors import CommandError

Json = Mapping[str, object]

INTERVAL_SECONDS: Final = 10.0
PATIENCE: Final = 2
"""So many looks in a row must see the same before it is said: a pod that is being made waits for a moment, too. With
the interval above a cause is named within half a minute."""
QUICK: Final = httpx2.Timeout(5.0, connect=3.0)

STUCK_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)
"""Reasons of a waiting container that do not pass by themselves. `ContainerCreating` and `PodInitializing` do."""

STUCK_EVENTS: Final = frozenset({"FailedCreate", "FailedMount", "FailedAttachVolume", "ProvisioningFailed"})
"""Events of something that has no pod, or no container, yet."""


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """One cause, and the pod (or what should make it) that shows it."""

    of: str
    """namespace/name."""
    failure: Failure


def stuck(
    pods: Iterable[Json], events: Iterable[Json], *, teams: Mapping[str, str], stack: str
) -> tuple[list[Stuck], set[str]]:
    """Return what can't start and why, and the pods that are well. `teams` are the tenants by namespace."""
    found: list[Stuck] = []
    well: set[str] = set()
    for pod in pods:
        where = _where(pod)
        messages = list(_messages(pod))
        if not messages:
            well.add(where)
        found += [_stuck(where, message, teams, stack) for message in messages[:1]]
    for event in events:
        if event.get("reason") in STUCK_EVENTS:
            where = _where({"metadata": event.get("involvedObject")})
            found.append(_stuck(where, f"{event.get('reason')}: {event.get('message')}", teams, stack))
    return found, well


def _stuck(where: str, message: str, teams: Mapping[str, str], stack: str) -> Stuck:
    namespace, _, name = where.partition("/")
    team, step = teams.get(namespace), f"pod {name}"
    failure = failure_of(message, team=team, step=step, stack=stack) or Failure(
        id="waiting",
        team=team,
        step=step,
        cause=message,
        fix=f"`kubectl -n {namespace} describe pod {name}`, its events and the container's log say more",
    )
    return Stuck(of=where, failure=failure)


def _messages(pod: Json) -> Iterator[str]:
    """Why a pod does not run, the most telling first."""
    status = _table(pod.get("status"))
    if str(status.get("reason", "")).startswith(("OutOf", "UnexpectedAdmissionError", "Evicted")):
        yield f"{status.get('reason')}: {status.get('message', '')}"
    for key in ("initContainerStatuses", "containerStatuses"):
        for container in _tables(status.get(key)):
            waiting = _table(_table(container.get("state")).get("waiting"))
            if waiting.get("reason") in STUCK_REASONS:
                ended = _table(_table(container.get("lastState")).get("terminated"))
                last = f" (exit code {ended['exitCode']}: {ended.get('message', '')})" if "exitCode" in ended else ""
                said = f"{waiting.get('reason')}: {waiting.get('message', '')}{last}"
                yield f"container {container.get('name')} of {_image(container)}: {said}"
    for condition in _tables(status.get("conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield str(condition.get("message", ""))


def _image(container: Json) -> str:
    return str(container.get("image", ""))


def _where(thing: Json) -> str:
    metadata = _table(thing.get("metadata"))
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _table(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _tables(value: object) -> Sequence[Json]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


@dataclass
class Seen:
    """What was seen so far. `look` takes one look's result and returns what is to be said now, each cause once."""

    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _kept: dict[tuple[str, str], Failure] = field(default_factory=dict)
    _said: set[tuple[str | None, str]] = field(default_factory=set)

    @property
    def failures(self) -> list[Failure]:
        """What could not start and was not seen well since. A pod that is gone keeps its cause: Helm removed it."""
        return list(self._kept.values())

    def look(self, found: Sequence[Stuck], well: set[str]) -> list[Failure]:
        """Take one look."""
        now = {(one.of, one.failure.id): one.failure for one in found}
        self._counts = {key: self._counts.get(key, 0) + 1 for key in now}
        self._kept = {key: failure for key, failure in self._kept.items() if key[0] not in well}
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


class Watch:
    """Looks at pods and events in a thread of its own, from `__enter__` to `__exit__`, and says what it sees."""

    def __init__(
        self,
        read: Callable[[], tuple[list[Json], list[Json]]],
        *,
        teams: Mapping[str, str],
        stack: str,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._read = read
        self._teams = teams
        self._stack = stack
        self._interval = interval
        self._seen = Seen()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def failures(self) -> list[Failure]:
        """What was seen; complete after the end."""
        return self._seen.failures

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._interval):
            try:
                pods, events = self._read()
            except CommandError:
                continue  # the engine says itself what it can't reach
            for failure in self._seen.look(*stuck(pods, events, teams=self._teams, stack=self._stack)):
                say.line(f"waiting: {failure}\n  fix: {failure.fix}")


def reader(target: Target, namespaces: Sequence[str]) -> Callable[[], tuple[list[Json], list[Json]]]:
    """Return what reads the pods and the warnings of these namespaces. Raises `CommandError` when it is called."""

    def read() -> tuple[list[Json], list[Json]]:
        pods: list[Json] = []
        events: list[Json] = []
        for namespace in namespaces:
            for kind, into in (("pods", pods), ("events?fieldSelector=type%3DWarning", events)):
                # plain JSON: the typed client is not safe in a thread
                answer = get_json(target, f"/api/v1/namespaces/{namespace}/{kind}", timeout=QUICK) or {}
                into += _tables(answer.get("items"))
        return pods, events

    return read
