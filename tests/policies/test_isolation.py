"""Isolation rules: each fires with its words, and stays silent on what is allowed."""

from __future__ import annotations

import pytest

from names import LABEL_POOL
from policies import names
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN
from policies.rules.isolation import FORBIDDEN_VALUES, OPEN_DOORS, PERSISTENCE
from tests.policies.world import (
    ABSENT,
    changed,
    guardrails,
    healthy,
    host_check,
    job,
    messages,
    pool,
    resource,
    result,
    team,
    vcluster,
    with_,
    without,
)

# --- guardrails -----------------------------------------------------------------------------------------------------


def test_a_team_without_a_limit_range_is_refused() -> None:
    assert messages("limit-range", without(names.LIMIT_RANGE)) == [
        "team ml: no LimitRange in host namespace team-ml; create one with default requests and limits"
    ]
    assert len(messages("limit-range", [team(), *guardrails("vision")])) == 1
    assert messages("limit-range", healthy()) == []


def network(spec: object, name: str = "ml-deny") -> PolicyResource:
    return resource(names.NETWORK_POLICY, name, {"metadata": {"name": name, "namespace": "team-ml"}, "spec": spec})


DENY: dict[str, object] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize(
    "spec",
    [
        DENY | {"policyTypes": ["Ingress"]},
        DENY | {"policyTypes": ["Egress"]},
        DENY | {"podSelector": {"matchLabels": {"app": "x"}}},
        DENY | {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
        {},
    ],
)
def test_a_policy_that_leaves_a_pod_or_a_direction_out_is_no_default_deny(spec: object) -> None:
    world = without(names.NETWORK_POLICY) if spec == {} else with_(network(spec))
    assert messages("default-deny-network", world) == [
        "team ml: no default-deny NetworkPolicy in host namespace team-ml; create one with an empty podSelector and "
        "policyTypes Ingress and Egress"
    ]


@pytest.mark.parametrize(
    ("direction", "rule"),
    [
        ("ingress", {}),
        ("egress", {}),
        ("ingress", {"from": []}),
        ("ingress", {"from": [{"namespaceSelector": {}}]}),
        ("ingress", {"from": [{"namespaceSelector": {"matchLabels": {}}, "podSelector": {"matchExpressions": []}}]}),
        ("egress", {"to": [{"podSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "::/0", "except": []}}]}),
    ],
)
def test_a_rule_that_lets_every_peer_in_or_out_is_refused(direction: str, rule: object) -> None:
    peers = "from" if direction == "ingress" else "to"
    opened = network(DENY | {direction: [rule]}, "ml-open")
    assert messages("default-deny-network", [*healthy(), opened]) == [
        f"team ml: NetworkPolicy ml-open allows {direction} of every peer on every port; name peers in {peers!r}, or "
        "ports"
    ]


@pytest.mark.parametrize(
    ("direction", "rule"),
    [
        ("ingress", {"ports": [{"port": 8443}]}),
        ("egress", {"to": [{"namespaceSelector": {}}], "ports": [{"port": 53}]}),
        ("egress", {"to": [{"podSelector": {}}]}),
        ("egress", {"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}),
        ("egress", {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "dns"}}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}),
    ],
)
def test_a_rule_with_named_peers_or_ports_passes(direction: str, rule: object) -> None:
    assert messages("default-deny-network", [*healthy(), network(DENY | {direction: [rule]}, "ml-more")]) == []


def test_a_peer_that_is_not_known_is_a_violation() -> None:
    opened = network(DENY | {"ingress": [{"from": [{"namespaceSelector": UNKNOWN}]}]}, "ml-open")
    assert "namespaceSelector is not known at preview" in messages("default-deny-network", [*healthy(), opened])[0]


def namespace(level: str | None, name: str = "team-ml") -> PolicyResource:
    labels = {names.POD_SECURITY_LABEL: level} if level else {}
    return resource(names.NAMESPACE, "team-ml", {"metadata": {"name": name, "labels": labels}})


@pytest.mark.parametrize(
    ("declared", "enforced", "fires"),
    [
        ("restricted", "restricted", False),
        ("restricted", "baseline", True),
        ("baseline", "restricted", False),
        ("baseline", "baseline", False),
        ("baseline", "privileged", True),
        ("baseline", None, True),
        ("baseline", "none-such", True),
        ("privileged", None, False),
    ],
)
def test_the_namespace_enforces_at_least_the_declared_level(declared: str, enforced: str | None, fires: bool) -> None:
    found = messages("pod-security-level", [namespace(None, "other"), team(isolation=declared), namespace(enforced)])
    assert len(found) == fires
    if fires:
        assert found[0] == (
            f"team ml: namespace team-ml enforces Pod Security level {enforced or 'privileged'!r}, declared is "
            f"{declared!r}; "
            f"set label pod-security.kubernetes.io/enforce: {declared}"
        )


def test_a_team_without_a_namespace_is_refused() -> None:
    for world in ([team()], [team(), namespace("baseline", "team-vision")]):
        assert messages("pod-security-level", world) == [
            "team ml: no host namespace team-ml; create it with label pod-security.kubernetes.io/enforce: baseline"
        ]


def test_a_level_that_does_not_exist_is_refused() -> None:
    assert messages("pod-security-level", [team(isolation="strict"), namespace("restricted")]) == [
        "team ml: isolation 'strict' is none of privileged, baseline, restricted"
    ]


def test_a_namespace_whose_name_is_not_known_hides_nothing() -> None:
    hidden = resource(names.NAMESPACE, "other", {"metadata": {"name": UNKNOWN}})
    assert messages("pod-security-level", [hidden, team(), namespace("baseline")]) == []


# --- plain-workload -------------------------------------------------------------------------------------------------


def container(**security: object) -> dict[str, object]:
    return {"name": "c", "image": "docker.io/library/a:1.0", "securityContext": security}


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        ({"hostNetwork": True}, "hostNetwork is on, isolation is 'baseline'; turn it off"),
        ({"hostPID": True}, "hostPID is on, isolation is 'baseline'; turn it off"),
        ({"hostIPC": True}, "hostIPC is on, isolation is 'baseline'; turn it off"),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]},
            "mounts host path '/etc', isolation is 'baseline'; use another volume",
        ),
        (
            {"containers": [container(privileged=True)]},
            "container c is privileged, isolation is 'baseline'; turn it off",
        ),
        (
            {"initContainers": [container(capabilities={"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"]})]},
            "container c adds capabilities NET_RAW, SYS_ADMIN; drop them",
        ),
    ],
)
def test_a_workload_that_reaches_the_host_is_refused(pod: dict[str, object], said: str) -> None:
    assert messages("plain-workload", [team(), job("ml-job", None, **pod)]) == [f"Job ml-job: {said}"]
    assert messages("plain-workload", [team(isolation="privileged"), job("ml-job", None, **pod)]) == []


