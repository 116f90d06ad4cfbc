"""Reads a value from a resource's inputs, and never takes an unknown value for a known one. Pure.

Owns: the marks by which engine and lab say that a value is not known or is secret, and the readers that raise for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from pydantic import JsonValue

from capacity import UNLIMITED, amount_of

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks a value's kind in plain data (pulumi sdk/go/common/resource/properties.go)."""
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
"""The mark of a secret; its value, or its ciphertext, is beside the mark."""
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
"""The mark of an output value."""
SECRET: Final = "[secret]"
UNKNOWN: Final = "[unknown]"
"""What the lab and `pulumi policy analyze` write in place of a value; the lab adds a salted hash to a secret."""
UNKNOWN_MARKS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # a text
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # a mapping
        UNKNOWN,
    }
)
"""What stands in place of a value that is not known at preview: the engine's marks (pulumi v3.259.0,
sdk/go/common/resource/plugin/rpc.go), and the lab's.
"""
MOST: Final = 2**63 - 1
"""The largest quantity (apimachinery, pkg/api/resource/quantity.go). Larger values are cut to it."""


class UnreadableError(ValueError):
    """A value that is needed is not known, is secret, or has another type. The text says which."""


def plain(value: JsonValue) -> JsonValue:
    """Return the value without the engine's wrappers. A mark of an unknown value stays."""
    if isinstance(value, dict):
        if SIGNATURE_KEY in value:
            inner = value.get("value") if value[SIGNATURE_KEY] in (SECRET_SIGNATURE, OUTPUT_SIGNATURE) else None
            return SECRET if inner is None else plain(inner)
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def is_known(value: JsonValue) -> bool:
    """Whether a value and everything in it can be judged."""
    if isinstance(value, dict):
        return SIGNATURE_KEY not in value and all(is_known(item) for item in value.values())
    if isinstance(value, list):
        return all(is_known(item) for item in value)
    return not (isinstance(value, str) and (value in UNKNOWN_MARKS or value.startswith(SECRET)))


def known(value: JsonValue, where: str) -> JsonValue:
    """Return the value. Raises `UnreadableError` when it is not known."""
    if not is_known(value):
        message = f"{where} is not known at preview, so it can't be judged; pass a literal value, not an output"
        raise UnreadableError(message)
    return value


def get(inputs: Mapping[str, JsonValue], *path: str) -> JsonValue:
    """Return the value at the path, or None. Raises `UnreadableError` where a value on the path is not known."""
    value: JsonValue = dict(inputs)
    for depth, key in enumerate(path):
        if isinstance(value, str):
            known(value, ".".join(path[:depth]))
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text(inputs: Mapping[str, JsonValue], *path: str) -> str:
    """Return the text at the path, empty where there is none. Raises `UnreadableError` when it is not known."""
    value = known(get(inputs, *path), ".".join(path))
    return value if isinstance(value, str) else ""


def quantity(value: JsonValue, where: str) -> Decimal:
    """Return a number or a Kubernetes quantity in its base unit; -1 means unlimited.

    Raises `UnreadableError` when it is not a quantity, is below 0 otherwise, or is more than an API server accepts.
    """
    known(value, where)
    found = amount_of(value)
    if found is None or not (found == UNLIMITED or 0 <= found <= MOST):
        raise UnreadableError(f"{where} must be a number or a quantity, got {value!r:.60}, so it can't be judged")
    return found


_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def numbers_of(version: JsonValue) -> tuple[int, int, int] | None:
    """Major, minor and patch of `v1.34.4` or `1.34/stable`; None where it is no version."""
    found = _VERSION.match(version) if isinstance(version, str) else None
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
