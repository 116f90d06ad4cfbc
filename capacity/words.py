"""How a verdict writes numbers, sums and lists. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NAMED: Final = 6
"""The most items that a message names; it counts the rest."""


def number(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if value == int(value) else str(value)


def added(parts: Sequence[tuple[str, float]]) -> str:
    """`ml 2 + research 1`; a long sum is cut and counted."""
    shown = [f"{name} {number(amount)}" for name, amount in parts[:NAMED]]
    rest = parts[NAMED:]
    return " + ".join([*shown, *([f"{len(rest)} more {number(sum(a for _, a in rest))}"] if rest else [])])


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """`a, b, c`; a list of more than `most` is cut and counted."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def plural(word: str, count: float) -> str:
    """`1 GPU`, `2 GPUs`."""
    return word if count == 1 else f"{word}s"
