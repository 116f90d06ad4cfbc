"""Which protections of a state an override lifts."""

from __future__ import annotations

from datetime import date

from cli.protection import lifted, protected_teams
from components.settings.models import Override

TEAM = "urn:pulumi:dev::gpu-tenancy::gpu-tenancy:index:Team::ml"
INSIDE = "urn:pulumi:dev::gpu-tenancy::gpu-tenancy:index:Team$gpu-tenancy:index:VirtualCluster"
OTHER = "urn:pulumi:dev::gpu-tenancy::gpu-tenancy:index:Team::research"
TODAY = date(2026, 11, 22)


def state() -> dict[str, object]:
    resources = [
        {"urn": TEAM, "protect": True},
        {"urn": f"{INSIDE}::ml-virtual-cluster", "protect": True},
        {"urn": f"{INSIDE}$kubernetes:helm.sh/v3:Release::ml-virtual-cluster-vcluster", "protect": True},
        {"urn": f"{INSIDE}$kubernetes:core/v1:Service::ml-virtual-cluster-api"},
        {"urn": OTHER, "protect": True},
    ]
    return {"deployment": {"resources": resources}}


def override(until: str) -> Override:
    return Override.model_validate(
        {"team": "ml", "allow": ["delete"], "until": until, "reason": "the team is dissolved"}
    )


def test_everything_protected_is_found_under_its_team() -> None:
    found = protected_teams(state())
    assert {team: len(urns) for team, urns in found.items()} == {"ml": 3, "research": 1}


def test_an_override_lifts_its_own_team_and_no_other() -> None:
    urns = lifted(protected_teams(state()), [override("2026-11-22")], TODAY)
    assert len(urns) == 3
    assert OTHER not in urns


def test_an_override_of_yesterday_lifts_nothing() -> None:
    assert lifted(protected_teams(state()), [override("2026-11-21")], TODAY) == []


def test_a_new_stack_protects_nothing() -> None:
    assert protected_teams({}) == {}
