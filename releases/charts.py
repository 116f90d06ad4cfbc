"""The Helm values of every chart that the program installs, from a release and what a stack file says.

Owns: which value goes to which key; the mirror of an image. A release's data have its own keys.
Leaves to others: the data (`kai.py`, `vcluster.py`, `gpu_software.py`), where a chart comes from (`settings`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from names import JSON
from releases.gpu_software import NO_SHARING, SharingConfig, sharing_config
from releases.kai import RESERVATION_POD
from releases.shapes import (
    NVIDIA,
    DevicePluginRelease,
    GpuOperatorRelease,
    KaiRelease,
    Operand,
    PullPolicy,
    VclusterRelease,
)


def put(values: dict[str, JSON], path: str, value: JSON) -> None:
    """Set a dotted value path, and make the tables on the way. These charts have no keys with dots."""
    *tables, last = path.split(".")
    for name in tables:
        table = values.setdefault(name, {})
        if not isinstance(table, dict):
            raise ValueError(f"value path {path!r} runs through {name!r}, which is {table!r}")
        values = table
    values[last] = value


def requests(operand: Operand) -> JSON:
    return {
        "requests": {"cpu": f"{operand.cpu_millicores}m", "memory": f"{operand.memory_mib}Mi"},
        "limits": {"memory": f"{operand.memory_limit_mib}Mi"},
    }


def mirrored(reference: str, registry: str) -> str:
    """Return an image reference, or the path of several images, with the registry host replaced; the rest stays.

    Short names are Docker Hub's: `ubuntu:24.04` is `docker.io/library/ubuntu:24.04`.
    """
    host, slash, path = reference.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = "docker.io", reference
    if host in {"docker.io", "index.docker.io"} and "/" not in path:
        path = f"library/{path}"
    return f"{registry.rstrip('/')}/{path}"


def strings(items: Sequence[str]) -> list[JSON]:
    return list(items)


def table(items: Mapping[str, str]) -> dict[str, JSON]:
    return dict(items)


_RUN_AS: Final[dict[str, JSON]] = {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532}
"""Any user but root. A control plane that runs so writes to its volume by `fsGroup`."""


def _restricted_container() -> dict[str, JSON]:
    """A container's security context that the Pod Security level `restricted` allows."""
    return {
        **_RUN_AS,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def kai_values(
    release: KaiRelease,
    *,
    gpu_sharing: bool,
    enforce: bool = False,
    restricted: bool = False,
    runtime_class: str = NVIDIA,
    cdi: bool | None = None,
    fake_gpus: bool = False,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
    namespace_labels: Mapping[str, str] = MappingProxyType({}),
    scale_adjuster: bool = False,
    topology_migration: bool = True,
) -> dict[str, JSON]:
    """Return the Helm values for one KAI.

    `runtime_class` is the RuntimeClass of GPU pods; keys that a release lacks are left out. `enforce`: limit pods to
    their part of a GPU's memory; raises `ValueError` where the release can't. `cdi`: whether the binder names GPUs by
    CDI; None leaves it to the release, which looks for the GPU Operator's ClusterPolicy and finds none in a virtual
    cluster. `image_registry` replaces the registry host of every image. `restricted`: its pods fit that Pod Security
    level; raises `ValueError` where the release's can't. `namespace_labels`: KAI groups, and its webhooks see, only
    pods of namespaces with these (KAI@v0.16.8:pkg/podgrouper/pod_controller.go,
    pkg/operator/operands/admission/resources.go; all releases have the key). Without it, a pod in any namespace that
    names this scheduler counts in the queue of its label. `scale_adjuster`: where pods wait for a part of a GPU, KAI
    makes a pod that asks for a whole one, so that a node autoscaler sees it (all releases have the key).
    `topology_migration` false: an install looks for no Topologies of Kueue's; a new virtual cluster has none.
    """
    values: dict[str, JSON] = {}
    if restricted:
        if not release.restricted:
            raise ValueError(f"KAI {release.version} can't run under the Pod Security level restricted")
        put(values, "global.securityContext", _restricted_container())
    put(values, release.gpu_sharing_key, release.gpu_sharing_words[gpu_sharing])
    if enforce:
        if release.enforcement is None:
            raise ValueError(f"KAI {release.version} holds no pod to its part of a GPU")
        put(values, release.enforcement.key, release.enforcement.word)
    for key in release.reservation_runtime_class_keys:
        put(values, key, runtime_class)
    if release.pod_runtime_class_key is not None:
        put(values, release.pod_runtime_class_key, runtime_class)
    if release.reservation_resources_key is not None:
        put(values, release.reservation_resources_key, requests(RESERVATION_POD))
    if cdi is not None and release.cdi_key is not None:
        put(values, release.cdi_key, cdi)
    if fake_gpus:
        for key, args in release.fake_gpu_args.items():
            put(values, key, strings(args))
    if release.default_queue_key is not None:
        put(values, release.default_queue_key, False)
    if release.topology_migration_key is not None and not topology_migration:
        put(values, release.topology_migration_key, False)
    for operand in release.operands:
        if operand.key is not None:
            put(values, operand.key, requests(operand))
    if image_registry is not None:
        put(values, "global.registry", mirrored(release.images, image_registry))
    if pull_policy is not None:
        for key in release.pull_policy_keys:
            put(values, key, pull_policy)
    if scale_adjuster:
        put(values, "global.clusterAutoscaling", True)
    if namespace_labels:
        put(values, "global.namespaceLabelSelector", table(namespace_labels))
    return values


_OSS_IMAGE: Final = "loft-sh/vcluster-oss"

CONTROL_PLANE_STORAGE: Final = "5Gi"
"""What the control plane (or its etcd) claims of the team's storage quota: the chart's own size
(VC@v0.36.1:chart/values.yaml, volumeClaim.size)."""


CONTROL_PLANE_PROBES: Final = "controlPlane.statefulSet.probes"
"""How the kubelet asks whether the control plane has started. A change of it restarts the control plane."""


def vcluster_values(
    release: VclusterRelease,
    *,
    team: str,
    namespace: str,
    kubernetes_version: str,
    virtual_scheduler: bool,
    node_selector_labels: Mapping[str, str] = MappingProxyType({}),
    sync_runtime_classes: bool = False,
    enforce_tolerations: Sequence[str] = (),
    runtime_class: str | None = None,
    persistence: bool = True,
    storage_class: str | None = None,
    backing_store: Literal["sqlite", "etcd"] = "sqlite",
    server: str,
    extra_sans: Sequence[str] = (),
    set_owner: bool = True,
    restricted: bool = False,
    priority_class: str | None = None,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values for one team's virtual cluster. Only keys that work without a licence.

    `node_selector_labels` are the host nodes that the team sees. `enforce_tolerations` (`key=value:Effect`) go to every
    synced pod and hide the taint inside. `runtime_class` goes to every synced pod. `priority_class` (of the host) goes
    to the control plane and to every synced pod, whatever class the pod names inside. So PriorityClasses need no sync;
    the syncer would delete those of KAI's chart. `server` is the URL in the kubeconfig Secret `vc-<team>`.
    `restricted`: control plane, etcd and CoreDNS fit that Pod Security level (the chart's control plane runs as root
    otherwise).

    Raises `ValueError` for a backing store that the release lacks.
    """
    if backing_store not in release.backing_stores:
        known = ", ".join(release.backing_stores)
        raise ValueError(f"vCluster {release.version} has no backing store {backing_store!r}; use one of {known}")
    values: dict[str, JSON] = {}
    put(values, "controlPlane.distro.k8s.enabled", True)
    put(values, "controlPlane.distro.k8s.image.tag", kubernetes_version)
    put(values, "controlPlane.distro.k8s.scheduler.enabled", virtual_scheduler)
    # the default image has the paid features, switched off; with one wrong key it needs a licence
    put(values, "controlPlane.statefulSet.image.repository", _OSS_IMAGE)
    put(values, "controlPlane.proxy.extraSANs", strings([f"{team}.{namespace}.svc", *extra_sans]))
    put(values, "exportKubeConfig.server", server)
    put(values, "exportKubeConfig.context", team)
    # tenants reach it by our own Service
    put(values, "controlPlane.service.spec.type", "ClusterIP")

    control_plane = "controlPlane.statefulSet"
    # the chart asks every 6 s, 300 times: for up to 6 s nobody would see that the API answers
    put(values, f"{CONTROL_PLANE_PROBES}.startupProbe", {"periodSeconds": 1, "failureThreshold": 6 * 300})
    etcd = "controlPlane.backingStore.etcd.deploy"
    operands, stateful_sets, store = release.operands, [control_plane], control_plane
    if backing_store == "etcd":
        put(values, f"{etcd}.enabled", True)
        operands, store = (*operands, release.etcd), f"{etcd}.statefulSet"
        stateful_sets.append(store)
    else:
        put(values, "controlPlane.backingStore.database.embedded.enabled", True)
    claim = f"{store}.persistence.volumeClaim"
    put(values, f"{claim}.enabled", persistence)
    if persistence:
        put(values, f"{claim}.size", CONTROL_PLANE_STORAGE)
        if storage_class is not None:
            put(values, f"{claim}.storageClass", storage_class)

    for operand in operands:
        if operand.key is not None:
            put(values, operand.key, requests(operand))

    if restricted:
        put(values, "controlPlane.distro.k8s.securityContext", _restricted_container())
        for stateful_set in stateful_sets:
            put(values, f"{stateful_set}.security.podSecurityContext", {"fsGroup": _RUN_AS["runAsGroup"]})
            put(values, f"{stateful_set}.security.containerSecurityContext", _restricted_container())
        # the rest of what the level asks for is the chart's own
        put(values, "controlPlane.coredns.security.podSecurityContext", {"seccompProfile": {"type": "RuntimeDefault"}})

    # without real nodes the syncer makes fake ones, which are useless for a scheduler inside
    put(values, "sync.fromHost.nodes.enabled", virtual_scheduler or bool(node_selector_labels))
    if node_selector_labels:
        put(values, "sync.fromHost.nodes.selector.labels", table(node_selector_labels))
    if virtual_scheduler or node_selector_labels:
        # a tenant must not see which images other tenants run
        put(values, "sync.fromHost.nodes.clearImageStatus", True)
    put(values, "sync.fromHost.runtimeClasses.enabled", sync_runtime_classes)
    put(values, "sync.fromHost.priorityClasses.enabled", False)
    if enforce_tolerations:
        put(values, "sync.toHost.pods.enforceTolerations", strings(enforce_tolerations))
    if runtime_class is not None:
        put(values, "sync.toHost.pods.runtimeClassName", runtime_class)
    if priority_class is not None:
        put(values, "sync.toHost.pods.priorityClassName", priority_class)
    # otherwise a tenant's tokens would be plain text in the annotations of its pods on the host
    put(values, "sync.toHost.pods.useSecretsForSATokens", True)
    if not set_owner:
        put(values, "experimental.syncSettings.setOwner", False)

    # it would make one Service for each node, and a second NodePort, for metrics that nobody here reads
    put(values, "networking.advanced.proxyKubelets.byHostname", False)
    put(values, "networking.advanced.proxyKubelets.byIP", False)
    # made by us, so that previews and policies see them
    put(values, "policies.resourceQuota.enabled", False)
    put(values, "policies.limitRange.enabled", False)
    put(values, "policies.networkPolicy.enabled", False)

    for stateful_set in stateful_sets:
        if priority_class is not None:
            put(values, f"{stateful_set}.scheduling.priorityClassName", priority_class)
        if pull_policy is not None:
            put(values, f"{stateful_set}.imagePullPolicy", pull_policy)
    if pull_policy is not None:
        put(values, "controlPlane.distro.k8s.imagePullPolicy", pull_policy)
    if image_registry is not None:
        put(values, "controlPlane.advanced.defaultImageRegistry", image_registry.rstrip("/"))
    return values


def put_images(
    values: dict[str, JSON],
    release: DevicePluginRelease | GpuOperatorRelease,
    registry: str | None,
    pull_policy: PullPolicy | None,
) -> None:
    """Set where a release's images come from, and when they are pulled; what is None is left to the chart."""
    if registry is not None:
        for key, images in release.images.items():
            put(values, key, mirrored(images, registry))
    if pull_policy is not None:
        for key in release.pull_policy_keys:
            put(values, key, pull_policy)


def config_map(configs: Sequence[SharingConfig]) -> dict[str, JSON]:
    return {c.name: sharing_config(c) for c in (NO_SHARING, *configs)}


def device_plugin_values(
    release: DevicePluginRelease,
    *,
    configs: Sequence[SharingConfig] = (),
    default: str = NO_SHARING.name,
    runtime_class: str = NVIDIA,
    driver_root: str | None = None,
    device_list_strategy: str | None = None,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of the device plugin.

    `configs`: one entry per way of sharing; nodes choose by the label NODE_LABEL_SHARING_CONFIG. `default`: the entry
    of those without it, and of each node until its label is read. `driver_root`: only where the driver is not at the
    usual place, or where the plugin writes a CDI spec.
    `device_list_strategy`: how the plugin names a container's GPU (`envvar` by default, `cdi-cri`, `cdi-annotations`).
    """
    # GFD would bring NFD with it; without NFD the label gpu.present (ours) is what the affinity finds
    values: dict[str, JSON] = {"gfd": {"enabled": False}, "nfd": {"enabled": False}}
    if configs:
        put(values, "config.map", config_map(configs))
        # with more than one entry the chart needs a default
        put(values, "config.default", default)
    values["runtimeClassName"] = runtime_class
    if driver_root is not None:
        values["nvidiaDriverRoot"] = driver_root
    if device_list_strategy is not None:
        values["deviceListStrategy"] = device_list_strategy
    put_images(values, release, image_registry, pull_policy)
    return values


# where MicroK8s keeps containerd (docs.nvidia.com/datacenter/cloud-native/gpu-operator, getting started, MicroK8s)
_MICROK8S_TOOLKIT_ENV: Final = {
    "CONTAINERD_CONFIG": "/var/snap/microk8s/current/args/containerd-template.toml",
    "CONTAINERD_SOCKET": "/var/snap/microk8s/common/run/containerd.sock",
    "RUNTIME_CONFIG_SOURCE": "file=/var/snap/microk8s/current/args/containerd.toml",
}


def gpu_operator_values(
    release: GpuOperatorRelease,
    *,
    configs: Sequence[SharingConfig] = (),
    default: str = NO_SHARING.name,
    runtime_class: str = NVIDIA,
    driver: bool = False,
    toolkit: bool = True,
    microk8s: bool = False,
    monitor_labels: Mapping[str, str] | None = None,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of the GPU Operator.

    `driver`, `toolkit`: whether the operator brings them; node feature discovery is always its own. `runtime_class` is
    the RuntimeClass that it makes. `microk8s`: its toolkit writes to that containerd's files. `configs` and `default`
    as in `device_plugin_values`. `monitor_labels`: of dcgm-exporter's ServiceMonitor; None makes none.
    """
    values: dict[str, JSON] = {}
    put(values, "operator.runtimeClass", runtime_class)
    put(values, "driver.enabled", driver)
    put(values, "toolkit.enabled", toolkit)
    put(values, "nfd.enabled", True)
    # its CRD comes from a Prometheus operator
    put(values, "dcgmExporter.serviceMonitor.enabled", monitor_labels is not None)
    if monitor_labels:
        put(values, "dcgmExporter.serviceMonitor.additionalLabels", dict(monitor_labels))
    if microk8s and toolkit:
        environment: list[JSON] = [{"name": name, "value": value} for name, value in _MICROK8S_TOOLKIT_ENV.items()]
        put(values, "toolkit.env", environment)
    if any(config.strategy == "mig" for config in configs):
        put(values, "mig.strategy", "single")
    if configs:
        data = config_map(configs)
        digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:8]
        # the operator does not watch the ConfigMap: a new name rolls the plugin's pods
        put(values, "devicePlugin.config.name", f"gpu-sharing-{digest}")
        put(values, "devicePlugin.config.create", True)
        put(values, "devicePlugin.config.default", default)
        put(values, "devicePlugin.config.data", data)
    put_images(values, release, image_registry, pull_policy)
    return values
