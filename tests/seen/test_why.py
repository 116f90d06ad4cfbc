"""Causes planted into recordings of real clusters, and into a small world: each is named by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import yaml

from seen.model import Event
from seen.snapshot import snapshot
from seen.why import Request, Why, border, lost, queue, why, would
from seen.why.model import because, sentences
from seen.why.search import case_of
from tests.conftest import ROOT
from tests.seen.world import HERE, NOW, Json, World, merge, platform, recorded

RECORDED = yaml.load((HERE / "planted" / "recorded.yaml").read_text(), yaml.CSafeLoader)
IN_RECORDINGS = [
    (stack, recording, team, pod, kind)
    for stack, recordings in RECORDED.items()
    for recording, teams in recordings.items()
    for team, pods in teams.items()
    for pod, kind in pods.items()
]
IN_THE_WORLD = [
    pytest.param(entry, id=f"{area}: {entry['plant']}")
    for area in ("kubelet", "border", "scheduling", "owners")
    for entry in yaml.load((HERE / "planted" / f"{area}.yaml").read_text(), yaml.CSafeLoader)
]


@pytest.mark.parametrize(("stack", "recording", "team", "pod", "kind"), IN_RECORDINGS)
def test_a_cause_on_a_real_cluster_is_named(stack: str, recording: str, team: str, pod: str, kind: str) -> None:
    look, at = recorded(recording)
    seen = snapshot(look, platform(stack), stack="dev", at=at)
    known = seen.team(team)
    assert known is not None
    (answer,) = why(look, seen, known, pod)
    assert answer.id == kind
    sound(answer)


@pytest.mark.parametrize("entry", IN_THE_WORLD)
def test_a_cause_in_a_small_world_is_named(entry: Mapping[str, Any]) -> None:
    world = World()
    plant(world, entry)
    look, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    (answer,) = why(look, seen, replace(team, nodes=()) if entry.get("without_pool") else team, "train-0")
    assert answer.id == entry["id"]
    assert entry.get("says", "") in answer.cause
    sound(answer)


def test_there_are_fifty_planted_causes_and_twenty_of_them_real() -> None:
    kinds = {kind for *_, kind in IN_RECORDINGS} | {entry.values[0]["id"] for entry in IN_THE_WORLD}  # type: ignore[index]
    assert len(kinds) >= 50
    assert len({kind for *_, kind in IN_RECORDINGS}) >= 20


def test_what_somebody_wrote_into_an_event_gets_into_no_command() -> None:
    said = 'Error creating: pods "a-" is forbidden: serviceaccount "x;reboot" not found'
    found = because("account-missing", "x;reboot", team="ml", namespace="a", pod="p", said=said)
    assert found.cause == "ServiceAccount x;reboot is not in namespace a"
    assert found.fix == "create it: `kubectl -n a create serviceaccount <name>`"


def test_a_quota_s_refusal_of_any_length_is_read_in_time_that_grows_with_it() -> None:
    amounts = ",".join(f"requests.example.com/r{index}=1" for index in range(3))
    whole = f"exceeded quota: q, requested: {amounts}, used: {amounts}, limited: {amounts}"
    found = border._QUOTA.search(f"pods is forbidden: {whole}")
    assert found is not None
    assert found.groups() == ("q", amounts, amounts, amounts)
    steps = 30_000
    forged = "exceeded quota: q" + ", requested: a, used: a" * steps
    assert border._QUOTA.search(forged) is None


def test_every_cause_that_is_planted_has_its_sentences() -> None:
    assert {kind for *_, kind in IN_RECORDINGS} <= set(sentences())
    for told in sentences().values():
        assert set(told) == {"cause", "fix"}


def test_every_kind_of_cause_stands_in_the_page() -> None:
    page = (ROOT / "docs" / "why.md").read_text()
    assert [kind for kind in sentences() if f"`{kind}`" not in page] == []


def test_a_paused_team_s_pod_waits_for_the_team() -> None:
    world = World()
    plant(
        world, {"refused": "Error syncing to host cluster: create object: pods is forbidden: whatever the policy says"}
    )
    look, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    paused = replace(team, paused=True)
    (answer,) = why(look, seen, paused, "train-0")
    assert answer.id == "paused"
    refusal = would(look, seen, paused, Request(gpus=1)).why
    assert refusal is not None
    assert refusal.id == "paused"


def test_in_a_lab_a_pod_waits_for_kai_and_a_wrong_queue_is_still_named() -> None:
    for labels, kind in ((None, "simulated"), ({"kai.scheduler/queue": "trainin"}, "no-such-queue")):
        world = World()
        plant(world, {"waits": {"metadata": {"labels": labels}} if labels else {}, "group": False})
        world.teams["ml"]["kai"] = []
        look, seen = world.seen()
        team = seen.team("ml")
        assert team is not None
        (answer,) = why(look, replace(seen, simulated=True), team, "train-0")
        assert answer.id == kind


def test_an_event_about_an_older_pod_of_the_same_name_is_no_cause() -> None:
    world = World()
    plant(world, {"waits": {}})
    old = {
        **event("SyncError", "Error syncing to host cluster: create object: spec is invalid"),
        "lastTimestamp": "2026-11-26T11:00:00Z",
    }
    world.plant({"add": {"ml": {"warnings": [old]}}})
    look, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    (answer,) = why(look, seen, team, "train-0")
    assert answer.id == "unseen"


def test_two_writers_that_met_are_no_refusal() -> None:
    world = World()
    plant(
        world,
        {"refused": 'Error syncing: patch host object: Operation cannot be fulfilled on pods "train-0": modified'},
    )
    look, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    assert [answer.id for answer in why(look, seen, team, "train-0")] != ["border"]


def sound(answer: Why) -> None:
    """One sentence each, filled in, without a name that only the host knows."""
    for said in (answer.cause, answer.fix):
        assert said
        assert not said.endswith(".")
        assert "{" not in said.replace('{"spec":{', "")
        assert "None" not in said
        assert f"-x-{answer.team}" not in said


# --- planting ---------------------------------------------------------------------------------------------------------

GROUP = "pg-train-0"
POD: Json = {
    "metadata": {
        "name": "train-0",
        "namespace": "default",
        "creationTimestamp": "2026-11-26T11:50:00Z",
        "labels": {"kai.scheduler/queue": "training"},
        "annotations": {"pod-group-name": GROUP},
    },
    "spec": {
        "schedulerName": "kai-scheduler",
        "containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
    },
    "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]},
}
AWAY = {"vcluster.loft.sh/object-name": "train-0", "vcluster.loft.sh/object-namespace": "default"}


def plant(world: World, entry: Mapping[str, Any]) -> None:
    world.plant(entry)
    if "job" in entry:
        job = {"metadata": {"name": "train-0", "namespace": "default"}, "spec": entry["job"], "status": {}}
        world.plant({"add": {"ml": {"jobs": [job], "warnings": [event("FailedCreate", entry["controller"], "Job")]}}})
        return
    pod = deepcopy(POD)
    if "refused" in entry:
        pod["spec"]["nodeName"] = "gpu-0"
        world.plant({"add": {"ml": {"warnings": [event(entry.get("reason", "SyncError"), entry["refused"])]}}})
    merge(pod, entry.get("waits") or entry.get("runs") or {})
    if "runs" in entry:
        pod["spec"]["nodeName"] = "gpu-0"
        on_host = deepcopy(pod)
        merge(on_host, {"metadata": {"name": "train-0-x-default-x-ml", "namespace": "team-ml", "annotations": AWAY}})
        pod["status"] = deepcopy(POD["status"])
        world.plant({"add": {"host": {"pods": [on_host]}}})
    if "kai" in entry:
        said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": entry["kai"]}
        pod["status"]["conditions"].append(said)
    events = [event(each["reason"], each["message"]) for each in entry.get("events", ())]
    world.plant({"add": {"ml": {"pods": [pod], "warnings": events}}})
    if entry.get("group", True):
        leaf = pod["metadata"]["labels"]["kai.scheduler/queue"]
        group = {"metadata": {"name": GROUP, "namespace": "default"}, "spec": {"minMember": 1, "queue": leaf}}
        world.plant({"add": {"ml": {"podgroups": [group]}}})
    if "bind" in entry:
        bind = {
            "metadata": {"name": "train-0", "namespace": "default"},
            "spec": {"podName": "train-0"},
            **entry["bind"],
        }
        world.plant({"add": {"ml": {"bindrequests": [bind]}}})


def event(reason: str, message: str, kind: str = "Pod") -> Json:
    about = {"kind": kind, "namespace": "default", "name": "train-0"}
    return {"reason": reason, "message": message, "involvedObject": about, "lastTimestamp": NOW.isoformat()}


def test_an_eviction_that_a_team_made_up_ends_nothing() -> None:
    uses = "queue a uses <GPU: 1.2.3> with a quota of <GPU: 1..2>"
    said = f"Pod default/x was preempted by higher priority workload default/y. {uses}, {uses}"
    world = World()
    event = {"metadata": {"name": "e"}, "reason": "Evict", "message": said, "lastTimestamp": NOW.isoformat()}
    world.plant({"add": {"ml": {"evictions": [event]}}})
    _, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    assert [(one.id, one.pod) for one in lost(seen, team)] == [("preempted", "x")]


@pytest.mark.parametrize(
    ("least", "said", "of", "told"),
    [
        (4, "Waiting for 4 pods to start, currently 3 exist, 0 are gated", "ml", "3"),
        (4, "Waiting for 4 pods to start, currently 4 exist, 1 are gated", "ml", "3"),
        (4, "Waiting for 4 pods to start, currently 4 exist, 0 are gated", "ml", None),
        (4, "Waiting for 4 pods to start, currently 3 exist, 0 are gated", "research", None),
        (1, "Waiting for 4 pods to start, currently 3 exist, 0 are gated", "ml", None),
    ],
)
def test_a_group_that_is_not_whole_counts_the_pods_that_may_start(
    least: int, said: str, of: str, told: str | None
) -> None:
    world = World()
    plant(world, {"waits": {}})
    group = {"metadata": {"name": GROUP, "namespace": "default"}, "spec": {"minMember": least}}
    look, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    pod = next(pod for pod in team.pods if pod.name == "train-0")
    event_ = Event(team=of, namespace="default", kind="PodGroup", name=GROUP, reason="NotReady", message=said, at=NOW)
    case = replace(case_of(look, replace(seen, events=(event_,)), team, pod), group=group)
    found = queue.gang(case)
    assert (found is None) is (told is None)
    assert found is None or f"{told} of" in found.cause or f" {told} " in found.cause


def test_what_another_team_lost_and_a_name_that_only_looks_like_the_hosts_are_told_of_nobody() -> None:
    world = World()
    said = "Pod default/a-x-b-x-research was preempted by workload default/y."
    made_up = {"metadata": {"name": "e"}, "reason": "Evict", "message": said, "lastTimestamp": NOW.isoformat()}
    world.plant({"add": {"ml": {"evictions": [made_up]}}})
    _, seen = world.seen()
    ml, research = seen.team("ml"), seen.team("research")
    assert ml is not None
    assert research is not None
    assert [(one.id, one.namespace, one.pod) for one in lost(seen, ml)] == [
        ("reclaimed", "default", "a-x-b-x-research")
    ]
    assert lost(seen, research) == []


def test_a_pod_of_a_team_whose_name_looks_like_a_part_of_the_hosts_is_known_by_its_own() -> None:
    said = "Pod team-a-x-b/train-x-ns-x-a-x-b was preempted by workload team-ml/pg-other-x-default-x-ml."
    at = Event(team="", namespace="team-a-x-b", kind="PodGroup", name="g", reason="Evict", message=said, at=NOW)
    _, seen = World().seen()
    ml = seen.team("ml")
    assert ml is not None
    odd = replace(ml, name="a-x-b", namespace="team-a-x-b")
    (found,) = lost(replace(seen, events=(at,)), odd)
    assert (found.namespace, found.pod) == ("ns", "train")
    assert "default/pg-other of team ml" in f"{found.cause} {found.fix}"
