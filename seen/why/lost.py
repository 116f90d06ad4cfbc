"""Pods that KAI evicted: reclaimed for another queue, preempted by a higher priority, moved. Pure.

KAI reports it in one event about the pod group. Under the host's KAI that is an event in the host's namespace, which no
team sees, and the pods have their names on the host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from names import team_namespace
from seen.model import Event, Seen, Team
from seen.why.model import Why, because, one_line

_EVICTED: Final = re.compile(r"Pod ([^/\s]+)/(\S+) was preempted(?: by (higher priority )?workload ([^/\s]+)/(\S+))?")
_MOVED: Final = "rescheduled due to bin packing"
_GANG: Final = re.compile(r"minimum required number of pods \((\d+)\).*evicting remaining pod: ([^/\s]+)/(\S+)")
_USES: Final = re.compile(r"(\S+) uses <([^>]*)> with a quota of <([^>]*)>")
"""KAI@v0.16.8:pkg/scheduler/api/unschedule_info.go, the same at v0.9.3."""
_GPUS: Final = re.compile(r"GPUs?: (\d+(?:\.\d+)?)")
_BETWEEN: Final = "-x-"
"""What vCluster puts between the parts of a pod's name on the host: `<pod>-x-<namespace>-x-<team>`."""
_GROUP: Final = re.compile(r"^pg-(.+?)-[0-9a-f]{8}-[0-9a-f-]{27}$")
"""The pod-grouper's name for a group: `pg-<owner>-<its UID>`."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """One eviction."""

    why: Why
    at: datetime | None


def evictions(seen: Seen, team: Team) -> list[Lost]:
    """The evictions of a team, the newest first, each pod once."""
    found: dict[tuple[str, str], Lost] = {}
    for event in sorted(seen.events, key=lambda e: e.at.timestamp() if e.at else 0.0):
        mine = event.team == team.name or (not event.team and event.namespace == team.namespace)
        if event.reason == "Evict" and mine and (lost := _lost(team, event)) is not None:
            found[(lost.why.namespace, lost.why.pod)] = lost
    return sorted(found.values(), key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)


def _lost(team: Team, event: Event) -> Lost | None:
    said, words = one_line(event.message), {"when": f" at {event.at:%H:%M:%S} UTC" if event.at else ""}
    if found := _GANG.search(said):
        id_, namespace, pod = "gang-lost", found[2], found[3]
        words |= {"least": found[1]}
    elif found := _EVICTED.search(said):
        namespace, pod = found[1], found[2]
        id_ = "moved" if _MOVED in said else "preempted" if found[3] else "reclaimed"
        of = _USES.findall(said)[1:2]
        words |= {"taker": _taker(found[4], found[5], f" of queue {of[0][0]}" if of else ""), "over": _over(said)}
    else:
        return None
    _, namespace, pod = _named(namespace, pod.rstrip("."))
    return Lost(why=because(id_, team=team.name, namespace=namespace, pod=pod, **words), at=event.at)


def _named(namespace: str, pod: str) -> tuple[str, str, str]:
    """(team, namespace, pod) as the team knows them. The namespace says which team: a name may have the same in it."""
    team = namespace.removeprefix(team_namespace(""))
    inner, _, space = pod.removesuffix(f"{_BETWEEN}{team}").rpartition(_BETWEEN)
    if namespace == team_namespace(team) and pod.endswith(f"{_BETWEEN}{team}") and inner:
        return team, space, inner
    return "", namespace, pod


def _taker(namespace: str | None, group: str | None, queue: str) -> str:
    if not group:
        return f"another workload{queue}"
    named = _GROUP.match(group.rstrip("."))
    team, space, pod = _named(namespace or "", named[1] if named else group.rstrip("."))
    return f"{space}/{pod}{queue}" + (f" of team {team}" if team else "")


def _over(said: str) -> str:
    """How much the queue that lost the pod, the first in KAI's message, used beyond its quota."""
    for queue, uses, quota in _USES.findall(said):
        used, has = _GPUS.search(uses), _GPUS.search(quota)
        if used and has:
            return f"queue {queue} used {float(used[1]):g} GPUs with a quota of {float(has[1]):g}"
    return "its queue used more than its quota"
