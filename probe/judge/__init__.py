"""From facts to findings: pure functions.

Each finding is one thing looked at. What could not be looked at is a finding, too: one that a promise rests on (the
product, the share, the reservation) is `unknown` and no pass.
"""

from __future__ import annotations

from probe.expect import CPU, Expect, Facts
from probe.gather.nvml import CHANGING, FIXED
from probe.gather.steps import fake_reason
from probe.judge.findings import Findings
from probe.judge.health import judge_health
from probe.judge.identity import judge_identity, judge_torch
from probe.judge.run import judge_coverage, judge_run
from probe.judge.sharing import judge_sharing
from probe.judge.work import judge_memory, judge_several, judge_work

READINGS = (*FIXED, *CHANGING, "memoryMib", "usedMib", "retiredPages", "nvlinks", "fabric")
"""What NVML may say of a GPU."""


def filled(facts: dict[str, Facts]) -> dict[str, Facts]:
    """The facts with None for each of NVML's and torch's readings that is not among them, as where none was offered."""
    found = dict(facts)
    if "nvml" in found:
        gpus = [{**dict.fromkeys(READINGS), "migs": [], "errors": {}, **gpu} for gpu in found["nvml"].get("gpus", [])]
        found["nvml"] = {"driver": None, "cuda": None, **found["nvml"], "gpus": gpus}
    if "cuda" in found:
        devices = [{"uuid": None, **device} for device in found["cuda"].get("devices", [])]
        found["cuda"] = {**found["cuda"], "devices": devices}
    return found


def judge(expect: Expect, facts: dict[str, Facts], states: list[Facts], stopped: str = "") -> Findings:
    """Every finding on these facts, causes before what follows from them."""
    facts = filled(facts)
    found, reason = Findings(), fake_reason(expect, facts)
    if reason:
        found.add("runtime.fake", False, f"The GPUs are fake: {reason}.", True)
    if expect.mode == CPU:
        found.add("run.placed", False, "A pod that asks for no GPU ran where the team's pods run.", True)
        judge_run(facts, states, stopped, found)
        judge_coverage(facts, states, stopped, found)
    elif not reason or facts.get("nvml", {}).get("gpus"):
        judge_run(facts, states, stopped, found)
        judge_identity(expect, facts, found)
        judge_torch(facts, found)
        judge_memory(expect, facts, found)
        judge_health(expect, facts, found)
        judge_work(expect, facts, found)
        judge_several(facts, found)
        judge_sharing(expect, facts, found)
        judge_coverage(facts, states, stopped, found)
    return found
