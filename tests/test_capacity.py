"""The arithmetic by itself, with plain numbers, as the policies call it."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_FLOOR
from typing import Literal

import pytest

from capacity import (
    NODE_PORTS,
    LeafClaim,
    PoolCapacity,
    TenantClaim,
    Verdict,
    amounts,
    collisions,
    gpus_within_nodes,
    hard_cap,
    leaf_queues,
    listed,
    mebibytes,
    millicores,
    node_claims,
    node_port,
    parse_quantity,
    pool_quotas,
    port_clashes,
    quota_against_limit,
    room,
    visible_gpus,
    visible_nodes,
)
from releases import Footprint

ONE_NODE = PoolCapacity(name="gpu", nodes=("gpu-0",), size=1, gpus_per_node=4)
TWO_NODES = PoolCapacity(name="gpu", nodes=("gpu-0", "gpu-1"), size=2, gpus_per_node=8)
FOUND = PoolCapacity(name="l4", size=3, gpus_per_node=4)


def claim(
    name: str,
    limit: int,
    *,
    quota: int | None = None,
    mode: Literal["virtual", "host", "default"] = "virtual",
    nodes: tuple[str, ...] = (),
    owner: str | None = None,
    pool: str | None = "gpu",
) -> TenantClaim:
    return TenantClaim(
        name=name,
        owner=owner or name,
        pool=pool,
        nodes=nodes,
        mode=mode,
        quota=limit if quota is None else quota,
        limit=limit,
    )


def said(pool: PoolCapacity, *claims: TenantClaim) -> list[str]:
    return [verdict.got for verdict in collisions([pool], claims)]


class TestQuantities:
    """Kubernetes quantities as whole thousandths of a core and MiB."""

    @pytest.mark.parametrize(
        ("text", "expected"), [("8", 8000), ("0.5", 500), ("500m", 500), ("0.0001", 1), ("1k", 1_000_000), ("0", 0)]
    )
    def test_cpu_is_rounded_up(self, text: str, expected: int) -> None:
        assert millicores(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"), [("512Gi", 524288), ("1Mi", 1), ("1", 1), ("1M", 1), ("1G", 954), ("2Ti", 2097152)]
    )
    def test_memory_is_rounded_up(self, text: str, expected: int) -> None:
        assert mebibytes(text) == expected

    def test_what_a_node_has_can_be_rounded_down(self) -> None:
        assert mebibytes("1G", rounding=ROUND_FLOOR) == 953
        assert millicores("0.0019", rounding=ROUND_FLOOR) == 1

    @pytest.mark.parametrize("text", ["", "8 ", "-1", "1e3", "Gi", "1gi", "1.", ".5", "1Kib", "٣"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a quantity"):
            parse_quantity(text)

    def test_amounts_are_all_three(self) -> None:
        assert amounts(cpu="1.5", memory="2Gi", pods=3) == Footprint(cpu_millicores=1500, memory_mib=2048, pods=3)


class TestSeeing:
    """What a tenant sees decides what its -1 means."""

    def test_without_nodes_of_its_own_a_tenant_sees_the_pool(self) -> None:
        assert visible_nodes(claim("ml", 1), TWO_NODES) == ("gpu-0", "gpu-1")
        assert visible_gpus(claim("ml", 1), TWO_NODES) == 16

    def test_with_nodes_of_its_own_it_sees_these(self) -> None:
        assert visible_gpus(claim("ml", 1, nodes=("gpu-1",)), TWO_NODES) == 8

    def test_unlimited_becomes_the_literal_that_a_resource_quota_takes(self) -> None:
        assert hard_cap(-1, 16) == 16
        assert hard_cap(0, 16) == 0
        assert hard_cap(5, 16) == 5


class TestCollisions:
    """Hard caps on a node, by scheduler."""

    def test_a_full_node_is_no_collision(self) -> None:
        assert said(ONE_NODE, claim("ml", 2), claim("research", 2)) == []

    def test_one_more_is(self) -> None:
        assert said(ONE_NODE, claim("ml", 2), claim("research", 3)) == ["node gpu-0: ml 2 + research 3 = 5 of 4"]

    def test_one_tenant_alone_never_collides(self) -> None:
        assert said(ONE_NODE, claim("ml", 9)) == []

    def test_a_tenant_without_gpus_is_nobody(self) -> None:
        assert said(ONE_NODE, claim("ml", 4), claim("dev", 0)) == []

    def test_a_tenant_takes_no_more_of_a_node_than_the_node_has(self) -> None:
        first, second = claim("ml", 12), claim("ml-canary", 1, owner="ml")
        assert said(TWO_NODES, first, second) == ["each of the nodes gpu-0, gpu-1: ml 8 + ml-canary 1 = 9 of 8"]

    def test_nodes_are_looked_at_by_who_sees_them(self) -> None:
        groups = node_claims([TWO_NODES], [claim("ml", 8, nodes=("gpu-0",)), claim("vision", 8, nodes=("gpu-1",))])
        assert [group.arithmetic for group in groups] == ["node gpu-0: ml 8 = 8 of 8", "node gpu-1: vision 8 = 8 of 8"]

    def test_an_overlap_by_name_is_a_collision_on_that_node_alone(self) -> None:
        both = claim("ml", 8, nodes=("gpu-0", "gpu-1")), claim("vision", 8, nodes=("gpu-1",))
        assert said(TWO_NODES, *both) == ["node gpu-1: ml 8 + vision 8 = 16 of 8"]

    def test_teams_whose_caps_fit_still_divide_a_pool_of_several_nodes(self) -> None:
        [verdict] = collisions([TWO_NODES], [claim("ml", 2), claim("vision", 2)])
        assert verdict.field == "nodes"
        assert verdict.text == (
            "a pool of several nodes goes to one team with its own scheduler, or is divided by name, "
            "got each of the nodes gpu-0, gpu-1: ml 2 + vision 2 = 4 of 8; "
            "give each team nodes of its own (teams.ml.nodes, teams.vision.nodes)"
        )

    def test_a_host_team_beside_a_virtual_one_also_divides_several_nodes(self) -> None:
        assert said(TWO_NODES, claim("ml", 2), claim("serving", 2, mode="host")) != []
        assert said(ONE_NODE, claim("ml", 2), claim("serving", 2, mode="host")) == []

    def test_a_pool_found_by_labels_must_first_name_its_nodes(self) -> None:
        [verdict] = collisions([FOUND], [claim("ml", 2, pool="l4"), claim("vision", 1, pool="l4")])
        assert "each of the 3 nodes of pool l4: ml 2 + vision 1 = 3 of 4" in verdict.got
        assert verdict.fix.startswith("name the nodes in pools.l4.nodes and give each team")

    def test_host_teams_share_one_scheduler_that_never_gives_away_too_much(self) -> None:
        assert said(ONE_NODE, claim("a", 4, mode="host"), claim("b", 4, mode="host")) == []
        assert said(ONE_NODE, claim("a", 4, mode="host"), claim("b", 4, mode="default")) == []

    def test_beside_a_virtual_team_they_count_up_to_the_node(self) -> None:
        shared = claim("a", 3, mode="host"), claim("b", 3, mode="default")
        assert said(ONE_NODE, claim("ml", 1), *shared) == [
            "node gpu-0: ml 1 + (a, b on the host's scheduler) 4 = 5 of 4"
        ]

    def test_a_pool_that_is_not_there_claims_nothing(self) -> None:
        assert said(ONE_NODE, claim("ml", 9, pool="other"), claim("dev", 9, pool=None)) == []

    def test_the_unit_is_in_the_words(self) -> None:
        [verdict] = collisions([replace(ONE_NODE, unit="replica")], [claim("ml", 4), claim("vision", 1)])
        assert verdict.rule.startswith("the replica limits")


class TestFixes:
    """Each verdict says what to do, with the right number."""

    def test_a_collision_on_one_node_is_lowered_by_what_is_over(self) -> None:
        [verdict] = collisions([ONE_NODE], [claim("ml", 4), claim("vision", 3)])
        assert verdict.fix == "lower the limits by 3 in all"

    def test_a_collision_on_several_nodes_may_be_divided_instead(self) -> None:
        [verdict] = collisions([TWO_NODES], [claim("ml", 8), claim("vision", 3)])
        assert verdict.fix.startswith("lower the limits by 3 in all, or give each team nodes of its own")

    def test_a_team_and_its_canary_need_not_divide_what_they_fit(self) -> None:
        assert said(TWO_NODES, claim("ml", 7), claim("ml-canary", 1, owner="ml")) == []

    def test_a_pool_of_one_node_found_by_labels_is_called_so(self) -> None:
        single = replace(FOUND, size=1)
        got = said(single, claim("ml", 4, pool="l4"), claim("vision", 1, pool="l4"))
        assert got == ["the node of pool l4: ml 4 + vision 1 = 5 of 4"]

    def test_an_unlimited_quota_needs_an_unlimited_limit_and_the_fix_is_a_number(self) -> None:
        [verdict] = quota_against_limit("ml", -1, 4)
        assert (verdict.rule, verdict.fix) == (
            "must be -1 (unlimited)",
            "write the quota as a number, at most 4",
        )

    def test_a_limit_that_may_reach_the_quota_is_raised_to_it(self) -> None:
        [verdict] = quota_against_limit("ml", 2, 1, most=2)
        assert verdict.fix == "raise the limit to 2, or lower the quota"
        [verdict] = quota_against_limit("ml", 3, 1, most=2)
        assert verdict.fix == "lower the quota to 1 or less"

    def test_every_set_of_nodes_that_is_too_full_is_told_and_the_pool(self) -> None:
        places = {"a": "gpu-0", "b": "gpu-0", "c": "gpu-1", "d": "gpu-1"}
        teams = [claim(name, -1, quota=5, mode="host", nodes=(node,)) for name, node in places.items()]
        assert [verdict.got for verdict in pool_quotas([TWO_NODES], teams)] == [
            "a 5 + b 5 + c 5 + d 5 = 20 of 16",
            "a 5 + b 5 = 10 of 8",
            "c 5 + d 5 = 10 of 8",
        ]

    def test_quotas_are_lowered_by_what_is_over(self) -> None:
        teams = [claim("a", -1, quota=10, mode="host"), claim("b", -1, quota=9, mode="host")]
        [verdict] = pool_quotas([TWO_NODES], teams)
        assert verdict.rule == "the GPU quotas on pool gpu must add up to at most its 16"
        assert verdict.fix.startswith("lower the quotas by 3 in all")

    def test_one_team_alone_is_told_by_its_own_nodes(self) -> None:
        assert pool_quotas([TWO_NODES], [claim("a", 17)]) == []

    def test_leaf_quotas_are_lowered_by_what_is_over(self) -> None:
        [verdict] = leaf_queues("ml", 1, 4, [LeafClaim(name="a", quota=3, limit=4)])
        assert verdict.fix.startswith("lower them by 2 in all")

    def test_a_limit_above_is_told_before_the_quota(self) -> None:
        [verdict] = gpus_within_nodes(claim("ml", 16, quota=17), TWO_NODES)
        assert (verdict.field, verdict.got) == ("quota", "17")

    def test_seven_names_are_cut_after_six_and_six_are_not(self) -> None:
        assert listed(list("abcdef")) == "a, b, c, d, e, f"
        assert listed(list("abcdefg")) == "a, b, c, d, e, f and 1 more"

    def test_a_pool_has_the_gpus_of_all_its_nodes(self) -> None:
        assert TWO_NODES.gpus == 16


class TestQuotas:
    """Quota, limit, pool and leaf queues."""

    @pytest.mark.parametrize(("quota", "limit"), [(2, 2), (2, 3), (2, -1), (-1, -1), (0, 0)])
    def test_a_limit_that_covers_the_quota_is_fine(self, quota: float, limit: float) -> None:
        assert quota_against_limit("ml", quota, limit) == []

    @pytest.mark.parametrize(("quota", "limit"), [(2, 1), (0.5, 0.25), (-1, 4)])
    def test_a_limit_that_does_not_is_refused(self, quota: float, limit: float) -> None:
        assert [verdict.field for verdict in quota_against_limit("ml", quota, limit)] == ["limit"]

    def test_a_limit_above_what_is_seen_is_refused(self) -> None:
        assert gpus_within_nodes(claim("ml", 16), TWO_NODES) == []
        [verdict] = gpus_within_nodes(claim("ml", 17), TWO_NODES)
        assert verdict.text == ("must be at most the 16 GPUs of pool gpu (2 x 8), got 17; lower it to 16")

    def test_a_quota_above_what_is_seen_is_refused_under_an_unlimited_limit(self) -> None:
        [verdict] = gpus_within_nodes(claim("ml", -1, quota=17), TWO_NODES)
        assert (verdict.field, verdict.got) == ("quota", "17")

    def test_quotas_fill_a_pool_to_the_last(self) -> None:
        teams = [claim("a", -1, quota=10, mode="host"), claim("b", -1, quota=6, mode="host")]
        assert pool_quotas([TWO_NODES], teams) == []
        [verdict] = pool_quotas([TWO_NODES], [*teams, claim("c", -1, quota=1, mode="host")])
        assert verdict.got == "a 10 + b 6 + c 1 = 17 of 16"

    def test_quotas_on_the_same_nodes_by_name_are_added_there(self) -> None:
        first = ("gpu-0",)
        teams = [claim("a", 8, quota=5, nodes=first, mode="host"), claim("b", 8, quota=4, nodes=first, mode="host")]
        assert [verdict.got for verdict in pool_quotas([TWO_NODES], teams)] == ["a 5 + b 4 = 9 of 8"]

    def test_leaf_quotas_fill_the_teams_to_the_last(self) -> None:
        leaves = [LeafClaim(name="a", quota=1.5, limit=2), LeafClaim(name="b", quota=0.5, limit=-1)]
        assert leaf_queues("ml", 2, 2, leaves) == []
        [verdict] = leaf_queues("ml", 1, 2, leaves)
        assert verdict.got == "a 1.5 + b 0.5 = 2 of 1"

    def test_an_unlimited_leaf_quota_is_all_of_the_teams(self) -> None:
        whole = LeafClaim(name="a", quota=-1, limit=-1)
        assert leaf_queues("ml", 2, 4, [whole]) == []
        assert len(leaf_queues("ml", 2, 4, [whole, LeafClaim(name="b", quota=1, limit=1)])) == 1

    def test_a_leafs_limit_stays_below_the_teams(self) -> None:
        assert leaf_queues("ml", 2, 4, [LeafClaim(name="a", quota=1, limit=4)]) == []
        [verdict] = leaf_queues("ml", 2, 4, [LeafClaim(name="a", quota=1, limit=5)])
        assert (verdict.queue, verdict.field, verdict.got) == ("a", "limit", "5")


class TestRoom:
    """CPU, memory and pods with tenancy's own."""

    POOL = PoolCapacity(
        name="gpu",
        nodes=("gpu-0",),
        size=1,
        gpus_per_node=1,
        cpu_millicores=4000,
        memory_mib=8192,
        pods=110,
        headroom=Footprint(cpu_millicores=500, memory_mib=1024, pods=10),
    )

    def tenant(self, name: str, cpu: int, memory: int, pods: int, pool: str | None = "gpu") -> TenantClaim:
        return replace(
            claim(name, 0, pool=pool),
            workload=Footprint(cpu_millicores=cpu, memory_mib=memory, pods=pods),
            tenancy=Footprint(cpu_millicores=500, memory_mib=1024, pods=10),
        )

    def test_a_node_can_be_filled_to_the_last(self) -> None:
        assert room([self.POOL], [self.tenant("ml", 3000, 6144, 90)]) == []

    @pytest.mark.parametrize(
        ("cpu", "memory", "pods", "field", "got"),
        [
            (3001, 0, 0, "cpu", "ml 3.001 + tenancy 0.5 = 3.501 of 3.5 (1 x 3.5 after headroom)"),
            (0, 6656, 0, "memory", "ml 6.5Gi + tenancy 1Gi = 7.5Gi of 7Gi (1 x 7Gi after headroom)"),
            (0, 0, 91, "pods", "ml 91 + tenancy 10 = 101 of 100 (1 x 100 after headroom)"),
        ],
    )
    def test_one_more_is_refused_with_the_arithmetic(
        self, cpu: int, memory: int, pods: int, field: str, got: str
    ) -> None:
        [verdict] = room([self.POOL], [self.tenant("ml", cpu, memory, pods)])
        assert (verdict.field, verdict.got) == (field, got)

    def test_ten_teams_drown_a_small_node_by_tenancy_alone(self) -> None:
        teams = [self.tenant(f"t{i}", 0, 0, 0) for i in range(10)]
        assert {verdict.field for verdict in room([self.POOL], teams)} == {"cpu", "memory"}

    def test_a_long_sum_is_cut_and_counted(self) -> None:
        teams = [self.tenant(f"t{i}", 500, 0, 0) for i in range(10)]
        [verdict] = room([replace(self.POOL, memory_mib=None)], teams[:6])
        assert "t5 0.5 + tenancy 3 = 6 of 3.5" in verdict.got
        assert verdict.rule == "the teams' CPU and tenancy's own must fit pool gpu"
        [verdict] = room([replace(self.POOL, memory_mib=None)], teams)
        assert "t5 0.5 + 4 more teams + tenancy 5 = 10 of 3.5" in verdict.got

    def test_a_number_that_a_pool_does_not_say_is_not_judged(self) -> None:
        silent = replace(self.POOL, cpu_millicores=None, memory_mib=None, pods=None)
        assert room([silent], [self.tenant("ml", 10**6, 10**6, 10**6)]) == []

    def test_headroom_larger_than_the_node_leaves_nothing(self) -> None:
        small = replace(self.POOL, cpu_millicores=100)
        [verdict] = room([small], [self.tenant("ml", 0, 0, 0)])
        assert verdict.got == "ml 0 + tenancy 0.5 = 0.5 of 0 (1 x 0 after headroom)"

    def test_a_tenant_without_a_pool_counts_in_all(self) -> None:
        teams = [self.tenant("ml", 2000, 0, 0), self.tenant("dev", 1000, 0, 0, pool=None)]
        [verdict] = room([self.POOL], teams)
        assert (verdict.pool, verdict.got) == (None, "ml 2 + dev 1 + tenancy 1 = 4 of 3.5 (1 x 3.5 after headroom)")

    def test_the_shared_scheduler_counts_in_all(self) -> None:
        teams = [self.tenant("ml", 3000, 0, 0)]
        assert room([self.POOL], teams) == []
        shared = Footprint(cpu_millicores=1, memory_mib=0, pods=0)
        assert [verdict.field for verdict in room([self.POOL], teams, shared)] == ["cpu"]

    def test_a_full_pool_is_not_told_again_in_all(self) -> None:
        verdicts = room([self.POOL], [self.tenant("ml", 4000, 0, 0)])
        assert [verdict.pool for verdict in verdicts] == ["gpu"]


