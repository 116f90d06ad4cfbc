"""Rules for one pod of a workload, as pure functions. No Pulumi import.

Owns: that a pod fits a node, asks for something, has names that Kubernetes accepts, and sets nothing that the program
sets itself.
Leaves to others: what all workloads of a team ask for together (`workload_rules.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import ROUND_FLOOR
from typing import Final

from capacity import mebibytes, memory_in_parts, millicores, number, parse_quantity
from settings.infrastructure import one_at_a_time
from settings.models import Platform, Pool, Team
from settings.own_pods import LEAST_VOLUME
from settings.problems import Path, Problem, shown
from settings.workload_parts import DERIVED_FLAGS, OUR_VARIABLES
from settings.workload_rules import Rule, each_workload
from settings.workloads import AnyWorkload, App, Inference, SlurmWorkload

LEAST_MEMORY: Final = 12 * 1024**2
"""Bytes. CRI-O refuses a container with a lower memory limit, and no other runtime starts one in much less."""
LONGEST_NAME: Final = 63
"""Kubernetes' limit for the names of Services, and of Jobs, whose pods carry it as a label."""


def pods_fit_a_node(platform: Platform) -> Iterator[Problem]:
    """Each pod fits one node of its team; its whole GPUs never come from two nodes."""
    for _, team, _, workload, path in each_workload(platform):
        pool = platform.pools.get(team.pool or "")
        if pool is None:
            continue
        for where, needs, has, unit in _sizes(platform, pool, workload):
            if needs > has:
                whose = "one GPU" if "memoryMib" in where else "one node"
                counts = ", whose MiB KAI counts in whole hundreds" if "memoryMib" in where else ""
                yield Problem(
                    path=(*path, *where),
                    rule=f"one pod asks for at most what {whose} of pool {team.pool} has{counts}",
                    got=f"{number(needs)}{unit} of {number(has)}{unit}",
                    fix="ask for less in one pod",
                )
        why = "" if pool.sharing.mig else one_at_a_time(platform.gpu, pool)
        if why and workload.gpu is not None and (workload.gpu.count or 0) > 1:
            yield Problem(
                path=(*path, "gpu", "count"),
                rule=f"is 1 on a pool of replicas: {why}",
                got=str(workload.gpu.count),
                fix="write 1",
            )
    for name, team in platform.teams.items():
        yield from _together(name, team, platform.pools.get(team.pool or ""))


def _sizes(platform: Platform, pool: Pool, workload: AnyWorkload) -> Iterator[tuple[Path, float, float, str]]:
    """For each request of a pod: its path, the amount, the amount that a node has, and the unit."""
    gpu, headroom = workload.gpu, platform.host.headroom
    # SLURM's workers have a rule of their own: all GPUs of a node
    if gpu is not None and gpu.count is not None and pool.gpus_per_node and not isinstance(workload, SlurmWorkload):
        yield ("gpu", "count"), gpu.count, pool.gpus_allocatable_per_node, f" {pool.unit}s"
    if gpu is not None and gpu.memory_mib is not None and pool.device_memory_mib is not None:
        yield ("gpu", "memoryMib"), gpu.memory_mib, memory_in_parts(pool.device_memory_mib), " MiB"
    if pool.cpu_per_node is not None:
        free = millicores(pool.cpu_per_node, rounding=ROUND_FLOOR) - millicores(headroom.cpu)
        yield ("cpu",), millicores(workload.cpu), max(0, free), "m CPU"
    if pool.memory_per_node is not None:
        free = mebibytes(pool.memory_per_node, rounding=ROUND_FLOOR) - mebibytes(headroom.memory)
        yield ("memory",), mebibytes(workload.memory), max(0, free), " MiB"


def _together(name: str, team: Team, pool: Pool | None) -> Iterator[Problem]:
    """Place pods with whole GPUs on the team's nodes, the largest first. Parts of a GPU are not counted here."""
    if pool is None or not pool.gpus_per_node:
        return
    nodes, has = len(team.nodes) or pool.size, pool.gpus_allocatable_per_node
    counts = [
        workload.gpu.count
        for workload in team.workloads.values()
        if workload.gpu is not None and workload.gpu.count is not None
        for _ in range(workload.replicas)
    ]
    if max(counts, default=0) <= has < sum(counts) <= nodes * has and not _packed(counts, nodes, has):
        yield Problem(
            path=("teams", name, "workloads"),
            rule="each pod has its whole GPUs on one node, all at the same time",
            got=f"{' + '.join(map(str, sorted(counts, reverse=True)))} on {nodes} nodes of {has}",
            fix="ask for fewer GPUs in one pod, or fewer pods",
        )


