"""What each release of KAI, vCluster, the device plugin and the GPU Operator needs: data, not ifs.

Owns: which versions we know, where their charts are, which values keys they read, what they cost, until when they are
supported, which traps they hold, and the Helm values that follow from all that. Pure: no Pulumi import.
Leaves to others: mirrors (`artifacts.py`), which version a team asks for (`settings`), creating anything.

To raise a version, all in this file:
 1. add an entry to `KAI`, `VCLUSTER`, `DEVICE_PLUGIN` or `GPU_OPERATOR` (its neighbour with `replace`); compare values
    and templates of the chart between the two tags, and read upstream's SUPPORT.md and migration guides;
 2. point the `DEFAULT_...` below it at the new entry;
 3. `python -m releases` (writes docs/versions.md), `make test`, one run on a real cluster for docs/runs.md.

Each fact names its source: `REPO@TAG:path`, a public URL, or "observed" (seen by running that version). Repositories:
KAI = github.com/kai-scheduler/KAI-Scheduler, VC = github.com/loft-sh/vcluster, VD = github.com/loft-sh/vcluster-docs,
DP = github.com/NVIDIA/k8s-device-plugin, GO = github.com/NVIDIA/gpu-operator.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
"""What Helm values are made of."""

PullPolicy: TypeAlias = Literal["Always", "IfNotPresent", "Never"]

_NO_ARGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
_NVIDIA: Final = "nvidia"


# --- shapes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What tenancy itself asks of the nodes: summed requests and a number of pods, without short-lived hook pods."""

    cpu_millicores: int
    memory_mib: int
    pods: int

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(
            cpu_millicores=self.cpu_millicores + other.cpu_millicores,
            memory_mib=self.memory_mib + other.memory_mib,
            pods=self.pods + other.pods,
        )


@dataclass(frozen=True, kw_only=True)
class Operand:
    """One long-running pod of a chart and its requests.

    `key` is the value path where the chart takes them. None where it takes none (or renders them broken): then the
    numbers are what the release asks for by itself.
    """

    name: str
    cpu_millicores: int
    memory_mib: int
    memory_limit_mib: int
    key: str | None


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A cluster-scoped object that a chart's hooks made and uninstalling leaves: delete it between two lines."""

    api_version: str
    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Trap:
    """Something that goes wrong with a release, in one sentence, and what handles it here."""

    id: str
    sentence: str
    handling: str
    source: str
    flag: str | None = None
    """The release's attribute by which code knows of it; None where our values or another part handle it always."""


class SupportState(StrEnum):
    """`ending`: less than `ENDING_DAYS` left."""

    SUPPORTED = "supported"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Support:
    """Where a release stands with its vendor on a day. `days` left (negative: gone by); None without a known end."""

    state: SupportState
    days: int | None
    ends: date | None


@dataclass(frozen=True, kw_only=True)
class KaiRelease:
    """A release of the KAI scheduler. Value paths are dotted; None or empty where the release has no such knob."""

    version: str
    """With v, as chart version and image tag."""
    line: str
    """Releases of one line may be upgraded in place by Helm; a change of line is a replacement: uninstall, delete the
    leftovers, install."""
    chart: str
    """oci URL without version."""
    images: str
    """Registry and path of its images; what `global.registry` says."""
    support_ends: date | None
    """Last day; None: upstream never promised any support."""
    support_source: str
    kubernetes_max: str
    """Newest Kubernetes minor that it was validated or seen with."""
    kubernetes_default: str
    """What a virtual cluster for it runs, as a tag of vCluster's Kubernetes image."""
    kubernetes_source: str
    operands: tuple[Operand, ...]
    operator: bool
    """An operator makes the other pods after Helm is done: `helm --wait` is no readiness."""
    needs_cluster_policy_crd: bool
    """Its operator hangs unless the CRD clusterpolicies.nvidia.com exists."""
    upgrade_remakes_operands: bool
    """An upgrade in place, of values alone, too, takes admission, pod-grouper and controllers away for a while."""
    gpu_sharing_key: str
    reservation_runtime_class_keys: tuple[str, ...]
    """Where the RuntimeClass of the reservation pods goes: without it they find no NVML and fractions hang."""
    reservation_runtime_class: str | None
    """What it is when no key says it; None: the node's default runtime."""
    reservation_resources_key: str | None
    """Where the requests of the reservation pods go (one pod for each GPU that fractions share)."""
    pod_runtime_class_key: str | None
    """Where the RuntimeClass goes that admission puts on GPU pods."""
    pod_runtime_class_scope: Literal["none", "gpu pods", "fraction pods"]
    """Which pods admission puts it on."""
    pod_runtime_class_can_be_off: bool
    """Whether an empty value switches that off; else it falls back to `nvidia`."""
    cdi_key: str | None
    fake_gpu_args: Mapping[str, tuple[str, ...]]
    """Extra arguments by value path for fake GPUs; where empty the node label run.ai/fake.gpu=true does the same. Then
    the reservation pod only sleeps, and whatever fakes the GPUs must name its GPU in its annotation (not tried)."""
    node_selector_reaches_operands: bool
    pull_policy_keys: tuple[str, ...]
    default_queue_key: str | None
    """The chart's own default queue, which we switch off: ours are the only queues."""
    fractions_enforced: bool
    """Whether a fraction's GPU memory is a limit. Where not, it is accounting."""
    fractions_need_default_runtime: bool
    """Fractions work only where `nvidia` is the default runtime, or every pod gets the RuntimeClass on the host."""
    leftovers: tuple[Leftover, ...]
    webhooks: tuple[str, ...]
    """Validating webhook configurations; while one does not answer, Queues or pods are refused."""
    traps: tuple[Trap, ...]

    @property
    def footprint(self) -> Footprint:
        """Requests and number of its pods, without the reservation pods of shared GPUs."""
        return _sum(self.operands)

    @property
    def fixed_runtime_class(self) -> str | None:
        """A RuntimeClass that must exist where it runs, even if none is asked for: the release names it by itself."""
        forced = self.pod_runtime_class_key is not None and not self.pod_runtime_class_can_be_off
        return _NVIDIA if forced else self.reservation_runtime_class

    @property
    def supported(self) -> bool:
        """Whether upstream ever promised support; see `support` for a day."""
        return self.support_ends is not None


@dataclass(frozen=True, kw_only=True)
class VclusterRelease:
    """A release of vCluster."""

    version: str
    """Without v, as chart version."""
    repo: str
    support_ends: date
    support_source: str
    default_kubernetes: str
    """The chart's own default tag of its Kubernetes image."""
    kubernetes_versions: tuple[str, ...]
    """Tags of ghcr.io/loft-sh/kubernetes that this release knows, newest first."""
    kubernetes_source: str
    backing_stores: tuple[str, ...]
    operands: tuple[Operand, ...]
    etcd: Operand
    """One more pod with `backing_store="etcd"`."""
    traps: tuple[Trap, ...]

    def footprint(self, backing_store: str = "sqlite") -> Footprint:
        """Requests and number of its pods: control plane, CoreDNS and, where chosen, etcd."""
        return _sum((*self.operands, self.etcd) if backing_store == "etcd" else self.operands)


@dataclass(frozen=True, kw_only=True)
class DevicePluginRelease:
    """A release of NVIDIA's device plugin."""

    version: str
    """Without v, as chart version."""
    repo: str
    images: Mapping[str, str]
    """Images without tag by value path."""
    pull_policy_keys: tuple[str, ...]
    source: str
    traps: tuple[Trap, ...]


