"""Every tenant of a stack file: its teams, and a team's canary as a tenant of its own. Pure: no Pulumi import."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from settings.models import GpuQuota, Platform, Queue, Scheduler, Team
from settings.types import UNLIMITED, parse_quantity

CANARY_SUFFIX = "-canary"
CANARY_CPU = "4"
CANARY_MEMORY = "16Gi"
CANARY_PODS = 15
PAUSED_CPU = "500m"
PAUSED_MEMORY = "1Gi"
PAUSED_PODS = 10
"""Of a paused tenant: room in which its own control plane and scheduler can roll, for no pod of its workloads."""


def tenants_now(platform: Platform) -> dict[str, Team]:
    """Return teams and canaries by name, each with what it may use now: one that is paused has no GPU, and in no queue
    either."""
    return {name: _paused(team) if team.paused else team for name, team in tenants(platform).items()}


def tenants(platform: Platform) -> dict[str, Team]:
    """Return teams and canaries by name, paused or not. A canary is its team with another KAI version and its own, few
    GPUs."""
    found = dict(platform.teams)
    for name, team in platform.teams.items():
        if team.scheduler.canary is not None:
            found[name + CANARY_SUFFIX] = _canary(team)
    return found


def canary_of(platform: Platform, tenant: str) -> str | None:
    """Return the team that a tenant is the canary of, or None."""
    team = tenant.removesuffix(CANARY_SUFFIX)
    found = platform.teams.get(team)
    is_canary = tenant not in platform.teams and found is not None and found.scheduler.canary is not None
    return team if is_canary else None


def owner_of(platform: Platform, tenant: str) -> str:
    """Return the team that a tenant belongs to: itself, or of a canary its team."""
    team = canary_of(platform, tenant)
    return tenant if team is None else team


def path_of(platform: Platform, tenant: str) -> tuple[str, ...]:
    """Return where a stack file says this tenant: `teams.ml`, or for a canary `teams.ml.scheduler.canary`."""
    team = canary_of(platform, tenant)
    return ("teams", tenant) if team is None else ("teams", team, "scheduler", "canary")


def _canary(team: Team) -> Team:
    canary = team.scheduler.canary
    if canary is None:
        raise ValueError("team has no canary")
    gpus, asked = canary.gpus, team.resources
    return team.model_copy(
        update={
            "nodes": canary.nodes or team.nodes,
            "scheduler": Scheduler(
                mode=team.scheduler.mode, version=canary.version, gpu_sharing=team.scheduler.gpu_sharing
            ),
            # room for its check and a trial, not a second share of the team's size
            "resources": asked.model_copy(
                update={
                    "gpus": GpuQuota(quota=gpus, limit=gpus),
                    "cpu": min(CANARY_CPU, asked.cpu, key=parse_quantity),
                    "memory": min(CANARY_MEMORY, asked.memory, key=parse_quantity),
                    "pods": min(CANARY_PODS, asked.pods),
                }
            ),
            # its state is for trying things out
            "vcluster": team.vcluster.model_copy(update={"snapshots": None}),
            # its ports and GPUs are the team's
            "workloads": {},
            # under their own names, so that the team's manifests work there as they are
            "queues": scaled(team.queues, gpus, parts=team.scheduler.shares),
            # the team's own port and names are not the canary's
            "access": team.access.model_copy(update={"port": None, "host_names": canary.host_names}),
            "check": team.check.model_copy(update={"gpus": min(team.check.gpus, max(gpus, 1))}),
        }
    )


def _paused(team: Team) -> Team:
    asked = team.resources
    return team.model_copy(
        update={
            "resources": asked.model_copy(
                update={
                    "gpus": GpuQuota(),
                    "cpu": min(PAUSED_CPU, asked.cpu, key=parse_quantity),
                    "memory": min(PAUSED_MEMORY, asked.memory, key=parse_quantity),
                    "pods": min(PAUSED_PODS, asked.pods),
                }
            ),
            "queues": {
                name: queue.model_copy(update={"gpu": queue.gpu.model_copy(update={"quota": 0, "limit": 0})})
                for name, queue in team.queues.items()
            },
        }
    )


def scaled(queues: Mapping[str, Queue], gpus: int, *, parts: bool) -> dict[str, Queue]:
    """Return the queues with their guarantees in the same proportions, together at most `gpus`, and no limit above it.

    `parts`: whether a hundredth of a GPU may be guaranteed; else the whole GPUs go to the largest remainders, of equal
    ones to the first by name. No queue gets more than it has; priority and over-quota weight stay.
    """
    asked = {name: Decimal(str(queue.gpu.quota)) for name, queue in queues.items() if queue.gpu.quota > 0}
    unit = Decimal("0.01") if parts else Decimal(1)
    total = sum(asked.values(), Decimal(0))
    most = min(total, Decimal(gpus)).quantize(unit, ROUND_FLOOR)
    exact = {name: quota * most / total for name, quota in asked.items()}
    shares = {name: share.quantize(unit, ROUND_FLOOR) for name, share in exact.items()}
    left = int((most - sum(shares.values(), Decimal(0))) / unit)
    for name in sorted(exact, key=lambda name: (shares[name] - exact[name], name))[:left]:
        shares[name] += unit
    found = {}
    for name, queue in queues.items():
        limit = queue.gpu.limit if queue.gpu.limit == UNLIMITED else float(min(queue.gpu.limit, gpus))
        quota = float(shares[name]) if name in shares else queue.gpu.quota
        numbers = queue.gpu.model_copy(update={"quota": quota, "limit": limit})
        found[name] = queue.model_copy(update={"gpu": numbers})
    return found
