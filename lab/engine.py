"""A small engine behind the Pulumi SDK's mock monitor: the same program, real API servers.

Owns: registration order, what is created, updated, left alone, replaced or deleted, and the state file.
Leaves to others: servers (`clusters.py`), objects on them (`objects.py`), what no API server does by itself
(`simulate.py`), what is kept between runs (`state.py`).

The SDK awaits a resource's dependencies before it registers the resource, so a registration can be applied at once.
Every object is recorded in the state before it is sent, so the next run knows everything that a killed run left.
"""

import asyncio
import contextvars
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import NoReturn, Protocol, TypeAlias

import pulumi
from pulumi import resource as resources
from pulumi.runtime import mocks, resource, rpc, settings
from pulumi.runtime.proto import alias_pb2, resource_pb2, source_pb2
from pulumi.runtime.stack import run_in_stack
from pulumi.runtime.sync_await import _ensure_event_loop, _sync_await

import tokens
from components.failures import FailedError
from lab.data import hide_secret_data, kept, masked, plain, short
from lab.errors import LabError
from lab.objects import Json
from lab.state import Entry, State, Trigger
from preview.differences import detailed_diff, differences

PROJECT = "gpu-tenancy"
PROVIDER_TYPE = "pulumi:providers:kubernetes"

Request: TypeAlias = resource_pb2.RegisterResourceRequest | resource_pb2.ReadResourceRequest


@dataclass(kw_only=True)
class Recorded:
    """One registered resource, and what happened or would happen to it. `inputs` contain no plain secret."""

    urn: str
    type: str
    name: str
    inputs: Json
    custom: bool = True
    provider: str = ""
    parent: str = ""
    dependencies: tuple[str, ...] = ()
    deleted_with: str = ""
    retained: bool = False
    op: str = "same"  # create | update | replace | same | delete | read | failed
    old_inputs: Json | None = None
    note: str = ""  # why a step was not validated
    outputs: Json = field(default_factory=dict)  # for components: their registered outputs
    trigger: Trigger = None  # the option replacement_trigger
    replace_on: tuple[str, ...] = ()  # the option replace_on_changes
    replace_reasons: tuple[str, ...] = ()

    def step(self) -> Json:
        """This resource as a step of `pulumi preview --json`."""
        state = {"urn": self.urn, "type": self.type, "custom": self.custom, "parent": self.parent}
        step: Json = {"op": self.op, "urn": self.urn, "provider": self.provider}
        if self.old_inputs is not None:
            step["oldState"] = {**state, "inputs": self.old_inputs}
        if self.op != "delete":
            step["newState"] = {**state, "inputs": self.inputs, "dependencies": list(self.dependencies)}
        if self.op in ("update", "replace") and self.old_inputs is not None:
            step["detailedDiff"] = detailed_diff(differences(self.old_inputs or {}, short(self.inputs)))
        if self.replace_reasons:
            step["replaceReasons"] = list(self.replace_reasons)
        if self.note:
            step["note"] = self.note
        return step


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a backend did or would do: the physical id (empty: not known yet), the outputs, and the operation."""

    id: str
    outputs: Json
    op: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A Kubernetes provider: which of the lab's servers it means (empty: not known in this preview)."""

    urn: str
    cluster: str
    namespace: str = "default"


class Backend(Protocol):
    """Where resources become objects."""

    def component(self, recorded: Recorded, inputs: Json, entry: Entry | None) -> Done:
        """Remember a component's outputs; it has no object."""

    def resource(self, recorded: Recorded, inputs: Json, entry: Entry | None, provider: Provider | None) -> Done:
        """Create, update, replace or leave alone; `entry` is its entry in the state."""

    def read(self, recorded: Recorded, resource_id: str, provider: Provider | None) -> Json:
        """The live object of that id."""

    def cluster(self, kubeconfig: str, what: str) -> str:
        """The lab's name for a kubeconfig's server; raises LabError where it is not one of its own."""


