"""What a stack file says, as frozen pydantic models. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `gpu-tenancy:platform`. YAML is camelCase, Python is snake_case.
Leaves to others: rules across fields (`rules.py`), reading files and wording mistakes (`load.py`), the JSON Schema
(`schema.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from settings.connection import Connection
from settings.hosts import Install, K3s, Kind, Microk8s
from settings.slurm import Slurm
from settings.types import CpuQuantity, DnsLabel, GpuAmount, MemoryQuantity, Port, Section
from settings.workloads import Workload


def _or(short: JsonDict) -> Callable[[JsonDict], None]:
    """For editors: the field may also be written in its short form."""

    def widen(schema: JsonDict) -> None:
        full: JsonDict = {"$ref": schema.pop("$ref")}
        schema["anyOf"] = [short, full]

    return widen


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


class SchedulerMode(StrEnum):
    """`virtual`: the team's own KAI in its virtual cluster. `host`: the one KAI on the host. `default`: no KAI."""

    VIRTUAL = "virtual"
    HOST = "host"
    DEFAULT = "default"


class TeamPriority(StrEnum):
    """A team's order on the host, as one PriorityClass per team. It orders pods that wait for CPU and memory on the
    host; it does not compare with KAI's queue priorities, which live inside one scheduler each."""

    HIGH = "high"
    STANDARD = "standard"
    BEST_EFFORT = "bestEffort"


class Isolation(StrEnum):
    """The Pod Security level of a team's workloads, enforced on the host namespace."""

    RESTRICTED = "restricted"
    BASELINE = "baseline"
    PRIVILEGED = "privileged"


class Headroom(Section):
    """What stays free on every node for the host's own pods."""

    cpu: CpuQuantity = Field(default="500m", description="CPU of each node, in cores (0.5 or 500m)")
    memory: MemoryQuantity = Field(default="1Gi", description="memory of each node, in bytes (1Gi)")
    pods: int = Field(default=15, ge=0, description="pods of each node")


class SharedScheduler(Section):
    """The one KAI on the host, for teams with `scheduler.mode: host`."""

    version: str = Field(description="KAI release with v, like v0.16.8; known ones: docs/versions.md")
    owner: Owner = Field(default=Owner.OURS, description="ours: we install it; cluster: it is there already")


