"""The engine's side: wrappers call the same rules, on inputs, and fail closed where the SDK would fail open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
    proxy,
)
from pulumi_policy import PolicyResource as EngineResource

import tokens
from policies.config import Limits, PolicyConfig
from policies.inventory import Inventory, PolicyResource
from policies.pack import NAME, Seen, build_policies, resource_of
from policies.plain import UNKNOWN, Unknown
from policies.rule import Rule, Scene, Stage
from policies.rules import RULES
from policies.run import evaluate
from tests.conftest import ROOT
from tests.policies.judged import TODAY, changed
from tests.policies.test_rules import platform
from tests.policies.work import SIZES, calls, grows_with_the_teams
from tests.policies.world import check, healthy, host_check, pool, resource, scheduler, team, urn, vcluster

OPTIONS = PolicyResourceOptions(False, [], False, None, [], None, [])  # type: ignore[arg-type]


def on_the_wire(value: object) -> object:
    """Return plain data as the engine sends it: doubles for numbers, sentinels for unknowns."""
    if isinstance(value, Unknown):
        return proxy.UNKNOWN_STRING_VALUE
    if isinstance(value, Mapping):
        return {key: on_the_wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [on_the_wire(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def checked_properties(subject: PolicyResource) -> Mapping[str, object]:
    sent = on_the_wire(subject.properties)
    assert isinstance(sent, dict)
    return proxy.unknown_checking_proxy(sent)


def run_engine(
    resources: list[PolicyResource],
    policies: list[Policy] | None = None,
    config: Mapping[str, Mapping[str, object]] | None = None,
    outputs: Mapping[str, object] | None = None,
) -> list[tuple[str, str, str | None]]:
    """Do what the engine does: each resource by its inputs, then the stack by its outputs."""
    found: list[tuple[str, str, str | None]] = []
    policies = policies or build_policies(lambda: TODAY)
    config = config or {}

    def reporter(policy: Policy, subject: str | None) -> object:
        return lambda message, urn=None: found.append((policy.name, message, urn or subject))

    for subject in resources:
        for policy in policies:
            if isinstance(policy, ResourceValidationPolicy):
                args = ResourceValidationArgs(
                    subject.type,
                    checked_properties(subject),
                    subject.urn,
                    subject.name,
                    OPTIONS,
                    None,
                    config.get(policy.name),
                )
                policy.validate(args, reporter(policy, subject.urn))  # type: ignore[arg-type]
    stack = [
        EngineResource(
            r.type,
            checked_properties(r) if outputs is None else proxy.unknown_checking_proxy(dict(outputs)),
            r.urn,
            r.name,
            OPTIONS,
            None,
            None,
            [],
            {},
        )
        for r in resources
    ]
    for policy in policies:
        if isinstance(policy, StackValidationPolicy):
            policy.validate(StackValidationArgs(stack, config.get(policy.name)), reporter(policy, None))  # type: ignore[arg-type]
    return found


def test_there_is_a_policy_for_every_rule_and_it_blocks_unless_configured_otherwise() -> None:
    policies = {policy.name: policy for policy in build_policies()}
    assert list(policies) == [rule.name for rule in RULES]
    assert NAME == "gpu-tenancy"
    for rule in RULES:
        policy = policies[rule.name]
        kind = ResourceValidationPolicy if rule.stage is Stage.RESOURCE else StackValidationPolicy
        assert isinstance(policy, kind)
        assert policy.description == rule.sentence
        assert policy.enforcement_level is EnforcementLevel.MANDATORY
        properties = policy.config_schema.properties if policy.config_schema else {}
        assert len(properties) == len(rule.limits)
    maximum = policies["replicas-maximum"].config_schema
    assert maximum is not None
    assert maximum.properties["maxReplicas"] == {
        "default": 8,
        "description": "most replicas of one GPU",
        "maximum": 1000,
        "minimum": 1,
        "title": "Maxreplicas",
        "type": "integer",
    }


def test_the_engine_finds_nothing_on_the_healthy_platform() -> None:
    assert run_engine(healthy()) == []


def broken() -> list[PolicyResource]:
    """The healthy platform with something wrong for each stage."""
    world = [
        team(gpuLimit=9, queues={"training": {"quota": 5, "limit": -1}}) if r.name == "ml" else r for r in healthy()
    ]
    return [*(r for r in world if not r.type.endswith(("LimitRange", "VirtualCluster"))), pool("l4", replicas=9)]


def test_the_engine_finds_what_the_runner_finds() -> None:
    world = broken()
    wanted = [(v.rule, v.message, v.urn) for r in evaluate(world, PolicyConfig(), today=TODAY) for v in r.violations]
    assert len(wanted) > 5
    assert sorted(run_engine(world)) == sorted(wanted)


def test_rules_that_compare_with_what_may_come_later_wait_for_the_whole_stack() -> None:
    """A rule that is asked at each resource sees only what was registered before it."""
    assert {policy.name for policy in build_policies() if isinstance(policy, StackValidationPolicy)} == {
        "default-deny-network",
        "gpu-collision",
        "gpu-memory",
        "host-check-node",
        "host-resource-quota",
        "known-roles",
        "limit-range",
        "no-fractions-on-replicas",
        "pod-security-level",
        "pool-gpu-quota",
        "runtime-class",
        "team-admission",
        "team-gpus-exist",
    }


def test_stack_rules_judge_inputs_where_a_provider_has_no_outputs_yet() -> None:
    world = broken()
    wanted = [(v.rule, v.message, v.urn) for r in evaluate(world, PolicyConfig(), today=TODAY) for v in r.violations]
    assert sorted(run_engine(world, outputs={})) == sorted(wanted)


def test_stack_rules_judge_outputs_of_what_did_not_pass_by() -> None:
    policies = [policy for policy in build_policies() if isinstance(policy, StackValidationPolicy)]
    found = run_engine([pool(), team("ml", gpuLimit=6), team("vision", gpuLimit=3)], list(policies))
    assert [message for rule, message, _ in found if rule == "gpu-collision"] == [
        "teams ml, vision: the GPU limits of the teams that see a node must add up to at most what it has (each "
        "team's own "
        "scheduler believes that all of it is free), got node gpu-0: ml 6 + vision 3 = 9 of 8; lower the limits by 1 "
        "in all"
    ]


def test_an_unknown_number_is_a_violation_where_the_sdk_would_only_note_it() -> None:
    for path in ("gpuLimit", "queues", "name"):
        found = run_engine([pool(), changed(team(), path, UNKNOWN)])
        assert any(f"{path} is not known at preview" in message for _, message, _ in found)


def test_limits_come_from_the_configuration() -> None:
    world = [pool(replicas=9), *healthy()[1:]]
    strict = run_engine(world, config={"replicas-maximum": {"maxReplicas": 2.0}})
    assert [message for rule, message, _ in strict if rule == "replicas-maximum"] == [
        "pool a100: 9 replicas of a GPU, allowed are 1 to 2; set fewer, or raise maxReplicas of replicas-maximum in "
        "policies/config/<stack>.json"
    ]
    lax = run_engine(world, config={"replicas-maximum": {"maxReplicas": 9.0}})
    assert [message for rule, message, _ in lax if rule == "replicas-maximum"] == []


def test_a_mirror_is_named_once_for_images_of_ours_and_in_charts() -> None:
    mirrored = changed(vcluster(), "values/controlPlane/advanced/defaultImageRegistry", "mirror.example")
    world = [mirrored if r.type == mirrored.type and r.name == mirrored.name else r for r in healthy()]
    allowed = ["mirror.example/", "docker.io/pytorch/", "ghcr.io/"]
    assert [rule for rule, _, _ in run_engine(world)] == ["pinned-image"]
    assert run_engine(world, config={"pinned-image": {"registries": allowed}}) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_asks_for_no_limit_but_its_own(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    # the engine shows a policy nothing else: another rule's limit would be the default there, whatever the stack says
    asked = set()
    read = Limits.__getattribute__

    def record(limits: Limits, name: str) -> object:
        asked.add(name)
        return read(limits, name)

    monkeypatch.setattr(Limits, "__getattribute__", record)
    for world in (healthy(), broken(), [changed(vcluster(), "chart", "./vcluster.tgz")]):
        scene = Scene(inventory=Inventory(world), limits=Limits(), today=TODAY)
        for subject in scene.inventory.of_type(*rule.types):
            if rule.subject(subject):
                rule.judge(subject, scene)
    assert asked & set(Limits.model_fields) <= set(rule.limits)


def test_the_clock_is_an_input() -> None:
    from datetime import date

    old = build_policies(lambda: date(2020, 1, 1))
    new = build_policies(lambda: date(2040, 1, 1))
    assert [rule for rule, _, _ in run_engine([scheduler()], old)] == []
    assert [rule for rule, _, _ in run_engine([scheduler()], new)] == ["supported-version"]


def test_two_packs_do_not_share_what_they_saw() -> None:
    run_engine(healthy())
    found = run_engine([host_check()])
    assert all(rule in ("runtime-class", "host-check-node") for rule, _, _ in found)


@pytest.mark.slow
def test_importing_the_policies_starts_nothing() -> None:
    """In a process of its own: here they are imported already, and other tests' threads come and go."""
    code = (
        "import threading, policies.pack, policies.run, policies.offline, policies.rules;"
        "print([thread.name for thread in threading.enumerate()])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "['MainThread']\n"


def named_apart(count: int) -> list[PolicyResource]:
    return [replace(found, urn=urn(found.type, f"{found.name}-{index}")) for index, found in enumerate(platform(count))]


@pytest.mark.slow
def test_ten_times_the_teams_are_ten_times_the_work_beside_the_engines_own() -> None:
    work = {count: calls(run_engine, named_apart(count)) for count in SIZES}
    assert grows_with_the_teams(work), work


def test_a_resource_is_read_once_for_all_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        "policies.pack.resource_of",
        lambda args: read.append(args.urn) or resource_of(args),  # type: ignore[func-returns-value]
    )
    world = named_apart(3)
    run_engine(world)
    assert sorted(read) == sorted(found.urn for found in world)


