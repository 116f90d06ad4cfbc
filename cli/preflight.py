"""Does the cluster have what the stack file says? Pure comparison of plain data.

Owns: the facts that are compared (`ClusterFacts`), the rules, one fix for each finding.
Leaves to others: reading the facts (`live.py`), rules that need no cluster (`settings`), showing (`app.py`).

Objects that an earlier run of ours made are fine: they are told by the label
`app.kubernetes.io/managed-by: gpu-tenancy`, or by Helm's annotation that their release is in a namespace of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from capacity import parse_quantity
from names import GPU, GPU_COUNT, GPU_MEMORY, GPU_PRODUCT, team_namespace
from settings.models import (
    GpuStack,
    HostProvider,
    Owner,
    Platform,
    Pool,
    Team,
)

LABEL_ARCH: Final = "kubernetes.io/arch"

OLDEST_KUBERNETES: Final = (1, 30)
"""ValidatingAdmissionPolicy is v1, and on by default, from 1.30."""

MEMORY_OF_ANOTHER_GPU: Final = Decimal("0.15")
"""NVML's total is up to some 6 % below the number on the box (L4: 24576 on the box, 23034 by NVML); a difference above
this is another GPU."""


class Level(StrEnum):
    """`error`: `up` would fail or do harm. `warning`: look at it. `note`: can't be seen, or comes with `up`."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table. `fix` is one line, empty where there is nothing to do."""

    id: str
    level: Level
    subject: str
    message: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What a node says of itself. CPU in cores, memory in bytes; `gpus` is allocatable `nvidia.com/gpu`, None where the
    node advertises none. `used_*` are the requests of pods that are not our tenants'."""

    name: str
    ready: bool
    labels: Mapping[str, str]
    gpus: int | None
    cpu: Decimal
    memory: Decimal
    pods: int
    cordoned: bool = False
    pressures: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    """Keys of taints with effect NoSchedule or NoExecute."""
    ours: frozenset[str] = frozenset()
    """Keys of labels that an earlier run of ours set."""
    used_cpu: Decimal = Decimal(0)
    used_memory: Decimal = Decimal(0)
    used_pods: int = 0


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """An object that somebody owns: ours, or not."""

    name: str
    ours: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Right:
    """Something that `up` must be allowed to do. `group` is empty for the core API."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """Everything that is compared. A None stands for "could not be read" and is said so."""

    version: str
    nodes: Mapping[str, NodeFacts]
    runtime_classes: Mapping[str, ObjectFacts] | None
    """By name; detail is the handler."""
    storage_classes: Mapping[str, bool] | None
    """By name: whether it is a default one."""
    namespaces: Mapping[str, ObjectFacts] | None
    node_ports: Mapping[int, ObjectFacts] | None
    """By port: the Service that has it, as namespace/name."""
    device_plugins: Sequence[ObjectFacts] | None
    """DaemonSets of an NVIDIA device plugin, as namespace/name."""
    gpu_operators: Sequence[ObjectFacts] | None
    denied: Sequence[Right] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """What could not be read, and why."""


def needed_rights(platform: Platform) -> list[Right]:
    """Return what `up` must be allowed to do on the host; it is asked with a SelfSubjectAccessReview each."""
    made: list[tuple[str, str]] = [
        ("", "namespaces"),
        ("", "resourcequotas"),
        ("", "limitranges"),
        ("", "secrets"),
        ("", "configmaps"),
        ("", "services"),
        ("", "serviceaccounts"),
        ("apps", "statefulsets"),
        ("batch", "jobs"),
        ("networking.k8s.io", "networkpolicies"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ]
    if platform.gpu.runtime_class.owner is Owner.OURS:
        made.append(("node.k8s.io", "runtimeclasses"))
    if platform.gpu.owner is Owner.OURS and platform.gpu.stack is not GpuStack.FAKE:
        made.append(("apps", "daemonsets"))
    shared = platform.host.scheduler
    if (shared is not None and shared.owner is Owner.OURS) or (
        platform.gpu.stack is GpuStack.GPU_OPERATOR and platform.gpu.owner is Owner.OURS
    ):
        made.append(("apiextensions.k8s.io", "customresourcedefinitions"))
    rights = [Right(verb=verb, group=group, resource=name) for group, name in made for verb in ("create", "delete")]
    return [*rights, Right(verb="patch", group="", resource="nodes"), Right(verb="list", group="", resource="pods")]


def compare(
    platform: Platform, facts: ClusterFacts, *, ports: Mapping[str, int], tenants: Mapping[str, Team]
) -> list[Finding]:
    """Return every finding, in the order of the table: the cluster, pools and nodes, shared objects, teams, rights.

    `ports` are the tenants' NodePorts, `tenants` the teams and their canaries.
    """
    return [
        *_version(facts),
        *_unreadable(facts),
        *_pools(platform, facts),
        *_runtime_class(platform, facts),
        *_gpu_software(platform, facts),
        *_default_runtime(platform),
        *_storage(platform, facts, tenants),
        *_namespaces(facts, tenants),
        *_node_ports(facts, ports),
        *_rights(facts),
    ]


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level that there is."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)


def _ok(id_: str, subject: str, message: str) -> Finding:
    return Finding(id=id_, level=Level.OK, subject=subject, message=message)


def _error(id_: str, subject: str, message: str, fix: str) -> Finding:
    return Finding(id=id_, level=Level.ERROR, subject=subject, message=message, fix=fix)


def _warning(id_: str, subject: str, message: str, fix: str) -> Finding:
    return Finding(id=id_, level=Level.WARNING, subject=subject, message=message, fix=fix)


def _note(id_: str, subject: str, message: str, fix: str = "") -> Finding:
    return Finding(id=id_, level=Level.NOTE, subject=subject, message=message, fix=fix)


# --- the cluster ------------------------------------------------------------------------------------------------------


def _version(facts: ClusterFacts) -> Iterator[Finding]:
    match = re.match(r"v?(\d+)\.(\d+)", facts.version)
    if match is None:
        yield _note("version", "Kubernetes", f"the server's version {facts.version!r} is not one that we know")
        return
    found = (int(match[1]), int(match[2]))
    if found < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        yield _error(
            "version", "Kubernetes", f"{facts.version} is too old", f"upgrade the host cluster to {oldest} or newer"
        )
    else:
        yield _ok("version", "Kubernetes", facts.version)


def _unreadable(facts: ClusterFacts) -> Iterator[Finding]:
    for what, why in facts.unreadable.items():
        yield _warning(
            "unreadable", what, f"could not be read, so not compared: {why}", f"let the context's user list {what}"
        )


# --- pools and nodes --------------------------------------------------------------------------------------------------


def _pools(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    for name, pool in platform.pools.items():
        subject = f"pool {name}"
        problems = [*_missing_nodes(subject, pool, facts)]
        members = pool_nodes(pool, facts)
        for node in members:
            problems += _node(platform, name, pool, node)
        yield from problems
        if members and not any(p.level in (Level.ERROR, Level.WARNING) for p in problems):
            gpus = f", {pool.gpus_allocatable_per_node} {pool.unit}s each" if pool.gpus_per_node else ""
            yield _ok("pool", subject, f"{len(members)} nodes Ready{gpus}")
        yield from _room(platform, name, members)


def pool_nodes(pool: Pool, facts: ClusterFacts) -> list[NodeFacts]:
    """Return the pool's nodes that the cluster has."""
    if pool.selector is not None:
        wanted = pool.selector.items()
        return [node for node in facts.nodes.values() if all(node.labels.get(key) == value for key, value in wanted)]
    return [facts.nodes[name] for name in pool.nodes if name in facts.nodes]


