"""The whole judgement on each recorded fault, without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.expect import Expect
from probe.gather.steps import run_steps
from probe.report import Run
from tests.probe.world import SIMULATIONS, UUID, Report, finding, in_environment, recorded, report_on, severities


@pytest.mark.parametrize(
    ("name", "verdict", "cause"),
    [
        ("healthy", "pass", None),
        ("two-gpus", "pass", None),
        ("fraction", "pass", None),
        ("cdi", "pass", None),
        ("gb10", "pass", None),
        ("replica", "pass", None),
        ("mig", "pass", None),
        ("ecc", "fail", "health.ecc"),
        ("rows", "fail", "health.rows"),
        ("fewer", "fail", "identity.count"),
        ("hidden", "fail", "identity.torch"),
        ("throttled", "fail", "health.throttle"),
        ("half-speed", "warn", "speed.matrix"),
        ("wrong-driver", "fail", "identity.cuda"),
        ("no-driver", "fail", "identity.driver"),
        ("no-device", "fail", "identity.driver"),
        ("oom", "fail", "memory.alone"),
        ("corrupt", "fail", "memory.pattern"),
        ("wrong-product", "fail", "work.bf16"),
        ("fake", "simulated", None),
    ],
)
def test_each_recorded_fault_is_named_first_and_gets_its_verdict(name: str, verdict: str, cause: str | None) -> None:
    report = report_on(name)
    assert report["verdict"] == verdict
    assert report["simulated"] is True
    assert report["simulation"] == name
    if cause:
        first = report["findings"][0]
        assert first["id"] == cause
        assert first["message"] in report["sentence"]
        assert first["advice"] in report["sentence"], "the sentence says what to do"
    elif verdict == "pass":
        assert severities(report) == {}


def test_every_recording_is_exercised_by_a_test() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [path.stem for path in SIMULATIONS.glob("*.json") if f'"{path.stem}"' not in text] == []


def test_a_healthy_report_covers_every_step_and_names_the_gpu() -> None:
    report = report_on()
    assert report["coverage"]["complete"]
    assert report["coverage"]["uuids"] == [UUID]
    assert {s for s, state in report["coverage"]["steps"].items() if state == "done"} == {
        "runtime", "smi", "nvml", "import", "cuda", "memory", "matmul", "speed", "after"
    }  # fmt: skip
    assert report["coverage"]["skipped"] == {"peers": "one GPU", "allreduce": "one GPU"}
    assert report["gpus"][0]["name"] == "NVIDIA H200"


def test_a_run_that_leaves_steps_out_never_passes() -> None:
    run = Run(Expect(), None)
    simulation = recorded("healthy")
    told: list[Report] = []
    run_steps(run.expect, simulation, told.append)
    for message in told:
        if message.get("begin") == "matmul":
            break
        run.take(message)
    report = run.report()
    assert report["verdict"] == "could-not-tell"
    assert not report["coverage"]["complete"]
    assert severities(report) == {"run.incomplete": "unknown"}


def test_declared_fake_gpus_are_simulated_even_on_good_answers() -> None:
    report = report_on("healthy", fake=True)
    assert report["verdict"] == "simulated"
    assert report["simulated"] is True
    assert report["coverage"]["skipped"]["memory"] == "fake GPUs"


def test_a_node_without_a_driver_is_no_fake() -> None:
    assert report_on("no-driver")["verdict"] == "fail"


def test_an_imitation_of_nvidia_smi_alone_tells_a_fake() -> None:
    report = report_on("fake", in_environment(MOCK_NVIDIA_VISIBLE_DEVICES=None))
    assert report["verdict"] == "simulated"
    assert "imitation" in finding(report, "runtime.fake")["message"]
