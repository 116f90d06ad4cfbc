"""A state that says everything that a state can say, and the facts in it. Data."""

from __future__ import annotations

from typing import Any, Final

import tokens
from components.command import Script
from names import LABEL_TEAM, LABEL_WORKLOAD
from preview.facts import BLUE_GREEN, CANARY_OF, CLUSTER_UID, DRIVER, HARD, MADE, REPLICAS
from releases.slinky import DEFAULT_SLINKY, SLINKY, Workers, slinky_values

QUEUE: Final = {"quota": 1, "limit": 2, "overQuotaWeight": 3, "priority": 50}
STATE: Final[list[tuple[str, dict[str, Any]]]] = [
    (
        tokens.TEAM,
        {
            "name": "ml",
            "pool": "a",
            "nodes": ["n1"],
            "mode": "virtual",
            "schedulerVersion": "v0.14.7",
            "gpuSharing": True,
            "gpuSharingEnforce": "memory",
            "gpuQuota": 1,
            "gpuLimit": 2,
            "cpu": 3,
            "memory": "4Gi",
            "pods": 5,
            "isolation": "baseline",
            "priority": "high",
            "vclusterVersion": "0.36.1",
            "canaryOf": None,
            "blueGreen": "blue",
            "queues": {"train": QUEUE, "odd": "no queue"},
        },
    ),
    (
        tokens.VIRTUAL_CLUSTER,
        {
            "team": "ml",
            "version": "0.36.1",
            "kubernetesVersion": "v1.34.4",
            "persistence": True,
            "backingStore": "etcd",
            "snapshotsSize": "9Gi",
        },
    ),
    (
        tokens.NODE_POOL,
        {
            "name": "a",
            "nodes": ["n1"],
            "selector": {"x": "y"},
            "gpusPerNode": 8,
            "gpuMemoryMib": 81559,
            "product": "NVIDIA-H100",
            "replicas": 4,
        },
    ),
    (tokens.HOST_CLUSTER, {"hostProvider": "kind", "context": "here"}),
    (
        tokens.INSTALLED_HOST,
        {"provider": "kind", "name": "lab-a", "ssh": "gpu-1.example.com"},
    ),
    (tokens.SLURM_CLUSTER, {"host": "gpu-1", "gpus": 4, "partition": "batch"}),
    (tokens.TEAM_WORKLOADS, {"team": "ml", "workloads": {"chat": "inference"}}),
    (
        tokens.GPU_SOFTWARE,
        {"stack": "gpuOperator", "owner": "us", "version": "v25.3.0", "runtimeClass": "nvidia", "driver": "operator"},
    ),
    (tokens.KAI_SCHEDULER, {"line": "0.16", "version": "v0.16.8"}),
    (tokens.KAI_SCHEDULER, {"line": "0.14", "version": "v0.14.7", "team": "ml"}),
    (tokens.RESOURCE_QUOTA, {"metadata": {"namespace": "team-ml"}, "spec": {"hard": {"pods": "9"}}}),
    (
        tokens.RESOURCE_QUOTA,
        {"metadata": {"namespace": "team-bio"}, "spec": {"hard": {"requests.storage": "1Gi"}}},
    ),
    (
        tokens.SERVICE,
        {
            "metadata": {"namespace": "team-ml", "name": "ml-api"},
            "spec": {"type": "NodePort", "ports": [{"nodePort": 30443}]},
        },
    ),
    (
        tokens.VOLUME_CLAIM,
        {
            # what was asked for, and what Kubernetes made of it
            "__inputs": {
                "metadata": {"name": "chat-cache", "labels": {LABEL_TEAM: "ml", LABEL_WORKLOAD: "chat-cache"}},
                "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "20Gi"}}},
            },
            "spec": {"storageClassName": "live", "resources": {"requests": {"storage": "30Gi"}}},
            "status": {"phase": "Bound"},
        },
    ),
    (
        tokens.RELEASE,
        {
            "chart": "oci://x/slurm",
            "name": "jobs",
            "namespace": "workloads",
            "values": slinky_values(
                SLINKY[DEFAULT_SLINKY],
                Workers(
                    replicas=1, gpus=1, cpu="1", memory="1Gi", memory_limit="1Gi", labels={LABEL_TEAM: "ml"}, pod={}
                ),
                partition="batch",
                storage="4Gi",
            ),
        },
    ),
    (
        "command:remote:Command",
        {
            "stdin": Script(
                install="export PART=other\nexport K3S_VERSION=v0.0.1",
                remove="",
                variables={"PART": "k3s", "K3S_VERSION": "v1.34.1+k3s1", "MICROK8S_CHANNEL": "1.34/stable"},
            ).text("export PART=other\nexport K3S_VERSION=v0.0.1"),
            "connection": {"host": "gpu-1.example.com", "hostKey": "ssh-ed25519 AAAA"},
        },
    ),
    (
        "command:local:Command",
        {"stdin": "export PART=slurm\n", "connection": {"host": "gpu-2.example.com", "hostKey": "ssh-ed25519 BBBB"}},
    ),
    ("command:local:Command", {"stdin": "export KEY=value", "connection": {"host": "nobody's"}}),
    (tokens.NAMESPACE, {"metadata": {"name": "kube-system", "uid": "u1"}}),
    (tokens.NAMESPACE, {"metadata": {"name": "team-ml", "uid": "u2"}}),
]
TENANT: Final = {
    "pool": "a",
    "nodes": ["n1"],
    "scheduler.mode": "virtual",
    "scheduler.version": "v0.14.7",
    "state": "active",
    "scheduler.gpuSharing.enabled": True,
    "scheduler.gpuSharing.enforce": "memory",
    "resources.gpus.quota": 1,
    "resources.gpus.limit": 2,
    "resources.cpu": 3,
    "resources.memory": "4Gi",
    "resources.pods": 5,
    "isolation": "baseline",
    "priority": "high",
    CANARY_OF: None,
    BLUE_GREEN: "blue",
    "queues.train.gpu.quota": 1,
    "queues.train.gpu.limit": 2,
    "queues.train.gpu.overQuotaWeight": 3,
    "queues.train.priority": 50,
    "vcluster.version": "0.36.1",
    "vcluster.kubernetesVersion": "v1.34.4",
    "vcluster.persistence": True,
    "vcluster.backingStore": "etcd",
    "vcluster.snapshots.size": "9Gi",
    "workloads.chat.kind": "inference",
    "workloads.chat.cache.size": "20Gi",
    "workloads.chat.cache.storageClass": "fast",
    "workloads.jobs.storage": "4Gi",
    HARD: {"pods": "9"},
    "access.expose": "nodePort",
    "access.port": 30443,
}
POOL: Final = {
    "nodes": ["n1"],
    "selector": {"x": "y"},
    "gpusPerNode": 8,
    "gpuMemoryMib": 81559,
    "product": "NVIDIA-H100",
    REPLICAS: 4,
}
STACK: Final = {
    "host.provider": "kind",
    "host.context": "here",
    MADE: "kind lab-a on gpu-1.example.com",
    "slurm.host": "gpu-1",
    "slurm.gpus": 4,
    "slurm.partition": "batch",
    "gpu.stack": "gpuOperator",
    "gpu.owner": "us",
    "gpu.version": "v25.3.0",
    "gpu.runtimeClass.name": "nvidia",
    DRIVER: "operator v25.3.0",
    "host.scheduler.version": "v0.16.8",
    "host.k3s.version": "v1.34.1+k3s1",
    "host.microk8s.channel": "1.34/stable",
    "host.connection.ssh.host": "gpu-1.example.com",
    "host.connection.ssh.hostKey": "ssh-ed25519 AAAA",
    "slurm.connection.ssh.host": "gpu-2.example.com",
    "slurm.connection.ssh.hostKey": "ssh-ed25519 BBBB",
    CLUSTER_UID: "u1",
}
