"""docs/stack-file.md: every example is valid, every mistake is what the program says, and no field is left out."""

from __future__ import annotations

import re

import pytest
import yaml

from preview.facts import fields
from settings.rules import LONGEST_TEAM_NAME
from settings.tenants import CANARY_SUFFIX
from tests.conftest import ROOT
from tests.settings.build import mistakes_of, raw

TEXT = (ROOT / "docs" / "stack-file.md").read_text()
PAGES = "\n".join(
    page.read_text()
    for pages in ("*.md", "guides/*.md")
    for page in (ROOT / "docs").glob(pages)
    if page.name not in ("changes.md", "runs.md")
)
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, flags=re.M | re.S)
MISTAKES = re.findall(r"^```yaml mistake\n(.*?)^```\n```text\n(.*?)^```$", TEXT, flags=re.M | re.S)


def in_a_platform(part: str) -> dict[str, object]:
    return {**raw(), **yaml.safe_load(part)}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split(":")[0])
def test_an_example_is_valid(example: str) -> None:
    assert mistakes_of(in_a_platform(example)) == []


@pytest.mark.parametrize(("example", "said"), MISTAKES, ids=lambda text: text.split(":")[0])
def test_a_mistake_is_told_in_these_words(example: str, said: str) -> None:
    assert sorted(mistakes_of(in_a_platform(example))) == sorted(said.splitlines())


def test_no_block_of_the_page_goes_unread() -> None:
    assert TEXT.count("```") == 2 * len(EXAMPLES) + 4 * len(MISTAKES)


@pytest.mark.parametrize("field", fields())
def test_every_field_is_on_a_page(field: str) -> None:
    """Somewhere in prose or in an example; docs/changes.md has them all, and explains none."""
    assert re.search(rf"\b{field.removesuffix('.*').rpartition('.')[2]}\b", PAGES)


def test_the_longest_names_are_those_of_the_rules() -> None:
    assert f"at most {LONGEST_TEAM_NAME} characters ({LONGEST_TEAM_NAME - len(CANARY_SUFFIX)} with a canary)" in TEXT
