"""CPU, memory and pods of the tenants against what the nodes have. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from capacity.claims import PoolCapacity, TenantClaim, Verdict
from capacity.sets import overfilled, seeing_only
from capacity.words import NAMED, listed, number
from releases import Footprint


def room(
    pools: Sequence[PoolCapacity], claims: Sequence[TenantClaim], shared: Footprint | None = None
) -> list[Verdict]:
    """CPU, memory and pods of the tenants, tenancy's own included, fit the nodes' allocatable minus headroom.

    Checked per pool, per set of its nodes, and in total. `shared` is what the host's own KAI asks for; it counts in the
    total. Tenants without a pool count only in the total. A number that a pool doesn't have is not checked.
    """
    verdicts = []
    for kind in _KINDS:
        tight = []
        asked = {claim.name: kind.of(claim.workload) + kind.of(claim.tenancy) for claim in claims}
        for pool in pools:
            free = _free_per_node(pool, kind)
            if free is None:
                continue
            for nodes in overfilled(pool, claims, asked, free):
                who = seeing_only(nodes, pool, claims)
                place = f"pool {pool.name}" if len(nodes) == pool.size else f"nodes {listed(nodes)}"
                sums = f"{len(nodes)} x {kind.shown(free)}"
                tight += _over(kind, who, 0, len(nodes) * free, place, sums, pool.name)
        verdicts += tight
        frees = [(pool.size, _free_per_node(pool, kind)) for pool in pools]
        if not tight and all(free is not None for _, free in frees):
            there = sum(size * free for size, free in frees if free is not None)
            sums = " + ".join(f"{size} x {kind.shown(free)}" for size, free in frees if free is not None)
            extra = kind.of(shared) if shared is not None else 0
            verdicts += _over(kind, claims, extra, there, "all pools together", sums, None)
    return verdicts


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One of the three resources that tenancy costs."""

    field: Literal["cpu", "memory", "pods"]
    word: str

    def of(self, amount: Footprint | PoolCapacity) -> int:
        number_of = {"cpu": amount.cpu_millicores, "memory": amount.memory_mib, "pods": amount.pods}[self.field]
        return number_of or 0

    def shown(self, amount: int) -> str:
        if self.field == "cpu":
            return number(round(amount / 1000, 3))
        return f"{number(round(amount / 1024, 2))}Gi" if self.field == "memory" else str(amount)


_KINDS: Final = (
    _Kind(field="cpu", word="CPU"),
    _Kind(field="memory", word="memory"),
    _Kind(field="pods", word="pods"),
)


def _free_per_node(pool: PoolCapacity, kind: _Kind) -> int | None:
    known = {"cpu": pool.cpu_millicores, "memory": pool.memory_mib, "pods": pool.pods}[kind.field]
    return None if known is None else max(0, known - kind.of(pool.headroom))


def _over(
    kind: _Kind, who: Sequence[TenantClaim], extra: int, there: int, place: str, sums: str, pool: str | None
) -> list[Verdict]:
    asked = sum(kind.of(claim.workload) for claim in who)
    tenancy = sum(kind.of(claim.tenancy) for claim in who) + extra
    over = asked + tenancy - there
    if over <= 0:
        return []
    parts = " + ".join(
        [f"{c.name} {kind.shown(kind.of(c.workload))}" for c in who[:NAMED]]
        + ([f"{len(who) - NAMED} more teams"] if len(who) > NAMED else [])
        + [f"tenancy {kind.shown(tenancy)}"]
    )
    return [
        Verdict(
            about=tuple(claim.name for claim in who),
            pool=pool,
            field=kind.field,
            rule=f"the teams' {kind.word} and tenancy's own must fit {place}",
            got=f"{parts} = {kind.shown(asked + tenancy)} of {kind.shown(there)} ({sums} after headroom)",
            fix=f"lower resources.{kind.field} of the teams by {kind.shown(over)} in all, or add nodes",
        )
    ]
