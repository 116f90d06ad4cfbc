"""Fixtures: a recorder of everything that the program registers, fresh for each test."""

from __future__ import annotations

import copy
import gc
import json
import os
import runpy
import signal
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
import yaml
from pulumi.runtime.stack import Stack

from components.failures import FailedError
from settings.workload_parts import SECRET_KEY_PREFIX
from tests.recording import (
    Recorder,
    RecordingMonitor,
    apart,
    certificates,
    kubeconfig,
    not_waiting,
    report,
    run_program,
    without_what_nobody_asks_for,
)
from tests.serving import patient

ROOT = Path(__file__).resolve().parents[1]
HANGS_SECONDS = 300.0
"""What takes longer than this hangs, on the busiest machine, too."""


@pytest.fixture(autouse=True, scope="session")
def patience() -> Iterator[None]:
    """A server on this very machine is slow on a busy one, and never far away: a test of what it says goes by no clock.

    What is asked here waits for its answer, up to the time after which a test hangs.
    """
    with patient(HANGS_SECONDS):
        yield


@contextmanager
def nobody(port: int = 0) -> Iterator[socket.socket]:
    """Yield a socket whose port refuses every connection, and is nobody else's: bound, and not listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", port))
        yield held


Declare = Callable[..., Recorder]


def pytest_configure(config: pytest.Config) -> None:
    """Ctrl-C works in what the tests start, even where the tests themselves were started in the background."""
    gc.disable()  # nothing that is collected here is garbage
    if config.getoption("durations") is None and config.getoption("xmlpath") is None:
        for plugin in config.pluginmanager.get_plugins():
            if hasattr(plugin, "sendevent"):  # in a worker, xdist's: it tells of each test six times
                plugin.sendevent = partial(_told, plugin.sendevent)
    # a test runner's own width is not a terminal's: what is printed to nobody keeps its lines whole
    os.environ.pop("COLUMNS", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _told(tell: Callable[..., None], event: str, **said: Any) -> None:
    """Leave out what changes no summary: that a test begins and ends, and that its setup or teardown passed. It is half
    of what several workers cost beside one."""
    passed = event == "testreport" and said["data"]["outcome"] == "passed" and said["data"]["when"] != "call"
    if event not in ("logstart", "logfinish") and not passed:
        tell(event, **said)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later collection of garbage: it stays, and is most of what there is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


def pytest_sessionfinish() -> None:
    """Leave what the tests made out of pytest's last collections of garbage, too: half a million objects."""
    gc.freeze()


def shipped(stack: str) -> Path:
    """One of the stack files as they come with the program. The one at the top may be the user's own by now."""
    return ROOT / "tests" / "stacks" / f"Pulumi.{stack}.yaml"


def platform_of(stack: str) -> dict[str, Any]:
    """The platform section of one of the stack files that come with the program, as plain data of the caller's own."""
    return copy.deepcopy(_platform_of(stack))


@cache
def _platform_of(stack: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(shipped(stack).read_text(), yaml.CSafeLoader)["config"]["gpu-tenancy:platform"]
    return found


_DECLARED: dict[str, Recorder] = {}
"""Programs that have run already: the same platform registers the same things, and most tests ask for the lab's."""


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Run the program on a platform (plain data, or the name of a stack file) and return what it registered.

    `fails`: a resource that the engine answers has failed; so does the wait of which `answer` raises. `absent`: one
    that a previewed stack does not have yet. `secrets`: those of the stack, by name. The same question has the
    recording of its first time: a test that changes anything else (`reported`) gives its stack a name.
    """

    def run(
        platform: str | Mapping[str, Any],
        *,
        preview: bool = False,
        stack: str = "unit",
        answer: Callable[..., None] = not_waiting,
        reported: Callable[..., str] = report,
        fails: str = "",
        absent: str = "",
        secrets: Mapping[str, str] | None = None,
    ) -> Recorder:
        failing = bool(fails) or answer is not not_waiting
        without_what_nobody_asks_for(monkeypatch, preview=preview)
        data = platform_of(platform) if isinstance(platform, str) else dict(platform)
        context = data["host"].get("context") or "unit"
        answered = f"{answer.__module__}.{answer.__qualname__}"
        key = json.dumps([data, preview, stack, answered, fails, absent, secrets], sort_keys=True, default=str)
        if key in _DECLARED:
            return _DECLARED[key]
        recorder = Recorder()

        def asked(*call: object) -> None:
            recorder.asked.append(call)
            answer(*call)

        def read(*call: object) -> dict[str, str]:
            recorder.read.append(call)
            return certificates()

        monkeypatch.setattr("kube.read_secret", read)
        monkeypatch.setattr("kube.read_report", reported)
        monkeypatch.setattr("kube.wait_until_it_answers", asked)
        config = {"gpu-tenancy:platform": json.dumps(data), "gpu-tenancy:kubeconfig": kubeconfig(context)}
        config |= {f"{SECRET_KEY_PREFIX}{name}": value for name, value in (secrets or {}).items()}

        def program() -> None:
            root = cast(Stack, pulumi.runtime.get_root_resource())
            runpy.run_path(str(ROOT / "__main__.py"), run_name=f"program-{uuid.uuid4().hex}")
            pulumi.Output.from_input(root.outputs).apply(recorder.exports.update)

        def recorded() -> None:
            monitor = RecordingMonitor(recorder, fails, absent)
            # how a program ends in which something failed; all else went on
            with pytest.raises(FailedError) if failing else nullcontext():
                run_program(program, monitor, config, stack=stack, preview=preview, hooks=recorder.hooks)

        apart(recorded, failing=failing)
        if "<" not in answered:  # a function inside a function may differ each time
            _DECLARED[key] = recorder
        return recorder

    return run
