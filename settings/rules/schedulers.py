"""Rules about a team's scheduler, its queues and its virtual cluster."""

from __future__ import annotations

from collections.abc import Iterator

import releases
from capacity import number
from names import HOST_NAME
from settings.models import Platform, Pool, Scheduler, SchedulerMode, Team
from settings.problems import Path, Problem, shown
from settings.tenants import said_at, tenants
from settings.words import choose_version, known_version


def schedulers_fit_their_mode(platform: Platform) -> Iterator[Problem]:
    """Versions are known, and given only where they have a meaning. A mode has what it needs."""
    for name, team in platform.teams.items():
        path: Path = ("teams", name, "scheduler")
        scheduler = team.scheduler
        if scheduler.mode is SchedulerMode.VIRTUAL:
            if scheduler.version is None:
                yield Problem(
                    path=(*path, "version"),
                    rule="is needed with mode virtual",
                    got=None,
                    fix=f"write version: {releases.DEFAULT_KAI}, or one of {', '.join(releases.KAI)}",
                )
            else:
                yield from known_version("KAI release", scheduler.version, releases.KAI, (*path, "version"))
            if scheduler.canary is not None:
                here = (*path, "canary", "version")
                yield from known_version("KAI release", scheduler.canary.version, releases.KAI, here)
        else:
            yield from _without_own_kai(scheduler, path)
        if scheduler.mode is SchedulerMode.HOST and platform.host.scheduler is None:
            yield Problem(
                path=(*path, "mode"),
                rule="host needs host.scheduler, the KAI that such teams share",
                got="no host.scheduler",
                fix=f"write host.scheduler: {{version: {releases.DEFAULT_KAI}}}",
            )
        if scheduler.mode is SchedulerMode.DEFAULT and scheduler.shares:
            yield Problem(
                path=(*path, "gpuSharing"),
                rule="needs a KAI",
                got="mode: default",
                fix="write mode: virtual and a version, or remove gpuSharing",
            )
        pool = platform.pools.get(team.pool or "")
        if scheduler.shares and pool is not None and pool.sharing.given:
            yield Problem(
                path=(*path, "gpuSharing"),
                rule=f"can't go with {pool.unit}s: pool {team.pool} shares each GPU as {pool.replicas} "
                f"{pool.unit}s, and KAI would cut a {pool.unit} up as if it were a GPU",
                got="true",
                fix=f"remove gpuSharing, or pools.{team.pool}.sharing",
            )


def _without_own_kai(scheduler: Scheduler, path: Path) -> Iterator[Problem]:
    mode = scheduler.mode.value
    if scheduler.version is not None:
        fix = "remove it (host.scheduler.version says it)" if mode == "host" else "remove it, or write mode: virtual"
        yield Problem(
            path=(*path, "version"),
            rule=f"has no meaning with mode {mode}",
            got=shown(scheduler.version),
            fix=fix,
        )
    if scheduler.canary is not None:
        yield Problem(
            path=(*path, "canary"), rule="needs mode virtual", got=f"mode: {mode}", fix="remove it, or change the mode"
        )


def virtual_clusters_fit_their_kai(platform: Platform) -> Iterator[Problem]:
    """vCluster's release is known, and its Kubernetes is one that the tenant's KAI runs on."""
    # a canary and a slot share the team's values; these are reported once
    yield from dict.fromkeys(_of_virtual_clusters(platform))


