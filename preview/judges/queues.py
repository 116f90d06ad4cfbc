"""Judges queues: a removed one, or one whose limit falls below what runs in it. Pure."""

from __future__ import annotations

from decimal import Decimal

import names
from capacity import UNLIMITED
from preview.facts import GPU_BOUND
from preview.judges.numbers import amount, gpus, not_known, number
from preview.kinds import Edit, Effect, Kind
from preview.usage import Use
from preview.values import quantity


def limit(edit: Edit) -> Effect | None:
    """A queue that is removed, or whose GPU limit falls below what runs in it."""
    leaf = edit.path.split(".")[-3]
    if edit.before is None:
        return None  # a new queue
    topic = f"queue {leaf}"
    in_use = _in_queue(edit, leaf)
    if edit.after is None:
        return _queue_goes(leaf, in_use, edit.use)
    old, new = quantity(edit.before, edit.path), quantity(edit.after, edit.path)
    if new == UNLIMITED or (old != UNLIMITED and new >= old):
        return None
    words = f"lowers the GPU limit of queue {leaf} from {amount(GPU_BOUND, old)} to {amount(GPU_BOUND, new)}"
    # where the queue is not known, everything that the team uses may be in it
    most = in_use if in_use is not None else edit.use.gpus if edit.use else None
    if most is not None and new >= most:
        return Effect(
            kind=Kind.DISRUPTIVE, means=f"{words}: running pods go on, new ones wait until it fits", topic=topic
        )
    now = f"{number(in_use)} run in it now" if in_use is not None else _queue_not_known(edit.use)
    return Effect(kind=Kind.LOSING, means=f"{words}, and {now}", allow="lowerLimit", topic=topic)


def _queue_goes(leaf: str, in_use: Decimal | None, use: Use | None) -> Effect:
    topic = f"queue {leaf}"
    if in_use == 0:
        return Effect(kind=Kind.DISRUPTIVE, means=f"queue {leaf} is removed: pods that name it wait", topic=topic)
    now = f"{gpus(in_use)} in use in it now" if in_use is not None else _queue_not_known(use)
    return Effect(kind=Kind.LOSING, means=f"queue {leaf} is removed, and {now}", allow="lowerLimit", topic=topic)


def _in_queue(edit: Edit, leaf: str) -> Decimal | None:
    """GPUs that run in a leaf queue; None where it is not known."""
    on_host = edit.was.get("scheduler.mode") == "host"
    if edit.use is not None and edit.use.queues is not None:
        return edit.use.queues.get(names.leaf_queue(edit.tenant, leaf, on_host=on_host), Decimal(0))
    if edit.use is not None and edit.use.gpus == 0:
        return Decimal(0)
    own = on_host and leaf == names.CHECK_QUEUE and edit.was.get(f"queues.{leaf}.gpu.overQuotaWeight") == 0
    # the check's own queue guarantees nothing, and no team is told to use it
    return Decimal(0) if own else None


def _queue_not_known(use: Use | None) -> str:
    if use is None or use.gpus is None:
        return not_known(use)
    return f"{gpus(use.gpus)} in use in queues that the usage does not name (list the pods, too)"
