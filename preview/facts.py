"""What a stack consists of, as flat facts: the effective settings, by their paths in the stack file.

Owns: facts of a stack file. Leaves to others: facts from a preview's steps and from a state (`observed.py`), what a
change of a fact means (`table`).

An absent fact is not known, and nothing is concluded from it. A team's facts have the path below the team as key
(`vcluster.backingStore`). Defaults are filled in and -1 is resolved, so that a new default shows as a change. A canary
is a tenant of its own, and so is each slot of `blueGreen`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeAlias, get_args, get_origin

from pydantic import JsonValue

import releases
from components.team.tenant import Tenant, quota_hard, resolve
from names import GPU
from settings import kinds
from settings.models import From, GpuStack, Platform, Pool, Queue, SchedulerMode, Team
from settings.on_change import OnChange
from settings.sharing import OTHER_UNIT
from settings.tenants import canary_of, slot_of, tenants_now
from settings.types import Quantity, Section

Known: TypeAlias = Mapping[str, JsonValue]
"""Facts by path; what is absent is not known."""

HARD: Final = "hard"
"""Derived: the numbers of a tenant's ResourceQuota, by its keys."""
CANARY_OF: Final = "canaryOf"
"""Derived, for a canary or a slot that does not serve: the tenant that serves."""
BLUE_GREEN: Final = "blueGreen"
"""Derived: which slot of its team a tenant is; None without `blueGreen`."""
REPLICAS: Final = "replicas"
"""Derived: how often each GPU of a pool is advertised, where the kind of sharing is not known."""
CLUSTER_UID: Final = "cluster.uid"
"""Derived: UID of the host cluster's namespace kube-system."""
MADE: Final = "host.made"
"""Derived: the cluster that this program makes, like `kind lab-a on this machine`; None where it exists already."""
DRIVER: Final = "gpu.operator.driver"
DERIVED: Final = frozenset({HARD, CANARY_OF, BLUE_GREEN, REPLICAS, CLUSTER_UID, MADE})
"""Facts that no user edits."""

GPU_BOUND: Final = f"requests.{GPU}"
"""The key of a ResourceQuota that limits GPUs (replicas)."""

_SECOND: Final = ("scheduler.canary.", "blueGreen.")
"""Sections that make another tenant, with its own facts."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a stack. `stack` has the facts outside of pools and teams, like `host.context`."""

    stack: Known = field(default_factory=dict)
    pools: Mapping[str, Known] = field(default_factory=dict)
    tenants: Mapping[str, Known] = field(default_factory=dict)


def facts_of(platform: Platform, *, cluster_uid: str | None = None) -> Facts:
    """Return the facts of a stack file. `cluster_uid` is the host cluster's, where it is known."""
    stack = dict(_stack_facts(platform))
    if cluster_uid is not None:
        stack[CLUSTER_UID] = cluster_uid
    try:
        resolved = resolve(platform)
    except KeyError:  # this program does not know the version, nor what follows from it
        resolved = {}
    return Facts(
        stack=stack,
        pools={name: dict(_values(Pool, _dump(pool))) for name, pool in platform.pools.items()},
        tenants={
            name: _team_facts(platform, name, team, resolved.get(name)) for name, team in tenants_now(platform).items()
        },
    )


def _stack_facts(platform: Platform) -> Iterator[tuple[str, JsonValue]]:
    for path, value in _values(Platform, _dump(platform)):
        section = path.partition(".")[0]
        # without a context the kubeconfig's current one is used; which one that is makes no difference here
        if section not in ("pools", "teams") and not (path == "host.context" and value is None):
            yield path, value
    ssh = platform.host.connection.ssh if platform.host.connection else None
    yield MADE, made(platform.host.provider, platform.host.name, ssh.host if ssh else None, platform.host.install)
    if platform.gpu.version is None:
        newest = {
            GpuStack.DEVICE_PLUGIN: releases.DEFAULT_DEVICE_PLUGIN,
            GpuStack.GPU_OPERATOR: releases.DEFAULT_GPU_OPERATOR,
        }
        yield "gpu.version", newest.get(platform.gpu.stack)

    if platform.gpu.operator.driver is From.OPERATOR:
        # another operator brings another driver
        yield DRIVER, operators_driver(platform.gpu.version or releases.DEFAULT_GPU_OPERATOR)


def operators_driver(version: str) -> str:
    """The name of the driver that a GPU Operator of this chart version brings."""
    return f"{From.OPERATOR.value} {version}"


def made(provider: str, name: str, ssh_host: str | None, install: object) -> str | None:
    """The name of a cluster that this program makes; None without `install`."""
    return None if install is None else f"{provider} {name} on {ssh_host or 'this machine'}"


