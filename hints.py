"""Commands in hints: they contain no stranger's text, and they name their stack. Pure.

Many texts about a cluster come from the cluster: an event's message, an object's name. Whoever can write an event there
chooses such a text, and people paste a hint into a shell. So only plain words are filled into a command; for anything
else a placeholder stands there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Final

DEFAULT_STACK: Final = "lab"
"""The Makefile's default for STACK."""

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=,@+-]{0,252}")
"""A name in Kubernetes (DNS name, label key, image), without characters that a shell or a program's options act on."""
_MAKE: Final = re.compile(r"`make(\s+)([a-z][a-z-]*)((?:\s[^`]*)?)`")
_WITHOUT_STACK: Final = frozenset(
    {"test", "check", "check-fast", "schema", "lock", "clean", "help", "bench", "mutants", "inventory", "examples"}
)
"""Targets that are about the project or a cluster, not about a stack."""


def plain_word(text: object, otherwise: str) -> str:
    """Return the text if it may stand in a command, else `<otherwise>`."""
    found = str(text)
    return found if _WORD.fullmatch(found) else f"<{otherwise}>"


def filled(template: str, *args: str, **words: object) -> str:
    """Fill in the template as `str.format` does; between backticks only with plain words."""
    safe = _Plain().vformat
    parts = template.split("`")
    return "`".join(
        safe(part, args, words) if index % 2 else part.format(*args, **words) for index, part in enumerate(parts)
    )


class _Plain(Formatter):
    """Fills in a command."""

    def get_field(self, field_name: str, args: object, kwargs: Mapping[str, object]) -> tuple[object, str | int]:
        value, key = super().get_field(field_name, args, kwargs)  # type: ignore[arg-type]
        return plain_word(value, "name" if field_name.isdecimal() else field_name), key


def for_stack(text: str, stack: str) -> str:
    """Return the text with this stack in every `make ...`, ready to type."""
    if stack == DEFAULT_STACK:
        return text

    def named(found: re.Match[str]) -> str:
        gap, target, rest = found.groups()
        if target in _WITHOUT_STACK or "STACK=" in rest:
            return found[0]
        return f"`make{gap}{target} STACK={stack}{rest}`"

    return _MAKE.sub(named, text)
