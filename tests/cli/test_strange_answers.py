"""What answers is no Kubernetes API (a login page, a proxy), or one whose objects are not whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.footprint import look
from kube.footprint import store_bytes
from kube.health import faults
from settings.load import load_stack_file
from tests.cli.conftest import STACK_FILE, Project
from tests.cli.fake_api import failure, kubeconfig, named, node

HTML = b"<html><body>Log in</body></html>"
NO_OBJECTS = (HTML, b"null", b"[" * 100_000, b'{"items":["\xff"]}')
COMMANDS = (
    ("preflight",),
    ("up",),
    ("preview",),
    ("fence",),
    ("inventory",),
    ("snapshot", "--team", "ml"),
    ("restore", "--team", "ml"),
)
LOOKS = (("status",), ("why",), ("would", "--team", "ml"), ("usage",), ("footprint",), ("dashboard", "--static", "x"))


@pytest.fixture
def stack(project: Project) -> Project:
    """A stack that is made, whose team keeps snapshots and is reached at the same server."""
    project.write(STACK_FILE.replace("queues: {training", "vcluster: {snapshots: {}}\n        queues: {training"))
    made = {"namespace": "team-ml", "mode": "virtual", "schedulerVersion": "v0.9.3"}
    project.outputs({"teams": {"ml": made}, "kubeconfigs": {"ml": {"admin": kubeconfig(project.api.url)}}})
    return project


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_page_in_the_clusters_place_is_told_in_a_sentence(
    stack: Project, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for said in NO_OBJECTS:
        stack.api.garbled = {"/": said}
        assert stack.run(*command) == 1, said
        told = capsys.readouterr().err
        assert "is not a Kubernetes API" in told, said
        assert "fix: check the cluster's address in the kubeconfig, and HTTPS_PROXY" in told, said


@pytest.mark.parametrize("command", LOOKS, ids=lambda command: command[0])
def test_who_only_looks_shows_what_is_known(
    stack: Project, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    known = ("/version", "/api/v1/namespaces/kube-system")
    for said in NO_OBJECTS[:2]:
        stack.api.garbled = {"/api/v1/nodes": said, "/api/v1/pods": said, "/apis/": said}
        assert not any(path.startswith(tuple(stack.api.garbled)) for path in known)
        assert stack.run(*command) == 0, (said, capsys.readouterr().err)


def test_a_kind_that_is_garbled_is_the_one_that_is_not_seen(stack: Project, capsys: pytest.CaptureFixture[str]) -> None:
    stack.api.objects["/api/v1/pods"] = []
    stack.api.garbled = {"/api/v1/pods": HTML}
    assert stack.run("status") == 0
    told = capsys.readouterr()
    assert "host: pods (what answers is not a Kubernetes API: HTTP 200 without an object)" in told.err
    assert "host: nodes" not in told.err
    assert "gpu-0 ready, 4 GPUs" in told.out


def test_a_kind_that_the_preflight_cannot_read_is_named(stack: Project, capsys: pytest.CaptureFixture[str]) -> None:
    stack.api.garbled = {"/apis/storage.k8s.io": HTML}
    assert stack.run("preflight", "--json") == 0
    findings = json.loads(capsys.readouterr().out)
    (unread,) = [found for found in findings if found["id"] == "unreadable"]
    assert unread["subject"] == "storageclasses"
    assert unread["message"].startswith("could not be read, so not compared: JSON is malformed")


@pytest.mark.parametrize(
    "odd", [None, {}, *(pytest.param(odd, marks=pytest.mark.slow) for odd in ("many", "-4", 3.5, True))]
)
def test_a_node_whose_numbers_are_none_has_none(stack: Project, odd: Any, capsys: pytest.CaptureFixture[str]) -> None:
    one = node("gpu-0")
    one["status"]["allocatable"] = {"cpu": odd, "memory": odd, "pods": odd, "nvidia.com/gpu": odd}
    one["metadata"]["labels"]["nvidia.com/gpu.count"] = odd
    bare: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cpu-0"}}
    stack.api.objects["/api/v1/nodes"] = [one, bare]
    for command in (("preflight",), ("fence",), ("inventory",), ("status",)):
        assert stack.run(*command) in (0, 1), command
    assert "GPU" in capsys.readouterr().out


def test_pods_and_metrics_that_are_not_whole_cost_what_is_known_of_them(stack: Project) -> None:
    from cli.cluster import target_of

    pods: list[dict[str, Any]] = [
        {"metadata": {"name": "whole", "namespace": "team-ml"}, "spec": {"containers": [{"name": "a"}]}},
        {"metadata": {"name": "bare", "namespace": "team-ml"}},
        {
            "metadata": {"name": "odd"},
            "spec": {"containers": [3, {"resources": {"requests": {"cpu": []}}}]},
            "status": 1,
        },
        {"spec": None},
        3,  # type: ignore[list-item]
    ]
    stack.api.objects["/api/v1/namespaces/team-ml/pods"] = pods
    use = {
        "metadata": {"name": "whole", "namespace": "team-ml"},
        "containers": [{"usage": {"cpu": "5m", "memory": "1Mi"}}],
    }
    stack.api.objects["/apis/metrics.k8s.io/v1beta1/pods"] = [use, {"metadata": {"name": "bare"}, "containers": [{}]}]
    found = look(load_stack_file(stack.root / "Pulumi.one.yaml"), target_of(kubeconfig(stack.api.url), "a test"))
    names = {pod.name: (pod.used.cpu if pod.used else None) for pod in found[0].pods or ()}
    assert names == {"bare": None, "odd": None, "whole": 5}


def test_a_kai_whose_objects_are_not_whole_is_told_as_far_as_they_say() -> None:
    deployment: dict[str, Any] = {"metadata": {"name": "binder"}, "spec": {"replicas": "2"}, "status": None}
    odd = [3, None, {}, {"metadata": {"name": 1}}, deployment, {"metadata": {"name": "bare"}}]
    waits = {"containerStatuses": [None, {"state": 3}, {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
    pods = [*odd, {"metadata": {"name": "scheduler-1"}, "status": waits}]

    def read(path: str) -> dict[str, Any]:
        return {"items": pods if path.endswith("/pods") else odd}

    assert faults(read, "v0.9.3")[:3] == [
        "pod scheduler-1: CrashLoopBackOff (image None)",
        "Deployment binder has 0 of 2 pods available",
        "Deployment bare has 0 of 1 pods available",
    ]


@pytest.mark.parametrize(
    ("said", "size"), [("1.5e+06", 1_500_000), ("20", 20), ("1.2.3", None), ("e", None), ("1e999", None)]
)
def test_the_size_of_a_store_is_a_number(said: str, size: int | None) -> None:
    assert store_bytes(f'apiserver_storage_size_bytes{{cluster="etcd-0"}} {said}') == size


def test_a_record_that_somebody_changed_is_no_snapshot(stack: Project, capsys: pytest.CaptureFixture[str]) -> None:
    whole = {"name": "20261120-000000", "taken": "2026-11-20T00:00:00", "why": "asked for"}
    stack.api.objects["/api/v1/namespaces/team-ml/configmaps"] = [
        named("ConfigMap", "v1", "a", data=whole),
        named("ConfigMap", "v1", "b", data={"name": "20261121-000000"}),
        named("ConfigMap", "v1", "c", data={"taken": "2026-11-20T00:00:00"}),
        named("ConfigMap", "v1", "d", data=None),
    ]
    stack.run("restore", "--team", "ml")
    told = "".join(capsys.readouterr())
    assert "20261120-000000" in told
    assert "20261121-000000" not in told


@pytest.mark.parametrize("code", [403, 410, 429, 500, 503])
def test_a_refusal_of_any_kind_is_told_with_its_number(
    stack: Project, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.api.refused = {"/api/v1/nodes": code}
    assert stack.run("preflight") == 1
    told = capsys.readouterr().err
    assert f"answers {code}: {failure(code, 'refused: /api/v1/nodes')['message']}" in told or code == 403
    assert stack.run("status") == 0
    assert "host: nodes (refused: /api/v1/nodes)" in capsys.readouterr().err
