"""The table of claims: every step has its claim beside what was measured, and what was not measured says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.engine import bench_life
from tests.engine.bench import ByHand
from tests.engine.bench_life import CLAIMS, OTHER_KAI, World, measure, table


def test_every_step_stands_in_the_table_with_claim_manual_and_ours() -> None:
    measured = {step: 10.4 + number for number, step in enumerate(CLAIMS)}
    parts = {"versions": {step: measured[step] for step in ("beside", "warm", "switched", "back")}}
    parts["install"] = {step: took for step, took in measured.items() if step not in parts["versions"]}
    lines = table({**parts, "hand": {"tested": 75.2}})
    assert len(lines) == 2 + len(CLAIMS)
    assert "| first workload tested, from nothing | 5 minutes (4 hours before) | 90 s | 75 s | 11 s |" in lines
    assert "| back to the version that is still warm | 30 s | 20 s | - | 15 s |" in lines
    assert not [line for line in lines if line.endswith("| - |")]


def test_a_part_that_was_not_measured_has_no_number() -> None:
    lines = table({"install": {"deleted": 9.6}})
    assert "| virtual cluster deleted, with its KAI | 30 s | 10 s | - | 10 s |" in lines
    assert len([line for line in lines if line.endswith("| - | - |")]) == len(CLAIMS) - 1


class Steps:
    """A stack that takes a second for each update more, and says what it was made."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.engine: object = None
        self.folder = Path("hand")
        self.other, self.team = "v2", "bench-0"
        self.data = {"teams": {self.team: {"scheduler": {"version": "v1"}, "resources": {"gpus": 1}}}}

    def up(self, now: dict[str, Any]) -> float:
        scheduler = now["teams"][self.team].get("scheduler", {})
        canary = scheduler.get("canary", {}).get("version")
        self.made.append(f"{scheduler.get('version')}{f' beside {canary}' if canary else ''}")
        return float(len(self.made))

    def removed(self) -> None:
        self.made.append("nothing")


def test_each_part_begins_and_ends_with_nothing_and_names_its_steps() -> None:
    steps = Steps()
    found = measure(cast(World, steps), ["install", "versions"])
    assert steps.made == [
        "None", "nothing", "v1", "nothing", "v1", "nothing", "v1", "v1 beside v2", "v1", "v2", "v1", "nothing"
    ]  # fmt: skip
    assert set(found["install"]) | set(found["versions"]) == set(CLAIMS)
    assert {step: found["versions"][step] for step in ("beside", "warm")} == {"beside": 8.0, "warm": 9.0}


def test_by_hand_goes_through_what_has_a_claim_with_the_same_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, asked = Steps(), []

    def by_hand(_: object, data: dict[str, Any], folder: Path, then: tuple[dict[str, Any], ...] = ()) -> ByHand:
        asked.append([each["teams"]["bench-0"]["scheduler"]["version"] for each in (data, *then)])
        took = tuple(20.0 + index for index in range(len(then)))
        return ByHand(provisioned=10.0, tested=75.0 + len(asked), then=took, deleted=9.0)

    monkeypatch.setattr(bench_life, "by_hand", by_hand)
    found = measure(cast(World, steps), ["hand"])["hand"]
    assert asked == [["v1", "v2", "v1"], ["v1"]]
    assert found == {
        "provisioned": 10.0, "tested": 76.0, "switched": 20.0, "back": 21.0, "deleted": 9.0, "again": 77.0
    }  # fmt: skip
    assert set(CLAIMS) - set(found) == {"beside", "warm"}


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
