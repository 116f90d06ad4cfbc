"""docs/guides: every command is one that there is, and every piece of a stack file is one that it takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from settings.kinds import kind_at
from settings.problems import Path
from tests.conftest import ROOT

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
MAKEFILES = "\n".join((ROOT / name).read_text() for name in ("Makefile", "report/targets.mk"))
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILES, flags=re.MULTILINE))


def leaves(value: Any, path: Path = ()) -> list[Path]:
    """The place of every key."""
    if not isinstance(value, dict):
        return [path]
    return [path, *(leaf for key, below in value.items() for leaf in leaves(below, (*path, key)))]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_every_command_is_a_target_and_every_key_is_one_of_the_stack_file(page: Any) -> None:
    text = page.read_text()
    named = set(re.findall(r"make ([a-z][a-z-]+)", text))
    assert named <= TARGETS
    for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL):
        written = yaml.safe_load(block)
        assert [place for place in leaves(written) if place and kind_at(place, written) is None] == []


def test_the_guides_that_were_asked_for_are_there() -> None:
    wanted = {"new-kai-version", "shared-pool", "broken-scheduler", "raise-vcluster", "move-a-node", "snapshots"}
    assert {page.stem for page in GUIDES} >= wanted
