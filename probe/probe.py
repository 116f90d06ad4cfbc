#!/usr/bin/env python3
"""Proves that the GPUs this process can see work, and says so in one JSON report.

One file; needs the standard library, pynvml and torch (both imported late: their absence is a finding, no crash) and
Python 3.9 or newer, because it runs in whatever torch image a team has. It owns the measuring and the judging. It
leaves to its caller: who asks, through which scheduler, what to do with the verdict, and the verdict `no-capacity`.

    python3 probe.py                                    all GPUs in sight, held alone
    python3 probe.py --expect '{"gpus": 1, "mode": "fraction", "fraction": 0.3}' --report report.json
    python3 probe.py --simulate simulations/ecc.json    the whole program on recorded answers, no GPU needed

Exit codes: 0 pass, 1 warn, 2 fail, 3 could not tell (also: fake GPUs that nobody declared), 64 bad input. With
GPU_CHECK_IN_JOB=1 a verdict below `onFailure` exits 0. Every check, bound and its source: docs/gpu-check.md.

A supervisor starts a worker; the worker runs the steps and streams facts; the supervisor watches the clock of each
step, keeps a report of how far it came, and judges the facts with pure functions. A hung CUDA call therefore costs the
worker, not the report.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import glob
import http.client
import importlib
import itertools
import json
import math
import os
import platform
import queue
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

SCHEMA_VERSION = "1.1"
Facts = dict[str, Any]  # JSON as measured: its keys differ by driver, GPU and torch, so no tighter type fits

# --- what is expected and what is bounded -----------------------------------------------------------------------------

MODES = ("whole", "fraction", "gpu-memory", "replica", "mig", "host")
ALONE = ("whole", "host")  # nobody else may use the GPU; floors and the memory-in-use bound hold only here
FRACTIONS = ("fraction", "gpu-memory")
EXIT_CODES = {"pass": 0, "warn": 1, "fail": 2, "could-not-tell": 3}
EXIT_BAD_INPUT = 64  # EX_USAGE; not argparse's 2, which means fail here
SEVERITIES = ("fail", "unknown", "warn", "info")
TERMINATION_LOG_BYTES = 4096  # the kubelet cuts a termination message there

# of a 2048x1024x2048 product of normal numbers against float64 on the CPU: (relative error in the Frobenius norm, worst
# element over the root mean square). fp32 keeps 24 bits, tf32 and fp16 11, bf16 8; docs/gpu-check.md has the H200's
TOLERANCES = {"fp32": (1e-5, 1e-4), "tf32": (2e-3, 2e-2), "bf16": (5e-3, 5e-2), "fp16": (2e-3, 2e-2)}
IN_USE_MIB = 1024  # what a GPU held alone may have in use before the probe starts: driver and firmware keep some
MEMORY_TOLERANCE = 0.02  # GPU memory against the pool's number: drivers reserve differing amounts
THERMAL_MARGIN_C = 5  # warn this close to the GPU's own slowdown temperature
RETIRED_PAGES_WARN = 10  # the number that Meta's GCM health checks use
CLOCK_SHARE = 0.5  # SM clock under load against its maximum
HW_REASON_SHARE = 0.5  # a hardware slowdown in this share of the samples is a failure, in fewer a warning
PCIE_SHARE = 0.5  # copies between host and device against the link's rate in one direction
PCIE_LANE_GBS = {1: 0.25, 2: 0.5, 3: 0.985, 4: 1.969, 5: 3.938, 6: 7.563}  # per lane and direction, after encoding
# the oldest driver for a CUDA major: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
OLDEST_DRIVER = {11: (450, 80, 2), 12: (525, 60, 13), 13: (580, 0, 0)}
CLOCK_REASONS = {  # nvml.h, nvmlClocksEventReasons: bit -> (name, severity)
    0x4: ("software power cap", "info"),
    0x8: ("hardware slowdown", "fail"),
    0x20: ("software thermal slowdown", "warn"),
    0x40: ("hardware thermal slowdown", "fail"),
    0x80: ("hardware power brake", "fail"),
}


@dataclass(frozen=True)
class Floor:
    """The vendor's datasheet rates of a product, and the share of each that a healthy one must reach.

    tflops: dense bf16 (fp16 before Ampere), TFLOP/s. gbs: memory bandwidth, GB/s. The shares are ours: lower for boards
    whose power limit keeps them from the datasheet's rate.
    """

    tflops: float
    gbs: float
    tflops_share: float = 0.55
    gbs_share: float = 0.7


FLOORS = {  # NVML's product name, normalised; sources, and what an H200 really reached: docs/gpu-check.md
    "b200": Floor(2250, 8000),
    "h200": Floor(989, 4800),
    "h200-nvl": Floor(835, 4800, 0.5),
    "h100-80gb-hbm3": Floor(989, 3350),
    "h100-nvl": Floor(835, 3900, 0.45),
    "h100-pcie": Floor(756, 2000, 0.4),
    "a100-sxm4-80gb": Floor(312, 2039),
    "a100-sxm4-40gb": Floor(312, 1555),
    "a100-80gb-pcie": Floor(312, 1935, 0.5),
    "a100-pcie-40gb": Floor(312, 1555, 0.5),
    "a30": Floor(165, 933, 0.4),
    "l40s": Floor(362, 864, 0.4),
    "a10": Floor(125, 600, 0.35),
    "l4": Floor(121, 300, 0.3),
    "t4": Floor(65, 320, 0.25, 0.6),
}


class ProbeInputError(ValueError):
    """What the caller gave can't be used; the text says which key, the rule, and the value got."""


@dataclass(frozen=True)
class Expect:
    """What the caller promised this pod; its JSON form (GPU_CHECK_EXPECT, --expect) has the same names in camelCase.

    gpus: devices or slices that must be in sight, null for as many as there are. fraction: share of one GPU, in (0, 1].
    gpu_memory_mib, pool_gpu_memory_mib: MiB. memory_fraction: share of the granted memory that is allocated and tested.
    replicas: how many pods share one GPU by time-slicing or MPS. on_failure: the lowest verdict that fails the Job.
    """

    team: str = ""
    queue: str = ""
    mode: str = "whole"
    gpus: int | None = None
    fraction: float | None = None
    gpu_memory_mib: int | None = None
    replicas: int | None = None
    product: str | None = None
    pool_gpu_memory_mib: int | None = None
    memory_fraction: float = 0.5
    on_failure: str = "fail"
    deadline_seconds: float = 180.0
    fake: bool = False
    scheduler_version: str | None = None
    pool: str | None = None
    node: str | None = None
    stamp: str = ""

    @classmethod
    def parse(cls, raw: object) -> Expect:
        """The expectation in a decoded JSON object; ProbeInputError for an unknown key or a value off its rule."""
        if not isinstance(raw, dict):
            raise ProbeInputError(f"the expectation must be a JSON object, got {type(raw).__name__}")
        names = {camel(f.name): f.name for f in fields(cls)}
        for key, value in raw.items():
            if key not in names:
                raise ProbeInputError(f"expectation key {key!r} is unknown; known keys: {', '.join(sorted(names))}")
            right, rule = EXPECT_RULES.get(key, IS_TEXT)
            if value is not None and not right(value):
                raise ProbeInputError(f"expectation key {key!r} must be {rule}, got {value!r}")
        expect = cls(**{names[key]: value for key, value in raw.items() if value is not None})
        for mode, key in (("fraction", "fraction"), ("gpu-memory", "gpuMemoryMib")):
            if expect.mode == mode and raw.get(key) is None:
                raise ProbeInputError(f"expectation mode {mode!r} needs {key!r}")
        return expect

    def as_json(self) -> Facts:
        return {camel(key): value for key, value in asdict(self).items()}


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


Rule = tuple[Callable[[Any], bool], str]
IS_TEXT: Rule = (lambda value: isinstance(value, str), "a string")
IS_COUNT: Rule = (
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    "a whole number of at least 1",
)
EXPECT_RULES: dict[str, Rule] = {
    **dict.fromkeys(("gpus", "gpuMemoryMib", "poolGpuMemoryMib", "replicas"), IS_COUNT),
    "mode": (lambda value: value in MODES, f"one of {', '.join(MODES)}"),
    "onFailure": (lambda value: value in ("fail", "warn"), "fail or warn"),
    "fraction": (lambda value: number(value) and 0 < value <= 1, "a number above 0 and at most 1"),
    # above 1 by hand shows that a GPU that is too small is caught
    "memoryFraction": (lambda value: number(value) and 0 < value <= 2, "a number above 0 and at most 2"),
    "deadlineSeconds": (lambda value: number(value) and value > 0, "a number of seconds above 0"),
    "fake": (lambda value: isinstance(value, bool), "true or false"),
}


# --- the worker: steps that gather facts ------------------------------------------------------------------------------


@dataclass
class Context:
    """What the steps of one run share."""

    expect: Expect
    progress: Callable[[Facts], None]  # says how far the running step is
    facts: dict[str, Facts] = field(default_factory=dict)
    broken: str = ""  # the step after whose error CUDA can't be trusted in this process
    nvml: Any = None
    torch: Any = None
    xid_events: Any = None


ENVIRONMENT = re.compile(
    r"NVIDIA_(VISIBLE_DEVICES|DRIVER_CAPABILITIES|TF32_OVERRIDE)|CUDA_(VISIBLE_DEVICES|DEVICE_ORDER|MPS_\w+)|NCCL_\w+|"
    r"GPU_PORTION|RUNAI_NUM_OF_GPUS|MOCK_NVIDIA_VISIBLE_DEVICES|PYTORCH_(CUDA_)?ALLOC_CONF"
)


def read_text(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def gather_runtime(_: Context) -> Facts:
    quota = (read_text("/sys/fs/cgroup/cpu.max") or "max 1").split()
    memory = (read_text("/sys/fs/cgroup/memory.max") or "").strip()
    shm = os.statvfs("/dev/shm") if Path("/dev/shm").is_dir() else None
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "environment": {key: value for key, value in sorted(os.environ.items()) if ENVIRONMENT.fullmatch(key)},
        "deviceNodes": sorted(path for path in glob.glob("/dev/nvidia*") if not Path(path).is_dir()),  # noqa: PTH207
        "cpus": min(len(os.sched_getaffinity(0)), int(quota[0]) / int(quota[1]) if quota[0].isdigit() else math.inf),
        "memoryLimitMib": int(memory) >> 20 if memory.isdigit() else None,
        "shmMib": shm.f_frsize * shm.f_blocks >> 20 if shm else None,
    }


def parse_smi_list(text: str) -> list[Facts]:
    """GPUs, with their MIG slices, from the output of `nvidia-smi -L`."""
    gpus: list[Facts] = []
    for line in text.splitlines():
        gpu = re.match(r"GPU (\d+): (.+?) \(UUID: ([^)]+)\)", line)
        mig = re.match(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: ([^)]+)\)", line)
        if gpu:
            gpus.append({"index": int(gpu[1]), "name": gpu[2], "uuid": gpu[3], "migs": []})
        elif mig and gpus:
            gpus[-1]["migs"].append({"profile": mig[1], "uuid": mig[2]})
    return gpus