def test_baseline_lets_a_container_add_what_it_has_anyway() -> None:
    # Kubernetes' Pod Security Standards, baseline, "Capabilities"
    has = [
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"),
        *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    ]
    assert messages("plain-workload", [team(), job(containers=[container(capabilities={"add": has})])]) == []


def test_what_baseline_adds_is_too_much_for_restricted() -> None:
    adds = job(containers=[container(capabilities={"add": ["CHOWN", "NET_BIND_SERVICE"]})])
    assert messages("plain-workload", [team(), adds]) == []
    assert messages("plain-workload", [team(isolation="restricted"), adds]) == [
        "Job ml-job: container c adds capabilities CHOWN; drop them"
    ]


def test_switches_that_are_off_pass() -> None:
    fine = job(hostNetwork=False, volumes=[{"name": "v", "emptyDir": {}}], containers=[container(privileged=False)])
    assert messages("plain-workload", [team(), fine]) == []


def test_a_workload_of_the_host_is_held_to_baseline() -> None:
    sly = changed(host_check(), "spec/template/spec/hostPID", True)
    assert messages("plain-workload", [sly]) == [
        "Job gpu-check-gpu-0: hostPID is on, isolation is 'baseline'; turn it off"
    ]


def test_a_workload_of_an_unknown_team_is_a_violation_and_not_skipped() -> None:
    assert messages("plain-workload", [team("vision"), job()]) == [
        "Job ml-job: names team 'ml', which this stack does not have"
    ]


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
        f"team ml: vCluster value {path} is off, so a restart of its control plane wipes the team's cluster; turn it on"
    ]
    assert messages("vcluster-persistence", [bad], requirePersistence=False) == []


@pytest.mark.parametrize("value", [True, "true", "auto", ABSENT])
def test_data_on_a_volume_passes(value: object) -> None:
    good = changed(vcluster(), f"values/{PERSISTENCE[0].replace('.', '/')}", value)
    assert messages("vcluster-persistence", [good]) == []


@pytest.mark.parametrize(
    ("chart", "subjects"),
    [
        ("vcluster", 1),
        ("oci://mirror.example/charts/vcluster", 1),
        ("/charts/vcluster-0.29.3.tgz", 1),
        ("kai-scheduler", 0),
    ],
)
def test_a_virtual_cluster_is_known_by_its_chart(chart: str, subjects: int) -> None:
    release = changed(vcluster(), "chart", chart)
    assert result("vcluster-values", [pool(), team(), release]).checked == subjects


def test_a_chart_that_is_not_known_yet_may_be_a_virtual_cluster() -> None:
    assert len(messages("vcluster-persistence", [changed(vcluster(), "chart", UNKNOWN)])) == 0
    assert result("vcluster-persistence", [changed(vcluster(), "chart", UNKNOWN)]).checked == 1
