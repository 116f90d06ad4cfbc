"""Stand-in until `components.capacity` is merged."""

from __future__ import annotations

from components.settings.models import GpuQuota, Platform, Queue, QueueResource, Team


def tenants(platform: Platform) -> dict[str, Team]:
    """Teams plus one tenant for each canary."""
    found = dict(platform.teams)
    for name, team in platform.teams.items():
        canary = team.scheduler.canary
        if canary is None:
            continue
        gpus = GpuQuota(quota=canary.gpus, limit=canary.gpus)
        found[f"{name}-canary"] = team.model_copy(
            update={
                "scheduler": team.scheduler.model_copy(update={"version": canary.version, "canary": None}),
                "resources": team.resources.model_copy(update={"gpus": gpus}),
                "queues": {"default": Queue(gpu=QueueResource(quota=canary.gpus, limit=canary.gpus))},
            }
        )
    return found
