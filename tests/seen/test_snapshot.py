"""The snapshot out of what clusters said: who holds what, whatever is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seen.model import GpuState, Holder
from seen.read import Look, Said
from seen.snapshot import LONGEST_SAID, MOST_UNITS, snapshot
from seen.why import why
from settings.models import Team as Wanted
from tests.seen.world import NOW, World, platform, recorded


def pod(name: str, *, team_space: str = "", **more: Any) -> dict[str, Any]:
    """A running pod on gpu-0."""
    metadata = {"name": name, "namespace": team_space or "default", **more.pop("metadata", {})}
    gpus = more.pop("gpus", 0)
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "gpu-0", "containers": [{"resources": {"limits": limits}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        **more,
    }


def test_everything_of_a_real_cluster_is_found() -> None:
    look, at = recorded("reclaimed")
    seen = snapshot(look, platform("virtual"), stack="dev", at=at)
    ml = seen.team("ml")
    assert ml is not None
    assert (ml.kubernetes, ml.vcluster, ml.kai_version, ml.api) == ("v1.34.4", "0.36.1", "v0.16.8", "up")
    assert ml.quota["requests.nvidia.com/gpu"] == (2.0, 2.0)
    assert [p.name for p in ml.pods if not p.ours] == ["build", "first", "half", "notebook-gvh86", "third"]
    assert [p.host_name for p in ml.pods if p.name == "first"] == ["first-x-default-x-ml"]
    assert seen.gaps == ()
    (node,) = seen.nodes
    held = [unit.holders for unit in node.units]
    first = Holder(team="ml", namespace="default", pod="first", share=1.0)
    assert held == [(first,), (Holder(team="ml", namespace="default", pod="notebook-gvh86", share=1.0),), (), ()]


def test_a_gpu_that_is_not_given_away_is_unhealthy() -> None:
    world = World()
    world.plant({"change": {"host": {"nodes": {"gpu-0": {"status": {"allocatable": {"nvidia.com/gpu": "3"}}}}}}})
    _, seen = world.seen()
    states = [unit.state for unit in seen.nodes[0].units]
    assert states == [GpuState.FREE] * 3 + [GpuState.UNHEALTHY]


def test_more_pods_than_gpus_are_all_shown() -> None:
    world = World()
    world.plant({"add": {"host": {"pods": [pod("mine", team_space="jobs", gpus=5)]}}})
    _, seen = world.seen()
    assert [unit.state for unit in seen.nodes[0].units] == [GpuState.USED] * 5
    assert [one.name for one in seen.pods] == ["mine"]


def test_a_pod_that_is_over_holds_nothing() -> None:
    world = World()
    ended = pod("done", team_space="jobs", gpus=2)
    ended["status"]["phase"] = "Succeeded"
    world.plant({"add": {"host": {"pods": [ended]}}})
    _, seen = world.seen()
    assert [unit.state for unit in seen.nodes[0].units] == [GpuState.FREE] * 4


def test_a_pod_that_asks_for_memory_has_its_share_of_the_node_s_gpu() -> None:
    world = World()
    # of 81920 MiB KAI counts 81900
    metadata = {"annotations": {"gpu-memory": "20475"}, "labels": {"runai-gpu-group": "g1"}}
    world.plant({"add": {"ml": {"pods": [pod("nb", metadata=metadata)]}}})
    _, seen = world.seen()
    (unit, *_) = seen.nodes[0].units
    assert (unit.group, unit.taken) == ("g1", 0.25)


def test_a_memory_label_in_bytes_is_read_as_kai_reads_it() -> None:
    world = World()
    label = {"metadata": {"labels": {"nvidia.com/gpu.memory": str(81920 * 1024**2)}}}
    metadata = {"annotations": {"gpu-memory": "20475"}, "labels": {"runai-gpu-group": "g1"}}
    world.plant(
        {"change": {"host": {"nodes": {"gpu-0": label}}}, "add": {"ml": {"pods": [pod("nb", metadata=metadata)]}}}
    )
    _, seen = world.seen()
    assert seen.nodes[0].memory_mib == 81920
    assert seen.nodes[0].units[0].taken == 0.25


@pytest.mark.parametrize("amount", ["1e400", "9" * 400, "1e15", "-1e400"])
def test_a_number_that_no_node_has_ends_nothing(amount: str) -> None:
    world = World()
    notes = {"gpu-memory": amount, "gpu-fraction-num-devices": amount, "gpu-fraction": amount}
    huge = [pod("huge", gpus=amount), pod("parts", metadata={"annotations": notes, "labels": {"runai-gpu-group": "g"}})]
    world.plant({"add": {"ml": {"pods": huge}}})
    _, seen = world.seen()
    assert len(seen.nodes[0].units) <= MOST_UNITS + 4
    assert seen.team("research") is not None
    assert json.dumps([vars(unit) for node in seen.nodes for unit in node.units], default=vars, allow_nan=False)


def test_a_report_of_any_depth_is_none() -> None:
    world = World()
    report = {"metadata": {"name": "r"}, "data": {"report.json": "[" * 100_000, "verdict": "fail"}}
    world.plant({"add": {"ml": {"check": [report]}}})
    _, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    assert team.check is not None
    assert (team.check.verdict, team.check.sentence) == ("fail", "")


def test_an_event_of_any_length_is_cut() -> None:
    world = World()
    world.plant({"add": {"ml": {"warnings": [{"metadata": {"name": "e"}, "message": ", used: " * 100_000}]}}})
    _, seen = world.seen()
    assert len(next(event for event in seen.events if event.message.startswith(", used")).message) == LONGEST_SAID


def test_a_pod_of_several_devices_is_on_each_of_them() -> None:
    world = World()
    metadata = {
        "annotations": {"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"},
        "labels": {"runai-gpu-group/a": "a", "runai-gpu-group/b": "b", "kai.scheduler/queue": "notebooks"},
    }
    world.plant({"add": {"ml": {"pods": [pod("two", metadata=metadata)]}}})
    _, seen = world.seen()
    assert [(unit.group, unit.taken) for unit in seen.nodes[0].units][:2] == [("a", 0.5), ("b", 0.5)]
    team = seen.team("ml")
    assert team is not None
    assert {queue.name: queue.used for queue in team.queues} == {"ml": 1.0, "training": 0.0, "notebooks": 1.0}


def test_what_a_queue_uses_beyond_its_quota_is_borrowed() -> None:
    world = World()
    world.plant({"add": {"ml": {"pods": [pod("a", gpus=3, metadata={"labels": {"kai.scheduler/queue": "training"}})]}}})
    _, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    assert {queue.name: queue.borrowed for queue in team.queues} == {"ml": 0.0, "training": 1.0, "notebooks": 0.0}


def test_the_pods_of_a_team_whose_api_is_down_are_seen_on_the_host_by_their_own_names() -> None:
    world = World()
    world.api["research"] = "down: refused"
    _, seen = world.seen()
    team = seen.team("research")
    assert team is not None
    assert [(p.namespace, p.name, p.queue, p.ours) for p in team.pods] == [("default", "busy", "work", False)]


def test_a_cluster_that_nobody_can_reach_is_one_gap_each_and_no_error() -> None:
    look = Look(host=Said(api="down: refused"), teams={"ml": Said(), "research": Said()})
    seen = snapshot(look, platform("world"), stack="dev", at=NOW)
    assert [gap.what for gap in seen.gaps] == ["host: everything", "team ml: everything", "team research: everything"]
    assert [team.api for team in seen.teams] == ["not asked", "not asked"]
    assert [pool.nodes for pool in seen.pools] == [()]


def test_a_team_that_was_never_made_says_so() -> None:
    world = World()
    world.plant({"drop": {"host": {"namespaces": ["team-ml"]}}})
    look = Look(host=world.look().host, teams={"ml": Said(), "research": world.look().teams["research"]})
    seen = snapshot(look, platform("world"), stack="dev", at=NOW)
    assert {team.name: team.api for team in seen.teams} == {"ml": "not made", "research": "up"}


def test_rubbish_in_an_object_is_nothing_and_no_error() -> None:
    world = World()
    rubbish: list[Any] = [
        {},
        {"metadata": {"name": 7, "labels": [], "annotations": {"gpu-fraction": "half", "gpu-memory": "x"}}},
        {"metadata": None, "spec": {"containers": [None, {"resources": {"limits": {"nvidia.com/gpu": "many"}}}]}},
        {"status": {"phase": None, "conditions": {"type": "Ready"}, "startTime": "yesterday"}},
    ]
    for kind in ("pods", "queues", "warnings", "podgroups", "jobs", "nodes", "kai"):
        world.plant({"add": {"ml": {kind: rubbish}, "host": {kind: rubbish}}})
    world.plant({"add": {"ml": {"check": [{"data": {"report.json": "no JSON"}}]}}})
    _, seen = world.seen()
    assert len(seen.teams) == 2


def test_a_team_without_a_pool_is_placed_on_any_node_whatever_its_cluster_lists() -> None:
    known = platform("world")
    dev = known.model_copy(update={"teams": {**known.teams, "dev": Wanted()}})
    stand_in = {"metadata": {"name": "gpu-1"}}
    look = World().look()
    look = Look(host=look.host, teams={**look.teams, "dev": Said(api="up", objects={"nodes": (stand_in,)})})
    seen = snapshot(look, dev, stack="dev", at=NOW)
    team = seen.team("dev")
    assert team is not None
    assert (team.mode, team.nodes) == ("default", ("gpu-0", "gpu-1"))


def test_a_pod_that_the_host_s_own_scheduler_can_t_place_is_told_why_by_the_host() -> None:
    known = platform("world")
    dev = known.model_copy(update={"teams": {**known.teams, "dev": Wanted()}})
    pod = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{}]},
        "status": {"phase": "Pending"},
    }
    said = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
    }
    away = {"vcluster.loft.sh/object-name": "web", "vcluster.loft.sh/object-namespace": "default"}
    on_host = {
        "metadata": {"name": "web-x-default-x-dev", "namespace": "team-dev", "annotations": away},
        "spec": {"schedulerName": "default-scheduler", "containers": [{}]},
        "status": {"phase": "Pending", "conditions": [said]},
    }
    world = World()
    space = {"metadata": {"name": "team-dev", "labels": {"gpu-tenancy/team": "dev"}}}
    world.plant({"add": {"host": {"pods": [on_host], "namespaces": [space]}}})
    look = world.look()
    look = Look(host=look.host, teams={**look.teams, "dev": Said(api="up", objects={"pods": (pod,)})})
    seen = snapshot(look, dev, stack="dev", at=NOW)
    team = seen.team("dev")
    assert team is not None
    (answer,) = why(look, seen, team, "web")
    assert answer.id == "anti-affinity"
