"""The pack's quota rules on the declared numbers: the pack's own words and levels, before anything is registered."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import tokens
from cli.guards import quota
from cli.guards.quota import declared, quota_refusals
from policies.config import ConfigError
from policies.facts import is_host_check
from policies.inventory import PolicyResource
from policies.plain import plain_properties
from policies.rule import Group
from policies.rules import RULES
from policies.run import config_for, evaluate
from settings.load import parse_platform
from settings.models import Platform
from tests.conftest import Declare, platform_of

TODAY = date(2026, 11, 26)


def platform(stack: str = "lab", *overrides: dict[str, Any], **changes: Any) -> Platform:
    data = platform_of(stack)
    for path, value in changes.items():
        holder = data
        *steps, last = path.split("__")
        for step in steps:
            holder = holder[step]
        holder[last] = value
    data["overrides"] = [{"until": "2026-11-26", "reason": "agreed with everybody", **entry} for entry in overrides]
    return parse_platform(data, "here")


@pytest.mark.parametrize("stack", ["dev", "lab", "prod", "versions"])
def test_the_examples_pass_at_their_own_levels(stack: str) -> None:
    assert quota_refusals(platform(stack), stack, TODAY) == []


def test_a_mandatory_rule_refuses_in_the_pack_s_words_and_names_the_file_with_its_level() -> None:
    endless = platform(teams__ml__queues__training={"gpu": {"quota": 1, "limit": -1}})
    found = quota_refusals(endless, "prod", TODAY)
    assert {refusal.cause.partition(":")[0] for refusal in found} == {"policy no-unlimited-gpu"}
    assert any("the GPU limit of queue training is -1, unlimited; write a number" in r.cause for r in found)
    assert all("policies/config/prod.json" in refusal.fix for refusal in found)
    line = "`- {allow: [quotaRules], of: [no-unlimited-gpu], until: 2026-12-03, reason: ...}` below overrides"
    assert all(line in refusal.fix for refusal in found)
    assert quota_refusals(endless, "lab", TODAY) == [], "lab's levels are advisory"


def test_a_stack_without_levels_of_its_own_is_told_which_file_to_make() -> None:
    endless = platform(teams__ml__queues__training={"gpu": {"quota": 1, "limit": -1}})
    found = quota_refusals(endless, "mine", TODAY)
    assert "policies/config/mine.json (a copy of prod.json, which holds until it is there)" in found[0].fix


def test_an_override_lets_one_rule_through_by_its_name_and_no_other() -> None:
    let_through = {"allow": ["quotaRules"], "of": ["no-unlimited-gpu"]}
    both = {
        "teams__ml__queues__training": {"gpu": {"quota": 1, "limit": -1}},
        "pools__gpu__sharing": {"timeSlicing": {"replicas": 12}},
    }
    found = quota_refusals(platform("dev", **both), "prod", TODAY)
    rules = {refusal.cause.partition(":")[0] for refusal in found}
    assert rules == {"policy no-unlimited-gpu", "policy replicas-maximum"}
    found = quota_refusals(platform("dev", let_through, **both), "prod", TODAY)
    assert {refusal.cause.partition(":")[0] for refusal in found} == {"policy replicas-maximum"}


def test_levels_that_cannot_be_read_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        message = "prod.json: is not JSON"
        raise ConfigError(message)

    monkeypatch.setattr(quota, "levels_of", broken)
    (refusal,) = quota_refusals(platform(), "prod", TODAY)
    assert refusal.cause == "the levels of the policy rules can't be read: prod.json: is not JSON"


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["dev", "lab", "versions"])
def test_what_is_judged_is_what_the_program_registers(stack: str, declare: Declare) -> None:
    """The same rules over the program's real registrations find the same: nothing is declared here that is not made."""
    made = [
        PolicyResource(type=found.type, name=found.name, properties=plain_properties(found.inputs), parent=found.parent)
        for found in declare(stack).resources
        if not found.read
    ]
    guessed = list(declared(platform(stack)))
    registered: dict[tuple[str, str], Any] = {(r.type, r.name): r.properties for r in made}
    for resource in guessed:
        real = registered[(resource.type, resource.name)]
        for key, value in resource.properties.items():
            if key == "metadata":
                assert isinstance(value, dict)
                assert value == {key: real["metadata"].get(key) for key in value}
                continue
            if value is None:
                continue
            assert plain_properties({"x": value}) == plain_properties({"x": real[key]}), (resource.name, key)
    kinds = {resource.type for resource in guessed}
    assert kinds == {tokens.NODE_POOL, tokens.TEAM, tokens.RESOURCE_QUOTA, tokens.QUEUE, tokens.GPU_CHECK}
    every = {(r.type, r.name) for r in made if r.type in kinds - {tokens.RESOURCE_QUOTA} and not is_host_check(r)}
    assert every <= {(r.type, r.name) for r in guessed}, "each is judged"
    rules = {rule.name for rule in RULES if rule.group is Group.QUOTA}
    judged = {result.rule for result in evaluate(guessed, config_for(stack), today=TODAY) if result.checked}
    assert {"gpu-collision", "pool-gpu-quota", "team-gpus-exist", "host-resource-quota"} <= judged <= rules | judged
