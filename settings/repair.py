"""Find the other mistakes of a file of which a part can't be read. Pure: no Pulumi import.

Owns: stand-in values for what can't be read, so that the rules see everything else, and the removal of problems that
only a stand-in causes.
Leaves to others: the rules (`rules/`), the mistakes of the shape (`wording.py`).

How: every value in doubt is replaced several times, by a low, a high and another value, and by low ones while others
are high. The rules run on each variant. A problem that appears in all of them is real, whatever the user will write. A
problem that appears only in some is an echo of a stand-in. So no rule has to declare what it looks at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final, Literal, TypeAlias, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings.kinds import KEY, Kind, as_section, fields, kind, kind_at
from settings.models import Platform
from settings.problems import Path, Problem
from settings.texts import ANY_NAME, Text
from settings.types import GpuNumber, Quantity
from settings.values import Value, child, copied, written
from settings.wording import mistyped, path_of

Judge: TypeAlias = Callable[[Platform], Iterable[Problem]]


class _Variant(Enum):
    """Which value stands in. `LOW` is as little as possible, so a sum that is too large with it is too large with any
    value.
    """

    LOW = 0
    HIGH = 1
    OTHER = 2


class _Absent(Enum):
    """The key is left out."""

    ABSENT = 0


_ABSENT: Final = _Absent.ABSENT
_MARK: Final = "stand-in"
"""Part of every text that stands in. A message that contains it is about something that nobody wrote."""
_MOST_DOUBTS: Final = 500
"""A file with more is hardly a stack file: its shape has to be corrected first."""
_HALVES: Final = 4
"""With 4, any two of 16 places differ in some variant. With more places some pairs never differ; where these are in one
sum, an echo is reported.
"""
_MOST_ROUNDS: Final = 8
"""The most rounds. A stand-in should be valid by itself. Where it is not, the value around it is replaced, too."""


@dataclass
class Doubts:
    """The parts of a file that can't be used as they are."""

    values: set[Path] = field(default_factory=set)
    keys: set[Path] = field(default_factory=set)
    """Names that break their rule. What is below them still counts."""
    unknown: set[Path] = field(default_factory=set)
    """Unknown keys."""

    @classmethod
    def of(cls, raw: Value, details: Sequence[ErrorDetails], unsure: Iterable[Path] = ()) -> Doubts:
        """Return the doubts that pydantic's errors and the text's problems cause."""
        found = cls(values=set(unsure))
        meant = mistyped(details)
        for detail in details:
            path = path_of(detail)
            if KEY in detail["loc"]:
                found.keys.add(path)
            elif detail["type"] == "extra_forbidden":
                found.unknown.add(path)
                if path in meant and written(raw, meant[path]) != meant[path]:
                    found.values.add(meant[path])
            else:
                found.values.add(path if detail["type"] == "missing" else written(raw, path))
        return found

    def hide(self, path: Path) -> bool:
        """Whether a problem at the path is about something in doubt."""
        tops = {path[:end] for end in range(len(path) + 1)}
        return path in self.keys or not tops.isdisjoint(self.values) or not tops.isdisjoint(self.unknown)


def problems_beside(raw: Value, doubts: Doubts, judge: Judge) -> list[Problem]:
    """Return what the rules say about the rest of the file."""
    if len(doubts.values) > _MOST_DOUBTS:
        return []
    left: dict[tuple[Path, str], Problem] | None = None
    numbers = itertools.count()
    for choice in _choices(_outermost(doubts.values)):
        platform = _repaired(raw, doubts, choice, numbers)
        if platform is None:
            return []
        said = {(problem.path, problem.rule): problem for problem in judge(platform)}
        if left is None:
            left = {key: problem for key, problem in said.items() if not _is_echo(problem, doubts)}
        else:
            left = {key: problem for key, problem in left.items() if key in said}
        if not left:
            return []
    return list((left or {}).values())


def _is_echo(problem: Problem, doubts: Doubts) -> bool:
    return doubts.hide(problem.path) or _MARK in f"{problem.rule}{problem.got}{problem.fix}"


def _choices(paths: Sequence[Path]) -> Iterator[dict[Path, _Variant]]:
    """The variants: first low everywhere, then high, then another.

    Then halves: for any two places (as far as `_HALVES` reaches) one variant has the first high and the second low, and
    one the reverse. Two doubts may be on two sides of one sum.
    """
    for variant in _Variant:
        yield dict.fromkeys(paths, variant)
    for bit in range(min(_HALVES, (len(paths) - 1).bit_length())):
        for turned in (0, 1):
            yield {path: _Variant.HIGH if (at >> bit & 1) ^ turned else _Variant.LOW for at, path in enumerate(paths)}


def _repaired(raw: Value, doubts: Doubts, choice: Mapping[Path, _Variant], numbers: Iterator[int]) -> Platform | None:
    tree = copied(raw)
    for path in doubts.unknown:
        tree = _put(tree, path, _ABSENT)
    replace = list(choice)
    for _ in range(_MOST_ROUNDS):
        for path in replace:
            tree = _put(tree, path, _stand_in_at(path, choice.get(path, _Variant.LOW), numbers, raw))
        try:
            return Platform.model_validate(tree, by_alias=True, by_name=False, context={ANY_NAME: True})
        except ValidationError as error:
            replace = _outermost(path_of(detail)[:-1] for detail in error.errors(include_url=False))
    return None


