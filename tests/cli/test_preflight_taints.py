"""A taint is its key, its value and its effect, and the list of them has one owner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cli.preflight import ClusterFacts, Level, NodeFacts, Taint
from tests.cli.one_pool import facts, found, node, one, platform

OURS = Taint(key="nvidia.com/gpu", value="present")


class TestTaints:
    """A taint is key, value and effect; the list has one owner."""

    def test_the_same_taint_of_a_cloud_wants_taint_true(self) -> None:
        finding = one(platform(), facts(node(taints=(OURS,))))
        assert (finding.id, finding.level) == ("node-taint", Level.ERROR)
        assert finding.message == (
            "has nvidia.com/gpu=present:NoSchedule, and taint: false leaves the team's pods without a toleration"
        )
        assert finding.fix == "set taint: true (same key, value, effect: no conflict)"
        assert found(platform({"taint": True}), facts(node(taints=(OURS,)))) == []

    @pytest.mark.parametrize("taint", [False, True])
    def test_another_value_is_tolerated_by_nobody(self, taint: bool) -> None:
        theirs = Taint(key="nvidia.com/gpu", value="true")
        finding = one(platform({"taint": taint}), facts(node(taints=(theirs,))))
        assert (finding.id, finding.level) == ("node-taint", Level.ERROR)
        told = "its taint has value 'true', ours has 'present': pods tolerate nvidia.com/gpu=present:NoSchedule alone"
        assert told in finding.message
        assert ("409" in finding.message) == taint
        assert finding.fix.startswith(
            "set taint: true and taintValue: 'true' (same key, value, effect: no conflict), or "
        )
        assert "remove the taint (`kubectl taint node gpu-0 nvidia.com/gpu:NoSchedule-`)" in finding.fix

    @pytest.mark.parametrize("value", ["true", ""])
    def test_another_value_that_the_file_says_is_ours(self, value: str) -> None:
        theirs = Taint(key="nvidia.com/gpu", value=value)
        assert found(platform({"taint": True, "taintValue": value}), facts(node(taints=(theirs,)))) == []
        finding = one(platform({"taint": True, "taintValue": value}), facts(node(taints=(OURS,))))
        assert f"its taint has value 'present', ours has {value!r}" in finding.message

    def test_a_value_is_no_advice_where_the_list_has_other_taints_too(self) -> None:
        theirs = (Taint(key="nvidia.com/gpu", value="true"), Taint(key="dedicated", value="gpu"))
        assert "taintValue" not in one(platform(), facts(node(taints=theirs))).fix

    def test_another_effect_is_tolerated_by_nobody(self) -> None:
        theirs = replace(OURS, effect="NoExecute")
        finding = one(platform({"taint": True}), facts(node(taints=(theirs,))))
        assert "its taint has effect NoExecute, ours has NoSchedule" in finding.message

    def test_a_taint_that_only_asks_keeps_nobody_off_but_owns_the_list(self) -> None:
        asks = Taint(key="dedicated", effect="PreferNoSchedule")
        assert found(platform(), facts(node(taints=(asks,)))) == []
        finding = one(platform({"taint": True}), facts(node(taints=(asks,))))
        assert "dedicated:PreferNoSchedule" in finding.message
        assert "409" in finding.message

    def test_a_second_owner_of_the_list_is_refused(self) -> None:
        finding = one(platform({"taint": True}), facts(node(taints=(Taint(key="dedicated"),))))
        assert (finding.id, finding.level) == ("node-taint", Level.ERROR)
        assert finding.fix.endswith("dedicated-`, or taint: false")

    def test_what_we_set_ourselves_is_ours_to_take_away(self) -> None:
        ours = node(taints=(OURS,), taints_are_ours=True)
        assert found(platform(), facts(ours)) == []
        assert found(platform({"taint": True}), facts(ours)) == []

    @pytest.mark.parametrize("pool", [{}, {"taint": True}, {"taint": True, "taintValue": "b"}])
    def test_our_taint_of_another_pool_is_ours_to_write_anew(self, pool: dict[str, Any]) -> None:
        of_a = Taint(key=OURS.key, value="a")
        assert found(platform(pool), facts(node(taints=(of_a,), taints_are_ours=True))) == []
        assert [finding.id for finding in found(platform(pool), facts(node(taints=(of_a,))))] == ["node-taint"]

    def test_the_same_taint_among_others_is_not_promised_to_be_free_of_conflict(self) -> None:
        both = node(taints=(OURS, Taint(key="dedicated", value="gpu")))
        finding = one(platform(), facts(both))
        assert "no conflict" not in finding.fix
        assert "dedicated-" in finding.fix

    def test_a_cordoned_node_cannot_take_our_taint_yet(self) -> None:
        cordoned = node(cordoned=True, taints=(Taint(key="node.kubernetes.io/unschedulable"),))
        assert [finding.id for finding in found(platform(), facts(cordoned))] == ["node-cordoned"]
        ids = [(finding.id, finding.level) for finding in found(platform({"taint": True}), facts(cordoned))]
        assert ids == [("node-cordoned", Level.WARNING), ("node-taint", Level.ERROR)]


def only(*nodes: NodeFacts) -> ClusterFacts:
    """A cluster without another node."""
    return facts(nodes={entry.name: entry for entry in nodes})


class TestControlPlanes:
    """The teams' API servers tolerate no taint, so a node without one must be there."""

    def test_the_only_node_that_would_get_our_taint(self) -> None:
        finding = one(platform({"taint": True}), only(node()))
        assert (finding.id, finding.level) == ("no-node-for-control-planes", Level.ERROR)
        assert finding.message == (
            "no node takes the teams' API servers: they tolerate no taint, and every node has one "
            "(gpu-0: nvidia.com/gpu=present:NoSchedule)"
        )
        assert finding.fix == "add a node without a taint, or take it off one: pools.a.taint: false"
        assert found(platform(), only(node())) == []

    def test_the_only_node_that_carries_another_value_which_the_file_says(self) -> None:
        theirs = node(taints=(Taint(key="nvidia.com/gpu", value="true"),))
        finding = one(platform({"taint": True, "taintValue": "true"}), only(theirs))
        assert finding.id == "no-node-for-control-planes"
        assert finding.fix.endswith("pools.a.taint: false and `kubectl taint node gpu-0 nvidia.com/gpu-`")

    def test_a_cluster_s_own_control_plane_takes_none_where_it_is_tainted(self) -> None:
        theirs = node(name="cp-0", taints=(Taint(key="node-role.kubernetes.io/control-plane"),))
        gpus = node(taints=(OURS,), taints_are_ours=True)
        finding = one(platform({"taint": True}), only(theirs, gpus))
        assert finding.fix.endswith("`kubectl taint node cp-0 node-role.kubernetes.io/control-plane-`")
        assert "cp-0: node-role.kubernetes.io/control-plane:NoSchedule, gpu-0: nvidia.com/gpu" in finding.message
        free = node(name="cpu-0", gpus=None, gpu_capacity=None)
        assert found(platform({"taint": True}), only(theirs, gpus, free)) == []

    @pytest.mark.parametrize(
        "taint", [Taint(key="dedicated", effect="PreferNoSchedule"), Taint(key="node.kubernetes.io/unschedulable")]
    )
    def test_a_taint_that_only_asks_or_that_passes_is_none(self, taint: Taint) -> None:
        ids = {finding.id for finding in found(platform(), only(node(taints=(taint,))))}
        assert "no-node-for-control-planes" not in ids

    def test_a_taint_of_ours_that_the_file_takes_away_is_none(self) -> None:
        assert found(platform(), only(node(taints=(OURS,), taints_are_ours=True))) == []

    @pytest.mark.parametrize(
        ("brings", "said"),
        [(True, "; its autoscaler must bring one"), (None, "; whether an autoscaler brings one can't be read")],
    )
    def test_a_node_that_comes_on_demand_is_not_refused_before_it_comes(self, brings: bool | None, said: str) -> None:
        system = node(name="system-0", gpus=None, gpu_capacity=None, taints=(Taint(key="CriticalAddonsOnly"),))
        finding = one(platform({"taint": True}), replace(only(system, node()), brings_nodes=brings))
        assert (finding.id, finding.level) == ("no-node-for-control-planes", Level.WARNING)
        assert finding.message.endswith(said)

    def test_where_no_node_can_be_read_or_no_team_is_there_nothing_is_said(self) -> None:
        assert "no-node-for-control-planes" not in {f.id for f in found(platform({"taint": True}), only())}
        empty = platform({"taint": True}).model_copy(update={"teams": {}})
        assert "no-node-for-control-planes" not in {f.id for f in found(empty, only(node()))}
