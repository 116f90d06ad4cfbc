"""What is refused of one pod of a workload, because Kubernetes, KAI or the server would refuse it later."""

from __future__ import annotations

from typing import Any

import pytest

from components.workloads import inference_spec
from settings.load import parse_platform
from settings.workload_parts import DERIVED_FLAGS, OUR_VARIABLES
from settings.workloads import Inference
from tests.conftest import Declare
from tests.settings.build import TODAY, WHERE, mistakes, raw
from tests.workloads.test_rules import CHAT, with_workloads

APP: dict[str, Any] = {"kind": "app"}
TWO = {"training": {"gpu": {"quota": 2, "limit": 2}}}
OUTSIDE = {**APP, "expose": {"nodePort": 30999}}


def on_nodes(nodes: int, gpus: int, **workloads: object) -> dict[str, object]:
    """A team alone on so many nodes with so many GPUs each, with all of them."""
    names = [f"gpu-{at}" for at in range(nodes)]
    everything = nodes * gpus
    return {
        **with_workloads(workloads),
        "teams.research": None,
        "pools.gpu": {"nodes": names, "gpusPerNode": gpus, "gpuMemoryMib": 24576},
        "teams.ml.resources": {"gpus": everything, "cpu": 16, "memory": "64Gi", "pods": 40},
        "teams.ml.queues": {"training": {"gpu": everything}},
    }


def one(changes: dict[str, object]) -> str:
    found = mistakes(changes)
    assert len(found) == 1, found
    return found[0]


def test_a_model_over_more_gpus_than_a_node_has_is_refused() -> None:
    assert mistakes(on_nodes(2, 2, chat={**CHAT, "gpu": {"count": 2}})) == []
    assert one(on_nodes(4, 1, chat={**CHAT, "gpu": {"count": 4}})) == (
        "teams.ml.workloads.chat.gpu.count: one pod asks for at most what one node of pool gpu has, got 4 GPUs of "
        "1 GPUs; ask for less in one pod"
    )


def test_pods_that_fit_by_their_sum_must_fit_node_by_node() -> None:
    pairs = {**APP, "gpu": {"count": 2}}
    assert mistakes(on_nodes(2, 4, app={**pairs, "replicas": 4})) == []
    assert one(on_nodes(2, 3, app={**pairs, "replicas": 3})) == (
        "teams.ml.workloads: each pod has its whole GPUs on one node, all at the same time, got 2 + 2 + 2 on 2 nodes "
        "of 3; ask for fewer GPUs in one pod, or fewer pods"
    )


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ({"cpu": "7600m"}, "app.cpu: one pod asks for at most what one node of pool gpu has, got 7600m CPU of 7500m"),
        ({"memory": "32Gi"}, "app.memory: one pod asks for at most what one node of pool gpu has, got 32768 MiB of 31"),
        (
            {"gpu": {"memoryMib": 24501}},
            "one GPU of pool gpu has, whose MiB KAI counts in whole hundreds, got 24501 MiB of 24500 MiB; ask for less",
        ),
        ({"cpu": "7500m", "memory": "31Gi", "gpu": {"memoryMib": 24500}}, None),
    ],
)
def test_a_pod_is_no_larger_than_its_node_less_the_headroom(asks: dict[str, object], said: str | None) -> None:
    changes = on_nodes(4, 4, app={**APP, **asks})
    changes["pools.gpu.cpuPerNode"], changes["pools.gpu.memoryPerNode"] = 8, "32Gi"
    found = mistakes(changes)
    assert (found == []) if said is None else any(said in line for line in found), found


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        ({**APP, "cpu": 0}, "w.cpu: a pod asks for at least 1m of CPU, got '0'; write it like 100m"),
        ({**APP, "cpu": "0.0009"}, "w.cpu: a pod asks for at least 1m of CPU, got '0.0009'"),
        ({**APP, "memory": "1Ki"}, "w.memory: no container starts in less than 12Mi, got '1Ki'; write it like 64Mi"),
        ({**APP, "memory": 0}, "w.memory: no container starts in less than 12Mi, got '0'"),
        ({**CHAT, "weights": "0"}, "w.weights: must be at least 1Mi, got '0'; write it like 1Gi"),
        ({**CHAT, "sharedMemory": "0k"}, "w.sharedMemory: must be at least 1Mi, got '0k'"),
        ({**CHAT, "cache": {"size": "0"}}, "w.cache.size: must be at least 1Mi, got '0'"),
        ({**CHAT, "gpu": {"fraction": 0.9999999}}, "w.gpu.fraction: must be at most 0.999, got 0.9999999"),
        ({**APP, "gpu": {"fraction": 1e-9}}, "w.gpu.fraction: must be at least 0.001, got 1e-09"),
    ],
)
def test_a_pod_of_nothing_is_refused(workload: dict[str, object], said: str) -> None:
    assert said in one(with_workloads({"w": workload}))


def test_a_volume_for_snapshots_of_nothing_is_refused() -> None:
    assert one({"teams.ml.vcluster": {"snapshots": {"size": "0"}}}) == (
        "teams.ml.vcluster.snapshots.size: must be at least 1Mi, got '0'; write it like 2Gi"
    )


@pytest.mark.parametrize("model", ["..", "../../etc", "a/../b", "a//b", "a/", "./m", "a/-b", "-x", "/models/x"])
def test_a_model_is_no_way_out_of_its_directory(model: str) -> None:
    local = {**CHAT, "model": model, "modelVolume": {"claim": "models"}}
    assert "w.model: must be a model's name at the hub or a directory" in one(with_workloads({"w": local}))


