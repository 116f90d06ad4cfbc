"""Objects on the lab's API servers: apply, read, delete, wait. One place that speaks the Kubernetes API.

Everything is sent by server-side apply with generic resources, so that the server sees exactly what the program wrote.
Typed client models would drop a misspelt field before the server could refuse it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx2
from lightkube import ApiError, Client
from lightkube.core.exceptions import LoadResourceError
from lightkube.core.resource import ApiInfo, NamespacedResource, ResourceDef, api_info
from lightkube.core.resource_registry import resource_registry
from lightkube.generic_resource import (
    GenericGlobalResource,
    GenericGlobalStatus,
    GenericNamespacedResource,
    GenericNamespacedStatus,
    create_api_info,
)
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.types import CascadeType

from lab.clusters import FIELD_MANAGER
from lab.errors import LabError
from names import Object

Json = Object
GenericKind: TypeAlias = Any  # a class made by _generic; the client's overloads know only its own

DELETE_SECONDS = 60.0
APPEAR_SECONDS = 120.0  # an idle machine needs one or two; a busy one is only slow
MEND_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Where an object is. `namespace` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def id(self) -> str:
        """As Pulumi's Kubernetes provider writes it."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class UnknownKindError(LabError):
    """The server has no such kind (yet)."""


class Objects:
    """The objects of one API server."""

    def __init__(self, cluster: str, client: Client, mend: Callable[[], bool] = lambda: False) -> None:
        """`mend` is called from time to time during a wait, because a program may have given up. Where it started one
        again, the wait begins anew.
        """
        self.cluster, self._client, self._mend = cluster, client, mend

    def reference(self, obj: Json, default_namespace: str = "default") -> Reference:
        """Raises UnknownKindError where the server does not have the kind."""
        kind = self._kind(obj["apiVersion"], obj["kind"])
        meta = obj.get("metadata") or {}
        namespace = (meta.get("namespace") or default_namespace) if issubclass(kind, NamespacedResource) else ""
        return Reference(api_version=obj["apiVersion"], kind=obj["kind"], namespace=namespace, name=meta["name"])

    def apply(self, obj: Json, *, manager: str = FIELD_MANAGER, force: bool = False, dry_run: bool = False) -> Json:
        """Server-side apply. Raises LabError with the server's own reason where it refuses."""
        reference = self.reference(obj)
        kind = self._kind(reference.api_version, reference.kind)
        meta = {**(obj.get("metadata") or {}), **({"namespace": reference.namespace} if reference.namespace else {})}
        with self._asking(reference):
            body = kind({**obj, "metadata": meta})
            return _clean(self._client.apply(body, field_manager=manager, force=force, dry_run=dry_run))

    def apply_status(self, obj: Json) -> None:
        """Write the status of an object; for the simulation alone."""
        reference = self.reference(obj)
        kind = self._kind(reference.api_version, reference.kind)
        body = kind.Status(obj)
        client: Any = self._client  # its overloads know no generic status
        with self._asking(reference):
            client.apply(body, reference.name, field_manager=FIELD_MANAGER, force=True)

    def get(self, reference: Reference) -> Json | None:
        kind = self._kind(reference.api_version, reference.kind)
        with self._asking(reference, missing_is_fine=True):
            return _clean(self._client.get(kind, reference.name, namespace=reference.namespace or None))
        return None

    def list(self, api_version: str, kind: str, labels: dict[str, str] | None = None) -> list[Json]:
        """Every object of a kind, in all namespaces."""
        found = self._kind(api_version, kind)
        where = "*" if issubclass(found, NamespacedResource) else None
        selector: Any = labels
        return [
            {"apiVersion": api_version, "kind": kind, **_clean(item)}
            for item in self._client.list(found, namespace=where, labels=selector)
        ]

    def delete(self, reference: Reference, *, wait: bool = True) -> None:
        """Delete, and wait until it is gone. Does nothing where it does not exist."""
        try:
            kind = self._kind(reference.api_version, reference.kind)
        except UnknownKindError:  # it was deleted with its CRD
            return
        with self._asking(reference, missing_is_fine=True):
            # by default a deleted Job's pods would stay; the engine asks for this, too
            cascade = CascadeType.FOREGROUND if reference.kind in ("Job", "CronJob") else None
            self._client.delete(kind, reference.name, namespace=reference.namespace or None, cascade=cascade)
        if wait:
            self.wait_gone(reference)

    def wait_gone(self, reference: Reference) -> None:
        self.wait(lambda: self.get(reference) is None, DELETE_SECONDS, f"{reference} is deleted but does not go away")

    def wait(self, ready: Callable[[], bool], seconds: float, otherwise: str | Callable[[], str]) -> None:
        started = looked = time.monotonic()
        while not ready():
            now = time.monotonic()
            if now - looked > MEND_SECONDS:
                looked = now
                if self._mend():
                    started = now
            if now > started + seconds:
                cause = otherwise if isinstance(otherwise, str) else otherwise()
                raise LabError(f"{cause} (API server `{self.cluster}`, {seconds:.0f} s).", "look at it with kubectl.")
            time.sleep(0.1)

    @contextmanager
    def _asking(self, reference: Reference, *, missing_is_fine: bool = False) -> Iterator[None]:
        """Turn the server's refusal, or no answer, into an error."""
        try:
            yield
        except ApiError as error:
            if not (missing_is_fine and error.status.code == 404):
                raise RefusedError(self.cluster, reference, error) from error
        except httpx2.HTTPError as error:
            raise LabError(
                f"The API server `{self.cluster}` does not answer ({type(error).__name__}, at {reference}).",
                "run `make up` again: the lab makes a dead server anew.",
            ) from error

    def _kind(self, api_version: str, kind: str) -> GenericKind:
        group, _, version = api_version.rpartition("/")
        try:
            model = resource_registry.load(api_version, kind)
            namespaced, plural = issubclass(model, NamespacedResource), api_info(model).plural
        except (LoadResourceError, ModuleNotFoundError):
            for crd in self._client.list(CustomResourceDefinition):
                if crd.spec.group == group and crd.spec.names.kind == kind:
                    namespaced, plural = crd.spec.scope == "Namespaced", crd.spec.names.plural
                    break
            else:
                raise UnknownKindError(
                    f"The API server `{self.cluster}` knows no kind {kind} in {api_version}.",
                    "let it depend on what brings its CustomResourceDefinition.",
                ) from None
        return _generic(namespaced, group, version, kind, plural)


class RefusedError(LabError):
    """The API server said no; `code` is its status code."""

    def __init__(self, cluster: str, reference: Reference, error: ApiError) -> None:
        self.code = error.status.code or 0
        message = (error.status.message or str(error)).strip().rstrip(".")
        super().__init__(
            f"{message} (refused by the API server `{cluster}`, {reference}).", "correct this object, then run again."
        )


def _generic(namespaced: bool, group: str, version: str, kind: str, plural: str) -> GenericKind:
    """A class whose objects are plain dicts. It is not in the registry, which has the typed class with that name."""
    resource = ResourceDef(group, version, kind)
    main = GenericNamespacedResource if namespaced else GenericGlobalResource
    below = GenericNamespacedStatus if namespaced else GenericGlobalStatus
    info = ApiInfo(resource=resource, parent=resource, plural=plural, verbs=["get", "patch"], action="status")
    status = type(f"{kind}Status", (below,), {"_api_info": info})
    return type(kind, (main,), {"_api_info": create_api_info(group, version, kind, plural), "Status": status})


def _clean(obj: Any) -> Json:
    found = dict(obj.to_dict())
    found["metadata"] = {k: v for k, v in (found.get("metadata") or {}).items() if k != "managedFields"}
    return found
