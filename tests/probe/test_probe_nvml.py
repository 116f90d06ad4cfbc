"""How the probe reads NVML and nvidia-smi, with a stand-in for pynvml that answers, refuses and breaks."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from probe.bounds import CANNOT_RUN
from probe.expect import Expect
from probe.gather.context import Context
from probe.gather.machine import gather_runtime, gather_smi, parse_smi_list
from probe.gather.nvml import UNDER_LOAD, LoadSampler, gather_after, gather_nvml

NOT_SUPPORTED, UNKNOWN = 3, 999


class StandInError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__({NOT_SUPPORTED: "Not Supported", UNKNOWN: "Unknown Error"}.get(value, f"Error {value}"))
        self.value = value


def refuse(code: int) -> Any:
    def call(*_: object) -> object:
        raise StandInError(code)

    return call


def stand_in(**changed: Any) -> SimpleNamespace:
    """One GPU with ECC, 18 links and no MIG; `changed` replaces calls, None leaves one out as an old pynvml would."""
    memory = SimpleNamespace(total=143771 << 20, used=12 << 20)
    calls: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: b"580.159.04",
        "nvmlSystemGetCudaDriverVersion_v2": lambda: 13020,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
        "nvmlDeviceGetName": lambda handle: b"NVIDIA H200",
        "nvmlDeviceGetMemoryInfo": lambda handle, version=None: memory,
        "nvmlDeviceGetTemperatureThreshold": lambda handle, which: 89,
        "nvmlDeviceGetMaxPcieLinkGeneration": lambda handle: 5,
        "nvmlDeviceGetMaxPcieLinkWidth": lambda handle: 16,
        "nvmlDeviceGetMaxClockInfo": lambda handle, which: 1980,
        "nvmlDeviceGetComputeMode": lambda handle: 0,
        "nvmlDeviceGetMigMode": refuse(NOT_SUPPORTED),
        "nvmlDeviceGetEccMode": lambda handle: [1, 1],
        "nvmlDeviceGetTotalEccErrors": lambda handle, kind, counter: 10 * kind + counter,
        "nvmlDeviceGetRetiredPages": lambda handle, cause: [1, 2] if cause else [3],
        "nvmlDeviceGetRetiredPagesPendingStatus": lambda handle: 0,
        "nvmlDeviceGetRemappedRows": lambda handle: (1, 2, 0, 1),
        "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: 4,
        "nvmlDeviceGetTemperature": lambda handle, sensor: 34,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [SimpleNamespace(pid=7, usedGpuMemory=3 << 20)],
        "nvmlDeviceGetNvLinkState": lambda handle, link: link != 4 if link < 18 else refuse(2)(),
        "nvmlEventSetCreate": refuse(NOT_SUPPORTED),
        **changed,
    }
    return SimpleNamespace(NVMLError=StandInError, **{name: call for name, call in calls.items() if call})


def nvml_facts(monkeypatch: pytest.MonkeyPatch, nvml: SimpleNamespace) -> tuple[dict[str, Any], Context]:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    context = Context(Expect(), progress=lambda _: None)
    context.facts["nvml"] = gather_nvml(context)
    return context.facts["nvml"], context


def test_a_gpu_is_read_with_names_units_and_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, _ = nvml_facts(monkeypatch, stand_in())
    assert (facts["driver"], facts["cuda"]) == ("580.159.04", "13.2")
    gpu = facts["gpus"][0]
    assert (gpu["uuid"], gpu["name"], gpu["memoryMib"], gpu["usedMib"]) == ("GPU-0", "NVIDIA H200", 143771, 12)
    assert (gpu["ecc"], gpu["eccUncorrected"], gpu["eccUncorrectedEver"]) == (True, 10, 11)
    assert gpu["retiredPages"] == 3, "single-bit and double-bit pages add up"
    assert gpu["rows"] == {"corrected": 1, "uncorrected": 2, "pending": 0, "failed": 1}
    assert gpu["nvlinks"] == {"active": 17, "inactive": 1}
    assert gpu["processes"] == [{"pid": 7, "memoryMib": 3}]
    assert gpu["errors"] == {}


def test_what_a_gpu_does_not_support_is_unavailable_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("EccMode", "TotalEccErrors", "RetiredPages", "RemappedRows", "MemoryInfo", "ComputeRunningProcesses")
    facts, _ = nvml_facts(monkeypatch, stand_in(**{f"nvmlDeviceGet{name}": refuse(NOT_SUPPORTED) for name in names}))
    gpu = facts["gpus"][0]
    assert gpu["errors"] == {}
    assert set(names) <= set(gpu["unavailable"])
    assert [gpu[key] for key in ("ecc", "eccUncorrected", "retiredPages", "rows", "memoryMib", "processes")] == [
        None
    ] * 6


def test_a_gpu_that_answers_with_an_error_is_told_from_one_that_does_not_support_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts, _ = nvml_facts(monkeypatch, stand_in(nvmlDeviceGetRemappedRows=refuse(UNKNOWN)))
    assert facts["gpus"][0]["errors"] == {"RemappedRows": "Unknown Error"}


def test_a_gpu_that_is_lost_keeps_its_place_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, _ = nvml_facts(monkeypatch, stand_in(nvmlDeviceGetHandleByIndex=refuse(15)))
    assert facts["gpus"][0]["uuid"] is None
    assert facts["gpus"][0]["errors"] == {"HandleByIndex": "Error 15"}


def test_an_old_pynvml_is_asked_by_the_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    old = stand_in(
        nvmlDeviceGetCurrentClocksEventReasons=None,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 8,
        nvmlDeviceGetRemappedRows=None,
    )
    gpu = nvml_facts(monkeypatch, old)[0]["gpus"][0]
    assert gpu["clockReasons"] == 8
    assert gpu["rows"] is None
    assert "RemappedRows" in gpu["unavailable"]


def test_mig_slices_are_listed_with_their_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def slot(handle: object, index: int) -> str:
        return f"slice-{index}" if index in (0, 2) else refuse(6)()

    nvml = stand_in(
        nvmlDeviceGetMigMode=lambda handle: [1, 1],
        nvmlDeviceGetMaxMigDeviceCount=lambda handle: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=slot,
    )
    migs = nvml_facts(monkeypatch, nvml)[0]["gpus"][0]["migs"]
    assert [mig["uuid"] for mig in migs] == ["GPU-slice-0", "GPU-slice-2"]
    assert migs[0]["memoryMib"] == 143771


def test_nvml_that_does_not_start_is_a_fact_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, _ = nvml_facts(monkeypatch, stand_in(nvmlInit=refuse(18)))
    assert facts["error"] == {"code": 18, "message": "Error 18"}
    assert facts["gpus"] == []


def test_xids_are_collected_until_there_are_none_left(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = [79, 48]

    def wait(events: object, milliseconds: int) -> SimpleNamespace:
        return SimpleNamespace(eventData=waiting.pop(0)) if waiting else refuse(10)()

    nvml = stand_in(
        nvmlEventSetCreate=lambda: "events",
        nvmlEventTypeXidCriticalError=8,
        nvmlDeviceRegisterEvents=lambda handle, kinds, events: None,
        nvmlEventSetWait_v2=wait,
    )
    _, context = nvml_facts(monkeypatch, nvml)
    assert gather_after(context)["xids"] == [79, 48]


def test_without_xid_events_they_are_not_available_rather_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _, context = nvml_facts(monkeypatch, stand_in())
    assert gather_after(context)["xids"] is None


def test_the_sampler_keeps_highest_values_the_median_clock_and_counts_of_reasons() -> None:
    nvml: Any = stand_in()
    sampler = LoadSampler(nvml, None, 0)
    readings = [(4, 30, 1500), (0, 55, 1600), (4 | 8, 40, None), (0, 41, 1400)]
    for reasons, temperature, clock in readings:
        sample = dict.fromkeys(UNDER_LOAD)
        sampler.samples.append({**sample, "clockReasons": reasons, "temperatureC": temperature, "smClockMhz": clock})
    sampler.start()
    sampler.stopped.set()
    sampler.join()
    facts = sampler.summary()
    assert facts["samples"] == 4
    assert facts["clockReasons"] == {"4": 2, "8": 1}
    assert (facts["temperatureC"], facts["smClockMhz"], facts["pcieGen"]) == (55, 1500, None)


LISTING = """GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5d5ba0d6)
  MIG 1g.10gb     Device  0: (UUID: MIG-c6d4f1ef)
  MIG 3g.40gb     Device  1: (UUID: MIG-cba663e8)
