"""The objects of an inference server, as data. Pure: no Pulumi import.

Owns: the server's command line, probes, volumes, and the Job that asks it for a completion.
Leaves to others: how a pod gets its GPU (`pods.py`), what the test compares (`probe/completion.py`).
"""

from __future__ import annotations

import math
from typing import Final

from components.restricted import USER, container_security
from components.workloads.pods import (
    CODE_FOLDER,
    NAMESPACE,
    STAMP,
    Placement,
    Spec,
    pod_template,
    pull,
    resources,
    selector,
    stamp,
)
from names import CACHE, JSON
from releases.workloads import INFERENCE_IMAGE
from settings.workload_parts import SMOKE_TEST
from settings.workloads import Inference

PORT: Final = 8000
"""vLLM's own."""
HOME: Final = "/home/server"
"""An emptyDir, or the cache volume: the server's user has no home in the image."""
MODELS: Final = "/models"
PROBE_SECONDS: Final = 10
LIVENESS_FAILURES: Final = 6
"""A minute without an answer: a long prompt may block the server's loop for some seconds."""
TEST_GRACE_SECONDS: Final = 120
"""How long the test waits in addition to the server's own start: until a GPU is free, and an image is pulled."""


def arguments(workload: Inference, gpu_memory_mib: int | None) -> list[str]:
    """The server's arguments. Raises `ValueError` where the share of GPU memory can't be known."""
    utilization = workload.utilization(gpu_memory_mib)
    if utilization is None:
        raise ValueError("gpu.memoryMib needs the pool's gpuMemoryMib")
    found = [
        _model(workload), "--served-model-name", workload.model, "--port", str(PORT),
        "--gpu-memory-utilization", f"{utilization:.2f}",
    ]  # fmt: skip
    if workload.gpu.count is not None and workload.gpu.count > 1:
        found += ["--tensor-parallel-size", str(workload.gpu.count)]
    return [*found, *workload.args]


def _model(workload: Inference) -> str:
    return workload.model if workload.model_volume is None else f"{MODELS}/{workload.model}"


def deployment_spec(name: str, workload: Inference, place: Placement, image: str, token_secret: str | None) -> Spec:
    """The Deployment: one pod, and never two at once, because the second would wait for the first one's GPU."""
    env: list[JSON] = [
        {"name": "HOME", "value": HOME},
        # torch looks up the user's name, and this user has none
        {"name": "USER", "value": "server"},
        {"name": "HF_HOME", "value": f"{HOME}/huggingface"},
        {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
    ]
    if workload.model_volume is not None:
        env.append({"name": "HF_HUB_OFFLINE", "value": "1"})
    if token_secret is not None:
        env.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": token_secret, "key": "token"}}})
    mounts: list[JSON] = [{"name": "home", "mountPath": HOME}, {"name": "shm", "mountPath": "/dev/shm"}]
    if workload.model_volume is not None:
        mounts.append({"name": "models", "mountPath": MODELS, "readOnly": True})
    container: Spec = {
        "name": "server",
        "image": image,
        **pull(place),
        "command": list[JSON](workload.command),
        "args": list[JSON](arguments(workload, place.gpu_memory_mib)),
        "env": env,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": resources(workload.cpu, workload.memory, workload.memory_at_most, workload.gpu),
        "securityContext": container_security(),
        "startupProbe": _probe(math.ceil(workload.start_seconds / PROBE_SECONDS)),
        "readinessProbe": _probe(1),
        "livenessProbe": _probe(LIVENESS_FAILURES),
        "volumeMounts": mounts,
    }
    template = pod_template(place, name, workload.gpu, workload.queue, container, _volumes(name, workload))
    return {
        "replicas": workload.replicas,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": dict(selector(name))},
        "template": template,
    }


def _probe(failures: int) -> Spec:
    return {
        "httpGet": {"path": "/health", "port": "http"},
        "periodSeconds": PROBE_SECONDS,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _volumes(name: str, workload: Inference) -> list[JSON]:
    home: Spec = {"name": "home", "emptyDir": {}}
    if workload.cache is not None:
        home = {"name": "home", "persistentVolumeClaim": {"claimName": f"{name}{CACHE}"}}
    shared: Spec = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": workload.shared_memory}}
    found: list[JSON] = [home, shared]
    if workload.model_volume is not None:
        claim: Spec = {"claimName": workload.model_volume.claim, "readOnly": True}
        found.append({"name": "models", "persistentVolumeClaim": claim})
    return found


def cache_spec(workload: Inference) -> Spec | None:
    """The claim of the cache volume; None without one."""
    if workload.cache is None:
        return None
    spec: Spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": workload.cache.size}},
    }
    if workload.cache.storage_class is not None:
        spec["storageClassName"] = workload.cache.storage_class
    return spec


def test_seconds(workload: Inference) -> int:
    """How long the completion test waits for an answer, in seconds."""
    return workload.start_seconds + TEST_GRACE_SECONDS


def test_job_spec(name: str, workload: Inference, place: Placement, image: str, code: str, deployment: Spec) -> Spec:
    """The Job that asks for a completion. A new Deployment needs a new Job, because a Job's template can't change."""
    seconds = test_seconds(workload)
    container: Spec = {
        "name": "test",
        "image": image,
        **pull(place),
        "command": ["python3", f"{CODE_FOLDER}/completion.py"],
        "env": [
            {"name": "COMPLETION_URL", "value": f"http://{name}.{NAMESPACE}.svc"},
            {"name": "COMPLETION_MODEL", "value": workload.model},
            {"name": "COMPLETION_PROMPT", "value": workload.test.prompt},
            {"name": "COMPLETION_MAX_TOKENS", "value": str(workload.test.max_tokens)},
            {"name": "COMPLETION_CONTAINS", "value": workload.test.contains or ""},
            {"name": "COMPLETION_SECONDS", "value": str(seconds)},
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        ],
        "resources": {
            "requests": {"cpu": f"{SMOKE_TEST.cpu_millicores}m", "memory": f"{SMOKE_TEST.memory_mib}Mi"},
            "limits": {"memory": f"{4 * SMOKE_TEST.memory_mib}Mi"},
        },
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "code", "mountPath": CODE_FOLDER, "readOnly": True}],
    }
    pod: Spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "code", "configMap": {"name": f"{name}-test"}}],
    }
    if place.node_selector:
        pod["nodeSelector"] = dict(place.node_selector)
    if place.tainted:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return {
        "backoffLimit": 0,
        "activeDeadlineSeconds": seconds + TEST_GRACE_SECONDS,
        "template": {
            "metadata": {"labels": dict(place.labels), "annotations": {STAMP: stamp(deployment, code)}},
            "spec": pod,
        },
    }


def image_of(workload: Inference) -> str:
    """The server's image."""
    return workload.image or INFERENCE_IMAGE
