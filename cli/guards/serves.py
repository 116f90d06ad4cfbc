"""A virtual cluster may only begin to serve its team after its check has passed. Pure.

Owns: refusing a switch without that. Leaves to others: what a switch means (`preview/judges/slots.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from cli.guards.memory import Remembered
from cli.guards.refusal import Refusal, line_for_team
from components.team.protection import override_for
from components.team.tenant import Tenant, resolve
from components.team.tenant import facts as facts_of
from lenient import parsed, text
from settings.models import Platform
from settings.tenants import serving, slot_name

PASSED: Final = ("pass", "warn", "simulated")
"""Verdicts after which a virtual cluster may serve; the lab and a cluster without real GPUs have the last one."""

VERSIONS: Final = ("schedulerVersion", "vclusterVersion", "kubernetesVersion")
"""The facts of a team that its check proves."""


def not_proven(was: Remembered, platform: Platform, today: date) -> list[Refusal]:
    """Refuse to let a slot serve in place of the other one, unless its last check passed, with the same versions."""
    found: list[Refusal] = []
    tenants = resolve(platform)
    for name, team in platform.teams.items():
        if team.blue_green is None:
            continue
        comes, goes = serving(name, team), slot_name(name, team.blue_green.other)
        served = was.teams.get(goes)
        if served is None or served.canary or override_for(name, "replace", platform.overrides, today) is not None:
            continue
        there = was.teams.get(comes)
        if why := _unproven(tenants[comes], there.facts if there is not None else None):
            line = line_for_team(name, "replace", today, "the one that serves is broken")
            found.append(
                Refusal(
                    cause=f"team {name}: {comes} is to serve, and {why}",
                    fix=f"let {goes} serve until an update has checked {comes}, or add below overrides {line}",
                )
            )
    return found


def _unproven(tenant: Tenant, facts: Mapping[str, object] | None) -> str | None:
    """Why the last run does not prove a tenant; None where it does."""
    if facts is None:
        return "it is not there yet"
    if facts.get("failed"):
        return "something of it failed in the last update"
    now = facts_of(tenant)
    if any(facts.get(version) != now[version] for version in VERSIONS):
        return "its last check was of other versions"
    verdict = text(parsed(facts.get("check")), "verdict")
    return f"its last check said {verdict or 'nothing'}" if tenant.is_checked and verdict not in PASSED else None