def gather_smi(_: Context) -> Facts:
    path = shutil.which("nvidia-smi")
    if path is None:
        return {"path": None, "gpus": []}
    done = subprocess.run([path, "-L"], capture_output=True, text=True, check=False)
    error = (done.stderr or done.stdout).strip()[:300] if done.returncode else None
    return {"path": path, "gpus": parse_smi_list(done.stdout), "error": error}


# NVML's answers that mean "this GPU, driver or permission does not offer it": invalid argument, not supported, no
# permission, not found, function not found, no data, vGPU ECC, version mismatch, deprecated; an old pynvml lacks names
NOT_AVAILABLE = (2, 3, 4, 6, 13, 21, 22, 25, 26)
Question = tuple[object, ...]  # the NVML call's name and what follows the handle
FIXED: dict[str, Question] = {
    "uuid": ("nvmlDeviceGetUUID",),
    "name": ("nvmlDeviceGetName",),
    "temperatureSlowdownC": ("nvmlDeviceGetTemperatureThreshold", 1),  # NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
    "pcieGenMax": ("nvmlDeviceGetMaxPcieLinkGeneration",),
    "pcieWidthMax": ("nvmlDeviceGetMaxPcieLinkWidth",),
    "smClockMaxMhz": ("nvmlDeviceGetMaxClockInfo", 1),  # NVML_CLOCK_SM
    "computeMode": ("nvmlDeviceGetComputeMode",),
    "mig": ("nvmlDeviceGetMigMode",),
}
CHANGING: dict[str, Question] = {
    "ecc": ("nvmlDeviceGetEccMode",),
    "eccUncorrected": ("nvmlDeviceGetTotalEccErrors", 1, 0),  # uncorrected, since the driver was loaded
    "eccUncorrectedEver": ("nvmlDeviceGetTotalEccErrors", 1, 1),
    "retiredPagesSingleBit": ("nvmlDeviceGetRetiredPages", 0),
    "retiredPagesDoubleBit": ("nvmlDeviceGetRetiredPages", 1),
    "retiredPagesPending": ("nvmlDeviceGetRetiredPagesPendingStatus",),
    "rows": ("nvmlDeviceGetRemappedRows",),
    "clockReasons": ("nvmlDeviceGetCurrentClocksEventReasons",),
    "temperatureC": ("nvmlDeviceGetTemperature", 0),
    "processes": ("nvmlDeviceGetComputeRunningProcesses",),
}
UNDER_LOAD: dict[str, Question] = {  # idle GPUs lower all of these, so they are read while the GPU works
    "clockReasons": CHANGING["clockReasons"],
    "temperatureC": CHANGING["temperatureC"],
    "smClockMhz": ("nvmlDeviceGetClockInfo", 1),
    "pcieGen": ("nvmlDeviceGetCurrPcieLinkGeneration",),
    "pcieWidth": ("nvmlDeviceGetCurrPcieLinkWidth",),
    "powerMw": ("nvmlDeviceGetPowerUsage",),
}
OLDER_NAMES = {"nvmlDeviceGetCurrentClocksEventReasons": "nvmlDeviceGetCurrentClocksThrottleReasons"}


class Ask:
    """Asks NVML; sorts a refusal into "not available" and "error" instead of raising it."""

    def __init__(self, nvml: Any) -> None:
        self.nvml = nvml
        self.unavailable: list[str] = []
        self.errors: dict[str, str] = {}

    def __call__(self, name: str, *args: object) -> Any:
        label = re.sub(r"^nvml(Device|System)(Get)?", "", name)
        try:
            answer = getattr(self.nvml, name if hasattr(self.nvml, name) else OLDER_NAMES.get(name, name))(*args)
        except self.nvml.NVMLError as error:
            if getattr(error, "value", None) not in NOT_AVAILABLE:
                self.errors[label] = str(error)
            elif label not in self.unavailable:
                self.unavailable.append(label)
            return None
        except (AttributeError, TypeError):  # this pynvml does not know the call
            self.unavailable.append(label)
            return None
        return answer.decode() if isinstance(answer, bytes) else answer

    def all(self, handle: object, questions: dict[str, Question]) -> Facts:
        return {key: self(str(name), handle, *rest) for key, (name, *rest) in questions.items()}


def nvml_memory(ask: Ask, handle: object) -> Facts:
    """Total and used MiB; version 2 of the call keeps what the driver reserves for itself out of `used`."""
    memory = Ask(ask.nvml)("nvmlDeviceGetMemoryInfo", handle, getattr(ask.nvml, "nvmlMemory_v2", None))
    memory = memory or ask("nvmlDeviceGetMemoryInfo", handle)
    return {"memoryMib": memory.total >> 20 if memory else None, "usedMib": memory.used >> 20 if memory else None}


def nvml_health(ask: Ask, handle: object) -> Facts:
    """What can change while the probe runs; read before and after the work."""
    facts = {**nvml_memory(ask, handle), **ask.all(handle, CHANGING)}
    facts["ecc"] = bool(facts["ecc"][0]) if facts["ecc"] else None
    pages = [facts.pop("retiredPagesSingleBit"), facts.pop("retiredPagesDoubleBit")]
    facts["retiredPages"] = None if None in pages else sum(map(len, pages))
    if facts["rows"]:
        facts["rows"] = dict(zip(("corrected", "uncorrected", "pending", "failed"), facts["rows"]))  # noqa: B905 (3.9)
    if facts["processes"] is not None:
        facts["processes"] = [{"pid": p.pid, "memoryMib": (p.usedGpuMemory or 0) >> 20} for p in facts["processes"]]
    return facts


def nvml_links(ask: Ask, handle: object) -> Facts | None:
    """NVLink links up and down; past the last link NVML says "invalid argument", which is the end and no finding."""
    answers = (Ask(ask.nvml)("nvmlDeviceGetNvLinkState", handle, link) for link in range(36))
    states = list(itertools.takewhile(lambda state: state is not None, answers))
    return {"active": sum(states), "inactive": len(states) - sum(states)} if states else None


def nvml_fabric(ask: Ask, handle: object) -> Facts | None:
    try:
        info = ask.nvml.c_nvmlGpuFabricInfo_v2_t()
        info.version = ask.nvml.nvmlGpuFabricInfo_v2
    except AttributeError:  # an older pynvml
        return None
    # the call answers NVML_SUCCESS, which is 0
    done = ask("nvmlDeviceGetGpuFabricInfoV", handle, ctypes.byref(info)) is not None
    return {"state": int(info.state), "status": int(info.status)} if done else None


def nvml_gpu(nvml: Any, index: int) -> Facts:
    ask, quiet = Ask(nvml), Ask(nvml)
    handle = ask("nvmlDeviceGetHandleByIndex", index)
    facts: Facts = {"index": index, "uuid": None, "name": None, "migs": []}
    if handle is not None:
        facts.update(ask.all(handle, FIXED), **nvml_health(ask, handle))
        facts["mig"] = bool((facts["mig"] or [0])[0])
        facts.update(nvlinks=nvml_links(ask, handle), fabric=nvml_fabric(ask, handle))
        for slot in range((quiet("nvmlDeviceGetMaxMigDeviceCount", handle) or 0) if facts["mig"] else 0):
            part = quiet("nvmlDeviceGetMigDeviceHandleByIndex", handle, slot)  # an empty slot is no finding
            if part is not None:
                names = quiet.all(part, {"uuid": FIXED["uuid"], "name": FIXED["name"]})
                facts["migs"].append({**names, **nvml_memory(quiet, part)})
    return {**facts, "unavailable": ask.unavailable, "errors": ask.errors}


def kernel_xids() -> list[int] | None:
    """Xid numbers in the kernel's log, where this container may read it (mostly not); None where it may not."""
    found: list[int] = []
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        while True:
            with contextlib.suppress(BrokenPipeError):  # the record was overwritten while we read: on to the next
                found += map(int, re.findall(rb"NVRM: Xid \([^)]*\): (\d+)", os.read(log, 8192)))
    except BlockingIOError:  # the end
        return found
    except OSError:
        return None
    finally:
        os.close(log)


def gather_nvml(context: Context) -> Facts:
    nvml = context.nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return {"error": {"code": getattr(error, "value", -1), "message": str(error)}, "gpus": []}
    ask = Ask(nvml)
    cuda = ask("nvmlSystemGetCudaDriverVersion_v2") or 0
    facts: Facts = {"driver": ask("nvmlSystemGetDriverVersion"), "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}"}
    facts["gpus"] = [nvml_gpu(nvml, index) for index in range(ask("nvmlDeviceGetCount") or 0)]
    facts["xidsBefore"] = kernel_xids()
    with contextlib.suppress(nvml.NVMLError, AttributeError):  # Xids from here on, where the driver offers events
        events = nvml.nvmlEventSetCreate()
        for gpu in facts["gpus"]:
            handle = nvml.nvmlDeviceGetHandleByIndex(gpu["index"])
            nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
        context.xid_events = events
    return {**facts, "errors": ask.errors}


def gather_after(context: Context) -> Facts:
    gpus = []
    for index in range(len(context.facts["nvml"]["gpus"])):
        ask = Ask(context.nvml)
        handle = ask("nvmlDeviceGetHandleByIndex", index)
        gpus.append({"index": index, **(nvml_health(ask, handle) if handle is not None else {}), "errors": ask.errors})
    xids: list[int] = []
    with contextlib.suppress(context.nvml.NVMLError):  # a timeout: none left
        while context.xid_events is not None:
            xids.append(int(context.nvml.nvmlEventSetWait_v2(context.xid_events, 0).eventData))
    return {"gpus": gpus, "xids": None if context.xid_events is None else xids}


def gather_import(context: Context) -> Facts:
    torch = context.torch = importlib.import_module("torch")
    # a pod with a CPU limit sees all of the node's cores; as many threads would only be throttled
    torch.set_num_threads(max(1, int(context.facts["runtime"]["cpus"])))
    cuda = torch.version.cuda
    architectures = torch.cuda.get_arch_list() if cuda else []
    return {"version": str(torch.__version__), "cuda": cuda, "architectures": architectures}


def gather_cuda(context: Context) -> Facts:
    torch, devices = context.torch, []
    try:
        torch.cuda.init()
    except Exception as error:  # torch raises several types here; its text is the fact
        return {"error": first_line(error), "count": 0, "devices": []}
    for index in range(torch.cuda.device_count()):
        has = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        uuid = str(getattr(has, "uuid", "")) or None
        device = {"index": index, "name": has.name, "memoryMib": total >> 20, "freeMib": free >> 20}
        device["uuid"] = uuid if uuid is None or uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        devices.append({**device, "capability": [has.major, has.minor], "multiprocessors": has.multi_processor_count})
    return {"count": len(devices), "devices": devices}


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]


def out_of_memory(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error).lower()


def granted_mib(expect: Expect, total_mib: int, free_mib: int) -> int:
    """MiB of one device that this pod may use: all of it, its fraction, its own number, or its part of replicas."""
    if expect.mode == "fraction":
        return int(total_mib * (expect.fraction or 1.0))
    if expect.mode == "gpu-memory":
        return min(expect.gpu_memory_mib or total_mib, total_mib)
    if expect.mode == "replica":  # where nobody says how many there are: no more than what is free now
        return total_mib // expect.replicas if expect.replicas else free_mib
    return total_mib


