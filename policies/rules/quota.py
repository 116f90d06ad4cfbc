"""Quota: promises fit the nodes, and the host enforces them, too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import tokens
from capacity import (
    UNLIMITED,
    LeafClaim,
    Verdict,
    collisions,
    gpus_within_nodes,
    hard_cap,
    leaf_queues,
    listed,
    pool_quotas,
    quota_against_limit,
    visible_gpus,
)
from names import GPU_RESOURCES
from policies.facts import (
    Cap,
    claim_of,
    claims_on,
    pool_capacity,
    pool_of,
    team_name,
    team_name_in,
    team_of,
    team_queues,
)
from policies.inventory import PolicyResource
from policies.plain import (
    Number,
    get,
    mapping,
    maybe_text,
    number,
    quantity,
    say,
    text,
)
from policies.rule import Group, Scene, Stage, describe, rule

REQUEST_KEYS: Final = tuple(f"requests.{resource}" for resource in GPU_RESOURCES)
"""The keys that a host ResourceQuota must have: whole GPUs first, then every other name of a GPU or a part of one."""

_GPU_KEYS: Final = tuple(f"requests.{prefix}" for prefix in tokens.GPU_PREFIXES)
_ENDLESS: Final = 10**6
"""The number of GPUs of an unlimited team where its pool does not matter."""


# --- pools ----------------------------------------------------------------------------------------------------------

_rule = partial(rule, group=Group.QUOTA)


@_rule(
    "gpu-collision",
    "On each node, the GPU limits of teams that schedule for themselves fit together.",
    tokens.NODE_POOL,
    stage=Stage.STACK,
)
def gpu_collision(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    capacity = pool_capacity(pool)
    for verdict in collisions([capacity], claims_on(capacity.name, scene.inventory)):
        yield f"teams {listed(verdict.about)}: {verdict.text}"


@_rule(
    "pool-gpu-quota",
    "The GPU quotas of a pool's teams are within the pool's GPUs.",
    tokens.NODE_POOL,
    stage=Stage.STACK,
)
def pool_gpu_quota(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    capacity = pool_capacity(pool)
    for verdict in pool_quotas([capacity], claims_on(capacity.name, scene.inventory)):
        yield f"teams {listed(verdict.about)}: {verdict.text}"


@_rule(
    "team-gpus-exist", "A team's GPU quota and limit are within the nodes that it sees.", tokens.TEAM, stage=Stage.STACK
)
def team_gpus_exist(team: PolicyResource, scene: Scene) -> Iterator[str]:
    claim = claim_of(team)
    for key, value in (("quota", claim.quota), ("limit", claim.limit)):
        if value < UNLIMITED:
            yield f"team {claim.name}: {key} must be -1 or more, got {value}; write 0 for no GPUs"
    for verdict in quota_against_limit(claim.name, claim.quota, claim.limit):
        yield f"team {claim.name}: {_words(verdict)}"
    if claim.quota == claim.limit == 0:
        return
    pool = pool_of(team, scene.inventory)
    strangers = sorted(set(claim.nodes) - set(pool.node_names))
    if strangers:
        yield f"team {claim.name}: nodes {listed(strangers)} are not in pool {pool.name}; name nodes of that pool"
        return
    for verdict in gpus_within_nodes(claim, pool):
        yield f"team {claim.name}: {_words(verdict)}"


@_rule(
    "replicas-maximum",
    "A GPU is shared into no more replicas than allowed.",
    tokens.NODE_POOL,
    limits=("max_replicas",),
)
def replicas_maximum(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    replicas = number(pool.properties, "replicas")
    most = scene.limits.max_replicas
    if pool.properties.get("unit") == "slice":
        return  # MIG's slices share neither memory nor faults
    if not 1 <= replicas <= most:
        yield (
            f"pool {text(pool.properties, 'name')}: {say(replicas)} replicas of a GPU, allowed are 1 to {most}; set "
            f"fewer, or raise {scene.option('replicas-maximum', 'max_replicas')}"
        )


# --- tenants --------------------------------------------------------------------------------------------------------


@_rule("leaf-queues-within-team", "Leaf queues are within their team's quota and limit.", tokens.TEAM)
def leaf_queues_within_team(team: PolicyResource, _: Scene) -> Iterator[str]:
    """Their quotas add up to at most the tenant's quota, and no limit is above the tenant's."""
    claim = claim_of(team)
    leaves = [LeafClaim(name=leaf, quota=cap.quota, limit=cap.limit) for leaf, cap in team_queues(team).items()]
    quota, limit = (hard_cap(value, _ENDLESS) for value in (claim.quota, claim.limit))
    for verdict in leaf_queues(claim.name, quota, limit, leaves):
        where = f"team {claim.name}, queue {verdict.queue}" if verdict.queue else f"team {claim.name}"
        yield f"{where}: {_words(verdict)}"


def _words(verdict: Verdict) -> str:
    return f"{verdict.field} {verdict.text}" if verdict.rule.startswith("must ") else verdict.text


def _amount(value: Number) -> str:
    return "unlimited" if value == UNLIMITED else say(value)


@_rule("queue-resources", "A Queue says quota and limit for GPU, CPU and memory.", tokens.QUEUE)
def queue_resources(queue: PolicyResource, _: Scene) -> Iterator[str]:
    """For KAI a missing limit is zero."""
    for kind in ("gpu", "cpu", "memory"):
        block = mapping(queue.properties, "spec", "resources", kind)
        if not block:
            yield f"{describe(queue)}: no {kind} resources, so KAI admits no pod that asks for any; set quota and limit"
            continue
        cap = Cap(
            quota=number(queue.properties, "spec", "resources", kind, "quota"),
            limit=number(queue.properties, "spec", "resources", kind, "limit"),
        )
        for verdict in quota_against_limit(queue.name, cap.quota, cap.limit):
            yield f"{describe(queue)}, {kind}: {_words(verdict)}"


@_rule("queue-within-team", "A Queue promises no more GPUs than its team declares.", tokens.QUEUE)
def queue_within_team(queue: PolicyResource, scene: Scene) -> Iterator[str]:
    team = team_of(queue, scene.inventory)
    gpus = claim_of(team)
    for key, most in (("quota", gpus.quota), ("limit", gpus.limit)):
        value = number(queue.properties, "spec", "resources", "gpu", key)
        # a leaf without a limit is held by its parent's; another rule says whether it may be left out
        held = key == "limit" and maybe_text(queue.properties, "spec", "parentQueue")
        if most != UNLIMITED and (value > most or (value == UNLIMITED and not held)):
            yield (
                f"{describe(queue)}: GPU {key} {_amount(value)} is above the {say(most)} of team {team_name(team)}; "
                f"lower it to {say(most)}"
            )


def _caps(team: PolicyResource) -> dict[str, Cap]:
    claim = claim_of(team)
    leaves = {f"queue {leaf}": cap for leaf, cap in team_queues(team).items()}
    return {"the team": Cap(quota=claim.quota, limit=claim.limit), **leaves}


@_rule(
    "no-unlimited-gpu", "No GPU quota or limit is unlimited.", tokens.TEAM, tokens.QUEUE, limits=("allow_unlimited",)
)
def no_unlimited_gpu(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    if scene.limits.allow_unlimited:
        return
    told: list[Cap] = []
    if resource.type == tokens.TEAM:
        caps = _caps(resource)
    else:
        owner = scene.inventory.teams.get(team_name_in(resource) or "")
        told = [] if owner is None else list(_caps(owner).values())
        caps = {
            "the queue": Cap(
                quota=number(resource.properties, "spec", "resources", "gpu", "quota"),
                limit=number(resource.properties, "spec", "resources", "gpu", "limit"),
            )
        }
    for what, cap in caps.items():
        for key, value in (("quota", cap.quota), ("limit", cap.limit)):
            # a queue has its team's value, and one finding is enough
            if value == UNLIMITED and UNLIMITED not in (getattr(other, key) for other in told):
                yield (
                    f"{describe(resource)}: the GPU {key} of {what} is -1, unlimited; write a number, or set "
                    f"{scene.option('no-unlimited-gpu', 'allow_unlimited')}"
                )


@_rule(
    "host-resource-quota",
    "On the host, a ResourceQuota holds each team to its declared GPU limit.",
    tokens.TEAM,
    stage=Stage.STACK,
)
def host_resource_quota(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """It has every GPU resource name."""
    claim = claim_of(team)
    name, limit = claim.name, claim.limit
    if limit == UNLIMITED:
        limit = visible_gpus(claim, pool_of(team, scene.inventory))
    quotas = [
        quota
        for quota in scene.inventory.in_namespace(tokens.RESOURCE_QUOTA, f"team-{name}")
        # a quota with scopes counts only some pods
        if not get(quota.properties, "spec", "scopes") and not get(quota.properties, "spec", "scopeSelector")
    ]
    if not quotas:
        yield (
            f"team {name}: no ResourceQuota for every pod in host namespace team-{name}, so nothing on the host holds "
            f"it to {limit} GPUs; create one with {REQUEST_KEYS[0]}: {limit}"
        )
    for quota in quotas:
        hard = mapping(quota.properties, "spec", "hard")
        missing = [key for key in REQUEST_KEYS if quantity(hard, key) is None]
        if missing:
            yield (
                f"team {name}: {describe(quota)} lacks {listed(missing)}, and a missing key is unlimited; set "
                f"{REQUEST_KEYS[0]} to {limit} and every other one to 0"
            )
        for key in sorted(key for key in hard if key.startswith(_GPU_KEYS)):
            wanted = limit if key == REQUEST_KEYS[0] else 0
            value = quantity(hard, key)
            if value is not None and value != wanted:
                yield (
                    f"team {name}: {describe(quota)} has {key}: {say(value)}, declared is {wanted}; set it to {wanted}"
                )


RULES: Final = (
    gpu_collision,
    pool_gpu_quota,
    team_gpus_exist,
    leaf_queues_within_team,
    queue_resources,
    queue_within_team,
    host_resource_quota,
    no_unlimited_gpu,
    replicas_maximum,
)
