"""Recorded answers, and the report that the probe makes of them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from probe.expect import Expect
from probe.gather.steps import run_steps
from probe.report import Run
from probe.simulation import load_simulation, overlay
from tests.conftest import ROOT

PROBE = ROOT / "probe"
SIMULATIONS = PROBE / "simulations"
SCHEMA = json.loads((PROBE / "report.schema.json").read_text())
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
"""Made once: making one checks the schema itself, which takes longer than all else that a test does."""
UUID = "GPU-00000001-0000-0000-0000-000000000000"

Report = dict[str, Any]


def recorded(name: str) -> Report:
    return load_simulation(str(SIMULATIONS / f"{name}.json"))


def judged(simulation: Report, **expect: Any) -> Report:
    """The report on recorded answers, made in this process and valid against the schema."""
    run = Run(Expect.parse({**simulation.get("expect", {}), **expect}), simulation)
    run_steps(run.expect, simulation, run.take)
    report = run.report()
    VALIDATOR.validate(report)
    return report


def report_on(name: str = "healthy", steps: Report | None = None, **expect: Any) -> Report:
    """The report on a recording with `steps` laid over it."""
    return judged(overlay(recorded(name), {"steps": steps or {}}), **expect)


def finding(report: Report, id_: str, gpu: int | None = None) -> Report:
    found = [f for f in report["findings"] if f["id"] == id_ and (gpu is None or f["gpu"] == gpu)]
    assert len(found) == 1, f"{id_}: {[f['id'] for f in report['findings']]}"
    return dict(found[0])


def severities(report: Report) -> dict[str, str]:
    """The findings that are not just information."""
    return {f["id"]: f["severity"] for f in report["findings"] if f["severity"] != "info"}


def on_gpu(**facts: Any) -> Report:
    """Other NVML answers for GPU 0, before the work and after it."""
    return {"nvml": {"gpus": {"0": facts}}, "after": {"gpus": {"0": facts}}}


def in_environment(**variables: str | None) -> Report:
    """What stands in the container's environment."""
    return {"runtime": {"environment": variables}}


def told(visible: str | None = UUID, portion: str | None = None, mps: str | None = None) -> Report:
    """The kubelet's word, in a container where CDI has written `void` over the variable."""
    granted = {"NVIDIA_VISIBLE_DEVICES": visible, "GPU_PORTION": portion, "CUDA_MPS_PIPE_DIRECTORY": mps}
    return {"runtime": {"granted": granted, "environment": {"NVIDIA_VISIBLE_DEVICES": "void", "GPU_PORTION": portion}}}
