"""What goes wrong in the lab, said once.

Every error is one line, cause first, then what to do about it. It never carries a secret: messages of API servers
that could quote one are built from the status alone.
"""


class LabError(Exception):
    """The lab cannot go on: `cause` names the thing and what is wrong with it, `fix` what to do."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(f"{cause} Fix: {fix}")
        self.cause = cause
        self.fix = fix
