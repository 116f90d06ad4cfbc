"""Safe Markdown: no name or value can break out of its place. Pure.

Owns: escaping of names, values and messages, code spans, fences, links, tables, folded sections.
Leaves to others: the content (`comment.py`, `tables.py`, `blocks.py`), which values are secret (`redact.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from capacity import listed
from preview.changes import EVERYONE

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def clean(text: str, longest: int = 300) -> str:
    """Text on one line, without invisible characters, cut where it is long."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= longest else f"{text[:longest]}…"


def code(text: str, longest: int = 300) -> str:
    """Any text as a code span, also inside a table: no mention, link or markup in it works."""
    inner = clean(text, longest).replace("`", "ˋ").replace("|", "\\|")
    return f"`{inner}`" if inner else "–"


def prose(text: str, longest: int = 400) -> str:
    """A sentence with names in it, escaped."""
    escaped = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", clean(text, longest))
    return escape(escaped, quote=False).replace("@", "@\u200b").replace("://", ":\u200b//")


def fence(lines: Sequence[str], language: str = "") -> str:
    """Lines in a fence longer than any run of backticks in them."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    bar = "`" * max(3, longest + 1)
    return "\n".join([f"{bar}{language}", *lines, bar])


def target(address: str) -> str:
    """A link's target for <>, without characters that would end it."""
    return quote(clean(address, 2000), safe="/:?&=#%.~_+,@-")


def names(found: Sequence[str], most: int = 6) -> str:
    """Names in bold, not too many."""
    return listed([f"**{prose(name)}**" for name in found], most)


def whom(teams: Sequence[str]) -> str:
    """Teams by name; `""` among them is everyone."""
    return "**every team**" if EVERYONE in teams else names(teams)


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int, align: str = "") -> list[str]:
    """A table of at most `limit` rows, with a line that says what was cut. `align`: l, r or c for each column."""
    if not rows:
        return []
    marks = [{"r": "---:", "c": ":---:"}.get(mark, "---") for mark in align.ljust(len(head), "l")]
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(marks)}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows[:limit]]
    if len(rows) > limit:
        lines.append(f"\ncut: {len(rows) - limit} more rows of this table.")
    return [*lines, ""]


def details(summary: str, lines: Sequence[str]) -> list[str]:
    """A folded section; empty where it has no lines."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "</details>", ""] if lines else []
