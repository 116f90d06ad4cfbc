"""Rules about what a team's GPU check asks for."""

from __future__ import annotations

from collections.abc import Iterator

from capacity import UNLIMITED, memory_as_share, memory_in_parts, number, plural
from settings.infrastructure import one_at_a_time
from settings.models import Platform, Pool, SchedulerMode, Team, TeamCheck
from settings.problems import Path, Problem, shown
from settings.words import choose


def checks_can_run(platform: Platform) -> Iterator[Problem]:
    """The team's own workloads could get what the check asks for."""
    for name, team in platform.teams.items():
        check, path = team.check, ("teams", name, "check")
        if check.queue is not None and check.queue not in team.queues:
            yield Problem(
                path=(*path, "queue"),
                rule="must be a leaf queue of the team",
                got=shown(check.queue),
                fix=choose(check.queue, tuple(team.queues)),
            )
        yield from _parts_of_a_gpu(platform, team, path)
        yield from _check_within_limits(platform, team, path)
        yield from _check_within_a_node(platform, team, path)


def _parts_of_a_gpu(platform: Platform, team: Team, path: Path) -> Iterator[Problem]:
    check, pool = team.check, platform.pools.get(team.pool or "")
    parts = {"fraction": check.fraction, "gpuMemoryMib": check.gpu_memory_mib, "pair": check.pair}
    given = [key for key, there in parts.items() if there is not None]
    if len(given) > 1:
        rule = "must ask for only one of fraction, gpuMemoryMib and pair"
        yield Problem(path=path, rule=rule, got=" and ".join(given), fix="keep one of them")
    if check.pair is not None and (check.share or 0) > 1:
        rule = "both shares of a pair are of one GPU, so together at most 1"
        got = f"{number(check.pair[0])} + {number(check.pair[1])} = {number(check.share or 0)}"
        yield Problem(path=(*path, "pair"), rule=rule, got=got, fix="lower one of them")
    if check.pair is not None and team.scheduler.mode is SchedulerMode.HOST:
        rule = "a pair needs mode virtual: what KAI on the host writes on its pods is not seen inside"
        yield Problem(path=(*path, "pair"), rule=rule, got=shown("host"), fix="ask for a fraction")
    for key, there in parts.items():
        if there is not None and not team.scheduler.shares:
            yield Problem(
                path=(*path, key),
                rule="a part of a GPU needs scheduler.gpuSharing",
                got=shown(there),
                fix=_without_sharing(key, team, pool),
            )
    why = one_at_a_time(platform.gpu, pool) if pool is not None else ""
    if pool is not None and why and check.gpus > 1:
        yield Problem(
            path=(*path, "gpus"),
            rule=f"is 1 on a pool of {'MIG slices' if pool.sharing.mig else 'replicas'}: {why}",
            got=str(check.gpus),
            fix="write 1",
        )
    if check.gpu_memory_mib is not None and pool is not None:
        if pool.gpu_memory_mib is None:
            yield Problem(
                path=(*path, "gpuMemoryMib"),
                rule=f"needs pools.{team.pool}.gpuMemoryMib: without it KAI assumes 100 MiB",
                got=shown(check.gpu_memory_mib),
                fix="write the memory of one GPU there, or ask for a fraction",
            )
        elif check.gpu_memory_mib > (most := memory_in_parts(pool.gpu_memory_mib)):
            yield Problem(
                path=(*path, "gpuMemoryMib"),
                rule=f"must be at most one GPU's {most} MiB (KAI counts {pool.gpu_memory_mib} MiB in whole hundreds)",
                got=str(check.gpu_memory_mib),
                fix="lower it",
            )


def _without_sharing(key: str, team: Team, pool: Pool | None) -> str:
    """The fix for a part of a GPU where gpuSharing is off. It suggests gpuSharing only where that is allowed."""
    if team.scheduler.mode is SchedulerMode.DEFAULT:
        return f"remove {key}"
    if pool is not None and pool.sharing.given:
        return f"ask for whole {pool.unit}s, or remove {key}"
    return f"write scheduler.gpuSharing: true, or remove {key}"


def _asked_by(check: TeamCheck, pool: Pool | None) -> float:
    """GPUs (replicas) that the check takes from its queue."""
    if check.share is not None:
        return check.share
    if check.gpu_memory_mib is not None:
        # without the pool's own number it is refused as a part of a GPU
        known = pool is not None and pool.gpu_memory_mib
        return float(memory_as_share(check.gpu_memory_mib, known)) if known else 0
    return check.gpus


def _check_within_limits(platform: Platform, team: Team, path: Path) -> Iterator[Problem]:
    check, gpus = team.check, team.resources.gpus
    if not check.enabled or gpus.limit == 0:
        return
    asked = _asked_by(check, platform.pools.get(team.pool or ""))
    if asked > 1 and (check.pair is not None or check.gpu_memory_mib is not None):
        return  # told as a part of a GPU
    leaf = team.checked_queue
    queue = team.queues.get(leaf or "")
    limits = [("the team's limit", float(gpus.limit))]
    if queue is not None and team.scheduler.mode is not SchedulerMode.DEFAULT:
        limits.append((f"the limit of queue {leaf}", queue.gpu.limit))
    for whose, limit in limits:
        if limit != UNLIMITED and asked > limit:
            yield Problem(
                path=(*path, _said(check)),
                rule=f"must be at most {whose} {number(limit)}, or the check could never run",
                got=number(asked),
                fix="lower it, raise that limit, or name another queue (check.queue)",
            )
            return


def _said(check: TeamCheck) -> str:
    """The key that says how much the check asks for."""
    parts = {"pair": check.pair, "gpuMemoryMib": check.gpu_memory_mib, "fraction": check.fraction}
    return next((key for key, there in parts.items() if there is not None), "gpus")


def _check_within_a_node(platform: Platform, team: Team, path: Path) -> Iterator[Problem]:
    check, pool = team.check, platform.pools.get(team.pool or "")
    if pool is None or not check.enabled or check.share is not None or check.gpu_memory_mib is not None:
        return
    there = pool.gpus_allocatable_per_node
    # the check of a team without GPUs asks for none
    if team.resources.gpus.limit != 0 and there and check.gpus > there:
        yield Problem(
            path=(*path, "gpus"),
            rule=f"must be at most the {there} {plural(pool.unit, there)} of one node, a pod runs on one node",
            got=str(check.gpus),
            fix=f"lower it to {there}",
        )
