"""Whether the cluster has what the stack file says, and which differences are refused.

Owns: reading and comparing in one step, the findings that an override allows. Leaves to others: the comparison
(`cli/preflight.py`), what is read for it (`cli/live.py`). Nothing is changed. No Pulumi import.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from lightkube import Client

from cli.guards.refusal import Refusal, lifted, line_for
from cli.live import read_facts
from cli.preflight import Finding, Level, Whose, compare, needed_rights
from components.team.tenant import resolve
from settings.models import Platform

RIGHTS: Final = "rights"
"""The finding about missing rights of the account."""


def compared(platform: Platform, client: Client, version: str, *, whose: Whose) -> list[Finding]:
    """Compare the stack file with the cluster. `whose`: which objects there are this stack's."""
    facts = read_facts(client, needed_rights(platform), version=version, whose=whose)
    ports = {name: tenant.node_port for name, tenant in resolve(platform).items() if tenant.node_port is not None}
    return compare(platform, facts, ports=ports)


def cluster_refusals(findings: Iterable[Finding], platform: Platform, today: date, *, changing: bool) -> list[Refusal]:
    """Return the errors among the findings, without those that an override allows.

    `changing` is off at a preview: a read-only account can preview, too.
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
