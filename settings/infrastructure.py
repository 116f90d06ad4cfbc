"""The GPU software, the pools, and what the host keeps for itself, as frozen pydantic models. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `gpu` and `pools`. YAML is camelCase, Python is snake_case.
Leaves to others: the host cluster (`hosts/`), teams and the rest (`models.py`), rules across fields (`rules/`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from names import GPU_TAINT_VALUE
from settings import grammar
from settings.on_change import ARITHMETIC, disruptive, in_place, replacing
from settings.sharing import Sharing
from settings.texts import (
    DnsLabel,
    LabelKey,
    LabelValue,
    NodeName,
    ProductName,
    Version,
)
from settings.types import CpuQuantity, Flag, MemoryQuantity, Section, Whole, or_short

MOST_NODES: Final = 5000
"""Kubernetes' own bound for the nodes of a cluster (kubernetes.io/docs/setup/best-practices/cluster-large)."""
MOST_PODS_OF_NODE: Final = 10_000
"""Far more than any kubelet takes (its default is 110); keeps sums exact."""
MOST_MEMORY_MIB: Final = 16 * 1024 * 1024
"""16 TiB: far more than any GPU has. A larger number is one in bytes."""
MOST_LABELS: Final = 20
MOST_LEVELS: Final = 16
"""KAI's own bound for the levels of a Topology (its CRD, KAI@v0.16.8:deployments/kai-scheduler/crds)."""


class GpuStack(StrEnum):
    """Who brings `nvidia.com/gpu` to the nodes. `fake`: something else advertises GPUs that do not exist."""

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
    """Who owns an object. `ours`: this program creates and deletes it. `cluster`: it exists already, and the program
    leaves it alone.

    The file declares the owner. If the program looked at the cluster instead, it would find our own object on the
    second run, take it for the cluster's, and the engine would delete it.
    """

    OURS = "ours"
    CLUSTER = "cluster"


class Headroom(Section):
    """What stays free on every node for the host's own pods."""

    cpu: Annotated[CpuQuantity, ARITHMETIC] = Field(
        default="500m", description="CPU of each node, in cores (0.5 or 500m)"
    )
    memory: Annotated[MemoryQuantity, ARITHMETIC] = Field(
        default="1Gi", description="memory of each node, in bytes (1Gi)"
    )
    pods: Annotated[Whole, ARITHMETIC] = Field(default=15, ge=0, le=MOST_PODS_OF_NODE, description="pods of each node")


class SharedScheduler(Section):
    """The one KAI on the host, for teams with `scheduler.mode: host`."""

    version: Version = Field(description="KAI release with v, like v0.16.8; known ones: docs/versions.md")
    owner: Owner = Field(default=Owner.OURS, description="ours: we install it; cluster: it is there already")
    scale_adjuster: Annotated[
        Flag,
        in_place(
            "the host's KAI has one pod more or less; running pods go on",
            source="KAI@v0.16.8:docs/gpu-sharing/autoscaling/README.md",
        ),
    ] = Field(
        default=False,
        description="show a node autoscaler the pods that wait for a part of a GPU; only for a KAI of ours",
    )


GPU_SOFTWARE_CHANGES: Final = (
    "the nodes' GPU software changes: running pods keep their GPUs while the driver stays, new ones wait"
)
_SOFTWARE: Final = disruptive(
    GPU_SOFTWARE_CHANGES,
    topic="gpu software",
    source="K8S: concepts/extend-kubernetes/compute-storage-net/device-plugins (running pods keep their devices)",
)
_REMADE: Final = replacing(
    "the RuntimeClass is made anew: running pods go on, new pods that name the old one are refused",
    topic="runtime class",
    source="K8S: reference/kubernetes-api/node.k8s.io/runtime-class-v1 (handler can't be changed)",
)
_EXPORTER: Final = in_place(
    "dcgm-exporter or its ServiceMonitor is created, changed or removed; no pod of a team notices",
    source="NVIDIA/dcgm-exporter@4.5.3-4.8.2:deployment",
)
_NAME_ALONE: Final[JsonDict] = {"type": "string", "pattern": grammar.anchored(grammar.DNS_LABEL), "maxLength": 63}


