"""Waits for the GPU check's report, or says why there is none. Standard library only; runs in the verdict pod.

Exit code 0 unless the verdict is at or above GPU_CHECK_EXPECT's `onFailure`; the sentence goes to the termination log.
Verdicts that are made here, because the asking pod never ran far enough to write one:
no-capacity (the scheduler looked and found no room; never a failure) and fail (everything else, with the cause).

Of a pair it also says whether both ran on one GPU at the same time, and whether a third had room there. With the word
`hold` it is what half of a pair runs: the probe, and then nothing until that has been said.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

POLL_SECONDS = 1.0
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SCHEMA_VERSION = "1.1"
THIRD_SECONDS = 10.0
"""How long a pod with no room is watched. KAI looks once a second and had placed pods with room within three."""
SYNC_SECONDS = 15.0
"""How long a pod that has written its report may still be shown as Pending."""
LINGER_SECONDS = 30.0
"""How long an asking Job is waited for after its report: `up` must not end while the GPU is still held."""
SEVERITIES = ("fail", "unknown", "warn", "info")
LISTED = ("namespace", "name", "status", "node", "fraction", "gpuGroup", "gpu")
VERDICTS = ("fail", "could-not-tell", "warn", "pass", "simulated")
FAILING = {"fail": ("fail", "could-not-tell"), "warn": ("fail", "could-not-tell", "warn")}


def fails(verdict: str, expect: Mapping[str, Any]) -> bool:
    """Whether a verdict fails the deploy. GPUs that turn out fake do where the stack file says that they are real."""
    if verdict == "simulated":
        return not expect.get("fake")
    return verdict in FAILING.get(str(expect.get("onFailure")), FAILING["fail"])


@dataclass(frozen=True)
class Asked:
    """An asking Job, and the ConfigMap that its report goes to."""

    namespace: str
    job: str
    report: str


class Api:
    """The few calls that are needed, with the pod's own account."""

    def __init__(self, server: str | None = None, account: str | None = None) -> None:
        self.account = pathlib.Path(account or os.environ.get("GPU_CHECK_SERVICEACCOUNT_DIR", ACCOUNT))
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        bracketed = f"[{host}]" if ":" in host else host
        self.server = server or f"https://{bracketed}:{os.environ.get('KUBERNETES_SERVICE_PORT', '443')}"
        authority = self.account / "ca.crt"
        self.context = ssl.create_default_context(cafile=str(authority)) if authority.exists() else None

    def call(
        self, path: str, method: str = "GET", body: Json | None = None, content_type: str = "application/json"
    ) -> Json | None:
        """Return the decoded answer; None for 404."""
        bearer = (self.account / "token").read_text().strip()
        request = urllib.request.Request(
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Bearer " + bearer, "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=15, context=self.context) as answer:
                decoded: Json = json.load(answer)
                return decoded
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def why_no_report(pods: Sequence[Json], events: Sequence[Json]) -> tuple[str, str]:
    """Return (verdict, sentence) for an asking pod that wrote no report, from its pods and the namespace's events."""
    for pod in pods:
        status = pod.get("status", {})
        reason, message = status.get("reason", ""), status.get("message", "")
        if reason.startswith("OutOf") or reason in ("UnexpectedAdmissionError", "NodeAffinity", "Evicted"):
            return "fail", f"the node refused the check's pod ({reason}: {message}); does another tenant hold its GPU?"
    latest = pods[-1] if pods else None
    if latest is None:
        refused = [event.get("message", "") for event in events if event.get("reason") == "FailedCreate"]
        cause = refused[-1] if refused else "the Job's controller made none"
        return "fail", f"the check's pod could not be created: {cause}"
    status = latest.get("status", {})
    scheduled = {entry.get("type"): entry for entry in status.get("conditions", [])}.get("PodScheduled", {})
    if scheduled.get("status") == "True":
        for container in status.get("containerStatuses", []):
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                return (
                    "fail",
                    f"the check's container does not start ({waiting.get('reason')}: {waiting.get('message', '')})",
                )
            ended = container.get("state", {}).get("terminated")
            if ended:
                text = ended.get("message") or ended.get("reason") or "no message"
                return "fail", f"the check ended with exit code {ended.get('exitCode')} and wrote no report: {text}"
            if "running" in container.get("state", {}):
                return "fail", "the check was still running at its deadline; raise check.deadlineSeconds or see its log"
        # a virtual cluster's syncer says on the pod why the host would not have it
        refused = [
            event.get("message", "") for event in events if _about(event, latest) and event.get("reason") == "SyncError"
        ]
        if refused and "exceeded quota" in refused[-1]:
            return "no-capacity", f"the team's own quota on the host is used up: {refused[-1]}"
        if refused:
            return "fail", f"the host refused the check's pod: {refused[-1]}"
        return "fail", "the check's pod was bound to a node and never started; see the kubelet there"
    said = [
        event.get("message", "")
        for event in events
        if _about(event, latest) and event.get("reason") in ("FailedScheduling", "Unschedulable")
    ]
    reason = scheduled.get("message") or (said[-1] if said else "")
    if reason:
        return "no-capacity", f"no GPU was free before the deadline: {reason}"
    return "fail", "no scheduler looked at the check's pod; are the scheduler's own pods running in kai-scheduler?"


