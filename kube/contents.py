"""What changed in a cluster since a moment, by its objects' own times.

Owns: finding all kinds and reading their metadata, and which object is new or changed.
Leaves to others: what is said of it (`cli/snapshots.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx2

from kube.client import answered, items, maps, said
from names import Object

DISCOVERY: Final = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"
"""One call for all kinds of a server (Kubernetes 1.30 and newer)."""
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
NOT_KEPT: Final = ("events", "leases", "endpoints", "endpointslices", "componentstatuses", "nodes", "csinodes")
"""What a cluster writes by itself, or what the syncer mirrors."""


@dataclass(frozen=True, kw_only=True)
class Since:
    """Objects as `kind namespace/name`: made since, and changed by somebody since."""

    made: tuple[str, ...]
    changed: tuple[str, ...]


def since(api: httpx2.Client, moment: datetime) -> Since:
    """Return what is new and what changed since then. What was deleted since can't be seen. Raises `RuntimeError`."""
    made: list[str] = []
    changed: list[str] = []
    for kind, where in _kinds(api):
        answer = api.get(where, headers={"Accept": METADATA})
        if not answer.is_success:
            continue  # a kind that can be listed by its own words, and is not served now
        for item in items(answered(answer)):
            metadata = item["metadata"]
            name = "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)
            if _time(metadata.get("creationTimestamp")) > moment:
                made.append(f"{kind} {name}")
            elif any(_time(entry.get("time")) > moment for entry in _spec_writers(metadata)):
                changed.append(f"{kind} {name}")
    return Since(made=tuple(sorted(made)), changed=tuple(sorted(changed)))


def _spec_writers(metadata: Object) -> Iterator[Object]:
    """Those who wrote more than a status."""
    return (entry for entry in maps(metadata, "managedFields") if not entry.get("subresource"))


def _time(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _kinds(api: httpx2.Client) -> Iterator[tuple[str, str]]:
    """Each kind that can be listed once, with the path of its collection."""
    seen: set[tuple[str, str]] = set()
    for root in ("/api", "/apis"):
        answer = api.get(root, headers={"Accept": DISCOVERY})
        if not answer.is_success:
            message = f"its kinds can't be listed: {said(answer)}"
            raise RuntimeError(message)
        for group in maps(answered(answer), "items"):
            name = (group.get("metadata") or {}).get("name") or ""
            # the first version is the one that the server prefers
            for version in maps(group, "versions"):
                for resource in maps(version, "resources"):
                    key = (name, resource.get("resource", ""))
                    if key in seen or key[1] in NOT_KEPT or "list" not in (resource.get("verbs") or ()):
                        continue
                    seen.add(key)
                    place = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                    yield str((resource.get("responseKind") or {}).get("kind", key[1])), f"{place}/{key[1]}"