def test_a_resource_that_is_registered_anew_is_judged_as_it_is_now() -> None:
    policies = build_policies(lambda: TODAY)
    world = healthy()
    assert run_engine(world, policies) == []
    worse = [team(gpuLimit=-1) if found == team() else found for found in world]
    assert "no-unlimited-gpu" in {rule for rule, _, _ in run_engine(worse, policies)}


def test_components_are_those_of_ours_once_each_and_as_they_were_registered_last() -> None:
    seen = Seen()

    def shown(found: PolicyResource) -> Inventory:
        args = ResourceValidationArgs(found.type, checked_properties(found), found.urn, found.name, OPTIONS, None, None)
        seen.look(RULES[0], args)
        return seen.around

    assert shown(resource(tokens.NAMESPACE, "team-ml", {})).of_type(tokens.NAMESPACE) == []
    for limit in (6, 6, 4):
        assert [found.properties["gpuLimit"] for found in shown(team(gpuLimit=limit)).of_type(tokens.TEAM)] == [limit]


# --- other programs -------------------------------------------------------------------------------------------------


def elsewhere(found: PolicyResource) -> PolicyResource:
    """The resource in a stack of another program."""
    return replace(found, urn=urn(found.type, found.name, project="shop"), parent="")


def shop() -> list[PolicyResource]:
    """What another program's stack may hold, and these rules would refuse in ours."""
    return [
        elsewhere(found)
        for found in (
            resource("kubernetes:networking.k8s.io/v1:IngressClass", "shop", {"spec": {"rules": []}}),
            resource("kubernetes:helm.sh/v3:Release", "shop", {"chart": "shop", "version": "latest"}),
            resource("kubernetes:yaml/v2:ConfigGroup", "shop", {"objs": []}),
            resource("kubernetes:apps/v1:Deployment", "shop", {"spec": {"template": {"spec": {"hostNetwork": True}}}}),
            resource("kubernetes:scheduling.run.ai/v2:Queue", "shop", {"spec": {}}),
            resource("aws:s3/bucket:Bucket", "shop", {}),
        )
    ]


