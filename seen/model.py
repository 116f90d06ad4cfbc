"""The facts of a snapshot: frozen, typed, no JSON in them. Pure.

GPUs count as the cluster counts them: a unit is a GPU, or a replica where the device plugin shares it, or a MIG slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from names import ENDED


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Something that could not be read."""

    what: str
    """`host: events`, `team ml: everything`."""
    why: str


class GpuState(StrEnum):
    """`unhealthy`: the node has it and its device plugin does not give it away. `reserved`: KAI's reservation pod holds
    it for fractions of which none is there (yet)."""

    FREE = "free"
    USED = "used"
    RESERVED = "reserved"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A pod on a GPU. `share` is 1 for a whole unit, else the fraction, None where the cluster can't tell it."""

    team: str
    """Empty: a pod of the host's own."""
    namespace: str
    pod: str
    share: float | None


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit of a node. Which physical one a whole GPU is the API does not tell: `number` is only a place to show it.
    `group` and `uuid` are known for a GPU that is shared by fractions."""

    node: str
    number: int
    resource: str
    state: GpuState
    holders: tuple[Holder, ...] = ()
    group: str = ""
    uuid: str = ""

    @property
    def taken(self) -> float:
        """How much of it is taken, 0 to 1."""
        if self.state is GpuState.FREE:
            return 0.0
        return min(1.0, sum(1.0 if one.share is None else one.share for one in self.holders))


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of the host. `ready`: the kubelet says so. `cordoned`: unschedulable by hand."""

    name: str
    pool: str
    """Empty: in no pool of the stack file."""
    ready: bool
    cordoned: bool
    taints: tuple[str, ...]
    """`key=value:Effect`."""
    product: str
    memory_mib: int
    """Of one GPU; 0: not labelled."""
    units: tuple[Unit, ...]
    fenced: str | None = None
    """Why `make fence` took it out of service; None: it is in service."""
    pressures: tuple[str, ...] = ()
    cpu: float = 0.0
    memory: float = 0.0
    """Bytes; both allocatable."""
    cpu_used: float = 0.0
    memory_used: float = 0.0
    """By the requests of the pods there."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool of the stack file with the nodes that are there."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """Every unit of the pool."""
        return tuple(unit for node in self.nodes for unit in node.units)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod as its team names it. `host_name`: as the host names it, empty where it is not there."""

    team: str
    """Empty: the host's own."""
    namespace: str
    name: str
    host_name: str
    node: str
    """Empty: no node yet."""
    phase: str
    state: str
    """The phase, or the more telling word: `Terminating`, `CrashLoopBackOff`, `ImagePullBackOff`, `OutOfcpu`, ..."""
    ready: bool
    queue: str
    gpus: float
    """Whole units asked for."""
    fraction: float | None
    """Share of each device; None for a pod that asks for none, or by memory that no label tells the size of."""
    memory_mib: int
    """MiB of each device, where it asks so."""
    devices: int
    """GPUs that it asks a share of; 0 for a pod that asks for whole ones or none."""
    groups: tuple[str, ...]
    """KAI's GPU groups that it is in."""
    created: datetime | None
    started: datetime | None
    ended: datetime | None
    scheduler: str
    owner: str
    """`Job/train`; empty for a bare pod."""
    ours: bool
    """Of tenancy itself: control plane, KAI, reservation pod, check."""

    @property
    def share(self) -> float:
        """GPUs asked for in all, fractions by their share; a share that nobody can tell counts as nothing."""
        return self.gpus + self.devices * (self.fraction or 0.0)

    @property
    def over(self) -> bool:
        """Whether it has ended: it holds nothing any more."""
        return self.phase in ENDED

    @property
    def holds(self) -> bool:
        """Whether it holds what it asked for: it has a node and has not ended."""
        return bool(self.node) and not self.over

    @property
    def waits(self) -> bool:
        """Whether it is to run and does not yet, or runs and is not ready."""
        return not self.over and not self.ready


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A KAI queue, GPUs alone. `quota` and `limit`: -1 without a bound. `used` is counted from the pods that hold
    something, a parent's with its leaves'."""

    name: str
    shown: str
    """As the stack file calls it."""
    team: str
    parent: str
    quota: float
    limit: float
    weight: float
    priority: int
    used: float
    waiting: float
    """GPUs that pods of it wait for."""
    on_host: bool

    @property
    def borrowed(self) -> float:
        """What it uses beyond its quota."""
        return 0.0 if self.quota < 0 else max(0.0, self.used - self.quota)


@dataclass(frozen=True, kw_only=True)
class Component:
    """A Deployment, StatefulSet or DaemonSet of KAI's or of the device plugin's."""

    name: str
    version: str
    """The tag of its first image."""
    ready: int
    wanted: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding of a check; `gpu` is its index, empty for what is about none."""

    severity: str
    message: str
    advice: str
    gpu: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """The last check in a team's cluster."""

    verdict: str
    at: datetime | None
    sentence: str
    findings: tuple[Finding, ...] = ()
    node: str = ""
    """The node that it ran on; empty where its report names none."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a cluster says about an object: its warnings, and KAI's evictions."""

    team: str
    """Empty: told on the host."""
    reason: str
    message: str
    kind: str
    namespace: str
    name: str
    at: datetime | None
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Team:
    """A tenant, canaries included. `api`: `up`, `down: <why>`, `not made` (no namespace yet), `not asked` (no
    kubeconfig at hand)."""

    name: str
    namespace: str
    pool: str
    mode: str
    nodes: tuple[str, ...]
    """The nodes that it sees."""
    api: str
    made: datetime | None
    kubernetes: str
    """Version of its API server, empty where that did not answer."""
    vcluster: str
    """Version, by its control plane's image; empty where that is not seen."""
    kai: tuple[Component, ...]
    """Its own ones; with mode `host` the host's."""
    queues: tuple[Queue, ...]
    pods: tuple[Pod, ...]
    """Its own first, then tenancy's (`ours`)."""
    quota: Mapping[str, tuple[float, float]]
    """The host's ResourceQuotas: by key used and hard, the narrowest of several."""
    check: Check | None
    sharing: bool = True
    """Whether it may ask for fractions."""
    paused: bool = False
    """By the stack file: the host takes no pod of it."""

    @property
    def kai_version(self) -> str:
        """Version of its KAI; empty where none is seen."""
        return next((one.version for one in self.kai if "scheduler" in one.name and one.version), "")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The snapshot."""

    stack: str
    at: datetime
    kubernetes: str
    """Version of the host's API server."""
    pools: tuple[Pool, ...]
    """The stack file's, and one without a name for GPU nodes in none of them."""
    teams: tuple[Team, ...]
    kai: tuple[Component, ...]
    """On the host."""
    plugin: tuple[Component, ...]
    """Device plugins on the host."""
    pods: tuple[Pod, ...]
    """On the host and of no team, those with a GPU alone."""
    events: tuple[Event, ...]
    gaps: tuple[Gap, ...]
    simulated: bool = False
    """A lab: KAI is not there, and Kubernetes' own scheduler answers to its name."""

    def team(self, name: str) -> Team | None:
        """The tenant of a name."""
        return next((team for team in self.teams if team.name == name), None)

    @cached_property
    def about(self) -> Mapping[tuple[str, str, str], tuple[Event, ...]]:
        """Events by (team, namespace, name) of what they are about, the oldest first."""
        found: dict[tuple[str, str, str], list[Event]] = {}
        for event in sorted(self.events, key=lambda e: e.at.timestamp() if e.at else 0.0):
            found.setdefault((event.team, event.namespace, event.name), []).append(event)
        return {key: tuple(events) for key, events in found.items()}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node of every pool."""
        return tuple(node for pool in self.pools for node in pool.nodes)