@dataclass(frozen=True, kw_only=True)
class GpuOperatorRelease:
    """A release of NVIDIA's GPU Operator."""

    version: str
    """With v, as chart version."""
    repo: str
    kubernetes: str | None
    """Range that upstream validated; None: not looked up."""
    images: Mapping[str, str]
    """Registry and path of its images by value path."""
    pull_policy_keys: tuple[str, ...]
    crds: tuple[str, ...]
    """They stay after uninstalling, unless operator.cleanupCRD."""
    source: str
    traps: tuple[Trap, ...]


# --- small tools ----------------------------------------------------------------------------------------------------


def _put(values: dict[str, JSON], path: str, value: JSON) -> None:
    """Set a dotted value path, making the tables on its way. Dots inside a key do not occur in these charts."""
    *tables, last = path.split(".")
    for name in tables:
        table = values.setdefault(name, {})
        if not isinstance(table, dict):
            message = f"value path {path!r} runs through {name!r}, which is {table!r}"
            raise ValueError(message)
        values = table
    values[last] = value


def _sum(operands: Sequence[Operand]) -> Footprint:
    return Footprint(
        cpu_millicores=sum(o.cpu_millicores for o in operands),
        memory_mib=sum(o.memory_mib for o in operands),
        pods=len(operands),
    )


def _requests(operand: Operand) -> JSON:
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


def _strings(items: Sequence[str]) -> list[JSON]:
    return list(items)


def _table(items: Mapping[str, str]) -> dict[str, JSON]:
    return dict(items)


# --- KAI ------------------------------------------------------------------------------------------------------------

# the organisation changed in March 2026; what was published before stays where it was
# (KAI@v0.9.15 and @v0.9.16:.github/workflows/push-artifacts.yaml)
_CHART_OLD: Final = "oci://ghcr.io/nvidia/kai-scheduler/kai-scheduler"
_IMAGES_OLD: Final = "ghcr.io/nvidia/kai-scheduler"
_CHART_NEW: Final = "oci://ghcr.io/kai-scheduler/kai-scheduler/kai-scheduler"
_IMAGES_NEW: Final = "ghcr.io/kai-scheduler/kai-scheduler"


def _small(name: str, key: str, memory_limit_mib: int = 256) -> Operand:
    """Requests for one tenant's KAI. Upstream's are for whole clusters (0.7.11: 250m for each of five pods); limits
    leave room for bursts, and CPU has none of ours."""
    return Operand(name=name, cpu_millicores=20, memory_mib=64, memory_limit_mib=memory_limit_mib, key=key)


# the scheduler keeps a snapshot of all nodes and pods
def _small_scheduler(name: str) -> Operand:
    return Operand(name=name, cpu_millicores=50, memory_mib=128, memory_limit_mib=1024, key="scheduler.resources")


# the operator's own defaults, where the chart takes no requests
# (KAI@v0.9.3:pkg/apis/kai/v1/{binder/binder,pod_grouper/pod_grouper,pod_group_controller/pod_group_controller,
# queue_controller/queue_controller,common/resources}.go; the same numbers at v0.9.8 and v0.12.23)
_BINDER: Final = Operand(name="binder", cpu_millicores=50, memory_mib=200, memory_limit_mib=200, key=None)
_POD_GROUPER: Final = Operand(name="pod-grouper", cpu_millicores=50, memory_mib=200, memory_limit_mib=200, key=None)
_GROUP_CONTROLLER: Final = Operand(
    name="podgroup-controller", cpu_millicores=20, memory_mib=100, memory_limit_mib=100, key=None
)
_QUEUE_CONTROLLER: Final = Operand(
    name="queue-controller", cpu_millicores=20, memory_mib=50, memory_limit_mib=100, key=None
)
_ADMISSION: Final = Operand(name="admission", cpu_millicores=50, memory_mib=256, memory_limit_mib=512, key=None)

CLUSTER_POLICY_CRD: Final = "clusterpolicies.nvidia.com"
"""The CRD behind `needs_cluster_policy_crd`: nvidia.com/v1, kind ClusterPolicy, cluster-scoped; any schema will do."""

RESERVATION_POD: Final = Operand(
    # upstream's own example (KAI@v0.12.23:deployments/kai-scheduler/values.yaml), with room in memory for NVML
    name="gpu-reservation",
    cpu_millicores=1,
    memory_mib=10,
    memory_limit_mib=128,
    key="binder.resourceReservationPodResources",
)
"""One for each GPU that fractions share. Releases without a key for it take the namespace's defaults (LimitRange)."""

_KAI_CONFIG: Final = Leftover(api_version="kai.scheduler/v1", kind="Config", name="kai-config")
_DEFAULT_SHARD: Final = Leftover(api_version="kai.scheduler/v1", kind="SchedulingShard", name="default")

