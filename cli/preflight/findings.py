"""One row of the preflight's table, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`error`: `up` would fail or do harm. `warning`: needs a look. `note`: can't be seen, or comes with `up`."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table. `fix` is one line, empty where there is nothing to do."""

    id: str
    level: Level
    subject: str
    message: str
    fix: str = ""


def ok(id_: str, subject: str, message: str) -> Finding:
    """Return a row for something that is well."""
    return Finding(id=id_, level=Level.OK, subject=subject, message=message)


def error(id_: str, subject: str, message: str, fix: str) -> Finding:
    """Return a row that stops `up`."""
    return Finding(id=id_, level=Level.ERROR, subject=subject, message=message, fix=fix)


def warning(id_: str, subject: str, message: str, fix: str) -> Finding:
    """Return a row to look at."""
    return Finding(id=id_, level=Level.WARNING, subject=subject, message=message, fix=fix)


def note(id_: str, subject: str, message: str, fix: str = "") -> Finding:
    """Return a row that needs no action now."""
    return Finding(id=id_, level=Level.NOTE, subject=subject, message=message, fix=fix)
