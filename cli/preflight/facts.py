"""A cluster's facts, as plain frozen data. Nothing here judges them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from names import FENCED_CORDONED, FENCED_FOR, FENCED_SINCE, LABEL_FENCED
from settings.problems import escaped

LONGEST_REASON: Final = 200
"""Characters of a fence's reason."""
VENDOR: Final = "nvidia.com/"
MIG_PREFIX: Final = "mig-"
"""How the device plugin begins the names of MIG slices with strategy `mixed`, after the vendor's prefix."""


@dataclass(frozen=True, kw_only=True)
class Whose:
    """Which objects are this stack's: another stack of this program may be on the same cluster, with the same labels.
    None: no state says, and then all that have our label are."""

    spaces: frozenset[str] | None = None
    """Its namespaces."""
    managers: frozenset[str] | None = None
    """The field managers by which it labels nodes."""


EVERYBODYS: Final = Whose()
NOBODYS: Final = Whose(spaces=frozenset(), managers=frozenset())
"""Before the first run: another stack made what there is, or this stack with a lost state."""


@dataclass(frozen=True, kw_only=True)
class Taint:
    """A node's taint. `value` may be empty; `effect` is NoSchedule, NoExecute or PreferNoSchedule."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    @property
    def keeps_pods_off(self) -> bool:
        """Whether a pod without a toleration stays off the node. PreferNoSchedule only asks."""
        return self.effect in ("NoSchedule", "NoExecute")

    def __str__(self) -> str:
        return f"{self.key}{'=' + self.value if self.value else ''}:{self.effect}"


@dataclass(frozen=True, kw_only=True)
class Fence:
    """Why a node is out of service, and since when (RFC 3339). It is written on the node, where anybody may change it,
    so both may be empty.
    """

    since: str = ""
    reason: str = ""
    cordoned_before: bool
    """Whether somebody else had cordoned the node before: then it stays cordoned after the fence."""

    @classmethod
    def of(cls, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Fence | None:
        """The fence of a node; None without one."""
        if LABEL_FENCED not in labels:
            return None
        return cls(
            since=escaped(annotations.get(FENCED_SINCE, ""))[:LONGEST_REASON],
            reason=escaped(annotations.get(FENCED_FOR, ""))[:LONGEST_REASON],
            cordoned_before=annotations.get(FENCED_CORDONED) == "true",
        )

    def __str__(self) -> str:
        return f"fenced{f' since {self.since}' if self.since else ''}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """A node's facts. CPU in cores, memory in bytes. `used_*`: the requests of pods that are not our tenants'."""

    name: str
    ready: bool
    labels: Mapping[str, str]
    gpus: int | None
    """Allocatable `nvidia.com/gpu`; None where the node never advertised the name. After the plugin is gone the kubelet
    keeps the name at 0."""
    cpu: Decimal
    memory: Decimal
    pods: int
    gpu_capacity: int | None = None
    """`nvidia.com/gpu` in the node's capacity, including unhealthy ones; None where there is none."""
    resources: Mapping[str, int] = field(default_factory=dict)
    """Allocatable amount of every other extended resource (a name with a `/`)."""
    cordoned: bool = False
    fence: Fence | None = None
    pressures: tuple[str, ...] = ()
    taints: tuple[Taint, ...] = ()
    taints_are_ours: bool = False
    """Whether an earlier run of ours wrote the list of taints. The list has one owner (server-side apply, atomic)."""
    ours: frozenset[str] = frozenset()
    """Keys of labels that an earlier run of ours set."""
    plugins: tuple[ObjectFacts, ...] | None = None
    """The owners of the device plugin pods there; None where pods could not be listed."""
    used_cpu: Decimal = Decimal(0)
    used_memory: Decimal = Decimal(0)
    used_gpus: Mapping[str, int] = field(default_factory=dict)
    """`nvidia.com/gpu` by pod (namespace/name), without tenants' pods and the device plugin."""

    @property
    def mig_slices(self) -> dict[str, int]:
        """MIG slices that are advertised by their own names, like `mig-1g.10gb`; also those at 0."""
        return {
            name.removeprefix(VENDOR): amount
            for name, amount in self.resources.items()
            if name.startswith(VENDOR + MIG_PREFIX)
        }


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """An object that somebody owns: ours, or not."""

    name: str
    ours: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Right:
    """Something that `up` must be allowed to do. `group` is empty for the core API."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """Everything that is compared. None means "could not be read", and is reported as such."""

    version: str
    nodes: Mapping[str, NodeFacts]
    runtime_classes: Mapping[str, ObjectFacts] | None
    """By name; detail is the handler."""
    storage_classes: Mapping[str, bool] | None
    """By name: whether it is a default one."""
    namespaces: Mapping[str, ObjectFacts] | None
    node_ports: Mapping[int, ObjectFacts] | None
    """By port: the Service that has it, as namespace/name."""
    device_plugins: Sequence[ObjectFacts] | None
    """DaemonSets of a device plugin for NVIDIA's GPUs, as namespace/name. Detail is `operator` where the GPU Operator
    made it."""
    gpu_operators: Sequence[ObjectFacts] | None
    service_monitors: bool | None = None
    """Whether the cluster has the kind ServiceMonitor; None where it was not asked for or could not be read."""
    brings_nodes: bool | None = False
    """Whether an autoscaler of nodes is there; None where it could not be read."""
    ending: frozenset[str] = frozenset()
    """Namespaces that are being deleted."""
    plugin_configs: Mapping[str, str] | None = None
    """The files of our device plugin's ConfigMap by name, as YAML (`preflight/sharing.py`); None where no plugin is
    ours, or where they could not be read."""
    kubernetes_inside: Mapping[str, str] = field(default_factory=dict)
    """The Kubernetes version of each virtual cluster now, by its namespace: `v1.34.4`."""
    denied: Sequence[Right] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """What could not be read, and why."""
