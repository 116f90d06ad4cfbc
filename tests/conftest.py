"""Fixtures: a recorder of everything that the program registers, fresh for each test."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import json
import os
import runpy
import signal
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
import yaml
from pulumi._utils import ContextProperty
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import resource_pb2, source_pb2
from pulumi.runtime.stack import Stack, run_in_stack

from components.failures import FailedError
from settings.workload_parts import SECRET_KEY_PREFIX
from tests.serving import patient

ROOT = Path(__file__).resolve().parents[1]
SECRET_MARK = "4dabf18193072939515e22adb298388d"
"""How the SDK wraps a secret in inputs."""


SETTING_DEFAULT = "_ContextProperty__default"
"""The SDK's attribute for what a setting is where no context says it."""


HANGS_SECONDS = 300.0
"""What takes longer than this hangs, on the busiest machine, too."""


def kubeconfig(context: str) -> str:
    """A kubeconfig that leads nowhere, with a token that must never show up in clear."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "contexts": [{"name": context, "context": {"cluster": "unit", "user": "unit"}}],
            "clusters": [{"name": "unit", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "unit", "user": {"token": "canary-host-token"}}],
        }
    )


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One registration, as the engine would get it."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    provider: str
    dependencies: Sequence[str]
    deleted_with: str
    options: resource_pb2.RegisterResourceRequest | resource_pb2.ReadResourceRequest
    read: bool

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object's metadata, for Kubernetes objects."""
        found: Mapping[str, Any] = self.inputs.get("metadata") or {}
        return found


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


@dataclass
class Hooks:
    """Takes the place of the SDK's callback server: keeps the hooks, so that a test can call them."""

    by_name: dict[str, Any] = field(default_factory=dict)

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        self.by_name[hook.name] = hook

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        self.by_name[hook.name] = hook


@dataclass
class Recorder(mocks.Mocks):
    """Answers registrations like a cluster on which everything works at once. `outputs` are those of components by URN,
    `exports` the stack's; `waited` and `asked` are the waits for Secrets and for API servers, each call whole."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=Hooks)
    waited: list[tuple[Any, ...]] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return {}, None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        state = dict(args.inputs)
        if args.typ == "kubernetes:core/v1:Secret":
            state["data"] = {
                "certificate-authority": "Q0E=",
                "client-certificate": "Q0VSVA==",
                "client-key": "S0VZ",
                "ca.crt": "Q0E=",
                "token": "VE9LRU4=",
            }
        if args.typ == "kubernetes:core/v1:Namespace":
            of = "unit" if args.resource_id == "kube-system" else args.name
            state["metadata"] = {"name": "kube-system", **(state.get("metadata") or {}), "uid": f"uid-of-{of}"}
        if args.typ == "kubernetes:core/v1:ConfigMap" and args.resource_id:
            state["data"] = {"report.json": json.dumps({"verdict": "pass", "sentence": "all well"})}
        if args.typ.startswith("command:") and str(state.get("create")).startswith("kind get kubeconfig --name "):
            state["stdout"] = kubeconfig("kind-" + str(state["create"]).split()[-1])
        if args.typ.startswith("command:") and state.get("create") == "sudo -n microk8s config":
            state["stdout"] = kubeconfig("microk8s")
        if args.typ == "kubernetes:batch/v1:Job":
            state["metadata"] = {**state["metadata"], "uid": f"uid-of-{args.name}"}
        return args.resource_id or f"{args.name}-id", state

    def of_type(self, token: str) -> list[Registered]:
        """Everything of one type; no result is a mistyped token until another test shows it is not."""
        return [found for found in self.resources if found.type == token]

    def one(self, token: str, name: str) -> Registered:
        """The one registration of that type and logical name."""
        found = [resource for resource in self.of_type(token) if resource.name == name]
        assert len(found) == 1, f"{token} {name}: {len(found)} among {[r.name for r in self.of_type(token)]}"
        return found[0]


class AtOnce(asyncio.SelectorEventLoop):
    """Does in place what the SDK hands to threads: nothing here waits for an engine, and handing over is a fifth of the
    time."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def apart(run: Callable[[], object], *, failing: bool = False) -> None:
    """Run what sets up the SDK where nothing of an earlier test is, and leave nothing of it for a later one.

    The SDK keeps its settings, the root resource and the configuration in context variables, and the last value of each
    setting for contexts that have none. `failing`: outputs of failed resources, which nobody awaits, are no error.
    """
    kept = [found for found in vars(settings.Settings).values() if isinstance(found, ContextProperty)]
    before = [getattr(found, SETTING_DEFAULT) for found in kept]

    def inside() -> None:
        loop = AtOnce()
        loop.set_exception_handler((lambda *_: None) if failing else None)
        asyncio.set_event_loop(loop)
        try:
            run()
        finally:
            loop.close()
            asyncio.set_event_loop_policy(None)

    try:
        contextvars.Context().run(inside)
    finally:
        for found, default in zip(kept, before, strict=True):
            setattr(found, SETTING_DEFAULT, default)


def serialized(state: Mapping[str, Any]) -> Any:
    """Plain data as the protocol writes it: nothing in it has to be waited for."""
    try:
        rpc.serialize_properties(dict(state), {}).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("an answer with something to wait for")


