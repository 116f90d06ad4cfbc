"""What a stack file with one change is told."""

from __future__ import annotations

from collections.abc import Mapping

from tests.settings.build import mistakes


def told(changes: Mapping[str, object], *parts: str) -> None:
    """There is one mistake, and it says all of this."""
    lines = mistakes(changes)
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0]


def fine(changes: Mapping[str, object] | None = None) -> None:
    assert mistakes(changes) == []
