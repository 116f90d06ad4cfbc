"""Charts: a Release is judged by the component that it belongs to, and holds only values that the rules know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

import releases
import tokens
from components.workloads.pods import Placement
from components.workloads.slurm import workers
from names import LABEL_POOL
from policies.charts import FORBIDDEN_VALUES, OPEN_DOORS, PERSISTENCE, VALUES
from policies.paths import strangers
from policies.plain import UNKNOWN
from releases import slinky
from settings.workloads import SlurmWorkload
from tests.policies.judged import ABSENT, changed, messages, result, with_
from tests.policies.world import healthy, kai_release, pool, resource, team, vcluster

# --- by component ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chart", ["vcluster", "oci://mirror.example/charts/tenant", "/charts/a.tgz", "", UNKNOWN])
def test_a_virtual_cluster_is_known_by_its_component_whatever_a_mirror_calls_its_chart(chart: object) -> None:
    release = changed(vcluster(), "chart", chart)
    for rule in ("vcluster-values", "vcluster-persistence"):
        assert result(rule, [pool(), team(), release]).checked == 1
        assert result(rule, [pool(), team(), changed(kai_release(), "chart", "vcluster")]).checked == 0
    opened = changed(release, "values/sync/fromHost/secrets/enabled", True)
    assert len(messages("vcluster-values", [pool(), team(), opened])) == 1


def test_a_component_is_known_by_the_parent_and_without_one_by_the_urn() -> None:
    release = vcluster()
    for found in (release, replace(release, parent=""), replace(release, urn="x")):
        assert found.component == tokens.VIRTUAL_CLUSTER
    assert replace(release, parent="", urn="x").component == ""


@pytest.mark.parametrize("parent", ["", team().urn])
def test_a_release_of_no_component_is_refused(parent: str) -> None:
    stray = resource(tokens.RELEASE, "stray", vcluster().properties, parent=parent)
    assert messages("known-values", [stray]) == [
        "Release stray: belongs to no component whose charts the rules know (VirtualCluster, KaiScheduler, "
        "GpuSoftware, SlinkyCluster), so nothing judges what its chart makes; register it as that component's child"
    ]


# --- known-values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("controlPlane/statefulSet/security/containerSecurityContext/privileged", True),
        ("controlPlane/statefulSet/security/containerSecurityContext/capabilities/add", ["SYS_ADMIN"]),
        ("controlPlane/statefulSet/persistence/addVolumes", [{"name": "v", "hostPath": {"path": "/"}}]),
        ("controlPlane/statefulSet/args", ["--x"]),
        ("controlPlane/coredns/overwriteManifests", "kind: Pod"),
        ("sync/toHost/pods/translateImage", {"a": "b"}),
        ("sync/toHost/pods/patches", [{"path": "spec"}]),
        ("experimental/isolatedControlPlane", {"enabled": True}),
        ("policies/resourceQuota/quota", {"pods": 9}),
        ("rbac/clusterRole/enabled", False),
        ("made-up-later", 1),
    ],
)
def test_a_value_that_the_rules_do_not_know_is_refused(path: str, value: object) -> None:
    said = messages("known-values", [changed(vcluster(), f"values/{path}", value)])
    assert said == [
        f"Release ml-vcluster: value {path.replace('/', '.')} is unknown to the rules, so nothing judges what it "
        "does; remove it, or add it to allowedValues of known-values in policies/config/<stack>.json"
    ]


def test_a_stack_may_add_a_value() -> None:
    more = changed(vcluster(), "values/logging", {"encoding": "json"})
    assert len(messages("known-values", [more])) == 1
    for allowed in ("logging.encoding", "logging.**"):
        assert messages("known-values", [more], allowedValues=[allowed]) == []


def test_values_that_are_not_known_at_preview_are_a_violation() -> None:
    assert "values is not known at preview" in messages("known-values", [changed(vcluster(), "values", UNKNOWN)])[0]
    hidden = changed(vcluster(), "values/sync", UNKNOWN)
    assert messages("known-values", [hidden])[0].startswith("Release ml-vcluster: sync is not known at preview")


MIRROR: Final[Mapping[str, Any]] = {"image_registry": "mirror.example", "pull_policy": "Never"}
SHARED: Final = (
    releases.SharingConfig(name="shared", strategy="timeSlicing", replicas=4),
    releases.SharingConfig(name="cut", strategy="mig"),
)
PLACE: Final = Placement(
    team="ml",
    labels={"a": "b"},
    scheduler_name="kai-scheduler",
    runtime_class="nvidia",
    node_selector={"a": "b"},
    tainted=True,
    image_pull_policy=None,
    default_queue="training",
    on_host=False,
    gpu_memory_mib=None,
)


def written() -> Mapping[str, list[Mapping[str, object]]]:
    """All that our values say of every release where a stack asks for everything, by component."""
    slurm = SlurmWorkload.model_validate({"kind": "slurm", "gpu": {"count": 8}, "cpu": "8", "memory": "64Gi"})
    return {
        tokens.KAI_SCHEDULER: [
            releases.kai_values(
                release,
                gpu_sharing=True,
                enforce=release.enforcement is not None,
                restricted=release.restricted,
                runtime_class="nvidia",
                cdi=True,
                fake_gpus=True,
                namespace_labels={"e.f/g": "h"},
                scale_adjuster=True,
                topology_migration=False,
                **MIRROR,
            )
            for release in releases.KAI.values()
        ],
        tokens.VIRTUAL_CLUSTER: [
            releases.vcluster_values(
                release,
                team="ml",
                namespace="team-ml",
                kubernetes_version=releases.DEFAULT_KUBERNETES,
                server="https://ml.team-ml.svc",
                virtual_scheduler=True,
                node_selector_labels={"a.b/c": "d"},
                enforce_tolerations=("k=v:NoSchedule",),
                runtime_class="nvidia",
                storage_class="fast",
                backing_store="etcd" if store == "etcd" else "sqlite",
                set_owner=False,
                restricted=True,
                priority_class="team-ml",
                **MIRROR,
            )
            for release in releases.VCLUSTER.values()
            for store in release.backing_stores
        ],
        tokens.GPU_SOFTWARE: [
            *(
                releases.device_plugin_values(
                    release,
                    configs=SHARED,
                    runtime_class="nvidia",
                    driver_root="/",
                    device_list_strategy="cdi-cri",
                    **MIRROR,
                )
                for release in releases.DEVICE_PLUGIN.values()
            ),
            *(
                releases.gpu_operator_values(
                    release, configs=SHARED, microk8s=True, monitor_labels={"release": "x"}, **MIRROR
                )
                for release in releases.GPU_OPERATOR.values()
            ),
            *(
                releases.dcgm_exporter_values(release, monitor_labels={"release": "x"}, **MIRROR)
                for release in releases.DCGM_EXPORTER.values()
            ),
        ],
        tokens.SLINKY_CLUSTER: [
            values
            for release in slinky.SLINKY.values()
            for values in (
                slinky.slinky_operator_values(release, namespace="workloads", **MIRROR),
                slinky.slinky_values(release, workers(slurm, PLACE), partition="gpu", storage="5Gi", **MIRROR),
            )
        ],
    }


@pytest.mark.parametrize("component", VALUES)
def test_all_that_we_write_is_known_and_no_more(component: str) -> None:
    known, found = VALUES[component], written()[component]
    for values in found:
        assert list(strangers(values, known)) == []
        release = resource(tokens.RELEASE, "ours", {"values": values}, parent=resource(component, "x", {}).urn)
        assert messages("known-values", [release]) == []
    idle = [
        path
        for path in known
        if not any(list(strangers(values, [other for other in known if other != path])) for values in found)
    ]
    assert idle == []


# --- vCluster -------------------------------------------------------------------------------------------------------


def test_values_of_a_plain_virtual_cluster_pass() -> None:
    assert messages("vcluster-values", healthy()) == []


def test_the_doors_are_those_of_vclusters_chart() -> None:
    # written a second time on purpose: a path that is mistyped in the rule would never match
    assert {path.rpartition(".")[0] if path.endswith(".enabled") else path for path in OPEN_DOORS} == {
        *(
            f"sync.toHost.{kind}"
            for kind in ("persistentVolumes", "storageClasses", "priorityClasses", "networkPolicies")
        ),
        *(f"sync.toHost.{kind}" for kind in ("resourceClaims", "resourceClaimTemplates")),
        *(f"sync.toHost.{kind}" for kind in ("serviceAccounts", "namespaces", "ingresses", "gatewayApi")),
        "sync.toHost.pods.hybridScheduling",
        "sync.toHost.volumeSnapshotContents",
        "sync.fromHost.nodes.syncBackChanges",
        "sync.fromHost.secrets",
        "sync.fromHost.configMaps",
        "controlPlane.hostPathMapper",
        "networking.advanced.proxyKubelets.byIP",
    }
    assert set(FORBIDDEN_VALUES) == {
        "sync.toHost.customResources",
        "sync.fromHost.customResources",
        *(f"rbac.{scope}.{key}" for scope in ("role", "clusterRole") for key in ("extraRules", "overwriteRules")),
        *(f"experimental.deploy.host.{key}" for key in ("manifests", "manifestsTemplate")),
        "experimental.syncSettings.targetNamespace",
        "experimental.genericSync",
        *(f"networking.replicateServices.{way}" for way in ("fromHost", "toHost")),
        "plugins",
    }
    assert PERSISTENCE == (
        "controlPlane.statefulSet.persistence.volumeClaim.enabled",
        "controlPlane.backingStore.etcd.deploy.statefulSet.persistence.volumeClaim.enabled",
    )


@pytest.mark.parametrize("path", OPEN_DOORS)
@pytest.mark.parametrize("value", [True, "true", "auto"])
def test_an_open_door_is_refused_with_its_reason(path: str, value: object) -> None:
    bad = changed(vcluster(), f"values/{path.replace('.', '/')}", value)
    assert messages("vcluster-values", with_(bad)) == [
        f"team ml: vCluster value {path} is on: {OPEN_DOORS[path]}; turn it off"
    ]


@pytest.mark.parametrize("path", OPEN_DOORS)
@pytest.mark.parametrize("value", [False, "false", None])
def test_a_closed_door_passes(path: str, value: object) -> None:
    assert messages("vcluster-values", with_(changed(vcluster(), f"values/{path.replace('.', '/')}", value))) == []


@pytest.mark.parametrize("path", FORBIDDEN_VALUES)
def test_a_forbidden_value_is_refused_and_an_empty_one_passes(path: str) -> None:
    place = f"values/{path.replace('.', '/')}"
    assert messages("vcluster-values", with_(changed(vcluster(), place, {"some": "thing"}))) == [
        f"team ml: vCluster value {path} is set: {FORBIDDEN_VALUES[path]}; remove it"
    ]
    nothing: tuple[object, ...] = ({}, [], "")
    for empty in nothing:
        assert messages("vcluster-values", with_(changed(vcluster(), place, empty))) == []


NODES = "values/sync/fromHost/nodes"


@pytest.mark.parametrize(
    "nodes",
    [
        {"enabled": True},
        {"enabled": True, "selector": {"all": True, "labels": {LABEL_POOL: "a100"}}},
        {"enabled": True, "selector": {"labels": {LABEL_POOL: "l4"}}},
        {"enabled": True, "selector": {"labels": {"kind": "gpu"}}},
    ],
)
def test_a_virtual_cluster_that_shows_nodes_of_others_is_refused(nodes: object) -> None:
    assert messages("vcluster-values", with_(changed(vcluster(), NODES, nodes))) == [
        "team ml: vCluster shows nodes of others; set sync.fromHost.nodes.selector.labels to gpu-tenancy/pool=a100"
    ]


def test_a_virtual_cluster_without_real_nodes_needs_no_selector() -> None:
    assert messages("vcluster-values", with_(changed(vcluster(), NODES, {"enabled": False}))) == []


def test_a_virtual_cluster_in_a_namespace_of_no_team_is_refused() -> None:
    stray = changed(vcluster(), "namespace", "somewhere")
    assert messages("vcluster-values", with_(stray)) == [
        "Release ml-vcluster: goes to namespace somewhere, which belongs to no team of this stack"
    ]


@pytest.mark.parametrize("path", PERSISTENCE)
@pytest.mark.parametrize("value", [False, "false"])
def test_data_without_a_volume_is_refused_where_the_stack_requires_one(path: str, value: object) -> None:
    bad = changed(vcluster(), f"values/{path.replace('.', '/')}", value)
    assert messages("vcluster-persistence", [bad]) == [
        f"team ml: vCluster value {path} is off, so a restart of its control plane wipes the team's cluster; turn it "
        "on, or set requirePersistence of vcluster-persistence in policies/config/<stack>.json to false"
    ]
    assert messages("vcluster-persistence", [bad], requirePersistence=False) == []


@pytest.mark.parametrize("value", [True, "true", "auto", ABSENT])
def test_data_on_a_volume_passes(value: object) -> None:
    good = changed(vcluster(), f"values/{PERSISTENCE[0].replace('.', '/')}", value)
    assert messages("vcluster-persistence", [good]) == []
