"""What is read from the cluster, through a real HTTP API: whose a thing is, and what pods and nodes add up to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lightkube.models.core_v1 import (
    Container,
    EnvVar,
    HostPathVolumeSource,
    PodSpec,
    ResourceRequirements,
    Toleration,
    Volume,
)

from capacity import api_quantity
from cli.live import is_device_plugin, request
from releases import SharingConfig, sharing_config
from tests.cli.conftest import Project
from tests.cli.fake_api import named, node

PLUGIN_STACK = """\
config:
  gpu-tenancy:platform:
    host: {provider: existing, context: here, address: 127.0.0.1}
    gpu: {stack: STACK, owner: OWNER, runtimeClass: {owner: cluster}}
    pools:
      a: {nodes: [gpu-0], gpusPerNode: 4}
    teams:
      ml:
        pool: a
        scheduler: {mode: virtual, version: v0.16.8}
        resources: {gpus: 2}
        queues: {training: {gpu: 2}}
"""
MANAGED = "nvidia-gpu-device-plugin-large-cos"
OURS = {"labels": {"app.kubernetes.io/managed-by": "gpu-tenancy"}}


def asks(**resources: str) -> ResourceRequirements:
    return ResourceRequirements(requests=dict(resources))


def container(name: str = "c", image: str = "registry.example/x", **more: Any) -> Container:
    return Container(name=name, image=image, **more)


def plugin_folder(path: str = "/var/lib/kubelet/device-plugins") -> list[Volume]:
    return [Volume(name="sockets", hostPath=HostPathVolumeSource(path=path))]


class TestDevicePlugins:
    """Recognised by what they do; names are as their makers like them."""

    @pytest.mark.parametrize(
        ("name", "spec"),
        [
            (
                "nvidia-device-plugin-daemonset",
                PodSpec(containers=[container(image="nvcr.io/nvidia/k8s-device-plugin")]),
            ),
            (MANAGED, PodSpec(containers=[container(image="registry.example/nvidia-gpu-device-plugin@sha256:0")])),
            ("gpu-agent", PodSpec(containers=[container(image="cloud.example/nvidia-gpu")], volumes=plugin_folder())),
            (
                "hami-device-plugin",
                PodSpec(
                    containers=[container(env=[EnvVar(name="NVIDIA_MIG_MONITOR_DEVICES")])], volumes=plugin_folder()
                ),
            ),
            (
                "accelerators",
                PodSpec(
                    containers=[container(args=["--resource=nvidia.com/gpu"])],
                    volumes=plugin_folder("/var/snap/microk8s/common/var/lib/kubelet/device-plugins/"),
                ),
            ),
            ("agent", PodSpec(containers=[container()], runtimeClassName="nvidia", volumes=plugin_folder())),
            (MANAGED, None),
        ],
    )
    def test_a_plugin_under_any_name_is_one(self, name: str, spec: PodSpec | None) -> None:
        assert is_device_plugin(name, spec)

    @pytest.mark.parametrize(
        ("name", "spec"),
        [
            ("nvidia-device-plugin-mps-control-daemon", PodSpec(containers=[container("mps-control-daemon-ctr")])),
            ("nvidia-device-plugin-gpu-feature-discovery", PodSpec(containers=[container("gpu-feature-discovery")])),
            ("dcgm-exporter", PodSpec(containers=[container(image="nvcr.io/nvidia/k8s/dcgm-exporter")])),
            ("amdgpu-device-plugin", PodSpec(containers=[container(image="rocm/k8s-device-plugin")])),
            (
                "intel-gpu-plugin",
                PodSpec(containers=[container(image="intel/intel-gpu-plugin")], volumes=plugin_folder()),
            ),
            # everybody tolerates the GPU nodes' taint
            (
                "sriov-device-plugin",
                PodSpec(
                    containers=[container(image="sriov-network-device-plugin")],
                    tolerations=[Toleration(key="nvidia.com/gpu", operator="Exists")],
                    volumes=plugin_folder(),
                ),
            ),
        ],
    )
    def test_what_only_sounds_like_a_device_plugin_is_none(self, name: str, spec: PodSpec) -> None:
        assert not is_device_plugin(name, spec)


class TestRequests:
    """What the scheduler counts."""

    def test_containers_are_added_and_the_largest_init_container_counts_where_it_is_more(self) -> None:
        spec = PodSpec(
            containers=[container(resources=asks(cpu="500m")), container(resources=asks(cpu="1"))],
            initContainers=[container(resources=asks(cpu="2")), container(resources=asks(cpu="1"))],
        )
        assert request(spec, "cpu") == api_quantity("2")

    def test_a_sidecar_is_added_to_all_that_start_after_it(self) -> None:
        spec = PodSpec(
            containers=[container(resources=asks(cpu="1"))],
            initContainers=[
                container(resources=asks(cpu="250m")),
                container(resources=asks(cpu="300m"), restartPolicy="Always"),
                container(resources=asks(cpu="200m"), restartPolicy="Always"),
            ],
        )
        assert request(spec, "cpu") == api_quantity("1500m")

    def test_an_init_container_runs_beside_the_sidecars_before_it_alone(self) -> None:
        sidecar = container(resources=asks(cpu="1"), restartPolicy="Always")
        big = container(resources=asks(cpu="2"))
        small = [container(resources=asks(cpu="100m"))]
        assert request(PodSpec(containers=small, initContainers=[sidecar, big]), "cpu") == api_quantity("3")
        assert request(PodSpec(containers=small, initContainers=[big, sidecar]), "cpu") == api_quantity("2")

    def test_the_runtime_class_s_overhead_and_a_request_of_the_pod_itself_count(self) -> None:
        spec = PodSpec(
            containers=[container(resources=asks(cpu="1"))], overhead={"cpu": "250m"}, resources=asks(cpu="4")
        )
        assert request(spec, "cpu") == api_quantity("4250m")
        assert request(spec, "memory") == 0

    def test_a_limit_alone_is_a_request(self) -> None:
        limited = container(resources=ResourceRequirements(limits={"nvidia.com/gpu": "2"}))
        assert request(PodSpec(containers=[limited]), "nvidia.com/gpu") == 2


# --- through HTTP -----------------------------------------------------------------------------------------------------


def findings(
    project: Project, capsys: pytest.CaptureFixture[str], *, stack: str = "devicePlugin", owner: str = "ours"
) -> dict[str, dict[str, str]]:
    """Findings of `preflight --json` by id, without what is well."""
    project.write(PLUGIN_STACK.replace("STACK", stack).replace("OWNER", owner))
    project.api.objects.setdefault(
        "/apis/node.k8s.io/v1/runtimeclasses", [named("RuntimeClass", "node.k8s.io/v1", "nvidia", handler="nvidia")]
    )
    project.run("preflight", "--json")
    found = json.loads(capsys.readouterr().out)
    return {entry["id"]: entry for entry in found if entry["level"] != "ok" and entry["id"] != "default-runtime"}


def gpu_node(allocatable: dict[str, str], capacity: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A node that says its extended resources."""
    made = node("gpu-0", **more)
    made["status"]["allocatable"].update(allocatable)
    made["status"]["capacity"] = {**made["status"]["allocatable"], **(capacity or {})}
    return made


