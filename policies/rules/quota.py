"""Quota: what is promised fits what is there, and stands on the host as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies import names
from policies.facts import (
    Cap,
    annotation,
    decimal_annotation,
    gpu_request,
    is_host_check,
    maybe_fraction,
    pool_facts,
    pool_of,
    queue_label,
    queue_of,
    shares_gpus,
    team_gpus,
    team_name,
    team_nodes,
    team_of,
    team_queues,
    uses_gpu,
)
from policies.inventory import PolicyResource
from policies.plain import (
    Number,
    mapping,
    maybe_number,
    maybe_text,
    number,
    quantity,
    say,
    text,
    texts,
)
from policies.rule import Group, Rule, Scene, Stage, describe

REQUEST_KEYS: Final = ("requests.nvidia.com/gpu", "requests.nvidia.com/gpu.shared")
"""What a host ResourceQuota must bound at least; MIG names besides, as far as the components list them."""


# --- pools ----------------------------------------------------------------------------------------------------------


def gpu_collision(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    """Per node, the limits of the tenants that can see it fit, once one of them has a scheduler of its own."""
    facts = pool_facts(pool)
    tenants = [team for team in scene.inventory.teams_by_pool[facts.name] if team_gpus(team).limit != 0]
    # nodes that no tenant tells apart have the same sum: judge each set of tenants once
    groups: dict[tuple[str, ...], list[str]] = {}
    for node in facts.nodes or (f"each node of pool {facts.name}",):
        here = tuple(team_name(team) for team in tenants if not facts.nodes or node in team_nodes(team, facts))
        groups.setdefault(here, []).append(node)
    for here, nodes in groups.items():
        members = [team for team in tenants if team_name(team) in here]
        if len(members) < 2 or all(maybe_text(team.properties, "mode") == "host" for team in members):
            continue
        limits = {team_name(team): team_gpus(team).limit for team in members}
        unlimited = [name for name, limit in limits.items() if limit == names.UNLIMITED]
        total = sum(limits.values())
        if not unlimited and total <= facts.per_node:
            continue
        terms = " + ".join(f"{name} {'unlimited' if limit < 0 else say(limit)}" for name, limit in limits.items())
        excess = "" if unlimited else f" = {say(total)}, {say(total - facts.per_node)} too many"
        yield (
            f"{_nodes(nodes)}: limits {terms}{excess}; a node of pool {facts.name} has "
            f"{facts.count(facts.per_node)}, and "
            "schedulers in virtual clusters do not see each other's pods; lower a limit, give the teams nodes of their "
            "own, or use scheduler mode host"
        )


def _nodes(nodes: list[str]) -> str:
    return nodes[0] if len(nodes) == 1 else f"{nodes[0]} and {len(nodes) - 1} more nodes"


def pool_gpu_quota(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    """The quotas of a pool's tenants add up to at most its GPUs."""
    facts = pool_facts(pool)
    quotas = {team_name(team): team_gpus(team).quota for team in scene.inventory.teams_by_pool[facts.name]}
    total = sum(quota for quota in quotas.values() if quota > 0)
    if total > facts.total:
        terms = " + ".join(f"{name} {say(quota)}" for name, quota in quotas.items() if quota > 0)
        yield (
            f"pool {facts.name}: quotas {terms} = {say(total)}, {say(total - facts.total)} more than its "
            f"{facts.count(facts.total)}; lower a quota or add nodes"
        )


