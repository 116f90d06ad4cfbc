"""Rules for a team's workloads, as pure functions. No Pulumi import.

Owns: whether workloads fit their team (GPUs, queue, CPU, memory, pods, storage, ports), and a model its share.
Leaves to others: what the team's own numbers must fit (`rules/`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

import capacity
from capacity import NODE_PORTS, mebibytes, memory_as_share, memory_in_parts, millicores, parse_quantity
from settings.models import Expose, Platform, SchedulerMode, Team
from settings.own_pods import own_volumes
from settings.problems import Path, Problem, dotted, shown
from settings.tenants import tenants
from settings.workload_parts import CACHE_SHARE, GpuShare
from settings.workloads import AnyWorkload, Inference

Rule: TypeAlias = Callable[[Platform], Iterable[Problem]]

_MIB: Final = 1024**2
_ADDENDS: Final = 6
"""The most addends of a sum in a message."""


def each_workload(platform: Platform) -> Iterator[tuple[str, Team, str, AnyWorkload, Path]]:
    """Every workload, with its team, its name and its place in the file."""
    for name, team in platform.teams.items():
        for key, workload in team.workloads.items():
            yield name, team, key, workload, ("teams", name, "workloads", key)


def workloads_ask_in_one_way(platform: Platform) -> Iterator[Problem]:
    """A workload must have exactly one of count, fraction and memoryMib, and at most one way to reach it."""
    for _, _, _, workload, path in each_workload(platform):
        given = workload.gpu.given() if workload.gpu is not None else ("none",)
        if len(given) != 1:
            yield Problem(
                path=(*path, "gpu"),
                rule="must have exactly one of count, fraction and memoryMib",
                got=" and ".join(given) or "none of them",
                fix="keep one" if given else "write gpu: {count: 1}, or {fraction: 0.5}",
            )
        if workload.way_in.node_port and workload.way_in.ingress:
            yield Problem(
                path=(*path, "expose"),
                rule="must be either nodePort or ingress",
                got="both",
                fix="remove one of the two",
            )
        if isinstance(workload, Inference) and workload.cache is not None and workload.model_volume is not None:
            yield Problem(
                path=path,
                rule="has cache (for downloads) or modelVolume (a local directory)",
                got="both",
                fix="remove one of the two",
            )


def workloads_have_their_queue(platform: Platform) -> Iterator[Problem]:
    """A workload has a queue of its team, and with GPUs a pool that has some. Fractions need a team that shares
    GPUs.
    """
    for name, team, _, workload, path in each_workload(platform):
        mode = team.scheduler.mode
        if workload.queue is not None and workload.queue not in team.queues:
            known = ", ".join(team.queues) or "none"
            yield Problem(
                path=(*path, "queue"),
                rule=f"must be a leaf queue of team {name}",
                got=shown(workload.queue),
                fix=f"write one of {known}" if team.queues else "remove it, the team has no queues",
            )
        if workload.gpu is None:
            continue
        pool = platform.pools.get(team.pool or "")
        if pool is None or pool.gpus_per_node == 0:
            yield Problem(
                path=(*path, "gpu"),
                rule="needs a pool with GPUs",
                got=f"team {name} with " + (f"pool {team.pool}, which has none" if team.pool else "no pool"),
                fix="write a pool with GPUs, or remove gpu",
            )
        elif workload.gpu.parts and mode is SchedulerMode.DEFAULT:
            yield Problem(
                path=(*path, "gpu"),
                rule="a part of a GPU needs KAI",
                got="scheduler.mode default",
                fix="write gpu: {count: 1}, or mode virtual or host",
            )
        elif workload.gpu.parts and not team.scheduler.shares:
            yield Problem(
                path=(*path, "gpu"),
                rule="a part of a GPU needs scheduler.gpuSharing",
                got="gpuSharing: false",
                fix=f"write gpuSharing: true at team {name}, or gpu: {{count: 1}}",
            )
        elif workload.gpu.memory_mib is not None and pool.gpu_memory_mib is None:
            yield Problem(
                path=(*path, "gpu", "memoryMib"),
                rule=f"needs pools.{team.pool}.gpuMemoryMib",
                got="a pool without it",
                fix="write gpuMemoryMib at the pool, or a fraction here",
            )


def models_fit_their_share(platform: Platform) -> Iterator[Problem]:
    """The weights and a small cache fit the server's share of its GPU."""
    for _, team, _, workload, path in each_workload(platform):
        pool = platform.pools.get(team.pool or "")
        if not isinstance(workload, Inference) or pool is None or len(workload.gpu.given()) != 1:
            continue
        memory = pool.device_memory_mib
        if memory is None:
            yield Problem(
                path=("pools", team.pool or ""),
                rule="needs gpuMemoryMib, without it nobody can say whether a model fits",
                got=f"an inference workload at {dotted(path)}",
                fix="write gpuMemoryMib, the memory of one GPU as nvidia-smi says it",
            )
            continue
        if pool.sharing.given and not pool.sharing.cut:
            yield Problem(
                path=(*path, "gpu"),
                rule="an inference server takes a share of a whole GPU, and replicas share memory without a bound",
                got=f"pool {team.pool} with {pool.replicas} replicas",
                fix="use a pool without sharing, with a fraction by KAI",
            )
            continue
        room = workload.memory_for_model_mib(memory)
        if room is None:
            continue
        needs = math.ceil(workload.weights_mib() / (1 - CACHE_SHARE))
        if needs > room:
            share = workload.gpu.share_of(memory) or 1.0
            yield Problem(
                path=(*path, "weights"),
                rule=f"weights and {CACHE_SHARE:.0%} for the cache must fit what the server may take of its GPU",
                got=f"{needs} MiB of {room} MiB ({share:.2f} of {memory} MiB, less the CUDA context)",
                fix="ask for a larger share, more GPUs (count), or a smaller model",
            )


