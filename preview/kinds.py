"""The words for what a change of a setting does. Pure.

Owns: the kinds, and the types that the table of fields (`table`) is made of.
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
"""What an override of the stack file can let through."""

OF_THE_STACK: Final[tuple[Allow, ...]] = get_args(StackChange)
"""What an override lets through for all at once, without a team's name."""


class Kind(StrEnum):
    """What a change does to those who work on the platform, the harmless ones first."""

    IN_PLACE = "in place"
    """Nobody notices."""
    DISRUPTIVE = "disruptive"
    """Something does not answer for a while, or less may be had from now on; nothing that runs is lost."""
    REPLACING = "replacing"
    """An object is deleted and made anew; what the team keeps in it is not touched."""
    LOSING = "losing"
    """Something that is there, or that runs, is gone afterwards. Needs an override."""
    UNKNOWN = "unknown"
    """Nobody can say from here. Refused like a loss."""

    @property
    def refused(self) -> bool:
        """Whether it needs an override."""
        return self in (Kind.LOSING, Kind.UNKNOWN)


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
class Row:
    """What a change of one field does.

    `kind` is the worst that it can be; `judge` says what it is for two given values. Without a judge it is always the
    same, with `means` as the words.
    """

    field: str
    """Path in the stack file; `*` is any name."""
    kind: Kind
    means: str
    allow: Allow | None = None
    topic: str = ""
    judge: Judge | None = None
    source: str = ""
    """Where the fact is from: a vendor's source or page, or docs/runs.md for what was tried."""

    def effect(self, edit: Edit) -> Effect | None:
        """What this edit does."""
        if self.judge is not None:
            return self.judge(edit)
        return Effect(kind=self.kind, means=self.means, allow=self.allow, topic=self.topic)
