"""Judges nodes: those that a team no longer sees, and its pods there. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from lenient import texts
from preview.facts import GPU_BOUND
from preview.judges.numbers import not_known
from preview.kinds import Edit, Effect, Kind
from preview.usage import Use
from preview.values import UnreadableError, is_known


def lost(edit: Edit) -> Effect | None:
    """Nodes that a team no longer sees. In a virtual cluster their pods are lost: the control plane's pod garbage
    collector deletes pods of nodes that do not exist.
    """
    old, new = _pool_and_nodes(edit.was), _pool_and_nodes(edit.now)
    if old is None or new is None:
        return None
    (pool_was, nodes_were), (pool_is, nodes_are) = old, new
    if pool_was is None or (pool_was == pool_is and _same_nodes(edit, nodes_were, nodes_are)):
        return None
    lost = [node for node in nodes_were if node not in nodes_are]
    if pool_was == pool_is and nodes_were and nodes_are and not lost:
        return None
    by_name = bool(nodes_were) and (bool(nodes_are) or pool_was != pool_is)
    if by_name and not lost:
        return _renamed(edit, str(pool_was), pool_is, nodes_were)
    taken = (
        f"loses node{'' if len(lost) == 1 else 's'} {_listed(lost)}" if by_name else f"loses nodes of pool {pool_was}"
    )
    if pool_was != pool_is:
        taken = f"moves from pool {pool_was} to {pool_is or 'none'} and {taken}"
    elif not by_name:
        taken = f"sees other nodes of pool {pool_was}"
    given = _given_to(edit, lost)
    if given:
        taken += f" ({given})"
    run = _pods_there(edit, lost if by_name else None)
    if run == 0:
        return Effect(kind=Kind.DISRUPTIVE, means=f"{taken}; none of its pods run there", topic="nodes")
    there = _where_not_known(edit.use) if run is None else f"{run} of its pods run there now"
    return Effect(kind=Kind.LOSING, means=f"{taken}, and {there}", allow="lowerLimit", topic="nodes")


def _renamed(edit: Edit, pool_was: str, pool_is: str | None, nodes: list[str]) -> Effect:
    """The same nodes with another pool's label. Until the virtual cluster looks for it, it sees none of them."""
    moves = f"moves from pool {pool_was} to {pool_is or 'none'}: the label of its nodes {_listed(nodes)} changes"
    run = _pods_there(edit, nodes)
    if run == 0:
        return Effect(kind=Kind.DISRUPTIVE, means=f"{moves}; none of its pods run there", topic="nodes")
    there = _where_not_known(edit.use) if run is None else f"{run} of its pods run there now"
    means = f"{moves} before its virtual cluster looks for the new one, and {there}"
    return Effect(kind=Kind.LOSING, means=means, allow="lowerLimit", topic="nodes")


def _pool_and_nodes(tenant: Mapping[str, JsonValue]) -> tuple[str | None, list[str]] | None:
    if "pool" not in tenant or "nodes" not in tenant:
        return None
    pool, found = tenant["pool"], tenant["nodes"]
    if not is_known(pool) or not is_known(found):
        message = "pool or nodes are not known at preview, so it can't be judged; pass literal values, not outputs"
        raise UnreadableError(message)
    return (pool if isinstance(pool, str) else None), texts(found)


def _same_nodes(edit: Edit, were: list[str], are: list[str]) -> bool:
    """Whether a tenant sees the same nodes of the same pool."""
    if were or are:
        return set(were) == set(are)
    # a pool found by labels: the same labels mean the same nodes
    before, after = (
        facts.pools.get(str(known.get("pool")), {}).get("selector")
        for facts, known in ((edit.old, edit.was), (edit.new, edit.now))
    )
    return before == after


def _given_to(edit: Edit, lost: list[str]) -> str:
    """The tenants that get the nodes which this tenant loses."""
    takers = [
        name
        for name, known in sorted(edit.new.tenants.items())
        if name != edit.tenant
        and set(lost) & set(texts(known, "nodes"))
        and not set(lost) & set(texts(edit.old.tenants, name, "nodes"))
    ]
    return f"{_listed(takers)} {'gets' if len(takers) == 1 else 'get'} {'it' if len(lost) == 1 else 'them'}" * bool(
        takers
    )


def _pods_there(edit: Edit, lost: list[str] | None) -> int | None:
    """How many of its pods run on these nodes (None: on any); None where that is not known."""
    use = edit.use
    if use is None:
        return None
    if use.nodes is not None:
        return sum(count for node, count in use.nodes.items() if lost is None or node in lost)
    # the usage was counted by hand, and says that no GPU is in use
    return 0 if use.gpus == 0 and set(use.bounds) == {GPU_BOUND} else None


def _where_not_known(use: Use | None) -> str:
    if use is None:
        return not_known(use)
    return "where its pods run is not known (list the pods, too: kubectl get resourcequota,pods -A -o json)"


def _listed(found: list[str]) -> str:
    return ", ".join(found) if len(found) <= 6 else f"{', '.join(found[:6])} and {len(found) - 6} more"
