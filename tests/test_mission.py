"""docs/mission.md: each row of the source documents has something that shows it, or says that it has not."""

from __future__ import annotations

import pytest

from tests.mission import NOT_YET, OUT, PAGE, SECTIONS, markdown, missing

ROWS = [row for _, section in SECTIONS for row in section]


def test_the_page_is_written_from_the_table() -> None:
    assert PAGE.read_text() == markdown(), "run `python -m tests.mission`"


def test_every_row_of_the_sources_is_there_once() -> None:
    counts = {"000": 40, "001": 6, "002": 9, "003": 14, "004": 16, "card": 8}
    wanted = [f"{source}.{number}" for source, count in counts.items() for number in range(1, count + 1)]
    assert [row.number for row in ROWS] == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_what_shows_a_row_exists(row: object) -> None:
    found = next(each for each in ROWS if each is row)
    assert found.shown
    if found.shown[0].startswith((OUT, NOT_YET)):
        assert len(found.shown) == 1
        assert len(found.shown[0]) > len(OUT) + 10, "the reason"
        return
    assert [said for said in map(missing, found.shown) if said] == []


def test_a_reference_to_what_does_not_exist_is_noticed() -> None:
    assert missing("tests/test_mission.py::test_that_is_not_there") == (
        "no test test_that_is_not_there in tests/test_mission.py"
    )
    assert missing("docs/no-such-page.md") == "no file docs/no-such-page.md"
    assert missing("make no-such-target") == "no make target no-such-target"
