"""Pools and nodes: whether they exist, are healthy, are in one pool each, and as large as the stack file says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from difflib import get_close_matches
from typing import Final

from capacity import parse_quantity, plural
from cli.preflight.facts import ClusterFacts, NodeFacts, Taint
from cli.preflight.findings import Finding, Level, error, ok, warning
from cli.preflight.gpus import in_use, node_gpus, users_of
from cli.preflight.labels import gpu_labels, of_no_pool, plugin_labels
from names import ARCHITECTURE, GPU, HOST_NAME, LABEL_POOL
from settings.models import Platform, Pool, Team

LIFECYCLE: Final = "node.kubernetes.io/"
"""Taints that Kubernetes itself sets on a full, cordoned or unreachable node; these have their own findings."""


def pools(platform: Platform, facts: ClusterFacts, tenants: Mapping[str, Team]) -> Iterator[Finding]:
    """Yield what is wrong with each pool and its nodes, or that they are well."""
    yield from _in_two_pools(platform, facts)
    for name, pool in platform.pools.items():
        subject = f"pool {name}"
        users = users_of(platform, name, tenants)
        members = pool_nodes(pool, facts)
        problems = list(_missing_nodes(subject, pool, facts))
        for node in members:
            where = f"{subject}, node {node.name}"
            if node.fence is None:  # a fenced node has no promises to keep (`fences.py`); its labels are still written
                problems += _condition(node, where)
                problems += node_gpus(platform, pool, users, node, facts, where)
                problems += _size(pool, node, where)
            problems += _place(platform, pool, node, where)
            problems += _taints(pool, node, where)
            problems += _architecture(pool, node, where)
            problems += gpu_labels(platform, pool, node, where)
            problems += plugin_labels(platform, name, pool, node, where)
        yield from problems
        if members and not any(p.level in (Level.ERROR, Level.WARNING) for p in problems):
            gpus = f", {pool.gpus_allocatable_per_node} {pool.unit}s each" if pool.gpus_per_node else ""
            served = sum(node.fence is None for node in members)
            fenced = f", {len(members) - served} fenced" if served < len(members) else ""
            yield ok("pool", subject, f"{served} {plural('node', served)} Ready{gpus}{fenced}")
        yield from _room(platform, name, [node for node in members if node.fence is None])
        yield from in_use(users, members, name)
    pooled = {node.name for pool in platform.pools.values() for node in pool_nodes(pool, facts)}
    for node in facts.nodes.values():
        if node.name not in pooled:
            yield from of_no_pool(platform, node)


def pool_nodes(pool: Pool, facts: ClusterFacts) -> list[NodeFacts]:
    """Return the pool's nodes that the cluster has."""
    if pool.selector is not None:
        wanted = pool.selector.items()
        return [node for node in facts.nodes.values() if all(node.labels.get(key) == value for key, value in wanted)]
    return [facts.nodes[name] for name in pool.nodes if name in facts.nodes]


