"""What NVML says: identity, health before and after the work, and readings under load."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import itertools
import os
import re
import threading
from types import ModuleType
from typing import Any

from probe.bounds import CLOCK_REASONS
from probe.expect import Facts
from probe.gather.context import Context

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

    def __init__(self, nvml: ModuleType) -> None:
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


def nvml_gpu(nvml: ModuleType, index: int) -> Facts:
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
    cuda = ask("nvmlSystemGetCudaDriverVersion_v2")
    offers = f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None
    facts: Facts = {"driver": ask("nvmlSystemGetDriverVersion"), "cuda": offers}
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


class LoadSampler(threading.Thread):
    """Reads UNDER_LOAD of one GPU twenty times a second while it works."""

    def __init__(self, nvml: ModuleType, uuid: str | None, index: int) -> None:
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