def workloads_fit_their_team(platform: Platform) -> Iterator[Problem]:
    """All workloads of a team together fit the team's GPUs, CPU, memory, pods and storage."""
    for name, team in platform.teams.items():
        if not team.workloads:
            continue
        path: Path = ("teams", name, "workloads")
        pool = platform.pools.get(team.pool or "")
        shares = list(_gpu_shares(team, pool.device_memory_mib if pool else None))
        limit = _gpu_limit(platform, team)
        if shares and limit is not None:
            # a sum above the limit needs no packing, which takes long for thousands of small parts
            total = sum(shares, Fraction(0))
            needs = math.ceil(total) if total > limit else gpus_needed(shares)
            if needs > limit:
                yield Problem(
                    path=path,
                    rule=f"must fit team {name}'s GPU limit, all at the same time",
                    got=f"{_sum_text(shares)}, which takes {needs} GPUs of {limit}",
                    fix="ask for smaller shares, or raise resources.gpus.limit",
                )
        yield from _queue_sums(name, team, pool.device_memory_mib if pool else None)
        yield from _host_sums(name, team, path)


def _gpu_shares(team: Team, gpu_memory_mib: int | None, queue: str | None = None) -> Iterator[Fraction]:
    """Each pod's share of GPUs; a part that can't be known counts as a whole GPU."""
    first = team.first_queue
    for workload in team.workloads.values():
        if workload.gpu is None or (queue is not None and (workload.queue or first) != queue):
            continue
        for _ in range(workload.replicas):
            yield _share(workload.gpu, gpu_memory_mib, counted=queue is not None)


def _share(gpu: GpuShare, gpu_memory_mib: int | None, *, counted: bool) -> Fraction:
    """`counted`: as KAI counts it in a queue, and not as it takes room on a GPU."""
    if gpu.count is not None:
        return Fraction(gpu.count)
    if gpu.memory_mib is None:
        return Fraction(str(round(gpu.fraction or 1, 6)))
    whole = memory_in_parts(gpu_memory_mib or 0)
    if not whole:
        return Fraction(1)
    return memory_as_share(gpu.memory_mib, whole) if counted else Fraction(gpu.memory_mib, whole)


def gpus_needed(shares: Iterable[Fraction]) -> int:
    """Return how many GPUs all of these need together. Parts are packed as KAI does by default: the largest first, each
    into the fullest GPU that has room.
    """
    whole, free = 0, list[Fraction]()
    for share in sorted(shares, reverse=True):
        if share >= 1:
            whole += math.ceil(share)
            continue
        fitting = [left for left in free if left >= share]
        if fitting:
            best = min(fitting)
            free.remove(best)
            free.append(best - share)
        else:
            free.append(1 - share)
    return whole + len(free)


def _share_text(share: Fraction) -> str:
    return f"{float(share):g}"


def _sum_text(shares: Sequence[Fraction]) -> str:
    """`0.5 + 1`; a long sum is cut and counted."""
    told = [_share_text(share) for share in shares[:_ADDENDS]]
    return " + ".join([*told, *([f"{len(shares) - _ADDENDS} more"] if len(shares) > _ADDENDS else [])])


def _gpu_limit(platform: Platform, team: Team) -> int | None:
    """The team's GPU limit as a number; None where it is not known what the team sees."""
    limit, pool = team.resources.gpus.limit, platform.pools.get(team.pool or "")
    if limit >= 0:
        return limit
    return None if pool is None else (len(team.nodes) or pool.size) * pool.gpus_allocatable_per_node


