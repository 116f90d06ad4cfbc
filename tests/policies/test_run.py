"""The runner's edges: what the lab recorded goes in, plain JSON for the report comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.config import PolicyConfig
from policies.offline import main
from policies.run import as_json, evaluate
from tests.policies.judged import TODAY, messages
from tests.policies.world import check, pool, team


def test_results_are_plain_json() -> None:
    results = evaluate([pool(), team("ml", gpuLimit=6), team("vision", gpuLimit=3)], PolicyConfig(), today=TODAY)
    found = {entry["rule"]: entry for entry in json.loads(json.dumps(as_json(results)))}
    collision = found["gpu-collision"]
    assert (collision["level"], collision["group"], collision["checked"]) == ("mandatory", "quota", 1)
    assert collision["verdict"] == "1 violation (1 checked)"
    assert "9 of 8" in collision["violations"][0]["message"]
    assert collision["violations"][0]["resource"] == "gpu-tenancy:index:NodePool a100"


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (1, "GpuCheck c0"),
        (3, "GpuCheck c0, GpuCheck c1, GpuCheck c2"),
        (4, "GpuCheck c0, GpuCheck c1, GpuCheck c2 and 1 more"),
    ],
)
def test_of_those_who_share_a_finding_three_are_named(count: int, named: str) -> None:
    checks = [check(f"c{index}", image="docker.io/pytorch/pytorch") for index in range(count)]
    (found,) = messages("pinned-image", [pool(), team(), *checks])
    assert found.endswith(f"; write a version or a digest ({named})")


def test_the_offline_run_writes_json_for_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"deployment": {"resources": []}}', encoding="utf-8")
    assert main([str(path), "--json"]) == 0
    assert {entry["verdict"] for entry in json.loads(capsys.readouterr().out)} == {"nothing to check"}
