"""The levels of a stack's policy rules, less what an override of the stack file lets through.

Owns: the levels as the program and the lab judge by them. Leaves to others: what levels are (`policies/config.py`), the
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
    """Return the levels of a stack's rules; what an override lets through is advisory. Raises `ConfigError`."""
    config = config_for(stack)
    free = lifted("quotaRules", platform.overrides, today) or ()
    return replace(config, levels={**config.levels, **dict.fromkeys(free, Level.ADVISORY)})