class Host(Section):
    """The host cluster."""

    provider: HostProvider = Field(description="where the host cluster comes from; lab is a simulation")
    context: str | None = Field(default=None, description="kubeconfig context; default: the file's current context")
    kubeconfig: str | None = Field(default=None, description="path; default: $KUBECONFIG, then ~/.kube/config")
    name: DnsLabel = Field(default="gpu-tenancy", description="name of the kind cluster that `kind` makes")
    address: str | None = Field(
        default=None, description="host name or IP where tenants reach NodePorts; goes into the API certificates"
    )
    headroom: Headroom = Field(default=Headroom(), description="what stays free on every node for the host's own pods")
    storage_class: str | None = Field(
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


def _runtime_class(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class RuntimeClass(Section):
    """The RuntimeClass that GPU pods run with. k3s and the GPU Operator bring their own: `owner: cluster`."""

    name: DnsLabel = Field(default="nvidia", description="name of the RuntimeClass")
    handler: str = Field(default="nvidia", description="the container runtime's own name for it, in its config")
    owner: Owner = Field(default=Owner.OURS, description="cluster where k3s or the GPU Operator brings it")


class Gpu(Section):
    """The GPU software on the nodes."""

    stack: GpuStack = Field(description="what advertises nvidia.com/gpu on the nodes")
    owner: Owner = Field(default=Owner.OURS, description="whose the device plugin or the GPU Operator is")
    version: str | None = Field(default=None, description="chart version; default: the newest in releases.py")
    runtime_class: Annotated[RuntimeClass, BeforeValidator(_runtime_class)] = Field(
        default=RuntimeClass(),
        description="what GPU pods run with; a name alone means ours",
        json_schema_extra=_or({"type": "string"}),
    )
    injection: Injection | None = Field(
        default=None,
        description="how a GPU gets into a container on these hosts: docs/versions.md; default: any mode of NVIDIA's "
        "container runtime",
    )


MOST_MPS_CLIENTS = 48
"""Clients of one GPU since Volta (NVIDIA MPS; device plugin v0.20.0:cmd/mps-control-daemon/mps/device.go refuses more).
"""
MOST_TIME_SLICES = 1000
"""The plugin lists every replica to the kubelet in one message of at most 4 MiB, some 60 bytes each: 64 GPUs shared
1000 ways fill it. Time-slicing itself has no bound."""


class Replicas(Section):
    """Each GPU of the node is advertised this many times."""

    replicas: int = Field(
        ge=2, le=MOST_TIME_SLICES, description="how often each physical GPU is advertised; quotas count these"
    )


class MpsReplicas(Replicas):
    """Each GPU of the node is shared by this many MPS clients."""

    replicas: int = Field(
        ge=2, le=MOST_MPS_CLIENTS, description="how often each physical GPU is advertised; quotas count these"
    )


class Sharing(Section):
    """How the device plugin shares GPUs. Neither isolates faults; MPS bounds memory, time-slicing bounds nothing."""

    time_slicing: Replicas | None = Field(
        default=None, description="GPUs shared by taking turns; nothing keeps memory or faults apart"
    )
    mps: MpsReplicas | None = Field(
        default=None, description="GPUs shared by NVIDIA's MPS; memory is divided evenly, faults are not kept apart"
    )


class Pool(Section):
    """A set of nodes with the same GPUs. Pools are disjoint; quotas are checked against these numbers."""

    nodes: tuple[str, ...] = Field(default=(), description="host nodes by name; we label (and taint) them")
    selector: dict[str, str] | None = Field(
        default=None, description="instead of nodes: labels that the pool's nodes have already"
    )
    node_count: int | None = Field(default=None, ge=1, description="with selector: how many nodes it finds")
    gpus_per_node: int = Field(ge=0, le=64, description="physical GPUs of each node; 0 is a CPU pool")
    gpu_memory_mib: int | None = Field(
        default=None, ge=1, description="memory of one GPU in MiB; without it gpu-memory requests are refused"
    )
    product: str | None = Field(default=None, description="as nvidia.com/gpu.product says it, like NVIDIA-H200")
    architecture: Literal["amd64", "arm64"] | None = Field(
        default=None, description="the nodes' CPU architecture; default: any"
    )
    cpu_per_node: CpuQuantity | None = Field(
        default=None, description="allocatable CPU in cores; absent: preflight asks the nodes"
    )
    memory_per_node: MemoryQuantity | None = Field(
        default=None, description="allocatable memory in bytes (512Gi); absent: preflight asks"
    )
    pods_per_node: int = Field(default=110, ge=1, description="pods that a node takes: the kubelet's --max-pods")
    sharing: Sharing = Field(
        default=Sharing(), description="how the device plugin shares each GPU; default: not at all"
    )
    taint: bool = Field(
        default=False, description="keep everything but GPU teams off the nodes: nvidia.com/gpu:NoSchedule"
    )

    @property
    def replicas(self) -> int:
        """How often each physical GPU is advertised: 1 without sharing."""
        shared = self.sharing.time_slicing or self.sharing.mps
        return shared.replicas if shared else 1

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.nodes) or (self.node_count or 0)

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
        """What a quota on this pool counts: `GPU` or `replica`."""
        return "replica" if self.replicas > 1 else "GPU"


class GpuQuota(Section):
    """A team's GPUs: quota is guaranteed, limit is the hard cap. The unit is the pool's: GPU, or replica."""

    quota: int = Field(default=0, ge=-1, description="guaranteed, in GPUs (replicas) of the pool; -1: all it sees")
    limit: int = Field(
        default=0, ge=-1, description="hard cap, in GPUs (replicas); default: the quota; -1: all that the team sees"
    )


def _gpu_quota(value: Any) -> Any:
    """`gpus: 2` means quota and limit 2; `{quota: 2}` alone means limit 2, too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"quota": value, "limit": value}
    if isinstance(value, dict) and "quota" in value and "limit" not in value:
        return {**value, "limit": value["quota"]}
    return value


class TeamResources(Section):
    """What a team's workloads may use. Tenancy's own pods (control plane, DNS, KAI) are counted on top."""

    gpus: Annotated[GpuQuota, BeforeValidator(_gpu_quota)] = Field(
        default=GpuQuota(),
        description="GPUs (replicas) of the pool; a number alone is both quota and limit",
        json_schema_extra=_or({"type": "integer", "minimum": -1}),
    )
    cpu: CpuQuantity = Field(default="4", description="CPU requests of all its pods together, in cores")
    memory: MemoryQuantity = Field(default="8Gi", description="memory requests of all its pods together, in bytes")
    pods: int = Field(default=50, ge=1, description="number of its pods that have not ended")
    storage: MemoryQuantity = Field(
        default="100Gi", description="requests of all its volumes together, the control plane's 5Gi too, in bytes"
    )


class QueueResource(Section):
    """One resource of a queue in KAI's terms. quota is deserved, limit the hard cap; -1 is unlimited."""

    quota: GpuAmount = Field(default=0, description="guaranteed, in GPUs (replicas); 0.5 is half a GPU; -1: unlimited")
    limit: GpuAmount = Field(
        default=0, description="at most, in GPUs (replicas); default: the quota; -1: up to the team's limit"
    )
    over_quota_weight: float = Field(
        default=1, ge=0, description="share of what others leave, relative to the other queues; 0: none"
    )


def _queue_gpu(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"quota": value, "limit": value}
    if isinstance(value, dict) and "quota" in value and "limit" not in value:
        return {**value, "limit": value["quota"]}
    return value


class Queue(Section):
    """A leaf queue below the team's parent queue. CPU and memory are bounded by the host's ResourceQuota."""

    gpu: Annotated[QueueResource, BeforeValidator(_queue_gpu)] = Field(
        default=QueueResource(),
        description="GPUs (replicas) of the team; a number alone is both quota and limit",
        json_schema_extra=_or({"type": "number", "minimum": -1}),
    )
    priority: int = Field(
        default=100, description="KAI: higher is served first and reclaimed last, within one scheduler"
    )


class Canary(Section):
    """A second virtual cluster of the team with another KAI version, to try it on real GPUs before switching."""

    version: str = Field(description="KAI release with v, like v0.16.8")
    gpus: int = Field(
        default=1, ge=0, description="quota and limit of the canary; they count in the pool like a team's"
    )
    nodes: tuple[str, ...] = Field(default=(), description="only these nodes of the pool; default: the team's")
    host_names: tuple[str, ...] = Field(
        default=(), description="names of the canary's API server; needed where the team's expose is loadBalancer"
    )


class Scheduler(Section):
    """Which scheduler a team's pods get."""

    mode: SchedulerMode = Field(
        default=SchedulerMode.DEFAULT, description="virtual: a KAI of its own; host: the host's KAI; default: no KAI"
    )
    version: str | None = Field(default=None, description="KAI release, like v0.9.3; only with mode virtual")
    gpu_sharing: bool = Field(default=False, description="allow GPU fractions (gpu-fraction, gpu-memory annotations)")
    canary: Canary | None = Field(default=None, description="a second virtual cluster with another KAI version")


class Expose(StrEnum):
    """How a tenant reaches its API server. `none`: only from inside the host cluster."""

    NODE_PORT = "nodePort"
    LOAD_BALANCER = "loadBalancer"
    NONE = "none"


class Access(Section):
    """A team's way to its API server."""

    expose: Expose = Field(default=Expose.NODE_PORT, description="nodePort needs host.address, loadBalancer hostNames")
    port: Port | None = Field(default=None, description="NodePort; default: derived from the team's name")
    host_names: tuple[str, ...] = Field(default=(), description="further names in the API server's certificate")
    user_kubeconfig: bool = Field(default=False, description="also make a kubeconfig without admin rights")


class Vcluster(Section):
    """The team's virtual cluster."""

    version: str | None = Field(default=None, description="chart version without v; default: the newest in releases.py")
    kubernetes_version: str | None = Field(
        default=None, description="Kubernetes inside, like v1.34.4; default: what was run (docs/versions.md)"
    )
    backing_store: Literal["sqlite", "etcd"] = Field(
        default="sqlite", description="where the virtual cluster keeps its objects; etcd is one more pod"
    )
    persistence: bool = Field(default=True, description="off loses the tenant at the next restart of its control plane")


class TeamCheck(Section):
    """How the GPU check asks: as the team's own workloads would. At most one of fraction, gpuMemoryMib and pair."""

    enabled: bool = Field(default=True, description="whether this team is checked")
    gpus: int = Field(default=1, ge=1, description="whole GPUs (or replicas)")
    fraction: float | None = Field(default=None, gt=0, le=1, description="share of one GPU; needs gpuSharing")
    gpu_memory_mib: int | None = Field(default=None, ge=1, description="memory of one GPU in MiB; needs gpuSharing")
    pair: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=0, lt=1)]] | None = Field(
        default=None,
        description="two shares of one GPU, together at most 1: two pods in two namespaces must run on it at the same "
        "time, and a third must find no room beside them; needs gpuSharing",
    )
    queue: DnsLabel | None = Field(
        default=None,
        description="leaf queue; default: the team's first, with mode host one of its own that takes only what is free",
    )

    @property
    def share(self) -> float | None:
        """The share of one GPU that is taken in all: the fraction, or both of a pair; None where it is not said so."""
        return self.fraction if self.pair is None else round(sum(self.pair), 6)


