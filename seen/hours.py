"""GPU hours of each team and queue, from the pods that the clusters still have. Pure.

Owns: how hours count, and what is not known. Leaves to others: metrics (`cli/usage.py`), showing it.

A pod asks for its GPUs from its creation to its end, and has them from the moment that its node accepts it. A fraction
counts by its share. Only metrics, not the API, show whether a GPU also worked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from capacity import listed
from names import KAI_RESERVATION_NAMESPACE, team_namespace
from seen.model import Pod, Queue, Seen, Team

HOUR: Final = 3600.0
NO_QUEUE: Final = "(no queue)"
GONE: Final = "(pods that are gone)"
"""Only metrics know these: their team, but not their queue."""
NOT_ASKED: Final = "no metrics were asked"
FAR_BELOW: Final = 0.25
"""A team that was given less than this share of its quota is far below it."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The metrics of one pod of the host: hours of its GPUs, and hours in which these worked."""

    held: float
    worked: float


Metrics: TypeAlias = Mapping[tuple[str, str], Measured]
"""By namespace and name on the host."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """GPU hours of a team (`queue` is empty) or of one of its queues. None: not known."""

    team: str
    queue: str
    quota: float | None
    """The guarantee in GPU hours; None where it is unlimited, or where no queue can be read."""
    asked: float
    given: float
    used: float | None

    @property
    def idle(self) -> float | None:
        """GPU hours that were given and not used."""
        return None if self.used is None else max(0.0, self.given - self.used)

    @property
    def of_quota(self) -> float | None:
        """GPU hours that were given, as a share of the quota."""
        return self.given / self.quota if self.quota else None

    @property
    def far_below(self) -> bool:
        """Whether a team was given far less than it is guaranteed."""
        return self.of_quota is not None and self.of_quota < FAR_BELOW


@dataclass(frozen=True, kw_only=True)
class Account:
    """The hours of all teams, each team before its queues, and sentences about what is not counted."""

    since: datetime
    until: datetime
    rows: tuple[Spent, ...]
    gaps: tuple[str, ...]


def account(seen: Seen, since: datetime, metrics: Metrics | None = None, *, why_none: str = NOT_ASKED) -> Account:
    """Return the hours from `since` to the snapshot. `metrics`: None if there are none, for the reason `why_none`."""
    rows = tuple(row for team in seen.teams for row in _team(team, seen, since, metrics))
    return Account(since=since, until=seen.at, rows=rows, gaps=tuple(_gaps(seen, since, metrics, why_none)))


def _hours(begin: datetime | None, end: datetime | None, since: datetime, until: datetime) -> float:
    """The hours within the window between a begin and an end; 0 without a begin."""
    if begin is None:
        return 0.0
    return max(0.0, (min(end or until, until) - max(begin, since)).total_seconds()) / HOUR


def _end(pod: Pod) -> datetime | None:
    """When a pod freed its GPUs; None while it has them. A pod whose node died may have no end: then it does not count,
    and is reported as a gap.
    """
    return (pod.ended or pod.started or pod.created) if pod.over else None


def _asked(pod: Pod, since: datetime, until: datetime) -> float:
    return pod.share * _hours(pod.created, _end(pod), since, until)


def _given(pod: Pod, since: datetime, until: datetime) -> float:
    # a pod that its node refused existed only for a moment, and had no GPU
    return pod.share * _hours(pod.started, _end(pod), since, until) if pod.node else 0.0


def _counts(pod: Pod) -> bool:
    """Whether a pod counts: KAI's reservation pods hold a whole GPU for fractions, which count themselves."""
    return pod.namespace != KAI_RESERVATION_NAMESPACE and (pod.share > 0 or pod.devices > 0)


# --- one team ---------------------------------------------------------------------------------------------------------


