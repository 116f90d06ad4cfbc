"""What releases.py promises: each version gets the keys that its chart reads, and none that it does not."""

from __future__ import annotations

import tomllib
import warnings
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

import releases
from releases import (
    CONTROL_PLANE_STORAGE,
    DEFAULT_DEVICE_PLUGIN,
    DEFAULT_GPU_OPERATOR,
    DEFAULT_KAI,
    DEFAULT_KUBERNETES,
    DEFAULT_VCLUSTER,
    DEVICE_PLUGIN,
    GPU_OPERATOR,
    JSON,
    KAI,
    RESERVATION_POD,
    RETRACTED_KAI,
    STALE_DAYS,
    VCLUSTER,
    GpuOperatorRelease,
    KaiRelease,
    SharingConfig,
    VclusterRelease,
    ages,
    device_plugin_values,
    fits,
    gpu_operator_values,
    kai_values,
    kubernetes_for,
    same_line,
    vcluster_values,
)
from releases.engine import DEFAULT_ENGINE, DEFAULT_PROVIDER
from tests.conftest import ROOT

MIRROR = "mirror.example:5000/proxy"


def at(values: JSON, path: str) -> JSON:
    """The value at a dotted path; None where there is nothing."""
    for name in path.split("."):
        if not isinstance(values, dict) or name not in values:
            return None
        values = values[name]
    return values


def paths(values: JSON, prefix: str = "") -> set[str]:
    """The dotted paths of all leaves."""
    if isinstance(values, dict) and values:
        return {path for name, value in values.items() for path in paths(value, f"{prefix}{name}.")}
    return {prefix.removesuffix(".")}


def strings(values: JSON) -> set[str]:
    """Every string in the values."""
    if isinstance(values, dict):
        return {text for value in values.values() for text in strings(value)}
    if isinstance(values, list):
        return {text for value in values for text in strings(value)}
    return {values} if isinstance(values, str) else set()


def team(release: VclusterRelease, **changes: object) -> dict[str, JSON]:
    """The values of a team with KAI inside."""
    arguments: dict[str, object] = {"team": "ml", "namespace": "team-ml", "virtual_scheduler": True, **changes}
    return vcluster_values(release, **arguments)  # type: ignore[arg-type]


# --- lines and support ---


def test_092_and_093_upgrade_in_place() -> None:
    assert same_line(KAI["v0.9.2"], KAI["v0.9.3"])


@pytest.mark.parametrize(
    ("old", "new"), [("v0.9.3", "v0.9.8"), ("v0.9.8", "v0.9.3"), ("v0.7.11", "v0.9.2"), ("v0.12.23", "v0.14.7")]
)
def test_a_change_of_line_is_no_upgrade(old: str, new: str) -> None:
    assert not same_line(KAI[old], KAI[new])


def test_going_back_from_098_deletes_the_config_that_its_hook_made() -> None:
    left = {(leftover.api_version, leftover.kind, leftover.name) for leftover in KAI["v0.9.8"].leftovers}
    assert ("kai.scheduler/v1", "Config", "kai-config") in left
    assert "Config" not in {leftover.kind for leftover in KAI["v0.9.3"].leftovers}, "an object of the release there"


def test_a_failed_hook_of_every_kai_is_swept_and_never_what_a_running_release_needs() -> None:
    crd_upgrader = {v for v, kai in KAI.items() if any(o.name == "crd-upgrader" for o in kai.hook_objects)}
    # the others replace their own Job (before-hook-creation)
    assert set(KAI) - crd_upgrader == {"v0.16.8", "v0.18.6"}
    for version, kai in KAI.items():
        assert not set(kai.hook_objects) & set(kai.leftovers), version
        for left in kai.hook_objects:
            assert (left.namespace == "kai-scheduler") == (left.kind in {"Job", "ServiceAccount"}), version
        cleans = any(o.name == "post-delete-cleanup" for o in kai.hook_objects)
        assert cleans == (version not in {"v0.7.11", "v0.9.2", "v0.9.3", "v0.9.8"})


def test_only_old_kais_take_a_mig_name_at_zero_for_mig() -> None:
    assert [v for v, kai in KAI.items() if kai.mig_names_count_at_zero] == ["v0.7.11", "v0.9.2", "v0.9.3", "v0.9.8"]


@pytest.mark.parametrize(
    ("version", "name"), [("v0.7.11", None), ("v0.9.3", "nvidia"), ("v0.9.8", None), ("v0.16.8", None)]
)
def test_a_release_says_which_runtime_class_nobody_can_change(version: str, name: str | None) -> None:
    assert KAI[version].hard_coded_runtime_class == name


