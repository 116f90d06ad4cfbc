"""Pure arithmetic on nodes, quotas, queues and ports. No Pulumi and no pydantic import.

Owns: every sum that decides whether a platform fits its nodes, and the words that tell it. The settings' rules and the
policies call the same functions with plain numbers, so that both say the same.
Leaves to others: where the numbers come from, and which place in a file a verdict points at.

Why the sums are per node: each virtual cluster's scheduler sees a node as if no other tenant used its GPUs. vCluster
nets other tenants' CPU, memory and pods out of a node, never GPUs, so two schedulers can give away the same GPU and the
second pod dies. Hard caps that add up to at most the node's GPUs are what prevents it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, Literal, TypeAlias

from releases import Footprint

UNLIMITED: Final = -1
"""KAI's own word for "no bound" in a quota or a limit (KAI docs/queues)."""

Mode: TypeAlias = Literal["virtual", "host", "default"]

NODE_PORTS: Final = range(30000, 32768)
"""The API server's default --service-node-port-range."""

NOTHING: Final = Footprint(cpu_millicores=0, memory_mib=0, pods=0)

_MIB: Final = 1024**2
_NAMED: Final = 6
"""So many items are named in a message; the rest is counted."""


# --- quantities -----------------------------------------------------------------------------------------------------

_SUFFIXES: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    "M": Decimal(1000) ** 2,
    "G": Decimal(1000) ** 3,
    "T": Decimal(1000) ** 4,
    "P": Decimal(1000) ** 5,
    "Ki": Decimal(1024),
    "Mi": Decimal(1024) ** 2,
    "Gi": Decimal(1024) ** 3,
    "Ti": Decimal(1024) ** 4,
    "Pi": Decimal(1024) ** 5,
}
QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")


def parse_quantity(text: str) -> Decimal:
    """Return a Kubernetes quantity (`8`, `0.5`, `500m`, `512Gi`) in its base unit: cores, or bytes.

    Raises `ValueError` when the text is not a quantity. Exponents (`1e3`) and signs are not accepted: nobody writes
    a quota that way on purpose.
    """
    match = QUANTITY.fullmatch(text)
    if match is None:
        message = f"is not a quantity, got {text!r}; write a number with an optional suffix, like 8, 0.5, 500m or 512Gi"
        raise ValueError(message)
    return Decimal(match.group(1)) * _SUFFIXES[match.group(2) or ""]


def millicores(text: str, *, rounding: str = ROUND_CEILING) -> int:
    """Return a CPU quantity in thousandths of a core. Rounds up: what is asked for must fit."""
    return int((parse_quantity(text) * 1000).to_integral_value(rounding))


def mebibytes(text: str, *, rounding: str = ROUND_CEILING) -> int:
    """Return a memory quantity in MiB. Rounds up: what is asked for must fit."""
    return int((parse_quantity(text) / _MIB).to_integral_value(rounding))


def amounts(*, cpu: str, memory: str, pods: int) -> Footprint:
    """Return what is asked for, as numbers, rounded up."""
    return Footprint(cpu_millicores=millicores(cpu), memory_mib=mebibytes(memory), pods=pods)


# --- what goes in ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PoolCapacity:
    """A pool's nodes, all alike. Allocatable numbers are per node."""

    name: str
    nodes: tuple[str, ...] = ()
    """By name; empty where the pool is found by labels."""
    size: int
    gpus_per_node: int
    """What a node advertises as `nvidia.com/gpu`: GPUs, or replicas of them."""
    unit: str = "GPU"
    """`GPU` or `replica`."""
    cpu_millicores: int | None = None
    """None where the file doesn't say; then nothing is claimed about it. Likewise memory."""
    memory_mib: int | None = None
    pods: int | None = None
    headroom: Footprint = NOTHING
    """What stays free on each node for the host's own pods."""

    @property
    def node_names(self) -> tuple[str, ...]:
        """The nodes' names; of a pool found by labels, stand-ins that can't be names."""
        return self.nodes or tuple(f"{self.name}[{index}]" for index in range(self.size))

    @property
    def gpus(self) -> int:
        """What all the pool's nodes advertise together."""
        return self.size * self.gpus_per_node


@dataclass(frozen=True, kw_only=True)
class TenantClaim:
    """What one tenant may take of which nodes."""

    name: str
    owner: str
    """The team it belongs to: itself, or of a canary its team."""
    pool: str | None
    nodes: tuple[str, ...] = ()
    """Only these of the pool; empty: all of them."""
    mode: Mode
    quota: int
    """GPUs (replicas) guaranteed; -1 is all that it sees."""
    limit: int
    """GPUs (replicas) at most; -1 is all that it sees."""
    workload: Footprint = NOTHING
    tenancy: Footprint = NOTHING
    """Its control plane, DNS and scheduler."""


