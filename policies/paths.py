"""Which paths of nested data are known. Pure.

A pattern is keys with dots between them. `*` stands for any one key, `**` for everything below. The items of a list
have their list's path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TypeAlias

from policies.plain import Unknown, unknown

Tree: TypeAlias = "dict[str, Tree]"
"""Patterns by their parts. The last part of a pattern has the key `""` below it."""


@cache
def tree(patterns: tuple[str, ...]) -> Tree:
    root: Tree = {}
    for pattern in patterns:
        place = root
        for part in pattern.split("."):
            place = place.setdefault(part, {})
        place[""] = {}
    return root


def strangers(value: object, patterns: Iterable[str], *, zeros: bool = False) -> Iterator[str]:
    """Yield the paths in `value` that no pattern knows, each as short as possible. Empty values are ignored.

    zeros: false and 0 are ignored, too, for an object whose fields the provider fills in (helm.sh/v3 Release:
    `reuseValues`).
    Raises `Unreadable` where an unknown value hides paths.
    """
    empty: tuple[object, ...] = ("", [], {}, *((False, 0) if zeros else ()))
    yield from _walk(value, tree(tuple(patterns)), "", empty)


def _walk(value: object, known: Tree, path: str, empty: tuple[object, ...]) -> Iterator[str]:
    if value is None or "**" in known:
        return
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, known, path, empty)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            below = known.get(str(key)) if key else None
            if below is None:
                below = known.get("*")
            if below is not None:
                yield from _walk(item, below, where, empty)
            elif item is not None and not any(_same(item, nothing) for nothing in empty):
                yield where
    elif "" not in known:
        if isinstance(value, Unknown):
            raise unknown(path)
        yield path


def _same(item: object, nothing: object) -> bool:
    # 0 is not false, and an engine's numbers are doubles
    return isinstance(item, bool) is isinstance(nothing, bool) and item == nothing
