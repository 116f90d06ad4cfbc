"""What resources say: a state that an earlier program left is read by the names that it had then."""

from __future__ import annotations

from fnmatch import filter as fnmatch_filter
from fnmatch import fnmatch
from typing import Any, Final

import pytest

import tokens
from names import LABEL_TEAM, LABEL_WORKLOAD
from preview.facts import BLUE_GREEN, CANARY_OF, DRIVER, HARD, MADE
from preview.observed import facts_after, facts_before, facts_in_state
from preview.steps import Op, Preview, Step
from preview.table import table
from tests.preview.whole_state import POOL, STACK, STATE, TENANT
from tests.preview.world import UNKNOWN


def state(*resources: tuple[str, Any]) -> dict[str, Any]:
    return {f"urn:{number}": {"type": kind, "outputs": said} for number, (kind, said) in enumerate(resources)}


def tenant(*resources: tuple[str, Any], name: str = "ml") -> dict[str, Any]:
    """The facts of a tenant from a state in which its Team says nothing but its name."""
    found = facts_in_state(state((tokens.TEAM, {"name": name}), *resources))
    assert found is not None
    return dict(found.tenants[name])


def test_every_fact_of_a_state_is_read_by_its_name() -> None:
    found = facts_in_state(state(*STATE))
    assert found is not None
    assert (found.tenants, found.pools, found.stack) == ({"ml": TENANT}, {"a": POOL}, STACK)


BY_ANOTHER_FACT: Final = {
    "host.kubeconfig": "the cluster's UID",
    "host.name": "the cluster's UID, and host.made",
    "host.storageClass": "the release of vCluster, below",
    "teams.*.scheduler.canary.*": "a tenant of its own",
    "teams.*.blueGreen.*": "a tenant of its own",
    "pools.*.sharing.*": "how often each GPU is advertised",
    "teams.*.resources.storage": "the ResourceQuota, below",
    "teams.*.vcluster.snapshots.s3.bucket": "the size, which is none beside a bucket",
}
"""Fields of which a state says nothing under their own name, and what tells instead."""


def test_a_state_knows_every_field_whose_change_may_be_refused() -> None:
    """Otherwise `make preview` and `make up` would let through what the gate of a pull request refuses."""
    found = facts_in_state(state(*STATE))
    assert found is not None
    known = [
        *found.stack,
        *(f"pools.a.{path}" for path in found.pools["a"]),
        *(f"teams.ml.{path}" for path in found.tenants["ml"]),
    ]
    for row in table():
        if row.kind.refused and not any(fnmatch(row.field, field) for field in BY_ANOTHER_FACT):
            assert fnmatch_filter(known, row.field), row.field


def test_a_live_claim_without_what_was_asked_for_does_not_say_its_class() -> None:
    """Kubernetes has filled in the default class: the stack file may name none."""
    spec = {"storageClassName": "standard", "resources": {"requests": {"storage": "20Gi"}}}
    labels = {LABEL_TEAM: "ml", LABEL_WORKLOAD: "chat-cache"}
    live: dict[str, Any] = {"metadata": {"labels": labels}, "spec": spec, "status": {"phase": "Bound"}}
    found = tenant((tokens.VOLUME_CLAIM, live))
    assert found["workloads.chat.cache.size"] == "20Gi"
    assert "workloads.chat.cache.storageClass" not in found
    del live["status"]
    assert tenant((tokens.VOLUME_CLAIM, live))["workloads.chat.cache.storageClass"] == "standard"


def test_what_the_sdk_leaves_out_where_it_is_none_is_none() -> None:
    bare = [(tokens.NODE_POOL, {"name": "a"}), (tokens.GPU_SOFTWARE, {"stack": "devicePlugin"})]
    found = facts_in_state(state(*bare))
    assert found is not None
    assert found.pools == {"a": {"selector": None, "gpuMemoryMib": None, "product": None}}
    assert found.stack == {
        "gpu.stack": "devicePlugin",
        "gpu.version": None,
        "gpu.runtimeClass.name": None,
        DRIVER: "host",
    }
    assert tenant((tokens.TEAM, {"name": "ml", "mode": "host", "schedulerVersion": "v0.16.8", "state": "paused"})) == {
        "pool": None,
        CANARY_OF: None,
        BLUE_GREEN: None,
        "scheduler.mode": "host",
        "scheduler.version": None,
        "state": "paused",
    }


