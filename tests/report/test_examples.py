"""The examples in docs are what the report makes today."""

from __future__ import annotations

import pytest

from tests.report.examples import EXAMPLES, FOLDER, files


# the program is run eight times, twice with 50 teams
@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_up_to_date(name: str) -> None:
    made = files(name)
    assert {path.name for path in (FOLDER / name).iterdir()} == made.keys()
    for file, text in made.items():
        there = (FOLDER / name / file).read_text(encoding="utf-8")
        assert there == text, f"{name}/{file} is stale: make examples"


def test_no_other_folder_lies_there() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == EXAMPLES.keys()
