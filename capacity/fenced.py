"""What fits no longer when nodes are out of service. Pure.

Asked of a platform that fits with all its nodes: whatever is said here is because of the nodes that are out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from capacity.claims import PoolCapacity, TenantClaim, Verdict
from capacity.gpus import hard_cap, pool_quotas, visible_gpus
from capacity.room import room
from capacity.sets import visible_nodes
from capacity.words import listed, plural
from releases import Footprint


def without(pool: PoolCapacity, out: Collection[str]) -> PoolCapacity:
    """Return the pool less the nodes that are out. Of one found by labels only their number counts: nobody's share of
    it is divided by name."""
    left = tuple(node for node in pool.nodes if node not in out)
    return replace(pool, nodes=left, size=len(left) if pool.nodes else max(0, pool.size - len(out)))


def unfit(
    pools: Sequence[PoolCapacity],
    claims: Sequence[TenantClaim],
    shared: Footprint | None,
    fenced: Mapping[str, Collection[str]],
) -> list[Verdict]:
    """Return what is promised and not there while the nodes of `fenced` (by pool) are out: GPU quotas, CPU, memory and
    pods. A limit promises nothing, so one that is higher than what is left is fine."""
    whole = {pool.name: pool for pool in pools}
    left = [without(pool, fenced.get(pool.name, ())) for pool in pools]
    verdicts = []
    for pool in left:
        for claim in claims:
            if claim.pool == pool.name and fenced.get(pool.name):
                verdicts += _alone(claim, whole[pool.name], pool)
    return [*verdicts, *pool_quotas(left, claims), *room(left, claims, shared)]


def _alone(claim: TenantClaim, whole: PoolCapacity, pool: PoolCapacity) -> list[Verdict]:
    """What one tenant is promised is more than all that it still sees."""
    promised = hard_cap(claim.quota, visible_gpus(claim, whole))
    left = visible_gpus(claim, pool)
    if claim.quota <= left or promised <= left:
        return []
    gone = [node for node in visible_nodes(claim, whole) if node not in visible_nodes(claim, pool)]
    place = listed(gone) if whole.nodes else f"{whole.size - pool.size} of {whole.size} nodes of pool {pool.name}"
    return [
        Verdict(
            about=(claim.name,),
            pool=pool.name,
            field="quota",
            rule=f"its {pool.unit} quota must be there, and {left} {plural(pool.unit, left)} "
            f"{'is' if left == 1 else 'are'} left without {place}",
            got=str(promised),
            fix=f"lower the quota to {left}, or give the team other nodes",
        )
    ]
