"""Commands that people are told to run: nothing of a stranger's text in them, and the stack that they are about. Pure.

Much of what is said of a cluster comes from it: an event's message, the name of what it is about. Whoever can write an
event there chooses such a text, and a hint is pasted into a shell. So what is filled into a command is one plain word,
or its place holder stands there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Final

DEFAULT_STACK: Final = "lab"
"""What the Makefile takes where no STACK is given."""

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=,@+-]{0,252}")
"""A name in Kubernetes (DNS name, label key, image) and nothing that a shell or a program's options would notice."""
_MAKE: Final = re.compile(r"`make(\s+)([a-z][a-z-]*)((?:\s[^`]*)?)`")
_WITHOUT_STACK: Final = frozenset(
    {"test", "check", "check-fast", "schema", "lock", "clean", "help", "bench", "mutants", "inventory", "examples"}
)
"""Targets that are about the project or a cluster, and no stack."""


def plain_word(text: object, otherwise: str) -> str:
    """Return the text where it may stand in a command, else `<otherwise>`."""
    found = str(text)
    return found if _WORD.fullmatch(found) else f"<{otherwise}>"


def filled(template: str, *args: str, **words: object) -> str:
    """Return the template with its fields filled in as `str.format` does; between backticks with plain words only."""
    safe = _Plain().vformat
    parts = template.split("`")
    return "`".join(
        safe(part, args, words) if index % 2 else part.format(*args, **words) for index, part in enumerate(parts)
    )


class _Plain(Formatter):
    """Fills a command in."""

    def get_field(self, field_name: str, args: object, kwargs: Mapping[str, object]) -> tuple[object, str | int]:
        value, key = super().get_field(field_name, args, kwargs)  # type: ignore[arg-type]
        return plain_word(value, "name" if field_name.isdecimal() else field_name), key


def for_stack(text: str, stack: str) -> str:
    """Return the text with every `make ...` in it about this stack, as one would have to type it."""
    if stack == DEFAULT_STACK:
        return text

    def named(found: re.Match[str]) -> str:
        gap, target, rest = found.groups()
        if target in _WITHOUT_STACK or "STACK=" in rest:
            return found[0]
        return f"`make{gap}{target} STACK={stack}{rest}`"

    return _MAKE.sub(named, text)
