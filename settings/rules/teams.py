"""Rules about a team's name, its nodes and the way to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import capacity
import names
from capacity import NODE_PORTS, listed
from settings.models import Expose, Platform, SchedulerMode, Team
from settings.problems import Path, Problem, shown
from settings.tenants import CANARY_SUFFIX, GREEN_SUFFIX, canary_of, path_of, said_at, slot_of, tenants
from settings.words import choose

LONGEST_NAME: Final = 63
"""Kubernetes' limit for a name that is a DNS label, and for a label's value."""

_CHECK_POD: Final = f"{names.CHECK_NAME}-xxxxx-x-{names.CHECK_PAIR_NAMESPACE}-x-"
"""vCluster's name on the host for the check's pod (`<pod>-x-<namespace>-x-<virtual cluster>`), without the team."""

LONGEST_TEAM_NAME: Final = LONGEST_NAME - len(_CHECK_POD)
"""31. With a longer name vCluster cuts the check pod's name on the host and replaces the team by a hash, so nobody sees
whose pod it is. This is our tightest limit: a Helm release may have 53 characters, `team-<name>` 63.
"""

_KAI_OWN_QUEUES: Final = ("default-parent-queue", "default-queue")
"""KAI's chart makes queues of these names since 0.10; they would overwrite ours."""


def names_fit(platform: Platform) -> Iterator[Problem]:
    """Names stay valid and readable where Kubernetes, Helm and vCluster add to them."""
    taken: dict[str, str] = {}
    for name, team in platform.teams.items():
        path: Path = ("teams", name)
        suffix = CANARY_SUFFIX if team.scheduler.canary else GREEN_SUFFIX if team.blue_green else ""
        second = "green slot" if team.blue_green else "canary"
        longest = LONGEST_TEAM_NAME - len(suffix)
        if len(name) > longest:
            why = f" less the {len(suffix)} of its {second}'s {suffix}" if suffix else ""
            yield Problem(
                path=path,
                rule=f"a team's name has at most {longest} characters ({LONGEST_NAME} less the {len(_CHECK_POD)} of "
                f"{_CHECK_POD!r} before it on the host{why})",
                got=f"{len(name)} characters",
                fix="shorten it",
            )
        if not name[:1].isalpha():
            yield Problem(
                path=path,
                rule="a team's name starts with a letter, its virtual cluster's Service has the same name",
                got=shown(name),
                fix=f"write {'team-' + name!r}",
            )
        if suffix and name + suffix in platform.teams:
            yield Problem(
                path=("teams", name + suffix),
                rule=f"is the name of the {second} of {name}",
                got=shown(name + suffix),
                fix="rename this team",
            )
        yield from _queue_names(name, team, taken)


def _queue_names(name: str, team: Team, taken: dict[str, str]) -> Iterator[Problem]:
    """`taken`: queues on the host by name, each with its owner."""
    mode = team.scheduler.mode
    if mode is SchedulerMode.DEFAULT:
        return
    on_host = mode is SchedulerMode.HOST
    for leaf in ("", *team.queues):
        path: Path = ("teams", name, "queues", leaf) if leaf else ("teams", name)
        full = names.leaf_queue(name, leaf, on_host=on_host) if leaf else names.parent_queue(name)
        if leaf and full == name:
            yield Problem(
                path=path,
                rule="a leaf queue can't have its team's name, which is the parent queue's",
                got=shown(leaf),
                fix="rename the queue",
            )
        if full in _KAI_OWN_QUEUES:
            yield Problem(
                path=path, rule="is the name of a queue that KAI makes itself", got=shown(full), fix="rename it"
            )
        if len(full) > LONGEST_NAME:
            yield Problem(
                path=path,
                rule=f"a queue's name has at most {LONGEST_NAME} characters, pods carry it as a label",
                got=f"{full!r}, {len(full)} characters",
                fix="shorten the queue's or the team's name",
            )
        owner = f"team {name}" if not leaf else f"queue {leaf} of team {name}"
        if on_host and taken.setdefault(full, owner) != owner:
            yield Problem(
                path=path,
                rule="queues on the host have different names (a leaf is <team>-<leaf> there)",
                got=f"{full!r}, which {taken[full]} has",
                fix="rename one of them",
            )


