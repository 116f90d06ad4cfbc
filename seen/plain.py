"""Reading JSON that anybody may have written: what is not there, or is something else, is empty. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import TypeAlias

from capacity import amount_of

Json: TypeAlias = Mapping[str, object]


def parsed(said: object) -> Json:
    """The mapping that a text of JSON holds; empty where it is none. A team may have written any depth of brackets."""
    try:
        found = json.loads(said) if isinstance(said, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def table(thing: object, *path: str) -> Json:
    """The mapping at a path; empty where there is none."""
    for step in path:
        thing = thing.get(step) if isinstance(thing, Mapping) else None
    return thing if isinstance(thing, Mapping) else {}


def rows(thing: object, *path: str) -> Sequence[Json]:
    """The mappings in the list at a path."""
    *above, last = path
    found = table(thing, *above).get(last)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def text(thing: object, *path: str) -> str:
    """The text at a path; empty where there is none. A number is told as it is."""
    *above, last = path
    found = table(thing, *above).get(last)
    return str(found) if isinstance(found, (str, int, float)) and not isinstance(found, bool) else ""


def number(value: object) -> float:
    """A quantity as a number: `500m` is 0.5; 0 where it is none, or larger than a number can be."""
    return finite(amount_of(value) or Decimal(0))


def finite(value: Decimal) -> float:
    """A number as a float; 0 where it is larger than one can be."""
    try:
        found = float(value)
    except ArithmeticError:
        return 0.0
    return found if isfinite(found) else 0.0


def moment(thing: object, *path: str) -> datetime | None:
    """The time at a path."""
    try:
        found = datetime.fromisoformat(text(thing, *path))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def name(thing: object) -> str:
    """An object's name."""
    return text(thing, "metadata", "name")


def namespace(thing: object) -> str:
    """An object's namespace."""
    return text(thing, "metadata", "namespace")


def condition(thing: object, kind: str) -> Json:
    """The condition of a type; empty without one."""
    return next((c for c in rows(thing, "status", "conditions") if c.get("type") == kind), {})
