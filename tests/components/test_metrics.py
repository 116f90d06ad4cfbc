"""dcgm-exporter: a release beside the device plugin, or a switch of the GPU Operator; nobody gets it unasked."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from policies.config import PolicyConfig
from policies.run import config_for, evaluate
from tests.components.program import lab
from tests.components.specs import OURS, made
from tests.conftest import Declare
from tests.policies.test_program import resources
from tests.settings.build import mistakes

MONITOR = {"serviceMonitor": True, "labels": {"release": "prometheus"}}
OPERATOR = {"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}


def plugin(metrics: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """The lab with a real device plugin."""
    return lab(gpu={"stack": "devicePlugin", **({} if metrics is None else {"metrics": metrics})}, teams={}, **more)


def test_it_is_a_release_of_its_own_on_gpu_nodes_alone(declare: Declare) -> None:
    found = made(declare(plugin(MONITOR)), "gpu-software")["dcgm-exporter"]
    assert found.spec == {
        "name": "dcgm-exporter",
        "namespace": "dcgm-exporter",
        "chart": "dcgm-exporter",
        "version": "4.8.2",
        "repositoryOpts": {"repo": "https://nvidia.github.io/dcgm-exporter/helm-charts"},
        "values": {
            "runtimeClassName": "nvidia",
            "nodeSelector": {"nvidia.com/gpu.present": "true"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "serviceMonitor": {"enabled": True, "additionalLabels": {"release": "prometheus"}},
        },
        "atomic": True,
        "cleanupOnFail": True,
        "maxHistory": 5,
        "timeout": 600,
    }
    namespace = declare(plugin(MONITOR)).one("kubernetes:core/v1:Namespace", "dcgm-exporter")
    assert namespace.metadata["labels"] == {**OURS, "pod-security.kubernetes.io/enforce": "privileged"}


def test_no_service_monitor_is_made_unasked(declare: Declare) -> None:
    values = made(declare(plugin({})), "gpu-software")["dcgm-exporter"].spec["values"]
    assert values["serviceMonitor"] == {"enabled": False}


def test_nobody_gets_it_unasked(declare: Declare) -> None:
    assert "dcgm-exporter" not in made(declare(plugin(None)), "gpu-software")


def test_a_mirror_is_where_chart_and_image_come_from(declare: Declare) -> None:
    mirror = "registry.example.com"
    charts = {"dcgm-exporter": f"oci://{mirror}/charts/dcgm-exporter"}
    spec = made(declare(plugin({}, artifacts={"charts": charts, "imageRegistry": mirror})), "gpu-software")
    found = spec["dcgm-exporter"].spec
    assert found["chart"] == f"oci://{mirror}/charts/dcgm-exporter"
    assert found["values"]["image"] == {"repository": f"{mirror}/nvidia/k8s/dcgm-exporter"}


@pytest.mark.parametrize(
    ("metrics", "wanted"),
    [
        (None, {"enabled": False}),
        ({}, {"enabled": False}),
        (MONITOR, {"enabled": True, "additionalLabels": {"release": "prometheus"}}),
    ],
)
def test_our_gpu_operator_has_it_anyway_and_makes_the_service_monitor_where_it_is_asked(
    declare: Declare, metrics: dict[str, Any] | None, wanted: dict[str, Any]
) -> None:
    gpu = {**OPERATOR, **({} if metrics is None else {"metrics": metrics})}
    found = made(declare(lab(gpu=gpu, teams={})), "gpu-software")
    assert found["gpu-operator"].spec["values"]["dcgmExporter"]["serviceMonitor"] == wanted
    assert "dcgm-exporter" not in found


def test_it_breaks_no_rule_of_the_policies(declare: Declare) -> None:
    config = PolicyConfig(limits=config_for("lab").limits)
    found = evaluate(resources(declare, "lab", platform=plugin(MONITOR)), config, today=date(2026, 11, 22))
    assert [v.message for result in found for v in result.violations] == []


@pytest.mark.parametrize(
    ("gpu", "says"),
    [
        (
            {"stack": "fake", "metrics": {}},
            "gpu.metrics: has no meaning with stack fake: no GPU is real; remove it",
        ),
        (
            {**OPERATOR, "owner": "cluster", "metrics": {}},
            "gpu.metrics: the cluster's GPU Operator brings its own dcgm-exporter, got owner: cluster; "
            "remove it, and set dcgmExporter.serviceMonitor in that operator's values",
        ),
        (
            {"stack": "devicePlugin", "metrics": {"labels": {"a": "b"}}},
            "gpu.metrics.labels: are labels of the ServiceMonitor, got serviceMonitor: false; "
            "set serviceMonitor: true, or remove them",
        ),
    ],
)
def test_where_it_can_t_be_had_the_file_is_refused(gpu: dict[str, Any], says: str) -> None:
    assert mistakes({"gpu": gpu}) == [says]


def test_beside_a_device_plugin_of_the_cluster_s_it_is_ours_all_the_same() -> None:
    assert mistakes({"gpu": {"stack": "devicePlugin", "owner": "cluster", "metrics": {}}}) == []
