"""What the models say about a path of the file: which section, which type. Pure: no Pulumi import."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo

from settings.models import Platform
from settings.problems import Path
from settings.types import Section
from settings.values import Value, child

Annotation: TypeAlias = object
"""Whatever may stand after the colon of a field."""

KEY: Final = "[key]"
"""pydantic's last step of a path where a mapping's key is wrong itself."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type without `Annotated` and `None`, with their metadata."""

    bare: Annotation
    optional: bool
    metadata: tuple[object, ...]
    """Strictness, bounds, grammar; the outermost first."""
    choices: Mapping[str, Kind]
    """The sections that may stand here, by pydantic's tags. `bare` is the first."""


def kind(annotation: Annotation, metadata: tuple[object, ...] = ()) -> Kind:
    """Return an annotation taken apart."""
    optional = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            for said in more:
                metadata = (*metadata, *(said.metadata if isinstance(said, FieldInfo) else (said,)))
        elif get_origin(annotation) in (Union, types.UnionType):
            members = [kind(member) for member in get_args(annotation) if member is not type(None)]
            optional = optional or len(members) < len(get_args(annotation))
            if len(members) > 1:
                choices = {_tag(member): member for member in members}
                return Kind(bare=members[0].bare, optional=optional, metadata=metadata, choices=choices)
            annotation, metadata = members[0].bare, (*metadata, *members[0].metadata)
        else:
            return Kind(bare=annotation, optional=optional, metadata=metadata, choices={})


def _tag(member: Kind) -> str:
    """The `Tag`, or else the value of the field `kind`."""
    for said in member.metadata:
        if isinstance(said, Tag):
            return said.tag
    section = as_section(member.bare)
    literals = (
        [] if section is None else [fields(section)[key].annotation for key in ("kind",) if key in fields(section)]
    )
    return str(get_args(literals[0])[0]) if literals and get_origin(literals[0]) is Literal else str(member.bare)


def walk(steps: Sequence[str | int]) -> tuple[Path, Kind | None]:
    """Return the place of one of pydantic's errors as a path of the file, and the type there.

    Where one of several sections may stand, pydantic puts a tag into the place. No file has that tag.
    """
    here: Kind | None = _ROOT
    path: list[str | int] = []
    for step in steps:
        if step == KEY:
            continue
        if here is not None and here.choices:
            here = here.choices.get(str(step))
            continue
        path.append(step)
        here = None if here is None else _below(here.bare, step)
    return tuple(path), here


def kind_at(path: Path, raw: Value = None) -> Kind | None:
    """Return the type at a path of the file; None for a path that no valid file has.

    Where one of several sections may stand, `raw` (the platform as it is written) decides which it is.
    """
    here: Kind | None = _ROOT
    value = raw
    for step in path:
        if here is None:
            return None
        bare = _chosen(here, value).bare
        here = _below(bare, step)
        try:
            value = child(value, step)
        except LookupError:
            value = None
    return None if here is None else _chosen(here, value)


def _chosen(here: Kind, value: Value) -> Kind:
    """The section that shares the most keys with the value; the first where none is shared."""
    if not here.choices:
        return here
    keys = value.keys() if isinstance(value, dict) else set[str]()
    tag = value.get("kind") if isinstance(value, dict) else None
    if isinstance(tag, str) and tag in here.choices:
        return here.choices[tag]
    return max(here.choices.values(), key=lambda choice: len(keys & set(_keys(choice))))


def _keys(choice: Kind) -> Iterator[str]:
    section = as_section(choice.bare)
    return iter(fields(section) if section else ())


def _below(bare: Annotation, step: str | int) -> Kind | None:
    section = as_section(bare)
    if section is not None:
        field = fields(section).get(str(step))
        return None if field is None else kind(field.annotation, tuple(field.metadata))
    arguments = get_args(bare)
    if get_origin(bare) is dict:
        return kind(arguments[1])
    if get_origin(bare) is tuple and isinstance(step, int):
        fixed = Ellipsis not in arguments
        return kind(arguments[min(step, len(arguments) - 1) if fixed else 0])
    return None


def as_section(bare: Annotation) -> type[Section] | None:
    """Return the type if it is a section, else None."""
    return bare if isinstance(bare, type) and issubclass(bare, Section) else None


def fields(section: type[Section]) -> Mapping[str, FieldInfo]:
    """Return a section's fields by the key that a file has."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


_ROOT: Final = Kind(bare=Platform, optional=False, metadata=(), choices={})
