"""One Markdown comment about one stack of a pull request. Pure.

Owns: what a reviewer reads first, tables, collapsed diffs, the size budget, and that no name, value or message can
break out of its place in the Markdown.
Leaves to others: numbers (`quota.py`), meaning (`impact.py`), secrets (`redact.py`), the picture (`picture.py`).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final
from urllib.parse import quote

from capacity import UNLIMITED
from preview.steps import Op, PolicyResult, Preview, Step
from report.diff import diff_lines, learn_step
from report.impact import EVERYONE, Gravity, Impact, Owners, impacts, runs_again
from report.quota import PoolState, TeamState, both, pool_states, team_states
from report.redact import Redactor
from report.versions import VersionChange, version_changes
from settings.models import Platform

GITHUB_LIMIT: Final = 65_536
"""Characters of a comment; GitHub answers a longer one with 422."""
BUDGET: Final = 60_000
"""Ours, below it: the poster adds a line or two, and other forges count bytes."""

_ROW_LIMITS: Final = (120, 40, 12, 4)
"""Rows of a table, tried in this order until everything but the diffs fits."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one comment is about. base absent: a new stack. head absent: the stack goes."""

    stack: str
    base: Platform | None
    head: Platform | None
    preview: Preview
    policies: tuple[PolicyResult, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences of the caller that belong on top, such as which code made the preview."""
    picture: str | None = None
    """URL or relative path of the picture."""


def marker(stack: str) -> str:
    """The first line of a stack's comment: whoever posts updates the comment that begins with it."""
    return f"<!-- gpu-tenancy report: {re.sub(r'[^A-Za-z0-9._-]', '-', stack)} -->"


def render(report: Report, redactor: Redactor, *, budget: int = BUDGET) -> str:
    """The comment, at most `budget` characters long, with a line that says what was cut.

    Raises `ValueError` for a budget in which not even the tables' heads fit (some 4,000 characters).
    """
    redactor.keep({report.stack, *team_states(report.base), *team_states(report.head)})
    redactor.keep({*pool_states(report.base), *pool_states(report.head)})
    for step in report.preview.steps:
        # every secret is known before the first line is written, wherever it sits
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
    diffs = _diffs(report, redactor, room=budget - len(head) - len(foot) - 2)
    return redactor.text(f"{head}\n{diffs}{foot}")


# --- words that cannot break out -------------------------------------------------------------------------------------

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def _clean(text: str, longest: int = 300) -> str:
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= longest else f"{text[:longest]}…"


def code(text: str, longest: int = 300) -> str:
    """Anything as a code span, also inside a table: no mention, no link, no markup comes alive in it."""
    inner = _clean(text, longest).replace("`", "ˋ").replace("|", "\\|")
    return f"`{inner}`" if inner else "–"


def prose(text: str, longest: int = 400) -> str:
    """A sentence with names in it, escaped."""
    escaped = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", _clean(text, longest))
    return escape(escaped, quote=False).replace("@", "@\u200b").replace("://", ":\u200b//")


def fence(lines: Sequence[str], language: str = "") -> str:
    """Lines in a fence longer than any run of backticks in them."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    bar = "`" * max(3, longest + 1)
    return "\n".join([f"{bar}{language}", *lines, bar])


def _target(address: str) -> str:
    """A link's target inside <>, with nothing in it that ends it."""
    return quote(_clean(address, 2000), safe="/:?&=#%.~_+,@-")


def _names(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(f"**{prose(name)}**" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _whom(teams: Sequence[str]) -> str:
    return "**every team**" if EVERYONE in teams else _names(teams)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int, align: str = "") -> list[str]:
    if not rows:
        return []
    marks = [{"r": "---:", "c": ":---:"}.get(mark, "---") for mark in align.ljust(len(head), "l")]
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(marks)}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows[:limit]]
    if len(rows) > limit:
        lines.append(f"\ncut: {len(rows) - limit} more rows of this table.")
    return [*lines, ""]


def _details(summary: str, lines: Sequence[str]) -> list[str]:
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "</details>", ""] if lines else []


# --- before and after ------------------------------------------------------------------------------------------------


def _amount(value: int | None) -> str:
    return "–" if value is None else ("unlimited" if value == UNLIMITED else str(value))


def _changed(before: str | None, after: str | None) -> str:
    """`4`, `4 → **8**`, or `~~4~~` for what goes. None: not there."""
    if before == after or before is None:
        return after or "–"
    if after is None:
        return f"~~{before}~~"
    # no-break spaces: a number and its arrow stay on one line
    return f"{before}\u00a0→\u00a0**{after}**"