def _queue_sums(name: str, team: Team, gpu_memory_mib: int | None) -> Iterator[Problem]:
    for leaf, queue in team.queues.items():
        if queue.gpu.limit < 0:
            continue
        shares = list(_gpu_shares(team, gpu_memory_mib, leaf))
        total = sum(shares, Fraction(0))
        if total > Fraction(str(queue.gpu.limit)):
            yield Problem(
                path=("teams", name, "queues", leaf, "gpu", "limit"),
                rule="must hold the workloads of this queue, all at the same time",
                got=f"{_sum_text(shares)} = {_share_text(total)} of {queue.gpu.limit:g}",
                fix="raise it, or give a workload another queue",
            )


def _host_sums(name: str, team: Team, path: Path) -> Iterator[Problem]:
    # exact: rounded up, a hundred small pods would ask for more than they do
    cpu = memory = storage = Decimal(0)
    pods = 0
    for workload in team.workloads.values():
        beside = workload.beside
        cpu += workload.replicas * parse_quantity(workload.cpu) * 1000 + beside.cpu_millicores
        memory += workload.replicas * parse_quantity(workload.memory) / _MIB + beside.memory_mib
        pods += workload.replicas + beside.pods
        storage += sum((parse_quantity(size) / _MIB for size in workload.claims.values()), Decimal(0))
    if storage:
        storage += sum(parse_quantity(size) / _MIB for size in own_volumes(team).values())
    asked = team.resources
    sums = (
        # of these two the host's quota is rounded up
        ("cpu", cpu, millicores(asked.cpu), "m CPU"),
        ("memory", memory, mebibytes(asked.memory), " MiB memory"),
        ("pods", pods, asked.pods, " pods"),
        ("storage", storage, parse_quantity(asked.storage) / _MIB, " MiB storage"),
    )
    for key, needs, has, unit in sums:
        if needs > has:
            yield Problem(
                path=path,
                rule=f"must fit resources.{key} of team {name}, including what comes with them",
                got=f"{math.ceil(needs)}{unit} of {math.floor(has)}{unit}",
                fix=f"raise resources.{key}, or lower what the workloads ask for",
            )
    for key, workload in team.workloads.items():
        if parse_quantity(workload.memory_at_most) < parse_quantity(workload.memory):
            yield Problem(
                path=(*path, key, "memoryLimit"),
                rule="must be at least the request",
                got=f"{workload.memory_limit} below {workload.memory}",
                fix="raise it, or remove it",
            )
        if isinstance(workload, Inference) and parse_quantity(workload.shared_memory) >= parse_quantity(
            workload.memory_at_most
        ):
            yield Problem(
                path=(*path, key, "sharedMemory"),
                rule="counts in the pod's memory, so it must be below its limit",
                got=f"{workload.shared_memory} of {workload.memory_at_most}",
                fix="lower it, or raise memoryLimit",
            )


def ports_are_free(platform: Platform) -> Iterator[Problem]:
    """A NodePort is valid, and no other workload and no team's API server uses it."""
    taken: dict[int, str] = {}
    for name, team in tenants(platform).items():
        if team.access.expose is Expose.NODE_PORT:
            taken[team.access.port or capacity.node_port(name)] = f"the API server of team {name}"
    hosts: dict[str, str] = {}
    for name, _, key, workload, path in each_workload(platform):
        port, ingress = workload.way_in.node_port, workload.way_in.ingress
        owner = f"workload {key} of team {name}"
        if port is not None and port not in NODE_PORTS:
            yield Problem(
                path=(*path, "expose", "nodePort"),
                rule=f"must be a NodePort, {NODE_PORTS.start} to {NODE_PORTS.stop - 1}",
                got=str(port),
                fix="choose one of these",
            )
        elif port is not None and taken.setdefault(port, owner) != owner:
            yield Problem(
                path=(*path, "expose", "nodePort"),
                rule="must be free on the host",
                got=f"{port}, which {taken[port]} has",
                fix="choose another",
            )
        if ingress is not None and hosts.setdefault(ingress.host, owner) != owner:
            yield Problem(
                path=(*path, "expose", "ingress", "host"),
                rule="must lead to one workload only",
                got=f"{ingress.host}, which {hosts[ingress.host]} has",
                fix="choose another name",
            )


RULES: Final[tuple[Rule, ...]] = (
    workloads_ask_in_one_way,
    workloads_have_their_queue,
    models_fit_their_share,
    workloads_fit_their_team,
    ports_are_free,
)
