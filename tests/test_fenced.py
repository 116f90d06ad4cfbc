"""What is promised and not there while nodes are out; a brute-force count says the same."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from capacity import PoolCapacity, TenantClaim, unfit
from capacity.fenced import without
from releases import Footprint

POOL = PoolCapacity(name="a", nodes=("n0", "n1", "n2"), size=3, gpus_per_node=4)
FOUND = PoolCapacity(name="l", size=3, gpus_per_node=4)


def claim(name: str, quota: int, *nodes: str, pool: str = "a", limit: int | None = None, cpu: int = 0) -> TenantClaim:
    return TenantClaim(
        name=name,
        owner=name,
        pool=pool,
        nodes=nodes,
        mode="virtual",
        quota=quota,
        limit=quota if limit is None else limit,
        workload=Footprint(cpu_millicores=cpu, memory_mib=0, pods=0),
    )


def said(*claims: TenantClaim, out: tuple[str, ...], pool: PoolCapacity = POOL) -> list[str]:
    return [verdict.text for verdict in unfit([pool], claims, None, {pool.name: out})]


def test_only_a_team_whose_own_nodes_are_out_is_told() -> None:
    assert said(claim("ml", 4, "n0"), claim("research", 4, "n1"), out=("n0",)) == [
        "it must see a node, and none is left without n0, got a GPU quota of 4; "
        "give the team other nodes, or lower its quota to 0 for the time"
    ]


def test_a_limit_promises_nothing() -> None:
    assert said(claim("ml", 8, limit=12), out=("n0",)) == []


@pytest.mark.parametrize("quota", [-1, 0])
def test_a_quota_that_is_all_or_nothing_fits_whatever_is_left(quota: int) -> None:
    assert said(claim("ml", quota, limit=-1), out=("n0", "n1")) == []


def test_a_team_without_any_node_is_told_once_whatever_it_is_promised_and_blames_nobody_else() -> None:
    pool = PoolCapacity(name="c", nodes=("n0", "n1"), size=2, gpus_per_node=0, cpu_millicores=4000)
    teams = claim("web", 0, "n0", pool="c", cpu=4000), claim("api", 0, "n1", pool="c", cpu=4000)
    assert said(*teams, out=("n0",), pool=pool) == [
        "it must see a node, and none is left without n0, got a GPU quota of 0; give the team other nodes"
    ]


def test_of_a_pool_that_is_found_by_labels_the_number_counts() -> None:
    assert said(claim("ml", 9, pool="l"), out=("x",), pool=FOUND) == [
        "its GPU quota must be there, and 8 GPUs are left without 1 of 3 nodes of pool l, got a GPU quota of 9; "
        "lower the quota to 8, or give the team other nodes"
    ]


def test_teams_that_fit_each_and_not_together_are_told_together() -> None:
    (verdict,) = said(claim("ml", 4), claim("research", 6), out=("n0",))
    assert "ml 4 + research 6 = 10 of 8" in verdict


def test_cpu_that_went_with_the_node_is_told() -> None:
    pool = PoolCapacity(name="c", nodes=("n0", "n1"), size=2, gpus_per_node=0, cpu_millicores=4000)
    (verdict,) = said(claim("web", 0, pool="c", cpu=5000), out=("n1",), pool=pool)
    assert "web 5" in verdict
    assert "of 4 (1 x 4 after headroom)" in verdict


def test_a_brute_force_count_agrees() -> None:
    """Quotas fit when every set of nodes that are left holds what is asked by those that see nothing else."""
    dice = random.Random(17)
    for _ in range(400):
        teams = [
            claim(f"t{number}", dice.randint(0, 5), *dice.sample(POOL.nodes, dice.randint(1, 3)))
            for number in range(dice.randint(1, 4))
        ]
        out = tuple(dice.sample(POOL.nodes, dice.randint(1, 2)))
        if unfit([POOL], teams, None, {}):
            continue  # it did not fit before
        left = [node for node in POOL.nodes if node not in out]
        sets = [set(some) for size in range(len(left) + 1) for some in combinations(left, size)]
        fits = all(
            sum(team.quota for team in teams if set(team.nodes) - set(out) <= some) <= len(some) * POOL.gpus_per_node
            for some in sets
        ) and all(set(team.nodes) - set(out) for team in teams)
        assert (not said(*teams, out=out)) == fits, (teams, out)


def test_each_is_told_at_what_is_to_be_changed_and_who_needs_no_pool_is_not() -> None:
    teams = claim("ml", 4, "n0"), claim("research", 8), claim("dev", 0, pool="")
    found = unfit([POOL], [*teams[:1], teams[2]], None, {"a": ("n0",)})
    assert [(verdict.about, verdict.field) for verdict in found] == [(("ml",), "nodes")]
    found = unfit([POOL], teams[1:], None, {"a": ("n0", "n1")})
    assert (("research",), "quota") in [(verdict.about, verdict.field) for verdict in found]
    assert {name for verdict in found for name in verdict.about} == {"research"}


def test_no_pool_has_less_than_no_node() -> None:
    assert [without(FOUND, ("a", "b", "c", "d")[:out]).size for out in range(5)] == [3, 2, 1, 0, 0]
