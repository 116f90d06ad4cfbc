"""The table of `status`, and what is read of a team's API; a dead one is a row and no error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from cli import cluster
from cli.cluster import Target, target_of
from cli.driver import TeamState
from cli.status import Row, age, pairs, rows, rows_of_state, show, team_state
from kube.client import connect_to
from settings.load import load_stack_file
from tests.cli.conftest import STACK_FILE, Project
from tests.cli.fake_api import FakeApi, kubeconfig, named
from tests.conftest import nobody

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REPORT = "/api/v1/namespaces/gpu-check/configmaps/gpu-check-report"
OUTPUT = {
    "schedulerVersion": "v0.9.3",
    "check": json.dumps({"verdict": "warn", "startedAt": "2026-11-22T09:00:00Z"}),
}

VIRTUAL = {**OUTPUT, "mode": "virtual", "namespace": "team-ml"}
"""With a KAI of its own."""


def at(url: str) -> Target:
    """A team's API."""
    return target_of(kubeconfig(url), "here")


def report(verdict: str, **body: Any) -> dict[str, Any]:
    """The check's ConfigMap."""
    data = {"verdict": verdict, "report.json": json.dumps({"verdict": verdict, **body})}
    manager = {"manager": "gpu-check", "operation": "Apply", "time": "2026-11-22T11:58:00Z"}
    return named("ConfigMap", "v1", "gpu-check-report", data=data, metadata={"managedFields": [manager]})


def test_a_report_in_the_cluster_is_newer_than_the_one_in_the_outputs(api: FakeApi) -> None:
    api.named[REPORT] = report("pass", startedAt="2026-11-22T11:00:00Z")
    state = team_state(OUTPUT, at(api.url))
    assert (state.api, state.verdict, state.scheduler_version) == ("up", "pass", "v0.9.3")
    assert state.checked_at == datetime(2026, 11, 22, 11, 0, tzinfo=UTC)


def test_a_report_without_a_time_is_as_old_as_its_last_writing(api: FakeApi) -> None:
    api.named[REPORT] = report("no-capacity")
    assert team_state(OUTPUT, at(api.url)).checked_at == datetime(2026, 11, 22, 11, 58, tzinfo=UTC)


def test_a_team_that_was_not_checked_lately_shows_the_outputs_verdict(api: FakeApi) -> None:
    state = team_state(OUTPUT, at(api.url))
    assert (state.api, state.verdict) == ("up", "warn")


def test_a_team_whose_api_is_down_says_so_and_keeps_its_last_verdict() -> None:
    with nobody() as held:
        state = team_state(OUTPUT, at(f"http://127.0.0.1:{held.getsockname()[1]}"))
    assert state.api.startswith("down: ")
    assert state.verdict == "warn"


def test_a_refused_team_api_is_down_too(api: FakeApi) -> None:
    api.refused[REPORT] = 401
    assert "does not accept the credentials" in team_state(OUTPUT, at(api.url)).api