def memory_mib(torch: Any, device: int) -> tuple[int, int]:
    """(free, total) MiB of a device."""
    free, total = torch.cuda.mem_get_info(device)
    return free >> 20, total >> 20


def gather_memory(context: Context) -> Facts:
    """Allocates the asked share of each GPU and tests it. On a fraction, torch is held to the share by its own limiter
    first, and one allocation beyond it is tried."""
    torch, expect, results = context.torch, context.expect, []
    for index in (device["index"] for device in context.facts["cuda"]["devices"]):
        torch.cuda.set_device(index)
        free, total = memory_mib(torch, index)
        granted = granted_mib(expect, total, free)
        result: Facts = {"index": index, "totalMib": total, "freeMib": free, "grantedMib": granted}
        result["askedMib"] = int(granted * expect.memory_fraction)
        result.update(gotMib=0, checkedMib=0, wrongWords=0, outOfMemory=None)
        results.append(result)
        if expect.mode in FRACTIONS:
            torch.cuda.set_per_process_memory_fraction(min(1.0, granted / total), index)
        try:
            pattern_test(torch, index, result, lambda: context.progress({"gpus": results}))
        except Exception as error:
            if not out_of_memory(error):
                raise
            result["outOfMemory"] = first_line(error)
        torch.cuda.empty_cache()
        if expect.mode in FRACTIONS:
            result["limiter"] = limiter_test(torch, index, granted)
    return {"gpus": results}


PATTERN_MIB, ROWS = 64, 8  # one row of the pattern is longer than any cache; a block has so many rows


