"""Ten teams on real GPUs, as far as that can be tried without them: the stack files, and a round that fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine import bench_ten
from tests.engine.bench import ByHand
from tests.engine.conftest import Engine
from tests.settings.build import mistakes_of

PLATFORM: dict[str, Any] = {
    "host": {"provider": "existing", "address": "10.0.0.5", "headroom": {"cpu": 1, "memory": "2Gi", "pods": 10}},
    "gpu": {"stack": "devicePlugin"},
    "pools": {
        "gpu": {
            "nodes": ["gpu-0"],
            "gpusPerNode": 2,
            "cpuPerNode": 32,
            "memoryPerNode": "240Gi",
            "podsPerNode": 250,
        }
    },
    "check": {},
    "teams": {
        "ml": {
            "pool": "gpu",
            "scheduler": {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True},
            "resources": {"gpus": 1},
            "queues": {"work": {"gpu": 1}},
        }
    },
}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that does nothing."""
    monkeypatch.setattr(bench_ten, "told", lambda row: print(row))
    for name in ("up", "run", "write"):
        monkeypatch.setattr(Engine, name, lambda *_, **__: "")
    return Engine(folder=tmp_path, platform=PLATFORM, environment={})


def test_both_stack_files_are_valid_on_two_gpus(engine: Engine) -> None:
    one, ten = bench_ten.one_team(engine), bench_ten.ten_teams(engine)
    assert mistakes_of(one) == mistakes_of(ten) == []
    assert [team["check"] for team in one["teams"].values()] == [{"gpus": 2}]
    assert len(ten["teams"]) == 10
    assert ten["pools"]["gpu"]["sharing"] == {"timeSlicing": {"replicas": 8}}


def test_a_round_that_fails_is_told_and_the_next_ones_count(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_ten, "single", lambda *_: None)
    took = ByHand(provisioned=30.0, tested=75.0, then=(), deleted=20.0)
    monkeypatch.setattr(bench_ten, "by_hand", lambda *_: took)

    def deployed(_: Engine, number: int) -> None:
        if number == 2:
            pytest.fail("not done after 180 s")

    monkeypatch.setattr(bench_ten, "round_of_ten", deployed)
    assert bench_ten.measure(engine, tmp_path, 4, time.monotonic() + 1e6) == [True, False, True, True]
    said = capsys.readouterr().out
    assert "10 teams, round 2             FAILED" in said
    assert "not done after 180 s" in said
    assert "75.0 s without it" in said
    assert "3 of 4 without a failure" in said


def test_no_round_is_begun_that_would_not_be_over_in_time(engine: Engine, tmp_path: Path) -> None:
    assert bench_ten.measure(engine, tmp_path, 4, time.monotonic()) == []


def test_without_a_cluster_it_says_why_it_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_ten, "available", lambda: "no helm on PATH")
    assert bench_ten.main(5, 600) == 1
    assert capsys.readouterr().err == "not measured: no helm on PATH\n"
