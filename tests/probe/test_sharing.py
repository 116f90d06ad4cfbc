"""Fractions, replicas and MIG slices against what was granted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from probe.expect import Expect
from probe.gather.memory import granted_mib, unused_mib
from probe.simulation import load_simulation
from tests.conftest import ROOT
from tests.probe.world import UUID, Report, finding, in_environment, judged, recorded, report_on, severities, told


def test_a_fraction_says_what_was_granted_and_that_memory_is_not_isolated() -> None:
    report = report_on("fraction")
    assert finding(report, "sharing.granted")["value"] == 0.3
    assert finding(report, "sharing.uuid")["value"] == UUID
    assert finding(report, "sharing.limiter")["value"] is True
    assert finding(report, "sharing.limiter")["bound"] is True
    isolation = finding(report, "sharing.isolation")
    assert isolation["value"] is False
    assert "Memory is not isolated" in isolation["message"]


@pytest.mark.parametrize(
    ("variables", "findings"),
    [
        ({"GPU_PORTION": "0.5"}, {"sharing.granted": "fail"}),
        ({"GPU_PORTION": "0.31"}, {}),
        ({"GPU_PORTION": None}, {"sharing.granted": "unknown"}),
        ({"GPU_PORTION": "half"}, {"sharing.granted": "unknown"}),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-other"}, {"sharing.uuid": "fail"}),
        ({"NVIDIA_VISIBLE_DEVICES": None}, {"sharing.uuid": "unknown"}),
        ({"NVIDIA_VISIBLE_DEVICES": f"k8s.device-plugin.nvidia.com/gpu={UUID}"}, {}),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, {"sharing.uuid": "unknown"}),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, {"sharing.uuid": "fail"}),
        ({"NVIDIA_VISIBLE_DEVICES": "0"}, {"sharing.uuid": "unknown"}),
    ],
)
def test_a_fraction_is_held_to_what_the_scheduler_granted(
    variables: dict[str, str | None], findings: dict[str, str]
) -> None:
    assert severities(report_on("fraction", in_environment(**variables))) == findings


def test_a_share_that_differs_by_just_the_tolerance_is_the_one_that_was_asked_for() -> None:
    for granted, findings in (("0.04", {}), ("0.041", {"sharing.granted": "fail"})):
        assert severities(report_on("fraction", in_environment(GPU_PORTION=granted), fraction=0.02)) == findings


def test_a_gpu_memory_request_is_compared_as_a_share_of_the_gpu() -> None:
    asked: Report = {"mode": "gpu-memory", "gpuMemoryMib": 43131, "fraction": None}
    assert severities(report_on("fraction", **asked)) == {}
    assert severities(report_on("fraction", **{**asked, "gpuMemoryMib": 60000})) == {"sharing.granted": "fail"}


def test_a_limiter_that_does_not_refuse_is_a_warning() -> None:
    steps = {"memory": {"gpus": {"0": {"limiter": {"refused": False}}}}}
    assert severities(report_on("fraction", steps)) == {"sharing.limiter": "warn"}


def test_memory_that_ends_at_the_share_is_called_isolated() -> None:
    report = report_on("fraction", {"memory": {"gpus": {"0": {"totalMib": 42946}}}})
    assert finding(report, "sharing.isolation")["value"] is True


@pytest.mark.parametrize(("total", "isolated"), [(51000, True), (51001, False), (60000, False)])
def test_memory_is_isolated_up_to_the_tolerance_above_the_share(total: int, isolated: bool) -> None:
    report = report_on("fraction", {"memory": {"gpus": {"0": {"grantedMib": 50000, "totalMib": total}}}})
    assert finding(report, "sharing.isolation")["value"] is isolated


def test_a_replica_names_the_gpu_that_it_shares() -> None:
    report = report_on("replica")
    assert UUID in finding(report, "sharing.replica")["message"]
    assert "time-slicing as one of 4" in finding(report, "sharing.replica")["message"]
    assert finding(report, "sharing.isolation")["value"] is False
    mps = report_on("replica", in_environment(CUDA_MPS_PIPE_DIRECTORY="/mps"))
    assert "MPS" in finding(mps, "sharing.replica")["message"]


def test_two_replicas_may_be_two_turns_on_one_gpu() -> None:
    assert severities(report_on("replica", gpus=2)) == {}
    assert severities(report_on("two-gpus", mode="replica", gpus=1)) == {"identity.count": "fail"}


def test_a_mig_slice_is_named_with_its_memory() -> None:
    report = report_on("mig")
    assert finding(report, "identity.mig")["value"] == ["NVIDIA H200 MIG 1g.18gb (16384 MiB)"]
    assert report["gpus"][0]["uuid"].startswith("MIG-")


def test_a_mig_slice_where_a_whole_gpu_was_asked_for_fails() -> None:
    report = report_on("mig", mode="whole")
    assert report["findings"][0]["id"] == "identity.mig"
    assert report["verdict"] == "fail"


def test_a_whole_gpu_where_a_mig_slice_was_asked_for_fails() -> None:
    assert severities(report_on(mode="mig")) == {"identity.mig": "fail"}


@pytest.mark.parametrize(
    ("expect", "mib"),
    [
        ({}, 1000),
        ({"mode": "host"}, 1000),
        ({"mode": "fraction", "fraction": 0.3}, 300),
        ({"mode": "gpu-memory", "gpuMemoryMib": 250}, 250),
        ({"mode": "gpu-memory", "gpuMemoryMib": 2000}, 1000),
        ({"mode": "replica", "replicas": 4}, 250),
        ({"mode": "replica"}, 600),
        ({"mode": "mig"}, 1000),
    ],
)
def test_the_memory_that_is_a_pods_own_follows_from_how_it_asked(expect: Report, mib: int) -> None:
    assert granted_mib(Expect.parse(expect), total_mib=1000, free_mib=600) == mib


OTHER = "GPU-99999999-0000-0000-0000-000000000000"


class TestTheKubeletsWord:
    """In mode cdi the container's own variable is `void`, whatever was granted."""

    @pytest.mark.parametrize(
        ("visible", "portion", "findings"),
        [
            (UUID, "0.30", {}),
            (f"k8s.device-plugin.nvidia.com/gpu={UUID}", "0.30", {}),
            (OTHER, "0.30", {"sharing.uuid": "fail"}),
            (UUID, "0.90", {"sharing.granted": "fail"}),
            (None, "0.30", {"sharing.uuid": "unknown"}),
            (UUID, None, {"sharing.granted": "unknown"}),
            ("void", "0.30", {"sharing.uuid": "unknown"}),
        ],
    )
    def test_a_fraction_is_held_to_it(self, visible: str | None, portion: str | None, findings: dict[str, str]) -> None:
        assert severities(report_on("cdi", told(visible, portion))) == findings

    def test_it_outranks_what_an_image_says(self) -> None:
        by_image = {"environment": {"NVIDIA_VISIBLE_DEVICES": OTHER, "GPU_PORTION": "0.9"}}
        steps: Report = {"runtime": {**told(UUID, "0.30")["runtime"], **by_image}}
        assert severities(report_on("cdi", steps)) == {}


