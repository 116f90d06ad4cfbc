"""A refusal, and the override that lifts it.

Owns: the text of a refusal, the line to add to the stack file, reading refusals back from the engine's output.
Leaves to others: what is refused. Pure: no Pulumi import.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from settings.models import Override, StackChange

HEADING: Final = "refused before anything was changed:"
"""The program's first line; in the engine's output the commands find the refusals below it."""

FIX: Final = " Fix: "
ENDS_IN: Final = timedelta(days=7)
"""How long a suggested override holds: time for a review, but not for ever."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One thing that is refused. `cause` names the thing and what is wrong with it, `fix` what to do; one line each."""

    cause: str
    fix: str

    def __str__(self) -> str:
        return f"{self.cause}.{FIX}{self.fix}"


class RefusedError(Exception):
    """Something is refused; nothing was registered and nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(in_words(refusals))
        self.refusals = tuple(refusals)


def in_words(refusals: Iterable[Refusal]) -> str:
    """Return the refusals as text: a heading, then one line each."""
    return "\n".join([HEADING, *(f"- {refusal}" for refusal in refusals)])


def from_words(text: str) -> list[Refusal]:
    """Read the refusals from the engine's output, each once, in their order."""
    found: dict[Refusal, None] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line.rstrip().endswith(HEADING):
            continue
        for below in lines:
            words = below.strip()
            if not words.startswith("- "):
                break
            cause, _, fix = words.removeprefix("- ").partition(FIX)
            found.setdefault(Refusal(cause=cause.removesuffix("."), fix=fix))
    return list(found)


def ends(today: date) -> date:
    """Return the end date of a suggested override."""
    return today + ENDS_IN


def line_for(change: str, of: Iterable[str], today: date, reason: str) -> str:
    """Return the line to add below `overrides` for a change of the whole stack."""
    names = ", ".join(of)
    only = f"of: [{names}], " if names else ""
    return f"`- {{allow: [{change}], {only}until: {ends(today)}, reason: {reason}}}`"


def line_for_team(team: str, change: str, today: date, reason: str) -> str:
    """Return the line to add below `overrides` for a change of one team."""
    return f"`- {{team: {team}, allow: [{change}], until: {ends(today)}, reason: {reason}}}`"


def lifted(change: StackChange, overrides: Iterable[Override], today: date) -> frozenset[str] | None:
    """Return what the stack file's overrides allow of a change: the names below `of`, or None for no override.

    An override's last day counts.
    """
    active = [o for o in overrides if change in o.allow and today <= o.until]
    return frozenset(name for override in active for name in override.of) if active else None