def pattern_test(torch: Any, device: int, result: Facts, progress: Callable[[], None]) -> None:
    """Fills memory with rows that all differ, reads them back as they are and inverted: on the device in full, over the
    bus in samples. Fills in `result` as it goes, so that an error or a kill shows how far it came."""
    row_mib = max(1, min(PATTERN_MIB, result["askedMib"] // 64))
    words = row_mib << 18  # of 4 bytes
    generator = torch.Generator().manual_seed(time.time_ns() & 0xFFFFFFFF)
    pattern_here = torch.randint(-(2**31), 2**31 - 1, (words,), dtype=torch.int32, generator=generator)
    pattern = pattern_here.to(device)
    blocks = []

    def block() -> Any:
        made = torch.empty((ROWS, words), dtype=torch.int32, device=device)
        result["gotMib"] += ROWS * row_mib
        return made

    scratch = block()
    # what is asked for includes the pattern, the scratch block and the booleans of a comparison
    for _ in range(max(1, (result["askedMib"] - row_mib - ROWS * row_mib * 5 // 4) // (ROWS * row_mib))):
        blocks.append(block())
    progress()
    keys = torch.arange(len(blocks) * ROWS, dtype=torch.int32, device=device).mul_(0x9E3779).view(-1, ROWS, 1)
    wrong = torch.zeros((), dtype=torch.int64, device=device)
    for number_, block_ in enumerate(blocks):
        torch.add(pattern, keys[number_], out=block_)
    for inverted in (False, True):
        for number_, block_ in enumerate(blocks):
            torch.add(pattern, keys[number_], out=scratch)
            if inverted:
                torch.bitwise_not(scratch, out=scratch)
            wrong += torch.ne(block_, scratch).sum()
            if not inverted:
                torch.bitwise_not(block_, out=block_)
    sample, keys_here = 1 << 16, keys.cpu()
    for number_, block_ in enumerate(blocks):
        row, start = number_ % ROWS, (number_ * 7919 * 4096) % (words - sample + 1)
        right = (pattern_here[start : start + sample] + keys_here[number_, row]).bitwise_not()
        wrong += int((block_[row, start : start + sample].cpu() != right).sum())
    result["wrongWords"] = int(wrong.item())
    result["checkedMib"] = len(blocks) * ROWS * row_mib


def limiter_test(torch: Any, device: int, granted: int) -> Facts:
    """Whether torch's limiter refuses one allocation just beyond the share, and what the GPU still had free."""
    facts: Facts = {"limitMib": granted, "triedMib": granted + 256, "freeMib": memory_mib(torch, device)[0]}
    try:
        torch.empty((granted + 256) << 20, dtype=torch.uint8, device=device)
        facts["refused"] = False
    except Exception as error:
        if not out_of_memory(error):
            raise
        facts["refused"] = True
    torch.cuda.empty_cache()
    return facts


def distance(product: Any, reference: Any) -> list[float] | None:
    """[relative error in the Frobenius norm, worst element over the root mean square]; None if not finite."""
    difference = product.double().cpu() - reference
    worst = difference.abs().max() / reference.square().mean().sqrt()
    both = [float(difference.norm() / reference.norm()), float(worst)]
    return both if all(map(math.isfinite, both)) else None


def gather_matmul(context: Context) -> Facts:
    torch, results = context.torch, []
    seed = time.time_ns() & 0xFFFFFFFF
    generator = torch.Generator().manual_seed(seed)
    # some 128 tiles: a product that leaves most multiprocessors idle would prove little
    a, b = torch.randn((2048, 1024), generator=generator), torch.randn((1024, 2048), generator=generator)
    reference = a.double() @ b.double()
    references: dict[object, Any] = {}
    switches = torch.backends.cuda.matmul
    switches.allow_bf16_reduced_precision_reduction = switches.allow_fp16_reduced_precision_reduction = False
    for device in context.facts["cuda"]["devices"]:
        index, ampere = device["index"], device["capability"][0] >= 8
        result: Facts = {"index": index}
        results.append(result)
        a_there, b_there = a.to(index), b.to(index)
        for name, tf32 in (("fp32", False), ("tf32", True)) if ampere else (("fp32", False),):
            switches.allow_tf32 = tf32
            result[name] = distance(a_there @ b_there, reference)
        # before Ampere there are no bf16 matrix units: fp16 stands in. The operands are rounded in the reference too
        name, kind = ("bf16", torch.bfloat16) if ampere else ("fp16", torch.float16)
        a_half, b_half = a.to(kind), b.to(kind)
        if kind not in references:
            references[kind] = a_half.double() @ b_half.double()
        a_there, b_there = a_half.to(index), b_half.to(index)
        first = a_there @ b_there
        result[name] = distance(first, references[kind])
        # cuBLAS promises the same bits for the same call on the same GPU; a flaky unit does not keep that promise
        result["repeatable"] = all(bool(torch.equal(first, a_there @ b_there)) for _ in range(20))
        context.progress({"gpus": results, "seed": seed})
    return {"gpus": results, "seed": seed}


def milliseconds(torch: Any, work: Callable[[], object], repeats: int, at_least_ms: float = 0.0) -> float:
    """Median time of one `work` by device events, after two warm-ups, until `at_least_ms` are spent too."""
    times: list[float] = []
    for turn in itertools.count(-2):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        if turn >= 0:
            times.append(start.elapsed_time(end))
        if len(times) >= repeats and sum(times) >= at_least_ms:
            break
    return sorted(times)[len(times) // 2]


class LoadSampler(threading.Thread):
    """Reads UNDER_LOAD of one GPU twenty times a second while it works."""

    def __init__(self, nvml: Any, uuid: str | None, index: int) -> None:
        super().__init__(daemon=True)
        self.ask, self.stopped = Ask(nvml), threading.Event()
        self.samples: list[Facts] = []
        handle = self.ask("nvmlDeviceGetHandleByUUID", uuid) if uuid else None
        self.handle = handle or self.ask("nvmlDeviceGetHandleByIndex", index)

    def run(self) -> None:
        while not self.stopped.wait(0.05):
            self.samples.append(self.ask.all(self.handle, UNDER_LOAD))

    def summary(self) -> Facts:
        """Highest value of each; of the SM clock the median; of the clock reasons how many samples showed each bit."""
        self.stopped.set()
        self.join(5)
        facts: Facts = {"samples": len(self.samples)}
        for key in UNDER_LOAD:
            values = sorted(sample[key] for sample in self.samples if sample[key] is not None)
            facts[key] = (values[len(values) // 2] if key == "smClockMhz" else values[-1]) if values else None
            if values and key == "clockReasons":
                counts = {str(bit): sum(1 for value in values if value & bit) for bit in CLOCK_REASONS}
                facts[key] = {bit: count for bit, count in counts.items() if count}
        return facts


def device_speed(torch: Any, device: Facts, room_mib: float) -> Facts:
    """Copy rates in GB/s and the matrix rate in TFLOP/s of one GPU, all medians."""
    index, mib = device["index"], 1 << 20
    copy_mib, side = (1024, 8192) if room_mib > 4096 else (128, 4096)
    here = torch.empty(256 * mib, dtype=torch.uint8, pin_memory=True)
    there = torch.empty(256 * mib, dtype=torch.uint8, device=index)
    to_device = milliseconds(torch, lambda: there.copy_(here, non_blocking=True), 5)
    to_host = milliseconds(torch, lambda: here.copy_(there, non_blocking=True), 5)
    source = torch.randint(0, 255, (copy_mib * mib,), dtype=torch.uint8, device=index)
    target = torch.empty_like(source)
    copy = milliseconds(torch, lambda: target.copy_(source), 10)
    kind = torch.bfloat16 if device["capability"][0] >= 8 else torch.float16
    # random numbers: zeros draw less power and run faster than any real work
    a, b = (torch.randn((side, side), device=index).to(kind) for _ in range(2))
    out = torch.empty_like(a)
    product = milliseconds(torch, lambda: torch.mm(a, b, out=out), 10, at_least_ms=1000)
    rates = {"hostToDeviceGbs": 256 * mib / 1e6 / to_device, "deviceToHostGbs": 256 * mib / 1e6 / to_host}
    # bytes read and bytes written both count
    return {**rates, "onDeviceGbs": 2 * copy_mib * mib / 1e6 / copy, "matrixTflops": 2 * side**3 / 1e9 / product}


def gather_speed(context: Context) -> Facts:
    torch, expect, results = context.torch, context.expect, []
    for device in context.facts["cuda"]["devices"]:
        index = device["index"]
        torch.cuda.set_device(index)
        free, total = memory_mib(torch, index)
        sampler = LoadSampler(context.nvml, device["uuid"], index)
        sampler.start()
        speed = device_speed(torch, device, min(free, granted_mib(expect, total, free)) * expect.memory_fraction)
        torch.cuda.empty_cache()
        results.append({"index": index, **speed, "load": sampler.summary()})
        context.progress({"gpus": results})
    return {"gpus": results}


def gather_peers(context: Context) -> Facts:
    torch, pairs = context.torch, []
    for source, target in itertools.permutations(range(context.facts["cuda"]["count"]), 2):
        data = torch.randint(0, 255, (256 << 20,), dtype=torch.uint8, device=source)
        there = torch.empty_like(data, device=target)
        with torch.cuda.device(source):
            spent = milliseconds(torch, functools.partial(there.copy_, data), 5)
        torch.cuda.synchronize(target)
        pair = {"from": source, "to": target, "access": bool(torch.cuda.can_device_access_peer(source, target))}
        pairs.append({**pair, "same": bool(torch.equal(there.cpu(), data.cpu())), "gbs": data.numel() / 1e6 / spent})
        context.progress({"pairs": pairs})
    return {"pairs": pairs}


ALL_REDUCE_MIB = 256


def gather_allreduce(context: Context) -> Facts:
    """One process a GPU; NCCL's environment variables are passed on untouched."""
    ranks, errors = context.facts["cuda"]["count"], []
    # /dev/shm is there where the root filesystem is read-only, and NCCL needs it anyway
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gpu-check-", dir=shared) as folder, contextlib.ExitStack() as logs:
        # all ranks are in this pod: NCCL's handshake needs no interface but loopback
        environment = {"NCCL_SOCKET_IFNAME": "lo", **os.environ}
        command = [sys.executable, __file__, "--world", str(ranks), "--rendezvous", folder, "--rank"]
        started = []
        for rank in range(ranks):
            log = logs.enter_context(Path(folder, f"rank-{rank}.log").open("w", encoding="utf-8"))
            started.append(subprocess.Popen([*command, str(rank)], env=environment, stdout=log, stderr=log))
        # when one rank dies, the others wait for it for ever
        while None in [process.poll() for process in started] and not any(process.poll() for process in started):
            time.sleep(0.05)
        for rank, process in enumerate(started):
            if process.poll():
                last = ((read_text(f"{folder}/rank-{rank}.log") or "").strip().splitlines() or ["no output"])[-1]
                errors.append(f"rank {rank} ended with {process.returncode}: {last[:300]}")
        for process in started:
            process.kill()
            process.wait()
        answers = [read_text(f"{folder}/rank-{rank}.json") for rank in range(ranks)]
    done: list[Facts] = [json.loads(answer) for answer in answers if answer]
    facts: Facts = {"ranks": ranks, "errors": errors, "mib": ALL_REDUCE_MIB, "wrongWords": None, "busGbs": None}
    if len(done) == ranks:
        slowest = max(answer["seconds"] for answer in done)
        # bus bandwidth as nccl-tests defines it: what each GPU's links carry
        facts["busGbs"] = 2 * (ranks - 1) / ranks * (ALL_REDUCE_MIB << 20) / 1e9 / slowest
        facts.update(wrongWords=sum(answer["wrongWords"] for answer in done), nccl=done[0]["nccl"])
    return facts


def rank_main(rank: int, world: int, folder: str) -> None:
    """One process of the all-reduce; every word's sum is known beforehand, exactly."""
    die_with_parent()
    torch, dist = importlib.import_module("torch"), importlib.import_module("torch.distributed")
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    # small whole numbers add up exactly in fp32, whatever the order
    base = torch.arange(ALL_REDUCE_MIB << 18, device=rank).remainder(1021).float()
    data = base * (rank + 1)
    dist.all_reduce(data)
    wrong = int((data != base * (world * (world + 1) // 2)).sum())
    spent = milliseconds(torch, lambda: dist.all_reduce(data), 10) / 1e3
    answer = {"wrongWords": wrong, "seconds": spent, "nccl": ".".join(map(str, torch.cuda.nccl.version()))}
    Path(folder, f"rank-{rank}.json").write_text(json.dumps(answer), encoding="utf-8")
    dist.destroy_process_group()


@dataclass(frozen=True)
class Step:
    """limit: seconds before it counts as hung. blames: whether a hang speaks against the GPU or only against the pod.
    skip: the reason not to run it, or an empty string."""

    name: str
    gather: Callable[[Context], Facts]
    limit: float
    blames: str
    skip: Callable[[Context], str] = lambda _: ""


def fake_reason(expect: Expect, facts: dict[str, Facts]) -> str:
    """Why these GPUs are taken for fake, or an empty string. A missing driver alone is no such reason."""
    if expect.fake:
        return "the stack file declares fake GPUs"
    if facts.get("nvml", {}).get("error"):
        if "MOCK_NVIDIA_VISIBLE_DEVICES" in facts["runtime"]["environment"]:
            return "a fake device plugin gave them (MOCK_NVIDIA_VISIBLE_DEVICES is set) and there is no NVML"
        if "flag provided but not defined" in (facts.get("smi", {}).get("error") or ""):
            return "this nvidia-smi is an imitation that knows no -L, and there is no NVML"
    return ""


def no_driver(context: Context) -> str:
    if fake_reason(context.expect, context.facts):
        return "fake GPUs"
    return "" if context.facts.get("nvml", {}).get("gpus") else "NVML showed no GPU"


def no_torch(context: Context) -> str:
    return no_driver(context) or ("" if context.facts.get("import", {}).get("cuda") else "no torch with CUDA")


def no_device(context: Context) -> str:
    if context.broken:
        return f"step {context.broken} ended in an error"
    return no_torch(context) or ("" if context.facts.get("cuda", {}).get("count") else "torch has no GPU")


def one_device(context: Context) -> str:
    return no_device(context) or ("one GPU" if context.facts["cuda"]["count"] < 2 else "")


STEPS = (
    Step("runtime", gather_runtime, 10, "pod"),
    Step("smi", gather_smi, 20, "gpu"),
    Step("nvml", gather_nvml, 30, "gpu"),
    Step("import", gather_import, 100, "pod", no_driver),  # reads gigabytes from a cold disk
    Step("cuda", gather_cuda, 60, "gpu", no_torch),
    Step("memory", gather_memory, 60, "gpu", no_device),
    Step("matmul", gather_matmul, 60, "gpu", no_device),
    Step("speed", gather_speed, 60, "gpu", no_device),
    Step("peers", gather_peers, 60, "gpu", one_device),
    Step("allreduce", gather_allreduce, 100, "gpu", one_device),
    Step("after", gather_after, 30, "gpu", no_driver),
)


# --- simulations: recorded facts in place of the machine's ------------------------------------------------------------


def overlay(base: Any, patch: Any) -> Any:
    """`patch` over `base`: objects merge, null removes, an object over a list changes the elements its keys number."""
    if isinstance(base, list) and isinstance(patch, dict):
        return list(overlay({str(index): value for index, value in enumerate(base)}, patch).values())
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return patch
    merged = {**base, **{key: overlay(base.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in merged.items() if key not in patch or patch[key] is not None}


def load_json(text_or_path: str, what: str) -> Facts:
    """A JSON object from a file or, where the text begins with a brace, from the text itself."""
    text = text_or_path if text_or_path.lstrip().startswith("{") else read_text(text_or_path)
    if text is None:
        raise ProbeInputError(f"{what}: {text_or_path!r} can't be read; give a file or a JSON object")
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise ProbeInputError(f"{what}: not JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise ProbeInputError(f"{what}: must be a JSON object, got {type(loaded).__name__}")
    return loaded


def load_simulation(path: str) -> Facts:
    """A recording: {name, description, base?, expect, steps: {step: facts}, faults: {step: hang, signal or error}}."""
    recorded = load_json(path, "simulation")
    base = recorded.pop("base", None)
    if base:
        recorded = overlay(load_simulation(str(Path(path).parent / base)), recorded)
    unknown = set(recorded) - {"name", "description", "expect", "steps", "faults"}
    if unknown or not isinstance(recorded.get("steps"), dict):
        raise ProbeInputError(f"simulation: {path!r} must have 'steps' and may not have {sorted(unknown)}")
    return recorded


def replay(recorded: Facts, step: str) -> Facts:
    fault = recorded.get("faults", {}).get(step, {})
    if fault.get("hang"):
        time.sleep(3600)
    if fault.get("signal"):
        os.kill(os.getpid(), fault["signal"])
    if fault.get("error"):
        raise RuntimeError(fault["error"])
    return dict(recorded["steps"].get(step, {}))


def run_steps(expect: Expect, simulation: Facts | None, tell: Callable[[Facts], None]) -> None:
    """Runs the steps one after another and tells what happens; what is told is what `Run.take` understands."""

    def send(**message: Any) -> None:
        tell({**message, "at": time.monotonic()})

    context = Context(expect=expect, progress=lambda facts: send(partial=facts))
    for step in STEPS:
        reason = step.skip(context)
        if reason:
            send(skip=step.name, reason=reason)
            continue
        send(begin=step.name)
        try:
            facts = replay(simulation, step.name) if simulation else step.gather(context)
        except Exception as error:
            if step.skip in (no_device, one_device):
                context.broken = step.name
            send(end=step.name, error=f"{type(error).__name__}: {first_line(error)}", outOfMemory=out_of_memory(error))
            continue
        context.facts[step.name] = facts
        send(end=step.name, facts=facts)
    send(done=True)


def die_with_parent() -> None:
    """Whatever ends the supervisor, nothing stays behind on the GPU."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def worker_main(expect: Expect, simulation: Facts | None, channel: int) -> None:
    die_with_parent()
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # so that torch numbers GPUs as NVML does
    with contextlib.suppress(OSError):  # out of memory, the worker is to die and the supervisor to tell
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    with os.fdopen(channel, "w", encoding="utf-8", buffering=1) as out:
        run_steps(expect, simulation, lambda message: print(json.dumps(message), file=out))


# --- judging: pure functions from facts to findings -------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    id: stable name. severity: fail, unknown (could not tell), warn or info. value, bound: what was seen and what it was
    held against. advice: one sentence on what to do, empty for info. gpu: the GPU's index, null for all.
    """

    id: str
    severity: str
    message: str
    value: Any = None
    bound: Any = None
    advice: str = ""
    gpu: int | None = None


RESET = "Drain the node and reset the GPU or reboot; if it comes back, have the GPU replaced."
REPLACE = "Drain the node now and have the GPU replaced."
KERNEL_LOG = "Read the node's kernel log for NVRM lines; if another node of the pool passes, drain this one."
NEIGHBOUR = (
    "Find who holds it (nvidia-smi on the node): nothing enforces shares, so each workload must keep to its own."
)
ADVICE = {  # what to do, by finding
    "identity.driver": KERNEL_LOG,
    "identity.smi": "Two drivers' files are mixed in this container: look for libnvidia-ml in the image, remove it.",
    "identity.count": "Read the device plugin's log on this node; look at the pod's NVIDIA_VISIBLE_DEVICES.",
    "identity.mig": "Say MIG in the stack file, or change the node's MIG layout back.",
    "identity.product": "Correct the pool's product in the stack file, or move the node to its own pool.",
    "identity.memory": "Correct the pool's gpuMemoryMib: quotas and gpu-memory requests are computed from it.",
    "identity.cuda": "Update the node's driver, or use an image whose torch is built for an older CUDA.",
    "identity.torch": "Try torch.cuda.init() in this image; with NVSwitch, see that the fabric manager runs.",
    "identity.uuid": "CUDA and NVML disagree: look for a second driver's files in this container.",
    "identity.architecture": "Use a torch that is built for this GPU.",
    "memory.alone": "End the other workload, or find who bypasses the device plugin (who sets NVIDIA_VISIBLE_DEVICES).",
    "memory.share": "Find who holds the GPU's memory (nvidia-smi on the node).",
    "memory.pattern": f"The GPU's memory or its bus corrupts data. {REPLACE}",
    "health.nvml": RESET,
    "health.ecc": RESET,
    "health.pages": RESET,
    "health.rows": RESET,
    "health.computeMode": "Set the compute mode back on the node: nvidia-smi -c 0.",
    "health.xid": "Look the number up in NVIDIA's Xid table and treat the node as it says before teams use it.",
    "health.pcie": "Drain the node, reseat the GPU or its riser, and compare LnkSta in lspci -vv on the node.",
    "health.nvlink": "Read nvidia-smi nvlink --status on the node; bridges that are not fitted count as down.",
    "health.fabric": "See that nvidia-fabricmanager runs on the node and has the driver's version.",
    "health.throttle": "Check the node's cooling and power (nvidia-smi -q -d PERFORMANCE); drain it if this lasts.",
    "health.clock": "Look for a power limit or locked clocks: nvidia-smi -q -d CLOCK,POWER on the node.",
    "health.temperature": "Check the node's fans and inlet temperature.",
    "work": f"The GPU computes wrong results. {REPLACE}",
    "speed": "Look at health.throttle, health.clock and health.pcie first, then compare with another node of the pool.",
    "peers.access": "These GPUs talk through host memory: check NVLink, IOMMU and PCIe ACS if they should do better.",
    "peers.copy": "The link between these GPUs corrupts data: drain the node; on bare metal turn PCIe ACS off.",
    "allreduce.sum": "Run it with NCCL_DEBUG=INFO; look at the size of /dev/shm, NVLink and the fabric manager.",
    "sharing.granted": "Look at the pod's annotations, its schedulerName and the log of KAI's binder.",
    "sharing.uuid": "KAI accounts for another GPU: the nvidia runtime must honour the pod's NVIDIA_VISIBLE_DEVICES.",
    "sharing.limiter": "This torch ignores set_per_process_memory_fraction: hold workloads to their share another way.",
    "run.stopped": "Give the check more time or memory, or find what slowed it down, and run it again.",
    "run.incomplete": "Run it again.",
}
NVML_ADVICE = {  # nvmlReturn_t
    4: "Give the container access to the device nodes: check the nvidia runtime and the pod's security policy.",
    9: "Load the NVIDIA driver on the node (lsmod | grep nvidia), then restart the device plugin.",
    12: "The pod got no driver: set its RuntimeClass to nvidia or make nvidia the node's default runtime.",
    15: "A GPU fell off the bus: drain the node and reboot it; if it comes back, have the GPU replaced.",
    18: "The node's driver was updated under a running kernel module: drain the node and reboot it.",
}


class Findings(list[Finding]):
    def add(self, id_: str, bad: bool | str, message: str, value: Any = None, bound: Any = None, **more: Any) -> None:
        """`bad` is a severity, or whether it fails. Advice comes from ADVICE unless given, and only where needed."""
        severity = bad if isinstance(bad, str) else "fail" if bad else "info"
        advice = more.pop("advice", "") or ADVICE.get(id_) or ADVICE.get(id_.partition(".")[0], "")
        self.append(Finding(id_, severity, message, value, bound, advice if severity != "info" else "", **more))


def normalised(product: str) -> str:
    """One spelling for a product as NVML, GFD's label or a stack file write it: `NVIDIA-H200-SHARED` -> `h200`."""
    name = re.sub(r"[\s_]+", "-", product.strip().lower())
    return re.sub(r"^(nvidia-|tesla-)+|(-mig-.*|-shared)$", "", name)


def visible(facts: dict[str, Facts]) -> list[Facts]:
    """The devices that NVML shows this pod: MIG slices where a GPU has any, else the GPU."""
    seen: list[Facts] = []
    for gpu in facts.get("nvml", {}).get("gpus", []):
        seen += [{**part, "index": gpu["index"], "slice": True} for part in gpu["migs"]] or [gpu]
    return seen


def version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text or ""))


def judge_identity(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    nvml, smi, seen = facts.get("nvml"), facts.get("smi"), visible(facts)
    if nvml is None:
        return
    if nvml.get("error"):
        error, advice = nvml["error"], NVML_ADVICE.get(nvml["error"]["code"], "")
        text = f"NVML does not start: {error['message']}."
        found.add("identity.driver", True, text, error["message"], "NVML starts", advice=advice)
        return
    found.add("identity.driver", False, f"Driver {nvml['driver']} with CUDA {nvml['cuda']}.", nvml["driver"])
    judge_count(expect, facts, len(seen), found)
    uuids = sorted(str(device["uuid"]) for device in seen)
    if smi and smi["path"]:
        listed = sorted(device["uuid"] for gpu in smi["gpus"] for device in gpu["migs"] or [gpu])
        names = {gpu["uuid"]: gpu["name"] for gpu in smi["gpus"]}
        differ = listed != uuids or any(names.get(gpu["uuid"], gpu["name"]) != gpu["name"] for gpu in nvml["gpus"])
        text = f"nvidia-smi -L lists {', '.join(listed) or smi['error'] or 'nothing'}; NVML {', '.join(uuids)}."
        found.add("identity.smi", differ, text, listed, uuids)
    elif smi:
        advice = "Let NVIDIA_DRIVER_CAPABILITIES contain utility."
        found.add("identity.smi", "warn", "nvidia-smi is not in this container.", None, "on the PATH", advice=advice)
    slices = [f"{device['name']} ({device['memoryMib']} MiB)" for device in seen if device.get("slice")]
    if slices or expect.mode == "mig":
        wrong = not slices or expect.mode not in ("mig", "host")
        found.add("identity.mig", wrong, f"MIG slices: {', '.join(slices) or 'none'}.", slices, expect.mode)
    for gpu in nvml["gpus"]:
        name, memory, pool = gpu["name"], gpu.get("memoryMib"), expect.pool_gpu_memory_mib
        if expect.product and name:
            text = f"The GPU calls itself {name}; the pool says {expect.product}."
            wrong = normalised(name) != normalised(expect.product)
            found.add("identity.product", wrong, text, name, expect.product, gpu=gpu["index"])
        if pool and memory and not slices:
            ratio, text = memory / pool, f"The GPU has {memory} MiB; the pool says {pool} MiB."
            bad = "fail" if ratio < 1 - MEMORY_TOLERANCE else "warn" if ratio > 1 + MEMORY_TOLERANCE else "info"
            found.add("identity.memory", bad, text, memory, pool, gpu=gpu["index"])


def judge_count(expect: Expect, facts: dict[str, Facts], seen: int, found: Findings) -> None:
    wanted = expect.gpus or (1 if expect.mode in FRACTIONS else None)
    # two replicas may be two turns on the same GPU
    right = seen >= 1 if wanted is None else 1 <= seen <= wanted if expect.mode == "replica" else seen == wanted
    advice = ""
    if seen > (wanted or seen):
        asks_all = facts["runtime"]["environment"].get("NVIDIA_VISIBLE_DEVICES") == "all"
        advice = "Something bypasses the device plugin: look for NVIDIA_VISIBLE_DEVICES in the pod and its image"
        advice += " (it is 'all' here: every GPU of the node)." if asks_all else "."
    text = f"The pod sees {seen} GPU{'' if seen == 1 else 's'}" + (f"; {wanted} asked for." if wanted else ".")
    found.add("identity.count", not right, text, seen, wanted, advice=advice)


def judge_torch(facts: dict[str, Facts], found: Findings) -> None:
    torch, cuda, nvml, seen = facts.get("import"), facts.get("cuda"), facts.get("nvml", {}), visible(facts)
    if torch and not torch["cuda"]:
        text, advice = f"torch {torch['version']} is built without CUDA.", "Use a torch image that is built for CUDA."
        found.add("identity.torch", "unknown", text, torch["version"], "a CUDA build", advice=advice)
    if not torch or not torch["cuda"] or not cuda:
        return
    error, ours, theirs = cuda.get("error"), version(torch["cuda"])[:2], version(nvml["cuda"])[:2]
    older = theirs and ours[0] > theirs[0]
    too_old = bool(version(nvml["driver"])) and version(nvml["driver"]) < OLDEST_DRIVER.get(ours[0], ())
    text = f"torch {torch['version']} is built for CUDA {torch['cuda']}"
    text += f"; driver {nvml['driver']} offers CUDA {nvml['cuda']}."
    if (older or too_old) and not error:
        text += " It works through a forward compatibility package."
    bad = "info" if not (older or too_old) else "fail" if error else "warn"
    found.add("identity.cuda", bad, text, torch["cuda"], nvml["cuda"])
    # a process can use one MIG slice, however many it can see
    sliced = any(device.get("slice") for device in seen)
    wanted = min(1, len(seen)) if sliced else len(seen)
    hidden = facts["runtime"]["environment"].get("CUDA_VISIBLE_DEVICES")
    advice = (
        "" if hidden is None else f"CUDA_VISIBLE_DEVICES={hidden!r} hides GPUs: remove it from the pod or its image."
    )
    text = f"torch sees {cuda['count']} of {wanted} GPUs" + (f": {error.rstrip('.')}." if error else ".")
    found.add("identity.torch", cuda["count"] != wanted, text, cuda["count"], wanted, advice=advice)
    for device in cuda["devices"]:
        if device["uuid"] and not sliced:
            uuids, text = [gpu["uuid"] for gpu in seen], f"torch computes on {device['uuid']}."
            found.add("identity.uuid", device["uuid"] not in uuids, text, device["uuid"], uuids, gpu=device["index"])
        fits, name = built_for(device["capability"], torch["architectures"]), "sm_{}{}".format(*device["capability"])
        text = f"torch's kernels are {'' if fits else 'not '}built for {name}."
        found.add("identity.architecture", not fits, text, name, torch["architectures"], gpu=device["index"])


def built_for(capability: list[int], architectures: list[str]) -> bool:
    """Whether a build holds code for this capability: machine code of its major and no newer minor, or no newer PTX."""
    for name in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", name)
        have = [int(match[2]), int(match[3])] if match else [99, 0]
        if have <= capability and (name.startswith("compute") or have[0] == capability[0]):
            return True
    return not architectures


def judge_memory(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    others: dict[str | None, str] = {}
    for gpu in visible(facts):
        used = gpu.get("usedMib")
        if used is None:
            continue
        who = [f"process {p['pid']} with {p['memoryMib']} MiB" for p in gpu.get("processes") or []]
        text = f"{used} MiB were in use before the check began"
        text += f" ({', '.join(who) or 'by no process that is visible from here'})." if used > IN_USE_MIB else "."
        others[gpu["uuid"]] = f" {text}" if used > IN_USE_MIB else ""
        if expect.mode in ALONE:
            found.add("memory.alone", used > IN_USE_MIB, text, used, IN_USE_MIB, gpu=gpu["index"])
    uuids = {device["index"]: device["uuid"] for device in facts.get("cuda", {}).get("devices", [])}
    for result in facts.get("memory", {}).get("gpus", []):
        index, asked, got, total = (result[key] for key in ("index", "askedMib", "gotMib", "totalMib"))
        if result["outOfMemory"]:
            text = (
                f"Out of memory: {got} of {asked} MiB could be allocated; {result['freeMib']} of {total} MiB were free."
            )
            advice = NEIGHBOUR if expect.mode not in ALONE else ""
            if asked > total:
                advice = f"That is more than there is: lower memoryFraction ({expect.memory_fraction:g})."
            found.add(
                "memory.share", True, text + others.get(uuids.get(index), ""), got, asked, advice=advice, gpu=index
            )
            continue
        text = f"{got} MiB allocated; {result['grantedMib']} MiB are this pod's."
        found.add("memory.share", False, text, got, asked, gpu=index)
        wrong, text = result["wrongWords"], f"{result['checkedMib']} MiB written and read back twice"
        found.add("memory.pattern", wrong > 0, f"{text}; {wrong} words came back wrong.", wrong, 0, gpu=index)


def under_load(facts: dict[str, Facts], gpu: Facts) -> Facts:
    """What was sampled while the GPU that NVML calls `gpu` worked."""
    uuids = {device["index"]: device["uuid"] for device in facts.get("cuda", {}).get("devices", [])}
    for result in facts.get("speed", {}).get("gpus", []):
        uuid = uuids.get(result["index"])
        if uuid == gpu["uuid"] or (uuid is None and result["index"] == gpu["index"]):
            return {"samples": 0, **dict.fromkeys(UNDER_LOAD), **result["load"]}
    return {"samples": 0, **dict.fromkeys(UNDER_LOAD)}


def judge_health(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    nvml, after = facts.get("nvml", {}), facts.get("after", {})
    later = {gpu["index"]: gpu for gpu in after.get("gpus", [])}
    for gpu in nvml.get("gpus", []):
        then = {key: value for key, value in later.get(gpu["index"], {}).items() if value is not None}
        for call, text in {**gpu["errors"], **then.get("errors", {})}.items():
            found.add("health.nvml", True, f"NVML's {call} answers: {text}.", text, "an answer", gpu=gpu["index"])
        if gpu["uuid"] is not None:
            judge_memory_health({**gpu, **then}, found)
            judge_links(expect, gpu, under_load(facts, gpu), found)
            judge_clocks(gpu, {**gpu, **then}, under_load(facts, gpu), found)
    xids, before = after.get("xids"), nvml.get("xidsBefore")
    if nvml.get("gpus"):
        # one under our own work is the GPU's; one in the log, or on a shared GPU, may be another program's own fault
        bad = "fail" if xids and expect.mode in ALONE else "warn" if xids or before else "info"
        text = f"Xids while it ran: {'not available' if xids is None else xids or 'none'}; in the kernel's log: "
        text += f"{'not readable from here' if before is None else before or 'none'}."
        found.add("health.xid", bad, text, None if xids is before is None else [*(xids or []), *(before or [])], [])


def judge_memory_health(now: Facts, found: Findings) -> None:
    gpu, errors, pages, rows = now["index"], now["eccUncorrected"], now["retiredPages"], now["rows"]
    text = "ECC is not available." if now["ecc"] is None else "ECC is off."
    if now["ecc"]:
        text = f"ECC: {errors} uncorrected errors since the driver was loaded, {now['eccUncorrectedEver']} ever."
    found.add("health.ecc", bool(errors), text, errors, 0, gpu=gpu)
    pending = bool(now["retiredPagesPending"])
    text = (
        "Retired pages: not available."
        if pages is None
        else f"{pages} retired pages, {'some' if pending else 'none'} pending."
    )
    bad = "fail" if pending else "warn" if (pages or 0) > RETIRED_PAGES_WARN else "info"
    found.add("health.pages", bad, text, pages, RETIRED_PAGES_WARN, gpu=gpu)
    shown = ", ".join(f"{value} {key}" for key, value in rows.items()) if rows else "not available"
    bad_rows = bool(rows and (rows["pending"] or rows["failed"]))
    found.add("health.rows", bad_rows, f"Remapped rows: {shown}.", rows, "none pending or failed", gpu=gpu)
    modes = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
    mode = modes.get(now["computeMode"], "not available")
    found.add("health.computeMode", mode == "prohibited", f"Compute mode: {mode}.", mode, "not prohibited", gpu=gpu)


def judge_links(expect: Expect, gpu: Facts, load: Facts, found: Findings) -> None:
    index, links, fabric = gpu["index"], gpu["nvlinks"], gpu["fabric"]
    now, most = [load["pcieGen"], load["pcieWidth"]], [gpu["pcieGenMax"], gpu["pcieWidthMax"]]
    if None in (*now, *most):
        found.add("health.pcie", False, "PCIe link under load: not available.", gpu=index)
    else:
        slow = "warn" if now[0] < most[0] or now[1] < most[1] else "info"
        text = "PCIe link under load: generation {} x{} of {} x{}.".format(*now, *most)
        found.add("health.pcie", slow, text, now, most, gpu=index)
    if links is None:
        found.add("health.nvlink", False, "NVLink: not available.", gpu=index)
    else:
        up, down = links["active"], links["inactive"]
        bad = "warn" if down and (up or (expect.gpus or 1) > 1) else "info"
        found.add("health.nvlink", bad, f"NVLink: {up} links up, {down} down.", up, up + down, gpu=index)
    if fabric and fabric["state"]:  # 0: not supported
        bad = "warn" if (fabric["state"], fabric["status"]) != (3, 0) else "info"
        text = f"NVSwitch fabric: state {fabric['state']} (3 is complete), status {fabric['status']}."
        found.add("health.fabric", bad, text, fabric["state"], 3, gpu=index)


def judge_clocks(before: Facts, now: Facts, load: Facts, found: Findings) -> None:
    gpu, samples, counts = before["index"], load["samples"], load["clockReasons"] or {}
    worst, named = "info", []
    for bit, (name, severity) in CLOCK_REASONS.items():
        share = counts.get(str(bit), 0) / samples if samples else 0.0
        idle = bool((before["clockReasons"] or 0) & (now["clockReasons"] or 0) & bit)
        if share or idle:
            lasting = share >= HW_REASON_SHARE or idle
            worst = min(worst, severity if lasting or severity != "fail" else "warn", key=SEVERITIES.index)
            named.append(f"{name} ({share:.0%} of the time under load{', and before and after' if idle else ''})")
    known = None not in (load["clockReasons"], before["clockReasons"]) or named
    text = f"Clocks lowered by: {', '.join(named) or ('nothing' if known else 'not available')}."
    found.add("health.throttle", worst, text, named or None, "no hardware or thermal slowdown", gpu=gpu)
    clock, most = load["smClockMhz"], before["smClockMaxMhz"]
    if clock and most:
        slow = "warn" if clock < most * CLOCK_SHARE else "info"
        found.add(
            "health.clock", slow, f"SM clock under load: {clock} of {most} MHz.", clock, most * CLOCK_SHARE, gpu=gpu
        )
    hottest = max(reading["temperatureC"] or 0 for reading in (before, now, load)) or None
    limit = before["temperatureSlowdownC"]
    bad = "info"
    if hottest and limit:
        bad = "fail" if hottest >= limit else "warn" if hottest >= limit - THERMAL_MARGIN_C else "info"
    text = f"Temperature at most {hottest or 'not available'} C; the GPU slows down at {limit or 'not available'} C."
    found.add("health.temperature", bad, text, hottest, limit, gpu=gpu)


def judge_work(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    for result in facts.get("matmul", {}).get("gpus", []):
        for kind in (kind for kind in TOLERANCES if kind in result):
            error, bounds, advice = result[kind], TOLERANCES[kind], ""
            right = error is not None and error[0] <= bounds[0] and error[1] <= bounds[1]
            shown = f"{error[0]:.1e}, worst element {error[1]:.1e}" if error else "no finite number"
            if kind == "fp32" and error and error[0] <= TOLERANCES["tf32"][0]:
                advice = "That is tf32's precision: look for NVIDIA_TF32_OVERRIDE or a changed default in the image."
            text = f"{kind} product against the CPU: relative error {shown}."
            found.add(f"work.{kind}", not right, text, error, list(bounds), advice=advice, gpu=result["index"])
        same = result["repeatable"]
        text = f"The same product twenty times: {'the same' if same else 'different'} bits."
        found.add("work.repeat", not same, text, same, True, gpu=result["index"])
    devices = {device["index"]: device for device in facts.get("cuda", {}).get("devices", [])}
    gpus = {gpu["uuid"]: gpu for gpu in facts.get("nvml", {}).get("gpus", [])}
    for result in facts.get("speed", {}).get("gpus", []):
        device = devices.get(result["index"], {})
        gpu, floor = gpus.get(device.get("uuid"), {}), FLOORS.get(normalised(device.get("name", "")))
        lane = PCIE_LANE_GBS.get(gpu.get("pcieGenMax") or 0, 0.0)
        pcie = round(lane * (gpu.get("pcieWidthMax") or 0) * PCIE_SHARE, 1) or None
        for name, unit, bound, what in (
            ("hostToDevice", "GB/s", pcie, "Host to device"),
            ("deviceToHost", "GB/s", pcie, "Device to host"),
            ("onDevice", "GB/s", floor and round(floor.gbs * floor.gbs_share), "On the device, read and written"),
            ("matrix", "TFLOP/s", floor and round(floor.tflops * floor.tflops_share), "Matrix products"),
        ):
            value = result[name + ("Tflops" if name == "matrix" else "Gbs")]
            slow = "warn" if bound and value < bound and expect.mode in ALONE else "info"
            held = f"floor {bound}" + ("" if expect.mode in ALONE else ", which does not bind on a shared GPU")
            text = f"{what}: {value:.1f} {unit} ({held if bound else 'no floor is known'})."
            found.add(f"speed.{name}", slow, text, round(value, 1), bound, gpu=result["index"])


def judge_several(facts: dict[str, Facts], found: Findings) -> None:
    for pair in facts.get("peers", {}).get("pairs", []):
        start, end, access = pair["from"], pair["to"], pair["access"]
        text = f"GPU {start} to GPU {end}: {pair['gbs']:.1f} GB/s, {'with' if access else 'without'} peer access."
        found.add("peers.access", "info" if access else "warn", text, access, True, gpu=start)
        text = f"A copy from GPU {start} to GPU {end} came out {'the same' if pair['same'] else 'different'}."
        found.add("peers.copy", not pair["same"], text, pair["same"], True, gpu=start)
    result = facts.get("allreduce")
    if result:
        text = f"NCCL's all-reduce over {result['ranks']} GPUs: "
        text += (
            "; ".join(result["errors"])
            or f"{result['wrongWords']} wrong words, bus bandwidth {result['busGbs']:.1f} GB/s"
        )
        found.add("allreduce.sum", bool(result["errors"] or result["wrongWords"]), text + ".", result["wrongWords"], 0)
        found.add(
            "allreduce.speed", False, "Bus bandwidth of the all-reduce in GB/s; it has no floor.", result["busGbs"]
        )


def judge_sharing(expect: Expect, facts: dict[str, Facts], found: Findings) -> None:
    environment, seen = facts.get("runtime", {}).get("environment", {}), visible(facts)
    uuids = sorted({str(gpu["uuid"]) for gpu in seen})
    if expect.mode == "replica" and seen:
        mps = any(key.startswith("CUDA_MPS") for key in environment)
        text = f"GPU {', '.join(uuids)} is shared by {'MPS' if mps else 'time-slicing'}"
        text += f" as one of {expect.replicas} replicas" if expect.replicas else ""
        found.add("sharing.replica", False, f"{text}; every replica of it shows this UUID.", uuids)
        if not mps:
            found.add(
                "sharing.isolation", False, "Memory is not isolated: each replica can take all of the GPU's.", False
            )
    if expect.mode not in FRACTIONS or not seen or not seen[0]["memoryMib"]:
        return
    asked = expect.fraction if expect.mode == "fraction" else (expect.gpu_memory_mib or 0) / seen[0]["memoryMib"]
    portion, reserved = environment.get("GPU_PORTION", ""), environment.get("NVIDIA_VISIBLE_DEVICES", "").split("=")[-1]
    granted = float(portion) if re.fullmatch(r"\d*\.?\d+", portion) else None
    # KAI counts memory in whole hundreds of MiB: a share asked for in MiB comes out slightly different
    differs = granted is not None and abs(granted - (asked or 0)) > MEMORY_TOLERANCE
    text = f"{'Nothing' if granted is None else format(granted, 'g')} of a GPU was granted; {asked:.3g} asked for."
    found.add("sharing.granted", "unknown" if granted is None else differs, text, granted, asked)
    other = bool(reserved) and not set(reserved.split(",")) <= set(uuids)
    text = f"The reservation names {reserved or 'no GPU'}; the pod sees {', '.join(uuids)}."
    found.add("sharing.uuid", other if reserved else "unknown", text, reserved or None, uuids)
    for result in facts.get("memory", {}).get("gpus", []):
        limiter, index, share, total = result["limiter"], result["index"], result["grantedMib"], result["totalMib"]
        text = f"torch, held to {share} MiB by its own limiter, was {'refused' if limiter['refused'] else 'given'} "
        text += f"{limiter['triedMib']} MiB; the GPU had {limiter['freeMib']} MiB free."
        found.add(
            "sharing.limiter", "info" if limiter["refused"] else "warn", text, limiter["refused"], True, gpu=index
        )
        isolated = total <= share * (1 + MEMORY_TOLERANCE)
        text = f"Memory is not isolated: {share} MiB are granted, any process here can take all {total} MiB."
        text = f"Memory is isolated: {total} MiB are all that can be seen." if isolated else text
        found.add("sharing.isolation", False, text, isolated, gpu=index)


CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)


def judge_run(states: list[Facts], stopped: str, found: Findings) -> None:
    """What went wrong with the run itself, rather than with what it measured."""
    for state in states:
        name, on_gpu, how_far = state["step"], state["blames"] == "gpu", state.get("detail", "")
        if state["state"] == "hung":
            text = f"Step {name} gave no answer within {state['limit']:g} s and was ended{how_far}."
            advice = "Read the node's kernel log for NVRM lines, drain the node and reboot it."
            advice = advice if on_gpu else "Try again: a cold image on a slow disk or a busy CPU looks like this."
            found.add("run.hung", "fail" if on_gpu else "unknown", text, name, state["limit"], advice=advice)
        elif state["state"] == "killed":
            crash = state["signal"] in CRASHES and on_gpu
            advice = (
                "CUDA or the driver crashed: read the node's kernel log for NVRM lines, try another driver or image."
            )
            advice = advice if crash else "Give the pod more memory: 4 GiB, and 2 more for each further GPU."
            how = f"by signal {state['signal']}" if state["signal"] else f"with exit code {state['exit']}"
            text = f"The probe's worker was ended {how} in step {name}{how_far}."
            found.add("run.killed", "fail" if crash else "unknown", text, name, advice=advice)
        elif state["state"] == "error":
            severity, advice = "fail" if on_gpu else "unknown", KERNEL_LOG
            if "No module named" in state["error"] or name == "import":
                severity, advice = (
                    "unknown",
                    "Put pynvml beside the probe and use an image that holds torch built for CUDA.",
                )
            elif state["outOfMemory"]:
                advice = ADVICE["memory.share"]
            text = f"Step {name} ended in an error{how_far}: {state['error']}."
            found.add("run.error", severity, text, state["error"], advice=advice)
    if stopped:
        found.add("run.stopped", "unknown", f"The check was ended before it was through: {stopped}.", stopped)


def judge(expect: Expect, facts: dict[str, Facts], states: list[Facts], stopped: str = "") -> list[Finding]:
    """Every finding on these facts; within a severity, causes before what follows from them."""
    found, reason = Findings(), fake_reason(expect, facts)
    if reason:
        found.add("runtime.fake", False, f"The GPUs are fake: {reason}.", True)
    if not reason or facts.get("nvml", {}).get("gpus"):
        judge_run(states, stopped, found)
        judge_identity(expect, facts, found)
        judge_torch(facts, found)
        judge_memory(expect, facts, found)
        judge_health(expect, facts, found)
        judge_work(expect, facts, found)
        judge_several(facts, found)
        judge_sharing(expect, facts, found)
        missing = [state["step"] for state in states if state["state"] == "not-run"]
        if missing and not stopped and all(finding.severity in ("info", "warn") for finding in found):
            found.add("run.incomplete", "unknown", f"Not run: {', '.join(missing)}.", missing, [])
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))  # stable: keeps the order above


def verdict_of(findings: list[Finding], fake: bool) -> str:
    worst = min((finding.severity for finding in findings), key=SEVERITIES.index, default="unknown")
    return "simulated" if fake else {"unknown": "could-not-tell", "info": "pass"}.get(worst, worst)


# --- the report -------------------------------------------------------------------------------------------------------


def sentence_of(verdict: str, expect: Expect, findings: list[Finding], facts: dict[str, Facts]) -> str:
    """The cause and what to do, or what was proven."""
    telling = [finding for finding in findings if finding.severity != "info"]
    if verdict == "simulated":
        return "The GPUs are fake, so nothing is proven about CUDA; the check's pod ran where the team's pods run."
    if telling:
        first, others = telling[0], ", ".join(dict.fromkeys(finding.id for finding in telling[1:]))
        where = f"GPU {first.gpu}: " if first.gpu is not None else ""
        return f"{where}{first.message} {first.advice}" + (f" (Also: {others}.)" if others else "")
    names = [str(device["name"]) for device in visible(facts)]
    tested = sum(result["checkedMib"] for result in facts.get("memory", {}).get("gpus", []))
    rates = ", ".join(f"{result['matrixTflops']:.0f}" for result in facts.get("speed", {}).get("gpus", []))
    return f"{len(names)} x {names[0]} ({expect.mode}): {tested} MiB tested, products right at {rates} TFLOP/s."


def headline(report: Facts) -> str:
    """The first thing a person reads: verdict, for whom, and the sentence."""
    whom = ", ".join(f"{what} {report[what]}" for what in ("team", "queue", "node") if report[what])
    return f"{report['verdict']}{f' [{whom}]' if whom else ''}: {report['sentence']}"


@dataclass
class Run:
    """What the supervisor knows so far; `report` can be called at any time."""

    expect: Expect
    simulation: Facts | None
    started: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)
    facts: dict[str, Facts] = field(default_factory=dict)
    stopped: str = ""
    states: dict[str, Facts] = field(
        default_factory=lambda: {s.name: {"step": s.name, "state": "not-run", "blames": s.blames} for s in STEPS}
    )

    step: str = ""  # the running one
    began: float = 0.0  # on the monotonic clock, which the worker shares
    partial: Facts = field(default_factory=dict)

    def take(self, message: Facts) -> None:
        """Notes one message of the worker."""
        if "begin" in message:
            self.step, self.began, self.partial = message["begin"], message["at"], {}
        elif "partial" in message:
            self.partial = message["partial"]
        elif "skip" in message:
            self.states[message["skip"]].update(state="skipped", reason=message["reason"])
        elif "facts" in message:
            self.facts[self.step] = message["facts"]
            self.leave(message["at"], state="done")
        elif "error" in message:
            self.leave(message["at"], state="error", **{key: message[key] for key in ("error", "outOfMemory")})

    def leave(self, at: float, **outcome: Any) -> None:
        how_far = f" after {json.dumps(self.partial)[:400]}" if self.partial and outcome["state"] != "done" else ""
        self.states[self.step].update(outcome, seconds=round(at - self.began, 2), detail=how_far)
        self.step = ""

    def report(self) -> Facts:
        """The report as things stand: in the middle of a step, the one to be found if everything is killed there."""
        stopped = self.stopped
        if self.step:
            stopped = f"killed in step {self.step}; OOMKilled means that the pod needs more memory"
        states = list(self.states.values())
        findings = judge(self.expect, self.facts, states, stopped)
        verdict = verdict_of(findings, bool(fake_reason(self.expect, self.facts)))
        seconds = round(time.monotonic() - self.clock, 2)
        torch, nvml, expect = self.facts.get("import", {}), self.facts.get("nvml", {}), self.expect.as_json()
        keys = ("index", "uuid", "name", "memoryMib", "usedMib", "unavailable")
        gpus = [{key: gpu.get(key) for key in keys} for gpu in visible(self.facts)]
        return {
            "schemaVersion": SCHEMA_VERSION,
            "verdict": verdict,
            "sentence": sentence_of(verdict, self.expect, findings, self.facts),
            **{key: expect[key] for key in ("team", "queue", "mode", "pool", "schedulerVersion", "stamp")},
            "node": expect["node"] or os.environ.get("GPU_CHECK_NODE"),
            "run": os.environ.get("GPU_CHECK_RUN"),
            "startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "seconds": seconds,
            "timings": {state["step"]: state["seconds"] for state in states if "seconds" in state},
            "expect": expect,
            "gpus": gpus,
            "driver": {
                "version": nvml.get("driver"),
                "cuda": nvml.get("cuda"),
                "torch": torch.get("version"),
                "torchCuda": torch.get("cuda"),
            },
            "findings": [asdict(finding) for finding in findings],
            "coverage": {
                "complete": not stopped and all(state["state"] in ("done", "skipped") for state in states),
                "steps": {state["step"]: state["state"] for state in states},
                "skipped": {state["step"]: state["reason"] for state in states if "reason" in state},
                "uuids": [gpu["uuid"] for gpu in gpus],
            },
            "simulated": self.simulation is not None or verdict == "simulated",
            "simulation": self.simulation and self.simulation.get("name"),
        }


def exit_code(verdict: str, expect: Expect, in_job: bool) -> int:
    """0 pass, 1 warn, 2 fail, 3 could not tell; in the Job 0 below `onFailure`. Not to know is as bad as to fail."""
    if verdict == "simulated":
        return 0 if expect.fake else EXIT_CODES["could-not-tell"]
    return 0 if in_job and verdict == "warn" and expect.on_failure == "fail" else EXIT_CODES[verdict]


# --- where the report goes --------------------------------------------------------------------------------------------


class ConfigMapError(RuntimeError):
    """The report could not be written to the ConfigMap; the text never holds the token."""


@dataclass(frozen=True)
class ConfigMap:
    """The one ConfigMap that the report goes to, with the pod's own service account.

    Written by server-side apply, so that it may exist or not; its Role needs `create` and `patch` on that one name.
    """

    name: str
    namespace: str
    server: str
    credentials: str

    @classmethod
    def from_environment(cls) -> ConfigMap | None:
        """None without GPU_CHECK_CONFIGMAP; ConfigMapError if the rest is missing or a token would go in clear."""
        name, namespace = os.environ.get("GPU_CHECK_CONFIGMAP"), os.environ.get("GPU_CHECK_NAMESPACE", "")
        if not name:
            return None
        mounted = os.environ.get("GPU_CHECK_SERVICEACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount")
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        server = os.environ.get(
            "GPU_CHECK_API_SERVER", f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        )
        url = urllib.parse.urlsplit(server)
        if not namespace or not url.hostname:
            raise ConfigMapError("GPU_CHECK_CONFIGMAP needs GPU_CHECK_NAMESPACE and KUBERNETES_SERVICE_HOST with it")
        if url.scheme != "https" and url.hostname not in ("127.0.0.1", "::1"):
            raise ConfigMapError("the API server's address must begin with https")
        return cls(name, namespace, server, mounted)

    def apply(self, data: dict[str, str], timeout: float) -> None:
        """Makes `data` all that this ConfigMap holds; raises ConfigMapError."""
        url, folder = urllib.parse.urlsplit(self.server), Path(self.credentials)
        address = (url.hostname or "", url.port or 443)
        connection = http.client.HTTPConnection(*address, timeout=timeout)
        path = f"/api/v1/namespaces/{urllib.parse.quote(self.namespace)}/configmaps/{urllib.parse.quote(self.name)}"
        named = {"name": self.name, "namespace": self.namespace}
        body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": data})
        try:
            if url.scheme == "https":
                trust = ssl.create_default_context(cafile=str(folder / "ca.crt"))
                connection = http.client.HTTPSConnection(*address, timeout=timeout, context=trust)
            token = (folder / "token").read_text(encoding="utf-8").strip()  # read anew: the kubelet renews it
            headers = {"Content-Type": "application/apply-patch+yaml", "Authorization": f"Bearer {token}"}
            connection.request("PATCH", f"{path}?fieldManager=gpu-check&force=true", body, headers)
            answer = connection.getresponse()
            said = re.search(rb'"message"\s*:\s*"([^"]*)"', answer.read(4096))
        except (OSError, http.client.HTTPException) as error:
            raise ConfigMapError(f"the report did not reach the API server: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if answer.status >= 300:
            reason = said[1].decode("utf-8", "replace") if said else answer.reason
            raise ConfigMapError(f"the API server refused the report: {answer.status} {reason}")


class Outlets:
    """Everywhere the report goes: file, termination message, ConfigMap. A failure here is told and hides no verdict."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.in_job = os.environ.get("GPU_CHECK_IN_JOB") == "1"
        self.log = os.environ.get("GPU_CHECK_TERMINATION_LOG", "/dev/termination-log" if self.in_job else "")
        self.config_map: ConfigMap | None = None
        self.reachable = True
        try:
            self.config_map = ConfigMap.from_environment()
        except ConfigMapError as error:
            complain(str(error))

    def interim(self, report: Facts) -> None:
        """What is found if nothing more can be said: out of memory, a container may be killed whole. The ConfigMap
        has it under a key of its own: whoever waits for report.json must not be content with it."""
        self.files(report)
        if self.reachable:  # after one failure not again at every step: only the final report tries afresh
            self.reachable = self.applied({"progress.json": json.dumps(report)}, timeout=3)

    def final(self, report: Facts) -> None:
        self.files(report)
        for pause in (1, 2, 0):
            if self.applied({"report.json": json.dumps(report), "verdict": report["verdict"]}, timeout=5):
                return
            time.sleep(pause)

    def applied(self, data: dict[str, str], timeout: float) -> bool:
        try:
            if self.config_map:
                self.config_map.apply(data, timeout)
        except ConfigMapError as error:
            complain(str(error))
            return False
        return True

    def files(self, report: Facts) -> None:
        try:
            if self.path:
                part = Path(f"{self.path}.part")  # never half a report under its name
                part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
                part.replace(self.path)
            if self.log:
                Path(self.log).write_bytes(headline(report).encode()[:TERMINATION_LOG_BYTES])
        except OSError as error:
            complain(f"the report could not be written: {error}")


def complain(text: str) -> None:
    print(f"probe: {text}", file=sys.stderr, flush=True)


# --- the supervisor ---------------------------------------------------------------------------------------------------


def start_worker(arguments: list[str], inbox: queue.SimpleQueue[Facts]) -> subprocess.Popen[bytes]:
    readable, writable = os.pipe()
    command = [sys.executable, __file__, "--worker", str(writable), *arguments]
    # a group of its own, so that the all-reduce's ranks end with it; what libraries print must not mix with our stdout
    worker = subprocess.Popen(
        command, pass_fds=[writable], stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    os.close(writable)

    def read() -> None:
        with os.fdopen(readable, encoding="utf-8") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # a line that a kill cut off
                    inbox.put(json.loads(line))
        inbox.put({"closed": True})

    threading.Thread(target=read, daemon=True).start()
    return worker


def end_group(worker: subprocess.Popen[bytes]) -> None:
    """Ends the worker and what it started. What is stuck in the driver may survive this; the report does not wait."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    try:
        worker.wait(5)
    except subprocess.TimeoutExpired:
        complain("the worker does not end: it is stuck in the driver")


def supervise(run: Run, outlets: Outlets, arguments: list[str], step_limit: float) -> None:
    """Runs the worker to its end or to an outlasted limit, the deadline or a signal; fills `run`."""
    limits = {step.name: min(step.limit, step_limit) for step in STEPS}
    deadline = run.clock + run.expect.deadline_seconds
    inbox: queue.SimpleQueue[Facts] = queue.SimpleQueue()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda received, _: inbox.put({"signal": received}))
    worker = start_worker(arguments, inbox)
    message: Facts = {}
    try:
        while not message.keys() & {"done", "signal", "closed", "expired"}:
            until = min(deadline, run.began + limits[run.step]) if run.step else deadline
            try:
                message = inbox.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                message = {"expired": limits[run.step] if run.step and until < deadline else None}
            run.take(message)
            if "begin" in message:
                print(f"[{run.began - run.clock:6.2f} s] {run.step}", file=sys.stderr, flush=True)
                outlets.interim(run.report())
        if "done" not in message:
            cut_short(run, message, worker)
    finally:
        end_group(worker)


def cut_short(run: Run, message: Facts, worker: subprocess.Popen[bytes]) -> None:
    """Writes down why the run ended early, and in which step."""
    now, in_step, outcome = time.monotonic(), f" in step {run.step}" if run.step else "", Facts(state="stopped")
    if "signal" in message:
        run.stopped = f"signal {message['signal']} came{in_step}"
    elif "closed" in message:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(5)
        code = worker.returncode or 0
        outcome = {"state": "killed", "signal": max(0, -code), "exit": code}
        # between two steps, or before the first
        not_run = (state["step"] for state in run.states.values() if state["state"] == "not-run")
        run.step, run.began = (run.step, run.began) if run.step else (next(not_run, "after"), now)
    elif message["expired"]:
        outcome = {"state": "hung", "limit": message["expired"]}
    else:
        run.stopped = f"the deadline of {run.expect.deadline_seconds:g} s passed{in_step}"
    if run.step:
        run.leave(now, **outcome)


def summary(report: Facts) -> str:
    lines = [headline(report), ""]
    for finding in report["findings"]:
        where = "" if finding["gpu"] is None else f"GPU {finding['gpu']}"
        line = f"  {finding['severity']:<8}{finding['id']:<22}{where:<6} {finding['message']} {finding['advice']}"
        lines.append(line.rstrip())
    spent = ", ".join(f"{step} {seconds:.2f}" for step, seconds in report["timings"].items())
    return "\n".join([*lines, "", f"  {report['seconds']:.2f} s: {spent}"])


def arguments_of(argv: list[str]) -> argparse.Namespace:
    exits = "Exit code: 0 pass, 1 warn, 2 fail, 3 could not tell, 64 bad input."
    parser = argparse.ArgumentParser(prog="probe.py", description="Proves that the GPUs in sight work.", epilog=exits)

    def usage(message: str) -> NoReturn:
        raise ProbeInputError(message)

    parser.error = usage  # type: ignore[method-assign]
    parser.add_argument("--expect", metavar="FILE|JSON", help="what the pod was promised; default: GPU_CHECK_EXPECT")
    parser.add_argument("--report", metavar="FILE", help="write the JSON report there, - for standard output")
    parser.add_argument("--simulate", metavar="FILE", help="recorded answers instead of this machine's")
    parser.add_argument("--record", metavar="FILE", help="write what was measured there, for --simulate")
    parser.add_argument("--deadline", metavar="SECONDS", type=float, help="end with a partial report after this long")
    parser.add_argument("--step-limit", metavar="SECONDS", type=float, default=math.inf, help="lower each step's limit")
    parser.add_argument("--gpus", metavar="N", type=int, help="how many GPUs there must be")
    parser.add_argument(
        "--memory-fraction", metavar="SHARE", type=float, help="share of memory to test, 0.5 unless told"
    )
    for hidden, kind in (("--worker", int), ("--rank", int), ("--world", int), ("--rendezvous", str)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def read_expect(options: argparse.Namespace, simulation: Facts | None) -> Expect:
    """What is promised: the recording's expectation, over it --expect or the environment's, over both the options."""
    given = options.expect or os.environ.get("GPU_CHECK_EXPECT")
    promised = load_json(given, "expectation") if given else {}
    typed = {"gpus": options.gpus, "memoryFraction": options.memory_fraction, "deadlineSeconds": options.deadline}
    by_hand = {key: value for key, value in typed.items() if value is not None}
    return Expect.parse({**(simulation or {}).get("expect", {}), **promised, **by_hand})


def main(argv: list[str]) -> int:
    try:
        options = arguments_of(argv)
        if options.rank is not None:
            rank_main(options.rank, options.world, options.rendezvous)
            return 0
        simulation = load_simulation(options.simulate) if options.simulate else None
        expect = read_expect(options, simulation)
    except ProbeInputError as error:
        complain(str(error))
        return EXIT_BAD_INPUT
    if options.worker is not None:
        worker_main(expect, simulation, options.worker)
        return 0
    run, outlets = Run(expect, simulation), Outlets(None if options.report == "-" else options.report)
    simulate = ["--simulate", options.simulate] if options.simulate else []
    supervise(run, outlets, ["--expect", json.dumps(expect.as_json()), *simulate], options.step_limit)
    report = run.report()
    outlets.final(report)
    if options.record:
        recording = {"name": "recorded", "expect": expect.as_json(), "steps": run.facts}
        Path(options.record).write_text(json.dumps(recording, indent=1) + "\n", encoding="utf-8")
    if options.report == "-":
        print(json.dumps(report, indent=1))
    print(summary(report), file=sys.stderr if options.report == "-" else sys.stdout, flush=True)
    return exit_code(report["verdict"], expect, outlets.in_job)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    # a plain return would wait for threads that may be stuck in the driver
    sys.stdout.flush()
    os._exit(status)
