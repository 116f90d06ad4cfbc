"""Turn any Python data into what a stack file can hold, within limits. Pure: no Pulumi import.

Owns: that later code never sees a type, a depth or an amount that no stack file has. Data comes from the engine and
from tests, too, and may contain itself.
Leaves to others: what the data means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

from settings.problems import Path, Problem, shown
from settings.reader import MOST_NESTED, MOST_NODES
from settings.values import Value

_INT64: Final = 2**63
_SECURE: Final = "secure"


class _TooMuchError(Exception):
    """More than a stack file can be."""


def plain(raw: object) -> tuple[Value, list[Problem]]:
    """Return the data, and problems of values that can't be part of a platform (None in the data). Never raises."""
    copier = _Copier()
    try:
        return copier.copy(raw, ()), copier.problems
    except _TooMuchError as error:
        return None, [Problem(path=(), rule=str(error), got=None, fix="divide it, or take levels out")]


class _Copier:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._nodes = 0

    def copy(self, value: object, path: Path) -> Value:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _TooMuchError(f"has more than {MOST_NODES:,} keys and values")
        if len(path) > MOST_NESTED:
            raise _TooMuchError(f"is nested deeper than {MOST_NESTED} levels")
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, list | tuple):
            return [self.copy(item, (*path, at)) for at, item in enumerate(value)]
        return self._scalar(value, path)

    def _mapping(self, value: Mapping[object, object], path: Path) -> Value:
        if list(value) == [_SECURE] and isinstance(value[_SECURE], str):
            return self._refuse(
                path,
                "is an encrypted value to the engine (a mapping with the one key secure)",
                None,
                "write the value itself; nothing here is secret",
            )
        found: dict[str, Value] = {}
        for key, item in value.items():
            step = self._text(key, path) if isinstance(key, str) else shown(key)
            if not isinstance(key, str):
                self._refuse((*path, step), "has a key that is no text", shown(key), "put it in quotes")
            found[step] = self.copy(item, (*path, step))
        return found

    def _scalar(self, value: object, path: Path) -> Value:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int):
            if -_INT64 <= value < _INT64:
                return int(value)
            return self._refuse(
                path, "has more digits than a number keeps (64 bits)", shown(value), "write a smaller number"
            )
        if isinstance(value, float):
            if not math.isfinite(value):
                return self._refuse(path, "must be a finite number", shown(value), "write a number")
            # the engine's second reading makes 2.0 a 2
            return int(value) if value.is_integer() and abs(value) < _INT64 else value
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        return self._refuse(
            path,
            "is neither text, number, true, false, date, list nor mapping",
            type(value).__name__,
            "write one of these",
        )

    def _text(self, text: str, path: Path) -> str:
        if text.isascii():
            return str(text)
        try:
            text.encode()
        except UnicodeEncodeError:
            self._refuse(path, "holds half a character (a lone surrogate)", None, "write it whole")
            return text.encode(errors="backslashreplace").decode()
        return str(text)

    def _refuse(self, path: Path, rule: str, got: str | None, fix: str) -> Value:
        """Note the problem, and return None in place of the value."""
        self.problems.append(Problem(path=path, rule=rule, got=got, fix=fix))
        return None
