"""A line of text and how a terminal shows it. Imports nothing of the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a terminal shows a line."""

    PLAIN = "plain"
    HEAD = "head"
    QUIET = "quiet"
    GOOD = "good"
    CHANGED = "changed"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class Line:
    text: str
    tone: Tone = Tone.PLAIN
