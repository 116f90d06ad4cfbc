"""What runs in a team's namespace on the host: pods, containers, images, requests, use.

Owns: reading pods and metrics as plain JSON, which pods belong to tenancy and which to the team's own work.
Leaves to others: tables and shares (`cli/footprint.py`).

Use comes from the metrics API where the host has it, otherwise from each kubelet's own summary. The size of a store
comes from the tenant's API server (`apiserver_storage_size_bytes`, stable since Kubernetes 1.28).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

import names
from capacity import amount_of, asked_by
from lenient import Json, items, name, namespace, rows, table, text

Read: TypeAlias = Callable[[str], Json | None]
"""Returns an API's answer at a path; None where there is none, or none that can be read."""

MIB: Final = 1024**2
CONTROL_PLANE: Final = ("vcluster", "vcluster-etcd", "vcluster-snapshot")
"""The labels `app` of the pods of the vCluster chart on the host, and of our snapshots."""
SYSTEM: Final = ("kube-system", names.KAI_NAMESPACE, names.KAI_RESERVATION_NAMESPACE)
"""Namespaces of tenancy inside a virtual cluster: DNS, KAI, its reservation pods."""
STORE: Final = re.compile(
    r"^apiserver_storage_size_bytes(?:\{[^}]*\})? ([0-9]+(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?)$", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Use:
    """CPU in thousandths of a core, memory in MiB."""

    cpu: int
    memory: int

    def __add__(self, other: Use) -> Use:
        return Use(cpu=self.cpu + other.cpu, memory=self.memory + other.memory)


NONE: Final = Use(cpu=0, memory=0)


@dataclass(frozen=True, kw_only=True)
class PodUse:
    """A pod that has not ended. `init` and `main`: container and image. `used` None: no metrics."""

    name: str
    tenancy: bool
    init: tuple[tuple[str, str], ...]
    main: tuple[tuple[str, str], ...]
    requested: Use
    used: Use | None


def pods_of(read: Read, team: str, used: Mapping[str, Use]) -> list[PodUse] | None:
    """Return a team's pods on the host; None where they can't be listed. `used`: by `namespace/name`."""
    space = names.team_namespace(team)
    answer = read(f"/api/v1/namespaces/{space}/pods")
    if answer is None:
        return None
    found = [_pod(item, used) for item in items(answer) if text(item, "status", "phase") not in names.ENDED]
    return sorted(found, key=lambda pod: (not pod.tenancy, pod.name))


def _pod(pod: Json, used: Mapping[str, Use]) -> PodUse:
    spec, labels = table(pod, "spec"), table(pod, "metadata", "labels")
    return PodUse(
        name=name(pod),
        tenancy=labels.get("app") in CONTROL_PLANE or labels.get(names.SYNCED_NAMESPACE) in SYSTEM,
        init=tuple(_image(one) for one in rows(spec, "initContainers")),
        main=tuple(_image(one) for one in rows(spec, "containers")),
        requested=Use(
            cpu=round(asked_by(spec, "cpu") * 1000),
            memory=round(asked_by(spec, "memory") / MIB),
        ),
        used=used.get(_key(pod)),
    )


def _image(container: Json) -> tuple[str, str]:
    return text(container, "name"), text(container, "image")


def _key(pod: Json) -> str:
    return f"{namespace(pod)}/{name(pod)}"


def used_now(read: Read, nodes: Iterable[str]) -> dict[str, Use]:
    """Return what every pod uses now, by `namespace/name`; empty where there are no metrics."""
    answer = read("/apis/metrics.k8s.io/v1beta1/pods")
    if answer is not None:
        return {
            _key(item): sum(
                (
                    Use(cpu=round(_measured(one, "cpu") * 1000), memory=round(_measured(one, "memory") / MIB))
                    for one in rows(item, "containers")
                ),
                NONE,
            )
            for item in items(answer)
        }
    found: dict[str, Use] = {}
    for node in nodes:
        for pod in rows(read(f"/api/v1/nodes/{node}/proxy/stats/summary"), "pods"):
            found[f"{text(pod, 'podRef', 'namespace')}/{text(pod, 'podRef', 'name')}"] = Use(
                cpu=round(_amount(table(pod, "cpu").get("usageNanoCores")) / 10**6),
                memory=round(_amount(table(pod, "memory").get("workingSetBytes")) / MIB),
            )
    return found


def _measured(container: Json, resource: str) -> Decimal:
    return _amount(table(container, "usage").get(resource))


def _amount(value: object) -> Decimal:
    """A measured amount; 0 where it is not a quantity."""
    return amount_of(value) or Decimal(0)


def requested(pods: Iterable[PodUse]) -> Use:
    return sum((pod.requested for pod in pods), NONE)


def used(pods: Iterable[PodUse]) -> Use | None:
    """Return what the pods use; None where it is not known for one of them."""
    known = [pod.used for pod in pods]
    return None if None in known or not known else sum((one for one in known if one is not None), NONE)


def store_bytes(metrics: str) -> int | None:
    """Return the size of a store from its API server's metrics; None where these do not have it."""
    found = STORE.search(metrics)
    return round(float(found[1])) if found else None
