"""What fails is told as failed, by the engine's answer and by a wait of our own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS

from components import failures
from components.failures import FailedError, or_failed
from tests.recording import Hooks, Recorder, answered, apart, run_program

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
            answered(awaited())
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
            answered(awaited())
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


class Chain(mocks.MockMonitor):
    """Answers at once that `bad` failed; all else does well, after a moment."""

    def __init__(self) -> None:
        super().__init__(Recorder())
        self.answered: list[str] = []
        self.exports: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the SDK's own name
        if request.name == "bad":
            return resource_pb2.RegisterResourceResponse(result=FAIL)
        self.answered.append(request.name)
        return resource_pb2.RegisterResourceResponse(urn=self.make_urn("", request.type, request.name), id="id")

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        self.exports = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


class Made(pulumi.CustomResource):
    def __init__(self, name: str, *needs: pulumi.Resource) -> None:
        super().__init__("unit:index:Made", name, {}, pulumi.ResourceOptions(depends_on=[*needs]))


@pytest.mark.parametrize("fault", ["answer", "wait"])
def test_all_that_does_not_depend_on_it_is_done_before_the_program_ends_with_it(fault: str) -> None:
    monitor = Chain()

    async def too_late(_: str) -> str:
        raise FailedError("too late")

    def program() -> None:
        failures.are_told()
        bad = Made("bad" if fault == "answer" else "good")
        if fault == "answer":
            Made("after", bad)
        else:
            _: pulumi.Output[str] = Made("silent").id.apply(too_late)
        last = Made("c0")
        for step in range(1, 9):
            last = Made(f"c{step}", last)
        pulumi.export("last", failures.unless_failed(last.id))
        pulumi.run(failures.all_is_answered)

    def ended() -> None:
        with pytest.raises(FailedError):
            run_program(program, monitor, {}, stack="unit", hooks=Hooks())

    apart(ended, failing=True)
    assert "after" not in monitor.answered
    assert {f"c{step}" for step in range(9)} <= set(monitor.answered)
    assert monitor.exports == {"last": "id"}


def test_an_error_without_words_is_told_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.log, "error", lambda *_: None)

    async def late() -> None:
        raise TimeoutError

    resource: Any = object()
    with pytest.raises(FailedError, match=r"^TimeoutError$"):
        answered(or_failed(late(), resource))


def test_what_an_answer_asks_for_is_awaited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def ask(name: str, *then: str) -> None:
        for _ in range(3):  # turns of the loop, as long as an engine takes
            await asyncio.sleep(0)
        if then:
            SETTINGS.rpc_manager.rpcs.append(asyncio.ensure_future(ask(*then)))
        done.append(name)

    async def program() -> None:
        monkeypatch.setattr(SETTINGS.rpc_manager, "rpcs", [asyncio.ensure_future(ask("first", "second", "third"))])
        await failures.all_is_answered()

    answered(program())
    assert done == ["first", "second", "third"]
