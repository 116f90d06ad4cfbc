"""A pod of JSON as facts: what it asks for, where it is, what it does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from capacity import asked_by, memory_in_label, memory_in_parts, resources_of
from lenient import Json, condition, moment, name, namespace, rows, table, text
from names import (
    CHECK_NAMESPACE,
    CHECK_PAIR_NAMESPACE,
    GPU_FRACTION,
    GPU_FRACTION_DEVICES,
    GPU_GROUP,
    GPU_MEMORY,
    GPU_MEMORY_ASKED,
    GPU_RESOURCES,
    KAI_NAMESPACE,
    KAI_QUEUE_LABEL,
    KAI_RESERVATION_NAMESPACE,
    STARTING,
    SYNCED_FROM,
)
from seen.model import Pod
from seen.numbers import finite, number

INNER_NAME: Final = "vcluster.loft.sh/object-name"
OURS: Final = ("kube-system", KAI_NAMESPACE, KAI_RESERVATION_NAMESPACE, CHECK_NAMESPACE, CHECK_PAIR_NAMESPACE)
"""Inside a virtual cluster: tenancy's own namespaces."""

CONTAINERS: Final = ("initContainerStatuses", "containerStatuses")


def pod_of(inside: Json | None, on_host: Json | None, *, team: str, memory: Mapping[str, int] | None = None) -> Pod:
    """Return a pod from its team's cluster and from the host; one of both may be missing.

    `memory`: MiB of one GPU by node, for a pod that asks for memory.
    """
    pod = inside or on_host or {}
    away = table(on_host, "metadata", "annotations")
    space = namespace(inside) if inside else str(away.get(SYNCED_FROM, namespace(on_host)))
    own = (inside or table(away).get(INNER_NAME)) is not None
    labels, notes = _both(inside, on_host, "labels"), _both(inside, on_host, "annotations")
    node = text(inside, "spec", "nodeName") or text(on_host, "spec", "nodeName")
    mib = max(0, int(number(notes.get(GPU_MEMORY_ASKED))))
    devices = (
        max(1, int(number(notes.get(GPU_FRACTION_DEVICES))))
        if GPU_FRACTION in notes or GPU_MEMORY_ASKED in notes
        else 0
    )
    size = memory_in_parts((memory or {}).get(node, 0))
    # a negative number would lower the use of others
    fraction = max(0.0, number(notes[GPU_FRACTION])) if GPU_FRACTION in notes else mib / size if mib and size else None
    told = on_host if on_host and inside and _silent(inside) else pod
    return Pod(
        team=team,
        namespace=space,
        name=name(inside) if inside else str(away.get(INNER_NAME, name(on_host))),
        host_name=name(on_host),
        node=node,
        phase=text(pod, "status", "phase") or "Pending",
        state=state_of(told),
        ready=condition(pod, "Ready").get("status") == "True",
        queue=str(labels.get(KAI_QUEUE_LABEL, "")),
        gpus=whole(pod),
        fraction=fraction,
        memory_mib=mib,
        devices=devices,
        groups=groups(labels),
        created=moment(pod, "metadata", "creationTimestamp"),
        started=moment(pod, "status", "startTime"),
        ended=_ended(pod),
        scheduler=text(pod, "spec", "schedulerName"),
        owner=_owner(inside),
        ours=bool(team) and (not own or space in OURS),
    )


def _silent(pod: Json) -> bool:
    """Whether a pod has a node that has not reported about it yet."""
    return bool(text(pod, "spec", "nodeName")) and not rows(pod, "status", "containerStatuses")


def _both(inside: Json | None, on_host: Json | None, what: str) -> dict[str, object]:
    return {**table(on_host, "metadata", what), **table(inside, "metadata", what)}


def _owner(pod: Json | None) -> str:
    for owner in rows(pod, "metadata", "ownerReferences"):
        return f"{text(owner, 'kind')}/{text(owner, 'name')}"
    return ""


def _ended(pod: Json) -> datetime | None:
    times = [moment(c, "state", "terminated", "finishedAt") for c in rows(pod, "status", "containerStatuses")]
    return max((time for time in times if time is not None), default=None)


def whole(pod: Json) -> float:
    """Whole units that a pod asks for, by its limits: an extended resource's request equals its limit."""
    return sum(gpus_asked(pod).values())


def gpus_asked(pod: Json) -> dict[str, float]:
    """Whole units by resource name."""
    spec = pod.get("spec")
    return {key: finite(asked_by(spec, key)) for key in sorted(resources_of(spec) & frozenset(GPU_RESOURCES))}


def requests(pod: Json) -> tuple[float, float]:
    """CPU (cores) and memory (bytes) that a pod asks for; without a request its limit."""
    spec = pod.get("spec")
    return finite(asked_by(spec, "cpu")), finite(asked_by(spec, "memory"))


def groups(labels: Mapping[str, object]) -> tuple[str, ...]:
    """The GPU groups in a pod's labels."""
    several = [key.partition("/")[2] for key in labels if key.startswith(f"{GPU_GROUP}/")]
    return tuple(sorted(several)) or ((str(labels[GPU_GROUP]),) if labels.get(GPU_GROUP) else ())


def containers(pod: Json) -> Iterator[Json]:
    """The states of a pod's containers, init containers first."""
    for key in CONTAINERS:
        yield from rows(pod, "status", key)


def state_of(pod: Json) -> str:
    """A pod's state, as kubectl shows it."""
    if text(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    if text(pod, "status", "reason"):
        return text(pod, "status", "reason")
    phase = text(pod, "status", "phase") or "Pending"
    for container in containers(pod):
        waiting = text(container, "state", "waiting", "reason")
        if waiting and waiting not in STARTING:
            return waiting
        ended = text(container, "state", "terminated", "reason")
        if ended and ended != "Completed" and phase == "Running":
            return ended
    return phase


def memory_of(nodes: Iterable[Json]) -> dict[str, int]:
    """MiB of one GPU by node, as KAI reads the label of feature discovery."""
    found = {name(node): memory_in_label(text(node, "metadata", "labels", GPU_MEMORY)) for node in nodes}
    return {node: mib for node, mib in found.items() if mib}