GPU 1: NVIDIA H200 (UUID: GPU-7602264b)
"""


def test_the_listing_of_nvidia_smi_is_read_with_its_mig_slices() -> None:
    first, second = parse_smi_list(LISTING)
    assert (first["name"], first["uuid"]) == ("NVIDIA A100-SXM4-80GB", "GPU-5d5ba0d6")
    assert [mig["profile"] for mig in first["migs"]] == ["1g.10gb", "3g.40gb"]
    assert (second["index"], second["migs"]) == (1, [])


def test_an_nvidia_smi_that_knows_no_listing_leaves_its_error_as_a_fact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    imitation = tmp_path / "nvidia-smi"
    imitation.write_text("#!/bin/sh\necho 'flag provided but not defined: -L' >&2\nexit 2\n")
    imitation.chmod(imitation.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    facts = gather_smi(Context(Expect(), progress=lambda _: None))
    assert facts["gpus"] == []
    assert (facts["error"], facts["code"]) == ("flag provided but not defined: -L", 2)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexec /no/such/nvidia-smi\n", "#!/no/such/shell\n"])
def test_an_nvidia_smi_that_can_t_be_run_is_a_fact_and_no_crash(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "nvidia-smi"
    script.write_text(text)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    facts = gather_smi(Context(Expect(), progress=lambda _: None))
    assert facts["code"] in CANNOT_RUN
    assert facts["error"]


def test_no_secret_of_the_environment_gets_into_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "NVIDIA_API_KEY", "NGC_API_KEY"):
        monkeypatch.setenv(key, "s3cret")
    monkeypatch.setenv("GPU_PORTION", "0.5")
    facts = gather_runtime(Context(Expect(), progress=lambda _: None))
    assert facts["environment"]["GPU_PORTION"] == "0.5"
    assert "s3cret" not in str(facts)
