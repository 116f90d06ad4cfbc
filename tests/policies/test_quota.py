"""Quota rules: each fires with the numbers in its words, and stays silent on what is allowed."""

from __future__ import annotations

import pytest

from policies import names
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN, mapping
from tests.policies.world import (
    ABSENT,
    changed,
    check,
    guardrails,
    healthy,
    job,
    messages,
    pool,
    queue,
    result,
    team,
    with_,
    without,
)

# --- gpu-collision --------------------------------------------------------------------------------------------------


def test_two_virtual_teams_whose_limits_exceed_a_node_collide() -> None:
    found = messages("gpu-collision", [pool(), team("ml", gpuLimit=6), team("vision", gpuLimit=3)])
    assert len(found) == 1
    assert found[0].startswith("teams ml, vision: the GPU limits ")
    assert found[0].endswith("got node gpu-0: ml 6 + vision 3 = 9 of 8; lower the limits by 1 in all")


def test_two_virtual_teams_that_fill_a_node_exactly_do_not_collide() -> None:
    assert messages("gpu-collision", [pool(), team("ml", gpuLimit=6), team("vision", gpuLimit=2)]) == []


def test_one_virtual_team_alone_never_collides_whatever_its_limit() -> None:
    assert messages("gpu-collision", [pool(), team("ml", gpuLimit=99)]) == []


def test_teams_on_nodes_of_their_own_do_not_collide() -> None:
    two = pool(nodes=["gpu-0", "gpu-1"], size=2)
    teams = [team("ml", gpuLimit=8, nodes=["gpu-0"]), team("vision", gpuLimit=8, nodes=["gpu-1"])]
    assert messages("gpu-collision", [two, *teams]) == []


def test_a_team_on_all_nodes_collides_on_the_node_that_another_named() -> None:
    two = pool(nodes=["gpu-0", "gpu-1"], size=2)
    teams = [team("ml", gpuLimit=8), team("vision", gpuLimit=8, nodes=["gpu-1"])]
    found = messages("gpu-collision", [two, *teams])
    assert len(found) == 1
    assert "node gpu-1: ml 8 + vision 8 = 16 of 8; lower the limits by 8 in all" in found[0]


def test_nodes_with_the_same_teams_are_named_in_one_message() -> None:
    three = pool(nodes=["gpu-0", "gpu-1", "gpu-2"], size=3)
    found = messages("gpu-collision", [three, team("ml", gpuLimit=8), team("vision", gpuLimit=1)])
    assert len(found) == 1
    assert "each of the nodes gpu-0, gpu-1, gpu-2: ml 8 + vision 1 = 9 of 8" in found[0]


def test_a_pool_that_is_found_by_labels_is_judged_as_one_kind_of_node() -> None:
    selected = pool(nodes=[], size=4)
    found = messages("gpu-collision", [selected, team("ml", gpuLimit=8), team("vision", gpuLimit=1)])
    assert "each of the 4 nodes of pool a100: ml 8 + vision 1 = 9 of 8" in found[0]
    for size, said in ((1, "the node of pool a100: "), (2, "each of the 2 nodes of pool a100: ")):
        few = pool(nodes=[], size=size)
        assert said in messages("gpu-collision", [few, team("ml", gpuLimit=8), team("vision", gpuLimit=1)])[0]


def test_host_teams_share_a_node_because_one_scheduler_counts_for_all() -> None:
    teams = [team("ml", gpuLimit=8, mode="host"), team("vision", gpuLimit=8, mode="host")]
    assert messages("gpu-collision", [pool(), *teams]) == []


def test_a_host_team_beside_a_virtual_team_counts() -> None:
    teams = [team("ml", gpuLimit=8, mode="host"), team("vision", gpuLimit=1)]
    assert len(messages("gpu-collision", [pool(), *teams])) == 1


def test_a_canary_may_share_all_nodes_with_its_team_and_a_stranger_may_not() -> None:
    two = pool(nodes=["gpu-0", "gpu-1"], size=2)
    canary = team("ml-canary", gpuLimit=1, canaryOf="ml")
    assert messages("gpu-collision", [two, team("ml", gpuLimit=7), canary]) == []
    assert len(messages("gpu-collision", [two, team("ml", gpuLimit=7), team("vision", gpuLimit=1)])) == 1


