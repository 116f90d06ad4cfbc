"""Requests: our checks and workloads ask for no more than their queue, their team and a GPU of their pool have."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import tokens
from capacity import UNLIMITED, memory_as_share, memory_in_parts
from names import GPU_FRACTION, GPU_FRACTION_DEVICES, GPU_MEMORY_ASKED
from policies.facts import (
    claim_of,
    is_host_check,
    maybe_fraction,
    pool_of,
    queue_label,
    shares_gpus,
    team_name,
    team_of,
    team_queues,
)
from policies.inventory import PolicyResource
from policies.plain import Number, Unreadable, maybe_number, maybe_text, number, say, text, texts, whole
from policies.pods import annotation, decimal_annotation, gpu_request, queue_of, uses_gpu
from policies.rule import Group, Scene, Stage, describe, rule

PAUSED: Final = "paused"
"""What a paused team says of its state (`settings/models.py`)."""

_rule = partial(rule, group=Group.QUOTA)


def asks_for_part(resource: PolicyResource) -> bool:
    """Say whether a GpuCheck or a workload asks for a part of a GPU."""
    if resource.type == tokens.GPU_CHECK:
        return maybe_fraction(resource) is not None or maybe_number(resource.properties, "gpuMemoryMib") is not None
    return annotation(resource, GPU_FRACTION) is not None or annotation(resource, GPU_MEMORY_ASKED) is not None


def asks_for_memory(resource: PolicyResource) -> bool:
    """Say whether a GpuCheck or a workload asks for GPU memory."""
    if resource.type == tokens.GPU_CHECK:
        return maybe_number(resource.properties, "gpuMemoryMib") is not None
    return annotation(resource, GPU_MEMORY_ASKED) is not None


def asks_gpu_of_a_team(resource: PolicyResource) -> bool:
    """Say whether a GpuCheck or a workload asks for GPUs of a team; the host's own check has no team."""
    if is_host_check(resource):
        return False
    return resource.type in (tokens.GPU_CHECK, tokens.SLINKY_CLUSTER) or uses_gpu(resource)


