"""What bounds a tenant on the host: disk as well as memory, and which namespaces the host's KAI looks at."""

from __future__ import annotations

import pytest

from capacity import parse_quantity
from components.team.guardrails import DEFAULT_LIMIT, DEFAULT_REQUEST
from tests.components.program import alone
from tests.conftest import Declare

LIMIT_RANGE = "kubernetes:core/v1:LimitRange"
NAMESPACE = "kubernetes:core/v1:Namespace"
TEAMS = ("web", "vision", "serving", "batch")
QUOTA = "kubernetes:core/v1:ResourceQuota"
RELEASE = "kubernetes:helm.sh/v3:Release"


def test_a_container_that_says_nothing_may_write_fifty_gibibytes_and_requests_none(declare: Declare) -> None:
    found = declare(alone("prod", *TEAMS)).one(LIMIT_RANGE, "web-guardrails-limit-range").inputs["spec"]["limits"]
    assert found == [
        {
            "type": "Container",
            "default": {"ephemeral-storage": "50Gi"},
            # left out, the API server would take the limit for the request, and 50 pods would fill a node
            "defaultRequest": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "0"},
        }
    ]
    assert set(DEFAULT_LIMIT) <= set(DEFAULT_REQUEST)


@pytest.mark.parametrize("team", ["web", "vision", "serving"])
def test_what_a_teams_pods_may_write_is_bounded_by_their_number(declare: Declare, team: str) -> None:
    hard = declare(alone("prod", *TEAMS)).one(QUOTA, f"{team}-guardrails-quota").inputs["spec"]["hard"]
    per_pod = parse_quantity(hard["limits.ephemeral-storage"]) / int(hard["pods"])
    assert per_pod == 2 * parse_quantity(DEFAULT_LIMIT["ephemeral-storage"])


def test_the_hosts_kai_looks_at_the_namespaces_of_its_own_teams_only(declare: Declare) -> None:
    recorder = declare(alone("prod", *TEAMS))
    wanted = recorder.one(RELEASE, "host-scheduler-release").inputs["values"]["global"]["namespaceLabelSelector"]
    assert wanted == {"gpu-tenancy/scheduler": "host"}
    seen = {
        found.metadata["name"]
        for found in recorder.of_type(NAMESPACE)
        if not found.read and wanted.items() <= found.metadata["labels"].items()
    }
    assert seen == {"team-serving", "team-batch"}
    # a KAI inside a virtual cluster is one tenant's: it looks at everything
    inner = recorder.one(RELEASE, "vision-scheduler-release").inputs["values"]["global"]
    assert "namespaceLabelSelector" not in inner