def _of_virtual_clusters(platform: Platform) -> Iterator[Problem]:
    for name, team in tenants(platform).items():
        wanted = team.vcluster.version or releases.DEFAULT_VCLUSTER
        at = said_at(platform, name, "vclusterVersion")
        yield from known_version("vCluster release", wanted, releases.VCLUSTER, at)
        vcluster = releases.VCLUSTER.get(wanted)
        if vcluster is None:
            continue
        kubernetes = team.vcluster.kubernetes_version
        if kubernetes is not None and not vcluster.takes(kubernetes):
            known = ", ".join(f"v{major}.{minor}" for major, minor in sorted(vcluster.minors, reverse=True))
            yield Problem(
                path=said_at(platform, name, "kubernetesVersion"),
                rule=f"must be one that vCluster {wanted} knows (any patch release of {known})",
                got=shown(kubernetes),
                fix=choose_version(kubernetes, (releases.DEFAULT_KUBERNETES, *vcluster.kubernetes_versions)),
            )
            continue
        kai = releases.KAI.get(team.scheduler.version or "")
        if kai is None or team.scheduler.mode is not SchedulerMode.VIRTUAL:
            continue
        if kubernetes is not None and not releases.fits(kubernetes, kai):
            yield Problem(
                path=said_at(platform, name, "kubernetesVersion"),
                rule=f"KAI {kai.version} of {name} runs on Kubernetes {kai.kubernetes_max} at most",
                got=shown(kubernetes),
                fix=f"write {releases.kubernetes_for(vcluster, kai)}, or choose a newer KAI",
            )


def topologies_are_known(platform: Platform) -> Iterator[Problem]:
    """A pool's Topology is a kind of KAI that older releases do not have. It names each label once."""
    for name, pool in platform.pools.items():
        twice = sorted({level for level in pool.topology if pool.topology.count(level) > 1})
        if twice:
            yield Problem(
                path=("pools", name, "topology"),
                rule="each label is one level",
                got=f"{twice[0]} twice",
                fix="write it once, where it is widest",
            )
        elif HOST_NAME in pool.topology[:-1]:
            yield Problem(
                path=("pools", name, "topology"),
                rule=f"{HOST_NAME} is the last level, nothing is narrower",
                got=", ".join(pool.topology),
                fix=f"move {HOST_NAME} to the end",
            )
    for name, team in tenants(platform).items():
        own = platform.pools.get(team.pool or "")
        version, whose = team.scheduler.version, name
        if team.scheduler.mode is SchedulerMode.HOST and platform.host.scheduler is not None:
            version, whose = platform.host.scheduler.version, "host.scheduler"
        kai = releases.KAI.get(version or "")
        if own is None or not own.topology or kai is None or kai.topology:
            continue
        first = next(v for v, release in releases.KAI.items() if release.topology)
        yield Problem(
            path=("pools", team.pool or "", "topology"),
            rule=f"KAI {kai.version} of {name} has no Topology of its own, {first} and newer have",
            got=", ".join(own.topology),
            fix=f"choose {first} or newer for {whose}, or remove topology",
        )


def kai_teams_have_queues(platform: Platform) -> Iterator[Problem]:
    """KAI places nothing without a leaf queue. The host's own scheduler has no queues."""
    for name, team in platform.teams.items():
        path: Path = ("teams", name, "queues")
        if team.scheduler.mode is SchedulerMode.DEFAULT:
            if team.queues:
                yield Problem(
                    path=path,
                    rule="needs a KAI, nobody would serve them",
                    got="mode: default",
                    fix="write scheduler: {mode: virtual, version: ...}, or remove queues",
                )
        elif not team.queues:
            yield Problem(
                path=path,
                rule=f"mode {team.scheduler.mode.value} needs at least one leaf queue, KAI places nothing without",
                got="none",
                fix=f"write queues: {{work: {{gpu: {max(team.resources.gpus.quota, 0)}}}}}",
            )
        if not team.scheduler.shares and team.scheduler.mode is not SchedulerMode.DEFAULT:
            yield from _whole_gpus(team, platform.pools.get(team.pool or ""), path)


def _whole_gpus(team: Team, pool: Pool | None, path: Path) -> Iterator[Problem]:
    for leaf, queue in team.queues.items():
        amounts = {"quota": queue.gpu.quota, "limit": queue.gpu.limit}
        if amounts["quota"] == amounts["limit"]:
            del amounts["limit"]  # one number may be written for both
        for key, amount in amounts.items():
            if amount != int(amount):
                yield Problem(
                    path=(*path, leaf, "gpu", key),
                    rule="a part of a GPU needs scheduler.gpuSharing",
                    got=number(amount),
                    # on replicas gpuSharing is refused
                    fix="write a whole number"
                    + (", or gpuSharing: true" if pool is None or pool.replicas == 1 else " of replicas"),
                )
