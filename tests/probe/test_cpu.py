"""A team without GPUs: its check shows that a pod without one is placed, and reads no GPU."""

from __future__ import annotations

import pytest

from probe.gather.steps import STEPS
from tests.probe.world import finding, report_on, severities


@pytest.mark.parametrize("recording", ["no-driver", "healthy", "fake"])
@pytest.mark.parametrize("fake", [True, False])
def test_a_pod_that_asks_for_no_gpu_passes_whatever_gpus_there_are(recording: str, fake: bool) -> None:
    report = report_on(recording, mode="cpu", gpus=None, queue="work", fake=fake)
    assert report["verdict"] == "pass"
    assert report["sentence"] == "A pod without a GPU was placed through queue work, and ran."
    assert finding(report, "run.placed")["value"] is True
    assert report["gpus"] == []
    assert report["coverage"]["skipped"] == {
        step.name: "no GPU was asked for" for step in STEPS if step.name != "runtime"
    }


def test_a_pod_that_asks_for_a_gpu_is_still_judged_by_it() -> None:
    assert severities(report_on("no-driver", mode="whole", gpus=1)) != {}
