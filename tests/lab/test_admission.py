"""A tenant's admission rules on a real API server: what is refused, with which words, and what is let through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import yaml
from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import (
    Namespace,
    PersistentVolumeClaim,
    Pod,
    PodBinding,
    PodEphemeralcontainers,
    Service,
)
from lightkube.resources.node_v1 import RuntimeClass
from lightkube.resources.scheduling_v1 import PriorityClass
from lightkube.types import PatchType

import names
import podspec
from components.check import job
from components.team import object_rules, pod_isolation, pod_rules
from components.team.team import check_request
from components.workloads import app_spec, inference_spec
from components.workloads.pods import placement
from lab.binaries import Binaries
from lab.clusters import Clusters
from settings.load import parse_platform
from settings.workloads import App, Inference
from tests.lab.admitted import CLASSES, Host, accounts, install, tenants
from tests.lab.pods import ATTACKS, OF_SOMEBODY, ORDINARY, PLATFORM, asking, container, marked, pod, synced, volume

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def host(programs: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    clusters = Clusters(tmp_path_factory.mktemp("admission"), lambda: programs)
    try:
        kubeconfig = clusters.ensure("host").kubeconfig
        admin = clusters.client("host")
        for name in CLASSES:
            admin.create(RuntimeClass(metadata=ObjectMeta(name=name), handler=name))
        syncers = {}
        for tenant in tenants().values():
            admin.create(Namespace(metadata=ObjectMeta(name=tenant.namespace)))
            admin.create(PriorityClass(metadata=ObjectMeta(name=names.team_priority_class(tenant.name)), value=500))
            syncers[tenant.name] = accounts(admin, kubeconfig, tenant.name)
        # there before the rules, as on a platform that gets stricter ones
        old = synced("ml", metadata={"name": "old"}, **volume(hostPath={"path": "/etc"}))
        admin.create(old, namespace="team-ml")
        for tenant in tenants().values():
            install(admin, tenant)
        found = Host(clusters=clusters, admin=admin, syncers=syncers)
        for tenant in tenants().values():
            found.wait_for(tenant.name, pod(resourceClaims=[{"name": "gpu", "resourceClaimName": "any"}]))
        yield found
    finally:
        clusters.stop_all()


def expect_refusal(said: str | None, rule: str, team: str) -> None:
    assert said is not None, "it was let in"
    assert f"gpu-tenancy rule {rule}, team {team}: " in said


@pytest.mark.parametrize(("team", "rule", "asked"), ATTACKS, ids=[f"{team}-{rule}" for team, rule, _ in ATTACKS])
def test_an_attack_is_refused_with_the_rules_name(host: Host, team: str, rule: str, asked: Pod) -> None:
    expect_refusal(host.refusal(team, asked), rule, team)


@pytest.mark.parametrize(("team", "asked"), [(t, a) for _, t, a in ORDINARY], ids=[f"{t}-{n}" for n, t, _ in ORDINARY])
def test_an_ordinary_pod_is_let_in(host: Host, team: str, asked: Pod) -> None:
    assert host.refusal(team, asked) is None


@pytest.mark.parametrize("team", ["ml", "tight", "open", "clients", "serving", "batch"])
def test_the_programs_own_check_is_let_in(host: Host, team: str) -> None:
    tenant = tenants()[team]
    request = check_request(tenant, parse_platform(PLATFORM, "test"))
    for made in (job.asking_job(request, "mark"), job.verdict_job(request, "mark", "uid")):
        assert host.refusal(team, as_synced(team, made["template"])) is None


EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples" / "workloads").glob("*.yaml"))


def templates(declared: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The pod, or the pod template, of an object."""
    if declared["kind"] == "Pod":
        yield declared
    elif "template" in declared["spec"]:
        template = declared["spec"]["template"]
        # a StatefulSet's controller adds a volume for each of its claims
        for claim in declared["spec"].get("volumeClaimTemplates", ()):
            name = claim["metadata"]["name"]
            template["spec"].setdefault("volumes", []).append(
                {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}}
            )
        yield template


