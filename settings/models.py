"""What a stack file says, as frozen pydantic models. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `gpu-tenancy:platform`. YAML is camelCase, Python is snake_case.
Leaves to others: host, GPU software and pools (`infrastructure.py`), rules across fields (`rules/`), reading files
(`reader.py`), messages (`wording.py`), the JSON Schema (`schema.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from capacity import UNLIMITED
from settings.blue_green import BlueGreen, Slot
from settings.checks import Check, TeamCheck
from settings.gpu_sharing import Enforce, GpuSharing, spelled_out
from settings.hosts import Host, HostProvider, Site
from settings.infrastructure import (
    MOST_NODES,
    From,
    Gpu,
    GpuStack,
    Injection,
    Metrics,
    OperatorParts,
    Owner,
    Pool,
    RuntimeClass,
)
from settings.on_change import NEW_ADDRESS, OnChange, StackChange, TeamChange, disruptive, in_place, losing, replacing
from settings.quotas import GpuQuota, Queue, QueueResource, TeamResources
from settings.slurm import Slurm
from settings.snapshots import Snapshots
from settings.texts import (
    ChartKey,
    ChartPlace,
    DnsLabel,
    HostName,
    NodeName,
    Reason,
    Registry,
    Version,
)
from settings.types import MOST_GPUS, Day, Flag, Port, Section, Whole, or_short
from settings.workloads import Workload

MOST_ENTRIES: Final = 500
"""Most teams, pools, queues of a team, or overrides. A stack has some 30 teams; rules that compare pairs stay fast."""
MOST_HOST_NAMES: Final = 100


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


def _as(field: str) -> OnChange:
    return losing(f"like teams.*.{field}, for the canary alone; if canary is left out, the canary is removed", "delete")


class Canary(Section):
    """A second virtual cluster of the team with another KAI version, to try it on real GPUs before switching."""

    version: Annotated[Version, _as("scheduler.version")] = Field(description="KAI release with v, like v0.16.8")
    gpus: Annotated[Whole, _as("resources.gpus.limit")] = Field(
        default=1,
        ge=0,
        le=MOST_GPUS,
        description="quota and limit of the canary; they count in the pool like a team's",
    )
    nodes: Annotated[tuple[NodeName, ...], _as("nodes")] = Field(
        default=(), max_length=MOST_NODES, description="only these nodes of the pool; default: the team's"
    )
    host_names: Annotated[tuple[HostName, ...], _as("access.hostNames")] = Field(
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

    expose: Annotated[Expose, NEW_ADDRESS] = Field(
        default=Expose.NODE_PORT, description="nodePort needs host.address, loadBalancer hostNames"
    )
    port: Annotated[Port | None, NEW_ADDRESS] = Field(
        default=None, description="NodePort; default: derived from the team's name"
    )
    host_names: Annotated[tuple[HostName, ...], NEW_ADDRESS] = Field(
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
    priority: Annotated[
        TeamPriority,
        replacing(
            "the team's PriorityClass is made anew: running pods keep their order, new ones get the new one",
            topic="priority",
            source="K8S: concepts/scheduling-eviction/pod-priority-preemption (value can't be changed)",
        ),
    ] = Field(default=TeamPriority.STANDARD, description="its order on the host when pods wait for CPU and memory")
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
        """The leaf queue of a workload that names none: the first by name, as the engine sorts the keys of a file."""
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


_ELSEWHERE: Final = disruptive(
    "charts and images come from elsewhere: control planes and schedulers restart, running pods go on",
    topic="artifacts",
)


class Artifacts(Section):
    """Where charts and images come from, for hosts without internet."""

    charts: Annotated[dict[ChartKey, ChartPlace], _ELSEWHERE] = Field(
        default_factory=dict,
        max_length=MOST_ENTRIES,
        description="by chart, with or without version ('vcluster', 'vcluster@0.36.1'): an oci:// or https:// URL, or "
        "a local path; {version} in it stands for the version",
    )
    image_registry: Annotated[Registry | None, _ELSEWHERE] = Field(
        default=None, description="mirror that replaces the registry of every image"
    )
    image_pull_policy: Annotated[Literal["Always", "IfNotPresent", "Never"] | None, _ELSEWHERE] = Field(
        default=None, description="of every image; default: each chart's own"
    )


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
    overrides: Annotated[tuple[Override, ...], in_place("allows what is refused otherwise, until a date")] = Field(
        default=(),
        max_length=MOST_ENTRIES,
        description="what is allowed although it is refused otherwise, each until a date",
    )

    def site(self, ports: tuple[int, ...] = ()) -> Site:
        """What a provider is told of this platform. `ports`: NodePorts that are reached from outside."""
        host, connection = self.host, self.host.connection
        return Site(
            name=host.name,
            address=host.address,
            over_ssh=connection is not None and connection.ssh is not None,
            gpu=self.gpu,
            pools=self.pools,
            ports=ports,
        )
