"""Turn pydantic's errors into messages about the file. Pure: no Pulumi import.

Owns: one message for each mistake, at the place where it was written.
Leaves to others: finding them (pydantic), the messages of our own types (`texts.py`, `types.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from pydantic_core import ErrorDetails

from settings.gpu_sharing import GpuSharing
from settings.kinds import as_section, fields, kind_at, walk
from settings.problems import Path, Problem, shown
from settings.quotas import GpuQuota, QueueResource
from settings.scalars import OR_QUOTED
from settings.types import Quantity, Section
from settings.values import Value, written
from settings.words import nearest

_Wording: TypeAlias = Callable[[ErrorDetails, Path], Problem]

_ONE_OF: Final = "must be one of"
_ABOUT_WHAT_IS_MISSING: Final = frozenset({"missing", "union_tag_not_found"})
_MOST_COMPARED: Final = 500
"""The most unknown keys that are compared with the known ones: a file with more has another mistake."""


def path_of(detail: ErrorDetails) -> Path:
    """Return where an error is, as a path of the file."""
    return walk(detail["loc"])[0]


def _section_around(detail: ErrorDetails) -> type[Section] | None:
    """Return the section that an unknown or missing key is about."""
    around = walk(detail["loc"][:-1])[1]
    return None if around is None else as_section(around.bare)


def shape_problems(raw: Value, details: Sequence[ErrorDetails]) -> list[Problem]:
    """Return every mistake of the shape, each once.

    A short form (`gpus: 2`) is spelt out before pydantic looks. Its errors are reported at the key that was written,
    once. A key that is missing because it was mistyped is reported as mistyped.
    """
    problems: list[Problem] = []
    echoes: list[Problem] = []
    meant = mistyped(details)
    known_by_now = set(meant.values())
    for detail in details:
        path = path_of(detail)
        if (detail["type"] == "missing" and path in known_by_now) or _counts_only_the_good(detail):
            continue
        if detail["type"] == "extra_forbidden":
            problem = _unknown_key(detail, path, meant.get(path))
        else:
            problem = _WORDING.get(detail["type"], _other)(detail, path)
        at = problem.path if detail["type"] in _ABOUT_WHAT_IS_MISSING else written(raw, problem.path)
        (problems if at == problem.path else echoes).append(replace(problem, path=at))
    told = {(one.rule, one.path[:end]) for one in problems for end in range(len(one.path) + 1)}
    for echo in echoes:
        if (echo.rule, echo.path) not in told:
            told.add((echo.rule, echo.path))
            problems.append(echo)
    return problems


def _counts_only_the_good(detail: ErrorDetails) -> bool:
    """Whether a list was long enough as written: wrong entries are reported by themselves."""
    least = detail.get("ctx", {}).get("min_length")
    return detail["type"] == "too_short" and isinstance(detail["input"], list) and len(detail["input"]) >= (least or 0)


def for_its_kind(problem: Problem, raw: Value) -> Problem:
    """Return a mistake of the text with the fix that fits its place: quotes help only where a text belongs."""
    other, or_quoted, _ = problem.fix.partition(OR_QUOTED)
    here = kind_at(problem.path, raw)
    if not or_quoted or here is None:
        return problem
    is_text = here.bare is str and not any(isinstance(said, Quantity) for said in here.metadata)
    return replace(problem, fix="put it in quotes" if is_text else other)


def choices_first(raw: Value, text: Sequence[Problem], shape: Sequence[Problem]) -> list[Problem]:
    """Return the mistakes of the text and of the shape, one for each place. A mistake of the text is not repeated as a
    wrong type. But where only a few words are allowed, the message that lists them wins.
    """
    choices = {problem.path for problem in shape if problem.rule.startswith(_ONE_OF)}
    told = {problem.path for problem in text} - choices
    return [
        *(for_its_kind(problem, raw) for problem in text if problem.path not in choices),
        *(problem for problem in shape if problem.path not in told),
    ]


def mistyped(details: Sequence[ErrorDetails]) -> dict[Path, Path]:
    """Return the paths of unknown keys that resemble a known key, each with the path that was probably meant."""
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    found: dict[Path, Path] = {}
    for detail in unknown[:_MOST_COMPARED]:
        path, section = path_of(detail), _section_around(detail)
        near = nearest(str(path[-1]), tuple(fields(section))) if section else None
        if near is not None:
            found[path] = (*path[:-1], near)
    return found


def _unknown_key(detail: ErrorDetails, path: Path, meant: Path | None) -> Problem:
    section = _section_around(detail)
    known = ", ".join(fields(section)) if section else "none"
    fix = f"did you mean {meant[-1]!r}?" if meant else f"known here are {known}"
    return Problem(path=path, rule="is not a known key", got=None, fix=fix)


def _missing(detail: ErrorDetails, path: Path) -> Problem:
    section = _section_around(detail)
    field = fields(section).get(str(path[-1])) if section else None
    what = f" ({field.description})" if field and field.description else ""
    return Problem(path=path, rule="is missing", got=None, fix=f"write it{what}")


def _not_a_choice(detail: ErrorDetails, path: Path) -> Problem:
    allowed = str(detail.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
    return _none_of(allowed, detail["input"], path)


def _none_of(allowed: str, got: object, path: Path) -> Problem:
    near = nearest(str(got), tuple(allowed.split(", ")))
    fix = f"did you mean {near!r}?" if near else "write one of them"
    return Problem(path=path, rule=f"{_ONE_OF} {allowed}", got=shown(got), fix=fix)


def _no_such_kind(detail: ErrorDetails, path: Path) -> Problem:
    """One of several sections may stand there, and the file names none or an unknown one."""
    context = detail.get("ctx", {})
    tag = context.get("tag")
    allowed = str(context.get("expected_tags", "")).replace("'", "") or ", ".join(_tags(detail))
    if tag is None:
        return Problem(path=(*path, "kind"), rule="is missing", got=None, fix=f"write one of {allowed}")
    return _none_of(allowed, tag, (*path, "kind"))


def _tags(detail: ErrorDetails) -> Iterator[str]:
    there = walk(detail["loc"])[1]
    return iter(there.choices if there else ())


def _own_message(detail: ErrorDetails, path: Path) -> Problem:
    return Problem.of(path, str(detail.get("ctx", {}).get("error", detail["msg"])))


def _bound(word: str, key: str) -> _Wording:
    def reword(detail: ErrorDetails, path: Path) -> Problem:
        bound = detail.get("ctx", {}).get(key)
        return Problem(
            path=path, rule=f"must be {word} {bound}", got=shown(detail["input"]), fix=f"write a number {word} {bound}"
        )

    return reword


def _kind(rule: str, fix: str) -> _Wording:
    def reword(detail: ErrorDetails, path: Path) -> Problem:
        quoted = _is_quoted_number(detail["input"])
        return Problem(
            path=path, rule=rule, got=shown(detail["input"]), fix="write it without quotes" if quoted else fix
        )

    return reword


def _text(detail: ErrorDetails, path: Path) -> Problem:
    value = detail["input"]
    plain = isinstance(value, str | int | float) or hasattr(value, "isoformat")
    fix = f"put it in quotes, like '{shown(value)}'" if plain else "write a text"
    return Problem(path=path, rule="must be text", got=shown(value), fix=fix)


def _mapping(detail: ErrorDetails, path: Path) -> Problem:
    there = walk(detail["loc"])[1]
    section = None if there is None else as_section(there.bare)
    shorthand = _SHORT.get(section) if section else None
    known = ", ".join(fields(section)) if section else "name: value"
    fix = f"put keys below it ({known})"
    if detail["input"] is None:
        fix = f"remove the key, or {fix}"
    elif shorthand and "number" in shorthand and _is_quoted_number(detail["input"]):
        fix = f"write it without quotes, or {fix}"
    rule = f"must be {shorthand}" if shorthand else "must be a mapping"
    return Problem(path=path, rule=rule, got=shown(detail["input"]), fix=fix)


_SHORT: Final[Mapping[type[Section], str]] = {
    GpuQuota: "a whole number or quota and limit",
    QueueResource: "a number or quota and limit",
    GpuSharing: "true, false or a mapping",
}
"""Sections with a short form, by what may stand in their place."""


def _is_quoted_number(value: object) -> bool:
    return isinstance(value, str) and value.strip("+-.") != "" and value.strip("+-.0123456789") == ""


def _amount(word: str, key: str) -> _Wording:
    def reword(detail: ErrorDetails, path: Path) -> Problem:
        context = detail.get("ctx", {})
        bound, there = context.get(key), detail["input"]
        fix = "fill it in" if word == "at least" else "take some out"
        got = str(len(there)) if isinstance(there, list | dict) and there else shown(there)
        return Problem(path=path, rule=f"needs {word} {bound} {'entry' if bound == 1 else 'entries'}", got=got, fix=fix)

    return reword


def _other(detail: ErrorDetails, path: Path) -> Problem:
    return Problem(path=path, rule=f"is not valid ({detail['msg']})", got=shown(detail["input"]), fix="correct it")


_WHOLE_NUMBER: Final = _kind("must be a whole number", "write it without a fraction or a unit")
_NUMBER: Final = _kind("must be a number", "write it without a unit")
_TRUE_OR_FALSE: Final = _kind("must be true or false", "write true or false")
_WORDING: Final[Mapping[str, _Wording]] = {
    "missing": _missing,
    "enum": _not_a_choice,
    "literal_error": _not_a_choice,
    "value_error": _own_message,
    "greater_than_equal": _bound("at least", "ge"),
    "greater_than": _bound("more than", "gt"),
    "less_than_equal": _bound("at most", "le"),
    "less_than": _bound("less than", "lt"),
    "int_type": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "finite_number": _kind("must be a finite number", "write a number"),
    "bool_type": _TRUE_OR_FALSE,
    "string_type": _text,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "dict_type": _mapping,
    "tuple_type": _kind("must be a list", "write it like [a, b]"),
    "union_tag_not_found": _no_such_kind,
    "union_tag_invalid": _no_such_kind,
    "too_short": _amount("at least", "min_length"),
    "too_long": _amount("at most", "max_length"),
}
