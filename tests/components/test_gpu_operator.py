"""The GPU Operator of ours: pods with GPUs are asked for once it says that it is ready, and its CRDs go with it."""

from __future__ import annotations

import pulumi
import pytest

import kube
from components.gpu.software import checked_software
from kube import gpu_operator
from settings.models import Gpu
from tests.components.program import lab
from tests.components.test_kube import serving
from tests.conftest import Declare
from tests.recording import answered

OPERATOR = {"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}
POLICY = "/apis/nvidia.com/v1/clusterpolicies/cluster-policy"
JOB = "kubernetes:batch/v1:Job"


def policy(state: str, reason: str, message: str = "", kind: str = "Ready") -> tuple[int, object]:
    """As the operator writes it: the condition that does not hold has no message."""
    other = {"type": "Error" if kind == "Ready" else "Ready", "status": "False", "reason": reason, "message": ""}
    holds = {"type": kind, "status": "True", "reason": reason, "message": message}
    return 200, {"kind": "ClusterPolicy", "status": {"state": state, "conditions": [holds, other]}}


READY = policy("ready", "Reconciled", "ClusterPolicy is ready as all resources have been successfully reconciled")
BUSY = policy(
    "notReady", "OperandNotReady", "ClusterPolicy is not ready; states not ready: [state-device-plugin]", "Error"
)
BLIND = policy("ready", "NFDLabelsMissing", "No NFD labels found")
EMPTY = policy("ready", "NoGPUNodes", "No GPU node found, watching for new nodes to join the cluster.")


def test_it_is_awaited_until_all_of_its_parts_are_ready_on_a_gpu_node() -> None:
    steps = [
        (404, "page not found"),
        (200, {"kind": "ClusterPolicy"}),
        BLIND,
        EMPTY,
        (503, "restarting"),
        (200, "a login page"),
    ]
    steps += [BUSY, READY]
    with serving({("GET", POLICY): list(steps)}) as (kubeconfig, asked):
        kube.wait_for_gpu_operator(kubeconfig, deadline=20.0)
    assert len(asked) == len(steps)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (BUSY, r"notReady: ClusterPolicy is not ready; states not ready: \[state-device-plugin\]\)"),
        (EMPTY, r"is ready: No GPU node found"),
        ((200, {"kind": "ClusterPolicy"}), "cluster-policy is without a state"),
        (policy("ignored", "Reconciled"), "is ignored"),
    ],
)
def test_what_it_says_at_the_end_is_told(last: tuple[int, object], said: str) -> None:
    with serving({("GET", POLICY): [last]}) as (kubeconfig, _), pytest.raises(TimeoutError, match=said):
        kube.wait_for_gpu_operator(kubeconfig, deadline=0.0)


@pytest.mark.parametrize("code", [401, 403])
def test_a_right_that_is_missing_is_not_waited_for(code: int) -> None:
    with serving({("GET", POLICY): [(code, "no")]}) as (kubeconfig, _), pytest.raises(PermissionError):
        kube.wait_for_gpu_operator(kubeconfig)


@pytest.mark.parametrize(
    "conditions",
    [None, "x", [None, 3], [{"type": "Ready", "status": "False", "reason": "NoGPUNodes", "message": "gone"}]],
)
def test_only_a_condition_that_holds_keeps_it_from_being_ready(conditions: object) -> None:
    found = 200, {"kind": "ClusterPolicy", "status": {"state": "ready", "conditions": conditions}}
    with serving({("GET", POLICY): [found]}) as (kubeconfig, asked):
        kube.wait_for_gpu_operator(kubeconfig, deadline=0.0)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("gpu", "waits"),
    [(OPERATOR, True), ({**OPERATOR, "owner": "cluster"}, False), ({"stack": "devicePlugin"}, False)],
)
def test_pods_that_need_a_gpu_wait_for_it(declare: Declare, gpu: dict[str, object], waits: bool) -> None:
    recorder = declare(lab("ml", checked=True, gpu=gpu))
    asking = [job for job in recorder.of_type(JOB) if job.name.endswith("-job")]
    hooks = {job.name: "gpu-software-ready" in list(job.options.hooks.before_create) for job in asking}
    assert {name for name in hooks if name.startswith("host-check")}, "the host's own check is among them"
    assert set(hooks.values()) == {waits}, hooks


