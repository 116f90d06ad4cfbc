"""`make footprint`: what tenancy itself costs, by team, compared with what the pools have.

Owns: asking every team at once, the rows, the sentence about each pool.
Leaves to others: reading pods and metrics (`kube/footprint.py`), what the stack file declares (`settings/claims.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import httpx2

from cli import say
from cli.cluster import Target, get_json, target_of
from cli.errors import CommandError
from cli.reach import from_certificates
from components.team.tenant import Tenant, resolve
from kube.client import connect_to
from kube.footprint import NONE, PodUse, Read, Use, pods_of, requested, store_bytes, used, used_now
from lenient import items, name
from names import Object
from settings.claims import declared_footprint, pool_capacities, share
from settings.models import Platform

QUICK: Final = httpx2.Timeout(10.0, connect=3.0)
ASKED_AT_ONCE: Final = 8
UNKNOWN: Final = "-"
MIB: Final = 1024**2
_ASKED: Final = ("CPU asked", "used", "memory asked", "used")
HEADS: Final = ("team", "pods", "containers (init)", *_ASKED, "store", "own pods")
HEADS_OF_PODS: Final = ("pod", "of", "init containers", "containers", "images", *_ASKED)


@dataclass(frozen=True, kw_only=True)
class TeamUse:
    """A team's pods on the host; None where the host can't be asked. `store`: bytes."""

    team: str
    pool: str | None
    declared: Use
    pods: tuple[PodUse, ...] | None
    store: int | None

    @property
    def tenancy(self) -> list[PodUse]:
        """Control plane, DNS, KAI and its reservation pods."""
        return [pod for pod in self.pods or () if pod.tenancy]

    @property
    def own(self) -> list[PodUse]:
        return [pod for pod in self.pods or () if not pod.tenancy]

    @property
    def asked(self) -> Use:
        """What tenancy asks for: of its running pods, or as declared."""
        return requested(self.tenancy) if self.tenancy else self.declared

    def as_json(self) -> Object:
        return {
            "team": self.team,
            "pool": self.pool,
            "declared": vars(self.declared),
            "requested": vars(self.asked),
            "used": _vars(used(self.tenancy)),
            "own": {"pods": len(self.own), "requested": vars(requested(self.own)), "used": _vars(used(self.own))},
            "storeBytes": self.store,
            "pods": [
                {**vars(pod), "requested": vars(pod.requested), "used": _vars(pod.used)} for pod in self.pods or ()
            ],
        }


def _vars(use: Use | None) -> dict[str, int] | None:
    return None if use is None else dict(vars(use))


def look(platform: Platform, host: Target | None) -> list[TeamUse]:
    """Ask the host and every team's API server. A server that does not answer is no error; its numbers are unknown."""
    declared, resolved = declared_footprint(platform)["teams"], resolve(platform)

    def read(path: str) -> Object | None:
        try:
            return None if host is None else get_json(host, path, timeout=QUICK)
        except CommandError:
            return None

    nodes = [name(item) for item in items(read("/api/v1/nodes") or {})]
    measured = used_now(read, nodes)

    # parsed here and not in threads, where the parser (msgspec 0.22) is not safe
    inside = {name: _inside(read, tenant) for name, tenant in resolved.items()}

    def ask(name: str) -> TeamUse:
        pods, numbers = pods_of(read, name, measured), declared[name]
        return TeamUse(
            team=name,
            pool=resolved[name].pool_name,
            declared=Use(cpu=int(numbers["cpuMillicores"] or 0), memory=int(numbers["memoryMib"] or 0)),
            pods=None if pods is None else tuple(pods),
            store=_store(inside[name]) if pods else None,
        )

    with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
        return list(pool.map(ask, declared))


def _inside(read: Read, tenant: Tenant) -> Target | None:
    """A tenant's own API server; None where it can't be reached."""
    text = from_certificates(read, tenant)
    try:
        return None if text is None else target_of(text, f"of team {tenant.name}")
    except CommandError:
        return None


def _store(target: Target | None) -> int | None:
    """The size of a store, from its API server."""
    if target is None:
        return None
    try:
        with connect_to(target.config, QUICK) as http:
            answer = http.get("/metrics")
    except (httpx2.HTTPError, OSError, ValueError):
        return None
    return store_bytes(answer.text) if answer.is_success else None


# --- words ----------------------------------------------------------------------------------------------------------


def show(found: Sequence[TeamUse], platform: Platform, *, team: str = "") -> None:
    """Print the teams and a sentence for each pool; with `team` that team's pods."""
    out = say.console(result=True)
    if team:
        out.print(say.table(HEADS_OF_PODS, _pods(found, team)))
    else:
        out.print(say.table(HEADS, _teams(found), fold=False))
    for line in sentences(found, platform):
        out.print(line, soft_wrap=True)


def _teams(found: Sequence[TeamUse]) -> Iterator[tuple[str, ...]]:
    for one in found:
        pods, use = one.tenancy, used(one.tenancy)
        containers = f"{sum(len(pod.main) for pod in pods)} ({sum(len(pod.init) for pod in pods)})"
        yield (
            one.team,
            str(len(pods)) if pods else "none runs",
            containers if pods else UNKNOWN,
            f"{one.asked.cpu}m",
            f"{use.cpu}m" if use else UNKNOWN,
            f"{one.asked.memory} MiB",
            f"{use.memory} MiB" if use else UNKNOWN,
            f"{one.store / MIB:.1f} MiB" if one.store is not None else UNKNOWN,
            str(len(one.own)) if one.pods is not None else UNKNOWN,
        )


def _pods(found: Sequence[TeamUse], team: str) -> Iterator[tuple[str, ...]]:
    for pod in next((one.pods for one in found if one.team == team), None) or ():
        yield (
            pod.name,
            "tenancy" if pod.tenancy else "team",
            ", ".join(name for name, _ in pod.init) or UNKNOWN,
            ", ".join(name for name, _ in pod.main),
            say.plain(", ".join(dict.fromkeys(image for _, image in (*pod.init, *pod.main)))),
            f"{pod.requested.cpu}m",
            f"{pod.used.cpu}m" if pod.used else UNKNOWN,
            f"{pod.requested.memory} MiB",
            f"{pod.used.memory} MiB" if pod.used else UNKNOWN,
        )


def sentences(found: Sequence[TeamUse], platform: Platform) -> list[str]:
    """Return the overhead of tenancy on each pool, and what could not be asked."""
    lines = []
    for pool in pool_capacities(platform):
        teams = [one for one in found if one.pool == pool.name]
        asked = sum((one.asked for one in teams), NONE)
        of = (
            f"CPU {asked.cpu}m{_of(asked.cpu, pool.cpu_millicores, pool.size)}",
            f"memory {asked.memory} MiB{_of(asked.memory, pool.memory_mib, pool.size)}",
        )
        lines.append(f"pool {pool.name}: tenancy of {len(teams)} teams asks for {' and '.join(of)}")
    if any(one.pods is None for one in found):
        lines.append("the host can't be asked: these are the numbers of the stack file")
    elif found and all(used(one.tenancy) is None for one in found):
        lines.append("no metrics: the host has no metrics API, and its kubelets' summaries can't be read")
    return lines


def _of(asked: int, of_node: int | None, nodes: int) -> str:
    percent = share(asked, of_node, nodes)
    return "" if percent is None else f" ({percent:g} % of what its nodes have)"
