"""How much work something is, counted and not timed: the same on every machine, busy or not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

World = TypeVar("World")

SIZES: Final = (5, 10, 15)
"""Numbers of teams, at equal distances."""


def calls(work: Callable[[World], object], world: World) -> int:
    """Return how many calls of Python functions `work` makes."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work(world)
    finally:
        sys.setprofile(before)
    return count


def grows_with_the_teams(work: Mapping[int, int]) -> bool:
    """Say whether the last five teams are as much work as the five before them.

    A tenth more is let pass: sorting is a little more than linear. What looks at each team for each team is 5/3 of it.
    """
    small, middle, large = (work[size] for size in SIZES)
    return large - middle <= (middle - small) * 1.1
