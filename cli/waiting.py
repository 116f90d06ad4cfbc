"""What pods wait for while the engine waits for them: named while it is seen, kept for the end.

Helm takes a failed install back, and with it the pods that had the cause; the engine then says only that it waited too
long. So the team's namespaces are looked at meanwhile.

Owns: which pods are ours, reading causes out of them and of events (pure), and the thread that looks.
Leaves to others: what a message means (`causes`), the engine (`engine.py`).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import httpx2

from cli import say
from cli.causes import Failure, failure_of
from cli.cluster import Target, get_json
from cli.errors import CommandError
from names import CHECK_NAMESPACE, CHECK_PAIR_NAMESPACE, KAI_NAMESPACE
from seen.plain import Json

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

HOPELESS_REASONS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
NEVER_COMES: Final = re.compile(
    r"not found|manifest unknown|does not exist|pull access denied|unauthorized|forbidden|invalid reference"
    r"|InvalidImageName|ErrImageNeverPull|no such host|no match for platform",
    re.IGNORECASE,
)
"""In what the kubelet says of an image: trying again changes nothing."""
HOPELESS_SECONDS: Final = 60.0
"""What waiting does not mend is taken for so when it was seen for this long."""

OUR_NAMESPACES: Final = ("kube-system", KAI_NAMESPACE, CHECK_NAMESPACE, CHECK_PAIR_NAMESPACE)
"""Inside a virtual cluster: where tenancy's own pods are. A team's other pods are its own affair."""
INNER_NAMESPACE: Final = "vcluster.loft.sh/object-namespace"
"""vCluster's annotation on a pod on the host: the namespace that it has inside."""
INSIDE: Final = "@"
"""Between a namespace inside a virtual cluster and the team, in the name that such a namespace gets here."""

STUCK_EVENTS: Final = frozenset(
    {"FailedCreate", "FailedMount", "FailedAttachVolume", "ProvisioningFailed", "SyncError"}
)
"""Events of something that has no pod, or no container, yet."""


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """One cause, and the pod (or what should make it) that shows it."""

    of: str
    """namespace/name."""
    failure: Failure
    hopeless: bool = False
    """Whether waiting will not mend it."""


def ours(pods: Iterable[Json], events: Iterable[Json], *, since: datetime) -> tuple[list[Json], list[Json]]:
    """Return the pods of tenancy itself, and the events about such that are of this run.

    A team's own pods are on the host, too, and some of them may wait for ever: that is the team's affair.
    """
    kept = []
    for pod in pods:
        annotations = _table(_table(pod.get("metadata")).get("annotations"))
        if annotations.get(INNER_NAMESPACE, OUR_NAMESPACES[0]) in OUR_NAMESPACES:
            kept.append(pod)
    told = []
    for event in events:
        name = str(_table(event.get("involvedObject")).get("name", ""))
        theirs = "-x-" in name and not any(f"-x-{space}-x-" in name for space in OUR_NAMESPACES)
        if not theirs and _moment(event) >= since:
            told.append(event)
    return kept, told


def _moment(event: Json) -> datetime:
    made = _table(event.get("metadata")).get("creationTimestamp")
    try:
        return datetime.fromisoformat(str(event.get("lastTimestamp") or event.get("eventTime") or made))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


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
        found += [_stuck(where, message, teams, stack, hopeless=_is_hopeless(pod)) for message in messages[:1]]
    for event in events:
        if event.get("reason") in STUCK_EVENTS:
            where = _where({"metadata": event.get("involvedObject")})
            found.append(_stuck(where, f"{event.get('reason')}: {event.get('message')}", teams, stack))
    return found, well


def _is_hopeless(pod: Json) -> bool:
    """Whether an image of the pod is one that no further try will bring."""
    status = _table(pod.get("status"))
    for key in ("initContainerStatuses", "containerStatuses"):
        for container in _tables(status.get(key)):
            waiting = _table(_table(container.get("state")).get("waiting"))
            said = f"{waiting.get('reason')} {waiting.get('message', '')}"
            if waiting.get("reason") in HOPELESS_REASONS and NEVER_COMES.search(said):
                return True
    return False


def _stuck(where: str, message: str, teams: Mapping[str, str], stack: str, *, hopeless: bool = False) -> Stuck:
    space, _, name = where.partition("/")
    namespace, _, inside = space.partition(INSIDE)
    team, step = inside or teams.get(namespace), f"pod {name}"
    where_inside = " in the team's cluster" if inside else ""
    failure = failure_of(message, team=team, step=step, stack=stack) or Failure(
        id="waiting",
        team=team,
        step=step,
        cause=message,
        fix=f"`kubectl -n {namespace} describe pod {name}`{where_inside}, its events and the container's log say more",
    )
    return Stuck(of=where, failure=failure, hopeless=hopeless)


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
    _hopeless: dict[tuple[str, str], float] = field(default_factory=dict)
    """Since when, by the monotonic clock."""

    @property
    def failures(self) -> list[Failure]:
        """What could not start and was not seen well since. A pod that is gone keeps its cause: Helm removed it."""
        return list(self._kept.values())

    def hopeless(self) -> Failure | None:
        """Return what is there now, has been for a while, and will not be mended by waiting."""
        for key, since in list(self._hopeless.items()):
            if time.monotonic() - since >= HOPELESS_SECONDS and key in self._kept:
                return self._kept[key]
        return None

    def look(self, found: Sequence[Stuck], well: set[str]) -> list[Failure]:
        """Take one look."""
        bad = {(one.of, one.failure.id) for one in found if one.hopeless}
        self._hopeless = {key: self._hopeless.get(key, time.monotonic()) for key in bad}
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

    def hopeless(self) -> Failure | None:
        """Return what waiting will not mend, where something is."""
        return self._seen.hopeless()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        began = datetime.now(UTC)
        while not self._end.wait(self._interval):
            try:
                pods, events = ours(*self._read(), since=began)
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


def together(
    host: Callable[[], tuple[list[Json], list[Json]]],
    inners: Callable[[], Iterable[Callable[[], tuple[list[Json], list[Json]]]]],
) -> Callable[[], tuple[list[Json], list[Json]]]:
    """Return what reads the host and every virtual cluster that answers."""

    def read() -> tuple[list[Json], list[Json]]:
        pods, events = host()
        for inner in inners():
            with suppress(CommandError):  # a virtual cluster that is not up yet, or goes down
                more_pods, more_events = inner()
                pods, events = [*pods, *more_pods], [*events, *more_events]
        return pods, events

    return read


def inner_reader(team: str, target: Target) -> Callable[[], tuple[list[Json], list[Json]]]:
    """Return what reads tenancy's own pods in a team's cluster, and what is said of them; each with the team's name."""
    read = reader(target, OUR_NAMESPACES)

    def marked() -> tuple[list[Json], list[Json]]:
        pods, events = read()
        return [_inside(pod, "metadata", team) for pod in pods], [_inside(e, "involvedObject", team) for e in events]

    return marked


def _inside(thing: Json, key: str, team: str) -> Json:
    place = _table(thing.get(key))
    return {**thing, key: {**place, "namespace": f"{place.get('namespace', '')}{INSIDE}{team}"}}