@dataclass(frozen=True, kw_only=True)
class LeafClaim:
    """One leaf queue's GPUs: quota and limit, -1 for unlimited."""

    name: str
    quota: float
    limit: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One thing that doesn't fit: the rule, the arithmetic, the fix, and whom it is about."""

    about: tuple[str, ...]
    """Tenants, in the file's order."""
    pool: str | None = None
    queue: str | None = None
    field: Literal["quota", "limit", "nodes", "port", "cpu", "memory", "pods"]
    rule: str
    got: str
    fix: str

    @property
    def text(self) -> str:
        """The verdict as one sentence."""
        return f"{self.rule}, got {self.got}; {self.fix}"


# --- GPUs per node --------------------------------------------------------------------------------------------------


def visible_nodes(claim: TenantClaim, pool: PoolCapacity) -> tuple[str, ...]:
    """The nodes that a tenant sees: its own ones of the pool, else all."""
    return tuple(node for node in claim.nodes if node in pool.node_names) if claim.nodes else pool.node_names


def visible_gpus(claim: TenantClaim, pool: PoolCapacity) -> int:
    """The GPUs (replicas) that a tenant sees."""
    return len(visible_nodes(claim, pool)) * pool.gpus_per_node


def hard_cap(limit: int, visible: int) -> int:
    """A GPU limit as the number that a ResourceQuota takes: -1 is all that the tenant sees."""
    return visible if limit == UNLIMITED else limit


@dataclass(frozen=True, kw_only=True)
class NodeClaims:
    """Nodes that the same tenants see, and what each scheduler may give away of each of them."""

    pool: str
    nodes: tuple[str, ...]
    named: bool
    """False for the stand-ins of a pool found by labels."""
    allocatable: int
    unit: str
    claims: tuple[tuple[str, int], ...]
    """Tenant and its hard cap there, at most the node's own GPUs; only tenants that have GPUs."""
    schedulers: tuple[tuple[tuple[str, ...], int], ...]
    """Tenants by the scheduler they share, and what it may give away. Those on the host see each other's pods."""

    @property
    def total(self) -> int:
        """What all schedulers together may give away of one node."""
        return sum(count for _, count in self.schedulers)

    @property
    def place(self) -> str:
        """`node gpu-0`, `nodes gpu-0, gpu-1`, `each of the 4 nodes of pool l4`."""
        if not self.named:
            return (
                f"each of the {len(self.nodes)} nodes of pool {self.pool}"
                if len(self.nodes) > 1
                else f"the node of pool {self.pool}"
            )
        return f"{'node' if len(self.nodes) == 1 else 'each of the nodes'} {listed(self.nodes)}"

    @property
    def arithmetic(self) -> str:
        """`node gpu-0: ml 2 + research 1 = 3 of 4`."""
        caps = dict(self.claims)
        parts = []
        for names, count in self.schedulers:
            if len(names) == 1:
                parts.append(f"{names[0]} {caps[names[0]]}")
            else:
                parts.append(f"({listed(names)} on the host's scheduler) {count}")
        return f"{self.place}: {' + '.join(parts) or 'nobody'} = {self.total} of {self.allocatable}"


def node_claims(pools: Iterable[PoolCapacity], claims: Iterable[TenantClaim]) -> list[NodeClaims]:
    """Return, for every group of nodes that the same tenants see, what they may take of each of these nodes.

    Tenants without GPUs, without a pool or with a pool that isn't there are left out.
    """
    by_pool: dict[str, list[TenantClaim]] = {}
    for claim in claims:
        if claim.pool is not None and claim.limit != 0:
            by_pool.setdefault(claim.pool, []).append(claim)
    result = []
    for pool in pools:
        seers: dict[str, list[TenantClaim]] = {node: [] for node in pool.node_names}
        for claim in by_pool.get(pool.name, []):
            for node in visible_nodes(claim, pool):
                seers[node].append(claim)
        alike: dict[tuple[str, ...], list[str]] = {}
        for node, who in seers.items():
            alike.setdefault(tuple(claim.name for claim in who), []).append(node)
        for nodes in alike.values():
            result.append(_node_claims(pool, tuple(nodes), seers[nodes[0]]))
    return result


