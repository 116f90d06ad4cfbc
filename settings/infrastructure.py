"""The host cluster, its GPU software and its pools, as frozen pydantic models. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `host`, `gpu` and `pools`. YAML is camelCase, Python is snake_case.
Leaves to others: teams and the rest (`models.py`), rules across fields (`rules/`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from names import GPU_TAINT_VALUE
from settings import grammar
from settings.connection import Connection
from settings.hosts import Install, K3s, Kind, Microk8s
from settings.shorthand import or_short
from settings.texts import (
    ContextName,
    DnsLabel,
    HostAddress,
    KubeconfigPath,
    LabelKey,
    LabelValue,
    MigProfile,
    NodeName,
    ProductName,
    StorageClassName,
    Version,
)
from settings.types import CpuQuantity, Flag, MemoryQuantity, Section, Whole

MOST_NODES: Final = 5000
"""Kubernetes' own bound for the nodes of a cluster (kubernetes.io/docs/setup/best-practices/cluster-large)."""
MOST_PODS_OF_NODE: Final = 10_000
"""Far more than any kubelet takes (its default is 110); keeps sums exact."""
MOST_MEMORY_MIB: Final = 16 * 1024 * 1024
"""16 TiB: far more than any GPU has. A larger number is one in bytes."""
MOST_LABELS: Final = 20
MOST_LEVELS: Final = 16
"""KAI's own bound for the levels of a Topology (its CRD, KAI@v0.16.8:deployments/kai-scheduler/crds)."""
MOST_MPS_CLIENTS: Final = 48
"""Clients of one GPU since Volta (NVIDIA MPS; device plugin v0.20.0:cmd/mps-control-daemon/mps/device.go refuses more).
"""
MOST_TIME_SLICES: Final = 1000
"""The plugin lists every replica to the kubelet in one message of at most 4 MiB, some 60 bytes each: 64 GPUs shared
1000 ways fill it. Time-slicing itself has no bound."""


class HostProvider(StrEnum):
    """Where the host cluster comes from. `lab` is a simulation and never a real cluster."""

    EXISTING = "existing"
    KIND = "kind"
    MICROK8S = "microk8s"
    K3S = "k3s"
    LAB = "lab"


class GpuStack(StrEnum):
    """Who brings `nvidia.com/gpu` to the nodes. `fake`: something else advertises GPUs that are not there."""

    DEVICE_PLUGIN = "devicePlugin"
    GPU_OPERATOR = "gpuOperator"
    FAKE = "fake"


class Injection(StrEnum):
    """How a GPU gets into a container, in the vendors' own words; docs/versions.md says what each needs.

    legacy, cdi, jit-cdi, csv: modes of NVIDIA's container runtime. cdi-cri, cdi-annotations: CDI by the kubelet, as the
    device plugin names the device.
    """

    LEGACY = "legacy"
    CDI = "cdi"
    JIT_CDI = "jit-cdi"
    CSV = "csv"
    CDI_CRI = "cdi-cri"
    CDI_ANNOTATIONS = "cdi-annotations"


class Owner(StrEnum):
    """Whose object it is: `ours` is created and deleted by this program, `cluster` is there already and left alone.

    Declared, not discovered: a live look that flips between create and read makes the engine delete our own object on
    the second run.
    """

    OURS = "ours"
    CLUSTER = "cluster"


class Headroom(Section):
    """What stays free on every node for the host's own pods."""

    cpu: CpuQuantity = Field(default="500m", description="CPU of each node, in cores (0.5 or 500m)")
    memory: MemoryQuantity = Field(default="1Gi", description="memory of each node, in bytes (1Gi)")
    pods: Whole = Field(default=15, ge=0, le=MOST_PODS_OF_NODE, description="pods of each node")


