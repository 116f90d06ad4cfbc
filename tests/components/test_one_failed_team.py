"""One team that fails hides no other: each that did well is whole and has its outputs, the failed one says so."""

from __future__ import annotations

import pytest

from tests.components.program import lab
from tests.components.specs import made, plain
from tests.conftest import Declare
from tests.recording import Recorder

LAB = lab("ml research", checked=True, teams__research__check={"enabled": False}, check={"host": False})
NO_ANSWER = "team ml: its API server does not answer at https://127.0.0.1:30868"


def ml_is_silent(_: str, team: str) -> None:
    if team == "ml":
        raise TimeoutError(NO_ANSWER)


@pytest.fixture
def recorder(declare: Declare) -> Recorder:
    return declare(LAB, answer=ml_is_silent)


def test_nothing_is_sent_to_an_api_that_does_not_answer(recorder: Recorder) -> None:
    assert [each.name for each in recorder.resources if "ml-virtual-cluster-inner" in each.provider] == []
    assert "ml-virtual-cluster-inner" not in {each.name for each in recorder.resources}


def test_the_other_teams_are_made_whole(recorder: Recorder, declare: Declare) -> None:
    whole = declare(LAB)
    planned = {each.name for each in whole.resources if each.name.startswith("research")}
    assert {each.name for each in recorder.resources if each.name.startswith("research")} == planned
    assert "release" in made(recorder, "research-scheduler")


def test_each_has_its_outputs_and_the_failed_one_says_why(recorder: Recorder, declare: Declare) -> None:
    found, whole = recorder.exports["teams"], declare(LAB).exports["teams"]
    assert found["research"] == whole["research"]
    assert found["research"]["failed"] == []
    assert found["ml"] == {**whole["ml"], "check": None, "failed": [NO_ANSWER]}


def test_a_failed_teams_kubeconfig_is_missing_and_no_other(recorder: Recorder, declare: Declare) -> None:
    found, whole = recorder.exports["kubeconfigs"], declare(LAB).exports["kubeconfigs"]
    assert found == {**whole, "ml": {"admin": None, "user": None}}


def test_the_teams_own_outputs_in_the_state_say_the_same(recorder: Recorder) -> None:
    own = {urn.rpartition("::")[2]: plain(out) for urn, out in recorder.outputs.items() if "index:Team::" in urn}
    assert {team: out["failed"] for team, out in own.items()} == {"ml": [NO_ANSWER], "research": []}


FAILS = {
    "ml-virtual-cluster-vcluster": "[kubernetes:helm.sh/v3:Release] failed to register",
    "ml-virtual-cluster-api": "[kubernetes:core/v1:Service] failed to register",
    "ml-check-job": "[kubernetes:batch/v1:Job] failed to register",
}
"""A resource of `ml`, and what the outputs say of it when the engine answers that it failed."""


@pytest.mark.parametrize("fails", FAILS)
class TestWhatTheEngineCallsFailed:
    def test_the_other_teams_are_made_whole_and_have_their_outputs(self, declare: Declare, fails: str) -> None:
        recorder, whole = declare(LAB, fails=fails), declare(LAB)
        planned = {each.name for each in whole.resources if each.name.startswith("research")}
        assert {each.name for each in recorder.resources if each.name.startswith("research")} == planned
        assert recorder.exports["teams"]["research"] == whole.exports["teams"]["research"]
        assert recorder.exports["kubeconfigs"]["research"] == whole.exports["kubeconfigs"]["research"]

    def test_its_team_says_what_failed_and_once(self, declare: Declare, fails: str) -> None:
        found = declare(LAB, fails=fails).exports["teams"]["ml"]
        assert (found["failed"], found["check"]) == ([f"resource {fails} {FAILS[fails]}"], None)

    def test_what_depends_on_it_is_not_sent(self, declare: Declare, fails: str) -> None:
        recorder = declare(LAB, fails=fails)
        assert fails in {each.name for each in recorder.resources}
        assert fails not in {urn.rpartition("::")[2] for each in recorder.resources for urn in each.dependencies}
