"""Which paths of nested data are known. Pure.

A pattern has a key a part, with dots between; `*` stands for any one key, `**` for everything below. The items of a
list have their list's path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TypeAlias

from policies.plain import Unknown, unknown

Tree: TypeAlias = "dict[str, Tree]"
"""Patterns by their parts; a part that a pattern ends with has the key `""` below it."""


@cache
def tree(patterns: tuple[str, ...]) -> Tree:
    """Return the patterns as a tree."""
    root: Tree = {}
    for pattern in patterns:
        place = root
        for part in pattern.split("."):
            place = place.setdefault(part, {})
        place[""] = {}
    return root


def strangers(value: object, patterns: Iterable[str], path: str = "") -> Iterator[str]:
    """Yield the paths in `value` that no pattern knows, each as short as it can be said. What is empty says nothing.

    Raises `Unreadable` where a value that is not known hides paths.
    """
    yield from _walk(value, tree(tuple(patterns)), path)


def _walk(value: object, known: Tree, path: str) -> Iterator[str]:
    if value is None or "**" in known:
        return
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, known, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            below = known.get(str(key)) if key else None
            if below is None:
                below = known.get("*")
            if below is not None:
                yield from _walk(item, below, where)
            elif item is not None and item not in ("", [], {}):
                yield where
    elif "" not in known:
        if isinstance(value, Unknown):
            raise unknown(path)
        yield path