def _each(read: Callable[[TeamState], str], before: TeamState | None, after: TeamState | None) -> str:
    return _changed(None if before is None else read(before), None if after is None else read(after))


# --- sections --------------------------------------------------------------------------------------------------------


def _headline(report: Report) -> str:
    preview = report.preview
    words = {Op.CREATE: "create", Op.UPDATE: "update", Op.REPLACE: "replace", Op.DELETE: "delete"}
    counts = ", ".join(
        f"**{preview.count(op)} to {word}**"
        if op in (Op.REPLACE, Op.DELETE) and preview.count(op)
        else f"{preview.count(op)} to {word}"
        for op, word in words.items()
    )
    if not preview.sound:
        return f"## {code(report.stack)}: the preview failed"
    return f"## {code(report.stack)}: {counts}" if preview.changes else f"## {code(report.stack)}: no changes"


def _summary(report: Report, felt: Sequence[Impact], limit: int) -> list[str]:
    lines: list[str] = []
    preview = report.preview
    failed = [result for result in report.policies if blocks(result)]
    if not preview.sound:
        lines += [
            "> [!CAUTION]",
            "> The preview did not end well, so this report is not the whole change. Errors are below.",
            "",
        ]
    if failed:
        lines += [
            "> [!CAUTION]",
            f"> This change is refused by {', '.join(code(result.name, 60) for result in failed[:6])}"
            + (f" and {len(failed) - 6} more." if len(failed) > 6 else "."),
            "",
        ]
    disruptive = [impact for impact in felt if impact.gravity in (Gravity.LOSS, Gravity.AWAY)]
    if disruptive:
        loses = sorted({impact.team for impact in disruptive if impact.gravity is Gravity.LOSS})
        waits = sorted({impact.team for impact in disruptive} - set(loses))
        words = [
            f"{verb}: {_whom(teams)}."
            for verb, teams in (("removed or made anew", loses), ("interrupted for a moment", waits))
            if teams
        ]
        lines += [
            "> [!CAUTION]" if loses else "> [!WARNING]",
            f"> Disruptive. {' '.join(word[0].upper() + word[1:] for word in words)}",
            "",
        ]
    elif preview.changes and preview.sound:
        lines += ["Disruptive for nobody.", ""]
    lines += [f"> {prose(note)}\n" for note in report.notes]
    groups: dict[tuple[Gravity, str], list[str]] = {}
    for impact in felt:
        groups.setdefault((impact.gravity, impact.text), []).append(impact.team)
    for (_, text), teams in list(groups.items())[:limit]:
        lines.append(f"- {_whom(sorted(teams))}: {prose(text)}")
    if len(groups) > limit:
        lines.append(f"- cut: {len(groups) - limit} more")
    return [*lines, ""]


def _mandatory(result: PolicyResult) -> bool:
    return result.level in ("mandatory", "remediate")


def blocks(result: PolicyResult) -> bool:
    """Whether this result refuses the change."""
    return bool(result.violations) and _mandatory(result)


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


def _kind(step: Step) -> str:
    return step.type.rsplit(":", 1)[-1]


def _kinds(steps: Sequence[Step], most: int = 7) -> str:
    counts: dict[str, int] = {}
    for step in steps:
        counts[_kind(step)] = counts.get(_kind(step), 0) + 1
    order = sorted(counts, key=lambda kind: (_NOTABLE.index(kind) if kind in _NOTABLE else len(_NOTABLE), kind))
    words = [kind if counts[kind] == 1 else f"{counts[kind]} {kind}" for kind in order]
    shown = ", ".join(prose(word) for word in words[:most])
    return shown if len(words) <= most else f"{shown} and {sum(counts[k] for k in order[most:])} more"


def _removals(report: Report, owners: Owners, limit: int) -> list[str]:
    rows = []
    again = sorted({owners.team_of(step) for step in report.preview.changes if runs_again(step)})
    note = [f"The GPU check runs again for {_names([name or 'the host' for name in again])}.", ""] if again else []
    for op in (Op.DELETE, Op.REPLACE):
        by_team: dict[str, list[Step]] = {}
        for step in report.preview.changes:
            if step.op is op and not runs_again(step):
                by_team.setdefault(owners.team_of(step), []).append(step)
        for team, steps in sorted(by_team.items()):
            reasons = sorted({reason for step in steps for reason in step.replace_reasons})
            what = (
                f"{code(steps[0].name, 80)} ({prose(_kind(steps[0]))})"
                if len(steps) == 1
                else f"{len(steps)} resources: {_kinds(steps)}"
            )
            why = ", ".join(code(reason, 60) for reason in reasons[:4]) if reasons else ""
            rows.append([f"**{op.value}**", code(team) if team else "the host's", what, why])
    if not rows:
        return note
    if any(row[3] for row in rows):
        table = _table(["", "Team", "What", "Because of"], rows, limit)
    else:
        table = _table(["", "Team", "What"], [row[:3] for row in rows], limit)
    return ["### Deleted and replaced", "", *table, *note]


