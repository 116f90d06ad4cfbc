"""What the models say about a place of the file: which section, which type. Pure: no Pulumi import."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from settings.models import Platform
from settings.problems import Path
from settings.types import Section

Annotation: TypeAlias = object
"""Whatever may stand after the colon of a field."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type without `Annotated` and `None`, with what those said."""

    bare: Annotation
    optional: bool
    metadata: tuple[object, ...]
    """Strictness, bounds, grammar: of the outermost first."""


def kind(annotation: Annotation, metadata: tuple[object, ...] = ()) -> Kind:
    """Return an annotation taken apart."""
    optional = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            for said in more:
                metadata = (*metadata, *(said.metadata if isinstance(said, FieldInfo) else (said,)))
        elif get_origin(annotation) in (Union, types.UnionType):
            members = [member for member in get_args(annotation) if member is not type(None)]
            optional = optional or len(members) < len(get_args(annotation))
            annotation = members[0]
        else:
            return Kind(bare=annotation, optional=optional, metadata=metadata)


def kind_at(path: Path) -> Kind | None:
    """Return the type of what stands at the path; None for a path that no valid file has."""
    here = Kind(bare=Platform, optional=False, metadata=())
    for step in path:
        below = _below(here.bare, step)
        if below is None:
            return None
        here = below
    return here


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


def section_at(path: Path) -> type[Section] | None:
    """Return the model that describes what stands at the path; None where it is no section."""
    here = kind_at(path)
    return None if here is None else as_section(here.bare)


def as_section(bare: Annotation) -> type[Section] | None:
    """Return the type if it is a section."""
    return bare if isinstance(bare, type) and issubclass(bare, Section) else None


def fields(section: type[Section]) -> Mapping[str, FieldInfo]:
    """Return a section's fields by the key that a file has."""
    return {field.alias or name: field for name, field in section.model_fields.items()}
