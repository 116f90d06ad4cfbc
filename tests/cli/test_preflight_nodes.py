"""What a node's resources, taints and labels mean together: one finding, one fix that the next run does not undo."""

from __future__ import annotations

import pytest

from cli.preflight import Level, ObjectFacts
from names import GPU_COUNT
from releases import SharingConfig, sharing_config
from settings.load import parse_platform
from tests.cli.one_pool import PLUGIN, facts, found, node, one, platform

MIXED = {"nvidia.com/mig.strategy": "mixed", GPU_COUNT: "8"}
FOUR = SharingConfig(name="a", strategy="timeSlicing", replicas=4)


class TestHowManyGpus:
    """Allocatable, capacity, feature discovery's label and the file are one question."""

    def test_a_gpu_that_the_plugin_holds_back_is_no_reason_to_count_fewer(self) -> None:
        lost = node(gpus=7, labels={GPU_COUNT: "8"})
        finding = one(platform(gpu={"owner": "cluster"}), facts(lost, device_plugins=[PLUGIN]))
        assert (finding.id, finding.level) == ("gpus-fewer", Level.ERROR)
        assert "has 8, of which 7 are allocatable: the device plugin holds 1 for unhealthy (Xid)" in finding.message
        assert "gpusPerNode stays 8" in finding.fix
        assert "gpusPerNode: 7" not in finding.message + finding.fix

    def test_a_file_that_counts_the_unhealthy_gpu_out_hides_it(self) -> None:
        finding = one(platform({"gpusPerNode": 7}), facts(node(gpus=7)))
        assert (finding.id, finding.level) == ("gpus-unhealthy", Level.WARNING)
        assert "gpusPerNode: 7 hides it" in finding.message

    def test_a_sick_gpu_that_is_shared_still_gets_pods(self) -> None:
        # seen with plugin 0.20.0: of two GPUs x 4 an Xid takes one replica
        shared = platform({"gpusPerNode": 2, "sharing": {"timeSlicing": {"replicas": 4}}})
        finding = one(shared, facts(node(gpus=7)))
        assert "has 8, of which 7 are allocatable: the device plugin holds 1 for unhealthy (Xid)" in finding.message
        assert "takes one of its replicas, and pods still get the others" in finding.message
        assert finding.fix.startswith("`make fence NODE=gpu-0`")
        assert "gpusPerNode stays 2" in finding.fix

    @pytest.mark.parametrize("replicas", [2, 8])
    def test_another_number_of_replicas_comes_with_up(self, replicas: int) -> None:
        shared = platform({"gpusPerNode": 2, "sharing": {"timeSlicing": {"replicas": replicas}}})
        told = {"default": "version: v1\n", "a": sharing_config(FOUR)}
        labels = {"nvidia.com/device-plugin.config": "a"}
        finding = one(shared, facts(node(gpus=8, labels=labels), plugin_configs=told))
        assert (finding.id, finding.level) == ("replicas-not-yet", Level.NOTE)
        lost = one(shared, facts(node(gpus=4, gpu_capacity=4, labels=labels), plugin_configs=told))
        assert lost.message == "advertises 4 nvidia.com/gpu, the file says 8", "one of its two GPUs is gone"
        sick = one(shared, facts(node(gpus=7, labels=labels), plugin_configs=told))
        assert "gpusPerNode stays 2" in sick.fix

    def test_no_more_sharing_comes_with_up(self) -> None:
        labels = {"nvidia.com/device-plugin.config": "a"}
        whole = facts(
            node(gpus=8, labels=labels), plugin_configs={"default": "version: v1\n", "a": sharing_config(FOUR)}
        )
        assert one(platform({"gpusPerNode": 2}), whole).id == "replicas-not-yet"

    def test_slices_come_with_up_where_the_gpus_are_cut(self) -> None:
        cut = platform({"gpusPerNode": 2, "sharing": {"mig": {"profile": "1g.10gb", "slices": 7}}})
        finding = one(cut, facts(node(gpus=2, gpu_capacity=2), plugin_configs={}))
        assert (finding.id, finding.level) == ("replicas-not-yet", Level.NOTE)
        assert (
            "its 14 slices come with `up`, where `nvidia-smi mig` has cut each GPU into 7 of 1g.10gb" in finding.message
        )

    @pytest.mark.parametrize("text", ["[", "flags: {migStrategy: single}", "sharing: {mps: {resources: [{}]}}", "- a"])
    def test_a_file_that_says_no_number_is_not_taken_for_one(self, text: str) -> None:
        shared = platform({"gpusPerNode": 2, "sharing": {"timeSlicing": {"replicas": 8}}})
        finding = one(shared, facts(node(gpus=8), plugin_configs={"default": text}))
        assert finding.message == "advertises 8 nvidia.com/gpu, the file says 16"

    def test_gpus_that_are_not_cut_are_told_as_such(self) -> None:
        cut = platform({"gpusPerNode": 2, "sharing": {"mig": {"profile": "1g.10gb", "slices": 7}}})
        finding = one(cut, facts(node(gpus=2, gpu_capacity=2)))
        assert (finding.id, finding.level) == ("mig-off", Level.ERROR)
        assert "advertises 2 nvidia.com/gpu, the file says 14 slices of 1g.10gb" in finding.message
        others = one(cut, facts(node(gpus=8, gpu_capacity=8)))
        assert "set sharing.mig.slices to 4" in others.fix
        assert not found(cut, facts(node(gpus=14, gpu_capacity=14, labels={"nvidia.com/gpu.count": "14"})))

    def test_a_wrong_file_beside_an_unhealthy_gpu_is_told_the_capacity(self) -> None:
        finding = one(platform({"gpusPerNode": 4}), facts(node(gpus=7)))
        assert "the file says 4" in finding.message
        assert finding.fix.endswith("gpusPerNode counts the unhealthy, too: 8")

    @pytest.mark.parametrize("holders", [[PLUGIN], []])
    def test_all_gpus_held_back_are_told_as_such(self, holders: list[ObjectFacts]) -> None:
        finding = found(platform(gpu={"owner": "cluster"}), facts(node(gpus=0), device_plugins=holders))[0]
        assert "has 8, of which none is allocatable" in finding.message
        assert "its pod is gone" in finding.message

    @pytest.mark.parametrize("capacity", [0, 8])
    def test_a_name_left_over_at_zero_comes_back_with_up(self, capacity: int) -> None:
        after_down = facts(node(gpus=0, gpu_capacity=capacity, plugins=()), device_plugins=[], runtime_classes={})
        finding = one(platform(), after_down)
        assert (finding.id, finding.level) == ("gpus-not-yet", Level.NOTE)
        assert "comes with `up`" in finding.message
        assert "left over" in finding.message

    def test_a_node_that_our_plugin_does_not_serve_yet_comes_with_up(self) -> None:
        joined = node(gpus=0, plugins=())
        assert one(platform(), facts(joined)).id == "gpus-not-yet"

    def test_a_plugin_of_ours_that_gives_nothing_is_an_error_that_does_not_ask_for_what_is_so(self) -> None:
        serving = (ObjectFacts(name="nvidia-device-plugin/nvidia-device-plugin", ours=True),)
        finding = one(platform(), facts(node(gpus=0, gpu_capacity=0, plugins=serving)))
        assert (finding.id, finding.level) == ("gpus-none", Level.ERROR)
        assert "gpu.owner: ours" not in finding.fix

    def test_a_labelled_node_without_a_pod_of_our_plugin_is_looked_at_there(self) -> None:
        labelled = node(gpus=0, gpu_capacity=0, plugins=(), ours=frozenset({"nvidia.com/gpu.present"}))
        assert "no pod of the device plugin runs there" in one(platform(), facts(labelled)).fix

    def test_a_label_that_says_what_the_file_says_is_not_advised_against(self) -> None:
        fallen_off = node(gpus=7, gpu_capacity=7, labels={GPU_COUNT: "8"})
        finding = one(platform(), facts(fallen_off))
        assert "nvidia-smi -L" in finding.fix
        assert "gpusPerNode: 7" not in finding.fix

    def test_a_wrong_file_and_a_right_label_are_one_finding(self) -> None:
        finding = one(platform({"gpusPerNode": 4}), facts(node(labels={GPU_COUNT: "8"})))
        assert (finding.id, finding.level) == ("gpus-more", Level.WARNING)
        assert "gpusPerNode: 8" in finding.fix

    def test_a_wrong_label_is_removed_and_not_written_into_the_file(self) -> None:
        finding = one(platform(), facts(node(labels={GPU_COUNT: "3"})))
        assert finding.id == "gpu-count-label"
        assert "gpusPerNode: 3" not in finding.fix
        assert f"kubectl label node gpu-0 {GPU_COUNT}-" in finding.fix

    def test_a_label_that_sharing_explains_says_so(self) -> None:
        finding = one(platform(), facts(node(labels={GPU_COUNT: "4"})))
        assert "gpusPerNode: 4 and replicas: 2" in finding.fix

    @pytest.mark.parametrize(
        ("resource", "id_", "level"),
        [
            ("nvidia.com/gpu.shared", "gpus-renamed", Level.ERROR),
            ("nvidia.com/mig-1g.10gb.me", "mig-slices", Level.ERROR),
        ],
    )
    def test_gpus_under_another_name_are_named(self, resource: str, id_: str, level: Level) -> None:
        other = node(gpus=0, gpu_capacity=0, resources={resource: 32}, labels=MIXED)
        finding = found(platform(gpu={"owner": "cluster"}), facts(other, device_plugins=[PLUGIN]))[0]
        assert (finding.id, finding.level) == (id_, level)
        assert f"32 x {resource.removeprefix('nvidia.com/') if 'mig' in resource else resource}" in finding.message

    def test_a_name_that_no_quota_bounds_is_told(self) -> None:
        vgpu = node(resources={"nvidia.com/gpumem": 80, "example.com/fpga": 2, "nvidia.com/mig-1g.10gb": 0})
        finding = one(platform(), facts(vgpu))
        assert (finding.id, finding.level) == ("gpu-name-unknown", Level.WARNING)
        assert "80 x nvidia.com/gpumem" in finding.message
        assert "fpga" not in finding.message

    def test_gpus_that_others_hold_are_told_where_a_kai_would_give_them_away_again(self) -> None:
        busy = node(used_gpus={"default/train": 2, "lab/notebook": 1})
        finding = one(platform(), facts(busy))
        assert (finding.id, finding.level) == ("gpus-in-use", Level.WARNING)
        assert "use 3 nvidia.com/gpu (default/train, lab/notebook)" in finding.message
        assert found(platform(kai=None), facts(busy)) == []


