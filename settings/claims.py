"""A stack file as the plain numbers that `capacity` calculates with. Pure: no Pulumi import."""

from __future__ import annotations

from decimal import ROUND_FLOOR

import releases
from capacity import NOTHING, PoolCapacity, TenantClaim, amounts, mebibytes, millicores
from releases import Footprint
from settings.models import Owner, Platform, SchedulerMode, Team
from settings.tenants import owner_of, tenants, tenants_now


def pool_capacities(platform: Platform) -> list[PoolCapacity]:
    """Return every pool's numbers. What a node has is rounded down."""
    headroom = platform.host.headroom
    free = amounts(cpu=headroom.cpu, memory=headroom.memory, pods=headroom.pods)
    return [
        PoolCapacity(
            name=name,
            nodes=tuple(dict.fromkeys(pool.nodes)),
            size=pool.size,
            gpus_per_node=pool.gpus_allocatable_per_node,
            unit=pool.unit,
            cpu_millicores=None if pool.cpu_per_node is None else millicores(pool.cpu_per_node, rounding=ROUND_FLOOR),
            memory_mib=None if pool.memory_per_node is None else mebibytes(pool.memory_per_node, rounding=ROUND_FLOOR),
            pods=pool.pods_per_node,
            headroom=free,
        )
        for name, pool in platform.pools.items()
    ]


def tenant_claims(platform: Platform, *, now: bool = True) -> list[TenantClaim]:
    """Return what every tenant claims, canaries included, in the file's order. With `now` a paused tenant claims
    nothing for its workloads.

    If a tenant's nodes are not in its pool, it claims nothing of a pool.
    """
    return [
        TenantClaim(
            name=name,
            owner=owner_of(platform, name),
            pool=team.pool if _resolves(platform, team) else None,
            nodes=tuple(dict.fromkeys(team.nodes)),
            mode=team.scheduler.mode.value,
            quota=team.resources.gpus.quota,
            limit=team.resources.gpus.limit,
            workload=amounts(cpu=team.resources.cpu, memory=team.resources.memory, pods=team.resources.pods),
            tenancy=tenancy_cost(team),
        )
        for name, team in (tenants_now if now else tenants)(platform).items()
    ]


def _resolves(platform: Platform, team: Team) -> bool:
    pool = platform.pools.get(team.pool or "")
    return pool is not None and set(team.nodes) <= set(pool.nodes)


def tenancy_cost(team: Team) -> Footprint:
    """Return what a tenant's control plane, DNS, own KAI and a snapshot ask for.

    An unknown version costs nothing here."""
    vcluster = releases.VCLUSTER.get(team.vcluster.version or releases.DEFAULT_VCLUSTER)
    cost = vcluster.footprint(team.vcluster.backing_store) if vcluster else NOTHING
    kai = releases.KAI.get(team.scheduler.version or "") if team.scheduler.mode is SchedulerMode.VIRTUAL else None
    if team.vcluster.snapshots is not None:
        cost += releases.total([releases.SNAPSHOT_POD])
    return cost + kai.footprint if kai else cost


def shared_cost(platform: Platform) -> Footprint | None:
    """Return what the host's own KAI asks for, where we install it. A KAI that the cluster owns counts in the
    headroom.
    """
    scheduler = platform.host.scheduler
    ours = scheduler is not None and scheduler.owner is Owner.OURS
    kai = releases.KAI.get(scheduler.version) if scheduler is not None and ours else None
    if kai is None:
        return None
    more = [releases.SCALE_ADJUSTER] if scheduler is not None and scheduler.scale_adjuster else []
    return kai.footprint + releases.total(more)


def declared_footprint(platform: Platform) -> dict[str, dict[str, dict[str, int | float | None]]]:
    """Return what tenancy itself asks for, by tenant and by pool: the stack's output `footprint`.

    CPU in thousandths of a core, memory in MiB. For a pool also its share of the allocatable CPU and memory in percent,
    or None where the file does not say what a node has. A tenant without a pool is in no pool's sum.
    """
    claims = tenant_claims(platform)
    pools = pool_capacities(platform)
    by_pool = {pool.name: sum((c.tenancy for c in claims if c.pool == pool.name), NOTHING) for pool in pools}
    return {
        "teams": {claim.name: _numbers(claim.tenancy) for claim in claims},
        "pools": {
            pool.name: {
                **_numbers(by_pool[pool.name]),
                "cpuPercent": share(by_pool[pool.name].cpu_millicores, pool.cpu_millicores, pool.size),
                "memoryPercent": share(by_pool[pool.name].memory_mib, pool.memory_mib, pool.size),
            }
            for pool in pools
        },
    }


def share(asked: int, of_node: int | None, nodes: int) -> float | None:
    """Return the request in percent of what all nodes have, with one decimal; None where that is not known."""
    return round(100 * asked / (of_node * nodes), 1) if of_node and nodes else None


def _numbers(footprint: Footprint) -> dict[str, int | float | None]:
    return {
        "pods": footprint.pods,
        "cpuMillicores": footprint.cpu_millicores,
        "memoryMib": footprint.memory_mib,
    }
