"""One known message. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Known:
    """A known message. `cause` and `fix` may use the pattern's named groups, and {team}, {stack}, {host} (of the first
    URL), {why} (the symptom in words), {image}, {login} (what to do where a registry refuses).
    """

    id: str
    pattern: re.Pattern[str]
    cause: str
    fix: str


def known(id_: str, pattern: str, cause: str, fix: str) -> Known:
    """Return the entry; its pattern ignores case."""
    return Known(id=id_, pattern=re.compile(pattern, re.IGNORECASE), cause=cause, fix=fix)
