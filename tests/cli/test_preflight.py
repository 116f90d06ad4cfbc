"""What preflight finds, each with its fix, on plain facts; at the end the same through a real HTTP API."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cli.preflight import (
    ClusterFacts,
    Finding,
    Level,
    NodeFacts,
    ObjectFacts,
    Right,
    Taint,
    compare,
    needed_rights,
)
from names import GPU_COUNT, GPU_MEMORY, GPU_PRODUCT
from settings.load import parse_platform
from settings.models import Platform, Snapshots, Vcluster
from tests.cli.conftest import Project
from tests.cli.fake_api import named, node

GIB = 1024**3


def platform(*, pool: dict[str, Any] | None = None, gpu: dict[str, Any] | None = None, **host: Any) -> Platform:
    """One pool `a` of two GPU nodes and one team `ml`."""
    return parse_platform(
        {
            "host": {"provider": "existing", "address": "10.0.0.5", **host},
            "gpu": {"stack": "devicePlugin", **(gpu or {})},
            "pools": {"a": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 4, **(pool or {})}},
            "teams": {
                "ml": {
                    "pool": "a",
                    "scheduler": {"mode": "virtual", "version": "v0.9.3"},
                    "resources": {"gpus": 4},
                    "queues": {"training": {"gpu": 4}},
                }
            },
        },
        "here",
    )


def gpu_node(name: str, **changes: Any) -> NodeFacts:
    """A Ready node with 4 GPUs, 64 CPUs and 512 GiB."""
    healthy = NodeFacts(name=name, ready=True, labels={}, gpus=4, cpu=Decimal(64), memory=Decimal(512 * GIB), pods=110)
    return replace(healthy, **changes)


def facts(*nodes: NodeFacts, **changes: Any) -> ClusterFacts:
    """A healthy cluster after an `up` of ours."""
    found = nodes or (gpu_node("gpu-0"), gpu_node("gpu-1"))
    healthy = ClusterFacts(
        version="v1.34.4",
        nodes={entry.name: entry for entry in found},
        runtime_classes={"nvidia": ObjectFacts(name="nvidia", ours=True, detail="nvidia")},
        storage_classes={"standard": True},
        namespaces={"team-ml": ObjectFacts(name="team-ml", ours=True)},
        node_ports={},
        device_plugins=[ObjectFacts(name="nvidia-device-plugin/x", ours=True)],
        gpu_operators=[],
    )
    return replace(healthy, **changes)


def found(what: Platform, where: ClusterFacts, *, ports: dict[str, int] | None = None) -> list[Finding]:
    """Everything but what is well."""
    every = compare(what, where, ports=ports or {})
    return [finding for finding in every if finding.level is not Level.OK and finding.id != "default-runtime"]


def one(what: Platform, where: ClusterFacts, **more: Any) -> Finding:
    """The only finding."""
    findings = found(what, where, **more)
    assert len(findings) == 1, findings
    return findings[0]


def test_a_cluster_as_the_file_says_has_nothing_to_mend() -> None:
    assert found(platform(), facts()) == []


def test_what_an_earlier_up_made_is_fine_and_so_is_an_empty_cluster() -> None:
    bare = (gpu_node("gpu-0", gpus=None), gpu_node("gpu-1", gpus=None))
    empty = facts(*bare, runtime_classes={}, namespaces={}, device_plugins=[])
    assert {finding.level for finding in found(platform(), empty)} == {Level.NOTE}


def test_a_node_that_the_cluster_lacks_names_the_nearest() -> None:
    finding = one(platform(), facts(gpu_node("gpu-0"), gpu_node("gpu-01")))
    assert (finding.id, finding.level) == ("node-missing", Level.ERROR)
    assert "gpu-1" in finding.subject
    assert "gpu-01" in finding.fix


@pytest.mark.parametrize(
    ("change", "id_", "level", "words"),
    [
        ({"ready": False}, "node-not-ready", Level.ERROR, "kubectl describe node gpu-1"),
        ({"cordoned": True}, "node-cordoned", Level.WARNING, "uncordon"),
        ({"pressures": ("DiskPressure",)}, "node-pressure", Level.ERROR, "DiskPressure"),
        ({"taints": (Taint(key="dedicated"),)}, "node-taint", Level.WARNING, "dedicated-"),
        ({"gpus": 2}, "gpus-fewer", Level.ERROR, "gpusPerNode: 2"),
        ({"gpus": 0}, "gpus-none", Level.ERROR, "device plugin"),
        ({"gpus": 8}, "gpus-more", Level.WARNING, "gpusPerNode: 8"),
        ({"pods": 60}, "node-pods", Level.ERROR, "podsPerNode: 60"),
        ({"used_cpu": Decimal("63.8")}, "node-full", Level.ERROR, "63.8 of its 64 CPUs"),
        ({"used_memory": Decimal(512 * GIB)}, "node-full-memory", Level.ERROR, "512Gi of its 512Gi"),
        ({"labels": {GPU_COUNT: "2"}}, "gpu-count-label", Level.ERROR, "says 2 physical GPUs"),
    ],
)
def test_what_is_wrong_with_a_node_is_named(change: dict[str, Any], id_: str, level: Level, words: str) -> None:
    finding = one(platform(), facts(gpu_node("gpu-0"), gpu_node("gpu-1", **change)))
    assert (finding.id, finding.level) == (id_, level)
    assert "gpu-1" in finding.subject
    assert words in f"{finding.message} {finding.fix}"


@pytest.mark.parametrize(
    ("pool", "change", "id_", "words"),
    [
        ({"architecture": "arm64"}, {"labels": {"kubernetes.io/arch": "amd64"}}, "node-arch", "architecture: amd64"),
        ({"product": "NVIDIA-H200"}, {"labels": {GPU_PRODUCT: "NVIDIA-L4"}}, "gpu-product", "product: NVIDIA-L4"),
        ({"gpuMemoryMib": 81920}, {"labels": {GPU_MEMORY: "40960"}}, "gpu-memory", "another GPU"),
        ({"gpuMemoryMib": 24576}, {"labels": {GPU_MEMORY: "23034"}}, "gpu-memory", "gpuMemoryMib: 23034"),
        ({"cpuPerNode": 64}, {"cpu": Decimal("63.9")}, "node-cpu", "cpuPerNode: 63.9"),
        ({"memoryPerNode": "512Gi"}, {"memory": Decimal(500 * GIB)}, "node-memory", "memoryPerNode: 500Gi"),
    ],
)
def test_what_the_file_says_of_a_node_is_compared(
    pool: dict[str, Any], change: dict[str, Any], id_: str, words: str
) -> None:
    finding = one(platform(pool=pool), facts(gpu_node("gpu-0"), gpu_node("gpu-1", **change)))
    assert (finding.id, finding.level) == (id_, Level.ERROR)
    assert words in f"{finding.message} {finding.fix}"


def test_a_label_that_an_earlier_run_of_ours_set_is_ours_to_change() -> None:
    ours = gpu_node("gpu-1", labels={GPU_MEMORY: "40960"}, ours=frozenset({GPU_MEMORY}))
    assert found(platform(pool={"gpuMemoryMib": 81920}), facts(gpu_node("gpu-0"), ours)) == []


def test_the_operator_s_labels_may_carry_a_suffix_for_sharing() -> None:
    shared = {GPU_PRODUCT: "NVIDIA-H200-SHARED"}
    nodes = facts(
        gpu_node("gpu-0", labels=shared), gpu_node("gpu-1", labels=shared),
        gpu_operators=[ObjectFacts(name="gpu-operator/gpu-operator", ours=False)],
    )  # fmt: skip
    operator = {"stack": "gpuOperator", "owner": "cluster", "runtimeClass": {"owner": "cluster"}}
    assert found(platform(gpu=operator, pool={"product": "NVIDIA-H200"}), nodes) == []


def test_replicas_come_with_up_and_wrong_ones_are_named() -> None:
    sharing = {"gpusPerNode": 1, "sharing": {"timeSlicing": {"replicas": 4}}}
    before = facts(gpu_node("gpu-0", gpus=1), gpu_node("gpu-1"))
    assert one(platform(pool=sharing), before).level is Level.NOTE
    wrong = facts(gpu_node("gpu-0", gpus=2), gpu_node("gpu-1"))
    assert "replicas to 2" in one(platform(pool=sharing), wrong).fix


def test_a_selector_must_find_as_many_nodes_as_the_file_says() -> None:
    pool = {"nodes": [], "selector": {"kind": "a100"}, "nodeCount": 3}
    nodes = facts(*(gpu_node(f"n{i}", labels={"kind": "a100"}) for i in range(2)), gpu_node("other"))
    finding = one(platform(pool=pool), nodes)
    assert finding.id == "selector"
    assert "finds 2 nodes, nodeCount says 3" in finding.message
    assert finding.fix == "set nodeCount: 2"


@pytest.mark.parametrize(
    ("gpu", "change", "id_", "words"),
    [
        ({}, {"runtime_classes": {"nvidia": ObjectFacts(name="nvidia", ours=False, detail="nvidia")}},
         "runtime-class-exists", "gpu.runtimeClass.owner: cluster"),
        ({"runtimeClass": {"owner": "cluster"}}, {"runtime_classes": {}},
         "runtime-class-missing", "gpu.runtimeClass.owner: ours"),
        ({"runtimeClass": {"owner": "cluster"}},
         {"runtime_classes": {"nvidia": ObjectFacts(name="nvidia", ours=False, detail="runc")}},
         "runtime-class-handler", "handler: runc"),
        ({}, {"device_plugins": [ObjectFacts(name="kube-system/plugin", ours=False)]},
         "plugin-exists", "gpu.owner: cluster"),
        ({}, {"gpu_operators": [ObjectFacts(name="gpu-operator/gpu-operator", ours=False)]},
         "operator-besides-plugin", "gpu.stack: gpuOperator"),
        ({"stack": "gpuOperator", "runtimeClass": {"owner": "cluster"}},
         {"gpu_operators": [ObjectFacts(name="x/gpu-operator", ours=False)]},
         "operator-exists", "gpu.owner: cluster"),
        ({"stack": "gpuOperator", "runtimeClass": {"owner": "cluster"}},
         {"device_plugins": [ObjectFacts(name="x/plugin", ours=False)]},
         "plugin-besides-operator", "brings its own"),
        ({"stack": "gpuOperator", "owner": "cluster", "runtimeClass": {"owner": "cluster"}}, {},
         "operator-missing", "gpu.owner: ours"),
        ({}, {"storage_classes": {"slow": False}}, "storage-default", "there are: slow"),
        ({}, {"namespaces": {"team-ml": ObjectFacts(name="team-ml", ours=False)}}, "namespace-exists",
         "rename the team"),
        ({}, {"denied": [Right(verb="create", group="rbac.authorization.k8s.io", resource="clusterroles")]},
         "rights", "grant create on clusterroles.rbac.authorization.k8s.io"),
        ({}, {"version": "v1.27.3"}, "version", "1.30"),
        ({}, {"version": "v1.29.9+k3s1"}, "version", "1.30"),
    ],
)  # fmt: skip
def test_what_the_cluster_has_or_lacks_against_the_declaration(
    gpu: dict[str, Any], change: dict[str, Any], id_: str, words: str
) -> None:
    finding = one(platform(gpu=gpu), facts(**change))
    assert (finding.id, finding.level) == (id_, Level.ERROR)
    assert words in f"{finding.message} {finding.fix}"


def test_a_named_storage_class_must_exist() -> None:
    finding = one(platform(storageClass="fast"), facts())
    assert finding.id == "storage-class"
    assert "standard" in finding.fix


def test_a_node_port_of_somebody_else_is_named_and_ours_is_fine() -> None:
    theirs = facts(node_ports={30123: ObjectFacts(name="web/shop", ours=False)})
    finding = one(platform(), theirs, ports={"ml": 30123})
    assert "web/shop" in finding.message
    ours = facts(node_ports={30123: ObjectFacts(name="team-ml/ml-api", ours=True)})
    assert found(platform(), ours, ports={"ml": 30123}) == []


def test_whether_nvidia_is_the_default_runtime_is_said_to_be_invisible() -> None:
    every = compare(platform(), facts(), ports={})
    note = next(finding for finding in every if finding.id == "default-runtime")
    assert note.level is Level.NOTE
    assert "not visible from the API" in note.message


def test_a_kind_that_may_not_be_listed_is_a_warning_and_not_taken_for_absent() -> None:
    blind = facts(runtime_classes=None, storage_classes=None, unreadable={"runtimeclasses": "forbidden"})
    finding = one(platform(), blind)
    assert (finding.id, finding.level) == ("unreadable", Level.WARNING)


def test_rights_follow_from_what_is_declared_as_ours() -> None:
    ours = {str(right) for right in needed_rights(platform())}
    theirs = {str(right) for right in needed_rights(platform(gpu={"runtimeClass": {"owner": "cluster"}}))}
    assert ours - theirs == {"create runtimeclasses.node.k8s.io", "delete runtimeclasses.node.k8s.io"}
    assert {"create clusterroles.rbac.authorization.k8s.io", "patch nodes", "create namespaces"} <= ours


def test_a_team_that_keeps_snapshots_needs_the_rights_for_their_volume_and_pod() -> None:
    plain = {str(right) for right in needed_rights(platform())}
    kept = platform()
    ml = kept.teams["ml"].model_copy(update={"vcluster": Vcluster(snapshots=Snapshots())})
    more = {str(right) for right in needed_rights(kept.model_copy(update={"teams": {**kept.teams, "ml": ml}}))}
    assert {right.partition(" ")[2] for right in more - plain} == {"persistentvolumeclaims", "pods"}


# --- through HTTP -----------------------------------------------------------------------------------------------------


def ids(project: Project, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Findings of `preflight --json` by id, with their level."""
    project.run("preflight", "--json")
    return {entry["id"]: entry["level"] for entry in json.loads(capsys.readouterr().out)}


