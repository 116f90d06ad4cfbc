"""What a stack file says, as frozen pydantic models. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `gpu-tenancy:platform`. YAML is camelCase, Python is snake_case.
Leaves to others: host, GPU software and pools (`infrastructure.py`), rules across fields (`rules/`), reading files
(`reader.py`), messages (`wording.py`), the JSON Schema (`schema.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, Strict

from settings.blue_green import BlueGreen, Slot
from settings.gpu_sharing import Enforce, GpuSharing, spelled_out
from settings.infrastructure import (
    MOST_MEMORY_MIB,
    MOST_NODES,
    From,
    Gpu,
    GpuStack,
    Headroom,
    Host,
    HostProvider,
    Injection,
    Metrics,
    MpsReplicas,
    OperatorParts,
    Owner,
    Pool,
    Replicas,
    RuntimeClass,
    SharedScheduler,
    Sharing,
)
from settings.quotas import GpuQuota, Queue, QueueResource, TeamResources
from settings.shorthand import or_short
from settings.slurm import Slurm
from settings.snapshots import Snapshots
from settings.texts import (
    ChartKey,
    ChartPlace,
    DnsLabel,
    HostName,
    ImageReference,
    NodeName,
    Reason,
    Registry,
    Version,
)
from settings.types import (
    MOST_GPUS,
    UNLIMITED,
    Day,
    Flag,
    Port,
    Section,
    Share,
    Whole,
)
from settings.workloads import Workload

__all__ = [
    "Access",
    "Artifacts",
    "BlueGreen",
    "Canary",
    "Check",
    "Enforce",
    "Expose",
    "From",
    "Gpu",
    "GpuQuota",
    "GpuSharing",
    "GpuStack",
    "Headroom",
    "Host",
    "HostProvider",
    "Injection",
    "Isolation",
    "Metrics",
    "MpsReplicas",
    "OnFailure",
    "OperatorParts",
    "Override",
    "Owner",
    "Platform",
    "Pool",
    "Queue",
    "QueueResource",
    "Replicas",
    "RuntimeClass",
    "Scheduler",
    "SchedulerMode",
    "SharedScheduler",
    "Sharing",
    "Slot",
    "Snapshots",
    "Team",
    "TeamCheck",
    "TeamPriority",
    "TeamResources",
    "Vcluster",
]

MOST_ENTRIES: Final = 500
"""Most teams, pools, queues of a team, or overrides. A stack has some 30 teams; rules that compare pairs stay fast."""
MOST_HOST_NAMES: Final = 100
LONGEST_CHECK: Final = 86_400
"""A day, in seconds: a deploy waits for its checks."""


class SchedulerMode(StrEnum):
    """`virtual`: the team's own KAI in its virtual cluster. `host`: the one KAI on the host. `default`: no KAI."""

    VIRTUAL = "virtual"
    HOST = "host"
    DEFAULT = "default"


class TeamPriority(StrEnum):
    """A team's order on the host: one PriorityClass per team. It orders pods that wait for CPU and memory on the host.
    It has nothing to do with KAI's queue priorities, which count inside one scheduler.
    """

    HIGH = "high"
    STANDARD = "standard"
    BEST_EFFORT = "bestEffort"


class Isolation(StrEnum):
    """The Pod Security level of a team's workloads, enforced on the host namespace."""

    RESTRICTED = "restricted"
    BASELINE = "baseline"
    PRIVILEGED = "privileged"


class Canary(Section):
    """A second virtual cluster of the team with another KAI version, to try it on real GPUs before switching."""

    version: Version = Field(description="KAI release with v, like v0.16.8")
    gpus: Whole = Field(
        default=1,
        ge=0,
        le=MOST_GPUS,
        description="quota and limit of the canary; they count in the pool like a team's",
    )
    nodes: tuple[NodeName, ...] = Field(
        default=(), max_length=MOST_NODES, description="only these nodes of the pool; default: the team's"
    )
    host_names: tuple[HostName, ...] = Field(
        default=(),
        max_length=MOST_HOST_NAMES,
        description="names of the canary's API server; needed where the team's expose is loadBalancer",
    )


class Scheduler(Section):
    """Which scheduler a team's pods get."""

    mode: SchedulerMode = Field(
        default=SchedulerMode.DEFAULT, description="virtual: a KAI of its own; host: the host's KAI; default: no KAI"
    )
    version: Version | None = Field(default=None, description="KAI release, like v0.9.3; only with mode virtual")
    gpu_sharing: Annotated[GpuSharing, BeforeValidator(spelled_out)] = Field(
        default=GpuSharing(),
        description="allow GPU fractions (gpu-fraction, gpu-memory annotations); true and false alone are short forms",
        json_schema_extra=or_short({"type": "boolean"}),
    )
    canary: Canary | None = Field(default=None, description="a second virtual cluster with another KAI version")

    @property
    def shares(self) -> bool:
        """Whether GPU fractions are allowed."""
        return self.gpu_sharing.enabled


