"""Versions whose support ended, or ends soon."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from policies.config import Limits, PolicyConfig
from policies.inventory import PolicyResource
from policies.run import evaluate
from releases import KAI, VCLUSTER
from tests.policies.judged import messages
from tests.policies.world import scheduler, virtual_cluster

ENDING = next(release for release in KAI.values() if release.support_ends is not None)
NEVER = next(release for release in KAI.values() if release.support_ends is None)


def judged(rule: str, subjects: list[PolicyResource], days_left: int, **limits: object) -> list[str]:
    assert ENDING.support_ends is not None
    config = PolicyConfig(limits=Limits.model_validate(limits))
    found = evaluate(subjects, config, today=ENDING.support_ends - timedelta(days=days_left))
    return [v.message for r in found if r.rule == rule for v in r.violations]


NEWEST_KAI = max(KAI, key=lambda version: [int(part) for part in version.removeprefix("v").split(".")])
MOVE = f"move to a newer version (the newest here is {NEWEST_KAI})"


@pytest.mark.parametrize(("days_left", "fires"), [(1, False), (0, False), (-1, True), (-30, True)])
def test_a_version_is_refused_from_the_day_after_its_support_ended(days_left: int, fires: bool) -> None:
    found = judged("supported-version", [scheduler(version=ENDING.version)], days_left)
    said = (
        f"KAI {ENDING.version} is no longer supported: support ended on {ENDING.support_ends}, {-days_left} days ago; "
        f"{MOVE} (team ml)"
    )
    assert found == [said] * fires


@pytest.mark.parametrize(("days_left", "fires"), [(61, False), (60, True), (1, True), (0, True), (-1, False)])
def test_the_end_of_support_is_warned_of_sixty_days_before(days_left: int, fires: bool) -> None:
    found = judged("support-ends-soon", [scheduler(version=ENDING.version)], days_left)
    said = f"support of KAI {ENDING.version} ends on {ENDING.support_ends}, in {days_left} days; {MOVE} (team ml)"
    assert found == [said] * fires


def test_the_end_of_a_vclusters_support_is_warned_of_too() -> None:
    older = next(release for release in VCLUSTER.values() if release.support_ends is not None)
    assert older.support_ends is not None
    found = evaluate([virtual_cluster(version=older.version)], PolicyConfig(), today=older.support_ends)
    (said,) = [v.message for r in found if r.rule == "support-ends-soon" for v in r.violations]
    assert said.startswith(f"support of vCluster {older.version} ends on {older.support_ends}, in 0 days; ")


def test_a_version_is_told_once_for_all_who_run_it() -> None:
    many = [replace(scheduler(version=ENDING.version, team=f"t{index}"), urn=f"urn::{index}") for index in range(5)]
    for rule, days_left in (("support-ends-soon", 10), ("supported-version", -10)):
        (said,) = judged(rule, many, days_left)
        assert said.endswith("(team t0, team t1, team t2 and 2 more)")


def test_nobody_is_warned_of_the_newest_version_that_is_known() -> None:
    newest = KAI[NEWEST_KAI]
    assert newest.support_ends is not None
    config = PolicyConfig()
    for subject, ends in (
        (scheduler(version=NEWEST_KAI), newest.support_ends),
        (virtual_cluster(version=NEWEST_VCLUSTER), VCLUSTER[NEWEST_VCLUSTER].support_ends),
    ):
        soon = evaluate([subject], config, today=ends - timedelta(days=5))
        assert [v.message for r in soon if r.rule == "support-ends-soon" for v in r.violations] == []
        # once it has ended, that is said, and what to do
        late = evaluate([subject], config, today=ends + timedelta(days=5))
        (said,) = [v.message for r in late if r.rule == "supported-version" for v in r.violations]
        assert "it is the newest that releases knows: add a newer one there" in said


NEWEST_VCLUSTER = max(VCLUSTER, key=lambda version: [int(part) for part in version.split(".")])


def test_the_days_of_warning_are_the_stacks_choice() -> None:
    subject = scheduler(version=ENDING.version)
    assert judged("support-ends-soon", [subject], 11, warnDays=10) == []
    assert len(judged("support-ends-soon", [subject], 10, warnDays=10)) == 1


def test_a_version_that_was_never_supported_is_refused_and_not_warned_of() -> None:
    assert messages("supported-version", [scheduler(version=NEVER.version)]) == [
        f"KAI {NEVER.version} was never supported by its makers; {MOVE} (team ml)"
    ]
    assert messages("support-ends-soon", [scheduler(version=NEVER.version)]) == []


def test_a_version_that_nobody_knows_is_refused() -> None:
    assert messages("supported-version", [scheduler(version="v9.9.9"), virtual_cluster(version="9.9.9")]) == [
        "KAI v9.9.9 is not in releases; use a version that is, or add it there (team ml)",
        "vCluster 9.9.9 is not in releases; use a version that is, or add it there (team ml)",
    ]
    assert messages("support-ends-soon", [scheduler(version="v9.9.9")]) == []


def test_the_hosts_own_scheduler_is_looked_at_too() -> None:
    assert messages("supported-version", [scheduler(team=None, version="v9.9.9")])[0].endswith(" (the host)")


@pytest.mark.parametrize("version", KAI)
def test_a_scheduler_declares_the_line_of_its_version(version: str) -> None:
    line = KAI[version].line
    assert messages("kai-line", [scheduler(version=version, line=line)]) == []
    assert messages("kai-line", [scheduler(version=version, line="other")]) == [
        f"team ml: KAI {version} belongs to line {line}, declared is other; declare its line"
    ]


def test_a_version_without_a_known_line_is_refused() -> None:
    assert messages("kai-line", [scheduler(version="v9.9.9", line="9.9")]) == [
        "team ml: KAI v9.9.9 belongs to line none that releases knows, declared is 9.9; declare its line"
    ]
