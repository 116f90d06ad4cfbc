"""What fails is told as failed, by the engine's answer and by a wait of our own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS

from components import failures
from components.failures import FailedError, or_failed

FAIL, SUCCESS = resource_pb2.Result.FAIL, resource_pb2.Result.SUCCESS


class TestOrFailed:
    """A wait that fails is that team's failure, not the program's."""

    def test_what_depends_on_it_fails_as_if_a_resource_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        monkeypatch.setattr(pulumi.log, "error", lambda text, _: told.append(text))

        async def too_late() -> str:
            raise TimeoutError("team ml: its API server does not answer")

        async def awaited() -> str:
            return await or_failed(too_late(), resource)

        resource: Any = object()
        with pytest.raises(FailedError, match="team ml: its API server does not answer"):
            asyncio.run(awaited())
        assert told == ["team ml: its API server does not answer"]

    def test_a_failure_further_up_is_not_told_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        monkeypatch.setattr(pulumi.log, "error", lambda text, _: told.append(text))

        async def failed() -> str:
            raise FailedError("resource ml-x failed to register")

        async def awaited() -> str:
            return await or_failed(failed(), resource)

        resource: Any = object()
        with pytest.raises(FailedError, match="ml-x"):
            asyncio.run(awaited())
        assert told == []


class Engine:
    """Answers each call with the same result."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def __getattr__(self, call: str) -> Any:
        return lambda request: SimpleNamespace(call=call, request=request, result=self._result)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask the engine by way of the SDK's monitor."""

    def ask(call: str, result: Any) -> Any:
        monkeypatch.setattr(SETTINGS, "monitor", Engine(result))
        failures.are_told()
        request = SimpleNamespace(name="ml-quota", type="kubernetes:core/v1:ResourceQuota")
        return getattr(SETTINGS.monitor, call)(request)

    return ask


@pytest.mark.parametrize(
    ("call", "words"), [("RegisterResource", "failed to register"), ("ReadResource", "failed to be read")]
)
def test_what_the_engine_calls_failed_is_an_error_that_names_the_resource(asked: Any, call: str, words: str) -> None:
    with pytest.raises(FailedError) as error:
        asked(call, FAIL)
    assert str(error.value) == f"resource ml-quota [kubernetes:core/v1:ResourceQuota] {words}"


@pytest.mark.parametrize("call", ["RegisterResource", "ReadResource"])
def test_what_did_well_is_answered_as_the_engine_did(asked: Any, call: str) -> None:
    answer = asked(call, SUCCESS)
    assert (answer.call, answer.request.name, answer.result) == (call, "ml-quota", SUCCESS)


def test_every_other_call_goes_to_the_engine_as_it_is(asked: Any) -> None:
    assert asked("RegisterResourceOutputs", FAIL).call == "RegisterResourceOutputs"