def test_the_live_reading_sees_nodes_pods_classes_and_owners(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.api.objects["/api/v1/nodes"] = [
        node("gpu-0", gpus=2, spec={"taints": [{"key": "dedicated", "effect": "NoSchedule"}]})
    ]
    request = {"resources": {"requests": {"cpu": "63900m"}}, "name": "c"}
    running_pod = named("Pod", "v1", "greedy", metadata={"namespace": "other"},
                        spec={"nodeName": "gpu-0", "containers": [request]}, status={"phase": "Running"})  # fmt: skip
    project.api.objects["/api/v1/pods"] = [running_pod]
    project.api.objects["/api/v1/namespaces"] = [named("Namespace", "v1", "team-ml")]
    project.api.objects["/apis/node.k8s.io/v1/runtimeclasses"] = [
        named("RuntimeClass", "node.k8s.io/v1", "nvidia", handler="nvidia")
    ]
    project.api.denied = {("create", "clusterroles")}
    found_ids = ids(project, capsys)
    assert {key for key, level in found_ids.items() if level == "error"} == {
        "gpus-fewer", "no-node-for-control-planes", "node-full", "namespace-exists", "runtime-class-exists", "rights",
    }  # fmt: skip
    assert found_ids["node-taint"] == "warning"


def test_finished_pods_and_our_tenants_pods_do_not_fill_a_node(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"resources": {"requests": {"cpu": "63900m"}}, "name": "c"}
    spec = {"nodeName": "gpu-0", "containers": [request]}
    project.api.objects["/api/v1/pods"] = [
        named("Pod", "v1", "done", metadata={"namespace": "other"}, spec=spec, status={"phase": "Succeeded"}),
        named("Pod", "v1", "ours", metadata={"namespace": "team-ml"}, spec=spec, status={"phase": "Running"}),
    ]
    ours = {"labels": {"app.kubernetes.io/managed-by": "gpu-tenancy"}}
    project.api.objects["/api/v1/namespaces"] = [named("Namespace", "v1", "team-ml", metadata=ours)]
    assert "error" not in ids(project, capsys).values()


def test_a_refused_list_does_not_stop_the_rest(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.api.refused["/apis/node.k8s.io/v1/runtimeclasses"] = 403
    found_ids = ids(project, capsys)
    assert found_ids["unreadable"] == "warning"
    assert found_ids["pool"] == "ok"


def test_the_table_has_one_line_for_each_fix(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.api.objects["/api/v1/nodes"] = [node("gpu-1", gpus=4)]
    assert project.run("preflight") == 1
    said = capsys.readouterr()
    assert said.out == ""
    row = next(line for line in said.err.splitlines() if line.startswith("ERROR"))
    assert "gpu-0" in row
    assert "write gpu-1, the nearest name in the cluster" in row


class TestServiceMonitor:
    """Asked for without its CRD the chart would fail; nobody who does not ask is asked for rights."""

    ASKS = {"metrics": {"serviceMonitor": True}}  # noqa: RUF012

    @pytest.mark.parametrize(("there", "wanted"), [(True, "ok"), (False, "error"), (None, None)])
    def test_its_crd_must_be_there(self, there: bool | None, wanted: str | None) -> None:
        what = platform(gpu=self.ASKS)
        found = compare(what, facts(service_monitors=there), ports={})
        told = [finding.level.value for finding in found if finding.id == "service-monitor-crd"]
        assert told == ([] if wanted is None else [wanted])

    def test_it_is_read_only_where_it_is_asked_for(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/servicemonitors.monitoring.coreos.com"
        project.run("preflight")
        assert ("GET", crd) not in project.api.seen
        text = (project.root / "Pulumi.one.yaml").read_text()
        project.write(text.replace("{stack: fake}", "{stack: devicePlugin, metrics: {serviceMonitor: true}}"))
        assert project.run("preflight") == 1
        assert "the cluster has no CRD servicemonitors.monitoring.coreos.com" in capsys.readouterr().err
        kind = {"kind": "ServiceMonitor", "plural": "servicemonitors"}
        spec = {"group": "monitoring.coreos.com", "names": kind, "scope": "Namespaced", "versions": []}
        project.api.named[crd] = named("CustomResourceDefinition", "apiextensions.k8s.io/v1", "x", spec=spec)
        project.run("preflight")
        assert "the cluster has no CRD" not in capsys.readouterr().err

    def test_the_chart_s_rights_are_asked(self) -> None:
        needed = {str(right) for right in needed_rights(platform(gpu=self.ASKS))}
        assert "create servicemonitors.monitoring.coreos.com" in needed
        assert "create servicemonitors.monitoring.coreos.com" not in {str(r) for r in needed_rights(platform())}
        by_cluster = platform(gpu={"owner": "cluster", "metrics": {}})
        assert "create daemonsets.apps" in {str(right) for right in needed_rights(by_cluster)}
