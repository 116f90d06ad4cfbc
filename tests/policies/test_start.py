"""The pack as the engine's server calls it: a resource is taken apart once, whatever the number of rules."""

from __future__ import annotations

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy
from pulumi_policy import policy as sdk

import tokens
from policies.pack import NAME, build_policies
from policies.start import read_once
from tests.policies.world import healthy, resource

EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


@pytest.fixture
def taken_apart(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the SDK reads as JSON; its module is as before afterwards."""
    found: list[object] = []

    class Counting:
        @staticmethod
        def MessageToDict(message: object) -> object:  # noqa: N802
            found.append(message)
            return json_format.MessageToDict(message)

    for name in ("deserialize_properties", "unknown_checking_proxy"):
        monkeypatch.setattr(sdk, name, getattr(sdk, name))
    monkeypatch.setattr(sdk, "json_format", Counting)
    return found


def answers() -> list[bytes]:
    """What the pack says of a healthy team, and of a ClusterRole that may do everything."""
    server = sdk._PolicyAnalyzerServicer(NAME, "1", build_policies(), EnforcementLevel.MANDATORY, None)
    server._configure_runtime_settings = lambda: None
    found = []
    for one in [*healthy(), resource(tokens.CLUSTER_ROLE, "greedy", {"rules": [EVERYTHING]})]:
        request = analyzer_pb2.AnalyzeRequest(type=one.type, urn=one.urn, name=one.name)
        json_format.ParseDict(dict(one.properties), request.properties)
        for answer in (server.Remediate(request, None), server.Analyze(request, None)):
            found.append(answer.SerializeToString(deterministic=True))
    return found


def test_a_resource_is_taken_apart_once_and_the_rules_say_the_same(taken_apart: list[object]) -> None:
    policies = sum(isinstance(policy, ResourceValidationPolicy) for policy in build_policies())
    before = answers()
    by_the_sdk = len(taken_apart)
    assert any(b"ClusterRole greedy" in answer for answer in before), "there is something to say"
    taken_apart.clear()
    read_once()
    assert answers() == before
    assert len(taken_apart) * (policies + 1) == by_the_sdk
