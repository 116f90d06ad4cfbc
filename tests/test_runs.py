"""The record of what was run keeps up with the versions that people get by default."""

from __future__ import annotations

import pytest

import releases
from tests.conftest import ROOT

RECORD = (ROOT / "docs" / "runs.md").read_text()
DEFAULTS = {
    "KAI": releases.DEFAULT_KAI,
    "vCluster": releases.DEFAULT_VCLUSTER,
    "device plugin": releases.DEFAULT_DEVICE_PLUGIN,
    "GPU Operator": releases.DEFAULT_GPU_OPERATOR,
}


@pytest.mark.parametrize("what", DEFAULTS)
def test_every_default_version_is_recorded_as_run_or_as_not_run(what: str) -> None:
    rows = [line for line in RECORD.splitlines() if line.startswith(f"| {what} | {DEFAULTS[what]} |")]
    assert len(rows) == 1, f"docs/runs.md is stale: it says nothing of {what} {DEFAULTS[what]}"
    assert "run 20" in rows[0] or "**not run**" in rows[0]