_BAR: Final = 24


def _bar(pool: PoolState) -> str:
    """A pool as one line of text: █ guaranteed, ▒ up to the limits, · free."""
    if pool.capacity == 0 or pool.quota == UNLIMITED:
        return ""
    quota = min(_BAR, round(_BAR * pool.quota / pool.capacity))
    limit = _BAR if pool.limit == UNLIMITED else min(_BAR, round(_BAR * pool.limit / pool.capacity))
    return "█" * quota + "▒" * max(0, limit - quota) + "·" * (_BAR - max(quota, limit))


def _capacity(pool: PoolState) -> str:
    shared = f" × {pool.replicas} replicas" if pool.replicas > 1 else ""
    nodes = _plural(pool.size, "node")
    unit = pool.unit if pool.unit == "GPU" else "replicas"
    return f"{pool.capacity} {unit}: {nodes} × {pool.gpus_per_node} GPU{shared}"


def _pools(report: Report, limit: int) -> list[str]:
    rows = []
    for name, before, after in both(pool_states(report.base), pool_states(report.head)):
        if not any(found.capacity for found in (before, after) if found):
            continue  # a CPU pool

        def cell(
            read: Callable[[PoolState], str], before: PoolState | None = before, after: PoolState | None = after
        ) -> str:
            return _changed(None if before is None else read(before), None if after is None else read(after))

        rows.append(
            [
                code(name),
                cell(_capacity),
                cell(lambda pool: _amount(pool.quota)),
                cell(lambda pool: _amount(pool.left)),
                cell(lambda pool: _amount(pool.limit)),
                code(_bar(after)) if after is not None and _bar(after) else "",
            ]
        )
    head = ["Pool", "Capacity", "Quotas", "Left", "Limits", "█ quota ▒ limit · free"]
    return _table(head, rows, limit, "llrrr")


def _teams(report: Report, limit: int) -> list[str]:
    changed: list[list[str]] = []
    same: list[list[str]] = []
    for name, before, after in both(team_states(report.base), team_states(report.head)):
        state = after or before
        if state is None or not any(found.quota or found.limit for found in (before, after) if found):
            continue
        label = code(name) + (" (new)" if before is None else " (removed)" if after is None else "")
        row = [
            label,
            _each(lambda team: team.pool or "none", before, after),
            _each(lambda team: _amount(team.quota), before, after),
            _each(lambda team: _amount(team.limit), before, after),
            state.unit,
            _each(lambda team: team.mode, before, after),
        ]
        (same if before == after else changed).append(row)
    head = ["Team", "Pool", "Quota", "Limit", "Unit", "KAI"]
    lines = _table(head, changed, limit, "llrrl") or ["No team's GPU quota or limit changes.", ""]
    return [*lines, *_details(f"{_plural(len(same), 'team')} without a change", _table(head, same, limit, "llrrl"))]


def _versions(changes: Sequence[VersionChange], limit: int) -> list[str]:
    rows = []
    for change in changes:
        rows.append(
            [
                _names(change.teams, 4) or "the host",
                prose(change.what),
                _changed(change.before, change.after),
                prose(change.means),
            ]
        )
    table = _table(["Team", "", "Version", "What happens"], rows, limit)
    return ["### Versions", "", *table] if table else []


