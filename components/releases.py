"""What each release of KAI, vCluster, the device plugin and the GPU Operator needs. Data, not ifs; no Pulumi import.

Owns: which versions we know, where their charts are, which values keys they read, what they cost, until when they are
supported, which traps they hold, and the Helm values that follow from all that.
Leaves to others: mirrors (`artifacts.py`), which version a team asks for (`settings`), creating anything.

To raise a version, all in this file:
 1. add an entry to `KAI`, `VCLUSTER`, `DEVICE_PLUGIN` or `GPU_OPERATOR` (its neighbour with `replace`); compare values
    and templates of the chart between the two tags, and read upstream's SUPPORT.md and migration guides;
 2. point the `DEFAULT_...` below it at the new entry;
 3. `python -m components.releases` (writes docs/versions.md), `make test`, and one run on a real cluster for `docs/runs.md`.

Each fact names its source: `REPO@TAG:path`, a public URL, or "observed" (seen by running that version). Repositories:
KAI = github.com/kai-scheduler/KAI-Scheduler, VC = github.com/loft-sh/vcluster,
DP = github.com/NVIDIA/k8s-device-plugin, GO = github.com/NVIDIA/gpu-operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from components.artifacts import mirrored

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
"""What Helm values are made of."""

PullPolicy: TypeAlias = Literal["Always", "IfNotPresent", "Never"]

_NO_MAP: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


# --- shapes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What tenancy itself asks of the nodes: summed requests, and a number of pods. Hooks' short-lived pods are left out."""

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
    """Something that goes wrong in a release, in one sentence, and what handles it here."""

    id: str
    sentence: str
    handling: str
    source: str


class SupportState(StrEnum):
    """`ending`: less than `ENDING_DAYS` left."""

    SUPPORTED = "supported"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Support:
    """Where a release stands with its vendor on a day. `days` are left (negative: gone by); None without a known end."""

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
    restart_scheduler_after_upgrade: bool
    """An upgrade remakes the operands' ServiceAccounts: the scheduler answers 401 until its pod is restarted."""
    gpu_sharing_key: str
    reservation_runtime_class_keys: tuple[str, ...]
    """Where the RuntimeClass of the reservation pods goes: without it they find no NVML and fractions hang."""
    reservation_runtime_class: str | None
    """What it is when no key says it; None: the node's default runtime."""
    pod_runtime_class_key: str | None
    """The RuntimeClass that admission puts on the tenant's GPU (or only fraction) pods."""
    cdi_key: str | None
    fake_gpu_args: Mapping[str, tuple[str, ...]]
    """Extra arguments by value path for fake GPUs; where empty the node label run.ai/fake.gpu=true is enough."""
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
        """Requests and number of its pods."""
        return Footprint(
            cpu_millicores=sum(o.cpu_millicores for o in self.operands),
            memory_mib=sum(o.memory_mib for o in self.operands),
            pods=len(self.operands),
        )

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
    """Tags of ghcr.io/loft-sh/kubernetes that vCluster's charts name, up to this release's own."""
    kubernetes_source: str
    backing_stores: tuple[str, ...]
    operands: tuple[Operand, ...]
    etcd: Operand
    """One more pod with `backing_store="etcd"`."""
    traps: tuple[Trap, ...]

    def footprint(self, backing_store: str = "sqlite") -> Footprint:
        """Requests and number of its pods: control plane, CoreDNS and, where chosen, etcd."""
        pods = (*self.operands, self.etcd) if backing_store == "etcd" else self.operands
        return Footprint(
            cpu_millicores=sum(o.cpu_millicores for o in pods),
            memory_mib=sum(o.memory_mib for o in pods),
            pods=len(pods),
        )


@dataclass(frozen=True, kw_only=True)
class DevicePluginRelease:
    """A release of NVIDIA's device plugin."""

    version: str
    repo: str
    images: str
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


def _requests(operand: Operand) -> JSON:
    return {
        "requests": {"cpu": f"{operand.cpu_millicores}m", "memory": f"{operand.memory_mib}Mi"},
        "limits": {"memory": f"{operand.memory_limit_mib}Mi"},
    }


def _strings(items: Sequence[str]) -> list[JSON]:
    return list(items)


def _table(items: Mapping[str, str]) -> dict[str, JSON]:
    return dict(items)


# --- KAI ------------------------------------------------------------------------------------------------------------

_CHART_NVIDIA: Final = "oci://ghcr.io/nvidia/kai-scheduler/kai-scheduler"
_IMAGES_NVIDIA: Final = "ghcr.io/nvidia/kai-scheduler"

