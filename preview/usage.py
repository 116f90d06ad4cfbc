"""What runs now, by tenant: the numbers that a change is compared with. Pure.

Owns: reading them from `{"ml": 3}` (GPUs) or from what kubectl lists (ResourceQuotas, Pods).
Leaves to others: asking a cluster, and what a change takes away (`judges.py`).

What is not in the listing is not known: it may come from another cluster, or from an account that sees little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from capacity import amount_of, asked_by, resources_of
from lenient import Json, namespace, rows, table, text
from names import (
    ENDED,
    GPU,
    GPU_FRACTION,
    GPU_FRACTION_DEVICES,
    GPU_MEMORY_ASKED,
    KAI_QUEUE_LABEL,
    MIG,
    team_of_namespace,
)
from preview.facts import GPU_BOUND
from settings.types import MOST_GPUS

_CONTROL_PLANE: Final = ("app", "vcluster")
"""vCluster's own label on its control plane, which is not a tenant's pod
(VC@v0.36.1:chart/templates/statefulset.yaml).
"""


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one tenant uses now. None: not known."""

    bounds: Mapping[str, Decimal] = field(default_factory=dict)
    """The ResourceQuota's `status.used`, by its keys."""
    nodes: Mapping[str, int] | None = None
    """How many of its pods run on each node."""
    queues: Mapping[str, Decimal] | None = None
    """GPUs of its running pods by the queue that they name."""

    @property
    def gpus(self) -> Decimal | None:
        """GPUs (replicas) in use."""
        return self.bounds.get(GPU_BOUND)


Usage: TypeAlias = Mapping[str, Use]


def use_in(usage: Usage | None, tenant: str) -> Use | None:
    """What a tenant uses, None where nobody asked. One that a listing does not name may use anything."""
    return None if usage is None else usage.get(tenant, Use())


class UsageError(ValueError):
    """The usage file has a wrong format."""


def usage_of(content: object) -> dict[str, Use]:
    """Return what each tenant uses, from `{"ml": 3}` or from a list that kubectl wrote. Raises `UsageError`.

    kubectl get resourcequota,pods -A -o json
    """
    said = table(content)
    if isinstance(said.get("items"), list):
        return _of_list(rows(said, "items"))
    numbers = {team: amount_of(value) for team, value in said.items() if not isinstance(value, str)}
    gpus = {team: number for team, number in numbers.items() if number is not None and number >= 0}
    if isinstance(content, Mapping) and len(gpus) == len(said):
        return {team: Use(bounds={GPU_BOUND: number}) for team, number in gpus.items()}
    message = (
        'must be {"team": GPUs, ...} or a list from kubectl; write it with: kubectl get resourcequota,pods -A -o json'
    )
    raise UsageError(message)


def _of_list(items: list[Json]) -> dict[str, Use]:
    found: dict[str, Use] = {}
    pods: dict[str, list[Json]] = {}
    for item in items:
        team = team_of_namespace(namespace(item))
        kind = item.get("kind")
        if team is None:
            continue
        if kind == "Pod":
            pods.setdefault(team, []).append(item)
        elif kind in (None, "ResourceQuota"):
            used = _used(item)
            known = found.get(team, Use()).bounds
            # several quotas of one namespace count the same pods
            found[team] = Use(bounds={**known, **{k: max(v, known.get(k, v)) for k, v in used.items()}})
    if any(item.get("kind") == "Pod" for item in items):
        for team in {*found, *pods}:
            seen = use_of_pods(pods.get(team, []))
            bounds = found.get(team, Use()).bounds
            found[team] = Use(bounds={**seen.bounds, **bounds}, nodes=seen.nodes, queues=seen.queues)
    return found


def _used(quota: Json) -> dict[str, Decimal]:
    amounts = {key: amount_of(value) for key, value in table(quota, "status", "used").items()}
    return {key: amount for key, amount in amounts.items() if amount is not None}


def use_of_pods(pods: Iterable[Json]) -> Use:
    """Return what the pods of one tenant use: GPUs, nodes, queues. Ended pods use nothing."""
    nodes: dict[str, int] = {}
    queues: dict[str, Decimal] = {}
    gpus = Decimal(0)
    for pod in pods:
        labels = table(pod, "metadata", "labels")
        label, value = _CONTROL_PLANE
        if text(pod, "status", "phase") in ENDED or labels.get(label) == value:
            continue
        node, holds = text(pod, "spec", "nodeName"), _gpus(pod)
        if not node:
            continue  # it waits, and uses nothing yet
        nodes[node] = nodes.get(node, 0) + 1
        gpus += holds
        queue = text(labels, KAI_QUEUE_LABEL)
        if queue:
            queues[queue] = queues.get(queue, Decimal(0)) + holds
    return Use(bounds={GPU_BOUND: gpus}, nodes=nodes, queues=queues)


def _gpus(pod: Json) -> Decimal:
    """GPUs that a pod uses: whole ones, or its fraction of one."""
    annotations = table(pod, "metadata", "annotations")
    if GPU_FRACTION in annotations:
        share = amount_of(annotations[GPU_FRACTION])
        # a team may write anything there: a negative number would hide what its other pods use
        return _devices(annotations) * (share if share is not None and 0 < share <= 1 else Decimal(1))
    if GPU_MEMORY_ASKED in annotations:
        return _devices(annotations)  # the size of the share is not known here: at most one GPU each
    spec = table(pod, "spec")
    counted = (key for key in resources_of(spec) if key == GPU or key.startswith(MIG))
    return sum((asked_by(spec, key) for key in counted), Decimal(0))


def _devices(annotations: Json) -> Decimal:
    """How many GPUs a pod has a share of."""
    found = amount_of(annotations.get(GPU_FRACTION_DEVICES))
    return found if found is not None and 1 <= found <= MOST_GPUS else Decimal(1)
