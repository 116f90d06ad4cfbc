"""The table: what a change of each field of a stack file does. Data; preview, gate, lab and report read this one.

Every field of `settings.models` that a user can edit has a row here; a test holds the two together. To add a field: add
its row, with a source. `python -m preview` writes docs/changes.md from it.

Sources: VC = github.com/loft-sh/vcluster, VD = github.com/loft-sh/vcluster-docs, KAI =
github.com/kai-scheduler/KAI-Scheduler, DP = github.com/NVIDIA/k8s-device-plugin, each TAG:path; K8S = its docs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from preview.judges import nodes, numbers, queues, settings, versions
from preview.kinds import Kind, Row
from preview.made_hosts import MADE

_HERE: Final = "this program"
"""The field is read by this program alone, or becomes an input whose effect its own code decides."""
_STATEFUL_SET: Final = "K8S: concepts/workloads/controllers/statefulset (volumeClaimTemplates can't be updated)"
_LIVE_QUOTA: Final = "K8S: concepts/policy/resource-quotas (a quota never touches pods that exist)"
_QUEUES: Final = "KAI@v0.16.8:pkg/scheduler/plugins/proportion (limits are read when a pod is to be bound)"
_CHECK: Final = "its GPU check runs again"
_NOTHING: Final = "only the arithmetic changes; no object does"
_ALLOCATED: Final = (
    "K8S: concepts/extend-kubernetes/compute-storage-net/device-plugins (pods that run keep their devices)"
)

_HOST: Final = (
    Row(
        field="host.provider",
        kind=Kind.LOSING,
        means="another cluster under the same stack: everything of every team is lost",
        allow="replace",
        judge=settings.another_cluster,
        source=_HERE,
    ),
    *(
        Row(
            field=f"host.{name}",
            kind=Kind.UNKNOWN,
            means="harmless where the cluster's UID stays the same; else everything of every team is lost",
            allow="replace",
            judge=settings.same_cluster,
            source=_HERE,
        )
        for name in ("context", "kubeconfig", "name")
    ),
    Row(
        field="host.address",
        kind=Kind.DISRUPTIVE,
        means="every API server restarts with another certificate, and kubeconfigs with the old address stop working",
        topic="address",
        source="VC@v0.36.1:chart/templates/statefulset.yaml (the pod's annotation has the hash of all values)",
    ),
    *(
        Row(field=f"host.headroom.{name}", kind=Kind.IN_PLACE, means=_NOTHING, source=_HERE)
        for name in ("cpu", "memory", "pods")
    ),
    Row(
        field="host.storageClass",
        kind=Kind.LOSING,
        means="the volume of a virtual cluster can't be changed: only a new virtual cluster gets the other class",
        allow="replace",
        judge=settings.storage_class,
        source=_STATEFUL_SET,
    ),
    Row(
        field="host.scheduler.version",
        kind=Kind.UNKNOWN,
        means="within a line upgraded in place, to another line replaced; from or to an unknown release nobody can say",
        allow="replace",
        topic="shared scheduler",
        judge=versions.shared_kai,
        source="docs/runs.md; KAI@v0.17.0:docs/migrationguides/README.md",
    ),
    Row(
        field="host.scheduler.owner",
        kind=Kind.DISRUPTIVE,
        means="the host's shared scheduler changes hands: pods that run go on, new ones wait until the other is there",
        topic="shared scheduler",
        judge=settings.shared_owner,
        source=_HERE,
    ),
)

_GPU: Final = (
    *(
        Row(
            field=f"gpu.{name}",
            kind=Kind.DISRUPTIVE,
            means="the nodes' GPU software changes: pods that run keep their GPUs, new ones wait until it is back",
            topic="gpu software",
            source=_ALLOCATED,
        )
        for name in ("stack", "owner", "version", "injection")
    ),
    *(
        Row(
            field=f"gpu.runtimeClass.{name}",
            kind=Kind.REPLACING,
            means="the RuntimeClass is made anew: pods that run go on, new ones that name the old one are refused",
            topic="runtime class",
            source="K8S: reference/kubernetes-api/node.k8s.io/runtime-class-v1 (handler can't be changed)",
        )
        for name in ("name", "handler", "owner")
    ),
)

_POOLS: Final = (
    Row(
        field="pools.*.nodes",
        kind=Kind.LOSING,
        means="a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source="K8S: concepts/workloads/pods/pod-lifecycle (garbage collection of pods without a node)",
    ),
    Row(
        field="pools.*.selector",
        kind=Kind.LOSING,
        means="other nodes: a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source="as pools.*.nodes",
    ),
    Row(field="pools.*.nodeCount", kind=Kind.IN_PLACE, means="what is declared; limits of -1 follow it", source=_HERE),
    Row(
        field="pools.*.gpusPerNode",
        kind=Kind.IN_PLACE,
        means="what is declared; the nodes' label follows it, and limits of -1",
        source=_HERE,
    ),
    Row(
        field="pools.*.gpuMemoryMib",
        kind=Kind.IN_PLACE,
        means="the nodes' label changes: KAI counts memory requests by it from then on",
        source="KAI@v0.16.8:pkg/scheduler/api/node_info/node_info.go",
    ),
    *(
        Row(
            field=f"pools.*.{name}",
            kind=Kind.IN_PLACE,
            means="the nodes' label changes; checks expect it",
            source=_HERE,
        )
        for name in ("product", "architecture")
    ),
    *(
        Row(field=f"pools.*.{name}", kind=Kind.IN_PLACE, means=_NOTHING, source=_HERE)
        for name in ("cpuPerNode", "memoryPerNode", "podsPerNode")
    ),
    *(
        Row(
            field=f"pools.*.sharing.{name}.replicas",
            kind=Kind.LOSING,
            means="the unit changes under every limit of the pool: 8 GPUs become 8 replicas, which may be 2 GPUs",
            allow="lowerLimit",
            topic=numbers.GPUS,
            judge=numbers.unit,
            source="DP@v0.20.0:README.md (shared access to GPUs)",
        )
        for name in ("timeSlicing", "mps")
    ),
    Row(
        field="pools.*.taint",
        kind=Kind.IN_PLACE,
        means="new pods without a toleration keep off, or may come; pods that run stay (NoSchedule)",
        source="K8S: concepts/scheduling-eviction/taint-and-toleration",
    ),
)

_PLACE: Final = (
    *(
        Row(
            field=f"teams.*.{name}",
            kind=Kind.LOSING,
            means="nodes that the team no longer sees: its pods there are lost",
            allow="lowerLimit",
            topic="nodes",
            judge=nodes.lost,
            source="as pools.*.nodes",
        )
        for name in ("pool", "nodes")
    ),
    Row(
        field="teams.*.scheduler.mode",
        kind=Kind.LOSING,
        means="its scheduler and its queues go; with GPUs in use under them that needs an override",
        allow="replace",
        topic="scheduler",
        judge=settings.mode,
        source=_HERE,
    ),
    Row(
        field="teams.*.scheduler.version",
        kind=Kind.UNKNOWN,
        means="within a line upgraded in place, to another line replaced; from or to an unknown release nobody can say",
        allow="replace",
        topic="scheduler",
        judge=versions.kai_version,
        source="docs/runs.md; KAI@v0.17.0:docs/migrationguides/README.md",
    ),
    Row(
        field="teams.*.scheduler.gpuSharing",
        kind=Kind.DISRUPTIVE,
        means="the scheduler's pods roll; off: new pods that ask for a fraction are refused",
        topic="scheduler",
        judge=settings.sharing,
        source="KAI@v0.16.8:pkg/admission",
    ),
    *(
        Row(
            field=f"teams.*.scheduler.canary.{name}",
            kind=Kind.LOSING,
            means=f"as teams.*.{same} for the canary, which is a tenant of its own; without a canary it is removed",
            allow="delete",
            source=_HERE,
        )
        for name, same in (
            ("version", "scheduler.version"),
            ("gpus", "resources.gpus.limit"),
            ("nodes", "nodes"),
            ("hostNames", "access.hostNames"),
        )
    ),
)

_NUMBERS: Final = (
    Row(
        field="teams.*.resources.gpus.quota",
        kind=Kind.DISRUPTIVE,
        means="lower: less is guaranteed, and what is above it may be reclaimed",
        topic="quota",
        judge=numbers.gpu_quota,
        source=_QUEUES,
    ),
    Row(
        field="teams.*.resources.gpus.limit",
        kind=Kind.LOSING,
        means="lower than what runs: pods that run go on, and what restarts does not come back",
        allow="lowerLimit",
        topic=numbers.GPUS,
        judge=numbers.gpu_limit,
        source=_LIVE_QUOTA,
    ),
    *(
        Row(
            field=f"teams.*.resources.{name}",
            kind=Kind.LOSING,
            means="lower than what is used: pods that run go on, and what restarts does not come back",
            allow="lowerLimit",
            topic=numbers.topic_of(key),
            judge=numbers.lowered_bound(key),
            source=_LIVE_QUOTA,
        )
        for name, key in (
            ("cpu", "requests.cpu"),
            ("memory", "requests.memory"),
            ("pods", "pods"),
            ("storage", "requests.storage"),
        )
    ),
    Row(
        field="teams.*.queues.*.gpu.limit",
        kind=Kind.LOSING,
        means="lower than what runs in it, or a queue that goes with work in it",
        allow="lowerLimit",
        judge=queues.limit,
        source=_QUEUES,
    ),
    Row(
        field="teams.*.queues.*.gpu.quota",
        kind=Kind.IN_PLACE,
        means="KAI divides by the new number from its next cycle on",
        source=_QUEUES,
    ),
    *(
        Row(
            field=f"teams.*.queues.*.{name}",
            kind=Kind.IN_PLACE,
            means="KAI orders by it from its next cycle on",
            source=_QUEUES,
        )
        for name in ("gpu.overQuotaWeight", "priority")
    ),
    Row(
        field="teams.*.priority",
        kind=Kind.REPLACING,
        means="the team's PriorityClass is made anew: pods that run keep their order, new ones get the other",
        topic="priority",
        source="K8S: concepts/scheduling-eviction/pod-priority-preemption (value can't be changed)",
    ),
)

_CLUSTER: Final = (
    Row(
        field="teams.*.isolation",
        kind=Kind.DISRUPTIVE,
        means="stricter: pods that run stay, new ones that do not comply are refused",
        topic="isolation",
        judge=settings.isolation,
        source="K8S: concepts/security/pod-security-admission",
    ),
    *(
        Row(
            field=f"teams.*.access.{name}",
            kind=Kind.DISRUPTIVE,
            means="its API server is reached at another address: kubeconfigs with the old one stop working",
            topic="address",
            source=_HERE,
        )
        for name in ("expose", "port", "hostNames")
    ),
    Row(
        field="teams.*.access.userKubeconfig",
        kind=Kind.DISRUPTIVE,
        means="off: kubeconfigs without admin rights stop working",
        topic="user access",
        judge=settings.user_kubeconfig,
        source=_HERE,
    ),
    Row(
        field="teams.*.vcluster.version",
        kind=Kind.LOSING,
        means="newer: its API server restarts; older by a minor version: nobody supports it",
        allow="replace",
        topic="api vCluster",
        judge=versions.vcluster_version,
        source="VD: vcluster/manage/upgrade/upgrade-version.mdx",
    ),
    Row(
        field="teams.*.vcluster.kubernetesVersion",
        kind=Kind.LOSING,
        means="newer: its API server restarts; older by a minor version: what is stored may not be readable",
        allow="replace",
        topic="api Kubernetes",
        judge=versions.kubernetes_version,
        source="K8S: releases/version-skew-policy",
    ),
    Row(
        field="teams.*.vcluster.backingStore",
        kind=Kind.LOSING,
        means="its virtual cluster starts empty, or does not start: its makers support no move between the two",
        allow="replace",
        topic="cluster",
        judge=settings.backing_store,
        source="VD: vcluster/manage/upgrade/upgrade-version.mdx, vcluster-docs#2518; VC@v0.36.1:config/config.go",
    ),
    Row(
        field="teams.*.vcluster.persistence",
        kind=Kind.LOSING,
        means="its virtual cluster starts empty: everything in it is lost",
        allow="replace",
        topic="cluster",
        judge=settings.persistence,
        source="VC@v0.36.1:chart/templates/_persistence.tpl (a Deployment without a volume, or a StatefulSet with one)",
    ),
    *(
        Row(field=f"teams.*.check.{name}", kind=Kind.IN_PLACE, means=_CHECK, source=_HERE)
        for name in ("enabled", "gpus", "fraction", "gpuMemoryMib", "pair", "queue")
    ),
)

_REST: Final = (
    *(
        Row(field=f"check.{name}", kind=Kind.IN_PLACE, means="every GPU check runs again", source=_HERE)
        for name in ("image", "gpuMemoryFraction", "deadlineSeconds", "onFailure", "host")
    ),
    *(
        Row(
            field=f"artifacts.{name}",
            kind=Kind.DISRUPTIVE,
            means="charts and images come from elsewhere: control planes and schedulers restart, pods that run go on",
            topic="artifacts",
            source=_HERE,
        )
        for name in ("charts", "imageRegistry", "imagePullPolicy")
    ),
    Row(field="overrides", kind=Kind.IN_PLACE, means="what is let through, until a date", source=_HERE),
)

TABLE: Final[tuple[Row, ...]] = (*_HOST, *_GPU, *_POOLS, *_PLACE, *_NUMBERS, *_CLUSTER, *_REST, *MADE)

NOT_IN_TABLE: Final = "this program has no word on what a change of it does"


@lru_cache(maxsize=4096)
def row_of(path: str) -> Row | None:
    """Return the row of a path like `teams.ml.queues.training.gpu.limit`; None where the table has none."""
    steps = path.split(".")
    return next((row for row in TABLE if _fits(row.field.split("."), steps)), None)


def _fits(field: list[str], steps: list[str]) -> bool:
    return len(field) == len(steps) and all(one in ("*", other) for one, other in zip(field, steps, strict=True))
