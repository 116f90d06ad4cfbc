"""The comment's sentence about GPU hours: who is far below their quota, and what is not counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.usage import as_json
from report import __main__ as comment
from report.hours import sentence
from seen.hours import Account, Spent
from tests.report.test_commands import arguments, files

__all__ = ["files"]  # a fixture

DAY = datetime(2026, 11, 25, 5, 0, tzinfo=UTC), datetime(2026, 11, 26, 5, 0, tzinfo=UTC)


def written(*rows: Spent, gaps: tuple[str, ...] = ()) -> str:
    """As `make usage JSON=1` writes it."""
    return as_json(Account(since=DAY[0], until=DAY[1], rows=rows, gaps=gaps))


def spent(team: str, quota: float | None, given: float, queue: str = "") -> Spent:
    return Spent(team=team, queue=queue, quota=quota, asked=given, given=given, used=None)


def test_who_is_far_below_stands_first_the_furthest_before_the_others() -> None:
    rows = spent("ml", 96, 20), spent("research", 192, 0.4), spent("web", 24, 23), spent("free", None, 0)
    assert sentence(written(*rows), where="hours.json") == (
        "From 2026-11-25 05:00 to 2026-11-26 05:00 UTC far below their quota: "
        "**research** 0.4 of 192 GPU hours (0%); **ml** 20.0 of 96 GPU hours (21%)."
    )


def test_a_queue_is_no_team_and_nobody_is_said_too() -> None:
    text = sentence(written(spent("ml", 96, 90), spent("ml", 96, 0, queue="notebooks")), where="x")
    assert text.endswith("nobody is far below their quota.")


def test_what_is_not_counted_is_told() -> None:
    text = sentence(written(gaps=("used and idle are not known: @all `x`",)), where="x")
    assert "Not in it: used and idle are not known: @\u200ball \\`x\\`." in text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": 3}', written().replace("2026-11-25", "yesterday")])
def test_a_file_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours.json: is not what `make usage JSON=1` writes"):
        sentence(text, where="hours.json")


def test_it_stands_in_the_comment_below_the_quotas(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "hours.json").write_text(written(spent("ml", 96, 1)))
    assert comment.main([*arguments(files), "--hours", str(tmp_path / "hours.json")]) == 0
    text = (Path(files["--out"]) / "comment.md").read_text()
    assert text.index("### GPU quota and limit") < text.index("**ml** 1.0 of 96 GPU hours (1%)")


def test_a_broken_file_is_one_error(files: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hours.json").write_text(json.dumps({}))
    assert comment.main([*arguments(files), "--hours", str(tmp_path / "hours.json")]) == 2
    assert "hours.json: is not what" in capsys.readouterr().err
