"""The commands' word to the program: what they have just compared, and which teams they let go.

Owns: what the word binds together, and for how long it is taken. So `make up` compares once and not twice, and a word
that is left over in some shell's environment changes nothing. Pure: no Pulumi import.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Final

from settings.models import Platform

VARIABLE: Final = "GPU_TENANCY_COMPARED"
"""The environment variable that the commands hand the word on in."""

RELEASED: Final = "GPU_TENANCY_RELEASED"
"""The environment variable in which the commands name the teams whose protection they have lifted in the state. It is
set where nothing that a killed run left stands in the way, and may name no team."""

GOOD_FOR: Final = 120.0
"""Seconds: the engine's start and its preview. A program that comes later compares again."""


def stamp(platform: Platform, uid: str, at: float | None = None) -> str:
    """Return the word for this platform and this cluster."""
    # rounded down: a word from the future holds for nobody
    moment = str(int(time.time() if at is None else at))
    return f"{moment}:{_digest(platform, uid, moment)}"


def holds(word: str | None, platform: Platform, uid: str, now: float | None = None) -> bool:
    """Say whether a word is about this platform and this cluster, and fresh."""
    moment, _, digest = (word or "").partition(":")
    if not moment.isdecimal() or digest != _digest(platform, uid, moment):
        return False
    return 0 <= (time.time() if now is None else now) - float(moment) <= GOOD_FOR


def _digest(platform: Platform, uid: str, moment: str) -> str:
    text = json.dumps([platform.model_dump(mode="json"), uid, moment], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