def _team(team: Team, seen: Seen, since: datetime, metrics: Metrics | None) -> Iterator[Spent]:
    until = seen.at
    pods = [pod for pod in team.pods if _counts(pod)]
    worked = None if metrics is None else _worked(team, pods, since, until, metrics)
    names = {queue.name: queue.shown for queue in team.queues}
    by_queue: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        by_queue[names.get(pod.queue, pod.queue) or NO_QUEUE].append(pod)
    leaves = {queue.shown: queue for queue in team.queues if queue.parent in names}
    gone = _gone(team, metrics or {})
    window = _hours(team.made or since, None, since, until)

    def row(queue: str, bound: Queue | None, of: Iterable[Pod], more: Measured | None = None) -> Spent:
        found = list(of)
        given = sum(_given(pod, since, until) for pod in found) + (more.held if more else 0.0)
        used = None if worked is None else sum(worked[pod.namespace, pod.name] for pod in found)
        return Spent(
            team=team.name,
            queue=queue,
            quota=None if bound is None or bound.quota < 0 else bound.quota * window,
            asked=sum(_asked(pod, since, until) for pod in found) + (more.held if more else 0.0),
            given=given,
            used=None if used is None else used + (more.worked if more else 0.0),
        )

    parent = next((queue for queue in team.queues if queue.parent not in names), None)
    yield row("", parent, pods, gone)
    for name in dict.fromkeys((*leaves, *by_queue)):
        yield row(name, leaves.get(name), by_queue.get(name, ()))
    if gone is not None:
        yield row(GONE, None, (), gone)


def _worked(
    team: Team, pods: Iterable[Pod], since: datetime, until: datetime, metrics: Metrics
) -> dict[tuple[str, str], float]:
    """GPU hours in which each pod's GPUs worked. Metrics name a shared GPU's reservation pod; its work is divided among
    the fractions by their shares.
    """
    shared: dict[str, float] = defaultdict(float)
    for pod in team.pods:
        if pod.namespace == KAI_RESERVATION_NAMESPACE:
            for group in pod.groups:
                shared[group] += _measured(team, pod, metrics).worked
    whole: dict[str, float] = defaultdict(float)
    for pod in pods:
        for group in pod.groups:
            whole[group] += _given(pod, since, until) / len(pod.groups)
    found = {}
    for pod in pods:
        part = sum(
            shared[group] * _given(pod, since, until) / len(pod.groups) / whole[group]
            for group in pod.groups
            if whole[group]
        )
        found[pod.namespace, pod.name] = _measured(team, pod, metrics).worked + part
    return found


def _measured(team: Team, pod: Pod, metrics: Metrics) -> Measured:
    return metrics.get((team.namespace, pod.host_name), Measured(held=0.0, worked=0.0))


def _gone(team: Team, metrics: Metrics) -> Measured | None:
    """What metrics remember of pods that no longer exist."""
    there = {pod.host_name for pod in team.pods}
    found = [one for (space, name), one in metrics.items() if space == team.namespace and name not in there]
    if not found:
        return None
    return Measured(held=sum(one.held for one in found), worked=sum(one.worked for one in found))


# --- what is not in it ------------------------------------------------------------------------------------------------


def _gaps(seen: Seen, since: datetime, metrics: Metrics | None, why_none: str) -> Iterator[str]:
    if metrics is None:
        yield f"used and idle are not known: {why_none}"
        yield "pods that were deleted meanwhile are not counted: the API forgets them"
    else:
        spaces = {team_namespace(team.name) for team in seen.teams}
        if not any(space in spaces for space, _ in metrics):
            yield "the metrics name no pod of a team"
    for team in seen.teams:
        if team.api not in ("up", "not made"):
            yield f"team {team.name}: its API is {team.api}; only what the host has of it is counted"
        pods = [pod for pod in team.pods if _counts(pod)]
        if unknown := [pod for pod in pods if pod.devices and pod.fraction is None]:
            yield f"team {team.name}: {_names(unknown)} asked by memory, of GPUs whose size no label tells; not counted"
        if endless := [pod for pod in pods if pod.over and pod.ended is None and (pod.created or since) > since]:
            yield f"team {team.name}: {_names(endless)} ended and tells no time; not counted"
    for gap in seen.gaps:
        if gap.what.endswith((": pods", ": queues", ": nodes")):
            yield f"{gap.what} could not be read: {gap.why}"


def _names(pods: list[Pod]) -> str:
    return listed([f"{pod.namespace}/{pod.name}" for pod in pods], _SHOWN)


_SHOWN: Final = 3