def _node_claims(pool: PoolCapacity, nodes: tuple[str, ...], who: Sequence[TenantClaim]) -> NodeClaims:
    caps = {c.name: min(hard_cap(c.limit, visible_gpus(c, pool)), pool.gpus_per_node) for c in who}
    schedulers: list[tuple[tuple[str, ...], int]] = [((c.name,), caps[c.name]) for c in who if c.mode == "virtual"]
    # the host's schedulers see every pod that is bound, so together they never give away more than the node has
    shared = tuple(c.name for c in who if c.mode != "virtual")
    if shared:
        schedulers.append((shared, min(sum(caps[name] for name in shared), pool.gpus_per_node)))
    return NodeClaims(
        pool=pool.name,
        nodes=nodes,
        named=bool(pool.nodes),
        allocatable=pool.gpus_per_node,
        unit=pool.unit,
        claims=tuple(caps.items()),
        schedulers=tuple(schedulers),
    )


def collisions(pools: Sequence[PoolCapacity], claims: Sequence[TenantClaim]) -> list[Verdict]:
    """Return a verdict for every node that two schedulers could give away twice.

    Two conditions, both only where at least one `virtual` tenant sees the node beside somebody else:
    the hard caps add up to at most the node's GPUs; and where one of them sees further nodes, all of them belong to one
    team (a canary to its own), because a pool of several nodes is divided by name between teams.
    """
    by_name = {claim.name: claim for claim in claims}
    by_pool = {pool.name: pool for pool in pools}
    verdicts = []
    for group in node_claims(pools, claims):
        who = [by_name[name] for name, _ in group.claims]
        if len(group.schedulers) < 2:
            continue
        pool = by_pool[group.pool]
        names = tuple(claim.name for claim in who)
        if group.total > group.allocatable:
            over = group.total - group.allocatable
            apart = f", or {_divided(names, pool)}" if pool.size > 1 else ""
            verdicts.append(
                Verdict(
                    about=names,
                    pool=group.pool,
                    field="limit",
                    rule=f"the {group.unit} limits of the teams that see a node must add up to at most what it has "
                    "(each team's own scheduler believes that all of it is free)",
                    got=group.arithmetic,
                    fix=f"lower the limits by {over} in all{apart}",
                )
            )
        elif len({c.owner if c.mode == "virtual" else "" for c in who}) > 1 and any(
            len(visible_nodes(claim, pool)) > 1 for claim in who
        ):
            verdicts.append(
                Verdict(
                    about=names,
                    pool=group.pool,
                    field="nodes",
                    rule="a pool of several nodes goes to one team with its own scheduler, or is divided by name",
                    got=group.arithmetic,
                    fix=_divided(names, pool),
                )
            )
    return verdicts


def _divided(names: Sequence[str], pool: PoolCapacity) -> str:
    keys = listed([f"teams.{name}.nodes" for name in names])
    named = "" if pool.nodes else f"name the nodes in pools.{pool.name}.nodes and "
    return f"{named}give each team nodes of its own ({keys})"


# --- GPU quotas and limits ------------------------------------------------------------------------------------------


def quota_against_limit(
    about: str, quota: float, limit: float, *, queue: str | None = None, most: float | None = None
) -> list[Verdict]:
    """A limit is -1 or at least the quota: KAI counts the guaranteed part in the limit, so less could never be had.

    `most` is what the limit may be raised to. No fix names -1: a stack's policies may refuse it.
    """
    if limit == UNLIMITED or (quota != UNLIMITED and limit >= quota):
        return []
    wanted = "-1 (unlimited)" if quota == UNLIMITED else f"-1 (unlimited) or at least the quota {number(quota)}"
    if quota == UNLIMITED:
        fix = f"write the quota as a number, at most {number(limit)}"
    elif most is not None and quota > most:
        fix = f"lower the quota to {number(min(limit, most))} or less"
    else:
        fix = f"raise the limit to {number(quota)}, or lower the quota"
    return [
        Verdict(
            about=(about,),
            queue=queue,
            field="limit",
            rule=f"must be {wanted}",
            got=number(limit),
            fix=fix,
        )
    ]


def gpus_within_nodes(claim: TenantClaim, pool: PoolCapacity) -> list[Verdict]:
    """A tenant's GPU quota and limit are at most what it sees. One number that is both is told once, as the limit."""
    visible = visible_gpus(claim, pool)
    where = f"of pool {pool.name}" if not claim.nodes else f"of its nodes {listed(claim.nodes)}"
    count = len(visible_nodes(claim, pool))
    amount = f"{visible} {plural(pool.unit, visible)} {where} ({count} x {pool.gpus_per_node})"
    numbers: dict[Literal["quota", "limit"], int] = {"quota": claim.quota, "limit": claim.limit}
    if claim.quota == claim.limit:
        del numbers["quota"]
    return [
        Verdict(
            about=(claim.name,),
            pool=pool.name,
            field=field,
            rule=f"must be at most the {amount}",
            got=number(asked),
            fix=f"lower it to {visible}" if visible else "choose a pool with GPUs, or write 0",
        )
        for field, asked in numbers.items()
        if asked > visible
    ]


