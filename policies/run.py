"""Runs the rules over resources of any engine, and counts what they judged.

The lab, the offline run and the report call `evaluate`. The real engine calls the same rules through `pack.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Final

from capacity import listed
from policies import config as policy_config
from policies.config import Level, PolicyConfig
from policies.inventory import Inventory, PolicyResource
from policies.rule import Group, Rule, Scene, Shared
from policies.rules import LIMITS, RULES


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    rule: str
    resource: str
    """Type and name of the resource, for people."""
    urn: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleResult:
    """What a rule found. `checked`: how many resources it judged, so that a rule that matched nothing is visible."""

    rule: str
    group: Group
    level: Level
    sentence: str
    checked: int
    violations: tuple[Violation, ...]

    @property
    def verdict(self) -> str:
        """`pass (n checked)`, `2 violations (n checked)`, or that it matched nothing or was off."""
        if self.level is Level.DISABLED:
            return "off"
        if not self.checked:
            return "nothing to check"
        if self.violations:
            count = len(self.violations)
            return f"{count} violation{'s' if count != 1 else ''} ({self.checked} checked)"
        return f"pass ({self.checked} checked)"

    @property
    def blocks(self) -> bool:
        """Whether this stops an update."""
        return bool(self.violations) and self.level is Level.MANDATORY


def evaluate(
    resources: Sequence[PolicyResource], config: PolicyConfig, *, today: date | None = None
) -> list[RuleResult]:
    """Judge `resources` by every rule that `config` does not switch off; one result for each rule, in a fixed order.

    `today` is the clock for support windows; default: today.
    """
    scene = Scene(
        inventory=Inventory(resources),
        limits=config.limits,
        today=today or date.today(),
        levels=config.source,
    )
    results = []
    for rule in RULES:
        level = config.level(rule.name)
        subjects: list[PolicyResource] = []
        if level is not Level.DISABLED:
            subjects = [resource for resource in scene.inventory.of_type(*rule.types) if rule.subject(resource)]
        results.append(
            RuleResult(
                rule=rule.name,
                group=rule.group,
                level=level,
                sentence=rule.sentence,
                checked=len(subjects),
                violations=tuple(_violations(rule, subjects, scene)),
            )
        )
    return results


def _violations(rule: Rule, subjects: Sequence[PolicyResource], scene: Scene) -> Iterator[Violation]:
    users: dict[str, list[str]] = {}
    first: dict[str, PolicyResource] = {}
    for subject in subjects:
        for finding in rule.judge(subject, scene):
            if isinstance(finding, Shared):
                users.setdefault(finding.text, []).append(finding.user)
                first.setdefault(finding.text, subject)
            else:
                yield _violation(rule, subject, finding)
    for text, all_users in users.items():
        yield _violation(rule, first[text], f"{text} ({listed(list(dict.fromkeys(all_users)), SHOWN)})")


def _violation(rule: Rule, subject: PolicyResource, message: str) -> Violation:
    return Violation(rule=rule.name, resource=f"{subject.type} {subject.name}", urn=subject.urn, message=message)


SHOWN: Final = 3
"""The most names of resources that share a finding."""


def as_json(results: Sequence[RuleResult]) -> list[dict[str, object]]:
    """Return results as plain JSON data, for the report."""
    return [asdict(result) | {"verdict": result.verdict} for result in results]


def config_for(stack: str) -> PolicyConfig:
    """Return levels and limits of a stack: from its own file in `policies/config`, or from that of `prod`."""
    found = policy_config.load(policy_config.path_for(stack), LIMITS)
    return replace(found, source=policy_config.own_file(stack))


def lines(results: Sequence[RuleResult]) -> list[str]:
    """Return results as text: one line for each rule with its violations below, and a summary at the end."""
    out = []
    for result in results:
        out.append(f"{result.group:<9} {result.rule:<24} {result.verdict}")
        out += [f"  {result.level}: {violation.message}" for violation in result.violations]
    broken = sum(bool(result.violations) for result in results)
    blocking = sum(result.blocks for result in results)
    out.append(f"policies: {len(results)} rules, {broken} with violations, {blocking} of them mandatory")
    return out
