"""A first stack file from a cluster's facts and five answers. Pure.

Owns: the answers (`Answers`), which pool and nodes a team gets, the file's text.
Leaves to others: asking and reading the cluster (`ask.py`), the rules for the result (`settings`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import yaml
from pydantic import ValidationError

from capacity import NOTHING, amounts
from cli.errors import InputError
from cli.inventory import Machine, block, pool_settings
from cli.preflight import ClusterFacts
from releases import DEFAULT_KAI
from settings.claims import tenant_claims
from settings.infrastructure import Headroom
from settings.models import Platform
from settings.quotas import TeamResources

HEADER: Final = "# yaml-language-server: $schema=docs/stack-file.schema.json\n"
QUEUE: Final = "work"
MIB: Final = 1024**2
_TEAM: Final = re.compile(r"(?P<name>[^=\s,]+)(?:=(?P<gpus>\d{1,5}))?")


@dataclass(frozen=True, kw_only=True)
class Answers:
    context: str
    address: str
    teams: Mapping[str, int]
    """GPUs of each team; 0: a team without GPUs."""
    stack: str
    """What advertises the GPUs: `devicePlugin`, `gpuOperator` or `fake`."""
    kai: str = DEFAULT_KAI


def teams_of(text: str) -> dict[str, int]:
    """Read `ml=2, research=1, dev`. Raises `InputError`."""
    found: dict[str, int] = {}
    for part in filter(None, re.split(r"[\s,]+", text)):
        match = _TEAM.fullmatch(part)
        if match is None or match["name"] in found:
            why = "is named twice" if match else "is no team"
            raise InputError(f"TEAMS: {part!r} {why}.", "write names with their GPUs: `ml=2,research=1,dev`")
        found[match["name"]] = int(match["gpus"] or 0)
    if not found:
        raise InputError("TEAMS: no team is named.", "write names with their GPUs: `ml=2,research=1,dev`")
    return found


def brought_by(facts: ClusterFacts) -> str:
    """What advertises GPUs on the cluster now; empty where nothing does."""
    if facts.gpu_operators:
        return "gpuOperator"
    # an unseen one may be built into the node's image
    there = facts.device_plugins or any(node.gpus for node in facts.nodes.values())
    return "devicePlugin" if there else ""


def places(teams: Mapping[str, int], pools: Mapping[str, Sequence[Machine]]) -> dict[str, str]:
    """Return each team's pool: the one with the most GPUs left. Raises `InputError` where a team has no room.

    A team without GPUs gets a pool without GPUs, or no pool.
    """
    left = {name: sum(machine.gpus * machine.replicas for machine in alike) for name, alike in pools.items()}
    without = next((name for name, gpus in left.items() if gpus == 0), "")
    found: dict[str, str] = {}
    for team, gpus in sorted(teams.items(), key=lambda item: -item[1]):
        if gpus == 0:
            found[team] = without
            continue
        pool = max(left, key=lambda name: left[name], default="")
        if not pool or left[pool] < gpus:
            free = ", ".join(f"{name} {amount}" for name, amount in left.items()) or "no pool"
            raise InputError(
                f"TEAMS: {team} asks for {gpus} GPUs, and no pool has so many left ({free}).",
                "give the teams fewer GPUs; a node without a device plugin counts with GPUS=node=number",
            )
        left[pool] -= gpus
        found[team] = pool
    return found


def divided(
    teams: Mapping[str, int], where: Mapping[str, str], pools: Mapping[str, Sequence[Machine]]
) -> dict[str, list[str]]:
    """Return the nodes of each team that shares a pool of several nodes with another team.

    Each team's own scheduler sees all GPUs of its nodes as free. So a team gets one node with room for it, or whole
    nodes that no other team sees. Raises `InputError` where it finds none.
    """
    found: dict[str, list[str]] = {}
    for pool, machines in pools.items():
        asked = {team: teams[team] for team in teams if where[team] == pool and teams[team]}
        if len(asked) < 2 or len(machines) < 2:
            continue
        try:
            found |= _on_nodes(pool, asked, machines, fill=False)
        except InputError:
            # spread out they did not fit
            with suppress(InputError):
                found |= _on_nodes(pool, asked, machines, fill=True)
                continue
            raise
    return found


def _on_nodes(pool: str, asked: Mapping[str, int], machines: Sequence[Machine], *, fill: bool) -> dict[str, list[str]]:
    """The largest team first. `fill`: onto the fullest node that has room for it, not onto the emptiest."""
    found: dict[str, list[str]] = {}
    left = {machine.name: machine.gpus * machine.replicas for machine in machines}
    size = max(left.values())
    for team, gpus in sorted(asked.items(), key=lambda each: -each[1]):
        order, many = sorted(left, key=lambda name: -left[name]), max(1, -(-gpus // size))
        if fill and many == 1:
            order = [name for name in reversed(order) if left[name] >= gpus] or order
        nodes = order[:many]
        if sum(left[name] for name in nodes) < gpus or (many > 1 and left[nodes[-1]] < size):
            free = ", ".join(f"{name} {number}" for name, number in left.items())
            raise InputError(
                f"TEAMS: {team} asks for {gpus} GPUs, and no node of pool {pool} has so many left ({free}).",
                "give the teams fewer GPUs: a team gets its GPUs on one node, or on whole nodes",
            )
        found[team] = sorted(nodes)
        left |= {name: 0 if many > 1 else left[name] - gpus for name in nodes}
    return found


def stack_text(answers: Answers, facts: ClusterFacts, pools: Mapping[str, Sequence[Machine]]) -> str:
    """Return the file's text. Raises `InputError` where a team has no room."""
    where = places(answers.teams, pools)
    nodes = divided(answers.teams, where, pools)
    used = {name: alike for name, alike in pools.items() if name in where.values()} or dict(pools)
    host: dict[str, object] = {"provider": "existing", "context": answers.context, "address": answers.address}
    if facts.storage_classes and not any(facts.storage_classes.values()):
        host["storageClass"] = min(facts.storage_classes)  # no StorageClass is the default
    platform = {"host": host, "gpu": _gpu(answers, facts)}
    teams = {name: _team(answers, where[name], nodes.get(name), answers.teams[name]) for name in answers.teams}
    raw = {**platform, "pools": {name: pool_settings(alike) for name, alike in used.items()}, "teams": teams}
    for name, share in _shares(raw, used, where, nodes).items():
        teams[name] = {**teams[name], "resources": {"gpus": answers.teams[name], **share}}
    return f"{HEADER}config:\n  gpu-tenancy:platform:\n{_lines(platform)}{block(used)}{_lines({'teams': teams})}"


