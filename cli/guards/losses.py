"""Changes that lose something, according to the state and to what runs now.

Owns: asking the cluster what runs, only where something depends on it. Leaves to others: the facts of a state and of a
stack file, which change loses what, and the messages (`preview`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

import httpx2
from pydantic import JsonValue

from cli.cluster import Target, asking
from cli.errors import CommandError
from cli.guards.refusal import Refusal, line_for, line_for_team
from lenient import Json, items
from names import LABEL_TEAM, team_namespace
from preview.facts import CANARY_OF, Facts, facts_of
from preview.gate import Refusal as Judged
from preview.gate import gate
from preview.kinds import OF_THE_STACK
from preview.observed import facts_in_state
from preview.usage import Usage, usage_of
from settings.models import Platform
from settings.overrides import OF_A_TEAM

QUICK: Final = httpx2.Timeout(10.0, connect=5.0)


def losses(
    resources: Mapping[str, JsonValue],
    platform: Platform,
    stack: str,
    today: date,
    host: Target | None,
    uid: str | None = None,
) -> list[Refusal]:
    """Refuse losses by a change from the state to the stack file without an override.

    `resources` are the state's. A team that is left out is not judged here (`memory.py` does it); a canary is. `host`:
    where to ask what runs; None where it can't be asked, and then everything that depends on it counts as a loss.
    `uid`: the cluster's.
    """
    old, new = facts_in_state(resources), facts_of(platform, cluster_uid=uid)
    there = old.tenants if old is not None else {}
    found = _judged(old, new, platform, today, None)
    if found and host is not None:
        found = _judged(old, new, platform, today, usage_now(host, {*new.tenants, *there}))
    # a canary or slot may be left out without an override, so its pods are asked for here
    beside = {name for name, known in there.items() if known.get(CANARY_OF)}
    return [_refusal(one, stack, today) for one in found if one.team in {"", *new.tenants, *beside}]


def _judged(old: Facts | None, new: Facts, platform: Platform, today: date, usage: Usage | None) -> list[Judged]:
    return gate(old, new, usage=usage, overrides=platform.overrides, today=today)


def _refusal(judged: Judged, stack: str, today: date) -> Refusal:
    fix = f"undo it in Pulumi.{stack}.yaml"
    if judged.change in OF_A_TEAM and judged.team:
        line = line_for_team(judged.team, judged.change, today, "agreed with the team")
        fix += f", or add there below overrides {line}"
    elif judged.change in OF_THE_STACK:
        fix += (
            f", or add there below overrides {line_for(judged.change, [], today, 'nothing there is needed any more')}"
        )
    return Refusal(cause=f"team {judged.team}: {judged.cause}" if judged.team else judged.cause, fix=fix)


def usage_now(host: Target, tenants: Iterable[str]) -> Usage | None:
    """What each tenant uses now, from its ResourceQuotas and pods on the host; None where they can't be listed."""
    found: list[Json] = []
    paths = {f"/api/v1/resourcequotas?labelSelector={LABEL_TEAM.replace('/', '%2F')}": "ResourceQuota"}
    paths |= {f"/api/v1/namespaces/{team_namespace(team)}/pods": "Pod" for team in tenants}
    try:
        with asking(host, timeout=QUICK) as ask:
            for path, kind in paths.items():
                found += [{**item, "kind": kind} for item in items(ask(path) or {})]
    except CommandError:
        return None
    return usage_of({"items": found})
