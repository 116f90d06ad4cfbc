"""The steps of a run, in their order, and the worker that takes them one after another."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from probe.expect import CPU, Expect, Facts
from probe.gather.context import Context, die_with_parent, first_line, out_of_memory
from probe.gather.machine import gather_cuda, gather_import, gather_runtime, gather_smi
from probe.gather.memory import gather_memory
from probe.gather.nvml import gather_after, gather_nvml
from probe.gather.several import gather_allreduce, gather_peers
from probe.gather.work import gather_matmul, gather_speed
from probe.injection import Granted
from probe.simulation import replay


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
    if expect.mode == CPU:
        return ""
    if expect.fake:
        return "the stack file declares fake GPUs"
    if facts.get("nvml", {}).get("error"):
        if "MOCK_NVIDIA_VISIBLE_DEVICES" in facts.get("runtime", {}).get("environment", {}):
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


def no_gpu_asked(expect: Expect, step: Step) -> str:
    """Why a step says nothing about a pod without a GPU; an empty string for the one that does."""
    return "no GPU was asked for" if expect.mode == CPU and step.gather is not gather_runtime else ""


def run_steps(
    expect: Expect, simulation: Facts | None, tell: Callable[[Facts], None], granted: Granted | None = None
) -> None:
    """Runs the steps one after another and tells what happens; what is told is what `Run.take` understands."""

    def send(**message: object) -> None:
        tell({**message, "at": time.monotonic()})

    context = Context(expect=expect, progress=lambda facts: send(partial=facts), granted=granted)
    for step in STEPS:
        reason = no_gpu_asked(expect, step) or step.skip(context)
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


def worker_main(expect: Expect, simulation: Facts | None, channel: int, granted: Granted | None) -> None:
    die_with_parent()
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # so that torch numbers GPUs as NVML does
    with contextlib.suppress(OSError):  # out of memory, the worker is to die and the supervisor to tell
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    with os.fdopen(channel, "w", encoding="utf-8", buffering=1) as out:
        run_steps(expect, simulation, lambda message: print(json.dumps(message), file=out), granted)
