"""What the pods of all workloads share, as data. Pure: no Pulumi import.

Owns: how a workload's pod asks for its GPU through the team's queue, its security context, its labels.
Leaves to others: what runs in it (`inference_spec.py`, `app_spec.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import names
from components.restricted import USER, pod_security
from components.team.tenant import Tenant
from names import JSON
from settings.models import GpuStack, Platform, SchedulerMode
from settings.workload_parts import GpuShare

Spec: TypeAlias = dict[str, JSON]

NAMESPACE: Final = "workloads"
"""All workloads of a team are in this namespace of its virtual cluster."""
STAMP: Final = "gpu-tenancy/stamp"
CODE_FOLDER: Final = "/opt/workload"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What platform and tenant set for every workload's pod."""

    team: str
    labels: Mapping[str, str]
    scheduler_name: str | None
    runtime_class: str | None
    node_selector: Mapping[str, str]
    tainted: bool
    image_pull_policy: str | None
    default_queue: str | None
    on_host: bool
    gpu_memory_mib: int | None

    def queue(self, leaf: str | None) -> str | None:
        """The queue object of a leaf; None without KAI."""
        if self.scheduler_name is None:
            return None
        return self.default_queue if leaf is None else names.leaf_queue(self.team, leaf, on_host=self.on_host)


def placement(tenant: Tenant, platform: Platform) -> Placement:
    """Return where and how a tenant's workloads run."""
    mode, pool = tenant.team.scheduler.mode, tenant.pool
    fake = platform.gpu.stack is GpuStack.FAKE
    on_host = mode is SchedulerMode.HOST
    first = tenant.team.first_queue
    return Placement(
        team=tenant.name,
        labels=names.labels(team=tenant.name),
        scheduler_name=None if mode is SchedulerMode.DEFAULT else names.KAI_SCHEDULER_NAME,
        runtime_class=None if fake else platform.gpu.runtime_class.name,
        node_selector=tenant.node_selector,
        tainted=bool(pool and pool.taint),
        image_pull_policy=platform.artifacts.image_pull_policy,
        default_queue=None if first is None else names.leaf_queue(tenant.name, first, on_host=on_host),
        on_host=on_host,
        gpu_memory_mib=pool.device_memory_mib if pool else None,
    )


def selector(name: str) -> dict[str, str]:
    """The label by which Deployment, Services and network policies find a workload's pods."""
    return {names.LABEL_WORKLOAD: name}


def metadata(place: Placement, name: str) -> Spec:
    """Metadata of an object in the workloads' namespace."""
    return {"name": name, "namespace": NAMESPACE, "labels": {**place.labels, **selector(name)}}


def pod_template(
    place: Placement, name: str, gpu: GpuShare | None, queue: str | None, container: Spec, volumes: list[JSON]
) -> Spec:
    """A pod template that asks for its GPU as the team's own work does."""
    labels: Spec = {**place.labels, **selector(name)}
    annotations: Spec = {}
    found = place.queue(queue)
    if found is not None:
        labels[names.KAI_QUEUE_LABEL] = found
    if gpu is not None and gpu.fraction is not None:
        annotations[names.GPU_FRACTION] = f"{gpu.fraction:g}"
    if gpu is not None and gpu.memory_mib is not None:
        annotations[names.GPU_MEMORY_ASKED] = str(gpu.memory_mib)
    pod: Spec = {
        "automountServiceAccountToken": False,
        # a Service called vllm would set VLLM_PORT=tcp://..., which the server reads as its own setting
        "enableServiceLinks": False,
        "securityContext": pod_security(fsGroup=USER),
        "containers": [container],
        "volumes": volumes,
    }
    if place.scheduler_name is not None:
        pod["schedulerName"] = place.scheduler_name
    if place.node_selector:
        pod["nodeSelector"] = dict(place.node_selector)
    if gpu is not None and place.runtime_class is not None:
        pod["runtimeClassName"] = place.runtime_class
    if place.tainted:
        pod["tolerations"] = [{"key": names.GPU, "operator": "Exists", "effect": "NoSchedule"}]
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}


def resources(cpu: str, memory: str, memory_limit: str, gpu: GpuShare | None) -> Spec:
    """Requests and limits. A pod asks for a part of a GPU by annotation, so that has no limit here."""
    limits: Spec = {"memory": memory_limit}
    if gpu is not None and gpu.count is not None:
        limits[names.GPU] = str(gpu.count)
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": limits}


def pull(place: Placement) -> Spec:
    """The pull policy, where the stack file says one."""
    return {"imagePullPolicy": place.image_pull_policy} if place.image_pull_policy else {}


def service_spec(name: str, port: int) -> Spec:
    """A Service inside the team's cluster: port 80 to the container's."""
    return {"type": "ClusterIP", "selector": dict(selector(name)), "ports": [_port(port)]}


def host_service_spec(team: str, name: str, port: int, node_port: int | None) -> Spec:
    """A Service on the host for the synced pods of one workload. vCluster drops the node port of a Service inside
    (vCluster pkg/controllers/resources/services/translate.go), and our own Service shows in previews.
    """
    entry = _port(port)
    if node_port is not None:
        entry["nodePort"] = node_port
    return {
        "type": "NodePort" if node_port is not None else "ClusterIP",
        # the syncer keeps a pod's labels, and adds the virtual cluster and the namespace inside
        "selector": {**selector(name), names.SYNCED_BY: team, names.SYNCED_NAMESPACE: NAMESPACE},
        "ports": [entry],
    }


def _port(port: int) -> Spec:
    return {"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}


def stamp(*parts: JSON) -> str:
    """Changes only when one of the parts does."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