def test_releases_with_a_shard_of_their_own_leave_it_behind() -> None:
    for version, release in KAI.items():
        shards = [leftover for leftover in release.leftovers if leftover.kind == "SchedulingShard"]
        assert bool(shards) == (version not in {"v0.7.11", "v0.9.2", "v0.9.3", "v0.9.8"}), version


def test_monthly_support_ends_on_the_last_day_of_the_month() -> None:
    for release in KAI.values():
        if release.support_ends is not None:
            assert (release.support_ends + timedelta(days=1)).day == 1, release.version


def test_a_default_is_the_newest_that_was_run_and_newer_ones_are_known() -> None:
    newest = {what: [*known][-1] for what, known in (("kai", KAI), ("vcluster", VCLUSTER))}
    assert (DEFAULT_KAI, DEFAULT_VCLUSTER) == ("v0.16.8", "0.36.1")
    assert newest == {"kai": "v0.18.6", "vcluster": "0.37.1"}
    assert ([*DEVICE_PLUGIN][-1], [*GPU_OPERATOR][-1]) == (DEFAULT_DEVICE_PLUGIN, DEFAULT_GPU_OPERATOR)


def test_what_is_pinned_is_the_engine_and_the_provider_whose_age_is_told() -> None:
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {f"pulumi=={DEFAULT_ENGINE}", f"pulumi-kubernetes=={DEFAULT_PROVIDER}"} <= set(pins)
    told = {age.what: (age.default, age.newest) for age in ages()}
    assert told["Pulumi engine and SDK"] == ("3.259.0", "3.272.0")
    assert told["Pulumi kubernetes provider"] == ("4.32.0", "4.34.2")


def test_a_default_is_stale_when_it_is_old_and_a_newer_one_is_known() -> None:
    kai = next(age for age in ages() if age.what == "KAI")
    assert (kai.default, kai.newest) == (DEFAULT_KAI, [*KAI][-1])
    assert not kai.stale(kai.released + timedelta(days=STALE_DAYS))
    assert kai.stale(kai.released + timedelta(days=STALE_DAYS + 1))
    assert not replace(kai, newest=kai.default).stale(kai.released + timedelta(days=10 * STALE_DAYS))


def test_a_stale_default_is_told_and_fails_nothing() -> None:
    for age in ages():
        if age.stale(date.today()):
            warnings.warn(
                f"default {age.what} {age.default} is of {age.released}, and {age.newest} of {age.newest_released} is "
                "known: read its chart, run it, raise the default",
                stacklevel=1,
            )


def test_no_release_is_from_the_future_of_a_newer_one() -> None:
    for table in (KAI, VCLUSTER, DEVICE_PLUGIN, GPU_OPERATOR):
        for release in table.values():
            ends = getattr(release, "support_ends", None)
            assert ends is None or release.released < ends, release.version


def test_a_retracted_tag_is_no_release() -> None:
    assert not set(RETRACTED_KAI) & set(KAI)
    assert "v0.20.1" in RETRACTED_KAI
    assert "v0.20.1" in releases.markdown()


@pytest.mark.parametrize("known", [KAI, VCLUSTER, GPU_OPERATOR], ids=["kai", "vcluster", "gpu-operator"])
def test_versions_are_listed_oldest_first_under_their_own_name(known: dict[str, object]) -> None:
    numbers = [tuple(int(part) for part in version.removeprefix("v").split(".")) for version in known]
    assert all(older < newer for older, newer in pairwise(numbers))
    for version, release in known.items():
        assert getattr(release, "version", None) == version


def test_charts_are_where_their_organisation_was_at_the_time() -> None:
    assert KAI["v0.9.8"].chart.startswith("oci://ghcr.io/nvidia/")
    assert KAI["v0.12.23"].chart.startswith("oci://ghcr.io/kai-scheduler/")
    for release in KAI.values():
        assert release.chart == f"oci://{release.images}/kai-scheduler"


# --- Kubernetes of a virtual cluster ---


@pytest.mark.parametrize("vcluster", VCLUSTER.values(), ids=list(VCLUSTER))
@pytest.mark.parametrize("kai", KAI.values(), ids=list(KAI))
def test_every_kai_gets_a_kubernetes_that_its_vcluster_has_and_it_was_built_for(
    kai: KaiRelease, vcluster: VclusterRelease
) -> None:
    chosen = kubernetes_for(vcluster, kai)
    assert vcluster.takes(chosen)
    assert fits(chosen, kai)


