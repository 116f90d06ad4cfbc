"""Real GPUs: every way to have one through a team's own KAI, and planted faults, each in a pod of the team's.

Needs what the engine tier needs, and nodes with NVIDIA GPUs below GPU_TENANCY_ENGINE_STACK. At the end it prints one
table. No test changes a setting of a GPU, so MIG is not tried, and MPS only where the stack file's pool is shared so.

GPU_TENANCY_ENGINE_INJECTION is a program that brings all nodes into the injection mode that its one argument names; it
ends with 3 and says why where they can't have it. Without it the nodes are taken as they are.
GPU_TENANCY_ENGINE_OTHER_KAIS names further versions of KAI, separated by spaces, whose charts and images are there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from releases.injection import INJECTION
from tests.engine import gpus
from tests.engine.conftest import Engine, Row, everything_unprotected, since, told
from tests.engine.gpus import HOST_TEAMS, Ground, Json, Pods, Tenant, finding, ground

# on this module's stack, or each would start from nothing: MPS, and a team's workloads
from tests.engine.mps import TestMps as TestMps
from tests.engine.mps import checked as checked
from tests.engine.mps import clients as clients
from tests.engine.tried import GOOD, caught, held_to_its_grant, held_together, pods_of, reported, tried
from tests.engine.workloads import TestExamples as TestExamples
from tests.engine.workloads import TestWorkloads as TestWorkloads
from tests.engine.workloads import served as served
from tests.engine.workloads import tenant as tenant

pytestmark = pytest.mark.engine

PAIR = {"pair": [0.3, 0.5]}
SWITCH = os.environ.get("GPU_TENANCY_ENGINE_INJECTION")
ATTACKS: list[tuple[str, Callable[[Json], None], str]] = [
    ("every GPU by a variable", gpus.with_env("NVIDIA_VISIBLE_DEVICES", "all"), "no-devices-by-name"),
    ("every GPU by an annotation", gpus.by_annotation, "no-devices-by-name"),
    ("every GPU by a mount", gpus.by_mount, "no-devices-by-name"),
    ("the runtime without a GPU", gpus.without_a_gpu, "runtime-class-for-gpus"),
    ("a device of another name", gpus.of_another_name, "counted-gpus"),
    ("a foreign disk", gpus.with_a_foreign_disk, "known-volumes"),
]
"""Of docs/policies.md, those that a tenant's pod can carry as far as the host."""
OTHER_KAIS = os.environ.get("GPU_TENANCY_ENGINE_OTHER_KAIS", "").split()


@pytest.fixture(scope="module")
def node(engine: Engine) -> Ground:
    """The pool with real GPUs; skips in words where there is none."""
    if engine.platform["gpu"]["stack"] == "fake":
        pytest.skip("the stack file declares fake GPUs: nothing was proven on hardware")
    found = ground(engine.platform)
    if not found.gpus:
        pytest.skip(f"pool {found.pool} has no GPUs: nothing was proven on hardware")
    nodes = json.loads(engine.kubectl("get", "nodes", "-o", "json"))["items"]
    there = [int(each["status"]["allocatable"].get("nvidia.com/gpu", 0)) for each in nodes]
    if found.owner == "cluster" and not any(there):
        pytest.skip("no node advertises nvidia.com/gpu, and the device plugin is the cluster's: nothing was proven")
    return found


