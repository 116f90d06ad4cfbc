"""What is wrong with a team's own KAI is named, and what is well, starting or unreadable is not."""

from __future__ import annotations

from typing import Any

from cli.driver import TeamState
from cli.status import broken
from kube.health import faults

KAI = "/api/v1/namespaces/kai-scheduler/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/kai-scheduler/deployments"
RESERVING = "/api/v1/namespaces/kai-resource-reservation/pods"
QUEUES = "/apis/scheduling.run.ai/v2/queues"


def deployment(name: str, tag: str = "v0.16.8", *, wanted: int = 1, there: int = 1) -> dict[str, Any]:
    image = f"ghcr.io/kai-scheduler/kai-scheduler/{name}:{tag}"
    return {
        "metadata": {"name": name},
        "spec": {"replicas": wanted, "template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"availableReplicas": there} if there else {},
    }


def pod(name: str, space: str = "kai-scheduler", *, waits: str = "", labels: Any = None, phase: str = "Running") -> Any:
    state = {"waiting": {"reason": waits}} if waits else {"running": {}}
    return {
        "metadata": {"name": name, "namespace": space, "labels": labels or {}},
        "spec": {"nodeName": "gpu-0"},
        "status": {"phase": phase, "containerStatuses": [{"state": state, "restartCount": 4, "image": "r/x:1"}]},
    }


def found(version: str | None = "v0.16.8", **changed: Any) -> list[str]:
    answers: dict[str, Any] = {
        KAI: {"items": [pod("scheduler-1")]},
        DEPLOYMENTS: {"items": [deployment("scheduler"), deployment("binder")]},
        RESERVING: {"items": []},
        QUEUES: {"items": []},
        **{{"pods": KAI, "deployments": DEPLOYMENTS, "reserving": RESERVING, "queues": QUEUES, "all": "/api/v1/pods"}[
            name
        ]: value for name, value in changed.items()},
    }  # fmt: skip
    return faults(answers.get, version)


def test_a_scheduler_that_is_well_says_nothing() -> None:
    assert found() == []
    starting = [pod("s", waits=reason) for reason in ("ContainerCreating", "PodInitializing")]
    ended = [pod("hook", waits="X", phase=phase) for phase in ("Succeeded", "Failed")]
    assert found(pods={"items": [*starting, *ended]}) == []


def test_where_nothing_can_be_read_nothing_is_said_and_where_nothing_is_reserved_not_all_pods_are_asked_for() -> None:
    asked: list[str] = []

    def read(path: str) -> dict[str, Any]:
        asked.append(path)
        return {}

    assert faults(read, "v0.16.8") == []
    assert sorted(asked) == sorted([KAI, DEPLOYMENTS, RESERVING, QUEUES])


def test_a_pod_that_crashes_is_named_with_its_image() -> None:
    assert found(pods={"items": [pod("s", waits="CrashLoopBackOff")]}) == [
        "pod s: CrashLoopBackOff, started 4 times (image r/x:1)"
    ]
    first = pod("s", waits="ErrImagePull")
    first["status"]["containerStatuses"][0]["restartCount"] = 0
    assert found(pods={"items": [first]}) == ["pod s: ErrImagePull (image r/x:1)"]


def test_a_part_that_is_not_there_or_switched_off_is_named() -> None:
    parts = {"items": [deployment("scheduler", there=0), deployment("binder", wanted=0, there=0)]}
    assert found(deployments=parts) == [
        "Deployment scheduler has 0 of 1 pods available",
        "Deployment binder is scaled to 0",
    ]
    usual = deployment("scheduler", there=0)
    del usual["spec"]["replicas"]
    assert found(deployments={"items": [usual]}) == ["Deployment scheduler has 0 of 1 pods available"]
    assert found(deployments={"items": [deployment("scheduler", wanted=2, there=2)]}) == []


def test_a_kind_that_is_gone_or_anothers_is_named_and_one_that_can_not_be_read_is_not() -> None:
    assert found(queues=None) == [
        "kind Queue is not served as v2: CRD queues.scheduling.run.ai is missing, or another program's"
    ]
    assert found(queues={}) == []


def test_a_part_of_another_version_is_named() -> None:
    assert found(deployments={"items": [deployment("scheduler"), deployment("binder", "v0.14.7")]}) == [
        "Deployment binder runs image ghcr.io/kai-scheduler/kai-scheduler/binder:v0.14.7, and its KAI is v0.16.8"
    ]
    assert found(None, deployments={"items": [deployment("binder", "v0.14.7")]}) == []
    assert found("0.16.8", deployments={"items": [deployment("binder", "v0.16.8@sha256:0123")]}) == []
    assert found("v0.16.8", deployments={"items": [deployment("binder", "0.16.8")]}) == []
    # a registry's port is no tag, and an image by digest alone has none
    for image in ("registry.example:5000/kai/binder", "registry.example:5000/kai/binder@sha256:0123"):
        plain = deployment("binder")
        plain["spec"]["template"]["spec"]["containers"][0]["image"] = image
        assert found(deployments={"items": [plain]}) == []


def test_a_reservation_pod_without_a_pod_that_shares_its_gpu_is_a_leak() -> None:
    group = {"runai-gpu-group": "g1"}
    reserving = {"items": [pod("gpu-reservation-a", "kai-resource-reservation", labels=group)]}
    itself = reserving["items"][0]
    leak = ["reservation pod gpu-reservation-a holds a GPU of gpu-0, and no pod shares it"]
    shares = pod("train", "default", labels=group)
    waiting = {**itself, "spec": {}}
    assert found(reserving={"items": [waiting]}) == [leak[0].replace("gpu-0", "no node yet")]
    for phase in ("Succeeded", "Failed"):
        assert found(reserving={"items": [{**itself, "status": {"phase": phase}}]}) == []
        assert found(reserving=reserving, all={"items": [{**shares, "status": {"phase": phase}}]}) == leak
    assert found(reserving=reserving, all={"items": [itself]}) == leak
    assert found(reserving=reserving, all={"items": [itself, {**shares, "status": {"phase": "Failed"}}]}) == leak
    assert found(reserving=reserving, all={"items": [itself, shares]}) == []
    several = pod("train", "default", labels={"runai-gpu-group/g1": "g1", "runai-gpu-group/g2": "g2"})
    assert found(reserving=reserving, all={"items": [itself, several]}) == []


def test_status_names_the_team_and_says_that_it_is_alone() -> None:
    states = {"ml": TeamState(api="up", faults=("pod s: CrashLoopBackOff",)), "research": TeamState(api="up")}
    assert broken(states) == (
        "\nthe scheduler of ml is not well, and no other team's is touched by it\n  pod s: CrashLoopBackOff\n"
    )
    assert broken({"research": TeamState(api="up")}) == ""
