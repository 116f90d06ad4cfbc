"""What a plain scalar (a value without quotes) of a stack file means. Pure: no import of ours.

Owns: the one meaning that all readers of the file share, and the forms that they read differently.
Leaves to others: the text around it (`reader.py`).

Three readers look at one file. This program is the first. The engine reads with Go's yaml.v3 v3.0.1 (pulumi v3.259.0:
sdk/go.mod, sdk/go/common/encoding/marshal.go), and writes and reads once more before the program sees it. Editors check
YAML 1.2 against the JSON Schema. Other tools use Python's own YAML, which is YAML 1.1. A plain scalar that one of them
reads differently is refused with the fix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

Scalar: TypeAlias = bool | int | float | str | date | None

OR_QUOTED: Final = ", or put it in quotes"
"""End of a fix where the user may have meant a text."""

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_OLD_BOOLEANS: Final = frozenset(
    form for word in ("yes", "no", "on", "off") for form in (word, word.capitalize(), word.upper())
)
"""Booleans of YAML 1.1 and of no other."""

_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_SOME_NUMBER: Final = re.compile(
    r"[-+]?0[bB][01_]+"
    r"|[-+]?0[oO][0-7_]+"
    r"|[-+]?0[xX][0-9a-fA-F_]+"
    r"|[-+]?(?=\.?[0-9])[0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]+)?"  # with an exponent, with leading zeros, with `_`
    r"|[-+]_[0-9_]*[0-9][0-9_]*"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"  # base 60
)
_SOME_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9].*)?")

_INT64: Final = 2**63
_EXACT_FLOAT: Final = 2**53
"""Above this not every whole number is a float, and readers print it differently."""
_MOST_DIGITS: Final = 400
"""Digits. A longer number is not converted."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The `value`. Where readers differ, `rule` and `fix` are set, and `value` is only the text."""

    value: Scalar
    rule: str | None = None
    fix: str = ""


def resolve(text: str) -> Resolved:
    """Return what a plain scalar means to every reader, or why it is refused. Never raises."""
    if text in _NULLS:
        return Resolved(value=None)
    if text in _BOOLEANS:
        return Resolved(value=_BOOLEANS[text])
    if text in _OLD_BOOLEANS:
        meant = "true" if text.lower() in ("yes", "on") else "false"
        return _differs(text, f"write {meant}{OR_QUOTED}")
    if _NOT_FINITE.fullmatch(text):
        return Resolved(value=text, rule="must be a finite number", fix="write a number")
    if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        return _number(text)
    if _DATE.fullmatch(text):
        return Resolved(value=_date(text))
    if _SOME_TIME.fullmatch(text):
        return _differs(text, f"write a date as YYYY-MM-DD{OR_QUOTED}")
    if _SOME_NUMBER.fullmatch(text):
        return _differs(text, f"write a plain decimal number{OR_QUOTED}")
    return Resolved(value=text)


def _differs(text: str, fix: str) -> Resolved:
    return Resolved(value=text, rule="is read differently by different YAML readers", fix=fix)


def _number(text: str) -> Resolved:
    if len(text) > _MOST_DIGITS:
        return _too_large(text)
    if _INTEGER.fullmatch(text):
        whole = int(text)
        return Resolved(value=whole) if -_INT64 <= whole < _INT64 else _too_large(text)
    number = float(text)
    if abs(number) >= _EXACT_FLOAT:
        return _too_large(text)
    # the engine's second reading makes 2.0 a 2
    return Resolved(value=int(number) if number.is_integer() else number)


def _too_large(text: str) -> Resolved:
    return Resolved(
        value=text,
        rule="has more digits than a number keeps (64 bits)",
        fix=f"write a smaller number{OR_QUOTED}",
    )


def _date(text: str) -> Scalar:
    try:
        return date.fromisoformat(text)
    except ValueError:  # 2026-02-30: text to all of them
        return text
