"""Every tenant of a stack file: its teams, and a team's second virtual cluster as its own tenant. Pure: no Pulumi
import.

The second one is a canary, or the slot of `blueGreen` that does not serve. A slot keeps its name whichever serves, so a
switch makes nothing anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from capacity import UNLIMITED, parse_quantity
from settings.blue_green import SLOTS, SlotName
from settings.models import GpuQuota, Platform, Queue, Scheduler, Slot, Team

CANARY_SUFFIX = "-canary"
GREEN_SUFFIX = "-green"
CANARY_CPU = "4"
CANARY_MEMORY = "16Gi"
CANARY_PODS = 15
PAUSED_CPU = "500m"
PAUSED_MEMORY = "1Gi"
PAUSED_PODS = 10
"""Pods that a paused tenant may have beyond its control plane and scheduler, so that these can roll."""


def tenants_now(platform: Platform) -> dict[str, Team]:
    """Return teams and canaries by name, each with what it may use now. A paused one has no GPU, in its queues
    either.
    """
    return {name: _paused(team) if team.paused else team for name, team in tenants(platform).items()}


def tenants(platform: Platform) -> dict[str, Team]:
    """Return teams, canaries and slots by name, paused or not. A canary is its team with another KAI version and its
    own, few GPUs; a slot that does not serve is its team with its own versions and few GPUs."""
    found: dict[str, Team] = {}
    beside: dict[str, Team] = {}
    for name, team in platform.teams.items():
        pair = team.blue_green
        found[serving(name, team)] = team if pair is None else _slot(team, pair.serves)
        if pair is not None and pair.other in pair.slots:
            beside[slot_name(name, pair.other)] = _in_reserve(team, pair.other)
        if team.scheduler.canary is not None:
            beside[name + CANARY_SUFFIX] = _canary(team)
    return {**found, **beside}


def slot_name(team: str, slot: SlotName) -> str:
    """Return the tenant that a slot of a team is: blue has the team's own name."""
    return team if slot == "blue" else team + GREEN_SUFFIX


def serving(name: str, team: Team) -> str:
    """Return the tenant that serves a team: the team itself, or one of its two slots."""
    return name if team.blue_green is None else slot_name(name, team.blue_green.serves)


def meant(platform: Platform, word: str) -> str:
    """Return the tenant that a name means: for a team's name the one that serves, for `<team>-blue` or `<team>-green`
    that slot. Any other name stays as it is.
    """
    if word in platform.teams:
        return serving(word, platform.teams[word])
    team = platform.teams.get(word.removesuffix("-blue"))
    return word.removesuffix("-blue") if team is not None and team.blue_green is not None else word


def _place(platform: Platform, tenant: str) -> tuple[str, SlotName | None, bool]:
    """The team that a tenant belongs to, which of its slots it is, and whether it is the one beside the tenant that
    serves.
    """
    for slot in SLOTS:
        name = tenant.removesuffix(GREEN_SUFFIX) if slot == "green" else tenant
        team = platform.teams.get(name)
        if team is not None and team.blue_green is not None and tenant == slot_name(name, slot):
            return name, slot, team.blue_green.serves != slot
    name = tenant.removesuffix(CANARY_SUFFIX)
    found = None if tenant in platform.teams else platform.teams.get(name)
    return (name, None, True) if found is not None and found.scheduler.canary is not None else (tenant, None, False)


def canary_of(platform: Platform, tenant: str) -> str | None:
    """For a canary or a slot that does not serve: return the tenant that serves. Otherwise None."""
    team, _, beside = _place(platform, tenant)
    return serving(team, platform.teams[team]) if beside else None


def slot_of(platform: Platform, tenant: str) -> SlotName | None:
    """Return which slot of its team's `blueGreen` a tenant is, or None."""
    return _place(platform, tenant)[1]


def team_of(platform: Platform, tenant: str) -> str:
    """Return the team that a tenant belongs to, by its key in the stack file."""
    return _place(platform, tenant)[0]


def owner_of(platform: Platform, tenant: str) -> str:
    """Return the tenant that a tenant counts with: itself, or for a canary or a second slot the one that serves."""
    return canary_of(platform, tenant) or tenant


def path_of(platform: Platform, tenant: str) -> tuple[str, ...]:
    """Return the path of this tenant in a stack file: `teams.ml`, for a canary `teams.ml.scheduler.canary`, for a slot
    that does not serve `teams.ml.blueGreen.green`.
    """
    team, slot, beside = _place(platform, tenant)
    if not beside:
        return ("teams", team)
    return ("teams", team, "blueGreen", slot) if slot is not None else ("teams", team, "scheduler", "canary")


