"""Steps of a preview, and what the gate says of them, for the tests of the gate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

from policies.inventory import PolicyResource
from preview.gate import Refusal, gate_preview
from preview.kinds import Allow
from preview.read import read_preview
from preview.usage import Usage
from settings.models import Override
from tests.policies.world import guardrails

TODAY = date(2026, 11, 22)
IN_A_WEEK = "until: 2026-11-29"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
NAMESPACE, QUOTA = guardrails()[:2]


def step(op: str, old: PolicyResource | None, new: PolicyResource | None = None) -> dict[str, object]:
    subject = old or new
    assert subject is not None
    made: dict[str, object] = {
        "op": op,
        "urn": f"urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team${subject.type}::{subject.name}",
    }
    for key, state in (("oldState", old), ("newState", new)):
        if state is not None:
            made[key] = {"type": state.type, "inputs": state.properties}
    return made


def refused(
    steps: Sequence[dict[str, object]], overrides: Sequence[Override] = (), usage: Usage | None = None
) -> list[Refusal]:
    preview = read_preview(json.dumps({"steps": steps, "changeSummary": {}}))
    return gate_preview(preview, usage=usage, overrides=overrides, today=TODAY)


def override(*allow: Allow, team_: str = "ml", days: int = 1) -> Override:
    return Override(team=team_, allow=allow, until=TODAY + timedelta(days=days), reason="agreed with the team")


def said(found: Sequence[Refusal]) -> list[tuple[str, str]]:
    return [(refusal.team, refusal.change) for refusal in found]
