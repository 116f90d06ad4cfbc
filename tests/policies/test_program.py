"""The rules over what the real program registers. A mistyped token or label shows here: a rule without subjects."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import date
from typing import Any, Final

import pytest

import tokens
from policies.config import PolicyConfig
from policies.inventory import PolicyResource
from policies.kinds import FIELDS
from policies.plain import plain_properties
from policies.rules import RULES
from policies.run import RuleResult, config_for, evaluate
from tests.components import test_blue_green
from tests.components.program import alone
from tests.conftest import Declare, platform_of
from tests.hosts.test_program import kind
from tests.settings.build import raw
from tests.test_injection_modes import with_gpu
from tests.workloads import test_program, test_slurm

pytestmark = pytest.mark.slow

TODAY = date(2026, 11, 22)
"""The clock of these tests: support windows move on, and a test must not."""


def resources(
    declare: Declare, stack: str, *, preview: bool = False, platform: Mapping[str, Any] | None = None
) -> list[PolicyResource]:
    return [
        PolicyResource(
            type=found.type,
            name=found.name,
            properties=plain_properties(found.inputs),
            urn=found.name,
            parent=found.parent,
        )
        for found in declare(platform or stack, preview=preview, stack=stack).resources
        if not found.read
    ]


def judged(declare: Declare, stack: str, *, preview: bool = False) -> dict[str, RuleResult]:
    return {r.rule: r for r in evaluate(resources(declare, stack, preview=preview), config_for(stack), today=TODAY)}


def test_every_rule_has_subjects_in_the_real_program(declare: Declare) -> None:
    by_memory = alone("prod", "speech")
    by_memory["teams"]["speech"]["check"] = {"queue": "notebooks", "gpuMemoryMib": 2000}
    checked = {rule.name: 0 for rule in RULES}
    for world in (resources(declare, "lab"), resources(declare, "prod", platform=by_memory)):
        for found in evaluate(world, PolicyConfig(), today=TODAY):
            checked[found.rule] += found.checked
    assert [rule for rule, count in checked.items() if not count] == []


@pytest.mark.parametrize("preview", [False, True])
def test_the_production_stack_breaks_no_rule(declare: Declare, preview: bool) -> None:
    found = judged(declare, "prod", preview=preview)
    assert [v.message for r in found.values() for v in r.violations if r.rule != "support-ends-soon"] == []


@pytest.mark.parametrize("stack", ["lab", "dev", "versions"])
def test_the_other_stacks_break_only_rules_about_old_versions(declare: Declare, stack: str) -> None:
    config = PolicyConfig(limits=config_for("lab").limits)
    broken = {r.rule for r in evaluate(resources(declare, stack), config, today=TODAY) if r.violations}
    assert broken <= {"supported-version", "support-ends-soon"}


INGRESS: Final = {"ingress": {"host": "demo.example.com", "className": "nginx", "controllerNamespace": "ingress-nginx"}}
APP: Final = test_program.real(demo={**test_program.DEMO, "secrets": {}, "expose": INGRESS})
"""What people reach by a name."""


def switched_on() -> dict[str, Any]:
    """The lab with what no shipped stack has: snapshots, a topology, run times, the scale adjuster, a paused team."""
    data = deepcopy(platform_of("lab"))
    data["host"]["scheduler"] = {"version": "v0.16.8", "scaleAdjuster": True}
    data["teams"]["dev"]["state"] = "paused"
    research = data["teams"]["research"]
    research["scheduler"] = {"mode": "host"}
    research["vcluster"] = {"snapshots": {"size": "3Gi"}}
    data["pools"][research["pool"]]["topology"] = ["kubernetes.io/hostname"]
    next(iter(research["queues"].values()))["reclaimMinRuntime"] = "10m"
    return data


def paused(platform: dict[str, Any]) -> dict[str, Any]:
    """A platform whose every team is paused."""
    return {**platform, "teams": {name: {**team, "state": "paused"} for name, team in platform["teams"].items()}}


def test_every_kind_that_the_program_registers_is_known_and_no_more_than_the_rules_read(declare: Declare) -> None:
    registered = {
        found.type
        for stack in ("lab", "prod", "dev", "versions", switched_on(), APP)
        for found in declare(stack, stack=stack if isinstance(stack, str) else "lab").resources
        if found.type.startswith(tokens.KUBERNETES) and not found.read
    }
    assert registered <= set(FIELDS)
    # what is known without being registered is a kind that makes pods: rules look into those
    assert set(FIELDS) - registered <= set(tokens.WORKLOADS)


@pytest.mark.parametrize(
    "platform",
    [
        switched_on(),
        APP,
        test_program.real(chat=test_program.CHAT),
        paused(test_program.real(chat=test_program.CHAT)),
        test_slurm.raw(),
        *(with_gpu(injection=mode) for mode in ("cdi-cri", "cdi-annotations")),
        test_blue_green.lab("green"),
        raw(kind()),
    ],
    ids=["switches", "app", "model server", "paused", "SLURM", "cdi-cri", "cdi-annotations", "blue-green", "kind"],
)
def test_what_a_stack_may_ask_for_breaks_no_rule(declare: Declare, platform: dict[str, Any]) -> None:
    worlds = (resources(declare, "lab", platform=platform), resources(declare, "lab"))
    found, plain = (
        {(r.rule, v.message) for r in evaluate(world, PolicyConfig(), today=TODAY) for v in r.violations}
        for world in worlds
    )
    assert {
        message for rule, message in found - plain if rule not in ("supported-version", "support-ends-soon")
    } == set()
