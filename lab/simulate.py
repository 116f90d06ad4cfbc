"""What the lab simulates: nodes with GPUs, Helm releases, and the check's verdict.

Owns: every object that no program of the lab makes by itself. It runs no chart: a vCluster Release starts an API
server, a KAI Release brings the kind Queue, any other Release is only remembered.
"""

import base64
import json
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

import yaml

import names
from lab.clusters import Clusters
from lab.objects import APPEAR_SECONDS, Json, Objects, Reference
from lab.processes import LOOPBACK
from releases import KAI, KaiRelease, Kind
from settings.labels import gpu_labels
from settings.models import Owner, Platform, Pool

SIMULATED = "simulated"
CPU_NODE = "lab-cpu-0"
# what a simulated node has where the stack file does not say; enough for ten teams' control planes
NODE_CPU, NODE_MEMORY = "64", "256Gi"
CPU_NODE_CPU, CPU_NODE_MEMORY = "32", "64Gi"
JOB_SECONDS = 90.0
# the pod priorities that every KAI chart brings (deployments/kai-scheduler/templates/priorityclasses)
KAI_PRIORITIES = {"train": 50, "build-preemptible": 75, "build": 100, "inference": 125}


def chart_name(chart: str) -> str:
    """The chart that a name, an oci:// URL or the path of an archive means: its last part without version."""
    last = chart.rstrip("/").rpartition("/")[2].removesuffix(".tgz")
    return re.sub(r"-v?\d+\.\d+.*$", "", last)


# what exists before the program runs


def world(platform: Platform) -> list[Json]:
    """Nodes, StorageClass and everything with `owner: cluster` in the stack file."""
    objects = [
        _node(name, pool, pool.selector or {})
        for pool_name, pool in platform.pools.items()
        for name in pool.nodes or [f"{pool_name}-{index}" for index in range(pool.size)]
    ]
    if all(pool.gpus_per_node for pool in platform.pools.values()):
        objects.append(_simulated_node(CPU_NODE, {}, {"cpu": CPU_NODE_CPU, "memory": CPU_NODE_MEMORY, "pods": "110"}))
    objects.append(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "lab", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "kubernetes.io/no-provisioner",
        }
    )
    runtime = platform.gpu.runtime_class
    if runtime.owner is Owner.CLUSTER:
        objects.append(_runtime_class(runtime.name, runtime.handler))
    return objects


def _node(name: str, pool: Pool, labels: dict[str, str]) -> Json:
    room = {
        "cpu": pool.cpu_per_node or NODE_CPU,
        "memory": pool.memory_per_node or NODE_MEMORY,
        "pods": str(pool.pods_per_node),
    }
    if pool.gpus_per_node:
        # as the device plugin advertises them and feature discovery labels them
        room[names.GPU] = str(pool.gpus_allocatable_per_node)
    return _simulated_node(name, labels | gpu_labels(pool), room)


def _simulated_node(name: str, labels: dict[str, str], room: dict[str, str]) -> Json:
    base = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**base, **labels}, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": room, "allocatable": room},
    }


def _runtime_class(name: str, handler: str) -> Json:
    return {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}


def place(objects: Objects, wanted: list[Json]) -> None:
    """Put simulated objects on a server; equal objects stay as they are."""
    for obj in wanted:
        objects.apply({key: value for key, value in obj.items() if key != "status"}, force=True)
        if "status" in obj:
            objects.apply_status({key: obj[key] for key in ("apiVersion", "kind", "metadata", "status")})


# releases


