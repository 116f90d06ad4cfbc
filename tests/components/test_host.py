"""The host cluster, its nodes and its GPU software: whole specs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

import tokens
from cli.guards import program as guards
from cli.guards.memory import Remembered
from tests.components.program import alone, lab
from tests.components.specs import OURS, made, parsed
from tests.conftest import Declare
from tests.recording import kubeconfig

TAINT = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]


def test_the_hosts_provider_is_known_by_the_stack_and_not_by_its_kubeconfig(declare: Declare) -> None:
    found = made(declare("lab"), "host")
    assert set(found) == {"provider", "check-namespace"}
    provider = dict(found["provider"].spec)
    assert parsed(provider.pop("kubeconfig")) == parsed(kubeconfig("unit"))
    assert provider == {"clusterIdentifier": "gpu-tenancy/unit/host"}
    assert found["check-namespace"].spec == {"metadata": {"name": "gpu-tenancy", "labels": OURS}}


def test_a_pools_nodes_get_labels_and_taint_and_lose_them_with_the_pool(declare: Declare) -> None:
    recorder = declare("lab")
    gpu, cpu = made(recorder, "a100")["gpu-0"], made(recorder, "cpu")["cpu-0"]
    assert gpu.spec == {
        "metadata": {
            "name": "gpu-0",
            "labels": {
                "gpu-tenancy/pool": "a100",
                "nvidia.com/gpu.present": "true",
                "nvidia.com/gpu.count": "4",
                "nvidia.com/gpu.memory": "81920",
                "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
            },
        },
        "spec": {"taints": TAINT},
    }
    assert cpu.spec == {"metadata": {"name": "cpu-0", "labels": {"gpu-tenancy/pool": "cpu"}}}
    for each in (gpu, cpu):
        assert (each.provider, each.retained, each.goes_with) == ("host-provider", False, "")


def test_a_node_that_moves_to_another_pool_keeps_its_patch_under_the_new_name(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second patch would be refused (409) as long as the first owns the labels. Other nodes have no former name."""
    # gpu-1 was in a100, gpu-0 stays, and what cpu-0 was called is what another node is called now
    was = {"gpu-1": "a100-gpu-1", "gpu-0": "a100-gpu-0", "cpu-0": "a100-gpu-0", "gone": "a100-gone"}
    monkeypatch.setattr(guards, "is_simulated", lambda: False)
    monkeypatch.setattr(guards, "refuse_the_lab", lambda *_, **__: None)
    monkeypatch.setattr(guards, "guard", lambda *_, **__: Remembered(patches=was))
    found = declare("lab", stack="made-before").of_type(tokens.NODE_PATCH)
    former = {each.name: [alias.spec.name for alias in each.options.aliases if alias.spec.name] for each in found}
    assert former == {"h200-gpu-1": ["a100-gpu-1"], "a100-gpu-0": [], "cpu-cpu-0": []}


def test_nodes_that_others_tainted_keep_the_value_and_the_teams_tolerate_it(declare: Declare) -> None:
    recorder = declare(lab("ml", pools__a100__taintValue="true"))
    taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
    assert made(recorder, "a100")["gpu-0"].spec["spec"] == {"taints": [taint]}
    synced = [
        found.inputs["values"]["sync"]["toHost"]["pods"]
        for found in recorder.of_type("kubernetes:helm.sh/v3:Release")
        if found.name == "ml-virtual-cluster-vcluster"
    ]
    tolerated = {value for pods in synced for value in pods.get("enforceTolerations", ())}
    assert tolerated == {"nvidia.com/gpu=true:NoSchedule"}


def test_a_divided_pools_nodes_say_whose_they_are_and_a_shared_gpu_how(declare: Declare) -> None:
    recorder = declare(alone("prod", "vision"))
    labels = made(recorder, "h200")["h200-3"].spec["metadata"]["labels"]
    # the GPU Operator's feature discovery writes the rest
    assert labels == {"gpu-tenancy/pool": "h200", "gpu-tenancy/team-vision": "true"}
    shared = next(iter(made(declare(alone("dev", "ml")), "gpu").values())).spec["metadata"]["labels"]
    assert shared["nvidia.com/device-plugin.config"] == "gpu"
    assert "nvidia.com/mps.capable" not in shared
    config = made(declare("dev"), "gpu-software")["nvidia-device-plugin"].spec["values"]["config"]["map"]["gpu"]
    assert yaml.safe_load(config)["sharing"]["timeSlicing"]["resources"] == [{"name": "nvidia.com/gpu", "replicas": 4}]