class Expose(StrEnum):
    """How a tenant reaches its API server. `none`: only from inside the host cluster."""

    NODE_PORT = "nodePort"
    LOAD_BALANCER = "loadBalancer"
    NONE = "none"


class Access(Section):
    """A team's way to its API server."""

    expose: Expose = Field(default=Expose.NODE_PORT, description="nodePort needs host.address, loadBalancer hostNames")
    port: Port | None = Field(default=None, description="NodePort; default: derived from the team's name")
    host_names: tuple[HostName, ...] = Field(
        default=(), max_length=MOST_HOST_NAMES, description="further names in the API server's certificate"
    )
    user_kubeconfig: Flag = Field(default=False, description="also make a kubeconfig without admin rights")


class Vcluster(Section):
    """The team's virtual cluster."""

    version: Version | None = Field(
        default=None, description="chart version without v; default: the newest in releases.py"
    )
    kubernetes_version: Version | None = Field(
        default=None, description="Kubernetes inside, like v1.34.4; default: the one that was run (docs/versions.md)"
    )
    backing_store: Literal["sqlite", "etcd"] = Field(
        default="sqlite", description="where the virtual cluster keeps its objects; etcd is one more pod"
    )
    persistence: Flag = Field(default=True, description="off: a restart of the control plane loses the tenant")
    snapshots: Snapshots | None = Field(
        default=None, description="keep snapshots of it; default: none can be taken. {} is a volume of 2Gi"
    )


PartOfGpu = Annotated[float, Strict(), Field(gt=0, lt=1)]


class TeamCheck(Section):
    """How the GPU check asks for GPUs: as the team's own workloads would. At most one of fraction, gpuMemoryMib and
    pair.
    """

    enabled: Flag = Field(default=True, description="whether this team is checked")
    gpus: Whole = Field(default=1, ge=1, le=MOST_GPUS, description="whole GPUs (or replicas)")
    fraction: Share | None = Field(default=None, gt=0, le=1, description="share of one GPU; needs gpuSharing")
    gpu_memory_mib: Whole | None = Field(
        default=None, ge=1, le=MOST_MEMORY_MIB, description="memory of one GPU in MiB; needs gpuSharing"
    )
    pair: tuple[PartOfGpu, PartOfGpu] | None = Field(
        default=None,
        description="two shares of one GPU, together at most 1: two pods in two namespaces must run on it at the same "
        "time, and a third must find no room beside them; needs gpuSharing",
    )
    queue: DnsLabel | None = Field(
        default=None,
        description="leaf queue; default: the team's first by name that has room; mode host: the check's own queue, "
        "which takes only what is free",
    )

    @property
    def share(self) -> float | None:
        """The total share of one GPU: the fraction, or the sum of a pair; None where neither is written."""
        return self.fraction if self.pair is None else round(sum(self.pair), 6)


class Team(Section):
    """A tenant."""

    pool: DnsLabel | None = Field(default=None, description="the nodes that the team uses; needed for GPUs")
    nodes: tuple[NodeName, ...] = Field(
        default=(), max_length=MOST_NODES, description="only these nodes of the pool; default: all of them"
    )
    state: Literal["active", "paused"] = Field(
        default="active", description="paused: its pods are stopped and its GPUs freed; its objects and volumes stay"
    )
    scheduler: Scheduler = Field(
        default=Scheduler(), description="which scheduler its pods get; default: the host's own, no KAI"
    )
    blue_green: BlueGreen | None = Field(
        default=None, description="two virtual clusters, of which one serves; default: a new version comes in place"
    )
    resources: TeamResources = Field(default=TeamResources(), description="what its workloads may use")
    queues: dict[DnsLabel, Queue] = Field(
        default_factory=dict,
        max_length=MOST_ENTRIES,
        description="leaf queues by name; with mode virtual and host at least one",
    )
    priority: TeamPriority = Field(
        default=TeamPriority.STANDARD, description="its order on the host when pods wait for CPU and memory"
    )
    isolation: Isolation = Field(default=Isolation.BASELINE, description="Pod Security level of its workloads")
    access: Access = Field(default=Access(), description="how it reaches its API server")
    vcluster: Vcluster = Field(default=Vcluster(), description="its virtual cluster")
    check: TeamCheck = Field(default=TeamCheck(), description="what its GPU check asks for")
    workloads: dict[DnsLabel, Workload] = Field(
        default_factory=dict,
        max_length=MOST_ENTRIES,
        description="servers and apps that run as the team's own, each tested after a deploy",
    )

    @property
    def paused(self) -> bool:
        """Whether its workloads are stopped."""
        return self.state == "paused"

    @property
    def first_queue(self) -> str | None:
        """The leaf queue of a workload that names none: the first by name, because the engine sorts the keys of a
        file.
        """
        return min(self.queues, default=None)

    @property
    def checked_queue(self) -> str | None:
        """The leaf queue of the check; by default the first by name that has room for it, else the first by name.

        By name and not by place: the engine sorts the keys of a file.
        """
        asked = self.check.gpus if self.check.share is None else self.check.share
        roomy = [
            leaf for leaf, queue in self.queues.items() if queue.gpu.limit == UNLIMITED or queue.gpu.limit >= asked
        ]
        return self.check.queue or min(roomy or self.queues, default=None)


