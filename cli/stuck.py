"""What can't start, by pods and events: which pods are tenancy's own, and which failures last. Pure.

Owns: the causes, and which of them pass by themselves.
Leaves to others: what a message means (`causes`), reading the cluster and saying it (`waiting.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.causes import Failure, failure_of
from cli.causes.known import OF_PODS
from hints import filled
from lenient import Json, condition, name, namespace, rows, table, text
from names import CHECK_NAMESPACE, CHECK_PAIR_NAMESPACE, KAI_NAMESPACE, SYNCED_FROM, team_namespace
from seen.pods import containers

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
"""Messages of the kubelet about an image after which another try does not help."""
OUR_NAMESPACES: Final = ("kube-system", KAI_NAMESPACE, CHECK_NAMESPACE, CHECK_PAIR_NAMESPACE)
"""The namespaces of tenancy's own pods inside a virtual cluster. A team's other pods are its own matter."""
INSIDE: Final = "@"
"""The separator in our name for a namespace inside a virtual cluster: between the namespace and the team."""

STUCK_EVENTS: Final = frozenset(
    {"FailedCreate", "FailedMount", "FailedAttachVolume", "ProvisioningFailed", "SyncError"}
)
"""Events about something that has no pod, or no container, yet."""
GOES_ON: Final = timedelta(seconds=15)
"""An event may be about a short moment: a ServiceAccount that comes a second later, two writers at once. A controller
retries after longer and longer waits, each up to twice the last. So a failure that is still seen after this time lasts.
A failure has passed when it was not seen for longer than it had lasted.
"""
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """One cause, and the pod (or the object that should make it) that shows it."""

    of: str
    """namespace/name."""
    failure: Failure
    hopeless: bool = False
    """Whether waiting does not help."""


def ours(pods: Iterable[Json], events: Iterable[Json], *, since: datetime) -> tuple[list[Json], list[Json]]:
    """Return the pods of tenancy itself, and the events of this run about them.

    A team's own pods are on the host, too, and some of them may wait for ever: that is the team's own matter.
    """
    kept = []
    for pod in pods:
        if table(pod, "metadata", "annotations").get(SYNCED_FROM, OUR_NAMESPACES[0]) in OUR_NAMESPACES:
            kept.append(pod)
    told = []
    for event in events:
        about = text(event, "involvedObject", "name")
        theirs = "-x-" in about and not any(f"-x-{space}-x-" in about for space in OUR_NAMESPACES)
        if not theirs and _moment(event) >= since:
            told.append(event)
    return kept, told


def _moment(event: Json) -> datetime:
    """When it was last seen. There are two kinds of events, with different fields."""
    again = text(event, "series", "lastObservedTime") or text(event, "lastTimestamp")
    return _time(again or text(event, "eventTime") or text(event, "metadata", "creationTimestamp"))


def _first(event: Json) -> datetime:
    return _time(event.get("firstTimestamp") or event.get("eventTime") or event.get("lastTimestamp"))


def _time(said: object) -> datetime:
    """A time; one that can't be read counts as long ago."""
    try:
        found = datetime.fromisoformat(str(said))
    except ValueError:
        return LONG_AGO
    return found if found.tzinfo else LONG_AGO


def stuck(
    pods: Sequence[Json], events: Iterable[Json], *, teams: Mapping[str, str], stack: str, now: datetime
) -> tuple[list[Stuck], set[str]]:
    """Return what can't start and why, and the pods that are well. `teams`: the tenants by namespace."""
    found: list[Stuck] = []
    well: set[str] = set()
    for pod in pods:
        where = _where(pod)
        messages = list(_messages(pod))
        if not messages:
            well.add(where)
        hopeless = _is_hopeless(pod)
        found += [_stuck("pod", where, message, teams, stack, hopeless=hopeless) for message in messages[:1]]
    for event in _lasting(pods, events, now):
        about = table(event, "involvedObject")
        kind = text(about, "kind")
        said = f"{event.get('reason')}: {event.get('message')}"
        found.append(_stuck("pod" if kind == "Pod" else kind, _where({"metadata": about}), said, teams, stack))
    return found, well


