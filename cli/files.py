"""Files that are written whole or not at all; those that hold secrets for nobody else's eyes."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

PRIVATE = 0o600


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600, all of it or nothing. Raises `OSError`."""
    write_whole(path, text, mode=PRIVATE)


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write `text` to `path` as it is, all of it or nothing.

    A new file is made beside it with the mode already set and then takes its name: no moment at which others could
    read it, none at which half of it is there, and a link that somebody left at `path` is replaced, not followed.
    Raises `OSError`.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), mode)  # a narrow umask could have taken the owner's own rights
            _keep_owner(file.fileno(), path)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        raise


def _keep_owner(descriptor: int, path: Path) -> None:
    """Give a new file to the owner of the one that it replaces: `sudo make` must not take a user's file away."""
    with contextlib.suppress(OSError):  # there is none yet, or who runs this may give nothing away
        there = path.lstat()
        if stat.S_ISREG(there.st_mode) and (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, there.st_uid, there.st_gid)