def daemon_set(name: str, image: str, **metadata: Any) -> dict[str, Any]:
    template = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return named("DaemonSet", "apps/v1", name, metadata={"namespace": "kube-system", **metadata}, spec=spec)


def test_a_managed_plugin_is_seen_under_its_own_name(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    managed = daemon_set(MANAGED, "registry.example/nvidia-gpu-device-plugin@sha256:0")
    project.api.objects["/apis/apps/v1/daemonsets"] = [managed]
    project.api.objects["/api/v1/nodes"] = [gpu_node({"nvidia.com/gpu": "4"})]
    exists = findings(project, capsys)["plugin-exists"]
    assert exists["message"] == f"runs already as kube-system/{MANAGED}"
    assert findings(project, capsys, owner="cluster") == {}
    assert "plugin-besides-operator" in findings(project, capsys, stack="gpuOperator")


def test_the_operator_s_own_plugin_is_told_from_a_separate_one(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = {"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "name": "cluster-policy", "uid": "1"}
    own = daemon_set("nvidia-device-plugin-daemonset", "nvcr.io/nvidia/k8s-device-plugin:v1", ownerReferences=[owner])
    template = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "nvcr.io/nvidia/gpu-operator:v26"}]}}
    operator = named(
        "Deployment", "apps/v1", "renamed", metadata={"namespace": "gpus"},
        spec={"selector": {"matchLabels": {"app": "x"}}, "template": template},
    )  # fmt: skip
    project.api.objects["/apis/apps/v1/deployments"] = [operator]
    project.api.objects["/apis/apps/v1/daemonsets"] = [own]
    project.api.objects["/api/v1/nodes"] = [gpu_node({"nvidia.com/gpu": "4"})]
    assert findings(project, capsys, stack="gpuOperator", owner="cluster") == {}
    project.api.objects["/apis/apps/v1/daemonsets"] = [own, daemon_set(MANAGED, "x/nvidia-gpu-device-plugin")]
    beside = findings(project, capsys, stack="gpuOperator", owner="cluster")["plugin-besides-operator"]
    assert MANAGED in beside["message"]
    assert "gpus/renamed" in beside["message"]


