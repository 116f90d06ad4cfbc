"""Reads from the cluster what preflight compares: thin, no rule, nothing is changed.

A kind that may not be listed is left out and named with its reason; only nodes are a must.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final, TypeVar

from lightkube import ApiError, Client
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import Namespace, Node, Pod, Service
from lightkube.resources.node_v1 import RuntimeClass
from lightkube.resources.storage_v1 import StorageClass
from lightkube.utils.quantity import parse_quantity

from cli.preflight import ClusterFacts, NodeFacts, ObjectFacts, Right
from names import GPU, MANAGED_BY

OUR_MANAGERS: Final = ("pulumi-kubernetes",)
"""Field managers of server-side apply that are ours (the engine's provider adds a random suffix)."""
HELM_NAMESPACE: Final = "meta.helm.sh/release-namespace"
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
PRESSURES: Final = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
ENDED: Final = ("Succeeded", "Failed")

_KEY: Final = next(iter(MANAGED_BY))

T = TypeVar("T")


def read_facts(client: Client, rights: Iterable[Right], *, version: str) -> ClusterFacts:
    """Return what the cluster says now. Raises `ApiError` when even the nodes can't be listed."""
    unreadable: dict[str, str] = {}

    def attempt(what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ApiError as error:
            unreadable[what] = str(error.status.message or error.status.reason or error.status.code)
            return None

    spaces = attempt("namespaces", lambda: list(client.list(Namespace)))
    our_spaces = {_name(space.metadata) for space in spaces or () if _labelled_ours(space.metadata)}
    used = attempt("pods", lambda: _used(client, our_spaces)) or {}

    def owned(metadata: ObjectMeta | None, detail: str = "") -> ObjectFacts:
        return ObjectFacts(name=_full_name(metadata), ours=_is_ours(metadata, our_spaces), detail=detail)

    return ClusterFacts(
        version=version,
        nodes={_name(node.metadata): _node(node, used) for node in client.list(Node)},
        runtime_classes=attempt(
            "runtimeclasses",
            lambda: {_name(rc.metadata): owned(rc.metadata, rc.handler) for rc in client.list(RuntimeClass)},
        ),
        storage_classes=attempt(
            "storageclasses",
            lambda: {
                _name(sc.metadata): _annotations(sc.metadata).get(DEFAULT_CLASS) == "true"
                for sc in client.list(StorageClass)
            },
        ),
        namespaces=None
        if spaces is None
        else {_name(space.metadata): owned(space.metadata, _managed_by(space.metadata)) for space in spaces},
        node_ports=attempt(
            "services",
            lambda: {
                port.nodePort: owned(service.metadata)
                for service in client.list(Service, namespace="*")
                for port in (service.spec.ports if service.spec and service.spec.ports else ())
                if port.nodePort
            },
        ),
        device_plugins=attempt(
            "daemonsets",
            lambda: [owned(ds.metadata) for ds in client.list(DaemonSet, namespace="*") if _is_device_plugin(ds)],
        ),
        gpu_operators=attempt(
            "deployments",
            lambda: [owned(d.metadata) for d in client.list(Deployment, namespace="*") if _is_gpu_operator(d)],
        ),
        denied=attempt("rights", lambda: _denied(client, rights)) or (),
        unreadable=unreadable,
    )


def _node(node: Node, used: Mapping[str, tuple[Decimal, Decimal, int]]) -> NodeFacts:
    status, spec = node.status, node.spec
    conditions = {c.type: c.status for c in (status.conditions if status and status.conditions else ())}
    allocatable = (status.allocatable if status else None) or {}
    cpu, memory, pods = used.get(_name(node.metadata), (Decimal(0), Decimal(0), 0))
    return NodeFacts(
        name=_name(node.metadata),
        ready=conditions.get("Ready") == "True",
        cordoned=bool(spec and spec.unschedulable),
        pressures=tuple(kind for kind in PRESSURES if conditions.get(kind) == "True"),
        taints=tuple(
            taint.key
            for taint in (spec.taints if spec and spec.taints else ())
            if taint.effect in ("NoSchedule", "NoExecute")
        ),
        labels=dict((node.metadata.labels if node.metadata else None) or {}),
        ours=_our_labels(node.metadata),
        gpus=int(_amount(allocatable[GPU])) if GPU in allocatable else None,
        cpu=_amount(allocatable.get("cpu")),
        memory=_amount(allocatable.get("memory")),
        pods=int(_amount(allocatable.get("pods"))),
        used_cpu=cpu,
        used_memory=memory,
        used_pods=pods,
    )


def _used(client: Client, our_spaces: set[str]) -> dict[str, tuple[Decimal, Decimal, int]]:
    """Requests by node of running pods that are not our tenants': (cores, bytes, pods)."""
    sums: dict[str, tuple[Decimal, Decimal, int]] = defaultdict(lambda: (Decimal(0), Decimal(0), 0))
    for pod in client.list(Pod, namespace="*"):
        space = pod.metadata.namespace if pod.metadata else None
        if pod.spec is None or not pod.spec.nodeName or space in our_spaces:
            continue
        if pod.status is not None and pod.status.phase in ENDED:
            continue
        cpu, memory, count = sums[pod.spec.nodeName]
        sums[pod.spec.nodeName] = (cpu + _request(pod.spec, "cpu"), memory + _request(pod.spec, "memory"), count + 1)
    return dict(sums)


def _request(spec: PodSpec, resource: str) -> Decimal:
    """What the scheduler counts: the sum of the containers, or the largest init container where that is more."""

    def asked(container: Container) -> Decimal:
        requests = container.resources.requests if container.resources else None
        return _amount((requests or {}).get(resource))

    together = sum((asked(c) for c in spec.containers), Decimal(0))
    return max([together, *(asked(c) for c in spec.initContainers or ())])


def _denied(client: Client, rights: Iterable[Right]) -> list[Right]:
    # one after the other: the client's decoder (msgspec 0.22) crashes when two threads meet a type for the first time
    return [right for right in rights if not _allowed(client, right)]


def _allowed(client: Client, right: Right) -> bool:
    review = SelfSubjectAccessReview(
        spec=SelfSubjectAccessReviewSpec(
            resourceAttributes=ResourceAttributes(verb=right.verb, group=right.group, resource=right.resource)
        )
    )
    answer = client.create(review)
    return bool(answer.status and answer.status.allowed)


def _is_device_plugin(daemon_set: DaemonSet) -> bool:
    """By name or image, as the official plugin's manifests, its chart and the GPU Operator say them."""
    template = daemon_set.spec.template.spec if daemon_set.spec else None
    images = " ".join(container.image or "" for container in (template.containers if template else ()))
    return "nvidia-device-plugin" in _name(daemon_set.metadata) or "k8s-device-plugin" in images


def _is_gpu_operator(deployment: Deployment) -> bool:
    labels = (deployment.metadata.labels if deployment.metadata else None) or {}
    return _name(deployment.metadata) == "gpu-operator" or labels.get("app.kubernetes.io/component") == "gpu-operator"


def _amount(text: str | None) -> Decimal:
    return parse_quantity(text) or Decimal(0)


def _name(metadata: ObjectMeta | None) -> str:
    return (metadata.name if metadata else None) or ""


def _full_name(metadata: ObjectMeta | None) -> str:
    space = metadata.namespace if metadata else None
    return f"{space}/{_name(metadata)}" if space else _name(metadata)


def _our_labels(metadata: ObjectMeta | None) -> frozenset[str]:
    """Keys of the labels that server-side apply holds for us."""
    held: set[str] = set()
    for entry in (metadata.managedFields if metadata else None) or ():
        if (entry.manager or "").startswith(OUR_MANAGERS) and isinstance(entry.fieldsV1, Mapping):
            labels = entry.fieldsV1.get("f:metadata", {}).get("f:labels", {})
            held |= {key.removeprefix("f:") for key in labels}
    return frozenset(held)


def _annotations(metadata: ObjectMeta | None) -> Mapping[str, str]:
    return (metadata.annotations if metadata else None) or {}


def _managed_by(metadata: ObjectMeta | None) -> str:
    by = ((metadata.labels if metadata else None) or {}).get(_KEY, "")
    return f"managed by {by}" if by else ""


def _labelled_ours(metadata: ObjectMeta | None) -> bool:
    return ((metadata.labels if metadata else None) or {}).get(_KEY) == MANAGED_BY[_KEY]


def _is_ours(metadata: ObjectMeta | None, our_spaces: set[str]) -> bool:
    if _labelled_ours(metadata):
        return True
    space = metadata.namespace if metadata else None
    return space in our_spaces or _annotations(metadata).get(HELM_NAMESPACE) in our_spaces
