"""A failed run in words: the cause first, each cause once, and the rest in a file.

Owns: how much is shown and in which order, the file with the engine's own words.
Leaves to others: what a message means (`causes.py`), what was seen while it ran (`watch.py`), what guards say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cli.causes import Failure, explain, without_noise
from cli.errors import CommandError, Exit
from cli.files import write_private
from cli.guards.refusal import Refusal
from cli.watch import Trouble

LOGS: Final = Path(".pulumi/logs")
MOST_CAUSES: Final = 8
"""Further causes that are told; a screen, with the heading and the fix of each."""
MOST_LINES: Final = 30
"""Lines of the engine's own words that are shown. All of them are in the file."""

VAGUE: Final = frozenset({"timeout", "unknown", "secret-missing", "secret-late", "check-failed", "helm-hook"})
"""Causes that only say that something did not come. What was seen while it was waited for says why."""

_OWN_WORDS: Final = (re.compile(r"^Diagnostics:", re.MULTILINE), re.compile(r"^ *error: ", re.MULTILINE))
"""Where the engine begins to speak of faults: its last section, or the first error between the steps of a preview."""


def refused(refusals: Sequence[Refusal], *, code: Exit = Exit.BAD_INPUT) -> CommandError:
    """Return the error for what a guard refused: the first one first, then the others."""
    first, others = refusals[0], refusals[1:]
    detail = "\n".join(f"also: {other.cause}.\n  fix: {other.fix}" for other in others[:MOST_CAUSES])
    if len(others) > MOST_CAUSES:
        detail += f"\nand {len(others) - MOST_CAUSES} more"
    error = CommandError(f"{first.cause}; nothing was changed.", first.fix, detail=detail)
    error.code = code
    return error


def keep_words(root: Path, stack: str, what: str, text: str) -> Path:
    """Write the engine's words to a file for the owner alone, in place of the last run's; return its path from `root`.

    The engine masks secrets; other words are kept as they are.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True, mode=0o700)
    path = LOGS / f"{stack}-{what}.log"
    write_private(root / path, text)
    return path


def explained(
    text: str, otherwise: str, *, tenants: Sequence[str], stack: str, kept: Path | None, seen: Iterable[Trouble] = ()
) -> CommandError:
    """Return what a failed run means.

    `otherwise` is said where nobody knows; `seen` is what could not start meanwhile.
    """
    failures = explain(text, tenants=tenants, stack=stack)
    troubles = list(seen)
    words = _own_words(text, kept, known=bool(failures) and failures[0].id == "policy")
    if not failures:
        return CommandError(f"{otherwise}.", "see the engine's own words", detail=_join([*map(_saw, troubles), words]))
    first, others = failures[0], failures[1:]
    cause, fix = str(first), first.fix
    behind = next((t for t in troubles if t.team == first.team), None) if first.id in VAGUE else None
    if behind is not None:
        cause, fix = f"{first}: {behind.place}, {behind.words}", behind.fix
        troubles.remove(behind)
    return CommandError(cause, fix, detail=_join([*_also(others), *map(_saw, troubles), words]))


def _also(others: Sequence[Failure]) -> list[str]:
    """Each cause once: failures that differ in team or step alone are one line."""
    together: dict[tuple[str, str], list[Failure]] = {}
    for failure in others:
        together.setdefault((failure.cause, failure.fix), []).append(failure)
    lines = []
    for (cause, fix), same in list(together.items())[:MOST_CAUSES]:
        where = str(same[0]) if len(same) == 1 else f"{len(same)} times: {cause}"
        lines.append(f"also: {where}\n  fix: {fix}")
    if len(together) > MOST_CAUSES:
        lines.append(f"and {len(together) - MOST_CAUSES} more causes")
    return lines


def _saw(trouble: Trouble) -> str:
    return f"seen meanwhile: {trouble}"


def _own_words(text: str, kept: Path | None, *, known: bool) -> str:
    """What the engine said of faults; of a violated policy the file's name alone, because the error has its words."""
    starts = [match.start() for pattern in _OWN_WORDS if (match := pattern.search(text))]
    shown = [] if known else without_noise(text[starts[0] :] if starts else text).strip().splitlines()
    where = f" (all of them: {kept})" if kept else ""
    if not shown:
        return f"the engine's own words: {kept}" if kept else ""
    more = [f"... {len(shown) - MOST_LINES} more lines"] if len(shown) > MOST_LINES else []
    return "\n".join([f"--- the engine's own words{where} ---", *shown[:MOST_LINES], *more])


def _join(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part)