def _in_two_pools(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    """The stack file can't show which nodes selectors find; the cluster can."""
    homes: dict[str, list[str]] = {}
    for name, pool in platform.pools.items():
        for node in pool_nodes(pool, facts):
            homes.setdefault(node.name, []).append(name)
    for found, names in homes.items():
        if len(names) > 1:
            yield error(
                "node-two-pools",
                f"node {found}",
                f"is in pools {' and '.join(names)}, so both would count its GPUs",
                f"take it out of one of them (pools.{names[-1]}: another selector, or nodes by name)",
            )


def _missing_nodes(subject: str, pool: Pool, facts: ClusterFacts) -> Iterator[Finding]:
    if pool.selector is not None:
        found = len(pool_nodes(pool, facts))
        wanted = pool.node_count or 0
        if found != wanted:
            selector = ",".join(f"{key}={value}" for key, value in pool.selector.items())
            yield error(
                "selector",
                subject,
                f"selector {selector} finds {found} nodes, nodeCount says {wanted}",
                f"set nodeCount: {found}" if found else "correct the selector, or label the nodes",
            )
    for name in pool.nodes:
        if name not in facts.nodes:
            near = get_close_matches(name, facts.nodes, cutoff=0.5)
            there = ", ".join(sorted(facts.nodes)[:8]) or "none"
            fix = f"write {near[0]}, the nearest name in the cluster" if near else f"the cluster's nodes are: {there}"
            yield error("node-missing", f"{subject}, node {name}", "the cluster has no such node", fix)


def _condition(node: NodeFacts, subject: str) -> Iterator[Finding]:
    if not node.ready:
        look = f"look at `kubectl describe node {node.name}`, or go on without it: `make fence NODE={node.name}`"
        yield error("node-not-ready", subject, "is not Ready", look)
    if node.cordoned:
        yield warning(
            "node-cordoned", subject, "is cordoned", f"`kubectl uncordon {node.name}` when it is ready for work"
        )
    for pressure in node.pressures:
        yield error("node-pressure", subject, f"has {pressure}", "free what it lacks; pods are evicted until then")


def _architecture(pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    if pool.architecture and node.labels.get(ARCHITECTURE) not in (None, pool.architecture):
        found = node.labels[ARCHITECTURE]
        yield error(
            "node-arch", subject, f"is {found}, the file says {pool.architecture}", f"set architecture: {found}"
        )


def _place(platform: Platform, pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    """Whether another stack has the node, and whether its host name label is its name."""
    said = node.labels.get(LABEL_POOL)
    if pool.nodes and said is not None and LABEL_POOL not in node.ours:
        yield error(
            "node-of-others",
            subject,
            f"has our label {LABEL_POOL}={said}, and this stack did not write it: another stack of this program counts "
            "its GPUs as its own, a state was lost, or a run was killed at this moment (`make up` knows that)",
            f"take it out of that stack, or, where nobody uses it, `kubectl label node {node.name} {LABEL_POOL}-`",
        )
    named = node.labels.get(HOST_NAME)
    if platform.check.host and pool.gpus_per_node and pool.nodes and named not in (None, node.name):
        yield error(
            "node-hostname",
            subject,
            f"has label {HOST_NAME}={named}, so the host's check, which asks for {node.name}, would find no node",
            "write check: {host: false}",
        )


# --- taints -----------------------------------------------------------------------------------------------------------


def our_taint(pool: Pool) -> Taint:
    """The taint that `taint: true` sets, and the only one that our pods tolerate."""
    return Taint(key=GPU, value=pool.taint_value, effect="NoSchedule")


def _taints(pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    """A taint has key, value and effect. The list of taints has one owner, and the API refuses a second one (409)."""
    ours = our_taint(pool)
    others = [taint for taint in node.taints if taint != ours and not taint.key.startswith(LIFECYCLE)]
    # ours of before, of another pool or with another value: the same owner writes the list anew
    alike = [taint for taint in others if taint.key == GPU and taint.keeps_pods_off and not node.taints_are_ours]
    foreign = [taint for taint in others if taint.key != GPU]
    blocking = [taint for taint in foreign if taint.keeps_pods_off]
    sets_ours = pool.taint and bool(pool.nodes) and not node.taints_are_ours and ours not in node.taints
    if alike:
        yield _other_gpu_taint(pool, node, alike[0], [*alike[1:], *foreign], subject)
    elif ours in node.taints and not pool.taint and not node.taints_are_ours:
        yield _untolerated(pool, node, foreign, subject)
    elif sets_ours and foreign:
        yield error(
            "node-taint",
            subject,
            f"has taints of others ({_listed(foreign)}), and taint: true would set ours: the list has one owner, a "
            "second is refused (409)",
            f"{_remove(node, foreign[0])}, or taint: false",
        )
    elif sets_ours and node.taints and node.ready:
        yield error(
            "node-taint",
            subject,
            f"has {_listed(node.taints)}, and taint: true would set ours beside it: refused (409) until that is gone",
            f"`{'make unfence NODE=' if node.fence else 'kubectl uncordon '}{node.name}`, or repair the cause",
        )
    elif blocking:
        yield warning(
            "node-taint",
            subject,
            f"has taints that our pods do not tolerate: {_listed(blocking)}",
            f"{_remove(node, blocking[0])}, or take another node",
        )


def _other_gpu_taint(pool: Pool, node: NodeFacts, taint: Taint, beside: Sequence[Taint], subject: str) -> Finding:
    ours = our_taint(pool)
    same_effect = taint.effect == ours.effect
    if taint.value != ours.value:
        what = f"its taint has value {taint.value!r}, ours has {ours.value!r}: pods tolerate {ours} alone"
    else:
        what = f"its taint has effect {taint.effect}, ours has {ours.effect}: pods tolerate that effect alone"
    second = ", and a second owner of the taint list is refused (409)" if pool.taint and pool.nodes else ""
    remove = f"remove the taint (`kubectl taint node {node.name} {taint.key}:{taint.effect}-`)"
    if not pool.gpus_per_node:
        fix = f"{remove}, or take another node"
    elif same_effect and not beside:
        fix = f"set taint: true and taintValue: '{taint.value}' (same key, value, effect: no conflict), or {remove}"
    else:
        fix = f"{remove}, then taint: true sets ours"
    return error("node-taint", subject, f"has {taint}: {what}{second}", fix)


def _untolerated(pool: Pool, node: NodeFacts, foreign: Sequence[Taint], subject: str) -> Finding:
    ours = our_taint(pool)
    message = f"has {ours}, and taint: false leaves the team's pods without a toleration"
    if not pool.gpus_per_node:
        fix = f"{_remove(node, ours)}, or take another node"
    elif foreign:
        fix = f"{_remove(node, foreign[0])}, then set taint: true"
    else:
        fix = "set taint: true (same key, value, effect: no conflict)"
    return error("node-taint", subject, message, fix)


def _listed(taints: Sequence[Taint]) -> str:
    return ", ".join(str(taint) for taint in taints)


def _remove(node: NodeFacts, taint: Taint) -> str:
    return f"`kubectl taint node {node.name} {taint.key}-`"


# --- size and room ----------------------------------------------------------------------------------------------------


def _size(pool: Pool, node: NodeFacts, subject: str) -> Iterator[Finding]:
    if pool.cpu_per_node is not None and node.cpu < parse_quantity(pool.cpu_per_node):
        yield error(
            "node-cpu",
            subject,
            f"has {cores(node.cpu)} allocatable CPUs, the file says {pool.cpu_per_node}",
            f"set cpuPerNode: {cores(node.cpu)}",
        )
    if pool.memory_per_node is not None and node.memory < parse_quantity(pool.memory_per_node):
        yield error(
            "node-memory",
            subject,
            f"has {gibibytes(node.memory)} allocatable memory, the file says {pool.memory_per_node}",
            f"set memoryPerNode: {gibibytes(node.memory)}",
        )
    if node.pods < pool.pods_per_node:
        yield error(
            "node-pods",
            subject,
            f"takes {node.pods} pods, the file says {pool.pods_per_node}",
            f"set podsPerNode: {node.pods}, or raise the kubelet's maxPods",
        )


def _room(platform: Platform, name: str, members: Sequence[NodeFacts]) -> Iterator[Finding]:
    """What others already run there: a full node would later look like a broken scheduler."""
    headroom = platform.host.headroom
    for node in members:
        if node.cpu and node.cpu - node.used_cpu < parse_quantity(headroom.cpu):
            yield error(
                "node-full",
                f"pool {name}, node {node.name}",
                f"other pods ask for {cores(node.used_cpu)} of its {cores(node.cpu)} CPUs",
                "move them away, lower their requests, or add a node: KAI's pods would stay Pending",
            )
        if node.memory and node.memory - node.used_memory < parse_quantity(headroom.memory):
            yield error(
                "node-full-memory",
                f"pool {name}, node {node.name}",
                f"other pods ask for {gibibytes(node.used_memory)} of its {gibibytes(node.memory)} memory",
                "move them away, lower their requests, or add a node",
            )


def cores(value: Decimal) -> str:
    """CPU cores for people (`3.92`, `64`), rounded down, so that the number is valid in the file."""
    text = str(value.quantize(Decimal("0.01"), ROUND_FLOOR))
    return text.rstrip("0").rstrip(".")


def gibibytes(value: Decimal) -> str:
    """Bytes as whole GiB, below 1 GiB as whole MiB, rounded down, so that the number is valid in the file."""
    return f"{int(value // 1024**3)}Gi" if value >= 1024**3 else f"{int(value // 1024**2)}Mi"