class TestWithoutMemory:
    """GB10, Orin, Thor: NVML names no memory, and no check may go with it."""

    def test_a_share_and_a_reservation_are_judged_without_it(self) -> None:
        simulation = load_simulation(str(ROOT / "tests/probe/gb10-wrong.json"))
        report = judged(simulation)
        assert severities(report) == {
            "sharing.granted": "fail", "sharing.uuid": "fail", "sharing.limiter": "warn"
        }  # fmt: skip

    @pytest.mark.parametrize(("asked", "findings"), [(37383, {}), (60000, {"sharing.granted": "fail"})])
    def test_a_gpu_memory_request_is_a_share_of_torchs_total(self, asked: int, findings: dict[str, str]) -> None:
        report = report_on("gb10", mode="gpu-memory", gpuMemoryMib=asked, fraction=None)
        assert severities(report) == findings

    def test_without_torchs_total_it_is_a_share_of_the_pools_number_and_else_no_pass(self) -> None:
        none: Report = {"cuda": {"devices": {"0": {"memoryMib": None}}}}
        asked: Report = {"mode": "gpu-memory", "gpuMemoryMib": 37383, "fraction": None}
        assert severities(report_on("gb10", none, poolGpuMemoryMib=124610, **asked)).get("sharing.granted") is None
        report = report_on("gb10", none, **asked)
        assert severities(report) == {"sharing.granted": "unknown"}
        assert report["verdict"] == "could-not-tell"


def test_a_limiter_that_was_not_tried_is_a_warning() -> None:
    simulation = recorded("fraction")
    del simulation["steps"]["memory"]["gpus"][0]["limiter"]
    report = judged(simulation)
    assert severities(report) == {"sharing.limiter": "warn"}
    assert finding(report, "sharing.limiter")["bound"] is True


def test_a_refusal_that_a_full_gpu_explains_says_nothing_about_the_limiter() -> None:
    report = report_on("fraction", {"memory": {"gpus": {"0": {"limiter": {"freeMib": 43201}}}}})
    assert severities(report) == {}
    assert finding(report, "sharing.limiter")["value"] is None
    assert finding(report, "sharing.limiter")["bound"] is True
    tried: Report = {"memory": {"gpus": {"0": {"limiter": {"freeMib": 43202}}}}}
    assert finding(report_on("fraction", tried), "sharing.limiter")["value"] is True, "just enough was free"
    assert "sharing.limiter" in report["coverage"]["notJudged"]


