"""Rules about `gpuSharing: {enforce: memory}`: which KAI can, and what it needs beside it.

Owns: what the stack file alone shows. Leaves to others: the driver of a node (`cli/preflight/gpus.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

import releases
from settings.models import Enforce, GpuStack, Isolation, Owner, Platform, SchedulerMode, Team
from settings.problems import Path, Problem
from settings.tenants import said_at, slot_of, team_of, tenants


def enforces(team: Team) -> bool:
    """Whether a team asks for limits on the memory of its fractions."""
    return team.scheduler.shares and team.scheduler.gpu_sharing.enforce is Enforce.MEMORY


def fractions_can_be_enforced(platform: Platform) -> Iterator[Problem]:
    """A team's KAI can limit pods to their part of a GPU, and has what it needs for that."""
    for name, team in tenants(platform).items():
        if not enforces(team):
            continue
        on_host = team.scheduler.mode is SchedulerMode.HOST
        shared = platform.host.scheduler
        kai = releases.KAI.get((shared.version if shared and on_host else team.scheduler.version) or "")
        if kai is None:
            continue  # reported elsewhere
        # a canary and a slot have their team's setting, and their own version
        key = team_of(platform, name)
        own = name != key or slot_of(platform, name) is not None
        path = said_at(platform, name, "version") if own else ("teams", key, "scheduler", "gpuSharing", "enforce")
        yield from _by_release(platform, name, team, kai, path)
        if on_host:
            yield from _all_or_none(platform, path)


def _by_release(platform: Platform, name: str, team: Team, kai: releases.KaiRelease, path: Path) -> Iterator[Problem]:
    how = kai.enforcement
    if how is None:
        first = next(version for version, release in releases.KAI.items() if release.enforcement)
        yield Problem(
            path=path,
            rule=f"KAI {kai.version} of {name} can't limit pods to their part of a GPU, {first} and newer can",
            got="memory",
            fix=f"choose {first} or newer, or write none",
        )
    elif platform.gpu.stack is GpuStack.FAKE:
        yield Problem(path=path, rule="has no meaning with stack fake", got="memory", fix="write none")
    elif how.by == "library" and team.isolation is not Isolation.PRIVILEGED:
        yield Problem(
            path=path,
            rule=f"KAI {kai.version} of {name} does it by HAMi's library, which comes into each pod from a path of the "
            f"node, and isolation {team.isolation.value} refuses such pods",
            got="memory",
            fix=f"choose {_by_driver()} or newer, whose driver does it, or write isolation: privileged, or none",
        )
    elif how.gpu_operator is not None and not _operator_is_new_enough(platform, how.gpu_operator):
        yield Problem(
            path=path,
            rule=f"KAI {kai.version} of {name} needs GPU Operator {how.gpu_operator} and driver {how.driver} or newer",
            got=f"gpu.stack {platform.gpu.stack.value}, {_operator(platform)}",
            fix="write gpu: {stack: gpuOperator, owner: cluster} where the cluster has that operator, or none",
        )


def _by_driver() -> str:
    return next(v for v, kai in releases.KAI.items() if kai.enforcement and kai.enforcement.by == "driver")


def _operator(platform: Platform) -> str:
    if platform.gpu.stack is not GpuStack.GPU_OPERATOR:
        return "no GPU Operator"
    return f"version {platform.gpu.version or releases.DEFAULT_GPU_OPERATOR}"


def _operator_is_new_enough(platform: Platform, wanted: str) -> bool:
    """The cluster's own operator may have any version; preflight looks at the driver."""
    gpu = platform.gpu
    if gpu.stack is not GpuStack.GPU_OPERATOR:
        return False
    return gpu.owner is Owner.CLUSTER or _numbers(gpu.version or releases.DEFAULT_GPU_OPERATOR) >= _numbers(wanted)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split(".") if part.isdigit())


def _all_or_none(platform: Platform, path: Path) -> Iterator[Problem]:
    """The host's one KAI has one setting."""
    others = [
        other
        for other, team in platform.teams.items()
        if team.scheduler.mode is SchedulerMode.HOST and team.scheduler.shares and not enforces(team)
    ]
    if others:
        yield Problem(
            path=path,
            rule=f"is one setting of the host's KAI for all teams, and it is missing at {', '.join(others)}",
            got="memory",
            fix="write the same for all teams with mode host",
        )
