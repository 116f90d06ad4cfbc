"""The gate: what a change may not do without an override, and what it may."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from policies.inventory import PolicyResource
from preview.facts import Facts, facts_of
from preview.gate import Refusal, gate, gate_preview
from preview.kinds import Allow
from preview.observed import TEAM, VIRTUAL_CLUSTER
from preview.read import read_preview
from preview.usage import Usage, usage_of
from releases import KAI
from settings.models import Override, Platform
from tests.policies.world import changed, guardrails, kai_release, pool, queue, team, vcluster, virtual_cluster
from tests.report import world

TODAY = date(2026, 11, 22)
IN_A_WEEK = "until: 2026-11-29"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
NAMESPACE, QUOTA = guardrails()[:2]


def step(op: str, old: PolicyResource | None, new: PolicyResource | None = None) -> dict[str, object]:
    subject = old or new
    assert subject is not None
    made: dict[str, object] = {
        "op": op,
        "urn": f"urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team${subject.type}::{subject.name}",
    }
    for key, state in (("oldState", old), ("newState", new)):
        if state is not None:
            made[key] = {"type": state.type, "inputs": state.properties}
    return made


def refused(
    steps: Sequence[dict[str, object]], overrides: Sequence[Override] = (), usage: Usage | None = None
) -> list[Refusal]:
    preview = read_preview(json.dumps({"steps": steps, "changeSummary": {}}))
    return gate_preview(preview, usage=usage, overrides=overrides, today=TODAY)


def override(*allow: Allow, team_: str = "ml", days: int = 1) -> Override:
    return Override(team=team_, allow=allow, until=TODAY + timedelta(days=days), reason="agreed with the team")


def said(found: Sequence[Refusal]) -> list[tuple[str, str]]:
    return [(refusal.team, refusal.change) for refusal in found]


# --- teams that go ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", [team(), virtual_cluster(), vcluster(), NAMESPACE], ids=lambda s: s.type)
@pytest.mark.parametrize(
    ("op", "change"),
    [("delete", "delete"), ("replace", "replace"), ("create-replacement", "replace"), ("delete-replaced", "replace")],
)
def test_a_team_that_goes_needs_an_override(subject: PolicyResource, op: str, change: Allow) -> None:
    steps = [step(op, subject)]
    kind = subject.type.rsplit(":", 1)[-1]
    (found,) = refused(steps)
    assert (found.team, found.change) == ("ml", change)
    assert found.reason == (
        f"{change}s {kind} {subject.name}, and with it everything in the team's virtual cluster; if that is meant, add "
        f"to overrides: {{team: ml, allow: [{change}], {IN_A_WEEK}, reason: ...}}"
    )
    assert refused(steps, [override(change)]) == []
    assert refused(steps, [override(change, days=0)]) == []
    assert len(refused(steps, [override(change, team_="vision")])) == 1
    other: Allow = "replace" if change == "delete" else "delete"
    assert len(refused(steps, [override(other, "lowerLimit")])) == 1


def test_one_override_lets_a_team_go_with_everything_that_is_its_own() -> None:
    labelled = changed(queue(), "metadata/labels", {"gpu-tenancy/team": "ml"})
    steps = [step("delete", subject) for subject in (team(), virtual_cluster(), vcluster(), NAMESPACE, QUOTA, labelled)]
    assert said(refused(steps)) == [("ml", "delete")]
    assert refused(steps, [override("delete")]) == []


def test_an_override_that_ended_is_named_with_its_last_day() -> None:
    late = [override("delete", days=-1), override("delete", days=-9)]
    assert refused([step("delete", team())], late)[0].reason.endswith(" (its override ended on 2026-11-21)")


def test_an_override_of_another_team_or_change_is_no_ended_one() -> None:
    late = [override("delete", team_="vision", days=-1), override("lowerLimit", days=-1)]
    assert refused([step("delete", team())], late)[0].reason.endswith("reason: ...}")


def test_an_upgrade_across_lines_is_told_even_where_the_team_goes() -> None:
    across = step("update", kai_release("ml"), kai_release("ml", version="v0.9.8"))
    assert said(refused([step("delete", team()), across])) == [("ml", "delete"), ("ml", "upgrade")]


def test_a_team_is_refused_once_and_teams_come_in_order() -> None:
    steps = [
        step("delete", team("vision")),
        step("delete", vcluster()),
        step("delete", team()),
        step("replace", NAMESPACE),
        step("update", team("alpha"), team("alpha", gpuLimit=1)),
    ]
    assert said(refused(steps)) == [("alpha", "lowerLimit"), ("ml", "delete"), ("vision", "delete")]


@pytest.mark.parametrize(
    ("op", "subject"),
    [
        ("same", team()),
        ("create", team()),
        ("update", team()),
        ("delete", kai_release()),
        ("delete", changed(NAMESPACE, "metadata/name", "gpu-check")),
        ("delete", changed(vcluster(), "namespace", "elsewhere")),
        ("delete", QUOTA),
        ("delete", changed(kai_release(), "namespace", "team-ml")),
        ("replace", kai_release()),
    ],
)
def test_other_steps_pass(op: str, subject: PolicyResource) -> None:
    assert refused([step(op, subject, None if op == "delete" else subject)]) == []


def test_a_team_whose_name_cannot_be_told_is_still_refused() -> None:
    bare: list[dict[str, object]] = [
        {"op": "delete", "urn": f"urn:pulumi:s::p::{type_}::x"} for type_ in (TEAM, VIRTUAL_CLUSTER)
    ]
    assert said(refused(bare)) == [("?", "delete")]


@pytest.mark.parametrize(("running", "passes"), [(None, False), ({}, False), ({"ml": 1}, False), ({"ml": 0}, True)])
def test_a_canary_comes_and_goes_while_nothing_runs_in_it(running: dict[str, Any] | None, passes: bool) -> None:
    steps = [step("delete", team(canaryOf="mlops")), step("delete", vcluster())]
    usage = None if running is None else usage_of(running)
    assert (refused(steps, usage=usage) == []) is passes


# --- what the gate does not know ------------------------------------------------------------------------------------


def test_an_operation_that_nobody_knows_is_refused_whatever_the_overrides_say() -> None:
    (found,) = refused([step("detach", team(), team())], [override("delete", "replace", "lowerLimit")])
    assert found.change == "unknown"
    assert "Team ml: the operation 'detach' is none that this program knows" in found.text


@pytest.mark.parametrize("op", ["delete", "replace"])
def test_what_is_lost_with_an_unknown_type_is_refused(op: str) -> None:
    claim = PolicyResource(
        type="kubernetes:core/v1:PersistentVolumeClaim",
        name="data",
        properties={"metadata": {"name": "data", "labels": {"gpu-tenancy/team": "ml"}}},
    )
    (found,) = refused([step(op, claim)])
    assert (found.team, found.change) == ("ml", op)
    assert "no word on what is lost with a kubernetes:core/v1:PersistentVolumeClaim" in found.reason
    assert refused([step(op, claim)], [override("delete", "replace")]) == []
    nobodys = PolicyResource(type=claim.type, name="data", properties={})
    assert said(refused([step(op, nobodys)], [override("delete", "replace")])) == [("", "unknown")]


def test_a_limit_that_is_not_known_is_refused() -> None:
    found = refused([step("update", team(), team(gpuLimit=UNKNOWN))])
    assert said(found) == [("ml", "unreadable")]
    assert "gpus.limit is not known at preview" in found[0].reason


def test_a_deletion_whose_team_is_not_known_is_refused() -> None:
    hidden = changed(NAMESPACE, "metadata/name", UNKNOWN)
    assert [refusal.change for refusal in refused([step("delete", hidden)])] == ["unreadable"]


# --- numbers --------------------------------------------------------------------------------------------------------


def lowered(before: object, after: object) -> list[dict[str, object]]:
    return [step("update", team(gpuLimit=before), team(gpuLimit=after))]


@pytest.mark.parametrize(("runs", "fires"), [(3, False), (4, False), (5, True)])
def test_a_limit_below_what_runs_needs_an_override(runs: int, fires: bool) -> None:
    usage = usage_of({"ml": runs})
    reasons = [refusal.reason for refusal in refused(lowered(6, 4), usage=usage)]
    assert (
        reasons
        == [
            f"lowers the GPU limit from 6 to 4, and {runs} run now; if that is meant, add to overrides: {{team: ml, "
            f"allow: [lowerLimit], {IN_A_WEEK}, reason: ...}}"
        ]
        * fires
    )
    assert refused(lowered(6, 4), [override("lowerLimit")], usage) == []


def test_a_lower_limit_is_refused_when_nobody_knows_what_runs() -> None:
    assert "and what runs now is not known (pass --usage); if" in refused(lowered(6, 5))[0].reason
    for usage in ({}, usage_of({"vision": 0}), usage_of({"items": []})):
        assert "not known (the usage does not say); if" in refused(lowered(6, 5), usage=usage)[0].reason
    assert refused(lowered(6, 0), usage=usage_of({"ml": 0})) == []


@pytest.mark.parametrize(("before", "after"), [(6, 6), (6, 7), (6, -1), (-1, -1)])
def test_a_limit_that_does_not_fall_passes(before: object, after: object) -> None:
    assert refused(lowered(before, after)) == []


def test_a_bound_where_there_was_none_is_a_lower_limit() -> None:
    assert "from unlimited to 4, and 5 run now" in refused(lowered(-1, 4), usage=usage_of({"ml": 5}))[0].reason


@pytest.mark.parametrize(
    ("key", "before", "after", "used", "words"),
    [
        ("requests.nvidia.com/gpu", "6", "2", "3", "lowers the GPU limit from 6 to 2, and 3 run now"),
        ("requests.nvidia.com/mig-1g.5gb", "4", "2", "3", "lowers the nvidia.com/mig-1g.5gb limit from 4 to 2, and 3"),
        ("requests.cpu", "8", "2500m", "3", "lowers the CPU limit from 8 cores to 2.5 cores, and 3 cores are used now"),
        ("requests.memory", "8Gi", "4Gi", "5Gi", "the memory limit from 8 GiB to 4 GiB, and 5 GiB are used now"),
        ("pods", "50", "20", "30", "lowers the pods limit from 50 pods to 20 pods, and 30 pods are used now"),
        ("requests.storage", "100Gi", "50Gi", "60Gi", "storage limit from 100 GiB to 50 GiB, and 60 GiB are used now"),
    ],
)
def test_every_bound_of_the_hosts_quota_is_held_against_what_is_used(
    key: str, before: str, after: str, used: str, words: str
) -> None:
    one, other = (changed(QUOTA, "spec/hard", {key: value}) for value in (before, after))

    def listed(amount: str) -> Usage:
        return usage_of({"items": [{"metadata": {"namespace": "team-ml"}, "status": {"used": {key: amount}}}]})

    steps = [step("update", one, other)]
    (found,) = refused(steps, usage=listed(used))
    assert found.change == "lowerLimit"
    assert words in found.reason
    assert refused(steps, [override("lowerLimit")]) == []
    assert len(refused(steps)) == 1, "not known is no pass"
    assert refused(steps, usage=listed(after)) == [], "what is used still fits"
    assert refused([step("update", other, one)]) == [], "more is no loss"


def test_a_bound_outside_of_the_teams_namespaces_is_nobodys() -> None:
    one, other = (changed(QUOTA, "spec/hard", {"requests.cpu": value}) for value in ("8", "2"))
    elsewhere = [changed(quota, "metadata/namespace", "kube-system") for quota in (one, other)]
    assert refused([step("update", *elsewhere)]) == []


def test_a_bound_that_falls_by_what_tenancy_costs_takes_nothing_from_the_team() -> None:
    # another KAI asks for less, so the namespace's bound is lower, and the team's own number is what it was
    steps = [step("same", team(cpu="8"), team(cpu="8"))]
    steps += [step("update", *(changed(QUOTA, "spec/hard", {"requests.cpu": value}) for value in ("8380m", "8290m")))]
    assert refused(steps) == []


def test_a_replaced_team_may_lose_its_limit_only_by_another_override() -> None:
    steps = [step("replace", team(), team(gpuLimit=1))]
    assert said(refused(steps, [override("replace")])) == [("ml", "lowerLimit")]
    assert refused(steps, [override("replace", "lowerLimit")]) == []


# --- nodes, units, queues -------------------------------------------------------------------------------------------


def pods(*nodes: str, team_: str = "ml", queue_: str = "training", phase: str = "Running") -> list[dict[str, Any]]:
    """A pod with one GPU on each of the nodes, as kubectl lists it."""
    return [
        {
            "kind": "Pod",
            "metadata": {"namespace": f"team-{team_}", "labels": {"kai.scheduler/queue": queue_}},
            "spec": {"nodeName": node, "containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
            "status": {"phase": phase},
        }
        for node in nodes
    ]


def listing(*items: dict[str, Any]) -> Usage:
    return usage_of({"items": list(items)})


TAKEN = [
    step("update", team(nodes=["n1", "n2"]), team(nodes=["n2"])),
    step("create", None, team("zed", nodes=["n1"])),
]


def test_a_node_that_is_taken_from_a_team_while_its_pods_run_there() -> None:
    (found,) = refused(TAKEN, usage=listing(*pods("n1", "n1", "n2")))
    assert (found.team, found.change) == ("ml", "lowerLimit")
    assert "loses node n1 (zed gets it), and 2 of its pods run there now" in found.reason
    assert refused(TAKEN, [override("lowerLimit")]) == []


@pytest.mark.parametrize(
    "usage",
    [
        listing(*pods("n2", "n2")),
        listing(*pods("n1", phase="Succeeded"), *pods("n2")),
        listing(*pods("n1", team_="vision"), *pods("n2")),
        usage_of({"ml": 0}),
    ],
)
def test_a_node_where_nothing_of_the_team_runs_may_be_taken(usage: Usage) -> None:
    assert refused(TAKEN, usage=usage) == []


@pytest.mark.parametrize(
    "usage",
    [None, {}, usage_of({"ml": 2}), listing({"metadata": {"namespace": "team-ml"}, "status": {"used": {}}})],
)
def test_a_node_of_which_nobody_knows_what_runs_there_may_not(usage: Usage | None) -> None:
    assert said(refused(TAKEN, usage=usage)) == [("ml", "lowerLimit")]


def test_another_pool_is_other_nodes() -> None:
    steps = [step("update", team(pool="a", nodes=["n1"]), team(pool="b", nodes=["n2"]))]
    (found,) = refused(steps, usage=listing(*pods("n1")))
    assert "moves from pool a to b and loses node n1, and 1 of its pods run there now" in found.reason
    (found,) = refused([step("update", team(pool="a", nodes=["n1"]), team(pool="b", nodes=["n1"]))])
    assert "the label of its nodes n1 changes before its virtual cluster looks for the new one" in found.reason
    (found,) = refused([step("update", team(pool="a", nodes=[]), team(pool=None, nodes=[]))])
    assert "moves from pool a to none and loses nodes of pool a" in found.reason


def test_other_labels_of_a_pool_are_other_nodes() -> None:
    one, other = (pool(nodes=[], selector={"type": kind}) for kind in ("a", "b"))
    steps = [step("update", one, other), step("same", team(), team())]
    (found,) = refused(steps, usage=listing(*pods("somewhere")))
    assert "sees other nodes of pool a100, and 1 of its pods run there now" in found.reason
    assert refused([step("same", one, one), step("same", team(), team())]) == []


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ((1, 8), (4, 8), "8 GPUs become 8 replicas = 2 GPUs, and 5 run now; the GPUs that its pods hold are shared"),
        ((4, 8), (1, 2), "8 replicas = 2 GPUs become 2 GPUs, and 5 run now"),
        ((1, 2), (4, 8), "2 GPUs become 8 replicas = 2 GPUs, and 5 run now"),
    ],
)
def test_a_unit_that_changes_under_a_limit_is_told_in_both(
    was: tuple[int, int], now: tuple[int, int], words: str
) -> None:
    steps = [
        step("update", pool(replicas=was[0]), pool(replicas=now[0])),
        step("update", team(gpuLimit=was[1]), team(gpuLimit=now[1])),
    ]
    (found,) = refused(steps, usage=usage_of({"ml": 5}))
    assert found.change == "lowerLimit"
    assert f"the unit of its GPUs changes: {words}" in found.reason
    assert said(refused(steps)) == [("ml", "lowerLimit")], "not known is no pass"
    assert refused(steps, usage=usage_of({"ml": 0})) == []


def with_queues(**limits: int) -> PolicyResource:
    found = {
        name: {"quota": 1, "limit": limit, "overQuotaWeight": 1, "priority": 100} for name, limit in limits.items()
    }
    return team(queues=found)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (with_queues(notebooks=2), "queue training goes, and 2 GPUs in use in it now"),
        (with_queues(training=1, notebooks=2), "lowers the GPU limit of queue training from 6 to 1, and 2 run in it"),
    ],
)
def test_a_queue_with_work_in_it_is_neither_removed_nor_lowered(after: PolicyResource, words: str) -> None:
    steps = [step("update", with_queues(training=6, notebooks=2), after)]
    (found,) = refused(steps, usage=listing(*pods("n1", "n1")))
    assert (found.team, found.change) == ("ml", "lowerLimit")
    assert words in found.reason
    assert refused(steps, usage=listing(*pods("n1", "n1", queue_="notebooks"))) == []
    assert refused(steps, usage=usage_of({"ml": 0})) == []
    assert len(refused(steps)) == len(refused(steps, usage=usage_of({"ml": 3}))) == 1


def test_a_queue_that_still_holds_all_that_the_team_uses_may_be_lowered() -> None:
    steps = [step("update", with_queues(training=6), with_queues(training=2))]
    assert refused(steps, usage=usage_of({"ml": 2})) == []
    assert len(refused(steps, usage=usage_of({"ml": 3}))) == 1


def test_in_mode_host_a_queue_is_known_by_its_name_there() -> None:
    was, now = (
        changed(changed(subject, "mode", "host"), "schedulerVersion", None)
        for subject in (with_queues(training=6, notebooks=2), with_queues(notebooks=2))
    )
    steps = [step("update", was, now)]
    assert len(refused(steps, usage=listing(*pods("n1", queue_="ml-training")))) == 1
    assert refused(steps, usage=listing(*pods("n1", queue_="ml-notebooks"))) == []


def test_a_queue_that_is_deleted_by_other_means_than_the_settings_is_refused() -> None:
    labelled = changed(queue(), "metadata/labels", {"gpu-tenancy/team": "ml"})
    (found,) = refused([step("delete", labelled), step("same", team(), team())], usage=listing(*pods("n1")))
    assert "deletes Queue ml-training, and up to 1 GPU run in it now" in found.reason
    assert refused([step("delete", labelled)], usage=usage_of({"ml": 0})) == []
    assert refused([step("replace", labelled)]) == [], "made anew under its name it is found again"


@pytest.mark.parametrize(("running", "fires"), [(None, True), ({"ml": 2}, True), ({"ml": 0}, False)])
def test_another_scheduler_mode_under_work_needs_one_override_and_not_two(
    running: dict[str, Any] | None, fires: bool
) -> None:
    labelled = changed(queue(), "metadata/labels", {"gpu-tenancy/team": "ml"})
    steps = [step("update", team(), team(mode="host")), step("delete", labelled)]
    usage = None if running is None else usage_of(running)
    assert said(refused(steps, usage=usage)) == [("ml", "replace")] * fires
    assert refused(steps, [override("replace")], usage) == []


# --- what a virtual cluster keeps -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "before", "after", "words"),
    [
        ("backingStore", "sqlite", "etcd", "backing store sqlite → etcd: its virtual cluster starts empty"),
        ("backingStore", "etcd", "sqlite", "backing store etcd → sqlite: its virtual cluster starts empty"),
        ("persistence", True, False, "persistence off: "),
        ("persistence", False, True, "persistence on: "),
        ("version", "0.36.1", "0.35.3", "vCluster 0.36.1 → 0.35.3 is a downgrade"),
        ("kubernetesVersion", "v1.34.0", "v1.33.4", "Kubernetes v1.34.0 → v1.33.4 is a downgrade"),
        ("kubernetesVersion", "v1.34.0", "newest", "can't be compared"),
    ],
)
def test_what_loses_the_virtual_cluster_needs_an_override(
    field: str, before: object, after: object, words: str
) -> None:
    one, other = (changed(virtual_cluster(), field, value) for value in (before, after))
    steps = [step("update", one, other)]
    (found,) = refused(steps)
    assert (found.team, found.change) == ("ml", "replace")
    assert words in found.reason
    assert refused(steps, [override("replace")]) == []


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("version", "0.35.3", "0.36.1"),
        ("version", "0.36.1", "0.36.0"),
        ("kubernetesVersion", "v1.33.4", "v1.34.0"),
        ("kubernetesVersion", "v1.34.4", "v1.34.0"),
    ],
)
def test_an_upgrade_and_another_patch_pass(field: str, before: object, after: object) -> None:
    assert refused([step("update", *(changed(virtual_cluster(), field, value) for value in (before, after)))]) == []


def test_another_storage_class_is_only_had_by_a_new_virtual_cluster() -> None:
    def released(storage_class: str | None) -> PolicyResource:
        claim = {"enabled": True} | ({"storageClass": storage_class} if storage_class else {})
        return vcluster(controlPlane={"statefulSet": {"persistence": {"volumeClaim": claim}}})

    steps = [step("same", team(), team()), step("update", released(None), released("fast"))]
    (found,) = refused(steps)
    assert (found.team, found.change) == ("ml", "replace")
    assert "storage class default → fast" in found.reason


# --- KAI's lines ----------------------------------------------------------------------------------------------------


def test_kai_is_not_upgraded_in_place_across_lines_whatever_the_overrides_say() -> None:
    assert KAI["v0.9.3"].line != KAI["v0.9.8"].line
    across = [step("update", kai_release(), kai_release(version="v0.9.8"))]
    (found,) = refused(across, [override("delete", "replace", "lowerLimit")])
    assert (found.team, found.change) == (kai_release().name, "upgrade")
    assert found.reason == (
        "updates KAI in place from v0.9.3 to v0.9.8, which are not of one line; Helm cannot do that, so the release "
        "must be replaced"
    )
    assert refused([step("replace", kai_release(), kai_release(version="v0.9.8"))]) == []


def test_kai_is_upgraded_in_place_within_a_line() -> None:
    assert KAI["v0.9.2"].line == KAI["v0.9.3"].line
    assert refused([step("update", kai_release(version="v0.9.2"), kai_release())]) == []
    assert refused([step("update", kai_release(version="v9"), kai_release(version="v9", name="x"))]) == []


@pytest.mark.parametrize("versions", [("v9", "v0.9.3"), ("v0.9.3", "v9"), ("v8", "v9"), (None, "v0.9.3")])
def test_a_version_whose_line_nobody_knows_is_not_upgraded_in_place(versions: tuple[str | None, str]) -> None:
    before, after = (kai_release(version=version) for version in versions)
    assert len(refused([step("update", before, after)])) == 1


def test_other_charts_are_upgraded_as_they_like() -> None:
    assert refused([step("update", vcluster(), changed(vcluster(), "version", "0.36.1"))]) == []


# --- facts alone: what the program itself calls ----------------------------------------------------------------------


def judged(before: Platform, after: Platform, *, usage: Usage | None = None, **uids: str) -> list[Refusal]:
    """As the program does it, before anything is registered."""
    old, new = facts_of(before, cluster_uid=uids.get("old")), facts_of(after, cluster_uid=uids.get("new"))
    return gate(old, new, usage=usage, overrides=after.overrides, today=TODAY)


ONE = world.platform({"ml": world.team("a100", 4)})


def test_the_same_settings_lose_nothing() -> None:
    assert judged(ONE, ONE) == []


def test_where_nothing_was_nothing_is_lost() -> None:
    assert gate(None, facts_of(ONE), usage=None, overrides=(), today=TODAY) == []
    assert gate(Facts(), facts_of(ONE), usage=None, overrides=(), today=TODAY) == []


def test_a_team_that_is_left_out_is_refused() -> None:
    assert said(judged(ONE, world.platform({}))) == [("ml", "delete")]


def test_a_renamed_team_is_a_removed_one() -> None:
    assert said(judged(ONE, world.platform({"ml2": world.team("a100", 4)}))) == [("ml", "delete")]


@pytest.mark.parametrize("host", [{"context": "other"}, {"kubeconfig": "/other"}, {"name": "other"}])
def test_another_way_to_the_host_is_refused_unless_it_is_the_same_cluster(host: dict[str, Any]) -> None:
    other = world.platform({"ml": world.team("a100", 4)}, host=host)
    assert said(judged(ONE, other)) == [("ml", "replace")], "nobody says that it is the same"
    assert judged(ONE, other, old="u1", new="u1") == []
    (found,) = judged(ONE, other, old="u1", new="u2")
    assert "another cluster under this stack, everything of the team is lost" in found.reason


def test_another_cluster_behind_the_same_name_is_refused() -> None:
    assert said(judged(ONE, ONE, old="u1", new="u2")) == [("ml", "replace")]


def test_another_provider_is_another_cluster() -> None:
    assert said(judged(ONE, world.platform({"ml": world.team("a100", 4)}, host={"provider": "lab"}))) == [
        ("ml", "replace")
    ]


def test_a_fact_that_only_an_older_program_kept_is_refused() -> None:
    old = facts_of(ONE)
    strange = Facts(stack=old.stack, pools=old.pools, tenants={"ml": {**old.tenants["ml"], "vcluster.driver": "qemu"}})
    news = Facts(stack=old.stack, pools=old.pools, tenants={"ml": {**old.tenants["ml"], "vcluster.driver": "kvm"}})
    (found,) = gate(strange, news, usage=None, overrides=(), today=TODAY)
    assert found.change == "replace"
    assert "teams.ml.vcluster.driver: this program has no word on what a change of it does" in found.reason


def test_two_stack_files_are_judged_beside_the_steps() -> None:
    other = world.platform({"ml": world.team("a100", 4, vcluster={"backingStore": "etcd"})})
    preview = read_preview(json.dumps(world.digest(ONE, other)))
    alone = gate_preview(preview, usage=None, overrides=(), today=TODAY)
    both = gate_preview(preview, usage=None, overrides=(), today=TODAY, old=facts_of(ONE), new=facts_of(other))
    assert (said(alone), said(both)) == ([], [("ml", "replace")])
