"""One mistake of a stack file, and the one error that carries all of them. Pure: no Pulumi import.

Owns: the wording's shape (path, rule, value got, fix) and the order. Leaves to others: finding the mistakes (`load.py`
for the shape, `rules.py` across fields).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from `gpu-tenancy:platform` down; `()` is the platform itself."""

Lines: TypeAlias = Mapping[Path, int]
"""Line number in the stack file by path. Empty when the settings did not come from a file."""

_LONGEST_VALUE: Final = 80
"""A value is quoted up to here: enough to recognise it, too short to spill a pasted kubeconfig into a log."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake: where, which rule, what was found, what to do."""

    path: Path
    rule: str
    got: str | None
    fix: str
    reads: tuple[Path, ...] = ()
    """Further paths the rule looked at. Where one of them is broken itself, this problem is only its echo."""
    line: int | None = None

    def text(self, where: str, lines: Lines) -> str:
        """The mistake as one line: `Pulumi.dev.yaml:12: teams.ml.pool: ...`."""
        line = self.line if self.line is not None else line_of(self.path, lines)
        place = where if line is None else f"{where}:{line}"
        got = "" if self.got is None else f", got {self.got}"
        subject = dotted(self.path)
        return f"{place}: {subject}{': ' if subject else ''}{self.rule}{got}; {self.fix}"


class SettingsError(Exception):
    """The stack file is not valid. Its text names every mistake, one a line."""

    def __init__(self, where: str, problems: Iterable[Problem], lines: Lines | None = None) -> None:
        known = lines or {}
        self.where = where
        self.problems = tuple(
            sorted(problems, key=lambda problem: problem.line or line_of(problem.path, known) or 0),
        )
        count = len(self.problems)
        head = f"{where}: {count} mistake{'' if count == 1 else 's'}, nothing was changed"
        super().__init__("\n".join([head, *(f"  {problem.text(where, known)}" for problem in self.problems)]))


def dotted(path: Path) -> str:
    """`teams.ml.queues.training`, `overrides[0].team`; a key with a dot in it is put in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or not step:
            text += f"[{step!r}]"
        else:
            text += f".{step}" if text else step
    return text


def line_of(path: Path, lines: Lines) -> int | None:
    """The line of the path, or of the nearest thing above it that has one (a missing key has no line)."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def shown(value: object) -> str:
    """A value for an error: on one line, quoted where it is text, cut where it is long."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple) and any(isinstance(item, dict | list) for item in value):
        return "a list"
    if isinstance(value, str) and "\n" in value:
        return f"text of {value.count(chr(10)) + 1} lines"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def overlaps(one: Path, other: Path) -> bool:
    """Whether one path is the other or lies below it."""
    short = min(len(one), len(other))
    return one[:short] == other[:short]
