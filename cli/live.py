"""Reads from the cluster what preflight compares. It has no rules and changes nothing.

A kind that can't be listed is left out and reported with its reason; only nodes are required.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeVar

import httpx2
import msgspec
from lightkube import ApiError, Client
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import Namespace, Node, Pod, Service
from lightkube.resources.node_v1 import RuntimeClass
from lightkube.resources.storage_v1 import StorageClass

from capacity import amount_of, pod_request
from cli.preflight import EVERYBODYS, NOBODYS, ClusterFacts, Fence, NodeFacts, ObjectFacts, Right, Taint, Whose
from cli.preflight.rights import MONITORS
from cli.preflight.software import BY_OPERATOR
from cli.scaling import brings_nodes, has_crd
from cli.sharing import plugin_configs
from lenient import table
from names import ENDED, GPU, HELM_NAMESPACE, LABEL_POOL, MANAGED_BY, PRESSURES

OUR_MANAGERS: Final = ("pulumi-kubernetes",)
"""Our field managers of server-side apply (the engine's provider adds a random suffix)."""
DEFAULT_CLASS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
"""Either makes a class the default one (Kubernetes: pkg/volume/util/storageclass.go)."""

PLUGIN_SOCKETS: Final = re.compile(r"/device-plugins/?$")
"""The kubelet's folder in which every device plugin registers, whatever the plugin's name."""
PLUGIN_NAME: Final = re.compile(r"device-?plugin")
NO_PLUGIN: Final = re.compile(r"feature-discovery|mps-control|validat")
"""Other parts of the plugin's chart, with names like the plugin's."""
NVIDIA_GPU: Final = re.compile(r"nvidia|nvdp|cuda")
ANY_GPU: Final = re.compile(r"gpu")
OTHER_VENDOR: Final = re.compile(r"\bamd|amdgpu|intel|habana|gaudi|ascend|cambricon|mthreads|rocm")
OPERATOR: Final = re.compile(r"\bgpu-operator\b")

_KUBERNETES_TAG: Final = re.compile(r":(v\d+\.\d+\.\d+)\b")

_KEY: Final = next(iter(MANAGED_BY))

T = TypeVar("T")


@dataclass
class _Load:
    """The requests of other pods than our tenants' on one node, and the owner of its device plugin."""

    cpu: Decimal = Decimal(0)
    memory: Decimal = Decimal(0)
    pods: int = 0
    gpus: dict[str, int] = field(default_factory=dict)
    plugins: list[ObjectFacts] = field(default_factory=list)


def read_facts(client: Client, rights: Sequence[Right], *, version: str, whose: Whose = EVERYBODYS) -> ClusterFacts:
    """Return the cluster's facts. Raises `ApiError` when even the nodes can't be listed."""
    unreadable: dict[str, str] = {}

    def attempt(what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ApiError as error:
            unreadable[what] = str(error.status.message or error.status.reason or error.status.code)
        except (httpx2.HTTPStatusError, msgspec.DecodeError, RecursionError) as error:
            unreadable[what] = str(error)
        return None

    spaces = attempt("namespaces", lambda: list(client.list(Namespace)))
    our_spaces = {_name(space.metadata) for space in spaces or () if _labelled_ours(space.metadata)}
    if whose.spaces is not None:
        our_spaces &= whose.spaces
    pods = attempt("pods", lambda: list(client.list(Pod, namespace="*")))
    loads = None if pods is None else _loads(pods, our_spaces)

    def owned(metadata: ObjectMeta | None, detail: str = "") -> ObjectFacts:
        ours = whose is not NOBODYS and _is_ours(metadata, our_spaces)
        return ObjectFacts(name=_full_name(metadata), ours=ours, detail=detail)

    return ClusterFacts(
        version=version,
        nodes={_name(node.metadata): _node(node, loads, whose.managers) for node in client.list(Node)},
        runtime_classes=attempt(
            "runtimeclasses",
            lambda: {_name(rc.metadata): owned(rc.metadata, rc.handler) for rc in client.list(RuntimeClass)},
        ),
        storage_classes=attempt(
            "storageclasses",
            lambda: {
                _name(sc.metadata): any(_annotations(sc.metadata).get(key) == "true" for key in DEFAULT_CLASS)
                for sc in client.list(StorageClass)
            },
        ),
        namespaces=None
        if spaces is None
        else {
            called: ObjectFacts(name=called, ours=called in our_spaces, detail=_managed_by(space.metadata))
            for space in spaces
            for called in [_name(space.metadata)]
        },
        ending=frozenset(_name(space.metadata) for space in spaces or () if _ends(space.metadata)),
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
            lambda: [
                owned(ds.metadata, BY_OPERATOR if _made_by_operator(ds.metadata) else "")
                for ds in client.list(DaemonSet, namespace="*")
                if is_device_plugin(_name(ds.metadata), ds.spec.template.spec if ds.spec else None)
            ],
        ),
        gpu_operators=attempt(
            "deployments",
            lambda: [owned(d.metadata) for d in client.list(Deployment, namespace="*") if _is_gpu_operator(d)],
        ),
        service_monitors=attempt("customresourcedefinitions", lambda: has_crd(client, MONITORS))
        if any(f"{right.resource}.{right.group}" == MONITORS for right in rights)
        else None,
        brings_nodes=attempt("node autoscaler", lambda: brings_nodes(client)),
        plugin_configs=attempt("configmaps", lambda: plugin_configs(client, our_spaces)),
        kubernetes_inside=_inside(pods or (), our_spaces),
        # one after the other: the client's decoder (msgspec 0.22) crashes when two threads meet a type first
        denied=attempt("rights", lambda: [right for right in rights if not _allowed(client, right)]) or (),
        unreadable=unreadable,
    )


# --- nodes and pods ---------------------------------------------------------------------------------------------------


def _node(node: Node, loads: Mapping[str, _Load] | None, managers: frozenset[str] | None = None) -> NodeFacts:
    status, spec = node.status, node.spec
    conditions = {c.type: c.status for c in (status.conditions if status and status.conditions else ())}
    allocatable = (status.allocatable if status else None) or {}
    capacity = (status.capacity if status else None) or {}
    load = (loads or {}).get(_name(node.metadata)) or _Load()
    labels, taints = _held_by_us(node.metadata, managers)
    return NodeFacts(
        name=_name(node.metadata),
        ready=conditions.get("Ready") == "True",
        cordoned=bool(spec and spec.unschedulable),
        fence=Fence.of((node.metadata.labels if node.metadata else None) or {}, _annotations(node.metadata)),
        pressures=tuple(kind for kind in PRESSURES if conditions.get(kind) == "True"),
        taints=tuple(
            Taint(key=taint.key, value=taint.value or "", effect=taint.effect)
            for taint in (spec.taints if spec and spec.taints else ())
        ),
        taints_are_ours=taints,
        labels={key: str(said) for key, said in ((node.metadata.labels if node.metadata else None) or {}).items()},
        ours=labels,
        gpus=int(_amount(allocatable[GPU])) if GPU in allocatable else None,
        gpu_capacity=int(_amount(capacity[GPU])) if GPU in capacity else None,
        resources={name: int(_amount(amount)) for name, amount in allocatable.items() if "/" in name and name != GPU},
        plugins=None if loads is None else tuple(load.plugins),
        cpu=_amount(allocatable.get("cpu")),
        memory=_amount(allocatable.get("memory")),
        pods=int(_amount(allocatable.get("pods"))),
        used_cpu=load.cpu,
        used_memory=load.memory,
        used_gpus=load.gpus,
    )


def _amount(value: object) -> Decimal:
    """A quantity; an invalid or negative one is 0."""
    return max(amount_of(value) or Decimal(0), Decimal(0))


def node_facts(client: Client) -> dict[str, NodeFacts]:
    """Return only the nodes, without what runs on them. Raises `ApiError`."""
    return {_name(node.metadata): _node(node, None) for node in client.list(Node)}


def _loads(pods: Iterable[Pod], our_spaces: set[str]) -> dict[str, _Load]:
    """The load of each node, without our tenants' pods and ended pods."""
    found: dict[str, _Load] = {}
    for pod in pods:
        space = pod.metadata.namespace if pod.metadata else None
        if pod.spec is None or not pod.spec.nodeName or (pod.status is not None and pod.status.phase in ENDED):
            continue
        load = found.setdefault(pod.spec.nodeName, _Load())
        if is_device_plugin(_name(pod.metadata), pod.spec):
            load.plugins.append(ObjectFacts(name=_owner(pod), ours=_is_ours(pod.metadata, our_spaces)))
        if space in our_spaces:
            continue
        load.cpu += request(pod.spec, "cpu")
        load.memory += request(pod.spec, "memory")
        load.pods += 1
        if gpus := int(request(pod.spec, GPU)):
            load.gpus[_full_name(pod.metadata)] = gpus
    return found


def _inside(pods: Iterable[Pod], our_spaces: set[str]) -> dict[str, str]:
    """The Kubernetes version of the control planes in our namespaces: vCluster copies its binaries from an image with
    that tag (chart/templates/_init-containers.tpl).
    """
    found: dict[str, str] = {}
    for pod in pods:
        metadata = pod.metadata
        if metadata is None or (metadata.labels or {}).get("app") != "vcluster" or metadata.namespace not in our_spaces:
            continue
        for container in (pod.spec.initContainers if pod.spec else None) or ():
            tag = _KUBERNETES_TAG.search(container.image or "")
            if container.name == "kubernetes" and tag:
                found[metadata.namespace] = tag[1]
    return found


def _owner(pod: Pod) -> str:
    """The DaemonSet of a pod as namespace/name; for a static pod the pod itself."""
    holders = (pod.metadata.ownerReferences if pod.metadata else None) or ()
    name = next((holder.name for holder in holders if holder.kind == "DaemonSet"), _name(pod.metadata))
    return f"{pod.metadata.namespace if pod.metadata else ''}/{name}"


def request(spec: PodSpec, resource: str) -> Decimal:
    """Return what a pod asks of a node, in the resource's base unit."""

    def asked(container: Container) -> Decimal:
        requests = container.resources.requests if container.resources else None
        limits = container.resources.limits if container.resources else None
        # the API server copies a limit where there is no request; an extended resource may have only a limit
        return _amount((requests or {}).get(resource) or (limits or {}).get(resource))

    whole = (spec.resources.requests if spec.resources else None) or {}
    return pod_request(
        [asked(container) for container in spec.containers],
        [(asked(container), container.restartPolicy == "Always") for container in spec.initContainers or ()],
        overhead=_amount((spec.overhead or {}).get(resource)),
        whole=_amount(whole[resource]) if resource in whole else None,
    )


# --- rights -----------------------------------------------------------------------------------------------------------


def _allowed(client: Client, right: Right) -> bool:
    review = SelfSubjectAccessReview(
        spec=SelfSubjectAccessReviewSpec(
            resourceAttributes=ResourceAttributes(verb=right.verb, group=right.group, resource=right.resource)
        )
    )
    answer = client.create(review)
    return bool(answer.status and answer.status.allowed)


# --- GPU software -----------------------------------------------------------------------------------------------------


def is_device_plugin(name: str, spec: PodSpec | None) -> bool:
    """Return whether pods of this kind advertise NVIDIA's GPUs to the kubelet.

    A device plugin must mount the kubelet's plugin folder; where the mount is not visible, its name and image count. It
    must also mention GPUs in names, images, arguments or environment. Clouds, vendors and forks use any name.
    """
    if NO_PLUGIN.search(name):
        return False
    words = " ".join(_words(name, spec)).lower()
    named = PLUGIN_NAME.search(" ".join([name, *(c.image or "" for c in _main(spec))]).lower()) is not None
    volumes = (spec.volumes if spec else None) or ()
    mounts = any(volume.hostPath is not None and PLUGIN_SOCKETS.search(volume.hostPath.path) for volume in volumes)
    if not (named or mounts):
        return False
    if NVIDIA_GPU.search(words):
        return True
    return ANY_GPU.search(words) is not None and OTHER_VENDOR.search(words) is None


def _words(name: str, spec: PodSpec | None) -> Iterator[str]:
    """A pod's texts, without its tolerations, because many pods tolerate nvidia.com/gpu."""
    yield name
    if spec is None:
        return
    yield spec.runtimeClassName or ""
    yield from (f"{key}={value}" for key, value in (spec.nodeSelector or {}).items())
    for container in spec.containers:
        yield container.name
        yield container.image or ""
        yield from container.command or ()
        yield from container.args or ()
        yield from (variable.name for variable in container.env or ())


def _made_by_operator(metadata: ObjectMeta | None) -> bool:
    """The GPU Operator's ClusterPolicy (or another of its kinds of nvidia.com) owns what it makes."""
    owners = (metadata.ownerReferences if metadata else None) or ()
    labels = (metadata.labels if metadata else None) or {}
    return any(owner.apiVersion.startswith("nvidia.com/") for owner in owners) or bool(
        OPERATOR.search(labels.get(_KEY, ""))
    )


def _is_gpu_operator(deployment: Deployment) -> bool:
    labels = (deployment.metadata.labels if deployment.metadata else None) or {}
    template = deployment.spec.template.spec if deployment.spec else None
    said = [
        _name(deployment.metadata),
        labels.get("app.kubernetes.io/component", ""),
        *((container.image or "").split("@")[0].split(":")[0].rpartition("/")[2] for container in _main(template)),
    ]
    return any(text == "gpu-operator" for text in said)


def _main(spec: PodSpec | None) -> Sequence[Container]:
    return spec.containers if spec is not None else ()


# --- whose ------------------------------------------------------------------------------------------------------------


def _name(metadata: ObjectMeta | None) -> str:
    return (metadata.name if metadata else None) or ""


def _full_name(metadata: ObjectMeta | None) -> str:
    space = metadata.namespace if metadata else None
    return f"{space}/{_name(metadata)}" if space else _name(metadata)


def _held_by_us(metadata: ObjectMeta | None, managers: frozenset[str] | None) -> tuple[frozenset[str], bool]:
    """The keys of a node's labels that we own by server-side apply, and whether we own its list of taints.

    Another program of the same engine has managers with names that begin alike. Ours also owns our own label.
    """
    labels: set[str] = set()
    taints = False
    for entry in (metadata.managedFields if metadata else None) or ():
        fields = entry.fieldsV1
        manager = entry.manager or ""
        if not manager.startswith(OUR_MANAGERS) or (managers is not None and manager not in managers):
            continue
        keys = {key.removeprefix("f:") for key in table(fields, "f:metadata", "f:labels")}
        if LABEL_POOL in keys:
            labels |= keys
            taints = taints or "f:taints" in table(fields, "f:spec")
    return frozenset(labels), taints


def _ends(metadata: ObjectMeta | None) -> bool:
    return metadata is not None and metadata.deletionTimestamp is not None


def _annotations(metadata: ObjectMeta | None) -> Mapping[str, str]:
    return (metadata.annotations if metadata else None) or {}


def _managed_by(metadata: ObjectMeta | None) -> str:
    by = ((metadata.labels if metadata else None) or {}).get(_KEY, "")
    return f"managed by {by}" if by else ""


def _labelled_ours(metadata: ObjectMeta | None) -> bool:
    return ((metadata.labels if metadata else None) or {}).get(_KEY) == MANAGED_BY[_KEY]


def _is_ours(metadata: ObjectMeta | None, our_spaces: set[str]) -> bool:
    """Whether an object is in one of our namespaces, or, where it has none, has our label."""
    space = metadata.namespace if metadata else None
    if space in our_spaces or _annotations(metadata).get(HELM_NAMESPACE) in our_spaces:
        return True
    return space is None and _labelled_ours(metadata)
