"""The GPU checks that the program registers, and what all components share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.components.program import JOB, PRIORITY, RELEASE, TEAM, depends_on, lab
from tests.conftest import Declare
from tests.recording import Recorder


class TestCheck:
    """The check asks as the team's own work does."""

    def test_a_check_is_asked_when_its_pod_would_be_let_in_and_its_predecessor_is_gone(self, declare: Declare) -> None:
        recorder = declare("lab")
        for job in ("ml-check-job", "ml-check-job-1"):
            hooks = recorder.one(JOB, job).options.hooks
            assert list(hooks.before_create) == ["ml-virtual-cluster-answers", job.replace("-job", "-prepared")]
            assert list(hooks.on_error) == ["ml-check-asking"]

    def test_a_team_that_moves_to_another_mode_is_checked_again(self, declare: Declare) -> None:
        ways: dict[str, dict[str, Any]] = {
            "virtual": {"scheduler": {"mode": "virtual", "version": "v0.16.8"}, "queues": {"work": {"gpu": 8}}},
            "host": {"scheduler": {"mode": "host"}, "queues": {"work": {"gpu": 8}}},
            "default": {"scheduler": {"mode": "default"}, "queues": {}},
        }
        stamps, owned = {}, {}
        for mode, way in ways.items():
            data = lab("research", checked=True, host={"provider": "lab", "scheduler": {"version": "v0.16.8"}})
            data["teams"]["research"].update(way)
            recorder = declare(data)
            stamps[mode] = self.pod(recorder, "research")["metadata"]["annotations"]["gpu-tenancy/stamp"]
            values = recorder.one(RELEASE, "research-virtual-cluster-vcluster").inputs["values"]
            owned[mode] = values.get("experimental", {}).get("syncSettings", {}).get("setOwner", True)
        assert len(set(stamps.values())) == 3
        assert owned == {"virtual": True, "host": False, "default": True}

    def pod(self, recorder: Recorder, team: str) -> Any:
        return recorder.one(JOB, f"{team}-check-job").inputs["spec"]["template"]

    def test_a_fraction_is_asked_for_by_annotation_and_holds_no_whole_gpu(self, declare: Declare) -> None:
        template = self.pod(declare(lab("ml", teams__ml__check={"queue": "notebooks", "fraction": 0.5})), "ml")
        assert template["metadata"]["annotations"]["gpu-fraction"] == "0.5"
        assert "limits" not in template["spec"]["containers"][0]["resources"]

    def test_whole_gpus_are_asked_for_by_limit_through_the_teams_queue(self, declare: Declare) -> None:
        template = self.pod(declare("lab"), "research")
        assert template["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
        assert template["spec"]["schedulerName"] == "kai-scheduler"
        assert template["metadata"]["labels"]["kai.scheduler/queue"] == "experiments"

    def test_a_pair_asks_for_two_shares_in_two_namespaces_and_stays_until_it_was_seen(self, declare: Declare) -> None:
        recorder = declare("lab")
        halves = [recorder.one(JOB, "ml-check-job"), recorder.one(JOB, "ml-check-job-1")]
        assert [half.metadata["namespace"] for half in halves] == ["gpu-check", "gpu-check-2"]
        pods = [half.inputs["spec"]["template"] for half in halves]
        assert [pod["metadata"]["annotations"]["gpu-fraction"] for pod in pods] == ["0.3", "0.5"]
        for pod in pods:
            assert pod["spec"]["containers"][0]["command"][-1] == "hold"
            assert pod["metadata"]["labels"]["kai.scheduler/queue"] == "notebooks"
            assert pod["spec"]["priorityClassName"] == "gpu-check"

    def test_the_third_pod_is_like_the_pair_and_has_no_room_beside_it(self, declare: Declare) -> None:
        container = declare("lab").one(JOB, "ml-check-verdict").inputs["spec"]["template"]["spec"]["containers"][0]
        third = json.loads({item["name"]: item["value"] for item in container["env"]}["GPU_CHECK_THIRD"])
        assert third["metadata"]["annotations"]["gpu-fraction"] == "0.3", "the pair leaves 0.2"
        assert third["metadata"]["labels"]["kai.scheduler/queue"] == "notebooks"
        assert third["spec"]["schedulerName"] == "kai-scheduler"
        assert third["spec"]["containers"][0]["command"] == ["python3", "-c", "pass"]

    def test_a_check_that_failed_or_found_no_gpu_is_asked_again_by_the_next_up(self, declare: Declare) -> None:
        recorder = declare("lab")
        asking, verdict = recorder.one(JOB, "research-check-job"), recorder.one(JOB, "research-check-verdict")
        assert asking.metadata["annotations"]["pulumi.com/replaceUnready"] == "true"
        runs = verdict.inputs["spec"]["template"]["metadata"]["annotations"]["gpu-tenancy/runs"]
        assert runs == "uid-of-research-check-job", "a new asking Job must bring a new verdict"

    def test_an_old_job_of_a_check_holds_the_next_one_for_nothing(self, declare: Declare) -> None:
        # in a virtual cluster whose KAI was changed the garbage collector left the old one there for minutes
        found = [job for job in declare("lab").of_type(JOB) if "-check-" in job.name]
        assert found
        policies = {job.metadata["annotations"]["pulumi.com/deletionPropagationPolicy"] for job in found}
        assert policies == {"background"}

    def test_a_cpu_team_without_a_kai_has_no_check(self, declare: Declare) -> None:
        assert not [r for r in declare("lab").of_type(JOB) if r.name.startswith("dev-")]

    @pytest.mark.parametrize("mode", ["virtual", "host"])
    def test_a_cpu_team_with_a_kai_asks_for_a_pod_without_a_gpu_by_its_own_queue(
        self, declare: Declare, mode: str
    ) -> None:
        data = lab("research", checked=True, host={"provider": "lab", "scheduler": {"version": "v0.16.8"}})
        scheduler = {"mode": mode, "gpuSharing": True, **({"version": "v0.16.8"} if mode == "virtual" else {})}
        # a fraction that is left from when it had GPUs asks for none
        check = {"fraction": 0.5}
        work = {"resources": {"gpus": 0}, "queues": {"work": {"gpu": 0}}, "scheduler": scheduler, "check": check}
        data["teams"]["research"].update(work)
        template = self.pod(declare(data), "research")
        (container,) = template["spec"]["containers"]
        assert container["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}}
        assert "runtimeClassName" not in template["spec"]
        assert "gpu-fraction" not in template["metadata"]["annotations"]
        assert template["metadata"]["labels"]["kai.scheduler/queue"] == (
            "work" if mode == "virtual" else "research-work"
        )
        expect = json.loads(next(e["value"] for e in container["env"] if e["name"] == "GPU_CHECK_EXPECT"))
        assert (expect["mode"], expect["gpus"], expect["fraction"], expect["injection"]) == ("cpu", None, None, None)

    def test_a_paused_team_has_no_check(self, declare: Declare) -> None:
        data = lab("research", checked=True)
        data["teams"]["research"].update(state="paused")
        assert not [r for r in declare(data).of_type(JOB) if r.name.startswith("research-")]

    def test_a_pod_that_waits_for_a_gpu_is_not_what_the_deploy_waits_for(self, declare: Declare) -> None:
        recorder = declare("lab")
        asking, verdict = recorder.one(JOB, "ml-check-job"), recorder.one(JOB, "ml-check-verdict")
        assert asking.metadata["annotations"]["pulumi.com/skipAwait"] == "true"
        assert "pulumi.com/skipAwait" not in verdict.metadata["annotations"]
        assert asking.inputs["spec"]["backoffLimit"] > 0, "a webhook that is not up yet refuses the first pods"
        assert "limits" not in verdict.inputs["spec"]["template"]["spec"]["containers"][0]["resources"]

    def test_it_goes_through_queues_that_exist(self, declare: Declare) -> None:
        assert depends_on(declare("lab").one(JOB, "ml-check-job"), "ml-queues-notebooks")

    def test_it_is_the_first_to_be_pushed_out(self, declare: Declare) -> None:
        recorder = declare("lab")
        own = recorder.one(PRIORITY, "ml-check-priority")
        assert self.pod(recorder, "ml")["spec"]["priorityClassName"] == own.metadata["name"]
        assert own.inputs["value"] < 50, "KAI's own lowest class"

    def test_a_team_comes_up_beside_the_checks_of_its_nodes(self, declare: Declare) -> None:
        recorder = declare("lab")
        for name in ("ml-virtual-cluster-vcluster", "ml-scheduler-release"):
            assert not depends_on(recorder.one(RELEASE, name), "host-check-gpu-0-verdict"), name

    def test_it_waits_for_the_checks_of_its_own_nodes_alone(self, declare: Declare) -> None:
        asking = declare("lab").one(JOB, "ml-check-job")
        assert depends_on(asking, "host-check-gpu-0-verdict")
        assert not depends_on(asking, "host-check-gpu-1-verdict")

    def test_what_it_needs_is_made_while_kai_comes_up(self, declare: Declare) -> None:
        recorder = declare("lab")
        for entry in recorder.resources:
            if entry.name.startswith("ml-check-") and entry.type.startswith("kubernetes:") and entry.type != JOB:
                assert not depends_on(entry, "ml-queues-notebooks"), entry.name

    def test_workloads_of_a_team_without_a_check_wait_for_the_checks_of_its_nodes(self, declare: Declare) -> None:
        app = {"kind": "app", "gpu": {"count": 1}}
        recorder = declare(
            lab("ml", checked=True, teams__ml__check={"enabled": False}, teams__ml__workloads={"demo": app})
        )
        assert depends_on(
            recorder.one("kubernetes:core/v1:Namespace", "ml-workloads-namespace"), "host-check-gpu-0-verdict"
        )

    def stamp(self, recorder: Recorder, team: str) -> str:
        found: str = self.pod(recorder, team)["metadata"]["annotations"]["gpu-tenancy/stamp"]
        return found

    def test_it_runs_again_when_what_it_checks_changed_and_not_otherwise(self, declare: Declare) -> None:
        before = declare("lab")
        other_team = declare(lab("ml dev", checked=True, teams__dev__resources={"cpu": 4, "memory": "8Gi"}))
        assert self.stamp(other_team, "ml") == self.stamp(before, "ml")
        more_cpu = declare(
            lab(
                "ml",
                checked=True,
                teams__ml__resources={"gpus": {"quota": 3, "limit": 4}, "cpu": 40, "memory": "256Gi"},
            )
        )
        assert self.stamp(more_cpu, "ml") == self.stamp(before, "ml"), "no GPU check proves anything about CPU"
        version = declare(
            lab(
                "ml research",
                checked=True,
                teams__ml__scheduler={"mode": "virtual", "version": "v0.9.2", "gpuSharing": True},
            )
        )
        assert self.stamp(version, "ml") != self.stamp(before, "ml")
        assert self.stamp(version, "research") == self.stamp(before, "research")
        queue = declare(lab("ml", checked=True, teams__ml__queues__training={"gpu": {"quota": 1, "limit": 4}}))
        assert self.stamp(queue, "ml") != self.stamp(before, "ml")

    def test_teams_and_nodes_are_checked_again_when_the_gpu_software_changes_hands(self, declare: Declare) -> None:
        def stamps(owner: str) -> list[str]:
            recorder = declare(lab("research", checked=True, gpu={"stack": "devicePlugin", "owner": owner}))
            pods = [recorder.one(JOB, f"{name}-job").inputs["spec"]["template"] for name in checks]
            return [pod["metadata"]["annotations"]["gpu-tenancy/stamp"] for pod in pods]

        checks = ("research-check", "host-check-gpu-1")
        assert all(before != after for before, after in zip(stamps("ours"), stamps("cluster"), strict=True))


class TestComponents:
    """Every component shows its facts at preview, and registers what it made."""

    def test_a_teams_numbers_are_literals_at_preview(self, declare: Declare) -> None:
        facts = declare(lab("ml"), preview=True).one(TEAM, "ml").inputs
        assert (facts["gpuQuota"], facts["gpuLimit"], facts["schedulerVersion"]) == (3, 4, "v0.9.3")
        assert facts["queues"]["training"] == {"quota": 2, "limit": 4, "overQuotaWeight": 2, "priority": 100}

    def test_every_component_registers_its_outputs(self, declare: Declare) -> None:
        recorder = declare("lab")
        components = {r.name for r in recorder.resources if r.type.startswith("gpu-tenancy:index:")}
        registered = {urn.rpartition("::")[2] for urn in recorder.outputs}
        assert components - registered == set()

    def test_every_object_of_ours_says_so(self, declare: Declare) -> None:
        for resource in declare("lab").resources:
            if resource.read or not resource.metadata or resource.type.endswith("Patch"):
                continue
            labels = resource.metadata.get("labels") or {}
            assert labels.get("app.kubernetes.io/managed-by") == "gpu-tenancy", resource.name

    def test_a_preview_of_a_new_stack_shows_what_up_will_make(self, declare: Declare) -> None:
        planned = {(r.type, r.name) for r in declare("lab", preview=True).resources if not r.read}
        made = {(r.type, r.name) for r in declare("lab").resources if not r.read}
        assert planned == made, "nothing may be made inside an apply"
