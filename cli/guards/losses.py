"""Changes that lose something, by what the state remembers and by what runs now.

Owns: the words of the fix, and what runs now. Leaves to others: which change loses what (`preview/gate.py`),
teams that are left out (`memory.py`).
"""

from __future__ import annotations

from datetime import date

from lightkube import ApiError, Client
from lightkube.resources.core_v1 import ResourceQuota

from cli.guards.memory import Remembered
from cli.guards.refusal import Refusal, line_for_team
from names import LABEL_TEAM
from preview.facts import facts_of
from preview.gate import gate
from preview.usage import Usage, usage_of
from settings.models import Platform
from settings.overrides import OF_A_TEAM


def losses(was: Remembered, platform: Platform, stack: str, today: date, usage: Usage | None) -> list[Refusal]:
    """Refuse a change that loses something without an override.

    `usage`: what each team uses now; None where that is not known.
    """
    found = []
    for refusal in gate(was.facts, facts_of(platform), usage=usage, overrides=platform.overrides, today=today):
        if refusal.change == "delete" and refusal.team not in platform.teams:
            continue  # a team that is left out is told once, with what the state protects
        fix = f"undo it in Pulumi.{stack}.yaml"
        if refusal.change in OF_A_TEAM:
            line = line_for_team(refusal.team, refusal.change, today, "agreed with the team")
            fix += f", or add there below overrides {line}"
        reason = refusal.reason.partition("; if that is meant")[0]
        whose = f"team {refusal.team}: " if refusal.team else ""
        found.append(Refusal(cause=f"{whose}{reason}", fix=fix))
    return found


def usage_now(client: Client) -> Usage | None:
    """What each team uses now, by the host's ResourceQuotas; None where they can't be listed."""
    try:
        quotas = list(client.list(ResourceQuota, namespace="*", labels={LABEL_TEAM: None}))
    except ApiError:
        return None
    return usage_of({"items": [{**quota.to_dict(), "kind": "ResourceQuota"} for quota in quotas]})
