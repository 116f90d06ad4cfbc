"""The README's stack file is a valid one, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from settings.load import parse_platform
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_readmes_stack_file_is_valid() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    platform = parse_platform(yaml.safe_load(block)["config"]["gpu-tenancy:platform"], "README.md")
    assert set(platform.teams) == {"ml", "research", "dev"}


def test_the_readme_fits_two_screens() -> None:
    lines = README.splitlines()
    assert len(lines) <= 100
    assert [line for line in lines if len(line) > 100] == []


def test_the_readme_names_no_command_that_there_is_not() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    named = re.findall(r"(?:^|`|  )make ([a-z][a-z-]*)", README, flags=re.MULTILINE)
    assert len(named) > 10
    assert set(named) <= set(targets)


def headings(page: Path) -> set[str]:
    """A page's anchors, as GitHub makes them from its headings."""
    titles = re.findall(r"^#+ (.*)", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_of_the_docs_leads_to_a_file_and_a_heading() -> None:
    pages = [
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "adr").glob("*.md"),
        *(ROOT / "docs" / "guides").glob("*.md"),
    ]
    assert len(pages) > 8
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            name, _, anchor = target.partition("#")
            there = page.parent / name if name else page
            if "://" not in target and (not there.exists() or (anchor and anchor not in headings(there))):
                broken.append(f"{page.name}: {target}")
    assert broken == []