_ORPHANED_NAMESPACE: Final = Trap(
    id="reservation-namespace-stays",
    sentence="the namespace kai-resource-reservation stays after the chart is gone (resource-policy keep)",
    handling="our own object where KAI is on the host; it goes with a virtual cluster",
    source="observed; KAI@v0.9.3:deployments/kai-scheduler/templates/services/resourcereservation-namespace.yaml",
)
_CLUSTER_POLICY: Final = Trap(
    id="cluster-policy-crd",
    sentence="the operator restarts for ever without the CRD clusterpolicies.nvidia.com, which the GPU Operator brings",
    handling="a minimal CRD of that name before the chart, where nobody else brings it",
    source="observed (0.9.3); from 0.12.0 it looks first: KAI@v0.12.23:pkg/operator/controller/config_controller.go",
    flag="needs_cluster_policy_crd",
)
_WAIT: Final = Trap(
    id="helm-wait",
    sentence="Helm is content 30 to 45 seconds before the operator has made binder, admission and queue-controller",
    handling="Queues and checks wait until the webhooks let them in, and a check follows every change",
    source="observed (0.9.3)",
    flag="operator",
)
_ACCOUNTING: Final = Trap(
    id="fractions-are-accounting",
    sentence="a GPU fraction is a number in the scheduler: a pod may use all memory of the GPU that it shares",
    handling="said in docs and check reports; users bound their own memory",
    source="https://github.com/kai-scheduler/KAI-Scheduler/issues/49",
    flag="fractions_enforced",
)
_ROLLBACK: Final = Trap(
    id="helm-rollback",
    sentence="`helm rollback` fails and leaves the release broken, in every version",
    handling="the way back is a replacement",
    source="KAI@v0.17.0:docs/migrationguides/README.md",
    flag="line",
)
_OFF_MAIN: Final = Trap(
    id="off-main",
    sentence="0.9.2 and 0.9.3 were tagged off main: Helm refuses to upgrade them to 0.9.4 and later, and back",
    handling="a change of line is a replacement",
    source='observed (0.9.3 to 0.9.8: ServiceAccount "binder" cannot be imported into the current release)',
    flag="line",
)
_REQUESTS_MISPLACED: Final = Trap(
    id="operand-requests-misplaced",
    sentence="the chart indents the operands' requests wrongly: with them it renders invalid YAML or drops them",
    handling="those operands have no key; their requests are the operator's own",
    source="KAI@v0.9.3:deployments/kai-scheduler/templates/kai-config.yaml (nindent 6), likewise @v0.9.8",
    flag="operands",
)
_CONFIG_STAYS: Final = Trap(
    id="config-stays",
    sentence="kai-config is a hook's object: uninstalling leaves it and its pods, and an older chart is then refused",
    handling="leftovers are deleted between two lines",
    source='observed (0.9.8 to 0.9.3: Config "kai-config" cannot be imported into the current release)',
    flag="leftovers",
)
_SHARD_STAYS: Final = Trap(
    id="shard-stays",
    sentence="the SchedulingShard `default` stays after uninstalling: a second scheduler under an older chart",
    handling="leftovers are deleted between two lines",
    source="KAI@v0.17.0:docs/migrationguides/v0.13.0/README.md; the second scheduler is inferred",
    flag="leftovers",
)
# the same in 0.10 to 0.12.21 and 0.13 to 0.14.5 also leaves the scheduler, which is the shard's there, with the token
# of a ServiceAccount that is gone: 401 for 48 minutes, Ready all the while. that is why those are not listed
_REMADE_OPERANDS: Final = Trap(
    id="remade-operands",
    sentence="every upgrade deletes and remakes kai-config: admission, pod-grouper and controllers go and come back",
    handling="Queues and checks wait until the webhooks let them in, and a check follows every change",
    source="https://github.com/kai-scheduler/KAI-Scheduler/issues/1536; 0.9's chart owns its scheduler: inferred",
    flag="upgrade_remakes_operands",
)
_EMPTY_RESERVATION_CLASS: Final = Trap(
    id="empty-reservation-runtime-class",
    sentence="the reservation pod has no RuntimeClass unless a value names it: fractions then find no NVML",
    handling="kai_values sets the key",
    source="KAI@v0.9.8:deployments/kai-scheduler/templates/services/binder.yaml; KAI@v0.16.8:CHANGELOG.md (0.16.0)",
    flag="reservation_runtime_class_keys",
)
_FORCED_CLASS: Final = Trap(
    id="forced-pod-runtime-class",
    sentence="admission puts the RuntimeClass nvidia on every GPU pod, and an empty value does not switch it off",
    handling="the class must exist in the virtual cluster",
    source="KAI@v0.9.8:deployments/kai-scheduler/templates/kai-config.yaml (default nvidia), likewise @v0.12.23",
    flag="fixed_runtime_class",
)
_DEFAULT_QUEUE: Final = Trap(
    id="default-queue",
    sentence="the chart makes a default queue without limit, where pods without a queue escape the team's queues",
    handling="kai_values switches it off",
    source="KAI@v0.12.23:deployments/kai-scheduler/templates/default-queue.yaml",
    flag="default_queue_key",
)
_CLEANUP_NAMESPACE: Final = Trap(
    id="cleanup-namespace",
    sentence="uninstalling deletes every Deployment of the namespace kai-scheduler, whatever namespace KAI was in",
    handling="KAI lives in the namespace kai-scheduler, and nothing else does",
    source="KAI@v0.12.23:deployments/kai-scheduler/templates/hooks/post/post-delete-job.yaml",
)

_V0_7_11: Final = KaiRelease(
    version="v0.7.11",
    line="0.7",
    chart=_CHART_OLD,
    images=_IMAGES_OLD,
    support_ends=None,
    support_source="KAI@v0.17.0:SUPPORT.md does not list 0.7",
    kubernetes_max="1.34",
    kubernetes_default="v1.34.0",
    kubernetes_source="observed on 1.34.4 (CPU only); built with client-go 0.32.5 (KAI@v0.7.11:go.mod)",
    operands=(
        _small_scheduler("scheduler"),
        _small("binder", "binder.resources"),
        _small("podgrouper", "podgrouper.resources"),
        _small("podgroup-controller", "podgroupcontroller.resources"),
        _small("queuecontroller", "queuecontroller.resources"),
    ),
    operator=False,
    needs_cluster_policy_crd=False,
    upgrade_remakes_operands=False,
    gpu_sharing_key="global.gpuSharing",
    reservation_runtime_class_keys=(),
    reservation_runtime_class=None,
    reservation_resources_key=None,
    pod_runtime_class_key=None,
    pod_runtime_class_scope="none",
    pod_runtime_class_can_be_off=True,
    cdi_key="binder.cdi",
    # it does not look at the nodes' labels: KAI@v0.7.11:cmd/binder/app/options.go
    fake_gpu_args=MappingProxyType({"binder.additionalArgs": ("--fake-gpu-nodes=true",)}),
    node_selector_reaches_operands=True,
    pull_policy_keys=(
        "binder.image.pullPolicy",
        "scheduler.image.pullPolicy",
        "podgrouper.image.pullPolicy",
        "podgroupcontroller.image.pullPolicy",
        "queuecontroller.image.pullPolicy",
        "webhookmanager.image.pullPolicy",
        "crdupgrader.image.pullPolicy",
    ),
    default_queue_key=None,
    fractions_enforced=False,
    fractions_need_default_runtime=True,
    leftovers=(),
    webhooks=("kai-binder", "kai-queuecontroller"),
    traps=(
        Trap(
            id="reservation-without-runtime-class",
            sentence="the reservation pod has no RuntimeClass: fractions fail unless nvidia is the default runtime",
            handling="the RuntimeClass goes to every synced pod (vcluster_values runtime_class)",
            source="https://github.com/kai-scheduler/KAI-Scheduler/issues/349 (fixed in 0.7.12); our way: inferred",
            flag="fractions_need_default_runtime",
        ),
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
    ),
)

_V0_9_3: Final = KaiRelease(
    version="v0.9.3",
    line="0.9.2-0.9.3",
    chart=_CHART_OLD,
    images=_IMAGES_OLD,
    support_ends=date(2026, 9, 30),
    support_source="KAI@v0.17.0:SUPPORT.md (0.9: Sep 2026)",
    kubernetes_max="1.34",
    kubernetes_default="v1.34.0",
    kubernetes_source="observed on 1.34.4 (advertised GPUs, not real ones); client-go 0.32.5 (KAI@v0.9.3:go.mod)",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("scheduler"),
        _BINDER,
        _POD_GROUPER,
        _GROUP_CONTROLLER,
        _QUEUE_CONTROLLER,
        _ADMISSION,
    ),
    operator=True,
    needs_cluster_policy_crd=True,
    upgrade_remakes_operands=False,
    gpu_sharing_key="global.gpuSharing",
    reservation_runtime_class_keys=(),
    # hard-coded: KAI@v0.9.3:pkg/binder/binding/resourcereservation/resource_reservation.go
    reservation_runtime_class=_NVIDIA,
    reservation_resources_key=None,
    pod_runtime_class_key=None,
    pod_runtime_class_scope="none",
    pod_runtime_class_can_be_off=True,
    # no key: it follows the ClusterPolicy of the GPU Operator (KAI@v0.9.3:pkg/operator/operands/binder/resources.go)
    cdi_key=None,
    fake_gpu_args=_NO_ARGS,
    node_selector_reaches_operands=False,
    pull_policy_keys=(
        "operator.image.pullPolicy",
        "binder.image.pullPolicy",
        "scheduler.image.pullPolicy",
        "podgroupcontroller.image.pullPolicy",
        "queuecontroller.image.pullPolicy",
        "admission.image.pullPolicy",
        "crdupgrader.image.pullPolicy",
    ),
    default_queue_key=None,
    fractions_enforced=False,
    fractions_need_default_runtime=False,
    leftovers=(),  # kai-config is an object of the release here, and goes with it
    webhooks=("validating-kai-admission", "kai-queue-validation-v2"),
    traps=(_CLUSTER_POLICY, _WAIT, _OFF_MAIN, _REQUESTS_MISPLACED, _ACCOUNTING, _ROLLBACK, _ORPHANED_NAMESPACE),
)
_V0_9_2: Final = replace(_V0_9_3, version="v0.9.2")

