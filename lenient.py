"""Readers of JSON that anybody may have written: what is not there, or is something else, is empty. Pure.

Owns: mappings, lists, texts and times in any JSON, and what every object of Kubernetes has.
Leaves to others: quantities (`capacity`), and readers that must not take a fault for nothing: those of stack files
(`settings`), of a resource's inputs (`preview/values.py`) and of a rule's (`policies/plain.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

Json: TypeAlias = Mapping[str, object]
"""An object of JSON of which each field is narrowed as it is read."""


def parsed(said: object) -> Json:
    """The mapping that a text of JSON holds; empty where it is none. A team may have written any depth of brackets."""
    try:
        found = json.loads(said) if isinstance(said, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def at(thing: object, *path: str) -> object:
    """What lies at a path, whatever it is; None where there is nothing."""
    for step in path:
        thing = thing.get(step) if isinstance(thing, Mapping) else None
    return thing


def table(thing: object, *path: str) -> Json:
    """The mapping at a path; empty where there is none."""
    found = at(thing, *path)
    return found if isinstance(found, Mapping) else {}


def rows(thing: object, *path: str) -> list[Json]:
    """The mappings in the list at a path."""
    found = at(thing, *path)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def texts(thing: object, *path: str) -> list[str]:
    """The texts in the list at a path."""
    found = at(thing, *path)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def text(thing: object, *path: str) -> str:
    """The text at a path; empty where there is none. A number is told as it is."""
    found = at(thing, *path)
    return str(found) if isinstance(found, (str, int, float)) and not isinstance(found, bool) else ""


def moment(thing: object, *path: str) -> datetime | None:
    """The time at a path."""
    try:
        found = datetime.fromisoformat(text(thing, *path))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def named(thing: object) -> bool:
    """Whether something is an object of Kubernetes: it has metadata with a name."""
    return isinstance(table(thing, "metadata").get("name"), str)


def items(answer: object) -> list[Json]:
    """The objects in a list of an API server: what has a name. Anything else that stands there is passed over."""
    return [one for one in rows(answer, "items") if named(one)]


def name(thing: object) -> str:
    """An object's name."""
    return text(thing, "metadata", "name")


def namespace(thing: object) -> str:
    """An object's namespace."""
    return text(thing, "metadata", "namespace")


def condition(thing: object, kind: str) -> Json:
    """The condition of a type; empty without one."""
    return next((c for c in rows(thing, "status", "conditions") if c.get("type") == kind), {})
