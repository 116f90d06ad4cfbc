"""What changed in a cluster since a time, by its objects' own times.

Owns: finding all kinds and reading their metadata, and which object is new or changed.
Leaves to others: the messages (`cli/snapshots.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx2

from kube.client import answered, said
from lenient import Json, items, moment, name, namespace, rows, text

DISCOVERY: Final = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"
"""One call for all kinds of a server (Kubernetes 1.30 and newer)."""
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
NOT_KEPT: Final = ("events", "leases", "endpoints", "endpointslices", "componentstatuses", "nodes", "csinodes")
"""Kinds that a cluster writes by itself, or that the syncer mirrors."""


@dataclass(frozen=True, kw_only=True)
class Since:
    """Objects as `kind namespace/name`: made since, and changed by somebody since."""

    made: tuple[str, ...]
    changed: tuple[str, ...]


def since(api: httpx2.Client, start: datetime) -> Since:
    """Return what is new and what changed since then. What was deleted since can't be seen. Raises `RuntimeError`."""
    made: list[str] = []
    changed: list[str] = []
    for kind, where in _kinds(api):
        answer = api.get(where, headers={"Accept": METADATA})
        if not answer.is_success:
            continue  # discovery lists the kind, but the server does not serve it now
        for item in items(answered(answer)):
            what = f"{kind} {'/'.join(part for part in (namespace(item), name(item)) if part)}"
            if _is_after(start, item, "metadata", "creationTimestamp"):
                made.append(what)
            elif any(
                _is_after(start, entry, "time")
                for entry in rows(item, "metadata", "managedFields")
                if not entry.get("subresource")  # those who wrote more than a status
            ):
                changed.append(what)
    return Since(made=tuple(sorted(made)), changed=tuple(sorted(changed)))


def _is_after(start: datetime, thing: Json, *path: str) -> bool:
    found = moment(thing, *path)
    return found is not None and found > start


def _kinds(api: httpx2.Client) -> Iterator[tuple[str, str]]:
    """Each kind that can be listed once, with the path of its collection."""
    seen: set[tuple[str, str]] = set()
    for root in ("/api", "/apis"):
        answer = api.get(root, headers={"Accept": DISCOVERY})
        if not answer.is_success:
            raise RuntimeError(f"its kinds can't be listed: {said(answer)}")
        for group in rows(answered(answer), "items"):
            name_of_group = name(group)
            # the server's preferred version comes first
            for version in rows(group, "versions"):
                for resource in rows(version, "resources"):
                    plural, verbs = text(resource, "resource"), resource.get("verbs")
                    key = (name_of_group, plural)
                    if key in seen or plural in NOT_KEPT or not isinstance(verbs, list) or "list" not in verbs:
                        continue
                    seen.add(key)
                    place = f"/apis/{name_of_group}" if name_of_group else "/api"
                    kind = text(resource, "responseKind", "kind") or plural
                    yield kind, f"{place}/{text(version, 'version')}/{plural}"