def _lasting(pods: Sequence[Json], events: Iterable[Json], now: datetime) -> Iterator[Json]:
    """The newest event of each lasting failure. Some messages contain a pod's generated name, so events of one object
    and one reason count together.
    """
    alike: dict[tuple[str, ...], list[Json]] = {}
    for event in events:
        key = [text(event, "involvedObject", part) for part in ("namespace", "kind", "name")]
        if event.get("reason") in STUCK_EVENTS:
            alike.setdefault((*key, str(event.get("reason"))), []).append(event)
    for (space, kind, called, _), several in alike.items():
        several.sort(key=_moment)
        last = _moment(several[-1])
        lasted = last - min(_first(event) for event in several)
        here = [pod for pod in pods if namespace(pod) == space]
        over = _is_over(here, called) if kind == "Pod" else last <= _made(here, kind, called)
        if lasted >= GOES_ON and now - last <= 2 * lasted and not over:
            yield several[-1]


def _is_over(pods: Iterable[Json], called: str) -> bool:
    """Whether a pod is gone, or one of its containers has started."""
    found = next((pod for pod in pods if name(pod) == called), None)
    if found is None:
        return True
    return any("waiting" not in table(one, "state") for one in rows(found, "status", "containerStatuses"))


def _made(pods: Iterable[Json], kind: str, called: str) -> datetime:
    """When an object made its newest pod; long ago where it made none."""
    found = [LONG_AGO]
    for pod in pods:
        owners = [(one.get("kind"), one.get("name")) for one in rows(pod, "metadata", "ownerReferences")]
        if (kind, called) in owners:
            found.append(_time(text(pod, "metadata", "creationTimestamp")))
    return max(found)


def _is_hopeless(pod: Json) -> bool:
    """Whether an image of the pod can't be pulled by another try."""
    for container in containers(pod):
        waiting = table(container, "state", "waiting")
        said = f"{waiting.get('reason')} {waiting.get('message', '')}"
        if waiting.get("reason") in HOPELESS_REASONS and NEVER_COMES.search(said):
            return True
    return False


def _stuck(
    kind: str, where: str, message: str, teams: Mapping[str, str], stack: str, *, hopeless: bool = False
) -> Stuck:
    space, _, name = where.partition("/")
    namespace, _, inside = space.partition(INSIDE)
    team, step = inside or teams.get(namespace), f"{kind} {name}"
    # the virtual cluster's pods are on the host, too
    on_host = team_namespace(inside) if inside else namespace
    failure = failure_of(message, team=team, step=step, stack=stack, namespace=on_host, ids=OF_PODS) or Failure(
        id="waiting",
        team=team,
        step=step,
        cause=message,
        fix=filled(
            "what happened to it stays for an hour: `kubectl -n {namespace} get events --field-selector "
            "involvedObject.name={name}`{inside}",
            namespace=namespace,
            name=name,
            inside=" in the team's cluster" if inside else "",
        ),
    )
    return Stuck(of=where, failure=failure, hopeless=hopeless)


def _messages(pod: Json) -> Iterator[str]:
    """Why a pod does not run, the most helpful reason first."""
    reason = text(pod, "status", "reason")
    if reason.startswith(("OutOf", "UnexpectedAdmissionError", "Evicted")):
        yield f"{reason}: {text(pod, 'status', 'message')}"
    for container in containers(pod):
        waiting = table(container, "state", "waiting")
        if waiting.get("reason") in STUCK_REASONS:
            ended = table(container, "lastState", "terminated")
            last = f" (exit code {ended['exitCode']}: {ended.get('message', '')})" if "exitCode" in ended else ""
            said = f"{waiting.get('reason')}: {waiting.get('message', '')}{last}"
            yield f"container {container.get('name')} of {container.get('image', '')}: {said}"
    placed = condition(pod, "PodScheduled")
    if placed.get("status") == "False":
        yield text(placed, "message")


def _where(thing: Json) -> str:
    return f"{namespace(thing)}/{name(thing)}"
