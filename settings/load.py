"""A stack file into a `Platform`, or one error that names every mistake in it. Pure: no Pulumi import.

Owns: reading the YAML (with line numbers, duplicate keys refused), rewording pydantic's errors, and running the rules
across fields on whatever part of the file is sound. Leaves to others: the rules (`rules.py`), the shape (`models.py`).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Union, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings.models import Platform
from settings.problems import Lines, Path, Problem, SettingsError, overlaps, shown
from settings.rules import RULES
from settings.types import Section
from settings.workloads import SECRET_KEY_PREFIX

__all__ = ["KUBECONFIG_KEY", "PLATFORM_KEY", "SettingsError", "load_stack_file", "parse_platform"]

PLATFORM_KEY: Final = "gpu-tenancy:platform"
KUBECONFIG_KEY: Final = "gpu-tenancy:kubeconfig"
_OUR_KEYS: Final = (PLATFORM_KEY, KUBECONFIG_KEY)


def load_stack_file(path: FilePath) -> Platform:
    """Return what the stack file says.

    Raises `SettingsError` with every mistake of the file, each with its line.
    """
    raw, lines = _read(path)
    return _parse(raw, path.name, lines)


def parse_platform(raw: object, where: str) -> Platform:
    """Return the platform that `raw`, the value of `gpu-tenancy:platform`, says. `where` names its source in errors.

    Raises `SettingsError` with every mistake.
    """
    return _parse(raw, where, {})


# --- YAML ---------------------------------------------------------------------------------------------------------


def _read(path: FilePath) -> tuple[object, Lines]:
    """The value of `gpu-tenancy:platform` in the file, and the line of each of its keys."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(path.name, [_no_such_file(path)]) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problem = Problem(path=(), rule=f"can't be read ({reason})", got=None, fix="make it a readable text file")
        raise SettingsError(path.name, [problem]) from error
    try:
        reader = _Reader(text)
        whole = reader.document()
    except yaml.YAMLError as error:
        raise SettingsError(path.name, [_syntax_problem(error)]) from error
    if reader.problems:
        raise SettingsError(path.name, reader.problems)
    problems = list(_config_problems(whole))
    if problems:
        raise SettingsError(path.name, problems, reader.lines)
    assert isinstance(whole, dict)
    prefix = ("config", PLATFORM_KEY)
    lines = {key[len(prefix) :]: line for key, line in reader.lines.items() if key[: len(prefix)] == prefix}
    return whole["config"][PLATFORM_KEY], lines


def _no_such_file(path: FilePath) -> Problem:
    stacks = sorted(
        other.name.removeprefix("Pulumi.").removesuffix(".yaml") for other in path.parent.glob("Pulumi.*.yaml")
    )
    there = f"the stacks here are {', '.join(stacks)}" if stacks else "there is no stack file here"
    return Problem(path=(), rule="no such file", got=None, fix=f"{there}; name one of them, or write {path.name}")


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    return Problem(
        path=(),
        rule=f"is not valid YAML: {what}{f' ({context})' if context else ''}",
        got=None,
        fix=f"mend it{f' at column {mark.column + 1}' if mark else ''} (indentation, a ':' or a closing bracket)",
        line=mark.line + 1 if mark else None,
    )


def _config_problems(whole: object) -> Iterator[Problem]:
    """What is wrong around the platform: everything that is not below `gpu-tenancy:platform` itself."""
    config = whole.get("config") if isinstance(whole, dict) else None
    if not isinstance(config, dict):
        yield Problem(
            path=(),
            rule=f"lacks the key config with {PLATFORM_KEY} below it",
            got=None,
            fix="start from one of the example stack files",
        )
        return
    for key in config:
        if str(key).startswith(SECRET_KEY_PREFIX):
            yield from _secret_problems(str(key), config[key])
        elif str(key).startswith("gpu-tenancy:") and key not in _OUR_KEYS:
            near = _nearest(str(key), _OUR_KEYS) or PLATFORM_KEY
            yield Problem(path=("config", key), rule="is not a key of this program", got=None, fix=f"write {near}")
    if PLATFORM_KEY not in config:
        yield Problem(
            path=("config",),
            rule=f"lacks the key {PLATFORM_KEY}",
            got=None,
            fix="put the platform (host, gpu, pools, teams) below it",
        )
    if config.get(KUBECONFIG_KEY) is not None:
        yield from _secret_problems(KUBECONFIG_KEY, config[KUBECONFIG_KEY])