# the operator's own defaults where the chart takes no requests (KAI@v0.9.3:pkg/apis/kai/v1/{binder/binder,
# pod_grouper/pod_grouper,pod_group_controller/pod_group_controller,queue_controller/queue_controller,common/resources}.go)
_OPERATOR_MADE_093: Final = (
    Operand(name="binder", cpu_millicores=50, memory_mib=200, memory_limit_mib=200, key=None),
    Operand(name="pod-grouper", cpu_millicores=50, memory_mib=200, memory_limit_mib=200, key=None),
    Operand(name="queue-controller", cpu_millicores=20, memory_mib=50, memory_limit_mib=100, key=None),
    Operand(name="admission", cpu_millicores=50, memory_mib=256, memory_limit_mib=512, key=None),
)

_ORPHANED_NAMESPACE: Final = Trap(
    id="reservation-namespace-stays",
    sentence="the namespace kai-resource-reservation stays after the chart is gone (resource-policy keep)",
    handling="our own object where KAI is on the host; it goes with a virtual cluster",
    source="observed; KAI@v0.9.3:deployments/kai-scheduler/templates/services/resourcereservation-namespace.yaml",
)
_CLUSTER_POLICY: Final = Trap(
    id="cluster-policy-crd",
    sentence="the operator hangs without the CRD clusterpolicies.nvidia.com, which only the GPU Operator brings",
    handling="needs_cluster_policy_crd",
    source="observed (0.9.3)",
)
_WAIT: Final = Trap(
    id="helm-wait",
    sentence="Helm is content 30 to 45 seconds before the operator has made binder, admission and queue-controller",
    handling="operator",
    source="observed (0.9.3)",
)
_ACCOUNTING: Final = Trap(
    id="fractions-are-accounting",
    sentence="a GPU fraction is a number in the scheduler: a pod may use all memory of the GPU it shares",
    handling="fractions_enforced",
    source="https://github.com/kai-scheduler/KAI-Scheduler/issues/49",
)
_OFF_MAIN: Final = Trap(
    id="line-0.9.3",
    sentence="0.9.2 and 0.9.3 were tagged off main: Helm refuses to upgrade them to 0.9.4 and later, and back",
    handling="line",
    source='observed (0.9.3 to 0.9.8: ServiceAccount "binder" cannot be imported into the current release)',
)

_V0_7_11: Final = KaiRelease(
    version="v0.7.11",
    line="0.7",
    chart=_CHART_NVIDIA,
    images=_IMAGES_NVIDIA,
    support_ends=None,
    support_source="KAI@v0.17.0:SUPPORT.md does not list 0.7",
    kubernetes_max="1.34",
    kubernetes_default="v1.33.4",
    kubernetes_source="observed on 1.34.4 (CPU only); built with client-go 0.32.5 (KAI@v0.7.11:go.mod)",
    operands=(
        # upstream asks for 250m/128Mi each (KAI@v0.7.11:deployments/kai-scheduler/values.yaml): too much for a tenant
        Operand(name="scheduler", cpu_millicores=50, memory_mib=128, memory_limit_mib=1024, key="scheduler.resources"),
        Operand(name="binder", cpu_millicores=20, memory_mib=64, memory_limit_mib=256, key="binder.resources"),
        Operand(name="podgrouper", cpu_millicores=20, memory_mib=64, memory_limit_mib=256, key="podgrouper.resources"),
        Operand(
            name="podgroup-controller",
            cpu_millicores=20,
            memory_mib=64,
            memory_limit_mib=256,
            key="podgroupcontroller.resources",
        ),
        Operand(
            name="queuecontroller",
            cpu_millicores=20,
            memory_mib=64,
            memory_limit_mib=256,
            key="queuecontroller.resources",
        ),
    ),
    operator=False,
    needs_cluster_policy_crd=False,
    restart_scheduler_after_upgrade=False,
    gpu_sharing_key="global.gpuSharing",
    reservation_runtime_class_keys=(),
    reservation_runtime_class=None,
    pod_runtime_class_key=None,
    cdi_key="binder.cdi",
    # no look at the nodes' labels here: KAI@v0.7.11:cmd/binder/app/options.go
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
            handling="fractions_need_default_runtime",
            source="https://github.com/kai-scheduler/KAI-Scheduler/issues/349, fixed in 0.7.12",
        ),
        _ACCOUNTING,
        _ORPHANED_NAMESPACE,
    ),
)

