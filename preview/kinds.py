"""The words for what a change of a setting does. Pure.

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

__all__ = ["OF_THE_STACK", "Allow", "Edit", "Effect", "Judge", "Kind", "Row"]

Allow: TypeAlias = TeamChange | StackChange
"""What an override of the stack file can let through."""

OF_THE_STACK: Final[tuple[Allow, ...]] = get_args(StackChange)
"""What an override lets through for all at once, without a team's name."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One fact that changes. `tenant` is empty for what is not one tenant's."""

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


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What an edit does. `means` is a clause about the team, without its name: `its API server restarts`."""

    kind: Kind
    means: str
    allow: Allow | None = None
    """The override that lets it through; None where none does."""
    topic: str = ""
    """What it is about. Two effects of one topic on one team are one thing said twice."""


Judge: TypeAlias = Callable[[Edit], Effect | None]
"""None: nothing worth a word."""


@dataclass(frozen=True, kw_only=True)
class Row(OnChange):
    """What a change of one field does.

    `kind` is the worst that it can be; `judge` says what it is for two given values. Without a judge it is always the
    same, with `means` as the words.
    """

    field: str
    """Path in the stack file; `*` is any name."""
    judge: Judge | None = None

    def effect(self, edit: Edit) -> Effect | None:
        """What this edit does."""
        if self.judge is not None:
            return self.judge(edit)
        return Effect(kind=self.kind, means=self.means, allow=self.allow, topic=self.topic)
