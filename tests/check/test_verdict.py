"""What the verdict pod says where the asking pod left no report."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from components.check import verdict
from tests.conftest import ROOT

Json = dict[str, Any]
EXPECT: Json = {"team": "ml", "stamp": "s1", "deadlineSeconds": 5, "onFailure": "fail", "mode": "whole", "fake": False}


def pod(*, scheduled: str | None = None, why: str = "", container: Json | None = None, **status: Any) -> Json:
    conditions = [] if scheduled is None else [{"type": "PodScheduled", "status": scheduled, "message": why}]
    containers = [] if container is None else [{"state": container}]
    return {"metadata": {"name": "p"}, "status": {"conditions": conditions, "containerStatuses": containers, **status}}


class TestWhyNoReport:
    """No capacity is nobody's fault; everything else names its cause."""

    def test_a_pod_that_the_scheduler_found_no_room_for_is_no_capacity(self) -> None:
        found, sentence = verdict.why_no_report([pod(scheduled="False", why="no node has 1 GPU left")], [])
        assert found == "no-capacity"
        assert "no node has 1 GPU left" in sentence

    def test_a_schedulers_event_is_as_good_as_its_condition(self) -> None:
        event = {"reason": "Unschedulable", "message": "queue over limit", "involvedObject": {"name": "p"}}
        assert verdict.why_no_report([pod()], [event])[0] == "no-capacity"

    def test_another_pods_event_says_nothing_about_this_one(self) -> None:
        event = {"reason": "Unschedulable", "message": "queue over limit", "involvedObject": {"name": "other"}}
        assert verdict.why_no_report([pod()], [event])[0] == "fail"

    def test_a_pod_that_no_scheduler_looked_at_is_a_failure_and_not_no_capacity(self) -> None:
        found, sentence = verdict.why_no_report([pod()], [])
        assert found == "fail"
        assert "no scheduler looked" in sentence

    def test_a_pod_that_the_webhook_refused_is_a_failure_with_the_refusal(self) -> None:
        event = {"reason": "FailedCreate", "message": 'failed calling webhook "kai"'}
        found, sentence = verdict.why_no_report([], [event])
        assert found == "fail"
        assert "failed calling webhook" in sentence

    @pytest.mark.parametrize("reason", ["OutOfnvidia.com/gpu", "UnexpectedAdmissionError"])
    def test_a_gpu_that_two_schedulers_gave_away_is_named(self, reason: str) -> None:
        dead = pod(scheduled="True", reason=reason, message="requested 1, used 1, capacity 1")
        found, sentence = verdict.why_no_report([dead, pod(scheduled="False", why="none left")], [])
        assert found == "fail"
        assert "another tenant" in sentence

    def test_a_container_that_does_not_start_says_why(self) -> None:
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        assert verdict.why_no_report([pod(scheduled="True", container=waiting)], []) == (
            "fail",
            "the check's container does not start (ImagePullBackOff: not found)",
        )

    def test_a_check_that_died_gives_its_last_words(self) -> None:
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        found, sentence = verdict.why_no_report([pod(scheduled="True", container=ended)], [])
        assert found == "fail"
        assert "137" in sentence
        assert "OOMKilled" in sentence

    @pytest.mark.parametrize(
        ("said", "found"), [("exceeded quota: tenant", "no-capacity"), ("PreemptionPolicy (Never)", "fail")]
    )
    def test_a_pod_that_the_host_would_not_have_says_why(self, said: str, found: str) -> None:
        event = {"reason": "SyncError", "message": said, "involvedObject": {"name": "p"}}
        assert verdict.why_no_report([pod(scheduled="True")], [event])[0] == found
        assert said in verdict.why_no_report([pod(scheduled="True")], [event])[1]

    def test_a_check_that_still_runs_at_its_deadline_is_a_failure(self) -> None:
        found, sentence = verdict.why_no_report([pod(scheduled="True", container={"running": {}})], [])
        assert found == "fail"
        assert "still running" in sentence


class FakeApi(verdict.Api):
    """An API server that answers from a script, by the last part of the path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def call(
        self, path: str, method: str = "GET", body: Json | None = None, content_type: str = "application/json"
    ) -> Json | None:
        for key, answer in self.answers.items():
            if key in path:
                if isinstance(answer, Exception):
                    raise answer
                found: Json | None = answer
                return found
        return None


class Clock:
    """Seconds that pass only while somebody sleeps."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def wait(answers: dict[str, Any], **expect: Any) -> tuple[Json, bool, float]:
    clock = Clock()
    report, ours = verdict.wait(FakeApi(answers), "n", "j", "r", {**EXPECT, **expect}, clock.sleep, clock)
    return report, ours, clock.now


def configmap(report: Json, **more: Json) -> Json:
    return {"data": {"report.json": json.dumps(report), **{k: json.dumps(v) for k, v in more.items()}}}


class TestWait:
    """Until the report of this very run, or the deadline."""

    def test_the_probes_own_report_is_taken_at_once(self) -> None:
        report, ours, seconds = wait({"configmaps/": configmap({"verdict": "pass", "stamp": "s1"})})
        assert (report["verdict"], ours, seconds) == ("pass", False, 0.0)

    def test_the_report_of_an_earlier_run_does_not_count(self) -> None:
        report, ours, _ = wait({"configmaps/": configmap({"verdict": "pass", "stamp": "old"})})
        assert ours
        assert report["verdict"] == "fail"

    def test_a_waiting_pod_is_judged_at_the_deadline_and_not_before(self) -> None:
        report, ours, seconds = wait({"/pods": {"items": [pod(scheduled="False", why="full")]}})
        assert (report["verdict"], ours) == ("no-capacity", True)
        assert 5 <= seconds < 8

    def test_a_job_that_is_over_is_not_waited_for(self) -> None:
        failed = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
        ended = {"terminated": {"exitCode": 1, "message": "boom"}}
        answers = {"/jobs/": failed, "/pods": {"items": [pod(scheduled="True", container=ended)]}}
        report, _, seconds = wait(answers, deadlineSeconds=600)
        assert report["verdict"] == "fail"
        assert seconds < 10

    def test_an_api_server_that_never_answers_is_could_not_tell(self) -> None:
        report, _, _ = wait({"configmaps/": OSError("no route")})
        assert report["verdict"] == "could-not-tell"

    def test_how_far_the_probe_came_is_told(self) -> None:
        progress = {"data": {"progress.json": json.dumps({"sentence": "in step fp32"})}}
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        report, _, _ = wait({"configmaps/": progress, "/pods": {"items": [pod(scheduled="True", container=ended)]}})
        assert "in step fp32" in report["sentence"]

    def test_a_report_that_is_made_here_keeps_to_the_published_schema(self) -> None:
        schema = json.loads((ROOT / "components" / "check" / "report.schema.json").read_text())
        jsonschema.validate(verdict.made_here(EXPECT, "no-capacity", "no GPU was free"), schema)


class TestFails:
    """Which verdicts fail the deploy."""

    @pytest.mark.parametrize(
        ("found", "expect", "failing"),
        [
            ("pass", {}, False),
            ("warn", {}, False),
            ("warn", {"onFailure": "warn"}, True),
            ("fail", {}, True),
            ("could-not-tell", {}, True),
            ("no-capacity", {"onFailure": "warn"}, False),
            ("simulated", {"fake": True}, False),
            ("simulated", {"fake": False}, True),
        ],
    )
    def test_a_verdict_at_or_above_the_bound(self, found: str, expect: Json, failing: bool) -> None:
        assert verdict.fails(found, {**EXPECT, **expect}) is failing