class SharedScheduler(Section):
    """The one KAI on the host, for teams with `scheduler.mode: host`."""

    version: Version = Field(description="KAI release with v, like v0.16.8; known ones: docs/versions.md")
    owner: Owner = Field(default=Owner.OURS, description="ours: we install it; cluster: it is there already")
    scale_adjuster: Flag = Field(
        default=False,
        description="tell a node autoscaler of pods that wait for a part of a GPU; only for a KAI of ours",
    )


class Host(Section):
    """The host cluster."""

    provider: HostProvider = Field(description="where the host cluster comes from; lab is a simulation")
    context: ContextName | None = Field(
        default=None, description="kubeconfig context; default: the file's current context"
    )
    kubeconfig: KubeconfigPath | None = Field(
        default=None, description="path; default: $KUBECONFIG, then ~/.kube/config"
    )
    name: DnsLabel = Field(default="gpu-tenancy", description="name of the kind cluster that `kind` makes")
    address: HostAddress | None = Field(
        default=None, description="host name or IP where tenants reach NodePorts; goes into the API certificates"
    )
    headroom: Headroom = Field(default=Headroom(), description="what stays free on every node for the host's own pods")
    storage_class: StorageClassName | None = Field(
        default=None, description="StorageClass of the virtual clusters' data; default: the cluster's default class"
    )
    scheduler: SharedScheduler | None = Field(
        default=None, description="the KAI that teams with mode host share; only needed with such teams"
    )
    kind: Kind | None = Field(default=None, description="make a kind cluster of this name; default: it is there")
    microk8s: Microk8s | None = Field(
        default=None, alias="microk8s", description="install microk8s; default: it is there"
    )
    k3s: K3s | None = Field(default=None, alias="k3s", description="install k3s; default: it is there")
    connection: Connection | None = Field(
        default=None, description="where the cluster is made; default: the machine that `pulumi up` runs on"
    )

    @property
    def install(self) -> Install | None:
        """How the program makes the cluster; None where it is there already."""
        return self.kind or self.microk8s or self.k3s

    @property
    def reachable_at(self) -> str | None:
        """Where tenants reach NodePorts. The lab's API servers listen on this machine alone."""
        return self.address or ("127.0.0.1" if self.provider is HostProvider.LAB else None)


_NAME_ALONE: Final[JsonDict] = {"type": "string", "pattern": grammar.anchored(grammar.DNS_LABEL), "maxLength": 63}


def _runtime_class(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class RuntimeClass(Section):
    """The RuntimeClass that GPU pods run with. k3s and the GPU Operator bring their own: `owner: cluster`."""

    name: DnsLabel = Field(default="nvidia", description="name of the RuntimeClass")
    handler: DnsLabel = Field(default="nvidia", description="the container runtime's own name for it, in its config")
    owner: Owner = Field(default=Owner.OURS, description="cluster where k3s or the GPU Operator brings it")


class Metrics(Section):
    """NVIDIA's dcgm-exporter on every GPU node. The Prometheus that scrapes it is the cluster's own."""

    service_monitor: Flag = Field(
        default=False, description="also make a ServiceMonitor; its CRD comes with a Prometheus operator"
    )
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=MOST_LABELS,
        description="of the ServiceMonitor: those by which the cluster's Prometheus chooses, like release: prometheus",
    )


class From(StrEnum):
    """Where the driver or the container toolkit of the GPU nodes comes from."""

    HOST = "host"
    OPERATOR = "operator"


class OperatorParts(Section):
    """What our GPU Operator brings to the nodes, and what they have already."""

    driver: From = Field(
        default=From.HOST, description="host: installed on the nodes; operator: where a node has none, it brings one"
    )
    toolkit: From = Field(
        default=From.OPERATOR,
        description="host: in the container runtime's settings as handler, of the RuntimeClass's name",
    )


