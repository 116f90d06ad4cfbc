"""One mistake of a stack file, and the one error that carries all of them. Pure: no Pulumi import.

Owns: the form of a message (path, rule, value got, fix), the order, and how much of a user's text a message shows.
Leaves to others: finding the mistakes (`reader.py` in the text, `wording.py` in the shape, `rules/` across fields).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from capacity import Verdict

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from `gpu-tenancy:platform` down; `()` is the platform itself."""

Lines: TypeAlias = Mapping[Path, int]
"""Line number in the stack file by path. Empty when the settings did not come from a file."""

MOST_TOLD: Final = 100
"""The most mistakes that an error lists; it counts the rest. Nobody corrects more at once, and there may be thousands.
"""

_LONGEST_VALUE: Final = 80
"""The most characters of a value in a message: enough to recognise it, too few to show a pasted kubeconfig in a log."""

_MOST_LINES: Final = 3
"""A text with more lines is a pasted file: a message counts its lines instead of quoting it."""

_LONGEST_NUMBER: Final = 64
"""Bits. A message says how many digits a longer integer has: Python refuses to print one of 5,000 digits."""

_CREDENTIALS: Final = re.compile(r"(?<=//)[^/@\s]+(?=@)|^[^/@\s:]+:[^/@\s]+(?=@(?!sha256:))")
"""User and password in a URL, or before a host without a scheme."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake: where, which rule, what was found, what to do."""

    path: Path
    rule: str
    got: str | None
    fix: str
    line: int | None = None

    @classmethod
    def of(cls, path: Path, sentence: str) -> Problem:
        """Return the mistake at the path from a sentence `rule, got value; fix` without a place."""
        head, _, fix = sentence.partition("; ")
        rule, _, got = head.rpartition(", got ")
        return cls(path=path, rule=rule or head, got=got if rule else None, fix=fix or "correct it")

    @classmethod
    def told(cls, verdict: Verdict, path: Path) -> Problem:
        """Return a verdict of the arithmetic as the mistake at the path."""
        return cls(path=path, rule=verdict.rule, got=verdict.got, fix=verdict.fix)

    def text(self, where: str, lines: Lines) -> str:
        """The mistake as one line: `Pulumi.dev.yaml:12: teams.ml.pool: ...`."""
        line = self.line if self.line is not None else line_of(self.path, lines)
        place = where if line is None else f"{where}:{line}"
        got = "" if self.got is None else f", got {self.got}"
        subject = dotted(self.path)
        return escaped(f"{place}: {subject}{': ' if subject else ''}{self.rule}{got}; {self.fix}")


class SettingsError(Exception):
    """The stack file is not valid. The text names every mistake, one on each line, up to `MOST_TOLD`."""

    def __init__(self, where: str, problems: Iterable[Problem], lines: Lines | None = None) -> None:
        known = lines or {}
        self.where = where
        self.problems = tuple(
            sorted(problems, key=lambda problem: problem.line or line_of(problem.path, known) or 0),
        )
        count = len(self.problems)
        head = f"{escaped(where)}: {count} mistake{'' if count == 1 else 's'}, nothing was changed"
        told = [f"  {problem.text(where, known)}" for problem in self.problems[:MOST_TOLD]]
        rest = [f"  ... and {count - MOST_TOLD} more"] if count > MOST_TOLD else []
        super().__init__("\n".join([head, *told, *rest]))


def dotted(path: Path) -> str:
    """`teams.ml.queues.training`, `overrides[0].team`. A key with a dot gets brackets, a long key is cut."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or not step or len(step) > _LONGEST_VALUE:
            text += f"[{shown(step)}]"
        else:
            text += f".{step}" if text else step
    return text


def line_of(path: Path, lines: Lines) -> int | None:
    """The line of the path, or of the nearest thing above it that has one (a missing key has no line)."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def escaped(text: str) -> str:
    """A text on one line. Control, direction-changing and invisible characters and line breaks are shown as `\\x1b` or
    `\\u202e`. Every message with a user's text goes through this.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def shown(value: object) -> str:
    """A value for an error: on one line, text in quotes, a long value cut, a URL without its password."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        return "a list"
    if isinstance(value, list | tuple):
        return _cut(f"[{', '.join(shown(item) for item in value[:_LONGEST_VALUE])}]")
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return f"a number of some {int(value.bit_length() * 0.30103) + 1} digits"
    if isinstance(value, str):
        if value.count("\n") >= _MOST_LINES:
            return f"text of {value.count(chr(10)) + 1} lines"
        # a password may be longer than the part that is shown, so it is removed before the cut
        return _cut(repr(_CREDENTIALS.sub("[...]", value[: 100 * _LONGEST_VALUE])))
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def below(path: Path, top: Path) -> bool:
    """Whether the path is `top` or lies below it."""
    return path[: len(top)] == top
