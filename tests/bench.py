"""Cost of growth: 3, 30 and 300 teams under mocks, beside a bare program that registers the same objects.

Run by `make bench`. Each measurement is a process of its own, so that memory is its own, too; each is the best of a few
runs, because the machine does other things. The bare program has no settings, no components and no arithmetic: it
registers resources of the same types with the same inputs, and waits for them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s
from pulumi.runtime import mocks

from components import failures
from components.base import no_frames
from tests.conftest import ROOT
from tests.recording import (
    Hooks,
    Recorder,
    RecordingMonitor,
    apart,
    certificates,
    kubeconfig,
    not_waiting,
    report,
    run_program,
)

SIZES: Final = (3, 30, 300)
RUNS: Final = {3: 3, 30: 2, 300: 1}
LIVE: Final = {"read_secret": certificates, "read_report": report, "wait_until_it_answers": not_waiting}


def platform(teams: int) -> dict[str, Any]:
    """As many teams, each with a GPU node, a KAI, a queue and a check of its own."""
    team = {
        "pool": "gpu",
        "scheduler": {"mode": "virtual", "version": "v0.9.3"},
        "resources": {"gpus": 2, "cpu": 4, "memory": "8Gi"},
        "queues": {"work": {"gpu": 2}},
    }
    return {
        "host": {"provider": "lab"},
        "gpu": {"stack": "fake"},
        "pools": {"gpu": {"nodes": [f"gpu-{i}" for i in range(teams)], "gpusPerNode": 4}},
        "teams": {f"t{i}": {**team, "nodes": [f"gpu-{i}"], "access": {"port": 30000 + i}} for i in range(teams)},
        "check": {"host": False},
    }


def run(work: Any, monitor: mocks.MockMonitor, config: dict[str, str]) -> float:
    """Run a program under mocks; seconds of CPU time until everything is registered: nothing waits here, and other work
    on the machine is not ours."""
    took = 0.0

    def timed() -> None:
        nonlocal took
        asyncio.set_event_loop(asyncio.new_event_loop())
        began = time.process_time()
        run_program(work, monitor, config, stack="bench", hooks=Hooks())
        took = time.process_time() - began

    apart(timed)
    return took


def program() -> None:
    """The real program."""
    runpy.run_path(str(ROOT / "__main__.py"))


def ours(teams: int) -> float:
    """Seconds of CPU time for the real program."""
    # nothing here asks a cluster
    import kube

    for call, instead in LIVE.items():
        setattr(kube, call, instead)  # a plain assignment is of another type
    config = {"gpu-tenancy:platform": json.dumps(platform(teams)), "gpu-tenancy:kubeconfig": kubeconfig("unit")}
    return run(program, mocks.MockMonitor(Recorder()), config)


def record(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the real program registers for a platform."""
    import kube

    for call, instead in LIVE.items():
        setattr(kube, call, instead)  # a plain assignment is of another type
    config = {
        "gpu-tenancy:platform": json.dumps(data, default=str),
        "gpu-tenancy:kubeconfig": kubeconfig(data["host"].get("context") or "unit"),
    }
    answers = Recorder()
    run(program, RecordingMonitor(answers), config)
    return [{"type": r.type, "name": r.name, "inputs": r.inputs, "read": r.read} for r in answers.resources]


def bare(recorded: list[dict[str, Any]]) -> float:
    """Seconds of CPU time for a program that only registers the same objects."""

    def declare() -> None:
        with no_frames():  # those of whoever runs this are no part of it
            for entry in recorded:
                register(entry)
        pulumi.run(failures.all_is_answered)  # as the real one: else the SDK looks for the end again and again

    return run(declare, mocks.MockMonitor(Recorder()), {})


def register(entry: dict[str, Any]) -> None:
    """Register one object by the SDK's own class for its type."""
    token, inputs = entry["type"], entry["inputs"]
    if token.startswith("gpu-tenancy:"):
        pulumi.ComponentResource(token, entry["name"], inputs)
    elif token == "pulumi:providers:kubernetes":
        k8s.Provider(entry["name"], cluster_identifier=inputs["clusterIdentifier"])
    elif token == "kubernetes:scheduling.run.ai/v2:Queue":
        k8s.apiextensions.CustomResource(
            entry["name"],
            api_version=inputs["apiVersion"],
            kind=inputs["kind"],
            metadata=inputs["metadata"],
            spec=inputs["spec"],
        )
    else:
        _, module, kind = token.split(":")
        group, version = module.removesuffix(".k8s.io").split("/")
        found = getattr(getattr(getattr(k8s, group.split(".")[0]), version), kind)
        if entry["read"]:
            found.get(entry["name"], inputs["id"])
        else:
            arguments = {
                snake(key): value for key, value in inputs.items() if key not in ("apiVersion", "kind", "compat")
            }
            found(entry["name"], **arguments)


def snake(key: str) -> str:
    """A property's name in the Python SDK."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def measured(what: str, teams: int, file: Path) -> tuple[float, float]:
    """Seconds of CPU time and MiB of one program at one size: the best of its runs."""
    best, memory = math.inf, math.inf
    for _ in range(RUNS[teams]):
        answer = subprocess.run(
            [sys.executable, "-m", "tests.bench", what, str(teams), str(file)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        seconds, mib = answer.stdout.split()[-2:]
        best, memory = min(best, float(seconds)), min(memory, float(mib))
    return best, memory


def main() -> None:
    """Measure, and print the table and the one line."""
    seconds: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for teams in SIZES:
            file = Path(folder) / f"{teams}.json"
            subprocess.run([sys.executable, "-m", "tests.bench", "record", str(teams), str(file)], cwd=ROOT, check=True)
            count = len(json.loads(file.read_text()))
            for what in ("ours", "bare"):
                seconds[what, teams], memory = measured(what, teams, file)
                print(
                    f"{what:5} {teams:4} teams {count:6} resources {seconds[what, teams]:8.2f} s {memory:6.0f} MiB",
                    flush=True,
                )
    ratio = seconds["ours", SIZES[-1]] / seconds["bare", SIZES[-1]]
    growth = math.log10(seconds["ours", 300] / seconds["ours", 30])
    print(f"bench ratio={ratio:.2f} growth={growth:.2f}")


def one() -> None:
    """The measured process."""
    what, teams, file = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if what == "record":
        file.write_text(json.dumps(record(platform(teams)), default=str))
        return
    gc.set_threshold(100_000)  # as the real program: Python's own takes a third of the bare one's time
    seconds = ours(teams) if what == "ours" else bare(json.loads(file.read_text()))
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    one() if len(sys.argv) > 1 else main()
