"""Join messages that differ only in their subject. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from capacity import listed

_NAMED: Final = 4
"""The most subjects that are named; the rest is counted."""
_LONGEST_SUBJECT: Final = 100
"""Characters. A subject is a kind and a name, like `Job ml-check` or `team ml`; a longer text is a sentence."""


def grouped(messages: Iterable[str]) -> list[str]:
    """Return the messages, with one message for the same sentence about several subjects: `team a, team b: the
    sentence`.

    A message is `subject: sentence`; a message without a subject stays as it is. The order is that of the first of
    each.
    """
    found: dict[str, list[str]] = {}
    for message in messages:
        subject, colon, rest = message.partition(": ")
        if not colon or len(subject) > _LONGEST_SUBJECT:
            subject, rest = "", message
        found.setdefault(rest, []).append(subject)
    return [_line(list(dict.fromkeys(subjects)), rest) for rest, subjects in found.items()]


def _line(subjects: list[str], rest: str) -> str:
    named = [subject for subject in subjects if subject]
    return f"{listed(named, _NAMED)}: {rest}" if named else rest