def test_a_team_without_kai_counts_beside_a_virtual_team() -> None:
    teams = [team("ml", gpuLimit=8, mode="default"), team("vision", gpuLimit=1)]
    found = messages("gpu-collision", [pool(), *teams])
    assert len(found) == 1
    assert "9 of 8" in found[0]


def test_a_mode_that_does_not_exist_is_a_violation() -> None:
    assert messages("gpu-collision", [pool(), team(mode="shared")]) == [
        "NodePool a100: team ml: mode must be virtual, host or default, got 'shared'"
    ]


def test_a_pool_that_does_not_say_its_unit_counts_gpus() -> None:
    bare = changed(pool(), "unit", ABSENT)
    found = messages("gpu-collision", [bare, team("ml", gpuLimit=8), team("vision", gpuLimit=1)])
    assert found[0].startswith("teams ml, vision: the GPU limits ")


def test_replicas_are_what_a_node_offers() -> None:
    shared = pool(gpusPerNode=1, replicas=4, unit="replica")
    teams = [team("ml", gpuLimit=2), team("vision", gpuLimit=2)]
    assert messages("gpu-collision", [shared, *teams]) == []
    found = messages("gpu-collision", [shared, *teams, team("canary", gpuLimit=1)])
    assert "the replica limits" in found[0]
    assert "node gpu-0: canary 1 + ml 2 + vision 2 = 5 of 4" in found[0]


def test_an_unlimited_team_collides_with_any_other() -> None:
    found = messages("gpu-collision", [pool(), team("ml", gpuLimit=-1), team("vision", gpuLimit=1)])
    assert "node gpu-0: ml 8 + vision 1 = 9 of 8" in found[0]


def test_teams_without_gpus_and_of_other_pools_do_not_count() -> None:
    teams = [team("ml", gpuLimit=8), team("dev", gpuLimit=0), team("other", pool="l4", gpuLimit=8)]
    assert messages("gpu-collision", [pool(), *teams]) == []


def test_a_team_whose_pool_is_unknown_counts_in_every_pool() -> None:
    hidden = team("vision", pool=UNKNOWN, gpuLimit=8)
    assert len(messages("gpu-collision", [pool(), team("ml", gpuLimit=1), hidden])) == 1


def test_an_unknown_limit_is_a_violation_in_words() -> None:
    found = messages("gpu-collision", [pool(), team("ml", gpuLimit=UNKNOWN), team("vision")])
    assert found == [
        "NodePool a100: team ml: gpuLimit is not known at preview, so this cannot be checked; pass a literal value, "
        "not an output"
    ]


# --- pool-gpu-quota -------------------------------------------------------------------------------------------------


def test_quotas_above_the_pool_are_refused_with_the_sum() -> None:
    found = messages("pool-gpu-quota", [pool(), team("ml", gpuQuota=6), team("vision", gpuQuota=3)])
    assert found == [
        "teams ml, vision: the GPU quotas on pool a100 must add up to at most its 8, got ml 6 + vision 3 = 9 of 8; "
        "lower "
        "the quotas by 1 in all (a limit may be higher than a quota)"
    ]


def test_quotas_that_fill_the_pool_exactly_pass() -> None:
    two = pool(nodes=["gpu-0", "gpu-1"], size=2, replicas=2, gpusPerNode=2)
    assert messages("pool-gpu-quota", [two, team("ml", gpuQuota=6), team("vision", gpuQuota=2)]) == []
    assert len(messages("pool-gpu-quota", [two, team("ml", gpuQuota=6), team("vision", gpuQuota=3)])) == 1


def test_a_wrong_total_in_the_inputs_does_not_widen_the_pool() -> None:
    teams = [team("ml", gpuQuota=6), team("vision", gpuQuota=3)]
    assert len(messages("pool-gpu-quota", [pool(gpusAllocatable=80), *teams])) == 1


def test_an_unlimited_quota_counts_as_all_that_the_team_sees() -> None:
    teams = [team("ml", gpuQuota=1), team("vision", gpuQuota=-1, gpuLimit=-1)]
    assert "ml 1 + vision 8 = 9 of 8" in messages("pool-gpu-quota", [pool(), *teams])[0]


def test_teams_of_another_pool_do_not_count() -> None:
    assert messages("pool-gpu-quota", [pool(), team("ml", gpuQuota=8), team("other", pool="l4", gpuQuota=8)]) == []


# --- team-gpus-exist ------------------------------------------------------------------------------------------------


