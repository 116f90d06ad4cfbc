"""Placement: our GPU workloads run where they count for their team."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import tokens
from names import HOST_NAME, KAI_QUEUE_LABEL, KAI_SCHEDULER_NAME
from policies.facts import (
    contains,
    is_host_check,
    own_nodes,
    queue_label,
    selector_text,
    team_name,
    team_nodes,
    team_of,
    team_queues,
)
from policies.inventory import PolicyResource
from policies.plain import mapping, maybe_text, text
from policies.pods import pod_template, queue_of, uses_gpu
from policies.rule import Group, Scene, Stage, describe, rule

NEEDS_RUNTIME_CLASS: Final = ("devicePlugin", "gpuOperator")
"""GPU stacks whose containers see a GPU only with the runtime class; `fake` has no runtime."""

_rule = partial(rule, group=Group.PLACEMENT)


def placed_workload(resource: PolicyResource) -> bool:
    """Say whether this is a team's workload that asks for GPUs or names its node."""
    if is_host_check(resource):
        return False
    return uses_gpu(resource) or maybe_text(pod_template(resource), "spec", "nodeName") is not None


def classed_workload(resource: PolicyResource) -> bool:
    """Say whether this is a workload that asks for GPUs, or that names a runtime class."""
    return uses_gpu(resource) or maybe_text(pod_template(resource), "spec", "runtimeClassName") is not None


def team_gpu_workload(resource: PolicyResource) -> bool:
    """Say whether this is a GPU workload in a team."""
    return uses_gpu(resource) and not is_host_check(resource)


def host_gpu_check(resource: PolicyResource) -> bool:
    """Say whether this is the host's own GPU check."""
    return uses_gpu(resource) and is_host_check(resource)


@_rule(
    "queue-of-own-team", "A GPU workload is in a queue of its own team.", *tokens.WORKLOADS, applies=team_gpu_workload
)
def queue_of_own_team(workload: PolicyResource, scene: Scene) -> Iterator[str]:
    team = team_of(workload, scene.inventory)
    if maybe_text(team.properties, "mode") == "default":
        return
    own = [queue_label(team, leaf) for leaf in team_queues(team)]
    queue = queue_of(workload)
    if queue not in own:
        shown = "not set" if queue is None else repr(queue)
        yield (
            f"{describe(workload)}: queue label {KAI_QUEUE_LABEL} is {shown}, which is no queue of team "
            f"{team_name(team)}; use one of {', '.join(own) or 'its queues, once it has any'}"
        )


@_rule(
    "scheduler-name",
    "A GPU workload of a team with KAI is scheduled by KAI.",
    *tokens.WORKLOADS,
    applies=team_gpu_workload,
)
def scheduler_name(workload: PolicyResource, scene: Scene) -> Iterator[str]:
    """Otherwise no queue counts them."""
    team = team_of(workload, scene.inventory)
    if maybe_text(team.properties, "mode") == "default":
        return
    name = maybe_text(pod_template(workload), "spec", "schedulerName")
    if name != KAI_SCHEDULER_NAME:
        shown = repr(name) if name else "not set"
        yield (
            f"{describe(workload)}: schedulerName is {shown}, so the queues of team {team_name(team)} do not count it; "
            f"set it to {KAI_SCHEDULER_NAME}"
        )


@_rule("pool-selector", "A workload stays on the nodes of its team.", *tokens.WORKLOADS, applies=placed_workload)
def pool_selector(workload: PolicyResource, scene: Scene) -> Iterator[str]:
    """The node selector keeps it there. A node that it names is one of them."""
    team = team_of(workload, scene.inventory)
    node = maybe_text(pod_template(workload), "spec", "nodeName")
    if node:
        # the node's name decides, whatever the selector is
        nodes = team_nodes(team, scene.inventory)
        if node in nodes:
            return
        yield (
            f"{describe(workload)}: nodeName is {node}, which is no node of team {team_name(team)} "
            f"({', '.join(nodes) or 'its pool is found by labels'}); leave it to the scheduler"
        )
        return
    chosen = mapping(pod_template(workload), "spec", "nodeSelector")
    wanted = own_nodes(team, scene.inventory)
    if not any(contains(chosen, selector) for selector in wanted):
        yield (
            f"{describe(workload)}: nodeSelector is {selector_text(chosen) or 'not set'}, which does not keep it on "
            f"the nodes of team {team_name(team)}; set it to {selector_text(wanted[-1])}"
        )


@_rule(
    "host-check-node",
    "The host's own GPU check names the node or the pool that it proves.",
    *tokens.WORKLOADS,
    stage=Stage.STACK,
    applies=host_gpu_check,
)
def host_check_is_pinned(workload: PolicyResource, scene: Scene) -> Iterator[str]:
    spec = mapping(pod_template(workload), "spec")
    if maybe_text(spec, "nodeName") or maybe_text(spec, "nodeSelector", HOST_NAME):
        return
    chosen = mapping(spec, "nodeSelector")
    pools = (mapping(pool.properties, "selector") for pool in scene.inventory.pools.values())
    if not any(selector and contains(chosen, selector) for selector in pools):
        yield (
            f"{describe(workload)}: names neither a node nor a pool; set nodeSelector {HOST_NAME} to the node, or to "
            "the pool's selector"
        )


@_rule(
    "runtime-class",
    "A GPU workload has the runtime class that the GPU software needs, and no other workload has one.",
    *tokens.WORKLOADS,
    stage=Stage.STACK,
    applies=classed_workload,
)
def runtime_class(workload: PolicyResource, scene: Scene) -> Iterator[str]:
    if not uses_gpu(workload):
        yield (
            f"{describe(workload)}: runtimeClassName is "
            f"{maybe_text(pod_template(workload), 'spec', 'runtimeClassName')!r}, and it asks for no GPU; leave it out"
        )
        return
    for software in scene.inventory.of_type(tokens.GPU_SOFTWARE):
        stack = text(software.properties, "stack")
        if stack not in NEEDS_RUNTIME_CLASS:
            continue
        wanted = text(software.properties, "runtimeClass")
        got = maybe_text(pod_template(workload), "spec", "runtimeClassName")
        if got != wanted:
            shown = repr(got) if got else "not set"
            yield (
                f"{describe(workload)}: runtimeClassName is {shown}, and with GPU stack {stack} only {wanted!r} shows "
                f"a container its GPU; set it to {wanted}"
            )


RULES: Final = (queue_of_own_team, scheduler_name, pool_selector, host_check_is_pinned, runtime_class)
