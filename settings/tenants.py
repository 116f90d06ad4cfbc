"""Every tenant of a stack file: its teams, and a team's canary as a tenant of its own. Pure: no Pulumi import."""

from __future__ import annotations

from settings.models import GpuQuota, Platform, Queue, QueueResource, Scheduler, Team
from settings.types import parse_quantity

CANARY_SUFFIX = "-canary"
CANARY_QUEUE = "default"
CANARY_CPU = "4"
CANARY_MEMORY = "16Gi"
CANARY_PODS = 15


def tenants(platform: Platform) -> dict[str, Team]:
    """Return teams and canaries by name. A canary is its team with another KAI version and its own, few GPUs."""
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
            "queues": {CANARY_QUEUE: Queue(gpu=QueueResource(quota=gpus, limit=gpus))},
            # the team's own port, names and queue are not the canary's
            "access": team.access.model_copy(update={"port": None, "host_names": canary.host_names}),
            "check": team.check.model_copy(update={"queue": CANARY_QUEUE, "gpus": min(team.check.gpus, max(gpus, 1))}),
        }
    )