_V0_9_8: Final = replace(
    _V0_9_3,
    version="v0.9.8",
    # the v0.9 branch, 0.9.4 to 0.9.20: binder and scheduler are Deployments of the chart
    # (KAI@v0.9.8:pkg/operator/controller/config_controller.go)
    line="0.9.4-0.9.20",
    kubernetes_source="observed on 1.34.4; client-go 0.34.1 (KAI@v0.9.8:go.mod)",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("scheduler"),
        _small("binder", "binder.resources"),
        _POD_GROUPER,
        _GROUP_CONTROLLER,
        _QUEUE_CONTROLLER,
        _ADMISSION,
    ),
    upgrade_remakes_operands=True,
    reservation_runtime_class_keys=("global.resourceReservation.runtimeClassName",),
    reservation_runtime_class=None,
    pod_runtime_class_key="admission.gpuPodRuntimeClassName",
    pod_runtime_class_scope="gpu pods",
    pod_runtime_class_can_be_off=False,
    cdi_key="binder.cdi",
    # its binder is not the operator's, so nobody looks at the nodes' labels
    fake_gpu_args=MappingProxyType({"binder.additionalArgs": ("--fake-gpu-nodes=true",)}),
    leftovers=(_KAI_CONFIG,),
    traps=(
        _CLUSTER_POLICY,
        _WAIT,
        _OFF_MAIN,
        _REQUESTS_MISPLACED,
        _CONFIG_STAYS,
        _REMADE_OPERANDS,
        _EMPTY_RESERVATION_CLASS,
        _FORCED_CLASS,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
    ),
)

_HOOK_PULL_POLICY_KEYS: Final = (
    "crdupgrader.image.pullPolicy",
    "kaiConfigDeployer.image.pullPolicy",
    "topologyMigration.image.pullPolicy",
    "postCleanup.image.pullPolicy",
)

_V0_12_23: Final = replace(
    _V0_9_3,
    version="v0.12.23",
    # upstream upgrades from minor to minor in place (its migration guides), but all pods stayed pending after one such
    # step (issue 1124) and none was run here: each minor is a line of its own, and a replacement keeps the queues
    line="0.12",
    chart=_CHART_NEW,
    images=_IMAGES_NEW,
    support_ends=date(2026, 12, 31),
    support_source="KAI@v0.17.0:SUPPORT.md (0.12: Dec 2026)",
    kubernetes_source="client-go 0.34.3 (KAI@v0.12.23:go.mod); 0.12.17 observed to start on 1.34.4",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("kai-scheduler-default"),
        _small("binder", "binder.resources"),
        _POD_GROUPER,  # the chart has no key for it before 0.13
        _small("podgroup-controller", "podgroupcontroller.resources"),
        _small("queue-controller", "queuecontroller.resources"),
        _small("admission", "admission.resources", memory_limit_mib=512),
    ),
    needs_cluster_policy_crd=False,
    reservation_runtime_class_keys=("binder.runtimeClassName",),
    # KAI@v0.12.23:pkg/apis/kai/v1/binder/binder.go
    reservation_runtime_class=_NVIDIA,
    reservation_resources_key=RESERVATION_POD.key,
    pod_runtime_class_key="admission.gpuPodRuntimeClassName",
    pod_runtime_class_scope="gpu pods",
    pod_runtime_class_can_be_off=False,
    cdi_key="binder.cdiEnabled",
    pull_policy_keys=(
        "operator.image.pullPolicy",
        "binder.image.pullPolicy",
        "scheduler.image.pullPolicy",
        "podgroupcontroller.image.pullPolicy",
        "queuecontroller.image.pullPolicy",
        "admission.image.pullPolicy",
        *_HOOK_PULL_POLICY_KEYS,
    ),
    default_queue_key="defaultQueue.createDefaultQueue",
    leftovers=(_KAI_CONFIG, _DEFAULT_SHARD),
    webhooks=("validating-kai-admission", "kai-queue-validation-v2", "kai-podgroup-validation-v2alpha2"),
    traps=(
        _WAIT,
        _CONFIG_STAYS,
        _SHARD_STAYS,
        _FORCED_CLASS,
        _DEFAULT_QUEUE,
        _CLEANUP_NAMESPACE,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
    ),
)

_V0_14_7: Final = replace(
    _V0_12_23,
    version="v0.14.7",
    line="0.14",
    support_ends=date(2027, 3, 31),
    support_source="KAI@v0.17.0:SUPPORT.md (0.14: Mar 2027)",
    kubernetes_max="1.35",
    kubernetes_default="v1.35.0",
    kubernetes_source="KAI@v0.17.0:SUPPORT.md (1.31 to 1.35)",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("kai-scheduler-default"),
        _small("binder", "binder.resources"),
        _small("pod-grouper", "podgrouper.resources"),
        _small("podgroup-controller", "podgroupcontroller.resources"),
        _small("queue-controller", "queuecontroller.resources"),
        _small("admission", "admission.resources", memory_limit_mib=512),
    ),
    pod_runtime_class_can_be_off=True,
    node_selector_reaches_operands=True,
    pull_policy_keys=(
        *_V0_12_23.pull_policy_keys,
        "podgrouper.image.pullPolicy",
        "binder.resourceReservationImage.pullPolicy",
    ),
    # from 0.13 a hook deletes kai-config, too; it is here for when that hook did not run
    traps=(_WAIT, _SHARD_STAYS, _DEFAULT_QUEUE, _CLEANUP_NAMESPACE, _ACCOUNTING, _ROLLBACK, _ORPHANED_NAMESPACE),
)

_V0_16_8: Final = replace(
    _V0_14_7,
    version="v0.16.8",
    line="0.16",
    support_ends=date(2027, 6, 30),
    support_source="KAI@v0.17.0:SUPPORT.md (0.16: Jun 2027)",
    kubernetes_max="1.36",
    kubernetes_default="v1.36.0",
    kubernetes_source="KAI@v0.17.0:SUPPORT.md (1.28 to 1.36)",
    # since 0.16.0 whole-GPU pods are left alone, and the reservation pod's class is empty by default
    # (KAI@v0.16.8:CHANGELOG.md, pkg/apis/kai/v1/{admission/admission,binder/binder}.go)
    reservation_runtime_class=None,
    pod_runtime_class_key="admission.gpuFractionRuntimeClassName",
    pod_runtime_class_scope="fraction pods",
    traps=(
        _WAIT,
        _SHARD_STAYS,
        _EMPTY_RESERVATION_CLASS,
        Trap(
            id="whole-gpu-pods-without-class",
            sentence="admission names no RuntimeClass on whole-GPU pods: they need one where nvidia is not the default",
            handling="our pods name it; users are told",
            source="KAI@v0.16.8:CHANGELOG.md (0.16.0)",
            flag="pod_runtime_class_scope",
        ),
        _DEFAULT_QUEUE,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
    ),
)

KAI: Final[Mapping[str, KaiRelease]] = MappingProxyType(
    {r.version: r for r in (_V0_7_11, _V0_9_2, _V0_9_3, _V0_9_8, _V0_12_23, _V0_14_7, _V0_16_8)}
)
"""By version, oldest first."""

DEFAULT_KAI: Final = "v0.16.8"  # the newest supported long-term line


