"""What pods wait for while the engine waits for them: named once, and kept when Helm has taken the pods away."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cli import engine, say, waiting
from cli.causes import failure_of
from cli.cluster import target_of
from cli.errors import CommandError
from cli.waiting import PATIENCE, Json, Seen, Watch, reader, stuck
from tests.cli.conftest import Project
from tests.cli.fake_api import FakeApi, kubeconfig, named, running

TEAMS = {"team-ml": "ml", "team-research": "research"}
DENIED = 'Back-off pulling image "ghcr.io/loft-sh/vcluster-oss:0.36.1": ErrImagePull: 403 Forbidden'


def pod(name: str = "ml-0", namespace: str = "team-ml", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "status": {"phase": "Pending", **status}}


def container(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": "c",
        "image": "ghcr.io/loft-sh/vcluster-oss:0.36.1",
        "state": {"waiting": {"reason": reason, "message": message}},
        **more,
    }


def causes(*pods: dict[str, Any], events: list[dict[str, Any]] | None = None) -> list[tuple[str, str | None, str]]:
    found, _ = stuck(pods, events or [], teams=TEAMS, stack="one")
    return [(one.failure.id, one.failure.team, one.failure.cause) for one in found]


def test_an_image_that_cannot_be_pulled_is_named_with_its_reason() -> None:
    ((id_, team, cause),) = causes(pod(containerStatuses=[container("ImagePullBackOff", DENIED)]))
    assert (id_, team) == ("image", "ml")
    assert cause == "image ghcr.io/loft-sh/vcluster-oss:0.36.1 can't be pulled: it denies access (403)"


def test_an_init_container_counts_too() -> None:
    ((id_, _, _),) = causes(pod(initContainerStatuses=[container("ErrImagePull", DENIED)]))
    assert id_ == "image"


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_is_being_made_is_well(reason: str) -> None:
    found, well = stuck([pod(containerStatuses=[container(reason)])], [], teams=TEAMS, stack="one")
    assert (found, well) == ([], {"team-ml/ml-0"})


def test_a_full_node_a_taint_and_a_missing_volume_are_named() -> None:
    def unscheduled(message: str) -> dict[str, Any]:
        return pod(conditions=[{"type": "PodScheduled", "status": "False", "message": message}])

    ids = [
        causes(unscheduled(message))[0][0]
        for message in (
            "0/1 nodes are available: 1 Insufficient cpu.",
            "0/1 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: true}.",
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        )
    ]
    assert ids == ["no-room", "taint", "storage"]


def test_a_refused_pod_is_an_event_of_what_should_make_it() -> None:
    event = {
        "reason": "FailedCreate",
        "message": 'create Pod ml-0 in StatefulSet ml failed: pods "ml-0" is forbidden: violates PodSecurity '
        '"restricted:latest": runAsNonRoot != true',
        "involvedObject": {"kind": "StatefulSet", "name": "ml", "namespace": "team-ml"},
    }
    ((id_, team, cause),) = causes(events=[event])
    assert (id_, team) == ("pod-security", "ml")
    assert "runAsNonRoot" in cause
    assert causes(events=[{**event, "reason": "Killing"}]) == []


def test_a_container_that_crashes_says_how_it_ended() -> None:
    crash = container("CrashLoopBackOff", "back-off 10s", lastState={"terminated": {"exitCode": 7, "message": "boom"}})
    ((id_, _, cause),) = causes(pod(containerStatuses=[crash]))
    assert id_ == "waiting"
    assert "exit code 7: boom" in cause


class TestSeen:
    """Patience before it is said, memory after the pod is gone."""

    BAD = stuck([pod(containerStatuses=[container("ImagePullBackOff", DENIED)])], [], teams=TEAMS, stack="one")[0]

    def test_a_cause_is_said_when_it_stays_and_once(self) -> None:
        seen = Seen()
        said = [len(seen.look(self.BAD, set())) for _ in range(PATIENCE + 2)]
        assert said == [0] * (PATIENCE - 1) + [1, 0, 0]

    def test_what_passes_in_between_is_not_said(self) -> None:
        seen = Seen()
        assert [len(seen.look(found, set())) for found in (self.BAD, [], self.BAD, [])] == [0, 0, 0, 0]
        assert seen.failures == []

    def test_a_pod_that_helm_took_away_keeps_its_cause(self) -> None:
        seen = Seen()
        for found in ([*self.BAD], [*self.BAD], []):
            seen.look(found, set())
        assert [failure.id for failure in seen.failures] == ["image"]

    def test_a_pod_that_came_up_is_forgotten(self) -> None:
        seen = Seen()
        for _ in range(PATIENCE):
            seen.look(self.BAD, set())
        seen.look([], {"team-ml/ml-0"})
        assert seen.failures == []

    def test_the_same_image_in_ten_pods_of_a_team_is_one_line(self) -> None:
        bad = [pod(f"p{index}", containerStatuses=[container("ImagePullBackOff", DENIED)]) for index in range(10)]
        found, well = stuck(bad, [], teams=TEAMS, stack="one")
        seen = Seen()
        seen.look(found, well)
        assert len(seen.look(found, well)) == 1


def test_the_watch_looks_until_the_end_and_an_api_that_does_not_answer_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    named_it = threading.Event()

    def line(text: str) -> None:
        said.append(text)
        named_it.set()

    monkeypatch.setattr(say, "line", line)
    looks: list[int] = []

    def read() -> tuple[list[Json], list[Json]]:
        looks.append(1)
        if len(looks) == 1:
            raise CommandError("not reachable")
        return [pod(containerStatuses=[container("ImagePullBackOff", DENIED)])], []

    with Watch(read, teams=TEAMS, stack="one", interval=0.001) as watch:
        assert named_it.wait(30)
    assert [failure.id for failure in watch.failures] == ["image"]
    assert len(said) == 1
    assert said[0].startswith("waiting: team ml, pod ml-0: image ghcr.io/loft-sh/vcluster-oss:0.36.1 can't be pulled")


def test_pods_and_warnings_are_read_from_the_teams_namespaces_alone() -> None:
    api = FakeApi()
    api.objects["/api/v1/namespaces/team-ml/pods"] = [named("Pod", "v1", "ml-0")]
    api.objects["/api/v1/namespaces/team-ml/events"] = [named("Event", "v1", "e")]
    with running(api):
        pods, events = reader(target_of(kubeconfig(api.url), "here"), ["team-ml", "team-gone"])()
    assert (len(pods), len(events)) == (1, 1)
    assert {path for _, path in api.seen} == {
        f"/api/v1/namespaces/{space}/{kind}" for space in ("team-ml", "team-gone") for kind in ("pods", "events")
    }
    assert waiting.INTERVAL_SECONDS * (PATIENCE + 1) <= 60


def test_a_failed_up_says_what_its_pods_waited_for_before_the_engine_s_own_words(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = failure_of(DENIED, team="ml", step="pod ml-0", stack="one")
    watched: list[tuple[dict[str, str], str]] = []

    class Watched:
        """A watch that has seen one image."""

        failures = (bad,)

        def __init__(self, _: object, *, teams: dict[str, str], stack: str) -> None:
            watched.append((teams, stack))

        def __enter__(self) -> Watched:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to end."""

    monkeypatch.setattr(engine, "Watch", Watched)
    monkeypatch.setenv("STUB_CODE", "1")
    monkeypatch.setenv(
        "STUB_SAYS",
        "Diagnostics:\n  kubernetes:helm.sh/v3:Release (ml-virtual-cluster-vcluster):\n"
        "    error: context deadline exceeded\n",
    )
    assert project.run("up") == 1
    said = capsys.readouterr().err
    assert "team ml, pod ml-0: image ghcr.io/loft-sh/vcluster-oss:0.36.1 can't be pulled" in said
    assert "it was not ready in time" not in said
    assert watched == [({"team-ml": "ml"}, "one")]
    project.run("preview")
    assert len(watched) == 1, "a preview waits for no pod"
