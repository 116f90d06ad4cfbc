"""Rules of queues: leaves within their team, all three resources, the same numbers as the team."""

from __future__ import annotations

import pytest

from tests.policies.judged import ABSENT, changed, messages
from tests.policies.world import leaf, queue, team


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
