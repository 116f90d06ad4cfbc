"""The comment's tables: teams, pools, versions, policies, diagnostics. Pure.

Owns: the rows and their values, before and after.
Leaves to others: the numbers (`quota.py`, `versions.py`), the order of the sections (`comment.py`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from capacity import UNLIMITED
from preview.grouped import grouped
from preview.steps import Diagnostic, PolicyResult
from report.markdown import clean, code, details, fence, names, plural, prose, table
from report.quota import PoolState, TeamState, both
from report.versions import VersionChange

_State = TypeVar("_State")


def amount(value: int | None) -> str:
    """A number of GPUs; a dash where there is none."""
    return "–" if value is None else ("unlimited" if value == UNLIMITED else str(value))


def changed(before: str | None, after: str | None) -> str:
    """`4`, `4 → **8**`, or `~~4~~` for a removed value. None: no value."""
    if before == after or before is None:
        return after or "–"
    if after is None:
        return f"~~{before}~~"
    # no-break spaces: a number and its arrow stay on one line
    return f"{before}\u00a0→\u00a0**{after}**"


def each(read: Callable[[_State], str], before: _State | None, after: _State | None) -> str:
    """A cell about both sides."""
    return changed(None if before is None else read(before), None if after is None else read(after))


def _label(name: str, before: object, after: object) -> str:
    return code(name) + (" (new)" if before is None else " (removed)" if after is None else "")


def gpu_table(before: Mapping[str, TeamState], after: Mapping[str, TeamState], limit: int) -> list[str]:
    """GPU quota and limit of each team; those without a change are folded away."""
    moved: list[list[str]] = []
    same: list[list[str]] = []
    for name, was, now in both(before, after):
        state = now or was
        if state is None or not any(found.quota or found.limit for found in (was, now) if found):
            continue
        row = [
            _label(name, was, now),
            each(lambda team: team.pool or "none", was, now),
            each(lambda team: amount(team.quota), was, now),
            each(lambda team: amount(team.limit), was, now),
            each(lambda team: team.unit, was, now),
            each(lambda team: team.mode, was, now),
        ]
        unchanged = was is not None and now is not None and was.gpus == now.gpus
        (same if unchanged else moved).append(row)
    head = ["Team", "Pool", "Quota", "Limit", "Unit", "KAI"]
    lines = table(head, moved, limit, "llrrl") or ["No team's GPU quota or limit changes.", ""]
    return [*lines, *details(f"{plural(len(same), 'team')} without a change", table(head, same, limit, "llrrl"))]


def resource_table(before: Mapping[str, TeamState], after: Mapping[str, TeamState], limit: int) -> list[str]:
    """CPU, memory, pods and storage of the teams in which one of them changes."""
    rows = [
        [
            _label(name, was, now),
            each(lambda team: team.cpu, was, now),
            each(lambda team: team.memory, was, now),
            each(lambda team: str(team.pods), was, now),
            each(lambda team: team.storage, was, now),
        ]
        for name, was, now in both(before, after)
        if was is None or now is None or was.resources != now.resources
    ]
    found = table(["Team", "CPU (cores)", "Memory (GiB)", "Pods", "Storage (GiB)"], rows, limit, "lrrrr")
    return ["### CPU, memory, pods and storage", "", *found] if found else []


_BAR: Final = 24


def _bar(pool: PoolState) -> str:
    """A pool as one line of text: █ guaranteed, ▒ up to the limits, · free."""
    if pool.capacity == 0 or pool.quota == UNLIMITED:
        return ""
    quota = min(_BAR, round(_BAR * pool.quota / pool.capacity))
    limit = _BAR if pool.limit == UNLIMITED else min(_BAR, round(_BAR * pool.limit / pool.capacity))
    return "█" * quota + "▒" * max(0, limit - quota) + "·" * (_BAR - max(quota, limit))


def _capacity(pool: PoolState) -> str:
    return f"{pool.capacity} {pool.unit if pool.unit == 'GPU' else f'{pool.unit}s'}: {pool.layout}"


def pool_table(before: Mapping[str, PoolState], after: Mapping[str, PoolState], limit: int) -> list[str]:
    """Capacity of each GPU pool, its quotas, and what is left."""
    rows = []
    for name, was, now in both(before, after):
        if not any(found.capacity for found in (was, now) if found):
            continue  # a CPU pool
        rows.append(
            [
                code(name),
                each(_capacity, was, now),
                each(lambda pool: amount(pool.quota), was, now),
                each(lambda pool: amount(pool.left), was, now),
                each(lambda pool: amount(pool.limit), was, now),
                code(_bar(now)) if now is not None and _bar(now) else "",
            ]
        )
    head = ["Pool", "Capacity", "Quotas", "Left", "Limits", "█ quota ▒ limit · free"]
    return table(head, rows, limit, "llrrr")


def version_table(found: Sequence[VersionChange], limit: int) -> list[str]:
    """Versions that change, equal ones of several teams in one row."""
    rows = [
        [
            names(change.teams, 4) or "the host",
            prose(change.what),
            changed(change.before, change.after),
            prose(change.means),
        ]
        for change in found
    ]
    lines = table(["Team", "", "Version", "What happens"], rows, limit)
    return ["### Versions", "", *lines] if lines else []


def policy_section(policies: Sequence[PolicyResult], limit: int) -> list[str]:
    """The rules' results: broken rules first, then those with nothing to check; the rest is folded."""
    if not policies:
        return ["### Policies", "", "**not run**: no policy results came with this preview.", ""]
    loud, quiet = [], []
    for result in sorted(policies, key=lambda r: (not r.violations, not r.mandatory, r.name)):
        level = prose(result.level) or "–"
        if result.violations:
            word = "FAIL" if result.blocks else "warn"
            loud.append(
                [code(result.name), level, f"**{word}** ({len(result.violations)} of {result.checked} checked)"]
            )
        elif result.checked == 0:
            loud.append([code(result.name), level, "nothing to check (0 checked)"])
        else:
            quiet.append([code(result.name), level, f"pass ({result.checked} checked)"])
    head = ["Policy", "Level", "Result"]
    lines = ["### Policies", "", *table(head, loud, limit)]
    messages = [
        "\n".join(textwrap.wrap(f"{result.name}: {clean(message, 700)}", 110, subsequent_indent="    "))
        for result in policies
        for message in grouped(violation.message for violation in result.violations)
    ]
    if messages:
        shown = messages[:limit] + ([f"cut: {len(messages) - limit} more"] if len(messages) > limit else [])
        lines += [fence([line for message in shown for line in message.split("\n")], "text"), ""]
    checked = sum(result.checked for result in policies)
    summary = f"{len(quiet)} of {len(policies)} pass ({checked} checked in all)"
    return [*lines, *details(summary, table(head, quiet, limit))]


_MOST_DIAGNOSTICS: Final = 12


def diagnostic_section(diagnostics: Sequence[Diagnostic], limit: int) -> list[str]:
    """Errors of the preview as a section of their own; warnings folded away."""
    order = sorted(diagnostics, key=lambda d: (d.severity != "error", d.urn, d.message))
    if not order:
        return []
    shown = [
        f"{d.severity}: {clean(d.message, 1000)}" + (f"\n    at {clean(d.urn, 200)}" if d.urn else "")
        for d in order[: min(limit, _MOST_DIAGNOSTICS)]
    ]
    if len(order) > len(shown):
        shown.append(f"cut: {len(order) - len(shown)} more")
    body = [fence([line for message in shown for line in message.split("\n")], "text"), ""]
    if any(found.severity == "error" for found in diagnostics):
        return ["### Errors of the preview", "", *body]
    return details(plural(len(order), "warning") + " of the preview", body)
