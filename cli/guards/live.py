"""What the guards ask of the cluster itself: which one it is, whether it has what the stack file says, who uses what.

Owns: one connection, everything read over it, and which findings are refused. Leaves to others: the comparison
(`cli/preflight.py`), what is read for it (`cli/live.py`). Nothing is changed. No Pulumi import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from lightkube import ApiError, Client
from lightkube.resources.core_v1 import ResourceQuota

from cli.cluster import Target, connected, identify
from cli.guards.refusal import Refusal, lifted, line_for
from cli.live import read_facts
from cli.preflight import Finding, Level, compare, needed_rights
from components.team.tenant import resolve
from names import GPU, LABEL_TEAM
from policies.gate import Usage
from policies.plain import quantity
from settings.models import Platform
from settings.tenants import tenants

RIGHTS: Final = "rights"
"""The finding about what the account may not do."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster now. `findings`: None where they were not asked for. `usage`: GPUs in use by team, None where the
    account may not read it."""

    uid: str
    findings: Sequence[Finding] | None
    usage: Usage | None


def look(platform: Platform, target: Target, wanted: Callable[[str], bool]) -> Cluster:
    """Ask the cluster. Raises `CommandError` where it can't be asked.

    `wanted` says, by the cluster's UID, whether the stack file is to be compared with it.
    """
    with connected(target) as client:
        identity = identify(client, target.context)
        compare_it = wanted(identity.uid)
        return Cluster(
            uid=identity.uid,
            findings=compared(platform, client, identity.server_version) if compare_it else None,
            usage=usage_now(client),
        )


def compared(platform: Platform, client: Client, version: str) -> list[Finding]:
    """Compare the stack file with the cluster."""
    facts = read_facts(client, needed_rights(platform), version=version)
    ports = {name: tenant.node_port for name, tenant in resolve(platform).items() if tenant.node_port is not None}
    return compare(platform, facts, ports=ports, tenants=tenants(platform))


def usage_now(client: Client) -> Usage | None:
    """GPUs (replicas) in use by team, from the host's ResourceQuotas; None where they can't be listed."""
    try:
        quotas = list(client.list(ResourceQuota, namespace="*", labels={LABEL_TEAM: None}))
    except ApiError:
        return None
    found: dict[str, float] = {}
    for quota in quotas:
        team = ((quota.metadata.labels if quota.metadata else None) or {}).get(LABEL_TEAM)
        used = quantity((quota.status.used if quota.status else None) or {}, f"requests.{GPU}")
        if team and used is not None:
            found[team] = max(found.get(team, 0.0), float(used))
    return found


def cluster_refusals(findings: Iterable[Finding], platform: Platform, today: date, *, changing: bool) -> list[Refusal]:
    """Return the errors among the findings, less those that an override lets through.

    `changing` is off at a preview: an account that may only read can preview, too.
    """
    free = lifted("preflight", platform.overrides, today) or frozenset()
    return [
        Refusal(
            cause=f"preflight, {finding.subject}: {finding.message}",
            fix=f"{finding.fix}; or for a while {line_for('preflight', [finding.id], today, '...')} below overrides",
        )
        for finding in findings
        if finding.level is Level.ERROR and finding.id not in free and (changing or finding.id != RIGHTS)
    ]
