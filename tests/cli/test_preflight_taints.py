"""A taint is its key, its value and its effect, and the list of them has one owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.preflight import Level, Taint
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

    def test_what_we_set_ourselves_is_ours_to_take_away(self) -> None:
        ours = node(taints=(OURS,), taints_are_ours=True)
        assert found(platform(), facts(ours)) == []
        assert found(platform({"taint": True}), facts(ours)) == []

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