def as_synced(team: str, template: Mapping[str, Any]) -> Pod:
    """What the syncer makes of a tenant's pod: at a place of the team's, with its account and class."""
    metadata, spec = template["metadata"], dict(template["spec"])
    for field in ("serviceAccountName", "priorityClassName", "nodeSelector"):
        spec.pop(field, None)
    return synced(team, labels=metadata.get("labels"), annotations=metadata.get("annotations"), **spec)


@pytest.mark.parametrize("team", ["ml", "open", "serving"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_our_examples_are_let_in(host: Host, team: str, example: Path) -> None:
    for declared in yaml.safe_load_all(example.read_text()):
        for template in templates(declared):
            template["metadata"]["labels"]["kai.scheduler/queue"] = "serving-online" if team == "serving" else "work"
            assert host.refusal(team, as_synced(team, template)) is None


@pytest.mark.parametrize("team", ["ml", "open", "serving"])
def test_the_programs_own_workloads_are_let_in(host: Host, team: str) -> None:
    # not said of the platform: the quota of one GPU has room for one of these
    platform, tenant = parse_platform(PLATFORM, "test"), tenants()[team]
    place = placement(tenant, platform)
    most, little = (
        ({"fraction": 0.7}, {"fraction": 0.2}) if tenant.team.scheduler.shares else ({"count": 1}, {"count": 1})
    )
    server = Inference.model_validate(
        {"kind": "inference", "model": "m", "weights": "3G", "gpu": most, "cpu": 2, "memory": "4Gi"}
        | {"cache": {"size": "20Gi"}, "test": {"contains": "city"}}
    )
    app = App.model_validate({"kind": "app", "port": 5000, "gpu": little})
    serves = inference_spec.deployment_spec("chat", server, place, "example.com/i:1.0", "token")
    made = [
        serves,
        inference_spec.test_job_spec("chat", server, place, "example.com/i:1.0", "code", serves),
        app_spec.deployment_spec("demo", app, place, "example.com/i:1.0", "secret", "code"),
    ]
    for spec in made:
        assert host.refusal(team, as_synced(team, cast("Mapping[str, Any]", spec["template"]))) is None


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (synced("ml", **volume(nfs={"server": "s", "path": "/"})), "; got v"),
        (
            synced("ml", containers=[container(name="greedy", resources={"limits": {"amd.com/gpu": "1"}})]),
            "; got greedy",
        ),
        (synced("ml", hostPID=True, hostIPC=True), "; got hostPID, hostIPC"),
        (synced("ml", annotations={"cdi.k8s.io/x": "y"}), "; got cdi.k8s.io/x"),
    ],
)
def test_a_refusal_names_what_broke_the_rule(host: Host, asked: Pod, named: str) -> None:
    assert (host.refusal("ml", asked) or "").endswith(named)


def test_a_mark_alone_makes_a_pod_the_tenants(host: Host) -> None:
    expect_refusal(host.refusal("ml", marked("someone-else", nodeName="gpu-1")), "own-nodes", "ml")


def test_a_syncer_that_leaves_its_mark_off_is_known_by_its_account(host: Host) -> None:
    elsewhere = pod(nodeName="gpu-1")
    expect_refusal(host.refusal("ml", elsewhere, syncer=True), "own-nodes", "ml")
    assert host.refusal("ml", elsewhere) is None
    assert host.refusal("ml", pod(nodeName="gpu-0"), syncer=True) is None


def test_a_queue_cannot_be_changed_later(host: Host) -> None:
    host.admin.create(asking("serving", metadata={"name": "queued"}), namespace="team-serving")
    change = {"metadata": {"labels": {"kai.scheduler/queue": "batch-nightly"}}}
    with pytest.raises(ApiError, match="gpu-tenancy rule own-queues, team serving"):
        host.admin.patch(Pod, "queued", change, namespace="team-serving", patch_type=PatchType.MERGE)
    for client in (host.admin, host.syncers["serving"]):
        label = {"metadata": {"labels": {"a": "b"}}}
        client.patch(Pod, "queued", label, namespace="team-serving", patch_type=PatchType.MERGE)


