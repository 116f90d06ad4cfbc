"""GPUs per node, quotas and limits: which of them fit. Pure.

Why the sums are per node: see `capacity/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from capacity.claims import UNLIMITED, LeafClaim, PoolCapacity, TenantClaim, Verdict
from capacity.sets import overfilled, seeing_only, visible_nodes
from capacity.words import added, listed, number, plural


def visible_gpus(claim: TenantClaim, pool: PoolCapacity) -> int:
    """The GPUs (replicas) that a tenant sees."""
    return len(visible_nodes(claim, pool)) * pool.gpus_per_node


def hard_cap(limit: int, visible: int) -> int:
    """A GPU limit as the number that a ResourceQuota takes: -1 is all that the tenant sees."""
    return visible if limit == UNLIMITED else limit


@dataclass(frozen=True, kw_only=True)
class NodeClaims:
    """Nodes that the same tenants see, and how many GPUs of each node each scheduler may give to pods."""

    pool: str
    nodes: tuple[str, ...]
    named: bool
    """False for the stand-ins of a pool found by labels."""
    allocatable: int
    unit: str
    claims: tuple[tuple[str, int], ...]
    """Each tenant with GPUs, and its hard cap there, at most the node's GPUs."""
    schedulers: tuple[tuple[tuple[str, ...], int], ...]
    """Tenants by the scheduler that they share, and how many GPUs it may give to pods. Schedulers on the host see each
    other's pods.
    """

    @property
    def total(self) -> int:
        """How many GPUs of one node all schedulers together may give to pods."""
        return sum(count for _, count in self.schedulers)

    @property
    def place(self) -> str:
        """`node gpu-0`, `nodes gpu-0, gpu-1`, `each of the 4 nodes of pool l4`."""
        if not self.named:
            return (
                f"each of the {len(self.nodes)} nodes of pool {self.pool}"
                if len(self.nodes) > 1
                else f"the node of pool {self.pool}"
            )
        return f"{'node' if len(self.nodes) == 1 else 'each of the nodes'} {listed(self.nodes)}"

    @property
    def arithmetic(self) -> str:
        """`node gpu-0: ml 2 + research 1 = 3 of 4`."""
        caps = dict(self.claims)
        parts = []
        for names, count in self.schedulers:
            if len(names) == 1:
                parts.append(f"{names[0]} {caps[names[0]]}")
            else:
                parts.append(f"({listed(names)} on the host's scheduler) {count}")
        return f"{self.place}: {' + '.join(parts) or 'nobody'} = {self.total} of {self.allocatable}"


def node_claims(pools: Iterable[PoolCapacity], claims: Iterable[TenantClaim]) -> list[NodeClaims]:
    """Return, for every group of nodes that the same tenants see, what they may take of each of these nodes.

    Tenants without GPUs, without a pool or with a pool that isn't there are left out.
    """
    by_pool: dict[str, list[TenantClaim]] = {}
    for claim in claims:
        if claim.pool is not None and claim.limit != 0:
            by_pool.setdefault(claim.pool, []).append(claim)
    result = []
    for pool in pools:
        members = by_pool.get(pool.name, [])
        everywhere = [place for place, claim in enumerate(members) if not claim.nodes]
        seers: dict[str, list[int]] = {node: [] for node in pool.node_names}
        for place, claim in enumerate(members):
            for node in visible_nodes(claim, pool) if claim.nodes else ():
                seers[node].append(place)
        alike: dict[tuple[int, ...], list[str]] = {}
        for node, who in seers.items():
            alike.setdefault(tuple(who), []).append(node)
        for named, nodes in alike.items():
            in_order = [members[place] for place in sorted((*everywhere, *named))]
            result.append(_node_claims(pool, tuple(nodes), in_order))
    return result


