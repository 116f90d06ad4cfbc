"""Rules for SLURM as a team's workload (Slinky). No Pulumi import.

Owns: that its privileged workers have all GPUs of their nodes, and that their level allows them.
Leaves to others: sums and queues, as for every workload (`workload_rules.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from releases.slinky import RESERVED_PARTITIONS
from settings.models import Isolation, Platform, Pool, SchedulerMode, Team
from settings.problems import Path, Problem, shown
from settings.workload_rules import each_workload
from settings.workloads import SlurmWorkload

LONGEST_NAME: Final = 30
"""Helm allows 53 characters for a release's name, and Slinky adds `-slurm-operator-webhook` to it in names of at most
63.
"""


def slurm_workers_have_whole_nodes(platform: Platform) -> Iterator[Problem]:
    """A worker is privileged, so it sees every GPU of its node, and SLURM gives jobs all GPUs that it sees."""
    seen: dict[str, str] = {}
    for name, team, key, workload, path in each_workload(platform):
        if not isinstance(workload, SlurmWorkload):
            continue
        yield from _names(name, key, workload, path, seen)
        if team.scheduler.mode is SchedulerMode.DEFAULT:
            yield Problem(
                path=path,
                rule="SLURM's workers take their GPUs through a queue of the team, which needs KAI",
                got="scheduler.mode default",
                fix=f"write mode virtual or host at team {name}",
            )
        if team.isolation is not Isolation.PRIVILEGED:
            yield Problem(
                path=("teams", name, "isolation"),
                rule="SLURM's workers are privileged containers, and this level refuses them",
                got=team.isolation.value,
                fix="write isolation: privileged (its pods then reach everything of their nodes), or a SLURM host of "
                "its own (slurm)",
            )
        pool = platform.pools.get(team.pool or "")
        if pool is not None and pool.gpus_per_node:
            yield from _gpus(name, team, pool, workload, path)


def _names(team: str, key: str, workload: SlurmWorkload, path: Path, seen: dict[str, str]) -> Iterator[Problem]:
    if seen.setdefault(team, key) != key:
        yield Problem(
            path=path,
            rule="a team has one SLURM: its operator and its kinds are the whole cluster's",
            got=f"{key} beside {seen[team]}",
            fix="remove one, or give it more workers",
        )
    if len(key) > LONGEST_NAME:
        yield Problem(
            path=path,
            rule=f"the name of a SLURM has at most {LONGEST_NAME} characters",
            got=f"{shown(key)}, {len(key)} characters",
            fix="shorten it",
        )
    if workload.partition in RESERVED_PARTITIONS:
        yield Problem(
            path=(*path, "partition"),
            rule=f"is a word of SLURM's own ({', '.join(RESERVED_PARTITIONS)})",
            got=shown(workload.partition),
            fix="choose another name",
        )


def _gpus(name: str, team: Team, pool: Pool, workload: SlurmWorkload, path: Path) -> Iterator[Problem]:
    if pool.sharing.given:
        yield Problem(
            path=path,
            rule="SLURM's workers need whole GPUs, not replicas or slices",
            got=f"pool {team.pool}, which shares its GPUs",
            fix="use a pool without sharing",
        )
    elif workload.gpu.given() and workload.gpu.count != pool.gpus_per_node:
        asked = "a part of one" if workload.gpu.count is None else str(workload.gpu.count)
        yield Problem(
            path=(*path, "gpu"),
            rule="a worker is privileged and sees every GPU of its node, whatever Kubernetes grants: it takes all of "
            "them",
            got=f"{asked} of {pool.gpus_per_node}",
            fix=f"write gpu: {{count: {pool.gpus_per_node}}}",
        )
    nodes = len(team.nodes) or pool.size
    if workload.replicas > nodes:
        yield Problem(
            path=(*path, "replicas"),
            rule=f"each worker is alone on a node of team {name}",
            got=f"{workload.replicas} of {nodes}",
            fix="lower replicas, or give the team more nodes",
        )
