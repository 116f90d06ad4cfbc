"""What all components share: no line of code is noted of a resource, and the order of failures."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pytest

from components.base import _failures, no_frames
from components.failures import FailedError
from tests.recording import answered


@pytest.mark.parametrize("before", [None, 5])
def test_tracebacks_are_short_while_resources_are_declared_and_as_before_afterwards(
    monkeypatch: pytest.MonkeyPatch, before: int | None
) -> None:
    monkeypatch.delattr(sys, "tracebacklimit", raising=False)
    if before is not None:
        monkeypatch.setattr(sys, "tracebacklimit", before, raising=False)
    declaring: list[int | None] = []
    with suppress(LookupError), no_frames():
        declaring.append(sys.tracebacklimit)
        raise LookupError
    assert declaring == [1]
    assert getattr(sys, "tracebacklimit", None) == before
    assert hasattr(sys, "tracebacklimit") == (before is not None)


class _Answered:
    """A resource that failed with these words, or with none succeeded."""

    def __init__(self, why: str) -> None:
        self.why, self.urn = why, self

    async def future(self) -> str:
        if self.why:
            raise FailedError(self.why)
        return "urn"


def test_a_cause_is_named_before_what_it_brings_about_and_once() -> None:
    made: list[Any] = [_Answered(why) for why in ("", "the release failed", "", "a queue failed", "the release failed")]
    assert answered(_failures(made)) == ["the release failed", "a queue failed"]
