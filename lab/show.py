"""Progress: a live line in a terminal, plain lines in a log.

Everything goes to standard error, so that a command whose result is on standard output can be piped.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 20.0  # how often a log gets a "still running" line: more often is noise, less often looks like a hang


class Task:
    """One long step; `tell` may be called as often as there is something new."""

    def __init__(self, show: "Show", text: str) -> None:
        self._show, self._text = show, text
        self._total: int | None = None
        self._started = self._said = time.monotonic()
        self._bar: tuple[Progress, TaskID] | None = None

    def tell(self, detail: str = "", done: int | None = None, total: int | None = None) -> None:
        self._total = total if total is not None else self._total
        if self._bar:
            progress, task = self._bar
            progress.update(task, description=f"{self._text} {detail}".rstrip(), completed=done, total=self._total)
            return
        now = time.monotonic()
        if now - self._said >= QUIET_SECONDS:
            self._said = now
            share = f" {done}/{self._total}" if done is not None and self._total else ""
            self._show.line(f"  still: {self._text}{share} {detail}".rstrip() + f" ({now - self._started:.0f} s)")


class Show:
    def __init__(self, stream: TextIO | None = None) -> None:
        # a live line needs a terminal; soft_wrap keeps a log's lines whole
        self.console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True, markup=False)

    def line(self, text: str) -> None:
        self.console.print(text)

    @contextmanager
    def task(self, text: str) -> Iterator[Task]:
        """A step with a spinner, and with a bar once it tells its total; says how long it took when it is over."""
        task, started = Task(self, text), time.monotonic()
        if self.console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
            with Progress(*columns, console=self.console, transient=True) as progress:
                task._bar = (progress, progress.add_task(text, total=None))
                yield task
        else:
            self.line(text)
            yield task
        self.line(f"{text}: done in {time.monotonic() - started:.0f} s")
