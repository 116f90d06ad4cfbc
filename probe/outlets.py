"""Where the report goes. A failure here is told and hides no verdict."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from probe.api import ApiError, ConfigMap
from probe.expect import Facts
from probe.report import headline

TERMINATION_LOG_BYTES = 4096  # the kubelet cuts a termination message there


class Outlets:
    """File, termination message, ConfigMap."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.in_job = os.environ.get("GPU_CHECK_IN_JOB") == "1"
        self.log = os.environ.get("GPU_CHECK_TERMINATION_LOG", "/dev/termination-log" if self.in_job else "")
        self.config_map: ConfigMap | None = None
        self.reachable = True
        try:
            self.config_map = ConfigMap.from_environment()
        except ApiError as error:
            complain(f"the report can't go to the API server: {error}")

    def interim(self, report: Facts) -> None:
        """What is found if nothing more can be said: out of memory, a container may be killed whole. The ConfigMap
        has it under a key of its own: whoever waits for report.json must not be content with it."""
        self.files(report)
        if self.reachable:  # after one failure not again at every step: only the final report tries afresh
            self.reachable = self.applied({"progress.json": json.dumps(report)}, timeout=3)

    def final(self, report: Facts) -> None:
        self.files(report)
        for pause in (1, 2, 0):
            if self.applied({"report.json": json.dumps(report), "verdict": report["verdict"]}, timeout=5):
                return
            time.sleep(pause)

    def applied(self, data: dict[str, str], timeout: float) -> bool:
        try:
            if self.config_map:
                self.config_map.apply(data, timeout)
        except ApiError as error:
            complain(f"the report did not reach its ConfigMap: {error}")
            return False
        return True

    def files(self, report: Facts) -> None:
        try:
            if self.path:
                part = Path(f"{self.path}.part")  # never half a report under its name
                part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
                part.replace(self.path)
            if self.log:
                Path(self.log).write_bytes(headline(report).encode()[:TERMINATION_LOG_BYTES])
        except OSError as error:
            complain(f"the report could not be written: {error}")


def complain(text: str) -> None:
    print(f"probe: {text}", file=sys.stderr, flush=True)
