"""What holds for every rule: it has subjects, keeps to its types, survives anything, and fails closed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

import pulumi_kubernetes as k8s
import pytest

import tokens
from names import QUEUE_API_VERSION, TOPOLOGY_API_VERSION
from policies.config import Level, PolicyConfig
from policies.inventory import Inventory, PolicyResource
from policies.kinds import FIELDS
from policies.plain import UNKNOWN
from policies.rule import Finding, Group, Rule, Scene
from policies.rules import LIMITS, RULES
from policies.run import RuleResult, evaluate, lines
from tests.policies.judged import TODAY, changed, result
from tests.policies.work import SIZES, calls, grows_with_the_teams
from tests.policies.world import guardrails, healthy, pool, resource, team

OTHER = resource("aws:s3/bucket:Bucket", "other", {"metadata": {"name": "other"}, "spec": {"gpuLimit": -1}})
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def scene(resources: list[PolicyResource]) -> Scene:
    return Scene(inventory=Inventory(resources), limits=PolicyConfig().limits, today=TODAY)


def test_the_healthy_platform_breaks_no_rule_and_every_rule_looks_at_something() -> None:
    for found in evaluate(healthy(), PolicyConfig(), today=TODAY):
        assert found.violations == (), found.rule
        assert found.checked > 0, found.rule


def test_names_of_rules_are_unique_and_fit_the_engine() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name) for rule in RULES)
    assert {str(rule.group) for rule in RULES} == set(Group) == {"quota", "placement", "isolation", "supply"}
    assert set(LIMITS) == {rule.name for rule in RULES}


@every_rule
def test_a_rule_ignores_other_types(rule: Rule) -> None:
    assert not rule.subject(OTHER)
    with_other = result(rule.name, [*healthy(), OTHER])
    assert with_other.checked == result(rule.name, healthy()).checked
    assert with_other.violations == ()


@every_rule
def test_a_rule_survives_missing_properties(rule: Rule) -> None:
    for type_ in rule.types:
        bare = resource(type_, "bare", {})
        for world in ([bare], [*healthy(), bare]):
            if rule.subject(bare):
                assert all(said(finding) for finding in rule.judge(bare, scene(world)))


def said(finding: Finding) -> str:
    return finding if isinstance(finding, str) else finding.text


def emptied(value: object) -> Iterator[tuple[str, object]]:
    """Yield every way to replace one value somewhere below with something of another type."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if "/" not in key:
                yield key, None
                yield key, ["odd"]
                yield key, "odd"
                yield key, UNKNOWN
                yield key, {"odd": UNKNOWN}
                for path, other in emptied(item):
                    yield f"{key}/{path}", other


SOME = 7
"""One in so many: a number with no part in the five odd values of each place, so that all five are met."""


@cache
def spoiled() -> list[Scene]:
    """The healthy platform with one value of another type, in every way."""
    world = healthy()
    return [
        scene([*world[:position], changed(subject, path, odd), *world[position + 1 :]])
        for position, subject in enumerate(world)
        for path, odd in emptied(subject.properties)
    ]


@every_rule
@pytest.mark.parametrize("every", [SOME, pytest.param(1, marks=pytest.mark.slow)])
def test_a_rule_survives_values_of_any_type(rule: Rule, every: int) -> None:
    for setting in spoiled()[::every]:
        for candidate in setting.inventory.of_type(*rule.types):
            if rule.subject(candidate):
                assert all(said(finding) for finding in rule.judge(candidate, setting))


QUOTA_INPUTS = {
    tokens.NODE_POOL: ("name", "nodes", "size", "gpusPerNode", "replicas"),
    tokens.TEAM: ("name", "pool", "mode", "gpuQuota", "gpuLimit", "queues", "nodes", "gpuSharing"),
    tokens.RESOURCE_QUOTA: ("spec", "spec/hard"),
    tokens.QUEUE: (
        "spec",
        "spec/resources",
        "spec/resources/gpu",
        "spec/resources/gpu/limit",
        "spec/resources/cpu/quota",
    ),
    tokens.GPU_CHECK: ("gpus", "fraction", "gpuMemoryMib", "queue", "team"),
    tokens.JOB: ("spec/template/spec/containers", "spec/template/spec/containers/0/resources", "spec/parallelism"),
}


@pytest.mark.parametrize(
    ("type_", "path"), [(type_, path) for type_, paths in QUOTA_INPUTS.items() for path in paths], ids=str
)
def test_an_unknown_in_what_a_quota_rule_reads_is_a_violation_in_words(type_: str, path: str) -> None:
    world = [changed(r, path, UNKNOWN) if r.type == type_ else r for r in healthy()]
    found = evaluate(world, PolicyConfig(), today=TODAY)
    messages = [v.message for r in found if r.group is Group.QUOTA for v in r.violations]
    assert any("is not known at preview, so this cannot be checked; pass a literal value" in m for m in messages)


@pytest.mark.parametrize("key", ["gpuQuota", "gpuLimit"])
def test_a_missing_quota_number_is_a_violation_and_not_a_zero(key: str) -> None:
    bare = team()
    bare = PolicyResource(
        type=bare.type, name=bare.name, properties={k: v for k, v in bare.properties.items() if k != key}
    )
    for rule in (
        "gpu-collision",
        "pool-gpu-quota",
        "team-gpus-exist",
        "host-resource-quota",
        "leaf-queues-within-team",
    ):
        assert f"{key} is missing, so this cannot be checked" in result(rule, [pool(), bare]).violations[0].message


