"""One Markdown comment about one stack of a pull request. Pure.

Owns: what a reviewer reads first, the order of the sections, the size budget.
Leaves to others: tables (`tables.py`), diffs (`blocks.py`), escaping (`markdown.py`), numbers (`quota.py`), meaning
(`impact.py`), secrets (`redact.py`), the picture (`picture.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from capacity import listed
from preview.changes import Change
from preview.gate import IF_MEANT
from preview.grouped import grouped
from preview.steps import Op, PolicyResult, Preview, Step
from preview.usage import Usage
from report.blocks import diff_section
from report.diff import learn_step
from report.impact import Gravity, Impact, Owners, changed_settings, impacts, runs_again
from report.markdown import code, names, plural, prose, table, target, whom
from report.quota import pool_states, team_states
from report.redact import Redactor
from report.tables import diagnostic_section, gpu_table, policy_section, pool_table, resource_table, version_table
from report.versions import version_changes
from settings.models import Platform

BUDGET: Final = 60_000
"""Characters. GitHub refuses a comment of more than 65,536 with 422. The poster adds a line or two, and other forges
count bytes.
"""

_ROW_LIMITS: Final = (120, 40, 12, 4)
"""The most rows of a table, tried in this order until everything except the diffs fits."""
_MOST_REASONS: Final = 6
"""The most reasons in a box at the top; all of them are below."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one comment is about. base None: a new stack. head None: the stack is removed."""

    stack: str
    base: Platform | None
    head: Platform | None
    preview: Preview
    policies: tuple[PolicyResult, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences of the caller for the top, such as which code made the preview."""
    picture: str | None = None
    """URL or relative path of the picture."""
    usage: Usage | None = None
    """What runs now; None: not known."""
    hours: str = ""
    """A sentence about GPU hours before this change, as Markdown."""

    @cached_property
    def owners(self) -> Owners:
        """Says which team a resource belongs to."""
        return Owners(self.preview, frozenset({*team_states(self.base), *team_states(self.head)}))

    @cached_property
    def settings(self) -> tuple[Change, ...]:
        """What changes in the stack file."""
        return changed_settings(self.base, self.head, self.preview, self.usage)

    @cached_property
    def felt(self) -> tuple[Impact, ...]:
        """What each team notices, the most serious first."""
        return impacts(self.base, self.head, self.preview, settings=self.settings)


def marker(stack: str) -> str:
    """The first line of a stack's comment. The poster updates the comment that begins with it."""
    return f"<!-- gpu-tenancy report: {re.sub(r'[^A-Za-z0-9._-]', '-', stack)} -->"


def render(report: Report, redactor: Redactor, *, budget: int = BUDGET) -> str:
    """The comment, at most `budget` characters long, with a line that says what was cut.

    Raises `ValueError` for a budget in which not even the tables' heads fit (some 4,000 characters).
    """
    redactor.keep({report.stack, *team_states(report.base), *team_states(report.head)})
    redactor.keep({*pool_states(report.base), *pool_states(report.head)})
    for step in report.preview.steps:
        # learn every secret before the first line is written
        learn_step(step, redactor)
    head = ""
    foot = _foot(report)
    for rows in _ROW_LIMITS:
        head = redactor.text(_head(report, rows))
        if len(head) + len(foot) + 600 <= budget:
            break
    else:
        message = f"a budget of {budget} characters is too small for this report's tables ({len(head)} characters)"
        raise ValueError(message)
    diffs = diff_section(report.preview, report.owners, redactor, room=budget - len(head) - len(foot) - 2)
    return redactor.text(f"{head}\n{diffs}{foot}")


def _headline(report: Report) -> str:
    preview = report.preview
    if not preview.sound:
        return f"## {code(report.stack)}: the preview failed"
    if not preview.changes:
        return f"## {code(report.stack)}: no changes"
    counts = [(f"{preview.count(op)} to {op.value}", op) for op in (Op.CREATE, Op.UPDATE, Op.REPLACE, Op.DELETE)]
    parts = [f"**{words}**" if op in (Op.REPLACE, Op.DELETE) and preview.count(op) else words for words, op in counts]
    if unknown := preview.count(Op.UNKNOWN):
        parts.insert(0, f"**{plural(unknown, 'unknown operation')}**")
    return f"## {code(report.stack)}: {', '.join(parts)}"


def _summary(report: Report, felt: Sequence[Impact], limit: int) -> list[str]:
    lines: list[str] = []
    preview = report.preview
    if not preview.sound:
        lines += _box(
            "CAUTION", "The preview did not end well, so this report is not the whole change. Errors are below."
        )
    failed = [result for result in report.policies if result.blocks]
    if failed:
        by = listed([code(result.name, 60) for result in failed], _MOST_REASONS)
        allowing = any(IF_MEANT in violation.message for result in failed for violation in result.violations)
        below = " The override that would allow it is under Policies." if allowing else ""
        lines += _box("CAUTION", f"This change is refused by {by}.{below}", list(_reasons(failed)))
    lost, away = ([impact for impact in felt if impact.gravity is g] for g in (Gravity.LOSS, Gravity.AWAY))
    if lost:
        losers = whom(sorted({impact.team for impact in lost}))
        lines += _box("CAUTION", f"Something is lost, or may be: {losers}.", _told(lost, limit))
    if away:
        lines += _box(
            "WARNING", f"Interrupted for a moment: {whom(sorted({i.team for i in away}))}.", _told(away, limit)
        )
    if all(impact.gravity is Gravity.NEWS for impact in felt) and preview.changes and preview.sound:
        lines += ["Nobody is interrupted.", ""]
    lines += [f"> {prose(note)}\n" for note in report.notes]
    lines += _told([impact for impact in felt if impact.gravity in (Gravity.LESS, Gravity.NEWS)], limit)
    return [*lines, ""]


def _box(kind: str, sentence: str, reasons: Sequence[str] = ()) -> list[str]:
    """A box in GitHub's own format, with reasons below its sentence."""
    return [f"> [!{kind}]", f"> {sentence}", *([">"] if reasons else []), *(f"> {reason}" for reason in reasons), ""]


def _reasons(failed: Sequence[PolicyResult]) -> Iterator[str]:
    """The reasons, one line each; the policies below say how to allow it."""
    found = [
        f"- {code(result.name, 60)}: {prose(message.partition(IF_MEANT)[0], 600)}"
        for result in failed
        for message in grouped(violation.message for violation in result.violations)
    ]
    yield from found[:_MOST_REASONS]
    if len(found) > _MOST_REASONS:
        yield f"- and {len(found) - _MOST_REASONS} more below"


def _told(felt: Sequence[Impact], limit: int) -> list[str]:
    """One line for each text, with all teams that it applies to."""
    groups: dict[str, list[str]] = {}
    for impact in felt:
        groups.setdefault(impact.text, []).append(impact.team)
    lines = [f"- {whom(sorted(teams))}: {prose(text, 600)}" for text, teams in list(groups.items())[:limit]]
    if len(groups) > limit:
        lines.append(f"- cut: {len(groups) - limit} more")
    return lines


_NOTABLE: Final = (
    "Team",
    "VirtualCluster",
    "KaiScheduler",
    "HostCluster",
    "NodePool",
    "Release",
    "Namespace",
    "Queue",
    "ResourceQuota",
)


def _kinds(steps: Sequence[Step], most: int = 7) -> str:
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.kind] = counts.get(step.kind, 0) + 1
    order = sorted(counts, key=lambda kind: (_NOTABLE.index(kind) if kind in _NOTABLE else len(_NOTABLE), kind))
    words = [kind if counts[kind] == 1 else f"{counts[kind]} {kind}" for kind in order]
    shown = ", ".join(prose(word) for word in words[:most])
    return shown if len(words) <= most else f"{shown} and {sum(counts[k] for k in order[most:])} more"


