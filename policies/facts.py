"""What our own components say about themselves, read from their literal inputs. Every reader raises `Unreadable`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policies import names
from policies.inventory import Inventory, PolicyResource
from policies.plain import (
    Number,
    Unreadable,
    flag,
    get,
    mapping,
    mappings,
    maybe_number,
    maybe_text,
    number,
    say,
    text,
    texts,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """A quota and a limit in the pool's unit; -1 is unlimited."""

    quota: Number
    limit: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolFacts:
    """A node pool's numbers, from its inputs."""

    name: str
    nodes: tuple[str, ...]
    size: Number
    gpus_per_node: Number
    replicas: Number
    unit: str

    @property
    def per_node(self) -> Number:
        """What one node advertises."""
        return self.gpus_per_node * self.replicas

    @property
    def total(self) -> Number:
        """What all nodes together advertise. Computed, so that a wrong `gpusAllocatable` cannot widen a quota."""
        return self.size * self.per_node

    def count(self, value: Number) -> str:
        """Return `value` with the unit: `1 GPU`, `4 replicas`."""
        return f"{say(value)} {self.unit}{'' if value == 1 else 's'}"


def pool_facts(pool: PolicyResource) -> PoolFacts:
    """Return the numbers of a NodePool."""
    inputs = pool.properties
    return PoolFacts(
        name=text(inputs, "name"),
        nodes=tuple(texts(inputs, "nodes")),
        size=number(inputs, "size"),
        gpus_per_node=number(inputs, "gpusPerNode"),
        replicas=number(inputs, "replicas"),
        unit=maybe_text(inputs, "unit") or "GPU",
    )


def team_name(team: PolicyResource) -> str:
    """Return a tenant's name."""
    return text(team.properties, "name")


def team_gpus(team: PolicyResource) -> Cap:
    """Return a tenant's own quota and limit."""
    try:
        return Cap(quota=number(team.properties, "gpuQuota"), limit=number(team.properties, "gpuLimit"))
    except Unreadable as reason:
        # the subject of the rule may be the pool: say whose number it is
        message = f"team {team.name}: {reason}"
        raise Unreadable(message) from None


def team_queues(team: PolicyResource) -> dict[str, Cap]:
    """Return quota and limit of a tenant's leaf queues."""
    queues = mapping(team.properties, "queues")
    return {
        leaf: Cap(quota=number(queues, leaf, "quota"), limit=number(queues, leaf, "limit")) for leaf in sorted(queues)
    }


def queue_label(team: PolicyResource, leaf: str) -> str:
    """Return what a pod writes into its queue label: on the host the team's name comes first."""
    if maybe_text(team.properties, "mode") == "host":
        return f"{team_name(team)}-{leaf}"
    return leaf


def team_nodes(team: PolicyResource, pool: PoolFacts) -> tuple[str, ...]:
    """Return the names of the nodes that a tenant sees; all of the pool's when it names none."""
    return tuple(texts(team.properties, "nodes")) or pool.nodes


def team_name_in(resource: PolicyResource) -> str | None:
    """Return the name of the team that a component or an object of ours says it belongs to."""
    labels = pod_template(resource) if resource.type in names.WORKLOADS else resource.properties
    return (
        maybe_text(labels, "metadata", "labels", names.TEAM_LABEL)
        or maybe_text(resource.properties, "metadata", "labels", names.TEAM_LABEL)
        or maybe_text(resource.properties, "team")
    )


def team_of(resource: PolicyResource, inventory: Inventory) -> PolicyResource:
    """Return the Team that a component or an object of ours names.

    Raises `Unreadable` when it names none, or one that this stack does not have.
    """
    name = team_name_in(resource)
    if name is None:
        message = f"names no team; add the label {names.TEAM_LABEL}"
        raise Unreadable(message)
    if name not in inventory.teams:
        message = f"names team {name!r}, which this stack does not have"
        raise Unreadable(message)
    return inventory.teams[name]