def pool_quotas(pools: Sequence[PoolCapacity], claims: Sequence[TenantClaim]) -> list[Verdict]:
    """What is guaranteed on a pool, and on each set of its nodes given by name, is at most what is there."""
    verdicts = []
    for pool, nodes, who in _node_sets(pools, claims):
        quotas = [(c.name, hard_cap(c.quota, visible_gpus(c, pool))) for c in who if c.quota != 0]
        total, there = sum(quota for _, quota in quotas), len(nodes) * pool.gpus_per_node
        # one tenant alone is told by gpus_within_nodes
        if total > there and len(quotas) > 1:
            place = f"pool {pool.name}" if len(nodes) == pool.size else f"nodes {listed(nodes)}"
            verdicts.append(
                Verdict(
                    about=tuple(name for name, _ in quotas),
                    pool=pool.name,
                    field="quota",
                    rule=f"the {pool.unit} quotas on {place} must add up to at most its {there}",
                    got=f"{added(quotas)} = {total} of {there}",
                    fix=f"lower the quotas by {total - there} in all (a limit may be higher than a quota)",
                )
            )
    return verdicts


def leaf_queues(team: str, quota: int, limit: int, leaves: Sequence[LeafClaim]) -> list[Verdict]:
    """The leaf queues' GPUs fit the team's: quotas add up to at most its quota, each limit is at most its limit.

    `quota` and `limit` are the team's, already as numbers (see `hard_cap`). A leaf's quota of -1 counts as all of the
    team's; its limit of -1 is bounded by the team's and always fits.
    """
    verdicts = []
    for leaf in leaves:
        verdicts += quota_against_limit(team, leaf.quota, leaf.limit, queue=leaf.name, most=limit)
        if leaf.limit > limit:
            verdicts.append(
                Verdict(
                    about=(team,),
                    queue=leaf.name,
                    field="limit",
                    rule=f"must be at most the team's limit {number(limit)}",
                    got=number(leaf.limit),
                    fix=f"lower it to {number(limit)}",
                )
            )
    parts = [(leaf.name, float(quota) if leaf.quota == UNLIMITED else leaf.quota) for leaf in leaves if leaf.quota]
    total = round(sum(amount for _, amount in parts), 6)  # 0.1 + 0.2 is not more than 0.3
    if total > quota:
        verdicts.append(
            Verdict(
                about=(team,),
                field="quota",
                rule=f"the leaf queues' GPU quotas must add up to at most the team's quota {number(quota)}",
                got=f"{added(parts)} = {number(total)} of {number(quota)}",
                fix=f"lower them by {number(round(total - quota, 6))} in all, or raise the team's quota",
            )
        )
    return verdicts


# --- CPU, memory and pods -------------------------------------------------------------------------------------------