def _packed(counts: Iterable[int], nodes: int, has: int) -> bool:
    free = [has] * nodes
    for count in sorted(counts, reverse=True):
        fitting = [at for at, left in enumerate(free) if left >= count]
        if not fitting:
            return False
        free[min(fitting, key=lambda at: free[at])] -= count
    return True


def pods_ask_for_something(platform: Platform) -> Iterator[Problem]:
    """A container needs memory, a volume has a size, and a model has weights."""
    for _, _, _, workload, path in each_workload(platform):
        if parse_quantity(workload.cpu) * 1000 < 1:
            yield _too_little((*path, "cpu"), "a pod asks for at least 1m of CPU", workload.cpu, "100m")
        memory = {"memory": workload.memory, "memoryLimit": workload.memory_limit}
        for key, said in memory.items():
            if said is not None and parse_quantity(said) < LEAST_MEMORY:
                yield _too_little((*path, key), "no container starts in less than 12Mi", said, "64Mi")
        for at, said in workload.sizes.items():
            if parse_quantity(said) < LEAST_VOLUME:
                yield _too_little((*path, *at), "must be at least 1Mi", said, "1Gi")


def _too_little(path: Path, rule: str, got: str, like: str) -> Problem:
    return Problem(path=path, rule=rule, got=shown(got), fix=f"write it like {like}")


def names_of_objects_fit(platform: Platform) -> Iterator[Problem]:
    """The names of a workload's Service and Job are valid, and its Service on the host has a name of its own."""
    for name, _, key, workload, path in each_workload(platform):
        suffix = workload.suffix
        on_host = f"{key}{suffix}"
        if workload.way_in.given and (on_host in _of_vcluster(name) or on_host.endswith(f"-x-{name}")):
            yield Problem(
                path=path,
                rule=f"{on_host} is the name of an object of the team's virtual cluster on the host",
                got=shown(key),
                fix="rename the workload",
            )
        if not key[0].isalpha():
            yield Problem(
                path=path,
                rule="a workload's name starts with a letter, its Service has the same name",
                got=shown(key),
                fix=f"write {'app-' + key!r}",
            )
        if suffix and len(key) > LONGEST_NAME - len(suffix):
            yield Problem(
                path=path,
                rule=f"the name of this workload has at most {LONGEST_NAME - len(suffix)} characters ({LONGEST_NAME} "
                f"less the {len(suffix)} of {suffix})",
                got=f"{len(key)} characters",
                fix="shorten it",
            )


def _of_vcluster(team: str) -> tuple[str, ...]:
    """Its Service, and the NetworkPolicies of its chart (vcluster v0.36.1:chart/templates)."""
    return (team, *(f"vc-{which}-{team}" for which in ("work", "cp", "kube-dns", "snapshot")))


def nothing_is_said_against_us(platform: Platform) -> Iterator[Problem]:
    """The user may not set an argument or variable that the program derives: of two the last would count, or none."""
    for _, team, _, workload, path in each_workload(platform):
        if isinstance(workload, App):
            for variable in workload.secrets:
                if variable in OUR_VARIABLES:
                    yield Problem(
                        path=(*path, "secrets", variable),
                        rule="is a variable that every app has already",
                        got=None,
                        fix="choose another name",
                    )
        elif isinstance(workload, Inference):
            yield from _arguments(workload, path)
            pool = platform.pools.get(team.pool or "")
            if pool is not None and pool.sharing.mig and (workload.gpu.count or 0) > 1:
                yield Problem(
                    path=(*path, "gpu", "count"),
                    rule=f"is 1 on a pool of MIG slices: {one_at_a_time(platform.gpu, pool)}",
                    got=str(workload.gpu.count),
                    fix="write 1",
                )
            if (
                workload.model_volume is None
                and workload.command == ("vllm", "serve")
                and workload.model.count("/") > 1
            ):
                yield Problem(
                    path=(*path, "model"),
                    rule="the hub's names are <name> or <owner>/<name>",
                    got=shown(workload.model),
                    fix="write such a name, or modelVolume for a local directory",
                )


def _arguments(workload: Inference, path: Path) -> Iterator[Problem]:
    for index, argument in enumerate(workload.args):
        flag = argument.partition("=")[0].replace("_", "-")
        # the server takes a flag by its beginning, too
        meant = [known for known in DERIVED_FLAGS if flag == known or (len(flag) > 3 and known.startswith(flag))]
        if flag.startswith("-") and meant:
            yield Problem(
                path=(*path, "args", index),
                rule=f"{meant[0]} {DERIVED_FLAGS[meant[0]]}",
                got=shown(flag),
                fix="leave it out",
            )


RULES: Final[tuple[Rule, ...]] = (
    pods_fit_a_node,
    pods_ask_for_something,
    names_of_objects_fit,
    nothing_is_said_against_us,
)
