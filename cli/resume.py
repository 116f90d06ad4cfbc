"""What a killed engine left half-made on a cluster, and how the next run gets past it.

Owns: reading the state's pending operations, deciding which would make the next run fail, removing exactly those.
Leaves to others: the state itself and its lock (`engine.py`).

What the engine does by itself after a kill (seen with 3.259 and the Kubernetes provider 4.32): it warns, keeps the
pending operation for ever, and creates again. That fails: a plain object "already exists", a Helm release's name "is
still in use". `refresh --import-pending-creates` did not import the objects. So before the next run, for each pending
operation whose resource is not in the state:
 - a plain object that carries our label is deleted: nobody has seen it finished, and the run makes it again;
 - of a Helm release only its record is deleted: Helm then installs over its own, annotated objects. (Those without a
   namespace get that of the release as owner before: `half_made.py`);
and of a Helm release that is in the state, only the record of the revision that never came to an end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from lightkube import Client
from lightkube.core.exceptions import LoadResourceError
from lightkube.core.resource_registry import resource_registry
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.resources.core_v1 import Secret

import tokens
from capacity import listed
from capacity import plural as counted
from cli.cluster import server_version
from cli.errors import CommandError
from names import MANAGED_BY, Object

HOST_PROVIDER: Final = "host-provider"
"""Name of the host's provider (`components/host/cluster.py`)."""
INNER_PROVIDER: Final = re.compile(r"(?P<tenant>.+)-virtual-cluster-inner")
"""Name of a tenant's provider (`components/team/virtual_cluster.py` below `team.py`)."""
UNFINISHED: Final = re.compile(r"pending-.*")
"""Helm's status of a revision that never ended."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """An operation that a killed run began and did not end. `known`: the state has its resource."""

    urn: str
    kind: str
    operation: str
    inputs: Object
    provider: str = ""
    known: bool = False

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]

    @property
    def tenant(self) -> str | None:
        """The tenant in whose virtual cluster it is; None on the host, or where that is not known."""
        match = INNER_PROVIDER.fullmatch(self.provider)
        return match["tenant"] if match else None

    @property
    def on_host(self) -> bool:
        return self.provider == HOST_PROVIDER


Connect = Callable[[Pending], AbstractContextManager[Client] | None]
"""Opens the cluster of an operation; None where it is not known."""


def pending_operations(exported: Object) -> list[Pending]:
    deployment = exported.get("deployment") or {}
    # ignore entries marked delete: they are not about the new resource
    known = {
        entry.get("urn")
        for entry in deployment.get("resources") or ()
        if not entry.get("pendingReplacement") and not entry.get("delete")
    }
    return [
        _pending(entry["resource"], str(entry["type"]), known=entry["resource"]["urn"] in known)
        for entry in deployment.get("pending_operations") or []
    ]


def end_dropped(before: Object, after: Object, connect: Connect) -> Iterator[str]:
    """Remove what a run only took out of the state; yields a line of all. What is `deletedWith` another resource the
    engine leaves to that one's removal, which a run that ended early did not reach. The next run would make it again
    and find it there."""
    found = _dropped(before, after)
    if said := list(clear(found, connect, [])):
        n = len(found)
        yield f"{n} {counted('resource', n)} had left the state only, for a removal that never came: {listed(said, 3)}"


def _dropped(before: Object, after: Object) -> list[Pending]:
    old, new = ((one.get("deployment") or {}).get("resources") or () for one in (before, after))
    there = {entry.get("urn") for entry in new}
    return [
        _pending(entry, "creating")
        for entry in old
        if entry.get("deletedWith") in there and entry.get("urn") not in there and not entry.get("external")
    ]


def _pending(resource: Object, operation: str, *, known: bool = False) -> Pending:
    return Pending(
        urn=str(resource["urn"]),
        kind=str(resource["type"]),
        operation=operation,
        inputs=resource.get("inputs") or {},
        provider=provider_name(resource.get("provider") or ""),
        known=known,
    )


def provider_name(reference: str) -> str:
    """Return the name in a provider's reference. That is its URN and its id, so the name is the last part but one."""
    parts = reference.split("::")
    return parts[-2] if len(parts) > 1 else ""