class TestPorts:
    """NodePorts follow the name."""

    def test_a_port_never_changes(self) -> None:
        # written out: whoever changes the derivation moves every running team's port
        assert {name: node_port(name) for name in ("ml", "research", "dev")} == {
            "ml": 30868,
            "research": 31034,
            "dev": 31167,
        }

    def test_every_port_is_in_the_range(self) -> None:
        assert all(node_port(f"team-{i}") in NODE_PORTS for i in range(5000))

    def test_names_spread_over_the_range(self) -> None:
        assert len({node_port(f"team-{i}") for i in range(300)}) > 270

    def test_the_later_of_two_is_told_a_free_port(self) -> None:
        [verdict] = port_clashes({"a": 30000, "b": 30001, "c": 30000})
        assert (verdict.about, verdict.fix) == (("a", "c"), "write port: 30002")

    def test_three_on_one_port_are_told_different_free_ones(self) -> None:
        assert [v.fix for v in port_clashes({"a": 32767, "b": 32767, "c": 32767})] == [
            "write port: 30000",
            "write port: 30001",
        ]

    def test_different_ports_are_fine(self) -> None:
        assert port_clashes({"a": 30000, "b": 30001}) == []


def test_a_verdict_is_one_sentence() -> None:
    verdict = Verdict(about=("ml",), field="limit", rule="must be 1", got="2", fix="lower it")
    assert verdict.text == "must be 1, got 2; lower it"
