"""What the verdict pod waits for, writes and says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from probe import pair, verdict, why
from probe import watch as watching
from probe.api import Api
from tests.conftest import ROOT
from tests.probe.world import VALIDATOR

Json = dict[str, Any]
EXPECT: Json = {"team": "ml", "stamp": "s1", "deadlineSeconds": 5, "onFailure": "fail", "mode": "whole", "fake": False}


def pod(*, scheduled: str | None = None, why: str = "", container: Json | None = None, **status: Any) -> Json:
    conditions = [] if scheduled is None else [{"type": "PodScheduled", "status": scheduled, "message": why}]
    containers = [] if container is None else [{"state": container}]
    return {"metadata": {"name": "p"}, "status": {"conditions": conditions, "containerStatuses": containers, **status}}


class FakeApi(Api):
    """An API server that answers from a script, by a part of the path. Of a list, one each time; its last for ever."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, str, Json | None]] = []

    def call(
        self,
        path: str,
        method: str = "GET",
        body: Json | None = None,
        content_type: str = "application/json",
        timeout: float = 15,
    ) -> Json | None:
        self.calls.append((method, path, body))
        for key, answer in self.answers.items():
            wanted, _, part = key.rpartition(" ")
            if part in path and wanted in ("", method):
                found = answer if not isinstance(answer, list) else answer.pop(0) if len(answer) > 1 else answer[0]
                if isinstance(found, Exception):
                    raise found
                return found  # type: ignore[no-any-return]
        return None