def room(
    pools: Sequence[PoolCapacity], claims: Sequence[TenantClaim], shared: Footprint | None = None
) -> list[Verdict]:
    """CPU, memory and pods of the tenants, tenancy's own included, fit the nodes' allocatable minus headroom.

    Looked at per pool, per set of nodes given by name, and in all; `shared` is what the host's own KAI asks for, which
    counts in all. Tenants without a pool count in all only. Nothing is claimed about a number that a pool doesn't say.
    """
    verdicts = []
    for kind in _KINDS:
        tight = []
        for pool, nodes, who in _node_sets(pools, claims):
            free = _free_per_node(pool, kind)
            if free is None or not who:
                continue
            place = f"pool {pool.name}" if len(nodes) == pool.size else f"nodes {listed(nodes)}"
            tight += _over(kind, who, 0, len(nodes) * free, place, f"{len(nodes)} x {kind.shown(free)}", pool.name)
        verdicts += tight
        frees = [(pool.size, _free_per_node(pool, kind)) for pool in pools]
        if not tight and all(free is not None for _, free in frees):
            there = sum(size * free for size, free in frees if free is not None)
            sums = " + ".join(f"{size} x {kind.shown(free)}" for size, free in frees if free is not None)
            extra = kind.of(shared) if shared is not None else 0
            verdicts += _over(kind, claims, extra, there, "all pools together", sums, None)
    return verdicts


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One of the three resources that tenancy costs."""

    field: Literal["cpu", "memory", "pods"]
    word: str

    def of(self, amount: Footprint | PoolCapacity) -> int:
        number_of = {"cpu": amount.cpu_millicores, "memory": amount.memory_mib, "pods": amount.pods}[self.field]
        return number_of or 0

    def shown(self, amount: int) -> str:
        if self.field == "cpu":
            return number(round(amount / 1000, 3))
        return f"{number(round(amount / 1024, 2))}Gi" if self.field == "memory" else str(amount)


_KINDS: Final = (
    _Kind(field="cpu", word="CPU"),
    _Kind(field="memory", word="memory"),
    _Kind(field="pods", word="pods"),
)


def _free_per_node(pool: PoolCapacity, kind: _Kind) -> int | None:
    known = {"cpu": pool.cpu_millicores, "memory": pool.memory_mib, "pods": pool.pods}[kind.field]
    return None if known is None else max(0, known - kind.of(pool.headroom))


def _over(
    kind: _Kind, who: Sequence[TenantClaim], extra: int, there: int, place: str, sums: str, pool: str | None
) -> list[Verdict]:
    asked = sum(kind.of(claim.workload) for claim in who)
    tenancy = sum(kind.of(claim.tenancy) for claim in who) + extra
    over = asked + tenancy - there
    if over <= 0:
        return []
    parts = " + ".join(
        [f"{c.name} {kind.shown(kind.of(c.workload))}" for c in who[:_NAMED]]
        + ([f"{len(who) - _NAMED} more teams"] if len(who) > _NAMED else [])
        + [f"tenancy {kind.shown(tenancy)}"]
    )
    return [
        Verdict(
            about=tuple(claim.name for claim in who),
            pool=pool,
            field=kind.field,
            rule=f"the teams' {kind.word} and tenancy's own must fit {place}",
            got=f"{parts} = {kind.shown(asked + tenancy)} of {kind.shown(there)} ({sums} after headroom)",
            fix=f"lower resources.{kind.field} of the teams by {kind.shown(over)} in all, or add nodes",
        )
    ]


def _node_sets(
    pools: Sequence[PoolCapacity], claims: Sequence[TenantClaim]
) -> Iterable[tuple[PoolCapacity, tuple[str, ...], list[TenantClaim]]]:
    """Every pool, and every set of its nodes given by name, with the tenants that see nothing else."""
    for pool in pools:
        members = [claim for claim in claims if claim.pool == pool.name]
        yield pool, pool.node_names, members
        seen = {frozenset(pool.node_names)}
        for claim in members:
            nodes = visible_nodes(claim, pool)
            if frozenset(nodes) not in seen:
                seen.add(frozenset(nodes))
                yield pool, nodes, [c for c in members if set(visible_nodes(c, pool)) <= set(nodes)]


# --- ports ----------------------------------------------------------------------------------------------------------


def node_port(team: str) -> int:
    """Return the NodePort of a team's API server, from its name alone.

    Never from its position: creation comes before deletion, so a port that moves from a removed team to a new one is
    "already allocated" when it is asked for.
    """
    digest = hashlib.sha256(team.encode()).digest()
    return NODE_PORTS.start + int.from_bytes(digest[:8]) % len(NODE_PORTS)


def port_clashes(ports: Mapping[str, int]) -> list[Verdict]:
    """Return a verdict for every tenant whose NodePort another one before it in the file has already."""
    holders: dict[int, str] = {}
    taken = set(ports.values())
    verdicts = []
    for name, port in ports.items():
        if port not in holders:
            holders[port] = name
            continue
        free = next((other for other in (*range(port, NODE_PORTS.stop), *NODE_PORTS) if other not in taken), None)
        taken.add(free or port)
        verdicts.append(
            Verdict(
                about=(holders[port], name),
                field="port",
                rule="each team's NodePort must be its own (where none is written it follows from the team's name)",
                got=f"{port} for {holders[port]} and {name}",
                fix=f"write port: {free}" if free is not None else "use expose: loadBalancer, no NodePort is left",
            )
        )
    return verdicts


# --- words ----------------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if value == int(value) else str(value)


def added(parts: Sequence[tuple[str, float]]) -> str:
    """`ml 2 + research 1`; a long sum is cut and counted."""
    shown = [f"{name} {number(amount)}" for name, amount in parts[:_NAMED]]
    rest = parts[_NAMED:]
    return " + ".join([*shown, *([f"{len(rest)} more {number(sum(a for _, a in rest))}"] if rest else [])])


def listed(names: Sequence[str]) -> str:
    """`a, b, c`; a long list is cut and counted."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def plural(word: str, count: float) -> str:
    """`1 GPU`, `2 GPUs`."""
    return word if count == 1 else f"{word}s"