def _outermost(paths: Iterable[Path]) -> list[Path]:
    every = set(paths)
    found = [path for path in every if not any(path[:end] in every for end in range(len(path)))]
    return sorted(found, key=lambda path: [str(step) for step in path])


def _put(tree: Value, path: Path, value: Value | _Absent) -> Value:
    """Set what stands at a path, or take it out. A list keeps its length: positions are paths of their own."""
    if not path:
        return None if value is _ABSENT else value
    here = tree
    for step in path[:-1]:
        try:
            here = child(here, step)
        except LookupError:
            return tree
    last = path[-1]
    if isinstance(here, dict) and isinstance(last, str):
        if value is _ABSENT:
            here.pop(last, None)
        else:
            here[last] = value
    elif isinstance(here, list) and isinstance(last, int) and last < len(here):
        here[last] = None if value is _ABSENT else value
    return tree


# --- values that stand in -------------------------------------------------------------------------------------------


def _stand_in_at(path: Path, variant: _Variant, numbers: Iterator[int], raw: Value) -> Value | _Absent:
    here = kind_at(path, raw)
    if here is None:
        return _ABSENT
    if path == ("pools",):
        return _pools(raw, variant)
    if len(path) >= 2 and path[-1] is not None and _is_entry(path):
        # a team, a pool or a queue that can't be read: perhaps it is none
        return {**_section(here, variant, numbers)} if variant is not _Variant.LOW or path[0] == "pools" else _ABSENT
    if variant is _Variant.LOW and here.optional:
        return None
    return _stand_in(here, variant, numbers)


def _is_entry(path: Path) -> bool:
    above = kind_at(path[:-1])
    return above is not None and get_origin(above.bare) is dict and _names_sections(above)


def _names_sections(mapping: Kind) -> bool:
    return as_section(kind(get_args(mapping.bare)[1]).bare) is not None


def _pools(raw: Value, variant: _Variant) -> Value:
    """Every pool that a team names, so that no problem says that a team's pool is missing."""
    teams = raw.get("teams") if isinstance(raw, dict) else None
    named = [team.get("pool") for team in teams.values() if isinstance(team, dict)] if isinstance(teams, dict) else []
    size = 1 if variant is _Variant.LOW else 64
    names = dict.fromkeys([_MARK, *(name for name in named if isinstance(name, str))])
    return {name: {"nodes": [f"{_MARK}-{at}"], "gpusPerNode": size} for at, name in enumerate(names)}


def _section(here: Kind, variant: _Variant, numbers: Iterator[int]) -> dict[str, Value]:
    section = as_section(here.bare)
    found: dict[str, Value] = {}
    for key, info in fields(section).items() if section else ():
        if info.is_required() or variant is _Variant.HIGH:
            value = _stand_in(kind(info.annotation, tuple(info.metadata)), variant, numbers)
            found[key] = value
    return found


def _stand_in(here: Kind, variant: _Variant, numbers: Iterator[int]) -> Value:
    for said in here.metadata:
        if isinstance(said, Text):
            return said.stand_in.format(next(numbers))
        if isinstance(said, Quantity):
            return said.stand_ins[variant.value]
        if isinstance(said, GpuNumber):
            return GpuNumber.stand_ins[variant.value]
    if as_section(here.bare) is not None:
        return dict(_section(here, variant, numbers))
    if here.bare is bool:
        return variant is not _Variant.LOW
    if here.bare in (int, float):
        return _number(here, variant)
    if isinstance(here.bare, type) and issubclass(here.bare, StrEnum):
        return _one_of([member.value for member in here.bare], variant)
    if get_origin(here.bare) is Literal:
        return _one_of([str(choice) for choice in get_args(here.bare)], variant)
    return _collection(here, variant, numbers)


def _one_of(choices: Sequence[str], variant: _Variant) -> str:
    return choices[variant.value % len(choices)]


def _number(here: Kind, variant: _Variant) -> int | float:
    low, high = 0.0, 1_000_000.0
    for said in here.metadata:  # pydantic's bounds have one of these each
        low = float(getattr(said, "ge", getattr(said, "gt", low)))
        high = float(getattr(said, "le", getattr(said, "lt", high)))
    if here.bare is int:
        return int(
            {_Variant.LOW: max(low, min(high, 0)), _Variant.HIGH: high, _Variant.OTHER: (low + high) // 2}[variant]
        )
    # strictly between the bounds, which may be excluded
    return low + (high - low) * {_Variant.LOW: 0.125, _Variant.HIGH: 0.875, _Variant.OTHER: 0.5}[variant]


def _collection(here: Kind, variant: _Variant, numbers: Iterator[int]) -> Value:
    arguments = get_args(here.bare)
    least = max((int(getattr(said, "min_length", 0)) for said in here.metadata), default=0)
    if get_origin(here.bare) is dict:
        return {}
    if get_origin(here.bare) is tuple and Ellipsis not in arguments:
        return [_stand_in(kind(argument), variant, numbers) for argument in arguments]
    if get_origin(here.bare) is tuple:
        length = least if variant is _Variant.LOW else max(least, variant.value)
        return [_stand_in(kind(arguments[0]), variant, numbers) for _ in range(length)]
    return "2000-01-01" if variant is _Variant.LOW else "2000-01-02"  # a day