class Clock:
    """Seconds that pass only while somebody sleeps."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


ASKED = watching.Asked(namespace="n", job="j", report="r")
JOB: Json = {"metadata": {"uid": "run1"}}


def watch(answers: dict[str, Any], clock: Clock, **expect: Any) -> watching.Watch:
    wanted = {**EXPECT, **expect}
    return watching.Watch(FakeApi(answers), "n", wanted, wanted["deadlineSeconds"], clock.sleep, clock)


def wait(answers: dict[str, Any], **expect: Any) -> tuple[Json, bool, float]:
    clock = Clock()
    report, ours = watch({"/jobs/": JOB, **answers}, clock, **expect).report(ASKED)
    return report, ours, clock.now


def configmap(report: Json, **more: Json) -> Json:
    return {"data": {"report.json": json.dumps(report), **{k: json.dumps(v) for k, v in more.items()}}}


def report(**values: Any) -> Json:
    return {"verdict": "pass", "sentence": "all well", "stamp": "s1", "run": "run1", **values}


class TestWait:
    """Until the report of this very run, or the deadline."""

    def test_the_probes_own_report_is_taken_at_once(self) -> None:
        found, ours, seconds = wait({"configmaps/": configmap(report())})
        assert (found["verdict"], ours, seconds) == ("pass", False, 0.0)

    @pytest.mark.parametrize("earlier", [{"stamp": "old"}, {"run": "run0"}, {"run": None}])
    def test_the_report_of_an_earlier_run_does_not_count(self, earlier: Json) -> None:
        found, ours, _ = wait({"configmaps/": configmap(report(**earlier))})
        assert ours
        assert found["verdict"] == "fail"

    def test_a_waiting_pod_is_judged_at_the_deadline_and_not_before(self) -> None:
        found, ours, seconds = wait({"/pods": {"items": [pod(scheduled="False", why="full")]}})
        assert (found["verdict"], ours) == ("no-capacity", True)
        assert 5 <= seconds < 8

    def test_a_job_that_is_over_is_not_waited_for(self) -> None:
        failed = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
        ended = {"terminated": {"exitCode": 1, "message": "boom"}}
        answers = {"/jobs/": failed, "/pods": {"items": [pod(scheduled="True", container=ended)]}}
        found, _, seconds = wait(answers, deadlineSeconds=600)
        assert found["verdict"] == "fail"
        assert seconds < 10

    def test_an_api_server_that_never_answers_is_could_not_tell(self) -> None:
        found, _, _ = wait({"configmaps/": OSError("no route")})
        assert found["verdict"] == "could-not-tell"

    def test_how_far_the_probe_came_is_told(self) -> None:
        progress = {"data": {"progress.json": json.dumps({"sentence": "in step fp32"})}}
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        found, _, _ = wait({"configmaps/": progress, "/pods": {"items": [pod(scheduled="True", container=ended)]}})
        assert "in step fp32" in found["sentence"]

    def test_a_report_that_is_made_here_keeps_to_the_published_schema(self) -> None:
        VALIDATOR.validate(why.made_here(EXPECT, "no-capacity", "no GPU was free"))

    def test_the_gpu_is_given_back_before_the_deploy_goes_on(self) -> None:
        clock, done = Clock(), {**JOB, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
        watch({"/jobs/": [JOB, JOB, done]}, clock).linger([ASKED])
        assert clock.now == 2 * watching.POLL_SECONDS

    def test_a_job_that_never_ends_is_not_waited_for_long(self) -> None:
        clock = Clock()
        watch({"/jobs/": JOB}, clock).linger([ASKED])
        assert clock.now == watching.LINGER_SECONDS


def half(fraction: str, *, group: str | None = "g1", phase: str = "Running", node: str | None = "gpu-0") -> Json:
    """A pod of a pair, or the third."""
    labels = {"runai-gpu-group": group} if group else {}
    metadata = {"name": f"p{fraction}", "namespace": "n", "labels": labels, "annotations": {"gpu-fraction": fraction}}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}}


def waiting_third(why: str = "the queue is over its limit") -> Json:
    conditions = [{"type": "PodScheduled", "status": "False", "message": why}]
    found = half("0.3", group=None, phase="Pending", node=None)
    return {**found, "status": {"phase": "Pending", "conditions": conditions}}


def rows(*uuids: str | None, **second: Any) -> list[Json]:
    one, two = uuids or (None, None)
    first = pair.row(half("0.3"), {"coverage": {"uuids": [one]}})
    return [first, pair.row(half("0.5", **second), {"coverage": {"uuids": [two]}})]


class TestPair:
    """Two shares of one GPU, at the same time, and no room for a third."""

    @pytest.mark.parametrize(
        ("found", "severity", "words"),
        [
            (rows("GPU-1", "GPU-1"), "info", "on one GPU: GPU-1, GPU-1"),
            (rows("GPU-1", "GPU-2"), "fail", "on different GPU: GPU-1, GPU-2"),
            (rows(), "info", "on one GPU group: g1, g1"),
            (rows(group="g2"), "fail", "on different GPU group"),
            (rows(node="gpu-1"), "fail", "on different GPU group"),
            (rows(group=None), "unknown", "neither GPU nor GPU group is known"),
            (rows(phase="Failed"), "unknown", "did not run at the same time: p0.3 is Running, p0.5 is Failed"),
        ],
    )
    def test_one_gpu_is_what_both_must_see(self, found: list[Json], severity: str, words: str) -> None:
        (judged,) = pair.judge_pair(found)
        assert judged["severity"] == severity
        assert words in judged["message"]

    @pytest.mark.parametrize(
        ("third", "severity", "words"),
        [
            (waiting_third(), "info", "stayed Pending: the queue is over its limit"),
            (half("0.3", group="g1"), "fail", "placed on the pair's GPU, which has no room"),
            (half("0.3", group="g2"), "info", "was placed on another GPU"),
            (half("0.3", group=None, phase="Pending", node=None), "unknown", "No scheduler said anything"),
        ],
    )
    def test_a_third_has_no_room_beside_them(self, third: Json, severity: str, words: str) -> None:
        judged = pair.judge_third(third, rows())
        assert judged["severity"] == severity
        assert words in judged["message"]

    def together(
        self, third: Any, *halves: Json, second: Json | None = None, seen: list[Json] | None = None
    ) -> tuple[Json, FakeApi, float]:
        two = watching.Asked(namespace="n2", job="j", report="r2")
        answers = {
            "/n/pods?": {"items": [half("0.3", phase="Failed"), half("0.3")]},
            "/n2/pods?": [{"items": [found]} for found in (seen or [second or half("0.5")])],
            "GET /n2/pods/": third,
            "POST /n2/pods": half("0.3", group=None, phase="Pending", node=None),
        }
        clock, manifest = Clock(), {"metadata": {"name": "third", "namespace": "n2"}}
        watcher = watch(answers, clock)
        made = verdict.together(watcher, [ASKED, two], halves or (report(), report()), manifest)
        VALIDATOR.validate({**made, "halves": []})
        assert isinstance(watcher.api, FakeApi)
        return made, watcher.api, clock.now

    def test_both_on_one_gpu_and_the_third_pending_is_a_pass_with_a_listing(self) -> None:
        made, api, seconds = self.together(waiting_third())
        assert made["verdict"] == "pass"
        assert "on one GPU group" in made["sentence"]
        assert "stayed Pending" in made["sentence"]
        assert [r["status"] for r in made["pods"]] == ["Running", "Running", "Pending"]
        assert seconds == pair.THIRD_SECONDS
        assert api.calls[-1][:2] == ("DELETE", "/api/v1/namespaces/n2/pods/third"), "the third is taken away"
        lines = pair.listing(made["pods"]).splitlines()
        assert lines[0].split() == ["NAMESPACE", "NAME", "STATUS", "NODE", "FRACTION", "GPUGROUP", "GPU"]
        assert lines[1].split() == ["n", "p0.3", "Running", "gpu-0", "0.3", "g1", "-"]

    def test_a_pod_whose_status_lags_its_report_is_waited_for_and_not_for_ever(self) -> None:
        late = half("0.5", phase="Pending")
        made, _, seconds = self.together(waiting_third(), seen=[late, late, half("0.5")])
        assert made["verdict"] == "pass"
        assert seconds == pair.THIRD_SECONDS + 2 * watching.POLL_SECONDS
        made, _, seconds = self.together(waiting_third(), seen=[late])
        assert made["verdict"] == "could-not-tell"
        assert seconds < pair.THIRD_SECONDS + watching.SYNC_SECONDS + 2

    def test_a_third_that_is_placed_is_not_watched_any_longer(self) -> None:
        made, _, seconds = self.together(half("0.3", group="g1"))
        assert made["verdict"] == "fail"
        assert "no room for it" in made["sentence"]
        assert seconds < pair.THIRD_SECONDS

    def test_the_worst_of_all_is_the_verdict(self) -> None:
        made, _, _ = self.together(waiting_third(), report(), report(verdict="warn", sentence="slow copies"))
        assert (made["verdict"], made["sentence"]) == ("warn", "slow copies")
        spread = half("0.5", group="g2")
        made, _, _ = self.together(waiting_third(), report(), report(verdict="warn", sentence="slow"), second=spread)
        assert made["verdict"] == "fail"
        assert "different GPU group" in made["sentence"]

    def test_fake_gpus_stay_simulated_and_still_show_how_they_were_shared(self) -> None:
        fake = report(verdict="simulated", sentence="The GPUs are fake.")
        made, _, _ = self.together(waiting_third(), fake, fake)
        assert made["verdict"] == "simulated"
        assert made["sentence"].startswith("The GPUs are fake. Shares 0.3 in n and 0.5 in n ran")

    def test_a_third_that_could_not_be_made_is_not_taken_for_one_without_room(self) -> None:
        watcher = watch({"POST /pods": OSError("exceeded quota"), "/pods?": {"items": [half("0.3")]}}, Clock())
        manifest = {"metadata": {"name": "third", "namespace": "n"}}
        made = verdict.together(watcher, [ASKED, ASKED], (report(), report()), manifest)
        assert made["verdict"] == "could-not-tell"
        assert "exceeded quota" in made["sentence"]


class TestHold:
    """Half of a pair stays in place until it was seen beside the other."""

    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "GPU_CHECK_EXPECT": json.dumps(EXPECT),
            "GPU_CHECK_NAMESPACE": "n",
            "GPU_CHECK_HELD_UNTIL": "r",
            "GPU_CHECK_RUN": "run1",
        }.items():
            monkeypatch.setenv(name, value)

    def hold(self, *seen: Any, probe: int = 0) -> tuple[int, float]:
        clock = Clock()
        before = signal.getsignal(signal.SIGTERM)
        command = [sys.executable, "-c", f"raise SystemExit({probe})"]
        try:
            code = verdict.hold(command, FakeApi({"/r": list(seen)}), clock.sleep, clock)
        finally:
            signal.signal(signal.SIGTERM, before)
        return code, clock.now

    def test_it_goes_when_the_verdict_names_its_run(self) -> None:
        earlier, own = configmap({"runs": ["run0"]}), configmap({"runs": ["run2", "run1"], "verdict": "pass"})
        assert self.hold(None, None, earlier, OSError("no route"), own) == (0, 3 * watching.POLL_SECONDS)

    @pytest.mark.parametrize(("said", "code"), [("fail", 1), ("could-not-tell", 1), ("no-capacity", 0), ("warn", 0)])
    def test_a_pair_that_failed_fails_its_jobs_so_that_the_next_up_makes_them_anew(self, said: str, code: int) -> None:
        own = configmap({"runs": ["run1"], "verdict": said})
        assert self.hold(None, own)[0] == code
        assert self.hold(own, probe=3) == (code, 0), "a second try runs no probe"

    def test_the_probes_own_exit_code_counts(self) -> None:
        assert self.hold(None, configmap({"runs": ["run1"], "verdict": "pass"}), probe=3)[0] == 3

    @pytest.mark.slow
    def test_the_words_after_hold_reach_the_probe(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("not a token")
        simulation = json.loads((ROOT / "probe/simulations/fraction.json").read_text())
        recorded = tmp_path / "recorded.json"
        here = {"granted": {"NVIDIA_VISIBLE_DEVICES": "GPU-other", "GPU_PORTION": "0.3"}}
        simulation["base"] = str(ROOT / "probe/simulations" / simulation["base"])
        simulation["steps"]["runtime"].update(here)
        recorded.write_text(json.dumps(simulation))
        report = tmp_path / "report.json"
        command = [sys.executable, str(ROOT / "probe/verdict.py"), "hold", "--simulate", str(recorded)]
        environment = {
            "PATH": "",
            "GPU_CHECK_EXPECT": json.dumps({**EXPECT, "deadlineSeconds": 0.1, "mode": "fraction", "fraction": 0.3}),
            "GPU_CHECK_NAMESPACE": "n",
            "GPU_CHECK_HELD_UNTIL": "r",
            "GPU_CHECK_RUN": "run1",
            "GPU_CHECK_API_SERVER": "http://127.0.0.1:1",
            "GPU_CHECK_SERVICEACCOUNT_DIR": str(tmp_path),
        }
        subprocess.run([*command, "--report", str(report), "--deadline", "60"], env=environment, check=False)
        (uuid,) = [f for f in json.loads(report.read_text())["findings"] if f["id"] == "sharing.uuid"]
        assert (uuid["severity"], uuid["value"]) == ("fail", "GPU-other")

    def test_it_goes_at_the_deadline_in_any_case(self) -> None:
        assert self.hold(None) == (0, EXPECT["deadlineSeconds"])


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
