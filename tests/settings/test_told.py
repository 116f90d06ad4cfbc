"""The whole line of each mistake, as `told.txt` has it: where, which rule, what was found, what to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from tests.settings.build import TODAY, mistakes

FILE: Final = Path(__file__).with_name("told.txt")
OPERATOR: Final = {"stack": "gpuOperator"}
CHECK: Final = "teams.ml.check"
SHARES: Final = "teams.ml.scheduler.gpuSharing"
HALF: Final = {"training": {"gpu": 0.5}}
REPLICAS: Final = {"pools.gpu.gpusPerNode": 1, "pools.gpu.sharing": {"timeSlicing": {"replicas": 4}}}
KEY: Final = {"ssh": {"host": "hpc", "key": "hpc-root", "hostKey": "ssh-ed25519 AAAA"}}
K3S: Final = {"provider": "k3s", "k3s": {}}
KIND: Final = {"provider": "kind", "kind": {}}
ENFORCED: Final = {"mode": "virtual", "version": "v0.18.6", "gpuSharing": {"enforce": "memory"}}
BY_CLUSTER: Final = {"gpu": {**OPERATOR, "owner": "cluster"}}
SHARED_KAI: Final = {"host.scheduler": {"version": "v0.18.6"}}
LEVEL: Final = "kubernetes.io/hostname"
WEB: Final = {"kind": "app", "cpu": "100m", "memory": "128Mi", "port": 80}


INGRESS: Final = {"host": "a.example.com", "controllerNamespace": "ingress"}
QUEUE_OF_A_PAIR: Final = {
    "teams.ml.queues": {"q-queues-parent": {"gpu": 1}},
    "teams.ml-queues-q": {
        "pool": "gpu",
        "resources": {"pods": 1, "cpu": 1, "memory": "1Gi"},
        "queues": {"w": {"gpu": 0}},
    },
    "teams.research": None,
}


def until(days: int) -> Mapping[str, object]:
    last = (TODAY + timedelta(days=days)).isoformat()
    return {"overrides": [{"team": "ml", "allow": ["delete"], "until": last, "reason": "agreed with the team"}]}


CASES: Final[tuple[Mapping[str, object], ...]] = (
    # a check
    {f"{CHECK}.queue": "trainin"},
    {SHARES: True, CHECK: {"fraction": 0.5, "gpuMemoryMib": 100}},
    {SHARES: True, CHECK: {"pair": [0.7, 0.7]}},
    {
        "host.scheduler": {"version": "v0.9.3"},
        "teams.ml.scheduler": {"mode": "host", "gpuSharing": True},
        CHECK: {"pair": [0.5, 0.5]},
    },
    {CHECK: {"fraction": 0.5}},
    {CHECK: {"gpuMemoryMib": 100}},
    {**REPLICAS, CHECK: {"fraction": 0.5}},
    {"teams.ml.pool": None, CHECK: {"fraction": 0.5}},
    {"teams.dev.check": {"fraction": 0.5}},
    {**REPLICAS, CHECK: {"gpus": 2}},
    {SHARES: True, "pools.gpu.gpuMemoryMib": None, CHECK: {"gpuMemoryMib": 100}, "teams.ml.queues": HALF},
    {SHARES: True, CHECK: {"gpuMemoryMib": 24576}},
    {SHARES: True, CHECK: {"gpuMemoryMib": 24500}, "teams.ml.queues": HALF},
    {SHARES: True, CHECK: {"fraction": 0.9}, "teams.ml.queues": HALF},
    {SHARES: True, CHECK: {"pair": [0.4, 0.5]}, "teams.ml.queues": HALF},
    {CHECK: {"gpus": 3}},
    {"teams.research.check": {"gpus": 5}},
    # limits on fractions
    {"teams.ml.scheduler": {**ENFORCED, "version": "v0.14.7"}, **SHARED_KAI},
    {"teams.ml.scheduler": {**ENFORCED, "version": "v9.9.9"}},
    {"teams.ml.scheduler": ENFORCED},
    {"teams.ml.scheduler": ENFORCED, "gpu": OPERATOR, "gpu.runtimeClass": {"owner": "cluster"}},
    {
        "teams.ml.scheduler": ENFORCED,
        "gpu": {**OPERATOR, "version": "v25.10.1"},
        "gpu.runtimeClass": {"owner": "cluster"},
    },
    {
        "teams.ml.scheduler": ENFORCED,
        "gpu": {**OPERATOR, "version": "v26.7.1"},
        "gpu.runtimeClass": {"owner": "cluster"},
    },
    {"teams.ml.scheduler": ENFORCED, **BY_CLUSTER, "gpu.runtimeClass": {"owner": "cluster"}},
    {"teams.ml.scheduler": ENFORCED, "gpu": {"stack": "fake"}},
    {"teams.ml.scheduler": {**ENFORCED, "version": "v0.16.8"}},
    {"teams.ml.scheduler": {**ENFORCED, "version": "v0.16.8"}, "teams.ml.isolation": "privileged"},
    {
        "teams.ml.scheduler": {**ENFORCED, "version": "v0.16.8", "canary": {"version": "v0.14.7", "gpus": 1}},
        "teams.ml.isolation": "privileged",
    },
    # GPU software
    {"gpu": {**OPERATOR, "version": "v1"}, "gpu.runtimeClass": {"owner": "cluster"}},
    {"gpu": {"stack": "fake", "injection": "cdi", "version": "1"}},
    {"gpu.injection": "cdi"},
    {"gpu": OPERATOR, "host.provider": "k3s"},
    {"gpu": {"stack": "fake", "metrics": {}}},
    {"gpu": {**OPERATOR, "owner": "cluster", "metrics": {}, "runtimeClass": {"owner": "cluster"}}},
    {"gpu": {**OPERATOR, "metrics": {}, "runtimeClass": {"owner": "cluster"}}},
    {"gpu.metrics": {}},
    {"gpu": {"stack": "devicePlugin", "owner": "cluster", "metrics": {}}},
    {"gpu.metrics": {"labels": {"a": "b"}, "serviceMonitor": False}},
    {
        "gpu": {"stack": "devicePlugin", "owner": "cluster", "operator": {"driver": "operator"}},
        "host": {**KIND, "address": "a"},
    },
    {
        "gpu": {
            **OPERATOR,
            "owner": "cluster",
            "operator": {"driver": "operator"},
            "runtimeClass": {"owner": "cluster"},
        },
        "host": {**KIND, "address": "a"},
    },
    {
        "gpu": {**OPERATOR, "operator": {"toolkit": "host"}, "runtimeClass": {"owner": "cluster"}},
        "host": {"provider": "microk8s", "microk8s": {}, "address": "a"},
    },
    {
        "gpu": {**OPERATOR, "operator": {"driver": "operator"}, "runtimeClass": {"owner": "cluster"}},
        "host.provider": "kind",
        "pools.gpu.sharing": {"mig": {"profile": "1g.5gb", "slices": 4}},
    },
    {
        "gpu": {**OPERATOR, "operator": {"driver": "operator"}, "runtimeClass": {"owner": "cluster"}},
        "host": {**K3S, "address": "a"},
        "pools.gpu.sharing": {"mig": {"profile": "1g.5gb", "slices": 4}},
    },
    {
        "gpu": {**OPERATOR, "operator": {"driver": "operator"}, "runtimeClass": {"owner": "cluster"}},
        "pools.gpu": {
            "nodes": ["gpu-0"],
            "gpusPerNode": 1,
            "gpuMemoryMib": 24576,
            "sharing": {"mig": {"profile": "1g.5gb", "slices": 4}},
        },
        "pools.more": {
            "nodes": ["gpu-1"],
            "gpusPerNode": 1,
            "gpuMemoryMib": 24576,
            "sharing": {"mig": {"profile": "1g.5gb", "slices": 4}},
        },
    },
    {"host.scheduler": {"version": "v0.9.3", "owner": "cluster", "scaleAdjuster": True}},
    # hosts that are made
    {"host": {"provider": "existing", "kind": {}, "address": "a"}},
    {"host": {"provider": "existing", "kind": {}, "k3s": {}, "address": "a", "connection": KEY}},
    {"host.connection": KEY},
    {"host": {**K3S, "kubeconfig": "/etc/k", "context": "here", "address": "a"}},
    {"host": {**K3S, "connection": KEY}},
    {"host": {**K3S, "connection": KEY, "address": "a"}},
    {"host": {**K3S, "connection": {}}},
    {"gpu.runtimeClass": {"owner": "ours"}, "host": {**K3S, "address": "a"}},
    # names that are joined
    {
        "pools.gpu-a": {"nodes": ["b"], "gpusPerNode": 0},
        "pools.gpu": {"nodes": ["a-b"], "gpusPerNode": 4, "gpuMemoryMib": 24576},
    },
    {
        "pools.b": {"selector": {"x": "y"}, "gpusPerNode": 1, "nodeCount": 1},
        "pools.gpu.nodes": ["pool-b"],
        "check": {"host": True},
    },
    {
        "pools.b": {"selector": {"x": "y"}, "gpusPerNode": 1, "nodeCount": 1},
        "pools.gpu.nodes": ["pool-b"],
        "check": {"host": False},
    },
    {"teams.ml.queues": {"leaf-parent": {"gpu": 1}, "parent": {"gpu": 1}}},
    {"teams.dev.scheduler": {"mode": "default"}, "teams.dev-queues": {"resources": {"cpu": 1}}},
    {"teams.dev.workloads": {"a": WEB, "a-service": WEB}},
    {"teams.dev.workloads": {"a": {**WEB, "expose": {"nodePort": 30080}}, "a-host": WEB}},
    {"teams.dev.workloads": {"a": WEB, "a-host": WEB}},
    {"teams.dev.workloads": {"a": {**WEB, "expose": {"ingress": INGRESS}}, "a-host": WEB}},
    {
        "teams.dev.workloads": {"b-workloads-c": WEB},
        "teams.dev-workloads-b": {"resources": {"cpu": 1}, "workloads": {"c": WEB}},
    },
    {**QUEUE_OF_A_PAIR, "teams.ml-queues-q.scheduler": {"mode": "virtual", "version": "v0.9.3"}},
    {**QUEUE_OF_A_PAIR, "teams.ml-queues-q.scheduler": {"mode": "default"}, "teams.ml-queues-q.queues": None},
    # overrides
    until(90),
    until(91),
    # schedulers
    {"teams.ml.scheduler": {"mode": "virtual"}},
    {"teams.ml.scheduler.version": "v9.9.9"},
    {"teams.ml.scheduler": {"mode": "host"}},
    {"teams.ml.scheduler": {"mode": "host", "version": "v0.9.3"}, **SHARED_KAI},
    {"teams.dev.scheduler": {"mode": "default", "version": "v0.9.3"}},
    {"teams.dev.scheduler": {"mode": "default", "canary": {"version": "v0.9.3", "gpus": 0}}},
    {"teams.dev.scheduler": {"mode": "default", "gpuSharing": True}},
    {**REPLICAS, SHARES: True},
    {"teams.ml.vcluster": {"version": "0.1.0"}},
    {"teams.ml.vcluster": {"version": "0.1.0"}, "teams.ml.scheduler.canary": {"version": "v0.9.3", "gpus": 1}},
    {"teams.ml.vcluster": {"version": "0.1.0", "kubernetesVersion": "v1.36.0"}},
    {"teams.ml.vcluster": {"version": "0.29.3", "kubernetesVersion": "v1.36.0"}},
    {"teams.ml.vcluster": {"kubernetesVersion": "v1.20.0"}},
    {"teams.ml.vcluster": {"kubernetesVersion": "v1.36.0"}},
    {"teams.ml.vcluster": {"kubernetesVersion": "v1.36.0"}, "teams.ml.scheduler.version": "v9.9.9"},
    {"teams.dev.vcluster": {"kubernetesVersion": "v1.36.0"}},
    {"pools.gpu.topology": ["a", "a"]},
    {"pools.gpu.topology": [LEVEL, "rack"]},
    {"pools.gpu.topology": ["rack", LEVEL]},
    {
        "pools.gpu.topology": ["rack"],
        "teams.ml.scheduler.version": "v0.12.23",
        "teams.research.scheduler.version": "v0.12.23",
    },
    {
        "pools.gpu.topology": ["rack"],
        "host.scheduler": {"version": "v0.9.3"},
        "teams.ml.scheduler": {"mode": "host"},
        "teams.research.scheduler": {"mode": "host"},
    },
    {"teams.dev.queues": {"work": {"gpu": 0}}, "teams.dev.scheduler": {"mode": "default"}},
    {"teams.ml.queues": None},
    {"teams.ml.pool": None, "teams.ml.queues": {"a": {"gpu": 0.5}}},
    {
        "teams.ml.blueGreen": {"serves": "blue", "blue": {"version": "v0.14.7"}},
        "teams.ml.scheduler": ENFORCED,
        **BY_CLUSTER,
    },
    {"teams.ml.queues": {"a": {"gpu": 0.5}}},
    {"teams.ml.queues": {"a": {"gpu": {"quota": 0.5, "limit": 1.5}}}},
    {**REPLICAS, "teams.ml.queues": {"a": {"gpu": 0.5}}},
    # secrets
    {
        "host": {**K3S, "connection": KEY, "address": "a"},
        "teams.dev.workloads": {"web": {**WEB, "secrets": {"TOKEN": {"config": "hpc-root"}}}},
    },
)
"""Changes of the small platform of `build.raw`."""


def test_what_a_mistake_is_told_is_as_recorded() -> None:
    """Written anew with RECORD=1 in the environment."""
    text = ""
    for changes in CASES:
        text += f"{dict(changes)}\n" + "".join(f"  {line}\n" for line in mistakes(changes) or ["fine"])
    if "RECORD" in os.environ:
        FILE.write_text(text, encoding="utf-8")
    assert text == FILE.read_text(encoding="utf-8")
