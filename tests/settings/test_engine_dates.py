"""What the engine makes of a stack file before the program sees it."""

from __future__ import annotations

from datetime import date

from settings.models import Override


def test_an_unquoted_date_is_read_as_the_engine_hands_it_on() -> None:
    given = {"team": "ml", "allow": ["delete"], "until": "2026-12-31 00:00:00 +0000 UTC", "reason": "the team is gone"}
    assert Override.model_validate(given).until == date(2026, 12, 31)