def teams_have_their_place(platform: Platform) -> Iterator[Problem]:
    """A team's pool exists, the pool has the team's nodes, and only a pool with GPUs gives GPUs."""
    for name, team in tenants(platform).items():
        path: Path = path_of(platform, name)
        if canary_of(platform, name) is None:
            yield from _pool_of_team(platform, name, team)
        pool = platform.pools.get(team.pool or "")
        if pool is None or not team.nodes:
            continue
        if not pool.nodes:
            yield Problem(
                path=(*path, "nodes"),
                rule=f"needs a pool whose nodes have names, {team.pool} is found by labels",
                got=shown(list(team.nodes)),
                fix=f"write pools.{team.pool}.nodes instead of its selector",
            )
            continue
        there = frozenset(pool.nodes)
        for node, times in Counter(team.nodes).items():
            if node not in there:
                yield Problem(
                    path=(*path, "nodes"),
                    rule=f"names nodes of pool {team.pool} ({listed(pool.nodes)})",
                    got=shown(node),
                    fix=choose(node, pool.nodes),
                )
            elif times > 1:
                yield Problem(
                    path=(*path, "nodes"), rule="must name each node once", got=f"{node!r} twice", fix="remove one"
                )


def _pool_of_team(platform: Platform, name: str, team: Team) -> Iterator[Problem]:
    path = ("teams", name)
    gpus = team.resources.gpus
    if team.pool is not None and team.pool not in platform.pools:
        yield Problem(
            path=(*path, "pool"),
            rule="must be one of the pools",
            got=shown(team.pool),
            fix=choose(team.pool, tuple(platform.pools)),
        )
    if team.pool is None and team.nodes:
        yield Problem(path=(*path, "nodes"), rule="needs a pool", got="no pool", fix="write pool, or remove nodes")
    if team.pool is None and (gpus.quota or gpus.limit):
        with_gpus = [pool_name for pool_name, pool in platform.pools.items() if pool.gpus_per_node]
        yield Problem(
            path=(*path, "resources", "gpus"),
            rule="needs a pool",
            got=f"quota {gpus.quota}, limit {gpus.limit} and no pool",
            fix=f"write pool: {' or '.join(with_gpus[:3])}" if with_gpus else "add a pool with GPUs, or remove gpus",
        )


def tenants_can_be_reached(platform: Platform) -> Iterator[Problem]:
    """Each way to an API server has what it needs, and no two tenants have the same port."""
    ports: dict[str, int] = {}
    for name, team in tenants(platform).items():
        path, access = path_of(platform, name), team.access
        written = canary_of(platform, name) is None
        if access.expose is Expose.NODE_PORT:
            port = access.port or capacity.node_port(name)
            if port in NODE_PORTS:
                ports[name] = port
            else:
                yield Problem(
                    path=said_at(platform, name, "port"),
                    rule=f"must be a NodePort, {NODE_PORTS.start} to {NODE_PORTS.stop - 1}",
                    got=str(access.port),
                    fix=f"remove it (the name gives {capacity.node_port(name)}), or choose one of these",
                )
            if platform.host.reachable_at is None and written:
                yield Problem(
                    path=(*path, "access", "expose"),
                    rule="nodePort (the default) needs host.address, which goes into the API server's certificate",
                    got="no host.address",
                    fix="write host.address: the name or IP of a node that the team reaches, or another expose",
                )
        elif access.port is not None:
            yield Problem(
                path=said_at(platform, name, "port"),
                rule="is for expose: nodePort",
                got=f"expose: {access.expose.value}",
                fix="remove port",
            )
        if access.expose is Expose.LOAD_BALANCER and not access.host_names:
            yield Problem(
                path=(*path, "access", "hostNames") if written else (*path, "hostNames"),
                rule="loadBalancer needs the name under which the API server will be reached",
                got="no hostNames",
                fix=f"write hostNames: [{name}.example.com] with the name that will point at it",
            )
    yield from _names_lead_to_one(platform)
    for verdict in capacity.port_clashes(ports):
        last = verdict.about[-1]
        at = (
            said_at(platform, last, "port") if slot_of(platform, last) else (*path_of(platform, last), "access", "port")
        )
        yield Problem.told(verdict, at)


def _names_lead_to_one(platform: Platform) -> Iterator[Problem]:
    """A load balancer's name belongs to one API server and no app. A name only in a certificate may be shared."""
    balanced: dict[str, str] = {}
    for name, team in tenants(platform).items():
        if team.access.expose is not Expose.LOAD_BALANCER:
            continue
        path = path_of(platform, name)
        at = (*path, "access", "hostNames") if canary_of(platform, name) is None else (*path, "hostNames")
        for host in team.access.host_names:
            if balanced.setdefault(host.lower(), name) != name:
                yield _leads_elsewhere(at, host, balanced[host.lower()])
    for name, team in platform.teams.items():
        for key, workload in team.workloads.items():
            ingress = workload.way_in.ingress
            if ingress is not None and ingress.host in balanced:
                at = ("teams", name, "workloads", key, "expose", "ingress", "host")
                yield _leads_elsewhere(at, ingress.host, balanced[ingress.host])


def _leads_elsewhere(path: Path, host: str, tenant: str) -> Problem:
    return Problem(
        path=path,
        rule="a name leads to one place",
        got=f"{host}, which leads to the API server of {tenant}",
        fix="choose another name",
    )
