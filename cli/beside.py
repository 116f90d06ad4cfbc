"""Work in a thread of its own, beside a run of the engine.

Owns: that it begins with the run and has ended when the run's block is left.
Leaves to others: what is done (`Watch`, `Emptying`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Beside(ABC):
    """Runs from `__enter__` to `__exit__`. `interval`: seconds between two looks."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Look again and again until `_end` is set."""
