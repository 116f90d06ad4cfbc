"""The whole row of each finding about the cluster, software and teams, as `preflight.txt` has it; and rights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from cli.preflight import Fence, ObjectFacts, Right, Taint, needed_rights
from settings.load import parse_platform
from tests.cli.one_pool import BY_OPERATOR, OPERATOR, PLUGIN, facts, node, platform
from tests.cli.told import BY_CLUSTER, HOST_KAI, THEIRS, Cases, as_recorded, changed, without

FILE: Final = Path(__file__).with_name("preflight.txt")
OURS: Final = {"stack": "gpuOperator", "runtimeClass": {"owner": "cluster"}}
FENCED: Final = Fence(since="2026-11-20", reason="Xid 79", cordoned_before=False)
GONE: Final = Taint(key="node.kubernetes.io/not-ready")
WEB: Final = {"kind": "app", "cpu": "100m", "memory": "128Mi", "port": 80, "expose": {"nodePort": 30080}}
CHAT: Final = {"kind": "inference", "model": "a/b", "weights": "1G", "gpu": {"count": 1}, "cache": {"size": "5Gi"}}


def cases() -> Cases:
    return {
        "all is well": (changed(), facts()),
        "an unknown version": (changed(), facts(version="newest")),
        "the oldest version": (changed(), facts(version="v1.30.1")),
        "an older version": (changed(), facts(version="v1.29.9")),
        # fences
        "a fenced node": (changed(), facts(node(cordoned=True, fence=FENCED))),
        "a fence that is open": (changed(), facts(node(fence=FENCED))),
        "a fence of two teams": (
            parse_platform(
                {
                    "host": {"provider": "existing", "address": "10.0.0.5"},
                    "gpu": {"stack": "devicePlugin"},
                    "pools": {"a": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 1}},
                    "teams": {
                        name: {
                            "pool": "a",
                            "nodes": [f"gpu-{number}"],
                            "scheduler": {"mode": "virtual", "version": "v0.16.8"},
                            "resources": {"gpus": 1, "pods": 20},
                            "queues": {"work": {"gpu": 1}},
                        }
                        for number, name in enumerate(("ml", "bio"))
                    },
                },
                "here",
            ),
            facts(
                *(node(name=f"gpu-{number}", gpus=1, gpu_capacity=1, cordoned=True, fence=FENCED) for number in (0, 1))
            ),
        ),
        # software
        "a fence of two teams that share a pool": (
            parse_platform(
                {
                    "host": HOST_KAI,
                    "gpu": {"stack": "devicePlugin"},
                    "pools": {"a": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 1}},
                    "teams": {
                        name: {
                            "pool": "a",
                            "scheduler": {"mode": "host"},
                            "resources": {"gpus": 1, "pods": 20},
                            "queues": {"work": {"gpu": 1}},
                        }
                        for name in ("ml", "bio")
                    },
                },
                "here",
            ),
            facts(
                node(gpus=1, gpu_capacity=1, cordoned=True, fence=FENCED), node(name="gpu-1", gpus=1, gpu_capacity=1)
            ),
        ),
        "their operator": (platform(gpu=THEIRS), facts(device_plugins=[BY_OPERATOR], gpu_operators=[OPERATOR])),
        "no operator of theirs": (platform(gpu=THEIRS), facts(device_plugins=[])),
        "no operator of theirs, and none of the nodes' plugins": (
            platform(gpu=THEIRS),
            facts(node(gpus=None), device_plugins=[]),
        ),
        "an operator of ours": (platform(gpu=OURS), facts(device_plugins=[], gpu_operators=[])),
        "an operator of ours is there": (
            platform(gpu=OURS),
            facts(device_plugins=[], gpu_operators=[ObjectFacts(name="gpu-operator/x", ours=True)]),
        ),
        "no plugin of theirs": (platform(gpu=BY_CLUSTER), facts(node(gpus=None, gpu_capacity=None), device_plugins=[])),
        "a plugin of theirs": (platform(gpu=BY_CLUSTER), facts(device_plugins=[PLUGIN])),
        "fakes": (
            platform(gpu={"stack": "fake"}, sharing=True),
            facts(device_plugins=[PLUGIN], gpu_operators=[OPERATOR], runtime_classes={}),
        ),
        "a monitor": (platform(gpu={"metrics": {"serviceMonitor": True}}), facts(service_monitors=True)),
        "no kind of monitors": (platform(gpu={"metrics": {"serviceMonitor": True}}), facts(service_monitors=False)),
        "metrics without a monitor": (platform(gpu={"metrics": {}}), facts(service_monitors=False)),
        "a RuntimeClass to come": (changed(), facts(runtime_classes={})),
        "RuntimeClasses that can't be read": (platform(kai="v0.9.3", sharing=True), facts(runtime_classes=None)),
        "a RuntimeClass that KAI names": (
            platform(kai="v0.9.3", sharing=True, gpu={"runtimeClass": {"name": "other"}}),
            facts(runtime_classes={}),
        ),
        "a RuntimeClass that KAI names on fakes": (
            platform(kai="v0.9.3", sharing=True, gpu={"stack": "fake", "runtimeClass": {"name": "other"}}),
            facts(runtime_classes={}),
        ),
        # teams
        "control planes on tainted nodes": (
            changed(pools={"b": {"nodes": ["gpu-1"], "gpusPerNode": 8, "taint": True}}),
            replace(
                facts(), nodes={f"n{number}": node(name=f"n{number}", taints=(Taint(key="t"),)) for number in range(6)}
            ),
        ),
        "control planes on our tainted nodes": (
            without(taint=True),
            replace(
                facts(),
                nodes={
                    "gpu-0": node(taints=(Taint(key="nvidia.com/gpu", value="present"),), taints_are_ours=True),
                    "n1": node(name="n1", taints=(Taint(key="t"),)),
                },
            ),
        ),
        "control planes beside a node of ours that is freed": (
            changed(),
            replace(
                facts(),
                nodes={
                    "gpu-0": node(taints=(Taint(key="nvidia.com/gpu", value="x"),), taints_are_ours=True),
                    "n1": node(name="n1", taints=(Taint(key="t"),)),
                },
            ),
        ),
        "control planes beside a node of theirs": (
            changed(),
            replace(
                facts(),
                nodes={
                    "gpu-0": node(taints=(Taint(key="t"),), taints_are_ours=True),
                    "n1": node(name="n1", taints=(Taint(key="nvidia.com/gpu", value="x"),)),
                },
            ),
        ),
        "control planes beside a node that is away": (
            changed(),
            replace(facts(), nodes={"gpu-0": node(taints=(GONE,)), "n1": node(name="n1", taints=(Taint(key="t"),))}),
        ),
        "volumes without any class": (changed(), facts(storage_classes={})),
        "volumes of a class that is not there": (
            changed(host={"provider": "existing", "address": "10.0.0.5", "storageClass": "fast"}),
            facts(storage_classes={}),
        ),
        "volumes of a class that is there": (
            changed(host={"provider": "existing", "address": "10.0.0.5", "storageClass": "slow"}),
            facts(storage_classes={"slow": False}),
        ),
        "no volumes": (changed({"vcluster": {"persistence": False}}), facts(storage_classes={})),
        "a cache without any class": (
            changed({"workloads": {"chat": CHAT}, "vcluster": {"persistence": False}}),
            facts(storage_classes={}),
        ),
        "a cache of a class that is not there": (
            changed(
                {
                    "workloads": {"chat": {**CHAT, "cache": {"size": "5Gi", "storageClass": "fast"}}},
                    "vcluster": {"persistence": False},
                }
            ),
            facts(storage_classes={}),
        ),
        "a cache of a class that is there": (
            changed(
                {
                    "workloads": {"chat": {**CHAT, "cache": {"size": "5Gi", "storageClass": "slow"}}},
                    "vcluster": {"persistence": False},
                }
            ),
            facts(storage_classes={"slow": False}),
        ),
        "an app, where there is no class": (
            changed({"workloads": {"web": WEB}, "vcluster": {"persistence": False}}),
            facts(storage_classes={}),
        ),
        "namespaces that end": (
            changed(gpu={"stack": "gpuOperator", "runtimeClass": {"owner": "cluster"}, "metrics": {}}, host=HOST_KAI),
            facts(
                ending=frozenset(
                    {"team-ml", "gpu-tenancy", "kai-scheduler", "gpu-operator", "dcgm-exporter", "nvidia-device-plugin"}
                )
            ),
        ),
        "namespaces of the device plugin that end": (
            changed(gpu={"stack": "devicePlugin", "metrics": {}}),
            facts(ending=frozenset({"dcgm-exporter", "nvidia-device-plugin"})),
        ),
        "a namespace of another": (
            changed(),
            facts(namespaces={"team-ml": ObjectFacts(name="team-ml", ours=False, detail="since May")}),
        ),
        "namespaces that can't be read": (changed(), facts(namespaces=None, ending=frozenset({"team-ml"}))),
        "ports that can't be read": (changed(), facts(node_ports=None)),
        "a port of another": (
            changed({"workloads": {"web": WEB}}),
            facts(
                node_ports={
                    30080: ObjectFacts(name="x/y", ours=False),
                    30443: ObjectFacts(name="team-ml/old", ours=True),
                }
            ),
        ),
        "a port of its own": (
            changed({"workloads": {"web": WEB}}),
            facts(
                node_ports={
                    30080: ObjectFacts(name="team-ml/web-app", ours=True),
                    30443: ObjectFacts(name="team-ml/ml-api", ours=True),
                }
            ),
        ),
        "an older Kubernetes inside": (
            changed({"vcluster": {"version": "0.34.7", "kubernetesVersion": "v1.33.4"}}),
            facts(),
        ),
        "an older Kubernetes than runs": (changed(), facts(kubernetes_inside={"team-ml": "v1.36.0"})),
        # rights
        "rights that are denied": (
            changed(),
            facts(
                denied=[
                    Right(verb="create", group="", resource="pods"),
                    Right(verb="delete", group="apps", resource="statefulsets"),
                ]
            ),
        ),
        "rights that can't be read": (changed(), facts(unreadable={"rights": "403"})),
    }


def test_what_preflight_says_of_the_cluster_is_as_recorded() -> None:
    """Written anew with RECORD=1 in the environment."""
    as_recorded(cases(), FILE)


ALWAYS: Final = (
    "namespaces resourcequotas limitranges secrets configmaps services serviceaccounts statefulsets.apps jobs.batch "
    "networkpolicies.networking.k8s.io roles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io "
    "clusterroles.rbac.authorization.k8s.io clusterrolebindings.rbac.authorization.k8s.io "
    "priorityclasses.scheduling.k8s.io validatingadmissionpolicies.admissionregistration.k8s.io "
    "validatingadmissionpolicybindings.admissionregistration.k8s.io"
)
CLASSES: Final = "runtimeclasses.node.k8s.io"
CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"
SHARED_BY_OTHERS: Final = {**HOST_KAI, "scheduler": {"version": "v0.9.3", "owner": "cluster"}}


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ({}, f"{CLASSES} daemonsets.apps"),
        ({"gpu": {"stack": "devicePlugin", **BY_CLUSTER}}, ""),
        ({"gpu": {"stack": "devicePlugin", **BY_CLUSTER, "metrics": {}}}, "daemonsets.apps"),
        ({"gpu": {"stack": "devicePlugin", "metrics": {}}}, f"{CLASSES} daemonsets.apps"),
        ({"gpu": OURS}, f"daemonsets.apps {CRDS}"),
        ({"gpu": THEIRS}, ""),
        ({"gpu": {"stack": "fake"}}, CLASSES),
        ({"host": HOST_KAI}, f"{CLASSES} daemonsets.apps {CRDS}"),
        ({"host": SHARED_BY_OTHERS}, f"{CLASSES} daemonsets.apps"),
        ({"team": {"vcluster": {"snapshots": {}}}}, f"{CLASSES} daemonsets.apps persistentvolumeclaims pods"),
    ],
)
def test_what_up_makes_it_must_be_allowed_to_make_and_to_remove(what: dict[str, Any], more: str) -> None:
    wanted = [f"{verb} {kind}" for kind in (*ALWAYS.split(), *more.split()) for verb in ("create", "delete")]
    found = [str(right) for right in needed_rights(changed(**what))]
    assert sorted(found) == sorted([*wanted, "patch nodes", "list pods"]), "each is asked once"
