"""Whether a pod that is not there would be placed now: by the same search as one that waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from names import CHECK_QUEUE
from seen.model import Gap, Queue
from seen.snapshot import snapshot
from seen.why import Request, Would, for_team, leaves_of, would
from settings.infrastructure import Gpu
from settings.sharing import Sharing
from tests.seen.world import NOW, World, platform


def asked(request: Request, team: str = "ml", world: World | None = None) -> Would:
    look, seen = (world or World()).seen()
    known = seen.team(team)
    assert known is not None
    return would(look, seen, known, request)


def holding(gpus: int, queue: str, node: str = "gpu-0", name: str = "held", **notes: str) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    labels = {"kai.scheduler/queue": queue, **({"runai-gpu-group": notes["group"]} if "group" in notes else {})}
    annotations = {"gpu-fraction": notes["fraction"]} if "fraction" in notes else {}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels, "annotations": annotations},
        "spec": {"nodeName": node, "schedulerName": "kai-scheduler", "containers": [{"resources": {"limits": limits}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def with_pods(*pods: dict[str, Any]) -> World:
    world = World()
    world.plant({"add": {"ml": {"pods": list(pods)}}})
    return world


def kind(answer: Would) -> str:
    return answer.why.id if answer.why else "yes"


def test_a_pod_that_fits_is_told_its_queue_and_node() -> None:
    answer = asked(Request(gpus=2, queue="training"))
    assert (kind(answer), answer.queue, answer.node, answer.note) == ("yes", "training", "gpu-0", "")


def test_without_a_queue_it_is_the_first_that_lets_it_through() -> None:
    answer = asked(Request(gpus=3))
    assert (kind(answer), answer.queue) == ("yes", "training")


def test_the_queue_of_the_check_is_not_a_place_for_the_teams_pods() -> None:
    look, seen = World().seen()
    team = seen.team("ml")
    assert team is not None
    own = next(queue for queue in team.queues if queue.shown == "notebooks")
    beside = replace(team, queues=(replace(own, name="ml-gpu-check", shown=CHECK_QUEUE, on_host=True), *team.queues))
    assert leaves_of(beside) == ["notebooks", "training"]
    # one that the team's own KAI has is a queue like any other
    named = replace(team, queues=(replace(own, name=CHECK_QUEUE, shown=CHECK_QUEUE), *team.queues))
    assert leaves_of(named) == ["gpu-check", "notebooks", "training"]
    assert would(look, seen, beside, Request(gpus=1)).queue == "notebooks"


def test_a_pod_of_a_team_without_gpus_has_none_unless_it_asks() -> None:
    look, seen = World().seen()
    team = seen.team("ml")
    assert team is not None

    def none(queue: Queue) -> Queue:
        return replace(queue, quota=0.0, limit=0.0)

    bare = replace(
        team, quota=dict(team.quota) | {"requests.nvidia.com/gpu": (0.0, 0.0)}, queues=tuple(map(none, team.queues))
    )
    unsaid = Request(gpus=None)
    assert (for_team(bare, unsaid).gpus, for_team(team, unsaid).gpus) == (0, 1)
    assert for_team(replace(team, quota={}), unsaid).gpus == 1
    assert for_team(bare, Request(gpus=2)).gpus == 2
    assert kind(would(look, seen, bare, for_team(bare, unsaid))) == "yes"
    assert kind(would(look, seen, bare, Request(gpus=1))) == "beyond-limit"


@pytest.mark.parametrize(
    ("request_", "pods", "expected"),
    [
        (Request(gpus=3, queue="notebooks"), [], "beyond-limit"),
        (Request(gpus=1, queue="notebooks"), [holding(2, "notebooks")], "queue-limit"),
        (Request(gpus=2, queue="training"), [holding(2, "notebooks"), holding(2, "training", "gpu-1")], "team-limit"),
        (Request(gpus=4, queue="training"), [holding(1, "notebooks")], "no-gpu-free"),
        (Request(gpus=1, cpu="40"), [], "beyond-node"),
        (Request(gpus=1, cpu="9.9", queue="training"), [], "host-quota"),
        (Request(gpus=1, memory="20Gi", queue="training"), [], "host-quota"),
    ],
)
def test_what_is_in_the_way_is_named(request_: Request, pods: list[dict[str, Any]], expected: str) -> None:
    assert kind(asked(request_, world=with_pods(*pods))) == expected


def test_a_fraction_goes_onto_a_gpu_that_is_shared_already_and_costs_the_quota_nothing() -> None:
    shared = holding(0, "notebooks", fraction="0.5", group="g1")
    world = with_pods(shared)
    # the host's quota counts the whole GPU that the reservation pod holds
    world.plant(
        {"change": {"host": {"resourcequotas": {"tenant": {"status": {"used": {"requests.nvidia.com/gpu": "5"}}}}}}}
    )
    assert kind(asked(Request(fraction=0.5, queue="training"), world=world)) == "yes"
    assert kind(asked(Request(fraction=0.6, queue="training"), world=world)) == "host-quota"


def test_a_team_without_fractions_is_told_so() -> None:
    assert kind(asked(Request(fraction=0.5), team="research")) == "sharing-off"


@pytest.mark.parametrize(
    ("gpu", "sharing", "expected"),
    [
        ({"stack": "devicePlugin"}, {"timeSlicing": {"replicas": 2}}, "one-replica"),
        ({"stack": "gpuOperator"}, {"mps": {"replicas": 2}}, "one-replica"),
        ({"stack": "devicePlugin", "owner": "cluster"}, {"mps": {"replicas": 2}}, "one-replica"),
        # another's plugin may let several through; slices are GPUs of their own
        ({"stack": "devicePlugin", "owner": "cluster"}, {"timeSlicing": {"replicas": 2}}, "yes"),
        ({"stack": "devicePlugin"}, {"mig": {"profile": "3g.40gb", "slices": 2}}, "yes"),
    ],
)
def test_of_replicas_a_container_gets_one(gpu: dict[str, str], sharing: dict[str, Any], expected: str) -> None:
    known = platform("world")
    pool = known.pools["gpu"].model_copy(update={"sharing": Sharing.model_validate(sharing)})
    shared = known.model_copy(update={"gpu": Gpu.model_validate(gpu), "pools": {"gpu": pool}})
    look, _ = World().seen()
    seen = snapshot(look, shared, stack="dev", at=NOW)
    team = seen.team("ml")
    assert team is not None
    assert kind(would(look, seen, team, Request(gpus=2, queue="training"))) == expected
    assert kind(would(look, seen, team, Request(gpus=1, queue="training"))) == "yes"


def test_a_node_that_takes_nothing_is_the_reason() -> None:
    world = World()
    away = {"spec": {"unschedulable": True}}
    world.plant({"change": {"host": {"nodes": {"gpu-0": away, "gpu-1": away}}}})
    assert kind(asked(Request(gpus=1), world=world)) == "node-cordoned"


@pytest.mark.parametrize(
    ("sharing", "gpus", "said"),
    [
        ({}, 1, "0 of its 4 GPUs free"),
        ({"timeSlicing": {"replicas": 4}}, 1, "0 of its 4 replicas free"),
        ({"mig": {"profile": "1g.10gb", "slices": 4}}, 1, "0 of its 4 slices free"),
        ({"mig": {"profile": "1g.10gb", "slices": 4}}, 5, "it has 4 slices in all, 5 asked"),
    ],
)
def test_the_parts_of_a_shared_gpu_are_not_called_gpus(sharing: dict[str, Any], gpus: int, said: str) -> None:
    whole, world = platform("world"), with_pods(holding(4, "notebooks"))
    world.plant({"change": {"host": {"nodes": {"gpu-1": {"spec": {"unschedulable": True}}}}}})
    look = world.look()
    cut = whole.pools["gpu"].model_copy(update={"sharing": Sharing.model_validate(sharing)})
    seen = snapshot(look, whole.model_copy(update={"pools": {"gpu": cut}}), stack="dev", at=NOW)
    team = seen.team("ml")
    assert team is not None
    team = replace(team, queues=tuple(replace(one, limit=8.0, quota=8.0) for one in team.queues))
    answer = would(look, seen, team, Request(gpus=gpus, queue="training"))
    assert answer.why is not None
    assert said in answer.why.cause


def test_a_scheduler_that_is_down_is_the_reason() -> None:
    world = World()
    world.plant({"change": {"ml": {"kai": {"kai-scheduler-default": {"status": {"readyReplicas": 0}}}}}})
    assert kind(asked(Request(gpus=1), world=world)) == "kai-down"


def test_what_goes_over_the_quota_may_be_taken_back() -> None:
    answer = asked(Request(gpus=3, queue="training"))
    assert answer.note == "queue training would use 3 with a quota of 2: KAI may take back what is over it"


def test_a_queue_below_its_quota_gets_back_what_others_borrowed() -> None:
    world = with_pods(holding(4, "training"))
    world.plant({"change": {"host": {"nodes": {"gpu-1": {"spec": {"unschedulable": True}}}}}})
    answer = asked(Request(gpus=1, queue="notebooks"), world=world)
    assert kind(answer) == "no-gpu-free"
    expected = "KAI would take it back for queue notebooks, which is below its quota, from queue training"
    assert answer.note == f"{expected} (2 over its quota)"


def test_a_lab_has_the_numbers_and_no_kai() -> None:
    world = World()
    world.teams["ml"]["kai"] = []
    look, seen = world.seen()
    lab, team = replace(seen, simulated=True), seen.team("ml")
    assert team is not None
    fits = would(look, lab, team, Request(gpus=1, queue="training"))
    assert (kind(fits), fits.node) == ("yes", "gpu-0")
    assert fits.note.startswith("this is a lab: Kubernetes' own scheduler stands in for KAI")
    assert kind(would(look, lab, team, Request(gpus=3, queue="notebooks"))) == "beyond-limit"
    assert kind(would(look, seen, team, Request(gpus=1, queue="training"))) == "no-kai"


def test_where_no_node_can_be_read_nothing_is_promised() -> None:
    look, seen = World().seen()
    blind = replace(seen, pools=(), gaps=(Gap(what="host: nodes", why="may not be listed"),))
    team = blind.team("ml")
    assert team is not None
    answer = would(look, blind, team, Request())
    assert kind(answer) == "nodes-unread"
    assert answer.node == ""
