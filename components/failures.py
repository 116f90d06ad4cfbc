"""What becomes of a failure: what depends on it fails with it, all else goes on, and the outputs tell it.

Owns: the one exception for it, where it is raised, and outputs that resolve all the same.
Leaves to others: which outputs those are.

Since 3.271 the SDK gives what depends on a failed resource an unknown value and no failure (3.272.0:
runtime/resource.py, `result_failed`). The engine would skip it, but in an update nobody could tell it from what did
well and is empty, and of a wait of our own the engine knows nothing. So the engine's answer is read before the SDK
reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol, TypeVar

import pulumi
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS

T = TypeVar("T")

ANSWERED: Final = {"RegisterResource": "failed to register", "ReadResource": "failed to be read"}
"""The engine's calls whose answer says whether it went well (engine v3.274.1: resource/deploy/source_eval.go)."""


class FailedError(pulumi.RunError):
    """A resource failed, or a wait for one. The engine or `or_failed` has told the cause already.

    Pulumi's host tells an error of this kind in a line, and any other one by its traceback.
    """


class _Request(Protocol):
    """What is asked of a resource."""

    name: str
    type: str


class _Telling:
    """The engine's monitor, which raises what failed. Otherwise it is the one that it stands before."""

    def __init__(self, monitor: object) -> None:  # a gRPC stub, whose methods are made at run time
        self._monitor = monitor

    def __getattr__(self, name: str) -> object:
        call = getattr(self._monitor, name)
        if name not in ANSWERED:
            return call

        def asked(request: _Request) -> object:
            answer = call(request)
            if answer.result == resource_pb2.Result.FAIL:
                raise FailedError(f"resource {request.name} [{request.type}] {ANSWERED[name]}")
            return answer

        return asked


def are_told() -> None:
    """Make what depends on a failed resource fail, too. Call this before the first resource that others depend on."""
    SETTINGS.monitor = _Telling(SETTINGS.monitor)


async def all_is_answered() -> None:
    """Wait until all that was asked of the engine is answered; the last that a program does.

    Only then does the SDK look for failures. At the first one it ends the program, and all that is not done by then.
    """
    await asyncio.sleep(0)  # what was asked last begins
    while at_work := [rpc for rpc in SETTINGS.rpc_manager.rpcs if not rpc.done()]:
        await asyncio.wait(at_work)


def unless_failed(output: pulumi.Output[T]) -> pulumi.Output[T | None]:
    """The same value; None where what it comes from failed."""
    found: pulumi.Output[T | None] = output.apply(lambda value: value)
    return found.recover(lambda _: None)


async def why_failed(made: pulumi.Resource) -> str | None:
    """What a resource failed with, once the engine has answered; None where it did well.

    No Output of its own: each costs the SDK a task and three futures, and a team has fifty resources.
    """
    try:
        await made.urn.future()
    except Exception as error:  # the SDK's own, where what it depends on failed
        return words_of(error)
    return None


async def or_failed(awaited: Awaitable[T], whose: pulumi.Resource) -> T:
    """Await something inside an `apply`; when it fails, what depends on it fails, and nothing else.

    The reason is told once, beside the resource `whose` it is.
    """
    try:
        return await awaited
    except FailedError:
        raise  # told already
    except Exception as error:
        pulumi.log.error(words_of(error), whose)
        raise FailedError(words_of(error)) from None


def words_of(error: Exception) -> str:
    """What an error says; the name of its kind where it says nothing."""
    return str(error) or type(error).__name__