def in_mode(name: str) -> None:
    """Bring the nodes into an injection mode; skips in words where that can't be."""
    if SWITCH is None:
        pytest.skip(f"GPU_TENANCY_ENGINE_INJECTION names no program: mode {name} was not tried")
    done = subprocess.run([SWITCH, name], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 3:
        pytest.skip(f"mode {name} was not tried: {done.stdout.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr


class TestEveryWay:
    """One team, one `up` for each way to ask for a GPU."""

    def test_a_whole_gpu_and_the_host_before_it(self, engine: Engine, node: Ground) -> None:
        report = tried(engine, "whole GPU", gpus.platform_for(engine, {}))
        held_to_its_grant(report, "identity.count")
        assert report["injection"] not in ("none", None)
        for name, text in engine.outputs().get("hostChecks", {}).items():
            host = json.loads(text)
            told(reported(f"host, {name}", host, 0.0))
            assert host["verdict"] in GOOD, host["sentence"]

    def test_two_gpus_in_one_pod(self, engine: Engine, node: Ground) -> None:
        if node.gpus < 2:
            pytest.skip(f"a node of pool {node.pool} has one GPU: no all-reduce was tried")
        report = tried(engine, "two GPUs", gpus.platform_for(engine, {"gpus": 2}))
        held_to_its_grant(report, "identity.count", "allreduce.sum")
        assert len(report["coverage"]["uuids"]) == 2

    def test_a_fraction(self, engine: Engine, node: Ground) -> None:
        report = tried(engine, "fraction 0.3", gpus.platform_for(engine, {"fraction": 0.3}))
        held_to_its_grant(report, "sharing.granted", "sharing.uuid")
        assert finding(report, "sharing.granted")["value"] == pytest.approx(0.3, abs=0.02)

    def test_a_share_in_mib(self, engine: Engine, node: Ground) -> None:
        if node.memory_mib is None:
            pytest.skip(f"pool {node.pool} has no gpuMemoryMib: no request by memory was tried")
        check = {"gpuMemoryMib": node.memory_mib // 4}
        report = tried(engine, "a quarter in MiB", gpus.platform_for(engine, check))
        held_to_its_grant(report, "sharing.granted", "sharing.uuid")

    def test_a_pair_on_one_gpu_and_a_third_without_room(self, engine: Engine, node: Ground) -> None:
        held_together(tried(engine, "pair 0.3 and 0.5", gpus.platform_for(engine, PAIR)))

    def test_a_team_without_gpus(self, engine: Engine, node: Ground) -> None:
        platform = gpus.platform_for(engine, {})
        team = platform["teams"][node.team]
        team["resources"]["gpus"], team["queues"], team["check"] = 0, {"work": {"gpu": 0}}, {"queue": "work"}
        team["scheduler"]["gpuSharing"] = False
        report = tried(engine, "no GPU", platform)
        assert report["verdict"] in GOOD, report["sentence"]
        assert not report["coverage"]["uuids"], "the pod saw a GPU that its team has not"

    def test_time_slicing_and_four_pods_of_a_deployment(self, engine: Engine, node: Ground, tmp_path: Path) -> None:
        if node.owner == "cluster":
            pytest.skip("the device plugin is the cluster's: its sharing is not ours to change")
        platform = gpus.platform_for(engine, {}, replicas=gpus.REPLICAS)
        report = tried(engine, f"one of {gpus.REPLICAS} replicas", platform)
        held_to_its_grant(report, "sharing.replica")
        assert "time-slicing" in finding(report, "sharing.replica")["message"]
        team, began = Tenant(engine=engine, team=node.team, folder=tmp_path), time.monotonic()
        try:
            team.deploy("nvidia-smi-test", "work", gpus.REPLICAS, {})
            pods = team.until_running("nvidia-smi-test", gpus.REPLICAS)
            uuids = team.uuids("nvidia-smi-test", pods)
        finally:  # or its pods keep the GPU from the next test's check
            team.kubectl("delete", "deployment", "nvidia-smi-test", "--wait=true", check=False)
        said = ", ".join(sorted(set(uuids)))
        told(Row(what="nvidia-smi, 4 pods", verdict="Running", how="-", seconds=since(began), sentence=said))
        assert len(set(uuids)) <= node.gpus, uuids


class TestEveryInjectionMode:
    """The nodes are brought into a mode, the stack file says so, and the check sees it."""

    @pytest.mark.parametrize("name", ["cdi", "jit-cdi", "legacy", "cdi-cri", "cdi-annotations"])
    def test_a_pair(self, engine: Engine, node: Ground, name: str) -> None:
        in_mode(name)
        report = tried(engine, f"pair, mode {name}", gpus.platform_for(engine, PAIR, injection=name))
        held_together(report)
        for half in report["halves"]:
            assert half["injection"] == INJECTION[name].seen_of_fractions
            assert finding(half, "runtime.injection")["severity"] == "info"

    @pytest.mark.parametrize("name", ["legacy", "cdi-cri", "cdi-annotations"])
    def test_a_whole_gpu(self, engine: Engine, node: Ground, name: str) -> None:
        in_mode(name)
        report = tried(engine, f"whole, mode {name}", gpus.platform_for(engine, {}, injection=name))
        assert report["verdict"] in GOOD, report["sentence"]
        assert report["injection"] == INJECTION[name].seen


class TestOtherSchedulers:
    """KAI of other lines, each with its own way to hand out a fraction."""

    @pytest.mark.parametrize("version", OTHER_KAIS)
    def test_a_fraction(self, engine: Engine, node: Ground, version: str) -> None:
        platform = gpus.platform_for(engine, {"fraction": 0.3})
        platform["teams"][node.team]["scheduler"]["version"] = version
        report = tried(engine, f"fraction 0.3, KAI {version}", platform)
        held_to_its_grant(report, "sharing.granted", "sharing.uuid")
        assert engine.outputs()["teams"][node.team]["schedulerVersion"] == version


class TestModeHost:
    """Two teams on the host's KAI: what one does not use the other may have, until its owner wants it."""

    def test_a_team_borrows_and_gives_back(self, engine: Engine, node: Ground, tmp_path: Path) -> None:
        replicas = 1 if node.gpus > 1 else gpus.REPLICAS
        if replicas > 1 and node.owner == "cluster":
            pytest.skip("one GPU, and the device plugin is the cluster's: there is nothing to borrow")
        platform = gpus.host_mode_for(engine, ({}, {}), replicas)
        report = tried(engine, "mode host", platform, *HOST_TEAMS)
        assert report["verdict"] in GOOD, report["sentence"]
        every = int(platform["teams"][HOST_TEAMS[0]]["resources"]["gpus"]["limit"])
        owned = int(platform["teams"][HOST_TEAMS[0]]["resources"]["gpus"]["quota"])
        lender, borrower = (Tenant(engine=engine, team=team, folder=tmp_path) for team in HOST_TEAMS)

        image = platform["check"]["image"]
        borrower.deploy("train", f"{borrower.team}-work", every, {}, image)
        began = time.monotonic()
        borrower.until_running("train", every)
        told(Row(what=f"borrowed {owned} of {every}", verdict="Running", how="-", seconds=since(began)))
        lender.deploy("build", f"{lender.team}-work", owned, {"priorityClassName": "build"}, image)
        began = time.monotonic()
        first = lender.until_running("build", owned)
        borrower.until_running("train", every - owned)
        told(Row(what=f"reclaimed {owned} of {every}", verdict="Running", how="-", seconds=since(began)))
        assert lender.running("build") == first, "non-preemptible pods within their quota stay"
        for team, name in ((borrower, "train"), (lender, "build")):
            team.kubectl("delete", "deployment", name, "--wait=true")

    @pytest.mark.parametrize("name", ["jit-cdi", "cdi"] if SWITCH else [None])
    def test_a_share_for_each_team_through_the_hosts_kai(self, engine: Engine, node: Ground, name: str | None) -> None:
        if name:
            in_mode(name)
        platform = gpus.host_mode_for(engine, ({"fraction": 0.3}, {"fraction": 0.5}), 1, injection=name)
        tried(engine, f"mode host, shares, {name or 'nodes as they are'}", platform, *HOST_TEAMS)
        for team in HOST_TEAMS:
            held_to_its_grant(gpus.report_of(engine, team), "sharing.granted", "sharing.uuid")


class TestAgain:
    """What an operator does next."""

    def test_an_unchanged_preview_has_no_changes(self, engine: Engine, node: Ground) -> None:
        if not engine.outputs().get("teams"):  # else what the test before left will do
            engine.write(gpus.platform_for(engine, PAIR))
            engine.up()
        began = time.monotonic()
        assert engine.steps() == {}
        told(Row(what="unchanged preview", verdict="same", how="-", seconds=since(began)))

    def test_a_second_up_changes_nothing(self, engine: Engine, node: Ground) -> None:
        began = time.monotonic()
        said = engine.up()
        told(Row(what="second up", verdict="same", how="-", seconds=since(began)))
        assert re.search(r"^ +\d+ unchanged$", said, re.M), said[-2000:]
        assert not re.search(r"\d+ (created|updated|replaced|deleted)", said), said[-2000:]

    def test_down_and_up_on_the_same_node(self, engine: Engine, node: Ground) -> None:
        began = time.monotonic()
        everything_unprotected(engine)
        engine.run("destroy", "--yes")
        told(Row(what="down", verdict="gone", how="-", seconds=since(began)))
        held_together(tried(engine, "up again, pair", gpus.platform_for(engine, PAIR)))


@pytest.fixture(scope="module")
def whole(engine: Engine, node: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """The team's cluster after a check of a whole GPU."""
    engine.write(gpus.platform_for(engine, {}))
    engine.up()
    folder = tmp_path_factory.mktemp("pods")
    yield from pods_of(engine, node, folder)


@pytest.fixture(scope="module")
def share(engine: Engine, node: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """The team's cluster after a check of 0.3 of a GPU."""
    engine.write(gpus.platform_for(engine, {"fraction": 0.3}))
    engine.up()
    folder = tmp_path_factory.mktemp("pods")
    yield from pods_of(engine, node, folder)


class TestPlantedInAWholeGpu:
    """Faults in a pod that holds a GPU alone."""

    def test_a_gpu_hidden_from_cuda(self, whole: Pods) -> None:
        caught("hidden GPU", whole.planted("hidden", gpus.with_env("CUDA_VISIBLE_DEVICES", "")), "identity.torch")

    def test_more_memory_than_there_is(self, whole: Pods) -> None:
        caught("1.2 of the memory", whole.planted("memory", gpus.expecting(memoryFraction=1.2)), "memory.share")

    def test_one_gpu_fewer_than_promised(self, whole: Pods) -> None:
        caught("one GPU fewer", whole.planted("fewer", gpus.expecting(gpus=2)), "identity.count")

    def test_another_product_than_the_pools(self, whole: Pods) -> None:
        caught("another product", whole.planted("product", gpus.expecting(product="NVIDIA T4")), "identity.product")

    def test_a_worker_that_is_stuck_in_its_work(self, whole: Pods) -> None:
        stuck = gpus.signalled("SIGSTOP", "matmul", "--step-limit", "20")
        caught("stuck worker", whole.planted("stuck", stuck), "run.hung")

    def test_a_worker_that_dies(self, whole: Pods) -> None:
        caught("dead worker", whole.planted("dead", gpus.signalled("SIGKILL", "matmul")), "run.killed")

    def test_a_pod_without_the_runtime_class_gets_no_device_and_is_told_so(self, whole: Pods) -> None:
        report = whole.planted("classless", gpus.without_runtime_class)
        if report["verdict"] in GOOD:
            pytest.skip(f"the GPU came without a RuntimeClass ({report['injection']}): this node needs none")
        caught("no RuntimeClass", report, "identity.driver")
        assert "No GPU arrived in this container" in report["sentence"]

    @pytest.mark.parametrize(("what", "change", "rule"), ATTACKS, ids=[what for what, _, _ in ATTACKS])
    def test_a_pod_that_takes_what_is_not_its_own_is_refused_by_the_host(
        self, whole: Pods, what: str, change: Callable[[Json], None], rule: str
    ) -> None:
        began = time.monotonic()
        try:
            why = whole.refused(whole.start(whole.like_the_check(what.replace(" ", "-").lower(), change)))
        finally:
            whole.clear()
        told(Row(what=f"attack: {what}", verdict="refused", how="-", seconds=since(began), sentence=why))
        assert rule in why

    def test_a_device_plugin_that_restarts_in_the_middle_harms_no_running_check(
        self, whole: Pods, engine: Engine, node: Ground
    ) -> None:
        if node.owner == "cluster":
            pytest.skip("the device plugin is the cluster's: it was not restarted")
        name = whole.start(whole.like_the_check("plugin", lambda pod: None))
        whole.until(name, "Running")
        engine.kubectl("-n", "nvidia-device-plugin", "delete", "pods", "--all", "--wait=true")
        report = whole.report(name)
        told(reported("device plugin restarts", report, report["seconds"]))
        assert report["verdict"] in GOOD, report["sentence"]
        engine.kubectl("-n", "nvidia-device-plugin", "rollout", "status", "daemonset", "--timeout=180s")


class TestPlantedInAShare:
    """Faults in a pod that holds a part of a GPU."""

    def test_another_share_than_kai_granted(self, share: Pods) -> None:
        caught("another share", share.planted("share", gpus.expecting(fraction=0.6)), "sharing.granted")

    def test_a_neighbour_that_takes_more_than_its_share(self, share: Pods, node: Ground) -> None:
        if node.memory_mib is None:
            pytest.skip(f"pool {node.pool} has no gpuMemoryMib: how much a neighbour must take is not known")
        name = share.start(share.like_the_check("neighbour", gpus.holding(int(node.memory_mib * 0.9))))
        share.until(name, "Running")
        share.wait_for_word(name, "held")
        caught("greedy neighbour", share.planted("robbed", lambda pod: None), "memory.share")
        share.clear()