def _secret_problems(key: str, value: object) -> Iterator[Problem]:
    if not (isinstance(value, dict) and set(value) == {"secure"}):
        yield Problem(
            path=("config", key),
            rule="must be encrypted, it holds credentials",
            got="plain text",
            fix=f"remove it and run `pulumi config set --secret {key}`, and treat what stood here as leaked",
        )


class _Reader:
    """Plain data out of YAML text, the line of every key, and the keys that are there twice (PyYAML keeps the last)."""

    def __init__(self, text: str) -> None:
        self._loader = yaml.SafeLoader(text)
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []

    def document(self) -> object:
        try:
            root = self._loader.get_single_node()
            return None if root is None else self._plain(root, ())
        finally:
            self._loader.dispose()

    def _plain(self, node: yaml.Node, path: Path) -> object:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, position)) for position, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[object, object]:
        seen: dict[object, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    problem="a key must be plain text", problem_mark=key_node.start_mark
                )
            line = key_node.start_mark.line + 1
            if key_node.value in seen and key_node.tag != "tag:yaml.org,2002:merge":
                self.problems.append(
                    Problem(
                        path=_within(path),
                        rule=f"has the key {key_node.value!r} twice (first on line {seen[key_node.value]})",
                        got=None,
                        fix="keep one of them; YAML would silently drop the first",
                        line=line,
                    )
                )
            seen.setdefault(key_node.value, line)
        # anchors and `<<` are resolved after the look for duplicates: overriding a merged key is what `<<` is for
        self._loader.flatten_mapping(node)
        plain: dict[object, object] = {}
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node)
            step = key if isinstance(key, str | int) else str(key)
            self.lines[(*path, step)] = key_node.start_mark.line + 1
            plain[key] = self._plain(value_node, (*path, step))
        return plain


def _within(path: Path) -> Path:
    """A path in the file as a path in the platform, where it lies there."""
    return path[2:] if path[:2] == ("config", PLATFORM_KEY) else path


# --- the shape ----------------------------------------------------------------------------------------------------


def _parse(raw: object, where: str, lines: Lines) -> Platform:
    try:
        platform = Platform.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
        shape = _shape_problems(raw, details)
        across = _problems_of_the_sound_part(raw, details)
        raise SettingsError(where, [*shape, *across], lines) from None  # pydantic's own text repeats whole sections
    problems = list(_rule_problems(platform))
    if problems:
        raise SettingsError(where, problems, lines)
    return platform


def _rule_problems(platform: Platform) -> Iterator[Problem]:
    for rule in RULES:
        yield from rule(platform)


def _shape_problems(raw: object, details: Sequence[ErrorDetails]) -> list[Problem]:
    """Every mistake of the shape, each once.

    A short form (`gpus: 2`) is spelt out before pydantic looks, so its mistakes come for keys that nobody wrote: these
    are told at what was written, and only where that has not been told already.
    """
    problems: list[Problem] = []
    echoes: list[Problem] = []
    for detail in details:
        path = tuple(step for step in detail["loc"] if step != "[key]")
        problem = _WORDING.get(detail["type"], _other)(detail, path)
        written = path if detail["type"] == "missing" else _written(raw, path)
        (problems if written == path else echoes).append(replace(problem, path=written))
    for echo in echoes:
        if not any(one.rule == echo.rule and one.path[: len(echo.path)] == echo.path for one in problems):
            problems.append(echo)
    return problems


def _written(raw: object, path: Path) -> Path:
    """The longest part of the path that the file has."""
    here: Any = raw
    for length, step in enumerate(path):
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return path[:length]
    return path