def test_a_team_says_its_vcluster_itself() -> None:
    assert tenant((tokens.TEAM, {"name": "ml", "vclusterVersion": "0.36.1"}))["vcluster.version"] == "0.36.1"


def test_a_component_of_an_older_program_that_kept_only_some_facts_says_none() -> None:
    partly: list[tuple[str, dict[str, Any]]] = [
        (kind, {}) for kind in (tokens.NODE_POOL, tokens.HOST_CLUSTER, tokens.KAI_SCHEDULER, tokens.SLURM_CLUSTER)
    ]
    found = facts_in_state(state((tokens.TEAM, {"name": "ml"}), *partly, (tokens.KAI_SCHEDULER, {"version": "v1"})))
    assert found is not None
    assert (found.stack, found.pools) == ({}, {})


def test_a_cluster_without_an_address_was_made_on_this_machine() -> None:
    made = (tokens.INSTALLED_HOST, {"provider": "kind", "name": "lab-a", "ssh": {"is": "no text"}})
    found = facts_in_state(state(made))
    assert found is not None
    assert found.stack == {MADE: "kind lab-a on this machine"}


def release(values: object, **more: Any) -> tuple[str, Any]:
    chart = {"namespace": "team-ml", "chart": "oci://x/vcluster", "version": "0.36.1"}
    return tokens.RELEASE, {**chart, "values": {"controlPlane": values}, **more}


ETCD: Final = {"deploy": {"enabled": True, "statefulSet": {"persistence": {"volumeClaim": {"enabled": False}}}}}
CLAIM: Final = {"persistence": {"volumeClaim": {"enabled": True, "storageClass": "fast"}}}


@pytest.mark.parametrize(
    ("values", "expected", "storage"),
    [
        ({}, {"vcluster.backingStore": "sqlite"}, None),
        (
            {"backingStore": {"etcd": ETCD}, "statefulSet": CLAIM},
            {"vcluster.backingStore": "etcd", "vcluster.persistence": False},
            None,
        ),
        (
            {"statefulSet": CLAIM, "distro": {"k8s": {"image": {"tag": "v1.34.4"}}}},
            {
                "vcluster.backingStore": "sqlite",
                "vcluster.persistence": True,
                "vcluster.kubernetesVersion": "v1.34.4",
            },
            "fast",
        ),
    ],
)
def test_a_release_of_vcluster_says_what_its_component_did_not_keep(
    values: object, expected: dict[str, Any], storage: str | None
) -> None:
    found = facts_in_state(state((tokens.TEAM, {"name": "ml"}), release(values)))
    assert found is not None
    known = {path: value for path, value in found.tenants["ml"].items() if path.startswith("vcluster.")}
    assert known == {"vcluster.version": "0.36.1", **expected}
    assert found.stack.get("host.storageClass") == storage


NOTHING: Final = tenant()


