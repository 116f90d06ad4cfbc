"""The error of a command that can't go on: cause first, then the fix, then the messages of others."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. BAD_INPUT: nothing was touched. INTERRUPTED: the shell's code for a process ended by Ctrl-C."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


class CommandError(Exception):
    """A command can't go on. `cause` names the thing and what is wrong with it, `fix` what to do. `detail` is text of
    others (the engine), shown last. None of them contains a secret.
    """

    def __init__(self, cause: str, fix: str = "", *, detail: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(f"{cause} Fix: {fix}" if fix else cause)
        self.cause = cause
        self.fix = fix
        self.detail = detail
        self.code = code


class InputError(CommandError):
    """The user's input is wrong; nothing was touched."""

    def __init__(self, cause: str, fix: str = "", *, detail: str = "") -> None:
        super().__init__(cause, fix, detail=detail, code=Exit.BAD_INPUT)


class InterruptedRunError(CommandError):
    """Ctrl-C, after the engine has ended."""

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(cause, fix, code=Exit.INTERRUPTED)