def test_capacity_is_read_beside_allocatable(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.api.objects["/apis/apps/v1/daemonsets"] = [daemon_set(MANAGED, "x/nvidia-gpu-device-plugin")]
    project.api.objects["/api/v1/nodes"] = [gpu_node({"nvidia.com/gpu": "3"}, {"nvidia.com/gpu": "4"})]
    assert "has 4, of which 3 are allocatable" in findings(project, capsys, owner="cluster")["gpus-fewer"]["message"]


def test_what_our_plugin_is_told_today_is_read_from_its_own_config_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stack file's four GPUs are shared by two until `up`."""
    shared = gpu_node({"nvidia.com/gpu": "8"}, labels={"nvidia.com/device-plugin.config": "a"})
    project.api.objects["/api/v1/nodes"] = [shared]
    project.api.objects["/api/v1/namespaces"] = [named("Namespace", "v1", "nvidia-device-plugin", metadata=OURS)]
    plugin = daemon_set("nvidia-device-plugin", "x/nvidia-gpu-device-plugin", namespace="nvidia-device-plugin")
    project.api.objects["/apis/apps/v1/daemonsets"] = [plugin]
    text = sharing_config(SharingConfig(name="a", strategy="timeSlicing", replicas=2))
    configs = "/api/v1/namespaces/nvidia-device-plugin/configmaps"
    project.api.objects[configs] = [
        named("ConfigMap", "v1", "kube-root-ca.crt", data={"a": "no YAML: ["}),
        named("ConfigMap", "v1", "nvidia-device-plugin-configs", data={"default": "version: v1", "a": text}),
    ]
    found = findings(project, capsys)
    assert "shows 8 nvidia.com/gpu: its 4 GPUs come with `up`" in found["replicas-not-yet"]["message"]
    project.api.refused[configs] = 403
    assert "gpus-more" in findings(project, capsys), "what can't be read is not guessed"


def test_slices_by_name_are_read(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.api.objects["/apis/apps/v1/daemonsets"] = [daemon_set(MANAGED, "x/nvidia-gpu-device-plugin")]
    labels = {"nvidia.com/mig.strategy": "mixed"}
    cut = gpu_node({"nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "28"}, labels=labels)
    project.api.objects["/api/v1/nodes"] = [cut]
    assert "28 x mig-1g.10gb" in findings(project, capsys, owner="cluster")["mig-slices"]["message"]


def test_a_taint_is_read_with_value_and_effect_and_ours_by_its_manager(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    project.api.objects["/apis/apps/v1/daemonsets"] = [daemon_set(MANAGED, "x/nvidia-gpu-device-plugin")]
    theirs = gpu_node({"nvidia.com/gpu": "4"}, spec={"taints": [taint]})
    project.api.objects["/api/v1/nodes"] = [theirs]
    assert "taint: true" in findings(project, capsys, owner="cluster")["node-taint"]["fix"]
    fields = {"f:metadata": {"f:labels": {"f:gpu-tenancy/pool": {}}}, "f:spec": {"f:taints": {}}}
    entry = {"manager": "pulumi-kubernetes-0a1b", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}
    theirs["metadata"]["managedFields"] = [{**entry, "fieldsV1": {"f:spec": {"f:taints": {}}}}]
    assert "node-taint" in findings(project, capsys, owner="cluster"), "another program of the same engine"
    theirs["metadata"]["managedFields"] = [entry]
    assert findings(project, capsys, owner="cluster") == {}


def test_gpus_of_other_pods_are_counted_and_the_plugin_s_pod_is_known(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.api.objects["/api/v1/nodes"] = [gpu_node({"nvidia.com/gpu": "4"})]
    holder = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": MANAGED, "uid": "1"}
    project.api.objects["/apis/apps/v1/daemonsets"] = [daemon_set(MANAGED, "x/nvidia-gpu-device-plugin")]
    second = {"name": "c", "image": "x/other-nvidia-device-plugin"}
    pods = [
        named(
            "Pod", "v1", f"{MANAGED}-abcde", metadata={"namespace": "kube-system", "ownerReferences": [holder]},
            spec={"nodeName": "gpu-0", "containers": [{"name": "c", "image": "x/nvidia-gpu-device-plugin"}]},
        ),
        named("Pod", "v1", "static-plugin", metadata={"namespace": "kube-system"},
              spec={"nodeName": "gpu-0", "containers": [second]}),
        named("Pod", "v1", "train", metadata={"namespace": "lab"}, spec={
            "nodeName": "gpu-0",
            "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "2"}}}],
        }),
    ]  # fmt: skip
    project.api.objects["/api/v1/pods"] = pods
    found = findings(project, capsys, owner="cluster")
    assert "use 2 nvidia.com/gpu (lab/train)" in found["gpus-in-use"]["message"]
    assert f"kube-system/{MANAGED} and kube-system/static-plugin" in found["plugins-on-one-node"]["message"]


def test_sidecars_fill_a_node(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    half = {"resources": {"requests": {"cpu": "32"}}, "name": "c"}
    spec = {"nodeName": "gpu-0", "containers": [half], "initContainers": [{**half, "restartPolicy": "Always"}]}
    project.api.objects["/api/v1/pods"] = [
        named("Pod", "v1", "greedy", metadata={"namespace": "other"}, spec=spec, status={"phase": "Running"})
    ]
    project.api.objects["/api/v1/nodes"] = [gpu_node({"nvidia.com/gpu": "4"})]
    assert "64 of its 64 CPUs" in findings(project, capsys)["node-full"]["message"]


def test_the_kubernetes_inside_is_read_from_our_control_planes_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    def control_plane(space: str, image: str, **labels: str) -> dict[str, Any]:
        return named(
            "Pod", "v1", "ml-0", metadata={"namespace": space, "labels": labels},
            spec={"containers": [], "initContainers": [{"name": "kubernetes", "image": image}]},
        )  # fmt: skip

    project.api.objects["/api/v1/nodes"] = [gpu_node({"nvidia.com/gpu": "4"})]
    project.api.objects["/api/v1/namespaces"] = [named("Namespace", "v1", "team-ml", metadata=OURS)]
    mirrored = control_plane("team-ml", "mirror.example:5000/loft-sh/kubernetes:v1.36.0@sha256:00", app="vcluster")
    of_the_team = control_plane("team-ml", "registry.example/kubernetes:v1.37.0")
    of_others = control_plane("other", "registry.example/kubernetes:v1.38.0", app="vcluster")
    for pods in ([mirrored, of_the_team, of_others], [of_the_team, mirrored]):
        project.api.objects["/api/v1/pods"] = pods
        assert "runs Kubernetes v1.36.0 inside" in findings(project, capsys)["kubernetes-older"]["message"]
    project.api.objects["/api/v1/pods"] = [of_the_team, of_others]
    assert "kubernetes-older" not in findings(project, capsys)


@pytest.mark.parametrize("spelling", ["storageclass.kubernetes.io", "storageclass.beta.kubernetes.io"])
def test_a_default_class_is_known_by_either_annotation(
    spelling: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/apis/storage.k8s.io/v1/storageclasses"
    notes = {f"{spelling}/is-default-class": "true"}
    marked = named("StorageClass", "storage.k8s.io/v1", "gp2", metadata={"annotations": notes}, provisioner="x")
    project.api.objects[path] = [marked]
    assert "storage-default" not in findings(project, capsys, owner="cluster")
    notes[f"{spelling}/is-default-class"] = "false"
    assert "storage-default" in findings(project, capsys, owner="cluster")


def test_a_namespace_that_is_being_deleted_is_seen(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    space = named("Namespace", "v1", "team-ml", metadata=OURS)
    project.api.objects["/api/v1/namespaces"] = [space]
    assert "namespace-ending" not in findings(project, capsys, owner="cluster")
    space["metadata"]["deletionTimestamp"] = "2026-11-26T12:00:00Z"
    assert "namespace-ending" in findings(project, capsys, owner="cluster")
