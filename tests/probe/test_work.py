"""Memory, products, rates, and several GPUs."""

from __future__ import annotations

import pytest

from probe.bounds import TOLERANCES
from tests.probe.world import finding, judged, on_gpu, recorded, report_on, severities


def test_a_gpu_held_alone_may_have_a_little_in_use_and_no_more() -> None:
    assert severities(report_on(steps=on_gpu(usedMib=1024))) == {}
    report = report_on(steps={"nvml": {"gpus": {"0": {"usedMib": 1025, "processes": [{"pid": 9, "memoryMib": 1000}]}}}})
    assert severities(report) == {"memory.alone": "fail"}
    assert "process 9 with 1000 MiB" in report["sentence"]


def test_a_shared_gpu_may_be_in_use_by_others() -> None:
    assert severities(report_on("fraction", {"nvml": {"gpus": {"0": {"usedMib": 70000}}}})) == {}


def test_asking_for_more_memory_than_there_is_says_so() -> None:
    short = {"askedMib": 171786, "gotMib": 142336, "outOfMemory": "CUDA out of memory."}
    report = report_on(steps={"memory": {"gpus": {"0": short}}}, memoryFraction=1.2)
    assert severities(report) == {"memory.share": "fail"}
    assert "lower memoryFraction (1.2)" in report["sentence"]
    assert finding(report, "memory.share")["value"] == 142336


def test_a_share_that_a_neighbour_has_taken_fails_and_names_the_neighbour() -> None:
    steps = {
        "nvml": {"gpus": {"0": {"usedMib": 120426, "processes": [{"pid": 9, "memoryMib": 120418}]}}},
        "memory": {"gpus": {"0": {"freeMib": 22205, "gotMib": 8000, "outOfMemory": "CUDA out of memory."}}},
    }
    report = report_on("fraction", steps)
    assert severities(report) == {"memory.share": "fail"}
    assert "process 9" in report["sentence"]
    assert "nothing enforces shares" in report["sentence"]


