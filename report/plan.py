"""What `make preview` prints: every change with its old and new values, team by team. Pure.

Owns: the order, the marks, which lines a terminal colours.
Leaves to others: printing and colours (`cli`), what a change means (`impact.py`), secrets (`redact.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import tokens
from preview.changes import EVERYONE, snapshots_first
from preview.observed import facts_after, facts_before
from preview.steps import Op, Preview, Step
from preview.usage import Usage
from report.diff import learn_step, value_changes
from report.impact import Gravity, Impact, Owners, impacts
from report.lines import Line, Tone
from report.quota import team_states
from report.redact import Redactor
from settings.models import Platform

MARKS: Final = {Op.CREATE: "+", Op.UPDATE: "~", Op.REPLACE: "±", Op.DELETE: "-", Op.UNKNOWN: "?"}
"""One for each operation: a replacement is a deletion and a creation."""

MOST_VALUES: Final = 20
"""The most lines of a changed resource; the rest is counted."""

MANY: Final = 4
"""From this number on, teams with the same lines share them; fewer teams are shown one by one."""
ANY_TEAM: Final = "<team>"


_TONES: Final = {
    Op.CREATE: Tone.GOOD,
    Op.UPDATE: Tone.CHANGED,
    Op.REPLACE: Tone.BAD,
    Op.DELETE: Tone.BAD,
    Op.UNKNOWN: Tone.BAD,
}
_FELT: Final = {Gravity.LOSS: "LOSS", Gravity.AWAY: "interrupted", Gravity.LESS: "less", Gravity.NEWS: "new"}


def plan(preview: Preview, head: Platform, redactor: Redactor, *, usage: Usage | None = None) -> list[Line]:
    """The lines. Teams that lose something come first."""
    if not preview.changes and not preview.diagnostics:
        return [*_foot(preview)]  # most previews: no value is shown, so no secret must be learned
    for step in preview.steps:
        learn_step(step, redactor)  # learn every secret before the first line is written
    felt = impacts(None, head, preview, usage=usage)
    owners = Owners(preview, frozenset({*team_states(head), *(impact.team for impact in felt)}))
    by_team: dict[str, list[Step]] = {}
    for step in preview.changes:
        by_team.setdefault(owners.team_of(step), []).append(step)
    first = snapshots_first(head, facts_before(preview), facts_after(preview))
    worst = {team: min((i.gravity for i in felt if i.team == team), default=len(Gravity)) for team in by_team}
    blocks: dict[str, tuple[Line, ...]] = {}
    for team in sorted(by_team, key=lambda team: (worst[team], team == EVERYONE, team)):
        of_team = [impact for impact in felt if impact.team == team]
        blocks[team] = tuple(_team(by_team[team], of_team, redactor, snapshot=team in first))
    return [*_together(blocks), *_foot(preview)]


def _together(blocks: Mapping[str, tuple[Line, ...]]) -> Iterator[Line]:
    """Each team's lines below its name. Where many teams have the same lines except for their name, they share them,
    with `ANY_TEAM` in place of the name.
    """
    alike: dict[tuple[Line, ...], list[str]] = {}
    for team, block in blocks.items():
        own = re.compile(rf"(?<![\w-]){re.escape(team)}(?!\w)")
        shared = tuple(replace(line, text=own.sub(ANY_TEAM, line.text)) for line in block) if team else block
        alike.setdefault(shared, []).append(team)
    for shared, teams in alike.items():
        if len(teams) >= MANY:
            yield Line(
                text=f"{len(teams)} teams, each with its name for {ANY_TEAM}: {', '.join(teams)}", tone=Tone.HEAD
            )
            yield from (*shared, Line(text=""))
            continue
        for team in teams:
            yield Line(text=f"team {team}" if team else "the host", tone=Tone.HEAD)
            yield from (*blocks[team], Line(text=""))


def _team(steps: Sequence[Step], felt: Sequence[Impact], redactor: Redactor, *, snapshot: bool) -> Iterator[Line]:
    if snapshot:
        yield Line(text="  first: a snapshot of its virtual cluster; if that fails, nothing is changed")
    for impact in felt:
        bad = impact.gravity is Gravity.LOSS
        yield Line(text=f"  {_FELT[impact.gravity]}: {impact.text}", tone=Tone.BAD if bad else Tone.CHANGED)
    for step in sorted(steps, key=_place):
        yield from _step(step, redactor)


def _place(step: Step) -> tuple[int, int, str]:
    """A step's place: by its operation, and a component before its parts, because it shows the change in the team's own
    numbers.
    """
    kind = 0 if step.type == tokens.TEAM else 1 if step.type.startswith(tokens.OURS) else 2
    return list(Op).index(step.op), kind, step.urn


def _step(step: Step, redactor: Redactor) -> Iterator[Line]:
    why = f"  because of {', '.join(step.replace_reasons[:4])}" if step.replace_reasons else ""
    word = f" ({step.operation})" if step.op is Op.UNKNOWN else ""
    text = redactor.text(f"  {MARKS[step.op]} {step.kind} {step.name}{word}{why}")
    yield Line(text=text, tone=_TONES[step.op])
    if step.op not in (Op.UPDATE, Op.REPLACE):
        return
    values = value_changes(step, redactor)
    for value in values[:MOST_VALUES]:
        yield Line(text=f"      {value}")
    if len(values) > MOST_VALUES:
        yield Line(text=f"      and {len(values) - MOST_VALUES} more", tone=Tone.QUIET)


def _foot(preview: Preview) -> Iterator[Line]:
    """What is said once about all of them."""
    if not preview.changes:
        yield Line(text="no changes")
        return
    counts = ", ".join(
        f"{preview.count(op)} to {op.value}" for op in MARKS if preview.count(op) and op is not Op.UNKNOWN
    )
    unknown = preview.count(Op.UNKNOWN)
    yield Line(text=", ".join(part for part in (counts, f"{unknown} unknown" if unknown else "") if part))
    notes = Counter(step.note for step in preview.changes if step.note)
    for note, count in notes.most_common():
        yield Line(text=f"{note} ({count} resource{'' if count == 1 else 's'})", tone=Tone.QUIET)
