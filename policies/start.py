"""Starts the policy pack, with the levels and limits of the engine's stack.

`PolicyPack` serves until it is ended, so only a pack's `__main__.py` may call this.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from pulumi_policy import PolicyPack
from pulumi_policy import policy as sdk

from policies.config import FOLDER, ConfigError, load, path_for
from policies.pack import NAME, STACK_VARIABLE, build_policies, initial_config
from policies.rules import LIMITS

KEPT: Final = 2000
"""Objects: the rules of a whole stack are each shown all its resources, some forty a team."""


class Kept:
    """A function that has its last answers at hand, each for the very object that it was asked about."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        # with the object itself: while it is here, no other one has its number
        self._answers: dict[tuple[object, ...], tuple[object, object]] = {}
        self._one_at_a_time = threading.Lock()  # the SDK's server answers in four threads

    def __call__(self, about: object, *more: object) -> object:
        key = (id(about), *more)
        known = self._answers.get(key)
        if known is None:
            known = about, self._function(about, *more)
            with self._one_at_a_time:
                self._answers[key] = known
                if len(self._answers) > KEPT:
                    del self._answers[next(iter(self._answers))]
        return known[1]


def read_once() -> None:
    """Let the SDK take a resource apart once, and not anew for each policy: with 28 of them that was four fifths of
    what the rules cost (pulumi_policy v1.21.0, policy.py: Analyze, AnalyzeStack). No policy changes what it is
    shown."""
    its = vars(sdk)
    its["json_format"] = SimpleNamespace(MessageToDict=Kept(its["json_format"].MessageToDict))
    for name in ("deserialize_properties", "unknown_checking_proxy"):
        its[name] = Kept(its[name])


def start(folder: Path = FOLDER) -> None:
    """Serve the engine, with the levels in `folder`. Ends the process with status 1 where they can't be read."""
    # without a stack (`pulumi policy publish`), the strictest levels become the published pack's defaults
    path = path_for(os.environ.get(STACK_VARIABLE, ""), folder)
    try:
        config = load(path, LIMITS)
    except ConfigError as error:
        sys.exit(f"policy pack {NAME}: {error}")
    read_once()
    PolicyPack(name=NAME, policies=build_policies(), initial_config=initial_config(config))
