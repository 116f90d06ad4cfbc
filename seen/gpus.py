"""Who uses which unit of a node, as far as the API shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lenient import Json, name, table
from names import GPU, GPU_RESOURCES
from seen.model import GpuState, Holder, Unit
from seen.numbers import number

RESERVED_UUID: Final = "run.ai/reserve_for_gpu_index"
"""KAI's reservation pod writes the UUID of its GPU into this annotation of itself."""


@dataclass(kw_only=True)
class Taken:
    """What is in use of one node: CPU (cores), memory (bytes), whole units by resource name, shared ones by KAI's
    group.
    """

    cpu: float = 0.0
    memory: float = 0.0
    whole: list[tuple[str, Holder]] = field(default_factory=list)
    shared: dict[str, list[Holder]] = field(default_factory=dict)
    uuids: dict[str, str] = field(default_factory=dict)


def units_of(node: Json, taken: Taken) -> tuple[Unit, ...]:
    """Return the units of a node: shared ones, whole ones, free ones, and those that the device plugin does not
    offer.
    """
    found: list[Unit] = []
    there, given = table(node, "status", "capacity"), table(node, "status", "allocatable")
    for resource in GPU_RESOURCES:
        if resource not in there and resource not in given:
            continue
        held = list(_held(resource, taken))
        allocatable = int(number(given.get(resource)))
        free = max(0, allocatable - len(held))
        sick = max(0, int(number(there.get(resource, allocatable))) - allocatable)
        rest = [(GpuState.FREE, (), "")] * free + [(GpuState.UNHEALTHY, (), "")] * sick
        found += _units(name(node), resource, [*held, *rest], taken)
    return tuple(found)


def _held(resource: str, taken: Taken) -> Iterable[tuple[GpuState, tuple[Holder, ...], str]]:
    if resource == GPU:
        for group, holders in sorted(taken.shared.items()):
            yield GpuState.USED if holders else GpuState.RESERVED, tuple(holders), group
    for asked, holder in taken.whole:
        if asked == resource:
            yield GpuState.USED, (holder,), ""


def _units(
    node: str, resource: str, found: Sequence[tuple[GpuState, tuple[Holder, ...], str]], taken: Taken
) -> Iterable[Unit]:
    for number_, (state, holders, group) in enumerate(found):
        yield Unit(
            node=node,
            number=number_,
            resource=resource,
            state=state,
            holders=holders,
            group=group,
            uuid=taken.uuids.get(group, ""),
        )
