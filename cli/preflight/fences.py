"""Nodes fenced by `make fence`, and the promises of the stack file that can't be kept meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from capacity import Verdict, plural, unfit
from cli.preflight.facts import ClusterFacts
from cli.preflight.findings import Finding, error, warning
from cli.preflight.nodes import pool_nodes
from settings.claims import pool_capacities, shared_cost, tenant_claims
from settings.models import Platform


def fenced_nodes(platform: Platform, facts: ClusterFacts) -> dict[str, list[str]]:
    """Return the fenced nodes by pool; pools without one are left out."""
    found = {
        name: [node.name for node in pool_nodes(pool, facts) if node.fence is not None]
        for name, pool in platform.pools.items()
    }
    return {name: nodes for name, nodes in found.items() if nodes}


def not_there(platform: Platform, facts: ClusterFacts) -> list[Verdict]:
    """Return the promises to teams that can't be kept without the fenced nodes."""
    fenced = fenced_nodes(platform, facts)
    return unfit(pool_capacities(platform), tenant_claims(platform), shared_cost(platform), fenced) if fenced else []


def fences(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    """Yield each fenced node, and each promise that its absence breaks."""
    for name, nodes in fenced_nodes(platform, facts).items():
        pool = platform.pools[name]
        for node in (facts.nodes[each] for each in nodes):
            subject, undo = f"pool {name}, node {node.name}", f"`make unfence NODE={node.name}` when it works again"
            if not node.cordoned:
                message = f"is {node.fence}, and somebody has uncordoned it: new pods may go there"
                yield warning("fence-open", subject, message, f"{undo}, or `make fence NODE={node.name}` again")
                continue
            gpus = pool.gpus_allocatable_per_node
            count = "counts" if gpus == 1 else "count"
            out = f": its {gpus} {plural(pool.unit, gpus)} no longer {count}" if gpus else ""
            yield warning("node-fenced", subject, f"is {node.fence}{out}", undo)
    for verdict in not_there(platform, facts):
        about = "teams" if len(verdict.about) > 1 else "team"
        subject = f"{about} {', '.join(verdict.about)}"
        yield error("fenced-unfit", subject, f"{verdict.rule}, got {verdict.got}", verdict.fix)
