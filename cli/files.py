"""Write files completely or not at all; files with secrets only for their owner."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from cli.errors import CommandError

PRIVATE = 0o600


@contextlib.contextmanager
def writing(name: object, fix: str = "free some space, or check the folder") -> Iterator[None]:
    """Turn a failed write of the block into one `CommandError` about the file."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{name} can't be written: {error.strerror}.", fix) from None


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600, completely or not at all. Raises `OSError`."""
    write_whole(path, text, mode=PRIVATE)


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write `text` to `path`, completely or not at all. Raises `OSError`.

    A new file is made beside it with its final mode, and then takes its name. So others can never read it, it is never
    half written, and a link at `path` is replaced, not followed.
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
    """Give a new file to the owner of the replaced one: `sudo make` must not take a user's file away."""
    with contextlib.suppress(OSError):  # there is no file yet, or this user may not change owners
        there = path.lstat()
        if stat.S_ISREG(there.st_mode) and (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, there.st_uid, there.st_gid)