class Releases:
    """Stands in for Helm. `objects` gives the objects of a server by its lab name."""

    def __init__(self, clusters: Clusters, objects: Callable[[str], Objects]) -> None:
        self._clusters, self._objects = clusters, objects

    def server_of(self, release: Json) -> str | None:
        """The lab's name for the API server behind a vCluster Release; None for any other chart."""
        if chart_name(str(release.get("chart", ""))) != "vcluster":
            return None
        return f"{release['namespace']}-{release['name']}"

    def install(self, cluster: str, release: Json) -> None:
        """Make what the chart would make, as far as the program and its checks can see it."""
        if release.get("createNamespace"):
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release["namespace"]}}
            self._objects(cluster).apply(space, force=True)
        if server := self.server_of(release):
            self._virtual_cluster(cluster, server, release)
        elif chart_name(str(release.get("chart", ""))) == "kai-scheduler":
            self._kai(cluster, KAI.get(str(release.get("version"))))

    def uninstall(self, cluster: str, release: Json) -> None:
        """As Helm does: a KAI Release leaves its kinds and queues behind; a vCluster's content is deleted with it."""
        if server := self.server_of(release):
            self._objects(cluster).delete(_secret_of(release))
            self._clusters.stop(server)

    def _virtual_cluster(self, cluster: str, server: str, release: Json) -> None:
        wanted = release.get("values") or {}
        self._clusters.ensure(server, _loopback_port(wanted))
        host, inside = self._objects(cluster), self._objects(server)
        selector = ((wanted.get("sync") or {}).get("fromHost") or {}).get("nodes") or {}
        labels = (selector.get("selector") or {}).get("labels")
        # nodes and runtime classes as the syncer shows them to a tenant
        tolerated = ((wanted.get("sync") or {}).get("toHost") or {}).get("pods", {}).get("enforceTolerations") or []
        place(inside, [_copy(node, tolerated) for node in host.list("v1", "Node", labels)])
        place(inside, [_copy(found) for found in host.list("node.k8s.io/v1", "RuntimeClass")])
        file = self._clusters.kubeconfig(server)
        reference = _secret_of(release)
        meta = {"name": reference.name, "namespace": reference.namespace}
        host.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": _certificates(file)}, force=True)

    def _kai(self, cluster: str, known: KaiRelease | None) -> None:
        objects = self._objects(cluster)
        queue_kind = yaml.safe_load((Path(__file__).parent / "queue_crd.yaml").read_text())
        objects.apply(queue_kind, force=True)
        crd = objects.reference(queue_kind)
        objects.wait(lambda: _established(objects.get(crd)), APPEAR_SECONDS, "the Queue kind is not established")
        for own in known.kinds if known else ():
            if own.crd != queue_kind["metadata"]["name"]:
                objects.apply(_stand_in(own), force=True)
        for name, value in KAI_PRIORITIES.items():
            meta = {"name": name}
            kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
            objects.apply({**kind, "metadata": meta, "value": value}, force=True)


def mark_of(release: Json) -> Json:
    """The state's entry of a release: where it is, and where its data are."""
    plane = (release.get("values") or {}).get("controlPlane") or {}
    etcd = (((plane.get("backingStore") or {}).get("etcd") or {}).get("deploy") or {}) if plane else {}
    store = (etcd if etcd.get("enabled") else plane).get("statefulSet") or {}
    volume = ((store.get("persistence") or {}).get("volumeClaim") or {}).get("enabled", True)
    return {
        "chart": release.get("chart"),
        "name": release["name"],
        "namespace": release["namespace"],
        "store": f"{'etcd' if etcd.get('enabled') else 'sqlite'}, {'on a volume' if volume else 'in the pod'}",
    }


def starts_empty(before: Json, after: Json) -> bool:
    """Whether a virtual cluster starts empty, because another store has no data."""
    return "store" in before and before["store"] != after["store"]


def _secret_of(release: Json) -> Reference:
    return Reference(api_version="v1", kind="Secret", namespace=release["namespace"], name=f"vc-{release['name']}")


def _loopback_port(values: Json) -> int | None:
    """The stack file's port for tenants, if it is on this machine and so can be used."""
    server = str((values.get("exportKubeConfig") or {}).get("server", ""))
    found = re.fullmatch(rf"https://(?:{re.escape(LOOPBACK)}|localhost):(\d+)/?", server)
    return int(found.group(1)) if found else None