def test_a_limit_above_all_nodes_of_the_pool_is_refused() -> None:
    found = messages("team-gpus-exist", [pool(), team(gpuLimit=9)])
    assert found == ["team ml: limit must be at most the 8 GPUs of pool a100 (1 x 8), got 9; lower it to 8"]


def test_a_limit_above_the_teams_own_nodes_is_refused() -> None:
    two = pool(nodes=["gpu-0", "gpu-1"], size=2)
    found = messages("team-gpus-exist", [two, team(gpuLimit=9, nodes=["gpu-1"])])
    assert found == ["team ml: limit must be at most the 8 GPUs of its nodes gpu-1 (1 x 8), got 9; lower it to 8"]
    assert messages("team-gpus-exist", [two, team(gpuLimit=16)]) == []


def test_a_node_of_another_pool_is_refused() -> None:
    found = messages("team-gpus-exist", [pool(), team(nodes=["gpu-7"])])
    assert found == ["team ml: nodes gpu-7 are not in pool a100; name nodes of that pool"]


@pytest.mark.parametrize("place", ["l4", None])
def test_a_gpu_team_without_a_pool_of_this_stack_is_refused(place: str | None) -> None:
    found = messages("team-gpus-exist", [pool(), team(pool=place)])
    assert found == [f"Team ml: team ml has no pool of this stack (pool: {place}); name one of: a100"]


def test_where_there_are_no_pools_the_message_says_so() -> None:
    assert messages("team-gpus-exist", [team()])[0].endswith("name one of: none")


def test_a_cpu_team_needs_no_pool() -> None:
    assert messages("team-gpus-exist", [pool(), team(pool=None, gpuQuota=0, gpuLimit=0)]) == []


def test_a_quota_above_the_limit_is_refused() -> None:
    found = messages("team-gpus-exist", [pool(), team(gpuQuota=5, gpuLimit=4)])
    assert found == [
        "team ml: limit must be -1 (unlimited) or at least the quota 5, got 4; raise the limit to 5, or lower the quota"
    ]
    assert messages("team-gpus-exist", [pool(), team(gpuQuota=4, gpuLimit=4)]) == []


def test_an_unlimited_quota_needs_an_unlimited_limit() -> None:
    found = messages("team-gpus-exist", [pool(), team(gpuQuota=-1, gpuLimit=4)])
    assert found == ["team ml: limit must be -1 (unlimited), got 4; write the quota as a number, at most 4"]
    assert messages("team-gpus-exist", [pool(), team(gpuQuota=-1, gpuLimit=-1)]) == []


@pytest.mark.parametrize("key", ["quota", "limit"])
def test_less_than_unlimited_is_no_number_of_gpus(key: str) -> None:
    numbers = {"gpuQuota": -1, "gpuLimit": -1, f"gpu{key.title()}": -2}
    found = messages("team-gpus-exist", [pool(), team(**numbers)])
    assert f"team ml: {key} must be -1 or more, got -2; write 0 for no GPUs" in found


# --- leaf-queues-within-team ----------------------------------------------------------------------------------------


def leaf(quota: object, limit: object) -> dict[str, object]:
    return {"quota": quota, "limit": limit, "overQuotaWeight": 1, "priority": 100}


def test_leaf_quotas_above_the_teams_are_refused_with_the_sum() -> None:
    found = messages("leaf-queues-within-team", [team(queues={"a": leaf(3, 4), "b": leaf(2, 4), "c": leaf(0, 1)})])
    assert found == [
        "team ml: the leaf queues' GPU quotas must add up to at most the team's quota 4, got a 3 + b 2 = 5 of 4; lower "
        "them by 1 in all, or raise the team's quota"
    ]


def test_leaf_quotas_that_fill_the_teams_exactly_pass() -> None:
    assert messages("leaf-queues-within-team", [team(queues={"a": leaf(3, 4), "b": leaf(1, 4)})]) == []


def test_a_leaf_limit_above_the_teams_is_refused() -> None:
    found = messages("leaf-queues-within-team", [team(queues={"a": leaf(1, 7)})])
    assert found == ["team ml, queue a: limit must be at most the team's limit 6, got 7; lower it to 6"]
    assert messages("leaf-queues-within-team", [team(queues={"a": leaf(1, 6)})]) == []


