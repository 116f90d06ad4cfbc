#!/usr/bin/env python3
"""Proves that the GPUs this process can see work, and says so in one JSON report.

Needs the files beside it, the standard library, pynvml and torch (both imported late: their absence is a finding, no
crash) and Python 3.9 or newer, because it runs in whatever torch image a team has. It leaves to its caller: who asks,
through which scheduler, what to do with the verdict, and the verdict `no-capacity`.

    python3 probe/probe.py                                    all GPUs in sight, held alone
    python3 probe/probe.py --expect '{"gpus": 1, "mode": "fraction", "fraction": 0.3}' --report report.json
    python3 probe/probe.py --simulate simulations/ecc.json    the whole program on recorded answers, no GPU needed

Exit codes: 0 pass, 1 warn, 2 fail, 3 could not tell (also: fake GPUs that nobody declared), 64 bad input. With
GPU_CHECK_IN_JOB=1 a verdict below `onFailure` exits 0. Every check, bound and its source: docs/gpu-check.md.

A supervisor starts a worker; the worker runs the steps (`gather`) and streams facts; the supervisor watches the clock
of each step, keeps a report of how far it came, and judges the facts with pure functions (`judge`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import NoReturn

if __package__ in (None, ""):  # started as a file: the package is the folder that it lies in
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from probe.expect import Expect, Facts, ProbeInputError, load_json
from probe.gather.several import rank_main
from probe.gather.steps import worker_main
from probe.injection import read_granted
from probe.outlets import Outlets, complain
from probe.report import EXIT_BAD_INPUT, Run, exit_code, summary
from probe.simulation import load_simulation
from probe.supervise import supervise


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
    parser.add_argument(
        "--granted", metavar="NAME=VALUE", action="append", default=[], help="what the kubelet says; the Job sets these"
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
        worker_main(expect, simulation, options.worker, read_granted(options.granted))
        return 0
    run, outlets = Run(expect, simulation), Outlets(None if options.report == "-" else options.report)
    passed_on = ["--simulate", options.simulate] if options.simulate else []
    passed_on += [word for pair in options.granted for word in ("--granted", pair)]
    supervise(run, outlets, ["--expect", json.dumps(expect.as_json()), *passed_on], options.step_limit)
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