def _certificates(file: Path) -> Json:
    """The data of a `vc-<name>` Secret, as vCluster writes it: the kubeconfig and its parts, base64."""
    document = yaml.safe_load(file.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    return {
        "config": base64.b64encode(file.read_bytes()).decode(),
        "certificate-authority": cluster["certificate-authority-data"],
        "client-certificate": user["client-certificate-data"],
        "client-key": user["client-key-data"],
    }


def _stand_in(kind: Kind) -> Json:
    """A kind of KAI without objects in the lab: any object is valid."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd},
        "spec": {
            "group": kind.group,
            "scope": kind.scope,
            "names": {"plural": kind.plural, "singular": kind.kind.lower(), "kind": kind.kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def _copy(obj: Json, tolerated: Collection[str] = ()) -> Json:
    """An object as the syncer would show it inside, without the fields of its own server.

    `tolerated`: taints (`key=value:Effect`) that every synced pod tolerates, so that the syncer hides them.
    """
    meta = obj["metadata"]
    kept = {key: meta[key] for key in ("name", "labels", "annotations") if key in meta}
    found = {
        **{key: value for key, value in obj.items() if key not in ("metadata", "spec", "status")},
        "metadata": kept,
    }
    if obj["kind"] == "Node":
        taints = [t for t in (obj.get("spec") or {}).get("taints") or [] if "node.kubernetes.io" not in t["key"]]
        shown = [t for t in taints if f"{t['key']}={t.get('value', '')}:{t['effect']}" not in tolerated]
        # an empty list, too: earlier values must be removed
        found["spec"] = {"taints": shown}
        status = obj.get("status") or {}
        found["status"] = {key: status[key] for key in ("capacity", "allocatable") if key in status}
    return found


def _established(crd: Json | None) -> bool:
    conditions = ((crd or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


# after an object was applied


def settle(objects: Objects, obj: Json) -> Json:
    """Wait until an applied object is what the real provider would wait for, and return it as it is then."""
    reference = objects.reference(obj)
    skip = ((obj.get("metadata") or {}).get("annotations") or {}).get("pulumi.com/skipAwait") == "true"
    if reference.kind == "CustomResourceDefinition":
        objects.wait(lambda: _established(objects.get(reference)), APPEAR_SECONDS, f"{reference} is not established")
    elif reference.kind == "Secret" and obj.get("type") == "kubernetes.io/service-account-token":
        wait = f"{reference} gets no token"
        objects.wait(
            lambda: bool(((objects.get(reference) or {}).get("data") or {}).get("token")), APPEAR_SECONDS, wait
        )
    elif reference.kind == "ResourceQuota":
        # until the quota has counted, everything is refused as "status unknown for quota"
        objects.wait(lambda: _counted(objects.get(reference)), APPEAR_SECONDS, f"{reference} is not counted")
    elif reference.kind == "Job" and not skip:
        why = lambda: f"{reference} does not end: {_waiting(objects, reference)}"  # noqa: E731
        objects.wait(lambda: _ended(objects.get(reference)), JOB_SECONDS, why)
        _verdict(objects, obj)
    return objects.get(reference) or obj


def _counted(quota: Json | None) -> bool:
    found = quota or {}
    return bool((found.get("status") or {}).get("hard") == (found.get("spec") or {}).get("hard"))


def _ended(job: Json | None) -> bool:
    conditions = ((job or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def _waiting(objects: Objects, job: Reference) -> str:
    """Why a Job's pods do not run, by the scheduler's message."""
    pods = objects.list("v1", "Pod", {"batch.kubernetes.io/job-name": job.name})
    conditions = [c for pod in pods for c in (pod.get("status") or {}).get("conditions") or []]
    said = [c["message"] for c in conditions if c["type"] == "PodScheduled" and c.get("message")]
    return said[0] if said else f"it has {len(pods)} pods"


def _verdict(objects: Objects, job: Json) -> None:
    """Write the report that the check's pods would write. The lab proves no GPU, and says so: never `pass`."""
    template: Json = job["spec"]["template"]
    env: Json = {
        item["name"]: item.get("value") for box in template["spec"]["containers"] for item in box.get("env") or []
    }
    labels = (template.get("metadata") or {}).get("labels") or {}
    if names.LABEL_CHECK not in labels or "GPU_CHECK_CONFIGMAP" not in env:
        return
    report = {
        "verdict": SIMULATED,
        "reason": "the lab has no GPU: its nodes are simulated, so nothing was proven",
        # an applied object keeps the time of its first write where nothing else in it changes
        "startedAt": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    meta = {"name": env["GPU_CHECK_CONFIGMAP"], "namespace": env["GPU_CHECK_NAMESPACE"]}
    data = {"report.json": json.dumps(report, sort_keys=True), "verdict": SIMULATED}
    objects.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}, force=True)