def test_only_kai_says_that_a_pod_is_bound_to_a_part_of_a_gpu(host: Host) -> None:
    host.admin.create(asking("serving", metadata={"name": "part"}), namespace="team-serving")
    mark: dict[str, Any] = {"metadata": {"labels": {"runai-gpu-group": "g"}}}
    gone: dict[str, Any] = {"metadata": {"labels": {"runai-gpu-group": None}}}
    tenant = host.syncers["serving"]
    for client, change, refused in (
        (tenant, mark, True),
        (host.admin, mark, False),  # KAI's binder
        (tenant, {"metadata": {"labels": {"b": "c"}}}, False),
        (tenant, {"metadata": {"labels": {"runai-gpu-group": "other"}}}, True),
        (tenant, gone, True),
    ):
        if refused:
            with pytest.raises(ApiError, match="gpu-tenancy rule no-kai-marks, team serving"):
                client.patch(Pod, "part", change, namespace="team-serving", patch_type=PatchType.MERGE)
        else:
            client.patch(Pod, "part", change, namespace="team-serving", patch_type=PatchType.MERGE)


def test_a_pod_that_runs_says_no_less_of_the_gpu_that_it_has(host: Host) -> None:
    """KAI reads these annotations anew in each cycle: what a pod takes back from them others would get twice."""
    half = asking("serving", containers=[container()], annotations={"gpu-fraction": "0.5"}, metadata={"name": "half"})
    host.admin.create(half, namespace="team-serving")
    whole = asking("serving", metadata={"name": "whole"})
    host.admin.create(whole, namespace="team-serving")
    tenant = host.syncers["serving"]
    for name, said, refused in (
        ("half", {"gpu-fraction": "0.01"}, True),
        ("half", {"gpu-fraction": None}, True),
        ("half", {"gpu-fraction-num-devices": "1"}, True),
        ("half", {"gpu-memory": "1"}, True),
        ("half", {"nvidia.com/mig-1g.5gb": "0"}, True),
        # another team's group would be charged, and one that is not there is nobody's
        ("half", {"pod-group-name": "pg-of-another"}, True),
        ("half", {"kai.scheduler/skip-podgrouper": "true"}, True),
        ("half", {"a": "b"}, False),
        ("whole", {"gpu-fraction": "0.01"}, True),
        ("whole", {"nvidia.com/mig-1g.5gb": "-1"}, True),
        ("whole", {"kai.scheduler/x": "y"}, False),
    ):
        change = {"metadata": {"annotations": said}}
        if refused:
            with pytest.raises(ApiError, match="gpu-tenancy rule no-kai-marks, team serving"):
                tenant.patch(Pod, name, change, namespace="team-serving", patch_type=PatchType.MERGE)
        else:
            tenant.patch(Pod, name, change, namespace="team-serving", patch_type=PatchType.MERGE)
    subgroup = {"metadata": {"labels": {"kai.scheduler/subgroup-name": "none"}}}
    with pytest.raises(ApiError, match="gpu-tenancy rule no-kai-marks, team serving"):
        tenant.patch(Pod, "half", subgroup, namespace="team-serving", patch_type=PatchType.MERGE)
    # KAI's own pod-grouper writes both
    group = {"metadata": {"annotations": {"pod-group-name": "pg-half"}, **subgroup["metadata"]}}
    host.admin.patch(Pod, "half", group, namespace="team-serving", patch_type=PatchType.MERGE)
    tenant.patch(
        Pod, "half", {"metadata": {"annotations": {"c": "d"}}}, namespace="team-serving", patch_type=PatchType.MERGE
    )


def test_a_pod_that_waited_comes_back_with_the_group_that_it_had(host: Host) -> None:
    """A syncer that was away makes it anew, with what KAI's pod-grouper wrote into it. Its group is gone, which `make
    why` names (`group-gone`). Nobody guesses another's group, whose name ends in the UID of its owner."""
    assert host.refusal("serving", asking("serving", annotations={"pod-group-name": "pg-before"})) is None


