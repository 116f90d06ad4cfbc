"""The search: every pod that waits, was never made, or was evicted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from lenient import Json, name, namespace, text
from seen.model import Event, Pod, Seen, Team
from seen.pods import pod_of
from seen.read import UP, Look
from seen.why import border, kubelet, made, queue, room, scheduler
from seen.why.lost import evictions
from seen.why.model import Case, Why

PLACES: Final[tuple[Callable[[Case], Why | None], ...]] = (
    *kubelet.PLACES,
    border.paused,
    border.refused,
    border.unsynced,
    kubelet.silent,
    scheduler.gated,
    scheduler.nobody,
    scheduler.not_bound,
    queue.queue_name,
    scheduler.claims,
    queue.never,
    room.impossible,
    queue.told,
    queue.gang,
    scheduler.absent,
    queue.counted,
    room.fit,
    scheduler.rules,
)
"""The places of the search, from the pod outwards."""
RECENT: Final = timedelta(hours=1)
"""How long an API server keeps an event (kube-apiserver --event-ttl)."""


class NoSuchPodError(LookupError):
    """No pod, and nothing that makes pods, has that name. `names`: the existing ones."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("no such pod")
        self.names = names


def why(look: Look, seen: Seen, team: Team, wanted: str) -> list[Why]:
    """Why the pods of a name (a pod's or its owner's; with or without `namespace/`) wait or were evicted. Empty where
    they run. Raises `NoSuchPodError`.
    """
    pods = [pod for pod in team.pods if _is(pod, wanted)]
    found = [answer for pod in pods if (answer := ask(case_of(look, seen, team, pod))) is not None]
    found = found or [*_unmade(look, seen, team, wanted)]
    gone = [one.why for one in evictions(seen, team) if wanted in (one.why.pod, f"{one.why.namespace}/{one.why.pod}")]
    said = look.of(team.name)
    if found or gone or pods or any(made.same(one, wanted) for kind in made.OWNERS for one in said.all(kind)):
        return found or gone
    raise NoSuchPodError([f"{pod.namespace}/{pod.name}" for pod in team.pods if not pod.ours])


def whys(look: Look, seen: Seen, team: Team) -> list[Why]:
    """Every pod of a team that waits and why, tenancy's own first: without them nothing else starts."""
    waiting = sorted((pod for pod in team.pods if pod.waits or _refused(pod)), key=lambda pod: not pod.ours)
    found = [answer for pod in waiting if (answer := ask(case_of(look, seen, team, pod))) is not None]
    return [*found, *_unmade(look, seen, team, "")]


def lost(seen: Seen, team: Team) -> list[Why]:
    """The pods of a team that KAI evicted in the last hour."""
    return [one.why for one in evictions(seen, team) if one.at is None or seen.at - one.at <= RECENT]


def _refused(pod: Pod) -> bool:
    """Whether a node refused or ended it: it has ended, with a reason of the node."""
    return pod.phase == "Failed" and pod.state not in ("Failed", "Error", "Terminating")


def _is(pod: Pod, wanted: str) -> bool:
    owner = pod.owner.partition("/")[2]
    names = (pod.name, owner) if owner else (pod.name,)
    return wanted in (*names, *(f"{pod.namespace}/{one}" for one in names), pod.host_name, pod.owner)


def ask(case: Case) -> Why | None:
    """Why one pod waits; None where it does not."""
    if not case.pod.waits and not _refused(case.pod):
        return None
    found = (place(case) for place in PLACES)
    return next((answer for answer in found if answer is not None), None) or scheduler.last_words(case)


def case_of(look: Look, seen: Seen, team: Team, pod: Pod) -> Case:
    """Everything that is known of one pod."""
    said, inner, outer = look.of(team.name), (pod.namespace, pod.name), (team.namespace, pod.host_name)
    inside, on_host = said.pods.get(inner), look.host.pods.get(outer) if pod.host_name else None
    binds = (one for one in said.all("bindrequests") if (namespace(one), text(one, "spec", "podName")) == inner)
    return Case(
        seen=seen,
        team=team,
        pod=pod,
        inside=inside,
        on_host=on_host,
        events=_events(seen, team, pod),
        group=_group(look, team, inside, on_host),
        bind=next(binds, None),
        others=said.objects if said.api == UP else {},
        host=look.host.objects,
    )


def _at(thing: Json) -> tuple[str, str]:
    return namespace(thing), name(thing)


def _events(seen: Seen, team: Team, pod: Pod) -> list[Event]:
    """The events of both sides about a pod, the oldest first. Events before the pod's creation are about another pod
    with its name.
    """
    sides = [(team.name, pod.namespace, pod.name), *([("", team.namespace, pod.host_name)] if pod.host_name else [])]
    about = [e for side in sides for e in seen.about.get(side, ()) if not _older(e, pod)]
    return sorted(about, key=lambda e: e.at.timestamp() if e.at else 0.0)


def _older(event: Event, pod: Pod) -> bool:
    return event.at is not None and pod.created is not None and event.at < pod.created


def _group(look: Look, team: Team, inside: Json | None, on_host: Json | None) -> Json | None:
    """KAI's pod group: the pod has its name, inside or on the host."""
    for pod, said in ((inside, look.of(team.name)), (on_host, look.host)):
        wanted = namespace(pod), text(pod, "metadata", "annotations", "pod-group-name")
        found = next((group for group in said.all("podgroups") if _at(group) == wanted), None)
        if found is not None:
            return found
    return None


def _unmade(look: Look, seen: Seen, team: Team, wanted: str) -> Iterator[Why]:
    said = look.of(team.name)
    for kind, owner in made.owners(said):
        if wanted and not made.same(owner, wanted):
            continue
        about = [e for e in seen.about.get((team.name, *_at(owner)), ()) if e.kind == kind]
        case = Case(
            seen=seen,
            team=team,
            pod=pod_of({"metadata": {"name": name(owner), "namespace": namespace(owner)}}, None, team=team.name),
            inside=owner,
            on_host=None,
            events=about,
            others=said.objects,
            host=look.host.objects,
        )
        if (found := made.unmade(case, owner)) is not None:
            yield found