def _about(event: Json, pod: Json) -> bool:
    named = event.get("involvedObject", {}).get("name")
    return bool(named == pod.get("metadata", {}).get("name"))


def how_far(configmap: Json | None) -> str:
    """How far a probe came that left no report: its last progress note, in words."""
    note = ((configmap or {}).get("data") or {}).get("progress.json")
    if not note:
        return ""
    sentence = json.loads(note).get("sentence")
    return f" (last heard of it: {sentence})" if sentence else ""


def report_of(configmap: Json | None, mark: object, run: object) -> Json | None:
    """Return the report that belongs to this run, or None. `run` is the asking Job's UID: a check that is asked again
    must not find the answer of last time."""
    text = ((configmap or {}).get("data") or {}).get("report.json")
    if not text:
        return None
    report: Json = json.loads(text)
    return report if report.get("stamp") == mark and report.get("run") == run else None


def made_here(expect: Mapping[str, Any], verdict: str, sentence: str) -> Json:
    """A report for a check that could not write one."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "verdict": verdict,
        "sentence": sentence,
        "findings": [],
        "gpus": [],
        "timings": {},
        **{key: expect.get(key) for key in ("team", "pool", "node", "queue", "mode", "stamp")},
    }


@dataclass
class Watch:
    """Waiting, in seconds of `clock`; a test has both stand still."""

    api: Api
    namespace: str
    expect: Mapping[str, Any]
    end: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def job(self, asked: Asked) -> Json:
        """The asking Job; empty where it is not there yet."""
        return self.api.call(f"/apis/batch/v1/namespaces/{asked.namespace}/jobs/{asked.job}") or {}

    def pods(self, asked: Asked) -> list[Json]:
        """The asking Job's pods."""
        found = self.api.call(f"/api/v1/namespaces/{asked.namespace}/pods?labelSelector=job-name%3D{asked.job}") or {}
        items: list[Json] = found.get("items", [])
        return items

    def report(self, asked: Asked) -> tuple[Json, bool]:
        """Return (report, whether it was made here)."""
        ended_at: float | None = None
        while True:
            try:
                job = self.job(asked)
                written = self.api.call(f"/api/v1/namespaces/{self.namespace}/configmaps/{asked.report}")
                found = report_of(written, self.expect.get("stamp"), job.get("metadata", {}).get("uid"))
                if found is not None:
                    return found, False
                ended_at = ended_at if not over(job) else (ended_at or self.clock())
                # one more look after the Job's end: the report is written just before it
                if self.clock() > self.end or (ended_at is not None and self.clock() - ended_at > 2 * POLL_SECONDS):
                    events = self.api.call(f"/api/v1/namespaces/{asked.namespace}/events") or {}
                    verdict, sentence = why_no_report(self.pods(asked), events.get("items", []))
                    return made_here(self.expect, verdict, sentence + how_far(written)), True
            except (urllib.error.URLError, OSError, ValueError) as error:
                if self.clock() > self.end:
                    return made_here(self.expect, "could-not-tell", f"the API server did not answer: {error}"), True
            self.sleep(POLL_SECONDS)

    def linger(self, asked: Sequence[Asked]) -> None:
        """Until the GPU is given back, for a while."""
        end = self.clock() + LINGER_SECONDS
        with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
            while self.clock() < end and not all(over(self.job(each)) for each in asked):
                self.sleep(POLL_SECONDS)

    def side_by_side(self, asked: Sequence[Asked], halves: Sequence[Json]) -> list[Json]:
        """The rows of both pods when both are seen to run, or after a while. A virtual cluster's syncer is a second or
        two behind a pod that already wrote its report."""
        end = self.clock() + SYNC_SECONDS
        while True:
            rows = []
            for each, half in zip(asked, halves, strict=True):
                pods = self.pods(each)
                running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
                rows.append(row((running or pods or [{}])[-1], half))
            if self.clock() > end or all(r["status"] == "Running" for r in rows):
                return rows
            self.sleep(POLL_SECONDS)

    def third(self, manifest: Json) -> Json:
        """Make the pod that has no room beside the pair, and return it as it is when it is placed, or after a while."""
        place = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/pods"
        own = f"{place}/{manifest['metadata']['name']}"
        end = self.clock() + THIRD_SECONDS
        self.api.call(own, "DELETE")  # of a verdict pod that was killed; a pod that is going makes the next call fail
        try:
            found = self.api.call(place, "POST", manifest) or {}
            while self.clock() < end and not gpu_group(found):
                self.sleep(POLL_SECONDS)
                found = self.api.call(own) or {}
            return found
        finally:
            self.api.call(own, "DELETE")


