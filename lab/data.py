"""Plain data from the SDK: without plain secrets, and short enough to keep.

Owns: the marks of secrets and unknowns, and what replaces them in the state and in steps.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from lab.errors import LabError
from lab.objects import Json
from preview.values import SECRET, SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN

LONG_TEXT = 1024  # ConfigMaps contain whole programs; no name or number is longer


def plain(value: object, *, unwrap: bool = True) -> Any:
    """A value with whole floats as ints (protobuf knows no integers), and without the SDK's secret wrappers."""
    if isinstance(value, dict):
        if unwrap and value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return plain(value.get("value"))
        return {key: plain(item, unwrap=unwrap) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, unwrap=unwrap) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def short(value: object) -> Any:
    """Masked inputs with long texts as hashes, for the state file: enough to see a change."""
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [short(item) for item in value]
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return f"[{len(value)} characters] {hashlib.sha256(value.encode()).hexdigest()[:12]}"
    return value


def masked(value: object, salt: str) -> Any:
    """Plain JSON data with each secret replaced by a salted hash, so that a change still shows."""
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            text = json.dumps(masked(value.get("value"), ""), sort_keys=True)
            digest = hashlib.sha256(f"{salt}{text}".encode()).hexdigest()[:12]
            return f"{SECRET} {digest}" if salt else text
        return {str(key): masked(item, salt) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, salt) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float | bool | None) else UNKNOWN


def secret(value: object) -> Json:
    """Mark a value as secret, as the SDK does."""
    return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}


def hide_secret_data(inputs: Json) -> Json:
    """A Secret's content is always secret, even where the program did not mark it."""
    if inputs.get("kind") != "Secret":
        return inputs
    return {key: secret(item) if key in ("data", "stringData") else item for key, item in inputs.items()}


def has_unknown(value: object) -> bool:
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return not isinstance(value, str | int | float | bool | None)


def kept(inputs: Json, old: Json, paths: Iterable[str]) -> Json:
    """Return the inputs with the old value at each of the paths: the option ignore_changes.

    paths: keys with dots between them, as this program writes them. Raises LabError for any other path.
    """
    for path in paths:
        keys = path.split(".")
        if not all(re.fullmatch(r"\w+", key) for key in keys):
            raise LabError(f"lab: ignore_changes {path!r} is not simulated.", "name keys with dots between them.")
        inputs = _with(inputs, keys, _at(old, keys))
    return inputs


_ABSENT: Final = object()


def _at(value: object, keys: Sequence[str]) -> object:
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return _ABSENT
        value = value[key]
    return value


def _with(value: Json, keys: Sequence[str], found: object) -> Json:
    """The mapping with another value at the path, or without the path where the value is absent. Does not create
    missing paths.
    """
    key, *rest = keys
    if rest:
        inner = value.get(key)
        return {**value, key: _with(inner, rest, found)} if isinstance(inner, dict) else value
    if found is _ABSENT:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: found}
