"""The whole row of each finding about nodes and their GPUs, as `preflight_nodes.txt` has it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from cli.preflight import ObjectFacts, Taint
from cli.preflight.discovered import discovered
from cli.preflight.sharing import replicas_now
from releases import SharingConfig, sharing_config
from tests.cli.one_pool import BY_OPERATOR, GIB, OPERATOR, PLUGIN, facts, node, platform
from tests.cli.told import BY_CLUSTER, ENFORCED, HOST_KAI, THEIRS, Cases, as_recorded, changed, labelled, without

FILE: Final = Path(__file__).with_name("preflight_nodes.txt")
MEMORY: Final = "nvidia.com/gpu.memory"
COUNT: Final = "nvidia.com/gpu.count"
PRODUCT: Final = "nvidia.com/gpu.product"
STRATEGY: Final = "nvidia.com/mig.strategy"
MIG: Final = "nvidia.com/mig-1g.10gb"
CONFIG: Final = "nvidia.com/device-plugin.config"
BY_NVIDIA: Final = {"feature.node.kubernetes.io/cpu-model.vendor_id": "NVIDIA"}
SHARED: Final = {"sharing": {"timeSlicing": {"replicas": 2}}}
CUT: Final = {"gpuMemoryMib": 81559, "sharing": {"mig": {"profile": "1g.10gb", "slices": 7}}}
OLDER: Final = {"scheduler": {"mode": "virtual", "version": "v0.9.3"}}
TWICE: Final = SharingConfig(name="x", strategy="mps", replicas=2)
SELECTED: Final = {"nodes": None, "selector": {"x": "y"}, "nodeCount": 2}


def cases() -> Cases:
    return {
        "all is well": (changed(), facts()),
        "no nodes at all": (changed(), replace(facts(), nodes={})),
        "a name that nobody has": (
            without(nodes=["zzz"]),
            facts(*(node(name=f"n{number}") for number in range(9))),
        ),
        "too few for a selector": (without(**SELECTED), facts(node(labels={"x": "y"}))),
        "none for a selector": (without(**SELECTED), facts()),
        "as many as a selector should find": (without(**{**SELECTED, "nodeCount": 1}), facts(node(labels={"x": "y"}))),
        "no more room": (changed(), facts(node(used_cpu=Decimal(60), used_memory=Decimal(504 * GIB)))),
        "less than no more room": (
            changed(),
            facts(node(used_cpu=Decimal("60.01"), used_memory=Decimal(504 * GIB + 1))),
        ),
        "a node of a CPU pool": (without(gpusPerNode=0), facts(node(gpus=None, gpu_capacity=None))),
        "GPUs in a CPU pool": (without(gpusPerNode=0), facts(node())),
        "slices in a CPU pool": (without(gpusPerNode=0), facts(node(gpus=None, resources={MIG: 2}))),
        "GPUs and slices in a CPU pool": (without(gpusPerNode=0), facts(node(resources={MIG: 2, f"{MIG}.me": 0}))),
        "labels on a CPU pool": (
            without(gpusPerNode=0, product="H100"),
            facts(node(gpus=None, **labelled(**{PRODUCT: "L4"}))),
        ),
        "two other taints": (
            changed(),
            facts(
                node(
                    taints=(
                        Taint(key="nvidia.com/gpu", value="x"),
                        Taint(key="nvidia.com/gpu", value="y", effect="NoExecute"),
                    )
                )
            ),
        ),
        # numbers of GPUs
        "renamed and none": (
            changed(),
            facts(node(gpus=0, gpu_capacity=0, resources={"nvidia.com/gpu.shared": 0, "x/y": 3})),
        ),
        "renamed": (changed(), facts(node(gpus=0, gpu_capacity=0, resources={"nvidia.com/gpu.shared": 16}))),
        "fewer": (changed(), facts(node(gpus=6, gpu_capacity=6))),
        "fewer by half": (changed(), facts(node(gpus=4, gpu_capacity=4))),
        "more": (changed(), facts(node(gpus=16, gpu_capacity=16))),
        "fewer than a label says": (changed(), facts(node(gpus=6, gpu_capacity=6, **labelled(**{COUNT: "8"})))),
        "more than a label says": (changed(), facts(node(gpus=9, gpu_capacity=9, **labelled(**{COUNT: "8"})))),
        "one unhealthy": (changed(), facts(node(gpus=7))),
        "all unhealthy": (changed(), facts(node(gpus=0))),
        "one healthy": (changed(), facts(node(gpus=1, gpu_capacity=4))),
        "one replica unhealthy": (without(**SHARED), facts(node(gpus=15, gpu_capacity=16))),
        "one slice unhealthy": (without(**CUT), facts(node(gpus=55, gpu_capacity=56))),
        "unhealthy and hidden": (changed(), facts(node(gpus=8, gpu_capacity=9))),
        "half of what was shared": (without(**SHARED), facts(node(gpus=5, gpu_capacity=6))),
        "not shared yet": (without(**SHARED), facts(node())),
        "shared by another number": (without(**SHARED), facts(node(gpus=32, gpu_capacity=32))),
        "shared by others' plugin": (platform(SHARED, BY_CLUSTER), facts(node(), device_plugins=[PLUGIN])),
        "fewer than are shared by others' plugin": (
            platform(SHARED, BY_CLUSTER),
            facts(node(gpus=12, gpu_capacity=12), device_plugins=[PLUGIN]),
        ),
        "shared no more": (
            changed(),
            facts(node(), plugin_configs={"default": sharing_config(TWICE)}),
        ),
        "not cut": (without(**CUT), facts(node())),
        "cut by another number": (without(**CUT), facts(node(gpus=32, gpu_capacity=32))),
        "none": (changed(), facts(node(gpus=0, gpu_capacity=0, plugins=()))),
        "none, of a plugin that runs": (
            changed(),
            facts(node(gpus=0, gpu_capacity=0, plugins=(PLUGIN,), ours=frozenset({"nvidia.com/gpu.present"}))),
        ),
        "none, of ours that is nowhere": (
            changed(),
            facts(node(gpus=0, gpu_capacity=0, plugins=(), ours=frozenset({"nvidia.com/gpu.present"}))),
        ),
        "none, of somebody else": (
            platform(gpu=BY_CLUSTER),
            facts(node(gpus=0, gpu_capacity=0, plugins=()), device_plugins=[PLUGIN]),
        ),
        "none, pods can't be listed": (
            changed(),
            facts(node(gpus=0, gpu_capacity=0), device_plugins=None, gpu_operators=None),
        ),
        "not yet": (changed(), facts(node(gpus=None, gpu_capacity=None), device_plugins=[])),
        "not yet, and a label agrees": (
            changed(),
            facts(node(gpus=None, gpu_capacity=None, **labelled(**{COUNT: "8"})), device_plugins=[]),
        ),
        "not yet, and a label says another number": (
            changed(),
            facts(node(gpus=0, gpu_capacity=None, **labelled(**{COUNT: "4"})), device_plugins=[]),
        ),
        "never advertised beside our plugin": (changed(), facts(node(gpus=None, gpu_capacity=None, plugins=()))),
        "slices by name": (changed(), facts(node(gpus=8, resources={MIG: 2}))),
        "slices by name and others' strategy": (
            changed(),
            facts(node(gpus=8, resources={MIG: 2}, **labelled(**{STRATEGY: "mixed"}))),
        ),
        "a switch that says f": (
            changed(),
            facts(
                node(resources={MIG: 2}, **labelled(**{STRATEGY: "mixed", "node-role.kubernetes.io/mig-enabled": "F"}))
            ),
        ),
        "slices and fewer GPUs": (changed(), facts(node(gpus=0, gpu_capacity=0, resources={MIG: 2}))),
        "slices and no GPU": (changed(), facts(node(gpus=None, gpu_capacity=None, resources={MIG: 2}))),
        "none, of an operator of ours": (
            platform(gpu={"stack": "gpuOperator", "runtimeClass": {"owner": "cluster"}}),
            facts(
                node(gpus=0, gpu_capacity=0, plugins=(), ours=frozenset({"nvidia.com/gpu.present"})),
                device_plugins=[],
                gpu_operators=[ObjectFacts(name="gpu-operator/x", ours=True)],
            ),
        ),
        "a node that is as small as the headroom": (
            without(gpusPerNode=0),
            facts(node(gpus=None, gpu_capacity=None, cpu=Decimal(4), memory=Decimal(8 * GIB))),
        ),
        "a pool beside the team's": (
            changed(
                {"scheduler": {"mode": "virtual", "version": "v0.9.3"}}, {"b": {"nodes": ["gpu-1"], "gpusPerNode": 8}}
            ),
            facts(node(), node(name="gpu-1", resources={MIG: 0}, **labelled(**{STRATEGY: "mixed"}))),
        ),
        "limits by a library": (
            changed({"scheduler": {**ENFORCED, "version": "v0.16.8"}, "isolation": "privileged"}),
            facts(),
        ),
        "four pods of others": (changed(), facts(node(used_gpus={f"x/p{number}": 1 for number in range(4)}))),
        "three pods of others": (changed(), facts(node(used_gpus={f"x/p{number}": 1 for number in range(3)}))),
        "others' pods beside no KAI": (platform(kai=None), facts(node(used_gpus={"x/p": 1}))),
        "a driver that is too old": (
            changed({"scheduler": ENFORCED}, gpu=THEIRS),
            facts(
                node(**labelled(**{"nvidia.com/cuda.driver-version.major": "580"})),
                gpu_operators=[OPERATOR],
                device_plugins=[BY_OPERATOR],
            ),
        ),
        "a driver for a team without fractions": (
            changed(),
            facts(node(**labelled(**{"nvidia.com/cuda.driver-version.major": "1"}))),
        ),
        "fractions of the host's KAI": (
            changed({"scheduler": {"mode": "host", "gpuSharing": True}}, host=HOST_KAI),
            facts(node(resources={MIG: 0}, **labelled(**{STRATEGY: "single"}))),
        ),
        "a team of its own KAI beside the host's": (
            changed(host=HOST_KAI),
            facts(node(resources={MIG: 0}, **labelled(**{STRATEGY: "mixed"}))),
        ),
        "a team without GPUs on the pool": (
            changed(
                {
                    "resources": {"gpus": 0},
                    "queues": {"work": {"gpu": 0}},
                    "scheduler": {"mode": "virtual", "version": "v0.9.3"},
                }
            ),
            facts(node(resources={MIG: 0}, **labelled(**{STRATEGY: "mixed"}))),
        ),
        # labels
        "memory to the MiB": (without(gpuMemoryMib=81559), facts(node(**labelled(**{MEMORY: "81559"})))),
        "more memory": (without(gpuMemoryMib=81559), facts(node(**labelled(**{MEMORY: "81920"})))),
        "less memory of theirs": (
            platform({"gpuMemoryMib": 81559}, THEIRS),
            facts(node(**labelled(**{MEMORY: "81000"})), gpu_operators=[OPERATOR]),
        ),
        "more memory of theirs": (
            platform({"gpuMemoryMib": 81559}, THEIRS),
            facts(node(**labelled(**{MEMORY: "81920"})), gpu_operators=[OPERATOR]),
        ),
        "memory in GiB": (
            platform({"gpuMemoryMib": 81920}, THEIRS),
            facts(node(**labelled(**{MEMORY: "80"})), gpu_operators=[OPERATOR]),
        ),
        "memory in bytes": (
            platform({"gpuMemoryMib": 81559}, THEIRS),
            facts(node(**labelled(**{MEMORY: str(81000 * 2**20)})), gpu_operators=[OPERATOR]),
        ),
        "more memory in bytes": (
            platform({"gpuMemoryMib": 81559}, THEIRS),
            facts(node(**labelled(**{MEMORY: str(81920 * 2**20)})), gpu_operators=[OPERATOR]),
        ),
        "bytes of another GPU": (
            platform({"gpuMemoryMib": 81559}, THEIRS),
            facts(node(**labelled(**{MEMORY: str(40000 * 2**20)})), gpu_operators=[OPERATOR]),
        ),
        "memory of another GPU": (without(gpuMemoryMib=81559), facts(node(**labelled(**{MEMORY: "40000"})))),
        "memory that just is another GPU's": (
            without(gpuMemoryMib=100000),
            facts(node(**labelled(**{MEMORY: "84999"}))),
        ),
        "memory that just is this GPU's": (without(gpuMemoryMib=100000), facts(node(**labelled(**{MEMORY: "85000"})))),
        "memory from a TiB on": (without(gpuMemoryMib=2**20), facts(node(**labelled(**{MEMORY: str(2**20)})))),
        "memory that is no number": (without(gpuMemoryMib=81559), facts(node(**labelled(**{MEMORY: "much"})))),
        "memory of a slice": (without(**CUT), facts(node(gpus=56, gpu_capacity=56, **labelled(**{MEMORY: "9856"})))),
        "a product's own name": (without(product="NVIDIA-H100"), facts(node(**labelled(**{PRODUCT: "NVIDIA-H100"})))),
        "a product as the file has it": (
            without(product="NVIDIA-H100"),
            facts(node(**labelled(**{PRODUCT: "NVIDIA-H100"}))),
        ),
        "a product beside their operator": (
            platform({"product": "NVIDIA-H100"}, THEIRS),
            facts(node(**labelled(**{PRODUCT: "NVIDIA-H100"})), gpu_operators=[OPERATOR]),
        ),
        "a longer product beside their operator": (
            platform({"product": "NVIDIA-H100"}, THEIRS),
            facts(node(**labelled(**{PRODUCT: "NVIDIA-H100-NVL"})), gpu_operators=[OPERATOR]),
        ),
        "an entry of the plugin's that is of nobody": (
            changed(pools={"b": {"nodes": ["gpu-1"], "gpusPerNode": 8, **SHARED}}),
            facts(node(**labelled(**{CONFIG: "mine"})), node(name="gpu-1", gpus=16, gpu_capacity=16)),
        ),
        "a node that NVIDIA's CPU brings": (
            without(**{**SELECTED, "nodeCount": 1}),
            facts(node(gpus=None, labels={"x": "y", **BY_NVIDIA}), device_plugins=[]),
        ),
        "a node that nobody brings": (
            without(**{**SELECTED, "nodeCount": 1}),
            facts(node(gpus=None, labels={"x": "y"}), device_plugins=[]),
        ),
        "no entry for a node, and no files": (without(**SHARED), facts(node(), plugin_configs={})),
        "no entry for a node": (without(**SHARED), facts(node(**labelled(**{CONFIG: "b"})), plugin_configs={"a": "x"})),
        "an entry that shares nothing": (without(**SHARED), facts(node(), plugin_configs={"default": "version: v1\n"})),
    }


def test_what_preflight_says_of_nodes_is_as_recorded() -> None:
    """Written anew with RECORD=1 in the environment."""
    as_recorded(cases(), FILE)


@pytest.mark.parametrize(
    ("labels", "way", "replicas"),
    [
        ({"nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "time-slicing"}, "timeSlicing", 4),
        ({"nvidia.com/gpu.replicas": "2", "nvidia.com/gpu.sharing-strategy": "mps"}, "mps", 2),
        ({"nvidia.com/mps.capable": "true"}, "mps", None),
        ({"nvidia.com/mps.capable": "true", "nvidia.com/gpu.sharing-strategy": "time-slicing"}, "timeSlicing", None),
        ({"nvidia.com/gpu.replicas": "many"}, "timeSlicing", None),
    ],
)
def test_labels_say_how_and_how_often_gpus_are_shared(labels: dict[str, str], way: str, replicas: int | None) -> None:
    found = discovered(labels)
    assert (found.way, found.replicas) == (way, replicas)


@pytest.mark.parametrize(
    ("files", "times"),
    [({}, 1), ({"default": "version: v1\n"}, 1), ({"a": ""}, None), ({"default": sharing_config(TWICE)}, 2)],
)
def test_the_plugins_own_files_say_how_often_it_shows_a_gpu(files: dict[str, str], times: int | None) -> None:
    assert replicas_now({}, files) == times
