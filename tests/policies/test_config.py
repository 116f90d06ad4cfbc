"""Levels and limits: what a file may say, and what is said about a wrong one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from policies.config import (
    FOLDER,
    ConfigError,
    Level,
    Limits,
    PolicyConfig,
    load,
    pack_arguments,
    parse,
    path_for,
    schema,
)
from policies.rules import LIMITS, RULES
from policies.run import config_for
from tests.conftest import ROOT


def test_nothing_said_means_that_everything_blocks() -> None:
    config = parse({}, LIMITS)
    assert config == PolicyConfig()
    assert all(config.level(rule.name) is Level.MANDATORY for rule in RULES)


def test_a_rules_level_wins_over_the_level_for_all() -> None:
    config = parse(
        {"all": "advisory", "gpu-collision": "mandatory", "limit-range": {"enforcementLevel": "disabled"}}, LIMITS
    )
    assert config.level("gpu-collision") is Level.MANDATORY
    assert config.level("limit-range") is Level.DISABLED
    assert config.level("pinned-chart") is Level.ADVISORY


def test_limits_are_read_by_their_names_in_the_file() -> None:
    config = parse(
        {"replicas-maximum": {"maxReplicas": 3}, "pinned-image": {"registries": ["a/"], "requireDigest": True}}, LIMITS
    )
    assert (config.limits.max_replicas, config.limits.registries, config.limits.require_digest) == (3, ("a/",), True)
    assert config.limits.warn_days == 60
    assert config.level("replicas-maximum") is Level.MANDATORY


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "policy config: must be a JSON object by rule name, got list"),
        ({"gpu-colision": "advisory"}, "policy config: gpu-colision: no such rule; did you mean 'gpu-collision'?"),
        ({"zzz": "advisory"}, "policy config: zzz: no such rule"),
        (
            {"limit-range": "loud"},
            "policy config: limit-range.enforcementLevel: must be one of advisory, mandatory, disabled, got 'loud'",
        ),
        (
            {"all": {"enforcementLevel": "remediate"}},
            "policy config: all.enforcementLevel: must be one of advisory, mandatory, disabled, got 'remediate'",
        ),
        ({"zzz": {"maxReplicas": 3}}, "policy config: zzz: no such rule"),
        ({"limit-range": {"maxReplicas": 2}}, "policy config: limit-range.maxReplicas: no such limit; it has none"),
        (
            {"pinned-chart": {"registries": []}},
            "policy config: pinned-chart.registries: no such limit; it has allowLocalCharts, chartSources",
        ),
        (
            {"replicas-maximum": {"maxReplicas": 0}},
            "policy config: maxReplicas: Input should be greater than or equal to 1, got 0",
        ),
        (
            {"replicas-maximum": {"maxReplicas": 1001}},
            "policy config: maxReplicas: Input should be less than or equal to 1000, got 1001",
        ),
        (
            {"support-ends-soon": {"warnDays": -1}},
            "policy config: warnDays: Input should be greater than or equal to 0, got -1",
        ),
    ],
)
def test_a_mistake_is_named_with_the_rule_and_what_was_got(data: object, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(data, LIMITS)
    assert str(raised.value) == said


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse({"zzz": "advisory", "limit-range": "loud", "replicas-maximum": {"maxReplicas": 0}}, LIMITS)
    assert len(str(raised.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("stack", "level"), [("lab", Level.ADVISORY), ("dev", Level.ADVISORY), ("prod", Level.MANDATORY)]
)
def test_the_stacks_own_files_are_valid_and_only_prod_blocks(stack: str, level: Level) -> None:
    config = config_for(stack)
    assert config.default is level
    assert {config.level(rule.name) for rule in RULES if rule.name != "support-ends-soon"} == {level}
    assert config.level("support-ends-soon") is Level.ADVISORY
    assert config.limits.allow_unlimited is (stack != "prod")
    assert config.limits.require_persistence is (stack != "lab")


def test_a_stack_without_a_file_gets_the_strictest_one() -> None:
    own = config_for("customer-7")
    assert replace(own, source="") == replace(config_for("prod"), source="")
    # what to change is a file of its own: prod's would be changed for all
    assert own.source == "policies/config/customer-7.json (a copy of prod.json, which holds while there is none)"
    assert config_for("prod").source == "policies/config/prod.json"
    assert path_for("customer-7") == FOLDER / "prod.json"
    assert path_for("lab") == FOLDER / "lab.json"


@pytest.mark.parametrize(("stack", "of"), [("lab", "lab"), ("prod", "prod"), ("customer-7", "prod")])
def test_the_engine_is_told_the_stacks_own_levels_or_those_of_prod(stack: str, of: str) -> None:
    path = str(ROOT / "policies" / "config" / f"{of}.json")
    assert pack_arguments(stack, ROOT) == ["--policy-pack", "policies", "--policy-pack-config", path]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^none\.json: cannot be read: No such file"):
        load(tmp_path / "none.json", LIMITS)
    bad = tmp_path / "bad.json"
    for text in ("{", "[" * 100_000, "1" * 5000):
        bad.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"^bad\.json: is not JSON: "):
            load(bad, LIMITS)
    bad.write_text(json.dumps({"zzz": "advisory"}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^bad\.json: zzz: no such rule"):
        load(bad, LIMITS)


def test_what_is_allowed_where_a_stack_says_nothing() -> None:
    assert Limits().chart_sources == (
        "oci://ghcr.io/nvidia/",
        "oci://ghcr.io/kai-scheduler/",
        "https://charts.loft.sh",
        "https://nvidia.github.io/k8s-device-plugin",
        "https://nvidia.github.io/dcgm-exporter/helm-charts",
        "https://helm.ngc.nvidia.com/nvidia",
        "oci://ghcr.io/slinkyproject/",
    )
    assert Limits().registries == (
        *("docker.io/pytorch/", "docker.io/vllm/", "docker.io/library/"),
        *("ghcr.io/", "nvcr.io/nvidia/", "registry.k8s.io/"),
    )


def test_every_limit_belongs_to_exactly_one_rule_and_has_a_schema() -> None:
    used = [name for rule in RULES for name in rule.limits]
    assert sorted(used) == sorted(Limits.model_fields)
    for rule in RULES:
        assert all("description" in prop and "default" in prop for prop in schema(rule.limits).values())
