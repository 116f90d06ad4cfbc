"""Which nodes tenants see, and which sets of nodes have less than tenants ask for. Pure.

The promises fit when every set of nodes holds what the tenants ask for that see only this set (Hall's theorem). Only
unions of the tenants' sets can fail. So the pool and each set given by name come first; then a search for a union of
overlapping sets, as with three teams on a+b, b+c and a+c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from capacity.claims import PoolCapacity, TenantClaim


def visible_nodes(claim: TenantClaim, pool: PoolCapacity) -> tuple[str, ...]:
    """The nodes that a tenant sees: its own nodes of the pool, or all of them."""
    return tuple(node for node in claim.nodes if node in pool.node_set) if claim.nodes else pool.node_names


def seeing_only(nodes: Sequence[str], pool: PoolCapacity, claims: Sequence[TenantClaim]) -> list[TenantClaim]:
    """The pool's tenants that see only nodes of `nodes`."""
    seen = [(claim, set(visible_nodes(claim, pool))) for claim in claims if claim.pool == pool.name]
    return [claim for claim, visible in seen if visible and visible <= set(nodes)]


def overfilled(
    pool: PoolCapacity, claims: Sequence[TenantClaim], asks: Mapping[str, int], per_node: int
) -> Iterator[tuple[str, ...]]:
    """Yield the sets of the pool's nodes for which tenants ask more than `per_node` times their number: the pool and
    the tenants' sets, or, where these fit, a union of sets. `asks`: what each tenant asks for, by name, 0 or more.
    """
    wanted: dict[frozenset[str], int] = {}
    for claim in claims:
        if claim.pool == pool.name and (visible := frozenset(visible_nodes(claim, pool))):
            wanted[visible] = wanted.get(visible, 0) + asks[claim.name]
    sets = dict.fromkeys([frozenset(pool.node_names), *wanted])
    full = [
        nodes
        for nodes in sets
        if sum(amount for inner, amount in wanted.items() if inner <= nodes) > len(nodes) * per_node
    ]
    if not full:
        union = _union(pool, wanted, per_node)
        full = [] if union is None else [frozenset(union)]
    for nodes in full:
        yield tuple(node for node in pool.node_names if node in nodes)


_Seen: TypeAlias = frozenset[str]
"""A set of nodes that tenants see."""
_Place: TypeAlias = tuple[_Seen, ...]
"""Nodes that belong to the same sets. They are one place, so that the work doesn't grow with the pool."""


def _union(pool: PoolCapacity, wanted: Mapping[_Seen, int], per_node: int) -> set[str] | None:
    """Give every tenant what it asks for, and move others where that makes room (augmenting paths, Ford and Fulkerson).
    Where nothing can move any more, return the nodes that were visited: they are full of tenants that see only them.
    """
    nodes_of: dict[_Place, list[str]] = {}
    for node in pool.node_names:
        nodes_of.setdefault(tuple(seen for seen in wanted if node in seen), []).append(node)
    free = {place: len(nodes) * per_node for place, nodes in nodes_of.items()}
    given: dict[_Place, dict[_Seen, int]] = {place: {} for place in nodes_of}
    for start, amount in wanted.items():
        left = amount
        while left > 0:
            leaves, takes, end = _search(start, free, given)
            if end is None:
                return {node for place in takes for node in nodes_of[place]}
            steps = []
            place: _Place | None = end
            while place is not None:
                steps.append((takes[place], leaves[takes[place]], place))
                place = leaves[takes[place]]
            moved = min(left, free[end], *(given[old][who] for who, old, _ in steps if old is not None))
            for who, old, new in steps:
                given[new][who] = given[new].get(who, 0) + moved
                if old is not None:
                    given[old][who] -= moved
            free[end] -= moved
            left -= moved
    return None


def _search(
    start: _Seen, free: Mapping[_Place, int], given: Mapping[_Place, Mapping[_Seen, int]]
) -> tuple[dict[_Seen, _Place | None], dict[_Place, _Seen], _Place | None]:
    """Return the place that each tenant would leave, the tenant that would take each place, and the free place at the
    end, if any.
    """
    leaves: dict[_Seen, _Place | None] = {start: None}
    takes: dict[_Place, _Seen] = {}
    asking = [start]
    for who in asking:  # grows during the loop
        for place in free:
            if who not in place or place in takes:
                continue
            takes[place] = who
            if free[place]:
                return leaves, takes, place
            for other, amount in given[place].items():
                if amount and other not in leaves:
                    leaves[other] = place
                    asking.append(other)
    return leaves, takes, None
