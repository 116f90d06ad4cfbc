"""Judges numbers: limits that fall below what is used, and GPUs whose unit changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from pydantic import JsonValue

from capacity import UNLIMITED
from preview.facts import GPU_BOUND, HARD, Facts, replicas
from preview.kinds import Edit, Effect, Judge, Kind
from preview.usage import Use
from preview.values import quantity
from settings.sharing import OTHER_UNIT

GPUS: Final = OTHER_UNIT.topic
"""The topic of a team's number of GPUs."""

DISK: Final = "limits.ephemeral-storage"
"""What a tenant's pods may write to their nodes' disks."""
_OLDER: Final = {"pods": "count/pods"}
"""Keys that an older program used for the same limit. (`count/pods` also counts pods that have ended.)"""
_WORDS: Final = {
    GPU_BOUND: ("GPU", Decimal(1), ""),
    "requests.cpu": ("CPU", Decimal(1), "cores"),
    "requests.memory": ("memory", Decimal(1024**3), "GiB"),
    "requests.storage": ("storage", Decimal(1024**3), "GiB"),
    "count/pods": ("pods", Decimal(1), "pods"),
    "pods": ("pods", Decimal(1), "pods"),
    DISK: ("disk", Decimal(1024**3), "GiB"),
}
"""A ResourceQuota's keys in words for people, and their units."""


def number(value: Decimal) -> str:
    """A number as people write it: 8, not 8.0; 2.5."""
    return f"{float(value):g}"


def amount(key: str, value: Decimal) -> str:
    """A limit for people: `8 cores`, `512 GiB`, `unlimited`."""
    if value == UNLIMITED:
        return "unlimited"
    _, unit, name = _WORDS.get(key, (key, Decimal(1), ""))
    said = number(round(value / unit, 2))
    return f"{said} {name.removesuffix('s') if said == '1' else name}".rstrip()


def gpus(value: Decimal) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{number(value)} GPU{'' if value == 1 else 's'}"


def topic_of(key: str) -> str:
    """The topic of a limit: `CPU`, `memory`, `gpus`."""
    if key == DISK:
        return "pods"  # it follows from the number of pods
    return GPUS if key == GPU_BOUND else _WORDS.get(key, (key,))[0]


def lowered_bound(key: str) -> Judge:
    """The judge of a field that becomes this key of the host's ResourceQuota: losing where the bound falls below what
    is used, or where nobody knows what is."""

    def judge(edit: Edit) -> Effect | None:
        # what is used includes tenancy's own pods; so does the ResourceQuota's number, but not the settings'
        hard = edit.now.get(HARD)
        bound = hard.get(key) if isinstance(hard, dict) else None
        return lowered(key, edit.before, edit.after, edit.use, bound=bound)

    return judge


def lowered(
    key: str, before: JsonValue, after: JsonValue, use: Use | None, *, bound: JsonValue = None
) -> Effect | None:
    """What another limit on one resource does; None where it does not fall. `bound`: the number on the host, where it
    differs from the number in the file. Raises `UnreadableError`.
    """
    if before is None or after is None:
        return None
    old, new = quantity(before, key), quantity(after, key)
    if new == UNLIMITED or (old != UNLIMITED and new >= old):
        return None
    what = _WORDS.get(key, (key.removeprefix("requests."),))[0]
    words = f"lowers the {what} limit from {amount(key, old)} to {amount(key, new)}"
    holds = new if bound is None else quantity(bound, key)
    return held_against(words, holds, _used(key, use), use, key=key)


def _used(key: str, use: Use | None) -> Decimal | None:
    if use is None:
        return None
    return use.bounds.get(key, use.bounds.get(_OLDER.get(key, key)))


def judged_by_pods(use: Use | None) -> bool:
    """Whether the host limits pods but not disk yet. The disk limit follows from the number of pods, judged instead."""
    return use is not None and DISK not in use.bounds and _used("pods", use) is not None