class Gpu(Section):
    """The GPU software on the nodes."""

    stack: GpuStack = Field(description="what advertises nvidia.com/gpu on the nodes")
    owner: Owner = Field(default=Owner.OURS, description="whose the device plugin or the GPU Operator is")
    version: Version | None = Field(default=None, description="chart version; default: the newest in releases.py")
    runtime_class: Annotated[RuntimeClass, BeforeValidator(_runtime_class)] = Field(
        default=RuntimeClass(),
        description="what GPU pods run with; a name alone means ours",
        json_schema_extra=or_short(_NAME_ALONE),
    )
    injection: Injection | None = Field(
        default=None,
        description="how a GPU gets into a container on these hosts: docs/versions.md; default: any mode of NVIDIA's "
        "container runtime",
    )
    operator: OperatorParts = Field(
        default=OperatorParts(),
        description="with stack gpuOperator of ours: where driver and container toolkit come from",
    )
    metrics: Metrics | None = Field(
        default=None, description="GPU metrics for a Prometheus; default: what the GPU Operator brings by itself"
    )


class Replicas(Section):
    """Each GPU of the node is advertised this many times."""

    replicas: Whole = Field(
        ge=2, le=MOST_TIME_SLICES, description="how often each physical GPU is advertised; quotas count these"
    )


class MpsReplicas(Replicas):
    """Each GPU of the node is shared by this many MPS clients."""

    replicas: Whole = Field(
        ge=2, le=MOST_MPS_CLIENTS, description="how often each physical GPU is advertised; quotas count these"
    )


MOST_SLICES: Final = 7
"""Slices of one GPU: no NVIDIA GPU has more compute slices than seven (NVIDIA MIG User Guide, supported profiles)."""


class Mig(Section):
    """Each GPU of the node is cut into slices of one size, by the hardware: memory and faults are kept apart."""

    strategy: Literal["single"] = Field(
        default="single",
        description="all slices alike, advertised as nvidia.com/gpu; mixed is refused: KAI takes no whole GPUs there",
    )
    profile: MigProfile = Field(description="the slices' profile, like 1g.10gb, as `nvidia-smi mig -lgip` lists it")
    slices: Whole = Field(ge=1, le=MOST_SLICES, description="slices of each physical GPU; quotas count these")

    @property
    def memory_mib(self) -> int:
        """What one slice has at least, in MiB: the profile's name rounds up by less than a twentieth (NVIDIA MIG User
        Guide: 1g.5gb of an A100 has 4.75 GiB)."""
        gigabytes = int(self.profile.split(".")[1].split("gb")[0])
        return gigabytes * 1024 * 19 // 20


class Sharing(Section):
    """How GPUs are shared. MIG keeps memory and faults apart, MPS bounds memory, time-slicing bounds nothing."""

    time_slicing: Replicas | None = Field(
        default=None, description="GPUs shared by taking turns; nothing keeps memory or faults apart"
    )
    mps: MpsReplicas | None = Field(
        default=None, description="GPUs shared by NVIDIA's MPS; memory is divided evenly, faults are not kept apart"
    )
    mig: Mig | None = Field(
        default=None, description="GPUs cut into slices of one size; memory and faults are kept apart by the hardware"
    )

    @property
    def given(self) -> bool:
        """Whether GPUs are shared at all."""
        return bool(self.time_slicing or self.mps or self.mig)


