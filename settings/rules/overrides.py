"""Rules about overrides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from settings.models import Override, Platform
from settings.problems import Problem

LONGEST_OVERRIDE: Final = timedelta(days=90)
"""An override is for one change that somebody is about to make. An override for years would switch a guard off. Who
needs it longer writes a new date, which a reviewer sees.
"""


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
