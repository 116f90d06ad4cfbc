"""An override says what it is about: one team, or one finding of the whole stack."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from settings.models import Override, Platform
from settings.overrides import overrides_say_what_they_are_about
from tests.conftest import platform_of

UNTIL = {"until": "2099-01-01", "reason": "agreed with everybody"}


def told(**override: Any) -> list[str]:
    platform = Platform.model_validate({**platform_of("lab"), "overrides": [{**UNTIL, **override}]})
    return [problem.text("", {}) for problem in overrides_say_what_they_are_about(platform)]


@pytest.mark.parametrize(
    "override",
    [
        {"team": "ml", "allow": ["delete", "lowerLimit"]},
        {"allow": ["anotherCluster"]},
        {"allow": ["preflight"], "of": ["node-full"]},
        {"allow": ["quotaRules"], "of": ["replicas-maximum"]},
    ],
)
def test_an_override_that_says_what_it_is_about_is_fine(override: dict[str, Any]) -> None:
    assert told(**override) == []


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"allow": ["delete"]}, "overrides[0]: delete is about a team; add its name as team"),
        ({"team": "ml", "allow": ["anotherCluster"]}, "overrides[0].team: anotherCluster is about the whole stack"),
        ({"team": "ml", "allow": ["delete", "anotherCluster"]}, "write two overrides"),
        ({"allow": ["preflight"]}, "overrides[0]: preflight needs the names of what it allows; add of: [...]"),
        ({"team": "ml", "allow": ["delete"], "of": ["x"]}, "overrides[0].of: goes with preflight or with quotaRules"),
        (
            {"allow": ["preflight", "quotaRules"], "of": ["x"]},
            "overrides[0].of: goes with preflight or with quotaRules",
        ),
    ],
)
def test_one_that_does_not_is_refused_with_the_fix(override: dict[str, Any], words: str) -> None:
    (problem,) = told(**override)
    assert words in problem


def test_what_may_be_let_through_is_a_closed_list() -> None:
    with pytest.raises(ValidationError):
        Override(allow=("everything",), until=date(2099, 1, 1), reason="because I say so")