def _unknown_key(_: ErrorDetails, path: Path) -> Problem:
    section = _section_at(path[:-1])
    known = [field.alias or name for name, field in section.model_fields.items()] if section else []
    near = _nearest(str(path[-1]), known)
    fix = f"did you mean {near!r}?" if near else f"known here are {', '.join(known)}"
    return Problem(path=path, rule="is not a known key", got=None, fix=fix)


def _missing(_: ErrorDetails, path: Path) -> Problem:
    section = _section_at(path[:-1])
    field = (
        next((field for name, field in section.model_fields.items() if (field.alias or name) == path[-1]), None)
        if section
        else None
    )
    what = f" ({field.description})" if field and field.description else ""
    return Problem(path=path, rule="is missing", got=None, fix=f"write it{what}")


def _not_a_choice(detail: ErrorDetails, path: Path) -> Problem:
    allowed = str(detail.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
    near = _nearest(str(detail["input"]), allowed.split(", "))
    fix = f"did you mean {near!r}?" if near else "write one of them"
    return Problem(path=path, rule=f"must be one of {allowed}", got=shown(detail["input"]), fix=fix)


def _own_message(detail: ErrorDetails, path: Path) -> Problem:
    """A message of our own types: `rule, got value; fix`."""
    text = str(detail.get("ctx", {}).get("error", detail["msg"]))
    head, _, fix = text.partition("; ")
    rule, _, got = head.rpartition(", got ")
    return Problem(path=path, rule=rule or head, got=got if rule else None, fix=fix or "correct it")


def _bound(word: str, key: str) -> Callable[[ErrorDetails, Path], Problem]:
    def reword(detail: ErrorDetails, path: Path) -> Problem:
        bound = detail.get("ctx", {}).get(key)
        return Problem(
            path=path, rule=f"must be {word} {bound}", got=shown(detail["input"]), fix=f"write a number {word} {bound}"
        )

    return reword


def _kind(rule: str, fix: str) -> Callable[[ErrorDetails, Path], Problem]:
    return lambda detail, path: Problem(path=path, rule=rule, got=shown(detail["input"]), fix=fix)


def _text(detail: ErrorDetails, path: Path) -> Problem:
    value = detail["input"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return Problem(
        path=path,
        rule="must be text",
        got=shown(value),
        fix=f"put it in quotes, like '{value}'" if number else "write a text",
    )


def _mapping(detail: ErrorDetails, path: Path) -> Problem:
    section = _section_at(path)
    shorthand = {"gpus": "a whole number or quota and limit", "gpu": "a number or quota and limit"}.get(
        str(path[-1]) if path else ""
    )
    known = ", ".join(field.alias or name for name, field in section.model_fields.items()) if section else "name: value"
    empty = detail["input"] is None
    return Problem(
        path=path,
        rule=f"must be {shorthand}" if shorthand else "must be a mapping",
        got=shown(detail["input"]),
        fix=f"remove the key, or put keys below it ({known})" if empty else f"put keys below it ({known})",
    )


def _too_few(detail: ErrorDetails, path: Path) -> Problem:
    least = detail.get("ctx", {}).get("min_length")
    return Problem(
        path=path,
        rule=f"needs at least {least} {'character' if detail['type'].startswith('string') else 'entry'}"
        f"{'' if least == 1 else 's'}",
        got=shown(detail["input"]),
        fix="fill it in",
    )


def _other(detail: ErrorDetails, path: Path) -> Problem:
    message = detail["msg"]
    return Problem(path=path, rule=f"is not valid ({message})", got=shown(detail["input"]), fix="correct it")


_WHOLE_NUMBER: Final = _kind("must be a whole number", "write it without a fraction or a unit")
_NUMBER: Final = _kind("must be a number", "write it without a unit")
_DATE: Final = _kind("must be a date", "write it as YYYY-MM-DD")
_TRUE_OR_FALSE: Final = _kind("must be true or false", "write true or false")
_WORDING: Final[Mapping[str, Callable[[ErrorDetails, Path], Problem]]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "enum": _not_a_choice,
    "literal_error": _not_a_choice,
    "value_error": _own_message,
    "greater_than_equal": _bound("at least", "ge"),
    "greater_than": _bound("more than", "gt"),
    "less_than_equal": _bound("at most", "le"),
    "less_than": _bound("less than", "lt"),
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _TRUE_OR_FALSE,
    "bool_parsing": _TRUE_OR_FALSE,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "string_type": _text,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "dict_type": _mapping,
    "tuple_type": _kind("must be a list", "write it like [a, b]"),
    "too_short": _too_few,
    "string_too_short": _too_few,
}


def _nearest(word: str, known: Sequence[str]) -> str | None:
    by_folded = {name.lower(): name for name in known}
    near = get_close_matches(word.lower().replace("_", "").replace("-", ""), list(by_folded), n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def _section_at(path: Path) -> type[Section] | None:
    """The model that describes what lies at the path, for its known keys."""
    here: object = Platform
    for step in path:
        here = _below(here, step)
    here = _bare(here)
    return here if isinstance(here, type) and issubclass(here, Section) else None


def _below(kind: object, step: str | int) -> object:
    bare = _bare(kind)
    if isinstance(bare, type) and issubclass(bare, Section):
        return next(
            (field.annotation for name, field in bare.model_fields.items() if step in (field.alias, name)), None
        )
    arguments = get_args(bare)
    if get_origin(bare) is dict:
        return arguments[1]
    return arguments[0] if arguments else None


def _bare(kind: object) -> object:
    """The type without `Annotated` and without `| None`."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, types.UnionType):
            kind = next((part for part in get_args(kind) if part is not type(None)), None)
        else:
            return kind


# --- the sound part of a broken file ------------------------------------------------------------------------------


def _problems_of_the_sound_part(raw: object, details: Sequence[ErrorDetails]) -> Iterator[Problem]:
    """Run the rules on the file without its broken teams, pools, queues and keys.

    A problem that rests on something removed is only its echo and is left out (`Problem.reads`).
    """
    if not isinstance(raw, dict):
        return
    sound, removed = _copy(raw), set[Path]()
    for detail in details:
        unit = _unit(tuple(step for step in detail["loc"] if step != "[key]"))
        if unit:
            removed.add(unit)
            _remove(sound, unit)
    for key, stand_in in _STAND_INS.items():
        section = sound.get(key)
        sound[key] = {**stand_in, **section} if isinstance(section, dict) and section else stand_in
    if not sound.get("pools"):
        sound["pools"] = _STAND_IN_POOLS
        removed.add(("pools",))
    try:
        platform = Platform.model_validate(sound)
    except ValidationError:
        return  # not even the sound part stands (no pools left): its shape is what is to be mended first
    for problem in _rule_problems(platform):
        if not any(overlaps(path, unit) for path in (problem.path, *problem.reads) for unit in removed):
            yield problem


_STAND_INS: Final[Mapping[str, Mapping[str, object]]] = {
    "host": {"provider": "existing"},
    "gpu": {"stack": "devicePlugin"},
}
"""What takes the place of a broken required key, so that the rules about the others can run."""

_STAND_IN_POOLS: Final = {"stand-in": {"nodes": ["stand-in"], "gpusPerNode": 0}}
"""Likewise where no pool is left: what would be said about it rests on `pools`, and is left out."""


def _unit(path: Path) -> Path:
    """What to leave out when the thing at the path is broken: a queue, a team, a pool, an override, or a single key."""
    if path[:1] == ("teams",):
        return path[:4] if len(path) > 3 and path[2] == "queues" else path[:2]
    return path[:2]


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _remove(tree: dict[Any, Any], path: Path) -> None:
    parent: Any = tree
    for step in path[:-1]:
        if not isinstance(parent, dict) or step not in parent:
            return
        parent = parent[step]
    if isinstance(parent, dict):
        parent.pop(path[-1], None)
    elif isinstance(parent, list) and len(path) > 1:
        # a list is emptied, not shortened: positions in it are paths of their own
        parent.clear()