def _team_facts(platform: Platform, name: str, team: Team, tenant: Tenant | None) -> dict[str, JsonValue]:
    found = {path: value for path, value in _values(Team, _dump(team)) if not path.startswith(_SECOND)}
    found["vcluster.version"] = team.vcluster.version or releases.DEFAULT_VCLUSTER
    found[CANARY_OF], found[BLUE_GREEN] = canary_of(platform, name), slot_of(platform, name)
    if team.scheduler.mode is not SchedulerMode.VIRTUAL:
        found["scheduler.version"] = None
    if tenant is None:
        for path in _RESOLVED:
            found.pop(path)
        return found
    for leaf, queue in tenant.queues.items():
        if leaf not in team.queues:  # the check's own queue
            found.update((f"queues.{leaf}.{path}", value) for path, value in _values(Queue, _dump(queue)))
    found["nodes"] = list(tenant.nodes)
    found["resources.gpus.quota"], found["resources.gpus.limit"] = tenant.gpu_quota, tenant.gpu_limit
    found["vcluster.kubernetesVersion"] = tenant.kubernetes
    found["access.port"] = tenant.node_port
    found[HARD] = bounds(quota_hard(tenant))
    return found


_RESOLVED: Final = (
    "nodes",
    "resources.gpus.quota",
    "resources.gpus.limit",
    "vcluster.kubernetesVersion",
    "access.port",
)
"""Facts from the resolved tenant, because the file may leave them to a default."""


def bounds(hard: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The numbers of a ResourceQuota, without the names of GPU parts whose limit is 0."""
    return {
        key: value
        for key, value in hard.items()
        if key == GPU_BOUND or not (key.startswith("requests.nvidia.com/") and str(value) == "0")
    }


def replicas(pool: Known) -> int | None:
    """How often each GPU of a pool is advertised: 1 without sharing, None where it is not known."""
    for path in (REPLICAS, *_numbers_of_ways()):
        value = pool.get(path)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 1 if all(path in pool for path in _numbers_of_ways()) else None


@cache
def _numbers_of_ways() -> tuple[str, ...]:
    """Where a pool says how often each GPU is advertised, for each way of sharing."""
    return tuple(path for path, does in fields(Pool).items() if does == OTHER_UNIT)


# --- the settings' own shape ----------------------------------------------------------------------------------------


def fields(section: type[Section] = Platform) -> dict[str, OnChange | None]:
    """Every field that a user can edit by its path, like `teams.*.vcluster.backingStore`, in the order of the models;
    `*` is any name. Each with what a change of it does, where the field says that itself."""
    return {
        path: next((said for said in metadata if isinstance(said, OnChange)), None)
        for path, metadata in _leaves(section).items()
    }


@cache
def amounts() -> frozenset[str]:
    """The fields that are quantities: `1Gi` and `1024Mi` are the same there."""
    return frozenset(path for path, said in _leaves(Platform).items() if any(isinstance(it, Quantity) for it in said))


def _leaves(section: type[Section]) -> dict[str, tuple[object, ...]]:
    """Every field below a section by its path, with the metadata of its type."""
    found: dict[str, tuple[object, ...]] = {}
    for (alias, sections, by_name), info in zip(_shape(section), section.model_fields.values(), strict=True):
        below = f"{alias}.*" if by_name else alias
        for one in sections or by_name:
            # of a section that may be of several kinds, the first that has a field
            for path, said in _leaves(one).items():
                found.setdefault(f"{below}.{path}", said)
        if not sections and not by_name:
            found[alias] = (*info.metadata, *kinds.kind(info.annotation).metadata)
    return found


def _values(section: type[Section], data: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """Yield every field below a section with its value; None for the fields of an absent section."""
    given = data if isinstance(data, dict) else {}
    for alias, sections, by_name in _shape(section):
        value = given.get(alias)
        if sections:
            yield from ((f"{alias}.{path}", inner) for path, inner in _of_any(sections, value))
        elif by_name:
            for key, item in value.items() if isinstance(value, dict) else ():
                yield from ((f"{alias}.{key}.{path}", inner) for path, inner in _of_any(by_name, item))
        else:
            yield alias, value


def _of_any(sections: tuple[type[Section], ...], value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """The values of a section that may be of several kinds; None for fields that its kind does not have."""
    yield from dict(pair for section in sections for pair in _values(section, value)).items()


def _dump(section: Section) -> JsonValue:
    found: JsonValue = section.model_dump(mode="json", by_alias=True)
    return found


@cache
def _shape(section: type[Section]) -> tuple[tuple[str, tuple[type[Section], ...], tuple[type[Section], ...]], ...]:
    """The fields of a section by the name that users write, each with the sections that it, or each of its
    entries by name, may be.

    Reading types is slow, and every team has the same ones.
    """
    found = []
    for alias, info in kinds.fields(section).items():
        here = kinds.kind(info.annotation)
        by_name = _sections(kinds.kind(get_args(here.bare)[1])) if get_origin(here.bare) is dict else ()
        found.append((alias, _sections(here), by_name))
    return tuple(found)


def _sections(here: kinds.Kind) -> tuple[type[Section], ...]:
    parts = (kinds.as_section(one.bare) for one in (here.choices.values() or [here]))
    return tuple(part for part in parts if part is not None)
