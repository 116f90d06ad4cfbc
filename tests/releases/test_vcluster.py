"""What each vCluster gets: the open-source image, our guardrails, the volume, names and mirrors."""

from __future__ import annotations

import pytest

from releases import (
    CONTROL_PLANE_STORAGE,
    DEFAULT_KAI,
    DEFAULT_VCLUSTER,
    KAI,
    VCLUSTER,
    VclusterRelease,
)
from tests.releases.built import MIRROR, at, paths, team


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


def test_runtime_classes_are_synced_and_pods_restricted_only_where_it_is_asked_for() -> None:
    usual = team(VCLUSTER[DEFAULT_VCLUSTER])
    more = team(VCLUSTER[DEFAULT_VCLUSTER], sync_runtime_classes=True, restricted=True)
    for key, on, off in (
        ("sync.fromHost.runtimeClasses.enabled", True, False),
        ("controlPlane.coredns.security.podSecurityContext.seccompProfile.type", "RuntimeDefault", None),
    ):
        assert (at(more, key), at(usual, key)) == (on, off)


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
    assert at(team(release, kubernetes_version="v1.34.0"), "controlPlane.distro.k8s.image.tag") == "v1.34.0"
