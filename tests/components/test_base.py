"""What all components share: no line of code is noted of a resource, and tracebacks stay whole."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest

from components.base import no_frames


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