def test_a_leaf_limit_below_its_quota_is_refused() -> None:
    found = messages("leaf-queues-within-team", [team(queues={"a": leaf(2, 1)})])
    assert found == [
        "team ml, queue a: limit must be -1 (unlimited) or at least the quota 2, got 1; raise the limit to 2, or lower "
        "the quota"
    ]
    assert messages("leaf-queues-within-team", [team(queues={"a": leaf(2, 2)})]) == []
    assert messages("leaf-queues-within-team", [team(queues={"a": leaf(2, -1)})]) == []


def test_an_unlimited_leaf_quota_needs_an_unlimited_limit() -> None:
    found = messages("leaf-queues-within-team", [team(queues={"a": leaf(-1, 1)})])
    assert found[0].startswith("team ml, queue a: limit must be -1 (unlimited), got 1;")


def test_an_unlimited_leaf_quota_counts_as_all_of_the_teams() -> None:
    found = messages("leaf-queues-within-team", [team(queues={"a": leaf(1, 6), "b": leaf(-1, -1)})])
    assert "got a 1 + b 4 = 5 of 4" in found[0]


def test_an_unlimited_team_bounds_no_leaf() -> None:
    assert messages("leaf-queues-within-team", [team(gpuQuota=-1, gpuLimit=-1, queues={"a": leaf(50, 90)})]) == []


def test_a_leaf_without_a_limit_is_refused() -> None:
    found = messages("leaf-queues-within-team", [team(queues={"a": {"quota": 1}})])
    assert found == ["Team ml: a.limit is missing, so this cannot be checked; set it"]


# --- queues as objects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gpu", "cpu", "memory"])
def test_a_queue_without_one_of_the_three_resources_is_refused(kind: str) -> None:
    bad = changed(queue(), f"spec/resources/{kind}", ABSENT)
    assert messages("queue-resources", [bad]) == [
        f"Queue ml-training: no {kind} resources, so KAI admits no pod that asks for any; set quota and limit"
    ]


@pytest.mark.parametrize("kind", ["gpu", "cpu", "memory"])
def test_a_queue_whose_limit_is_missing_is_refused_because_kai_takes_it_as_zero(kind: str) -> None:
    bad = changed(queue(), f"spec/resources/{kind}/limit", ABSENT)
    assert messages("queue-resources", [bad]) == [
        f"Queue ml-training: spec.resources.{kind}.limit is missing, so this cannot be checked; set it"
    ]


def test_a_queue_whose_limit_is_below_its_quota_is_refused() -> None:
    assert messages("queue-resources", [queue(quota=3, limit=2)]) == [
        "Queue ml-training, gpu: limit must be -1 (unlimited) or at least the quota 3, got 2; raise the limit to 3, or "
        "lower the quota"
    ]
    assert messages("queue-resources", [queue(quota=3, limit=3)]) == []


@pytest.mark.parametrize(("key", "most"), [("quota", 4), ("limit", 6)])
def test_a_queue_above_its_teams_numbers_is_refused(key: str, most: int) -> None:
    assert messages("queue-within-team", [team(), queue(**{key: most})]) == []
    parent = changed(queue(**{key: -1}), "spec/parentQueue", ABSENT)
    for subject, said in ((queue(**{key: most + 1}), str(most + 1)), (parent, "unlimited")):
        assert messages("queue-within-team", [team(), subject]) == [
            f"Queue ml-training: GPU {key} {said} is above the {most} of team ml; lower it to {most}"
        ]


def test_a_leaf_may_go_without_a_limit_where_the_stack_allows_it_because_its_parents_limit_holds_it() -> None:
    # one rule's question, not two: what the settings advise must pass
    assert messages("queue-within-team", [team(), queue(limit=-1)]) == []
    assert len(messages("no-unlimited-gpu", [queue(limit=-1)])) == 1
    assert messages("no-unlimited-gpu", [queue(limit=-1)], allowUnlimited=True) == []
    # a guarantee without a number is above what its team has
    assert len(messages("queue-within-team", [team(), queue(quota=-1)])) == 1


def test_a_queue_of_an_unlimited_team_may_be_unlimited() -> None:
    open_team = team(gpuQuota=-1, gpuLimit=-1)
    assert messages("queue-within-team", [open_team, queue(quota=-1, limit=-1)]) == []


