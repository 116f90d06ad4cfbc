"""The levels of a stack's policy rules, with the overrides of the stack file applied.

Owns: the levels that the program and the lab use. Leaves to others: what levels are (`policies/config.py`), the
engine's own file of them (`cli/levels.py`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from cli.guards.refusal import lifted
from policies.config import Level, PolicyConfig
from policies.run import config_for
from settings.models import Platform


def levels_of(platform: Platform, stack: str, today: date) -> PolicyConfig:
    """Return the levels of a stack's rules. A rule with an override is advisory. Raises `ConfigError`."""
    config = config_for(stack)
    free = lifted("quotaRules", platform.overrides, today) or ()
    return replace(config, levels={**config.levels, **dict.fromkeys(free, Level.ADVISORY)})
