"""What is wrong with a team's own KAI, as its API server shows. Plain JSON, no Pulumi import.

Owns: the four ways in which a scheduler breaks without an update: its pods fail; one of its kinds is missing or another
program's; its parts have different versions; a reservation pod holds a GPU that no pod uses.
Leaves to others: where it is shown (`cli/status.py`), what to do about it (docs/guides/broken-scheduler.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import names
from capacity import amount_of
from lenient import Json, items, name, namespace, rows, table, tag_of, text

Read: TypeAlias = Callable[[str], Json | None]
"""Returns the API's answer at a path; None for what does not exist, an empty object for what can't be read now."""


def faults(read: Read, version: str | None) -> list[str]:
    """Return the faults of a team's KAI, one sentence each; empty where there are none, or where nothing can be read.

    `version`: the one that the last update made.
    """
    deployments = _items(read, f"/apis/apps/v1/namespaces/{names.KAI_NAMESPACE}/deployments")
    pods = _items(read, f"/api/v1/namespaces/{names.KAI_NAMESPACE}/pods")
    return [*_kinds(read), *_pods(pods), *_absent(deployments), *_versions(deployments, version), *_leaks(read)]


def _items(read: Read, path: str) -> list[Json]:
    return items(read(path) or {})


def _kinds(read: Read) -> Iterator[str]:
    group, _, served = names.QUEUE_API_VERSION.partition("/")
    if read(f"/apis/{names.QUEUE_API_VERSION}/queues") is None:
        yield f"kind Queue is not served as {served}: CRD queues.{group} is missing, or another program's"


def _pods(pods: list[Json]) -> Iterator[str]:
    for pod in pods:
        if _has_ended(pod):
            continue
        for one in rows(pod, "status", "containerStatuses"):
            reason = text(one, "state", "waiting", "reason")
            if reason and reason not in names.STARTING:
                again = f", started {one.get('restartCount')} times" if one.get("restartCount") else ""
                yield f"pod {name(pod)}: {reason}{again} (image {one.get('image')})"


def _absent(deployments: list[Json]) -> Iterator[str]:
    for deployment in deployments:
        wanted = _count(table(deployment, "spec").get("replicas", 1))
        there = _count(table(deployment, "status").get("availableReplicas"))
        if wanted == 0:
            yield f"Deployment {name(deployment)} is scaled to 0"
        elif there < wanted:
            yield f"Deployment {name(deployment)} has {there} of {wanted} pods available"


def _count(value: object) -> int:
    return int(amount_of(value) or 0)


def _versions(deployments: list[Json], version: str | None) -> Iterator[str]:
    for deployment in deployments:
        for container in rows(deployment, "spec", "template", "spec", "containers"):
            image = text(container, "image")
            tag = tag_of(image)
            if version and tag and tag.removeprefix("v") != version.removeprefix("v"):
                yield f"Deployment {name(deployment)} runs image {image}, and its KAI is {version}"


def _leaks(read: Read) -> Iterator[str]:
    reserving = _items(read, f"/api/v1/namespaces/{names.KAI_RESERVATION_NAMESPACE}/pods")
    if not reserving:
        return
    everywhere = _items(read, "/api/v1/pods")
    sharing = {
        group
        for pod in everywhere
        if namespace(pod) != names.KAI_RESERVATION_NAMESPACE and not _has_ended(pod)
        for group in _groups(pod)
    }
    for pod in reserving:
        if _has_ended(pod) or _groups(pod) & sharing:
            continue
        node = text(pod, "spec", "nodeName") or "no node yet"
        yield f"reservation pod {name(pod)} holds a GPU of {node}, and no pod shares it"


def _groups(pod: Json) -> frozenset[str]:
    more = {key.partition("/")[2] for key in table(pod, "metadata", "labels") if key.startswith(f"{names.GPU_GROUP}/")}
    alone = text(pod, "metadata", "labels", names.GPU_GROUP)
    return frozenset({*more, *([alone] if alone else [])})


def _has_ended(pod: Json) -> bool:
    return text(pod, "status", "phase") in names.ENDED
