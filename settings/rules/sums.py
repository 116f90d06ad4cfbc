"""Rules that add up: GPUs, CPU, memory, pods and storage against what is there.

Owns: the path of the file at which a broken sum is reported. Leaves to others: the arithmetic and its messages
(`capacity`).
"""

from __future__ import annotations

from collections.abc import Iterator

import capacity
from capacity import UNLIMITED, LeafClaim, hard_cap
from settings.claims import pool_capacities, shared_cost, tenant_claims
from settings.models import Platform, SchedulerMode
from settings.problems import Path, Problem
from settings.tenants import path_of, team_of


def gpus_fit_the_nodes(platform: Platform) -> Iterator[Problem]:
    """Quota and limit of each tenant are within what its nodes advertise."""
    pools = {pool.name: pool for pool in pool_capacities(platform)}
    claims = tenant_claims(platform, now=False)
    for claim in claims:
        path = path_of(platform, claim.name)
        beside = claim.owner != claim.name
        gpus = (*path, "gpus") if beside else (*path, "resources", "gpus")
        pool = pools.get(claim.pool or "")
        most = None if pool is None else capacity.visible_gpus(claim, pool)
        for verdict in capacity.quota_against_limit(claim.name, claim.quota, claim.limit, most=most):
            yield Problem.told(verdict, (*gpus, "limit"))
        if pool is not None:
            for verdict in capacity.gpus_within_nodes(claim, pool):
                yield Problem.told(verdict, gpus if beside else (*gpus, verdict.field))


def gpus_add_up(platform: Platform) -> Iterator[Problem]:
    """The collision invariant, per node; and a pool has the GPUs of all quotas on it."""
    pools, claims = pool_capacities(platform), tenant_claims(platform)
    collisions = capacity.collisions(pools, claims)
    for verdict in collisions:
        yield Problem.told(verdict, ("pools", verdict.pool or ""))
    over = {verdict.pool for verdict in collisions if verdict.field == "limit"}
    for verdict in capacity.pool_quotas(pools, claims):
        # limits that are too high are reported already; quotas are never above them
        if verdict.pool not in over:
            yield Problem.told(verdict, ("pools", verdict.pool or ""))


def queues_fit_their_team(platform: Platform) -> Iterator[Problem]:
    """Leaf queues' GPUs are within the team's."""
    pools = {pool.name: pool for pool in pool_capacities(platform)}
    for claim in tenant_claims(platform, now=False):
        if claim.owner != claim.name:
            continue  # the program makes its queues from its own numbers
        key = team_of(platform, claim.name)
        team = platform.teams[key]
        if team.scheduler.mode is SchedulerMode.DEFAULT:
            continue
        pool = pools.get(claim.pool or "")
        if pool is None and (team.pool is not None or UNLIMITED in (claim.quota, claim.limit)):
            continue  # what the team sees is unknown, and reported elsewhere
        seen = capacity.visible_gpus(claim, pool) if pool is not None else 0
        leaves = [LeafClaim(name=leaf, quota=q.gpu.quota, limit=q.gpu.limit) for leaf, q in team.queues.items()]
        quota, limit = hard_cap(claim.quota, seen), hard_cap(claim.limit, seen)
        for verdict in capacity.leaf_queues(claim.name, quota, limit, leaves):
            path: Path = ("teams", key, "queues")
            if verdict.queue is not None:
                path = (*path, verdict.queue, "gpu", verdict.field)
            yield Problem.told(verdict, path)


def everything_has_room(platform: Platform) -> Iterator[Problem]:
    """CPU, memory and pods, tenancy's own included, fit the nodes."""
    for verdict in capacity.room(pool_capacities(platform), tenant_claims(platform), shared_cost(platform)):
        path: Path = ("pools",) if verdict.pool is None else ("pools", verdict.pool)
        yield Problem.told(verdict, path)
