"""What the scripts of a host are told: whole, for each provider."""

from __future__ import annotations

from typing import Any

import pytest

from components.host.install import script
from releases.hosts import METRICS_SERVER, METRICS_SERVER_REPO
from settings.hosts import INSTALLS
from settings.load import parse_platform
from tests.components.specs import made
from tests.conftest import Declare
from tests.settings.build import raw

SSH = {"ssh": {"host": "10.0.0.5", "user": "ubuntu", "hostKey": "ssh-ed25519 AAAA", "key": "host"}}
WORKERS = {"gpusPerNode": 4, "podsPerNode": 250, "nodes": ["gpu-tenancy-worker", "gpu-tenancy-worker2"]}

THEIRS = {"name": "nvidia", "owner": "cluster"}
"""The runtime class of whoever brings it."""


def told(host: dict[str, Any], **changes: object) -> dict[str, str]:
    small = {"teams.ml": None, "teams.research": None}
    platform = parse_platform(raw({**small, "host": {"address": "10.0.0.5", **host}, **changes}), "unit")
    return dict(script(platform, (30011, 30500)).variables)


def test_kind_is_told_its_image_its_nodes_and_what_it_may_change() -> None:
    said = {"provider": "kind", "kind": {"gpus": "all", "workers": 2, "image": "example/node:v1"}, "connection": SSH}
    found = told(said, **{"pools.gpu": WORKERS})
    assert found.pop("KIND_TOOLKIT"), "a version of NVIDIA's toolkit"
    assert found == {
        "PART": "kind",
        "MIN_MEMORY_GIB": "8",
        "MIN_DISK_GIB": "50",
        "KIND_NAME": "gpu-tenancy",
        "KIND_IMAGE": "example/node:v1",
        "KIND_WORKERS": "2",
        "KIND_GPUS": "4",
        "KIND_GPU_NODES": "all",
        "KIND_CHANGE_DOCKER": "false",
        "KIND_PORTS": "30011 30500",
        "KIND_ADDRESS": "10.0.0.5",
        "KIND_IMAGES": "",
        "KIND_ADOPT": "false",
    }


def test_microk8s_is_told_its_channel_and_who_brings_the_gpu_software() -> None:
    said = {"provider": "microk8s", "microk8s": {"user": "ubuntu", "adopt": True}}
    found = told(said)
    assert found.pop("MICROK8S_CHANNEL").count("/") == 1
    assert found == {
        "PART": "microk8s",
        "MIN_MEMORY_GIB": "8",
        "MIN_DISK_GIB": "50",
        "MICROK8S_ADDONS": "dns helm3 hostpath-storage",
        "MICROK8S_USER": "ubuntu",
        "MICROK8S_ADDRESS": "",
        "MICROK8S_GPUS": "4",
        "MICROK8S_NVIDIA_ADDON": "false",
        "MICROK8S_OPERATOR": "false",
        "MICROK8S_ADOPT": "true",
    }
    far = told({**said, "microk8s": {}, "connection": SSH})
    assert (far["MICROK8S_ADDRESS"], far["MICROK8S_USER"], far["MICROK8S_ADOPT"]) == ("10.0.0.5", "", "false")


@pytest.mark.parametrize(("owner", "operator"), [("ours", "true"), ("cluster", "false")])
def test_microk8s_is_told_of_a_gpu_operator_that_is_ours_alone(owner: str, operator: str) -> None:
    found = told(
        {"provider": "microk8s", "microk8s": {}}, gpu={"stack": "gpuOperator", "owner": owner, "runtimeClass": THEIRS}
    )
    assert found["MICROK8S_OPERATOR"] == operator


def test_k3s_is_told_its_version_and_the_files_that_it_comes_from() -> None:
    found = told({"provider": "k3s", "k3s": {}}, gpu={"stack": "devicePlugin", "runtimeClass": THEIRS})
    assert found.pop("K3S_VERSION").startswith("v1.")
    assert found == {
        "PART": "k3s",
        "MIN_MEMORY_GIB": "8",
        "MIN_DISK_GIB": "50",
        "K3S_ADDRESS": "10.0.0.5",
        "K3S_GPUS": "4",
        "K3S_BINARY": "",
        "K3S_IMAGES": "",
        "K3S_SCRIPT": "",
        "K3S_ADOPT": "false",
    }


