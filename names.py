"""Every label, name and resource key that more than one part must agree on. Pure: no Pulumi import."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
"""A value of JSON that this program writes."""
Object: TypeAlias = dict[str, Any]
"""An object of JSON from an API server, the engine or a report. Its writer has the type, and we have not. Use
`lenient.Json` where each field is narrowed as it is read.
"""

HELM_NAMESPACE: Final = "meta.helm.sh/release-namespace"
"""Helm's annotation of its own objects: where the release is."""
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "gpu-tenancy"}
LABEL_TEAM: Final = "gpu-tenancy/team"
LABEL_POOL: Final = "gpu-tenancy/pool"
LABEL_CHECK: Final = "gpu-tenancy/check"
LABEL_WORKLOAD: Final = "gpu-tenancy/workload"
CACHE: Final = "-cache"
"""What the claim of a model server's cache adds to the workload's name, also in the label above."""
LABEL_SCHEDULER: Final = "gpu-tenancy/scheduler"
"""On a tenant's namespace. The KAI on the host only looks at namespaces with `host` here."""
SCHEDULED_BY_HOST: Final = "host"
LABEL_FENCED: Final = "gpu-tenancy/fenced"
"""On a node that `make fence` took out of service: it is cordoned, and its GPUs no longer count."""
FENCED_SINCE: Final = "gpu-tenancy/fenced-since"
FENCED_FOR: Final = "gpu-tenancy/fenced-for"
FENCED_CORDONED: Final = "gpu-tenancy/fenced-cordoned"
"""Annotations beside that label: when (RFC 3339), why, and whether the node was cordoned before."""

HOST_KUBECONFIG: Final = "hostKubeconfig"
"""The output, a secret, with the kubeconfig of a host that the program made."""

GPU: Final = "nvidia.com/gpu"
GPU_TAINT_VALUE: Final = "present"
GPU_PRESENT: Final = "nvidia.com/gpu.present"
"""The device plugin's DaemonSet selects nodes by this label where there is no node feature discovery (its chart's
affinity).
"""
GPU_MEMORY: Final = "nvidia.com/gpu.memory"
"""MiB of one GPU. KAI assumes 100 MiB where it is missing (KAI node_info.go)."""
GPU_COUNT: Final = "nvidia.com/gpu.count"
GPU_PRODUCT: Final = "nvidia.com/gpu.product"

MIG_PROFILES: Final = (
    "1g.5gb", "1g.6gb", "1g.10gb", "1g.12gb", "1g.18gb", "1g.20gb", "1g.23gb", "1g.24gb", "1g.35gb", "1g.45gb",
    "1g.47gb",
    "2g.10gb", "2g.12gb", "2g.20gb", "2g.24gb", "2g.35gb", "2g.45gb", "2g.47gb",
    "3g.20gb", "3g.40gb", "3g.47gb", "3g.48gb", "3g.71gb", "3g.90gb", "3g.93gb", "3g.95gb",
    "4g.20gb", "4g.24gb", "4g.40gb", "4g.47gb", "4g.48gb", "4g.71gb", "4g.90gb", "4g.95gb",
    "7g.40gb", "7g.80gb", "7g.94gb", "7g.96gb", "7g.141gb", "7g.180gb", "7g.186gb", "7g.189gb",
)  # fmt: skip
"""MIG slices of A30 to GB200 (NVIDIA MIG user guide, supported profiles). A missing key of a ResourceQuota means
unlimited, so every team's quota has each name that a node could advertise.
"""

MIG: Final = "nvidia.com/mig-"
"""What the extended resource name of each MIG slice begins with."""
GPU_RESOURCES: Final = (GPU, "nvidia.com/gpu.shared", *(f"{MIG}{profile}" for profile in MIG_PROFILES))
"""Every extended resource name that stands for a GPU or a part of one."""

HOST_NAMESPACE: Final = "gpu-tenancy"
DEVICE_PLUGIN_NAMESPACE: Final = "nvidia-device-plugin"
GPU_OPERATOR_NAMESPACE: Final = "gpu-operator"
DCGM_NAMESPACE: Final = "dcgm-exporter"
GPU_SOFTWARE_NAMESPACES: Final = (DEVICE_PLUGIN_NAMESPACE, GPU_OPERATOR_NAMESPACE, DCGM_NAMESPACE)
KAI_NAMESPACE: Final = "kai-scheduler"
SHARED_NAMESPACES: Final = (HOST_NAMESPACE, KAI_NAMESPACE, *GPU_SOFTWARE_NAMESPACES)
"""Where the host's checks, its KAI and the GPU software run."""
KAI_RESERVATION_NAMESPACE: Final = "kai-resource-reservation"
KAI_SCALE_NAMESPACE: Final = "kai-scale-adjust"
"""Where KAI's scale adjuster makes its pods (the chart's own name for it)."""
TOPOLOGY_API_VERSION: Final = "kai.scheduler/v1alpha1"
OWNED_KINDS: Final = "gpu-tenancy-owned-kinds"
KAI_RELEASE: Final = "kai-scheduler"
KAI_SCHEDULER_NAME: Final = "kai-scheduler"
KAI_QUEUE_LABEL: Final = "kai.scheduler/queue"
QUEUE_API_VERSION: Final = "scheduling.run.ai/v2"
GPU_FRACTION: Final = "gpu-fraction"
GPU_FRACTION_DEVICES: Final = "gpu-fraction-num-devices"
"""The number of GPUs of which a pod gets that fraction; KAI's default is 1."""
GPU_MEMORY_ASKED: Final = "gpu-memory"
"""In MiB (KAI docs/gpu-sharing). These three are annotations of a pod."""
GPU_GROUP: Final = "runai-gpu-group"
"""KAI's label for the GPU that fractions share. KAI's binder writes it on a pod that it bound to a part of a GPU, and
on the reservation pod. With several devices each has a label `runai-gpu-group/<group>`
(KAI@v0.16.8:pkg/common/constants/constants.go).
"""

