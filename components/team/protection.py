"""Whether a tenant may be deleted. Pure: no Pulumi import.

Owns: which protection an override in the stack file lifts, and until when.
Leaves to others: setting `protect` on Team and VirtualCluster, and the gate on a preview's steps (`policies/gate.py`).

The engine asks the state, not the program, whether a resource is protected. So an override must be applied while the
team is still in the stack file; only then can the engine remove the team. `make up` lifts the protection in the state
itself; with plain `pulumi up` the guards (`cli/guards/memory.py`) refuse the removal until an `up` has applied the
override.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

from settings.models import Override, TeamChange

Change: TypeAlias = TeamChange


def override_for(team: str, change: Change, overrides: Iterable[Override], today: date) -> Override | None:
    """Return the override that allows this change of this team today. Its last day counts."""
    for override in overrides:
        if override.team == team and change in override.allow and today <= override.until:
            return override
    return None


def protected(team: str, overrides: Iterable[Override], today: date) -> bool:
    """Say whether the engine must refuse to delete or replace a tenant and its virtual cluster."""
    overrides = tuple(overrides)
    return not any(override_for(team, change, overrides, today) for change in ("delete", "replace"))
