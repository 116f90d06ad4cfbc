"""The inputs and the results of the sums: pools, tenants' claims, leaf queues, verdicts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

from releases import Footprint

UNLIMITED: Final = -1
"""KAI's own word for "no bound" in a quota or a limit (KAI docs/queues)."""

Mode: TypeAlias = Literal["virtual", "host", "default"]

NOTHING: Final = Footprint(cpu_millicores=0, memory_mib=0, pods=0)


@dataclass(frozen=True, kw_only=True)
class PoolCapacity:
    """A pool's nodes, which are all equal. Allocatable numbers are per node."""

    name: str
    nodes: tuple[str, ...] = ()
    """By name; empty where the pool is found by labels."""
    size: int
    gpus_per_node: int
    """What a node advertises as `nvidia.com/gpu`: GPUs, replicas or MIG slices of them."""
    unit: str = "GPU"
    """`GPU`, `replica` or `slice`."""
    cpu_millicores: int | None = None
    """None where the file doesn't say it; then CPU is not checked. Likewise memory."""
    memory_mib: int | None = None
    pods: int | None = None
    headroom: Footprint = NOTHING
    """What stays free on each node for the host's own pods."""

    @cached_property
    def node_names(self) -> tuple[str, ...]:
        """The nodes' names; for a pool found by labels, stand-ins that can't be names."""
        return self.nodes or tuple(f"{self.name}[{index}]" for index in range(self.size))

    @cached_property
    def node_set(self) -> frozenset[str]:
        """The same as a set, to look a node up."""
        return frozenset(self.node_names)

    @property
    def gpus(self) -> int:
        """What all nodes of the pool advertise together."""
        return self.size * self.gpus_per_node


@dataclass(frozen=True, kw_only=True)
class TenantClaim:
    """What one tenant may use, and of which nodes."""

    name: str
    owner: str
    """The team that it belongs to: itself, or a canary's team."""
    pool: str | None
    nodes: tuple[str, ...] = ()
    """Only these of the pool; empty: all of them."""
    mode: Mode
    quota: int
    """GPUs (replicas) guaranteed; -1 is all that it sees."""
    limit: int
    """GPUs (replicas) at most; -1 is all that it sees."""
    workload: Footprint = NOTHING
    tenancy: Footprint = NOTHING
    """Its control plane, DNS and scheduler."""


@dataclass(frozen=True, kw_only=True)
class LeafClaim:
    """One leaf queue's GPUs: quota and limit, -1 for unlimited."""

    name: str
    quota: float
    limit: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One thing that doesn't fit: the rule, the sum, the fix, and the tenants."""

    about: tuple[str, ...]
    """Tenants, in the file's order."""
    pool: str | None = None
    queue: str | None = None
    field: Literal["quota", "limit", "nodes", "port", "cpu", "memory", "pods"]
    rule: str
    got: str
    fix: str

    @property
    def text(self) -> str:
        return f"{self.rule}, got {self.got}; {self.fix}"