def _missing_nodes(subject: str, pool: Pool, facts: ClusterFacts) -> Iterator[Finding]:
    if pool.selector is not None:
        found = len(pool_nodes(pool, facts))
        wanted = pool.node_count or 0
        if found != wanted:
            selector = ",".join(f"{key}={value}" for key, value in pool.selector.items())
            yield _error(
                "selector",
                subject,
                f"selector {selector} finds {found} nodes, nodeCount says {wanted}",
                f"set nodeCount: {found}" if found else "mend the selector, or label the nodes",
            )
        return
    for name in pool.nodes:
        if name not in facts.nodes:
            near = get_close_matches(name, facts.nodes, n=1, cutoff=0.5)
            there = ", ".join(sorted(facts.nodes)[:8]) or "none"
            fix = f"write {near[0]}, the nearest name in the cluster" if near else f"the cluster's nodes are: {there}"
            yield _error("node-missing", f"{subject}, node {name}", "the cluster has no such node", fix)


def _node(platform: Platform, pool_name: str, pool: Pool, node: NodeFacts) -> Iterator[Finding]:
    subject = f"pool {pool_name}, node {node.name}"
    if not node.ready:
        yield _error("node-not-ready", subject, "is not Ready", f"look at `kubectl describe node {node.name}`")
    if node.cordoned:
        yield _warning(
            "node-cordoned", subject, "is cordoned", f"`kubectl uncordon {node.name}` when it is ready for work"
        )
    for pressure in node.pressures:
        yield _error("node-pressure", subject, f"has {pressure}", "free what it lacks; pods are evicted until then")
    yield from _node_taints(pool, node, subject)
    if pool.architecture and node.labels.get(LABEL_ARCH) not in (None, pool.architecture):
        found = node.labels[LABEL_ARCH]
        yield _error(
            "node-arch", subject, f"is {found}, the file says {pool.architecture}", f"set architecture: {found}"
        )
    yield from _node_gpus(platform, pool, node, subject)
    yield from _node_labels(platform, pool, node, subject)
    yield from _node_size(pool, node, subject)


