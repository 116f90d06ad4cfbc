"""Protected teams in the state, and what an override in the stack file lifts. Pure.

The engine asks the state, not the program, whether a resource is protected; without this a team's removal would need
two runs: one that lifts the protection, one that removes the team.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from components.settings.models import Override
from components.team.protection import protected


def protected_teams(deployment: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the URNs that the state protects, by team."""
    found: dict[str, list[str]] = {}
    resources: Iterable[Mapping[str, Any]] = (deployment.get("deployment") or {}).get("resources") or ()
    for resource in resources:
        urn = str(resource.get("urn", ""))
        if resource.get("protect") and "gpu-tenancy:index:Team" in urn:
            found.setdefault(_team(urn), []).append(urn)
    return found


def _team(urn: str) -> str:
    # a team's own name, or <team>-virtual-cluster and what is below it
    name = urn.rpartition("::")[2]
    return name.removesuffix("-vcluster").removesuffix("-virtual-cluster")


def lifted(found: Mapping[str, list[str]], overrides: Iterable[Override], today: date) -> list[str]:
    """Return the URNs whose protection an override lifts today."""
    overrides = tuple(overrides)
    return [urn for team, urns in found.items() if not protected(team, overrides, today) for urn in urns]