@pytest.mark.parametrize("vcluster", VCLUSTER.values(), ids=list(VCLUSTER))
def test_the_kubernetes_that_was_run_is_the_default_with_and_without_a_kai(vcluster: VclusterRelease) -> None:
    assert DEFAULT_KUBERNETES == "v1.34.4"
    assert {kubernetes_for(vcluster, kai) for kai in (None, *KAI.values())} == {DEFAULT_KUBERNETES}


def test_any_patch_of_a_known_minor_can_be_written_and_nothing_else() -> None:
    release = VCLUSTER["0.36.1"]
    assert all(release.takes(tag) for tag in ("v1.34.0", "v1.34.4", "v1.36.5", "v1.30.14"))
    wrong = ("1.34.4", "v1.34", "v1.34.4-full", "v1.37.0", "v1.29.9", "v2.34.4", "v1.34.4 ", "latest", "")
    assert not [tag for tag in wrong if release.takes(tag)]
    assert VCLUSTER["0.29.3"].takes("v1.34.4")  # not in its own list, but seen to run
    assert not VCLUSTER["0.29.3"].takes("v1.35.0")


def test_a_vcluster_or_a_kai_that_does_not_go_with_the_default_gets_the_newest_below() -> None:
    old = replace(VCLUSTER["0.29.3"], kubernetes_observed=())
    assert kubernetes_for(old, None) == "v1.33.4"
    assert kubernetes_for(VCLUSTER["0.36.1"], replace(KAI["v0.9.3"], kubernetes_max="1.32")) == "v1.32.1"


def test_a_kubernetes_newer_than_a_kai_was_built_for_does_not_fit() -> None:
    assert fits("v1.34.4", KAI["v0.9.3"])
    assert not fits("v1.35.0", KAI["v0.9.3"])


# --- KAI's values ---


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


def test_without_a_runtime_class_admission_names_none_where_the_version_lets_us() -> None:
    assert at(kai_values(KAI["v0.16.8"], gpu_sharing=True), "admission.gpuFractionRuntimeClassName") == ""
    assert at(kai_values(KAI["v0.14.7"], gpu_sharing=True), "admission.gpuPodRuntimeClassName") == ""
    # an empty value falls back to nvidia there, so it must not look as if it were off
    assert at(kai_values(KAI["v0.9.8"], gpu_sharing=True), "admission.gpuPodRuntimeClassName") is None


def test_only_0711_needs_the_default_runtime_for_fractions() -> None:
    assert [version for version, release in KAI.items() if release.fractions_need_default_runtime] == ["v0.7.11"]


@pytest.mark.parametrize("version", ["v0.7.11", "v0.9.8"])
def test_fake_gpus_need_an_argument_where_no_operator_looks_at_the_nodes(version: str) -> None:
    assert at(kai_values(KAI[version], gpu_sharing=True, fake_gpus=True), "binder.additionalArgs") == [
        "--fake-gpu-nodes=true"
    ]
    assert at(kai_values(KAI[version], gpu_sharing=True), "binder.additionalArgs") is None


@pytest.mark.parametrize("release", KAI.values(), ids=list(KAI))
def test_our_queues_are_the_only_queues(release: KaiRelease) -> None:
    values = kai_values(release, gpu_sharing=False)
    expected = False if release.version in {"v0.12.23", "v0.14.7", "v0.16.8", "v0.18.6"} else None
    assert at(values, "defaultQueue.createDefaultQueue") is expected


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


# --- vCluster's values ---


@pytest.mark.parametrize("release", VCLUSTER.values(), ids=list(VCLUSTER))
def test_a_virtual_cluster_runs_the_open_source_image_and_no_paid_feature(release: VclusterRelease) -> None:
    values = team(release, image_registry=MIRROR, persistence=True, node_selector_labels={"gpu-tenancy/pool": "a100"})
    assert at(values, "controlPlane.statefulSet.image.repository") == "loft-sh/vcluster-oss"
    paid = ("hybridScheduling", "etcd.embedded", "database.external", "centralAdmission", "coredns.embedded",
            "privateNodes", "sleep", "platform", "patches", "customResources", "resolveDNS")  # fmt: skip
    assert not [path for path in paths(values) if any(name in path for name in paid)]


@pytest.mark.parametrize("release", VCLUSTER.values(), ids=list(VCLUSTER))
def test_the_charts_own_guardrails_are_off_because_ours_are_on(release: VclusterRelease) -> None:
    for guardrail in ("resourceQuota", "limitRange", "networkPolicy"):
        assert at(team(release), f"policies.{guardrail}.enabled") is False