def held_against(words: str, new: Decimal, used: Decimal | None, use: Use | None, *, key: str) -> Effect:
    """A lower number, compared with what is used now."""
    topic = topic_of(key)
    if used is not None and new >= used:
        return Effect(
            kind=Kind.DISRUPTIVE, means=f"{words}: running pods go on, new ones wait until it fits", topic=topic
        )
    run = "run" if key == GPU_BOUND else "are used"
    now = f"{amount(key, used)} {run} now" if used is not None else not_known(use)
    return Effect(kind=Kind.LOSING, means=f"{words}, and {now}", allow="lowerLimit", topic=topic)


def not_known(use: Use | None) -> str:
    """Why a number can't be compared with what runs."""
    return f"what runs now is not known ({'pass --usage' if use is None else 'the usage does not say'})"


def gpu_limit(edit: Edit) -> Effect | None:
    """Another GPU limit, or the same number in another unit."""
    before, after = edit.before, edit.after
    if before is None or after is None:
        return None
    old, new = quantity(before, "gpuLimit"), quantity(after, "gpuLimit")
    was, now = shared_by(edit.old, edit.was), shared_by(edit.new, edit.now)
    if was == now or was is None or now is None or UNLIMITED in (old, new):
        falls = new != UNLIMITED and (old == UNLIMITED or new < old)
        words = f"lowers the GPU limit from {amount(GPU_BOUND, old)} to {amount(GPU_BOUND, new)}"
        return held_against(words, new, in_use(edit.use), edit.use, key=GPU_BOUND) if falls else None
    return _other_unit(edit, old, new, was, now)


def unit(edit: Edit) -> Effect | None:
    """The pool's unit changes under a team's limit."""
    was, now = shared_by(edit.old, edit.was), shared_by(edit.new, edit.now)
    before, after = (known.get("resources.gpus.limit") for known in (edit.was, edit.now))
    if was == now or was is None or now is None or before is None or after is None:
        return None
    return _other_unit(edit, quantity(before, "gpuLimit"), quantity(after, "gpuLimit"), was, now)


def _other_unit(edit: Edit, old: Decimal, new: Decimal, was: int, now: int) -> Effect | None:
    """A limit whose unit changes: 8 GPUs become 8 replicas, which are 2."""
    if old == 0 and new == 0:
        return None
    words = f"the unit of its GPUs changes: {_inin_use(old, was)} become {_inin_use(new, now)}"
    used = in_use(edit.use)
    if used == 0:
        return Effect(kind=Kind.DISRUPTIVE, means=words, topic=GPUS)
    shared = "; the GPUs that its pods hold are shared from then on" if now > was else ""
    run = f"{number(used)} run now" if used is not None else not_known(edit.use)
    return Effect(kind=Kind.LOSING, means=f"{words}, and {run}{shared}", allow="lowerLimit", topic=GPUS)


def _inin_use(limit: Decimal, shared: int) -> str:
    if shared == 1:
        return gpus(limit)
    whole = round(limit / shared, 2)
    return f"{number(limit)} replica{'' if limit == 1 else 's'} = {gpus(whole)}"


def shared_by(facts: Facts, tenant: Mapping[str, JsonValue]) -> int | None:
    """How often each GPU of the tenant's pool is advertised; None where it is not known."""
    pool = tenant.get("pool")
    known = facts.pools.get(pool) if isinstance(pool, str) else None
    return replicas(known) if known is not None else None


def in_use(use: Use | None) -> Decimal | None:
    """GPUs (replicas) that a tenant holds now; None where it is not known."""
    return use.gpus if use else None


def gpu_quota(edit: Edit) -> Effect | None:
    """A lower guarantee: what runs goes on, and may be reclaimed."""
    if edit.before is None or edit.after is None:
        return None
    old, new = quantity(edit.before, "gpuQuota"), quantity(edit.after, "gpuQuota")
    if new == UNLIMITED or (old != UNLIMITED and new >= old):
        return None
    words = f"quota {amount(GPU_BOUND, old)} → {amount(GPU_BOUND, new)}: less is guaranteed, the rest may be reclaimed"
    return Effect(kind=Kind.DISRUPTIVE, means=words, topic="quota")
