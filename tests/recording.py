"""What the program registers: mocks of the engine that keep everything, and the SDK set up for one run."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final, TypeVar

import pulumi
import pytest
from pulumi import _types
from pulumi._utils import ContextProperty
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import resource_pb2, source_pb2
from pulumi.runtime.stack import run_in_stack

T = TypeVar("T")
SECRET_MARK = "4dabf18193072939515e22adb298388d"
"""How the SDK wraps a secret in inputs."""


SETTING_DEFAULT = "_ContextProperty__default"
"""The SDK's attribute for what a setting is where no context says it."""


def not_waiting(*_: object) -> None:
    """Takes the place of a wait."""


def certificates(*_: object) -> dict[str, str]:
    """Takes the place of reading a virtual cluster's Secret."""
    ours = {"certificate-authority": "Q0E=", "client-certificate": "Q0VSVA==", "client-key": "S0VZ"}
    return {**ours, "token": "VE9LRU4="}


def report(*_: object) -> str:
    """Takes the place of reading a check's report."""
    return json.dumps({"verdict": "pass", "sentence": "all well"})


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
    parent: str
    provider: str
    dependencies: Sequence[str]
    deleted_with: str
    options: resource_pb2.RegisterResourceRequest | resource_pb2.ReadResourceRequest
    read: bool

    @cached_property
    def inputs(self) -> Mapping[str, Any]:
        """What the engine would get; most tests ask for that of a few resources."""
        if isinstance(self.options, resource_pb2.ReadResourceRequest):
            return {"id": self.options.id}
        found: Mapping[str, Any] = rpc.deserialize_properties(self.options.object, keep_unknowns=True)
        return found

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object's metadata, for Kubernetes objects."""
        found: Mapping[str, Any] = self.inputs.get("metadata") or {}
        return found


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
    `exports` the stack's; `read` and `asked` are the reads of Secrets and the waits for API servers, whole."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=Hooks)
    read: list[tuple[Any, ...]] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return {}, None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = args.inputs
        added = self.added(args.typ, args.name, args.resource_id or "", lambda: inputs)
        return args.resource_id or f"{args.name}-id", {**inputs, **added}

    def added(self, typ: str, name: str, given_id: str, inputs: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What a cluster says of a resource besides its inputs, or in place of them."""
        match typ:
            case "kubernetes:core/v1:Secret":
                return {"data": {"ca.crt": "Q0E=", "token": "VE9LRU4="}}
            case "kubernetes:core/v1:Namespace":
                of = "unit" if given_id == "kube-system" else name
                said = inputs().get("metadata") or {}
                return {"metadata": {"name": "kube-system", **said, "uid": f"uid-of-{of}"}}
            case "kubernetes:batch/v1:Job":
                return {"metadata": {**inputs()["metadata"], "uid": f"uid-of-{name}"}}
        if typ.startswith("command:"):
            made = str(inputs().get("create"))
            if made.startswith("kind get kubeconfig --name "):
                return {"stdout": kubeconfig("kind-" + made.split()[-1])}
            if made == "sudo -n microk8s config":
                return {"stdout": kubeconfig("microk8s")}
        return {}

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


def answered(asked: Coroutine[Any, Any, T]) -> T:
    """Return what is awaited. `asyncio.run` looks at the end through all tasks that there were: those of recordings are
    many thousands."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(asked)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


class _Nowhere:
    """A URN that nobody asks for."""

    @staticmethod
    async def future() -> str:
        return ""


RESOURCE_TYPES: Final = cache(_types.resource_types)
UNWRAPPED: Final = cache(_types.unwrap_type)


def without_what_nobody_asks_for(patch: pytest.MonkeyPatch, *, preview: bool) -> None:
    """Leave out half of the SDK's work for a resource, which no test asks for."""
    # which line made it
    patch.setattr("pulumi.runtime.resource._get_stack_trace", source_pb2.StackTrace)
    # its URN where there is no monitor, and those of children of what has aliases
    patch.setattr("pulumi.runtime.resource.create_urn", lambda *_: _Nowhere)
    patch.setattr("pulumi.resource.collapse_alias_to_urn", lambda *_: "")
    # the types of its class, anew for each
    patch.setattr("pulumi._types.resource_types", RESOURCE_TYPES)
    patch.setattr("pulumi._types.unwrap_type", UNWRAPPED)
    patch.setattr("pulumi.log.debug", not_waiting)
    # looks through each value for unknowns, which only a preview has
    patch.setattr("pulumi.output.contains_unknowns", rpc.contains_unknowns if preview else lambda _: False)


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

    def __init__(self, recorder: Recorder, fails: str = "", absent: str = "") -> None:
        super().__init__(recorder)
        self._recorder, self._fails, self._absent = recorder, fails, absent

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the SDK's own name
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        self._keep(request, request.deletedWith)
        if request.name == self._fails:
            return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
        given = request.object
        added = self._recorder.added(
            request.type, request.name, request.importId, lambda: rpc.deserialize_properties(request.object)
        )
        if added:
            given = resource_pb2.RegisterResourceRequest().object
            given.MergeFrom(request.object)
            given.MergeFrom(serialized(added))
        known = "" if request.name == self._absent else request.importId or f"{request.name}-id"
        return resource_pb2.RegisterResourceResponse(urn=urn, id=known, object=given)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        self._keep(request, "", read=True)
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.name == self._fails:
            return resource_pb2.ReadResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
        added = self._recorder.added(request.type, request.name, request.id, dict)
        return resource_pb2.ReadResourceResponse(urn=urn, id=request.id, properties=serialized(added))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        # the stack's own are the recorder's `exports`
        if "::pulumi:pulumi:Stack::" not in request.urn:
            self._recorder.outputs[request.urn] = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

    def _keep(self, request: Any, deleted_with: str, *, read: bool = False) -> None:
        self._recorder.resources.append(
            Registered(
                type=request.type,
                name=request.name,
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
