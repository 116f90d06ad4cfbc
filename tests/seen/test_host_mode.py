"""One KAI on the host: it speaks in the host's namespaces, under the host's names, and the team is told in its own."""

from __future__ import annotations

from seen.why import Request, lost, why, would
from tests.seen.world import World


def world() -> World:
    return World("host.yaml")


def test_a_pod_that_another_team_s_pods_keep_waiting_is_told_who_they_are() -> None:
    look, seen = world().seen("host")
    beta = seen.team("beta")
    assert beta is not None
    (answer,) = why(look, seen, beta, "eval")
    assert (answer.id, answer.cause) == (
        "no-gpu-free",
        "node gpu-0: 1 of its 4 GPUs free, 2 asked; held by team alpha (big)",
    )


def test_what_kai_took_is_told_to_the_team_that_lost_it_by_its_own_names() -> None:
    _, seen = world().seen("host")
    alpha, beta = seen.team("alpha"), seen.team("beta")
    assert alpha is not None
    assert beta is not None
    assert lost(seen, beta) == []
    told = {one.pod: one for one in lost(seen, alpha)}
    assert {pod: one.id for pod, one in told.items()} == {
        "gang-3": "gang-lost",
        "spread": "moved",
        "low": "preempted",
        "small-0": "reclaimed",
    }
    assert told["small-0"].cause == (
        "KAI took its GPUs back at 11:30:00 UTC for lab/train of queue beta-work of team beta: "
        "queue alpha-work used 4 GPUs with a quota of 2"
    )
    assert told["low"].cause.startswith("KAI took its GPUs at 11:40:00 UTC for default/urgent of team alpha,")
    assert all(one.namespace == "default" for one in told.values())


def test_a_pod_that_is_gone_is_explained_by_what_took_it() -> None:
    look, seen = world().seen("host")
    alpha = seen.team("alpha")
    assert alpha is not None
    (answer,) = why(look, seen, alpha, "default/small-0")
    assert answer.id == "reclaimed"


def test_the_host_s_scheduler_that_is_down_is_named_where_it_is() -> None:
    changed = world()
    changed.plant({"change": {"host": {"kai": {"kai-scheduler-default": {"spec": {"replicas": 0}, "status": None}}}}})
    look, seen = changed.seen("host")
    beta = seen.team("beta")
    assert beta is not None
    (answer,) = why(look, seen, beta, "eval")
    assert answer.cause == "KAI's kai-scheduler-default on the host is scaled to 0, so it is not placed"


def test_a_queue_is_asked_for_by_the_stack_file_s_name() -> None:
    look, seen = world().seen("host")
    beta = seen.team("beta")
    assert beta is not None
    assert [queue.shown for queue in beta.queues] == ["beta", "work"]
    fits = would(look, seen, beta, Request(gpus=1, queue="work"))
    assert (fits.why, fits.node, fits.queue) == (None, "gpu-0", "work")
    blocked = would(look, seen, beta, Request(gpus=2, queue="work")).why
    assert blocked is not None
    assert blocked.id == "no-gpu-free"


def test_a_pod_that_kept_the_group_of_an_earlier_one_waits_for_it_on_the_host_even_with_an_owner_inside() -> None:
    """Its owner is in the team's cluster. On the host a team's pods have none (`setOwner`)."""
    changed = world()
    metadata = {"name": "kept-0", "labels": {"kai.scheduler/queue": "beta-work"}}
    kept = {
        "metadata": {
            **metadata,
            "namespace": "default",
            "annotations": {"pod-group-name": "pg-kept-0-u1"},
            "ownerReferences": [{"kind": "Job", "name": "kept", "uid": "u", "apiVersion": "batch/v1"}],
        },
        "spec": {"schedulerName": "kai-scheduler", "containers": [{"name": "main"}]},
        "status": {"phase": "Pending"},
    }
    here = {
        "vcluster.loft.sh/object-name": "kept-0",
        "vcluster.loft.sh/object-namespace": "default",
        "pod-group-name": "pg-kept-0-u1",
    }
    there = {**kept, "metadata": {**metadata, "name": "kept-0-x", "namespace": "team-beta", "annotations": here}}
    changed.plant({"add": {"beta": {"pods": [kept]}, "host": {"pods": [there]}}})
    look, seen = changed.seen("host")
    beta = seen.team("beta")
    assert beta is not None
    (answer,) = why(look, seen, beta, "kept-0")
    assert answer.id == "group-gone"
    assert "pg-kept-0-u1" in answer.cause
