"""The GPU software on the nodes: the device plugin or the GPU Operator, and the RuntimeClass.

Owns: their namespace and Helm release where the stack file says that they are ours, and dcgm-exporter where the file
asks for it and the GPU Operator does not bring it.
Leaves to others: driver and container toolkit of the hosts, unless the GPU Operator brings them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
import releases
from components.base import Component, live_hook
from components.gpu.runtime_class import runtime_class
from components.helm import installed
from components.owned_kinds import own_kinds
from releases import injection
from settings.artifacts import chart_for
from settings.labels import default_entry
from settings.models import Artifacts, From, Gpu, GpuStack, HostProvider, Metrics, OperatorParts, Owner, Pool

NAMESPACES = {
    GpuStack.DEVICE_PLUGIN: names.DEVICE_PLUGIN_NAMESPACE,
    GpuStack.GPU_OPERATOR: names.GPU_OPERATOR_NAMESPACE,
}
DCGM_EXPORTER = "dcgm-exporter"
CHARTS = {GpuStack.DEVICE_PLUGIN: "nvidia-device-plugin", GpuStack.GPU_OPERATOR: "gpu-operator"}


@dataclass(frozen=True, kw_only=True)
class GpuSoftwareArgs:
    """`pools` decide how GPUs are shared. `provider` and `kubeconfig` are the host's."""

    gpu: Gpu
    host: HostProvider
    pools: dict[str, Pool]
    artifacts: Artifacts
    provider: k8s.Provider
    kubeconfig: pulumi.Output[str]
    depends_on: list[pulumi.Resource]


