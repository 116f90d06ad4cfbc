"""Each pool as a picture: its teams as blocks, quota solid, limit as outline, what is free. Pure, deterministic SVG.

Owns: layout and colours of the picture. It has its own background and follows the viewer's light or dark mode.
Leaves to others: the numbers (`quota.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from capacity import UNLIMITED
from report.quota import PoolState, TeamState, both, pool_states
from settings.models import Platform

WIDTH: Final = 960
_MARGIN: Final = 24
_INNER: Final = WIDTH - 2 * _MARGIN
_CELL_GAP: Final = 14
_CELL_MIN: Final = 104
"""Wide enough for a name of 16 characters in the label's font."""
_ROW: Final = 58
_BLOCK: Final = 22
_CHARACTER: Final = 6.4
"""Mean width of a character at 12 px in the common sans-serif fonts."""

_STYLE: Final = """\
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:600}.dim{fill:#59636e}.mark{font-weight:600}
.card{fill:#ffffff;stroke:#d1d9e0}
.track{fill:#eff2f5}.free{fill:none;stroke:#818b98;stroke-dasharray:3 3}
.quota{fill:#5b84c4}.limit{fill:#5b84c4;fill-opacity:.16;stroke:#5b84c4;stroke-width:1.5}
.changed .quota{fill:#d9822b}.changed .limit{fill:#d9822b;stroke:#d9822b}
.new .quota{fill:#2f9e5b}.new .limit{fill:#2f9e5b;stroke:#2f9e5b}
.gone .quota{fill:none}.gone .limit{fill:none;stroke:#cf222e;stroke-dasharray:4 3}
.changed .mark{fill:#9a5a12}.new .mark{fill:#1a7f37}.gone .mark{fill:#cf222e}.over{fill:#cf222e}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}.dim{fill:#9198a1}.card{fill:#0d1117;stroke:#3d444d}.track{fill:#21262d}
.changed .mark{fill:#f0a957}.new .mark{fill:#57d38c}.gone .mark{fill:#ff7b72}.over{fill:#ff7b72}}
"""


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One team in one pool, placed."""

    state: str
    name: str
    note: str
    quota: int
    limit: int
    tip: str


def _amount(value: int) -> str:
    return "∞" if value == UNLIMITED else str(value)


def _units(amount: int, pool: PoolState) -> str:
    return f"{amount} {pool.unit}{'s' if pool.unit != 'GPU' and amount != 1 else ''}"


def _fit(text: str, width: float) -> str:
    most = max(3, int(width / _CHARACTER))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _clean(text: str) -> str:
    """XML text: markup escaped, characters that XML forbids left out."""
    return escape("".join(c for c in text if c.isprintable()), quote=True)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    attributes = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{_clean(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{max(width, 0):.4g}" height="{height:g}" rx="3"/>'


def _cells(before: PoolState | None, after: PoolState | None) -> Iterator[_Cell]:
    old: dict[str, TeamState] = {team.name: team for team in before.teams} if before else {}
    new: dict[str, TeamState] = {team.name: team for team in after.teams} if after else {}
    for name, was, now in both(old, new):
        shown = now or was
        if shown is None:
            continue
        amounts = f"{_amount(shown.quota)} / {_amount(shown.limit)}"
        if now is None:
            state, note = "gone", "removed"
        elif was is None:
            state, note = (
                ("new" if before is not None else "same"),
                (f"{amounts} new" if before is not None else amounts),
            )
        elif (was.quota, was.limit) != (now.quota, now.limit):
            state, note = "changed", f"{_amount(was.quota)} / {_amount(was.limit)} → {amounts}"
        else:
            state, note = "same", amounts
        nodes = f", only on {', '.join(shown.nodes)}" if shown.nodes else ""
        tip = f"{name}: quota {_amount(shown.quota)}, limit {_amount(shown.limit)} {shown.unit}, {shown.mode}{nodes}"
        yield _Cell(state=state, name=name, note=note, quota=shown.quota, limit=shown.limit, tip=tip)


def _pool(before: PoolState | None, after: PoolState | None, top: float) -> tuple[list[str], float]:
    """The elements of one pool from `top` on, and where the next one may begin."""
    pool = after or before
    assert pool is not None, "a pool is on one side at least"
    # changes first, because a reviewer looks for them; the rest by name
    cells = sorted(_cells(before, after), key=lambda cell: (cell.state == "same", cell.name))
    largest = max([pool.capacity, *(cell.limit for cell in cells)], default=1)
    # one scale for a pool; the largest team leaves half a line to its neighbours
    unit = min(28.0, _INNER / 2 / max([1, *(largest if c.limit == UNLIMITED else c.limit for c in cells)]))
    what = f"{pool.layout} = {_units(pool.capacity, pool)}"
    y = top + 26
    lines = [_text(_MARGIN, y, pool.name, "title"), _text(_MARGIN + 10 + len(pool.name) * 9, y, what, "dim")]
    if after is None:
        lines.append(_text(WIDTH - _MARGIN, y, "pool removed", "over", "end"))
    else:
        left = pool.left
        word = (
            "a quota is unlimited"
            if left is None
            else f"{pool.quota} promised, {left} left"
            if left >= 0
            else f"{-left} too many promised"
        )
        lines.append(_text(WIDTH - _MARGIN, y, word, "over" if left is None or left < 0 else "dim", "end"))
    y += 10
    lines.append(_rect(_MARGIN, y, _INNER, 8, "track"))
    if after is not None and pool.capacity:
        limit = pool.capacity if pool.limit == UNLIMITED else min(pool.limit, pool.capacity)
        quota = pool.capacity if pool.quota == UNLIMITED else min(pool.quota, pool.capacity)
        lines.append(_rect(_MARGIN, y, _INNER * limit / pool.capacity, 8, "limit"))
        lines.append(_rect(_MARGIN, y, _INNER * quota / pool.capacity, 8, "quota"))
    y += 20
    x = float(_MARGIN)
    for cell in cells:
        limit = largest if cell.limit == UNLIMITED else cell.limit
        quota = limit if cell.quota == UNLIMITED else cell.quota
        width = max(_CELL_MIN, limit * unit, len(cell.note) * _CHARACTER)
        if x > _MARGIN and x + width > WIDTH - _MARGIN:
            x, y = float(_MARGIN), y + _ROW
        lines.append(f'<g class="{cell.state}"><title>{_clean(cell.tip)}</title>')
        lines.append(_text(x, y + 11, _fit(cell.name, width)))
        lines.append(_text(x, y + 25, cell.note, "mark" if cell.state != "same" else "dim"))
        lines.append(_rect(x, y + 30, max(limit * unit, 2), _BLOCK - 4, "limit"))
        if quota:
            lines.append(_rect(x, y + 30, quota * unit, _BLOCK - 4, "quota"))
        lines.append("</g>")
        x += width + _CELL_GAP
    # the bar on top shows it, too; it has its own block only where that stays visible
    if after is not None and pool.left is not None and 0 < pool.left * unit <= _INNER / 3:
        width = max(_CELL_MIN, pool.left * unit)
        if x > _MARGIN and x + width > WIDTH - _MARGIN:
            x, y = float(_MARGIN), y + _ROW
        lines.append(_text(x, y + 11, "left", "dim"))
        lines.append(_text(x, y + 25, _units(pool.left, pool), "dim"))
        lines.append(_rect(x, y + 30, pool.left * unit, _BLOCK - 4, "free"))
    return lines, y + _ROW + 14


def _legend(y: float) -> Iterable[str]:
    x = float(_MARGIN)
    for state, kind, words in (
        ("same", "quota", "2 / 4: quota (guaranteed)"),
        ("same", "limit", "/ limit (hard cap)"),
        ("changed", "quota", "changed"),
        ("new", "quota", "new"),
        ("gone", "limit", "removed"),
        ("same", "free", "promised to nobody"),
    ):
        yield f'<g class="{state}">{_rect(x, y, 18, 12, kind)}</g>'
        yield _text(x + 24, y + 10, words, "dim")
        x += 24 + len(words) * _CHARACTER + 26


def draw(base: Platform | None, head: Platform | None, *, stack: str) -> str:
    """The SVG of every pool of both stack files. A label `2 / 4` reads: quota 2, limit 4, in the pool's unit."""
    body: list[str] = []
    y = 50.0
    for _, before, after in both(pool_states(base), pool_states(head)):
        if not any(pool.capacity for pool in (before, after) if pool):
            continue  # a CPU pool
        lines, y = _pool(before, after, y)
        body += lines
    height = y + 8
    title = f"GPU pools of {stack}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" '
            f'viewBox="0 0 {WIDTH} {height:g}" role="img">',
            f"<title>{_clean(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1:g}" rx="6"/>',
            *_legend(20),
            *body,
            "</svg>",
            "",
        ]
    )
