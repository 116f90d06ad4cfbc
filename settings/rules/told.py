"""A verdict of `capacity` as a mistake at a path of the file."""

from __future__ import annotations

from capacity import Verdict
from settings.problems import Path, Problem


def told(verdict: Verdict, path: Path) -> Problem:
    """Return the verdict as a mistake at the path."""
    return Problem(path=path, rule=verdict.rule, got=verdict.got, fix=verdict.fix)
