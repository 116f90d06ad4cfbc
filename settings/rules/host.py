"""Rules about the host cluster, its GPU software and where charts and images come from."""

from __future__ import annotations

from collections.abc import Iterator

import releases
from settings import artifacts
from settings.models import From, GpuStack, HostProvider, Owner, Platform
from settings.problems import Problem, shown
from settings.words import known_version


def shared_kai_is_known(platform: Platform) -> Iterator[Problem]:
    """The KAI that teams share is a known release."""
    host = platform.host
    if host.scheduler is not None:
        path = ("host", "scheduler", "version")
        yield from known_version("KAI release", host.scheduler.version, releases.KAI, path)
        if host.scheduler.scale_adjuster and host.scheduler.owner is Owner.CLUSTER:
            yield Problem(
                path=("host", "scheduler", "scaleAdjuster"),
                rule="is switched on by whoever installs the KAI",
                got="owner: cluster",
                fix="remove it; the KAI that is there has the value global.clusterAutoscaling for it",
            )


def gpu_software_is_known(platform: Platform) -> Iterator[Problem]:
    """The chart's version is known, and the program makes no RuntimeClass that somebody else brings."""
    gpu, path = platform.gpu, ("gpu", "version")
    if gpu.version is not None:
        if gpu.stack is GpuStack.DEVICE_PLUGIN:
            yield from known_version("device plugin", gpu.version, releases.DEVICE_PLUGIN, path)
        elif gpu.stack is GpuStack.GPU_OPERATOR:
            yield from known_version("GPU Operator", gpu.version, releases.GPU_OPERATOR, path)
        else:
            yield Problem(path=path, rule="has no meaning with stack fake", got=shown(gpu.version), fix="remove it")
    if gpu.injection is not None and gpu.stack is GpuStack.FAKE:
        yield Problem(
            path=("gpu", "injection"), rule="has no meaning with stack fake", got=gpu.injection.value, fix="remove it"
        )
    yield from _metrics_can_be_had(platform)
    yield from _operators_parts_fit(platform)
    brings = {
        "k3s": platform.host.provider is HostProvider.K3S,
        "the GPU Operator": gpu.stack is GpuStack.GPU_OPERATOR,
    }
    for who, does in brings.items():
        if does and gpu.runtime_class.name == "nvidia" and gpu.runtime_class.owner is Owner.OURS:
            yield Problem(
                path=("gpu", "runtimeClass"),
                rule=f"{who} brings the RuntimeClass nvidia itself, a second one would be refused as AlreadyExists",
                got="owner: ours",
                fix="write runtimeClass: {name: nvidia, owner: cluster}",
            )
            return


def _metrics_can_be_had(platform: Platform) -> Iterator[Problem]:
    gpu, path = platform.gpu, ("gpu", "metrics")
    if gpu.metrics is None:
        return
    if gpu.stack is GpuStack.FAKE:
        yield Problem(path=path, rule="has no meaning with stack fake: no GPU is real", got=None, fix="remove it")
    elif gpu.stack is GpuStack.GPU_OPERATOR and gpu.owner is Owner.CLUSTER:
        yield Problem(
            path=path,
            rule="the cluster's GPU Operator brings its own dcgm-exporter",
            got="owner: cluster",
            fix="remove it, and set dcgmExporter.serviceMonitor in that operator's values",
        )
    if gpu.metrics.labels and not gpu.metrics.service_monitor:
        yield Problem(
            path=(*path, "labels"),
            rule="are labels of the ServiceMonitor",
            got="serviceMonitor: false",
            fix="set serviceMonitor: true, or remove them",
        )


def _operators_parts_fit(platform: Platform) -> Iterator[Problem]:
    """Only our own operator takes these settings, and nothing needs its parts before they come."""
    gpu, host, path = platform.gpu, platform.host, ("gpu", "operator")
    if "operator" not in gpu.model_fields_set:
        return
    if gpu.stack is not GpuStack.GPU_OPERATOR:
        yield Problem(
            path=path,
            rule="says what our GPU Operator brings",
            got=f"stack: {gpu.stack.value}",
            fix="remove it, or write stack: gpuOperator",
        )
        return
    if gpu.owner is Owner.CLUSTER:
        yield Problem(
            path=path,
            rule="says what our GPU Operator brings; the cluster's is told by its own values driver and toolkit",
            got="owner: cluster",
            fix="remove it",
        )
        return
    if gpu.operator.toolkit is From.HOST and host.microk8s is not None and not host.microk8s.adopt:
        yield Problem(
            path=(*path, "toolkit"),
            rule="has to write the handler nvidia into containerd's settings, which a microk8s that we install lacks",
            got="host",
            fix="write toolkit: operator",
        )
    if gpu.operator.driver is From.OPERATOR:
        yield from _driver_may_come_later(platform)


def _driver_may_come_later(platform: Platform) -> Iterator[Problem]:
    path, got, fix = ("gpu", "operator", "driver"), "operator", "install a driver on the nodes, and write driver: host"
    if platform.host.provider is HostProvider.KIND:
        rule = "can't come from a pod on kind: its nodes are containers with their machine's driver"
        yield Problem(path=path, rule=rule, got=got, fix=fix)
        return
    if platform.host.k3s is not None:
        rule = (
            "is looked for before a k3s is installed, together with the container toolkit that k3s needs at its start"
        )
        yield Problem(path=path, rule=rule, got=got, fix=fix)
        return
    for name, pool in platform.pools.items():
        if pool.sharing.mig:
            rule = (
                f"can't cut GPUs before they are counted, and pools.{name}.sharing.mig says that they are cut already"
            )
            yield Problem(path=path, rule=rule, got=got, fix=fix)
            return


def artifacts_are_known(platform: Platform) -> Iterator[Problem]:
    """Charts and images come from places that the program can use, without a password, and each chart has its
    version.
    """
    return artifacts.problems(platform)
