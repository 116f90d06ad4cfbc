"""Quota and limits per team and pool, before and after. Pure.

Owns: the numbers of both tables and of the picture, and what is left in a pool. Units are the pool's: GPU, or on
a shared one replica or slice.
Leaves to others: whether the numbers are allowed (`capacity`), how they look (`comment.py`,
`picture.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from capacity import UNLIMITED, parse_quantity
from settings.models import Platform
from settings.tenants import tenants_now

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class TeamState:
    """A tenant in one stack file. Of GPUs, quota is guaranteed, limit is the hard cap; -1 is unlimited."""

    name: str
    pool: str | None
    unit: str
    quota: int
    limit: int
    mode: str
    nodes: tuple[str, ...] = ()
    """The pool's nodes that only this tenant has; empty: all of them."""
    cpu: str = ""
    """In cores, as a plain number. Memory and storage likewise, in GiB."""
    memory: str = ""
    pods: int = 0
    storage: str = ""

    @property
    def gpus(self) -> tuple[object, ...]:
        """The values in the table of GPUs."""
        return self.pool, self.unit, self.quota, self.limit, self.mode, self.nodes

    @property
    def resources(self) -> tuple[object, ...]:
        """The values in the table of the other resources."""
        return self.cpu, self.memory, self.pods, self.storage


@dataclass(frozen=True, kw_only=True)
class PoolState:
    """A pool and its tenants in one stack file. All amounts in `unit`."""

    name: str
    unit: str
    size: int
    gpus_per_node: int
    replicas: int
    teams: tuple[TeamState, ...]

    @property
    def capacity(self) -> int:
        """What all nodes of the pool advertise as `nvidia.com/gpu`."""
        return self.size * self.gpus_per_node * self.replicas

    @property
    def layout(self) -> str:
        """Its nodes and GPUs in words: `2 nodes × 4 GPU × 2 replicas`."""
        shared = f" × {self.replicas} {self.unit}s" if self.replicas > 1 else ""
        return f"{self.size} node{'s' if self.size != 1 else ''} × {self.gpus_per_node} GPU{shared}"

    @property
    def quota(self) -> int:
        """Sum of the teams' quotas; -1 when one of them is unlimited."""
        return _total([team.quota for team in self.teams])

    @property
    def limit(self) -> int:
        """Sum of the teams' limits; -1 when one of them is unlimited. Under one KAI it may be above the capacity."""
        return _total([team.limit for team in self.teams])

    @property
    def left(self) -> int | None:
        """The capacity less all quotas; negative when too much is promised. None: a quota is unlimited."""
        return None if self.quota == UNLIMITED else self.capacity - self.quota


_GIB: Final = Decimal(1024**3)


def _number(quantity: str, unit: Decimal = Decimal(1)) -> str:
    """A quantity in one unit: 2000m and 2 are both 2."""
    return f"{float(round(parse_quantity(quantity) / unit, 2)):g}"


def _total(amounts: list[int]) -> int:
    return UNLIMITED if UNLIMITED in amounts else sum(amounts)


def team_states(platform: Platform | None) -> dict[str, TeamState]:
    """Every tenant of a stack file, canaries too. No file: none."""
    if platform is None:
        return {}
    return {
        name: TeamState(
            name=name,
            pool=team.pool,
            unit=platform.pools[team.pool].unit if team.pool in platform.pools else "GPU",
            quota=team.resources.gpus.quota,
            limit=team.resources.gpus.limit,
            mode=team.scheduler.mode.value,
            nodes=team.nodes,
            cpu=_number(team.resources.cpu),
            memory=_number(team.resources.memory, _GIB),
            pods=team.resources.pods,
            storage=_number(team.resources.storage, _GIB),
        )
        for name, team in sorted(tenants_now(platform).items())
    }


def pool_states(platform: Platform | None) -> dict[str, PoolState]:
    """Every pool of a stack file with its tenants, both by name. No file: none."""
    if platform is None:
        return {}
    teams = team_states(platform)
    return {
        name: PoolState(
            name=name,
            unit=pool.unit,
            size=pool.size,
            gpus_per_node=pool.gpus_per_node,
            replicas=pool.replicas,
            teams=tuple(team for team in teams.values() if team.pool == name),
        )
        for name, pool in sorted(platform.pools.items())
    }


def both(before: Mapping[str, _T], after: Mapping[str, _T]) -> list[tuple[str, _T | None, _T | None]]:
    """The names of both sides, each with its value before and after."""
    return [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
