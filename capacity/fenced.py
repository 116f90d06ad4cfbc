"""What no longer fits when nodes are out of service. Pure.

Call it for a platform that fits with all its nodes. Then every verdict is due to the nodes that are out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from capacity.claims import PoolCapacity, TenantClaim, Verdict
from capacity.gpus import hard_cap, pool_quotas, visible_gpus
from capacity.room import room
from capacity.sets import visible_nodes
from capacity.words import listed, plural
from releases import Footprint


def without(pool: PoolCapacity, out: Collection[str]) -> PoolCapacity:
    """Return the pool without the nodes that are out. For a pool found by labels only their number counts, because it
    is not divided by name.
    """
    left = tuple(node for node in pool.nodes if node not in out)
    return replace(pool, nodes=left, size=len(left) if pool.nodes else max(0, pool.size - len(out)))


def unfit(
    pools: Sequence[PoolCapacity],
    claims: Sequence[TenantClaim],
    shared: Footprint | None,
    fenced: Mapping[str, Collection[str]],
) -> list[Verdict]:
    """Return the promises that can't be kept while the nodes of `fenced` (by pool) are out: GPU quotas, CPU, memory and
    pods. A limit promises nothing, so it may be higher than what is left.
    """
    whole = {pool.name: pool for pool in pools}
    left = [without(pool, fenced.get(pool.name, ())) for pool in pools]
    there = {pool.name: pool for pool in left}
    verdicts, still = [], []
    for claim in claims:
        pool = there.get(claim.pool or "")
        homeless = pool is not None and bool(fenced.get(pool.name)) and not visible_nodes(claim, pool)
        if pool is not None and fenced.get(pool.name):
            verdicts += _alone(claim, whole[pool.name], pool, homeless=homeless)
        if not homeless:  # otherwise one verdict has all of it
            still.append(claim)
    return [*verdicts, *pool_quotas(left, still), *room(left, still, shared)]


def _alone(claim: TenantClaim, whole: PoolCapacity, pool: PoolCapacity, *, homeless: bool) -> list[Verdict]:
    """One tenant's promise is more than everything that it still sees."""
    promised = hard_cap(claim.quota, visible_gpus(claim, whole))
    left = visible_gpus(claim, pool)
    if not homeless and (claim.quota <= left or promised <= left):
        return []
    gone = [node for node in visible_nodes(claim, whole) if node not in visible_nodes(claim, pool)]
    place = listed(gone) if whole.nodes else f"{whole.size - pool.size} of {whole.size} nodes of pool {pool.name}"
    if homeless:
        field: Literal["nodes", "quota"] = "nodes"
        rule = f"it must see a node, and none is left without {place}"
        fix = "give the team other nodes" + (", or lower its quota to 0 for the time" if promised else "")
    else:
        there = f"{left} {plural(pool.unit, left)} {'is' if left == 1 else 'are'} left without {place}"
        rule, field = f"its {pool.unit} quota must be there, and {there}", "quota"
        fix = f"lower the quota to {left}, or give the team other nodes"
    got = f"a {pool.unit} quota of {promised}"
    return [Verdict(about=(claim.name,), pool=pool.name, field=field, rule=rule, got=got, fix=fix)]
