"""Nodes: whether one accepts a pod and has room for it. Pure.

The checks run in a fixed order. The node that passes the most checks is nearest to fit, and its reason is the cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from capacity import memory_in_parts, plural
from lenient import Json, rows, table, text, texts
from names import GPU
from seen.model import GpuState, Node, Unit
from seen.numbers import number
from seen.pods import gpus_asked, requests
from seen.why.model import Case, Why, counted_as, several
from seen.why.queue import ENOUGH

_GIB: Final = 1024**3
_NEVER: Final = ("no-such-gpu", "gpu-memory", "beyond-node")
_KUBELETS: Final = "node.kubernetes.io/"
"""Taints that Kubernetes itself sets by a node's state."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Why a node does not accept the pod: a kind and its values. `depth`: how many checks it passed."""

    id: str
    words: Mapping[str, object]
    node: str = ""
    depth: int = 0


def fit(case: Case) -> Why | None:
    """Why no node accepts it; None where one does, or where no node can be seen."""
    nodes = visible(case)
    if not nodes:
        return None if _unread(case) else case.say("no-nodes")
    blocks = [block for node in nodes if (block := blocked(case, node)) is not None]
    if len(blocks) < len(nodes):
        return None
    nearest = max(blocks, key=lambda block: block.depth)
    alike = [block.node for block in blocks if block.id == nearest.id]
    others = f" (and {len(nodes) - len(alike)} others for other reasons)" if len(alike) < len(nodes) else ""
    where = f"node{'s' if len(alike) > 1 else ''} {several(alike)}{others}"
    return case.say(nearest.id, nodes=where, at=nearest.node, **nearest.words)


def impossible(case: Case) -> Why | None:
    """No node could ever run it. KAI counts it in the queue all the same, and may only report that."""
    never = fit(case)
    return never if never is not None and never.id in _NEVER else None


def _unread(case: Case) -> bool:
    return any(gap.what in ("host: everything", "host: nodes") for gap in case.seen.gaps)


def visible(case: Case) -> list[Node]:
    """The host's nodes that the team's cluster shows."""
    return [node for node in case.seen.nodes if node.name in case.team.nodes]


def blocked(case: Case, node: Node) -> Block | None:
    """Why this node does not accept it."""
    for depth, check in enumerate(_CHECKS):
        if (found := check(case, node)) is not None:
            return Block(id=found.id, words=found.words, node=node.name, depth=depth)
    return None


def _no(id_: str, **words: object) -> Block:
    return Block(id=id_, words=words)


def _selected(case: Case, node: Node) -> Block | None:
    wanted = table(case.json, "spec", "nodeSelector")
    missing = [f"{key}={value}" for key, value in wanted.items() if node.labels.get(key) != value]
    return _no("node-selector", missing=", ".join(missing)) if missing else None


def _affinity(case: Case, node: Node) -> Block | None:
    required = ("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    terms = rows(case.json, "spec", "affinity", *required)
    if not terms or any(_term(term, node) for term in terms):
        return None
    keys = {text(e, "key") for term in terms for what in _MATCHES for e in rows(term, what)}
    return _no("node-affinity", keys=", ".join(sorted(keys)) or "a term that asks for nothing, which finds no node")


_MATCHES: Final = ("matchExpressions", "matchFields")


def _term(term: Json, node: Node) -> bool:
    labels, fields = (rows(term, what) for what in _MATCHES)
    mine = {"metadata.name": node.name}
    # a term that says nothing finds no node (k8s.io/component-helpers: scheduling/corev1/nodeaffinity)
    return (
        bool(labels or fields) and all(_holds(e, node.labels) for e in labels) and all(_holds(e, mine) for e in fields)
    )


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(text(expression, "key")), texts(expression, "values")
    bound = number(values[0]) if values else 0.0
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
        "Gt": value is not None and number(value) > bound,
        "Lt": value is not None and number(value) < bound,
    }.get(text(expression, "operator"), True)


def _open(case: Case, node: Node) -> Block | None:
    if node.pressures and not case.pod.node:
        return _no("node-pressure", pressures=", ".join(node.pressures))
    if not node.ready:
        return _no("node-not-ready")
    if node.fenced is not None:
        return _no("node-fenced", reason=node.fenced or "no reason is given")
    if node.cordoned:
        return _no("node-cordoned")
    for taint in node.taints:
        key = taint.partition(":")[0].partition("=")[0]
        # the platform's teams tolerate the GPU taint
        if not taint.endswith(":PreferNoSchedule") and key != GPU and not _lets(case.json, taint):
            return _no("node-not-ready") if key.startswith(_KUBELETS) else _no("taint", taint=taint, key=key)
    return None


