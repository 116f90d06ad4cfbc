"""Facts about our own components, read from their literal inputs. Every reader raises `Unreadable`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tokens
from capacity import PoolCapacity, TenantClaim
from names import LABEL_CHECK, LABEL_POOL, LABEL_TEAM, team_namespace, team_node_label
from policies.inventory import Inventory, PolicyResource
from policies.plain import (
    Number,
    Unreadable,
    flag,
    get,
    mapping,
    maybe_number,
    maybe_text,
    number,
    text,
    texts,
    whole,
)
from policies.pods import pod_template


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """A quota and a limit in the pool's unit; -1 is unlimited."""

    quota: Number
    limit: Number


def pool_capacity(pool: PolicyResource) -> PoolCapacity:
    """Return the GPU numbers of a NodePool, for `capacity`.

    Computes what a node advertises, so that a wrong `gpusAllocatable` can't widen a quota.
    """
    inputs = pool.properties
    return PoolCapacity(
        name=text(inputs, "name"),
        nodes=tuple(texts(inputs, "nodes")),
        size=whole(inputs, "size"),
        gpus_per_node=whole(inputs, "gpusPerNode") * whole(inputs, "replicas"),
        unit=maybe_text(inputs, "unit") or "GPU",
    )


def claim_of(team: PolicyResource) -> TenantClaim:
    """Return what a tenant claims of its pool, for `capacity`."""
    inputs = team.properties
    try:
        mode = text(inputs, "mode")
        if mode not in ("virtual", "host", "default"):
            raise Unreadable(f"mode must be virtual, host or default, got {mode!r}")
        return TenantClaim(
            name=text(inputs, "name"),
            owner=maybe_text(inputs, "canaryOf") or text(inputs, "name"),
            pool=text(inputs, "pool") if get(inputs, "pool") is not None else None,
            nodes=tuple(texts(inputs, "nodes")),
            mode=mode,  # type: ignore[arg-type]  # just checked
            quota=whole(inputs, "gpuQuota"),
            limit=whole(inputs, "gpuLimit"),
        )
    except Unreadable as reason:
        # the rule may be about the pool: say which team's number it is
        raise Unreadable(f"team {team.name}: {reason}") from None


def claims_on(pool: str, inventory: Inventory) -> list[TenantClaim]:
    return [claim_of(team) for team in inventory.teams_by_pool[pool]]


def team_name(team: PolicyResource) -> str:
    return text(team.properties, "name")


def team_queues(team: PolicyResource) -> dict[str, Cap]:
    queues = mapping(team.properties, "queues")
    return {
        leaf: Cap(quota=number(queues, leaf, "quota"), limit=number(queues, leaf, "limit")) for leaf in sorted(queues)
    }


def queue_label(team: PolicyResource, leaf: str) -> str:
    """Return a pod's queue label: on the host the team's name comes first."""
    if maybe_text(team.properties, "mode") == "host":
        return f"{team_name(team)}-{leaf}"
    return leaf


def team_name_in(resource: PolicyResource) -> str | None:
    """Return the name of the team in a component or an object of ours; None for the host's."""
    labels = pod_template(resource) if resource.type in tokens.WORKLOADS else resource.properties
    name = (
        maybe_text(labels, "metadata", "labels", LABEL_TEAM)
        or maybe_text(resource.properties, "metadata", "labels", LABEL_TEAM)
        or maybe_text(resource.properties, "team")
    )
    return None if name == tokens.HOST else name


def owner_of(resource: PolicyResource) -> str:
    """Return a component's owner for messages: `team ml` or `the host`."""
    name = team_name_in(resource)
    return "the host" if name is None else f"team {name}"


def team_of(resource: PolicyResource, inventory: Inventory) -> PolicyResource:
    """Return the Team that a component or an object of ours names.

    Raises `Unreadable` when it names no team, or a team that this stack does not have.
    """
    name = team_name_in(resource)
    if name is None:
        raise Unreadable(f"names no team; add the label {LABEL_TEAM}")
    if name not in inventory.teams:
        raise Unreadable(f"names team {name!r}, which this stack does not have")
    place = resource.namespace
    if place != team_namespace(name) and any(place == team_namespace(other) for other in inventory.teams):
        raise Unreadable(
            f"names team {name!r} in {place}, the namespace of another team; put it into {team_namespace(name)}"
        )
    return inventory.teams[name]


def own_nodes(team: PolicyResource, inventory: Inventory) -> list[Mapping[str, object]]:
    """Return the node selectors that keep a pod on a tenant's own nodes. A pod's selector must contain one of them.

    The tenant's own label always does; the pool's label only where the tenant has all of the pool's nodes.
    """
    name, pool = team_name(team), pool_of(team, inventory)
    selectors: list[Mapping[str, object]] = [{team_node_label(name): "true"}]
    if not pool.nodes:
        chosen = mapping(inventory.pools[pool.name].properties, "selector")
        selectors += [chosen] if chosen else []
    if set(texts(team.properties, "nodes")) in (set(), set(pool.nodes)):
        selectors.append({LABEL_POOL: pool.name})
    return selectors


def team_nodes(team: PolicyResource, inventory: Inventory) -> list[str]:
    """Return the names of a tenant's nodes; empty where its pool is found by labels."""
    return texts(team.properties, "nodes") or list(pool_of(team, inventory).nodes)


def contains(labels: Mapping[str, object], selector: Mapping[str, object]) -> bool:
    """Say whether a selector contains all labels of another one."""
    return all(get(labels, key) == value for key, value in selector.items())


def selector_text(selector: Mapping[str, object]) -> str:
    """Return a selector as kubectl writes it."""
    return ",".join(f"{key}={value}" for key, value in selector.items())


def pool_of(team: PolicyResource, inventory: Inventory) -> PoolCapacity:
    """Return the pool of a tenant. Raises `Unreadable` when it has none that this stack knows."""
    name = maybe_text(team.properties, "pool")
    if name is None or name not in inventory.pools:
        known = ", ".join(sorted(inventory.pools)) or "none"
        raise Unreadable(f"team {team_name(team)} has no pool of this stack (pool: {name}); name one of: {known}")
    return pool_capacity(inventory.pools[name])


def is_host_check(resource: PolicyResource) -> bool:
    """Say whether this is the host's own GPU check, which runs before there are teams and queues. Anybody may write its
    label, so a workload must also belong to the component."""
    if resource.type == tokens.GPU_CHECK:
        return maybe_text(resource.properties, "team") == tokens.HOST
    return (
        resource.component == tokens.GPU_CHECK
        and maybe_text(pod_template(resource), "metadata", "labels", LABEL_CHECK) == tokens.HOST
    )


def shares_gpus(team: PolicyResource) -> bool:
    """Say whether a tenant's KAI allows fractions."""
    return flag(team.properties, "gpuSharing")


def maybe_fraction(check: PolicyResource) -> Number | None:
    """Return the fraction of a GPU that a GpuCheck asks for."""
    return maybe_number(check.properties, "fraction")
