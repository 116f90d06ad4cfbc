"""Rules about the host cluster, its GPU software and where charts and images come from."""

from __future__ import annotations

from collections.abc import Iterator

import releases
from settings import artifacts
from settings.models import GpuStack, HostProvider, Owner, Platform
from settings.problems import Problem, shown
from settings.words import known_version


def shared_kai_is_known(platform: Platform) -> Iterator[Problem]:
    """The KAI that teams share is a release that we know."""
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
    """The chart's version is known, and no RuntimeClass is made that somebody else brings."""
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
            rule="are the ServiceMonitor's",
            got="serviceMonitor: false",
            fix="set serviceMonitor: true, or remove them",
        )


def artifacts_are_known(platform: Platform) -> Iterator[Problem]:
    """Charts and images come from places that the program can use, without a password, each chart in its version."""
    return artifacts.problems(platform)
