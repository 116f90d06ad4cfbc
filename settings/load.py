"""Read a stack file into a `Platform`, or raise one error that names every mistake in it. Pure: no Pulumi import.

Owns: the steps from text to platform, and the keys around the platform in the file.
Leaves to others: the text (`reader.py`), the shape (`models.py`, `wording.py`), the rules across fields (`rules/`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path as FilePath
from typing import Final

from pydantic import ValidationError

from settings.models import Platform
from settings.plain import plain
from settings.problems import Lines, Path, Problem, SettingsError, below, line_of, shown
from settings.reader import StackText, read_stack_file
from settings.repair import Doubts, problems_beside
from settings.rules import problems_of
from settings.values import Value
from settings.wording import choices_first, shape_problems
from settings.words import nearest
from settings.workload_parts import SECRET_KEY_PREFIX

NAMESPACE: Final = "gpu-tenancy"
PLATFORM_KEY: Final = f"{NAMESPACE}:platform"
KUBECONFIG_KEY: Final = f"{NAMESPACE}:kubeconfig"
_OUR_KEYS: Final = (PLATFORM_KEY, KUBECONFIG_KEY)
_PREFIX: Final = ("config", PLATFORM_KEY)
_OUTER_LEVELS: Final = 2
"""Levels of keys above the platform (the file's and those of `config`): the engine needs them to be text."""


def load_stack_file(path: FilePath, *, today: date | None = None) -> Platform:
    """Return what the stack file says.

    `today` (default: the clock's) bounds how far ahead an override may end. Raises `SettingsError` with every mistake
    of the file, each with its line.
    """
    text = read_stack_file(path)
    return _of_file(text, path.name, today)


def parse_platform(raw: object, where: str, *, today: date | None = None) -> Platform:
    """Return the platform that `raw`, the value of `gpu-tenancy:platform`, says. `where` names its source in errors.

    Raises `SettingsError` with every mistake.
    """
    return _parse(raw, where, {}, today)


def parse_config(value: str | None, path: FilePath, *, today: date | None = None) -> Platform:
    """Return the platform of the engine's configuration.

    `value` is the engine's value of `gpu-tenancy:platform` (JSON). `path` is the stack file that it should come from.
    Where the file says the same, errors name the file's lines, and a scalar that YAML readers read differently is a
    mistake, too. Where it differs (another file, environments, `--config`), the engine's value counts. Raises
    `SettingsError` with every mistake.
    """
    if value is None:
        problem = Problem(
            path=("config",), rule=f"lacks the key {PLATFORM_KEY}", got=None, fix="put the platform below it"
        )
        raise SettingsError(path.name, [problem])
    try:
        raw = json.loads(value, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        problem = Problem(
            path=(), rule="must be a mapping", got="something else", fix="put host, gpu and pools below it"
        )
        raise SettingsError(path.name, [problem]) from None
    try:
        text = read_stack_file(path)
    except SettingsError:
        return parse_platform(raw, path.name, today=today)
    config = _at(text.value, ("config",))
    for key, said in config.items() if isinstance(config, dict) else ():
        unsure = {doubt[2:] for doubt in text.doubts if below(doubt, ("config", key))}
        if _meant(key) == PLATFORM_KEY and _same(_as_engine(said), raw, unsure):
            return _of_file(text, path.name, today)
    return parse_platform(raw, path.name, today=today)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A mapping of JSON. The engine passes a text on as it is (`pulumi config set`), and JSON keeps the last of two."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        problem = Problem(
            path=(),
            rule=f"has the key {shown(twice)} twice",
            got=None,
            fix="keep one of them; JSON would silently drop the first",
        )
        raise SettingsError(PLATFORM_KEY, [problem])
    return found


def raw_config(path: FilePath) -> Value:
    """Return the whole file as plain data, as the engine has it.

    Raises `SettingsError` where the file can't be read, or where its meaning is not sure: a key twice, or a scalar of
    ours that YAML readers read differently.
    """
    text = read_stack_file(path)
    problems = list(_of_text(text))
    if problems:
        raise SettingsError(path.name, problems, text.lines)
    return _as_engine(text.value)


def engine_config(path: FilePath) -> dict[str, str]:
    """Return the file's configuration as the engine hands it over: text, everything else as JSON.

    Raises `SettingsError` as `raw_config` does.
    """
    config = _at(raw_config(path), ("config",))
    found = config if isinstance(config, dict) else {}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}


# --- around the platform --------------------------------------------------------------------------------------------


def _of_file(text: StackText, where: str, today: date | None) -> Platform:
    around = [*_around(text.value), *_of_text(text)]
    config = _at(text.value, ("config",))
    if not isinstance(config, dict) or PLATFORM_KEY not in config:
        raise SettingsError(where, around, text.lines)
    lines = {path[len(_PREFIX) :]: line for path, line in text.lines.items() if below(path, _PREFIX)}
    unsure = {path[len(_PREFIX) :] for path in text.doubts if below(path, _PREFIX)}
    return _parse(config[PLATFORM_KEY], where, lines, today, [_in_platform(one, text.lines) for one in around], unsure)