def clear(pending: list[Pending], connect: Connect, left: list[Pending]) -> Iterator[str]:
    """Remove what would make the next run fail; yields a line for each removal, and for each that was not possible.

    `left` gets the operations of virtual clusters that did not answer.
    """
    answers = _answers(pending, connect)
    # virtual clusters first: the way to one may be a half-made Service on the host, which is removed next
    for operation in sorted(pending, key=lambda one: one.on_host):
        if not stands_in_the_way(operation):
            continue
        try:
            if silence := answers.get(operation.tenant):
                raise silence
            opened = connect(operation)
            if opened is None:
                continue
            with opened as client:
                yield from (
                    _release(client, operation) if operation.kind == tokens.RELEASE else _object(client, operation)
                )
        except CommandError as error:
            # a dead virtual cluster: either it comes back with its objects, or these are lost with it
            left.append(operation)
            yield f"{operation.name}: could not be looked at ({error.cause})"


def hinders(pending: list[Pending], connect: Connect) -> bool:
    """Whether something stands in the next run's way that can be removed. A virtual cluster that does not answer holds
    up nobody but its team."""
    in_the_way = [one for one in pending if stands_in_the_way(one)]
    return any(one.tenant is None for one in in_the_way) or None in _answers(in_the_way, connect).values()


def _answers(pending: list[Pending], connect: Connect) -> dict[str | None, CommandError | None]:
    """Why the tenants' virtual clusters don't answer, None for one that does. Each is asked once, because a dead one
    takes seconds. Those to which no way is known are left out."""
    found: dict[str | None, CommandError | None] = {}
    for operation in pending:
        if operation.tenant is None or operation.tenant in found or not stands_in_the_way(operation):
            continue
        try:
            if (opened := connect(operation)) is None:
                continue
            with opened as client:
                server_version(client)
            found[operation.tenant] = None
        except CommandError as error:
            found[operation.tenant] = error
    return found


def stands_in_the_way(operation: Pending) -> bool:
    """Whether the rest of a killed run's operation makes the next run fail."""
    if operation.kind == tokens.RELEASE:
        # an interrupted uninstall is simply repeated
        return operation.operation in ("creating", "updating")
    # a patch is applied again as it is; a read changes nothing
    is_patch = operation.kind.endswith("Patch")
    return operation.operation == "creating" and not operation.known and not is_patch


def _object(client: Client, operation: Pending) -> Iterator[str]:
    inputs = operation.inputs
    metadata = inputs.get("metadata") or {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    version, kind = inputs.get("apiVersion"), inputs.get("kind")
    if not (name and version and kind):
        return
    resource = _resource(str(version), str(kind), namespaced=bool(namespace))
    place = {"namespace": namespace} if namespace else {}
    try:
        found = client.get(resource, name, **place)
        labels = (found.metadata.labels if found.metadata else None) or {}
        if not MANAGED_BY.items() <= labels.items():
            return  # not ours: the run will rightly say "already exists"
        client.delete(resource, name, **place)
    except httpx2.HTTPStatusError as error:
        # not only `ApiError`: for an unknown kind the server answers in plain text
        if error.response.status_code != 404:
            raise
        return
    yield f"removed the half-made {kind} {f'{namespace}/' if namespace else ''}{name}"


def _release(client: Client, operation: Pending) -> Iterator[str]:
    name, namespace = operation.inputs.get("name"), operation.inputs.get("namespace")
    if not (name and namespace):
        return
    for record in list(client.list(Secret, namespace=str(namespace), labels={"owner": "helm", "name": str(name)})):
        found = record.metadata
        status = ((found.labels if found else None) or {}).get("status", "")
        if found is None or not found.name or (operation.known and not UNFINISHED.fullmatch(status)):
            continue
        client.delete(Secret, found.name, namespace=str(namespace))
        yield f"removed the record of the unfinished Helm release {namespace}/{name} ({status})"


def _resource(version: str, kind: str, *, namespaced: bool) -> Any:
    try:
        return resource_registry.load(version, kind)
    except LoadResourceError:
        group, _, short = version.rpartition("/")
        make = create_namespaced_resource if namespaced else create_global_resource
        return make(group, short, kind, plural(kind))


def plural(kind: str) -> str:
    """The plural in the path of our kinds that the client does not know: Queue, Topology."""
    word = kind.lower()
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
