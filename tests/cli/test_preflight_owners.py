"""Who advertises the GPUs: one, and the one that the file says."""

from __future__ import annotations

from typing import Any

import pytest

from cli.preflight import Level, ObjectFacts
from tests.cli.one_pool import BY_OPERATOR, OPERATOR, PLUGIN, facts, found, node, one, platform


class TestOwners:
    """Whoever advertises the GPUs is there once, and is what the file says."""

    @pytest.mark.parametrize(
        ("gpu", "plugins", "id_", "level"),
        [
            ({"stack": "devicePlugin", "owner": "ours"}, [PLUGIN], "plugin-exists", Level.ERROR),
            ({"stack": "gpuOperator", "owner": "ours"}, [PLUGIN], "plugin-besides-operator", Level.ERROR),
            ({"stack": "devicePlugin", "owner": "cluster"}, [], "plugin-unseen", Level.NOTE),
            ({"stack": "devicePlugin", "owner": "ours"}, [], "plugin-unseen", Level.WARNING),
            ({"stack": "gpuOperator", "owner": "ours"}, [], "plugin-unseen", Level.WARNING),
        ],
    )
    def test_a_node_that_advertises_already_gets_the_finding_of_its_owner(
        self, gpu: dict[str, Any], plugins: list[ObjectFacts], id_: str, level: Level
    ) -> None:
        finding = one(platform(gpu={**gpu, "runtimeClass": {"owner": "cluster"}}), facts(device_plugins=plugins))
        assert (finding.id, finding.level) == (id_, level)
        if plugins:
            assert "kube-system/nvidia-gpu-device-plugin-large-cos" in finding.message

    @pytest.mark.parametrize("owner", ["cluster", "ours"])
    def test_three_of_the_nodes_that_advertise_already_are_named_and_the_others_counted(self, owner: str) -> None:
        names = ["g0", "g1", "g2", "g3", "g4"]
        asked = platform({"nodes": names}, {"owner": owner})
        (finding,) = (
            finding
            for finding in found(asked, facts(*(node(name=name) for name in names), device_plugins=[]))
            if finding.id == "plugin-unseen"
        )
        assert "on g0, g1, g2 and 2 more" in finding.message

    def test_a_managed_plugin_of_the_cluster_s_is_well(self) -> None:
        assert found(platform(gpu={"owner": "cluster"}), facts(device_plugins=[PLUGIN])) == []

    def test_nothing_that_advertises_and_nothing_seen_is_missing(self) -> None:
        bare = facts(node(gpus=None, gpu_capacity=None), device_plugins=[])
        ids = [(finding.id, finding.level) for finding in found(platform(gpu={"owner": "cluster"}), bare)]
        assert ("plugin-missing", Level.ERROR) in ids

    @pytest.mark.parametrize("stack", ["devicePlugin", "gpuOperator"])
    def test_an_operator_and_a_separate_plugin_are_one_finding(self, stack: str) -> None:
        gpu = {"stack": stack, "owner": "cluster", "runtimeClass": {"owner": "cluster"}}
        both = facts(device_plugins=[BY_OPERATOR, PLUGIN], gpu_operators=[OPERATOR])
        finding = one(platform(gpu=gpu), both)
        assert (finding.id, finding.level) == ("plugin-besides-operator", Level.ERROR)
        assert PLUGIN.name in finding.message
        assert OPERATOR.name in finding.message

    def test_an_operator_whose_plugin_is_off_may_stand_beside_one(self) -> None:
        gpu = {"stack": "gpuOperator", "owner": "cluster", "runtimeClass": {"owner": "cluster"}}
        assert found(platform(gpu=gpu), facts(device_plugins=[PLUGIN], gpu_operators=[OPERATOR])) == []

    def test_two_plugins_matter_where_they_meet(self) -> None:
        other = ObjectFacts(name="kube-system/nvidia-gpu-device-plugin-medium-cos", ours=False)
        apart = facts(node(plugins=(PLUGIN,)), device_plugins=[PLUGIN, other])
        assert found(platform(gpu={"owner": "cluster"}), apart) == []
        met = facts(node(plugins=(PLUGIN, other)), device_plugins=[PLUGIN, other])
        finding = one(platform(gpu={"owner": "cluster"}), met)
        assert (finding.id, finding.level) == ("plugins-on-one-node", Level.ERROR)

    def test_the_operator_that_is_a_plugin_is_told_which(self) -> None:
        gpu = {"stack": "gpuOperator", "owner": "cluster", "runtimeClass": {"owner": "cluster"}}
        finding = one(platform(gpu=gpu), facts(device_plugins=[PLUGIN]))
        assert (finding.id, finding.fix) == ("operator-missing", "set gpu.stack: devicePlugin")

    def test_a_kai_that_names_a_runtime_class_of_its_own_must_find_it(self) -> None:
        fast = {"runtimeClass": {"name": "nvidia-fast"}}
        where = facts(runtime_classes={})
        assert one(platform(gpu=fast, kai="v0.9.3", sharing=True), where).id == "kai-runtime-class"
        for what in (platform(gpu=fast, kai="v0.9.3"), platform(gpu=fast, kai="v0.9.8", sharing=True)):
            assert found(what, where) == []
