"""What the device plugin and the GPU Operator get."""

from __future__ import annotations

import pytest
import yaml

from releases import (
    DEFAULT_DEVICE_PLUGIN,
    DEVICE_PLUGIN,
    GPU_OPERATOR,
    KAI,
    GpuOperatorRelease,
    SharingConfig,
    device_plugin_values,
    gpu_operator_values,
    kai_values,
)
from tests.releases.built import MIRROR, at, paths, strings

TIME_SLICED = SharingConfig(name="l4", strategy="timeSlicing", replicas=4)


def test_replicas_keep_the_name_that_kai_counts_and_refuse_requests_for_two() -> None:
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN], configs=[TIME_SLICED])
    text = at(values, "config.map.l4")
    assert isinstance(text, str)
    assert yaml.safe_load(text)["sharing"]["timeSlicing"] == {
        "renameByDefault": False,
        "failRequestsGreaterThanOne": True,
        "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
    }


def test_mps_is_its_own_strategy() -> None:
    config = SharingConfig(name="mps", strategy="mps", replicas=2)
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN], configs=[config])
    text = at(values, "config.map.mps")
    assert isinstance(text, str)
    assert list(yaml.safe_load(text)["sharing"]) == ["mps"]


def test_slices_are_looked_for_on_their_nodes_alone_and_no_gpu_is_cut() -> None:
    config = SharingConfig(name="cut", strategy="mig")
    text = at(device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN], configs=[config]), "config.map.cut")
    assert isinstance(text, str)
    assert yaml.safe_load(text) == {"version": "v1", "flags": {"migStrategy": "single"}}
    for release in GPU_OPERATOR.values():
        assert at(gpu_operator_values(release, configs=[config]), "mig.strategy") == "single"
        assert "mig" not in gpu_operator_values(release, configs=[TIME_SLICED])


def test_nodes_without_a_label_share_nothing() -> None:
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN], configs=[TIME_SLICED])
    default = at(values, "config.default")
    assert default == "default"
    text = at(values, f"config.map.{default}")
    assert isinstance(text, str)
    assert yaml.safe_load(text) == {"version": "v1"}


def test_nodes_may_have_another_entry_until_their_label_is_read() -> None:
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN], configs=[TIME_SLICED], default="l4")
    assert at(values, "config.default") == "l4"
    for release in GPU_OPERATOR.values():
        values = gpu_operator_values(release, configs=[TIME_SLICED], default="l4")
        assert at(values, "devicePlugin.config.default") == "l4"


def test_without_sharing_there_is_no_config_map() -> None:
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN])
    assert at(values, "config") is None
    # feature discovery is on neither here nor by another way: our labels are what the chart's affinity finds
    assert (at(values, "gfd.enabled"), at(values, "nfd.enabled")) == (False, False)
    assert at(values, "runtimeClassName") == "nvidia"


@pytest.mark.parametrize(
    ("version", "key"),
    [
        ("v0.7.11", "binder.cdi"),
        ("v0.9.8", "binder.cdi"),
        ("v0.16.8", "binder.cdiEnabled"),
        ("v0.18.6", "binder.cdiEnabled"),
    ],
)
def test_cdi_is_named_where_the_version_has_a_key_and_left_alone_unless_asked(version: str, key: str) -> None:
    assert at(kai_values(KAI[version], gpu_sharing=True, cdi=True), key) is True
    assert at(kai_values(KAI[version], gpu_sharing=True, cdi=False), key) is False
    assert at(kai_values(KAI[version], gpu_sharing=True), key) is None


def test_093_has_no_key_for_cdi() -> None:
    values = kai_values(KAI["v0.9.3"], gpu_sharing=True, cdi=True)
    assert not [path for path in paths(values) if "cdi" in path.lower()]