@pytest.mark.parametrize("driver", ["host", "operator"])
@pytest.mark.parametrize("toolkit", ["host", "operator"])
def test_it_brings_the_driver_and_the_toolkit_that_the_stack_file_says(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, driver: str, toolkit: str
) -> None:
    waited: list[bool] = []
    monkeypatch.setattr(kube, "wait_for_gpu_operator", lambda _, *, brings_driver: waited.append(brings_driver))
    recorder = declare(lab(gpu={**OPERATOR, "operator": {"driver": driver, "toolkit": toolkit}}, teams={}))
    assert recorder.one("kubernetes:helm.sh/v3:Release", "gpu-operator").inputs["values"] == {
        "operator": {"runtimeClass": "nvidia"},
        "driver": {"enabled": driver == "operator"},
        "toolkit": {"enabled": toolkit == "operator"},
        "nfd": {"enabled": True},
        "dcgmExporter": {"serviceMonitor": {"enabled": False}},
    }
    # what a policy and the gate read of it
    said = recorder.one("gpu-tenancy:index:GpuSoftware", "gpu-software").inputs.get("driver")
    assert said == ("operator" if driver == "operator" else None)
    arguments = pulumi.ResourceHookArgs(urn="", id="", name="", type="")
    answered(recorder.hooks.by_name["gpu-software-ready"].callback(arguments))
    assert waited == [driver == "operator"]


def test_driver_and_toolkit_are_the_hosts_and_the_operators_where_nothing_is_said(declare: Declare) -> None:
    silent, said = (
        declare(lab(gpu={**OPERATOR, **more}, teams={}), stack=name).one(
            "kubernetes:helm.sh/v3:Release", "gpu-operator"
        )
        for name, more in (("silent", {}), ("said", {"operator": {"driver": "host", "toolkit": "operator"}}))
    )
    assert silent.inputs == said.inputs
    assert (silent.inputs["values"]["driver"], silent.inputs["values"]["toolkit"]) == (
        {"enabled": False},
        {"enabled": True},
    )


def test_checks_run_again_for_another_driver_and_not_for_a_default_that_is_said(declare: Declare) -> None:
    def marks(name: str, **more: object) -> set[str]:
        recorder = declare(lab("ml", checked=True, gpu={**OPERATOR, **more}), stack=name)
        notes = (job.inputs["spec"]["template"]["metadata"].get("annotations", {}) for job in recorder.of_type(JOB))
        return {note["gpu-tenancy/stamp"] for note in notes if "gpu-tenancy/stamp" in note}

    silent = marks("silent")
    assert len(silent) >= 2, "of the host's check and of the team's"
    assert marks("said", operator={"driver": "host", "toolkit": "operator"}) == silent
    for parts in ({"driver": "operator"}, {"toolkit": "host"}):
        assert not marks("other", operator=parts) & silent
    # as before there was the field
    assert "operator" not in checked_software(Gpu.model_validate(OPERATOR))


def test_a_driver_that_is_compiled_gets_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(gpu_operator, "until", lambda _, deadline, __: given.append(deadline))
    with serving({}) as (kubeconfig, _):
        kube.wait_for_gpu_operator(kubeconfig)
        kube.wait_for_gpu_operator(kubeconfig, brings_driver=True)
    # NVIDIA's driver pod may take 60 s and 120 times 10 s to start
    assert given == [900.0, 900.0 + 60 + 120 * 10]


def test_its_crds_go_with_its_namespace_and_no_crd_that_others_use(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(kube, "own_kinds", lambda _, namespace, crds: asked.append((namespace, tuple(crds))))
    recorder = declare(lab(gpu=OPERATOR, teams={}))
    record = recorder.one("kubernetes:core/v1:ConfigMap", "gpu-operator-owned-kinds")
    assert "gpu-operator-own-kinds" in record.options.hooks.before_create
    arguments = pulumi.ResourceHookArgs(urn="", id="", name="", type="")
    answered(recorder.hooks.by_name["gpu-operator-own-kinds"].callback(arguments))
    # node feature discovery's are another one's, too, and those of resource.nvidia.com the DRA driver's
    kinds = ("clusterpolicies.nvidia.com", "nvidiadrivers.nvidia.com", "gpuclusters.nvidia.com")
    assert asked == [("gpu-operator", kinds)]


def test_nothing_of_the_operator_has_to_run_for_its_removal(declare: Declare) -> None:
    # the chart's own Job would hold it where the operator's image can't be pulled
    release = declare(lab(gpu=OPERATOR, teams={})).one("kubernetes:helm.sh/v3:Release", "gpu-operator")
    assert release.inputs["values"]["operator"] == {"runtimeClass": "nvidia"}


def test_an_operator_of_the_cluster_keeps_its_crds(declare: Declare) -> None:
    recorder = declare(lab(gpu={**OPERATOR, "owner": "cluster"}, teams={}))
    assert "gpu-operator-own-kinds" not in recorder.hooks.by_name
