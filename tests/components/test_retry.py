"""A retry says what it waits for, once: the engine's own line about it gives no cause."""

from __future__ import annotations

import pulumi
import pytest

from components import retry
from tests.recording import answered

REFUSED = """\
resource "urn" was not successfully created by the Kubernetes API server:
    * Internal error occurred: failed calling webhook "queue.kai": no endpoints available for service "kai-admission"
"""


def test_the_cause_is_told_at_the_first_retry_and_not_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(pulumi.log, "info", said.append)
    for tries in (1, 2, 3):
        hook = pulumi.ErrorHookArgs("urn", "", "ml-queues-training", "t", errors=[REFUSED] * tries)
        assert answered(retry.is_coming(hook))
        assert len(said) == 1
    line = said[0]
    assert line.startswith("ml-queues-training: tried again for up to")
    assert 'failed calling webhook "queue.kai": no endpoints available' in line


def test_an_error_that_is_not_tried_again_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", said.append)
    assert not answered(retry.is_coming(pulumi.ErrorHookArgs("urn", "", "q", "t", errors=["spec is wrong"])))
    assert said == []


def test_a_preview_does_not_wait_for_what_was_there_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    again = [
        answered(retry.is_coming(pulumi.ErrorHookArgs("urn", "", "q", "t", errors=[REFUSED] * tries)))
        for tries in (1, 2, 3)
    ]
    assert again == [True, True, False]


def test_it_is_tried_for_three_minutes() -> None:
    assert retry.RETRIES * retry.PAUSE_SECONDS == 180


def test_a_long_cause_keeps_its_end_and_one_that_just_fits_is_whole() -> None:
    assert retry.cause_of("x" * 500 + " connection refused").endswith("connection refused")
    assert retry.cause_of("x" * 500) == f"...{'x' * 200}"
    assert retry.cause_of("x" * 200) == "x" * 200
    assert retry.cause_of("") == "no reason was given"