def over(job: Json) -> bool:
    """Whether a Job has ended."""
    return any(
        c.get("type") in ("Failed", "Complete") and c.get("status") == "True"
        for c in job.get("status", {}).get("conditions", [])
    )


# a pair


def gpu_group(pod: Json) -> str | None:
    """KAI's name for the GPU that a pod shares; None before it is bound."""
    group: str | None = pod.get("metadata", {}).get("labels", {}).get("runai-gpu-group")
    return group


def row(pod: Json, report: Json | None = None) -> Json:
    """One line of the listing."""
    metadata, status = pod.get("metadata", {}), pod.get("status", {})
    uuids = (report or {}).get("coverage", {}).get("uuids") or [None]
    return {
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "status": status.get("phase", "not made"),
        "node": pod.get("spec", {}).get("nodeName"),
        "fraction": metadata.get("annotations", {}).get("gpu-fraction"),
        "gpuGroup": gpu_group(pod),
        "gpu": uuids[0],
    }


def listing(rows: Sequence[Json]) -> str:
    """The rows as a table."""
    lines = [tuple(key.upper() for key in LISTED), *(tuple(str(r[key] or "-") for key in LISTED) for r in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(LISTED))]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def judge_pair(rows: Sequence[Json]) -> list[Json]:
    """Findings about the two pods of a pair."""
    if [r["status"] for r in rows] != ["Running", "Running"]:
        text = "The two pods did not run at the same time: " + ", ".join(f"{r['name']} is {r['status']}" for r in rows)
        return [finding("sharing.together", "unknown", f"{text}.", None, "Preempted by the team's work; `up` again.")]
    shown = " and ".join(f"{r['fraction']} in {r['namespace']}" for r in rows)
    for key, what in (("gpu", "GPU"), ("gpuGroup", "GPU group")):
        seen = [r[key] for r in rows]
        if all(seen):
            same = len(set(seen)) == 1 and len({r["node"] for r in rows}) == 1
            text = f"Shares {shown} ran at the same time on {'one' if same else 'different'} {what}: {', '.join(seen)}."
            advice = "" if same else "KAI spread them: look at its placementStrategy (binpack shares, spread does not)."
            return [finding("sharing.together", "info" if same else "fail", text, seen, advice)]
    text = f"Shares {shown} ran at the same time, and neither GPU nor GPU group is known of both."
    advice = "Look at the label runai-gpu-group of both pods while they run, and at the log of KAI's binder."
    return [finding("sharing.together", "unknown", text, None, advice)]


