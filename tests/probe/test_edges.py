"""Readings at the edge of what they are held against, and readings that are not there."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from probe.expect import Expect, Facts
from probe.judge import READINGS, judge
from probe.judge.findings import Findings
from probe.judge.run import judge_coverage, judge_run
from tests.probe.world import UUID, Report, finding, judged, on_gpu, recorded, report_on, severities

SECOND = "GPU-00000002-0000-0000-0000-000000000000"


def under_load(**facts: Any) -> Report:
    return {"speed": {"gpus": {"0": {"load": facts}}}}


def rates(**facts: Any) -> Report:
    return {"speed": {"gpus": {"0": facts}}}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (under_load(smClockMhz=990), {}),
        (under_load(pcieGen=4), {"health.pcie": "warn"}),
        (under_load(samples=26, clockReasons={"8": 13}), {"health.throttle": "fail"}),
        (rates(hostToDeviceGbs=31.5, deviceToHostGbs=31.5, onDeviceGbs=3360, matrixTflops=544), {}),
        (on_gpu(usedMib=1024, processes=[{"pid": 9, "memoryMib": 1024}]), {}),
        ({"matmul": {"gpus": {"0": {"fp32": [1e-5, 1e-4], "tf32": [2e-3, 2e-2], "bf16": [5e-3, 5e-2]}}}}, {}),
        ({"nvml": {"cuda": "13.0", "driver": "580.0.0"}}, {}),
        # a reason of clocks before the work alone, or after it alone, came and went
        ({"nvml": {"gpus": {"0": {"clockReasons": 0x8}}}, "after": {"gpus": {"0": {"clockReasons": 0x20}}}}, {}),
    ],
)
def test_a_reading_that_just_reaches_its_bound_is_as_good_as_it(steps: Report, expected: dict[str, str]) -> None:
    assert severities(report_on(steps=steps)) == expected


@pytest.mark.parametrize(("memory", "severity"), [(98000, "info"), (97999, "fail"), (102000, "info"), (102001, "warn")])
def test_a_gpus_memory_may_be_two_hundredths_off_its_pools(memory: int, severity: str) -> None:
    report = report_on(steps=on_gpu(memoryMib=memory), poolGpuMemoryMib=100000)
    assert finding(report, "identity.memory")["severity"] == severity
    assert "torch" not in finding(report, "identity.memory")["message"]


@pytest.mark.parametrize(("memory", "severity"), [(31000, "info"), (31001, "fail")])
def test_a_limit_may_be_a_hundredth_of_the_gpu_off_the_share(memory: int, severity: str) -> None:
    report = report_on("fraction", on_gpu(memoryMib=memory), poolGpuMemoryMib=100000, enforced=True)
    assert finding(report, "identity.memory")["severity"] == severity


@pytest.mark.parametrize("seen", [1024, 1025])
def test_a_seen_process_fails_a_gpu_held_alone_when_it_has_more_than_a_driver_keeps(seen: int) -> None:
    facts = {"usedMib": None, "processes": [{"pid": 9, "memoryMib": seen}]}
    report = report_on(steps={"nvml": {"gpus": {"0": facts}}})
    assert severities(report) == {"memory.alone": "fail" if seen > 1024 else "warn"}


def test_what_a_driver_keeps_is_not_named_where_memory_runs_out() -> None:
    short = {"memory": {"gpus": {"0": {"gotMib": 8000, "outOfMemory": "CUDA out of memory."}}}}
    report = report_on("fraction", {**short, "nvml": {"gpus": {"0": {"usedMib": 1024}}}})
    assert "in use before" not in finding(report, "memory.share")["message"]


def test_one_word_that_came_back_wrong_fails() -> None:
    report = report_on(steps={"memory": {"gpus": {"0": {"wrongWords": 1}}}})
    assert severities(report) == {"memory.pattern": "fail"}


def test_all_of_the_memory_is_not_more_than_there_is() -> None:
    short = {"askedMib": 143155, "gotMib": 142336, "outOfMemory": "CUDA out of memory."}
    report = report_on(steps={"memory": {"gpus": {"0": short}}}, memoryFraction=1)
    assert "lower memoryFraction" not in finding(report, "memory.share")["advice"]


@pytest.mark.parametrize(("error", "points"), [([2e-3, 1e-4], True), ([1e-2, 1e-4], False)])
def test_only_an_error_of_tf32s_size_points_at_tf32(error: list[float], points: bool) -> None:
    report = report_on(steps={"matmul": {"gpus": {"0": {"fp32": error}}}})
    assert ("NVIDIA_TF32_OVERRIDE" in finding(report, "work.fp32")["advice"]) is points


@pytest.mark.parametrize(
    ("code", "mode"), [*enumerate(["default", "exclusive thread", "prohibited", "exclusive process"])]
)
def test_a_compute_mode_is_named_as_nvml_numbers_it(code: int, mode: str) -> None:
    assert finding(report_on(steps=on_gpu(computeMode=code)), "health.computeMode")["value"] == mode


def without(simulation: Report, step: str, *keys: str) -> Report:
    """A recording whose first GPU does not have these readings."""
    for key in keys:
        simulation["steps"][step]["gpus"][0][key] = None
    return simulation


def test_readings_that_an_older_recording_lacks_are_as_those_that_nobody_offered() -> None:
    lacking, offered = recorded("healthy"), recorded("healthy")
    gpu = {"index": 0, "uuid": UUID, "name": "NVIDIA H200"}
    lacking["steps"]["nvml"]["gpus"] = [gpu]
    offered["steps"]["nvml"]["gpus"] = [{**dict.fromkeys(READINGS), **gpu, "migs": [], "errors": {}}]
    del lacking["steps"]["nvml"]["cuda"], lacking["steps"]["cuda"]["devices"][0]["uuid"]
    offered["steps"]["nvml"]["cuda"] = offered["steps"]["cuda"]["devices"][0]["uuid"] = None
    expect = Expect.parse(lacking["expect"])
    assert judge(expect, lacking["steps"], []) == judge(expect, offered["steps"], [])


def test_readings_are_of_one_gpu_by_its_uuid_however_torch_numbers_it() -> None:
    simulation = recorded("two-gpus")
    first, second = simulation["steps"]["cuda"]["devices"]
    first["uuid"], second["uuid"] = SECOND, UUID
    report = judged(simulation)
    assert finding(report, "health.clock", gpu=0)["value"] == 1500, "what torch calls 1"
    assert finding(report, "health.clock", gpu=1)["value"] == 1530


def test_without_uuids_torchs_numbers_are_nvmls() -> None:
    simulation = recorded("two-gpus")
    for device, memory in zip(simulation["steps"]["cuda"]["devices"], (1000, 2000), strict=True):
        device.update(uuid=None, memoryMib=memory)
    for gpu in simulation["steps"]["nvml"]["gpus"]:
        gpu["memoryMib"] = None
    assert [gpu["memoryMib"] for gpu in judged(simulation)["gpus"]] == [1000, 2000]


@pytest.mark.parametrize("missing", ["temperatureC", "temperatureSlowdownC"])
def test_a_temperature_without_its_limit_or_a_limit_without_one_says_nothing(missing: str) -> None:
    simulation = without(recorded("healthy"), "nvml", missing)
    simulation["steps"]["after"]["gpus"][0]["temperatureC"] = None
    if missing == "temperatureC":
        simulation["steps"]["speed"]["gpus"][0]["load"]["temperatureC"] = None
    report = judged(simulation)
    assert finding(report, "health.temperature")["severity"] == "info"
    assert "health.temperature" in report["coverage"]["notJudged"]
    assert ("at most not available C" in finding(report, "health.temperature")["message"]) is (
        missing == "temperatureC"
    )


def test_clocks_that_are_lowered_under_load_count_though_nobody_knows_them_before() -> None:
    simulation = without(recorded("healthy"), "nvml", "clockReasons")
    simulation["steps"]["speed"]["gpus"][0]["load"]["clockReasons"] = {"8": 25}
    assert severities(judged(simulation)) == {"health.throttle": "fail"}


@pytest.mark.parametrize(
    ("now", "before", "severity"),
    [([79], None, "fail"), (None, [31], "warn"), (None, [], "info"), (None, None, "info")],
)
def test_xids_count_wherever_they_can_be_read(now: list[int] | None, before: list[int] | None, severity: str) -> None:
    simulation = recorded("healthy")
    simulation["steps"]["after"]["xids"], simulation["steps"]["nvml"]["xidsBefore"] = now, before
    report = judged(simulation)
    assert finding(report, "health.xid")["severity"] == severity
    assert ("health.xid" in report["coverage"]["notJudged"]) is (now is before is None)


def test_links_that_nobody_uses_may_all_be_down() -> None:
    links = on_gpu(nvlinks={"active": 0, "inactive": 18})
    assert severities(report_on(steps=links, mode="host", gpus=None)) == {}


@pytest.mark.parametrize(("generation", "width"), [(None, 16), (5, None)])
def test_a_link_that_nobody_knows_has_no_floor(generation: int | None, width: int | None) -> None:
    simulation = recorded("healthy")
    simulation["steps"]["nvml"]["gpus"][0].update(pcieGenMax=generation, pcieWidthMax=width)
    assert finding(judged(simulation), "speed.hostToDevice")["bound"] is None


@pytest.mark.parametrize(("wrong", "speed"), [(0, None), (None, 287.8)])
def test_half_of_an_all_reduces_answer_is_none(wrong: int | None, speed: float | None) -> None:
    simulation = recorded("two-gpus")
    simulation["steps"]["allreduce"].update(wrongWords=wrong, busGbs=speed)
    report = judged(simulation)
    assert severities(report) == {"allreduce.sum": "unknown"}
    assert finding(report, "allreduce.sum")["bound"] == 0


@pytest.mark.parametrize(
    ("driver", "cuda", "severity"),
    [(None, "12.8", "warn"), ("570.86.15", None, "warn"), ("580.0.0", None, "info"), (None, "13.0", "info")],
)
def test_torchs_cuda_is_held_against_the_drivers_number_and_against_its_cuda(
    driver: str | None, cuda: str | None, severity: str
) -> None:
    simulation = recorded("healthy")
    simulation["steps"]["nvml"].update(driver=driver, cuda=cuda)
    report = judged(simulation)
    assert finding(report, "identity.cuda")["severity"] == severity
    assert ("forward compatibility" in finding(report, "identity.cuda")["message"]) is (severity == "warn")


def test_a_gpu_that_nvml_does_not_let_be_read_has_no_further_readings() -> None:
    simulation = recorded("two-gpus")
    simulation["steps"]["nvml"]["gpus"][1].update(uuid=None, name=None, errors={})
    found = [f["id"] for f in judged(simulation)["findings"] if f["gpu"] == 1 and f["id"].startswith("health.")]
    assert found == ["health.nvml"]


def test_a_whole_node_shows_its_slices_and_is_no_other_than_was_asked_for() -> None:
    assert "identity.mig" not in severities(report_on("mig", mode="host"))


def test_no_gpu_in_sight_is_not_one_too_many() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["nvml"]["gpus"] = []
    report = judged(simulation, gpus=None)
    assert finding(report, "identity.count")["advice"].startswith("Read the device plugin's log")


@pytest.mark.parametrize("step", ["nvml", "cuda", "import", "smi"])
def test_what_a_step_did_not_tell_is_no_fault_of_the_check(step: str) -> None:
    simulation = recorded("two-gpus")
    simulation["faults"] = {step: {"error": "no answer"}}
    report = judged(simulation)
    assert "run.error" in {f["id"] for f in report["findings"]}
    assert "run.judged" not in {f["id"] for f in report["findings"]}


class TestHowTheGpuCame:
    def test_what_the_stack_file_says_is_held_against_what_is_seen(self) -> None:
        assert severities(report_on(injection="legacy")) == {}
        report = report_on(injection="cdi")
        assert severities(report) == {"runtime.injection": "warn"}
        assert finding(report, "runtime.injection")["value"] == "legacy"

    def test_what_can_not_be_told_is_not_judged(self) -> None:
        simulation = recorded("healthy")
        simulation["steps"]["runtime"].update(deviceNodes=["/dev/nvidia0"], environment={})
        report = judged(simulation, injection="cdi")
        assert report["injection"] == "unknown"
        assert finding(report, "runtime.injection")["severity"] == "info"
        assert "runtime.injection" in report["coverage"]["notJudged"]

    def test_that_none_came_is_for_nvmls_words(self) -> None:
        assert "runtime.injection" not in {f["id"] for f in report_on("no-device", injection="cdi")["findings"]}


GPU: Facts = {"step": "memory", "blames": "gpu", "detail": " after {}"}
OTHER: Facts = {"step": "import", "blames": "probe", "detail": ""}
FAULT: Facts = {"state": "error", "error": "CUDA error", "outOfMemory": False}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({**GPU, "state": "hung", "limit": 5.0}, ("run.hung", "fail", "drain the node")),
        ({**OTHER, "state": "hung", "limit": 5.0}, ("run.hung", "unknown", "cold image")),
        ({**GPU, "state": "killed", "signal": signal.SIGSEGV}, ("run.killed", "fail", "CUDA or the driver crashed")),
        ({**OTHER, "state": "killed", "signal": signal.SIGSEGV}, ("run.killed", "unknown", "more memory")),
        ({**GPU, "state": "killed", "signal": signal.SIGKILL}, ("run.killed", "unknown", "more memory")),
        ({**GPU, "state": "killed", "signal": None, "exit": 7}, ("run.killed", "unknown", "more memory")),
        ({**GPU, **FAULT}, ("run.error", "fail", "kernel log")),
        ({**GPU, **FAULT, "outOfMemory": True}, ("run.error", "fail", "who holds the GPU's memory")),
        ({**GPU, **FAULT, "error": "No module named 'pynvml'"}, ("run.error", "unknown", "pynvml beside the probe")),
        ({**OTHER, **FAULT}, ("run.error", "unknown", "pynvml beside the probe")),
        ({**OTHER, **FAULT, "step": "runtime"}, ("run.error", "unknown", "kernel log")),
    ],
)
def test_a_step_that_did_not_end_is_blamed_on_what_it_used(state: Facts, expected: tuple[str, str, str]) -> None:
    found = Findings()
    judge_run({}, [state, {**GPU, "state": "done"}], "", found)
    (only,) = found
    assert (only.id, only.severity) == expected[:2]
    assert expected[2] in only.advice
    how = {"hung": "within 5 s", "killed": f"signal {state.get('signal')}"}.get(state["state"], "CUDA error")
    assert state["detail"] in only.message
    assert how in only.message.replace("exit code 7", "signal None").replace("No module named 'pynvml'", "CUDA error")


@pytest.mark.parametrize(
    ("pipe", "cuda", "advice"),
    [
        ("/mps/nvidia.com/gpu/pipe", {}, "MPS serves one user"),
        # CUDA has come up, so the daemon had answered
        ("/mps/nvidia.com/gpu/pipe", {"cuda": {"devices": []}}, "cold image"),
        (None, {}, "cold image"),
    ],
)
def test_a_client_of_mps_that_waits_for_cuda_is_told_to_look_at_the_daemon(
    pipe: str | None, cuda: dict[str, Facts], advice: str
) -> None:
    found = Findings()
    facts: dict[str, Facts] = {"runtime": {"granted": {"CUDA_MPS_PIPE_DIRECTORY": pipe}}, **cuda}
    judge_run(facts, [{**OTHER, "state": "hung", "limit": 20.0}], "", found)
    (only,) = found
    assert (only.id, only.severity) == ("run.hung", "unknown")
    assert advice in only.advice


@pytest.mark.parametrize(("pairs", "missing"), [(6, []), (5, [(5, 6)])])
def test_each_gpu_copies_to_each_other(pairs: int, missing: list[tuple[int, int]]) -> None:
    found = Findings()
    facts: dict[str, Facts] = {
        "cuda": {"devices": [{"index": index} for index in range(3)]},
        "peers": {"pairs": [{}] * pairs},
    }
    judge_coverage(facts, [], "", found)
    assert [(each.value, each.bound) for each in found] == missing


@pytest.mark.parametrize(("severity", "told"), [("info", True), ("warn", True), ("unknown", False), ("fail", False)])
def test_steps_that_did_not_run_are_told_unless_something_worse_says_why(severity: str, told: bool) -> None:
    found = Findings()
    found.add("health.clock", severity, "")
    judge_coverage({}, [{**GPU, "state": "not-run"}], "", found)
    assert ("run.incomplete" in [each.id for each in found]) is told


def test_a_check_that_was_ended_is_told_and_no_pass() -> None:
    found = Findings()
    judge_run({}, [], "signal 15 came", found)
    (only,) = found
    assert (only.id, only.severity, only.value) == ("run.stopped", "unknown", "signal 15 came")
    assert "more time or memory" in only.advice
