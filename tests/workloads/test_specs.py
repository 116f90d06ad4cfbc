"""Every object of a workload, whole, for each kind of workload and of team: a change of any field is noticed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from components.team.tenant import resolve
from components.workloads import app_spec, inference_spec, pods, slurm
from components.workloads.pods import Placement, Spec, placement
from preview.differences import differences, written
from settings.load import parse_platform
from settings.workload_parts import GpuShare, Ingress
from settings.workloads import App, Inference, SlurmWorkload
from tests.settings.build import raw

SPECS: Final = Path(__file__).parent / "recorded" / "specs.json"
CHAT: Final = {"kind": "inference", "model": "Qwen/Qwen3-0.6B", "weights": "3G", "gpu": {"fraction": 0.5}}
SERVERS: Final[dict[str, dict[str, Any]]] = {
    "with what is the default": CHAT,
    "of two GPUs, with all that can be said": {
        **CHAT,
        "queue": "notebooks",
        "gpu": {"count": 2},
        "image": "registry.example.com/vllm:1",
        "command": ["serve"],
        "args": ["--max-model-len", "4096"],
        "cpu": 3,
        "memory": "5Gi",
        "memoryLimit": "6Gi",
        "sharedMemory": "2Gi",
        "startSeconds": 905,
        "cache": {"size": "20Gi", "storageClass": "fast"},
        "token": "hub",
        "test": {"prompt": "One and one is", "maxTokens": 9, "contains": "two"},
    },
    "of one GPU, with models of the team's": {**CHAT, "gpu": {"count": 1}, "modelVolume": {"claim": "models"}},
    "of some memory of a GPU": {**CHAT, "gpu": {"memoryMib": 8192}},
}
APPS: Final[dict[str, dict[str, Any]]] = {
    "with our page": {"kind": "app"},
    "with all that can be said": {
        "kind": "app",
        "queue": "notebooks",
        "image": "registry.example.com/demo:1",
        "command": ["demo", "--fast"],
        "port": 5000,
        "gpu": {"count": 1},
        "cpu": 3,
        "memory": "5Gi",
        "memoryLimit": "6Gi",
        "replicas": 3,
        "secrets": {"KEY": {"config": "key"}, "TOKEN": {"environment": "TOKEN"}},
        "expose": {"nodePort": 30500},
        "healthPath": "/ready",
    },
    "of a name": {"kind": "app", "expose": {"ingress": {"host": "a.example.com", "controllerNamespace": "ingress"}}},
}
INGRESSES: Final = (
    Ingress(host="a.example.com", controller_namespace="ingress"),
    Ingress(host="a.example.com", controller_namespace="ingress", class_name="nginx"),
)
CLUSTERS: Final[dict[str, dict[str, Any]]] = {
    "with what is the default": {"kind": "slurm", "gpu": {"count": 4}},
    "with all that can be said": {
        "kind": "slurm",
        "gpu": {"fraction": 0.5},
        "queue": "notebooks",
        "replicas": 2,
        "cpu": 8,
        "memory": "32Gi",
        "memoryLimit": "33Gi",
    },
}


def places() -> dict[str, Placement]:
    """Where the work of each kind of team goes."""
    found = parse_platform(
        raw(
            {
                "host.scheduler": {"version": "v0.16.8"},
                "artifacts": {"imagePullPolicy": "IfNotPresent"},
                "pools.gpu.taint": True,
                "pools.cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0},
                "teams.ml.scheduler": {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True},
                "teams.dev.pool": "cpu",
            }
        ),
        "test",
    )
    fake = parse_platform(raw({"gpu": {"stack": "fake"}, "teams.dev.pool": "gpu"}), "test")
    on_host = parse_platform(
        raw(
            {
                "host.scheduler": {"version": "v0.16.8"},
                "teams.ml.scheduler": {"mode": "host"},
                "teams.research": None,
            }
        ),
        "test",
    )
    return {
        "its own KAI": placement(resolve(found)["ml"], found),
        "no KAI, a pool without GPUs": placement(resolve(found)["dev"], found),
        "no pool": placement(resolve(on_host)["dev"], on_host),
        "the host's KAI": placement(resolve(on_host)["ml"], on_host),
        "no KAI, fake GPUs": placement(resolve(fake)["dev"], fake),
    }


def server(workload: Inference, place: Placement) -> dict[str, object]:
    image, token = inference_spec.image_of(workload), "chat-token" if workload.token else None
    deployment = inference_spec.deployment_spec("chat", workload, place, image, token)
    return {
        "image": image,
        "deployment": deployment,
        "claim": inference_spec.cache_spec(workload),
        "test": inference_spec.test_job_spec("chat", workload, place, "check:1", "code", deployment),
    }


def app(workload: App, place: Placement) -> dict[str, object]:
    secret = "demo-secrets" if workload.secrets else None
    page = "page" if app_spec.has_own_page(workload) else None
    return {
        "deployment": app_spec.deployment_spec("demo", workload, place, "demo:1", secret, page),
        "way in": app_spec.way_in("demo", workload),
    }


def everything() -> dict[str, object]:
    found = places()
    here = found["its own KAI"]
    usual: Spec = {"name": "usual"}
    return {
        "places": {name: asdict(place) for name, place in found.items()},
        "servers": {name: server(Inference(**said), here) for name, said in SERVERS.items()},
        "apps": {name: app(App(**said), here) for name, said in APPS.items()},
        "ingresses": [app_spec.ingress_spec(ingress, "demo-app") for ingress in INGRESSES],
        "workers": {
            name: {where: asdict(slurm.workers(SlurmWorkload(**said), place)) for where, place in found.items()}
            for name, said in CLUSTERS.items()
        },
        "pods": {
            name: {
                "of the first queue": pods.pod_template(place, "a", None, None, usual, []),
                "of a queue": pods.pod_template(place, "a", GpuShare(fraction=0.25), "notebooks", usual, [{}]),
            }
            for name, place in found.items()
        },
        "test of a server without a pool": inference_spec.test_job_spec(
            "chat", Inference(**CHAT), found["no pool"], "check:1", "code", {}
        ),
        "metadata": pods.metadata(here, "a"),
        "services": [
            pods.service_spec("a", 5000),
            pods.host_service_spec("ml", "a", 5000, None),
            pods.host_service_spec("ml", "a", 5000, 30500),
        ],
    }


def test_every_object_is_what_is_recorded() -> None:
    """Written anew with RECORD=1 in the environment."""
    found = json.loads(json.dumps(everything(), default=dict))
    if "RECORD" in os.environ:
        SPECS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    known = json.loads(SPECS.read_text(encoding="utf-8"))
    assert [f"{written(each.path)}: was {each.old}, is {each.new}" for each in differences(known, found)] == []


def test_memory_of_a_gpu_whose_size_nobody_says_is_no_argument() -> None:
    with pytest.raises(ValueError, match=r"gpu\.memoryMib needs the pool's gpuMemoryMib"):
        inference_spec.arguments(Inference(**{**CHAT, "gpu": {"memoryMib": 8192}}), None)


def test_an_image_or_a_command_of_the_teams_own_takes_the_place_of_our_page() -> None:
    assert app_spec.has_own_page(App(kind="app"))
    assert not app_spec.has_own_page(App(kind="app", image="registry.example.com/demo:1"))
    assert not app_spec.has_own_page(App(kind="app", command=("demo",)))


def test_a_stamp_follows_every_part_and_the_order_of_none() -> None:
    assert pods.stamp({"a": 1, "b": 2}, "code") == pods.stamp({"b": 2, "a": 1}, "code")
    assert pods.stamp({"a": 1}, "code") != pods.stamp({"a": 2}, "code")
    assert pods.stamp({"a": 1}, "code") != pods.stamp({"a": 1}, "other")


def test_without_a_gpu_of_its_own_the_old_app_serves_until_the_new_one_does() -> None:
    here = places()["its own KAI"]
    rolling = app_spec.deployment_spec("demo", App(kind="app"), here, "demo:1", None, None)
    assert rolling["strategy"] == {"type": "RollingUpdate"}
