"""The GPU check's probe as a program: watchdog, signals, files, ConfigMap, command line. No GPU; loopback only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from probe.probe import arguments_of, read_expect
from tests.conftest import HANGS_SECONDS
from tests.probe.world import PROBE, SIMULATIONS, VALIDATOR

pytestmark = pytest.mark.slow

PROGRAM = str(PROBE / "probe.py")
HEALTHY = str(SIMULATIONS / "healthy.json")


def environment(**variables: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GPU_CHECK", "KUBERNETES"))}
    return {**kept, **variables}


def run_probe(*arguments: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report (empty if none was printed) and what went to standard error."""
    command = [sys.executable, PROGRAM, "--report", "-", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(**variables), timeout=HANGS_SECONDS, check=False
    )
    report = json.loads(done.stdout) if done.stdout else {}
    if report:
        VALIDATOR.validate(report)
    return done.returncode, report, done.stderr


@pytest.mark.parametrize(
    ("name", "code", "verdict"),
    [("healthy", 0, "pass"), ("half-speed", 1, "warn"), ("ecc", 2, "fail"), ("fake", 3, "simulated")],
)
def test_a_simulation_runs_the_whole_program_and_exits_by_its_verdict(name: str, code: int, verdict: str) -> None:
    exit_code, report, errors = run_probe("--simulate", str(SIMULATIONS / f"{name}.json"))
    assert (exit_code, report["verdict"], report["simulation"]) == (code, verdict, name)
    assert report["sentence"] in errors, "by hand the sentence is printed, too"


def test_a_hung_step_is_ended_by_the_watchdog_and_the_report_says_how_far_it_came() -> None:
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "hung.json"), "--step-limit", "5")
    assert (code, report["verdict"]) == (2, "fail")
    assert report["findings"][0]["id"] == "run.hung"
    assert report["findings"][0]["value"] == "matmul"
    states = report["coverage"]["steps"]
    assert (states["memory"], states["matmul"], states["speed"]) == ("done", "hung", "not-run")
    assert not report["coverage"]["complete"]


def test_a_hang_that_is_not_the_gpus_is_not_blamed_on_it(tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"base": HEALTHY, "name": "slow", "faults": {"import": {"hang": True}}}))
    code, report, _ = run_probe("--simulate", str(slow), "--step-limit", "5")
    assert (code, report["verdict"]) == (3, "could-not-tell")
    assert "cold image" in report["sentence"]


def test_a_killed_worker_leaves_a_report_that_could_not_tell() -> None:
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "killed.json"))
    assert (code, report["verdict"]) == (3, "could-not-tell")
    assert report["findings"][0]["id"] == "run.killed"
    assert "signal 9 in step memory" in report["sentence"]
    assert report["coverage"]["steps"]["memory"] == "killed"


def test_a_crash_in_the_gpus_libraries_fails() -> None:
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "crashed.json"))
    assert (code, report["verdict"]) == (2, "fail")
    assert "crashed" in report["sentence"]


def test_an_error_in_a_step_is_named_and_no_later_cuda_step_is_trusted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    fault = {"memory": {"error": "CUDA error: uncorrectable ECC error encountered"}}
    broken.write_text(json.dumps({"base": HEALTHY, "name": "broken", "faults": fault}))
    code, report, _ = run_probe("--simulate", str(broken))
    assert (code, report["verdict"]) == (2, "fail")
    assert "uncorrectable ECC error" in report["sentence"]
    assert report["coverage"]["skipped"]["matmul"] == "step memory ended in an error"
    assert report["coverage"]["steps"]["after"] == "done", "NVML can still say what happened"