def test_a_queue_of_nobody_is_refused() -> None:
    assert messages("queue-within-team", [team("vision"), queue()]) == [
        "Queue ml-training: names team 'ml', which this stack does not have"
    ]
    stray = changed(queue(), "metadata/labels", {})
    assert messages("queue-within-team", [team(), stray]) == [
        "Queue ml-training: names no team; add the label gpu-tenancy/team"
    ]


# --- no-unlimited-gpu -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (team(gpuQuota=-1), "Team ml: the GPU quota of the team is -1, unlimited; write a number"),
        (team(gpuLimit=-1), "Team ml: the GPU limit of the team is -1, unlimited; write a number"),
        (team(queues={"a": leaf(1, -1)}), "Team ml: the GPU limit of queue a is -1, unlimited; write a number"),
        (queue(limit=-1), "Queue ml-training: the GPU limit of the queue is -1, unlimited; write a number"),
        (queue(quota=-1), "Queue ml-training: the GPU quota of the queue is -1, unlimited; write a number"),
    ],
)
def test_unlimited_is_refused_unless_the_stack_allows_it(subject: PolicyResource, expected: str) -> None:
    allow = ", or set allowUnlimited of no-unlimited-gpu in policies/config/<stack>.json"
    assert messages("no-unlimited-gpu", [subject]) == [expected + allow]
    assert messages("no-unlimited-gpu", [subject], allowUnlimited=True) == []


# --- host-resource-quota --------------------------------------------------------------------------------------------


def test_a_team_without_a_host_quota_is_refused() -> None:
    assert messages("host-resource-quota", without(names.RESOURCE_QUOTA)) == [
        "team ml: no ResourceQuota for every pod in host namespace team-ml, so nothing on the host holds it to 6 GPUs; "
        "create one with requests.nvidia.com/gpu: 6"
    ]


def test_a_host_quota_in_another_namespace_does_not_count() -> None:
    assert len(messages("host-resource-quota", [team(), *guardrails("vision")])) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scopes", ["Terminating"]),
        ("scopeSelector", {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}),
    ],
)
def test_a_host_quota_for_some_pods_does_not_count(key: str, value: object) -> None:
    quotas = guardrails()
    quotas[1] = changed(quotas[1], f"spec/{key}", value)
    assert "no ResourceQuota for every pod" in messages("host-resource-quota", [team(), *quotas])[0]


@pytest.mark.parametrize("value", ["6", 6, 6.0])
def test_a_host_quota_equal_to_the_limit_passes_however_it_is_written(value: object) -> None:
    assert messages("host-resource-quota", [team(), *guardrails(limit=value)]) == []


@pytest.mark.parametrize("value", ["7", 5])
def test_a_host_quota_other_than_the_limit_is_refused(value: object) -> None:
    assert messages("host-resource-quota", [team(), *guardrails(limit=value)]) == [
        f"team ml: ResourceQuota ml-quota has requests.nvidia.com/gpu: {value}, declared is 6; set it to 6"
    ]


@pytest.mark.parametrize("key", ["requests.nvidia.com/gpu", "requests.nvidia.com/mig-7g.80gb"])
def test_a_gpu_name_that_the_host_quota_lacks_is_refused(key: str) -> None:
    quotas = guardrails()
    hard = {name: value for name, value in mapping(quotas[1].properties, "spec", "hard").items() if name != key}
    quotas[1] = changed(quotas[1], "spec/hard", hard)
    assert messages("host-resource-quota", [team(), *quotas]) == [
        f"team ml: ResourceQuota ml-quota lacks {key}, and a missing key is unlimited; set requests.nvidia.com/gpu "
        "to 6 and "
        "every other one to 0"
    ]


def test_another_gpu_name_must_be_zero() -> None:
    quotas = guardrails()
    hard = {**mapping(quotas[1].properties, "spec", "hard"), "requests.nvidia.com/mig-1g.5gb": "7"}
    quotas[1] = changed(quotas[1], "spec/hard", hard)
    assert messages("host-resource-quota", [team(), *quotas]) == [
        "team ml: ResourceQuota ml-quota has requests.nvidia.com/mig-1g.5gb: 7, declared is 0; set it to 0"
    ]


def test_a_cpu_team_is_held_to_zero_gpus() -> None:
    dev = team(pool=None, gpuQuota=0, gpuLimit=0)
    assert messages("host-resource-quota", [dev, *guardrails(limit=0)]) == []
    assert len(messages("host-resource-quota", [dev, *guardrails(limit=1)])) == 1