_V0_9_3: Final = KaiRelease(
    version="v0.9.3",
    line="0.9.2-0.9.3",
    chart=_CHART_NVIDIA,
    images=_IMAGES_NVIDIA,
    support_ends=date(2026, 9, 30),
    support_source="KAI@v0.17.0:SUPPORT.md (0.9: Sep 2026)",
    kubernetes_max="1.34",
    kubernetes_default="v1.33.4",
    kubernetes_source="observed on 1.34.4 (advertised GPUs, not real ones); client-go 0.32.5 (KAI@v0.9.3:go.mod)",
    operands=(
        # the two Deployments of the chart itself come without requests
        Operand(name="kai-operator", cpu_millicores=20, memory_mib=64, memory_limit_mib=512, key="operator.resources"),
        Operand(name="scheduler", cpu_millicores=50, memory_mib=128, memory_limit_mib=1024, key="scheduler.resources"),
        # the only operand whose requests the chart indents right: those of binder, queue-controller and admission land
        # beside `resources:` (KAI@v0.9.3:deployments/kai-scheduler/templates/kai-config.yaml)
        Operand(
            name="podgroup-controller",
            cpu_millicores=20,
            memory_mib=64,
            memory_limit_mib=256,
            key="podgroupcontroller.resources",
        ),
        *_OPERATOR_MADE_093,
    ),
    operator=True,
    needs_cluster_policy_crd=True,
    restart_scheduler_after_upgrade=False,
    gpu_sharing_key="global.gpuSharing",
    reservation_runtime_class_keys=(),
    # hard-coded: KAI@v0.9.3:pkg/binder/binding/resourcereservation/resource_reservation.go
    reservation_runtime_class="nvidia",
    pod_runtime_class_key=None,
    cdi_key=None,
    fake_gpu_args=_NO_MAP,
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
    leftovers=(),
    webhooks=("validating-kai-admission", "kai-queue-validation-v2"),
    traps=(_CLUSTER_POLICY, _WAIT, _OFF_MAIN, _ACCOUNTING, _ORPHANED_NAMESPACE),
)
_V0_9_2: Final = replace(_V0_9_3, version="v0.9.2")

KAI: Final[Mapping[str, KaiRelease]] = MappingProxyType({r.version: r for r in (_V0_7_11, _V0_9_2, _V0_9_3)})
"""By version, oldest first."""

