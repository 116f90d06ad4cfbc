"""Readers of JSON that anybody may have written: a missing value, or one of another type, is empty. Pure.

Owns: mappings, lists, texts and times in any JSON, and what every object of Kubernetes has.
Leaves to others: quantities (`capacity`), and readers that must not ignore a mistake: those of stack files
(`settings`), of a resource's inputs (`preview/values.py`) and of a rule's (`policies/plain.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

Json: TypeAlias = Mapping[str, object]
"""An object of JSON whose fields are narrowed as they are read."""


def parsed(said: object) -> Json:
    """The mapping in a text of JSON; empty where the text is not one. A team may have written any depth of brackets."""
    try:
        found = json.loads(said) if isinstance(said, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def at(thing: object, *path: str) -> object:
    """The value at a path, of any type; None where there is none."""
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
    """The text at a path; empty where there is none. A number becomes text."""
    found = at(thing, *path)
    return str(found) if isinstance(found, (str, int, float)) and not isinstance(found, bool) else ""


def moment(thing: object, *path: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text(thing, *path))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def named(thing: object) -> bool:
    """Whether a value is an object of Kubernetes: it has metadata with a name."""
    return isinstance(table(thing, "metadata").get("name"), str)


def items(answer: object) -> list[Json]:
    """The objects in a list of an API server: those that have a name. Anything else is ignored."""
    return [one for one in rows(answer, "items") if named(one)]


def name(thing: object) -> str:
    return text(thing, "metadata", "name")


def namespace(thing: object) -> str:
    return text(thing, "metadata", "namespace")


def tag_of(image: str) -> str:
    """The tag in an image's name; empty where there is none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def condition(thing: object, kind: str) -> Json:
    """The condition of a type; empty without one."""
    return next((c for c in rows(thing, "status", "conditions") if c.get("type") == kind), {})