def test_an_unlimited_team_is_held_to_what_it_sees() -> None:
    assert messages("host-resource-quota", [pool(), team(gpuLimit=-1), *guardrails(limit=8)]) == []
    assert messages("host-resource-quota", [pool(), team(gpuLimit=-1), *guardrails(limit=9)]) == [
        "team ml: ResourceQuota ml-quota has requests.nvidia.com/gpu: 9, declared is 8; set it to 8"
    ]


def test_an_unknown_number_in_the_host_quota_is_a_violation() -> None:
    assert messages("host-resource-quota", [team(), *guardrails(limit=UNKNOWN)]) == [
        "Team ml: requests.nvidia.com/gpu is not known at preview, so this cannot be checked; pass a literal value, "
        "not an "
        "output"
    ]


def test_a_host_quota_that_is_no_number_is_a_violation() -> None:
    assert "must be a quantity, got 'many'" in messages("host-resource-quota", [team(), *guardrails(limit="many")])[0]


# --- parts of a GPU -------------------------------------------------------------------------------------------------


def part_job(**annotations: str) -> PolicyResource:
    return changed(
        job(containers=[{"name": "c", "image": "docker.io/library/a:1.0"}]),
        "spec/template/metadata/annotations",
        {f"gpu-{key}": value for key, value in annotations.items()},
    )


@pytest.mark.parametrize(("value", "fires"), [(0.0, True), (0.01, False), (1.0, False), (1.01, True), (-0.5, True)])
def test_a_fraction_is_above_zero_and_at_most_one(value: float, fires: bool) -> None:
    for subject in (check(fraction=value), part_job(fraction=str(value))):
        found = messages("fraction-range", [team(), subject])
        assert len(found) == fires
        assert all(f"fraction {value:g} of a GPU; it must be above 0 and at most 1" in message for message in found)


def test_a_fraction_that_is_no_number_is_refused() -> None:
    assert messages("fraction-range", [team(), part_job(fraction="half")]) == [
        "Job ml-job: annotation gpu-fraction must be a number, got 'half'"
    ]


def test_a_fraction_of_a_team_without_gpu_sharing_is_refused() -> None:
    for subject in (check(fraction=0.5), check(gpuMemoryMib=10), part_job(fraction="0.5"), part_job(memory="10")):
        assert "has gpuSharing off" in messages("fraction-range", [team(gpuSharing=False), subject])[0]


def test_a_fraction_and_gpu_memory_together_are_refused() -> None:
    for subject in (check(fraction=0.5, gpuMemoryMib=10), part_job(fraction="0.5", memory="10")):
        assert "asks for a fraction and for GPU memory" in messages("fraction-range", [team(), subject])[0]


def test_whole_gpus_are_none_of_the_fraction_rules_business() -> None:
    assert result("fraction-range", [team(gpuSharing=False), check(), job()]).checked == 0


@pytest.mark.parametrize(("asked", "fires"), [(1, False), (81920, False), (81921, True), (0, True)])
def test_gpu_memory_is_within_one_gpu_of_the_pool(asked: int, fires: bool) -> None:
    for subject in (check(gpuMemoryMib=asked), part_job(memory=str(asked))):
        found = messages("gpu-memory", [pool(), team(), subject])
        assert len(found) == fires
        assert all(f"asks for {asked} MiB, a GPU of pool a100 has 81920 MiB; ask for less" in m for m in found)


def test_gpu_memory_needs_a_pool_that_says_its_own() -> None:
    found = messages("gpu-memory", [pool(gpuMemoryMib=None), team(), check(gpuMemoryMib=10)])
    assert found == ["GpuCheck ml-check: asks for 10 MiB, but pool a100 does not say gpuMemoryMib; set it"]


@pytest.mark.parametrize(("replicas", "fires"), [(0, True), (1, False), (4, False), (5, True)])
def test_replicas_are_within_the_stacks_maximum(replicas: int, fires: bool) -> None:
    found = messages("replicas-maximum", [pool(replicas=replicas)], maxReplicas=4)
    assert len(found) == fires
    assert all(f"pool a100: {replicas} replicas of a GPU, allowed are 1 to 4; set fewer" in m for m in found)


def test_slices_are_no_replicas_to_that_maximum() -> None:
    assert messages("replicas-maximum", [pool(replicas=7, unit="slice")], maxReplicas=4) == []