def test_k3s_from_files_is_told_of_images_only_where_they_are_named() -> None:
    files = {"binary": "/srv/k3s", "script": "/srv/install.sh"}
    gpu = {"stack": "devicePlugin", "runtimeClass": THEIRS}

    def of(**more: str) -> tuple[str, ...]:
        found = told({"provider": "k3s", "k3s": {"files": {**files, **more}}}, gpu=gpu)
        return tuple(found[f"K3S_{name}"] for name in ("BINARY", "IMAGES", "SCRIPT"))

    assert of() == ("/srv/k3s", "", "/srv/install.sh")
    assert of(images="/srv/images.tar") == ("/srv/k3s", "/srv/images.tar", "/srv/install.sh")


def test_the_gpus_of_a_machine_are_counted_once_where_its_nodes_share_them() -> None:
    def gpus(**changes: object) -> int:
        platform = parse_platform(raw({"teams.ml": None, "teams.research": None, **changes}), "unit")
        return int(script(platform, ()).variables["KIND_GPUS"]) if platform.host.kind else platform.site().gpus()

    two = {"nodes": ["gpu-tenancy-worker", "gpu-tenancy-worker2"], "gpusPerNode": 4, "podsPerNode": 250}
    kind = {"provider": "kind", "address": "127.0.0.1", "kind": {"gpus": "all", "workers": 2}}
    assert gpus(**{"host": kind, "pools.gpu": two}) == 4
    assert gpus(**{"pools.gpu": two}) == 8
    assert gpus(**{"pools.gpu": two, "gpu": {"stack": "fake"}}) == 0
    later = {"stack": "gpuOperator", "runtimeClass": THEIRS, "operator": {"driver": "operator"}}
    assert gpus(**{"pools.gpu": two, "gpu": later}) == 0, "nothing can count them before there is a driver"
    none = {"nodes": ["gpu-tenancy-worker"], "gpusPerNode": 0, "podsPerNode": 250}
    assert gpus(**{"host": {**kind, "kind": {}}, "pools.gpu": none}) == 0


def test_kinds_metrics_server_is_one_release_that_trusts_its_kubelets(declare: Declare) -> None:
    kind = {"provider": "kind", "address": "127.0.0.1", "kind": {"gpus": "all", "metricsServer": True}}
    pool = {**WORKERS, "nodes": ["gpu-tenancy-worker"]}
    platform = raw({"teams.ml": None, "teams.research": None, "host": kind, "pools.gpu": pool})
    found = made(declare(platform), "metrics-server")["release"]
    assert found.spec == {
        "name": "metrics-server",
        "namespace": "kube-system",
        "chart": "metrics-server",
        "version": METRICS_SERVER,
        "repositoryOpts": {"repo": METRICS_SERVER_REPO},
        "values": {"args": ["--kubelet-insecure-tls"]},
        "atomic": True,
    }
    assert found.provider == "host-provider"
    component = declare(platform).one("gpu-tenancy:index:MetricsServer", "metrics-server")
    assert component.inputs == {"version": METRICS_SERVER}


def test_a_host_that_is_made_says_what_it_is_and_its_context(declare: Declare) -> None:
    kind = {"provider": "kind", "address": "127.0.0.1", "kind": {"gpus": "all"}}
    pool = {**WORKERS, "nodes": ["gpu-tenancy-worker"]}
    recorder = declare(raw({"teams.ml": None, "teams.research": None, "host": kind, "pools.gpu": pool}))
    component = recorder.one("gpu-tenancy:index:InstalledHost", "host-install")
    assert {key: value for key, value in component.inputs.items() if value} == {
        "provider": "kind",
        "name": "gpu-tenancy",
    }
    (outputs,) = (said for urn, said in recorder.outputs.items() if urn.endswith("::host-install"))
    assert outputs["context"] == "kind-gpu-tenancy"


def test_the_context_is_the_one_that_each_distribution_writes() -> None:
    contexts = {provider: way.context.format(name="gpu-tenancy") for provider, way in INSTALLS.items()}
    assert {"kind": "kind-gpu-tenancy", "microk8s": "microk8s", "k3s": "default"}.items() <= contexts.items()
