"""A driver that can't hold pods to their part of a GPU is an error, one that is not known a warning."""

from __future__ import annotations

from typing import Any

import pytest

from cli.preflight.driver import driver_findings
from cli.preflight.findings import Level
from cli.preflight.gpus import users_of
from settings.load import parse_platform
from settings.tenants import tenants
from tests.settings.build import TODAY, raw
from tests.settings.test_sharing import OPERATOR, scheduler

LABEL = "nvidia.com/cuda.driver-version.major"


def found(labels: dict[str, str], needed: int = 615) -> list[tuple[str, Level]]:
    node: Any = type("Node", (), {"labels": labels})()
    return [(finding.id, finding.level) for finding in driver_findings(needed, node, "node gpu-0")]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({LABEL: "615"}, []),
        ({"nvidia.com/cuda.driver.major": "620"}, []),
        ({LABEL: "580"}, [("driver-too-old", Level.ERROR)]),
        ({}, [("driver-not-known", Level.WARNING)]),
        ({LABEL: "r615"}, [("driver-not-known", Level.WARNING)]),
    ],
)
def test_the_label_of_feature_discovery_decides(labels: dict[str, str], said: list[tuple[str, Level]]) -> None:
    assert found(labels) == said
    assert found(labels, needed=0) == [], "nobody asks for it"


@pytest.mark.parametrize(("sharing", "needed"), [({"enforce": "memory"}, 615), (True, 0)])
def test_it_is_asked_for_where_a_team_of_the_pool_enforces(sharing: object, needed: int) -> None:
    platform = parse_platform(raw({**scheduler("v0.18.6", sharing), **OPERATOR}), "x", today=TODAY)
    assert users_of(platform, "gpu", tenants(platform)).driver == needed