def _lets(pod: Json, taint: str) -> bool:
    rest, _, effect = taint.rpartition(":")
    key, _, value = rest.partition("=")
    for one in rows(pod, "spec", "tolerations"):
        exists = text(one, "operator") == "Exists"
        keyed = text(one, "key") == key or (exists and not text(one, "key"))
        if keyed and text(one, "effect") in ("", effect) and (exists or text(one, "value") == value):
            return True
    return False


def _gpus(case: Case, node: Node) -> Block | None:
    for resource, asked in gpus_asked(case.json).items():
        units = [unit for unit in node.units if unit.resource == resource]
        given = [unit for unit in units if unit.state is not GpuState.UNHEALTHY]
        what = _units(case, node, resource)
        if asked > len(given):
            return _too_few(units, len(given), resource, asked, what)
        free = sum(unit.state is GpuState.FREE for unit in given)
        if asked > free:
            words = {"free": free, "given": len(given), "what": what, "asked": f"{asked:g}"}
            return _no("no-gpu-free", held=held(given), **words)
    return None


def _units(case: Case, node: Node, resource: str) -> str:
    """What a node has of a resource: GPUs, or the replicas or slices that its pool calls so."""
    if resource != GPU:
        return resource
    return plural(next((pool.unit for pool in case.seen.pools if pool.name == node.pool), "GPU"), 2)


def _too_few(units: Sequence[Unit], given: int, resource: str, asked: float, what: str = "GPUs") -> Block:
    if asked <= len(units):
        return _no("gpu-unhealthy", sick=len(units) - given, units=len(units), what=what, asked=f"{asked:g}")
    if given:
        return _no("beyond-node", given=given, what=counted_as(what, given), asked=f"{asked:g}")
    return _no("no-gpus") if resource == GPU else _no("no-such-gpu", resource=resource)


def held(units: Sequence[Unit]) -> str:
    """The pods that use units, by team: `team ml (train-a, train-b)`."""
    by: dict[str, list[str]] = {}
    for unit in units:
        for one in unit.holders:
            by.setdefault(one.team, []).append(one.pod)
    teams = [f"{f'team {team}' if team else 'the host'} ({several(list(dict.fromkeys(by[team])))})" for team in by]
    return several(teams) or "nobody that is seen"


def _share(case: Case, node: Node) -> Block | None:
    pod = case.pod
    if not pod.devices:
        return None
    every = [unit for unit in node.units if unit.resource == GPU]
    units = [unit for unit in every if unit.state is not GpuState.UNHEALTHY]
    if len(units) < pod.devices:
        return _too_few(every, len(units), GPU, pod.devices)
    most = memory_in_parts(node.memory_mib)
    if pod.memory_mib and node.memory_mib and pod.memory_mib > most:
        return _no("gpu-memory", has=most, asked=pod.memory_mib)
    share = pod.fraction or (pod.memory_mib / most if most else 0.0)
    roomy = [unit for unit in units if unit.state is GpuState.FREE or shares(unit, share)]
    if len(roomy) >= pod.devices:
        return None
    taken = [f"{unit.taken:g} taken by {held([unit])}" for unit in units if unit.holders]
    return _no("no-share-free", asked=f"{share:g}", held=several(taken))


def shares(unit: Unit, share: float) -> bool:
    """Whether a GPU that fractions share has room for one more."""
    return bool(unit.group) and unit.taken + share <= 1 + ENOUGH


def _compute(case: Case, node: Node) -> Block | None:
    cpu, memory = requests(case.json)
    kinds = (
        ("cpu", cpu, node.cpu, node.cpu_used, 1, "CPUs"),
        ("memory", memory, node.memory, node.memory_used, _GIB, "GiB of memory"),
    )
    for kind, asked, given, used, unit, what in kinds:
        words = {"given": f"{given / unit:.3g}", "asked": f"{asked / unit:.3g}"}
        if asked > given + ENOUGH:
            return _no("beyond-node", what=counted_as(what, words["given"]), **words)
        if asked > given - used + ENOUGH:
            return _no(kind, free=f"{max(0.0, given - used) / unit:.3g}", **words)
    return None


_CHECKS: Final = (_selected, _affinity, _open, _gpus, _share, _compute)