def test_kai_inside_sees_real_nodes_and_only_its_own() -> None:
    values = team(VCLUSTER[DEFAULT_VCLUSTER], node_selector_labels={"gpu-tenancy/team": "ml"})
    assert at(values, "controlPlane.distro.k8s.scheduler.enabled") is True
    nodes = at(values, "sync.fromHost.nodes")
    assert nodes == {"enabled": True, "selector": {"labels": {"gpu-tenancy/team": "ml"}}, "clearImageStatus": True}


def test_a_team_without_kai_sees_no_node_of_the_host() -> None:
    values = team(VCLUSTER[DEFAULT_VCLUSTER], virtual_scheduler=False)
    assert at(values, "controlPlane.distro.k8s.scheduler.enabled") is False
    assert at(values, "sync.fromHost.nodes") == {"enabled": False}


def test_a_teams_priority_class_holds_for_its_control_plane_and_for_every_pod() -> None:
    values = team(VCLUSTER[DEFAULT_VCLUSTER], priority_class="team-high", backing_store="etcd")
    assert {path for path in paths(values) if at(values, path) == "team-high"} == {
        "sync.toHost.pods.priorityClassName",
        "controlPlane.statefulSet.scheduling.priorityClassName",
        "controlPlane.backingStore.etcd.deploy.statefulSet.scheduling.priorityClassName",
    }


@pytest.mark.parametrize(
    ("store", "claim"),
    [
        ("sqlite", "controlPlane.statefulSet.persistence.volumeClaim"),
        ("etcd", "controlPlane.backingStore.etcd.deploy.statefulSet.persistence.volumeClaim"),
    ],
)
def test_the_volume_is_claimed_where_the_data_is(store: str, claim: str) -> None:
    release = VCLUSTER[DEFAULT_VCLUSTER]
    kept = team(release, backing_store=store, storage_class="fast")
    assert at(kept, claim) == {"enabled": True, "size": CONTROL_PLANE_STORAGE, "storageClass": "fast"}
    assert "storageClass" not in str(at(team(release, backing_store=store), claim))
    assert at(team(release, backing_store=store, persistence=False), claim) == {"enabled": False}


def test_etcd_is_one_more_pod_in_the_footprint() -> None:
    release = VCLUSTER[DEFAULT_VCLUSTER]
    plain, with_etcd = release.footprint("sqlite"), release.footprint("etcd")
    assert release.footprint() == plain
    assert with_etcd.pods == plain.pods + 1
    assert with_etcd.memory_mib == plain.memory_mib + release.etcd.memory_mib


def test_footprints_add_up() -> None:
    kai, vcluster = KAI[DEFAULT_KAI].footprint, VCLUSTER[DEFAULT_VCLUSTER].footprint()
    total = kai + vcluster
    assert total.cpu_millicores == kai.cpu_millicores + vcluster.cpu_millicores
    assert total.memory_mib == kai.memory_mib + vcluster.memory_mib
    assert total.pods == kai.pods + vcluster.pods


def test_a_backing_store_that_the_release_lacks_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"vCluster 0\.36\.1 has no backing store 'mysql'; use one of sqlite, etcd"):
        team(VCLUSTER["0.36.1"], backing_store="mysql")


def test_the_api_certificate_holds_every_name_that_the_kubeconfig_may_use() -> None:
    values = team(VCLUSTER[DEFAULT_VCLUSTER], extra_sans=("10.0.0.5", "gpu.example"))
    assert at(values, "controlPlane.proxy.extraSANs") == ["ml.team-ml.svc", "10.0.0.5", "gpu.example"]
    assert at(values, "exportKubeConfig") == {"server": "https://ml.team-ml.svc:443", "context": "ml"}
    outside = team(VCLUSTER[DEFAULT_VCLUSTER], server="https://10.0.0.5:30443")
    assert at(outside, "exportKubeConfig") == {"server": "https://10.0.0.5:30443", "context": "ml"}


def test_host_kai_groups_pods_by_themselves_only_when_asked() -> None:
    asked = team(VCLUSTER[DEFAULT_VCLUSTER], virtual_scheduler=False, set_owner=False)
    assert at(asked, "experimental.syncSettings.setOwner") is False
    assert at(team(VCLUSTER[DEFAULT_VCLUSTER]), "experimental") is None