class GpuSoftware(Component):
    """The software that makes nodes advertise `nvidia.com/gpu`."""

    release: k8s.helm.v3.Release | None = None
    ready: pulumi.ResourceHook | None = None
    """What a pod with a GPU waits for before it is made; None where our software needs no wait."""
    runtime_class: k8s.node.v1.RuntimeClass | None = None

    def __init__(self, name: str, args: GpuSoftwareArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            name,
            {
                "stack": args.gpu.stack,
                "owner": args.gpu.owner,
                "version": version(args.gpu),
                "runtimeClass": None if args.gpu.stack is GpuStack.FAKE else args.gpu.runtime_class.name,
                **({"driver": "operator"} if brings_driver(args.gpu) else {}),
            },
            opts,
        )
        if args.gpu.runtime_class.owner is Owner.OURS:
            self.runtime_class = runtime_class(args.gpu.runtime_class, args.provider, self)
        if args.gpu.owner is Owner.OURS and args.gpu.stack is not GpuStack.FAKE:
            self.release = self._release(args)
            if args.gpu.stack is GpuStack.GPU_OPERATOR:
                self._own_kinds(args, self.release)
            if args.gpu.stack is GpuStack.GPU_OPERATOR and any(pool.gpus_per_node for pool in args.pools.values()):
                wait = partial(kube.wait_for_gpu_operator, brings_driver=brings_driver(args.gpu))
                self.ready = live_hook(f"{name}-ready", args.kubeconfig, wait)
        if args.gpu.stack is GpuStack.DEVICE_PLUGIN and args.gpu.metrics is not None:
            self._metrics(args, args.gpu.metrics)
        self.register_outputs({})

    def _release(self, args: GpuSoftwareArgs) -> k8s.helm.v3.Release:
        stack, found = args.gpu.stack, version(args.gpu)
        # the plugin mounts the kubelet's device socket, the operator loads kernel modules
        return self._installed(
            args, CHARTS[stack], found or "", NAMESPACES[stack], self._values(args, found or ""), self.runtime_class
        )

    def _installed(
        self,
        args: GpuSoftwareArgs,
        chart: str,
        version: str,
        namespace: str,
        values: dict[str, releases.JSON],
        after: pulumi.Resource | None,
    ) -> k8s.helm.v3.Release:
        """Install a chart in a namespace of its own, whose pods may reach all of their node."""
        made = k8s.core.v1.Namespace(
            namespace,
            metadata={
                "name": namespace,
                "labels": {**names.labels(), "pod-security.kubernetes.io/enforce": "privileged"},
            },
            opts=self.child(provider=args.provider),
        )
        needs = [made, *([after] if after else []), *args.depends_on]
        return installed(
            chart,
            chart_for(chart, version, args.artifacts),
            name=chart,
            namespace=namespace,
            values=values,
            opts=self.child(provider=args.provider, depends_on=needs),
        )

    def _own_kinds(self, args: GpuSoftwareArgs, release: k8s.helm.v3.Release) -> None:
        """Make the namespace own the operator's CRDs. The chart's `operator.cleanupCRD` is not used. Its Job runs
        before Helm removes anything, so an operator whose image can't be pulled could not be removed. It also deletes
        node feature discovery's CRDs, even if others use them.
        """
        own_kinds(
            self,
            CHARTS[GpuStack.GPU_OPERATOR],
            namespace=NAMESPACES[GpuStack.GPU_OPERATOR],
            crds=releases.GPU_OPERATOR[version(args.gpu) or ""].own_crds,
            release=release,
            provider=args.provider,
            kubeconfig=args.kubeconfig,
        )

    def _metrics(self, args: GpuSoftwareArgs, metrics: Metrics) -> None:
        """dcgm-exporter beside the device plugin."""
        found = releases.DCGM_EXPORTER[releases.DEFAULT_DCGM_EXPORTER]
        values = releases.dcgm_exporter_values(
            found,
            runtime_class=args.gpu.runtime_class.name,
            monitor_labels=monitor_labels(metrics),
            image_registry=args.artifacts.image_registry,
            pull_policy=args.artifacts.image_pull_policy,
        )
        # it mounts the kubelet's pod-resources socket and has CAP_SYS_ADMIN for the profiling counters
        self._installed(args, DCGM_EXPORTER, found.version, names.DCGM_NAMESPACE, values, self.release)

    @staticmethod
    def _values(args: GpuSoftwareArgs, found: str) -> dict[str, releases.JSON]:
        configs = [config for name, pool in args.pools.items() if (config := sharing_config(name, pool))]
        mode = injection.chosen(args.gpu.injection)
        if args.gpu.stack is GpuStack.DEVICE_PLUGIN:
            return releases.device_plugin_values(
                releases.DEVICE_PLUGIN[found],
                configs=configs,
                default=default_entry(args.pools),
                runtime_class=args.gpu.runtime_class.name,
                driver_root=mode.driver_root if mode else None,
                device_list_strategy=mode.device_list_strategy if mode else None,
                image_registry=args.artifacts.image_registry,
                pull_policy=args.artifacts.image_pull_policy,
            )
        return releases.gpu_operator_values(
            releases.GPU_OPERATOR[found],
            configs=configs,
            default=default_entry(args.pools),
            runtime_class=args.gpu.runtime_class.name,
            driver=brings_driver(args.gpu),
            toolkit=args.gpu.operator.toolkit is From.OPERATOR,
            microk8s=args.host is HostProvider.MICROK8S,
            monitor_labels=monitor_labels(args.gpu.metrics),
            image_registry=args.artifacts.image_registry,
            pull_policy=args.artifacts.image_pull_policy,
        )


def brings_driver(gpu: Gpu) -> bool:
    """Whether nodes without a driver get one from our GPU Operator."""
    return gpu.operator.driver is From.OPERATOR


def checked_software(gpu: Gpu) -> dict[str, object]:
    """What a check proves about the GPU software. `operator` is left out at its default, so that checks of older stacks
    do not run again.
    """
    found = gpu.model_dump()
    if gpu.operator == OperatorParts():
        del found["operator"]
    return found


def monitor_labels(metrics: Metrics | None) -> dict[str, str] | None:
    """The labels of dcgm-exporter's ServiceMonitor; None where the file asks for none."""
    return dict(metrics.labels) if metrics is not None and metrics.service_monitor else None


def sharing_config(name: str, pool: Pool) -> releases.SharingConfig | None:
    """How the device plugin shares a pool's GPUs; None where it does not."""
    word, way = pool.sharing.word, pool.sharing.way
    return releases.SharingConfig(name=name, strategy=word, replicas=way.each) if word and way else None


def version(gpu: Gpu) -> str | None:
    """The chart version: the stack file's, or the newest known. `None` where we install nothing."""
    defaults = {
        GpuStack.DEVICE_PLUGIN: releases.DEFAULT_DEVICE_PLUGIN,
        GpuStack.GPU_OPERATOR: releases.DEFAULT_GPU_OPERATOR,
        GpuStack.FAKE: None,
    }
    return gpu.version or defaults[gpu.stack]