class TestMig:
    """KAI refuses whole-GPU pods on a node with MIG by name."""

    @pytest.mark.parametrize(
        ("gpus", "slices"), [(5, {"nvidia.com/mig-1g.10gb": 21}), (0, {"nvidia.com/mig-1g.10gb": 56})]
    )
    def test_slices_beside_whole_gpus_explain_the_number(self, gpus: int, slices: dict[str, int]) -> None:
        cut = node(gpus=gpus, gpu_capacity=gpus, resources=slices, labels=MIXED)
        finding = one(platform(gpu={"owner": "cluster"}), facts(cut, device_plugins=[PLUGIN]))
        assert (finding.id, finding.level) == ("mig-slices", Level.ERROR)
        assert f"{next(iter(slices.values()))} x mig-1g.10gb" in finding.message
        assert "every KAI refuses whole-GPU pods" in finding.message
        assert "switch MIG off on that node, use strategy single, or take another node" in finding.fix
        assert "nvidia-smi" not in finding.fix

    def test_slices_are_told_even_where_the_number_is_right(self) -> None:
        cut = node(gpus=5, gpu_capacity=5, resources={"nvidia.com/mig-1g.10gb": 21}, labels=MIXED)
        assert one(platform({"gpusPerNode": 5}), facts(cut)).id == "mig-slices"

    def test_without_a_kai_the_whole_gpus_can_be_used(self) -> None:
        cut = node(gpus=5, gpu_capacity=5, resources={"nvidia.com/mig-1g.10gb": 21}, labels={})
        assert found(platform({"gpusPerNode": 5}, kai=None), facts(cut)) == []
        finding = one(platform(kai=None), facts(cut))
        assert (
            "has 5 whole nvidia.com/gpu and MIG slices by name (21 x mig-1g.10gb); the file says 8" in finding.message
        )

    @pytest.mark.parametrize("kai", ["v0.7.11", "v0.9.2", "v0.9.3", "v0.9.8"])
    def test_a_name_left_at_zero_is_mig_to_an_old_kai(self, kai: str) -> None:
        off_again = node(resources={"nvidia.com/mig-1g.24gb": 0}, labels=MIXED)
        finding = one(platform(kai=kai), facts(off_again))
        assert (finding.id, finding.level) == ("mig-left-over", Level.WARNING)
        assert kai in finding.message
        assert "KAI v0.12.23 or newer" in finding.fix

    @pytest.mark.parametrize("kai", ["v0.12.23", "v0.14.7", "v0.16.8", "v0.18.6", None])
    def test_a_newer_kai_does_not_mind(self, kai: str | None) -> None:
        off_again = node(resources={"nvidia.com/mig-1g.24gb": 0}, labels=MIXED)
        assert found(platform(kai=kai), facts(off_again)) == []

    def test_strategy_single_costs_an_old_kai_fractions_alone(self) -> None:
        off_again = node(resources={"nvidia.com/mig-1g.24gb": 0}, labels={"nvidia.com/mig.strategy": "single"})
        assert found(platform(kai="v0.9.8"), facts(off_again)) == []
        assert "refuses fractions" in one(platform(kai="v0.9.8", sharing=True), facts(off_again)).message

    def test_the_label_that_kai_asks_alone_settles_it(self) -> None:
        labels = {**MIXED, "node-role.kubernetes.io/mig-enabled": "false"}
        off = node(resources={"nvidia.com/mig-1g.24gb": 3}, labels=labels)
        assert found(platform(), facts(off)) == []

    def test_the_host_s_kai_counts_for_teams_that_share_it(self) -> None:
        shared = parse_platform(
            {
                "host": {"provider": "existing", "address": "10.0.0.5", "scheduler": {"version": "v0.9.8"}},
                "gpu": {"stack": "devicePlugin"},
                "pools": {"a": {"nodes": ["gpu-0"], "gpusPerNode": 8}},
                "teams": {
                    "ml": {
                        "pool": "a",
                        "scheduler": {"mode": "host"},
                        "resources": {"gpus": 1},
                        "queues": {"work": {"gpu": 1}},
                    }
                },
            },
            "here",
        )
        off_again = node(resources={"nvidia.com/mig-1g.24gb": 0}, labels=MIXED)
        assert one(shared, facts(off_again)).id == "mig-left-over"
