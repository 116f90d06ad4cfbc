"""Changes that lose something, by what the state remembers and by what runs now.

Owns: the old and the new facts side by side, GPUs in use. Leaves to others: which change loses what, and its words
(`policies/gate.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from lightkube import ApiError, Client
from lightkube.resources.core_v1 import ResourceQuota

from cli.guards.memory import Remembered
from cli.guards.refusal import Refusal, line_for_team
from components.team.tenant import facts, resolve
from names import GPU, LABEL_TEAM
from policies.gate import Step, Usage, gate
from policies.plain import quantity
from settings.models import Platform
from settings.overrides import OF_A_TEAM


def losses(was: Remembered, platform: Platform, stack: str, today: date, usage: Usage | None) -> list[Refusal]:
    """Refuse a change of a team's facts that loses something without an override.

    `usage`: GPUs that each team uses now; None where that is not known.
    """
    found = []
    for refusal in gate(_steps(was, platform), platform.overrides, today, usage):
        fix = f"undo it in Pulumi.{stack}.yaml"
        if refusal.change in OF_A_TEAM:
            line = line_for_team(refusal.team, refusal.change, today, "agreed with the team")
            fix += f", or add there below overrides {line}"
        reason = refusal.reason.partition("; if that is meant")[0]
        found.append(Refusal(cause=f"team {refusal.team}: {reason}", fix=fix))
    return found


def _steps(was: Remembered, platform: Platform) -> Iterator[Step]:
    """Each team that stays, as the step of a preview that the gate judges: the old facts and the new ones."""
    for name, tenant in resolve(platform).items():
        team = was.teams.get(name)
        if team is not None and team.facts:
            yield {
                "op": "update",
                "urn": team.urn,
                "oldState": {"inputs": team.facts},
                "newState": {"inputs": facts(tenant)},
            }


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
