"""What goes wrong in the lab, said once.

Every error is one line, cause first, then what to do about it. It never carries a secret: messages of API servers
that could quote one are built from the status alone.
"""

from collections.abc import Sequence
from typing import Final

from preview.gate import Refusal

FIX: Final = " Fix: "
"""Between cause and fix where both are one line."""


class LabError(Exception):
    """The lab cannot go on: `cause` names the thing and what is wrong with it, `fix` what to do."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(f"{cause}{FIX}{fix}")
        self.cause = cause
        self.fix = fix


class RefusedChangeError(LabError):
    """Something would be lost, and no override lets it; nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(
            f"lab: refused, nothing was changed: {'; '.join(refusal.text for refusal in refusals)}.",
            "add the overrides to the stack file, or throw the lab away with `make lab-reset`.",
        )
        self.refusals = tuple(refusals)
