"""No node is in two pools, whatever names it: what the file alone can't keep apart is refused."""

from __future__ import annotations

from typing import Any, Final

import pytest

from settings.infrastructure import Pool
from settings.labels import default_entry, gpu_labels, sharing_labels
from settings.sharing import Mig
from tests.settings.build import mistakes, mistakes_of, raw

MEMORY, CONFIG = "nvidia.com/gpu.memory", "nvidia.com/device-plugin.config"
KAI = {"mode": "virtual", "version": "v0.9.3"}


def two_pools(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two virtual teams of 8, one on each of two pools with 8 GPUs."""
    tree = raw()
    tree["pools"] = {
        "a": {**first, "gpusPerNode": 8, "podsPerNode": 250},
        "b": {**second, "gpusPerNode": 8, "podsPerNode": 250},
    }
    tree["teams"] = {
        team: {"pool": pool, "scheduler": KAI, "resources": {"gpus": 8}, "queues": {"w": {"gpu": 8}}}
        for team, pool in (("ml", "a"), ("research", "b"))
    }
    return tree


@pytest.mark.parametrize("key", ["kubernetes.io/hostname", "k3s.io/hostname", "hostname"])
def test_a_node_is_named_and_not_selected_by_its_name(key: str) -> None:
    told = mistakes_of(two_pools({"nodes": ["n1"]}, {"selector": {key: "n1"}, "nodeCount": 1}))
    assert told == [
        "pools.b.selector: must not select a node by its name, which another pool may have in its nodes, "
        f"got {key}: 'n1'; write nodes: [n1] instead of selector and nodeCount"
    ]
    assert mistakes_of(two_pools({"nodes": ["n1"]}, {"nodes": ["n2"]})) == []


@pytest.mark.parametrize("key", ["gpu-tenancy/pool", "gpu-tenancy/team-ml", "gpu-tenancy/anything"])
def test_our_own_labels_select_nothing(key: str) -> None:
    told = mistakes_of(two_pools({"nodes": ["n1"]}, {"selector": {key: "a"}, "nodeCount": 1}))
    assert told == [
        "pools.b.selector: must not select by labels of this program (gpu-tenancy/...), other pools' nodes get them, "
        f"got '{key}'; select by a label that the nodes have already"
    ]


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ({"kind": "a"}, {"kind": "a"}, "equals"),
        ({"kind": "a"}, {"kind": "a", "zone": "b"}, "overlaps"),
        ({"kind": "a", "zone": "b"}, {"kind": "a"}, "overlaps"),
        ({"kind": "a", "x": "1"}, {"kind": "a", "y": "2"}, "overlaps"),
        ({"kind": "a"}, {"zone": "b"}, "has no label in common with"),
    ],
)
def test_two_selectors_that_one_node_can_match_are_refused(
    first: dict[str, str], second: dict[str, str], how: str
) -> None:
    told = mistakes_of(two_pools({"selector": first, "nodeCount": 1}, {"selector": second, "nodeCount": 1}))
    assert told == [
        f"pools.b.selector: must not find another pool's nodes, got a selector that {how} that of pool a, so a node "
        "can match both; give them the same label with different values, or name the nodes"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [({"kind": "a"}, {"kind": "b"}), ({"kind": "a", "x": "1"}, {"kind": "b", "y": "2"}), ({"k": "a"}, {"k": ""})],
)
def test_two_values_of_one_label_keep_pools_apart(first: dict[str, str], second: dict[str, str]) -> None:
    assert mistakes_of(two_pools({"selector": first, "nodeCount": 1}, {"selector": second, "nodeCount": 1})) == []


@pytest.mark.parametrize(
    "selector",
    [
        {"nvidia.com/gpu.present": "true"},
        {"nvidia.com/gpu.count": "8"},
        {"nvidia.com/gpu.product": "NVIDIA-H200"},
        {"nvidia.com/gpu.product": "NVIDIA-H200", "nvidia.com/gpu.memory": "143771"},
    ],
    ids=str,
)
def test_a_selector_for_what_named_gpu_nodes_are_labelled_with_is_refused(selector: dict[str, str]) -> None:
    named = {"nodes": ["n1"], "product": "NVIDIA-H200", "gpuMemoryMib": 143771}
    told = mistakes_of(two_pools(named, {"selector": selector, "nodeCount": 1}))
    assert [line.partition(", got ")[0] for line in told] == ["pools.b.selector: must not find another pool's nodes"]
    assert f"labels that the nodes of pool a get as GPU nodes ({', '.join(sorted(selector))})" in told[0]


@pytest.mark.parametrize(
    "selector",
    [{"nvidia.com/gpu.product": "NVIDIA-L40S"}, {"node.kubernetes.io/instance-type": "g6.xlarge"}],
    ids=str,
)
def test_a_selector_that_only_the_cluster_can_judge_is_left_to_the_preflight(selector: dict[str, str]) -> None:
    named = {"nodes": ["n1"], "product": "NVIDIA-H200"}
    assert mistakes_of(two_pools(named, {"selector": selector, "nodeCount": 1})) == []


@pytest.mark.parametrize(
    ("profile", "least", "seen"),
    # what `nvidia-smi mig -lgip` and `nvidia-smi` say, in MiB
    [
        ("1g.5gb", 4864, 4864),
        ("1g.6gb+me", 5836, 5952),
        ("1g.10gb", 9728, 9728),
        ("2g.20gb", 19456, 19968),
        ("7g.80gb", 77824, 80640),
        ("1g.12gb", 10922, 11008),
        ("1g.24gb", 21845, 22144),
        ("3g.47gb", 45721, 47488),
        ("1g.18gb", 16384, 16384),
        ("2g.35gb", 31857, 33280),
        ("7g.141gb", 137164, 143360),
        ("1g.24gb+gfx", 21845, 24192),
    ],
)
def test_a_slice_has_at_least_the_memory_that_is_reckoned_with(profile: str, least: int, seen: int) -> None:
    assert Mig(profile=profile, slices=1).memory_mib == least <= seen


@pytest.mark.parametrize(("profile", "least"), [("1g.20gb", 19456), ("2g.10gb", 9728), ("2g.12gb", 11673)])
def test_the_names_of_slices_of_up_to_80_gb_round_up_by_a_twentieth(profile: str, least: int) -> None:
    assert Mig(profile=profile, slices=1).memory_mib == least


def test_a_node_named_twice_is_one_node_in_every_sum() -> None:
    assert mistakes({"pools.gpu.nodes": ["gpu-0", "gpu-0"]}) == [
        "pools.gpu.nodes: must name each node once, got 'gpu-0' twice; remove one"
    ]


@pytest.mark.parametrize(
    ("sharing", "each", "unit", "counted", "memory", "labelled"),
    [
        ({}, 1, "GPU", 2, 24576, {MEMORY}),
        ({"timeSlicing": {"replicas": 4}}, 4, "replica", 2, 24576, {MEMORY, CONFIG}),
        ({"mps": {"replicas": 3}}, 3, "replica", 2, 24576, {MEMORY, CONFIG, "nvidia.com/mps.capable"}),
        ({"mig": {"profile": "1g.10gb", "slices": 7}}, 7, "slice", 14, 9728, {CONFIG}),
    ],
    ids=lambda said: next(iter(said), "whole") if isinstance(said, dict) else "",
)
def test_a_way_of_sharing_says_what_a_node_advertises_counts_and_is_labelled_with(
    sharing: dict[str, Any], each: int, unit: str, counted: int, memory: int, labelled: set[str]
) -> None:
    pool = Pool.model_validate({"nodes": ["n"], "gpusPerNode": 2, "gpuMemoryMib": 24576, "sharing": sharing})
    assert (pool.replicas, pool.unit, pool.gpus_counted_per_node, pool.device_memory_mib) == (
        each,
        unit,
        counted,
        memory,
    )
    labels = gpu_labels(pool) | sharing_labels("a", pool, "default")
    assert labels.keys() - {"nvidia.com/gpu.present", "nvidia.com/gpu.count"} == labelled
    assert labels["nvidia.com/gpu.count"] == str(counted)


WHOLE: Final = {"nodes": ["whole"], "gpusPerNode": 1}
FOUND: Final = {"selector": {"a": "b"}, "nodeCount": 1, "gpusPerNode": 1}
SLICED: Final = {**FOUND, "sharing": {"timeSlicing": {"replicas": 2}}}
CLIENTS: Final = {"nodes": ["n"], "gpusPerNode": 1, "sharing": {"mps": {"replicas": 4}}}


@pytest.mark.parametrize(
    ("pools", "entry"),
    [
        ({"a": CLIENTS}, "a"),
        ({"x": SLICED, "a": CLIENTS, "b": CLIENTS}, "a"),
        ({"x": WHOLE, "a": CLIENTS}, "a"),
        ({"x": {"nodes": ["c"], "gpusPerNode": 0}, "a": CLIENTS}, "a"),
        # its nodes share nothing, and we write no label there
        ({"x": FOUND, "a": CLIENTS}, "default"),
        ({"x": SLICED}, "default"),
        ({"x": WHOLE}, "default"),
    ],
)
def test_nodes_have_the_entry_of_mps_until_they_are_told_where_no_other_nodes_need_another(
    pools: dict[str, dict[str, Any]], entry: str
) -> None:
    found = {name: Pool.model_validate(pool) for name, pool in pools.items()}
    assert default_entry(found) == entry
    for name, pool in found.items():
        config = sharing_labels(name, pool, entry).get("nvidia.com/device-plugin.config")
        own = "default" if pools[name] is WHOLE and entry != "default" else None
        assert config == (name if pool.sharing.given else own)