def kai_values(
    release: KaiRelease,
    *,
    gpu_sharing: bool,
    runtime_class: str | None = None,
    cdi: bool | None = None,
    fake_gpus: bool = False,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
    tolerations: Sequence[JSON] = (),
    node_selector: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, JSON]:
    """Return the Helm values for one KAI.

    `runtime_class` is the RuntimeClass of GPU pods; keys that a release lacks are left out, and without one
    `fixed_runtime_class` says which must exist all the same. `cdi` None leaves it to the release, whose look at the
    GPU Operator's ClusterPolicy finds nothing in a virtual cluster: name it there. `image_registry` replaces the
    registry host of every image.
    """
    values: dict[str, JSON] = {}
    _put(values, release.gpu_sharing_key, gpu_sharing)
    if runtime_class is not None:
        for key in release.reservation_runtime_class_keys:
            _put(values, key, runtime_class)
        if release.pod_runtime_class_key is not None:
            _put(values, release.pod_runtime_class_key, runtime_class)
    elif release.pod_runtime_class_key is not None and release.pod_runtime_class_can_be_off:
        # the chart's own value is nvidia, and admission would name a class that is not there
        _put(values, release.pod_runtime_class_key, "")
    if release.reservation_resources_key is not None:
        _put(values, release.reservation_resources_key, _requests(RESERVATION_POD))
    if cdi is not None and release.cdi_key is not None:
        _put(values, release.cdi_key, cdi)
    if fake_gpus:
        for key, args in release.fake_gpu_args.items():
            _put(values, key, _strings(args))
    if release.default_queue_key is not None:
        _put(values, release.default_queue_key, False)
    for operand in release.operands:
        if operand.key is not None:
            _put(values, operand.key, _requests(operand))
    if image_registry is not None:
        _put(values, "global.registry", mirrored(release.images, image_registry))
    if pull_policy is not None:
        for key in release.pull_policy_keys:
            _put(values, key, pull_policy)
    if tolerations:
        _put(values, "global.tolerations", list(tolerations))
    if node_selector:
        _put(values, "global.nodeSelector", _table(node_selector))
    return values


def same_line(a: KaiRelease, b: KaiRelease) -> bool:
    """Whether Helm may upgrade one to the other in place. Else: uninstall, delete the leftovers of `a`, install `b`."""
    return a.line == b.line


# --- vCluster -------------------------------------------------------------------------------------------------------

_VCLUSTER_REPO: Final = (
    "https://charts.loft.sh"  # VC@v0.29.3:.github/workflows/release.yaml publishes to no OCI registry
)

_CONTROL_PLANE: Final = Operand(
    # the chart asks for 200m and 256Mi (VC@v0.29.3:chart/values.yaml); idle it needs a fraction of the CPU
    name="vcluster",
    cpu_millicores=100,
    memory_mib=256,
    memory_limit_mib=4096,
    key="controlPlane.statefulSet.resources",
)
_COREDNS: Final = Operand(
    name="coredns",
    cpu_millicores=20,
    memory_mib=64,
    memory_limit_mib=170,
    key="controlPlane.coredns.deployment.resources",
)
_ETCD: Final = Operand(
    name="etcd",
    cpu_millicores=20,
    memory_mib=150,
    memory_limit_mib=1024,
    key="controlPlane.backingStore.etcd.deploy.statefulSet.resources",
)

_VCLUSTER_TRAPS: Final = (
    Trap(
        id="gpus-of-others-look-free",
        sentence="a virtual scheduler sees every GPU of a node as free: other tenants' are never netted out",
        handling="the collision invariant in capacity",
        source="observed; VC@v0.29.3:pkg/controllers/resources/nodes/translate.go",
    ),
    Trap(
        id="pro-image",
        sentence="the chart's own image is vcluster-pro: with a key of a paid feature and no licence it crash-loops",
        handling="vcluster_values names loft-sh/vcluster-oss",
        source="VC@v0.29.3:chart/values.yaml (controlPlane.statefulSet.image)",
    ),
    Trap(
        id="empty-dir",
        sentence="without persistence a restart of the control plane's pod loses everything inside",
        handling="persistence is on outside the lab",
        source="observed (0.29.0)",
    ),
    Trap(
        id="synced-kinds-vanish-inside",
        sentence="with fromHost sync of RuntimeClasses or PriorityClasses on, those made inside are deleted",
        handling="RuntimeClasses are made on the host; PriorityClasses are not synced beside KAI, which brings its own",
        source="VC@v0.36.1:pkg/controllers/resources/{priorityclasses,runtimeclasses}/syncer.go (SyncToHost)",
    ),
    Trap(
        id="secret-lags",
        sentence="the kubeconfig Secret comes some time after Helm is content, later on a busy host",
        handling="whatever reads it waits for it, and survives that it is missing",
        source="observed (0.29.0)",
    ),
    Trap(
        id="second-node-port",
        sentence="with proxyKubelets.byHostname a NodePort Service takes a second, random port",
        handling="vcluster_values switches proxyKubelets off",
        source="VC@v0.29.3:chart/templates/service.yaml",
    ),
)

_OSS_IMAGE: Final = "loft-sh/vcluster-oss"

_KNOWN_KUBERNETES: Final = ("v1.36.0", "v1.35.0", "v1.34.0", "v1.33.4", "v1.32.1", "v1.31.1", "v1.30.2")


def _vcluster(version: str, *, kubernetes: str, ends: date) -> VclusterRelease:
    return VclusterRelease(
        version=version,
        repo=_VCLUSTER_REPO,
        support_ends=ends,
        support_source="VD@HEAD (2026-08-21):static/api/lifecycle/vcluster.json (eolDate)",
        default_kubernetes=kubernetes,
        kubernetes_versions=_KNOWN_KUBERNETES[_KNOWN_KUBERNETES.index(kubernetes) :],
        kubernetes_source=f"VC@v{version}:config/default_extra_values.go, chart/values.yaml",
        backing_stores=("sqlite", "etcd"),
        operands=(_CONTROL_PLANE, _COREDNS),
        etcd=_ETCD,
        traps=_VCLUSTER_TRAPS,
    )


VCLUSTER: Final[Mapping[str, VclusterRelease]] = MappingProxyType(
    {
        r.version: r
        for r in (
            _vcluster("0.29.3", kubernetes="v1.33.4", ends=date(2026, 4, 1)),
            _vcluster("0.30.5", kubernetes="v1.34.0", ends=date(2026, 4, 28)),
            _vcluster("0.31.3", kubernetes="v1.34.0", ends=date(2026, 7, 29)),
            _vcluster("0.32.3", kubernetes="v1.35.0", ends=date(2026, 8, 18)),
            _vcluster("0.33.4", kubernetes="v1.35.0", ends=date(2026, 9, 13)),
            _vcluster("0.34.7", kubernetes="v1.35.0", ends=date(2026, 10, 29)),
            _vcluster("0.35.3", kubernetes="v1.36.0", ends=date(2026, 12, 16)),
            _vcluster("0.36.1", kubernetes="v1.36.0", ends=date(2027, 1, 22)),
        )
    }
)
"""By version, oldest first; the latest patch of each minor. Every key of `vcluster_values` is in all their charts."""

DEFAULT_VCLUSTER: Final = "0.36.1"


def _minor(version: str) -> tuple[int, int]:
    major, minor, *_ = version.removeprefix("v").split(".")
    return int(major), int(minor)


