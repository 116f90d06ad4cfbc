"""All rules, in the order in which they are reported."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule
from policies.rules import charts, isolation, objects, placement, quota, requests, supply, workloads

RULES: Final[tuple[Rule, ...]] = (
    *quota.RULES,
    *requests.RULES,
    *placement.RULES,
    *isolation.RULES,
    *objects.RULES,
    *workloads.RULES,
    *charts.RULES,
    *supply.RULES,
)

LIMITS: Final = {rule.name: rule.limits for rule in RULES}
"""Which limits each rule takes, for `policies.config`."""