class Monitor(mocks.MockMonitor):
    """Takes registrations, passes them to the backend, and remembers them for policies, reports and the summary.

    A failed resource is reported as failed; the program decides what follows (`components/failures.py`).
    """

    def __init__(self, backend: Backend, state: State, salt: str, on_step: Callable[[Recorded], None]) -> None:
        super().__init__(_NoMocks())
        self.recorded: dict[str, Recorded] = {}
        self.failures: list[str] = []
        self.outputs: Json = {}
        self.stopped = threading.Event()
        self._backend, self._state, self._salt, self._on_step = backend, state, salt, on_step
        self._providers: dict[str, Provider] = {}
        self._guard = threading.Lock()

    # the engine protocol, as far as a program uses it

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == tokens.STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        _ensure_event_loop()  # type: ignore[no-untyped-call]  # the SDK's (de)serialisers want one in this thread
        old = self._state.entries.get(urn)
        inputs = rpc.deserialize_properties(request.object)
        if old is not None and old.inputs:
            inputs = kept(inputs, old.inputs, request.ignoreChanges)
        recorded = self._record(urn, request, inputs)
        try:
            if self.stopped.is_set():
                raise LabError(
                    f"{request.name}: not started, because the run was interrupted.", "run the command again."
                )
            _refuse_what_is_not_simulated(request)
            done = self._act(recorded, request.custom, plain(inputs))
        except Exception as error:  # any error must get into the summary, and must not end the other resources
            self._fail(recorded, error)
            return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
        recorded.op, recorded.note = done.op, done.note
        self._on_step(recorded)
        self.resources[urn] = mocks.MockMonitor.ResourceRegistration(urn, done.id, done.outputs)
        outputs = _sync_await(rpc.serialize_properties(done.outputs, {}))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=done.id, object=outputs)

    def ReadResource(  # noqa: N802
        self, request: resource_pb2.ReadResourceRequest
    ) -> resource_pb2.ReadResourceResponse:
        _ensure_event_loop()  # type: ignore[no-untyped-call]
        urn = self.make_urn(request.parent, request.type, request.name)
        recorded = self._record(urn, request, {"id": request.id}, op="read")
        try:
            known = request.id and request.id != rpc.UNKNOWN
            outputs = self._backend.read(recorded, request.id, self._provider_of(recorded)) if known else {}
        except Exception as error:
            self._fail(recorded, error)
            raise
        serialized = _sync_await(rpc.serialize_properties(outputs, {}))
        self.resources[urn] = mocks.MockMonitor.ResourceRegistration(urn, request.id, outputs)
        return resource_pb2.ReadResourceResponse(urn=urn, id=request.id if known else "", properties=serialized)

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> object:
        _ensure_event_loop()  # type: ignore[no-untyped-call]
        outputs = rpc.deserialize_properties(request.outputs)
        if f"::{tokens.STACK}::" in request.urn:
            self.outputs = outputs
        elif request.urn in self.recorded:
            self.recorded[request.urn].outputs = masked(outputs, self._salt)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> NoReturn:  # noqa: N802
        raise LabError(f"lab: the function {request.tok} is not simulated.", "leave it out of lab stacks.")

    # ours

    def _record(self, urn: str, request: Request, inputs: Json, op: str = "same") -> Recorded:
        old = self._state.entries.get(urn)
        recorded = Recorded(
            urn=urn,
            type=request.type,
            name=request.name,
            inputs=masked(hide_secret_data(inputs), self._salt),
            custom=bool(getattr(request, "custom", True)),
            provider=str(request.provider).rpartition("::")[0],
            parent=request.parent,
            dependencies=tuple(request.dependencies),
            deleted_with=str(getattr(request, "deletedWith", "")),
            retained=bool(getattr(request, "retainOnDelete", False)),
            op=op,
            old_inputs=(old.inputs or None) if old else None,  # nothing is known of what a killed run was making
            trigger=_trigger(request),
            replace_on=tuple(getattr(request, "replaceOnChanges", ())),
        )
        with self._guard:
            if urn in self.recorded:
                raise LabError(f"lab: two resources have the URN {urn}.", "give one of them another name.")
            self.recorded[urn] = recorded
        return recorded

    def _act(self, recorded: Recorded, custom: bool, inputs: Json) -> Done:
        if not custom:
            return self._backend.component(recorded, inputs, self._state.entries.get(recorded.urn))
        if recorded.type == PROVIDER_TYPE:
            kubeconfig = inputs.get("kubeconfig")
            what = f"provider {recorded.name}"
            cluster = self._backend.cluster(kubeconfig, what) if isinstance(kubeconfig, str) else ""
            namespace = str(inputs.get("namespace") or "default")
            with self._guard:
                self._providers[recorded.urn] = Provider(urn=recorded.urn, cluster=cluster, namespace=namespace)
            return Done(id=hashlib.sha256(recorded.urn.encode()).hexdigest()[:16], outputs=inputs, op="same")
        return self._backend.resource(
            recorded, inputs, self._state.entries.get(recorded.urn), self._provider_of(recorded)
        )

    def _provider_of(self, recorded: Recorded) -> Provider | None:
        return self._providers.get(recorded.provider)

    def _fail(self, recorded: Recorded, error: Exception) -> None:
        cause = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        recorded.op = "failed"
        with self._guard:
            self.failures.append(f"{recorded.name} ({recorded.type.rpartition(':')[2]}): {cause}")


