"""Rules about names that the program joins with a hyphen: two pairs of names must not make one.

The engine keeps a resource by its type and its name, and refuses two with one name in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from settings.models import Platform, SchedulerMode
from settings.problems import Path, Problem, shown
from settings.tenants import path_of, tenants
from settings.workload_rules import each_workload
from settings.workloads import App


class _Joined(NamedTuple):
    """A name, of what kind of thing, whose, and where the file says the last part of it."""

    kind: str
    name: str
    whose: str
    path: Path


def joined_names_stay_apart(platform: Platform) -> Iterator[Problem]:
    """Pool `a` with node `b-c` and pool `a-b` with node `c` would both be `a-b-c`."""
    taken: dict[tuple[str, str], str] = {}
    for one in (*_nodes(platform), *_checks(platform), *_queues(platform), *_workloads(platform)):
        first = taken.setdefault((one.kind, one.name), one.whose)
        if first != one.whose:
            yield Problem(
                path=one.path,
                rule=f"{one.whose} and {first} would both be {one.name} in the stack's state",
                got=shown(one.path[-1]),
                fix="rename one of them",
            )


def _nodes(platform: Platform) -> Iterator[_Joined]:
    for name, pool in platform.pools.items():
        for node in dict.fromkeys(pool.nodes):
            yield _Joined("node", f"{name}-{node}", f"node {node} of pool {name}", ("pools", name))


def _checks(platform: Platform) -> Iterator[_Joined]:
    """The host's checks: one for each node by name, and one for a pool that is found by labels."""
    for name, pool in platform.pools.items() if platform.check.host else ():
        if not pool.gpus_per_node:
            continue
        for node in dict.fromkeys(pool.nodes):
            yield _Joined("check", f"host-check-{node}", f"the check of node {node}", ("pools", name))
        if pool.selector:
            yield _Joined("check", f"host-check-pool-{name}", f"the check of pool {name}", ("pools", name))


def _queues(platform: Platform) -> Iterator[_Joined]:
    for name, team in tenants(platform).items():
        if team.scheduler.mode is SchedulerMode.DEFAULT:
            continue
        yield _Joined("queue", f"{name}-queues-parent", f"the parent queue of team {name}", path_of(platform, name))
        for leaf in team.queues:
            last = "leaf-parent" if leaf == "parent" else leaf
            path = (*path_of(platform, name), "queues", leaf)
            yield _Joined("queue", f"{name}-queues-{last}", f"queue {leaf} of team {name}", path)


def _workloads(platform: Platform) -> Iterator[_Joined]:
    for name, _, key, workload, path in each_workload(platform):
        joined, whose = f"{name}-workloads-{key}", f"workload {key} of team {name}"
        yield _Joined(workload.kind, joined, whose, path)
        if isinstance(workload, App):
            yield _Joined("Service", f"{joined}-service", whose, path)
            if workload.expose.node_port is not None or workload.expose.ingress is not None:
                yield _Joined("Service", f"{joined}-host-service", whose, path)