@pytest.mark.parametrize("kind", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_product_outside_either_tolerance_fails(kind: str, which: int) -> None:
    error = [0.0, 0.0]
    error[which] = TOLERANCES[kind][which] * 1.01
    assert severities(report_on(steps={"matmul": {"gpus": {"0": {kind: error}}}})) == {f"work.{kind}": "fail"}


def test_a_product_that_is_no_number_fails() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["matmul"]["gpus"][0]["bf16"] = None
    assert severities(judged(simulation)) == {"work.bf16": "fail"}


def test_fp32_with_the_precision_of_tf32_points_at_the_image() -> None:
    report = report_on(steps={"matmul": {"gpus": {"0": {"fp32": [3e-4, 1.6e-3]}}}})
    assert severities(report) == {"work.fp32": "fail"}
    assert "NVIDIA_TF32_OVERRIDE" in report["sentence"]


def test_a_product_with_changing_bits_fails() -> None:
    assert severities(report_on(steps={"matmul": {"gpus": {"0": {"repeatable": False}}}})) == {"work.repeat": "fail"}


SLOW = {"hostToDeviceGbs": 31.4, "deviceToHostGbs": 31.4, "onDeviceGbs": 3359.0, "matrixTflops": 543.0}


def test_each_rate_below_its_floor_is_a_warning() -> None:
    report = report_on(steps={"speed": {"gpus": {"0": SLOW}}})
    assert report["verdict"] == "warn"
    assert severities(report) == dict.fromkeys(
        ("speed.hostToDevice", "speed.deviceToHost", "speed.onDevice", "speed.matrix"), "warn"
    )


def test_floors_bind_only_where_the_gpu_is_held_alone() -> None:
    report = report_on("fraction", {"speed": {"gpus": {"0": SLOW}}})
    assert report["verdict"] == "pass"
    assert "does not bind" in finding(report, "speed.matrix")["message"]
    assert report_on(mode="host", steps={"speed": {"gpus": {"0": SLOW}}})["verdict"] == "warn"


def test_a_product_without_a_floor_is_measured_and_not_judged() -> None:
    other = {"name": "NVIDIA X1"}
    steps = {"smi": {"gpus": {"0": other}}, "nvml": {"gpus": {"0": other}}, "cuda": {"devices": {"0": other}}}
    report = report_on(steps={**steps, "speed": {"gpus": {"0": {"matrixTflops": 1.0}}}})
    assert severities(report) == {}
    assert "no floor is known" in finding(report, "speed.matrix")["message"]


def test_a_copy_between_gpus_that_comes_out_different_fails() -> None:
    report = report_on("two-gpus", {"peers": {"pairs": {"1": {"same": False}}}})
    assert severities(report) == {"peers.copy": "fail"}
    assert report["sentence"].startswith("GPU 1: A copy from GPU 1 to GPU 0")


def test_gpus_without_peer_access_are_a_warning() -> None:
    assert severities(report_on("two-gpus", {"peers": {"pairs": {"0": {"access": False}}}})) == {"peers.access": "warn"}


def test_an_all_reduce_with_a_wrong_sum_fails() -> None:
    assert severities(report_on("two-gpus", {"allreduce": {"wrongWords": 4}})) == {"allreduce.sum": "fail"}


def test_an_all_reduce_whose_rank_dies_fails_with_its_last_words() -> None:
    simulation = recorded("two-gpus")
    died = {"errors": ["rank 1 ended with 1: ncclSystemError"], "wrongWords": None, "busGbs": None}
    simulation["steps"]["allreduce"].update(died)
    report = judged(simulation)
    assert severities(report) == {"allreduce.sum": "fail"}
    assert "ncclSystemError" in report["sentence"]
    assert finding(report, "allreduce.sum")["bound"] == 0


def test_a_gpu_whose_use_by_others_nobody_names_is_not_called_held_alone() -> None:
    report = report_on(steps={"nvml": {"gpus": {"0": {"usedMib": None, "processes": None}}}})
    assert severities(report) == {"memory.alone": "warn"}
    assert "not available" in report["sentence"]
    assert "memory.alone" in report["coverage"]["notJudged"]


def test_a_process_with_much_memory_fails_even_where_the_sum_is_not_named() -> None:
    seen = {"usedMib": None, "processes": [{"pid": 9, "memoryMib": 1025}]}
    report = report_on(steps={"nvml": {"gpus": {"0": seen}}})
    assert severities(report) == {"memory.alone": "fail"}
    assert "process 9 with 1025 MiB" in report["sentence"]


def test_a_pattern_that_was_written_nowhere_is_no_pass() -> None:
    report = report_on(steps={"memory": {"gpus": {"0": {"checkedMib": 0}}}})
    assert severities(report) == {"memory.pattern": "unknown"}


@pytest.mark.parametrize("step", ["memory", "matmul", "speed"])
def test_a_device_that_a_step_left_out_is_no_pass(step: str) -> None:
    simulation = recorded("two-gpus")
    del simulation["steps"][step]["gpus"][1]
    report = judged(simulation)
    assert severities(report) == {"run.incomplete": "unknown"}
    assert finding(report, "run.incomplete")["value"] == [0]


def test_an_all_reduce_without_every_ranks_answer_is_no_pass() -> None:
    simulation = recorded("two-gpus")
    simulation["steps"]["allreduce"].update({"errors": [], "wrongWords": None, "busGbs": None})
    assert severities(judged(simulation)) == {"allreduce.sum": "unknown"}


def test_a_pair_of_gpus_without_a_copy_between_them_is_no_pass() -> None:
    simulation = recorded("two-gpus")
    del simulation["steps"]["peers"]["pairs"][1]
    assert severities(judged(simulation)) == {"run.incomplete": "unknown"}
