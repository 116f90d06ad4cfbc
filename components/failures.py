"""Failures: what depends on a failed resource fails, everything else goes on, and the outputs name the failure.

Owns: the one exception for it, where it is raised, and outputs that still resolve.
Leaves to others: which outputs those are.

Since 3.271 the SDK gives the dependents of a failed resource an unknown value and no failure (3.272.0:
runtime/resource.py, `result_failed`). The engine skips them. But in an update the program could not tell them from a
successful, empty value, and the engine knows nothing of our own waits. So this module reads the engine's answer before
the SDK does.
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
"""The engine's calls whose answer says whether they succeeded (engine v3.274.1: resource/deploy/source_eval.go)."""


class FailedError(pulumi.RunError):
    """A resource failed, or a wait for one. The engine or `or_failed` has reported the cause already.

    Pulumi's host prints an error of this kind in one line, and any other error with its traceback.
    """


class _Request(Protocol):
    """The request about a resource."""

    name: str
    type: str


class _Telling:
    """Wraps the engine's monitor and raises failures. Passes everything else through."""

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
    """Make the dependents of a failed resource fail, too. Call this before the first resource that others depend on."""
    SETTINGS.monitor = _Telling(SETTINGS.monitor)


async def all_is_answered() -> None:
    """Wait until the engine has answered all requests. This is the last thing that a program does.

    Only then does the SDK look for failures. At the first one it ends the program, with everything that is not done by
    then.
    """
    await asyncio.sleep(0)  # let the last requests begin
    while at_work := [rpc for rpc in SETTINGS.rpc_manager.rpcs if not rpc.done()]:
        await asyncio.wait(at_work)


def unless_failed(output: pulumi.Output[T]) -> pulumi.Output[T | None]:
    """The same value; None where its source failed."""
    found: pulumi.Output[T | None] = output.apply(lambda value: value)
    return found.recover(lambda _: None)


async def why_failed(made: pulumi.Resource) -> str | None:
    """The failure of a resource, once the engine has answered; None where it succeeded.

    It is no Output: each Output costs the SDK a task and three futures, and a team has fifty resources.
    """
    try:
        await made.urn.future()
    except Exception as error:  # the SDK's own error, where a dependency failed
        return words_of(error)
    return None


async def or_failed(awaited: Awaitable[T], whose: pulumi.Resource) -> T:
    """Await something inside an `apply`. When it fails, its dependents fail, and nothing else.

    The reason is reported once, at the resource `whose` it is.
    """
    try:
        return await awaited
    except FailedError:
        raise  # reported already
    except Exception as error:
        pulumi.log.error(words_of(error), whose)
        raise FailedError(words_of(error)) from None


def words_of(error: Exception) -> str:
    """An error's message, or its type where it has none."""
    return str(error) or type(error).__name__
