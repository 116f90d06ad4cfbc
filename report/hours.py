"""One sentence about GPU hours for the comment: which teams got far less than their quota. Pure.

Owns: reading the output of `make usage JSON=1`. Leaves to others: the hours (`seen/hours.py`).
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from report.markdown import prose

MOST: Final = 6
"""The most teams, and the most gaps, that are named; the rest is counted."""


class _Row(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    team: str
    queue: str
    quota_hours: float | None = Field(ge=0)
    given_hours: float = Field(ge=0)
    far_below_quota: bool


class _Account(BaseModel):
    since: datetime
    until: datetime
    rows: tuple[_Row, ...]
    gaps: tuple[str, ...]


def sentence(text: str, *, where: str) -> str:
    """Return the sentence. Raises `ValueError` for anything but the output of `make usage JSON=1`."""
    try:
        found = _Account.model_validate(json.loads(text))
    except (ValidationError, ValueError):
        raise ValueError(f"{where}: is not what `make usage JSON=1` writes") from None
    below = sorted(
        (row for row in found.rows if not row.queue and row.far_below_quota and row.quota_hours),
        key=lambda row: (row.given_hours / (row.quota_hours or 1), row.team),
    )
    span = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    told = [
        f"**{prose(row.team)}** {row.given_hours:.1f} of {row.quota_hours:.0f} GPU hours "
        f"({row.given_hours / (row.quota_hours or 1):.0%})"
        for row in below
    ]
    who = f"far below their quota: {_listed(told)}" if below else "nobody is far below their quota"
    gaps = f" Not in it: {_listed([prose(gap) for gap in found.gaps])}." if found.gaps else ""
    return f"From {span} {who}.{gaps}"


def _listed(parts: list[str]) -> str:
    return "; ".join(parts[:MOST]) + (f"; and {len(parts) - MOST} more" if len(parts) > MOST else "")
