"""What each KAI gets: its values have the keys that its chart reads, and none that it does not."""

from __future__ import annotations

import pytest

from releases import (
    KAI,
    RESERVATION_POD,
    KaiRelease,
    kai_values,
)
from tests.releases.built import MIRROR, at, paths, since


@pytest.mark.parametrize("release", KAI.values(), ids=list(KAI))
def test_fractions_are_allowed_only_when_asked_for(release: KaiRelease) -> None:
    key, (off, on) = release.gpu_sharing_key, release.gpu_sharing_words
    assert (at(kai_values(release, gpu_sharing=True), key), at(kai_values(release, gpu_sharing=False), key)) == (
        on,
        off,
    )
    # a chart that knows modes is on without a word, so the boolean alone would not say it
    expected = ("global.gpuSharingMode", "Disabled") if release.line == "0.18" else ("global.gpuSharing", False)
    assert (key, off) == expected


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("v0.7.11", set()),
        ("v0.9.3", set()),
        ("v0.9.8", {"global.resourceReservation.runtimeClassName", "admission.gpuPodRuntimeClassName"}),
        ("v0.12.23", {"binder.runtimeClassName", "admission.gpuPodRuntimeClassName"}),
        ("v0.14.7", {"binder.runtimeClassName", "admission.gpuPodRuntimeClassName"}),
        ("v0.16.8", {"binder.runtimeClassName", "admission.gpuFractionRuntimeClassName"}),
        ("v0.18.6", {"binder.runtimeClassName", "admission.gpuFractionRuntimeClassName"}),
    ],
)
def test_the_runtime_class_goes_to_the_keys_that_the_version_reads(version: str, keys: set[str]) -> None:
    values = kai_values(KAI[version], gpu_sharing=True, runtime_class="nvidia-fast")
    assert {path for path in paths(values) if at(values, path) == "nvidia-fast"} == keys


def test_only_0711_needs_the_default_runtime_for_fractions() -> None:
    assert [version for version, release in KAI.items() if release.fractions_need_default_runtime] == ["v0.7.11"]


@pytest.mark.parametrize("version", ["v0.7.11", "v0.9.8"])
def test_fake_gpus_need_an_argument_where_no_operator_looks_at_the_nodes(version: str) -> None:
    assert at(kai_values(KAI[version], gpu_sharing=True, fake_gpus=True), "binder.additionalArgs") == [
        "--fake-gpu-nodes=true"
    ]
    assert at(kai_values(KAI[version], gpu_sharing=True), "binder.additionalArgs") is None


def test_nodes_are_made_by_an_autoscaler_only_where_it_is_asked_for() -> None:
    key = "global.clusterAutoscaling"
    values = kai_values(KAI["v0.16.8"], gpu_sharing=True, scale_adjuster=True)
    assert (at(values, key), at(kai_values(KAI["v0.16.8"], gpu_sharing=True), key)) == (True, None)


def test_a_topology_came_with_012() -> None:
    assert [version for version, release in KAI.items() if release.topology] == [
        version for version in KAI if since(version, "v0.12.0")
    ]


def test_of_kais_kinds_only_some_are_in_a_namespace() -> None:
    scopes = {kind.scope for release in KAI.values() for kind in release.kinds}
    assert scopes == {"Cluster", "Namespaced"}


@pytest.mark.parametrize("release", KAI.values(), ids=list(KAI))
def test_our_queues_are_the_only_queues(release: KaiRelease) -> None:
    values = kai_values(release, gpu_sharing=False)
    expected = False if since(release.version, "v0.12.0") else None
    assert at(values, "defaultQueue.createDefaultQueue") is expected


@pytest.mark.parametrize("release", KAI.values(), ids=list(KAI))
def test_a_chart_that_copies_kueues_topologies_can_be_told_not_to(release: KaiRelease) -> None:
    told = kai_values(release, gpu_sharing=False, topology_migration=False)
    assert at(told, "topologyMigration.enabled") is (False if since(release.version, "v0.12.0") else None)
    assert at(kai_values(release, gpu_sharing=False), "topologyMigration.enabled") is None


@pytest.mark.parametrize("release", KAI.values(), ids=list(KAI))
def test_what_a_kai_asks_of_the_nodes_is_what_the_footprint_says(release: KaiRelease) -> None:
    values = kai_values(release, gpu_sharing=True)
    for operand in release.operands:
        if operand.key is not None:
            requests = at(values, f"{operand.key}.requests")
            assert requests == {"cpu": f"{operand.cpu_millicores}m", "memory": f"{operand.memory_mib}Mi"}
        assert operand.memory_limit_mib >= operand.memory_mib
    assert release.footprint.pods == len(release.operands)
    assert release.footprint.cpu_millicores == sum(operand.cpu_millicores for operand in release.operands)


@pytest.mark.parametrize("version", ["v0.9.2", "v0.9.3", "v0.9.8"])
def test_requests_stay_out_of_the_places_where_09_renders_them_wrongly(version: str) -> None:
    values = kai_values(KAI[version], gpu_sharing=True)
    broken = {"podgroupcontroller", "queuecontroller", "admission", "podgrouper"}
    if version != "v0.9.8":
        broken.add("binder")
    assert not [path for path in paths(values) if path.split(".")[0] in broken and "resources" in path]


@pytest.mark.parametrize("release", KAI.values(), ids=list(KAI))
def test_kais_images_come_from_the_mirror_with_their_path(release: KaiRelease) -> None:
    values = kai_values(release, gpu_sharing=True, image_registry=MIRROR)
    assert at(values, "global.registry") == f"{MIRROR}/{release.images.partition('/')[2]}"
    assert "global.registry" not in paths(kai_values(release, gpu_sharing=True))


@pytest.mark.parametrize("release", KAI.values(), ids=list(KAI))
def test_a_pull_policy_reaches_each_image_of_kai(release: KaiRelease) -> None:
    values = kai_values(release, gpu_sharing=True, pull_policy="Never")
    never = {path for path in paths(values) if at(values, path) == "Never"}
    assert never == set(release.pull_policy_keys)
    assert {"binder.image.pullPolicy", "scheduler.image.pullPolicy", "crdupgrader.image.pullPolicy"} <= never


@pytest.mark.parametrize("version", ["v0.12.23", "v0.14.7", "v0.16.8", "v0.18.6"])
def test_reservation_pods_ask_for_next_to_nothing(version: str) -> None:
    requests = at(kai_values(KAI[version], gpu_sharing=True), "binder.resourceReservationPodResources.requests")
    assert requests == {"cpu": f"{RESERVATION_POD.cpu_millicores}m", "memory": f"{RESERVATION_POD.memory_mib}Mi"}
