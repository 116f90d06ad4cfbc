"""KAI's queues: the queue that a pod names, and the limits and quotas up the chain. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

from lenient import rows, table, text
from names import KAI_SCHEDULER_NAME
from seen.model import Queue
from seen.numbers import number
from seen.why.border import holders
from seen.why.model import Case, Why, counted_as

_LIMIT: Final = re.compile(
    r"(\S+) quota has reached the allowable limit of ([^.]+)\. Limit is (\S+) .*?, "
    r"currently (\S+) .*?allocated and workload requested (\S+)"
)
_QUOTA: Final = re.compile(r"over quota\. Workload requested (\S+) ([^,]+), but (\S+) quota is (\S+) .*?, while (\S+) ")
"""KAI@v0.16.8:pkg/scheduler/api/unschedule_info.go, the same at v0.9.3."""
_WAITING: Final = re.compile(r"Waiting for (\d+) pods.*?currently (\d+) exist(?:, (\d+) are gated)?")
ENOUGH: Final = 1e-6
"""Fractions are floats: 0.3 and 0.7 fit into 1."""


def queue_name(case: Case) -> Why | None:
    """A queue that does not exist, or that can't run pods."""
    known = {queue.name: queue for queue in case.team.queues}
    if case.pod.scheduler != KAI_SCHEDULER_NAME or not known:
        return None
    parents = {queue.parent for queue in known.values()}
    leaves = sorted(known.keys() - parents)
    named, listed = case.queue, ", ".join(leaves)
    if not case.pod.queue:
        return case.say("no-queue", leaves=listed)
    if named not in known:
        near = difflib.get_close_matches(named, leaves, 1)
        return case.say("no-such-queue", queue=named, leaves=listed, near=f" (meant: {near[0]}?)" if near else "")
    if named in parents:
        return case.say("parent-queue", queue=named, leaves=listed)
    if known[named].parent and known[named].parent not in known:
        return case.say("orphan-queue", queue=named, parent=known[named].parent)
    return None


def chain(case: Case) -> Iterator[Queue]:
    """The pod's queue and those above it."""
    known = {queue.name: queue for queue in case.team.queues}
    queue = known.pop(case.queue, None)
    while queue is not None:
        yield queue
        queue = known.pop(queue.parent, None)


def words(case: Case) -> str:
    """KAI's own messages about a pod that it did not place: its pod group's reasons, and the pod's condition or
    event.
    """
    reasons = [
        f"{text(reason, 'reason')}: {text(reason, 'message')}"
        for found in rows(case.group, "status", "schedulingConditions")
        for reason in rows(found, "reasons")
    ]
    said = text(case.scheduled, "message") or case.last("Unschedulable", "FailedScheduling")
    return " ".join([*reasons, said])


def told(case: Case) -> Why | None:
    """A limit or a quota that is reached according to KAI."""
    said = words(case)
    if found := _LIMIT.search(said):
        name, what, limit, used, asked = found.groups()
        return _over(case, _queue(case, name), name, what, limit, used, asked)
    if found := _QUOTA.search(said):
        asked, what, name, quota, used = found.groups()
        queue = _queue(case, name)
        field = _field(case, queue, "quota")
        return case.say(
            "over-quota",
            queue=_shown(queue, name),
            quota=quota,
            what=counted_as(what, quota),
            used=used,
            asked=asked,
            field=field,
        )
    return None


def _queue(case: Case, named: str) -> Queue | None:
    """A queue by its name or its displayName, as KAI writes it."""
    return next((q for q in case.team.queues if named in (q.name, q.shown)), None)


def _shown(queue: Queue | None, name: str) -> str:
    return queue.name if queue else name


def _over(case: Case, queue: Queue | None, name: str, what: str, limit: str, used: str, asked: str) -> Why:
    id_ = "team-limit" if queue and not queue.parent else "queue-limit"
    below = {q.name for q in case.team.queues if queue and queue.name in (q.name, q.parent)}
    return case.say(
        "beyond-limit" if number(asked) > number(limit) else id_,
        queue=_shown(queue, name),
        what=what,
        limit=limit,
        used=used,
        asked=asked,
        held=holders(case, below) or "others in it",
        field=_field(case, queue, "limit"),
    )


def _field(case: Case, queue: Queue | None, number_: str) -> str:
    of_team = queue is None or not queue.parent
    field = f"resources.gpus.{number_}" if of_team or queue is None else f"queues.{queue.shown}.gpu.{number_}"
    return f"teams.{case.team.name}.{field} in the stack file, then `make up`"


def never(case: Case) -> Why | None:
    """It asks for more than a queue may ever use. (For a pod that asks for memory, the nodes say how many GPUs that
    is.)
    """
    return None if case.pod.memory_mib else _counted(case, whatever_runs=True)


def counted(case: Case) -> Why | None:
    """A limit that is reached by our own count, where KAI has said nothing yet, or is not asked (`would`)."""
    return _counted(case, whatever_runs=False)


def _counted(case: Case, *, whatever_runs: bool) -> Why | None:
    asked = case.pod.share
    for queue in chain(case):
        used = 0.0 if whatever_runs else queue.used
        if asked and 0 <= queue.limit < used + asked - ENOUGH:
            return _over(case, queue, queue.name, "GPUs", f"{queue.limit:g}", f"{used:g}", f"{asked:g}")
    return None


def gang(case: Case) -> Why | None:
    """A pod group that is not complete: KAI starts its minimum number together or none."""
    name = text(case.group, "metadata", "name")
    if number(table(case.group, "spec").get("minMember")) <= 1:
        return None
    mine = (e for e in case.seen.events if e.reason == "NotReady" and e.name == name and e.team in ("", case.team.name))
    found = _WAITING.search(" ".join(event.message for event in list(mine)[-1:]))
    if found is None:
        return None
    least, there = int(found[1]), int(found[2]) - int(found[3] or 0)
    return case.say("gang", group=name, least=least, there=there) if there < least else None


def borrowed(case: Case) -> str:
    """Queues of this scheduler that use more than their quota: KAI takes that back for a queue below its own."""
    over = [queue for queue in case.team.queues if queue.parent and queue.borrowed > 0]
    return ", ".join(f"queue {queue.shown} ({queue.borrowed:g} over its quota)" for queue in over)
