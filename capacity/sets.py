"""Which nodes tenants see, and which of these sets are asked for more than they have. Pure.

What tenants are promised fits when every set of nodes holds what is asked by those that see nothing else (Hall's
theorem). Only unions of what tenants see can fail, so a pool and each set given by name are looked at first; then a
union of sets that overlap is searched for, as of three teams on a+b, b+c and a+c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from capacity.claims import PoolCapacity, TenantClaim


def visible_nodes(claim: TenantClaim, pool: PoolCapacity) -> tuple[str, ...]:
    """The nodes that a tenant sees: its own ones of the pool, else all."""
    return tuple(node for node in claim.nodes if node in pool.node_names) if claim.nodes else pool.node_names


def seeing_only(nodes: Sequence[str], pool: PoolCapacity, claims: Sequence[TenantClaim]) -> list[TenantClaim]:
    """The pool's tenants that see nothing but some of `nodes`."""
    seen = [(claim, set(visible_nodes(claim, pool))) for claim in claims if claim.pool == pool.name]
    return [claim for claim, visible in seen if visible and visible <= set(nodes)]


def overfilled(
    pool: PoolCapacity, claims: Sequence[TenantClaim], asks: Mapping[str, int], per_node: int
) -> Iterator[tuple[str, ...]]:
    """Yield the sets of the pool's nodes that are asked for more than `per_node` of each: the pool and the sets that
    tenants see, or, where these fit, a union of them. `asks` is what each tenant wants of them by name, 0 or more."""
    members = [claim for claim in claims if claim.pool == pool.name and visible_nodes(claim, pool)]
    sets = dict.fromkeys([frozenset(pool.node_names), *(frozenset(visible_nodes(c, pool)) for c in members)])
    full = [
        nodes
        for nodes in sets
        if sum(asks[c.name] for c in seeing_only([*nodes], pool, members)) > len(nodes) * per_node
    ]
    if not full:
        union = _union(pool, members, asks, per_node)
        full = [] if union is None else [frozenset(union)]
    for nodes in full:
        yield tuple(node for node in pool.node_names if node in nodes)


def _union(
    pool: PoolCapacity, members: Sequence[TenantClaim], asks: Mapping[str, int], per_node: int
) -> set[str] | None:
    """Give every tenant what it asks, moving others where that makes room (augmenting paths, Ford and Fulkerson). Where
    nothing can be moved any more, the nodes that were looked at are full of what sees nothing else."""
    wanted: dict[frozenset[str], int] = {}
    for claim in members:
        nodes = frozenset(visible_nodes(claim, pool))
        wanted[nodes] = wanted.get(nodes, 0) + asks[claim.name]
    # nodes that the same tenants see are one place, so the work doesn't grow with the pool
    places: dict[tuple[frozenset[str], ...], list[str]] = {}
    for node in pool.node_names:
        places.setdefault(tuple(nodes for nodes in wanted if node in nodes), []).append(node)
    free = {place: len(nodes) * per_node for place, nodes in places.items()}
    given: dict[tuple[frozenset[str], ...], dict[frozenset[str], int]] = {place: {} for place in places}

    def give(who: frozenset[str], amount: int, looked_at: set[tuple[frozenset[str], ...]]) -> int:
        """Return how much of `amount` found a place."""
        left = amount
        for place in places:
            if who not in place or place in looked_at:
                continue
            looked_at.add(place)
            into = min(left, free[place])
            free[place] -= into
            for other, there in [*given[place].items()]:
                if other != who and left > into and there:
                    moved = give(other, min(left - into, there), looked_at)
                    given[place][other] -= moved
                    into += moved
            given[place][who] = given[place].get(who, 0) + into
            left -= into
        return amount - left

    for who, amount in wanted.items():
        left = amount
        while left > 0:
            looked_at: set[tuple[frozenset[str], ...]] = set()
            moved = give(who, left, looked_at)
            if moved == 0:
                return {node for place in looked_at for node in places[place]}
            left -= moved
    return None