def _gpu(answers: Answers, facts: ClusterFacts) -> dict[str, object]:
    found: dict[str, object] = {"stack": answers.stack}
    if answers.stack == brought_by(facts) and answers.stack != "fake":
        theirs = facts.gpu_operators if answers.stack == "gpuOperator" else facts.device_plugins
        if not (theirs and all(each.ours for each in theirs)):
            found["owner"] = "cluster"
    there = (facts.runtime_classes or {}).get("nvidia")
    if there is not None and not there.ours:
        found["runtimeClass"] = {"handler": there.detail or "nvidia", "owner": "cluster"}
    return found


def _team(answers: Answers, pool: str, nodes: list[str] | None, gpus: int) -> dict[str, object]:
    placed: dict[str, object] = ({"pool": pool} if pool else {}) | ({"nodes": nodes} if nodes else {})
    if not gpus:
        return placed
    scheduler = {"mode": "virtual", "version": answers.kai}
    return placed | {"scheduler": scheduler, "queues": {QUEUE: {"gpu": gpus}}}


def _shares(
    raw: Mapping[str, object],
    pools: Mapping[str, Sequence[Machine]],
    where: Mapping[str, str],
    nodes: Mapping[str, list[str]],
) -> dict[str, dict[str, object]]:
    """Each team's CPU, memory and pods: the defaults, or an equal part of what its nodes have left, where that is less.
    Raises `InputError` where a team's name is invalid, or its nodes are too small for tenancy's own pods.
    """
    try:
        claims = {claim.name: claim.tenancy for claim in tenant_claims(Platform.model_validate(raw))}
    except ValidationError:
        return {}  # the loader says what is wrong, with the file's lines
    headroom, most = Headroom(), TeamResources()
    kept = amounts(cpu=headroom.cpu, memory=headroom.memory, pods=headroom.pods)
    found = {}
    for team, pool in where.items():
        mine = nodes.get(team)
        machines = [
            machine
            for name, alike in pools.items()
            if pool in ("", name)
            for machine in alike
            if mine is None or machine.name in mine
        ]
        beside = [
            name
            for name, other in where.items()
            if not pool or not other or (other == pool and (mine is None or nodes.get(name) in (None, mine)))
        ]
        cost = sum((claims[name] for name in beside), start=NOTHING)
        cpu = sum(int(machine.cpu * 1000) - kept.cpu_millicores for machine in machines) - cost.cpu_millicores
        memory = sum(int(machine.memory // MIB) - kept.memory_mib for machine in machines) - cost.memory_mib
        pods = sum(machine.pods - kept.pods for machine in machines) - cost.pods
        wanted = amounts(cpu=most.cpu, memory=most.memory, pods=most.pods)
        if min(cpu, memory, pods) < len(beside):
            raise InputError(
                f"TEAMS: the nodes of pool {pool or 'any'} are too small for {len(beside)} teams.",
                "name fewer teams, or add nodes",
            )
        found[team] = {
            "cpu": _cores(min(wanted.cpu_millicores, cpu // len(beside))),
            "memory": _gibibytes(min(wanted.memory_mib, memory // len(beside))),
            "pods": min(wanted.pods, pods // len(beside)),
        }
    return found


def _cores(millicores: int) -> object:
    return f"{millicores}m" if millicores % 1000 else millicores // 1000


def _gibibytes(mebibytes: int) -> str:
    return f"{mebibytes}Mi" if mebibytes % 1024 else f"{mebibytes // 1024}Gi"


def _lines(settings: Mapping[str, object]) -> str:
    text = yaml.safe_dump(dict(settings), sort_keys=False, default_flow_style=None, width=110)
    return "".join(f"    {line}\n" for line in text.splitlines())
