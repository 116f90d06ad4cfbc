"""What the engine meets first when it deletes: one resource that stands on all of a team, and on all of the host."""

from __future__ import annotations

import pytest

from cli.guards import program as guards
from cli.guards.memory import Remembered
from tests.components.program import lab
from tests.components.test_one_failed_team import ml_is_silent
from tests.conftest import Declare
from tests.hosts.test_program import SMALL, kind
from tests.recording import Recorder, Registered
from tests.settings.build import raw

PROTECTION = "gpu-tenancy:index:Protection"
TEAMS = ("ml", "research", "dev")


def real(recorder: Recorder, team: str | None) -> set[str]:
    """The names of the resources that the engine makes or reads for a team; without one, of all others."""
    found = {each.name for each in recorder.resources if not each.type.startswith("gpu-tenancy:")}
    of = {each: {name for name in found if name.startswith(f"{each}-")} for each in TEAMS}
    return of[team] if team else found - set().union(*of.values())


def needs(found: Registered) -> set[str]:
    return {urn.rpartition("::")[2] for urn in found.dependencies}


def protections(recorder: Recorder) -> dict[str, Registered]:
    return {each.name: each for each in recorder.of_type(PROTECTION)}


SILENT = lab("ml dev")
"""Where one team's API server does not answer, and another's does."""


@pytest.fixture
def _under_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a state that has them all."""
    monkeypatch.setattr(guards, "is_simulated", lambda: False)
    monkeypatch.setattr(guards, "refuse_the_lab", lambda *_, **__: None)
    known = frozenset({"protection", *(f"{team}-protection" for team in TEAMS)})
    monkeypatch.setattr(guards, "guard", lambda *_, **__: Remembered(protections=known))


def test_one_stands_on_all_of_the_host_and_one_for_each_team_on_it_and_on_all_of_the_team(declare: Declare) -> None:
    recorder = declare("lab")
    found = protections(recorder)
    assert set(found) == {"protection", *(f"{team}-protection" for team in TEAMS)}
    assert needs(found["protection"]) == real(recorder, None)
    assert not found["protection"].options.protect
    for team in TEAMS:
        assert needs(found[f"{team}-protection"]) == real(recorder, team)
        assert found[f"{team}-protection"].deleted_with.endswith("::protection")
        assert found[f"{team}-protection"].options.protect


def test_a_new_one_stands_on_what_did_well_in_a_run_that_failed(declare: Declare) -> None:
    recorder = declare(SILENT, answer=ml_is_silent)
    found = needs(protections(recorder)["ml-protection"])
    assert found == real(recorder, "ml")
    assert {"ml-guardrails-quota", "ml-virtual-cluster-vcluster"} <= found
    assert "ml-scheduler-release" not in found


@pytest.mark.usefixtures("_under_the_engine")
def test_one_that_the_state_has_stays_as_it_is_when_its_team_failed(declare: Declare) -> None:
    found = protections(declare(SILENT, answer=ml_is_silent, stack="made-before"))
    assert set(found) == {"protection", "dev-protection"}


def test_a_new_one_stands_on_what_did_well_of_the_host(declare: Declare) -> None:
    recorder = declare(lab("ml research"), fails="h200-gpu-1")
    assert needs(protections(recorder)["protection"]) == real(recorder, None) - {"h200-gpu-1"}


@pytest.mark.usefixtures("_under_the_engine")
def test_one_that_the_state_has_stays_as_it_is_when_something_of_the_host_failed(declare: Declare) -> None:
    assert "protection" not in protections(declare(lab("ml research"), fails="h200-gpu-1", stack="made-before"))


def test_what_the_program_makes_of_a_host_is_among_it(declare: Declare) -> None:
    recorder = declare(raw({**kind(metricsServer=True), **SMALL}))
    found = needs(protections(recorder)["protection"])
    assert {"metrics-server-release", "host-install-cluster", "host-install-kubeconfig"} <= found
