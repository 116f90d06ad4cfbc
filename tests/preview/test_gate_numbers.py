"""The gate on numbers, nodes, units and queues, beside what runs."""

from __future__ import annotations

from typing import Any

import pytest

from policies.inventory import PolicyResource
from preview.facts import HARD, facts_of
from preview.gate import gate
from preview.judges.numbers import DISK
from preview.usage import Usage, usage_of
from tests.policies.judged import changed
from tests.policies.world import pool, queue, team
from tests.preview.world import IN_A_WEEK, QUOTA, TODAY, override, refused, said, step
from tests.report import world

# --- numbers ---


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
        ("requests.cpu", "2", "1", "2", "lowers the CPU limit from 2 cores to 1 core, and 2 cores are used now"),
        ("requests.memory", "8Gi", "4Gi", "5Gi", "the memory limit from 8 GiB to 4 GiB, and 5 GiB are used now"),
        ("pods", "50", "20", "30", "lowers the pods limit from 50 pods to 20 pods, and 30 pods are used now"),
        ("count/pods", "50", "20", "30", "lowers the pods limit from 50 pods to 20 pods, and 30 pods are used now"),
        ("limits.ephemeral-storage", "50Gi", "20Gi", "30Gi", "the disk limit from 50 GiB to 20 GiB, and 30 GiB are"),
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


@pytest.mark.parametrize(("used", "fires"), [("20", False), ("21", True)])
def test_a_host_that_an_older_program_bounded_says_its_pods_under_another_key(used: str, fires: bool) -> None:
    one, other = (world.platform({"ml": world.team("a100", 4, resources={"pods": pods})}) for pods in (50, 20))
    hard = facts_of(other).tenants["ml"][HARD]
    assert isinstance(hard, dict)
    more = int(str(hard["pods"])) - 20  # tenancy's own pods count, too
    usage = usage_of(
        {
            "items": [
                {
                    "metadata": {"namespace": "team-ml"},
                    "status": {"used": {"count/pods": str(int(used) + more), DISK: "0"}},
                }
            ]
        }
    )
    found = gate(facts_of(one), facts_of(other), usage=usage, overrides=(), today=TODAY)
    assert [refusal.change for refusal in found] == (["lowerLimit"] if fires else [])


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


# --- nodes, units, queues ---


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
        (with_queues(notebooks=2), "queue training is removed, and 2 GPUs in use in it now"),
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
    assert found.change == "lowerLimit"
    assert refused([step("delete", labelled)], usage=listing(*pods("n1", queue_="notebooks"))) == []
    assert refused([step("delete", labelled)], usage=usage_of({"ml": 0})) == []
    (of_which_queue_nobody_says,) = refused([step("delete", labelled)], usage=usage_of({"ml": 2}))
    assert "up to 2 GPUs run in it now" in of_which_queue_nobody_says.reason
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


@pytest.mark.parametrize("check", [{"enabled": False}, {"gpus": 1}, {"queue": "training"}])
def test_the_checks_own_queue_is_nobodys_work(check: dict[str, Any]) -> None:
    """Nothing is guaranteed in it, so another check is no loss, even where nobody knows what runs."""
    one, other = (
        world.platform(
            {"ml": world.team("a100", 4, scheduler={"mode": "host"}, queues={"training": {"gpu": 4}}, check=each)},
            host={"scheduler": {"version": "v0.14.7"}},
        )
        for each in ({"gpus": 2}, check)
    )
    assert "queues.gpu-check.gpu.limit" in facts_of(one).tenants["ml"]
    assert gate(facts_of(one), facts_of(other), usage=None, overrides=(), today=TODAY) == []
    inside = listing(*pods("gpu-0", queue_="ml-gpu-check"))
    found = gate(facts_of(one), facts_of(other), usage=inside, overrides=(), today=TODAY)
    assert said(found) == ([("ml", "lowerLimit")] if check != {"gpus": 1} else []), "unless something runs in it"
