"""The GPU check's probe on recorded answers: every branch of its judgement, without a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from probe import probe

CHECK = Path(probe.__file__).parent
SIMULATIONS = CHECK / "simulations"
SCHEMA = json.loads((CHECK / "report.schema.json").read_text())
UUID = "GPU-00000001-0000-0000-0000-000000000000"

Report = dict[str, Any]


def recorded(name: str) -> Report:
    return probe.load_simulation(str(SIMULATIONS / f"{name}.json"))


def judged(simulation: Report, **expect: Any) -> Report:
    """The report on recorded answers, made in this process and valid against the schema."""
    run = probe.Run(probe.Expect.parse({**simulation.get("expect", {}), **expect}), simulation)
    probe.run_steps(run.expect, simulation, run.take)
    report = run.report()
    jsonschema.validate(report, SCHEMA)
    return report


def report_on(name: str = "healthy", steps: Report | None = None, **expect: Any) -> Report:
    """The report on a recording with `steps` laid over it."""
    return judged(probe.overlay(recorded(name), {"steps": steps or {}}), **expect)


def finding(report: Report, id_: str, gpu: int | None = None) -> Report:
    found = [f for f in report["findings"] if f["id"] == id_ and (gpu is None or f["gpu"] == gpu)]
    assert len(found) == 1, f"{id_}: {[f['id'] for f in report['findings']]}"
    return dict(found[0])


def severities(report: Report) -> dict[str, str]:
    """The findings that are not just information."""
    return {f["id"]: f["severity"] for f in report["findings"] if f["severity"] != "info"}


def on_gpu(**facts: Any) -> Report:
    """Other NVML answers for GPU 0, before the work and after it."""
    return {"nvml": {"gpus": {"0": facts}}, "after": {"gpus": {"0": facts}}}


# --- the recorded faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "verdict", "cause"),
    [
        ("healthy", "pass", None),
        ("two-gpus", "pass", None),
        ("fraction", "pass", None),
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
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_probe*.py"))
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
    run = probe.Run(probe.Expect(), None)
    simulation = recorded("healthy")
    told: list[Report] = []
    probe.run_steps(run.expect, simulation, told.append)
    for message in told:
        if message.get("begin") == "matmul":
            break
        run.take(message)
    report = run.report()
    assert report["verdict"] == "could-not-tell"
    assert not report["coverage"]["complete"]
    assert severities(report) == {"run.incomplete": "unknown"}


# --- identity ---------------------------------------------------------------------------------------------------------


def test_more_gpus_than_asked_for_fail_and_the_environment_is_named() -> None:
    report = report_on("two-gpus", {"runtime": {"environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}}, gpus=1)
    assert severities(report) == {"identity.count": "fail"}
    assert "'all' here" in report["sentence"]


def test_without_a_number_asked_for_any_number_of_gpus_will_do() -> None:
    simulation = recorded("two-gpus")
    simulation["expect"] = {}
    assert judged(simulation)["verdict"] == "pass"


def test_nvidia_smi_that_names_another_gpu_than_nvml_fails() -> None:
    report = report_on(steps={"smi": {"gpus": {"0": {"uuid": "GPU-other"}}}})
    assert severities(report) == {"identity.smi": "fail"}


def test_nvidia_smi_that_calls_the_gpu_something_else_fails() -> None:
    assert severities(report_on(steps={"smi": {"gpus": {"0": {"name": "NVIDIA A100"}}}})) == {"identity.smi": "fail"}


def test_a_container_without_nvidia_smi_is_a_warning() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["smi"] = {"path": None, "gpus": []}
    report = judged(simulation)
    assert severities(report) == {"identity.smi": "warn"}
    assert "utility" in report["sentence"]


@pytest.mark.parametrize("product", ["NVIDIA H200", "NVIDIA-H200", "nvidia-h200-SHARED", "H200"])
def test_a_product_is_the_same_however_it_is_spelled(product: str) -> None:
    assert finding(report_on(product=product), "identity.product")["severity"] == "info"


@pytest.mark.parametrize("product", ["NVIDIA H100 80GB HBM3", "NVIDIA H200 NVL", "NVIDIA-L4"])
def test_another_product_than_the_pools_fails(product: str) -> None:
    assert severities(report_on(product=product)) == {"identity.product": "fail"}


@pytest.mark.parametrize(("pool", "severity"), [(143771, "info"), (141000, "info"), (200000, "fail"), (81920, "warn")])
def test_less_memory_than_the_pool_promises_fails_and_more_is_a_warning(pool: int, severity: str) -> None:
    assert finding(report_on(poolGpuMemoryMib=pool), "identity.memory")["severity"] == severity


def test_a_minor_version_ahead_of_the_driver_is_fine() -> None:
    assert report_on(steps={"import": {"cuda": "13.2"}})["verdict"] == "pass"


def test_a_major_version_ahead_that_works_is_a_warning() -> None:
    report = report_on(steps={"nvml": {"driver": "570.86.15", "cuda": "12.8"}})
    assert severities(report) == {"identity.cuda": "warn"}
    assert "forward compatibility" in report["sentence"]


def test_a_torch_without_cuda_can_tell_nothing() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["import"] = {"cuda": None, "version": "2.11.0+cpu", "architectures": []}
    report = judged(simulation)
    assert report["verdict"] == "could-not-tell"
    assert severities(report) == {"identity.torch": "unknown"}


def test_a_torch_whose_kernels_do_not_fit_fails() -> None:
    assert severities(report_on(steps={"import": {"architectures": ["sm_70", "sm_80"]}})) == {
        "identity.architecture": "fail"
    }


@pytest.mark.parametrize(
    ("capability", "architectures", "fits"),
    [
        ([9, 0], ["sm_90"], True),
        ([9, 0], ["sm_90a"], True),
        ([8, 9], ["sm_80", "sm_86"], True),
        ([8, 0], ["sm_86"], False),
        ([9, 0], ["sm_80"], False),
        ([12, 0], ["sm_90", "compute_90"], True),
        ([7, 5], ["sm_80", "compute_80"], False),
        ([10, 0], ["sm_100"], True),
    ],
)
def test_machine_code_runs_on_its_own_major_and_ptx_on_newer_gpus(
    capability: list[int], architectures: list[str], fits: bool
) -> None:
    assert probe.built_for(capability, architectures) is fits


def test_torch_on_a_gpu_that_nvml_does_not_list_fails() -> None:
    steps = {"cuda": {"devices": {"0": {"uuid": "GPU-ffffffff-0000-0000-0000-000000000000"}}}}
    assert severities(report_on(steps=steps)) == {"identity.uuid": "fail"}


def test_an_old_torch_that_knows_no_uuid_still_passes() -> None:
    simulation = recorded("healthy")
    simulation["steps"]["cuda"]["devices"][0]["uuid"] = None
    report = judged(simulation)
    assert report["verdict"] == "pass"
    assert finding(report, "health.clock")["value"] == 1515, "load is matched by index then"


@pytest.mark.parametrize(
    ("code", "word"), [(9, "Load"), (12, "RuntimeClass"), (15, "bus"), (18, "reboot"), (999, "kernel")]
)
def test_nvml_that_does_not_start_fails_with_the_cause_for_its_code(code: int, word: str) -> None:
    report = report_on("no-driver", {"nvml": {"error": {"code": code, "message": "NVML says no"}}})
    assert severities(report) == {"identity.driver": "fail"}
    assert word in report["sentence"]


# --- health -----------------------------------------------------------------------------------------------------------


def test_what_the_hardware_does_not_offer_is_not_a_failure() -> None:
    simulation = recorded("healthy")
    gpu, after = simulation["steps"]["nvml"]["gpus"][0], simulation["steps"]["after"]["gpus"][0]
    kept = {"index", "uuid", "name", "migs", "errors", "unavailable"}
    for facts in (gpu, after):
        facts.update({key: None for key in facts if key not in kept})
    load = simulation["steps"]["speed"]["gpus"][0]["load"]
    load.update({key: None for key in load if key != "samples"})
    simulation["steps"]["after"]["xids"] = simulation["steps"]["nvml"]["xidsBefore"] = None
    report = judged(simulation)
    assert report["verdict"] == "pass"
    for name in ("ecc", "pages", "rows", "pcie", "nvlink", "throttle", "temperature", "xid"):
        assert "not available" in finding(report, f"health.{name}")["message"]


@pytest.mark.parametrize(
    ("facts", "findings"),
    [
        ({"eccUncorrected": 1}, {"health.ecc": "fail"}),
        ({"eccUncorrectedEver": 7}, {}),
        ({"retiredPages": 10, "retiredPagesPending": 0}, {}),
        ({"retiredPages": 11, "retiredPagesPending": 0}, {"health.pages": "warn"}),
        ({"retiredPages": 1, "retiredPagesPending": 1}, {"health.pages": "fail"}),
        ({"rows": {"pending": 1}}, {"health.rows": "fail"}),
        ({"rows": {"failed": 1}}, {"health.rows": "fail"}),
        ({"rows": {"corrected": 3, "uncorrected": 2}}, {}),
        ({"temperatureC": 83}, {}),
        ({"temperatureC": 84}, {"health.temperature": "warn"}),
        ({"temperatureC": 89}, {"health.temperature": "fail"}),
        ({"computeMode": 2}, {"health.computeMode": "fail"}),
        ({"computeMode": 3}, {}),
        ({"clockReasons": 0x8}, {"health.throttle": "fail"}),
        ({"clockReasons": 0x20}, {"health.throttle": "warn"}),
        ({"clockReasons": 0x4}, {}),
        ({"errors": {"EccMode": "GPU is lost"}}, {"health.nvml": "fail"}),
        ({"nvlinks": {"active": 17, "inactive": 1}}, {"health.nvlink": "warn"}),
        ({"nvlinks": {"active": 0, "inactive": 18}}, {}),
        ({"fabric": {"state": 2, "status": 0}}, {"health.fabric": "warn"}),
        ({"fabric": {"state": 3, "status": 0}}, {}),
    ],
)
def test_a_health_reading_gets_its_severity(facts: Report, findings: dict[str, str]) -> None:
    assert severities(report_on(steps=on_gpu(**facts))) == findings


def test_links_that_are_all_down_are_a_warning_where_several_gpus_need_them() -> None:
    links = {"nvml": {"gpus": {"1": {"nvlinks": {"active": 0, "inactive": 18}}}}}
    assert severities(report_on("two-gpus", links)) == {"health.nvlink": "warn"}


@pytest.mark.parametrize(("samples", "severity"), [(1, "warn"), (12, "warn"), (13, "fail")])
def test_a_hardware_slowdown_fails_when_it_lasts(samples: int, severity: str) -> None:
    load = {"speed": {"gpus": {"0": {"load": {"samples": 25, "clockReasons": {"8": samples}}}}}}
    assert severities(report_on(steps=load)) == {"health.throttle": severity}


def test_a_slower_link_under_load_than_the_board_can_do_is_a_warning() -> None:
    load = {"speed": {"gpus": {"0": {"load": {"pcieWidth": 8}}}}}
    report = report_on(steps=load)
    assert severities(report) == {"health.pcie": "warn"}
    assert finding(report, "health.pcie")["value"] == [5, 8]


def test_a_low_clock_under_load_is_a_warning() -> None:
    assert severities(report_on(steps={"speed": {"gpus": {"0": {"load": {"smClockMhz": 989}}}}})) == {
        "health.clock": "warn"
    }


def test_an_xid_under_our_own_work_fails_and_an_old_one_is_a_warning() -> None:
    assert severities(report_on(steps={"after": {"xids": [79]}})) == {"health.xid": "fail"}
    shared = report_on("fraction", {"after": {"xids": [31]}})
    assert severities(shared) == {"health.xid": "warn"}, "a neighbour's fault shows here, too"
    report = report_on(steps={"nvml": {"xidsBefore": [31]}})
    assert severities(report) == {"health.xid": "warn"}
    assert finding(report, "health.xid")["value"] == [31]


def test_an_error_of_nvml_after_the_work_fails() -> None:
    steps = {"after": {"gpus": {"0": {"errors": {"MemoryInfo": "GPU requires reset"}}}}}
    assert severities(report_on(steps=steps)) == {"health.nvml": "fail"}


# --- memory and work --------------------------------------------------------------------------------------------------


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
    error[which] = probe.TOLERANCES[kind][which] * 1.01
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


# --- several GPUs -----------------------------------------------------------------------------------------------------


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


# --- sharing ----------------------------------------------------------------------------------------------------------


def test_a_fraction_says_what_was_granted_and_that_memory_is_not_isolated() -> None:
    report = report_on("fraction")
    assert finding(report, "sharing.granted")["value"] == 0.3
    assert finding(report, "sharing.uuid")["value"] == UUID
    assert finding(report, "sharing.limiter")["value"] is True
    isolation = finding(report, "sharing.isolation")
    assert isolation["value"] is False
    assert "Memory is not isolated" in isolation["message"]


def in_environment(**variables: str | None) -> Report:
    return {"runtime": {"environment": variables}}


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
    ],
)
def test_a_fraction_is_held_to_what_the_scheduler_granted(
    variables: dict[str, str | None], findings: dict[str, str]
) -> None:
    assert severities(report_on("fraction", in_environment(**variables))) == findings


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
    assert probe.granted_mib(probe.Expect.parse(expect), total_mib=1000, free_mib=600) == mib


# --- fake GPUs --------------------------------------------------------------------------------------------------------


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


def test_fake_gpus_pass_for_nothing_unless_the_stack_file_declares_them() -> None:
    assert probe.exit_code("simulated", probe.Expect(fake=True), in_job=True) == 0
    assert probe.exit_code("simulated", probe.Expect(fake=False), in_job=True) == 3


# --- verdict, exit code, expectation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "by_hand", "in_job", "in_strict_job"),
    [("pass", 0, 0, 0), ("warn", 1, 0, 1), ("fail", 2, 2, 2), ("could-not-tell", 3, 3, 3)],
)
def test_the_exit_code_follows_the_verdict_and_in_the_job_the_threshold(
    verdict: str, by_hand: int, in_job: int, in_strict_job: int
) -> None:
    strict = probe.Expect(on_failure="warn")
    assert probe.exit_code(verdict, probe.Expect(), in_job=False) == by_hand
    assert probe.exit_code(verdict, strict, in_job=False) == by_hand
    assert probe.exit_code(verdict, probe.Expect(), in_job=True) == in_job
    assert probe.exit_code(verdict, strict, in_job=True) == in_strict_job


def test_what_could_not_be_told_outranks_a_warning_and_a_failure_outranks_both() -> None:
    warn, unknown, fail = (probe.Finding("x.y", severity, "") for severity in ("warn", "unknown", "fail"))
    assert probe.verdict_of([warn, unknown], fake=False) == "could-not-tell"
    assert probe.verdict_of([warn, unknown, fail], fake=False) == "fail"
    assert probe.verdict_of([], fake=False) == "could-not-tell", "nothing found is nothing proven"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "must be a JSON object"),
        ({"gpu": 1}, "'gpu' is unknown"),
        ({"gpus": 0}, "whole number of at least 1, got 0"),
        ({"gpus": True}, "whole number"),
        ({"gpus": 1.5}, "whole number"),
        ({"fraction": 0}, "above 0 and at most 1"),
        ({"fraction": "0.3"}, "above 0 and at most 1"),
        ({"memoryFraction": 2.1}, "at most 2"),
        ({"mode": "half"}, "one of whole, fraction"),
        ({"mode": "fraction"}, "needs 'fraction'"),
        ({"mode": "gpu-memory"}, "needs 'gpuMemoryMib'"),
        ({"onFailure": "ignore"}, "fail or warn"),
        ({"deadlineSeconds": 0}, "above 0"),
        ({"fake": "yes"}, "true or false"),
        ({"team": 7}, "a string"),
    ],
)
def test_an_expectation_off_its_rule_is_refused_with_the_rule(raw: object, message: str) -> None:
    with pytest.raises(probe.ProbeInputError, match=message):
        probe.Expect.parse(raw)


def test_an_expectation_with_nulls_means_the_defaults() -> None:
    names = {probe.camel(key) for key in probe.Expect.__dataclass_fields__}
    assert probe.Expect.parse(dict.fromkeys(names)) == probe.Expect()


def test_an_overlay_merges_objects_removes_nulls_and_numbers_list_elements() -> None:
    base = {"a": {"b": 1, "c": 2}, "list": [{"x": 1}, {"x": 2}, {"x": 3}]}
    patch = {"a": {"b": None}, "list": {"1": {"y": 5}, "2": None}}
    assert probe.overlay(base, patch) == {"a": {"c": 2}, "list": [{"x": 1}, {"x": 2, "y": 5}]}
    assert base["a"] == {"b": 1, "c": 2}, "the base stays as it was"


def test_the_schema_is_a_schema_and_refuses_another_verdict() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    report = report_on()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**report, "verdict": "fine"}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**report, "schemaVersion": "2.0"}, SCHEMA)
    jsonschema.validate({**report, "verdict": "no-capacity"}, SCHEMA)


def test_a_finding_has_advice_unless_it_is_only_information() -> None:
    report = report_on("throttled")
    assert all(bool(f["advice"]) == (f["severity"] != "info") for f in report["findings"])
    report["findings"][0]["advice"] = ""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, SCHEMA)


def test_the_real_reports_in_the_docs_keep_to_the_schema_and_hold_no_real_uuid() -> None:
    examples = sorted((CHECK.parent / "docs" / "examples" / "probe").glob("*.json"))
    assert len(examples) >= 5
    for path in examples:
        report = json.loads(path.read_text())
        jsonschema.validate(report, SCHEMA)
        assert not report["simulated"]
        assert all(gpu["uuid"].endswith("-0000-0000-0000-000000000000") for gpu in report["gpus"]), path.name
