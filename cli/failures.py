"""A failed run as messages: the cause first, each cause once, and the rest in a file.

Owns: how much is shown and in which order, the file with the engine's output.
Leaves to others: what a message means (`causes.py`), what was seen while it ran (`waiting.py`), what guards say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cli.causes import Failure, explain
from cli.causes.reading import without_noise
from cli.errors import CommandError, Exit
from cli.files import write_private
from cli.guards.refusal import Refusal

LOGS: Final = Path(".pulumi/logs")
MOST_CAUSES: Final = 8
"""The most further causes that are shown: one screen, with heading and fixes."""
MOST_LINES: Final = 30
"""The most lines of the engine's output that are shown. The file has all of them."""

_OWN_WORDS: Final = (re.compile(r"^Diagnostics:", re.MULTILINE), re.compile(r"^ *error: ", re.MULTILINE))
"""Where the engine's errors begin: its last section, or the first error between the steps of a preview."""


def refused(refusals: Sequence[Refusal], *, code: Exit = Exit.BAD_INPUT) -> CommandError:
    """Return the error for the refusals of guards: the first as the cause, then the others."""
    first, others = refusals[0], refusals[1:]
    detail = _some([f"also: {other.cause}.\n  fix: {other.fix}" for other in others])
    return CommandError(f"{first.cause}; nothing was changed.", first.fix, detail="\n".join(detail), code=code)


def keep_words(root: Path, stack: str, what: str, text: str) -> Path:
    """Write the engine's output to a file that only the owner can read, in place of the last run's; return its path
    from `root`. The engine masks secrets; other text is kept as it is.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True, mode=0o700)
    path = LOGS / f"{stack}-{what}.log"
    write_private(root / path, text)
    return path


def explained(
    text: str, otherwise: str, *, tenants: Sequence[str], stack: str, kept: Path | None, seen: Sequence[Failure] = ()
) -> CommandError:
    """Return what a failed run means.

    `otherwise` is used where no cause is known; `seen` is what could not start meanwhile.
    """
    failures = explain(text, tenants=tenants, stack=stack, seen=seen)
    words = _own_words(text, kept, known=bool(failures) and failures[0].id == "policy")
    if not failures:
        return CommandError(f"{otherwise}.", "see the engine's own words", detail=words)
    first, others = failures[0], failures[1:]
    return CommandError(str(first), first.fix, detail="\n".join(filter(None, [*also(others), words])))


def also(failures: Sequence[Failure]) -> list[str]:
    """Return the further causes, each with its fix, and the number of those left out."""
    return _some([f"also: {failure}\n  fix: {failure.fix}" for failure in failures])


def _some(lines: list[str]) -> list[str]:
    return [*lines[:MOST_CAUSES], f"and {len(lines) - MOST_CAUSES} more"] if len(lines) > MOST_CAUSES else lines


def _own_words(text: str, kept: Path | None, *, known: bool) -> str:
    """The engine's errors; for a violated policy only the file's name, because the error has its message already."""
    starts = [match.start() for pattern in _OWN_WORDS if (match := pattern.search(text))]
    shown = [] if known else without_noise(text[starts[0] :] if starts else text).strip().splitlines()
    where = f" (all of them: {kept})" if kept else ""
    if not shown:
        return f"the engine's own words: {kept}" if kept else ""
    more = [f"... {len(shown) - MOST_LINES} more lines"] if len(shown) > MOST_LINES else []
    return "\n".join([f"--- the engine's own words{where} ---", *shown[:MOST_LINES], *more])
