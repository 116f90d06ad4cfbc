"""A stack that is there, previewed with the program of today, shows what is recorded, and nothing else.

The records are all that the program registers for some platforms: objects, the options of each, what components say.
A change that is meant to reach existing stacks writes them anew, by this file's tests with RECORD=1 in the environment,
and its line in CHANGELOG.md says what users will see. Code of checks and of hosts' scripts is left out.
"""

from __future__ import annotations

import itertools
import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from preview.differences import differences, written
from tests.components.program import lab
from tests.components.specs import last, plain
from tests.conftest import Declare
from tests.recording import SECRET_MARK, Recorder, Registered
from tests.settings.build import raw

RECORDS: Final = Path(__file__).parent / "recorded"
HOOKS: Final = ("before_create", "before_update", "after_update", "on_error")
CODE: Final = ("gpu-tenancy/stamp", "start.py", "code.json.bz2", "page.py", "completion.py")


def _least() -> dict[str, Any]:
    """One team of its own KAI on one node, and nothing that can be left out."""
    alone: dict[str, object] = {"teams.research": None, "teams.dev": None, "check.host": False}
    return raw({**alone, "teams.ml.check": {"enabled": False}, "teams.ml.queues": {"training": {"gpu": 2}}})


def _virtual() -> dict[str, Any]:
    """A team with all that a team can have in a virtual cluster, on fake GPUs and KAI's oldest line."""
    return lab("ml", checked=True, teams__ml__vcluster={"snapshots": {}}, host__storageClass="fast")


def _host() -> dict[str, Any]:
    """Teams of the host's KAI beside one of Kubernetes' own scheduler; real GPUs, shared; everything from a mirror."""
    return raw(
        {
            "host.scheduler": {"version": "v0.16.8"},
            "host.storageClass": "fast",
            "gpu": {"stack": "devicePlugin", "metrics": {"serviceMonitor": True}},
            "artifacts": {"imageRegistry": "mirror.example.com", "imagePullPolicy": "IfNotPresent"},
            "pools.gpu.taint": True,
            "teams.ml.scheduler": {"mode": "host", "gpuSharing": True},
            "teams.ml.isolation": "restricted",
            "teams.ml.vcluster": {"backingStore": "etcd"},
            "teams.ml.priority": "bestEffort",
            "teams.ml.check": {"fraction": 0.5},
            "teams.research.scheduler": {"mode": "host"},
            "teams.research.state": "paused",
        }
    )


def _workloads() -> dict[str, Any]:
    """A model server and an app of a team with KAI's default version and users of its own."""
    return raw(
        {
            "teams.research": None,
            "teams.ml.scheduler": {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True},
            "teams.ml.resources": {"gpus": 2, "cpu": 16, "memory": "64Gi"},
            "teams.ml.access": {"expose": "loadBalancer", "hostNames": ["ml.example.com"], "userKubeconfig": True},
            "teams.ml.workloads": {
                "chat": {
                    "kind": "inference",
                    "queue": "training",
                    "model": "Qwen/Qwen2.5-1.5B-Instruct",
                    "weights": "3G",
                    "gpu": {"fraction": 0.5},
                    "cpu": 2,
                    "memory": "4Gi",
                    "cache": {"size": "20Gi"},
                },
                "demo": {
                    "kind": "app",
                    "queue": "notebooks",
                    "image": "registry.example.com/demo:1.0",
                    "port": 5000,
                    "gpu": {"count": 1},
                    "expose": {"nodePort": 30500},
                },
            },
        }
    )


SSH: Final = {"user": "ubuntu", "hostKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample"}
SECRETS: Final = {name: f"{name}-of-the-stack" for name in ("host", "batch", "hub", "api")}


def _made() -> dict[str, Any]:
    """A host that is made over ssh, a GPU Operator of ours, a KAI of the cluster's, SLURM on another host; secrets."""
    charts = {"gpu-operator": "https://charts.example.com/gpu", "vcluster": "https://charts.example.com/vcluster"}
    chat = {"kind": "inference", "model": "Qwen/Qwen3-0.6B", "weights": "2G", "gpu": {"count": 1}, "token": "hub"}
    return raw(
        {
            "host": {
                "provider": "microk8s",
                "address": "10.0.0.5",
                "microk8s": {},
                "connection": {"ssh": {**SSH, "host": "10.0.0.5", "key": "host"}, "sudo": True},
                "scheduler": {"version": "v0.16.8", "owner": "cluster"},
            },
            "gpu": {
                "stack": "gpuOperator",
                "runtimeClass": {"name": "gpus", "owner": "cluster"},
                "metrics": {"serviceMonitor": True, "labels": {"release": "prometheus"}},
            },
            "artifacts": {"charts": charts, "imageRegistry": "mirror.example.com", "imagePullPolicy": "IfNotPresent"},
            "pools.gpu.sharing": {"mig": {"strategy": "single", "profile": "1g.10gb", "slices": 2}},
            "slurm": {
                "host": "batch-0",
                "gpus": 2,
                "connection": {"ssh": {**SSH, "host": "10.0.0.9", "port": 2222, "key": "batch"}},
            },
            "teams.ml.scheduler": {"mode": "host"},
            "teams.ml.resources": {"gpus": 2, "cpu": 16, "memory": "64Gi"},
            "teams.ml.access": {"expose": "none"},
            "teams.ml.workloads": {"chat": chat},
            "teams.research": None,
            "teams.dev.resources": {"cpu": 4, "memory": "8Gi"},
            "teams.dev.vcluster": {"persistence": False},
            "teams.dev.workloads": {"demo": {"kind": "app", "secrets": {"API_KEY": {"config": "api"}}}},
        }
    )