def _runtime_class(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class RuntimeClass(Section):
    """The RuntimeClass that GPU pods run with. k3s and the GPU Operator bring their own: `owner: cluster`."""

    name: Annotated[DnsLabel, _REMADE] = Field(default="nvidia", description="name of the RuntimeClass")
    handler: Annotated[DnsLabel, _REMADE] = Field(
        default="nvidia", description="the container runtime's own name for it, in its config"
    )
    owner: Annotated[Owner, _REMADE] = Field(
        default=Owner.OURS, description="cluster where k3s or the GPU Operator brings it"
    )


class Metrics(Section):
    """NVIDIA's dcgm-exporter on every GPU node. The Prometheus that scrapes it is the cluster's own."""

    service_monitor: Annotated[Flag, _EXPORTER] = Field(
        default=False, description="also make a ServiceMonitor; its CRD comes with a Prometheus operator"
    )
    labels: Annotated[dict[LabelKey, LabelValue], _EXPORTER] = Field(
        default_factory=dict,
        max_length=MOST_LABELS,
        description="labels by which the cluster's Prometheus selects the ServiceMonitor, like release: prometheus",
    )


class From(StrEnum):
    """Where the driver or the container toolkit of the GPU nodes comes from."""

    HOST = "host"
    OPERATOR = "operator"


class OperatorParts(Section):
    """What our GPU Operator brings to the nodes, and what the nodes have already."""

    driver: From = Field(
        default=From.HOST, description="host: installed on the nodes; operator: the operator brings it to nodes without"
    )
    toolkit: Annotated[From, _SOFTWARE] = Field(
        default=From.OPERATOR,
        description="host: installed, and known to the container runtime as handler of the RuntimeClass's name",
    )


class Gpu(Section):
    """The GPU software on the nodes."""

    stack: Annotated[GpuStack, _SOFTWARE] = Field(description="what advertises nvidia.com/gpu on the nodes")
    owner: Annotated[Owner, _SOFTWARE] = Field(
        default=Owner.OURS, description="who owns the device plugin or the GPU Operator"
    )
    version: Annotated[Version | None, _SOFTWARE] = Field(
        default=None, description="chart version; default: the newest in releases.py"
    )
    runtime_class: Annotated[RuntimeClass, BeforeValidator(_runtime_class)] = Field(
        default=RuntimeClass(),
        description="what GPU pods run with; a name alone means ours",
        json_schema_extra=or_short(_NAME_ALONE),
    )
    injection: Annotated[Injection | None, _SOFTWARE] = Field(
        default=None,
        description="how a GPU gets into a container on these hosts: docs/versions.md; default: any mode of NVIDIA's "
        "container runtime",
    )
    operator: OperatorParts = Field(
        default=OperatorParts(),
        description="with our own gpuOperator: where driver and container toolkit come from",
    )
    metrics: Metrics | None = Field(
        default=None, description="GPU metrics for a Prometheus; default: what the GPU Operator brings by itself"
    )


_LABELLED: Final = in_place("the nodes' label changes; checks expect it")
_TAINTS: Final = "K8S: concepts/scheduling-eviction/taint-and-toleration"


class Pool(Section):
    """A set of nodes with the same GPUs. Pools are disjoint; quotas are checked against these numbers."""

    nodes: tuple[NodeName, ...] = Field(
        default=(), max_length=MOST_NODES, description="host nodes by name; we label (and taint) them"
    )
    selector: dict[LabelKey, LabelValue] | None = Field(
        default=None, max_length=MOST_LABELS, description="instead of nodes: labels that the pool's nodes have already"
    )
    node_count: Annotated[Whole | None, in_place("only a declaration; limits of -1 follow")] = Field(
        default=None, ge=1, le=MOST_NODES, description="with selector: how many nodes it finds"
    )
    gpus_per_node: Annotated[Whole, in_place("only a declaration; the nodes' label and limits of -1 follow")] = Field(
        ge=0, le=64, description="physical GPUs of each node; 0 is a CPU pool"
    )
    gpu_memory_mib: Annotated[
        Whole | None,
        in_place(
            "the nodes' label changes: KAI counts memory requests by it from then on",
            source="KAI@v0.16.8:pkg/scheduler/api/node_info/node_info.go",
        ),
    ] = Field(
        default=None,
        ge=1,
        le=MOST_MEMORY_MIB,
        description="memory of one GPU in MiB; without it gpu-memory requests are refused",
    )
    product: Annotated[ProductName | None, _LABELLED] = Field(
        default=None, description="as in the label nvidia.com/gpu.product, like NVIDIA-H200"
    )
    architecture: Annotated[Literal["amd64", "arm64"] | None, _LABELLED] = Field(
        default=None, description="the nodes' CPU architecture; default: any"
    )
    cpu_per_node: Annotated[CpuQuantity | None, ARITHMETIC] = Field(
        default=None, description="allocatable CPU in cores; absent: preflight asks the nodes"
    )
    memory_per_node: Annotated[MemoryQuantity | None, ARITHMETIC] = Field(
        default=None, description="allocatable memory in bytes (512Gi); absent: preflight asks"
    )
    pods_per_node: Annotated[Whole, ARITHMETIC] = Field(
        default=110, ge=1, le=MOST_PODS_OF_NODE, description="pods that a node takes: the kubelet's --max-pods"
    )
    sharing: Sharing = Field(
        default=Sharing(), description="how the device plugin shares each GPU; default: not at all"
    )
    taint: Annotated[
        Flag,
        in_place(
            "on: new pods without a toleration do not start there; off: they may; running pods stay (NoSchedule)",
            source=_TAINTS,
        ),
    ] = Field(
        default=False, description="keep everything but GPU teams off the nodes: nvidia.com/gpu=<value>:NoSchedule"
    )
    taint_value: Annotated[
        LabelValue,
        in_place("the team's new pods tolerate that value; running pods stay (NoSchedule)", source=_TAINTS),
    ] = Field(default=GPU_TAINT_VALUE, description="that taint's value; where nodes have the taint already, theirs")

    topology: Annotated[
        tuple[LabelKey, ...],
        replacing(
            "the Topology is made anew: running pods stay where they are, new jobs are placed by the new levels",
            source="KAI@v0.16.8:deployments/kai-scheduler/crds/kai.scheduler_topologies.yaml (levels can't be changed)",
        ),
    ] = Field(
        default=(),
        max_length=MOST_LEVELS,
        description="labels of its nodes, the widest first (zone, rack, kubernetes.io/hostname): makes a KAI Topology "
        "of the pool's name, for jobs whose pods must be near each other",
    )

    @property
    def replicas(self) -> int:
        """How often each physical GPU is advertised: 1 without sharing."""
        way = self.sharing.way
        return way.each if way else 1

    @property
    def gpus_counted_per_node(self) -> int:
        """What label nvidia.com/gpu.count says: physical GPUs, or MIG slices (k8s-device-plugin:internal/lm)."""
        return self.gpus_per_node * (self.replicas if self.sharing.cut else 1)

    @property
    def device_memory_mib(self) -> int | None:
        """Memory in MiB of one `nvidia.com/gpu`: that of the GPU, or the least of a MIG slice."""
        return self.sharing.mig.memory_mib if self.sharing.mig else self.gpu_memory_mib

    @property
    def size(self) -> int:
        """Number of nodes. A node that is named twice counts once."""
        return len(set(self.nodes)) or (self.node_count or 0)

    @property
    def gpus_allocatable_per_node(self) -> int:
        """What one node advertises as `nvidia.com/gpu`: GPUs, or replicas of them."""
        return self.gpus_per_node * self.replicas

    @property
    def gpus_allocatable(self) -> int:
        """What all nodes of the pool together advertise as `nvidia.com/gpu`."""
        return self.size * self.gpus_allocatable_per_node

    @property
    def unit(self) -> str:
        """What a quota on this pool counts: `GPU`, `replica` or `slice`."""
        way = self.sharing.way
        return way.unit if way else "GPU"


def refuses_several(gpu: Gpu, pool: Pool) -> bool:
    """Whether the device plugin refuses a container that asks for more than one replica of a pool.

    DP@v0.20.0:api/config/v1 (failRequestsGreaterThanOne): always so with MPS, and by our settings of time-slicing.
    """
    ours = gpu.owner is Owner.OURS
    return gpu.stack is not GpuStack.FAKE and bool(pool.sharing.mps or (pool.sharing.time_slicing and ours))


def one_at_a_time(gpu: Gpu, pool: Pool) -> str:
    """Why a pod gets one `nvidia.com/gpu` of a pool and no more; empty where it may ask for several."""
    if pool.sharing.cut:
        return "a process computes on one slice, however many its pod has"
    if refuses_several(gpu, pool):
        return "two replicas may be one GPU, and the device plugin refuses a pod that asks for more than one"
    return ""
