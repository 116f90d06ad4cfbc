"""Whether a pod would be placed now: an imagined pod goes through the same search as one that waits. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from lenient import Json
from names import CHECK_QUEUE, GPU, GPU_FRACTION, KAI_QUEUE_LABEL, KAI_SCHEDULER_NAME
from seen.model import Seen, Team
from seen.pods import pod_of, requests
from seen.read import Look
from seen.why import border, queue, room, scheduler
from seen.why.model import Case, Why
from settings.models import SchedulerMode

NAME = "this pod"
_GPUS = f"requests.{GPU}"
LAB = "this is a lab: Kubernetes' own scheduler stands in for KAI, by the nodes alone, and no queue is enforced"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The request: whole GPUs, or a share of one (above 0, at most 1). `cpu` and `memory`: quantities of Kubernetes.
    `queue`: a leaf's name in the stack file; empty: the first by name that accepts it. `gpus` is None where it was not
    given; `for_team` fills it in.
    """

    gpus: int | None = 1
    fraction: float | None = None
    queue: str = ""
    cpu: str = "1"
    memory: str = "1Gi"


@dataclass(frozen=True, kw_only=True)
class Would:
    """The answer. `why` is None where the pod would be placed now; `note` is additional information."""

    queue: str
    node: str
    why: Why | None
    note: str = ""


def for_team(team: Team, request: Request) -> Request:
    """The same request with a number of GPUs: 1, or 0 for a team that may have none."""
    if request.gpus is not None:
        return request
    _, most = team.quota.get(_GPUS, (0.0, inf))
    return replace(request, gpus=1 if most > 0 else 0)


def leaves_of(team: Team) -> list[str]:
    """The queues that the team's pods may name, as the stack file has them: the one that we make for its check under
    the host's KAI is not among them."""
    return sorted(q.shown for q in team.queues if q.parent and not (q.on_host and q.shown == CHECK_QUEUE))


def would(look: Look, seen: Seen, team: Team, request: Request) -> Would:
    """Return whether a pod like this would be placed now."""
    tried = [request.queue] if request.queue else leaves_of(team) or [""]
    answers = [_in(look, seen, team, request, shown) for shown in tried]
    return next((answer for answer in answers if answer.why is None), answers[0])


def _in(look: Look, seen: Seen, team: Team, request: Request, shown: str) -> Would:
    named = next((q.name for q in team.queues if q.shown == shown), shown)
    case = _case(look, seen, team, request, named)
    for place in (
        border.paused,
        _shared,
        _one_each,
        scheduler.nobody,
        queue.queue_name,
        scheduler.absent,
        queue.never,
        room.impossible,
        queue.counted,
        _host_quota,
        room.fit,
    ):
        if (found := place(case)) is not None:
            return Would(
                queue=shown,
                node="",
                why=found,
                note=_reclaims(case) if found.id in ("no-gpu-free", "no-share-free") else "",
            )
    node = next((node.name for node in room.visible(case) if room.blocked(case, node) is None), "")
    if not node:
        return Would(queue=shown, node="", why=case.say("nodes-unread"))
    return Would(queue=shown, node=node, why=None, note=LAB if seen.simulated else _borrows(case))


def _case(look: Look, seen: Seen, team: Team, request: Request, named: str) -> Case:
    asked: dict[str, str] = {"cpu": request.cpu, "memory": request.memory}
    notes = {} if request.fraction is None else {GPU_FRACTION: f"{request.fraction:g}"}
    limits = asked | ({GPU: str(request.gpus)} if request.fraction is None and request.gpus else {})
    spec: Json = {"containers": [{"name": "main", "resources": {"requests": asked, "limits": limits}}]}
    kai = {} if team.mode == "default" else {"schedulerName": KAI_SCHEDULER_NAME}
    labels = {KAI_QUEUE_LABEL: named} if named else {}
    pod: Json = {"metadata": {"name": NAME, "labels": labels, "annotations": notes}, "spec": {**spec, **kai}}
    said = look.of(team.name)
    facts = replace(pod_of(pod, None, team=team.name), namespace="")
    return Case(
        seen=seen,
        team=team,
        pod=facts,
        inside=pod,
        on_host=None,
        events=(),
        group={},
        others=said.objects,
        host=look.host.objects,
    )


def _shared(case: Case) -> Why | None:
    return case.say("sharing-off") if case.pod.devices and not case.team.sharing else None


def _one_each(case: Case) -> Why | None:
    """KAI would place it, and the node then refuse it."""
    only_one = any(pool.one_each for pool in case.seen.pools if pool.name == case.team.pool)
    return case.say("one-replica") if only_one and case.pod.gpus > 1 else None


def _host_quota(case: Case) -> Why | None:
    """The host's quota counts a fraction as the whole GPU of its reservation pod, unless a GPU is shared already."""
    cpu, memory = requests(case.json)
    whole = case.pod.gpus
    if case.pod.devices and case.team.mode == SchedulerMode.VIRTUAL and not _roomy_group(case):
        whole = 1.0
    for key, asked, field in (
        (_GPUS, whole, "gpus"),
        ("requests.cpu", cpu, "cpu"),
        ("requests.memory", memory, "memory"),
        ("pods", 1.0, "pods"),
    ):
        used, hard = case.team.quota.get(key, (0.0, inf))
        if asked and used + asked > hard + queue.ENOUGH:
            unit, what = (1024**3, "GiB of memory") if field == "memory" else (1, "GPUs" if field == "gpus" else field)
            numbers = f"{used / unit:.3g} of {hard / unit:.3g} {what} used, {asked / unit:.3g} asked"
            return case.say("host-quota", numbers=numbers, field=field)
    return None


def _roomy_group(case: Case) -> bool:
    mine = [
        unit
        for node in room.visible(case)
        for unit in node.units
        if any(h.team == case.team.name for h in unit.holders)
    ]
    return any(room.shares(unit, case.pod.fraction or 0.0) for unit in mine)


def _reclaims(case: Case) -> str:
    """A queue below its quota gets back what other queues borrowed."""
    mine, over = next(iter(queue.chain(case)), None), queue.borrowed(case)
    if mine is None or not over or not 0 <= mine.used + case.pod.share <= mine.quota:
        return ""
    return f"KAI would take it back for queue {mine.shown}, which is below its quota, from {over}"


def _borrows(case: Case) -> str:
    mine = next(iter(queue.chain(case)), None)
    if mine is None or not 0 <= mine.quota < mine.used + case.pod.share:
        return ""
    used = f"{mine.used + case.pod.share:g} with a quota of {mine.quota:g}"
    return f"queue {mine.shown} would use {used}: KAI may take back what is over it"
