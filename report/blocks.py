"""The comment's diffs: the changes of each team, resource by resource, within a budget of characters. Pure.

Owns: grouping by team, showing equal changes of several teams once, cutting and counting.
Leaves to others: the lines of one resource (`diff.py`), the owner of a resource (`impact.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape

from capacity import listed
from preview.changes import EVERYONE
from preview.steps import Op, Preview, Step
from report.diff import diff_lines
from report.impact import Owners
from report.markdown import clean, fence
from report.redact import Redactor


@dataclass(frozen=True, kw_only=True)
class _Block:
    """The changes of one team, resource by resource. Equal blocks of several teams are shown once."""

    teams: tuple[str, ...]
    worst: int
    counts: str
    chunks: tuple[tuple[str, ...], ...]


def _blank(text: str, team: str) -> str:
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(team)}(?![A-Za-z0-9])", "‹team›", text) if team else text


def _blocks_of(preview: Preview, owners: Owners, redactor: Redactor) -> list[_Block]:
    by_team: dict[str, list[Step]] = {}
    for step in preview.changes:
        by_team.setdefault(owners.team_of(step), []).append(step)
    order = list(Op)
    merged: dict[tuple[tuple[str, ...], ...], _Block] = {}
    for team, steps in sorted(by_team.items()):
        chunks = tuple(
            (
                redactor.text(f"@@ {clean(step.operation, 40)} {step.kind} {clean(step.name, 120)} @@"),
                *diff_lines(step, redactor),
            )
            for step in steps
        )
        key = tuple(tuple(_blank(line, team) for line in chunk) for chunk in chunks)
        counts = ", ".join(f"{n} to {op.value}" for op in Op if (n := sum(step.op is op for step in steps)))
        block = _Block(teams=(team,), worst=min(order.index(step.op) for step in steps), counts=counts, chunks=chunks)
        known = merged.get(key)
        merged[key] = block if known is None else replace(known, teams=(*known.teams, team))
    return sorted(merged.values(), key=lambda block: (block.worst, block.teams))


def diff_section(preview: Preview, owners: Owners, redactor: Redactor, *, room: int) -> str:
    """The diffs of all teams, in at most `room` characters."""
    blocks = _blocks_of(preview, owners, redactor)
    if not blocks:
        return ""
    title = "### Changes, team by team\n\n"
    tail = 140  # the cut line
    left = room - len(title) - tail
    parts: list[str] = []
    cut = 0
    for block in blocks:
        names = [f"<b>{_html(name)}</b>" for name in block.teams]
        whom = "the host" if block.teams == (EVERYONE,) else listed(names, 4)
        each = " each, the same in all; shown for the first" if len(block.teams) > 1 else ""
        open_, close = f"<details>\n<summary>{whom}: {block.counts}{each}</summary>\n\n", "\n\n</details>\n\n"
        lines: list[str] = []
        # the fence may need more backticks than three: reserve for the worst line
        size = (
            len(open_)
            + len(close)
            + 40
            + max((len(line) for chunk in block.chunks for line in chunk if "`" in line), default=0) * 2
        )
        taken = 0
        for chunk in block.chunks:
            cost = sum(len(line) + 1 for line in chunk)
            if size + cost + 60 > left:
                break
            lines += chunk
            size += cost
            taken += 1
        cut += (len(block.chunks) - taken) * len(block.teams)
        if not taken:
            continue
        if taken < len(block.chunks):
            lines.append(f"# cut: {len(block.chunks) - taken} more resources")
        part = open_ + fence(lines, "diff") + close
        left -= len(part)
        parts.append(part)
    note = (
        f"**cut: {cut} more changed resources**, a comment has a size limit; all are in `full.md` of the report.\n\n"
        if cut
        else ""
    )
    return title + "".join(parts) + note


def _html(text: str) -> str:
    return escape(clean(text), quote=False).replace("@", "@\u200b")