def test_a_debug_container_is_held_to_the_rules(host: Host) -> None:
    host.admin.create(synced("ml", metadata={"name": "debugged"}), namespace="team-ml")
    for more, refused in (({"securityContext": {"privileged": True}}, True), ({}, False)):
        debug = {"spec": {"ephemeralContainers": [container(**more) | {"name": "debug"}]}}
        if refused:
            with pytest.raises(ApiError, match="gpu-tenancy rule not-privileged, team ml"):
                host.admin.patch(PodEphemeralcontainers, "debugged", debug, namespace="team-ml")
        else:
            host.admin.patch(PodEphemeralcontainers, "debugged", debug, namespace="team-ml")


def test_a_pod_from_before_a_rule_can_still_be_labelled_and_not_made_worse(host: Host) -> None:
    label = {"metadata": {"labels": {"a": "b"}}}
    host.syncers["ml"].patch(Pod, "old", label, namespace="team-ml", patch_type=PatchType.MERGE)
    image = {"spec": {"containers": [{"name": "c", "image": "registry.example/other:1"}]}}
    with pytest.raises(ApiError, match="gpu-tenancy rule no-host-path, team ml"):
        host.syncers["ml"].patch(Pod, "old", image, namespace="team-ml", patch_type=PatchType.STRATEGIC)
    devices = {"metadata": {"annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=all"}}}
    with pytest.raises(ApiError, match="gpu-tenancy rule no-devices-by-name, team ml"):
        host.syncers["ml"].patch(Pod, "old", devices, namespace="team-ml", patch_type=PatchType.MERGE)


@pytest.fixture
def built_anew() -> Iterator[None]:
    """Rules that are the same for every team are built once: here they are built before and after the test, too."""
    built = [rule for room in (pod_isolation, pod_rules, object_rules) for rule in vars(room).values()]
    caches = [rule for rule in built if hasattr(rule, "cache_clear")]
    assert caches
    for rule in caches:
        rule.cache_clear()
    yield
    for rule in caches:
        rule.cache_clear()


@pytest.mark.usefixtures("built_anew")
def test_a_field_that_kubernetes_gets_later_is_refused_by_name(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    # this server has no field that the rules don't know, so two that it has are taken from what they know
    monkeypatch.setattr(podspec, "POD_FIELDS", [field for field in podspec.POD_FIELDS if field != "subdomain"])
    monkeypatch.setattr(podspec, "CONTAINER_FIELDS", [f for f in podspec.CONTAINER_FIELDS if f != "workingDir"])
    tenant = replace(tenants()["free"], name="next")
    host.admin.create(Namespace(metadata=ObjectMeta(name=tenant.namespace)))
    install(host.admin, tenant)
    host.wait_for("next", pod(subdomain="s"))
    assert (host.refusal("next", pod(subdomain="s")) or "").endswith("that are named here; got subdomain")
    assert (host.refusal("next", pod(containers=[container(workingDir="/")])) or "").endswith("; got c")
    assert host.refusal("next", pod(hostname="h")) is None


def test_other_namespaces_are_left_alone(host: Host) -> None:
    bad = pod(**volume(hostPath={"path": "/etc"}), hostNetwork=True, runtimeClassName="nvidia")
    host.admin.create(bad, namespace="default", dry_run=True)


def bind(host: Host, team: str, name: str, node: str) -> None:
    asked = PodBinding.from_dict({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}})
    assert isinstance(asked, PodBinding)
    # the server answers with a Status, which lightkube takes for a Binding
    with contextlib.suppress(msgspec.ValidationError):
        host.admin.create(asked, name, namespace=f"team-{team}")


