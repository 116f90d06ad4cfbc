"""Waits for what an asking pod leaves, or says why there is nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from probe.api import Api
from probe.expect import Json
from probe.pair import THIRD_SECONDS, gpu_group, row
from probe.why import how_far, made_here, why_no_report

POLL_SECONDS = 1.0
SYNC_SECONDS = 15.0
"""How long a pod that has written its report may still be shown as Pending."""
LINGER_SECONDS = 30.0
"""How long an asking Job is waited for after its report: `up` must not end while the GPU is still held."""


@dataclass(frozen=True)
class Asked:
    """An asking Job, and the ConfigMap that its report goes to."""

    namespace: str
    job: str
    report: str


def data_of(configmap: Json | None, key: str) -> Json | None:
    """The JSON object below a key of a ConfigMap; None where there is none."""
    text = ((configmap or {}).get("data") or {}).get(key)
    found: Json | None = json.loads(text) if text else None
    return found


def report_of(configmap: Json | None, mark: object, run: object) -> Json | None:
    """Return the report that belongs to this run, or None. `run` is the asking Job's UID: a check that is asked again
    must not find the answer of last time."""
    report = data_of(configmap, "report.json")
    return report if report and report.get("stamp") == mark and report.get("run") == run else None


@dataclass
class Watch:
    """Waiting, in seconds of `clock`; a test has both stand still."""

    api: Api
    namespace: str
    expect: Mapping[str, object]
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
                    return made_here(self.expect, verdict, sentence + how_far(data_of(written, "progress.json"))), True
            except (OSError, ValueError) as error:
                if self.clock() > self.end:
                    return made_here(self.expect, "could-not-tell", f"the API server did not answer: {error}"), True
            self.sleep(POLL_SECONDS)

    def linger(self, asked: Sequence[Asked]) -> None:
        """Until the GPU is given back, for a while."""
        end = self.clock() + LINGER_SECONDS
        with contextlib.suppress(OSError, ValueError):
            while self.clock() < end and not all(over(self.job(each)) for each in asked):
                self.sleep(POLL_SECONDS)

    def side_by_side(self, asked: Sequence[Asked], halves: Sequence[Json]) -> list[Json]:
        """The rows of both pods when both are seen to run, or after a while. A virtual cluster's syncer is a second or
        two behind a pod that already wrote its report."""
        end = self.clock() + SYNC_SECONDS
        while True:
            rows = []
            for each, half in zip(asked, halves):  # noqa: B905 (3.9)
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
