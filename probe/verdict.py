#!/usr/bin/env python3
"""Waits for the GPU check's report, or says why there is none. Standard library only; runs in the verdict pod.

Exit code 0 unless the verdict is at or above GPU_CHECK_EXPECT's `onFailure`; the sentence goes to the termination log.
Verdicts that are made here, because the asking pod never ran far enough to write one:
no-capacity (the scheduler looked and found no room; never a failure) and fail (everything else, with the cause).

Of a pair it also says whether both ran on one GPU at the same time, and whether a third had room there. With the word
`hold` it is what half of a pair runs: the probe, with the words that follow, and then nothing until that has been said.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # started as a file: the package is the folder that it lies in
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from probe.api import Api, ConfigMap
from probe.expect import Json
from probe.pair import finding, judge_pair, judge_third, listing, paired, row
from probe.watch import POLL_SECONDS, Asked, Watch, data_of

FAILING = {"fail": ("fail", "could-not-tell"), "warn": ("fail", "could-not-tell", "warn")}


def fails(verdict: str, expect: Mapping[str, object]) -> bool:
    """Whether a verdict fails the deploy. GPUs that turn out fake do where the stack file says that they are real."""
    if verdict == "simulated":
        return not expect.get("fake")
    return verdict in FAILING.get(str(expect.get("onFailure")), FAILING["fail"])


def together(watch: Watch, asked: Sequence[Asked], halves: Sequence[Json], manifest: Json) -> Json:
    """The report of a pair of which both halves left theirs."""
    rows = watch.side_by_side(asked, halves)
    found = judge_pair(rows)
    try:
        third = watch.third(manifest)
        found.append(judge_third(third, rows))
        rows.append(row(third))
    except OSError as error:
        text = f"A third pod could not be made: {error}"
        found.append(finding("sharing.third", "unknown", text, None, "Look at the quota and at KAI's webhook."))
    return paired(watch.expect, halves, rows, found)


def main() -> int:
    """Wait, write the report where it is ours, and exit by the verdict."""
    expect = json.loads(os.environ["GPU_CHECK_EXPECT"])
    asked = [Asked(**each) for each in json.loads(os.environ["GPU_CHECK_ASKED"])]
    third = os.environ.get("GPU_CHECK_THIRD")
    end = time.monotonic() + float(expect.get("deadlineSeconds", 600))
    api, namespace = Api(), os.environ["GPU_CHECK_NAMESPACE"]
    watch = Watch(api, namespace, expect, end)
    halves: list[Json] = []
    ours = False
    for each in asked:
        report, ours = watch.report(each)
        halves.append(report)
        if ours:
            break
    if third and not ours:
        report, ours = together(watch, asked, halves, json.loads(third)), True
    if ours:
        # halves of a pair wait for a report that names their run
        runs = [watch.job(each).get("metadata", {}).get("uid") for each in asked] if third else []
        write(ConfigMap(os.environ["GPU_CHECK_CONFIGMAP"], namespace, api), {**report, "runs": runs})
    sentence = f"{report['verdict']}: {report.get('sentence', '')}"
    print(sentence)
    if "pods" in report:
        print(listing(report["pods"]))
    log = os.environ.get("GPU_CHECK_TERMINATION_LOG", "/dev/termination-log")
    with contextlib.suppress(OSError):
        Path(log).write_text(f"team {expect.get('team')}: GPU check {sentence}"[:4096])
    if fails(report["verdict"], expect):
        return 1
    if report["verdict"] != "no-capacity":
        watch.linger(asked)
    return 0


def write(configmap: ConfigMap, report: Json) -> None:
    """Write a report that was made here."""
    try:
        configmap.apply({"report.json": json.dumps(report), "verdict": report["verdict"]})
    except OSError as error:
        print(f"the report could not be written: {error}", file=sys.stderr)


def hold(
    command: Sequence[str],
    api: Api,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Run the probe, then keep the pod in place until the pair's verdict is there, or the deadline.

    A pair that failed fails both its Jobs: only a Job that is not complete is made anew by the next `up`.
    """
    expect = json.loads(os.environ["GPU_CHECK_EXPECT"])
    end = clock() + float(expect.get("deadlineSeconds", 600))
    told = pairs_verdict(api)
    if told is not None:  # this pod is a second try, and there is nothing left to be seen
        return int(fails(told, expect))
    probe = subprocess.Popen(command)

    def preempted(*_: object) -> None:
        probe.terminate()  # it writes how far it came
        sys.exit(probe.wait())

    signal.signal(signal.SIGTERM, preempted)
    code = probe.wait()
    while clock() < end and (told := pairs_verdict(api)) is None:
        sleep(POLL_SECONDS)
    return code or int(told is not None and fails(told, expect))


def pairs_verdict(api: Api) -> str | None:
    """The verdict about this pod's own run; None while there is none, or while nobody answers."""
    name = os.environ["GPU_CHECK_HELD_UNTIL"]
    path = f"/api/v1/namespaces/{os.environ['GPU_CHECK_NAMESPACE']}/configmaps/{name}"
    with contextlib.suppress(OSError, ValueError):
        report = data_of(api.call(path), "report.json") or {}
        if os.environ["GPU_CHECK_RUN"] in report.get("runs", ()):
            return str(report["verdict"])
    return None


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        sys.exit(hold([sys.executable, str(Path(__file__).with_name("probe.py")), *sys.argv[2:]], Api()))
    sys.exit(main())
