"""A virtual cluster serves only once its check has passed in an earlier update."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from cli.guards.memory import left_out, remembered
from cli.guards.serves import not_proven
from components.team.tenant import facts, resolve
from settings.load import parse_platform
from settings.models import Platform
from tests.components.test_blue_green import lab

TODAY = date(2026, 11, 26)
TEAM = "gpu-tenancy:index:Team"
ALLOWED = {"team": "ml", "allow": ["replace"], "until": "2026-11-26", "reason": "the one that serves is broken"}


def platform(serves: str, *overrides: dict[str, Any], **slots: Any) -> Platform:
    return parse_platform({**lab(serves, **slots), "overrides": list(overrides)}, "here")


def state(serves: str, **green: Any) -> dict[str, Any]:
    """The two as the last update left them, green with other outputs."""
    found = {}
    for name, tenant in resolve(platform(serves)).items():
        said = {**facts(tenant), "failed": [], "check": json.dumps({"verdict": "pass"})}
        found[f"urn:pulumi:dev::x::{TEAM}::{name}"] = {
            "type": TEAM,
            "outputs": {**said, **(green if "green" in name else {})},
        }
    return found


def check(verdict: str) -> str:
    return json.dumps({"verdict": verdict})


@pytest.mark.parametrize(
    ("green", "why"),
    [
        ({}, None),
        ({"check": check("warn")}, None),
        ({"check": check("simulated")}, None),
        ({"check": check("fail")}, "its last check said fail"),
        ({"check": check("no capacity")}, "its last check said no capacity"),
        ({"check": None}, "its last check said nothing"),
        ({"check": "[1"}, "its last check said nothing"),
        ({"check": "[" * 100_000}, "its last check said nothing"),
        ({"failed": ["Release: timed out"]}, "something of it failed in the last update"),
        ({"schedulerVersion": "v0.12.23"}, "its last check was of other versions"),
        ({"vclusterVersion": "0.30.0"}, "its last check was of other versions"),
        ({"kubernetesVersion": "v1.33.4"}, "its last check was of other versions"),
    ],
)
def test_one_whose_check_has_not_passed_does_not_serve(green: dict[str, Any], why: str | None) -> None:
    was = remembered(state("blue", **green))
    found = not_proven(was, platform("green"), TODAY)
    assert [refusal.cause for refusal in found] == ([f"team ml: ml-green is to serve, and {why}"] if why else [])
    assert all("- {team: ml, allow: [replace], until: 2026-12-03" in refusal.fix for refusal in found)
    assert not_proven(was, platform("green", ALLOWED), TODAY) == []
    # who serves already goes on
    assert not_proven(was, platform("blue"), TODAY) == []


def test_one_that_comes_in_the_same_update_does_not_serve_in_it() -> None:
    only_blue = {urn: entry for urn, entry in state("blue").items() if urn.endswith("::ml")}
    (refusal,) = not_proven(remembered(only_blue), platform("green"), TODAY)
    assert refusal.cause == "team ml: ml-green is to serve, and it is not there yet"
    assert "let ml serve until an update has checked ml-green" in refusal.fix


def test_a_new_stack_may_begin_with_either() -> None:
    assert not_proven(remembered({}), platform("green"), TODAY) == []


def test_the_one_that_serves_is_not_left_out_in_the_update_that_lets_the_other_serve() -> None:
    alone = platform("green", green={"version": "v0.16.8"})
    (refusal,) = left_out(remembered(state("blue")), alone, "dev", TODAY)
    assert refusal.cause == "virtual cluster ml serves its team, and the stack file leaves it out"
    assert left_out(remembered(state("green")), alone, "dev", TODAY) == []
