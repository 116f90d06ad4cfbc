"""The differences between two JSON values, path by path: the one comparison of engine, lab and reports. Pure.

Owns: the walk, and how a path is written (as the engine writes it: `spec.hard["requests.cpu"]`, `nodes[0]`).
Leaves to others: which values may be shown (`report/redact.py`), what a difference means (`kinds.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from pydantic import JsonValue

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top down; `()` is the whole value."""

_PLAIN_KEY: Final = re.compile(r"[^.\[\]\"/]+")


class Absent(Enum):
    """In place of a value where there is none; null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
Value: TypeAlias = JsonValue | Absent


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One path where two values differ. `old` or `new` is `ABSENT` where only the other side has a value."""

    path: Path
    old: Value
    new: Value

    @property
    def kind(self) -> str:
        """The engine's kind: `add`, `delete` or `update`."""
        if self.old is ABSENT:
            return "add"
        return "delete" if self.new is ABSENT else "update"


def differences(old: Value, new: Value, path: Path = ()) -> Iterator[Difference]:
    """Yield every path where the two differ, in the order of their keys.

    Mappings are compared key by key, lists position by position. A value that only one side has is one difference, with
    everything below it.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            one = old[index] if index < len(old) else ABSENT
            other = new[index] if index < len(new) else ABSENT
            yield from differences(one, other, (*path, index))
    elif not _same(old, new):
        yield Difference(path=path, old=old, new=new)


def leaves(value: Value, path: Path = ()) -> Iterator[tuple[Path, JsonValue]]:
    """Yield every value without values below it, with its path. An empty mapping or list is such a value."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    elif value is not ABSENT:
        yield path, value


def at(value: Value, path: Path) -> Value:
    """Return the value at the path, or `ABSENT`."""
    for step in path:
        below: Value = ABSENT
        if isinstance(value, dict) and isinstance(step, str):
            below = value.get(step, ABSENT)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            below = value[step]
        value = below
    return value


def written(path: Path) -> str:
    """A path as the engine writes it."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            # quotes separate the dots of a label's name from the path's own
            text += f'["{step}"]'
    return text


def detailed_diff(found: Iterable[Difference]) -> dict[str, dict[str, JsonValue]]:
    """The differences in the shape of a step's `detailedDiff`."""
    return {written(each.path): {"kind": each.kind, "inputDiff": True} for each in found}


def _same(old: Value, new: Value) -> bool:
    # for Python 1 equals True, but a change between them is a change
    return old == new and isinstance(old, bool) == isinstance(new, bool)