def test_the_deadline_ends_the_check_with_a_partial_report() -> None:
    # the step before it hangs for ever: the deadline only has to leave a busy machine the time to get there
    code, report, _ = run_probe("--simulate", str(SIMULATIONS / "hung.json"), "--deadline", "12")
    assert (code, report["verdict"]) == (3, "could-not-tell")
    assert "the deadline of 12 s passed in step matmul" in report["sentence"]
    assert report["coverage"]["steps"]["memory"] == "done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_check_with_a_partial_report_and_no_worker_left(tmp_path: Path, number: int) -> None:
    path = tmp_path / "report.json"
    command = [sys.executable, PROGRAM, "--simulate", str(SIMULATIONS / "hung.json"), "--report", str(path)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment())
    assert running.stderr is not None
    for line in running.stderr:
        if b"matmul" in line:
            break
    workers = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(number)
    assert running.wait(HANGS_SECONDS) == 3
    report = json.loads(path.read_text())
    VALIDATOR.validate(report)
    assert report["verdict"] == "could-not-tell"
    assert f"signal {int(number)} came in step matmul" in report["sentence"]
    assert len(workers) == 1
    assert not Path(f"/proc/{workers[0]}").exists()


def test_killed_whole_it_has_already_left_a_report(tmp_path: Path) -> None:
    path, log = tmp_path / "report.json", tmp_path / "termination-log"
    command = [sys.executable, PROGRAM, "--simulate", str(SIMULATIONS / "hung.json"), "--report", str(path)]
    running = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment(GPU_CHECK_TERMINATION_LOG=str(log)),
    )
    assert running.stderr is not None
    for line in running.stderr:
        if b"matmul" in line:
            break
    deadline = time.monotonic() + HANGS_SECONDS
    while "matmul" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    (worker,) = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.kill()
    running.wait(HANGS_SECONDS)
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{worker}").exists(), "a worker left behind would keep the GPU's memory"
    report = json.loads(path.read_text())
    VALIDATOR.validate(report)
    assert report["verdict"] == "could-not-tell"
    assert "killed in step matmul" in report["sentence"]
    assert "OOMKilled" in log.read_text()


# --- command line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expect", '{"gpu": 1}'], "'gpu' is unknown"),
        (["--expect", "/no/such/file"], "can't be read"),
        (["--expect", "{"], "not JSON"),
        (["--gpus", "0"], "whole number of at least 1, got 0"),
        (["--gpus", "two"], "invalid int value"),
        (["--memory-fraction", "3"], "at most 2"),
        (["--simulate", "/no/such/file"], "can't be read"),
        (["--simulate", '{"name": "x"}'], "must have 'steps'"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_line_and_no_verdict(arguments: list[str], message: str) -> None:
    code, report, errors = run_probe(*arguments)
    assert code == 64, "2 means that a GPU failed"
    assert report == {}
    assert message in errors
    assert errors.count("\n") == 1


def test_what_is_typed_outranks_the_expectation_and_that_the_recordings() -> None:
    options = arguments_of(["--expect", '{"gpus": 2, "team": "ml"}', "--gpus", "3"])
    expect = read_expect(options, {"expect": {"mode": "host", "gpus": 1}})
    assert (expect.gpus, expect.team, expect.mode) == (3, "ml", "host")


def test_the_job_passes_its_expectation_by_environment() -> None:
    code, report, _ = run_probe("--simulate", HEALTHY, GPU_CHECK_EXPECT='{"gpus": 2, "queue": "training"}')
    assert (code, report["queue"]) == (2, "training")
    assert report["findings"][0]["id"] == "identity.count"


def test_a_recording_of_a_run_plays_back_as_the_same_findings(tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    _, first, _ = run_probe("--simulate", str(SIMULATIONS / "throttled.json"), "--record", str(again))
    _, second, _ = run_probe("--simulate", str(again))
    assert second["findings"] == first["findings"]


def test_without_a_driver_the_real_probe_says_which_piece_is_missing() -> None:
    if list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("an NVIDIA GPU is here: tests/probe/test_probe_gpu.py runs the probe on it")
    pytest.importorskip("pynvml", reason="pynvml is not installed")
    code, report, _ = run_probe()
    assert (code, report["verdict"]) == (2, "fail")
    assert report["findings"][0]["id"] == "identity.driver"
    assert "RuntimeClass" in report["sentence"]


def test_a_report_says_which_run_it_is_of_and_on_which_node_it_ran() -> None:
    where = {"GPU_CHECK_RUN": "run1", "GPU_CHECK_NODE": "gpu-3"}
    _, report, _ = run_probe("--simulate", str(SIMULATIONS / "healthy.json"), **where)
    assert report is not None
    assert (report["run"], report["node"]) == ("run1", "gpu-3")