class Team(Section):
    """A tenant."""

    pool: DnsLabel | None = Field(default=None, description="the nodes that the team uses; needed for GPUs")
    nodes: tuple[str, ...] = Field(default=(), description="only these nodes of the pool; default: all of them")
    scheduler: Scheduler = Field(
        default=Scheduler(), description="which scheduler its pods get; default: the host's own, no KAI"
    )
    resources: TeamResources = Field(default=TeamResources(), description="what its workloads may use")
    queues: dict[DnsLabel, Queue] = Field(
        default_factory=dict, description="leaf queues by name; with mode virtual and host at least one"
    )
    priority: TeamPriority = Field(
        default=TeamPriority.STANDARD, description="its order on the host when pods wait for CPU and memory"
    )
    isolation: Isolation = Field(default=Isolation.BASELINE, description="Pod Security level of its workloads")
    access: Access = Field(default=Access(), description="how it reaches its API server")
    vcluster: Vcluster = Field(default=Vcluster(), description="its virtual cluster")
    check: TeamCheck = Field(default=TeamCheck(), description="what its GPU check asks for")
    workloads: dict[DnsLabel, Workload] = Field(
        default_factory=dict, description="servers and apps that run as the team's own, each tested after a deploy"
    )


class OnFailure(StrEnum):
    """Which verdict of a check fails the deploy: `fail` only a failure, `warn` a warning, too."""

    FAIL = "fail"
    WARN = "warn"


