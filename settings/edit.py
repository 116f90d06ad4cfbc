"""Edits of a stack file's text: promote or drop a canary, change the slot that serves, drop the other slot. Pure: no
Pulumi import.

Owns: which characters change. All others stay, also comments and line ends. The result is read again: it must say
exactly what was meant, or nothing changes (an anchor or a merge key may put one value in several places).
Leaves to others: reading and writing the file (`cli/canary.py`), what a stack file may say (`reader.py`).
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from settings.reader import read_text
from settings.values import Value

_PLATFORM: Final = ("config", "gpu-tenancy:platform")
_PAUSE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
"""What may stand between a value and the comma after it."""


class NotEditableError(ValueError):
    """The text says the value in a way that can't be changed in one place."""


def promote(text: str, team: str) -> str:
    """Return the text with the canary's version as the team's, and without the canary. Raises `NotEditableError`."""
    scheduler, path = _mapping(text, team, "scheduler")
    version, canary = _value(scheduler, "version"), _value(_value(scheduler, "canary"), "version")
    edited = _without(text, scheduler, "canary")
    # the version may be before or after the text that was cut out
    taken = text[canary.start_mark.index : canary.end_mark.index]
    at = version.start_mark.index
    if at > _value(scheduler, "canary").start_mark.index:
        at += len(edited) - len(text)
    edited = edited[:at] + taken + edited[at + version.end_mark.index - version.start_mark.index :]
    return _as_meant(text, edited, path, {"version": canary.value, "canary": None})


def drop_canary(text: str, team: str) -> str:
    """Return the text without the team's canary. Raises `NotEditableError`."""
    scheduler, path = _mapping(text, team, "scheduler")
    return _as_meant(text, _without(text, scheduler, "canary"), path, {"canary": None})


def serve(text: str, team: str, slot: str) -> str:
    """Return the text with that slot of the team's `blueGreen` serving. Raises `NotEditableError`."""
    pair, path = _mapping(text, team, "blueGreen")
    serves = _value(pair, "serves")
    edited = text[: serves.start_mark.index] + slot + text[serves.end_mark.index :]
    return _as_meant(text, edited, path, {"serves": slot})


def drop_slot(text: str, team: str, slot: str) -> str:
    """Return the text without that slot of the team's `blueGreen`. Raises `NotEditableError`."""
    pair, path = _mapping(text, team, "blueGreen")
    return _as_meant(text, _without(text, pair, slot), path, {slot: None})


def _mapping(text: str, team: str, section: str) -> tuple[yaml.MappingNode, tuple[str, ...]]:
    path = (*_PLATFORM, "teams", team, section)
    try:
        # not libyaml's, whose marks count bytes; this one takes no tab where libyaml and the engine do
        node = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise NotEditableError(".".join(path)) from error
    for key in path:
        node = _value(node, key)
    if not isinstance(node, yaml.MappingNode):
        raise NotEditableError(".".join(path))
    return node, path


def _value(node: yaml.Node | None, key: str) -> yaml.Node:
    pairs: list[tuple[yaml.Node, yaml.Node]] = node.value if isinstance(node, yaml.MappingNode) else []
    for found, value in pairs:
        if found.value == key:
            return value
    raise NotEditableError(key)


def _without(text: str, mapping: yaml.MappingNode, what: str) -> str:
    place = next((index for index, (key, _) in enumerate(mapping.value) if key.value == what), None)
    if place is None:
        raise NotEditableError(what)
    key, value = mapping.value[place]
    start, end = key.start_mark.index, _end(value)
    if not mapping.flow_style:
        return _cut(text, text.rfind("\n", 0, start) + 1, _line_end(text, end))
    after = _PAUSE.match(text, end)
    comma = after.end() if after is not None else end
    if text[comma : comma + 1] == ",":
        return _trimmed(text, start, comma + 1)
    if place:
        before = _end(mapping.value[place - 1][1])
        pause = _PAUSE.match(text, before)
        comma = pause.end() if pause is not None else before
        return _trimmed(_cut(text, comma, comma + 1), start - 1, end - 1)
    return _trimmed(text, start, end)


def _cut(text: str, start: int, end: int) -> str:
    return text[:start] + text[end:]


def _trimmed(text: str, start: int, end: int) -> str:
    """Cut these characters and the blanks before them; cut the whole line if nothing else is in it."""
    line, rest = text.rfind("\n", 0, start) + 1, _line_end(text, end)
    if not text[line:start].strip() and not text[end:rest].strip():
        return _cut(text, line, rest)
    if text[end : end + 1] == " " and text[start - 1 : start] in (" ", "{"):
        return _cut(text, start, end + 1)
    while text[start - 1] in " \t" and text[end : end + 1] in ("}", "\r", "\n"):
        start -= 1
    return _cut(text, start, end)


def _line_end(text: str, index: int) -> int:
    """The place after the end of the line."""
    return text.find("\n", index) + 1 or len(text)


def _end(node: yaml.Node) -> int:
    """Where a value's own text ends. (A block's end mark comes after the blank lines and comments that follow.)"""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


def _as_meant(text: str, edited: str, path: tuple[str, ...], changed: dict[str, Value | None]) -> str:
    wanted = read_text(text).value
    here = wanted
    for key in path:
        here = here[key] if isinstance(here, dict) else {}
    if not isinstance(here, dict):
        raise NotEditableError(".".join(path))
    for key, value in changed.items():
        here.pop(key, None)
        if value is not None:
            here[key] = value
    try:
        found = read_text(edited).value
    except Exception as error:
        raise NotEditableError(".".join(path)) from error
    if found != wanted:
        raise NotEditableError(".".join(path))
    return edited
