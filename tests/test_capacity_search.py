"""The sums against a search that knows no sums: small platforms, every way to place their pods.

The platforms are drawn from seeds, so that a failure names the one that shows it and comes again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Final

from capacity import (
    Mode,
    PoolCapacity,
    TenantClaim,
    collisions,
    gpus_within_nodes,
    hard_cap,
    pool_quotas,
    room,
    visible_gpus,
    visible_nodes,
)
from releases import Footprint

SEEDS: Final = range(250)
"""Enough that each kind of platform is drawn often; each test counts both outcomes."""


def cost(cores: int) -> Footprint:
    return Footprint(cpu_millicores=cores * 1000, memory_mib=0, pods=0)


def pool_of(draw: random.Random, name: str, *, sizes: tuple[int, int], gpus: int) -> PoolCapacity:
    names = tuple(f"{name}-{index}" for index in range(draw.randint(*sizes)))
    return PoolCapacity(name=name, nodes=names, size=len(names), gpus_per_node=draw.randint(1, gpus))


def some_of(draw: random.Random, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """A team's own nodes: none is the whole pool."""
    return tuple(sorted(draw.sample(nodes, draw.randint(0, len(nodes)))))


# --- the collision guard ----------------------------------------------------------------------------------------------


def guarded(seed: int) -> tuple[PoolCapacity, list[TenantClaim]]:
    """One or two nodes of up to 3 GPUs, up to 3 teams of every mode."""
    draw = random.Random(seed)
    pool = pool_of(draw, "gpu", sizes=(1, 2), gpus=3)
    modes: tuple[Mode, ...] = ("virtual", "virtual", "host", "default")
    claims = []
    for index in range(draw.randint(1, 3)):
        limit = draw.choice((-1, 0, 1, 1, 2, 3))
        name = f"team-{index}"
        owner = draw.choice((name, name, "team-0"))
        nodes = some_of(draw, pool.nodes)
        mode = draw.choice(modes)
        claims.append(TenantClaim(name=name, owner=owner, pool="gpu", nodes=nodes, mode=mode, quota=0, limit=limit))
    return pool, claims


def a_gpu_is_given_twice(pool: PoolCapacity, claims: list[TenantClaim]) -> bool:
    """Bind pods of one GPU in every order: a team's own scheduler sees its own pods only, the host's sees all."""
    places = [(team, node) for team, claim in enumerate(claims) for node in visible_nodes(claim, pool)]
    caps = [hard_cap(claim.limit, visible_gpus(claim, pool)) for claim in claims]

    def pods(bound: tuple[int, ...], *, of: int | None = None, on: str | None = None) -> int:
        """The pods of one team, or on one node."""
        counted = zip(bound, places, strict=True)
        return sum(count for count, (team, node) in counted if of in (None, team) and on in (None, node))

    waiting = [tuple(0 for _ in places)]
    known = set(waiting)
    while waiting:
        bound = waiting.pop()
        for index, (team, node) in enumerate(places):
            busy = pods(bound, on=node, of=team if claims[team].mode == "virtual" else None)
            if busy >= pool.gpus_per_node or pods(bound, of=team) >= caps[team]:
                continue
            after = (*bound[:index], bound[index] + 1, *bound[index + 1 :])
            if pods(after, on=node) > pool.gpus_per_node:
                return True
            if after not in known:
                known.add(after)
                waiting.append(after)
    return False


def test_the_guard_speaks_of_limits_exactly_where_a_gpu_can_be_given_twice() -> None:
    found = []
    for seed in SEEDS:
        pool, claims = guarded(seed)
        found.append(a_gpu_is_given_twice(pool, claims))
        spoken = any(verdict.field == "limit" for verdict in collisions([pool], claims))
        assert spoken == found[-1], (seed, pool, claims)
    assert min(found.count(True), found.count(False)) > len(SEEDS) // 5, "too few of one kind were drawn"


# --- what teams are promised ------------------------------------------------------------------------------------------


def can_be_kept(free: dict[str, int], promises: Iterable[tuple[tuple[str, ...], int]]) -> bool:
    """Whether whole units can be placed so that everyone has what was promised on nodes that they see."""
    names = tuple(free)
    wanted = [(tuple(names.index(node) for node in nodes), amount) for nodes, amount in promises]

    @cache
    def fits(turn: int, left: tuple[int, ...]) -> bool:
        if turn == len(wanted):
            return True
        nodes, amount = wanted[turn]
        for parts in product(*(range(min(left[node], amount) + 1) for node in nodes)):
            if sum(parts) == amount:
                taken = dict(zip(nodes, parts, strict=True))
                if fits(turn + 1, tuple(have - taken.get(node, 0) for node, have in enumerate(left))):
                    return True
        return False

    return fits(0, tuple(free.values()))


def promised(seed: int) -> tuple[PoolCapacity, list[TenantClaim]]:
    """Three to five nodes of 1 or 2 GPUs, up to 6 teams on the host's scheduler with nodes that overlap."""
    draw = random.Random(seed)
    pool = pool_of(draw, "gpu", sizes=(3, 5), gpus=2)
    left = pool.gpus + 1  # near to full, where it is decided by who sees what
    claims = []
    for index in range(draw.randint(3, 6)):
        nodes = tuple(sorted(draw.sample(pool.nodes, draw.choice((1, 2, 2, 2, 3)))))
        quota = min(left, draw.randint(0, len(nodes) * pool.gpus_per_node))
        left -= quota
        claims.append(
            TenantClaim(name=f"team-{index}", owner="", pool="gpu", nodes=nodes, mode="host", quota=quota, limit=quota)
        )
    return pool, claims


