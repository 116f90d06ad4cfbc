"""The table of claims: every step has its claim beside what was measured, and what was not measured says so."""

from __future__ import annotations

import pytest

from tests.engine import bench_life
from tests.engine.bench_life import CLAIMS, OTHER_KAI, table


def test_every_step_stands_in_the_table_with_claim_manual_and_ours() -> None:
    ours = {step: 10.4 + number for number, step in enumerate(CLAIMS)}
    lines = table(ours, {"tested": 75.2})
    assert len(lines) == 2 + len(CLAIMS)
    assert "| first workload tested, from nothing | 5 minutes (4 hours before) | 90 s | 75 s | 11 s |" in lines
    assert "| virtual cluster deleted | 30 s | 10 s | - | 14 s |" in lines


def test_without_a_cluster_or_a_second_version_it_says_why_it_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(OTHER_KAI, raising=False)
    monkeypatch.setattr(bench_life, "available", lambda: None)
    assert bench_life.main() == 1
    assert f"not measured: {OTHER_KAI} names no second version of KAI" in capsys.readouterr().err
    monkeypatch.setattr(bench_life, "available", lambda: "no helm on PATH")
    assert bench_life.main() == 1
    assert "not measured: no helm on PATH" in capsys.readouterr().err