def test_a_team_that_shares_gpus_on_replicas_is_refused() -> None:
    shared = pool(replicas=2, unit="replica")
    assert messages("no-fractions-on-replicas", [shared, team()]) == [
        "team ml: gpuSharing on pool a100 with 2 replicas of each GPU; turn gpuSharing off, or use a pool without "
        "replicas"
    ]
    assert messages("no-fractions-on-replicas", [shared, team(gpuSharing=False)]) == []
    assert messages("no-fractions-on-replicas", [pool(), team()]) == []


@pytest.mark.parametrize("asks", [{"fraction": 0.5}, {"gpuMemoryMib": 10}])
def test_a_check_for_a_part_of_a_replica_is_refused(asks: dict[str, object]) -> None:
    world = [pool(replicas=2), pool("l4"), team(gpuSharing=False), team("far", pool="l4")]
    assert messages("no-fractions-on-replicas", [*world, check(**asks)]) == [
        "GpuCheck ml-check: asks for a part of a GPU on pool a100 with replicas; ask for whole replicas"
    ]
    assert messages("no-fractions-on-replicas", [*world, check(team="far", **asks)]) == []
    assert messages("no-fractions-on-replicas", [*world, check()]) == []


# --- workload-within-quota ------------------------------------------------------------------------------------------


def asking(count: object, **spec: object) -> PolicyResource:
    return job(
        "ml-job",
        spec,
        containers=[
            {"name": "c", "image": "docker.io/library/a:1.0", "resources": {"limits": {"nvidia.com/gpu": count}}}
        ],
    )


def test_a_workload_above_its_teams_limit_is_refused() -> None:
    roomy = team(queues={"training": leaf(1, -1)})
    for subject in (check(gpus=7), asking("7"), asking(1, parallelism=7)):
        found = messages("workload-within-quota", [roomy, subject])
        assert len(found) == 1
        assert found[0].endswith(": asks for 7, team ml has a limit of 6; ask for less")
    for subject in (check(gpus=6), asking("6"), asking(2, parallelism=3)):
        assert messages("workload-within-quota", [roomy, subject]) == []


def test_a_workload_above_its_queues_limit_is_refused() -> None:
    tight = team(queues={"training": leaf(1, 2), "notebooks": leaf(1, 6)})
    for subject in (check(gpus=3), asking(3)):
        found = messages("workload-within-quota", [tight, subject])
        assert len(found) == 1
        assert found[0].endswith(
            ": asks for 3, queue training of team ml has a limit of 2; ask for less, or use another queue"
        )
    assert messages("workload-within-quota", [tight, check(gpus=2)]) == []
    assert messages("workload-within-quota", [tight, check(gpus=3, queue="notebooks")]) == []


def test_a_queue_on_the_host_is_known_by_the_teams_name_too() -> None:
    tight = team(mode="host", queues={"training": leaf(1, 2)})
    assert len(messages("workload-within-quota", [tight, check(gpus=3, queue="ml-training")])) == 1


def test_a_fraction_counts_as_its_share() -> None:
    small = team(gpuLimit=1, queues={"training": leaf(0.5, 0.5)})
    assert messages("workload-within-quota", [small, check(gpus=1, fraction=0.5)]) == []
    assert len(messages("workload-within-quota", [small, check(gpus=1, fraction=0.6)])) == 1
    assert messages("workload-within-quota", [small, part_job(fraction="0.5")]) == []
    assert len(messages("workload-within-quota", [small, part_job(fraction="0.6")])) == 1


def test_a_fraction_of_several_gpus_counts_for_each() -> None:
    small = team(gpuLimit=1, queues={"training": leaf(1, 1)})
    assert (
        messages("workload-within-quota", [small, part_job(**{"fraction": "0.5", "fraction-num-devices": "2"})]) == []
    )
    found = messages("workload-within-quota", [small, part_job(**{"fraction": "0.5", "fraction-num-devices": "3"})])
    assert "asks for 1.5, team ml has a limit of 1" in found[0]


def test_the_pods_of_a_cron_job_are_counted() -> None:
    nightly = asking(1, parallelism=7)
    cron = PolicyResource(
        type=names.CRON_JOB,
        name="ml-cron",
        properties={"metadata": nightly.properties["metadata"], "spec": {"jobTemplate": nightly.properties}},
    )
    assert "asks for 7, team ml has a limit of 6" in messages("workload-within-quota", [team(), cron])[0]


