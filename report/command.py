"""What the report's commands share: exit codes, and errors as one clean line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from report.redact import Redactor
from settings.problems import SettingsError

YES: Final = 0
"""Done, and the change is fine."""
NO: Final = 1
"""Done, and the change is not fine: a violation, a failed preview, other operations, a file that may not be used with
credentials.
"""
COULD_NOT_TELL: Final = 2
"""A file is missing or invalid."""


class UsageError(ValueError):
    """The arguments do not make sense together."""


def read_text(path: Path) -> str:
    """The file's text. Raises `UsageError`, which never quotes the file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        message = f"{path}: no such file"
    except UnicodeDecodeError:
        message = f"{path}: is not UTF-8 text"
    raise UsageError(message)


def parser_for(module: str, about: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m <module>`; its help is the module's docstring, line by line."""
    shown = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=f"python -m {module}", description=about, formatter_class=shown)


def run(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace, Redactor], int] | None = None,
) -> int:
    """Parse, run, and turn every expected mistake into one error without anything that looks like a secret.

    `command`: left out where each subcommand sets its own as `run`.
    """
    options = parser.parse_args(arguments)
    redactor = Redactor()
    try:
        return int((command or options.run)(options, redactor))
    except (SettingsError, ValueError, OSError) as error:
        print(redactor.text(f"error: {error}"), file=sys.stderr)
        return COULD_NOT_TELL