def kubernetes_for(vcluster: VclusterRelease, kai: KaiRelease | None) -> str:
    """Return the Kubernetes of a virtual cluster, as a tag of vCluster's image: what its KAI was built for, where this
    vCluster knows it, else the newest below. Without a KAI it is vCluster's own default."""
    if kai is None:
        return vcluster.default_kubernetes
    if kai.kubernetes_default in vcluster.kubernetes_versions:
        return kai.kubernetes_default
    fitting = [v for v in vcluster.kubernetes_versions if _minor(v) <= _minor(kai.kubernetes_max)]
    return max(fitting, key=_minor)


def fits(kubernetes_version: str, kai: KaiRelease) -> bool:
    """Whether a KAI was validated or seen on that Kubernetes (`v1.34.0`) or a newer one."""
    return _minor(kubernetes_version) <= _minor(kai.kubernetes_max)


VCLUSTER_STORAGE: Final = "5Gi"
"""The volume that one virtual cluster claims for its objects, with either backing store. The claim lies in the team's
namespace, so the team's quota for storage counts it."""


def vcluster_values(
    release: VclusterRelease,
    *,
    team: str,
    namespace: str,
    kubernetes_version: str | None = None,
    virtual_scheduler: bool,
    node_selector_labels: Mapping[str, str] = MappingProxyType({}),
    sync_runtime_classes: bool = False,
    sync_priority_classes: bool = False,
    enforce_tolerations: Sequence[str] = (),
    runtime_class: str | None = None,
    persistence: bool = True,
    storage_class: str | None = None,
    storage_size: str = VCLUSTER_STORAGE,
    backing_store: Literal["sqlite", "etcd"] = "sqlite",
    server: str | None = None,
    extra_sans: Sequence[str] = (),
    context: str | None = None,
    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP",
    node_port: int | None = None,
    set_owner: bool = True,
    priority_class: str | None = None,
    node_selector: Mapping[str, str] = MappingProxyType({}),
    tolerations: Sequence[JSON] = (),
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values for one team's virtual cluster. Only keys that work without a licence.

    `node_selector_labels` are the host nodes that the team sees; `node_selector` and `tolerations` place its control
    plane (and etcd). `enforce_tolerations` (`key=value:Effect`) go to every synced pod and hide the taint inside.
    `runtime_class` goes to every synced pod. `priority_class` (of the host) goes to the control plane and to every
    synced pod, whatever class it names inside: that needs no sync of PriorityClasses. `server` is the URL in the
    kubeconfig Secret `vc-<team>`; default: the Service's name in the host cluster.

    Raises `ValueError` for a backing store that the release lacks, and for `sync_priority_classes` beside a scheduler
    inside: the syncer would delete the PriorityClasses that KAI's chart makes.
    """
    if sync_priority_classes and virtual_scheduler:
        message = "sync_priority_classes would delete KAI's own PriorityClasses; give the team a priority_class instead"
        raise ValueError(message)
    if backing_store not in release.backing_stores:
        known = ", ".join(release.backing_stores)
        message = f"vCluster {release.version} has no backing store {backing_store!r}; use one of {known}"
        raise ValueError(message)
    values: dict[str, JSON] = {}
    _put(values, "controlPlane.distro.k8s.enabled", True)
    _put(values, "controlPlane.distro.k8s.image.tag", kubernetes_version or release.default_kubernetes)
    _put(values, "controlPlane.distro.k8s.scheduler.enabled", virtual_scheduler)
    # the default image carries the paid features, switched off; one stray key and it wants a licence
    _put(values, "controlPlane.statefulSet.image.repository", _OSS_IMAGE)
    service_host = f"{team}.{namespace}"
    _put(values, "controlPlane.proxy.extraSANs", _strings([f"{service_host}.svc", *extra_sans]))
    _put(values, "exportKubeConfig.server", server or f"https://{service_host}.svc:443")
    _put(values, "exportKubeConfig.context", context or team)
    _put(values, "controlPlane.service.spec.type", service_type)
    if node_port is not None:
        _put(values, "controlPlane.service.httpsNodePort", node_port)

    control_plane = "controlPlane.statefulSet"
    etcd = "controlPlane.backingStore.etcd.deploy"
    operands, stateful_sets, store = release.operands, [control_plane], control_plane
    if backing_store == "etcd":
        _put(values, f"{etcd}.enabled", True)
        operands, store = (*operands, release.etcd), f"{etcd}.statefulSet"
        stateful_sets.append(store)
    else:
        _put(values, "controlPlane.backingStore.database.embedded.enabled", True)
    claim = f"{store}.persistence.volumeClaim"
    _put(values, f"{claim}.enabled", persistence)
    if persistence:
        _put(values, f"{claim}.size", storage_size)
        if storage_class is not None:
            _put(values, f"{claim}.storageClass", storage_class)

    for operand in operands:
        if operand.key is not None:
            _put(values, operand.key, _requests(operand))

    # without real nodes the syncer makes fake ones, and a scheduler inside has nothing to go by
    _put(values, "sync.fromHost.nodes.enabled", virtual_scheduler or bool(node_selector_labels))
    if node_selector_labels:
        _put(values, "sync.fromHost.nodes.selector.labels", _table(node_selector_labels))
    if virtual_scheduler or node_selector_labels:
        # which images other tenants run is not this one's business
        _put(values, "sync.fromHost.nodes.clearImageStatus", True)
    _put(values, "sync.fromHost.runtimeClasses.enabled", sync_runtime_classes)
    _put(values, "sync.fromHost.priorityClasses.enabled", sync_priority_classes)
    if enforce_tolerations:
        _put(values, "sync.toHost.pods.enforceTolerations", _strings(enforce_tolerations))
    if runtime_class is not None:
        _put(values, "sync.toHost.pods.runtimeClassName", runtime_class)
    if priority_class is not None:
        _put(values, "sync.toHost.pods.priorityClassName", priority_class)
    # else a tenant's tokens stand in clear in the annotations of its pods on the host
    _put(values, "sync.toHost.pods.useSecretsForSATokens", True)
    if not set_owner:
        _put(values, "experimental.syncSettings.setOwner", False)

    # one Service per node, and a second NodePort, for metrics that nobody here reads
    _put(values, "networking.advanced.proxyKubelets.byHostname", False)
    _put(values, "networking.advanced.proxyKubelets.byIP", False)
    # ours, so that previews and policies see them
    _put(values, "policies.resourceQuota.enabled", False)
    _put(values, "policies.limitRange.enabled", False)
    _put(values, "policies.networkPolicy.enabled", False)

    for stateful_set in stateful_sets:
        if node_selector:
            _put(values, f"{stateful_set}.scheduling.nodeSelector", _table(node_selector))
        if tolerations:
            _put(values, f"{stateful_set}.scheduling.tolerations", list(tolerations))
        if priority_class is not None:
            _put(values, f"{stateful_set}.scheduling.priorityClassName", priority_class)
        if pull_policy is not None:
            _put(values, f"{stateful_set}.imagePullPolicy", pull_policy)
    if pull_policy is not None:
        _put(values, "controlPlane.distro.k8s.imagePullPolicy", pull_policy)
    if image_registry is not None:
        _put(values, "controlPlane.advanced.defaultImageRegistry", image_registry.rstrip("/"))
    return values


# --- device plugin --------------------------------------------------------------------------------------------------

_DP_0_20: Final = DevicePluginRelease(
    version="0.20.0",
    repo="https://nvidia.github.io/k8s-device-plugin",
    images=MappingProxyType(
        {
            "image.repository": "nvcr.io/nvidia/k8s-device-plugin",
            "nfd.image.repository": "registry.k8s.io/nfd/node-feature-discovery",
        }
    ),
    pull_policy_keys=("image.pullPolicy", "nfd.image.pullPolicy"),
    source="DP@v0.20.0:deployments/helm/nvidia-device-plugin",
    traps=(
        Trap(
            id="affinity",
            sentence="without NFD its pods go only to nodes with nvidia.com/gpu.present=true: else nowhere, silently",
            handling="NODE_LABEL_GPU_PRESENT on every GPU node",
            source="DP@v0.20.0:deployments/helm/nvidia-device-plugin/values.yaml (affinity)",
        ),
        Trap(
            id="mps-label",
            sentence="the MPS daemon goes only to nodes with nvidia.com/mps.capable=true, which only GFD writes",
            handling="NODE_LABEL_MPS_CAPABLE on MPS nodes where GFD is off",
            source="DP@v0.20.0:internal/lm/nvml.go",
        ),
    ),
)

DEVICE_PLUGIN: Final[Mapping[str, DevicePluginRelease]] = MappingProxyType({r.version: r for r in (_DP_0_20,)})
DEFAULT_DEVICE_PLUGIN: Final = "0.20.0"

NODE_LABEL_GPU_PRESENT: Final = ("nvidia.com/gpu.present", "true")
"""Without NFD the device plugin's affinity needs it on every GPU node."""

NODE_LABEL_MPS_CAPABLE: Final = ("nvidia.com/mps.capable", "true")
"""Without GFD the MPS daemon's node selector needs it."""

NODE_LABEL_SHARING_CONFIG: Final = "nvidia.com/device-plugin.config"
"""Node label that names the node's entry of the plugin's configs (device plugin and GPU Operator alike)."""


@dataclass(frozen=True, kw_only=True)
class SharingConfig:
    """How the plugin advertises the GPUs of a set of nodes. `name` is the value of NODE_LABEL_SHARING_CONFIG there."""

    name: str
    strategy: Literal["none", "timeSlicing", "mps"]
    replicas: int = 1


NO_SHARING: Final = SharingConfig(name="default", strategy="none")
"""What nodes without the label get."""


def sharing_config(config: SharingConfig) -> str:
    """Return one file of the plugin's ConfigMap as YAML (config v1)."""
    lines = ["version: v1"]
    if config.strategy != "none":
        lines += [
            "sharing:",
            f"  {config.strategy}:",
            # renamed to nvidia.com/gpu.shared a replica is no GPU to KAI
            "    renameByDefault: false",
            # two replicas may be the same GPU: a pod that asks for more gets no more of it
            "    failRequestsGreaterThanOne: true",
            "    resources:",
            "      - name: nvidia.com/gpu",
            f"        replicas: {config.replicas}",
        ]
    return "\n".join(lines) + "\n"


def _config_map(configs: Sequence[SharingConfig]) -> dict[str, JSON]:
    return {c.name: sharing_config(c) for c in (NO_SHARING, *configs)}


def device_plugin_values(
    release: DevicePluginRelease,
    *,
    configs: Sequence[SharingConfig] = (),
    runtime_class: str | None = None,
    driver_root: str | None = None,
    gpu_feature_discovery: bool = False,
    tolerations: Sequence[JSON] = (),
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of the device plugin.

    `configs`: one entry per way of sharing; nodes choose by the label NODE_LABEL_SHARING_CONFIG, those without it get
    `NO_SHARING`. `driver_root` only where the driver is not at the usual place (`/` for CDI on kind).
    """
    values: dict[str, JSON] = {"gfd": {"enabled": gpu_feature_discovery}}
    # GFD would bring NFD with it; without NFD the label gpu.present (ours) is what the affinity finds
    _put(values, "nfd.enabled", gpu_feature_discovery)
    if configs:
        _put(values, "config.map", _config_map(configs))
        # with more than one entry the chart refuses to guess
        _put(values, "config.default", NO_SHARING.name)
    if runtime_class is not None:
        values["runtimeClassName"] = runtime_class
    if driver_root is not None:
        values["nvidiaDriverRoot"] = driver_root
    if tolerations:
        # Helm replaces a list: the chart's own toleration of nvidia.com/gpu has to be among them
        values["tolerations"] = list(tolerations)
    if image_registry is not None:
        for key, images in release.images.items():
            _put(values, key, mirrored(images, image_registry))
    if pull_policy is not None:
        for key in release.pull_policy_keys:
            _put(values, key, pull_policy)
    return values


# --- GPU Operator ---------------------------------------------------------------------------------------------------

_NVCR: Final = "nvcr.io/nvidia"
_NVCR_NATIVE: Final = "nvcr.io/nvidia/cloud-native"
_NVCR_K8S: Final = "nvcr.io/nvidia/k8s"

# only what runs with our values: no vGPU, no virtual machines (GO@v25.10.1:deployments/gpu-operator/values.yaml)
_OPERATOR_IMAGES: Final = {
    "validator.repository": _NVCR,
    "operator.repository": _NVCR,
    "driver.repository": _NVCR,
    "driver.manager.repository": _NVCR_NATIVE,
    "toolkit.repository": _NVCR_K8S,
    "devicePlugin.repository": _NVCR,
    "dcgm.repository": _NVCR_NATIVE,
    "dcgmExporter.repository": _NVCR_K8S,
    "gfd.repository": _NVCR,
    "migManager.repository": _NVCR_NATIVE,
    "node-feature-discovery.image.repository": "registry.k8s.io/nfd/node-feature-discovery",
}
_OPERATOR_PULL_POLICY_KEYS: Final = (
    *(
        key.replace(".repository", ".imagePullPolicy")
        for key in _OPERATOR_IMAGES
        if not key.startswith("node-feature-discovery")
    ),
    "node-feature-discovery.image.pullPolicy",
)

_OPERATOR_TRAPS: Final = (
    Trap(
        id="config-map-alone",
        sentence="a time-slicing ConfigMap does nothing until the ClusterPolicy names it; its changes are not watched",
        handling="gpu_operator_values names it, and its name changes with its content",
        source="https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-sharing.html",
    ),
    Trap(
        id="gpu-present-is-its-own",
        sentence="it keeps nvidia.com/gpu.present in step with NFD's labels: nobody else may set that label",
        handling="our pools set it only for the device plugin alone",
        source="GO@v26.7.0:controllers/nodelabeling_controller.go",
    ),
    Trap(
        id="crds-stay",
        sentence="its CRDs stay after uninstalling, the one that KAI 0.9 waits for among them",
        handling="left there: nobody else's objects hang on them",
        source="GO@v25.10.1:deployments/gpu-operator/values.yaml (operator.cleanupCRD: false)",
        flag="crds",
    ),
)
_SERVICE_MONITOR: Final = Trap(
    id="service-monitor-default",
    sentence="dcgm-exporter's ServiceMonitor is on by default, for a CRD that only a Prometheus operator brings",
    handling="gpu_operator_values says which, off by default",
    source="GO@v26.7.0:deployments/gpu-operator/values.yaml (dcgmExporter.serviceMonitor)",
)

_GO_25_10_1: Final = GpuOperatorRelease(
    version="v25.10.1",
    repo="https://helm.ngc.nvidia.com/nvidia",
    kubernetes=None,
    images=MappingProxyType(
        {**_OPERATOR_IMAGES, "operator.initContainer.repository": _NVCR},
    ),
    pull_policy_keys=(*_OPERATOR_PULL_POLICY_KEYS, "operator.initContainer.imagePullPolicy"),
    crds=("clusterpolicies.nvidia.com", "nvidiadrivers.nvidia.com"),
    source="GO@v25.10.1:deployments/gpu-operator",
    traps=_OPERATOR_TRAPS,
)
_GO_26_7_0: Final = replace(
    _GO_25_10_1,
    version="v26.7.0",
    # https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/platform-support.html
    kubernetes="1.33 to 1.36",
    images=MappingProxyType(_OPERATOR_IMAGES),
    pull_policy_keys=_OPERATOR_PULL_POLICY_KEYS,
    crds=(
        *_GO_25_10_1.crds,
        "gpuclusters.nvidia.com",
        "computedomains.resource.nvidia.com",
        "computedomaincliques.resource.nvidia.com",
    ),
    source="GO@v26.7.0:deployments/gpu-operator",
    traps=(*_OPERATOR_TRAPS, _SERVICE_MONITOR),
)

GPU_OPERATOR: Final[Mapping[str, GpuOperatorRelease]] = MappingProxyType(
    {r.version: r for r in (_GO_25_10_1, _GO_26_7_0)}
)
"""By version, oldest first."""

DEFAULT_GPU_OPERATOR: Final = "v26.7.0"

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
    runtime_class: str = _NVIDIA,
    driver: bool = False,
    toolkit: bool = True,
    microk8s: bool = False,
    node_feature_discovery: bool = True,
    service_monitor: bool = False,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of the GPU Operator.

    `driver`: whether it installs the kernel driver; off where the host has one. `toolkit`: off where the host has the
    container toolkit (k3s). `runtime_class` is the RuntimeClass that it makes. `configs` as in `device_plugin_values`.
    """
    values: dict[str, JSON] = {}
    _put(values, "operator.runtimeClass", runtime_class)
    _put(values, "driver.enabled", driver)
    _put(values, "toolkit.enabled", toolkit)
    _put(values, "nfd.enabled", node_feature_discovery)
    _put(values, "dcgmExporter.serviceMonitor.enabled", service_monitor)
    if microk8s and toolkit:
        environment: list[JSON] = [{"name": name, "value": value} for name, value in _MICROK8S_TOOLKIT_ENV.items()]
        _put(values, "toolkit.env", environment)
    if configs:
        data = _config_map(configs)
        digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:8]
        # the operator does not watch the ConfigMap: a new name rolls the plugin's pods
        _put(values, "devicePlugin.config.name", f"gpu-sharing-{digest}")
        _put(values, "devicePlugin.config.create", True)
        _put(values, "devicePlugin.config.default", NO_SHARING.name)
        _put(values, "devicePlugin.config.data", data)
    if image_registry is not None:
        for key, images in release.images.items():
            _put(values, key, mirrored(images, image_registry))
    if pull_policy is not None:
        for key in release.pull_policy_keys:
            _put(values, key, pull_policy)
    return values


# --- support --------------------------------------------------------------------------------------------------------

ENDING_DAYS: Final = 60
"""From so many days before its end a release is `ending`: time for a canary and a change window."""


def support(release: KaiRelease | VclusterRelease, today: date) -> Support:
    """Return where a release stands on a day. A release that was never supported is `ended`."""
    ends = release.support_ends
    if ends is None:
        return Support(state=SupportState.ENDED, days=None, ends=None)
    left = ends - today
    state = (
        SupportState.ENDED
        if left < timedelta(0)
        else SupportState.ENDING
        if left < timedelta(days=ENDING_DAYS)
        else SupportState.SUPPORTED
    )
    return Support(state=state, days=left.days, ends=ends)


# --- images ---------------------------------------------------------------------------------------------------------

CHECK_IMAGE: Final = "docker.io/pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"
"""Python, torch and CUDA 12.8 (Blackwell, too) for the GPU check; some 3 GB. By tag: its digest is not known here."""


# --- the page for people --------------------------------------------------------------------------------------------


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _table_head(*cells: str) -> list[str]:
    return [_row(*cells), _row(*("---" for _ in cells))]


def _cost(footprint: Footprint) -> str:
    return f"{footprint.pods} pods, {footprint.cpu_millicores}m, {footprint.memory_mib} MiB"


def markdown() -> str:
    """Return docs/versions.md. It holds no date of today, so that it changes only when the data does."""
    lines = [
        "# Versions",
        "",
        "Written by `python -m releases` from `releases`, where each fact has a source and",
        f"where a version is raised. Support ends are the vendors' own; {ENDING_DAYS} days before, it is `ending`.",
        "",
        "## KAI scheduler",
        "",
        f"Default: {DEFAULT_KAI}. Releases of one line are upgraded in place. A change of line is a replacement: the",
        "old release is removed, then what its hooks left, then the new one comes; queues and running pods stay.",
        "`helm rollback` is never used.",
        "",
        *_table_head("version", "line", "support ends", "Kubernetes", "each team's KAI costs", "GPU fractions"),
    ]
    for kai in KAI.values():
        fractions = "memory limited" if kai.fractions_enforced else "accounting only"
        if kai.fractions_need_default_runtime:
            fractions += ", RuntimeClass on every pod of the team"
        lines.append(
            _row(
                kai.version,
                kai.line,
                kai.support_ends or "never supported",
                f"up to {kai.kubernetes_max}, {kai.kubernetes_default} by default",
                _cost(kai.footprint),
                fractions,
            )
        )
    lines += [
        "",
        "## vCluster",
        "",
        f"Default: {DEFAULT_VCLUSTER}. The open source image; no key needs a licence.",
        "",
        *_table_head("version", "support ends", "Kubernetes inside", "each team costs", "with etcd"),
    ]
    lines += [
        _row(
            v.version,
            v.support_ends,
            f"{v.kubernetes_versions[-1]} to {v.default_kubernetes}",
            _cost(v.footprint()),
            _cost(v.footprint("etcd")),
        )
        for v in VCLUSTER.values()
    ]
    lines += [
        "",
        "## GPU software on the host",
        "",
        *_table_head("chart", "version", "default", "Kubernetes"),
        *(_row("nvidia-device-plugin", v, "yes" if v == DEFAULT_DEVICE_PLUGIN else "", "any") for v in DEVICE_PLUGIN),
        *(
            _row("gpu-operator", v, "yes" if v == DEFAULT_GPU_OPERATOR else "", r.kubernetes or "not looked up")
            for v, r in GPU_OPERATOR.items()
        ),
        "",
        f"GPU check: `{CHECK_IMAGE}`.",
        "",
        "## Traps",
        "",
        "Sources are `REPOSITORY@TAG:path` (KAI: kai-scheduler/KAI-Scheduler, VC: loft-sh/vcluster, DP:",
        "NVIDIA/k8s-device-plugin, GO: NVIDIA/gpu-operator, on GitHub), a URL, or what was seen by running (observed).",
        "",
        *_table_head("where", "what goes wrong", "what handles it here", "source"),
    ]
    for name, releases in (
        ("KAI", KAI),
        ("vCluster", VCLUSTER),
        ("device plugin", DEVICE_PLUGIN),
        ("GPU Operator", GPU_OPERATOR),
    ):
        holders: dict[Trap, list[str]] = {}
        for version, release in releases.items():
            for trap in release.traps:
                holders.setdefault(trap, []).append(version)
        for trap, versions in holders.items():
            where = f"{name}, all" if len(versions) == len(releases) else f"{name} {', '.join(versions)}"
            lines.append(_row(where, trap.sentence, trap.handling, trap.source))
    return "\n".join(lines) + "\n"
