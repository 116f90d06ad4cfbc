"""What a run knows, and the report that it makes of it at any time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from probe.expect import CPU, SCHEMA_VERSION, Expect, Facts
from probe.gather.steps import STEPS, fake_reason
from probe.injection import injection
from probe.judge import filled, judge
from probe.judge.findings import Finding, Findings, verdict_of
from probe.judge.identity import memory_of, visible

EXIT_CODES = {"pass": 0, "warn": 1, "fail": 2, "could-not-tell": 3}
EXIT_BAD_INPUT = 64  # EX_USAGE; not argparse's 2, which means fail here


def sentence_of(
    verdict: str, expect: Expect, findings: Sequence[Finding], facts: dict[str, Facts], not_judged: Sequence[str]
) -> str:
    """The cause and what to do, or what was proven."""
    telling = [finding for finding in findings if finding.severity != "info"]
    if verdict == "simulated":
        return "The GPUs are fake, so nothing is proven about CUDA; the check's pod ran where the team's pods run."
    if telling:
        first, others = telling[0], ", ".join(dict.fromkeys(finding.id for finding in telling[1:]))
        where = f"GPU {first.gpu}: " if first.gpu is not None else ""
        return f"{where}{first.message} {first.advice}" + (f" (Also: {others}.)" if others else "")
    if expect.mode == CPU:
        return f"A pod without a GPU was placed{f' through queue {expect.queue}' if expect.queue else ''}, and ran."
    names = [str(device["name"]) for device in visible(facts)]
    tested = sum(result["checkedMib"] for result in facts.get("memory", {}).get("gpus", []))
    rates = ", ".join(f"{result['matrixTflops']:.0f}" for result in facts.get("speed", {}).get("gpus", []))
    how = injection(facts).mode
    way = "" if how == "unknown" else f", by {how}"
    proven = f"{len(names)} x {names[0]} ({expect.mode}{way}): {tested} MiB tested, products right at {rates} TFLOP/s."
    return proven + (f" Not available here: {', '.join(not_judged)}." if not_judged else "")


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

    def leave(self, at: float, **outcome: object) -> None:
        how_far = f" after {json.dumps(self.partial)[:400]}" if self.partial and outcome["state"] != "done" else ""
        self.states[self.step].update(outcome, seconds=round(at - self.began, 2), detail=how_far)
        self.step = ""

    def findings(self, states: list[Facts], stopped: str) -> Findings:
        """What `judge` finds. Facts that it can't make sense of are a finding as well, and no pass."""
        try:
            return judge(self.expect, self.facts, states, stopped)
        except Exception as error:  # whatever is odd about a machine's answers, somebody waits for a report
            found = Findings()
            text = f"What was measured could not be judged: {type(error).__name__}: {error}."
            found.add("run.judged", "unknown", text, type(error).__name__)
            return found

    def report(self) -> Facts:
        """The report as things stand: in the middle of a step, the one to be found if everything is killed there."""
        stopped = self.stopped
        if self.step:
            stopped = f"killed in step {self.step}; OOMKilled means that the pod needs more memory"
        states, facts = list(self.states.values()), filled(self.facts)
        found = self.findings(states, stopped)
        findings = found.ordered()
        not_judged = sorted(set(found.not_judged))
        verdict = verdict_of(findings, bool(fake_reason(self.expect, facts)))
        seconds = round(time.monotonic() - self.clock, 2)
        torch, nvml, expect = facts.get("import", {}), facts.get("nvml", {}), self.expect.as_json()
        keys = ("index", "uuid", "name", "memoryMib", "usedMib", "unavailable")
        gpus = [{**{key: gpu.get(key) for key in keys}, "memoryMib": memory_of(facts, gpu)} for gpu in visible(facts)]
        return {
            "schemaVersion": SCHEMA_VERSION,
            "verdict": verdict,
            "sentence": sentence_of(verdict, self.expect, findings, facts, not_judged),
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
            "injection": injection(facts).mode,
            "findings": [asdict(finding) for finding in findings],
            "coverage": {
                "complete": not stopped and all(state["state"] in ("done", "skipped") for state in states),
                "steps": {state["step"]: state["state"] for state in states},
                "skipped": {state["step"]: state["reason"] for state in states if "reason" in state},
                "notJudged": not_judged,
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


def summary(report: Facts) -> str:
    lines = [headline(report), ""]
    for finding in report["findings"]:
        where = "" if finding["gpu"] is None else f"GPU {finding['gpu']}"
        line = f"  {finding['severity']:<8}{finding['id']:<22}{where:<6} {finding['message']} {finding['advice']}"
        lines.append(line.rstrip())
    spent = ", ".join(f"{step} {seconds:.2f}" for step, seconds in report["timings"].items())
    return "\n".join([*lines, "", f"  {report['seconds']:.2f} s: {spent}"])
