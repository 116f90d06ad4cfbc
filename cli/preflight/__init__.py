"""Whether the cluster has what the stack file says: pure comparison of plain data.

Owns: the facts that are compared (`facts.py`), the rules by subject (`nodes.py`, `fences.py`, `gpus.py`,
`software.py`, `teams.py`, `charts.py`, `rights.py`), one fix for each finding (`findings.py`).
Leaves to others: reading the facts (`cli/live.py`), rules that need no cluster (`settings`), showing (`cli/host.py`).

Objects of an earlier run are fine. They are in a namespace of this stack, or have Helm's annotation that their release
is; without a namespace they have the label `app.kubernetes.io/managed-by: gpu-tenancy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from cli.preflight import nodes, software, teams
from cli.preflight.charts import local_charts
from cli.preflight.facts import EVERYBODYS, NOBODYS, ClusterFacts, Fence, NodeFacts, ObjectFacts, Right, Taint, Whose
from cli.preflight.fences import fences
from cli.preflight.findings import Finding, Level, warning
from cli.preflight.rights import needed_rights, rights
from settings.models import Platform
from settings.tenants import tenants


def compare(
    platform: Platform, facts: ClusterFacts, *, ports: Mapping[str, int], today: date | None = None
) -> list[Finding]:
    """Return every finding, in the order of the table: cluster, pools and nodes, shared objects, teams, charts, rights.

    `ports` are the tenants' NodePorts; `today` is for overrides (default: today).
    """
    all_tenants = tenants(platform)
    return [
        *teams.version(facts),
        *_unreadable(facts),
        *nodes.pools(platform, facts, all_tenants),
        *fences(platform, facts),
        *software.runtime_class(platform, facts),
        *software.kai_runtime_classes(platform, facts, all_tenants),
        *software.gpu_software(platform, facts),
        *software.metrics(platform, facts),
        *software.default_runtime(platform),
        *teams.control_planes(platform, facts),
        *teams.storage(platform, facts, all_tenants),
        *teams.kubernetes_inside(platform, facts, all_tenants, today or date.today()),
        *teams.namespaces(platform, facts, all_tenants),
        *teams.node_ports(platform, facts, ports),
        *local_charts(platform),
        *rights(facts),
    ]


def _unreadable(facts: ClusterFacts) -> Iterator[Finding]:
    for what, why in facts.unreadable.items():
        yield warning(
            "unreadable", what, f"could not be read, so not compared: {why}", f"let the context's user list {what}"
        )