def _node_claims(pool: PoolCapacity, nodes: tuple[str, ...], who: Sequence[TenantClaim]) -> NodeClaims:
    caps = {c.name: min(hard_cap(c.limit, visible_gpus(c, pool)), pool.gpus_per_node) for c in who}
    schedulers: list[tuple[tuple[str, ...], int]] = [((c.name,), caps[c.name]) for c in who if c.mode == "virtual"]
    # the host's schedulers see every bound pod, so together they never give away more than the node has
    shared = tuple(c.name for c in who if c.mode != "virtual")
    if shared:
        schedulers.append((shared, min(sum(caps[name] for name in shared), pool.gpus_per_node)))
    return NodeClaims(
        pool=pool.name,
        nodes=nodes,
        named=bool(pool.nodes),
        allocatable=pool.gpus_per_node,
        unit=pool.unit,
        claims=tuple(caps.items()),
        schedulers=tuple(schedulers),
    )


def collisions(pools: Sequence[PoolCapacity], claims: Sequence[TenantClaim]) -> list[Verdict]:
    """Return a verdict for every node whose GPUs two schedulers could give away twice.

    There are two conditions, both only where a `virtual` tenant shares the node with others. The hard caps add up to at
    most the node's GPUs. Where one of these tenants sees more nodes, all of them belong to one team (with its canary),
    because a pool of several nodes is divided by name between teams.
    """
    by_name = {claim.name: claim for claim in claims}
    by_pool = {pool.name: pool for pool in pools}
    verdicts = []
    for group in node_claims(pools, claims):
        who = [by_name[name] for name, _ in group.claims]
        if len(group.schedulers) < 2:
            continue
        pool = by_pool[group.pool]
        names = tuple(claim.name for claim in who)
        if group.total > group.allocatable:
            over = group.total - group.allocatable
            apart = f", or {_divided(names, pool)}" if pool.size > 1 else ""
            verdicts.append(
                Verdict(
                    about=names,
                    pool=group.pool,
                    field="limit",
                    rule=f"the {group.unit} limits of the teams that see a node must add up to at most what it has "
                    "(each team's own scheduler believes that all of it is free)",
                    got=group.arithmetic,
                    fix=f"lower the limits by {over} in all{apart}",
                )
            )
        elif len({c.owner if c.mode == "virtual" else "" for c in who}) > 1 and any(
            len(visible_nodes(claim, pool)) > 1 for claim in who
        ):
            verdicts.append(
                Verdict(
                    about=names,
                    pool=group.pool,
                    field="nodes",
                    rule="a pool of several nodes goes to one team with its own scheduler, or is divided by name",
                    got=group.arithmetic,
                    fix=_divided(names, pool),
                )
            )
    return verdicts


def _divided(names: Sequence[str], pool: PoolCapacity) -> str:
    keys = listed([f"teams.{name}.nodes" for name in names])
    named = "" if pool.nodes else f"name the nodes in pools.{pool.name}.nodes and "
    return f"{named}give each team nodes of its own ({keys})"


# --- GPU quotas and limits ------------------------------------------------------------------------------------------


def quota_against_limit(
    about: str, quota: float, limit: float, *, queue: str | None = None, most: float | None = None
) -> list[Verdict]:
    """A limit is -1 or at least the quota: KAI counts the guaranteed part in the limit, so with a lower limit nobody
    could get the quota.

    `most`: how far the limit may be raised. No fix names -1, because a stack's policies may refuse it.
    """
    if limit == UNLIMITED or (quota != UNLIMITED and limit >= quota):
        return []
    wanted = "-1 (unlimited)" if quota == UNLIMITED else f"-1 (unlimited) or at least the quota {number(quota)}"
    if quota == UNLIMITED:
        fix = f"write the quota as a number, at most {number(limit)}"
    elif most is not None and quota > most:
        fix = f"lower the quota to {number(min(limit, most))} or less"
    else:
        fix = f"raise the limit to {number(quota)}, or lower the quota"
    return [
        Verdict(
            about=(about,),
            queue=queue,
            field="limit",
            rule=f"must be {wanted}",
            got=number(limit),
            fix=fix,
        )
    ]


