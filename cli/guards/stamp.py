"""The commands' token to the program: it says what they have just compared, and which teams they let go. Pure: no
Pulumi import.

Owns: what the token is about, and how long it is valid. So `make up` compares only once, and an old token in a shell's
environment has no effect.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Final

from settings.models import Platform

VARIABLE: Final = "GPU_TENANCY_COMPARED"
"""The environment variable with the token."""

RELEASED: Final = "GPU_TENANCY_RELEASED"
"""The environment variable in which the commands name the teams whose protection they have lifted in the state. It is
set once nothing of a killed run is in the way, and may be empty.
"""

GOOD_FOR: Final = 120.0
"""Seconds: enough for the engine's start and its preview. Later the program compares again."""


def stamp(platform: Platform, uid: str, at: float | None = None) -> str:
    # rounded down, because a token from the future is not valid
    moment = str(int(time.time() if at is None else at))
    return f"{moment}:{_digest(platform, uid, moment)}"


def holds(word: str | None, platform: Platform, uid: str, now: float | None = None) -> bool:
    """Say whether a token is about this platform and this cluster, and fresh."""
    moment, _, digest = (word or "").partition(":")
    if not moment.isdecimal() or digest != _digest(platform, uid, moment):
        return False
    return 0 <= (time.time() if now is None else now) - float(moment) <= GOOD_FOR


def _digest(platform: Platform, uid: str, moment: str) -> str:
    text = json.dumps([platform.model_dump(mode="json"), uid, moment], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
