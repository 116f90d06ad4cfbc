"""The pack as the engine's server calls it: a resource is taken apart once, whatever the number of rules."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]  # it brings no types
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel
from pulumi_policy import policy as sdk

import tokens
from policies import start
from policies.pack import NAME, build_policies
from policies.start import Kept, read_once
from tests.policies.world import healthy, resource

EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
RESOURCES = [*healthy(), resource(tokens.CLUSTER_ROLE, "greedy", {"rules": [EVERYTHING]})]


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
    server: Any = sdk._PolicyAnalyzerServicer(NAME, "1", build_policies(), EnforcementLevel.MANDATORY, None)
    server._configure_runtime_settings = lambda: None
    found, stack = [], analyzer_pb2.AnalyzeStackRequest()
    for one in RESOURCES:
        request = analyzer_pb2.AnalyzeRequest(type=one.type, urn=one.urn, name=one.name)
        json_format.ParseDict(dict(one.properties), request.properties)
        stack.resources.add(type=one.type, urn=one.urn, name=one.name, properties=request.properties)
        found += [server.Remediate(request, None), server.Analyze(request, None)]
    return [answer.SerializeToString(deterministic=True) for answer in [*found, server.AnalyzeStack(stack, None)]]


def test_a_resource_is_taken_apart_once_and_the_rules_say_the_same(taken_apart: list[object]) -> None:
    before, by_the_sdk = answers(), len(taken_apart)
    assert any(b"ClusterRole greedy" in answer for answer in before), "there is something to say"
    # once to remediate, and once for each rule of a resource or of the whole stack
    assert by_the_sdk == len(RESOURCES) * (1 + len(build_policies()))
    taken_apart.clear()
    read_once()
    assert answers() == before
    assert len(taken_apart) == len(RESOURCES) * 2, "once as it comes by, and once as part of the stack"


def test_what_was_asked_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "KEPT", 2)
    asked: list[object] = []
    kept = Kept(lambda about, *more: asked.append((about, *more)) or len(asked))  # type: ignore[func-returns-value]
    one, two, three = [1], [1], [1]
    assert [kept(one), kept(one), kept(one, True), kept(two), kept(two), kept(three)] == [1, 1, 2, 3, 3, 4]
    assert [kept(two), kept(three)] == [3, 4]
    assert kept(one) == 5, "two others came since"


def test_two_threads_never_forget_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "KEPT", 1)
    kept, alone = Kept(id), list[bool]()

    class Watched(dict[Any, Any]):
        def __delitem__(self, key: object) -> None:
            alone.append(kept._one_at_a_time.locked())
            super().__delitem__(key)

    kept._answers = Watched()
    assert kept(one := [1]) == id(one)
    assert kept(two := [1]) == id(two)
    assert alone == [True]
    assert len(kept._answers) == 1