@_rule(
    "fraction-range",
    "A GPU fraction is above 0 and at most 1, of a team that may share GPUs.",
    tokens.GPU_CHECK,
    *tokens.WORKLOADS,
    applies=asks_for_part,
)
def fraction_range(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    if resource.type == tokens.GPU_CHECK:
        fraction, memory = maybe_fraction(resource), maybe_number(resource.properties, "gpuMemoryMib")
    else:
        fraction = decimal_annotation(resource, GPU_FRACTION)
        memory = decimal_annotation(resource, GPU_MEMORY_ASKED)
    if fraction is not None and not 0 < fraction <= 1:
        yield f"{describe(resource)}: fraction {say(fraction)} of a GPU; it must be above 0 and at most 1"
    if fraction is not None and memory is not None:
        yield f"{describe(resource)}: asks for a fraction and for GPU memory; ask for one of them"
    if not shares_gpus(team_of(resource, scene.inventory)):
        yield (
            f"{describe(resource)}: asks for a part of a GPU, but its team has gpuSharing off; turn it on, or ask "
            "for GPUs"
        )


@_rule(
    "workload-within-quota",
    "What our own workloads ask for is within their queue and team.",
    tokens.GPU_CHECK,
    tokens.SLINKY_CLUSTER,
    *tokens.WORKLOADS,
    applies=asks_gpu_of_a_team,
)
def workload_within_quota(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    """The hard caps count."""
    team = team_of(resource, scene.inventory)
    name, gpus = team_name(team), claim_of(team)
    if maybe_text(team.properties, "state") == PAUSED:
        return  # its numbers are 0, and the host starts none of its pods
    asked, queue = _asked(resource, scene)
    if gpus.limit != UNLIMITED and asked > gpus.limit:
        yield f"{describe(resource)}: asks for {say(asked)}, team {name} has a limit of {say(gpus.limit)}; ask for less"
    for leaf, cap in team_queues(team).items():
        if queue in (leaf, queue_label(team, leaf)) and cap.limit != UNLIMITED and asked > cap.limit:
            yield (
                f"{describe(resource)}: asks for {say(asked)}, queue {leaf} of team {name} has a limit of "
                f"{say(cap.limit)}; ask for less, or use another queue"
            )


def _asked(resource: PolicyResource, scene: Scene) -> tuple[Number, str | None]:
    if resource.type == tokens.SLINKY_CLUSTER:
        workers = number(resource.properties, "replicas")
        return number(resource.properties, "gpus") * workers, maybe_text(resource.properties, "queue")
    if resource.type == tokens.GPU_CHECK:
        fraction, memory = maybe_fraction(resource), maybe_number(resource.properties, "gpuMemoryMib")
        asked = fraction if fraction is not None else _of_memory(resource, memory, scene)
        asked = number(resource.properties, "gpus") if asked is None else asked
        return asked, maybe_text(resource.properties, "queue")
    devices = decimal_annotation(resource, GPU_FRACTION_DEVICES)
    if devices is not None and (devices < 1 or devices % 1):
        raise Unreadable(f"annotation {GPU_FRACTION_DEVICES} must be a whole number, 1 or more, got {say(devices)}")
    each = gpu_request(resource) + _part(resource, scene) * (1 if devices is None else devices)
    return each * _pods(resource, scene), queue_of(resource)


def _part(workload: PolicyResource, scene: Scene) -> Number:
    """The part of a GPU that one pod asks for by annotation: a fraction, or memory divided by a GPU's memory."""
    fraction = decimal_annotation(workload, GPU_FRACTION)
    asked = decimal_annotation(workload, GPU_MEMORY_ASKED)
    return fraction if fraction is not None else _of_memory(workload, asked, scene) or 0


def _of_memory(resource: PolicyResource, asked: Number | None, scene: Scene) -> Number | None:
    """The part of a GPU that KAI counts for memory; None without any. Without the pool's number it is nothing, and the
    rule gpu-memory refuses."""
    memory = None if asked is None else _memory_of_gpu(resource, scene)
    return None if asked is None else float(memory_as_share(asked, memory)) if memory else 0


def _memory_of_gpu(resource: PolicyResource, scene: Scene) -> int | None:
    """MiB of one GPU of the pool that a resource's team uses; None where the pool does not say it."""
    pool = pool_of(team_of(resource, scene.inventory), scene.inventory)
    properties = scene.inventory.pools[pool.name].properties
    return None if maybe_number(properties, "gpuMemoryMib") is None else whole(properties, "gpuMemoryMib")


def _pods(workload: PolicyResource, scene: Scene) -> Number:
    """The number of a workload's pods at one time. A DaemonSet has one on each node that its team sees."""
    if workload.type == tokens.DAEMON_SET:
        team = team_of(workload, scene.inventory)
        nodes = texts(team.properties, "nodes")
        return len(nodes) or pool_of(team, scene.inventory).size
    job = ("spec", "jobTemplate", "spec") if workload.type == tokens.CRON_JOB else ("spec",)
    for key in ("parallelism", "replicas"):
        pods = maybe_number(workload.properties, *job, key)
        if pods is None:
            continue
        if isinstance(pods, float) or pods < 0:
            raise Unreadable(f"{key} must be a whole number, 0 or more, got {say(pods)}")
        return pods
    return 1


@_rule(
    "gpu-memory",
    "GPU memory that is asked for is within one GPU of the pool.",
    tokens.GPU_CHECK,
    *tokens.WORKLOADS,
    stage=Stage.STACK,
    applies=asks_for_memory,
)
def gpu_memory(resource: PolicyResource, scene: Scene) -> Iterator[str]:
    if resource.type == tokens.GPU_CHECK:
        asked = number(resource.properties, "gpuMemoryMib")
    else:
        asked = decimal_annotation(resource, GPU_MEMORY_ASKED) or 0
    pool = pool_of(team_of(resource, scene.inventory), scene.inventory)
    memory = _memory_of_gpu(resource, scene)
    if memory is None:
        yield f"{describe(resource)}: asks for {say(asked)} MiB, but pool {pool.name} does not say gpuMemoryMib; set it"
    elif not 0 < asked <= memory_in_parts(memory):
        yield (
            f"{describe(resource)}: asks for {say(asked)} MiB, but of a GPU of pool {pool.name} KAI gives away "
            f"at most {memory_in_parts(memory)} MiB, whole hundreds of {memory}; ask for less"
        )


@_rule(
    "no-fractions-on-replicas",
    "No fractions of GPUs that are shared into replicas.",
    tokens.NODE_POOL,
    stage=Stage.STACK,
)
def no_fractions_on_replicas(pool: PolicyResource, scene: Scene) -> Iterator[str]:
    """A fraction of a replica has no meaning."""
    replicas = number(pool.properties, "replicas")
    if replicas <= 1:
        return
    name = text(pool.properties, "name")
    members = {team_name(team): team for team in scene.inventory.teams_by_pool[name]}
    for member, team in members.items():
        if shares_gpus(team):
            yield (
                f"team {member}: gpuSharing on pool {name} with {say(replicas)} replicas of each GPU; turn gpuSharing "
                "off, or use a pool without replicas"
            )
    for check in scene.inventory.of_type(tokens.GPU_CHECK):
        if asks_for_part(check) and maybe_text(check.properties, "team") in members:
            yield f"{describe(check)}: asks for a part of a GPU on pool {name} with replicas; ask for whole replicas"


RULES: Final = (fraction_range, workload_within_quota, gpu_memory, no_fractions_on_replicas)