def test_a_team_s_api_is_asked_through_one_connection(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def connecting(*about: Any) -> httpx2.Client:
        made.append(about)
        return connect_to(*about)

    monkeypatch.setattr(cluster, "connect_to", connecting)
    api.named[REPORT] = report("pass")
    assert team_state(VIRTUAL, at(api.url)).api == "up"
    assert len(api.seen) > 1
    assert len(made) == 1


def test_a_question_about_its_scheduler_that_gets_no_answer_makes_no_api_down(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = api.answer

    def silent(method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/deployments"):
            raise httpx2.ReadTimeout("no answer")
        return answer(method, path, body)

    monkeypatch.setattr(api, "answer", silent)
    api.named[REPORT] = report("pass")
    state = team_state(VIRTUAL, at(api.url))
    assert (state.api, state.verdict) == ("up", "pass")


def test_without_the_secret_the_team_is_not_asked() -> None:
    assert team_state(OUTPUT, None).api == "not asked"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (90000, "1 d"), (-5, "0 s")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, words: str) -> None:
    assert age(timedelta(seconds=seconds)) == words


def test_a_row_shows_quota_limit_queues_and_the_last_check(project: Project) -> None:
    project.write(
        STACK_FILE.replace("gpus: 2", "gpus: {quota: 1, limit: 2}").replace("gpu: 2", "gpu: {quota: 1, limit: 2}")
    )
    state = TeamState(api="up", scheduler_version="v0.9.3", verdict="pass", checked_at=NOW - timedelta(hours=3))
    row = rows(load_stack_file(project.root / "Pulumi.one.yaml"), {"ml": state}, now=NOW)[0]
    assert (row.gpus, row.queues, row.check) == ("1 of 2 GPUs", "training -/1/2", "pass, 3 h ago")


def test_a_team_that_failed_says_so_whatever_its_last_check_was(project: Project) -> None:
    failed = {**OUTPUT, "failed": ["resource ml-queues-parent failed to register"]}
    row = rows(load_stack_file(project.root / "Pulumi.one.yaml"), {"ml": team_state(failed, None)}, now=NOW)[0]
    assert row.check == "not whole: resource ml-queues-parent failed to register"


def test_status_of_a_stack_that_was_never_made_shows_what_the_file_says(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("status", "--json") == 0
    row = json.loads(capsys.readouterr().out)["teams"][0]
    assert (row["team"], row["api"], row["check"]) == ("ml", "not made", "-")


def test_status_reads_every_team_and_prints_no_kubeconfig(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.api.named[REPORT] = report("pass")
    project.outputs({"teams": {"ml": OUTPUT}, "kubeconfigs": {"ml": {"admin": kubeconfig(project.api.url)}}})
    assert project.run("status") == 0
    said = capsys.readouterr()
    assert "not-a-real-token" not in said.err + said.out
    row = next(line for line in said.out.splitlines() if line.startswith("ml"))
    assert "up" in row
    assert "pass" in row


def test_who_shared_a_gpu_with_whom_is_listed(api: FakeApi) -> None:
    pod = {"namespace": "gpu-check", "name": "p", "status": "Running", "node": "gpu-0", "fraction": "0.3"}
    pods = [{**pod, "gpuGroup": "g1", "gpu": "GPU-1"}, {**pod, "namespace": "gpu-check-2"}, "no pod"]
    api.named[REPORT] = report("pass", pods=pods)
    text = pairs({"ml": team_state(OUTPUT, at(api.url)), "research": team_state(OUTPUT, None)})
    assert text.startswith("\nthe pair of ml\nNAMESPACE")
    assert text.splitlines()[3].split() == ["gpu-check", "p", "Running", "gpu-0", "0.3", "g1", "GPU-1"]
    assert text.splitlines()[4].split() == ["gpu-check-2", "p", "Running", "gpu-0", "0.3", "-", "-"]
    assert "research" not in text
    narrow = pairs({"ml": team_state(OUTPUT, at(api.url))}, 40)
    assert max(len(line) for line in narrow.splitlines()) <= 40
    assert "namespace gpu-check, name p, status" in narrow


LONG: dict[str, Any] = {
    "team": "vision-research-canary",
    "pool": "a100-80gb",
    "mode": "virtual",
    "version": "v0.16.8",
    "gpus": "12 of 16 replicas",
    "queues": "training 8/16, notebooks 4/4, evaluation-nightly 0/2",
    "resources": "64 CPU, 512Gi, 120 pods",
    "api": "up",
    "check": "could-not-tell, 12 min ago",
    "age": "12 d",
    "namespace": "team-vision-research-canary",
    "vcluster": "0.36.1",
    "kubernetes": "v1.34.4",
    "used": "11.5",
    "pods": "11 Running, 3 Pending, 1 CrashLoopBackOff",
    "kai": "6 of 7 ready, binder",
}


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_word_is_broken_and_no_line_is_too_long(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show([Row(**LONG), Row(**{**LONG, "team": "ml"})], stack="dev", now=NOW)
    said = capsys.readouterr().out
    assert max(len(line) for line in said.splitlines()) <= width
    words = {word.strip(",;:") for word in said.split()}
    assert {word.strip(",") for value in LONG.values() for word in value.split()} <= words


def test_where_there_is_room_the_rows_are_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    show([Row(**LONG)], stack="dev", now=NOW)
    heading, header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["team", "pool"]
    assert row.startswith("vision-research-canary")
    assert heading.startswith("stack dev at 2026-11-22 ")


def test_a_row_without_a_stack_file_says_what_the_last_run_made() -> None:
    output = {**OUTPUT, "pool": "a", "mode": "virtual", "gpuQuota": 1.0, "gpuLimit": 2, "cpu": "8", "memory": "16Gi"}
    queues = {"training": {"quota": 1, "limit": 2}, "broken": "no queue"}
    state = team_state({**output, "pods": 30, "queues": queues}, None)
    (row,) = rows_of_state({"ml": state}, now=NOW)
    assert (row.pool, row.mode, row.version) == ("a", "virtual", "v0.9.3")
    assert (row.gpus, row.queues, row.resources) == ("1 of 2", "training -/1/2", "8 CPU, 16Gi, 30 pods")
    (empty,) = rows_of_state({"ml": team_state({}, None)}, now=NOW)
    assert (empty.pool, empty.gpus, empty.queues) == ("-", "- of -", "-")