def pool_of(team: PolicyResource, inventory: Inventory) -> PoolFacts:
    """Return the pool of a tenant. Raises `Unreadable` when it has none that this stack knows."""
    name = maybe_text(team.properties, "pool")
    if name is None or name not in inventory.pools:
        message = (
            f"team {team_name(team)} has no pool of this stack (pool: {name}); name one of {_list(inventory.pools)}"
        )
        raise Unreadable(message)
    return pool_facts(inventory.pools[name])


def _list(items: Mapping[str, object]) -> str:
    return ", ".join(sorted(items)) or "none"


def pod_template(workload: PolicyResource) -> Mapping[str, object]:
    """Return the pod (`metadata` and `spec`) that a workload makes."""
    if workload.type == names.POD:
        return workload.properties
    if workload.type == names.CRON_JOB:
        return mapping(workload.properties, "spec", "jobTemplate", "spec", "template")
    return mapping(workload.properties, "spec", "template")


def containers(workload: PolicyResource) -> list[Mapping[str, object]]:
    """Return all containers of a workload's pod, init containers too."""
    pod = pod_template(workload)
    return [
        container
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in mappings(pod, "spec", kind)
    ]


def gpu_request(workload: PolicyResource) -> Number:
    """Return how many whole GPUs (or replicas, or MIG slices) one pod of a workload asks for."""
    pod = pod_template(workload)
    # Kubernetes takes the larger of what init containers and containers need, as they do not run together
    return max(
        sum(_gpus(container) for container in mappings(pod, "spec", "containers")),
        max((_gpus(container) for container in mappings(pod, "spec", "initContainers")), default=0),
    )


def _gpus(container: Mapping[str, object]) -> Number:
    total: Number = 0
    requests = mapping(container, "resources", "requests")
    limits = mapping(container, "resources", "limits")
    for name in sorted({*requests, *limits}):
        if name.startswith(names.GPU_PREFIXES):
            # the way has dots of its own, so read it in one step
            value = get(limits if name in limits else requests, name)
            total += _count(name, value)
    return total


def _count(name: str, value: object) -> Number:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    message = f"asks for {value!r} of {name}, which is not a whole number"
    raise Unreadable(message)


def annotation(workload: PolicyResource, key: str) -> str | None:
    """Return an annotation of a workload's pod."""
    return maybe_text(pod_template(workload), "metadata", "annotations", key)


def uses_gpu(workload: PolicyResource) -> bool:
    """Say whether a workload's pods ask for a GPU or for a part of one."""
    return (
        gpu_request(workload) > 0
        or annotation(workload, names.FRACTION_ANNOTATION) is not None
        or annotation(workload, names.GPU_MEMORY_ANNOTATION) is not None
    )


def is_host_check(workload: PolicyResource) -> bool:
    """Say whether this is the host's own GPU check, which runs before there are teams and queues."""
    return maybe_text(pod_template(workload), "metadata", "labels", names.CHECK_LABEL) == "host" or (
        maybe_text(workload.properties, "metadata", "labels", names.CHECK_LABEL) == "host"
    )


def shares_gpus(team: PolicyResource) -> bool:
    """Say whether a tenant's KAI allows fractions."""
    return flag(team.properties, "gpuSharing")


def queue_of(workload: PolicyResource) -> str | None:
    """Return the queue label of a workload's pod."""
    return maybe_text(pod_template(workload), "metadata", "labels", names.QUEUE_LABEL)


def decimal_annotation(workload: PolicyResource, key: str) -> Number | None:
    """Return an annotation that must be a number; None when absent."""
    value = annotation(workload, key)
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        message = f"annotation {key} must be a number, got {value!r}"
        raise Unreadable(message) from None


def maybe_fraction(check: PolicyResource) -> Number | None:
    """Return the fraction of a GPU that a GpuCheck asks for."""
    return maybe_number(check.properties, "fraction")
