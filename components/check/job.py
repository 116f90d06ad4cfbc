"""The objects of a GPU check, as data. Pure: no Pulumi import.

There are two pods. The asking pod goes through the team's queue as the team's own work would, holds the GPU and runs
`probe.py`. The kubelet tells it in its arguments what it was granted (`probe/injection.py`), so it needs no rights on
KAI's objects. The verdict pod holds no GPU. It waits for the asking pod's report, or for the deadline, and the deploy
sees its exit code. So "no capacity" is a verdict and not a failed deploy.

A pair is two asking pods, in two namespaces, that must share one GPU at the same time. Each stays until the verdict is
there. The verdict pod makes a third pod, which has no room beside them, and deletes it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, TypeAlias

import names
from components.restricted import container_security, pod_security
from names import Object
from probe import code, injection
from probe.expect import CPU
from releases import injection as modes

Spec: TypeAlias = Object

VERDICT_GRACE_SECONDS: Final = 60
"""How long the asking Job may run after the deadline: the Job's end deletes the pod, and with it the reason why it
waits.
"""
MEMORY_GIB: Final = 1
MEMORY_GIB_PER_FURTHER_GPU: Final = 2
"""The most host memory that the probe used on H200s: 966 MiB with one GPU, 2535 MiB with two."""
RETRIES: Final = 4
"""A preempted pod and one that a webhook refused while it was starting both count as a failed try."""
CODE_FOLDER: Final = "/opt/gpu-check"
RUN_LABEL: Final = "batch.kubernetes.io/controller-uid"
"""Kubernetes writes the Job's UID into this label of each pod. So a report says to which run it belongs."""
THIRD_STEP: Final = 0.1
"""How much the third pod asks for beyond what the pair leaves of its GPU: 0.3 and 0.5 leave 0.2, so it asks for 0.3."""
PRIORITY: Final = 10
"""KAI: below 100 is preemptible, and its own lowest class (train) has 50: a team's work always comes first."""


@dataclass(frozen=True, kw_only=True)
class PodSettings:
    """The settings that all check pods of a platform share. Deadline in seconds, memory as a share of the GPU's.
    `injection` as in the stack file.
    """

    runtime_class: str | None
    image: str
    pull_policy: str | None
    memory_fraction: float
    deadline_seconds: int
    on_failure: str
    fake: bool
    injection: str | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one check asks for, and from which queue. Its pods run in `namespace`; the report is in `report_namespace`.
    `pair`: two shares of one GPU that must be granted at the same time; then there is no `fraction`. `enforced`:
    whether a share of a GPU's memory is a limit. `sharing`: how the pool's replicas are made, `timeSlicing`, `mps` or
    `mig`; None without. `gpus` 0: a pod without a GPU, which has no RuntimeClass of GPUs either."""

    name: str
    namespace: str
    report_namespace: str
    report: str
    team: str
    pool: str | None
    node: str | None
    node_selector: Mapping[str, str]
    queue: str | None
    scheduler_name: str | None
    scheduler_version: str | None
    priority_class: str | None
    kai_priority: str | None
    gpus: int
    fraction: float | None
    pair: tuple[float, float] | None
    gpu_memory_mib: int | None
    enforced: bool
    replicas: int
    sharing: str | None
    tainted: bool
    product: str | None
    pool_gpu_memory_mib: int | None
    pod: PodSettings
    kind: str

    @property
    def mode(self) -> str:
        """The way to ask for the GPU, in the probe's terms."""
        if self.kind == "host":
            return "host"
        if self.gpus == 0:
            return CPU
        if self.fraction is not None or self.pair is not None:
            return "fraction"
        if self.gpu_memory_mib is not None:
            return "gpu-memory"
        if self.sharing == "mig":
            return "mig"
        return "replica" if self.replicas > 1 else "whole"


