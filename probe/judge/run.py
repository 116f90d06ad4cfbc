"""What went wrong with the run itself, rather than with what it measured."""

from __future__ import annotations

import signal

from probe.expect import Facts
from probe.injection import grant
from probe.judge.findings import ADVICE, KERNEL_LOG, Findings

CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)
NO_ANSWER_OF_MPS = (
    "MPS serves one user's processes at a time: look for another user's in the log of the MPS daemon's pod, and "
    "restart that pod where it answers nobody."
)
PER_DEVICE = ("memory", "matmul", "speed")
"""Steps that have one result for each device that torch sees."""


def judge_run(facts: dict[str, Facts], states: list[Facts], stopped: str, found: Findings) -> None:
    """Steps that hung, died or ended in an error, and an end before the end."""
    for state in states:
        name, on_gpu, how_far = state["step"], state["blames"] == "gpu", state.get("detail", "")
        if state["state"] == "hung":
            text = f"Step {name} gave no answer within {state['limit']:g} s and was ended{how_far}."
            advice = "Read the node's kernel log for NVRM lines, drain the node and reboot it."
            advice = advice if on_gpu else "Try again: a cold image on a slow disk or a busy CPU looks like this."
            if grant(facts).mps and "cuda" not in facts:
                advice = NO_ANSWER_OF_MPS
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


def judge_coverage(facts: dict[str, Facts], states: list[Facts], stopped: str, found: Findings) -> None:
    """Whether every step ran, and on every device."""
    devices = sorted(device["index"] for device in facts.get("cuda", {}).get("devices", []))
    for step in PER_DEVICE:
        done = sorted(result["index"] for result in facts[step].get("gpus", [])) if step in facts else devices
        if done != devices:
            text = f"Step {step} has results for {done or 'no'} of the devices {devices}."
            found.add("run.incomplete", "unknown", text, done, devices)
    pairs = facts.get("peers", {}).get("pairs")
    if pairs is not None and len(pairs) != len(devices) * (len(devices) - 1):
        text = f"{len(pairs)} copies between the {len(devices)} devices were tried."
        found.add("run.incomplete", "unknown", text, len(pairs), len(devices) * (len(devices) - 1))
    missing = [state["step"] for state in states if state["state"] == "not-run"]
    if missing and not stopped and all(finding.severity in ("info", "warn") for finding in found):
        found.add("run.incomplete", "unknown", f"Not run: {', '.join(missing)}.", missing, [])
