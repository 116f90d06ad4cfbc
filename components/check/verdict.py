"""Waits for the GPU check's report, or says why there is none. Standard library only; runs in the verdict pod.

Exit code 0 unless the verdict is at or above GPU_CHECK_EXPECT's `onFailure`; the sentence goes to the termination log.
Verdicts that are made here, because the asking pod never ran far enough to write one:
no-capacity (the scheduler looked and found no room; never a failure) and fail (everything else, with the cause).
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

POLL_SECONDS = 1.0
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SCHEMA_VERSION = "1.0"
FAILING = {"fail": ("fail", "could-not-tell"), "warn": ("fail", "could-not-tell", "warn")}


def fails(verdict: str, expect: Mapping[str, Any]) -> bool:
    """Whether a verdict fails the deploy. GPUs that turn out fake do where the stack file says that they are real."""
    if verdict == "simulated":
        return not expect.get("fake")
    return verdict in FAILING.get(str(expect.get("onFailure")), FAILING["fail"])


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


def report_of(configmap: Json | None, mark: object) -> Json | None:
    """Return the report that belongs to this run, or None."""
    text = ((configmap or {}).get("data") or {}).get("report.json")
    if not text:
        return None
    report: Json = json.loads(text)
    return report if report.get("stamp") == mark else None


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


def wait(
    api: Api,
    namespace: str,
    job: str,
    report: str,
    expect: Mapping[str, Any],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Json, bool]:
    """Return (report, whether it was made here)."""
    mark, end = expect.get("stamp"), clock() + float(expect.get("deadlineSeconds", 600))
    base = f"/api/v1/namespaces/{namespace}"
    ended_at: float | None = None
    while True:
        try:
            written = api.call(f"{base}/configmaps/{report}")
            found = report_of(written, mark)
            if found is not None:
                return found, False
            state = (api.call(f"/apis/batch/v1/namespaces/{namespace}/jobs/{job}") or {}).get("status", {})
            over = any(
                c.get("type") in ("Failed", "Complete") and c.get("status") == "True"
                for c in state.get("conditions", [])
            )
            ended_at = ended_at if not over else (ended_at or clock())
            # one more look after the Job's end: the report is written just before it
            if clock() > end or (ended_at is not None and clock() - ended_at > 2 * POLL_SECONDS):
                pods = api.call(f"{base}/pods?labelSelector=job-name%3D{job}") or {}
                events = api.call(f"{base}/events") or {}
                verdict, sentence = why_no_report(pods.get("items", []), events.get("items", []))
                return made_here(expect, verdict, sentence + how_far(written)), True
        except (urllib.error.URLError, OSError, ValueError) as error:
            if clock() > end:
                return made_here(expect, "could-not-tell", f"the API server did not answer: {error}"), True
        sleep(POLL_SECONDS)


def main() -> int:
    """Wait, write the report where it is ours, and exit by the verdict."""
    expect = json.loads(os.environ["GPU_CHECK_EXPECT"])
    namespace, name = os.environ["GPU_CHECK_NAMESPACE"], os.environ["GPU_CHECK_CONFIGMAP"]
    api = Api()
    report, ours = wait(api, namespace, os.environ["GPU_CHECK_JOB"], name, expect)
    if ours:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
            "data": {"report.json": json.dumps(report), "verdict": report["verdict"]},
        }
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}?fieldManager=gpu-check&force=true"
        try:
            api.call(path, "PATCH", body, "application/apply-patch+yaml")
        except (urllib.error.URLError, OSError) as error:
            print(f"the report could not be written: {error}", file=sys.stderr)
    sentence = f"{report['verdict']}: {report.get('sentence', '')}"
    print(sentence)
    log = os.environ.get("GPU_CHECK_TERMINATION_LOG", "/dev/termination-log")
    with contextlib.suppress(OSError):
        pathlib.Path(log).write_text(f"team {expect.get('team')}: GPU check {sentence}"[:4096])
    return 1 if fails(report["verdict"], expect) else 0


if __name__ == "__main__":
    sys.exit(main())
