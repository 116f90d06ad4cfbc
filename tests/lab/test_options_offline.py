"""Options of a resource that the lab would overlook are refused, and not answered as if they were kept."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from pulumi.runtime.proto import alias_pb2, resource_pb2

from lab.engine import Backend, Monitor, Recorded
from lab.state import State


@pytest.mark.parametrize(
    ("option", "request_"),
    [
        ("aliases", resource_pb2.RegisterResourceRequest(aliases=[alias_pb2.Alias(urn="urn:old")])),
        (
            "aliases",
            resource_pb2.RegisterResourceRequest(aliases=[alias_pb2.Alias(spec=alias_pb2.Alias.Spec(name="old"))]),
        ),
        ("aliases", resource_pb2.RegisterResourceRequest(aliasURNs=["urn:old"])),
        ("import_", resource_pb2.RegisterResourceRequest(importId="team-ml")),
        ("replace_with", resource_pb2.RegisterResourceRequest(replace_with=["urn:other"])),
    ],
)
def test_an_option_that_is_not_simulated_fails_its_resource(
    tmp_path: Path, option: str, request_: resource_pb2.RegisterResourceRequest
) -> None:
    steps: list[Recorded] = []
    # nothing is asked of the servers: a backend that is none would end in another error
    monitor = Monitor(cast(Backend, None), State(tmp_path / "state.json"), "salt", steps.append)
    request_.type, request_.name, request_.custom = "kubernetes:core/v1:Namespace", "ml", True
    answer = monitor.RegisterResource(request_)
    assert answer.result == resource_pb2.Result.FAIL
    assert monitor.failures == [
        f"ml (Namespace): lab: the option {option} of ml is not simulated. Fix: leave it out of lab stacks."
    ]
    assert steps == []
