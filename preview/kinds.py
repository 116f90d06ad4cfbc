"""The terms for what a change of a setting does. Pure.

Owns: the kinds, and the types of the table of fields (`table`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, get_args

from pydantic import JsonValue

from preview.facts import Facts, Known
from preview.usage import Use
from settings.models import StackChange, TeamChange

Allow: TypeAlias = TeamChange | StackChange
"""What an override of the stack file can allow."""

OF_THE_STACK: Final[tuple[Allow, ...]] = get_args(StackChange)
"""What an override allows for all teams at once, without a team's name."""


class Kind(StrEnum):
    """What a change does to the users of the platform, the harmless kinds first."""

    IN_PLACE = "in place"
    """Nobody notices."""
    DISRUPTIVE = "disruptive"
    """Something does not answer for a while, or less is available; nothing that runs is lost."""
    REPLACING = "replacing"
    """An object is deleted and made anew; what the team keeps in it is not touched."""
    LOSING = "losing"
    """Something that exists or runs is lost. Needs an override."""
    UNKNOWN = "unknown"
    """This program can't say. Refused like a loss."""

    @property
    def refused(self) -> bool:
        """Whether it needs an override."""
        return self in (Kind.LOSING, Kind.UNKNOWN)


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


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What an edit does. `means` is a clause about the team, without its name: `its API server restarts`."""

    kind: Kind
    means: str
    allow: Allow | None = None
    """The override that allows it; None where none does."""
    topic: str = ""
    """What it is about. Two effects on one topic of one team count once."""


Judge: TypeAlias = Callable[[Edit], Effect | None]
"""None: nothing to report."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a change of one field does.

    `kind` is the worst case. `judge` returns the effect for two given values. Without a judge the effect is always the
    same, and `means` says it.
    """

    field: str
    """Path in the stack file; `*` is any name."""
    kind: Kind
    means: str
    allow: Allow | None = None
    topic: str = ""
    judge: Judge | None = None
    source: str = ""
    """The source of the fact: a vendor's source code or page, or docs/runs.md for what was tried."""

    def effect(self, edit: Edit) -> Effect | None:
        """What this edit does."""
        if self.judge is not None:
            return self.judge(edit)
        return Effect(kind=self.kind, means=self.means, allow=self.allow, topic=self.topic)
