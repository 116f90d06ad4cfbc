"""What the rules know of our charts' values: the paths that we write, those that are dangerous, and those of images.

Data. A path in none of these lists is refused (`known-values`): a chart has hundreds of values, and each release brings
more. A test compares each list with what `releases` writes. `**` stands for everything below a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import releases
import tokens
from releases import slinky

_RESTRICTED: Final = (
    *("runAsNonRoot", "runAsUser", "runAsGroup", "allowPrivilegeEscalation", "capabilities.drop"),
    "seccompProfile.type",
)
"""What a container's securityContext may have: each takes rights away."""


def _below(path: str, keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{path}.{key}" for key in keys)


_STATEFUL_SET: Final = (
    *("imagePullPolicy", "resources.**", "scheduling.priorityClassName"),
    *_below("persistence.volumeClaim", ("enabled", "size", "storageClass")),
    "security.podSecurityContext.fsGroup",
    *_below("security.containerSecurityContext", _RESTRICTED),
)

_VCLUSTER: Final = (
    *_below("controlPlane.distro.k8s", ("enabled", "image.tag", "imagePullPolicy", "scheduler.enabled")),
    *_below("controlPlane.distro.k8s.securityContext", _RESTRICTED),
    *_below("controlPlane.statefulSet", ("image.repository", "probes.startupProbe.**", *_STATEFUL_SET)),
    "controlPlane.backingStore.database.embedded.enabled",
    "controlPlane.backingStore.etcd.deploy.enabled",
    *_below("controlPlane.backingStore.etcd.deploy.statefulSet", _STATEFUL_SET),
    *_below("controlPlane.coredns", ("deployment.resources.**", "security.podSecurityContext.seccompProfile.type")),
    *_below("controlPlane", ("proxy.extraSANs", "service.spec.type", "advanced.defaultImageRegistry")),
    *_below("exportKubeConfig", ("server", "context")),
    *_below("sync.fromHost.nodes", ("enabled", "clearImageStatus", "selector.labels.**")),
    *_below("sync.fromHost", ("runtimeClasses.enabled", "priorityClasses.enabled")),
    *_below(
        "sync.toHost.pods", ("enforceTolerations", "runtimeClassName", "priorityClassName", "useSecretsForSATokens")
    ),
    "experimental.syncSettings.setOwner",
    *_below("networking.advanced.proxyKubelets", ("byHostname", "byIP")),
    *_below("policies", ("resourceQuota.enabled", "limitRange.enabled", "networkPolicy.enabled")),
)


def _kai() -> tuple[str, ...]:
    """What our values of any release of KAI may hold (`releases.kai_values`)."""
    keys = ["global.registry", "global.namespaceLabelSelector.**", "global.clusterAutoscaling"]
    keys += _below("global.securityContext", _RESTRICTED)
    for release in releases.KAI.values():
        keys += [release.gpu_sharing_key, *release.reservation_runtime_class_keys, *release.pull_policy_keys]
        keys += [*release.fake_gpu_args, *(f"{operand.key}.**" for operand in release.operands if operand.key)]
        keys += [release.enforcement.key] if release.enforcement else []
        keys += filter(None, (release.pod_runtime_class_key, release.cdi_key, release.default_queue_key))
        keys += [release.topology_migration_key] if release.topology_migration_key else []
        keys += [f"{release.reservation_resources_key}.**"] if release.reservation_resources_key else []
    return tuple(dict.fromkeys(keys))


def _gpu_software() -> tuple[str, ...]:
    """What our values of the device plugin, of dcgm-exporter and of the GPU Operator may hold."""
    keys = [
        "gfd.enabled",
        "nfd.enabled",
        "runtimeClassName",
        "nvidiaDriverRoot",
        "deviceListStrategy",
        "tolerations.**",
    ]
    keys += ["config.map.**", "config.default", "operator.runtimeClass", "driver.enabled", "toolkit.enabled"]
    keys += ["toolkit.env.name", "toolkit.env.value", "mig.strategy", "nodeSelector.**"]
    keys += [
        f"{of}serviceMonitor.{what}" for of in ("", "dcgmExporter.") for what in ("enabled", "additionalLabels.**")
    ]
    keys += _below("devicePlugin.config", ("name", "create", "default", "data.**"))
    for plugin in releases.DEVICE_PLUGIN.values():
        keys += [*plugin.images, *plugin.pull_policy_keys]
    for exporter in releases.DCGM_EXPORTER.values():
        keys += [*exporter.images, *exporter.pull_policy_keys]
    for operator in releases.GPU_OPERATOR.values():
        keys += [*operator.images, *operator.pull_policy_keys]
    return tuple(dict.fromkeys(keys))


def _slinky() -> tuple[str, ...]:
    """What our values of Slinky's two charts may hold (`releases.slinky`)."""
    keys = ["crds.enabled", "certManager.enabled", "operator.namespaces", "webhook.namespaces", "imagePullPolicy"]
    keys += ["operator.imagePullPolicy", "webhook.imagePullPolicy", "configFiles.*"]
    keys += _below("controller", ("extraConfMap.GresTypes", "persistence.resources.requests.storage"))
    worker = f"nodesets.{slinky.NODE_SET}"
    keys += _below(worker, ("replicas", "extraConfMap.Gres", "slurmd.resources.**", "metadata.labels.**"))
    pod = ("automountServiceAccountToken", "schedulerName", "runtimeClassName", "nodeSelector.**", "tolerations.**")
    keys += _below(f"{worker}.podSpec", pod)
    keys += _below("partitions.*", ("enabled", "nodesets", "configMap.Default"))
    for release in slinky.SLINKY.values():
        operands = (*release.operator_operands, *release.operands, *release.worker_operands)
        keys += [f"{operand.key}.**" for operand in operands]
        keys += [f"{at}.repository" for at in (*release.operator_images, *release.images)]
        keys += [f"{at}.tag" for at in release.images]
    return tuple(dict.fromkeys(keys))


VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    tokens.VIRTUAL_CLUSTER: _VCLUSTER,
    tokens.KAI_SCHEDULER: _kai(),
    tokens.GPU_SOFTWARE: _gpu_software(),
    tokens.SLINKY_CLUSTER: _slinky(),
}
"""The known values of a Release, by the token of the component that it belongs to."""

