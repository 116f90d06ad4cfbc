"""The Jobs, pods and rights of a GPU check, whole: whatever is added, dropped or loosened shows here."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from components.check import job
from components.check.job import PodSettings, Request
from probe import code

Spec = dict[str, Any]

REQUEST = Request(
    name="gpu-check",
    namespace="gpu-check",
    report_namespace="gpu-check",
    report="gpu-check-report",
    team="ml",
    pool="a100",
    node=None,
    node_selector={"gpu-tenancy/pool": "a100"},
    queue="training",
    scheduler_name="kai-scheduler",
    scheduler_version="v0.16.8",
    priority_class="gpu-check",
    kai_priority="gpu-check",
    gpus=2,
    fraction=None,
    pair=None,
    gpu_memory_mib=None,
    enforced=False,
    replicas=1,
    sharing=None,
    tainted=True,
    product="NVIDIA-H100",
    pool_gpu_memory_mib=81559,
    pod=PodSettings(
        runtime_class="nvidia",
        image="registry/torch:1",
        pull_policy="IfNotPresent",
        memory_fraction=0.5,
        deadline_seconds=600,
        on_failure="fail",
        fake=False,
        injection="cdi",
    ),
    kind="team",
)
PAIR = replace(REQUEST, gpus=1, pair=(0.3, 0.5))

POD_SECURITY: Spec = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Spec = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
CODE: Spec = {"name": "code", "configMap": {"name": "gpu-check-programs"}}
CODE_MOUNT: Spec = {"name": "code", "mountPath": "/opt/gpu-check", "readOnly": True}
GRANTED = [
    "--granted",
    "NVIDIA_VISIBLE_DEVICES=$(NVIDIA_VISIBLE_DEVICES)",
    "--granted",
    "GPU_PORTION=$(GPU_PORTION)",
    "--granted",
    "CUDA_MPS_PIPE_DIRECTORY=$(CUDA_MPS_PIPE_DIRECTORY)",
]
LABELS: Spec = {
    "app.kubernetes.io/managed-by": "gpu-tenancy",
    "gpu-tenancy/team": "ml",
    "gpu-tenancy/check": "team",
    "kai.scheduler/queue": "training",
    "priorityClassName": "gpu-check",
}
EXPECTED: Spec = {
    "team": "ml",
    "pool": "a100",
    "node": None,
    "queue": "training",
    "schedulerVersion": "v0.16.8",
    "mode": "whole",
    "gpus": 2,
    "fraction": None,
    "gpuMemoryMib": None,
    "replicas": 1,
    "sharing": None,
    "runtimeClass": "nvidia",
    "injection": "cdi",
    "product": "NVIDIA-H100",
    "poolGpuMemoryMib": 81559,
    "memoryFraction": 0.5,
    "onFailure": "fail",
    "deadlineSeconds": 600,
    "fake": False,
    "stamp": "mark",
}


def asking_env(expected: Spec, report: str = "gpu-check-report") -> list[Spec]:
    uid = "metadata.labels['batch.kubernetes.io/controller-uid']"
    return [
        {"name": "GPU_CHECK_EXPECT", "value": json.dumps(expected, sort_keys=True)},
        {"name": "GPU_CHECK_IN_JOB", "value": "1"},
        {"name": "GPU_CHECK_CONFIGMAP", "value": report},
        {"name": "GPU_CHECK_NAMESPACE", "value": "gpu-check"},
        {"name": "GPU_CHECK_RUN", "valueFrom": {"fieldRef": {"fieldPath": uid}}},
        {"name": "GPU_CHECK_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        {"name": "HOME", "value": "/tmp"},
    ]


def asking(expected: Spec, **container: Any) -> Spec:
    """The asking Job of a whole-GPU check, with some of its container changed."""
    return {
        "backoffLimit": 4,
        "activeDeadlineSeconds": 660,
        "template": {
            "metadata": {"labels": LABELS, "annotations": {"gpu-tenancy/stamp": "mark"}},
            "spec": {
                "serviceAccountName": "gpu-check",
                "restartPolicy": "Never",
                "schedulerName": "kai-scheduler",
                "priorityClassName": "gpu-check",
                "runtimeClassName": "nvidia",
                "nodeSelector": {"gpu-tenancy/pool": "a100"},
                "tolerations": TOLERATIONS,
                "securityContext": POD_SECURITY,
                "volumes": [CODE, {"name": "shm", "emptyDir": {"medium": "Memory"}}],
                "containers": [
                    {
                        "name": "probe",
                        "image": "registry/torch:1",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python3", "/opt/gpu-check/start.py", "probe"],
                        "args": GRANTED,
                        "env": asking_env(expected),
                        "resources": {
                            "requests": {"cpu": "250m", "memory": "3Gi"},
                            "limits": {"nvidia.com/gpu": "2"},
                        },
                        "securityContext": CONTAINER_SECURITY,
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                        "volumeMounts": [CODE_MOUNT, {"name": "shm", "mountPath": "/dev/shm"}],
                        **container,
                    }
                ],
            },
        },
    }


class TestAskingJob:
    """The pod that holds the GPU."""

    def test_whole_gpus_are_asked_for_as_the_team_asks(self) -> None:
        assert job.asking_job(REQUEST, "mark") == asking(EXPECTED)

    def test_a_share_whose_memory_is_a_limit_is_told_to_the_probe_and_no_other(self) -> None:
        assert job.expectation(replace(REQUEST, enforced=True, fraction=0.5), "mark")["enforced"] is True
        assert "enforced" not in job.expectation(REQUEST, "mark")

    def test_half_of_a_pair_holds_a_share_by_annotation_and_waits_with_its_grant_passed_on(self) -> None:
        half = job.asked(PAIR)[1]
        expected = {**EXPECTED, "mode": "fraction", "gpus": 1, "fraction": 0.5}
        wanted = asking(
            expected,
            command=["python3", "/opt/gpu-check/start.py", "verdict", "hold"],
            env=[
                *asking_env(expected, "gpu-check-report-2"),
                {"name": "GPU_CHECK_HELD_UNTIL", "value": "gpu-check-report"},
            ],
            resources={"requests": {"cpu": "250m", "memory": "1Gi"}},
        )
        wanted["template"]["metadata"]["annotations"] = {"gpu-tenancy/stamp": "mark", "gpu-fraction": "0.5"}
        assert job.asking_job(half, "mark") == wanted
        assert (half.namespace, half.report_namespace) == ("gpu-check-2", "gpu-check")
        first = job.asked(PAIR)[0]
        assert (first.namespace, first.report, first.fraction) == ("gpu-check", "gpu-check-report-1", 0.3)

    def test_the_pod_that_the_cluster_is_asked_for_before_is_the_jobs_own(self) -> None:
        template = job.asking_job(REQUEST, "mark")["template"]
        assert job.asking_pod(REQUEST, "mark") == {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": "gpu-check", "namespace": "gpu-check"},
            "spec": template["spec"],
        }

    def test_a_share_in_mib_is_an_annotation(self) -> None:
        found = job.asking_job(replace(REQUEST, gpus=1, gpu_memory_mib=16000), "mark")
        assert found["template"]["metadata"]["annotations"]["gpu-memory"] == "16000"
        container = found["template"]["spec"]["containers"][0]
        assert container["resources"] == {"requests": {"cpu": "250m", "memory": "1Gi"}}
        assert '"mode": "gpu-memory"' in container["env"][0]["value"]

    def test_what_is_not_asked_for_is_not_named(self) -> None:
        bare = replace(
            REQUEST,
            gpus=1,
            queue=None,
            scheduler_name=None,
            scheduler_version=None,
            priority_class=None,
            kai_priority=None,
            node_selector={},
            tainted=False,
            replicas=4,
            sharing="timeSlicing",
            pod=replace(REQUEST.pod, runtime_class=None, pull_policy=None, injection=None),
        )
        nothing = {"queue": None, "schedulerVersion": None, "runtimeClass": None, "injection": None}
        expected = {**EXPECTED, **nothing, "gpus": 1, "mode": "replica", "replicas": 4, "sharing": "timeSlicing"}
        wanted = asking(
            expected,
            resources={"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"nvidia.com/gpu": "1"}},
        )
        template = wanted["template"]
        del template["spec"]["containers"][0]["imagePullPolicy"]
        for key in ("schedulerName", "priorityClassName", "runtimeClassName", "nodeSelector", "tolerations"):
            del template["spec"][key]
        template["metadata"]["labels"] = {k: v for k, v in LABELS.items() if "/" in k and "kai" not in k}
        assert job.asking_job(bare, "mark") == wanted

    @pytest.mark.parametrize(
        ("changes", "mode"),
        [
            ({}, "whole"),
            ({"replicas": 2}, "replica"),
            ({"fraction": 0.5, "replicas": 2}, "fraction"),
            ({"pair": (0.3, 0.5)}, "fraction"),
            ({"gpu_memory_mib": 1}, "gpu-memory"),
            ({"sharing": "mig", "replicas": 7}, "mig"),
            ({"sharing": "mps", "replicas": 2}, "replica"),
            ({"kind": "host", "replicas": 2}, "host"),
        ],
    )
    def test_the_way_of_asking_has_the_probes_word(self, changes: Spec, mode: str) -> None:
        assert job.expectation(replace(REQUEST, **changes), "m")["mode"] == mode

    def test_any_work_of_the_teams_goes_first(self) -> None:
        assert job.PRIORITY == 10, "KAI's own lowest class has 50"

    def test_fake_gpus_cost_little(self) -> None:
        fake = replace(REQUEST, gpus=1, pod=replace(REQUEST.pod, fake=True, runtime_class=None))
        container = job.asking_job(fake, "mark")["template"]["spec"]["containers"][0]
        assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}

    @pytest.mark.parametrize(
        ("says", "whole", "share"), [("cdi-cri", "cdi-cri", "cdi"), ("legacy", "legacy", "legacy"), (None, None, None)]
    )
    def test_a_fraction_comes_by_nvidias_runtime_in_every_mode(
        self, says: str | None, whole: str | None, share: str | None
    ) -> None:
        request = replace(REQUEST, pod=replace(REQUEST.pod, injection=says))
        assert job.expectation(request, "m")["injection"] == whole
        assert job.expectation(replace(request, fraction=0.5), "m")["injection"] == share
        assert job.expectation(replace(request, gpu_memory_mib=1), "m")["injection"] == share


class TestVerdictJob:
    """The pod that the deploy waits for."""

    def wanted(self, expected: Spec, asked: list[Spec], *more: Spec) -> Spec:
        env = [
            {"name": "GPU_CHECK_EXPECT", "value": json.dumps(expected, sort_keys=True)},
            {"name": "GPU_CHECK_ASKED", "value": json.dumps(asked)},
            {"name": "GPU_CHECK_CONFIGMAP", "value": "gpu-check-report"},
            {"name": "GPU_CHECK_NAMESPACE", "value": "gpu-check"},
        ]
        labels = {k: v for k, v in LABELS.items() if k in ("app.kubernetes.io/managed-by", "gpu-tenancy/team")}
        return {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 720,
            "template": {
                "metadata": {
                    "labels": {**labels, "gpu-tenancy/check": "verdict"},
                    "annotations": {"gpu-tenancy/stamp": "mark", "gpu-tenancy/runs": "uid-1"},
                },
                "spec": {
                    "serviceAccountName": "gpu-check-verdict",
                    "restartPolicy": "Never",
                    "tolerations": TOLERATIONS,
                    "securityContext": POD_SECURITY,
                    "volumes": [CODE],
                    "containers": [
                        {
                            "name": "verdict",
                            "image": "registry/torch:1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python3", "/opt/gpu-check/start.py", "verdict"],
                            "env": [*env, *more],
                            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                            "securityContext": CONTAINER_SECURITY,
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "volumeMounts": [CODE_MOUNT],
                        }
                    ],
                },
            },
        }

    def test_it_waits_for_the_report_of_one_pod(self) -> None:
        asked = [{"namespace": "gpu-check", "job": "gpu-check", "report": "gpu-check-report"}]
        assert job.verdict_job(REQUEST, "mark", "uid-1") == self.wanted(EXPECTED, asked)
        free = job.verdict_job(replace(REQUEST, tainted=False), "mark", "uid-1")
        assert "tolerations" not in free["template"]["spec"]

    def test_it_waits_for_both_of_a_pair_and_asks_for_a_third(self) -> None:
        asked = [
            {"namespace": "gpu-check", "job": "gpu-check", "report": "gpu-check-report-1"},
            {"namespace": "gpu-check-2", "job": "gpu-check", "report": "gpu-check-report-2"},
        ]
        found = job.verdict_job(PAIR, "mark", "uid-1")
        env = found["template"]["spec"]["containers"][0]["env"]
        assert env[-1]["name"] == "GPU_CHECK_THIRD"
        expected = {**EXPECTED, "gpus": 1, "mode": "fraction"}
        assert found == self.wanted(expected, asked, env[-1])
        annotations = {"gpu-tenancy/stamp": "mark", "gpu-fraction": "0.3"}
        third = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "gpu-check-third",
                "namespace": "gpu-check-2",
                "labels": LABELS,
                "annotations": annotations,
            },
            "spec": {
                "serviceAccountName": "gpu-check",
                "automountServiceAccountToken": False,
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "schedulerName": "kai-scheduler",
                "priorityClassName": "gpu-check",
                "runtimeClassName": "nvidia",
                "nodeSelector": {"gpu-tenancy/pool": "a100"},
                "tolerations": TOLERATIONS,
                "securityContext": POD_SECURITY,
                "volumes": [],
                "containers": [
                    {
                        "name": "probe",
                        "image": "registry/torch:1",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python3", "-c", "pass"],
                        "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}},
                        "securityContext": CONTAINER_SECURITY,
                    }
                ],
            },
        }
        assert env[-1]["value"] == json.dumps(third, sort_keys=True)

    @pytest.mark.parametrize(
        ("pair", "third"), [((0.3, 0.5), 0.3), ((0.5, 0.5), 0.1), ((0.05, 0.05), 1.0), ((0.333, 0.333), 0.43)]
    )
    def test_the_third_asks_for_more_than_the_pair_leaves(self, pair: tuple[float, float], third: float) -> None:
        assert job.third_fraction(pair) == third


class TestStamp:
    """A check runs again when what it proves has changed."""

    def test_everything_that_it_asks_for_changes_it(self) -> None:
        before = job.stamp(REQUEST, {"version": "v1"})
        assert job.stamp(replace(REQUEST), {"version": "v1"}) == before
        assert len(before) == 16, "part of names and annotations"
        assert job.stamp(REQUEST, {"b": 1, "a": 2}) == job.stamp(REQUEST, {"a": 2, "b": 1})
        assert job.stamp(replace(REQUEST, product="NVIDIA-L4"), {"version": "v1"}) != before
        assert job.stamp(replace(REQUEST, pod=replace(REQUEST.pod, image="other")), {"version": "v1"}) != before
        assert job.stamp(REQUEST, {"version": "v2"}) != before

    def test_the_programs_change_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = job.stamp(REQUEST, {})
        monkeypatch.setattr(code, "digest", lambda: "other")
        assert job.stamp(REQUEST, {}) != before
