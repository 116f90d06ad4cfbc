"""What a stack file is made of: plain data. Pure: no Pulumi import."""

from __future__ import annotations

from typing import TypeAlias

from settings.problems import Path
from settings.scalars import Scalar

Value: TypeAlias = "Scalar | list[Value] | dict[str, Value]"


def child(value: Value, step: str | int) -> Value:
    """Return the value at a key or a list position. Raises `LookupError` where there is none."""
    if isinstance(value, dict) and isinstance(step, str):
        return value[step]
    if isinstance(value, list) and isinstance(step, int):
        return value[step]
    raise LookupError(step)


def written(value: Value, path: Path) -> Path:
    """Return the longest part of the path that exists in the value."""
    for length, step in enumerate(path):
        try:
            value = child(value, step)
        except LookupError:
            return path[:length]
    return path


def copied(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value
