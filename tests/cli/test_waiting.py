"""What pods wait for while the engine waits for them: named once, and kept when Helm has taken the pods away."""

from __future__ import annotations

import argparse
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cli import engine, say, waiting
from cli.begin import place_of
from cli.causes import failure_of
from cli.cluster import target_of
from cli.errors import CommandError
from cli.progress import Run
from cli.stuck import GOES_ON, ours
from cli.waiting import PATIENCE, Seen, Watch, inner_reader, reader
from lenient import Json
from tests.cli.conftest import Project
from tests.cli.fake_api import FakeApi, kubeconfig, named, running
from tests.cli.pods import DENIED, NOW, TEAMS, container, pod, stuck
from tests.conftest import HANGS_SECONDS


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
        for found in ([], [*self.BAD], [*self.BAD], []):
            seen.look(found, set())
        assert [failure.id for failure in seen.failures] == ["image"]

    def test_a_pod_that_came_up_is_forgotten(self) -> None:
        seen = Seen()
        for _ in range(PATIENCE):
            seen.look(self.BAD, set())
        seen.look([], {"team-ml/ml-0"})
        assert seen.failures == []

    def test_what_the_run_before_left_is_forgotten_when_it_goes(self) -> None:
        seen = Seen()
        for found in ([*self.BAD], [*self.BAD]):
            seen.look(found, set())
        assert [failure.id for failure in seen.failures] == ["image"]
        seen.look([], set())
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
        assert named_it.wait(HANGS_SECONDS)
    assert [failure.id for failure in watch.seen.failures] == ["image"]
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

        seen = SimpleNamespace(failures=(bad,))

        def __init__(self, _: object, *, teams: dict[str, str], stack: str, begun: object) -> None:
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


NOT_THERE = "failed to resolve reference docker.io/none/none:1: not found"


class TestWhoseItIs:
    """What of all that is on the host belongs to tenancy, and what is a team's own affair."""

    @staticmethod
    def synced(name: str, inside: str) -> dict[str, Any]:
        found = pod(name, containerStatuses=[container("ErrImagePull", NOT_THERE)])
        found["metadata"]["annotations"] = {"vcluster.loft.sh/object-namespace": inside}
        return found

    @staticmethod
    def event(name: str, when: datetime = NOW) -> dict[str, Any]:
        about = {"kind": "Pod", "name": name, "namespace": "team-ml"}
        return {"reason": "FailedMount", "message": "m", "involvedObject": about, "lastTimestamp": when.isoformat()}

    def test_a_team_s_own_pods_are_its_own_affair(self) -> None:
        everything = [pod(), self.synced("train", "default"), self.synced("check", "gpu-check")]
        kept, _ = ours(everything, [], since=NOW)
        assert [found["metadata"]["name"] for found in kept] == ["ml-0", "check"]  # type: ignore[index]

    def test_so_are_events_about_them_and_those_of_an_earlier_run_are_old(self) -> None:
        names = ("ml-0", "train-x-default-x-ml", "kai-x-kai-scheduler-x-ml")
        events = [*map(self.event, names), self.event("old", NOW - timedelta(hours=1)), {"reason": "FailedMount"}]
        _, told = ours([], events, since=NOW)
        assert [found["involvedObject"]["name"] for found in told] == [names[0], names[2]]  # type: ignore[index]

    def test_what_waits_inside_a_virtual_cluster_is_told_of_its_team(self) -> None:
        api = FakeApi()
        waiting_pod = pod("kai-0", "kai-scheduler", containerStatuses=[container("CrashLoopBackOff", "back-off")])
        refusal = {
            "reason": "SyncError",
            "message": "exceeded quota: tenant",
            "involvedObject": {"kind": "Pod", "name": "b", "namespace": "kai-scheduler"},
            "firstTimestamp": (NOW - GOES_ON).isoformat(),
            "lastTimestamp": NOW.isoformat(),
        }
        api.objects["/api/v1/namespaces/kai-scheduler/pods"] = [waiting_pod, pod("b", "kai-scheduler")]
        api.objects["/api/v1/namespaces/kai-scheduler/events"] = [refusal]
        with running(api):
            pods, events = inner_reader("ml", target_of(kubeconfig(api.url), "inside"))()
        found, _ = stuck(pods, events, teams={"kai-scheduler": "somebody else"}, stack="one")
        assert [one.failure.team for one in found] == ["ml", "ml"]
        assert "in the team's cluster" in found[0].failure.fix
        assert found[1].failure.id == "quota"
        assert {path.split("/")[4] for _, path in api.seen} == {
            "kube-system",
            "kai-scheduler",
            "gpu-check",
            "gpu-check-2",
        }


class TestHopeless:
    """A start that can't succeed is not waited out; one that may is."""

    @pytest.mark.parametrize(
        ("reason", "message", "hopeless"),
        [
            ("ErrImagePull", NOT_THERE, True),
            ("ImagePullBackOff", "pull access denied, repository does not exist", True),
            ("InvalidImageName", "", True),
            ("ErrImagePull", "toomanyrequests: you have reached your pull rate limit", False),
            ("ErrImagePull", "context deadline exceeded", False),
            ("CrashLoopBackOff", "not found", False),
        ],
    )
    def test_only_an_image_that_no_try_will_bring_is(self, reason: str, message: str, hopeless: bool) -> None:
        found, _ = stuck([pod(containerStatuses=[container(reason, message)])], [], teams=TEAMS, stack="one")
        assert [one.hopeless for one in found] == [hopeless]

    def test_and_only_after_a_while_and_while_it_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [1000.0]
        monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        bad, _ = stuck([pod(containerStatuses=[container("ErrImagePull", NOT_THERE)])], [], teams=TEAMS, stack="one")
        seen = Seen()
        for _ in range(PATIENCE):
            seen.look(bad, set())
        assert seen.hopeless() is None
        clock[0] += waiting.HOPELESS_SECONDS
        failure = seen.hopeless()
        assert failure is not None
        assert "can't be pulled" in failure.cause
        seen.look([], set())
        assert seen.hopeless() is None


def test_a_run_that_was_stopped_says_why_and_what_else_was_seen_each_cause_once(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = failure_of(DENIED, team="ml", step="pod ml-0", stack="one")
    assert bad is not None
    other = replace(bad, team="research", cause="something else")
    alike = [replace(bad, step="pod ml-1"), replace(bad, team="dev", step="pod dev-0")]
    stopped = Run(code=1, text="Updating (one):\nerror: update canceled\n", interrupted=False, stopped=str(bad))
    driver = engine.EngineDriver(place_of(argparse.Namespace(stack="one"), project.root))
    with pytest.raises(CommandError) as raised:
        driver._judge("up", stopped, [other, *alike, bad])
    told = f"teams ml, dev, pod ml-0: {bad.cause}; waiting would not have helped, so the run was stopped."
    assert raised.value.cause == told
    assert raised.value.fix == f"{bad.fix}; `make up STACK=one` goes on from here"
    assert "`kubectl -n team-ml get events --field-selector reason=Failed`" in bad.fix
    assert "also: team research, pod ml-0: something else" in raised.value.detail
    assert raised.value.detail.count("also:") == 1
    assert ".pulumi/logs/one-up.log" in raised.value.detail
