"""Protection: lifted for the team and the change that an override names, until its last day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from components.team.protection import Change, override_for, protected
from settings.models import Override

LAST = date(2026, 12, 24)


def override(team: str = "ml", *allow: Change) -> Override:
    return Override(team=team, allow=allow or ("delete",), until=LAST, reason="the team moves away")


def test_without_overrides_every_team_is_protected() -> None:
    assert protected("ml", [], LAST)


@pytest.mark.parametrize("change", ["delete", "replace"])
def test_an_override_lifts_the_protection_of_its_team_only(change: Change) -> None:
    assert not protected("ml", [override("ml", change)], LAST)
    assert protected("vision", [override("ml", change)], LAST)
    assert not protected("vision", iter([override("ml", change), override("vision", change)]), LAST)


def test_permission_to_lower_a_limit_lifts_no_protection() -> None:
    assert protected("ml", [override("ml", "lowerLimit")], LAST)


def test_an_override_ends_after_its_last_day() -> None:
    assert not protected("ml", [override()], LAST - timedelta(days=1))
    assert not protected("ml", [override()], LAST)
    assert protected("ml", [override()], LAST + timedelta(days=1))


def test_an_override_is_for_the_changes_that_it_names() -> None:
    both = override("ml", "replace", "lowerLimit")
    assert override_for("ml", "replace", [override(), both], LAST) is both
    assert override_for("ml", "lowerLimit", [override(), both], LAST) is both
    assert override_for("ml", "delete", [both], LAST) is None
