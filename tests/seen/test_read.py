"""Asking the clusters: no Secret, nothing changed, and what can't be read is said instead of raised."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from kube.client import connect, target
from seen.read import IN_TEAM, ON_HOST, Clusters, Said, ask
from tests.cli.fake_api import FakeApi, kubeconfig, named, node, running


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with running(FakeApi(objects={"/api/v1/nodes": [node("gpu-0", gpus=4)]})) as server:
        yield server


def asked(url: str) -> Said:
    with connect(kubeconfig(url)) as client:
        return ask(client, IN_TEAM)


def test_lists_and_the_version_are_read(api: FakeApi) -> None:
    said = asked(api.url)
    assert (said.api, said.version, said.refused) == ("up", "v1.34.4", {})
    assert [one["metadata"] for one in said.all("nodes")] == [
        {"name": "gpu-0", "labels": {"kubernetes.io/arch": "amd64"}}
    ]


def test_nothing_is_changed_and_no_secret_is_read(api: FakeApi) -> None:
    assert all("secret" not in path for path in (*IN_TEAM.values(), *ON_HOST.values()))
    asked(api.url)
    assert {method for method, _ in api.seen} == {"GET"}


def test_a_kind_that_the_server_does_not_know_is_empty_and_no_gap(api: FakeApi) -> None:
    said = asked(api.url)
    assert said.all("queues") == ()
    assert "queues" not in said.refused


def test_an_object_beside_the_lists_is_read_as_it_is(api: FakeApi) -> None:
    path = "/api/v1/namespaces/gpu-check/configmaps/gpu-check-report"
    api.named[path] = named("ConfigMap", "v1", "gpu-check-report", data={"verdict": "pass"})
    (report,) = asked(api.url).all("check")
    assert report["data"] == {"verdict": "pass"}


def test_what_may_not_be_listed_is_a_gap_in_the_server_s_words(api: FakeApi) -> None:
    api.refused["/api/v1/pods"] = 403
    said = asked(api.url)
    assert said.api == "up"
    assert said.refused == {"pods": "refused: /api/v1/pods"}
    assert len(said.all("nodes")) == 1


def test_an_answer_that_is_nested_without_end_is_a_gap(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.objects["/apis/batch/v1/jobs"] = []
    deep = "[" * 200_000
    real = httpx2.Response.json
    monkeypatch.setattr(
        httpx2.Response, "json", lambda self: json.loads(deep) if self.url.path.endswith("/jobs") else real(self)
    )
    said = asked(api.url)
    assert said.api == "up"
    assert "jobs" in said.refused


def test_credentials_that_are_not_taken_are_a_dead_cluster_and_not_many_gaps(api: FakeApi) -> None:
    api.refused["/api/v1/namespaces"] = 401
    said = asked(api.url)
    assert (said.api, said.refused) == ("down: it does not accept the credentials", {})


def test_a_cluster_that_does_not_answer_says_why_and_costs_no_error() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert asked(dead).api.startswith("down: ")


def test_what_answers_and_is_no_kubernetes_is_down() -> None:
    with running(FakeApi(refused={"/version": 502})) as server:
        assert asked(server.url).api == "down: refused: /version"


def test_each_cluster_is_asked_apart(api: FakeApi) -> None:
    clusters = Clusters(target(kubeconfig(api.url)), {"ml": None, "research": target(kubeconfig(api.url))})
    for _ in range(2):
        found = clusters.look()
        assert found.host.api == "up"
        assert {team: said.api for team, said in found.teams.items()} == {"ml": "not asked", "research": "up"}