DEFAULT_KAI: Final = "v0.9.3"


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

    `runtime_class` is the RuntimeClass of GPU pods; keys that a release lacks are left out. `cdi` None leaves it to the
    release. `image_registry` replaces the registry host of every image.
    """
    values: dict[str, JSON] = {}
    _put(values, release.gpu_sharing_key, gpu_sharing)
    if runtime_class is not None:
        for key in release.reservation_runtime_class_keys:
            _put(values, key, runtime_class)
        if release.pod_runtime_class_key is not None:
            _put(values, release.pod_runtime_class_key, runtime_class)
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
    """Whether Helm may upgrade one to the other in place. Otherwise replace: uninstall, delete leftovers, install."""
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
        handling="the collision invariant in components.capacity",
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
        handling="persistence",
        source="observed (0.29.0)",
    ),
    Trap(
        id="second-node-port",
        sentence="with proxyKubelets.byHostname a NodePort Service takes a second, random port",
        handling="vcluster_values switches proxyKubelets off",
        source="VC@v0.29.3:chart/templates/service.yaml",
    ),
)

_V0_29: Final = VclusterRelease(
    version="0.29.3",
    repo=_VCLUSTER_REPO,
    support_ends=date(2026, 4, 1),
    support_source="https://www.vcluster.com/docs/vcluster/deploy/upgrade/supported_versions",
    default_kubernetes="v1.33.4",
    kubernetes_versions=("v1.33.4",),
    kubernetes_source="VC@v0.29.3:chart/values.yaml; 0.29.0 observed with 1.34.4",
    backing_stores=("sqlite", "etcd"),
    operands=(_CONTROL_PLANE, _COREDNS),
    etcd=_ETCD,
    traps=_VCLUSTER_TRAPS,
)

VCLUSTER: Final[Mapping[str, VclusterRelease]] = MappingProxyType({r.version: r for r in (_V0_29,)})
"""By version, oldest first; the latest patch of each minor."""

DEFAULT_VCLUSTER: Final = "0.29.3"


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
    storage_size: str = "5Gi",
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
    plane and CoreDNS. `enforce_tolerations` (`key=value:Effect`) go to every synced pod and hide the taint inside.
    `runtime_class` goes to every synced pod. `priority_class` (of the host) goes to the control plane and to every
    synced pod. `server` is the URL in the kubeconfig Secret `vc-<team>`; default: the Service's name in the cluster.
    """
    if backing_store not in release.backing_stores:
        known = ", ".join(release.backing_stores)
        message = f"vCluster {release.version} has no backing store {backing_store!r}; use one of {known}"
        raise ValueError(message)
    values: dict[str, JSON] = {}
    put = values
    _put(put, "controlPlane.distro.k8s.enabled", True)
    _put(put, "controlPlane.distro.k8s.image.tag", kubernetes_version or release.default_kubernetes)
    _put(put, "controlPlane.distro.k8s.scheduler.enabled", virtual_scheduler)
    # the default image carries the paid features, switched off; one stray key and it wants a licence
    _put(put, "controlPlane.statefulSet.image.repository", "loft-sh/vcluster-oss")
    service_host = f"{team}.{namespace}"
    _put(put, "controlPlane.proxy.extraSANs", _strings([f"{service_host}.svc", *extra_sans]))
    _put(put, "exportKubeConfig.server", server or f"https://{service_host}.svc:443")
    _put(put, "exportKubeConfig.context", context or team)
    _put(put, "controlPlane.service.spec.type", service_type)
    if node_port is not None:
        _put(put, "controlPlane.service.httpsNodePort", node_port)

    if backing_store == "etcd":
        store = "controlPlane.backingStore.etcd.deploy"
        claim = f"{store}.statefulSet.persistence.volumeClaim"
        _put(put, f"{store}.enabled", True)
        operands: tuple[Operand, ...] = (*release.operands, release.etcd)
    else:
        claim = "controlPlane.statefulSet.persistence.volumeClaim"
        _put(put, "controlPlane.backingStore.database.embedded.enabled", True)
        operands = release.operands
    _put(put, f"{claim}.enabled", persistence)
    if persistence:
        _put(put, f"{claim}.size", storage_size)
        if storage_class is not None:
            _put(put, f"{claim}.storageClass", storage_class)

    for operand in operands:
        if operand.key is not None:
            _put(put, operand.key, _requests(operand))

    # without real nodes the syncer makes fake ones, and a scheduler inside has nothing to go by
    _put(put, "sync.fromHost.nodes.enabled", virtual_scheduler or bool(node_selector_labels))
    if node_selector_labels:
        _put(put, "sync.fromHost.nodes.selector.labels", _table(node_selector_labels))
    if virtual_scheduler or node_selector_labels:
        _put(
            put, "sync.fromHost.nodes.clearImageStatus", True
        )  # which images other tenants run is not this one's business
    _put(put, "sync.fromHost.runtimeClasses.enabled", sync_runtime_classes)
    _put(put, "sync.fromHost.priorityClasses.enabled", sync_priority_classes)
    if enforce_tolerations:
        _put(put, "sync.toHost.pods.enforceTolerations", _strings(enforce_tolerations))
    if runtime_class is not None:
        _put(put, "sync.toHost.pods.runtimeClassName", runtime_class)
    if priority_class is not None:
        _put(put, "sync.toHost.pods.priorityClassName", priority_class)
        _put(put, "controlPlane.statefulSet.scheduling.priorityClassName", priority_class)
    if not set_owner:
        _put(put, "experimental.syncSettings.setOwner", False)

    # one Service per node, and a second NodePort, for metrics that nobody here reads
    _put(put, "networking.advanced.proxyKubelets.byHostname", False)
    _put(put, "networking.advanced.proxyKubelets.byIP", False)
    # ours, so that previews and policies see them
    _put(put, "policies.resourceQuota.enabled", False)
    _put(put, "policies.limitRange.enabled", False)
    _put(put, "policies.networkPolicy.enabled", False)

    if node_selector:
        _put(put, "controlPlane.statefulSet.scheduling.nodeSelector", _table(node_selector))
    if tolerations:
        _put(put, "controlPlane.statefulSet.scheduling.tolerations", list(tolerations))
    if image_registry is not None:
        _put(put, "controlPlane.advanced.defaultImageRegistry", image_registry.rstrip("/"))
    if pull_policy is not None:
        _put(put, "controlPlane.statefulSet.imagePullPolicy", pull_policy)
        _put(put, "controlPlane.distro.k8s.imagePullPolicy", pull_policy)
        if backing_store == "etcd":
            _put(put, "controlPlane.backingStore.etcd.deploy.statefulSet.imagePullPolicy", pull_policy)
    return values


# --- device plugin --------------------------------------------------------------------------------------------------

_DP_0_20: Final = DevicePluginRelease(
    version="0.20.0",
    repo="https://nvidia.github.io/k8s-device-plugin",
    images="nvcr.io/nvidia/k8s-device-plugin",
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
        everything = {c.name: c for c in (NO_SHARING, *configs)}
        _put(values, "config.map", {name: sharing_config(c) for name, c in everything.items()})
        # with more than one entry the chart refuses to guess
        _put(values, "config.default", NO_SHARING.name)
    if runtime_class is not None:
        values["runtimeClassName"] = runtime_class
    if driver_root is not None:
        values["nvidiaDriverRoot"] = driver_root
    if tolerations:
        values["tolerations"] = list(tolerations)
    if image_registry is not None:
        _put(values, "image.repository", mirrored(release.images, image_registry))
    if pull_policy is not None:
        _put(values, "image.pullPolicy", pull_policy)
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

CHECK_IMAGE: Final = "docker.io/pytorch/pytorch:2.7.1-cuda12.8-cudnn9-runtime"
"""Python, torch and CUDA for the GPU check; some 3 GB. By tag: its digest is not known here. CUDA 12.8: Blackwell too."""
