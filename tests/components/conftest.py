"""Nothing here waits half a second between two looks, and what would look for ever fails."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

import kube.client

MOST_LOOKS = 200
"""Ten times what any test asks for."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter(range(MOST_LOOKS))

    def sleep(_: float) -> None:
        assert next(left, None) is not None, f"{MOST_LOOKS} looks, and no end"
        time.sleep(0.001)

    monkeypatch.setattr(kube.client, "time", SimpleNamespace(sleep=sleep))
