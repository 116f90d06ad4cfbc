"""The facts of a snapshot: frozen and typed, without JSON. Pure.

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
    """`unhealthy`: the node has it, but its device plugin does not offer it. `reserved`: KAI's reservation pod holds it
    for fractions that do not exist (yet).
    """

    FREE = "free"
    USED = "used"
    RESERVED = "reserved"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A pod on a GPU. `share`: 1 for a whole unit, otherwise the fraction; None where it is not known."""

    team: str
    """Empty: a pod of the host's own."""
    namespace: str
    pod: str
    share: float | None


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit of a node. The API does not say which physical GPU a whole unit is: `number` is only a place to show it.
    `group` and `uuid` are known for a GPU that fractions share.
    """

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
    """Empty where no pool of the stack file has it."""
    ready: bool
    cordoned: bool
    taints: tuple[str, ...]
    """`key=value:Effect`."""
    product: str
    memory_mib: int
    """Memory of one GPU; 0 without a label."""
    units: tuple[Unit, ...]
    fenced: str | None = None
    """The reason of `make fence`; None where the node is in service."""
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
    """A pool of the stack file with its existing nodes."""

    name: str
    nodes: tuple[Node, ...]
    one_each: bool = False
    """Whether the device plugin gives a container one of its units and no more."""
    unit: str = "GPU"
    """What its nodes advertise: `GPU`, `replica` or `slice`."""

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(unit for node in self.nodes for unit in node.units)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod with its team's name for it. `host_name`: its name on the host; empty where the host does not have it."""

    team: str
    """Empty: the host's own."""
    namespace: str
    name: str
    host_name: str
    node: str
    """Empty: no node yet."""
    phase: str
    state: str
    """The phase, or a more precise state: `Terminating`, `CrashLoopBackOff`, `ImagePullBackOff`, `OutOfcpu`, ..."""
    ready: bool
    queue: str
    gpus: float
    """Whole units asked for."""
    fraction: float | None
    """Share of each device; None for a pod that asks for none, or by memory where no label says the GPU's memory."""
    memory_mib: int
    """MiB of each device, where it asks so."""
    devices: int
    """The number of GPUs of which it asks for a share; 0 for a pod that asks for whole GPUs or none."""
    groups: tuple[str, ...]
    """KAI's GPU groups that it is in."""
    created: datetime | None
    started: datetime | None
    ended: datetime | None
    scheduler: str
    owner: str
    """`Job/train`; empty for a bare pod."""
    ours: bool
    """Whether it belongs to tenancy itself: control plane, KAI, reservation pod, check."""

    @property
    def share(self) -> float:
        """All GPUs that it asks for, fractions by their share; an unknown share counts as 0."""
        return self.gpus + self.devices * (self.fraction or 0.0)

    @property
    def over(self) -> bool:
        """Whether it has ended, and uses nothing any more."""
        return self.phase in ENDED

    @property
    def holds(self) -> bool:
        """Whether it has what it asked for: it has a node and has not ended."""
        return bool(self.node) and not self.over

    @property
    def waits(self) -> bool:
        """Whether it does not run yet, or runs and is not ready."""
        return not self.over and not self.ready


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The GPUs of a KAI queue. `quota` and `limit`: -1 is unlimited. `used` counts the pods that have GPUs; a parent
    includes its leaves.
    """

    name: str
    shown: str
    """Its name in the stack file."""
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
        """GPUs that it uses beyond its quota."""
        return 0.0 if self.quota < 0 else max(0.0, self.used - self.quota)


@dataclass(frozen=True, kw_only=True)
class Component:
    """A Deployment, StatefulSet or DaemonSet of KAI or of the device plugin."""

    name: str
    version: str
    """The tag of its first image."""
    ready: int
    wanted: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding of a check. `gpu`: the GPU's index; empty where it is not about one GPU."""

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
    """An event about an object: warnings, and KAI's evictions."""

    team: str
    """Empty for an event on the host."""
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
    """The parts of its own KAI; with mode `host` those of the host's."""
    queues: tuple[Queue, ...]
    pods: tuple[Pod, ...]
    """Its own pods first, then tenancy's (`ours`)."""
    quota: Mapping[str, tuple[float, float]]
    """The host's ResourceQuotas: used and hard by key; of several the tightest."""
    check: Check | None
    sharing: bool = True
    """Whether it may ask for fractions."""
    paused: bool = False
    """Whether the stack file pauses it: then the host accepts none of its pods."""

    @property
    def kai_version(self) -> str:
        """Version of its KAI; empty where none is seen."""
        return next((one.version for one in self.kai if "scheduler" in one.name and one.version), "")


@dataclass(frozen=True, kw_only=True)
class Seen:
    stack: str
    at: datetime
    kubernetes: str
    """Version of the host's API server."""
    pools: tuple[Pool, ...]
    """The stack file's pools, and one without a name for GPU nodes in none of them."""
    teams: tuple[Team, ...]
    kai: tuple[Component, ...]
    """On the host."""
    plugin: tuple[Component, ...]
    """Device plugins on the host."""
    pods: tuple[Pod, ...]
    """Pods with a GPU on the host that belong to no team."""
    events: tuple[Event, ...]
    gaps: tuple[Gap, ...]
    simulated: bool = False
    """Whether it is a lab: there Kubernetes' own scheduler takes pods with KAI's name."""

    def team(self, name: str) -> Team | None:
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
        return tuple(node for pool in self.pools for node in pool.nodes)