def _removals(report: Report, owners: Owners, limit: int) -> list[str]:
    rows = []
    again = sorted({owners.team_of(step) for step in report.preview.changes if runs_again(step)})
    note = [f"The GPU check runs again for {names([name or 'the host' for name in again])}.", ""] if again else []
    for op in (Op.UNKNOWN, Op.DELETE, Op.REPLACE):
        by_team: dict[str, list[Step]] = {}
        for step in report.preview.changes:
            if step.op is op and not runs_again(step):
                by_team.setdefault(owners.team_of(step), []).append(step)
        for team, steps in sorted(by_team.items()):
            reasons = sorted({reason for step in steps for reason in step.replace_reasons})
            what = (
                f"{code(steps[0].name, 80)} ({prose(steps[0].kind)})"
                if len(steps) == 1
                else f"{len(steps)} resources: {_kinds(steps)}"
            )
            why = ", ".join(code(reason, 60) for reason in reasons[:4]) if reasons else ""
            rows.append([f"**{prose(steps[0].operation, 40)}**", code(team) if team else "the host's", what, why])
    if not rows:
        return note
    if any(row[3] for row in rows):
        lines = table(["", "Team", "What", "Because of"], rows, limit)
    else:
        lines = table(["", "Team", "What"], [row[:3] for row in rows], limit)
    return ["### Deleted and replaced", "", *lines, *note]


def _head(report: Report, limit: int) -> str:
    picture = [f"![Pools and their teams after this change](<{target(report.picture)}>)", ""] if report.picture else []
    teams = team_states(report.base), team_states(report.head)
    errors = bool(report.preview.errors)
    lines = [
        marker(report.stack),
        _headline(report),
        "",
        *_summary(report, report.felt, limit),
        *(diagnostic_section(report.preview.diagnostics, limit) if errors else []),
        *_removals(report, report.owners, limit),
        "### GPU quota and limit",
        "",
        *gpu_table(*teams, limit),
        *pool_table(pool_states(report.base), pool_states(report.head), limit),
        *([report.hours, ""] if report.hours else []),
        *picture,
        *resource_table(*teams, limit),
        *version_table(version_changes(report.base, report.head, report.settings), limit),
        *policy_section(report.policies, limit),
        *([] if errors else diagnostic_section(report.preview.diagnostics, limit)),
    ]
    return "\n".join(lines)


def _foot(report: Report) -> str:
    operations = len(report.preview.operations())
    count = plural(operations, "operation")
    if report.preview.made_by == "engine":
        digest = f"digest `{report.preview.digest()}`: a merge is applied only if a fresh preview has the same"
        return f"<sub>Previewed on the cluster. {count}, {digest}.</sub>\n"
    by = prose(report.preview.made_by)
    return f"<sub>Previewed by {by}, which asked no real cluster. {count}; they approve nothing.</sub>\n"