def test_a_directory_may_lie_deep_and_a_hub_has_two_levels() -> None:
    deep = {**CHAT, "model": "a/.cache/b..c/d-_1"}
    assert mistakes(with_workloads({"w": {**deep, "modelVolume": {"claim": "models"}}})) == []
    assert "w.model: the hub's names are <name> or <owner>/<name>, got 'a/.cache/b..c/d-_1'" in one(
        with_workloads({"w": deep})
    )


@pytest.mark.parametrize(
    ("key", "workload", "said"),
    [
        ("x" * 59, OUTSIDE, None),
        ("x" * 60, OUTSIDE, "the name of this workload has at most 59 characters (63 less the 4 of -app), got 60"),
        ("x" * 63, APP, None),
        ("x" * 58, CHAT, None),
        ("x" * 59, CHAT, "the name of this workload has at most 58 characters (63 less the 5 of -test), got 59"),
        ("1st", APP, "a workload's name starts with a letter, its Service has the same name, got '1st'"),
    ],
)
def test_the_names_of_its_objects_are_names_to_kubernetes(key: str, workload: object, said: str | None) -> None:
    found = mistakes(with_workloads({key: workload}))
    assert (found == []) if said is None else (len(found) == 1 and said in found[0]), found


@pytest.mark.parametrize("key", ["demo", "vc-cp-demo", "kube-dns-x-kube-system-x-demo"])
def test_an_app_s_service_on_the_host_is_not_the_virtual_cluster_s_own(key: str) -> None:
    team = {"resources": {"cpu": 4, "pods": 20}}
    assert one({"teams.demo-app": {**team, "workloads": {key: OUTSIDE}}}) == (
        f"teams.demo-app.workloads.{key}: {key}-app is the name of an object of the team's virtual cluster on the "
        f"host, got '{key}'; rename the workload"
    )
    assert mistakes({"teams.demo-app": {**team, "workloads": {key: APP}}}) == []
    assert mistakes({"teams.app": {**team, "workloads": {"demo": OUTSIDE}}}) == []


@pytest.mark.parametrize(
    "argument",
    [
        "--gpu-memory-utilization=0.95",
        "--gpu_memory_utilization",
        "--gpu-memory-util=1",
        "--tensor-parallel-size=4",
        "-tp",
        "--port",
        "--served-model-name=x",
        "--api-key",
    ],
)
def test_what_the_stack_file_says_is_not_said_again_in_arguments(argument: str) -> None:
    found = one(with_workloads({"w": {**CHAT, "args": ["--max-model-len", "2048", argument]}}))
    assert found.startswith("teams.ml.workloads.w.args[2]: -"), found
    assert found.endswith("; leave it out")


def test_every_argument_that_we_derive_is_one_that_nobody_else_says() -> None:
    platform = parse_platform(
        raw(with_workloads({"w": {**CHAT, "gpu": {"count": 2}}, "a": APP}, teams__ml__queues=TWO)),
        WHERE,
        today=TODAY,
    )
    server = platform.teams["ml"].workloads["w"]
    assert isinstance(server, Inference)
    flags = {word for word in inference_spec.arguments(server, 24576) if word.startswith("-")}
    assert flags
    assert flags <= set(DERIVED_FLAGS)


def test_an_app_s_secret_takes_no_variable_that_it_gets_anyway() -> None:
    secrets = {name: {"config": "key"} for name in (*OUR_VARIABLES, "TOKEN")}
    found = mistakes(with_workloads({"a": {**APP, "secrets": secrets}}))
    assert found == [
        f"teams.ml.workloads.a.secrets.{name}: is a variable that every app has already; choose another name"
        for name in OUR_VARIABLES
    ]


def test_those_variables_are_what_an_app_has(declare: Declare) -> None:
    recorder = declare(
        raw({**with_workloads({"a": APP}), "teams.research": None, "teams.dev": None, "check.host": False})
    )
    deployment = next(r for r in recorder.of_type("kubernetes:apps/v1:Deployment") if r.metadata["name"] == "a")
    env = deployment.inputs["spec"]["template"]["spec"]["containers"][0]["env"]
    assert tuple(entry["name"] for entry in env) == OUR_VARIABLES


def test_a_server_takes_one_slice_of_mig() -> None:
    changes = with_workloads({"w": {**CHAT, "weights": "1G", "gpu": {"count": 2}}}, teams__ml__queues=TWO)
    changes["pools.gpu.sharing"] = {"mig": {"profile": "1g.10gb", "slices": 2}}
    changes["teams.ml.scheduler"] = {"mode": "virtual", "version": "v0.16.8"}
    assert "w.gpu.count: is 1 on a pool of MIG slices: a process computes on one slice" in one(changes)


@pytest.mark.parametrize("host", ["10.0.0.5", "1.2", "x" * 64 + ".example.com", "demo", "a..b"])
def test_an_ingress_leads_to_a_name_and_to_no_address(host: str) -> None:
    ingress = {"host": host, "controllerNamespace": "ingress"}
    found = one(with_workloads({"a": {**APP, "expose": {"ingress": ingress}}}))
    assert "a.expose.ingress.host: must be a DNS name of two parts and more, in lower case, and no address" in found