SYNCED_BY: Final = "vcluster.loft.sh/managed-by"
"""The syncer sets this label on each object of a tenant, whatever the tenant wrote (VC@v0.36.1:pkg/util/translate)."""
SYNCED_NAMESPACE: Final = "vcluster.loft.sh/namespace"
"""A label that the syncer sets in the same way: the object's namespace inside the virtual cluster."""
SYNCED_FROM: Final = "vcluster.loft.sh/object-namespace"
"""An annotation with the same value."""

ARCHITECTURE: Final = "kubernetes.io/arch"
HOST_NAME: Final = "kubernetes.io/hostname"
DEFAULT_SCHEDULER: Final = "default-scheduler"
PRESSURES: Final = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
"""A node's conditions that mean a problem when they are true."""
ENDED: Final = ("Succeeded", "Failed")
"""Phases in which a pod uses nothing any more."""
STARTING: Final = ("ContainerCreating", "PodInitializing")
"""Reasons of a waiting container that mean a normal start."""

CHECK_NAMESPACE: Final = "gpu-check"
CHECK_NAME: Final = "gpu-check"
CHECK_QUEUE: Final = "gpu-check"
"""The leaf queue of a team's check under the host's KAI. It takes nothing from any other queue."""
CHECK_REPORT: Final = "gpu-check-report"
CHECK_CODE: Final = "gpu-check-programs"
"""The ConfigMap with the check's programs, one in each namespace with a check's pods. It is not in the engine's state.
(An older state has one called `gpu-check-code`; the engine deletes it after the update.)
"""
CHECK_PAIR_NAMESPACE: Final = "gpu-check-2"
"""The second namespace of a check that asks for two shares of one GPU."""
CHECK_THIRD: Final = "gpu-check-third"
"""The pod for which such a pair must leave no room."""
QUOTA_NAME: Final = "tenant"
PROTECTED_OUTPUT: Final = "protectedInState"
"""The output of a Team that says whether the engine refuses to delete it."""


def team_namespace(team: str) -> str:
    """The host namespace that holds a tenant's virtual cluster and all its pods."""
    return f"team-{team}"


def team_of_namespace(namespace: str) -> str | None:
    """The tenant whose host namespace this is; None for any other."""
    prefix = team_namespace("")
    return namespace.removeprefix(prefix) if namespace.startswith(prefix) else None


def node_patch(pool: str, node: str) -> str:
    """The resource that labels a node as one of a pool."""
    return f"{pool}-{node}"


def team_secret(team: str) -> str:
    """The Secret that a vCluster writes its certificates into (vCluster's own naming)."""
    return f"vc-{team}"


def team_priority_class(team: str) -> str:
    """The host PriorityClass that all pods of a tenant get."""
    return f"team-{team}"


def team_node_label(team: str) -> str:
    """The label on the nodes that a tenant sees, where a pool is divided by node names. Each tenant has its own key,
    because two tenants (a team and its canary) may see the same node.
    """
    return f"gpu-tenancy/team-{team}"


def protection(team: str | None) -> str:
    """The name of the resource that depends on everything of a tenant; without a tenant, of the host."""
    return f"{team}-protection" if team else "protection"


def parent_queue(team: str) -> str:
    return team


def leaf_queue(team: str, leaf: str, *, on_host: bool) -> str:
    """A leaf queue's object name: its own name in a virtual cluster, with the team's name before it where teams share
    one KAI.
    """
    return f"{team}-{leaf}" if on_host else leaf


def in_url(host: str) -> str:
    """A host name or an address as it stands in a URL: one of IPv6 in brackets (RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def labels(*, team: str | None = None, pool: str | None = None) -> dict[str, str]:
    """The labels of an object of ours."""
    found = dict(MANAGED_BY)
    if team is not None:
        found[LABEL_TEAM] = team
    if pool is not None:
        found[LABEL_POOL] = pool
    return found
