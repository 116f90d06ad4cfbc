"""What is said to a person: on standard error, so that standard output stays a command's result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from cli.errors import CommandError
from hints import DEFAULT_STACK, for_stack
from report.lines import Line, Tone
from settings.problems import escaped

STANDARD_ERROR: Final = 2
WIDTH_IN_A_LOG: Final = 200
"""Columns where nobody is looking, unless COLUMNS says so: tables keep their lines whole in a log."""


def begin() -> None:
    """Make sure that there is something to speak on: a shell may start us with a stream closed (`>&-`), and the next
    file that is opened would take its place. What a stream's encoding lacks is spelled out."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(spare)
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("r+", encoding="utf-8"))  # noqa: SIM115  (until the end)
        elif isinstance(stream, TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="backslashreplace")


def no_more() -> None:
    """Let go of standard output where nothing more can be written: python would complain once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Subject:
    """What the process speaks about; one command runs in it."""

    stack = DEFAULT_STACK


def about(stack: str) -> None:
    """Let every `make ...` that is told from now on name this stack."""
    _Subject.stack = stack


def told(text: str) -> str:
    """A text as it is told: its commands as they have to be typed for the stack that it is about."""
    return for_stack(text, _Subject.stack)


def console(*, result: bool = False) -> Console:
    """A console on standard error, or on standard output for a result; in a log it is wide instead of 80 columns."""
    plain = Console(stderr=not result, highlight=False, markup=False, soft_wrap=False)
    if plain.is_terminal:
        return plain
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else WIDTH_IN_A_LOG
    return Console(stderr=not result, highlight=False, markup=False, soft_wrap=False, width=width)


_STYLES: Final = {
    Tone.PLAIN: "",
    Tone.HEAD: "bold",
    Tone.QUIET: "dim",
    Tone.GOOD: "green",
    Tone.CHANGED: "yellow",
    Tone.BAD: "red",
}


def plan(lines: Iterable[Line]) -> None:
    """Print a result line by line on standard output; colours only where that is a terminal."""
    found = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    with suppress(BrokenPipeError):
        for each in lines:
            found.print(Text(told(each.text), style=_STYLES[each.tone]), soft_wrap=True)


def plain(text: str) -> str:
    """A text as a terminal may have it. Much of what is said a team has written: an image's name, an event, a check's
    sentence. Nothing of it may move the cursor, set a title or hide a line."""
    return text if text.isprintable() else "\n".join(escaped(one) for one in text.split("\n"))


def line(text: str) -> None:
    """Say one line."""
    with suppress(OSError):  # a reader that has gone (`| head`), a full disk: neither must end an update in the middle
        print(plain(told(text)), file=sys.stderr, flush=True)


def lines(texts: Iterable[str]) -> None:
    """Say some lines."""
    for text in texts:
        line(text)


def result(text: str) -> None:
    """Write a command's result, on standard output."""
    text = plain(told(text))
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def complain(error: CommandError) -> None:
    """Say why a command could not go on: cause, fix, then the text of others."""
    line(f"error: {error.cause}")
    if error.fix:
        line(f"  fix: {error.fix}")
    if error.detail:
        line("")
        line(error.detail)