class Pool(Section):
    """A set of nodes with the same GPUs. Pools are disjoint; quotas are checked against these numbers."""

    nodes: tuple[NodeName, ...] = Field(
        default=(), max_length=MOST_NODES, description="host nodes by name; we label (and taint) them"
    )
    selector: dict[LabelKey, LabelValue] | None = Field(
        default=None, max_length=MOST_LABELS, description="instead of nodes: labels that the pool's nodes have already"
    )
    node_count: Whole | None = Field(
        default=None, ge=1, le=MOST_NODES, description="with selector: how many nodes it finds"
    )
    gpus_per_node: Whole = Field(ge=0, le=64, description="physical GPUs of each node; 0 is a CPU pool")
    gpu_memory_mib: Whole | None = Field(
        default=None,
        ge=1,
        le=MOST_MEMORY_MIB,
        description="memory of one GPU in MiB; without it gpu-memory requests are refused",
    )
    product: ProductName | None = Field(default=None, description="as nvidia.com/gpu.product says it, like NVIDIA-H200")
    architecture: Literal["amd64", "arm64"] | None = Field(
        default=None, description="the nodes' CPU architecture; default: any"
    )
    cpu_per_node: CpuQuantity | None = Field(
        default=None, description="allocatable CPU in cores; absent: preflight asks the nodes"
    )
    memory_per_node: MemoryQuantity | None = Field(
        default=None, description="allocatable memory in bytes (512Gi); absent: preflight asks"
    )
    pods_per_node: Whole = Field(
        default=110, ge=1, le=MOST_PODS_OF_NODE, description="pods that a node takes: the kubelet's --max-pods"
    )
    sharing: Sharing = Field(
        default=Sharing(), description="how the device plugin shares each GPU; default: not at all"
    )
    taint: Flag = Field(
        default=False, description="keep everything but GPU teams off the nodes: nvidia.com/gpu=<value>:NoSchedule"
    )
    taint_value: LabelValue = Field(
        default=GPU_TAINT_VALUE, description="that taint's value; of nodes that have it already, their value"
    )

    topology: tuple[LabelKey, ...] = Field(
        default=(),
        max_length=MOST_LEVELS,
        description="labels of its nodes, the widest first (zone, rack, kubernetes.io/hostname): a KAI Topology of the "
        "pool's name, for jobs that ask to be near each other",
    )

    @property
    def replicas(self) -> int:
        """How often each physical GPU is advertised: 1 without sharing."""
        if self.sharing.mig:
            return self.sharing.mig.slices
        shared = self.sharing.time_slicing or self.sharing.mps
        return shared.replicas if shared else 1

    @property
    def gpus_counted_per_node(self) -> int:
        """What label nvidia.com/gpu.count says: physical GPUs, or MIG slices (k8s-device-plugin:internal/lm)."""
        return self.gpus_per_node * (self.sharing.mig.slices if self.sharing.mig else 1)

    @property
    def device_memory_mib(self) -> int | None:
        """Memory in MiB of what one `nvidia.com/gpu` shows: the GPU's, or at least a MIG slice's."""
        return self.sharing.mig.memory_mib if self.sharing.mig else self.gpu_memory_mib

    @property
    def size(self) -> int:
        """Number of nodes. One that is named twice is one."""
        return len(set(self.nodes)) or (self.node_count or 0)

    @property
    def gpus_allocatable_per_node(self) -> int:
        """What one node advertises as `nvidia.com/gpu`: GPUs, or replicas of them."""
        return self.gpus_per_node * self.replicas

    @property
    def gpus_allocatable(self) -> int:
        """What all the pool's nodes together advertise as `nvidia.com/gpu`."""
        return self.size * self.gpus_allocatable_per_node

    @property
    def unit(self) -> str:
        """What a quota on this pool counts: `GPU`, `replica` or `slice`."""
        if self.sharing.mig:
            return "slice"
        return "replica" if self.replicas > 1 else "GPU"


def one_at_a_time(gpu: Gpu, pool: Pool) -> str:
    """Why a pod gets one `nvidia.com/gpu` of a pool and no more; empty where it may ask for several."""
    if pool.sharing.mig:
        return "a process computes on one slice, however many its pod has"
    ours = gpu.owner is Owner.OURS and gpu.stack is not GpuStack.FAKE
    if gpu.stack is not GpuStack.FAKE and (pool.sharing.mps or (pool.sharing.time_slicing and ours)):
        # DP@v0.20.0:api/config/v1 (failRequestsGreaterThanOne): always so with MPS, and by our settings of time-slicing
        return "two replicas may be one GPU, and the device plugin refuses a pod that asks for more than one"
    return ""
