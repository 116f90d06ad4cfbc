"""The terms for what a change of a setting does. Pure.

Owns: the types that the table of fields (`table`) is made of. Leaves to others: the kinds (`settings/on_change.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args

from pydantic import JsonValue

from preview.facts import Facts, Known
from preview.usage import Use
from settings.on_change import Kind, OnChange, StackChange, TeamChange

Allow: TypeAlias = TeamChange | StackChange
"""What an override of the stack file can allow."""

OF_THE_STACK: Final[tuple[Allow, ...]] = get_args(StackChange)
"""What an override allows for all teams at once, without a team's name."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One fact that changes. `tenant` is empty where the fact does not belong to one tenant."""

    path: str
    """As the stack file has it: `teams.ml.vcluster.backingStore`."""
    tenant: str = ""
    before: JsonValue
    after: JsonValue
    old: Facts
    new: Facts
    use: Use | None = None

    @property
    def was(self) -> Known:
        """The tenant's facts before."""
        return self.old.tenants.get(self.tenant, {})

    @property
    def now(self) -> Known:
        """The tenant's facts after."""
        return self.new.tenants.get(self.tenant, {})


Effect: TypeAlias = OnChange
"""What an edit does. `means` is a clause about the team, without its name: `its API server restarts`."""

Judge: TypeAlias = Callable[[Edit], Effect | None]
"""None: nothing to report."""


@dataclass(frozen=True, kw_only=True)
class Row(OnChange):
    """What a change of one field does.

    `kind` is the worst case. `judge` returns the effect for two given values. Without a judge the effect is always the
    same, and `means` says it.
    """

    field: str
    """Path in the stack file; `*` is any name."""
    judge: Judge | None = None

    def effect(self, edit: Edit) -> Effect | None:
        if self.judge is not None:
            return self.judge(edit)
        return Effect(kind=self.kind, means=self.means, allow=self.allow, topic=self.topic)
