"""Starts the worker and watches the clock of each of its steps.

A hung CUDA call costs the worker and not the report.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

from probe.expect import Facts
from probe.gather.context import PROGRAM
from probe.gather.steps import STEPS
from probe.outlets import Outlets, complain
from probe.report import Run


def start_worker(arguments: list[str], inbox: queue.SimpleQueue[Facts]) -> subprocess.Popen[bytes]:
    readable, writable = os.pipe()
    command = [sys.executable, PROGRAM, "--worker", str(writable), *arguments]
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