class OnFailure(StrEnum):
    """Which verdict of a check fails the deploy. `fail`: only a failure. `warn`: a warning, too."""

    FAIL = "fail"
    WARN = "warn"


class Check(Section):
    """The GPU check that runs in every GPU team after a deploy."""

    image: ImageReference | None = Field(
        default=None, description="with Python and torch; default: the pinned one in releases.py"
    )
    gpu_memory_fraction: Share = Field(
        default=0.5, gt=0, le=0.95, description="share of one GPU's memory to allocate, 0 to 0.95"
    )
    deadline_seconds: Whole = Field(
        default=600,
        ge=30,
        le=LONGEST_CHECK,
        description="seconds until a check ends in any case, including the wait for a GPU",
    )
    on_failure: OnFailure = Field(default=OnFailure.FAIL, description="which verdict fails the deploy")
    host: Flag = Field(default=True, description="first prove driver, runtime and plugin on every GPU node")


class Artifacts(Section):
    """Where charts and images come from, for hosts without internet."""

    charts: dict[ChartKey, ChartPlace] = Field(
        default_factory=dict,
        max_length=MOST_ENTRIES,
        description="by chart, with or without version ('vcluster', 'vcluster@0.36.1'): an oci:// or https:// URL, or "
        "a local path; {version} in it stands for the version",
    )
    image_registry: Registry | None = Field(
        default=None, description="mirror that replaces the registry of every image"
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="of every image; default: each chart's own"
    )


TeamChange: TypeAlias = Literal["delete", "replace", "lowerLimit"]
"""What an override can allow for one team."""

StackChange: TypeAlias = Literal["anotherCluster", "slurm", "preflight", "quotaRules"]
"""What an override can allow for the whole stack."""


class Override(Section):
    """Allows one thing until a date that is refused otherwise: a dangerous change of one team, or a finding of a guard.
    `protect`, the preview gate and the guards use it.
    """

    team: DnsLabel | None = Field(
        default=None,
        description="with delete, replace and lowerLimit: the tenant; may be one that this change removes",
    )
    allow: tuple[Literal[TeamChange, StackChange], ...] = Field(
        min_length=1, max_length=MOST_ENTRIES, description="what may happen"
    )
    of: tuple[DnsLabel, ...] = Field(
        default=(),
        max_length=MOST_ENTRIES,
        description="with preflight: the names of the allowed findings; with quotaRules: the names of the rules",
    )
    until: Day = Field(
        description="last day that it holds, YYYY-MM-DD, at most 90 days ahead; after that it has no effect"
    )
    reason: Reason = Field(description="why, for the reviewer; at least 10 characters")


class Platform(Section):
    """The whole stack file: `config` key `gpu-tenancy:platform`."""

    host: Host = Field(description="the host cluster")
    gpu: Gpu = Field(description="the GPU software on the nodes")
    pools: dict[DnsLabel, Pool] = Field(
        min_length=1, max_length=MOST_ENTRIES, description="sets of nodes by name, no node in two"
    )
    teams: dict[DnsLabel, Team] = Field(
        default_factory=dict, max_length=MOST_ENTRIES, description="tenants by name, some 30 in a stack"
    )
    slurm: Slurm | None = Field(default=None, description="SLURM on a GPU host beside the cluster; default: none")
    check: Check = Field(default=Check(), description="the GPU check that runs in every GPU team")
    artifacts: Artifacts = Field(default=Artifacts(), description="mirrors of charts and images")
    overrides: tuple[Override, ...] = Field(
        default=(),
        max_length=MOST_ENTRIES,
        description="what is allowed although it is refused otherwise, each until a date",
    )
