"""Rules at their edges: the value that just breaks one, beside the nearest that does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings.build import mistakes, mistakes_of, raw

SHARED = {"mode": "virtual", "version": "v0.9.3", "gpuSharing": True}


def only(changes: dict[str, Any], said: str) -> None:
    """One mistake, and this."""
    (found,) = mistakes(changes)
    assert said in found


def test_a_selector_of_just_the_labels_that_another_pools_nodes_get_finds_these_nodes() -> None:
    tree = raw({"pools.gpu.product": "NVIDIA-L4"})
    whole = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": "4",
        "nvidia.com/gpu.memory": "24576",
        "nvidia.com/gpu.product": "NVIDIA-L4",
    }
    for selector, finds in (
        (whole, True),
        (dict(list(whole.items())[:2]), True),
        ({**whole, "zone": "a"}, False),
        ({**whole, "nvidia.com/gpu.count": "8"}, False),
    ):
        tree["pools"]["more"] = {"selector": selector, "nodeCount": 1, "gpusPerNode": 4, "gpuMemoryMib": 24576}
        told = [line for line in mistakes_of(tree) if "must not find another pool's nodes" in line]
        assert bool(told) is finds, selector


@pytest.mark.parametrize("way", [{"timeSlicing": {"replicas": 2}}, {"mps": {"replicas": 2}}])
def test_kai_shares_no_gpu_that_the_device_plugin_shares(way: dict[str, Any]) -> None:
    told = mistakes({"pools.gpu.sharing": way, "teams.ml.scheduler": SHARED})
    assert any("teams.ml.scheduler.gpuSharing: can't go with replicas" in line for line in told)


def test_the_host_name_is_the_last_level_of_a_topology() -> None:
    version = {"teams.ml.scheduler.version": "v0.16.8", "teams.research.scheduler.version": "v0.16.8"}
    for levels, fits in (
        (["rack", "kubernetes.io/hostname"], True),
        (["kubernetes.io/hostname"], True),
        (["kubernetes.io/hostname", "rack"], False),
        (["row", "kubernetes.io/hostname", "rack"], False),
    ):
        assert (mistakes({**version, "pools.gpu.topology": levels}) == []) is fits, levels


def test_a_store_that_the_vcluster_lacks_is_told_once_and_at_the_team() -> None:
    only({"teams.ml.vcluster": {"backingStore": "postgres"}}, "teams.ml.vcluster.backingStore: ")


def test_a_team_with_a_canary_leaves_room_for_its_name() -> None:
    def named(length: int, **scheduler: object) -> list[str]:
        tree = raw({"teams.research": None})
        team = tree["teams"].pop("ml")
        tree["teams"]["t" * length] = team
        team["scheduler"].update(scheduler)
        if "canary" in scheduler:
            team["resources"] = {"gpus": {"quota": 2, "limit": 3}}
        return [line for line in mistakes_of(tree) if "a team's name has at most" in line]

    canary = {"version": "v0.14.7", "gpus": 1}
    assert named(31) == []
    assert named(24, canary=canary) == []
    assert "at most 24 characters" in named(25, canary=canary)[0]
    assert "at most 31 characters" in named(32)[0]


def test_a_queue_on_the_host_has_its_teams_name_in_its_length() -> None:
    def leaf(length: int) -> list[str]:
        host = {"host.scheduler": {"version": "v0.16.8"}, "teams.ml.scheduler": {"mode": "host"}}
        return mistakes({**host, "teams.ml.queues": {"q" * length: {"gpu": 2}}})

    assert leaf(60) == []  # ml- and 60 are 63
    assert "63 characters, pods carry it as a label" in leaf(61)[0]


def test_a_team_without_a_pool_has_no_gpus_not_even_a_limit() -> None:
    none = {"teams.dev.resources": {"cpu": 2, "gpus": {"quota": 0, "limit": 2}}}
    only(none, "teams.dev.resources.gpus: needs a pool, got quota 0, limit 2 and no pool")


def test_a_node_port_needs_an_address_and_a_balancer_a_name_a_canarys_too() -> None:
    told = mistakes({"host.address": None})
    assert [line.partition(":")[0] for line in told] == [f"teams.{t}.access.expose" for t in ("ml", "research", "dev")]
    canary = {"version": "v0.14.7", "gpus": 1}
    balanced = {
        "teams.ml.access": {"expose": "loadBalancer", "hostNames": ["ml.example.com"]},
        "teams.ml.scheduler.canary": canary,
        "teams.ml.resources": {"gpus": {"quota": 1, "limit": 2}},
        "teams.ml.queues": {"training": {"gpu": 1}},
    }
    only(balanced, "teams.ml.scheduler.canary.hostNames: loadBalancer needs the name")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"check": {"pair": [0.6, 0.5]}}, "check.pair: both shares of a pair are of one GPU"),
        ({"check": {"pair": [0.5, 0.5]}}, None),
        # KAI counts whole hundreds of 24576
        ({"check": {"gpuMemoryMib": 24501}}, "check.gpuMemoryMib: must be at most one GPU's 24500 MiB"),
        ({"check": {"gpuMemoryMib": 24500}}, None),
        ({"check": {"gpus": 3}}, "check.gpus: must be at most the team's limit 2"),
        ({"check": {"gpus": 2}}, None),
        ({"check": {"gpus": 2, "queue": "notebooks"}}, "check.gpus: must be at most the limit of queue notebooks 1"),
    ],
)
def test_a_check_asks_for_no_more_than_it_can_get(changes: dict[str, Any], said: str | None) -> None:
    told = mistakes({"teams.ml.scheduler": SHARED, "teams.ml.check": changes["check"]})
    assert (told == []) is (said is None), told
    assert said is None or said in told[0]


def test_a_check_runs_on_one_node_however_many_its_team_has() -> None:
    two = {"pools.gpu.nodes": ["gpu-0", "gpu-1"], "teams.research": None, "teams.ml.resources": {"gpus": 8}}
    queues = {"teams.ml.queues": {"training": {"gpu": 8}}}
    assert mistakes({**two, **queues, "teams.ml.check": {"gpus": 4}}) == []
    only({**two, **queues, "teams.ml.check": {"gpus": 5}}, "check.gpus: must be at most the 4 GPUs of one node")


def test_a_paused_teams_numbers_are_judged_as_if_it_were_not() -> None:
    told = mistakes({"teams.ml.state": "paused", "teams.ml.resources": {"gpus": 9}})
    assert any(line.startswith("teams.ml.resources.gpus.") for line in told)


def test_leaves_share_the_teams_quota_and_not_its_limit() -> None:
    def leaves(one: int, other: int) -> list[str]:
        return mistakes(
            {
                "teams.ml.resources": {"gpus": {"quota": 1, "limit": 2}},
                "teams.ml.queues": {
                    "a": {"gpu": {"quota": one, "limit": 2}},
                    "b": {"gpu": {"quota": other, "limit": 2}},
                },
            }
        )

    assert leaves(1, 0) == []
    assert any(line.startswith("teams.ml.queues: ") for line in leaves(1, 1))


def test_a_runtime_class_is_made_once() -> None:
    k3s = {"host.provider": "k3s"}
    assert mistakes({**k3s, "gpu.runtimeClass": {"name": "nvidia", "owner": "cluster"}}) == []
    assert mistakes({**k3s, "gpu.runtimeClass": {"name": "mine", "owner": "ours"}}) == []
    only({**k3s, "gpu.runtimeClass": {"name": "nvidia", "owner": "ours"}}, "k3s brings the RuntimeClass nvidia itself")


def test_a_monitors_labels_need_a_monitor() -> None:
    assert mistakes({"gpu.metrics": {"serviceMonitor": True, "labels": {"a": "b"}}}) == []
    only({"gpu.metrics": {"labels": {"a": "b"}}}, "gpu.metrics.labels: are labels of the ServiceMonitor")
