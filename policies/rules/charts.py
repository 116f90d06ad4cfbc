"""Charts: a Release belongs to a component of ours, has only known values, and opens no way to the host.

A Release is judged by its component, never by its chart's name, because a mirror may call a chart anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import tokens
from names import team_of_namespace
from policies.charts import FORBIDDEN_VALUES, OPEN_DOORS, PERSISTENCE, VALUES
from policies.facts import contains, own_nodes, selector_text
from policies.inventory import PolicyResource
from policies.paths import strangers
from policies.plain import Unreadable, flag, get, mapping, text
from policies.rule import Group, Scene, describe, rule

_rule = partial(rule, group=Group.ISOLATION)


def is_vcluster(release: PolicyResource) -> bool:
    """Say whether a Release belongs to a virtual cluster, by its component."""
    return release.component == tokens.VIRTUAL_CLUSTER


@_rule(
    "known-values",
    "A Release belongs to a component of ours and has only values that the rules know.",
    tokens.RELEASE,
    limits=("allowed_values",),
)
def known_values(release: PolicyResource, scene: Scene) -> Iterator[str]:
    known = VALUES.get(release.component)
    if known is None:
        owners = ", ".join(token.removeprefix(tokens.OURS) for token in VALUES)
        yield (
            f"{describe(release)}: belongs to no component whose charts the rules know ({owners}), so nothing judges "
            "what its chart makes; register it as that component's child"
        )
        return
    doors = (*OPEN_DOORS, *(f"{path}.**" for path in FORBIDDEN_VALUES)) if is_vcluster(release) else ()
    # another rule reports the dangerous switches, each with its reason
    for path in dict.fromkeys(
        strangers(mapping(release.properties, "values"), (*known, *doors, *scene.limits.allowed_values))
    ):
        yield (
            f"{describe(release)}: value {path} is unknown to the rules, so nothing judges what it does; remove "
            f"it, or add it to {scene.option('known-values', 'allowed_values')}"
        )


@_rule(
    "vcluster-values", "A virtual cluster syncs nothing that lets its tenant out.", tokens.RELEASE, applies=is_vcluster
)
def vcluster_values(release: PolicyResource, scene: Scene) -> Iterator[str]:
    """vCluster's values open no way to the host, and show a tenant only its own pool's nodes."""
    values = mapping(release.properties, "values")
    team = text(release.properties, "name")
    for path, reason in OPEN_DOORS.items():
        if get(values, *path.split(".")) not in (None, False, "false"):
            yield f"team {team}: vCluster value {path} is on: {reason}; turn it off"
    for path, reason in FORBIDDEN_VALUES.items():
        if get(values, *path.split(".")):
            yield f"team {team}: vCluster value {path} is set: {reason}; remove it"
    nodes = mapping(values, "sync", "fromHost", "nodes")
    if not flag(nodes, "enabled"):
        return
    labels = mapping(nodes, "selector", "labels")
    wanted = own_nodes(tenant_of(release, scene), scene.inventory)
    if flag(nodes, "selector", "all") or not any(contains(labels, selector) for selector in wanted):
        yield (
            f"team {team}: vCluster shows nodes of others; set sync.fromHost.nodes.selector.labels to "
            f"{selector_text(wanted[-1])}"
        )


def tenant_of(release: PolicyResource, scene: Scene) -> PolicyResource:
    """Return the Team of a virtual cluster's Release, by its namespace."""
    namespace = text(release.properties, "namespace")
    team = scene.inventory.teams.get(team_of_namespace(namespace) or "")
    if team is not None:
        return team
    raise Unreadable(f"goes to namespace {namespace}, which belongs to no team of this stack")


@_rule(
    "vcluster-persistence",
    "A virtual cluster keeps its data over restarts.",
    tokens.RELEASE,
    applies=is_vcluster,
    limits=("require_persistence",),
)
def persistence(release: PolicyResource, scene: Scene) -> Iterator[str]:
    """Otherwise the next restart of its control plane loses the tenant."""
    if not scene.limits.require_persistence:
        return
    values = mapping(release.properties, "values")
    for path in PERSISTENCE:
        # absent or "auto": the chart's own choice is a volume claim
        if get(values, *path.split(".")) not in (None, True, "auto", "true"):
            yield (
                f"team {text(release.properties, 'name')}: vCluster value {path} is off, so a restart of its control "
                "plane wipes the team's cluster; turn it on, or set "
                f"{scene.option('vcluster-persistence', 'require_persistence')} to false"
            )


RULES: Final = (known_values, vcluster_values, persistence)