@pytest.mark.parametrize(
    ("team", "asked", "node", "refused"),
    [
        ("ml", synced("ml", nodeSelector={"gpu-tenancy/team-ml": "true"}), "gpu-1", True),
        ("ml", synced("ml", nodeSelector={"gpu-tenancy/team-ml": "true"}), "gpu-0", False),
        ("open", synced("open", nodeSelector={"kind": "gpu"}), "gpu-0", True),
        ("open", synced("open", nodeSelector={"kind": "gpu"}), "found-1", False),
        ("serving", asking("serving"), "gpu-0", True),
        ("serving", asking("serving"), "gpu-2", False),
        # the control plane's pod has no place of its own
        ("ml", pod(metadata={"name": "ml-0"}), "cpu-0", False),
        ("ml", pod(metadata={"name": "ml-etcd-2"}), "cpu-0", False),
        ("ml", synced("ml", nodeSelector={"gpu-tenancy/team-ml": "true"}, metadata={"name": "ml-0x"}), "cpu-0", True),
        ("free", synced("free"), "gpu-0", False),
    ],
)
def test_a_pod_is_bound_to_its_teams_nodes_only(host: Host, team: str, asked: Pod, node: str, refused: bool) -> None:
    asked = deepcopy(asked)
    assert asked.metadata is not None
    name = asked.metadata.name = asked.metadata.name if asked.metadata.name != "p" else f"bound-{node}"
    assert name is not None
    host.admin.create(asked, namespace=f"team-{team}")
    if refused:
        with pytest.raises(ApiError, match=f"gpu-tenancy rule own-binding, team {team}"):
            bind(host, team, name, node)
    else:
        bind(host, team, name, node)
    found = host.admin.get(Pod, name, namespace=f"team-{team}").spec
    assert found is not None
    assert found.nodeName == (None if refused else node)


def claim(team: str, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> PersistentVolumeClaim:
    usual = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "c", "labels": {names.SYNCED_BY: team}, "annotations": dict(annotations or {})}
    made = PersistentVolumeClaim.from_dict({"metadata": metadata, "spec": usual | spec})
    assert isinstance(made, PersistentVolumeClaim)
    return made


@pytest.mark.parametrize("spec", OF_SOMEBODY)
def test_a_claim_picks_no_volume_that_is_there_already(host: Host, spec: dict[str, Any]) -> None:
    expect_refusal(host.refusal("ml", claim("ml", **spec)), "own-volumes", "ml")


def test_a_claim_for_a_new_volume_is_let_in_and_the_host_binds_it(host: Host) -> None:
    assert host.refusal("ml", claim("ml", storageClassName="fast")) is None
    assert host.refusal("ml", claim("ml", dataSource={"kind": "PersistentVolumeClaim", "name": "c"})) is None
    # the control plane's own, made by the StatefulSet's controller
    own = claim("ml", storageClassName="", volumeName="restored")
    assert own.metadata is not None
    own.metadata.labels = None
    assert host.refusal("ml", own) is None
    expect_refusal(host.refusal("ml", own, syncer=True), "own-volumes", "ml")
    host.admin.create(claim("ml"), namespace="team-ml")
    volume_name = {"spec": {"volumeName": "pv-1"}}
    with pytest.raises(ApiError, match="gpu-tenancy rule own-volumes, team ml"):
        host.syncers["ml"].patch(
            PersistentVolumeClaim, "c", volume_name, namespace="team-ml", patch_type=PatchType.MERGE
        )
    host.admin.patch(PersistentVolumeClaim, "c", volume_name, namespace="team-ml", patch_type=PatchType.MERGE)
    label = {"metadata": {"labels": {"a": "b"}}}
    host.syncers["ml"].patch(PersistentVolumeClaim, "c", label, namespace="team-ml", patch_type=PatchType.MERGE)


def test_a_service_takes_no_address_of_others(host: Host) -> None:
    for addresses, refused in ((["10.0.0.5"], True), (None, False)):
        spec = {"selector": {"a": "b"}, "ports": [{"port": 80}], "externalIPs": addresses}
        made = Service.from_dict({"metadata": {"name": "s", "labels": {names.SYNCED_BY: "ml"}}, "spec": spec})
        said = host.refusal("ml", made)
        assert (said is not None) is refused
        assert said is None or "gpu-tenancy rule no-external-ips, team ml" in said