def test_beside_a_pool_shared_by_mps_nodes_that_share_nothing_say_so(declare: Declare) -> None:
    data = alone("dev", "ml")
    shared = data["teams"]["ml"]["pool"]
    data["pools"][shared]["sharing"] = {"mps": {"replicas": 4}}
    data["pools"]["whole"] = {"nodes": ["whole-0"], "gpusPerNode": 1}
    recorder = declare(data)
    labels = made(recorder, "whole")["whole-0"].spec["metadata"]["labels"]
    assert labels["nvidia.com/device-plugin.config"] == "default"
    config = made(recorder, "gpu-software")["nvidia-device-plugin"].spec["values"]["config"]
    assert config["default"] == shared
    assert yaml.safe_load(config["map"]["default"]) == {"version": "v1"}


def test_a_device_plugin_of_the_clusters_own_is_not_told_how_gpus_are_shared(declare: Declare) -> None:
    # it would look for an entry called like the pool, and end where it has none
    data = alone("dev", "ml")
    data["gpu"]["owner"] = "cluster"
    labels = next(iter(made(declare(data), "gpu").values())).spec["metadata"]["labels"]
    assert "nvidia.com/device-plugin.config" not in labels
    assert labels["nvidia.com/gpu.present"] == "true", "KAI reads the labels of GPUs"


def test_a_team_stands_on_the_nodes_that_it_sees_and_on_no_others(declare: Declare) -> None:
    def nodes(stack: str, team: str, pool: str) -> set[str]:
        needs = made(declare(alone(stack, team)), f"{team}-virtual-cluster")["vcluster"].needs
        return {name for name in needs if name.startswith(f"{pool}-")}

    assert nodes("prod", "vision", "h200") == {"h200-h200-3"}
    assert nodes("prod", "foundation", "h200") == {"h200-h200-0", "h200-h200-1", "h200-h200-2"}
    assert nodes("lab", "ml", "a100") == {"a100-gpu-0"}, "the whole pool"


def plugin(**artifacts: Any) -> dict[str, Any]:
    """The lab with a real device plugin on two GPUs a piece."""
    return lab(gpu={"stack": "devicePlugin"}, artifacts=artifacts, teams={})


def test_the_device_plugin_is_a_release_in_a_namespace_that_admits_it(declare: Declare) -> None:
    found = made(declare(plugin()), "gpu-software")
    assert {name: each.spec for name, each in found.items()} == {
        "runtime-class-nvidia": {"metadata": {"name": "nvidia", "labels": OURS}, "handler": "nvidia"},
        # two children of its namespace's name: the Namespace and the Release
        "nvidia-device-plugin": {
            "name": "nvidia-device-plugin",
            "namespace": "nvidia-device-plugin",
            "chart": "nvidia-device-plugin",
            "version": "0.20.0",
            "repositoryOpts": {"repo": "https://nvidia.github.io/k8s-device-plugin"},
            "values": {"gfd": {"enabled": False}, "nfd": {"enabled": False}, "runtimeClassName": "nvidia"},
            "atomic": True,
            "cleanupOnFail": True,
            "maxHistory": 5,
            "timeout": 600,
        },
    }
    needs = found["nvidia-device-plugin"].needs
    assert {"a100-gpu-0", "h200-gpu-1", "runtime-class-nvidia"} <= needs, "its pods go by the nodes' labels"
    namespace = declare(plugin()).one("kubernetes:core/v1:Namespace", "nvidia-device-plugin")
    assert namespace.metadata["labels"] == {**OURS, "pod-security.kubernetes.io/enforce": "privileged"}


def test_a_mirror_is_where_chart_and_images_come_from(declare: Declare) -> None:
    mirror = "registry.example.com"
    data = plugin(
        charts={"nvidia-device-plugin": f"oci://{mirror}/charts/nvidia-device-plugin"},
        imageRegistry=mirror,
        imagePullPolicy="IfNotPresent",
    )
    spec = made(declare(data), "gpu-software")["nvidia-device-plugin"].spec
    assert spec["chart"] == f"oci://{mirror}/charts/nvidia-device-plugin"
    assert "repositoryOpts" not in spec
    assert spec["values"]["image"]["repository"] == f"{mirror}/nvidia/k8s-device-plugin"
    assert spec["values"]["image"]["pullPolicy"] == "IfNotPresent"


def test_the_gpu_software_says_what_it_is_before_and_after(declare: Declare) -> None:
    recorder = declare(plugin())
    software = recorder.one("gpu-tenancy:index:GpuSoftware", "gpu-software")
    facts = {"stack": "devicePlugin", "owner": "ours", "version": "0.20.0", "runtimeClass": "nvidia"}
    assert software.inputs == facts
    [said] = [found for urn, found in recorder.outputs.items() if urn.endswith("::gpu-software")]
    assert said == facts


def test_what_is_the_clusters_own_is_left_alone(declare: Declare) -> None:
    recorder = declare(alone("prod", "vision"))
    assert not [each for each in recorder.resources if each.parent.endswith("::gpu-software")]