def _trigger(request: Request) -> Trigger:
    """The option replacement_trigger of a registration; None where there is none."""
    if isinstance(request, resource_pb2.ReadResourceRequest) or not request.HasField("replacement_trigger"):
        return None
    value = request.replacement_trigger
    kind = value.WhichOneof("kind")
    if kind == "null_value":
        return None
    # the text of a mapping or a list: only its equality matters
    return plain(getattr(value, kind)) if kind in ("string_value", "number_value", "bool_value") else str(value)


def _refuse_what_is_not_simulated(request: resource_pb2.RegisterResourceRequest) -> None:
    """Raise LabError for an option that the lab does not simulate, and so would act differently from the engine."""
    asked = {
        # the SDK itself writes a Kubernetes kind's older types; the lab made nothing with one
        "aliases": bool(request.aliasURNs) or any(_is_renaming(alias) for alias in request.aliases),
        "import_": bool(request.importId),
        "replace_with": bool(request.replace_with),
    }
    for option, given in asked.items():
        if given:
            raise LabError(
                f"lab: the option {option} of {request.name} is not simulated.", "leave it out of lab stacks."
            )


def _is_renaming(alias: alias_pb2.Alias) -> bool:
    spec = alias.spec
    return bool(alias.urn or spec.name or spec.project or spec.stack or spec.parentUrn or spec.noParent)


class _NoMocks(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> NoReturn:
        raise NotImplementedError

    def new_resource(self, args: mocks.MockResourceArgs) -> NoReturn:
        raise NotImplementedError


class _NoHooks:
    """Replaces the SDK's callback server. Hooks repair what charts leave behind; the lab runs no chart."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        pass

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        pass


class _NoUrn:
    """What the SDK would answer with where there is no monitor; five Outputs a resource."""

    @staticmethod
    async def future() -> str:
        return ""


@contextmanager
def _without_what_nobody_shows() -> Iterator[None]:
    """Leave out of the SDK's work for a resource what nobody here shows: the note of which line made it, and URNs of
    its own for it and for its aliases. It is a fourth of the time."""
    less: list[tuple[ModuleType, str, object]] = [
        (resource, "_get_stack_trace", source_pb2.StackTrace),
        (resource, "create_urn", lambda *_: _NoUrn),
        (resources, "collapse_alias_to_urn", lambda *_: ""),
    ]
    whole = [getattr(module, name) for module, name, _ in less]
    for module, name, instead in less:
        setattr(module, name, instead)
    try:
        yield
    finally:
        for (module, name, _), own in zip(less, whole, strict=True):
            setattr(module, name, own)


def run(program: Callable[[], None], monitor: Monitor, *, stack: str, dry_run: bool, config: Mapping[str, str]) -> None:
    """Run a Pulumi program against `monitor` until everything that it registers is settled.

    It runs in its own thread and context, so that the SDK's global state does not stay. On Ctrl-C running resources may
    finish, and nothing new begins. Raises the program's own exception.
    """
    raised: list[BaseException] = []
    quiet = logging.getLogger("gpu-tenancy.lab.program")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False  # the SDK logs each failure again; the summary reports it once, cause first

    async def settle() -> None:
        try:
            await run_in_stack(program)
        except FailedError as failed:
            if not monitor.failures:  # the program's own wait failed, and no resource was asked for
                monitor.failures.append(str(failed))

    def inside() -> None:
        loop = asyncio.new_event_loop()
        # outputs of failed resources that nothing awaits any more; the summary has the failures themselves
        loop.set_exception_handler(lambda *_: None)
        asyncio.set_event_loop(loop)
        try:
            # what set_mocks does, without the root resource: run_in_stack makes its own and registers the outputs
            settings.configure(
                mocks.MockSettings(  # type: ignore[no-untyped-call]
                    monitor=monitor,
                    engine=mocks.MockEngine(quiet),
                    project=PROJECT,
                    stack=stack,
                    dry_run=dry_run,
                    outputs=set(),  # those of a run that failed are left over
                )
            )
            settings.SETTINGS.callbacks = _NoHooks()
            pulumi.runtime.set_all_config(dict(config), [f"{PROJECT}:kubeconfig"])
            with _without_what_nobody_shows():
                loop.run_until_complete(settle())
        except BaseException as error:  # passed to the calling thread
            raised.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    thread = threading.Thread(target=contextvars.Context().run, args=(inside,), name="pulumi-program", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
    except KeyboardInterrupt:
        monitor.stopped.set()
        thread.join()
        raise
    if raised and not monitor.failures:
        raise raised[0]


def tally(recorded: Sequence[Recorded]) -> dict[str, int]:
    """How many resources each operation is for; components and reads are not counted."""
    counts: dict[str, int] = {}
    for item in recorded:
        if item.custom and item.op != "read" and item.type != PROVIDER_TYPE:
            counts[item.op] = counts.get(item.op, 0) + 1
    return counts
