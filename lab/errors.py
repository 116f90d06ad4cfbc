"""The lab's errors.

Every error is one line: cause first, then the fix. It never contains a secret: where an API server's message could
quote one, only its status is used.
"""

from collections.abc import Sequence
from typing import Final

from preview.gate import Refusal

FIX: Final = " Fix: "
"""Between cause and fix where both are one line."""


class LabError(Exception):
    """The lab can't go on. `cause` names the thing and what is wrong with it, `fix` what to do."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(f"{cause}{FIX}{fix}")
        self.cause = cause
        self.fix = fix


class RefusedChangeError(LabError):
    """Something would be lost, and no override allows it. Nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(
            f"lab: refused, nothing was changed: {'; '.join(refusal.text for refusal in refusals)}.",
            "add the overrides to the stack file, or throw the lab away with `make lab-reset`.",
        )
        self.refusals = tuple(refusals)