def test_an_unlimited_team_lets_any_number_through() -> None:
    free = team(gpuLimit=-1, queues={"training": leaf(1, -1)})
    assert messages("workload-within-quota", [free, check(gpus=64)]) == []


def test_the_larger_of_init_containers_and_containers_counts() -> None:
    def container(count: int) -> dict[str, object]:
        return {"name": "c", "resources": {"requests": {"nvidia.com/gpu": count}}}

    tight = team(gpuLimit=4, queues={"training": leaf(1, -1)})
    both = job(initContainers=[container(3), container(4)], containers=[container(2), container(2)])
    assert messages("workload-within-quota", [tight, both]) == []
    more = job(initContainers=[container(5)], containers=[container(2)])
    assert "asks for 5" in messages("workload-within-quota", [tight, more])[0]


@pytest.mark.parametrize(
    ("init", "main", "asked"),
    [
        # one that stays runs beside all that come later, and beside the containers
        ([(2, True)], [2], 4),
        ([(2, True), (2, True)], [1], 5),
        ([(1, True), (4, False)], [1], 5),
        ([(4, False), (1, True)], [1], 4),
        ([(1, True), (3, False), (2, True)], [2], 5),
    ],
)
def test_init_containers_that_stay_add_up_with_what_runs_beside_them(
    init: list[tuple[int, bool]], main: list[int], asked: int
) -> None:
    def container(count: int, stays: bool = False) -> dict[str, object]:
        always = {"restartPolicy": "Always"} if stays else {}
        return {"name": "c", "resources": {"limits": {"nvidia.com/gpu": count}}, **always}

    subject = job(initContainers=[container(*found) for found in init], containers=[container(n) for n in main])
    tight = team(gpuLimit=0, gpuQuota=0, queues={"training": leaf(0, -1)})
    assert f"asks for {asked}, team ml" in messages("workload-within-quota", [tight, subject])[0]


def test_a_daemon_set_asks_on_each_node_that_its_team_sees() -> None:
    each = PolicyResource(type=names.DAEMON_SET, name="d", properties=asking(1).properties)
    pools = pool(nodes=["gpu-0", "gpu-1", "gpu-2"], size=3)
    for nodes, asked in (([], 3), (["gpu-0", "gpu-1"], 2)):
        tight = team(gpuLimit=1, gpuQuota=1, nodes=nodes, queues={"training": leaf(1, -1)})
        assert f"asks for {asked}, team ml" in messages("workload-within-quota", [pools, tight, each])[0]
    found = pool(nodes=[], size=4, selector={"kind": "a100"})
    assert "asks for 4" in messages("workload-within-quota", [found, team(gpuLimit=1, gpuQuota=1), each])[0]


def test_mig_slices_and_shared_gpus_are_counted_and_other_resources_are_not() -> None:
    tight = team(gpuLimit=1, queues={"training": leaf(1, -1)})
    for name, fires in (("nvidia.com/mig-1g.5gb", True), ("nvidia.com/gpu.shared", True), ("cpu", False)):
        subject = job(containers=[{"name": "c", "resources": {"limits": {name: 2, "nvidia.com/gpu": 0}}}])
        assert len(messages("workload-within-quota", [tight, subject])) == fires


def test_a_request_that_is_no_whole_number_is_a_violation() -> None:
    assert messages("workload-within-quota", [team(), asking("some")]) == [
        "Job ml-job: asks for 'some' of nvidia.com/gpu, which is not a whole number"
    ]
    assert "not known at preview" in messages("workload-within-quota", [team(), asking(UNKNOWN)])[0]


def test_replicas_of_a_deployment_are_counted() -> None:
    deployment = changed(asking(2, replicas=4), "kind", "Deployment")
    assert "asks for 8" in messages("workload-within-quota", [team(), deployment])[0]


def test_a_workload_of_an_unknown_team_is_refused() -> None:
    assert messages("workload-within-quota", [team(), check(team="who")]) == [
        "GpuCheck ml-check: names team 'who', which this stack does not have"
    ]


def test_the_healthy_platform_breaks_no_quota_rule() -> None:
    for rule in ("gpu-collision", "host-resource-quota", "workload-within-quota", "queue-within-team"):
        assert messages(rule, healthy()) == []
    assert messages("gpu-collision", with_(team(gpuLimit=8))) == []
