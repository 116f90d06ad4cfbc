"""Admission as objects: which rules a tenant gets. That a real API server keeps them is tested in tests/lab."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import pytest

from components.restricted import pod_security
from components.team.admission import Others, binding_spec, others, policy_spec, rules
from components.team.cel import Kind, listed, text, variable
from components.team.tenant import Tenant, resolve
from preview.differences import differences, written
from settings.load import parse_platform
from tests.conftest import Declare, platform_of

NOBODY = Others(nodes=(), queues=())
ISOLATION = [
    *("not-privileged", "no-host-path", "no-host-namespaces", "no-added-capabilities"),
    *("known-volumes", "known-security", "no-host-ports"),
]
ACCOUNT = ["own-account", "own-priority"]
GPUS = ["counted-gpus", "no-resource-claims", "no-devices-by-name", "runtime-class-for-gpus", "known-fields"]
OBJECTS = ["own-volumes", "no-external-ips", "own-binding", "no-device-claims"]


def tenants(**teams: dict[str, Any]) -> dict[str, Tenant]:
    platform = platform_of("prod")
    for name, change in teams.items():
        platform["teams"][name] = {**platform["teams"][name], **change}
    return resolve(parse_platform(platform, "test"))


def rule_names(found: dict[str, Tenant], team: str) -> list[str]:
    return [rule.name for rule in rules(found[team], others(found, team), "nvidia")]


RULES: Final = Path(__file__).parent / "recorded" / "rules.json"


def every_kind() -> dict[str, tuple[Tenant, Others]]:
    """A tenant of each kind that the rules know, by what is special about it, and what only other tenants have."""
    found = tenants(
        foundation={"isolation": "restricted"}, batch={"state": "paused"}, speech={"isolation": "privileged"}
    )
    kinds = {name: (tenant, others(found, name)) for name, tenant in found.items()}
    labels = {"example.com/gpu": "l40s", "example.com/rack": "7"}
    vision, web = found["vision"], found["web"]
    old = resolve(parse_platform(platform_of("dev"), "test"))["research"]
    return kinds | {
        "vision beside a KAI of the cluster's": (vision, others(found, "vision", foreign_kai=True)),
        "vision on nodes found by labels": (replace(vision, nodes=(), node_selector=labels), kinds["vision"][1]),
        "web on nodes found by labels": (replace(web, nodes=(), node_selector=labels), kinds["web"][1]),
        "web without a pool": (replace(web, pool_name=None, pool=None, nodes=(), node_selector={}), kinds["web"][1]),
        "a KAI that needs the default runtime": (old, NOBODY),
    }


def test_every_kind_of_tenant_keeps_the_rules_that_are_recorded() -> None:
    """Written anew with RECORD=1 in the environment. Each rule stands there once, with those that have it so."""
    of: dict[str, list[str]] = {}
    kinds = every_kind()
    for kind, (tenant, strangers) in kinds.items():
        for rule in rules(tenant, strangers, "nvidia"):
            of.setdefault(json.dumps(asdict(rule)), []).append(kind)
    tenant, strangers = kinds["speech-canary"]
    found: Any = {
        "rules": [{**json.loads(rule), "of": kinds} for rule, kinds in of.items()],
        "policy": policy_spec(tenant, rules(tenant, strangers, "nvidia")),
        "binding": binding_spec(tenant),
    }
    if "RECORD" in os.environ:
        RULES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    known = json.loads(RULES.read_text(encoding="utf-8"))
    assert [f"{written(each.path)}: was {each.old}, is {each.new}" for each in differences(known, found)] == []


def test_each_tenant_gets_a_policy_and_a_binding_before_its_virtual_cluster(declare: Declare) -> None:
    recorder = declare("lab")
    policies = recorder.of_type("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy")
    bindings = recorder.of_type("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding")
    teams = {found.inputs["name"] for found in recorder.of_type("gpu-tenancy:index:Team")}
    assert {found.metadata["labels"]["gpu-tenancy/team"] for found in policies} == teams
    bound = [found.inputs["spec"] for found in bindings]
    for policy in policies:
        assert {"policyName": policy.metadata["name"], "validationActions": ["Deny"]} in bound
    assert len(bound) == len(policies)
    release = recorder.one("kubernetes:helm.sh/v3:Release", "ml-virtual-cluster-vcluster")
    assert any(urn.endswith("::ml-admission-binding") for urn in release.dependencies)


def test_a_policy_is_about_its_own_namespace_and_fails_closed() -> None:
    tenant = tenants()["vision"]
    spec = policy_spec(tenant, rules(tenant, NOBODY, "nvidia"))
    match = spec["matchConstraints"]
    assert match["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "team-vision"}}
    judged = {resource for found in match["resourceRules"] for resource in found["resources"]}
    # what makes, changes, extends, resizes or binds a pod, and what it may claim
    assert {"pods", "pods/ephemeralcontainers", "pods/resize", "pods/binding"} <= judged
    assert {"persistentvolumeclaims", "services", "resourceclaims", "resourceclaimtemplates"} <= judged
    assert all(found["operations"] == ["CREATE", "UPDATE"] for found in match["resourceRules"])
    assert spec["failurePolicy"] == "Fail"


def test_every_message_names_rule_and_team() -> None:
    for name, tenant in tenants().items():
        found = rules(tenant, NOBODY, "nvidia")
        for rule, validation in zip(found, policy_spec(tenant, found)["validations"], strict=True):
            told = f"gpu-tenancy rule {rule.name}, team {name}: {rule.fix}"
            if rule.offenders is None:
                assert validation["message"] == told
            else:
                assert validation["messageExpression"].startswith(text(told))


def test_what_breaks_a_rule_is_said_once_and_after_what_it_needs() -> None:
    for tenant, strangers in every_kind().values():
        found = rules(tenant, strangers, "nvidia")
        spec = policy_spec(tenant, found)
        variables = {each["name"]: each["expression"] for each in spec["variables"]}
        assert len(variables) == len(spec["variables"])
        for rule in found:
            if rule.offenders is not None:
                assert variables[variable(rule.name)] == rule.offenders
                assert json.dumps(spec).count(json.dumps(rule.offenders)[1:-1]) == 1
        # the server knows a variable only behind its declaration
        before: set[str] = set()
        for name, expression in variables.items():
            assert set(re.findall(r"variables\.(\w+)", expression)) <= before
            before.add(name)
        assert set(re.findall(r"variables\.(\w+)", str(spec["validations"]))) <= before


@pytest.mark.parametrize(
    ("kind", "most"), [("vision", 17_000), ("web", 17_000), ("speech", 11_000), ("serving", 19_000)]
)
def test_a_policy_is_small_because_the_state_has_it_three_times(kind: str, most: int) -> None:
    tenant, strangers = every_kind()[kind]
    assert len(json.dumps(policy_spec(tenant, rules(tenant, strangers, "nvidia")))) < most


@pytest.mark.parametrize(
    ("value", "written"),
    [("a", "'a'"), ("node's", '"node\'s"'), ("'\"", "'\\'\"'"), (r"^a\.b$", r"'^a\\.b$'"), (Kind.POD, "'Pod'")],
)
def test_a_text_is_quoted_as_cel_reads_it(value: str, written: str) -> None:
    assert text(value) == written
    assert listed([value, "b"]) == f"[{written},'b']"


def test_rules_follow_mode_and_level() -> None:
    found = tenants(web={"isolation": "privileged"})
    virtual = [*ISOLATION, *ACCOUNT, "own-nodes", "own-scheduler", *GPUS, *OBJECTS]
    assert rule_names(found, "vision") == virtual
    assert rule_names(found, "speech-canary") == virtual
    by_kai = ["own-scheduler", "own-queues", "gpus-through-kai", "no-kai-marks"]
    assert rule_names(found, "serving") == [*ISOLATION, *ACCOUNT, "own-nodes", *by_kai, *GPUS, *OBJECTS]
    assert rule_names(found, "web") == [*ACCOUNT, "own-nodes", "own-scheduler", *GPUS, *OBJECTS]


def test_only_a_kai_that_is_the_clusters_counts_pods_of_other_namespaces() -> None:
    found = tenants()
    assert others(found, "vision").queues == ()
    strangers = others(found, "vision", foreign_kai=True)
    batch = ("batch", "batch-nightly", "batch-gpu-check")
    assert strangers.queues == ("serving", "serving-online", "serving-gpu-check", *batch)
    assert others(found, "serving", foreign_kai=True).queues == batch
    guarded = [rule.name for rule in rules(found["vision"], strangers, "nvidia")]
    assert guarded.count("not-the-hosts-queues") == 1
    assert "not-the-hosts-queues" not in rule_names(found, "vision")


def test_a_team_without_a_pool_has_no_node_of_its_own() -> None:
    web = tenants()["web"]
    anywhere = replace(web, pool_name=None, pool=None, nodes=(), node_selector={})
    placed = {rule.name: rule for rule in rules(anywhere, NOBODY, "nvidia")}
    assert "the team has no pool" in placed["own-nodes"].fix
    assert "own-binding" not in placed
    assert "cpu-0" in next(rule for rule in rules(web, NOBODY, "nvidia") if rule.name == "own-nodes").fix


def test_a_kai_that_needs_the_default_runtime_gives_every_pod_the_runtime_class() -> None:
    found = resolve(parse_platform(platform_of("dev"), "test"))
    assert found["research"].kai is not None
    assert found["research"].kai.fractions_need_default_runtime
    for team, every_pod in (("research", True), ("ml", False), ("dev", False)):
        rule = next(rule for rule in rules(found[team], NOBODY, "nvidia") if rule.name == "runtime-class-for-gpus")
        assert ("(true)" in rule.expression) is every_pod
        assert "== 'nvidia'" in rule.expression


def test_a_part_of_a_gpu_earns_the_runtime_class_only_where_the_team_shares_gpus() -> None:
    found = tenants()
    for team, shares in (("speech", True), ("vision", False), ("web", False)):
        assert found[team].team.scheduler.shares is shares
        rule = next(rule for rule in rules(found[team], NOBODY, "nvidia") if rule.name == "runtime-class-for-gpus")
        assert ("variables.asksPart" in rule.expression) is shares


@pytest.mark.parametrize("sharing", [{"timeSlicing": {"replicas": 4}}, {"mps": {"replicas": 4}}])
@pytest.mark.parametrize("level", ["baseline", "privileged"])
def test_all_who_share_a_gpu_by_mps_are_one_user_and_the_checks_are_that_user(
    sharing: dict[str, Any], level: str
) -> None:
    platform = platform_of("dev")
    platform["teams"]["ml"]["isolation"] = level
    platform["pools"][platform["teams"]["ml"]["pool"]]["sharing"] = sharing
    found = resolve(parse_platform(platform, "test"))["ml"]
    users = [rule for rule in rules(found, NOBODY, "nvidia") if rule.name == "one-mps-user"]
    assert bool(users) is ("mps" in sharing)
    assert all(f"!= {pod_security()['runAsUser']} " in (rule.offenders or "") for rule in users)


def test_others_are_told_apart_by_name() -> None:
    found = tenants()
    strangers = others(found, "vision")
    assert "h200-3" not in strangers.nodes
    assert {"h200-0", "a100-0"} <= set(strangers.nodes)
    # a canary stands on its team's node: that node is not a stranger's
    assert "a100-0" not in others(found, "speech").nodes


@pytest.mark.parametrize("level", ["restricted", "baseline"])
def test_levels_differ_in_what_a_container_may_add(level: str) -> None:
    found = tenants(web={"isolation": level})["web"]
    added = next(rule for rule in rules(found, NOBODY, "nvidia") if rule.name == "no-added-capabilities")
    assert added.offenders is not None
    assert ("'CHOWN'" in added.offenders) is (level == "baseline")
    assert "'NET_BIND_SERVICE'" in added.offenders
    assert "SYS_ADMIN" not in added.offenders