def test_a_stack_of_another_program_is_none_of_our_business() -> None:
    assert run_engine(shop()) == []


def test_a_stack_that_uses_a_component_of_ours_is_judged_whole_and_what_came_before_it_is_not_forgotten() -> None:
    found = run_engine([*shop(), elsewhere(team(gpuLimit=-1))])
    refused = {(rule, subject.rpartition("::")[2] if subject else None) for rule, _, subject in found}
    assert {("known-kinds", "shop"), ("no-unlimited-gpu", "ml"), ("pinned-chart", "shop")} <= refused
    ingress = urn("kubernetes:networking.k8s.io/v1:IngressClass", "shop", project="shop")
    assert ("known-kinds", ingress) in {(rule, subject) for rule, _, subject in found}
    # and only once
    assert len([1 for rule, _, subject in found if (rule, subject) == ("known-kinds", ingress)]) == 1


# --- words ----------------------------------------------------------------------------------------------------------


def test_an_image_that_many_have_is_told_once() -> None:
    checks = [check(f"check-{index}", image="docker.io/pytorch/pytorch") for index in range(10)]
    said = [message for rule, message, _ in run_engine([pool(), team(), *checks]) if rule == "pinned-image"]
    assert said == [
        "image docker.io/pytorch/pytorch has tag 'latest', which moves; write a version or a digest (GpuCheck check-0)"
    ]


@pytest.mark.parametrize(
    ("stack", "file"),
    [
        ("prod", "policies/config/prod.json"),
        ("shop", "policies/config/shop.json (a copy of prod.json, which holds while there is none)"),
        (None, "policies/config/<stack>.json"),
    ],
)
def test_a_refusal_names_the_file_and_the_key(monkeypatch: pytest.MonkeyPatch, stack: str | None, file: str) -> None:
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    if stack is not None:
        monkeypatch.setenv("PULUMI_STACK", stack)
    said = [message for rule, message, _ in run_engine([pool(replicas=9)]) if rule == "replicas-maximum"]
    assert said == [
        "pool a100: 9 replicas of a GPU, allowed are 1 to 8; set fewer, or raise maxReplicas of replicas-maximum in "
        f"{file}"
    ]