REGISTRIES: Final[Mapping[str, str]] = {tokens.VIRTUAL_CLUSTER: "ghcr.io"}
"""The registry that a chart puts before a repository without one (vCluster chart/values.yaml); docker.io elsewhere."""

OPEN_DOORS: Final[Mapping[str, str]] = {
    "sync.toHost.persistentVolumes.enabled": "a tenant could mount any host path through a volume of its own",
    "sync.toHost.storageClasses.enabled": "a tenant could use any provisioner of the host",
    "sync.toHost.priorityClasses.enabled": "a tenant could place its pods before every other team's",
    "sync.toHost.networkPolicies.enabled": "a tenant could allow what the host's default-deny policy forbids",
    "sync.toHost.serviceAccounts.enabled": "a tenant could name accounts that the host trusts",
    "sync.toHost.namespaces.enabled": "a tenant could make namespaces without its ResourceQuota",
    "sync.toHost.ingresses.enabled": "a tenant could take host names of others",
    "sync.toHost.gatewayApi.enabled": "a tenant could take host names of others",
    "sync.toHost.resourceClaims.enabled": "a tenant could claim devices that no ResourceQuota counts",
    "sync.toHost.resourceClaimTemplates.enabled": "a tenant could claim devices that no ResourceQuota counts",
    "sync.toHost.pods.hybridScheduling.enabled": "pods would be scheduled past the team's own queues",
    "sync.toHost.volumeSnapshotContents.enabled": "a tenant could restore a snapshot of anybody's volume",
    "sync.fromHost.nodes.syncBackChanges": "a tenant could change labels and taints of the host's nodes",
    "sync.fromHost.secrets.enabled": "a tenant could read secrets of the host",
    "sync.fromHost.configMaps.enabled": "a tenant could read objects of the host",
    "controlPlane.hostPathMapper.enabled": "a tenant could read logs and volumes of the host's nodes",
    "networking.advanced.proxyKubelets.byIP": "each node would cost a host Service and open its kubelet",
}
"""Switches of vCluster's values that must be off, each with the reason (vCluster chart 0.29 to 0.36, values.yaml)."""

FORBIDDEN_VALUES: Final[Mapping[str, str]] = {
    "sync.toHost.customResources": "objects of the tenant's choice would appear on the host",
    "sync.fromHost.customResources": "a tenant could read objects of the host",
    "rbac.role.extraRules": "the tenant's control plane would get more rights on the host",
    "rbac.clusterRole.extraRules": "the tenant's control plane would get rights on all of the host",
    "rbac.role.overwriteRules": "the tenant's control plane would get other rights on the host",
    "rbac.clusterRole.overwriteRules": "the tenant's control plane would get other rights on all of the host",
    "experimental.deploy.host.manifests": "objects would be made on the host that no policy sees",
    "experimental.deploy.host.manifestsTemplate": "objects would be made on the host that no policy sees",
    "experimental.syncSettings.targetNamespace": "pods would land where no ResourceQuota holds the team",
    "experimental.genericSync": "objects of the tenant's choice would appear on the host",
    "networking.replicateServices.fromHost": "a tenant would reach services of the host",
    "networking.replicateServices.toHost": "services of the tenant would appear in namespaces of the host",
    "plugins": "code that no policy sees would run beside the control plane",
}
"""Values of vCluster's chart that must be absent or empty, with the reason."""

PERSISTENCE: Final = (
    "controlPlane.statefulSet.persistence.volumeClaim.enabled",
    "controlPlane.backingStore.etcd.deploy.statefulSet.persistence.volumeClaim.enabled",
)
"""The switches for vCluster's volume: of the embedded database, and of a deployed etcd."""