@pytest.mark.parametrize(
    "other",
    [
        release({}, chart="oci://x/kai-scheduler"),
        release({}, namespace="kube-system"),
        (tokens.RESOURCE_QUOTA, {"metadata": {"namespace": "team-ml"}, "spec": {}}),
        (tokens.RESOURCE_QUOTA, {"metadata": {"namespace": "default"}, "spec": {"hard": {"pods": "1"}}}),
        (tokens.SERVICE, {"metadata": {"namespace": "team-ml", "name": "web"}, "spec": {"type": "NodePort"}}),
        (tokens.SERVICE, {"metadata": {"namespace": "default", "name": "None-api"}, "spec": {"type": "NodePort"}}),
        (tokens.VOLUME_CLAIM, {"metadata": {"labels": {LABEL_TEAM: "ml"}}, "spec": {}}),
        (tokens.VOLUME_CLAIM, {"metadata": {"labels": {LABEL_WORKLOAD: "chat"}}, "spec": {}}),
        (tokens.RELEASE, {"chart": "oci://x/slurm", "name": "jobs", "values": {"controller": {}}}),
        (
            tokens.RELEASE,
            {
                "chart": "x",
                "name": "jobs",
                "values": {"nodesets": {"worker": {"metadata": {"labels": {LABEL_TEAM: "ml"}}}}},
            },
        ),
    ],
)
def test_other_objects_say_nothing_of_a_tenant(other: tuple[str, Any]) -> None:
    assert tenant(other) == NOTHING


def test_objects_of_a_tenant_that_no_component_names_make_none() -> None:
    quota = (tokens.RESOURCE_QUOTA, {"metadata": {"namespace": "team-bio"}, "spec": {"hard": {"pods": "1"}}})
    found = facts_in_state(state((tokens.TEAM, {"name": "ml"}), quota))
    assert found is not None
    assert set(found.tenants) == {"ml"}


def test_a_quota_says_the_storage_and_a_service_how_it_is_exposed() -> None:
    quota = (
        tokens.RESOURCE_QUOTA,
        {"metadata": {"namespace": "team-ml"}, "spec": {"hard": {"requests.storage": "1Gi"}}},
    )
    assert tenant(quota)["resources.storage"] == "1Gi"
    for ports in ([], "odd", ["odd"]):
        service = {
            "metadata": {"namespace": "team-ml", "name": "ml-api"},
            "spec": {"type": "ClusterIP", "ports": ports},
        }
        found = tenant((tokens.SERVICE, service))
        assert found["access.expose"] == "ClusterIP"
        assert "access.port" not in found


def test_what_can_not_be_read_is_not_known_and_what_follows_is() -> None:
    odd = (tokens.TEAM, {"name": UNKNOWN, "pool": "a"})
    found = facts_in_state(state(odd, (tokens.TEAM, {"name": "ml", "pool": "b"}), *STATE[2:3]))
    assert found is not None
    assert set(found.tenants) == {"ml"}
    assert set(found.pools) == {"a"}


def of(kind: str, name: str, old: dict[str, Any] | None, new: dict[str, Any] | None, op: Op) -> Step:
    return Step(op=op, urn=f"urn:pulumi:prod::gpu-tenancy::{kind}::{name}", old=old, new=new)


def test_a_preview_says_both_sides_and_leaves_out_what_it_can_not_read() -> None:
    object_ = {"metadata": {"namespace": "team-bio"}, "spec": {"hard": {"pods": "1"}}}
    preview = Preview(
        steps=(
            of(tokens.TEAM, "odd", {"name": UNKNOWN}, {"name": UNKNOWN}, Op.UPDATE),
            of(tokens.TEAM, "ml", {"name": "ml", "pool": "a"}, {"name": "ml", "pool": "b"}, Op.UPDATE),
            of(tokens.TEAM, "gone", {"name": "gone"}, None, Op.DELETE),
            of(tokens.RESOURCE_QUOTA, "bio", object_, object_, Op.SAME),
            of(tokens.RESOURCE_QUOTA, "new", None, {**object_, "metadata": {"namespace": "team-new"}}, Op.CREATE),
            of("other:index:Kind", "x", {"name": "x"}, {"name": "x"}, Op.SAME),
        )
    )
    before, after = facts_before(preview), facts_after(preview)
    assert (set(before.tenants), set(after.tenants)) == ({"ml", "gone", "bio"}, {"ml", "bio"})
    assert (before.tenants["ml"]["pool"], after.tenants["ml"]["pool"]) == ("a", "b")
    assert before.tenants["bio"] == {HARD: {"pods": "1"}}, "an object on both sides says that its tenant stays"