def judge_third(third: Json, pair: Sequence[Json]) -> Json:
    """The finding about the pod that has no room beside the pair."""
    placed, asked = gpu_group(third), third.get("metadata", {}).get("annotations", {}).get("gpu-fraction")
    if placed and placed in [r["gpuGroup"] for r in pair]:
        text = f"A third share of {asked} was placed on the pair's GPU, which has no room for it."
        return finding("sharing.third", "fail", text, placed, "KAI gave away more than the GPU: see its release notes.")
    if placed:
        text = f"A third share of {asked} found no room beside the pair, and was placed on another GPU."
        return finding("sharing.third", "info", text, placed, "")
    conditions = {c.get("type"): c for c in third.get("status", {}).get("conditions", [])}
    waits = conditions.get("PodScheduled", {})
    if waits.get("status") == "False":
        text = f"A third share of {asked} stayed Pending: {waits.get('message') or waits.get('reason')}"
        return finding("sharing.third", "info", text, "Pending", "")
    text = f"No scheduler said anything about a third share of {asked} within {THIRD_SECONDS:g} s."
    return finding("sharing.third", "unknown", text, None, "Look at the scheduler's pod in kai-scheduler.")


def finding(id_: str, severity: str, message: str, value: object, advice: str) -> Json:
    """A finding as the report has it."""
    found: Json = {"id": id_, "severity": severity, "message": message, "value": value, "bound": None}
    return {**found, "advice": advice, "gpu": None}


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


def paired(expect: Mapping[str, Any], halves: Sequence[Json], rows: Sequence[Json], found: Sequence[Json]) -> Json:
    """The two halves and what they show together, as one report: the worst verdict of all."""
    worst = min((f["severity"] for f in found), key=SEVERITIES.index)
    ours = {"info": "pass", "unknown": "could-not-tell"}.get(worst, worst)
    verdicts = [*(half["verdict"] for half in halves), ours]
    verdict = min(verdicts, key=VERDICTS.index)
    if verdict == "pass" and "simulated" in verdicts:  # the pair may be right, and CUDA still is not proven
        verdict = "simulated"
    telling = [half["sentence"] for half in halves if half["verdict"] == verdict and verdict != "pass"]
    telling += [f"{f['message']} {f['advice']}" for f in found if f["severity"] == worst and worst != "info"]
    shown = " ".join(f["message"] for f in found)
    sentence = shown if not telling else telling[0] if verdict != "simulated" else f"{telling[0]} {shown}"
    keys = ("node", "schedulerVersion", "startedAt", "gpus", "driver")
    return {
        **made_here(expect, verdict, sentence),
        **{key: halves[0][key] for key in keys if key in halves[0]},
        "findings": list(found),
        "pods": list(rows),
        "halves": list(halves),
    }


# the two programs


def main() -> int:
    """Wait, write the report where it is ours, and exit by the verdict."""
    expect = json.loads(os.environ["GPU_CHECK_EXPECT"])
    asked = [Asked(**each) for each in json.loads(os.environ["GPU_CHECK_ASKED"])]
    third = os.environ.get("GPU_CHECK_THIRD")
    end = time.monotonic() + float(expect.get("deadlineSeconds", 600))
    watch = Watch(Api(), os.environ["GPU_CHECK_NAMESPACE"], expect, end)
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
        write(watch, os.environ["GPU_CHECK_CONFIGMAP"], {**report, "runs": runs})
    sentence = f"{report['verdict']}: {report.get('sentence', '')}"
    print(sentence)
    if "pods" in report:
        print(listing(report["pods"]))
    log = os.environ.get("GPU_CHECK_TERMINATION_LOG", "/dev/termination-log")
    with contextlib.suppress(OSError):
        pathlib.Path(log).write_text(f"team {expect.get('team')}: GPU check {sentence}"[:4096])
    if fails(report["verdict"], expect):
        return 1
    if report["verdict"] != "no-capacity":
        watch.linger(asked)
    return 0


def write(watch: Watch, name: str, report: Json) -> None:
    """Write a report that was made here."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": watch.namespace},
        "data": {"report.json": json.dumps(report), "verdict": report["verdict"]},
    }
    path = f"/api/v1/namespaces/{watch.namespace}/configmaps/{name}?fieldManager=gpu-check&force=true"
    try:
        watch.api.call(path, "PATCH", body, "application/apply-patch+yaml")
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
        report = json.loads(((api.call(path) or {}).get("data") or {}).get("report.json", "{}"))
        if os.environ["GPU_CHECK_RUN"] in report.get("runs", ()):
            return str(report["verdict"])
    return None


if __name__ == "__main__":
    if sys.argv[1:] == ["hold"]:
        sys.exit(hold([sys.executable, str(pathlib.Path(__file__).with_name("probe.py"))], Api()))
    sys.exit(main())
