"""The GPU software on the nodes and the RuntimeClass: who owns them, and whether each exists once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import releases
from capacity import listed
from cli.preflight.facts import ClusterFacts, NodeFacts, ObjectFacts
from cli.preflight.findings import Finding, error, note, ok, warning
from cli.preflight.nodes import pool_nodes
from cli.preflight.rights import MONITORS
from names import GPU
from settings.models import GpuStack, HostProvider, Owner, Platform, SchedulerMode, Team

BY_OPERATOR = "operator"
"""Detail of a device plugin that the GPU Operator made."""


def metrics(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    """Yield whether the cluster has the CRD of the ServiceMonitor that the file asks for. The chart fails without."""
    asked = platform.gpu.metrics
    if asked is None or not asked.service_monitor:
        return
    if facts.service_monitors is False:
        yield error(
            "service-monitor-crd",
            "ServiceMonitor",
            f"gpu.metrics.serviceMonitor asks for one, and the cluster has no CRD {MONITORS}",
            "install a Prometheus operator first, or set serviceMonitor: false",
        )
    elif facts.service_monitors:
        yield ok("service-monitor-crd", "ServiceMonitor", "its CRD is there")


def runtime_class(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    """Yield whether the RuntimeClass that the file declares fits the cluster's."""
    declared = platform.gpu.runtime_class
    if facts.runtime_classes is None or _operator_is_ours(platform):
        return  # the operator makes it, and accepts an existing one
    subject = f"RuntimeClass {declared.name}"
    found = facts.runtime_classes.get(declared.name)
    if declared.owner is Owner.OURS and found is not None and not found.ours:
        yield error(
            "runtime-class-exists",
            subject,
            "exists already, and this stack did not make it",
            "set gpu.runtimeClass.owner: cluster",
        )
    elif declared.owner is Owner.CLUSTER and found is None:
        yield error(
            "runtime-class-missing",
            subject,
            "belongs to the cluster by the stack file, and the cluster has none",
            "set gpu.runtimeClass.owner: ours, or install the NVIDIA container toolkit for this cluster",
        )
    elif declared.owner is Owner.CLUSTER and found is not None and found.detail != declared.handler:
        yield error(
            "runtime-class-handler",
            subject,
            f"has handler {found.detail}, the file says {declared.handler}",
            f"set gpu.runtimeClass.handler: {found.detail}",
        )
    else:
        yield ok("runtime-class", subject, "is there" if found else "comes with `up`")


def kai_runtime_classes(platform: Platform, facts: ClusterFacts, tenants: Mapping[str, Team]) -> Iterator[Finding]:
    """Yield the missing RuntimeClasses that a KAI names by itself, whatever the file says."""
    if facts.runtime_classes is None or platform.gpu.stack is GpuStack.FAKE:
        return
    for name, team in tenants.items():
        version = team.scheduler.version
        kai = releases.KAI.get(version or "") if team.scheduler.mode is SchedulerMode.VIRTUAL else None
        needed = kai.hard_coded_runtime_class if kai is not None and team.scheduler.shares else None
        if needed is not None and needed != platform.gpu.runtime_class.name and needed not in facts.runtime_classes:
            yield error(
                "kai-runtime-class",
                f"team {name}",
                f"KAI {version} runs the pods that hold its shared GPUs with RuntimeClass {needed}, and there is none",
                f"set gpu.runtimeClass.name: {needed}, or take a newer KAI",
            )