def _node_gpus(platform: Platform, pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    declared = pool.gpus_allocatable_per_node
    found = node.gpus or 0
    plugin_is_ours = platform.gpu.stack is not GpuStack.FAKE and platform.gpu.owner is Owner.OURS
    if declared == 0:
        if found:
            yield _warning(
                "cpu-pool-with-gpus",
                subject,
                f"has {found} {GPU}, the file says 0",
                f"set gpusPerNode: {found}, or leave it",
            )
        return
    if node.gpus is None and plugin_is_ours:
        counted = node.labels.get(GPU_COUNT)
        if counted is None or counted == str(pool.gpus_per_node):
            yield _note("gpus-not-yet", subject, f"advertises no {GPU} yet: the {platform.gpu.stack} comes with `up`")
        else:
            yield _gpus_differ(subject, pool, pool.gpus_per_node, int(counted) if counted.isdigit() else 0, "has")
        return
    if found == declared:
        return
    if pool.replicas > 1 and found == pool.gpus_per_node and plugin_is_ours:
        yield _note("replicas-not-yet", subject, f"shows {found} GPUs: its {declared} replicas come with `up`")
        return
    if found == 0:
        yield _error(
            "gpus-none",
            subject,
            f"advertises no {GPU}, the file says {declared}",
            "look at the device plugin's pod on that node and at `nvidia-smi` there"
            if platform.gpu.owner is Owner.CLUSTER or platform.gpu.stack is GpuStack.FAKE
            else "set gpu.owner: ours, or look at the device plugin's pod on that node",
        )
        return
    yield _gpus_differ(subject, pool, declared, found, "advertises")


def _gpus_differ(subject: str, pool: Pool, declared: int, found: int, verb: str) -> Finding:
    message = f"{verb} {found} {GPU}, the file says {declared}"
    if pool.replicas > 1 and found % pool.gpus_per_node == 0 and found:
        fix = f"set sharing replicas to {found // pool.gpus_per_node}, or mend the device plugin's sharing config"
    else:
        fix = f"set gpusPerNode: {found // pool.replicas or found}, or find the GPUs that the node lacks"
    if found > declared:
        return _warning("gpus-more", subject, message, fix)
    return _error("gpus-fewer", subject, message, fix)


def _node_taints(pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    # a full disk or a dead kubelet sets taints, too; those have findings of their own
    foreign = [key for key in node.taints if key != GPU and not key.startswith("node.kubernetes.io/")]
    if not foreign:
        return
    names = ", ".join(foreign)
    remove = f"`kubectl taint node {node.name} {foreign[0]}-`"
    if pool.taint and pool.nodes:
        yield _error(
            "node-taint",
            subject,
            f"has taints of others ({names}), and taint: true would set ours",
            f"{remove}, or taint: false",
        )
    else:
        yield _warning(
            "node-taint",
            subject,
            f"has taints that our pods do not tolerate: {names}",
            f"{remove}, or take another node",
        )


def _node_labels(platform: Platform, pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    """What feature discovery, or a hand, wrote about the GPUs. What an earlier run of ours wrote is changed by `up`."""
    if pool.gpus_per_node == 0:
        return
    # two owners with two values: the API refuses ours
    refused = bool(pool.nodes) and platform.gpu.stack is not GpuStack.GPU_OPERATOR
    found = {key: value for key, value in node.labels.items() if key not in node.ours}
    memory = found.get(GPU_MEMORY, "")
    if pool.gpu_memory_mib is not None and memory.isdigit() and int(memory) != pool.gpu_memory_mib:
        another = abs(Decimal(memory) - pool.gpu_memory_mib) / pool.gpu_memory_mib > MEMORY_OF_ANOTHER_GPU
        yield Finding(
            id="gpu-memory",
            level=Level.ERROR if another or refused or int(memory) < pool.gpu_memory_mib else Level.WARNING,
            subject=subject,
            message=f"its GPUs have {memory} MiB, the file says {pool.gpu_memory_mib}"
            + (": another GPU" if another else ""),
            fix=f"set gpuMemoryMib: {memory}" + (", or put the node into another pool" if another else ""),
        )
    count = found.get(GPU_COUNT, "")
    if count.isdigit() and int(count) != pool.gpus_per_node and node.gpus is not None:
        yield Finding(
            id="gpu-count-label",
            level=Level.ERROR if refused else Level.WARNING,
            subject=subject,
            message=f"label {GPU_COUNT} says {count} physical GPUs, the file says {pool.gpus_per_node}",
            fix=f"set gpusPerNode: {count}, or remove the label (`kubectl label node {node.name} {GPU_COUNT}-`)",
        )
    product = found.get(GPU_PRODUCT)
    if pool.product is not None and product is not None and not _same_product(pool.product, product, exact=refused):
        yield _error(
            "gpu-product",
            subject,
            f"is a {product}, the file says {pool.product}",
            f"set product: {product}, or put the node into another pool",
        )


def _same_product(declared: str, label: str, *, exact: bool) -> bool:
    """Feature discovery adds -SHARED on a node with replicas, and -MIG-... with MIG slices."""
    plain = declared.replace(" ", "-")
    if exact or label == plain:
        return label == declared
    return label.startswith((f"{plain}-SHARED", f"{plain}-MIG-"))


def _node_size(pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    if pool.cpu_per_node is not None and node.cpu < parse_quantity(pool.cpu_per_node):
        yield _error(
            "node-cpu",
            subject,
            f"has {cores(node.cpu)} allocatable CPUs, the file says {pool.cpu_per_node}",
            f"set cpuPerNode: {cores(node.cpu)}",
        )
    if pool.memory_per_node is not None and node.memory < parse_quantity(pool.memory_per_node):
        yield _error(
            "node-memory",
            subject,
            f"has {gibibytes(node.memory)} allocatable memory, the file says {pool.memory_per_node}",
            f"set memoryPerNode: {gibibytes(node.memory)}",
        )
    if node.pods < pool.pods_per_node:
        yield _error(
            "node-pods",
            subject,
            f"takes {node.pods} pods, the file says {pool.pods_per_node}",
            f"set podsPerNode: {node.pods}, or raise the kubelet's maxPods",
        )


def _room(platform: Platform, name: str, members: Sequence[NodeFacts]) -> Iterator[Finding]:
    """What others already run there: a full node looks like a broken scheduler later."""
    headroom = platform.host.headroom
    for node in members:
        free_cpu = node.cpu - node.used_cpu
        if node.cpu and free_cpu < parse_quantity(headroom.cpu):
            yield _error(
                "node-full",
                f"pool {name}, node {node.name}",
                f"pods that are not ours ask for {cores(node.used_cpu)} of its {cores(node.cpu)} CPUs",
                "move them away, lower their requests, or add a node: KAI's pods would stay Pending",
            )
        if node.memory and node.memory - node.used_memory < parse_quantity(headroom.memory):
            yield _error(
                "node-full-memory",
                f"pool {name}, node {node.name}",
                f"pods that are not ours ask for {gibibytes(node.used_memory)} of its {gibibytes(node.memory)} memory",
                "move them away, lower their requests, or add a node",
            )


def cores(value: Decimal) -> str:
    """CPU cores as a person writes them: `3.92`, `64`."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def gibibytes(value: Decimal) -> str:
    """Bytes as whole GiB, rounded down, so that it can be copied into a stack file."""
    return f"{int(value / 1024**3)}Gi"


# --- shared objects ---------------------------------------------------------------------------------------------------


def _runtime_class(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    declared = platform.gpu.runtime_class
    by_operator = platform.gpu.stack is GpuStack.GPU_OPERATOR and platform.gpu.owner is Owner.OURS
    if facts.runtime_classes is None or by_operator:
        return  # the operator makes it, and takes one that exists
    subject = f"RuntimeClass {declared.name}"
    found = facts.runtime_classes.get(declared.name)
    if declared.owner is Owner.OURS and found is not None and not found.ours:
        yield _error(
            "runtime-class-exists", subject, "exists already and is not ours", "set gpu.runtimeClass.owner: cluster"
        )
    elif declared.owner is Owner.CLUSTER and found is None:
        yield _error(
            "runtime-class-missing",
            subject,
            "is declared as the cluster's, and the cluster has none",
            "set gpu.runtimeClass.owner: ours, or install the NVIDIA container toolkit for this cluster",
        )
    elif declared.owner is Owner.CLUSTER and found is not None and found.detail != declared.handler:
        yield _error(
            "runtime-class-handler",
            subject,
            f"has handler {found.detail}, the file says {declared.handler}",
            f"set gpu.runtimeClass.handler: {found.detail}",
        )
    else:
        yield _ok("runtime-class", subject, "is there" if found else "comes with `up`")


def _gpu_software(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    plugins, operators = facts.device_plugins, facts.gpu_operators
    if plugins is None or operators is None or platform.gpu.stack is GpuStack.FAKE:
        return
    ours = platform.gpu.owner is Owner.OURS
    foreign_operator = next((o for o in operators if not o.ours), None)
    foreign_plugin = next((p for p in plugins if not p.ours), None)
    if platform.gpu.stack is GpuStack.GPU_OPERATOR:
        subject = "GPU Operator"
        if ours and foreign_operator is not None:
            yield _error(
                "operator-exists", subject, f"runs already as {foreign_operator.name}", "set gpu.owner: cluster"
            )
        elif ours and foreign_plugin is not None and not operators:
            yield _error(
                "plugin-besides-operator",
                subject,
                f"a device plugin runs already as {foreign_plugin.name}, and the operator brings its own",
                "remove that device plugin, or set gpu.stack: devicePlugin and gpu.owner: cluster",
            )
        elif not ours and not operators:
            yield _error(
                "operator-missing",
                subject,
                "is declared as the cluster's, and the cluster has none",
                "set gpu.owner: ours",
            )
        else:
            yield _ok("operator", subject, "is there" if operators else "comes with `up`")
        return
    subject = "device plugin"
    if ours and foreign_operator is not None:
        yield _error(
            "operator-besides-plugin",
            subject,
            f"the GPU Operator runs as {foreign_operator.name} and brings its own device plugin",
            "set gpu.stack: gpuOperator and gpu.owner: cluster",
        )
    elif ours and foreign_plugin is not None:
        yield _error("plugin-exists", subject, f"runs already as {foreign_plugin.name}", "set gpu.owner: cluster")
    elif not ours and not plugins:
        yield _error(
            "plugin-missing", subject, "is declared as the cluster's, and the cluster has none", "set gpu.owner: ours"
        )
    else:
        yield _ok("plugin", subject, "is there" if plugins else "comes with `up`")


def _default_runtime(platform: Platform) -> Iterator[Finding]:
    if platform.gpu.stack is GpuStack.FAKE or platform.host.provider is HostProvider.LAB:
        return
    yield _note(
        "default-runtime",
        "nvidia as default runtime",
        "not visible from the API; where it is, a pod without a GPU request whose image sets NVIDIA_VISIBLE_DEVICES "
        "sees every GPU of the node",
        "on each GPU node: `containerd config dump | grep default_runtime_name` should not say nvidia",
    )


def _storage(platform: Platform, facts: ClusterFacts, tenants: Mapping[str, Team]) -> Iterator[Finding]:
    keep = [name for name, team in tenants.items() if team.vcluster.persistence]
    if facts.storage_classes is None or not keep:
        return
    wanted = platform.host.storage_class
    there = ", ".join(sorted(facts.storage_classes)) or "none"
    if wanted is not None and wanted not in facts.storage_classes:
        yield _error(
            "storage-class", f"StorageClass {wanted}", "does not exist", f"set host.storageClass to one of: {there}"
        )
    elif wanted is None and not any(facts.storage_classes.values()):
        yield _error(
            "storage-default",
            "StorageClass",
            f"the cluster has no default one, and {len(keep)} virtual clusters keep their data on a volume",
            f"set host.storageClass (there are: {there}), or mark one as default",
        )
    else:
        yield _ok(
            "storage",
            "StorageClass",
            wanted or next(name for name, default in facts.storage_classes.items() if default),
        )


# --- teams ------------------------------------------------------------------------------------------------------------


def _namespaces(facts: ClusterFacts, tenants: Mapping[str, Team]) -> Iterator[Finding]:
    if facts.namespaces is None:
        return
    for name in tenants:
        space = team_namespace(name)
        found = facts.namespaces.get(space)
        if found is not None and not found.ours:
            yield _error(
                "namespace-exists",
                f"team {name}",
                f"namespace {space} exists already and is not ours{f' ({found.detail})' if found.detail else ''}",
                "rename the team, or remove that namespace if nobody needs it",
            )


def _node_ports(facts: ClusterFacts, ports: Mapping[str, int]) -> Iterator[Finding]:
    if facts.node_ports is None:
        return
    for tenant, port in ports.items():
        holder = facts.node_ports.get(port)
        if holder is not None and not holder.ours:
            yield _error(
                "node-port",
                f"team {tenant}",
                f"its NodePort {port} is taken by Service {holder.name}",
                f"set teams.{tenant}.access.port to a free one between 30000 and 32767",
            )


def _rights(facts: ClusterFacts) -> Iterator[Finding]:
    by_resource: dict[tuple[str, str], list[str]] = {}
    for right in facts.denied:
        by_resource.setdefault((right.group, right.resource), []).append(right.verb)
    for (group, resource), verbs in by_resource.items():
        full = f"{resource}.{group}" if group else resource
        yield _error(
            "rights",
            f"right on {full}",
            f"the context's user may not {' or '.join(verbs)} it",
            f"use a cluster administrator's context, or grant {', '.join(verbs)} on {full}",
        )
    if not facts.denied and "rights" not in facts.unreadable:
        yield _ok("rights", "rights", "all that `up` needs")
