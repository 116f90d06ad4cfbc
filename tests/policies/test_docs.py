"""docs/policies.md names every rule, every limit, and nothing that is no rule."""

from __future__ import annotations

import re
from pathlib import Path

from components.team.admission import Others, rules
from components.team.tenant import resolve
from policies.config import Limits, alias
from policies.rules import RULES
from settings.load import parse_platform
from tests.conftest import platform_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policies.md").read_text()


def section(title: str, until: str) -> str:
    return PAGE[PAGE.index(title) : PAGE.index(until)]


def named(text: str) -> set[str]:
    return set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text))


def test_the_page_names_the_rules_of_the_pack_and_no_others() -> None:
    listed = section("**Quota**", "They fail closed")
    assert named(listed) == {rule.name for rule in RULES}
    assert all(f"`{alias(limit)}`" in PAGE for limit in Limits.model_fields)


def test_the_page_names_the_rules_of_the_host_and_no_others() -> None:
    by_mps = platform_of("dev")
    by_mps["pools"][by_mps["teams"]["ml"]["pool"]]["sharing"] = {"mps": {"replicas": 4}}
    strangers = Others(nodes=("n",), queues=("q",))
    known = {
        rule.name
        for platform in (platform_of("prod"), by_mps)
        for tenant in resolve(parse_platform(platform, "test")).values()
        for rule in rules(tenant, strangers, "nvidia")
    }
    rows = [line for line in section("## On the host", "### Attacks").splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in named(row.split("|")[1])} == known
    attacks = [line for line in section("### Attacks", "## What stays open").splitlines() if line.startswith("| ")]
    assert {name for row in attacks for name in named(row.split("|")[2])} <= known
