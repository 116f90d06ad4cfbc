"""Messages for people: on standard error, so that standard output only has a command's result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.errors import CommandError
from hints import DEFAULT_STACK, for_stack
from report.lines import Line, Tone
from settings.problems import escaped

STANDARD_ERROR: Final = 2
INDENT: Final = "  "
WIDTH_IN_A_LOG: Final = 200
"""Columns without a terminal, unless COLUMNS is set: in a log, lines of tables are not broken."""


def begin() -> None:
    """Make sure that the standard streams are open: a shell may start us with a closed stream (`>&-`), and the next
    opened file would take its place. Characters that a stream's encoding lacks are escaped.
    """
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
    """Close standard output where it can't be written any more: otherwise Python would complain again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Subject:
    """The stack that the process's messages are about; a process runs one command."""

    stack = DEFAULT_STACK


def about(stack: str) -> None:
    """Put this stack into every `make ...` of later messages."""
    _Subject.stack = stack


def told(text: str) -> str:
    """A text with its commands as they must be typed for the current stack."""
    return for_stack(text, _Subject.stack)


def console(*, result: bool = False) -> Console:
    """A console on standard error, or on standard output for a result. In a log it is wider than 80 columns."""
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


def table(heads: Iterable[str], rows: Iterable[Sequence[str]], *, title: str | None = None, fold: bool = True) -> Table:
    """A table without lines. `fold`: cells that do not fit are broken; else they are cut."""
    result = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for head in heads:
        result.add_column(head, overflow="fold" if fold else "ellipsis", no_wrap=not fold)
    for row in rows:
        result.add_row(*row)
    return result


def plan(lines: Iterable[Line]) -> None:
    """Print a result line by line on standard output; colours only where that is a terminal."""
    found = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    with suppress(BrokenPipeError):
        for each in lines:
            found.print(Text(told(each.text), style=_STYLES[each.tone]), soft_wrap=True)


def plain(text: str) -> str:
    """A text that is safe in a terminal. A team may have written parts of it: an image's name, an event, a check's
    sentence. These must not move the cursor, set a title or hide a line.
    """
    return text if text.isprintable() else "\n".join(escaped(one) for one in text.split("\n"))


def line(text: str) -> None:
    with suppress(OSError):  # a closed reader (`| head`) or a full disk must not end an update in the middle
        print(plain(told(text)), file=sys.stderr, flush=True)


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """A text in lines of at most `width` columns. A word is never broken, even where it alone is longer."""
    later = indent + INDENT
    return wrap(
        text, width, initial_indent=indent, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )


def lines(texts: Iterable[str]) -> None:
    for text in texts:
        line(text)


def result(text: str) -> None:
    """Write a command's result, on standard output."""
    text = plain(told(text))
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def complain(error: CommandError) -> None:
    """Print why a command could not go on: cause, fix, then the text of others."""
    line(f"error: {error.cause}")
    if error.fix:
        line(f"  fix: {error.fix}")
    if error.detail:
        line("")
        line(error.detail)
