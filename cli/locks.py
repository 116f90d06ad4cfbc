"""Who holds a stack: the locks of a file backend, and the processes of a killed engine.

Owns: telling a running engine from a dead one, ending what a dead one left running. Leaves to others: removing the lock
(the engine does it, `engine.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli import say

ORPHANS_SECONDS: Final = 5.0
"""How long the plugins of a killed engine may finish their call before they are ended. The Kubernetes provider would go
on waiting for minutes.
"""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock file of the file backend: which process holds the stack."""

    pid: int
    host: str
    since: str


def read_locks(folder: Path) -> list[Lock]:
    """Return the locks in a folder of the file backend; other files are ignored."""
    locks: list[Lock] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(path.read_text(encoding="utf-8"))
            locks.append(Lock(pid=int(said["pid"]), host=str(said["hostname"]), since=str(said["timestamp"])[:19]))
    return locks


def processes() -> list[tuple[int, str]]:
    """Return (pid, command name) of every process; the same columns on Linux and macOS."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 1) for line in listed.splitlines())
    return [(int(row[0]), Path(row[1]).name) for row in rows if len(row) == 2]


def is_engine(pid: int) -> bool:
    """Whether a process is a running engine, and not another program with the same number."""
    return any(pid == found and name.startswith("pulumi") for found, name in processes())


def orphans(engine: int) -> list[int]:
    """Return the plugins that a killed engine left running.

    We start each engine as leader of its own session, so its remaining processes have the engine's pid as session.
    Process groups do not help: the engine gives each plugin its own.
    """
    left = []
    for pid, name in processes():
        with suppress(ProcessLookupError, PermissionError):
            if name.startswith("pulumi") and os.getsid(pid) == engine:
                left.append(pid)
    return left


def end_orphans(engine: int) -> None:
    """Wait for the plugins of a killed engine, then end them: two runs at once would change the same objects."""
    deadline = time.monotonic() + ORPHANS_SECONDS
    said = False
    while left := orphans(engine):
        if not said:
            say.line(f"waiting up to {ORPHANS_SECONDS:.0f} s for {len(left)} plugins of the killed run to end")
            said = True
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            return
        time.sleep(0.5)
