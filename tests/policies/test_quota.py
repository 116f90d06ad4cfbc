"""Quota rules: each fires with the numbers in its words, and stays silent on what is allowed."""

from __future__ import annotations

import pytest

import tokens
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN, mapping
from tests.policies.judged import ABSENT, changed, messages, with_, without
from tests.policies.world import guardrails, healthy, leaf, pool, queue, team


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


def test_a_queue_that_is_unlimited_as_its_team_says_is_told_once() -> None:
    (only,) = messages("no-unlimited-gpu", [team(queues={"a": leaf(1, -1)}), queue(limit=-1)])
    assert only.startswith("Team ml: the GPU limit of queue a is -1")
    assert len(messages("no-unlimited-gpu", [team(), queue(limit=-1)])) == 1


def test_a_team_without_a_host_quota_is_refused() -> None:
    assert messages("host-resource-quota", without(tokens.RESOURCE_QUOTA)) == [
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


def test_the_healthy_platform_breaks_no_quota_rule() -> None:
    for rule in ("gpu-collision", "host-resource-quota", "workload-within-quota", "queue-within-team"):
        assert messages(rule, healthy()) == []
    assert messages("gpu-collision", with_(team(gpuLimit=8))) == []