def quotas_can_be_kept(pool: PoolCapacity, claims: list[TenantClaim]) -> bool:
    wanted = [(claim.nodes, claim.quota) for claim in claims]
    return can_be_kept(dict.fromkeys(pool.nodes, pool.gpus_per_node), wanted)


def test_quotas_are_refused_exactly_where_they_cannot_all_be_had() -> None:
    found = []
    for seed in SEEDS:
        pool, claims = promised(seed)
        found.append(quotas_can_be_kept(pool, claims))
        assert [verdict for claim in claims for verdict in gpus_within_nodes(claim, pool)] == [], seed
        assert bool(pool_quotas([pool], claims)) != found[-1], (seed, pool, claims)
    assert min(found.count(True), found.count(False)) > len(SEEDS) // 5, "too few of one kind were drawn"


def test_some_quotas_fit_every_set_and_no_union() -> None:
    """Three teams of 3 on pairs of three nodes of 2 GPUs, and one on none of them: 9 of 6, though each pair has 4."""
    pool = PoolCapacity(name="gpu", nodes=("a", "b", "c", "d", "e"), size=5, gpus_per_node=2)
    pairs = {"ml": ("a", "b"), "nlp": ("b", "c"), "vision": ("a", "c"), "dev": ("d",)}
    claims = [
        TenantClaim(name=name, owner=name, pool="gpu", nodes=nodes, mode="host", quota=quota, limit=quota)
        for (name, nodes), quota in zip(pairs.items(), (3, 3, 3, 1), strict=True)
    ]
    [verdict] = pool_quotas([pool], claims)
    assert verdict.text == (
        "the GPU quotas on nodes a, b, c must add up to at most its 6, got ml 3 + nlp 3 + vision 3 = 9 of 6; "
        "lower the quotas by 3 in all (a limit may be higher than a quota)"
    )
    assert verdict.about == ("ml", "nlp", "vision")


def test_a_team_that_moved_away_makes_no_room_a_second_time() -> None:
    """nlp and vision need all of a, b and c but one; ml can leave a for d once only."""
    pool = PoolCapacity(name="gpu", nodes=("a", "b", "c", "d"), size=4, gpus_per_node=2)
    seen = {"ml": (("a", "c", "d"), 1), "nlp": (("a", "c"), 3), "vision": (("a", "b"), 4)}
    claims = [
        TenantClaim(name=name, owner=name, pool="gpu", nodes=nodes, mode="host", quota=quota, limit=quota)
        for name, (nodes, quota) in seen.items()
    ]
    [verdict] = pool_quotas([pool], claims)
    assert verdict.got == "nlp 3 + vision 4 = 7 of 6"


def crowded(seed: int) -> tuple[list[PoolCapacity], list[TenantClaim]]:
    """Two pools with up to 3 cores a node, teams on one of them, on some of its nodes, or on none."""
    draw = random.Random(seed)
    pools = []
    for name in ("a", "b"):
        drawn = pool_of(draw, name, sizes=(1, 3), gpus=1)
        headroom = draw.randint(0, 1)
        pools.append(
            PoolCapacity(
                name=name,
                nodes=drawn.nodes,
                size=drawn.size,
                gpus_per_node=1,
                cpu_millicores=(draw.randint(1, 3) + headroom) * 1000,
                headroom=cost(headroom),
            )
        )
    claims = []
    for index in range(draw.randint(2, 5)):
        pool = draw.choice((*pools, *pools, None))
        nodes = some_of(draw, pool.nodes) if pool is not None else ()
        claims.append(
            TenantClaim(
                name=f"team-{index}",
                owner="",
                pool=pool.name if pool is not None else None,
                nodes=nodes,
                mode="virtual",
                quota=0,
                limit=0,
                workload=cost(draw.randint(0, 2)),
                tenancy=cost(draw.randint(0, 1)),
            )
        )
    return pools, claims


def cores_can_be_kept(pools: list[PoolCapacity], claims: list[TenantClaim]) -> bool:
    by_name = {pool.name: pool for pool in pools}
    free = {
        node: ((pool.cpu_millicores or 0) - pool.headroom.cpu_millicores) // 1000
        for pool in pools
        for node in pool.nodes
    }
    wanted = [
        (
            visible_nodes(claim, by_name[claim.pool]) if claim.pool is not None else tuple(free),
            (claim.workload.cpu_millicores + claim.tenancy.cpu_millicores) // 1000,
        )
        for claim in claims
    ]
    return can_be_kept(free, wanted)


def test_cores_are_refused_exactly_where_they_cannot_all_be_had() -> None:
    found = []
    for seed in SEEDS:
        pools, claims = crowded(seed)
        found.append(cores_can_be_kept(pools, claims))
        assert bool(room(pools, claims)) != found[-1], (seed, pools, claims)
    assert min(found.count(True), found.count(False)) > len(SEEDS) // 5, "too few of one kind were drawn"