def _of_text(text: StackText) -> Iterator[Problem]:
    """The text's mistakes that we report: not those in other programs' values, but those in their outer keys."""
    for problem in text.problems:
        outer = len(problem.path) <= _OUTER_LEVELS and problem in text.outer
        if below(problem.path, _PREFIX) or outer:
            yield problem


def _in_platform(problem: Problem, lines: Lines) -> Problem:
    """A mistake of the file. Inside the platform it gets the platform's path, elsewhere its line."""
    path = problem.path
    if below(path, _PREFIX):
        return replace(problem, path=path[len(_PREFIX) :])
    return replace(problem, line=problem.line or line_of(path, lines))


def _around(whole: Value) -> Iterator[Problem]:
    """The mistakes outside of `gpu-tenancy:platform`."""
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
        yield from _our_key(key, config[key])
    if PLATFORM_KEY not in config:
        yield Problem(
            path=("config",),
            rule=f"lacks the key {PLATFORM_KEY}",
            got=None,
            fix="put the platform (host, gpu, pools, teams) below it",
        )


def _meant(key: str) -> str | None:
    """Return our key that the engine takes a key of `config` for; None where it is another program's.

    The engine takes `platform` and `gpu-tenancy:config:platform` for `gpu-tenancy:platform`. Of two such keys it takes
    either one (pulumi v3.259.0: sdk/go/common/workspace/loaders.go, sdk/go/common/resource/config/key.go; seen).
    """
    match key.split(":"):
        case [name] | ["gpu-tenancy", name] | ["gpu-tenancy", "config", name]:
            return f"{NAMESPACE}:{name}"
    return None


def _our_key(key: str, value: Value) -> Iterator[Problem]:
    meant = _meant(key)
    if meant is None:
        return
    secret = meant == KUBECONFIG_KEY or meant.startswith(SECRET_KEY_PREFIX)
    encrypted = isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)
    if secret and value is not None and not encrypted:
        yield Problem(
            path=("config", key),
            rule="must be encrypted, it holds credentials",
            got="plain text",
            fix=f"remove it and run `pulumi config set --secret {meant}`, and treat what stood here as leaked",
        )
    if meant not in _OUR_KEYS and not secret:
        near = nearest(meant, _OUR_KEYS) or PLATFORM_KEY
        yield Problem(path=("config", key), rule="is not a key of this program", got=None, fix=f"write {near}")
    elif key != meant:
        yield Problem(path=("config", key), rule=f"is {meant} to the engine", got=None, fix=f"write {meant}")


def _at(value: Value, path: Path) -> Value:
    for step in path:
        value = value.get(step) if isinstance(value, dict) and isinstance(step, str) else None
    return value


# --- as the engine has it -------------------------------------------------------------------------------------------


def _as_engine(value: Value) -> Value:
    """A value as the engine passes it on: a date is a text (Go's `time.Time.String`)."""
    if isinstance(value, date):
        return f"{value.isoformat()} 00:00:00 +0000 UTC"
    if isinstance(value, dict):
        return {key: _as_engine(item) for key, item in value.items()}
    return [_as_engine(item) for item in value] if isinstance(value, list) else value


def _same(ours: Value, theirs: object, unsure: set[Path], path: Path = ()) -> bool:
    """Whether the engine has read the same as we have, except for values that YAML readers read differently."""
    if path in unsure and not isinstance(ours, dict | list) and not isinstance(theirs, dict | list):
        return True
    if isinstance(ours, dict) and isinstance(theirs, Mapping):
        return ours.keys() == theirs.keys() and all(
            _same(item, theirs[key], unsure, (*path, key)) for key, item in ours.items()
        )
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            _same(item, theirs[at], unsure, (*path, at)) for at, item in enumerate(ours)
        )
    return type(ours) is type(theirs) and ours == theirs


# --- the platform ---------------------------------------------------------------------------------------------------


def _parse(
    raw: object,
    where: str,
    lines: Lines,
    today: date | None,
    problems: Iterable[Problem] = (),
    unsure: Iterable[Path] = (),
) -> Platform:
    """`problems`: the mistakes already found in the text. `unsure`: paths whose meaning is not sure."""
    day = today or date.today()
    value, refused = plain(raw)
    known = [*problems, *refused]
    taken = {*unsure, *(problem.path for problem in refused)}
    details = []
    platform: Platform | None = None
    try:
        platform = Platform.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        # pydantic's own text repeats whole sections, so the error does not even have it as its cause
        details = error.errors(include_url=False)
    if platform is not None and not taken:
        known += problems_of(platform, day)
    else:
        known = choices_first(value, known, shape_problems(value, details))
        doubts = Doubts.of(value, details, taken)
        known += problems_beside(value, doubts, lambda sound: problems_of(sound, day))
    if known:
        raise SettingsError(where, known, lines)
    assert platform is not None, "no mistake, so it is valid"
    return platform