def _kind() -> dict[str, Any]:
    """A kind cluster here, with all that is ours on it: GPUs shared by MPS in an injection mode, a KAI with all that it
    can do, which enforces; metrics; a way in by name. Pools by name and by labels; one team may be deleted."""
    shared = {"gpusPerNode": 1, "gpuMemoryMib": 24576, "podsPerNode": 250}
    enforced = {"mode": "host", "gpuSharing": {"enforce": "memory"}}
    soon = str(date.today() + timedelta(days=30))
    ingress = {"host": "demo.example.com", "className": "nginx", "controllerNamespace": "ingress-nginx"}
    return raw(
        {
            "host": {
                "provider": "kind",
                "address": "127.0.0.1",
                "kind": {"gpus": "each", "workers": 2, "ports": [30080], "metricsServer": True},
                "scheduler": {"version": "v0.16.8", "scaleAdjuster": True},
            },
            "gpu": {
                "stack": "devicePlugin",
                "runtimeClass": {"name": "gpus", "handler": "nvidia"},
                "injection": "cdi-cri",
                "metrics": {"labels": {}},
            },
            "artifacts": {
                "charts": {
                    "nvidia-device-plugin": "oci://mirror.example.com/charts/nvidia-device-plugin",
                    "dcgm-exporter": "oci://mirror.example.com/charts/dcgm-exporter",
                },
            },
            "pools": {
                "gpu": {"nodes": ["gpu-tenancy-worker"], "topology": ["kubernetes.io/hostname"], **shared},
                "more": {
                    **shared,
                    "selector": {"example.com/more": "yes"},
                    "nodeCount": 1,
                    "sharing": {"mps": {"replicas": 4}},
                },
            },
            "teams.ml.scheduler": enforced,
            "teams.ml.isolation": "privileged",
            "teams.ml.resources": {"gpus": 1},
            "teams.ml.queues": {"training": {"gpu": 1}},
            "teams.ml.check": {"enabled": False},
            "teams.ml.workloads": {"page": {"kind": "app", "gpu": {"count": 1}}},
            "teams.research.pool": "more",
            "teams.research.scheduler": {"mode": "virtual", "version": "v0.7.11"},
            "teams.dev.workloads": {
                "demo": {"kind": "app", "command": ["serve"], "expose": {"nodePort": 30500}},
                "named": {"kind": "app", "expose": {"ingress": ingress}},
            },
            "overrides": [{"team": "research", "allow": ["delete"], "until": soon, "reason": "it moves elsewhere"}],
        }
    )


PLATFORMS: Final = {
    "least": _least,
    "virtual": _virtual,
    "host": _host,
    "workloads": _workloads,
    "made": _made,
    "kind": _kind,
}


def recorded(recorder: Recorder) -> dict[str, Any]:
    """Everything registered, by type and name; options that say nothing are left out."""
    found = {f"{each.type} {each.name}": _row(each) for each in recorder.resources}
    found["outputs"] = {last(urn): plain(said) for urn, said in recorder.outputs.items()}
    found["exports"] = plain(recorder.exports)
    again: dict[str, Any] = json.loads(json.dumps(found))
    return again


def _row(each: Registered) -> dict[str, Any]:
    options: Any = each.options
    row: dict[str, Any] = {
        "inputs": _without_code(plain(each.inputs)),
        "secret": sorted(key for key, value in each.inputs.items() if SECRET_MARK in json.dumps(value, default=str)),
        "parent": last(each.parent),
        "provider": last(each.provider.rpartition("::")[0]),
        "needs": sorted({last(urn) for urn in each.dependencies}),
        "goesWith": last(each.deleted_with),
        "read": each.read,
    }
    if not each.read:
        hooks = {event: list(getattr(options.hooks, event)) for event in HOOKS}
        row |= {
            "protected": options.protect,
            "retained": options.retainOnDelete,
            "oldGoesFirst": options.deleteBeforeReplace,
            "replacedOn": list(options.replaceOnChanges),
            "replacedWith": options.replacement_trigger.string_value,
            "ignored": list(options.ignoreChanges),
            "secretOutputs": list(options.additionalSecretOutputs),
            "timeout": options.customTimeouts.create,
            "hooks": {event: names for event, names in hooks.items() if names},
        }
    return {key: value for key, value in row.items() if value or key == "inputs"}


def _exports(line: str) -> bool:
    return line.startswith("export ")


def _without_code(value: Any) -> Any:
    """The same without code, and what changes with it. What a check expects is compared whole in `test_job.py`."""
    if isinstance(value, list):
        return [_without_code(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("name") in ("GPU_CHECK_EXPECT", "GPU_CHECK_THIRD"):
        return {**value, "value": "..."}
    if "stdin" in value:  # a host's script, behind what it is told
        lines = value["stdin"].splitlines()
        told = itertools.takewhile(_exports, itertools.dropwhile(lambda line: not _exports(line), lines))
        value = {**value, "stdin": [*told]}
    return {key: "..." if key in CODE else _without_code(item) for key, item in value.items()}


@pytest.mark.parametrize("name", PLATFORMS)
def test_it_shows_what_is_recorded_and_nothing_else(declare: Declare, name: str) -> None:
    found = recorded(declare(PLATFORMS[name](), secrets=SECRETS))
    file = RECORDS / f"{name}.json"
    if "RECORD" in os.environ:
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    known = json.loads(file.read_text(encoding="utf-8"))
    changed = [f"{written(each.path)}: was {each.old}, is {each.new}" for each in differences(known, found)]
    assert changed == []