class RecordingMonitor(mocks.MockMonitor):
    """Keeps what plain mocks throw away: parent, options, registered outputs. Answers without a loop of its own."""

    def __init__(self, recorder: Recorder, fails: str = "") -> None:
        super().__init__(recorder)
        self._recorder, self._fails = recorder, fails

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the SDK's own name
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
        self._keep(request, inputs, request.deletedWith)
        if request.name == self._fails:
            return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
        if settings.is_dry_run():
            inputs = rpc.deserialize_properties(request.object)
        id_, state = self._recorder.new_resource(
            mocks.MockResourceArgs(
                typ=request.type, name=request.name, inputs=inputs, resource_id=request.importId, custom=request.custom
            )
        )
        given = request.object if state == inputs else serialized(state)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_ or "", object=given)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        self._keep(request, {"id": request.id}, "", read=True)
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.name == self._fails:
            return resource_pb2.ReadResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
        _, state = self._recorder.new_resource(
            mocks.MockResourceArgs(
                typ=request.type,
                name=request.name,
                inputs=rpc.deserialize_properties(request.properties),
                resource_id=request.id,
            )
        )
        return resource_pb2.ReadResourceResponse(urn=urn, id=request.id, properties=serialized(state))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        # the stack's own are the recorder's `exports`
        if "::pulumi:pulumi:Stack::" not in request.urn:
            self._recorder.outputs[request.urn] = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

    def _keep(self, request: Any, inputs: Mapping[str, Any], deleted_with: str, *, read: bool = False) -> None:
        self._recorder.resources.append(
            Registered(
                type=request.type,
                name=request.name,
                inputs=inputs,
                parent=request.parent,
                provider=request.provider,
                dependencies=list(request.dependencies),
                deleted_with=deleted_with,
                options=request,
                read=read,
            )
        )


def run_program(
    program: Callable[[], None],
    monitor: mocks.MockMonitor,
    config: Mapping[str, str],
    *,
    stack: str,
    preview: bool = False,
    hooks: Hooks,
) -> None:
    """Run a program as Pulumi's own host does, on the event loop that is set; raises what the program ends with."""
    settings.configure(
        mocks.MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            engine=mocks.MockEngine(None),
            project="gpu-tenancy",
            stack=stack,
            dry_run=preview,
            outputs=set(),
            callbacks=hooks,  # hooks register with a callback server, which mocks lack
        )
    )
    pulumi.runtime.set_all_config(dict(config), [key for key in config if key != "gpu-tenancy:platform"])
    asyncio.get_event_loop().run_until_complete(run_in_stack(program))


Declare = Callable[..., Recorder]


def pytest_configure() -> None:
    """Ctrl-C works in what the tests start, even where the tests themselves were started in the background."""
    # a test runner's own width is not a terminal's: what is printed to nobody keeps its lines whole
    os.environ.pop("COLUMNS", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later collection of garbage: it stays, and is most of what there is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


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


def not_waiting(*_: object) -> None:
    """Takes the place of a wait."""


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Run the program on a platform (plain data, or the name of a stack file) and return what it registered.

    `fails`: a resource that the engine answers has failed; so does the wait of which `answer` raises. `secrets`: those
    of the stack, by name. The same question has the recording of its first time: a test that changes anything else
    gives its stack a name.
    """

    def run(
        platform: str | Mapping[str, Any],
        *,
        preview: bool = False,
        stack: str = "unit",
        answer: Callable[..., None] = not_waiting,
        fails: str = "",
        secrets: Mapping[str, str] | None = None,
    ) -> Recorder:
        failing = bool(fails) or answer is not not_waiting
        # the SDK's note of which line made a resource: a quarter of the time, and no test asks for it
        monkeypatch.setattr("pulumi.runtime.resource._get_stack_trace", source_pb2.StackTrace)
        # the SDK looks through each value for unknowns, which only a preview has
        monkeypatch.setattr("pulumi.output.contains_unknowns", rpc.contains_unknowns if preview else lambda _: False)
        data = platform_of(platform) if isinstance(platform, str) else dict(platform)
        context = data["host"].get("context") or "unit"
        answered = f"{answer.__module__}.{answer.__qualname__}"
        key = json.dumps([data, preview, stack, answered, fails, secrets], sort_keys=True, default=str)
        if key in _DECLARED:
            return _DECLARED[key]
        recorder = Recorder()

        def asked(*call: object) -> None:
            recorder.asked.append(call)
            answer(*call)

        monkeypatch.setattr("kube.wait_for_secret", lambda *call: recorder.waited.append(call))
        monkeypatch.setattr("kube.wait_until_it_answers", asked)
        config = {"gpu-tenancy:platform": json.dumps(data), "gpu-tenancy:kubeconfig": kubeconfig(context)}
        config |= {f"{SECRET_KEY_PREFIX}{name}": value for name, value in (secrets or {}).items()}

        def program() -> None:
            root = cast(Stack, pulumi.runtime.get_root_resource())
            runpy.run_path(str(ROOT / "__main__.py"), run_name=f"program-{uuid.uuid4().hex}")
            pulumi.Output.from_input(root.outputs).apply(recorder.exports.update)

        def recorded() -> None:
            monitor = RecordingMonitor(recorder, fails)
            # how a program ends in which something failed; all else went on
            with pytest.raises(FailedError) if failing else nullcontext():
                run_program(program, monitor, config, stack=stack, preview=preview, hooks=recorder.hooks)

        apart(recorded, failing=failing)
        if "<" not in answered:  # a function inside a function may differ each time
            _DECLARED[key] = recorder
        return recorder

    return run
