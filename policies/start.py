"""Starts the policy pack, with the levels and limits of the engine's stack.

`PolicyPack` serves until it is ended, so only a pack's `__main__.py` may call this.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pulumi_policy import PolicyPack

from policies.config import FOLDER, ConfigError, load, path_for
from policies.pack import NAME, STACK_VARIABLE, build_policies, initial_config
from policies.rules import LIMITS


def start(folder: Path = FOLDER) -> None:
    """Serve the engine, with the levels in `folder`. Ends the process with status 1 where they can't be read."""
    # without a stack (`pulumi policy publish`), the strictest levels become the published pack's defaults
    path = path_for(os.environ.get(STACK_VARIABLE, ""), folder)
    try:
        config = load(path, LIMITS)
    except ConfigError as error:
        sys.exit(f"policy pack {NAME}: {error}")
    PolicyPack(name=NAME, policies=build_policies(), initial_config=initial_config(config))
