"""What a team more costs the program, in calls of Python functions: the same on every machine, busy or not."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests import bench
from tests.policies.work import calls

TEAMS: Final = (2, 5, 8)
NOISE: Final = 1.01
"""Orders in sets differ from run to run, by a third of this. When each team stood on all teams' nodes, three teams more
were 1.02 times the three before them, and with 300 teams that was half of all the work."""
BESIDE_THE_BARE: Final = 1.46
"""A program without components, dependencies and outcomes of each resource is 1: 1.43 on 2026-11-26."""


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured program takes the waits away for good: a test gives them back."""
    import kube

    for wait in bench.WAITS:
        monkeypatch.setattr(kube, wait, getattr(kube, wait))


def test_each_team_costs_what_those_before_it_did() -> None:
    bench.ours(1)  # what is loaded once is no team's
    few, some, many = (calls(bench.ours, teams) for teams in TEAMS)
    assert many - some <= (some - few) * NOISE


def test_a_team_costs_little_more_than_its_objects_alone() -> None:
    small, large = (json.loads(json.dumps(bench.record(bench.platform(teams)), default=str)) for teams in (1, 2))
    ours = calls(bench.ours, 2) - calls(bench.ours, 1)
    bare = calls(bench.bare, large) - calls(bench.bare, small)
    assert ours <= bare * BESIDE_THE_BARE
