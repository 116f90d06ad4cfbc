"""What all tests of components have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kube.client


@pytest.fixture(autouse=True, scope="package")
def hurry() -> Iterator[None]:
    """Look again at once for what is waited for: the servers here answer from a list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kube.client, "POLL_SECONDS", 0.01)
        yield