_OF_THE_TEAM: Final = {
    "version": ("scheduler", "version"),
    "vclusterVersion": ("vcluster", "version"),
    "kubernetesVersion": ("vcluster", "kubernetesVersion"),
    "port": ("access", "port"),
}
"""The keys that a slot may have, and where the team has the same for all its slots."""


def said_at(platform: Platform, tenant: str, key: str) -> tuple[str, ...]:
    """Return the path of a tenant's version or port in a stack file: at its slot or its canary, or at the team."""
    team, slot, beside = _place(platform, tenant)
    if slot is None and beside and key == "version":
        return (*path_of(platform, tenant), key)
    pair = platform.teams[team].blue_green
    said = pair.slots.get(slot, Slot()).model_dump(by_alias=True) if pair is not None and slot is not None else {}
    if said.get(key) is not None or (slot == "green" and key == "port"):
        return ("teams", team, "blueGreen", str(slot), key)
    return ("teams", team, *_OF_THE_TEAM[key])


def _slot(team: Team, name: SlotName) -> Team:
    """The team with the versions and the port of a slot. Its check asks for the same whether it serves or not, so it
    need not run again after a switch.
    """
    slot = _said(team, name)
    scheduler, vcluster = team.scheduler, team.vcluster
    port = slot.port or (team.access.port if name == "blue" else None)
    few = team.model_copy(update=_of_few(team, _gpus(team, slot)))
    return team.model_copy(
        update={
            "scheduler": scheduler.model_copy(update={"version": slot.version or scheduler.version}),
            "vcluster": vcluster.model_copy(
                update={
                    "version": slot.vcluster_version or vcluster.version,
                    "kubernetes_version": slot.kubernetes_version or vcluster.kubernetes_version,
                }
            ),
            "access": team.access.model_copy(update={"port": port}),
            "check": few.check.model_copy(update={"queue": few.checked_queue}),
        }
    )


def _in_reserve(team: Team, name: SlotName) -> Team:
    """The slot that does not serve: it has the team's CPU, memory, pods and volumes, and few of its GPUs."""
    found = _slot(team, name)
    return found.model_copy(update={**_of_few(team, _gpus(team, _said(team, name))), "check": found.check})


def _said(team: Team, name: SlotName) -> Slot:
    return (team.blue_green.slots if team.blue_green is not None else {}).get(name, Slot())


def _gpus(team: Team, slot: Slot) -> int:
    limit = team.resources.gpus.limit
    return slot.gpus if limit == UNLIMITED else min(slot.gpus, limit)


def _of_few(team: Team, gpus: int) -> dict[str, object]:
    """The parts of a team that change with few GPUs. Its leaf queues keep their names, so the team's manifests work."""
    return {
        "resources": team.resources.model_copy(update={"gpus": GpuQuota(quota=gpus, limit=gpus)}),
        "queues": scaled(team.queues, gpus, parts=team.scheduler.shares),
        "check": team.check.model_copy(update={"gpus": min(team.check.gpus, max(gpus, 1))}),
    }


def _canary(team: Team) -> Team:
    canary = team.scheduler.canary
    if canary is None:
        raise ValueError("team has no canary")
    asked = team.resources
    return team.model_copy(
        update={
            **_of_few(team, canary.gpus),
            "nodes": canary.nodes or team.nodes,
            "scheduler": Scheduler(
                mode=team.scheduler.mode, version=canary.version, gpu_sharing=team.scheduler.gpu_sharing
            ),
            # room for its check and a trial, not a second share of the team's size
            "resources": asked.model_copy(
                update={
                    "gpus": GpuQuota(quota=canary.gpus, limit=canary.gpus),
                    "cpu": min(CANARY_CPU, asked.cpu, key=parse_quantity),
                    "memory": min(CANARY_MEMORY, asked.memory, key=parse_quantity),
                    "pods": min(CANARY_PODS, asked.pods),
                }
            ),
            # its data is only for trials
            "vcluster": team.vcluster.model_copy(update={"snapshots": None}),
            # its ports and GPUs are the team's
            "workloads": {},
            # the team's own port and names are not the canary's
            "access": team.access.model_copy(update={"port": None, "host_names": canary.host_names}),
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
    """Return the queues with their quotas in the same proportions, together at most `gpus`, and with no limit above it.

    `parts`: whether a quota may be in hundredths of a GPU. Otherwise whole GPUs go to the largest remainders, for equal
    ones to the first by name. No queue gets more than it had. Priority and over-quota weight stay.
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