@pytest.mark.parametrize(
    ("pools", "pipe", "severity"),
    [
        ("timeSlicing", None, "info"),
        ("mps", "/mps", "info"),
        ("mps", None, "fail"),
        ("timeSlicing", "/mps", "fail"),
        (None, "/mps", "info"),
    ],
)
def test_replicas_are_made_in_the_way_that_the_pool_says(pools: str | None, pipe: str | None, severity: str) -> None:
    report = report_on("replica", told(mps=pipe), sharing=pools)
    replica = finding(report, "sharing.replica")
    assert replica["severity"] == severity
    assert (f"the pool says {pools}" in replica["message"]) is (severity == "fail")


def test_what_an_image_says_makes_no_replica_a_client_of_mps() -> None:
    steps = told()
    steps["runtime"]["environment"]["CUDA_MPS_PIPE_DIRECTORY"] = "/mps"
    assert "time-slicing" in finding(report_on("replica", steps), "sharing.replica")["message"]


def test_memory_that_mps_bounds_is_called_isolated_and_is_all_the_pods() -> None:
    steps: Report = {**told(mps="/mps"), "memory": {"gpus": {"0": {"totalMib": 35942, "grantedMib": 35942}}}}
    assert finding(report_on("replica", steps, sharing="mps"), "sharing.isolation")["value"] is True
    expect = Expect.parse({"mode": "replica", "replicas": 4})
    assert granted_mib(expect, total_mib=35942, free_mib=35000, whole_mib=143771) == 35942, "divided once and not twice"
    assert granted_mib(expect, total_mib=143155, free_mib=142000, whole_mib=143771) == 35788


@pytest.mark.parametrize("mode", ["replica", "host"])
def test_a_client_of_mps_has_a_part_of_the_memory_that_cuda_shows_as_a_whole(mode: str) -> None:
    # an H100 with driver 580.159.04 and four clients: CUDA's total is the GPU's, and 20244 MiB were free
    expect = Expect.parse({"mode": mode, "replicas": 4, "sharing": "mps"})
    assert granted_mib(expect, total_mib=81079, free_mib=20244, whole_mib=81559, client=True) == 20269
    assert granted_mib(Expect.parse({"mode": "host"}), 81079, 20244, 81559, client=True) == 20244, (
        "nobody says of how many"
    )


def client(**more: Any) -> Report:
    """One of four clients of MPS that tried to get a fifth more than its part."""
    tried = {"shareMib": 20269, "wholeMib": 81079, "triedMib": 24322, "freeMib": 20244, "refused": True, **more}
    return {**told(mps="/mps"), "memory": {"gpus": {"0": {"grantedMib": 20269, "overTake": tried}}}}


@pytest.mark.parametrize(
    ("refused", "unused", "severity", "value"),
    [
        (True, 80000, "info", True),
        (True, 24322, "info", True),
        # the GPU was full, or nobody says whether it was
        (True, 24321, "info", None),
        (True, None, "info", None),
        (False, 80000, "warn", False),
        (False, None, "warn", False),
    ],
)
def test_memory_is_isolated_where_mps_refuses_more_than_the_part_although_there_is_more(
    refused: bool, unused: int | None, severity: str, value: bool | None
) -> None:
    report = report_on("replica", client(refused=refused, unusedMib=unused), sharing="mps")
    isolation = finding(report, "sharing.isolation")
    assert (isolation["severity"], isolation["value"]) == (severity, value)
    assert ("a client can raise it for all" in report["sentence"]) is (value is False), "as one did on an H100"
    assert ("sharing.isolation" in report["coverage"]["notJudged"]) is (value is None)


@pytest.mark.parametrize(("pipe", "severity"), [("/mps", "info"), (None, "fail")])
def test_the_hosts_own_check_is_a_client_of_mps_as_well(pipe: str | None, severity: str) -> None:
    steps = {**client(unusedMib=80000), **told(mps=pipe), "speed": {"gpus": {"0": {"matrixTflops": 150.0}}}}
    report = report_on(steps=steps, mode="host", replicas=4, sharing="mps")
    assert finding(report, "sharing.replica")["severity"] == severity
    slow = {found["severity"] for found in report["findings"] if found["id"].startswith("speed.")}
    assert slow == ({"info"} if pipe else {"info", "warn"}), "a quarter of the multiprocessors is slower than a GPU"


class Answers:
    """NVML, of a GPU with so many MiB in use; None where it says nothing of memory."""

    NVMLError = RuntimeError
    nvmlMemory_v2 = 2  # noqa: N815 (NVML's name)

    def __init__(self, used: int | None) -> None:
        self.used = used

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetMemoryInfo(self, *_: object) -> Any:  # noqa: N802
        if self.used is None:
            raise AttributeError("not in this pynvml")
        return SimpleNamespace(total=81559 << 20, used=self.used << 20)


@pytest.mark.parametrize(("used", "unused"), [(0, 81559), (60000, 21559), (None, None)])
def test_what_nobody_holds_of_a_gpu_is_nvmls_word(used: int | None, unused: int | None) -> None:
    nvml: Any = Answers(used)
    assert unused_mib(nvml, 0) == unused