def team_gpus_exist(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """A tenant with GPUs has a pool of this stack, and its limit is within the nodes that it sees."""
    gpus = team_gpus(team)
    name = team_name(team)
    if gpus.quota < names.UNLIMITED or gpus.limit < names.UNLIMITED:
        yield f"team {name}: quota {say(gpus.quota)}, limit {say(gpus.limit)}: must be -1 or more"
    if gpus.limit != names.UNLIMITED and not 0 <= gpus.quota <= gpus.limit:
        yield (
            f"team {name}: quota {_amount(gpus.quota)} is above its limit {say(gpus.limit)}; raise the limit or "
            "lower the "
            "quota"
        )
    if gpus.limit == 0:
        return
    pool = pool_of(team, scene.inventory)
    own = texts(team.properties, "nodes")
    strangers = sorted(set(own) - set(pool.nodes)) if pool.nodes else []
    if strangers:
        yield f"team {name}: nodes {', '.join(strangers)} are not in pool {pool.name}; name nodes of that pool"
    seen = pool.per_node * len(set(own)) if own else pool.total
    if gpus.limit > seen:
        yield (
            f"team {name}: limit {say(gpus.limit)} is above the {pool.count(seen)} of "
            f"{'its nodes in' if own else 'all nodes of'} pool {pool.name}; lower the limit to {say(seen)}"
        )


def replicas_maximum(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    """A GPU is not shared into more replicas than the stack allows."""
    replicas = number(pool.properties, "replicas")
    most = scene.limits.max_replicas
    if not 1 <= replicas <= most:
        yield (
            f"pool {text(pool.properties, 'name')}: {say(replicas)} replicas of a GPU, allowed are 1 to {most}; set "
            "fewer"
        )


def no_fractions_on_replicas(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    """No tenant on a pool with replicas asks for fractions: a fraction of a replica is nobody's number."""
    facts = pool_facts(pool)
    if facts.replicas <= 1:
        return
    for team in scene.inventory.teams_by_pool[facts.name]:
        if shares_gpus(team):
            yield (
                f"team {team_name(team)}: gpuSharing on pool {facts.name} with {say(facts.replicas)} replicas of "
                "each GPU; "
                "turn gpuSharing off, or use a pool without replicas"
            )
    for check in scene.inventory.of_type(names.GPU_CHECK):
        asks = maybe_fraction(check) is not None or maybe_number(check.properties, "gpuMemoryMib") is not None
        if asks and maybe_text(check.properties, "team") in {
            team_name(team) for team in scene.inventory.teams_by_pool[facts.name]
        }:
            yield (
                f"{describe(check)}: asks for a part of a GPU on pool {facts.name} with replicas; ask for whole "
                "replicas"
            )


# --- tenants --------------------------------------------------------------------------------------------------------


def leaf_queues(team: PolicyResource, _: Scene) -> Iterator[str]:
    """Leaf quotas add up to at most the tenant's quota, and no leaf's limit is above the tenant's."""
    name, gpus, queues = team_name(team), team_gpus(team), team_queues(team)
    total = sum(leaf.quota for leaf in queues.values() if leaf.quota > 0)
    if gpus.quota != names.UNLIMITED and total > gpus.quota:
        terms = " + ".join(f"{leaf} {say(cap.quota)}" for leaf, cap in queues.items() if cap.quota > 0)
        yield (
            f"team {name}: leaf quotas {terms} = {say(total)}, above the team's quota {say(gpus.quota)}; lower a "
            "leaf's "
            "quota or raise the team's"
        )
    for leaf, cap in queues.items():
        yield from _cap(f"team {name}, queue {leaf}", cap)
        if gpus.limit != names.UNLIMITED and cap.limit > gpus.limit:
            yield f"team {name}, queue {leaf}: limit {say(cap.limit)} is above the team's {say(gpus.limit)}; lower it"


def _cap(where: str, cap: Cap) -> Iterator[str]:
    if cap.limit != names.UNLIMITED and (cap.limit < cap.quota or cap.quota == names.UNLIMITED):
        yield (
            f"{where}: limit {say(cap.limit)} is below the quota {_amount(cap.quota)}; KAI counts the limit in "
            "total, so "
            "set it to the quota or more, or to -1"
        )


def _amount(value: Number) -> str:
    return "unlimited" if value == names.UNLIMITED else say(value)


def queue_resources(queue: PolicyResource, _: Scene) -> Iterator[str]:
    """A Queue says quota and limit for GPU, CPU and memory: KAI takes a limit that is not there as zero."""
    for kind in ("gpu", "cpu", "memory"):
        block = mapping(queue.properties, "spec", "resources", kind)
        if not block:
            yield f"{describe(queue)}: no {kind} resources, so KAI admits no pod that asks for any; set quota and limit"
            continue
        cap = Cap(
            quota=number(queue.properties, "spec", "resources", kind, "quota"),
            limit=number(queue.properties, "spec", "resources", kind, "limit"),
        )
        yield from _cap(f"{describe(queue)}, {kind}", cap)


def queue_within_team(queue: PolicyResource, scene: Scene) -> Iterator[str]:
    """A Queue object promises no more than the team's declared numbers."""
    team = team_of(queue, scene.inventory)
    gpus = team_gpus(team)
    for key, most in (("quota", gpus.quota), ("limit", gpus.limit)):
        value = number(queue.properties, "spec", "resources", "gpu", key)
        if most != names.UNLIMITED and (value > most or value == names.UNLIMITED):
            yield (
                f"{describe(queue)}: GPU {key} {_amount(value)} is above the {say(most)} of team {team_name(team)}; "
                f"lower it to {say(most)}"
            )


def no_unlimited_gpu(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """No GPU quota or limit is -1."""
    if scene.limits.allow_unlimited:
        return
    if resource.type == names.TEAM:
        caps = {"the team": team_gpus(resource)} | {f"queue {leaf}": cap for leaf, cap in team_queues(resource).items()}
    else:
        caps = {
            "the queue": Cap(
                quota=number(resource.properties, "spec", "resources", "gpu", "quota"),
                limit=number(resource.properties, "spec", "resources", "gpu", "limit"),
            )
        }
    for what, cap in caps.items():
        for key, value in (("quota", cap.quota), ("limit", cap.limit)):
            if value == names.UNLIMITED:
                yield f"{describe(resource)}: the GPU {key} of {what} is -1, unlimited; write a number"


def host_resource_quota(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """The tenant's host namespace has a ResourceQuota with the declared limit, and every GPU resource name in it."""
    name, limit = team_name(team), team_gpus(team).limit
    quotas = scene.inventory.in_namespace(names.RESOURCE_QUOTA, f"team-{name}")
    if not quotas:
        yield (
            f"team {name}: no ResourceQuota in host namespace team-{name} whose numbers are known, so nothing on the "
            "host "
            f"holds it to {_amount(limit)} GPUs; create one with {REQUEST_KEYS[0]}: {say(limit)}"
        )
        return
    for quota in quotas:
        hard = mapping(quota.properties, "spec", "hard")
        for key in sorted({*REQUEST_KEYS, *(key for key in hard if _is_gpu(key))}):
            wanted = limit if key == REQUEST_KEYS[0] else 0
            value = quantity(hard, key)
            if value is None and wanted != names.UNLIMITED:
                yield (
                    f"team {name}: {describe(quota)} lacks {key}, and a missing key is unlimited; set it to "
                    f"{say(wanted)}"
                )
            elif value is not None and wanted != names.UNLIMITED and value != wanted:
                yield (
                    f"team {name}: {describe(quota)} has {key}: {say(value)}, declared is {say(wanted)}; set it to "
                    f"{say(wanted)}"
                )


def _is_gpu(key: str) -> bool:
    return key.startswith(tuple(f"requests.{prefix}" for prefix in names.GPU_PREFIXES))


# --- what workloads of ours ask for ---------------------------------------------------------------------------------


def fraction_range(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """A fraction is above 0 and at most 1, and its team's KAI allows fractions."""
    if resource.type == names.GPU_CHECK:
        fraction, memory = maybe_fraction(resource), maybe_number(resource.properties, "gpuMemoryMib")
    else:
        fraction = decimal_annotation(resource, names.FRACTION_ANNOTATION)
        memory = decimal_annotation(resource, names.GPU_MEMORY_ANNOTATION)
    if fraction is not None and not 0 < fraction <= 1:
        yield f"{describe(resource)}: fraction {say(fraction)} of a GPU; it must be above 0 and at most 1"
    if fraction is not None and memory is not None:
        yield f"{describe(resource)}: asks for a fraction and for GPU memory; ask for one of them"
    if not shares_gpus(team_of(resource, scene.inventory)):
        yield (
            f"{describe(resource)}: asks for a part of a GPU, but its team has gpuSharing off; turn it on, or ask "
            "for GPUs"
        )


def asks_for_part(resource: PolicyResource) -> bool:
    """Say whether a GpuCheck or a workload asks for a part of a GPU."""
    if resource.type == names.GPU_CHECK:
        return maybe_fraction(resource) is not None or maybe_number(resource.properties, "gpuMemoryMib") is not None
    return (
        annotation(resource, names.FRACTION_ANNOTATION) is not None
        or annotation(resource, names.GPU_MEMORY_ANNOTATION) is not None
    )


def workload_within_quota(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """What a workload of ours asks for is within the hard caps of its queue and of its team."""
    team = team_of(resource, scene.inventory)
    name, gpus = team_name(team), team_gpus(team)
    asked, queue = _asked(resource)
    if gpus.limit != names.UNLIMITED and asked > gpus.limit:
        yield f"{describe(resource)}: asks for {say(asked)}, team {name} has a limit of {say(gpus.limit)}; ask for less"
    for leaf, cap in team_queues(team).items():
        if queue in (leaf, queue_label(team, leaf)) and cap.limit != names.UNLIMITED and asked > cap.limit:
            yield (
                f"{describe(resource)}: asks for {say(asked)}, queue {leaf} of team {name} has a limit of "
                f"{say(cap.limit)}; ask for less, or use another queue"
            )


def _asked(resource: PolicyResource) -> tuple[Number, str | None]:
    if resource.type == names.GPU_CHECK:
        fraction = maybe_fraction(resource)
        asked = number(resource.properties, "gpus") if fraction is None else fraction
        return asked, maybe_text(resource.properties, "queue")
    fraction = decimal_annotation(resource, names.FRACTION_ANNOTATION)
    pods = maybe_number(resource.properties, "spec", "parallelism")
    if pods is None:
        pods = maybe_number(resource.properties, "spec", "replicas")
    each = gpu_request(resource) if fraction is None else fraction
    return each * (1 if pods is None else pods), queue_of(resource)


def gpu_memory(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """GPU memory that is asked for is within one GPU of the pool."""
    if resource.type == names.GPU_CHECK:
        asked: Number | None = number(resource.properties, "gpuMemoryMib")
    else:
        asked = decimal_annotation(resource, names.GPU_MEMORY_ANNOTATION)
    if asked is None:
        return
    pool = pool_of(team_of(resource, scene.inventory), scene.inventory)
    memory = maybe_number(scene.inventory.pools[pool.name].properties, "gpuMemoryMib")
    if memory is None:
        yield f"{describe(resource)}: asks for {say(asked)} MiB, but pool {pool.name} does not say gpuMemoryMib; set it"
    elif not 0 < asked <= memory:
        yield (
            f"{describe(resource)}: asks for {say(asked)} MiB, a GPU of pool {pool.name} has {say(memory)} MiB; ask "
            "for less"
        )


def asks_for_memory(resource: PolicyResource) -> bool:
    """Say whether a GpuCheck or a workload asks for GPU memory."""
    if resource.type == names.GPU_CHECK:
        return maybe_number(resource.properties, "gpuMemoryMib") is not None
    return annotation(resource, names.GPU_MEMORY_ANNOTATION) is not None


def asks_gpu_of_a_team(resource: PolicyResource) -> bool:
    """Say whether a GpuCheck or a workload asks for GPUs of a team; the host's own check has no team."""
    return resource.type == names.GPU_CHECK or (uses_gpu(resource) and not is_host_check(resource))


RULES: Final = (
    Rule(
        name="gpu-collision",
        group=Group.QUOTA,
        stage=Stage.STACK,
        sentence="On each node, the GPU limits of teams that schedule for themselves fit together.",
        types=(names.NODE_POOL,),
        check=gpu_collision,
    ),
    Rule(
        name="pool-gpu-quota",
        group=Group.QUOTA,
        stage=Stage.STACK,
        sentence="The GPU quotas of a pool's teams are within the pool's GPUs.",
        types=(names.NODE_POOL,),
        check=pool_gpu_quota,
    ),
    Rule(
        name="team-gpus-exist",
        group=Group.QUOTA,
        stage=Stage.STACK,
        sentence="A team's GPU quota and limit are within the nodes that it sees.",
        types=(names.TEAM,),
        check=team_gpus_exist,
    ),
    Rule(
        name="leaf-queues-within-team",
        group=Group.QUOTA,
        stage=Stage.RESOURCE,
        sentence="Leaf queues are within their team's quota and limit.",
        types=(names.TEAM,),
        check=leaf_queues,
    ),
    Rule(
        name="queue-resources",
        group=Group.QUOTA,
        stage=Stage.RESOURCE,
        sentence="A Queue says quota and limit for GPU, CPU and memory.",
        types=(names.QUEUE,),
        check=queue_resources,
    ),
    Rule(
        name="queue-within-team",
        group=Group.QUOTA,
        stage=Stage.RESOURCE,
        sentence="A Queue promises no more GPUs than its team declares.",
        types=(names.QUEUE,),
        check=queue_within_team,
    ),
    Rule(
        name="host-resource-quota",
        group=Group.QUOTA,
        stage=Stage.STACK,
        sentence="On the host, a ResourceQuota holds each team to its declared GPU limit.",
        types=(names.TEAM,),
        check=host_resource_quota,
    ),
    Rule(
        name="no-unlimited-gpu",
        group=Group.QUOTA,
        stage=Stage.RESOURCE,
        sentence="No GPU quota or limit is unlimited.",
        types=(names.TEAM, names.QUEUE),
        check=no_unlimited_gpu,
        limits=("allow_unlimited",),
    ),
    Rule(
        name="fraction-range",
        group=Group.QUOTA,
        stage=Stage.RESOURCE,
        sentence="A GPU fraction is above 0 and at most 1, of a team that may share GPUs.",
        types=(names.GPU_CHECK, *names.WORKLOADS),
        check=fraction_range,
        applies=asks_for_part,
    ),
    Rule(
        name="workload-within-quota",
        group=Group.QUOTA,
        stage=Stage.RESOURCE,
        sentence="What our own workloads ask for is within their queue and team.",
        types=(names.GPU_CHECK, *names.WORKLOADS),
        check=workload_within_quota,
        applies=asks_gpu_of_a_team,
    ),
    Rule(
        name="gpu-memory",
        group=Group.QUOTA,
        stage=Stage.STACK,
        sentence="GPU memory that is asked for is within one GPU of the pool.",
        types=(names.GPU_CHECK, *names.WORKLOADS),
        check=gpu_memory,
        applies=asks_for_memory,
    ),
    Rule(
        name="replicas-maximum",
        group=Group.QUOTA,
        stage=Stage.RESOURCE,
        sentence="A GPU is shared into no more replicas than allowed.",
        types=(names.NODE_POOL,),
        check=replicas_maximum,
        limits=("max_replicas",),
    ),
    Rule(
        name="no-fractions-on-replicas",
        group=Group.QUOTA,
        stage=Stage.STACK,
        sentence="No fractions of GPUs that are shared into replicas.",
        types=(names.NODE_POOL,),
        check=no_fractions_on_replicas,
    ),
)
