"""Half-made objects of a killed run make the next run fail, and only the commands can clear them.

Owns: asking the engine for the pending operations of this stack, while other guards run. Leaves to others: which of
them make the next run fail (`cli/resume.py`). If the state can't be read, nothing is refused: the engine itself warns
of pending operations.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from capacity import listed
from cli.guards.refusal import Refusal
from cli.resume import pending_operations, stands_in_the_way

SECONDS: Final = 20.0
"""Enough for a remote state; a local file takes half a second."""
NAMED: Final = 3


class Killed:
    """The question, asked in its own process; `refusals` waits for the answer."""

    def __init__(self, stack: str, process: subprocess.Popen[str]) -> None:
        self._stack = stack
        self._process = process

    def refusals(self) -> list[Refusal]:
        """Refuse to go on over half-made objects: to create them again fails, with a message that does not help."""
        try:
            text, _ = self._process.communicate(timeout=SECONDS)
            pending = [p for p in pending_operations(json.loads(text)) if stands_in_the_way(p)]
        except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError, AttributeError):
            return []
        if not pending:
            return []
        names = listed([f"{p.kind.rpartition(':')[2]} {p.name}" for p in pending], NAMED)
        cause = f"the last run was killed while it made {names}: what it left would make this one fail"
        return [Refusal(cause=cause, fix=f"`make up STACK={self._stack}` clears it and goes on from there")]


@contextmanager
def asked(stack: str) -> Iterator[Killed | None]:
    """Ask while the block runs; None where there is no engine."""
    binary = shutil.which("pulumi")
    if binary is None:
        yield None
        return
    command = [binary, "--non-interactive", "stack", "export", "--stack", stack]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        try:
            yield Killed(stack, process)
        finally:
            process.kill()
