"""What a command says when it cannot go on: cause first, then the fix, then what others said."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. BAD_INPUT: nothing was touched. INTERRUPTED: what a shell gives to a process ended by Ctrl-C."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot go on. `cause` names the thing and what is wrong with it, `fix` what to do, `detail` is text of
    others (the engine's), shown last. None of them carries a secret."""

    def __init__(self, cause: str, fix: str = "", *, detail: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(f"{cause} Fix: {fix}" if fix else cause)
        self.cause = cause
        self.fix = fix
        self.detail = detail
        self.code = code


class InputError(CommandError):
    """What the user wrote or set is wrong; nothing was touched."""

    def __init__(self, cause: str, fix: str = "", *, detail: str = "") -> None:
        super().__init__(cause, fix, detail=detail, code=Exit.BAD_INPUT)


class InterruptedRunError(CommandError):
    """Ctrl-C, after the engine came to an end of its own."""

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(cause, fix, code=Exit.INTERRUPTED)