# --- tokens ---------------------------------------------------------------------------------------------------------

ALL = tokens.KUBERNETES
KUBERNETES = re.compile(r"kubernetes:(?P<group>[a-z0-9.]+)/(?P<version>v\w+):(?P<kind>\w+)")


@pytest.mark.parametrize(
    "token",
    sorted({*FIELDS, *(token for rule in RULES for token in rule.types if token.startswith("kubernetes:"))} - {ALL}),
)
def test_a_kubernetes_token_is_one_of_the_sdk(token: str) -> None:
    own = {tokens.QUEUE: f"{QUEUE_API_VERSION}:Queue", tokens.TOPOLOGY: f"{TOPOLOGY_API_VERSION}:Topology"}
    if token in own:  # KAI's own kinds, which the SDK has no class for
        assert token == f"kubernetes:{own[token]}"
        return
    parts = KUBERNETES.fullmatch(token)
    assert parts is not None
    group = parts["group"].split(".")[0]
    if parts["group"] == "kai.scheduler":
        return  # KAI's own, which the SDK has not
    module = getattr(getattr(k8s, group), parts["version"])
    kind = getattr(module, parts["kind"])
    assert kind.pulumi_type == token


# --- the runner -----------------------------------------------------------------------------------------------------


def test_results_say_what_was_checked_and_what_blocks() -> None:
    collide = [pool(), team("ml", gpuLimit=6), team("vision", gpuQuota=2, gpuLimit=3)]
    config = PolicyConfig(levels={"pool-gpu-quota": Level.DISABLED, "gpu-collision": Level.ADVISORY})
    found = {r.rule: r for r in evaluate(collide, config, today=TODAY)}
    assert found["gpu-collision"].verdict == "1 violation (1 checked)"
    assert not found["gpu-collision"].blocks
    assert found["pool-gpu-quota"].verdict == "off"
    assert found["limit-range"].verdict == "2 violations (2 checked)"
    assert found["limit-range"].blocks
    assert found["team-gpus-exist"].verdict == "pass (2 checked)"
    assert not found["team-gpus-exist"].blocks
    assert found["queue-resources"].verdict == "nothing to check"
    assert [r.rule for r in evaluate(collide, config, today=TODAY)] == [rule.name for rule in RULES]


def test_a_violation_says_which_resource_it_is_about() -> None:
    found = result("limit-range", [team()]).violations[0]
    assert (found.rule, found.resource, found.urn) == (
        "limit-range",
        "gpu-tenancy:index:Team ml",
        "urn:pulumi:unit::gpu-tenancy::gpu-tenancy:index:Team::ml",
    )


def test_lines_show_every_rule_and_a_summary() -> None:
    text = lines(evaluate([team(), *guardrails()[:2]], PolicyConfig(), today=TODAY))
    assert any(re.fullmatch(r"isolation +limit-range +1 violation \(1 checked\)", line) for line in text)
    assert (
        "  mandatory: team ml: no LimitRange in host namespace team-ml; create one with default requests and limits"
        in text
    )
    broken = sum(bool(r.violations) for r in evaluate([team(), *guardrails()[:2]], PolicyConfig(), today=TODAY))
    assert text[-1] == f"policies: {len(RULES)} rules, {broken} with violations, {broken} of them mandatory"


def platform(teams: int) -> list[PolicyResource]:
    """A generated platform: pools of ten nodes, each team on a node of its own."""
    world: list[PolicyResource] = []
    for index in range(teams):
        if index % 10 == 0:
            nodes = [f"node-{index + offset}" for offset in range(10)]
            world.append(pool(f"pool-{index // 10}", nodes=nodes, size=10))
        name = f"team-{index}"
        world += [team(name, pool=f"pool-{index // 10}", nodes=[f"node-{index}"]), *guardrails(name)]
        for resource_ in healthy():
            if resource_.type in (tokens.QUEUE, tokens.GPU_CHECK, tokens.JOB, tokens.KAI_SCHEDULER, tokens.RELEASE):
                world.append(PolicyResource(type=resource_.type, name=name, properties=resource_.properties))
    return world


def test_ten_times_the_teams_are_ten_times_the_work() -> None:
    def judge(world: list[PolicyResource]) -> None:
        evaluate(world, PolicyConfig(), today=TODAY)

    work = {count: calls(judge, platform(count)) for count in SIZES}
    assert grows_with_the_teams(work), work


def test_every_pool_and_team_of_a_large_platform_is_judged() -> None:
    found = {r.rule: r for r in evaluate(platform(60), PolicyConfig(), today=TODAY)}
    assert found["gpu-collision"] == RuleResult(
        rule="gpu-collision",
        group=Group.QUOTA,
        level=Level.MANDATORY,
        sentence=next(rule.sentence for rule in RULES if rule.name == "gpu-collision"),
        checked=6,
        violations=(),
    )
    assert found["host-resource-quota"].verdict == "pass (60 checked)"