def test_the_runtime_class_of_every_synced_pod_and_the_tolerations_are_the_hosts_business() -> None:
    values = team(
        VCLUSTER[DEFAULT_VCLUSTER], runtime_class="nvidia", enforce_tolerations=["nvidia.com/gpu=present:NoSchedule"]
    )
    assert at(values, "sync.toHost.pods") == {
        "enforceTolerations": ["nvidia.com/gpu=present:NoSchedule"],
        "runtimeClassName": "nvidia",
        "useSecretsForSATokens": True,
    }


def test_vclusters_images_come_from_the_mirror_and_keep_the_pull_policy() -> None:
    values = team(VCLUSTER[DEFAULT_VCLUSTER], image_registry=f"{MIRROR}/", pull_policy="Never", backing_store="etcd")
    assert at(values, "controlPlane.advanced.defaultImageRegistry") == MIRROR
    assert {path for path in paths(values) if at(values, path) == "Never"} == {
        "controlPlane.statefulSet.imagePullPolicy",
        "controlPlane.distro.k8s.imagePullPolicy",
        "controlPlane.backingStore.etcd.deploy.statefulSet.imagePullPolicy",
    }


def test_the_kubernetes_inside_is_the_one_asked_for() -> None:
    release = VCLUSTER[DEFAULT_VCLUSTER]
    assert at(team(release), "controlPlane.distro.k8s.image.tag") == release.default_kubernetes
    assert at(team(release, kubernetes_version="v1.34.0"), "controlPlane.distro.k8s.image.tag") == "v1.34.0"


# --- device plugin and GPU Operator ---

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


def test_nodes_without_a_label_share_nothing() -> None:
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN], configs=[TIME_SLICED])
    default = at(values, "config.default")
    assert default == "default"
    text = at(values, f"config.map.{default}")
    assert isinstance(text, str)
    assert yaml.safe_load(text) == {"version": "v1"}


def test_without_sharing_there_is_no_config_map() -> None:
    values = device_plugin_values(DEVICE_PLUGIN[DEFAULT_DEVICE_PLUGIN])
    assert at(values, "config") is None
    # feature discovery is on neither here nor by another way: our labels are what the chart's affinity finds
    assert (at(values, "gfd.enabled"), at(values, "nfd.enabled")) == (False, False)
    assert at(values, "runtimeClassName") is None


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
def test_the_operators_images_come_from_the_mirror(release: GpuOperatorRelease) -> None:
    values = gpu_operator_values(release, image_registry=MIRROR, pull_policy="Never")
    repositories = {path for path in paths(values) if path.endswith("repository")}
    assert repositories == set(release.images)
    assert all(str(at(values, path)).startswith(f"{MIRROR}/n") for path in repositories)
    assert {path for path in paths(values) if at(values, path) == "Never"} == set(release.pull_policy_keys)


# --- traps and the page ---


def every_release() -> list[object]:
    return [*KAI.values(), *VCLUSTER.values(), *DEVICE_PLUGIN.values(), *GPU_OPERATOR.values()]


def test_each_trap_has_a_source_a_handling_and_a_flag_that_exists() -> None:
    for release in every_release():
        traps = getattr(release, "traps", ())
        assert traps, release
        assert len({trap.id for trap in traps}) == len(traps)
        for trap in traps:
            assert trap.handling, trap.id
            assert any(mark in trap.source for mark in ("observed", "https://", "@v")), trap.id
            assert trap.flag is None or hasattr(release, trap.flag), trap.id


@pytest.mark.parametrize(
    ("trap", "flag"),
    [
        ("cluster-policy-crd", "needs_cluster_policy_crd"),
        ("remade-operands", "upgrade_remakes_operands"),
        ("default-queue", "default_queue_key"),
        ("reservation-without-runtime-class", "fractions_need_default_runtime"),
        ("helm-wait", "operator"),
        ("mig-name-at-zero", "mig_names_count_at_zero"),
    ],
)
def test_a_release_lists_a_trap_exactly_when_its_flag_is_up(trap: str, flag: str) -> None:
    for version, release in KAI.items():
        assert (trap in {known.id for known in release.traps}) == bool(getattr(release, flag)), version


def test_the_page_of_versions_is_written_from_the_data() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "versions.md"
    assert page.read_text(encoding="utf-8") == releases.markdown(), "stale: run `python -m releases`"


def test_the_page_names_every_version_and_every_trap() -> None:
    page = releases.markdown()
    for release in every_release():
        assert str(getattr(release, "version", None)) in page
        for trap in getattr(release, "traps", ()):
            assert trap.sentence in page
