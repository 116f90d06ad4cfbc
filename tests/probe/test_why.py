"""Why a check's pod wrote no report: the sentence that a person reads first."""

from __future__ import annotations

import pytest

from probe.why import how_far, made_here, why_no_report
from tests.probe.test_verdict import pod


class TestWhyNoReport:
    """No capacity is nobody's fault; everything else names its cause."""

    def test_a_pod_that_the_scheduler_found_no_room_for_is_no_capacity(self) -> None:
        found, sentence = why_no_report([pod(scheduled="False", why="no node has 1 GPU left")], [])
        assert found == "no-capacity"
        assert "no node has 1 GPU left" in sentence

    def test_a_schedulers_event_is_as_good_as_its_condition(self) -> None:
        event = {"reason": "Unschedulable", "message": "queue over limit", "involvedObject": {"name": "p"}}
        assert why_no_report([pod()], [event])[0] == "no-capacity"

    def test_another_pods_event_says_nothing_about_this_one(self) -> None:
        event = {"reason": "Unschedulable", "message": "queue over limit", "involvedObject": {"name": "other"}}
        assert why_no_report([pod()], [event])[0] == "fail"

    def test_a_pod_that_no_scheduler_looked_at_is_a_failure_and_not_no_capacity(self) -> None:
        found, sentence = why_no_report([pod()], [])
        assert found == "fail"
        assert "no scheduler looked" in sentence

    def test_a_pod_that_the_webhook_refused_is_a_failure_with_the_refusal(self) -> None:
        event = {"reason": "FailedCreate", "message": 'failed calling webhook "kai"'}
        found, sentence = why_no_report([], [event])
        assert found == "fail"
        assert "failed calling webhook" in sentence

    @pytest.mark.parametrize("reason", ["OutOfnvidia.com/gpu", "UnexpectedAdmissionError"])
    def test_a_gpu_that_two_schedulers_gave_away_is_named(self, reason: str) -> None:
        dead = pod(scheduled="True", reason=reason, message="requested 1, used 1, capacity 1")
        found, sentence = why_no_report([dead, pod(scheduled="False", why="none left")], [])
        assert found == "fail"
        assert "another tenant" in sentence

    def test_a_container_that_does_not_start_says_why(self) -> None:
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        assert why_no_report([pod(scheduled="True", container=waiting)], []) == (
            "fail",
            "the check's container does not start (ImagePullBackOff: not found)",
        )

    def test_a_check_that_died_gives_its_last_words(self) -> None:
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        found, sentence = why_no_report([pod(scheduled="True", container=ended)], [])
        assert found == "fail"
        assert "137" in sentence
        assert "OOMKilled" in sentence

    @pytest.mark.parametrize(
        ("said", "found"), [("exceeded quota: tenant", "no-capacity"), ("PreemptionPolicy (Never)", "fail")]
    )
    def test_a_pod_that_the_host_would_not_have_says_why(self, said: str, found: str) -> None:
        event = {"reason": "SyncError", "message": said, "involvedObject": {"name": "p"}}
        assert why_no_report([pod(scheduled="True")], [event])[0] == found
        assert said in why_no_report([pod(scheduled="True")], [event])[1]

    def test_a_check_that_still_runs_at_its_deadline_is_a_failure(self) -> None:
        found, sentence = why_no_report([pod(scheduled="True", container={"running": {}})], [])
        assert found == "fail"
        assert "still running" in sentence

    def test_a_pod_that_kai_could_not_bind_is_a_failure_and_not_no_capacity(self) -> None:
        waits = pod(scheduled="False", why="no nodes with enough resources")
        failed = {
            "type": "PodBound",
            "status": "False",
            "message": "Failed to bind pod: failed waiting for GPU reservation pod to allocate: x",
        }
        waits["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-25T10:00:00Z"
        waits["status"]["conditions"].append({**failed, "lastTransitionTime": "2026-11-25T10:01:00Z"})
        found, sentence = why_no_report([waits], [])
        assert found == "fail"
        assert "failed waiting for GPU reservation pod" in sentence
        assert "each needs the GPU, a RuntimeClass and NVML" in sentence
        waits["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-25T10:02:00Z"
        assert why_no_report([waits], [])[0] == "no-capacity", "it failed once, and now there is no room"

    def test_a_binder_that_failed_for_another_reason_sends_nobody_to_the_reservation(self) -> None:
        failed = {"type": "PodBound", "status": "False", "message": "volume is not there"}
        found, sentence = why_no_report([{"metadata": {"name": "p"}, "status": {"conditions": [failed]}}], [])
        assert (found, "reservation" in sentence) == ("fail", False)

    @pytest.mark.parametrize(
        ("said", "fix"),
        [
            (
                "could not apply required modification to OCI specification: unresolvable CDI devices "
                "k8s.device-plugin.nvidia.com/gpu=GPU-1",
                "gpu.injection",
            ),
            (
                "nvidia-container-cli: device error: k8s.device-plugin.nvidia.com/gpu=GPU-1: unknown device",
                "mode legacy",
            ),
            ("nvidia-container-cli configure: unrecognized option '--cuda-compat-mode=disabled'", "of one version"),
            ("nvidia-container-cli: container error: cgroup subsystem devices not found", "from 1.8 on"),
            ("nvidia-container-cli: initialization error: nvml error: driver not loaded", "container toolkit"),
            ("could not apply required modification to OCI specification: requirements not met", "config.toml"),
        ],
    )
    def test_a_gpu_that_can_not_be_put_into_the_container_comes_with_the_fix(self, said: str, fix: str) -> None:
        waiting = {"waiting": {"reason": "CreateContainerError", "message": said}}
        found, sentence = why_no_report([pod(scheduled="True", container=waiting)], [])
        assert found == "fail"
        assert said in sentence
        assert fix in sentence
        ended = {"terminated": {"exitCode": 128, "reason": "StartError", "message": said}}
        assert fix in why_no_report([pod(scheduled="True", container=ended)], [])[1]

    def test_a_sandbox_that_can_not_be_made_gives_the_kubelets_reason(self) -> None:
        event = {
            "reason": "FailedCreatePodSandBox",
            "message": 'no runtime for "nvidia" is configured',
            "involvedObject": {"name": "p"},
        }
        for container in (None, {"waiting": {"reason": "ContainerCreating"}}):
            found, sentence = why_no_report([pod(scheduled="True", container=container)], [event])
            assert found == "fail"
            assert 'no runtime for "nvidia" is configured; the node\'s container runtime has no handler' in sentence
        assert "see the kubelet there" in why_no_report([pod(scheduled="True")], [])[1]

    def test_what_went_wrong_in_other_words_gets_no_advice_about_gpus(self) -> None:
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        assert why_no_report([pod(scheduled="True", container=waiting)], [])[1].endswith(
            "(ImagePullBackOff: not found)"
        )

    @pytest.mark.parametrize("reason", ["FailedMount", "FailedAttachVolume", "Failed", "InspectFailed"])
    def test_each_reason_of_the_kubelet_not_to_start_it_is_told(self, reason: str) -> None:
        event = {"reason": reason, "message": "configmap gpu-check-programs not found", "involvedObject": {"name": "p"}}
        assert "configmap gpu-check-programs not found" in why_no_report([pod(scheduled="True")], [event])[1]
        other = {**event, "involvedObject": {"name": "q"}}
        assert "not found" not in why_no_report([pod(scheduled="True")], [other])[1]

    @pytest.mark.parametrize("reason", ["UnexpectedAdmissionError", "NodeAffinity", "Evicted"])
    def test_a_node_that_refused_the_pod_is_quoted(self, reason: str) -> None:
        refused = pod(scheduled="True", reason=reason, message="the node was low on memory")
        found, sentence = why_no_report([refused], [])
        assert found == "fail"
        assert f"({reason}: the node was low on memory)" in sentence

    @pytest.mark.parametrize("reason", ["FailedScheduling", "Unschedulable"])
    def test_either_schedulers_event_says_that_there_is_no_room(self, reason: str) -> None:
        event = {"reason": reason, "message": "no GPU left", "involvedObject": {"name": "p"}}
        assert why_no_report([pod()], [event]) == ("no-capacity", "no GPU was free before the deadline: no GPU left")

    def test_a_binder_that_failed_in_the_moment_of_the_schedulers_word_counts(self) -> None:
        at = {"lastTransitionTime": "2026-11-25T10:00:00Z"}
        waits = {"type": "PodScheduled", "status": "False", "message": "no room", **at}
        failed = {"type": "PodBound", "status": "False", "message": "no reservation", **at}
        assert why_no_report([{"metadata": {}, "status": {"conditions": [waits, failed]}}], [])[0] == "fail"


def test_how_far_a_probe_came_is_told_where_it_said_so() -> None:
    assert how_far({"sentence": "in step fp32"}) == " (last heard of it: in step fp32)"
    assert how_far({}) == ""
    assert how_far(None) == ""


def test_a_report_that_is_made_here_repeats_what_was_expected_and_finds_nothing() -> None:
    whom = {"team": "ml", "pool": "a100", "node": None, "queue": "training", "mode": "whole", "stamp": "s1"}
    assert made_here({**whom, "deadlineSeconds": 5}, "no-capacity", "no GPU was free") == {
        "schemaVersion": "1.2",
        "verdict": "no-capacity",
        "sentence": "no GPU was free",
        "findings": [],
        "gpus": [],
        "timings": {},
        **whom,
    }
