"""A team's numbers as frozen pydantic models: GPUs, CPU, memory, pods, storage, and its leaf queues. No Pulumi import.

Owns: shape, units and defaults of `resources` and `queues`.
Leaves to others: whether they add up (`rules/sums.py`).
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from settings.on_change import in_place
from settings.texts import RunTime
from settings.types import (
    CpuQuantity,
    GpuAmount,
    GpuCount,
    MemoryQuantity,
    Section,
    Share,
    Whole,
    gpu_numbers,
    or_short,
)

MOST_PODS: Final = 150_000
"""Kubernetes' own bound for the pods of a cluster (kubernetes.io/docs/setup/best-practices/cluster-large)."""
MOST_PRIORITY: Final = 2**31 - 1
"""The highest priority of a queue that every reader of Kubernetes objects can hold."""
MOST_WEIGHT: Final = 1_000_000
"""A share relative to other queues; KAI adds them up."""

READ_AT_BIND: Final = "KAI@v0.16.8:pkg/scheduler/plugins/proportion (limits are read when a pod is to be bound)"
_DIVIDES: Final = in_place("KAI divides by the new number from its next cycle on", source=READ_AT_BIND)
_ORDERS: Final = in_place("KAI orders by it from its next cycle on", source=READ_AT_BIND)


class GpuQuota(Section):
    """A team's GPUs: quota is guaranteed, limit is the hard cap. The unit is the pool's: GPU, or replica."""

    quota: GpuCount = Field(default=0, description="guaranteed, in GPUs (replicas) of the pool; -1: all it sees")
    limit: GpuCount = Field(
        default=0, description="hard cap, in GPUs (replicas); default: the quota; -1: all that the team sees"
    )


def _gpu_quota(value: object) -> object:
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
        json_schema_extra=or_short(gpu_numbers("integer")),
    )
    cpu: CpuQuantity = Field(default="4", description="CPU requests of all its pods together, in cores")
    memory: MemoryQuantity = Field(default="8Gi", description="memory requests of all its pods together, in bytes")
    pods: Whole = Field(default=50, ge=1, le=MOST_PODS, description="number of its pods that have not ended")
    storage: MemoryQuantity = Field(
        default="100Gi", description="requests of all its volumes together, the control plane's 5Gi too, in bytes"
    )


class QueueResource(Section):
    """One resource of a queue in KAI's terms. quota is deserved, limit the hard cap; -1 is unlimited."""

    quota: Annotated[GpuAmount, _DIVIDES] = Field(
        default=0, description="guaranteed, in GPUs (replicas); 0.5 is half a GPU; -1: unlimited"
    )
    limit: GpuAmount = Field(
        default=0, description="at most, in GPUs (replicas); default: the quota; -1: up to the team's limit"
    )
    over_quota_weight: Annotated[Share, _ORDERS] = Field(
        default=1,
        ge=0,
        le=MOST_WEIGHT,
        description="weight of its share of unused GPUs, relative to the other queues; 0: none",
    )


def _queue_gpu(value: object) -> object:
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
        json_schema_extra=or_short(gpu_numbers("number")),
    )
    priority: Annotated[Whole, _ORDERS] = Field(
        default=100,
        ge=-MOST_PRIORITY,
        le=MOST_PRIORITY,
        description="KAI: higher is served first and reclaimed last, within one scheduler",
    )
    preempt_min_runtime: Annotated[RunTime | None, _ORDERS] = Field(
        default=None,
        description="how long a job of this queue runs before a job of a higher priority class may take its place; "
        "default: 0",
    )
    reclaim_min_runtime: Annotated[RunTime | None, _ORDERS] = Field(
        default=None,
        description="how long a job of this queue keeps GPUs above the quota when another queue asks for them; "
        "default: 0",
    )
