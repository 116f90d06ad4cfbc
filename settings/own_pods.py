"""Rules against settings of a team that would refuse our own objects and pods. Pure: no Pulumi import.

Owns: what a name, a volume, a Pod Security level or a missing pool does to the team's control plane, KAI and check.
Leaves to others: all other rules (`rules/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import names
import releases
from capacity import parse_quantity
from settings.models import Isolation, Platform, SchedulerMode, Team
from settings.problems import Problem, shown
from settings.tenants import canary_of, said_at, team_of, tenants

LEAST_VOLUME: Final = 1024**2
"""Bytes. Kubernetes refuses a claim of 0, and nobody needs less than this."""

RESERVED_TEAM_NAMES: Final = {"host": "the host's own checks have it"}


def team_names_are_free(platform: Platform) -> Iterator[Problem]:
    """No team has a name that the program uses itself."""
    for name in platform.teams:
        if name in RESERVED_TEAM_NAMES:
            yield Problem(
                path=("teams", name),
                rule=f"a team can't be called {name}, {RESERVED_TEAM_NAMES[name]}",
                got=shown(name),
                fix="rename the team",
            )


def own_volumes(team: Team) -> dict[str, str]:
    """The sizes of a virtual cluster's own volumes, by what each is."""
    claim = team.vcluster.snapshots.claim if team.vcluster.snapshots else None
    return {
        **({"the control plane's own volume": releases.CONTROL_PLANE_STORAGE} if team.vcluster.persistence else {}),
        **({"that of its snapshots": claim} if claim else {}),
    }


def storage_holds_the_control_plane(platform: Platform) -> Iterator[Problem]:
    """The volumes of a virtual cluster's objects and of its snapshots count in the team's storage."""
    for name, team in tenants(platform).items():
        volumes = own_volumes(team)
        needed = sum(parse_quantity(size) for size in volumes.values())
        if parse_quantity(team.resources.storage) < needed and canary_of(platform, name) is None:
            takes = " and ".join(f"{what} takes {size} of it" for what, size in volumes.items())
            yield Problem(
                path=("teams", team_of(platform, name), "resources", "storage"),
                rule=takes,
                got=shown(team.resources.storage),
                fix=f"write at least {' + '.join(volumes.values())} and what the team's volumes take",
            )


def snapshots_can_be_taken(platform: Platform) -> Iterator[Problem]:
    """vCluster takes a snapshot of its SQLite file on a volume. The vendor supports no snapshot of a deployed etcd (VD:
    vcluster/manage/backup-restore), and a file that is only in a pod can't be reached.
    """
    for name, team in platform.teams.items():
        path = ("teams", name, "vcluster", "snapshots")
        if team.vcluster.snapshots is None:
            continue
        claim = team.vcluster.snapshots.claim
        if claim is not None and parse_quantity(claim) < LEAST_VOLUME:
            yield Problem(path=(*path, "size"), rule="must be at least 1Mi", got=shown(claim), fix="write it like 2Gi")
        if team.vcluster.backing_store == "etcd":
            yield Problem(
                path=path,
                rule="vCluster takes no snapshot of a deployed etcd",
                got="backingStore: etcd",
                fix="remove snapshots; back the etcd pod up with etcd's own tools",
            )
        elif not team.vcluster.persistence:
            yield Problem(
                path=path,
                rule="a snapshot is taken of a volume, and there is none",
                got="persistence: false",
                fix="remove snapshots, or write persistence: true for a new virtual cluster",
            )


def virtual_schedulers_have_nodes(platform: Platform) -> Iterator[Problem]:
    """Without a pool a virtual cluster shows every node of the host, and its scheduler binds pods to any of them."""
    for name, team in platform.teams.items():
        if team.scheduler.mode is SchedulerMode.VIRTUAL and team.pool is None:
            yield Problem(
                path=("teams", name, "pool"),
                rule="mode virtual needs a pool, else the team's own scheduler binds pods to every node of the host",
                got="none",
                fix="write pool (one with gpusPerNode: 0 is for CPU alone), or mode: default",
            )


def restricted_teams_can_run(platform: Platform) -> Iterator[Problem]:
    """The level restricted holds for every pod in the team's namespace, also for its KAI and its reservation pods."""
    first = next(version for version, kai in releases.KAI.items() if kai.restricted)
    for name, team in tenants(platform).items():
        kai = releases.KAI.get(team.scheduler.version or "")
        restricted = team.isolation is Isolation.RESTRICTED and team.scheduler.mode is SchedulerMode.VIRTUAL
        if not restricted or kai is None:
            continue
        if not kai.restricted:
            yield Problem(
                path=said_at(platform, name, "version"),
                rule=f"isolation: restricted needs a KAI whose own pods fit that level ({first} and newer)",
                got=shown(kai.version),
                fix=f"write {releases.DEFAULT_KAI}, or isolation: baseline",
            )
        elif team.scheduler.shares and canary_of(platform, name) is None:
            yield Problem(
                path=("teams", team_of(platform, name), "scheduler", "gpuSharing"),
                rule="can't go with isolation: restricted, which refuses KAI's reservation pods",
                got="true",
                fix="remove gpuSharing, or write isolation: baseline or mode: host",
            )


def check_queues_are_free(platform: Platform) -> Iterator[Problem]:
    """With mode host a team's check has a leaf queue of its own, and no other queue there has its name."""
    taken: dict[str, tuple[str, ...]] = {}
    for name, team in platform.teams.items():
        if team.scheduler.mode is SchedulerMode.HOST:
            taken[names.parent_queue(name)] = ("teams", name)
            for leaf in team.queues:
                taken[names.leaf_queue(name, leaf, on_host=True)] = ("teams", name, "queues", leaf)
    for name, team in platform.teams.items():
        queue = names.leaf_queue(name, names.CHECK_QUEUE, on_host=True)
        if _has_check_queue(team) and queue in taken:
            yield Problem(
                path=taken[queue],
                rule=f"{queue} is the queue of the check of team {name}",
                got=shown(taken[queue][-1]),
                fix=f"rename it, or write teams.{name}.check.queue",
            )


def _has_check_queue(team: Team) -> bool:
    check = team.check
    return team.scheduler.mode is SchedulerMode.HOST and check.enabled and check.queue is None and bool(team.queues)
