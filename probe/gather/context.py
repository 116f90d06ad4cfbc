"""What the steps of one run share, and what several of them need."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.expect import Expect, Facts
from probe.injection import Granted

PROGRAM = str(Path(__file__).resolve().parents[1] / "probe.py")
"""What the worker and the ranks of the all-reduce are started as."""


@dataclass
class Context:
    """What the steps of one run share."""

    expect: Expect
    progress: Callable[[Facts], None]  # says how far the running step is
    granted: Granted | None = None  # what the kubelet says; None by hand
    facts: dict[str, Facts] = field(default_factory=dict)
    broken: str = ""  # the step after whose error CUDA can't be trusted in this process
    nvml: Any = None  # these two are modules, from the step on that has imported them
    torch: Any = None
    xid_events: Any = None


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]


def out_of_memory(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error).lower()


def die_with_parent() -> None:
    """Whatever ends the supervisor, nothing stays behind on the GPU."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
