"""What is said to a person: on standard error, so that standard output stays a command's result."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

from rich.console import Console

from cli.errors import CommandError

WIDTH_IN_A_LOG: Final = 200
"""Columns where nobody is looking, unless COLUMNS says so: tables keep their lines whole in a log."""


def console(*, result: bool = False) -> Console:
    """A console on standard error, or on standard output for a result; in a log it is wide instead of 80 columns."""
    plain = Console(stderr=not result, highlight=False, markup=False, soft_wrap=False)
    if plain.is_terminal:
        return plain
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else WIDTH_IN_A_LOG
    return Console(stderr=not result, highlight=False, markup=False, soft_wrap=False, width=width)


def line(text: str) -> None:
    """Say one line."""
    with suppress(BrokenPipeError):  # a reader that has gone (`| head`) must not end an update in the middle
        print(text, file=sys.stderr, flush=True)


def result(text: str) -> None:
    """Write a command's result, on standard output."""
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
