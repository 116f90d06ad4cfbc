"""An override of a quota rule reaches the program, the lab and the engine's pack alike, until its date."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from cli.guards.levels import levels_of, policy_arguments
from policies.config import Level
from settings.load import parse_platform
from settings.models import Platform
from tests.cli.conftest import Project
from tests.conftest import platform_of

TODAY = date(2026, 11, 26)


def platform(until: str) -> Platform:
    entry = {"allow": ["quotaRules"], "of": ["replicas-maximum"], "until": until, "reason": "agreed with everybody"}
    return parse_platform({**platform_of("lab"), "overrides": [entry]}, "here")


def levels(root: Path, what: Platform) -> tuple[list[str], dict[str, object]]:
    with policy_arguments(what, "one", root, TODAY) as arguments:
        return arguments, json.loads(Path(arguments[-1]).read_text()) if arguments else {}


def test_the_rule_is_advisory_and_keeps_its_limits_until_the_override_ends(project: Project) -> None:
    folder = project.root / "policies/config"
    folder.mkdir(parents=True)
    (project.root / "policies/PulumiPolicy.yaml").write_text("runtime: python\n")
    written = {"all": "mandatory", "replicas-maximum": {"enforcementLevel": "mandatory", "maxReplicas": 4}}
    (folder / "one.json").write_text(json.dumps(written))
    arguments, found = levels(project.root, platform("2026-11-26"))
    assert arguments[:3] == ["--policy-pack", "policies", "--policy-pack-config"]
    assert found == {"all": "mandatory", "replicas-maximum": {"enforcementLevel": "advisory", "maxReplicas": 4}}
    arguments, found = levels(project.root, platform("2026-11-25"))
    assert arguments[-1] == str(folder / "one.json")
    assert found == written


def test_a_project_without_a_pack_gets_none(project: Project) -> None:
    assert levels(project.root, platform("2026-11-26")) == ([], {})


def test_the_program_and_the_lab_judge_by_the_same_levels() -> None:
    assert levels_of(platform("2026-11-26"), "prod", TODAY).level("replicas-maximum") is Level.ADVISORY
    assert levels_of(platform("2026-11-26"), "prod", TODAY).level("no-unlimited-gpu") is Level.MANDATORY
    assert levels_of(platform("2026-11-25"), "prod", TODAY).level("replicas-maximum") is Level.MANDATORY