class Check(Section):
    """The GPU check that runs in every GPU team after a deploy."""

    image: str | None = Field(default=None, description="with Python and torch; default: the pinned one in releases.py")
    gpu_memory_fraction: float = Field(
        default=0.5, gt=0, le=0.95, description="share of one GPU's memory to allocate, 0 to 0.95"
    )
    deadline_seconds: int = Field(
        default=600, ge=30, description="seconds until a check ends in any case, waiting for a GPU included"
    )
    on_failure: OnFailure = Field(default=OnFailure.FAIL, description="which verdict fails the deploy")
    host: bool = Field(default=True, description="first prove driver, runtime and plugin on every GPU node")


class Artifacts(Section):
    """Where charts and images come from, for hosts without internet."""

    charts: dict[str, str] = Field(
        default_factory=dict,
        description="by chart, with or without version ('vcluster', 'vcluster@0.36.1'): an oci:// or https:// URL, or "
        "a local path; {version} in it stands for the version",
    )
    image_registry: str | None = Field(default=None, description="mirror that replaces the registry of every image")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="of every image; default: each chart's own"
    )


def _day(value: Any) -> Any:
    # the engine's own reader hands an unquoted date on as "2026-12-31 00:00:00 +0000 UTC"
    return value.removesuffix(" 00:00:00 +0000 UTC") if isinstance(value, str) else value


TeamChange: TypeAlias = Literal["delete", "replace", "lowerLimit"]
"""What an override can let happen to one team."""

StackChange: TypeAlias = Literal["anotherCluster", "slurm", "preflight", "quotaRules"]
"""What an override can let through for the whole stack."""


class Override(Section):
    """Lets one thing through that is refused otherwise, until a date: a dangerous change of one team, or a finding of a
    guard. `protect`, the preview gate and the guards use it."""

    team: DnsLabel | None = Field(
        default=None,
        description="with delete, replace and lowerLimit: the tenant; may be one that this change removes",
    )
    allow: tuple[TeamChange | StackChange, ...] = Field(min_length=1, description="what may happen")
    of: tuple[str, ...] = Field(
        default=(),
        description="with preflight: the findings that are let through, with quotaRules: the rules; each by its name",
    )
    until: Annotated[date, BeforeValidator(_day)] = Field(
        description="last day that it holds, YYYY-MM-DD; later it is as if it were not there"
    )
    reason: str = Field(min_length=10, description="why, for the reviewer; at least 10 characters")


class Platform(Section):
    """The whole stack file: `config` key `gpu-tenancy:platform`."""

    host: Host = Field(description="the host cluster")
    gpu: Gpu = Field(description="the GPU software on the nodes")
    pools: dict[DnsLabel, Pool] = Field(min_length=1, description="sets of nodes by name, no node in two")
    teams: dict[DnsLabel, Team] = Field(default_factory=dict, description="tenants by name, some 30 in a stack")
    slurm: Slurm | None = Field(default=None, description="SLURM on a GPU host beside the cluster; default: none")
    check: Check = Field(default=Check(), description="the GPU check that runs in every GPU team")
    artifacts: Artifacts = Field(default=Artifacts(), description="mirrors of charts and images")
    overrides: tuple[Override, ...] = Field(
        default=(), description="what is let through that is refused otherwise, each until a date"
    )
