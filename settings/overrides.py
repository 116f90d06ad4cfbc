"""The rules of one override: what it is about, which keys say so, and how long it may hold. Pure: no Pulumi import.

Owns: which of `team` and `of` belongs to which change. Leaves to others: what an override lifts, and on which day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, get_args

from capacity import listed
from settings.models import Override, Platform, TeamChange
from settings.problems import Problem, shown

OF_A_TEAM: Final[tuple[str, ...]] = get_args(TeamChange)
OF_NAMES: Final = ("preflight", "quotaRules")
"""Changes that need names: of the findings or rules that they allow."""
LONGEST_OVERRIDE: Final = timedelta(days=90)
"""An override is for one change that somebody is about to make. An override for years would switch a guard off. Who
needs it longer writes a new date, which a reviewer sees.
"""


def overrides_say_what_they_are_about(platform: Platform) -> Iterator[Problem]:
    """An override is about one team or about the whole stack. It names each finding or rule that it allows."""
    for index, override in enumerate(platform.overrides):
        of_a_team = [change for change in override.allow if change in OF_A_TEAM]
        of_the_stack = [change for change in override.allow if change not in OF_A_TEAM]
        path = ("overrides", index)
        if of_a_team and of_the_stack:
            yield Problem(
                path=(*path, "allow"),
                rule=f"mixes changes of a team ({listed(of_a_team)}) and of the stack ({listed(of_the_stack)})",
                got=None,
                fix="write two overrides",
            )
        elif of_a_team and override.team is None:
            yield Problem(path=path, rule=f"{listed(of_a_team)} is about a team", got=None, fix="add its name as team")
        elif of_the_stack and override.team is not None:
            yield Problem(
                path=(*path, "team"),
                rule=f"{listed(of_the_stack)} is about the whole stack",
                got=shown(override.team),
                fix="leave team out",
            )
        named = [change for change in override.allow if change in OF_NAMES]
        if named and not override.of:
            what = "findings" if named == ["preflight"] else "rules"
            yield Problem(
                path=path,
                rule=f"{listed(named)} needs the names of what it allows",
                got=None,
                fix=f"add of: [...] with the names of the {what}, as the refusal says them",
            )
        elif override.of and len(named) != 1:
            yield Problem(
                path=(*path, "of"),
                rule="goes with preflight or with quotaRules alone",
                got=shown(", ".join(override.of)),
                fix="leave it out, or write an override for each",
            )


def ends_too_late(override: Override, today: date) -> bool:
    """Whether an override would hold for longer than allowed."""
    return override.until - today > LONGEST_OVERRIDE


def overrides_end_soon(platform: Platform, today: date) -> Iterator[Problem]:
    """An override's last day is near. A past day is fine: the override then has no effect.

    This is the only rule that needs the date. A file that was valid once stays valid.
    """
    for position, override in enumerate(platform.overrides):
        if ends_too_late(override, today):
            ahead = override.until - today
            yield Problem(
                path=("overrides", position, "until"),
                rule=f"must be at most {LONGEST_OVERRIDE.days} days ahead: an override is for one change, not for good",
                got=f"{override.until} ({ahead.days:,} days)",
                fix=f"write {today + LONGEST_OVERRIDE} or earlier",
            )
