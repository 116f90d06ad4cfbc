"""One message that we know. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Known:
    """A message that we know. `cause` and `fix` may use the pattern's named groups, and {team}, {stack}, {host} (the
    first URL's), {why} (the symptom in words), {image}, {login} (what to do where a registry refuses)."""

    id: str
    pattern: re.Pattern[str]
    cause: str
    fix: str


def known(id_: str, pattern: str, cause: str, fix: str) -> Known:
    """Return the entry; case does not count."""
    return Known(id=id_, pattern=re.compile(pattern, re.IGNORECASE), cause=cause, fix=fix)