def _policies(report: Report, limit: int) -> list[str]:
    if not report.policies:
        return ["### Policies", "", "**not run**: no policy results came with this preview.", ""]
    loud, quiet = [], []
    for result in sorted(report.policies, key=lambda r: (not r.violations, not _mandatory(r), r.name)):
        level = prose(result.level) or "–"
        if result.violations:
            word = "FAIL" if blocks(result) else "warn"
            loud.append(
                [code(result.name), level, f"**{word}** ({len(result.violations)} of {result.checked} checked)"]
            )
        elif result.checked == 0:
            loud.append([code(result.name), level, "nothing to check (0 checked)"])
        else:
            quiet.append([code(result.name), level, f"pass ({result.checked} checked)"])
    head = ["Policy", "Level", "Result"]
    lines = ["### Policies", "", *_table(head, loud, limit)]
    messages = [
        "\n".join(
            textwrap.wrap(f"{result.name}: {_clean(violation.message, 500)}", 110, subsequent_indent="    ")
            + ([f"    at {_clean(violation.where, 200)}"] if violation.where else [])
        )
        for result in report.policies
        for violation in result.violations
    ]
    if messages:
        shown = messages[:limit] + ([f"cut: {len(messages) - limit} more"] if len(messages) > limit else [])
        lines += [fence([line for message in shown for line in message.split("\n")], "text"), ""]
    checked = sum(result.checked for result in report.policies)
    return [
        *lines,
        *_details(
            f"{len(quiet)} of {len(report.policies)} pass ({checked} checked in all)", _table(head, quiet, limit)
        ),
    ]


def _diagnostics(report: Report, limit: int) -> list[str]:
    order = sorted(report.preview.diagnostics, key=lambda d: (d.severity != "error", d.urn, d.message))
    if not order:
        return []
    shown = [
        f"{d.severity}: {_clean(d.message, 1000)}" + (f"\n    at {_clean(d.urn, 200)}" if d.urn else "")
        for d in order[: min(limit, 12)]
    ]
    if len(order) > len(shown):
        shown.append(f"cut: {len(order) - len(shown)} more")
    body = [fence([line for message in shown for line in message.split("\n")], "text"), ""]
    if report.preview.errors:
        return ["### Errors of the preview", "", *body]
    return _details(_plural(len(order), "warning") + " of the preview", body)


def _head(report: Report, limit: int) -> str:
    felt = impacts(report.base, report.head, report.preview)
    owners = Owners(report.preview, frozenset({*team_states(report.base), *team_states(report.head)}))
    picture = [f"![Pools and their teams after this change](<{_target(report.picture)}>)", ""] if report.picture else []
    lines = [
        marker(report.stack),
        _headline(report),
        "",
        *_summary(report, felt, limit),
        *(_diagnostics(report, limit) if report.preview.errors else []),
        *_removals(report, owners, limit),
        "### GPU quota and limit",
        "",
        *_teams(report, limit),
        *_pools(report, limit),
        *picture,
        *_versions(version_changes(report.base, report.head), limit),
        *_policies(report, limit),
        *([] if report.preview.errors else _diagnostics(report, limit)),
    ]
    return "\n".join(lines)


def _foot(report: Report) -> str:
    operations = len(report.preview.operations())
    count = _plural(operations, "operation")
    if report.preview.made_by == "engine":
        digest = f"digest `{report.preview.digest()}`: a merge is applied only if a fresh preview has the same"
        return f"<sub>Previewed on the cluster. {count}, {digest}.</sub>\n"
    by = prose(report.preview.made_by)
    return f"<sub>Previewed by {by}, which asked no real cluster. {count}; they approve nothing.</sub>\n"


# --- diffs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Block:
    """What changes for one team, resource by resource; equal blocks of several teams are shown once."""

    teams: tuple[str, ...]
    worst: int
    counts: str
    chunks: tuple[tuple[str, ...], ...]


def _blank(text: str, team: str) -> str:
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(team)}(?![A-Za-z0-9])", "‹team›", text) if team else text


def _blocks_of(report: Report, redactor: Redactor) -> list[_Block]:
    owners = Owners(report.preview, frozenset({*team_states(report.base), *team_states(report.head)}))
    by_team: dict[str, list[Step]] = {}
    for step in report.preview.changes:
        by_team.setdefault(owners.team_of(step), []).append(step)
    order = list(Op)
    merged: dict[tuple[tuple[str, ...], ...], _Block] = {}
    for team, steps in sorted(by_team.items()):
        chunks = tuple(
            (
                redactor.text(f"@@ {step.op.value} {_kind(step)} {_clean(step.name, 120)} @@"),
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


def _diffs(report: Report, redactor: Redactor, *, room: int) -> str:
    blocks = _blocks_of(report, redactor)
    if not blocks:
        return ""
    title = "### Changes, team by team\n\n"
    tail = 140  # the cut line
    left = room - len(title) - tail
    parts: list[str] = []
    cut = 0
    for block in blocks:
        whom = (
            "the host" if block.teams == (EVERYONE,) else ", ".join(f"<b>{_html(name)}</b>" for name in block.teams[:4])
        )
        if len(block.teams) > 4:
            whom += f" and {len(block.teams) - 4} more"
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
    return escape(_clean(text), quote=False).replace("@", "@\u200b")