def stamp(request: Request, checked: Mapping[str, object]) -> str:
    """Changes only when something that the check proves changes: what it asks for, its programs, or `checked`
    (scheduler, queues, pool, GPU software).
    """
    text = json.dumps([asdict(request), dict(checked), code.digest()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def asked(request: Request) -> tuple[Request, ...]:
    """What each asking pod asks for: the request itself, or the two halves of a pair, each in its own namespace."""
    if request.pair is None:
        return (request,)
    first, second = request.pair
    return (
        replace(request, fraction=first, report=f"{request.report}-1"),
        replace(request, fraction=second, report=f"{request.report}-2", namespace=names.CHECK_PAIR_NAMESPACE),
    )


def third_fraction(pair: tuple[float, float]) -> float:
    """The share of a GPU that has no room beside a pair."""
    return round(min(1.0, 1 - sum(pair) + THIRD_STEP), 2)


def expectation(request: Request, mark: str) -> dict[str, object]:
    """What the probe compares with."""
    return {
        "team": request.team,
        "pool": request.pool,
        "node": request.node,
        "queue": request.queue,
        "schedulerVersion": request.scheduler_version,
        "mode": request.mode,
        "gpus": request.gpus or None,
        "fraction": request.fraction,
        "gpuMemoryMib": request.gpu_memory_mib,
        # left out where there is no such limit, so that older stacks see no change
        **({"enforced": True} if request.enforced else {}),
        "replicas": request.replicas,
        "sharing": request.sharing,
        "runtimeClass": request.pod.runtime_class,
        "injection": modes.seen(request.pod.injection, fraction=request.mode in ("fraction", "gpu-memory")),
        "product": request.product,
        "poolGpuMemoryMib": request.pool_gpu_memory_mib,
        "memoryFraction": request.pod.memory_fraction,
        "onFailure": request.pod.on_failure,
        "deadlineSeconds": request.pod.deadline_seconds,
        "fake": request.pod.fake,
        "stamp": mark,
    }


def asking_job(request: Request, mark: str) -> Spec:
    """The Job whose pod holds the GPU."""
    labels, annotations = _pod_metadata(request, mark)
    pod: Spec = {
        "serviceAccountName": request.name,
        "restartPolicy": "Never",
        "securityContext": pod_security(),
        "containers": [_asking_container(request, mark)],
        "volumes": [_code_volume(), {"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    if request.scheduler_name is not None:
        pod["schedulerName"] = request.scheduler_name
    if request.priority_class is not None:
        pod["priorityClassName"] = request.priority_class
    if request.pod.runtime_class is not None:
        pod["runtimeClassName"] = request.pod.runtime_class
    if request.node_selector:
        pod["nodeSelector"] = dict(request.node_selector)
    if request.tainted:
        pod["tolerations"] = [{"key": names.GPU, "operator": "Exists", "effect": "NoSchedule"}]
    if request.pair is not None:
        pod["containers"][0]["command"] = [*_run("verdict"), "hold"]
        pod["containers"][0]["env"].append({"name": "GPU_CHECK_HELD_UNTIL", "value": names.CHECK_REPORT})
    return {
        "backoffLimit": RETRIES,
        "activeDeadlineSeconds": request.pod.deadline_seconds + VERDICT_GRACE_SECONDS,
        "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod},
    }


def _pod_metadata(request: Request, mark: str) -> tuple[dict[str, str], dict[str, str]]:
    labels = {**names.labels(team=request.team), names.LABEL_CHECK: request.kind}
    annotations = {"gpu-tenancy/stamp": mark}
    if request.queue is not None:
        labels[names.KAI_QUEUE_LABEL] = request.queue
    if request.kai_priority is not None:
        labels["priorityClassName"] = request.kai_priority
    if request.fraction is not None:
        annotations[names.GPU_FRACTION] = str(request.fraction)
    if request.gpu_memory_mib is not None:
        annotations[names.GPU_MEMORY_ASKED] = str(request.gpu_memory_mib)
    return labels, annotations


def _asking_container(request: Request, mark: str) -> Spec:
    gib = MEMORY_GIB + (request.gpus - 1) * MEMORY_GIB_PER_FURTHER_GPU
    # without a GPU the probe does not get as far as torch
    small = request.pod.fake or request.mode == CPU
    resources: Spec = {"requests": {"cpu": "50m" if small else "250m", "memory": "64Mi" if small else f"{gib}Gi"}}
    if request.gpus and request.fraction is None and request.gpu_memory_mib is None:
        resources["limits"] = {names.GPU: str(request.gpus)}
    return {
        "name": "probe",
        "image": request.pod.image,
        **_pull(request),
        "command": _run("probe"),
        "args": injection.arguments(),
        "env": [
            {"name": "GPU_CHECK_EXPECT", "value": json.dumps(expectation(request, mark), sort_keys=True)},
            {"name": "GPU_CHECK_IN_JOB", "value": "1"},
            {"name": "GPU_CHECK_CONFIGMAP", "value": request.report},
            {"name": "GPU_CHECK_NAMESPACE", "value": request.report_namespace},
            {"name": "GPU_CHECK_RUN", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{RUN_LABEL}']"}}},
            # the report names the node: a team's check runs on any node of the pool, the host's own on each
            {"name": "GPU_CHECK_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
            # torch and triton look for a home, and this user has none
            {"name": "HOME", "value": "/tmp"},
        ],
        "resources": resources,
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "code", "mountPath": CODE_FOLDER, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }


def asking_pod(request: Request, mark: str) -> Spec:
    """The pod that the asking Job makes, as an object of its own."""
    template = asking_job(request, mark)["template"]
    metadata = {**template["metadata"], "name": request.name, "namespace": request.namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def third_pod(request: Request, mark: str) -> Spec:
    """A pod like the pair's that asks for more than the pair leaves of the GPU. It does nothing if it runs."""
    assert request.pair is not None
    half = replace(asked(request)[1], fraction=third_fraction(request.pair))
    pod = asking_pod(half, mark)
    container = pod["spec"]["containers"][0]
    kept = ("name", "image", "imagePullPolicy", "resources", "securityContext")
    spec = {
        **pod["spec"],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{**{k: container[k] for k in kept if k in container}, "command": ["python3", "-c", "pass"]}],
        "volumes": [],
    }
    return {**pod, "metadata": {**pod["metadata"], "name": names.CHECK_THIRD}, "spec": spec}


def verdict_job(request: Request, mark: str, runs: object) -> Spec:
    """The Job that the deploy waits for. `runs`: the UIDs of the asking Jobs; new ones make it run again."""
    env: list[Spec] = [
        {"name": "GPU_CHECK_EXPECT", "value": json.dumps(expectation(request, mark), sort_keys=True)},
        {
            "name": "GPU_CHECK_ASKED",
            "value": json.dumps(
                [{"namespace": half.namespace, "job": half.name, "report": half.report} for half in asked(request)]
            ),
        },
        {"name": "GPU_CHECK_CONFIGMAP", "value": request.report},
        {"name": "GPU_CHECK_NAMESPACE", "value": request.report_namespace},
    ]
    if request.pair is not None:
        env.append({"name": "GPU_CHECK_THIRD", "value": json.dumps(third_pod(request, mark), sort_keys=True)})
    pod: Spec = {
        "serviceAccountName": f"{request.name}-verdict",
        "restartPolicy": "Never",
        "securityContext": pod_security(),
        "containers": [
            {
                "name": "verdict",
                "image": request.pod.image,
                **_pull(request),
                "command": _run("verdict"),
                "env": env,
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                "securityContext": container_security(),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [{"name": "code", "mountPath": CODE_FOLDER, "readOnly": True}],
            }
        ],
        "volumes": [_code_volume()],
    }
    if request.tainted:
        pod["tolerations"] = [{"key": names.GPU, "operator": "Exists", "effect": "NoSchedule"}]
    return {
        "backoffLimit": 0,
        "activeDeadlineSeconds": request.pod.deadline_seconds + 2 * VERDICT_GRACE_SECONDS,
        "template": {
            "metadata": {
                "labels": {**names.labels(team=request.team), names.LABEL_CHECK: "verdict"},
                "annotations": {"gpu-tenancy/stamp": mark, "gpu-tenancy/runs": runs},
            },
            "spec": pod,
        },
    }


def probe_rules(request: Request) -> list[Spec]:
    """All rights of an asking pod's account: it may write its own report. (A create by server-side apply has the
    object's name, so the rule's one name limits it, too.) A half of a pair may also see when it may end.
    """
    own = [_configmap(request.report, "create", "get", "patch")]
    return own if request.pair is None else [*own, _configmap(names.CHECK_REPORT, "get")]


def verdict_rules(request: Request) -> list[Spec]:
    """The verdict pod may write the report where nobody else did, and see why a pod waits."""
    reports = [_configmap(half.report, "get") for half in asked(request) if half.report != request.report]
    return [_configmap(request.report, "create", "get", "patch"), *reports, *watch_rules(request)]


def watch_rules(request: Request) -> list[Spec]:
    """What the verdict pod sees of a namespace with an asking pod."""
    return [
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "resourceNames": [request.name], "verbs": ["get"]},
    ]


def third_rules(request: Request) -> list[Spec]:
    """Its rights in a pair's second namespace, where it makes one pod and deletes it again."""
    return [
        *watch_rules(request),
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods"], "resourceNames": [names.CHECK_THIRD], "verbs": ["get", "delete"]},
    ]


def _configmap(name: str, *verbs: str) -> Spec:
    return {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [name], "verbs": list(verbs)}


def _run(program: str) -> list[str]:
    """The command of one of the programs that the code's ConfigMap holds."""
    return ["python3", f"{CODE_FOLDER}/{code.START}", program]


def _pull(request: Request) -> Spec:
    return {"imagePullPolicy": request.pod.pull_policy} if request.pod.pull_policy else {}


def _code_volume() -> Spec:
    return {"name": "code", "configMap": {"name": names.CHECK_CODE}}
