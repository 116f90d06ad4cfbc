"""Which files are mutated, and the tests that know each best."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_POLICIES: Final = "tests/policies"
_ALL_RULES: Final = tuple(
    f"{_POLICIES}/test_{name}.py"
    for name in (
        *(
            "quota",
            "queues",
            "requests",
            "placement",
            "isolation",
            "objects",
            "workloads",
            "charts",
            "supply",
            "support",
        ),
        *("paths", "plain", "rules", "pack"),
    )
)


def _first(*names: str) -> tuple[str, ...]:
    """Tests of a file, those that know it best first: the first failure ends a mutant."""
    best = tuple(f"{_POLICIES}/test_{name}.py" for name in names)
    return (*best, *(test for test in _ALL_RULES if test not in best))


_PROBE: Final = tuple(
    f"tests/probe/test_{name}.py" for name in ("recordings", "identity", "health", "work", "sharing", "report")
)


TESTS: Final[dict[str, tuple[str, ...]]] = {
    "policies/rules/quota.py": _first("quota", "queues", "rules"),
    "policies/rules/requests.py": _first("requests", "rules"),
    "policies/rules/objects.py": _first("objects", "rules"),
    "policies/rules/workloads.py": _first("workloads", "rules"),
    "policies/rules/charts.py": _first("charts", "rules"),
    "policies/rules/placement.py": _first("placement", "rules"),
    "policies/rules/isolation.py": _first("isolation", "rules"),
    "policies/rules/supply.py": _first("supply", "support", "rules"),
    "policies/facts.py": _first("quota", "placement", "rules"),
    "policies/pods.py": _first("quota", "workloads", "placement", "rules"),
    "policies/paths.py": _first("paths", "objects"),
    "policies/inventory.py": _first("quota", "placement", "isolation", "rules"),
    "policies/plain.py": _first("plain", "quota"),
    "policies/rule.py": _first("rules", "quota"),
    "policies/run.py": (*_first("rules"), f"{_POLICIES}/test_run.py", f"{_POLICIES}/test_offline.py"),
    "policies/config.py": (f"{_POLICIES}/test_config.py", *_ALL_RULES),
    "policies/offline.py": (f"{_POLICIES}/test_offline.py",),
    "policies/gate.py": (f"{_POLICIES}/test_gate.py",),
    "policies/pack.py": _first("pack"),
    **{
        f"capacity/{room}.py": (
            "tests/test_capacity.py",
            "tests/test_quantities.py",
            "tests/test_capacity_search.py",
            f"{_POLICIES}/test_quota.py",
            "tests/settings/test_rules.py",
            "tests/settings/test_rules_teams.py",
            "tests/settings/test_rules_host.py",
        )
        for room in ("quantity", "claims", "gpus", "room", "ports", "sets", "words")
    },
    "components/check/job.py": ("tests/components/test_job.py",),
    "probe/injection.py": ("tests/probe/test_injection.py", "tests/probe/test_sharing.py"),
    "probe/judge/sharing.py": ("tests/probe/test_sharing.py", *_PROBE),
    "probe/why.py": ("tests/probe/test_why.py",),
    "components/team/protection.py": ("tests/components/test_protection.py", f"{_POLICIES}/test_gate.py"),
}
