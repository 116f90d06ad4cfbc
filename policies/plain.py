"""Plain data from an engine, and readers that never take an unknown value for a known one.

A value that is not known yet (an output, at preview) becomes `UNKNOWN`. The readers below raise `Unreadable` for it,
and for a value that is missing or of another type. The runner turns that into a violation. So rules fail closed without
code for it in each rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from sys import float_info
from typing import Final, TypeAlias

from pulumi.output import Unknown as SdkUnknown
from pulumi_policy import proxy

from capacity import parse_quantity
from preview.values import OUTPUT_SIGNATURE, SECRET_SIGNATURE, SIGNATURE_KEY, is_known

Number: TypeAlias = int | float


class Unknown:
    """A value that is not known at preview, or that is secret in a state file, and so can't be judged."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


class Unreadable(Exception):  # noqa: N818  # it is an answer of a reader, not an error of the program
    """A rule needs a value that can't be read. The text says which value, and how to correct it."""


def plain(value: object) -> object:
    """Return `value` as dicts, lists and scalars, with `UNKNOWN` wherever a value is not known or is secret."""
    if isinstance(value, (Unknown, SdkUnknown)):
        return UNKNOWN
    if isinstance(value, str):
        return value if is_known(value) else UNKNOWN
    if isinstance(value, Mapping):
        if SIGNATURE_KEY in value:
            return _signed(value)
        return {str(key): _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_item(value, index) for index in range(len(value))]
    return value


def plain_properties(properties: Mapping[str, object]) -> dict[str, object]:
    """Return a resource's properties as plain data, see `plain`."""
    return {str(key): _item(properties, key) for key in properties}


def _signed(value: Mapping[str, object]) -> object:
    signature = value[SIGNATURE_KEY]
    if signature in (SECRET_SIGNATURE, OUTPUT_SIGNATURE) and "value" in value:
        return plain(value["value"])
    return UNKNOWN


def _item(container: object, key: object) -> object:
    # only this code meets the SDK's proxies. to read an unknown through them raises, and the SDK turns that into an
    # advisory note even for a mandatory policy (pulumi_policy/policy.py, Analyze)
    try:
        return plain(container[key])  # type: ignore[index]
    except proxy.UnknownValueError:
        return UNKNOWN


def get(properties: Mapping[str, object], *path: str) -> object | None:
    """Return the value at `path`, or None where any part of the path is absent. Raises `Unreadable` when a value on the
    path is not known.
    """
    value: object = properties
    for depth, key in enumerate(path):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
        if isinstance(value, Unknown):
            raise unknown(".".join(path[: depth + 1]))
    return value


def unknown(path: str) -> Unreadable:
    """Return the error for a value that is not known."""
    return Unreadable(f"{path} is not known at preview, so this cannot be checked; pass a literal value, not an output")


def _missing(path: Sequence[str]) -> Unreadable:
    return Unreadable(f"{'.'.join(path)} is missing, so this cannot be checked; set it")


def _wrong(path: Sequence[str], wanted: str, value: object) -> Unreadable:
    return Unreadable(f"{'.'.join(path)} must be {wanted}, got {value!r}, so this cannot be checked; correct it")


def number(properties: Mapping[str, object], *path: str) -> Number:
    """Return the number at `path`; whole numbers as `int`. Raises `Unreadable` when there is none."""
    found = maybe_number(properties, *path)
    if found is None:
        raise _missing(path)
    return found


def maybe_number(properties: Mapping[str, object], *path: str) -> Number | None:
    """Like `number`, but None when it is absent."""
    value = get(properties, *path)
    if value is None:
        return None
    # the engine's wire format knows only doubles
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= float_info.max:
        raise _wrong(path, "a number", value)
    return int(value) if float(value).is_integer() else value


def whole(properties: Mapping[str, object], *path: str) -> int:
    """Return the whole number at `path`. Raises `Unreadable` when there is none."""
    found = number(properties, *path)
    if isinstance(found, float):
        raise _wrong(path, "a whole number", found)
    return found


def text(properties: Mapping[str, object], *path: str) -> str:
    """Return the text at `path`. Raises `Unreadable` when there is none, or an empty one."""
    found = maybe_text(properties, *path)
    if not found:
        raise _missing(path)
    return found


def maybe_text(properties: Mapping[str, object], *path: str) -> str | None:
    """Like `text`, but None when it is absent."""
    value = get(properties, *path)
    if value is not None and not isinstance(value, str):
        raise _wrong(path, "text", value)
    return value


def flag(properties: Mapping[str, object], *path: str) -> bool:
    """Return the boolean at `path`; False when it is absent."""
    value = get(properties, *path)
    if value is not None and not isinstance(value, bool):
        raise _wrong(path, "true or false", value)
    return bool(value)


def mapping(properties: Mapping[str, object], *path: str) -> Mapping[str, object]:
    """Return the mapping at `path`; empty when it is absent."""
    value = get(properties, *path)
    if value is not None and not isinstance(value, Mapping):
        raise _wrong(path, "a mapping", value)
    return value or {}


def mappings(properties: Mapping[str, object], *path: str) -> list[Mapping[str, object]]:
    """Return the list of mappings at `path`; empty when it is absent."""
    value = get(properties, *path)
    if value is None:
        return []
    if not isinstance(value, list) or any(not isinstance(item, (Mapping, Unknown)) for item in value):
        raise _wrong(path, "a list of mappings", value)
    if any(isinstance(item, Unknown) for item in value):
        raise unknown(f"an item of {'.'.join(path)}")
    return value


def texts(properties: Mapping[str, object], *path: str) -> list[str]:
    """Return the list of texts at `path`; empty when it is absent."""
    value = get(properties, *path)
    if value is None:
        return []
    if not isinstance(value, list) or any(not isinstance(item, (str, Unknown)) for item in value):
        raise _wrong(path, "a list of texts", value)
    if any(isinstance(item, Unknown) for item in value):
        raise unknown(f"an item of {'.'.join(path)}")
    return value


def quantity(properties: Mapping[str, object], *path: str) -> Decimal | None:
    """Return the Kubernetes quantity at `path` in its base unit, None when it is absent."""
    value = get(properties, *path)
    if value is None:
        return None
    try:
        return parse_quantity(str(value))
    except ValueError:
        raise _wrong(path, "a quantity", value) from None


def say(value: Number | Decimal) -> str:
    """Return a number as people write it: 8, not 8.0."""
    return f"{float(value):g}"