def test_how_the_device_plugin_names_gpus_is_left_to_it_unless_asked() -> None:
    release = DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN]
    assert not {"nvidiaDriverRoot", "deviceListStrategy"} & set(device_plugin_values(release))
    values = device_plugin_values(release, driver_root="/", device_list_strategy="cdi-cri")
    assert (values["nvidiaDriverRoot"], values["deviceListStrategy"]) == ("/", "cdi-cri")


def test_the_device_plugins_images_come_from_the_mirror() -> None:
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN], runtime_class="nvidia", image_registry=MIRROR)
    assert at(values, "image.repository") == f"{MIRROR}/nvidia/k8s-device-plugin"
    assert at(values, "nfd.image.repository") == f"{MIRROR}/nfd/node-feature-discovery"
    assert at(values, "runtimeClassName") == "nvidia"


@pytest.mark.parametrize("release", GPU_OPERATOR.values(), ids=list(GPU_OPERATOR))
def test_the_cluster_policy_names_the_sharing_config_and_a_change_renames_it(release: GpuOperatorRelease) -> None:
    values = gpu_operator_values(release, configs=[TIME_SLICED])
    assert at(values, "devicePlugin.config.create") is True
    assert at(values, "devicePlugin.config.default") == "default"
    again = gpu_operator_values(release, configs=[TIME_SLICED])
    more = gpu_operator_values(release, configs=[SharingConfig(name="l4", strategy="timeSlicing", replicas=8)])
    name = "devicePlugin.config.name"
    assert at(values, name) == at(again, name)
    assert at(values, name) != at(more, name)
    both = [TIME_SLICED, SharingConfig(name="t4", strategy="timeSlicing", replicas=8)]
    one, other = (gpu_operator_values(release, configs=configs) for configs in (both, both[::-1]))
    assert at(one, name) == at(other, name), "whichever pool the stack file has first"


def test_microk8s_gets_the_paths_of_its_containerd_and_nobody_else_does() -> None:
    release = GPU_OPERATOR["v25.10.1"]
    environment = at(gpu_operator_values(release, microk8s=True), "toolkit.env")
    assert isinstance(environment, list)
    assert len(environment) == 3
    assert all("/var/snap/microk8s/" in text for text in strings(environment) if "/" in text)
    assert at(gpu_operator_values(release), "toolkit.env") is None


@pytest.mark.parametrize("release", GPU_OPERATOR.values(), ids=list(GPU_OPERATOR))
def test_the_operator_leaves_the_hosts_driver_alone_and_wants_no_prometheus(release: GpuOperatorRelease) -> None:
    values = gpu_operator_values(release)
    assert at(values, "driver.enabled") is False
    assert at(values, "dcgmExporter.serviceMonitor.enabled") is False
    assert (at(values, "toolkit.enabled"), at(values, "nfd.enabled")) == (True, True)


@pytest.mark.parametrize("release", GPU_OPERATOR.values(), ids=list(GPU_OPERATOR))
@pytest.mark.parametrize("driver", [True, False])
@pytest.mark.parametrize("toolkit", [True, False])
def test_driver_and_toolkit_are_the_operators_or_the_hosts(
    release: GpuOperatorRelease, *, driver: bool, toolkit: bool
) -> None:
    values = gpu_operator_values(release, driver=driver, toolkit=toolkit, microk8s=True)
    assert (at(values, "driver"), at(values, "toolkit.enabled")) == ({"enabled": driver}, toolkit)
    # the host's own toolkit is told nothing
    assert (at(values, "toolkit.env") is not None) is toolkit


@pytest.mark.parametrize("release", GPU_OPERATOR.values(), ids=list(GPU_OPERATOR))
def test_the_operators_images_come_from_the_mirror(release: GpuOperatorRelease) -> None:
    values = gpu_operator_values(release, image_registry=MIRROR, pull_policy="Never")
    repositories = {path for path in paths(values) if path.endswith("repository")}
    assert repositories == set(release.images)
    assert all(str(at(values, path)).startswith(f"{MIRROR}/n") for path in repositories)
    assert {path for path in paths(values) if at(values, path) == "Never"} == set(release.pull_policy_keys)
