"""What a team more costs the program, in calls of Python functions: the same on every machine, busy or not."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import pytest

from tests import bench
from tests.conftest import Recorder, RecordingMonitor, kubeconfig, not_waiting
from tests.policies.work import calls

TEAMS: Final = (2, 5, 8)
NOISE: Final = 1.01
"""Orders in sets differ from run to run, by a third of this. When each team stood on all teams' nodes, three teams more
were 1.02 times the three before them, and with 300 teams that was half of all the work."""
BESIDE_THE_BARE: Final = 1.05
"""A program without components, dependencies and outcomes of each resource is 1, and ours was 1.00 on 2026-11-26.
It was 1.07 with the check's objects standing on all of the virtual cluster, and 1.16 with Outputs for each outcome."""

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here waits for a cluster; the measured program would take the waits away for good."""
    for wait in bench.WAITS:
        monkeypatch.setattr(f"kube.{wait}", not_waiting)


def test_the_state_keeps_the_lines_that_made_a_resource_and_not_those_that_ran_the_program() -> None:
    recorder, data = Recorder(), bench.platform(1)
    config = {"gpu-tenancy:platform": json.dumps(data), "gpu-tenancy:kubeconfig": kubeconfig("unit")}
    limit = getattr(sys, "tracebacklimit", None)
    bench.run(bench.program, RecordingMonitor(recorder), config)
    assert getattr(sys, "tracebacklimit", None) == limit, "tracebacks that are read are whole"
    kept: dict[str, list[str]] = {}
    for resource in recorder.resources:
        options: Any = resource.options
        kept[resource.name] = [frame.pc.uri.rpartition("/")[2] for frame in options.stackTrace.frames]
    assert max(map(len, kept.values())) <= 8
    namespace = kept["t0-guardrails-namespace"]
    assert namespace[:4] == ["guardrails.py", "guardrails.py", "team.py", "platform.py"]
    assert not {"resource.py", "__main__.py", "runpy.py", "base_events.py"} & set(namespace)


def test_each_team_costs_what_those_before_it_did() -> None:
    bench.ours(1)  # what is loaded once is no team's
    few, some, many = (calls(bench.ours, teams) for teams in TEAMS)
    assert many - some <= (some - few) * NOISE


def test_a_team_costs_little_more_than_its_objects_alone() -> None:
    small, large = (json.loads(json.dumps(bench.record(bench.platform(teams)), default=str)) for teams in (1, 2))
    ours = calls(bench.ours, 2) - calls(bench.ours, 1)
    bare = calls(bench.bare, large) - calls(bench.bare, small)
    assert ours <= bare * BESIDE_THE_BARE