def gpus_within_nodes(claim: TenantClaim, pool: PoolCapacity) -> list[Verdict]:
    """A tenant's GPU quota and limit are at most what it sees. One number for both is reported once, as the limit."""
    visible = visible_gpus(claim, pool)
    where = f"of pool {pool.name}" if not claim.nodes else f"of its nodes {listed(claim.nodes)}"
    count = len(visible_nodes(claim, pool))
    amount = f"{visible} {plural(pool.unit, visible)} {where} ({count} x {pool.gpus_per_node})"
    numbers: dict[Literal["quota", "limit"], int] = {"quota": claim.quota, "limit": claim.limit}
    if claim.quota == claim.limit:
        del numbers["quota"]
    return [
        Verdict(
            about=(claim.name,),
            pool=pool.name,
            field=field,
            rule=f"must be at most the {amount}",
            got=number(asked),
            fix=f"lower it to {visible}" if visible else "choose a pool with GPUs, or write 0",
        )
        for field, asked in numbers.items()
        if asked > visible
    ]


def pool_quotas(pools: Sequence[PoolCapacity], claims: Sequence[TenantClaim]) -> list[Verdict]:
    """The quotas on a pool, and on each set of its nodes, are at most what the nodes have."""
    verdicts = []
    by_pool: dict[str | None, list[TenantClaim]] = {}
    for claim in claims:
        by_pool.setdefault(claim.pool, []).append(claim)
    for pool in pools:
        members = by_pool.get(pool.name, [])
        asked = {c.name: hard_cap(c.quota, visible_gpus(c, pool)) for c in members}
        # gpus_within_nodes reports more than a tenant sees
        alone = {c.name: min(asked[c.name], visible_gpus(c, pool)) for c in members}
        for nodes in overfilled(pool, members, alone, pool.gpus_per_node):
            quotas = [(c.name, asked[c.name]) for c in seeing_only(nodes, pool, members) if c.quota != 0]
            total, there = sum(quota for _, quota in quotas), len(nodes) * pool.gpus_per_node
            place = f"pool {pool.name}" if len(nodes) == pool.size else f"nodes {listed(nodes)}"
            verdicts.append(
                Verdict(
                    about=tuple(name for name, _ in quotas),
                    pool=pool.name,
                    field="quota",
                    rule=f"the {pool.unit} quotas on {place} must add up to at most its {there}",
                    got=f"{added(quotas)} = {total} of {there}",
                    fix=f"lower the quotas by {total - there} in all (a limit may be higher than a quota)",
                )
            )
    return verdicts


def leaf_queues(team: str, quota: int, limit: int, leaves: Sequence[LeafClaim]) -> list[Verdict]:
    """The leaf queues' GPUs fit the team's: quotas add up to at most its quota, each limit is at most its limit.

    `quota` and `limit` are the team's, already as numbers (see `hard_cap`). A leaf's quota of -1 counts as the team's
    whole quota. A leaf's limit of -1 always fits, because the team's limit holds.
    """
    verdicts = []
    for leaf in leaves:
        verdicts += quota_against_limit(team, leaf.quota, leaf.limit, queue=leaf.name, most=limit)
        if leaf.limit > limit:
            verdicts.append(
                Verdict(
                    about=(team,),
                    queue=leaf.name,
                    field="limit",
                    rule=f"must be at most the team's limit {number(limit)}",
                    got=number(leaf.limit),
                    fix=f"lower it to {number(limit)}",
                )
            )
    parts = [(leaf.name, float(quota) if leaf.quota == UNLIMITED else leaf.quota) for leaf in leaves if leaf.quota]
    total = round(sum(amount for _, amount in parts), 6)  # 0.1 + 0.2 is not more than 0.3
    if total > quota:
        verdicts.append(
            Verdict(
                about=(team,),
                field="quota",
                rule=f"the leaf queues' GPU quotas must add up to at most the team's quota {number(quota)}",
                got=f"{added(parts)} = {number(total)} of {number(quota)}",
                fix=f"lower them by {number(round(total - quota, 6))} in all, or raise the team's quota",
            )
        )
    return verdicts
