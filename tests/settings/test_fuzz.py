"""Whatever a stack file holds: one line a mistake, the right ones, and the same answer from every reader.

`make test` tries 10,000 files (about a minute), `make check` 48. A failure names the seed; `FILES` of it is the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from settings.load import PLATFORM_KEY, load_stack_file, parse_platform
from settings.models import Platform
from settings.problems import MOST_TOLD, SettingsError
from tests.settings import fuzz
from tests.settings.build import TODAY, validator
from tests.settings.engine_reader import engine_json
from tests.settings.fuzz_text import text_of
from tests.settings.plants import OTHER_PLANTS, POOL_PLANTS, READ_DIFFERENTLY, TEAM_PLANTS

NAME = "Pulumi.fuzz.yaml"
FILES: dict[str, Callable[[Random], fuzz.File]] = {
    "sound": fuzz.sound,
    "planted": fuzz.planted,
    "twisted": fuzz.twisted,
    "damaged": fuzz.damaged,
}
LONGEST_LINE = 2500
"""A line names at most some list of known versions; no value of the file makes it longer."""
SCHEMA_EVERY = 10
"""Holding a file against the schema takes longer than everything else together."""


def answer(file: Path, text: str) -> Platform | list[str]:
    """The platform, or the lines of the error without the file's name and line."""
    file.write_text(text, encoding="utf-8")
    try:
        return load_stack_file(file, today=TODAY)
    except SettingsError as error:
        head, *lines = str(error).split("\n")
        said = re.fullmatch(rf"{re.escape(NAME)}: ([0-9]+) mistakes?, nothing was changed", head)
        assert said is not None, head
        assert min(int(said[1]), MOST_TOLD + 1) == len(lines), "a line a mistake, and their number above"
        for line in lines:
            assert line.isprintable(), f"nothing that a terminal acts on: {line!r}"
            assert len(line) < LONGEST_LINE, f"no value makes a line long: {len(line)}"
            assert "hunter2" not in line, "no credential is repeated"
        return [re.sub(rf"^  {re.escape(NAME)}(:[0-9]+)?: ", "", line) for line in lines]


def must_be_right(seed: int, kind: str, folder: Path) -> None:
    made = FILES[kind](Random(seed))
    found = answer(folder / NAME, made.text)
    about = f"seed {seed} of {kind}:\n{made.text}\n{found if isinstance(found, list) else 'accepted'}"
    if isinstance(found, Platform):
        assert not made.told, about
        whole = engine_json(made.text)
        handed_on = whole["config"][PLATFORM_KEY]
        assert parse_platform(handed_on, NAME, today=TODAY) == found, f"the engine reads it otherwise: {about}"
        if seed % SCHEMA_EVERY == 0:
            assert not list(validator().iter_errors(whole)), f"an editor underlines it: {about}"
        return
    if kind == "sound":
        pytest.fail(f"a sound file is refused: {about}")
    for told in made.told:
        assert any(line.startswith(told.path) and told.words in line for line in found), f"not told: {told}\n{about}"
    if seed % SCHEMA_EVERY == 0 and any(told.underlined for told in made.told):
        assert not validator().is_valid(engine_json(made.text)), f"no editor underlines it: {about}"
    if made.told:
        assert len(found) == len(made.told), f"told what is none: {about}"


PLANTS = [
    *(("teams", plant) for _, plant in TEAM_PLANTS),
    *(("pools", plant) for _, plant in POOL_PLANTS),
    *(("host", plant) for _, plant in OTHER_PLANTS),
]


def in_a_sound_file(number: int, seeds: range, folder: Path) -> None:
    kind, plant = PLANTS[number]
    for seed in seeds:
        tree = fuzz.sound_platform(Random(seed))
        told = plant(tree, sorted(tree[kind])[0], Random(seed))
        text = text_of(tree, Random(seed))
        found = answer(folder / NAME, text)
        assert isinstance(found, list), f"not told: {told}"
        assert [line.startswith(told.path) and told.words in line for line in found] == [True], f"{told}: {found}"
        assert validator().is_valid(engine_json(text)) is not told.underlined or told.words == READ_DIFFERENTLY


@pytest.mark.parametrize("number", range(len(PLANTS)))
def test_each_mistake_alone_is_one_line_and_the_schema_sees_it_where_it_can(number: int, tmp_path: Path) -> None:
    in_a_sound_file(number, range(number, number + 1), tmp_path)


@pytest.mark.fuzz
def test_each_mistake_alone_is_so_in_eight_files(tmp_path: Path) -> None:
    for number in range(len(PLANTS)):
        in_a_sound_file(number, range(1000, 1008), tmp_path)


@pytest.mark.parametrize("kind", FILES)
def test_some_generated_files_are_judged_right(kind: str, tmp_path: Path) -> None:
    for seed in range(12):
        must_be_right(seed, kind, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize(("kind", "files"), [("sound", 2000), ("planted", 3000), ("twisted", 2500), ("damaged", 2500)])
def test_ten_thousand_generated_files_are_judged_right(kind: str, files: int, tmp_path: Path) -> None:
    for seed in range(1000, 1000 + files):
        must_be_right(seed, kind, tmp_path)