def gpu_software(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    """Yield whether only the software that the file names advertises the GPUs."""
    plugins, operators = facts.device_plugins, facts.gpu_operators
    if plugins is None or operators is None or platform.gpu.stack is GpuStack.FAKE:
        return
    if platform.gpu.stack is GpuStack.GPU_OPERATOR:
        found = list(_operator(platform, plugins, operators))
    else:
        found = list(_plugin(platform, plugins, operators))
    if not found:
        found = [*_side_by_side(plugins, operators), *_two_on_a_node(platform, facts)]
    if not found:
        found = [_well(platform, facts, plugins, operators)]
    yield from found


def _operator_is_ours(platform: Platform) -> bool:
    return platform.gpu.stack is GpuStack.GPU_OPERATOR and platform.gpu.owner is Owner.OURS


def _operator(
    platform: Platform, plugins: Sequence[ObjectFacts], operators: Sequence[ObjectFacts]
) -> Iterator[Finding]:
    subject = "GPU Operator"
    theirs = next((o for o in operators if not o.ours), None)
    separate = next((p for p in plugins if p.detail != BY_OPERATOR and not p.ours), None)
    if platform.gpu.owner is Owner.CLUSTER:
        if not operators:
            by_plugin = f"; a device plugin runs as {separate.name}" if separate is not None else ""
            yield error(
                "operator-missing",
                subject,
                f"belongs to the cluster by the stack file, and the cluster has none{by_plugin}",
                "set gpu.owner: ours" if separate is None else "set gpu.stack: devicePlugin",
            )
    elif theirs is not None:
        yield error("operator-exists", subject, f"runs already as {theirs.name}", "set gpu.owner: cluster")
    elif separate is not None:
        yield error(
            "plugin-besides-operator",
            subject,
            f"a device plugin runs already as {separate.name}, and the operator brings its own",
            "remove that device plugin, or set gpu.stack: devicePlugin and gpu.owner: cluster",
        )


def _plugin(platform: Platform, plugins: Sequence[ObjectFacts], operators: Sequence[ObjectFacts]) -> Iterator[Finding]:
    if platform.gpu.owner is Owner.CLUSTER:
        return
    subject = "device plugin"
    their_operator = next((o for o in operators if not o.ours), None)
    theirs = next((p for p in plugins if not p.ours), None)
    if their_operator is not None:
        yield error(
            "operator-besides-plugin",
            subject,
            f"the GPU Operator runs as {their_operator.name} and brings its own device plugin",
            "set gpu.stack: gpuOperator and gpu.owner: cluster",
        )
    elif theirs is not None:
        yield error("plugin-exists", subject, f"runs already as {theirs.name}", "set gpu.owner: cluster")


def _side_by_side(plugins: Sequence[ObjectFacts], operators: Sequence[ObjectFacts]) -> Iterator[Finding]:
    """The operator's own device plugin together with another one. An operator whose plugin is switched off is fine."""
    own = next((p for p in plugins if p.detail == BY_OPERATOR), None)
    separate = next((p for p in plugins if p.detail != BY_OPERATOR), None)
    if own is not None and separate is not None:
        by = operators[0].name if operators else own.name
        yield error(
            "plugin-besides-operator",
            "GPU software",
            f"device plugin {separate.name} runs beside the GPU Operator's ({by}): both advertise {GPU}, and whose "
            "devices a pod gets is a race",
            f"remove {separate.name}, or switch the operator's off (devicePlugin.enabled: false)",
        )


def _two_on_a_node(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    for node in _gpu_nodes(platform, facts):
        names = sorted({plugin.name for plugin in node.plugins or ()})
        if len(names) > 1:
            yield error(
                "plugins-on-one-node",
                f"node {node.name}",
                f"{' and '.join(names)} both advertise {GPU} there, and whose devices a pod gets is a race",
                "keep one of them on that node",
            )


def _well(
    platform: Platform, facts: ClusterFacts, plugins: Sequence[ObjectFacts], operators: Sequence[ObjectFacts]
) -> Finding:
    """The finding where nothing contradicts the file: the software exists, will come, or can't be seen."""
    by_operator = platform.gpu.stack is GpuStack.GPU_OPERATOR
    subject, id_ = ("GPU Operator", "operator") if by_operator else ("device plugin", "plugin")
    advertise = [node.name for node in _gpu_nodes(platform, facts) if node.gpus]
    if operators if by_operator else plugins:
        return ok(id_, subject, "is there")
    if platform.gpu.owner is Owner.OURS and advertise and not plugins:
        return warning(
            "plugin-unseen",
            subject,
            f"{GPU} is advertised already on {listed(advertise, 3)}, by something that we do not see; a second plugin "
            "of the same resource is a race",
            "find what it is (built into the node's image?) and set gpu.owner: cluster",
        )
    if platform.gpu.owner is Owner.OURS:
        return ok(id_, subject, "comes with `up`")
    if advertise:
        return note(
            "plugin-unseen",
            subject,
            f"no DaemonSet is seen, and {GPU} is advertised all the same on {listed(advertise, 3)} (built into the "
            "node's image)",
        )
    return error(
        "plugin-missing",
        subject,
        "belongs to the cluster by the stack file, and the cluster has none",
        "set gpu.owner: ours",
    )


def _gpu_nodes(platform: Platform, facts: ClusterFacts) -> list[NodeFacts]:
    return [node for pool in platform.pools.values() if pool.gpus_per_node for node in pool_nodes(pool, facts)]


def default_runtime(platform: Platform) -> Iterator[Finding]:
    """Report what the API does not show."""
    if platform.gpu.stack is GpuStack.FAKE or platform.host.provider is HostProvider.LAB:
        return
    yield note(
        "default-runtime",
        "nvidia as default runtime",
        "not visible from the API; where it is, a pod without a GPU request whose image sets NVIDIA_VISIBLE_DEVICES "
        "sees every GPU of the node",
        "on each GPU node: `containerd config dump | grep default_runtime_name` should not say nvidia",
    )
