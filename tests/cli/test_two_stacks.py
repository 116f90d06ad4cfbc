"""Two stacks of this program on one cluster: neither takes the other's nodes, namespaces or ports for its own."""

from __future__ import annotations

from typing import Any

import pytest

from cli.cluster import connected, target_of
from cli.guards.live import compared
from cli.live import read_facts
from cli.preflight import EVERYBODYS, NOBODYS, Finding, Level, Whose
from settings.load import parse_platform
from tests.cli.fake_api import FakeApi, kubeconfig, named, node

LABELS = {"app.kubernetes.io/managed-by": "gpu-tenancy"}
OURS = Whose(spaces=frozenset({"team-ml"}), managers=frozenset({"pulumi-kubernetes-ours"}))


def labelled(manager: str, *, pool: str = "a") -> dict[str, Any]:
    """A node of 4 GPUs that a stack has put into its pool."""
    fields = {"f:metadata": {"f:labels": {"f:gpu-tenancy/pool": {}}}, "f:spec": {"f:taints": {}}}
    entry = {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}
    found = node("gpu-0", gpus=4, labels={"gpu-tenancy/pool": pool})
    found["metadata"]["managedFields"] = [entry]
    return found


def pod(team: str) -> dict[str, Any]:
    """A team's pod on that node, with 3 GPUs and 8 cores."""
    limits = {"requests": {"cpu": "8", "nvidia.com/gpu": "3"}, "limits": {"nvidia.com/gpu": "3"}}
    spec = {"nodeName": "gpu-0", "containers": [{"name": "c", "image": "x", "resources": limits}]}
    return named("Pod", "v1", "train", metadata={"namespace": f"team-{team}"}, spec=spec, status={"phase": "Running"})


@pytest.fixture
def cluster(api: FakeApi) -> FakeApi:
    """The teams `ml` and `theirs`, of two stacks."""
    api.objects["/api/v1/namespaces"] = [
        named("Namespace", "v1", f"team-{team}", metadata={"labels": LABELS}) for team in ("ml", "theirs")
    ]
    api.objects["/api/v1/pods"] = [pod("ml"), pod("theirs")]
    api.objects["/api/v1/nodes"] = [labelled("pulumi-kubernetes-ours")]
    service = named("Service", "v1", "theirs-api", metadata={"namespace": "team-theirs", "labels": LABELS})
    api.objects["/api/v1/services"] = [{**service, "spec": {"ports": [{"port": 443, "nodePort": 30443}]}}]
    return api


def findings(api: FakeApi, whose: Whose, team: str = "ml") -> dict[str, Finding]:
    """The errors of a stack file with one team on that node."""
    mine = {
        "pool": "a",
        "scheduler": {"mode": "virtual", "version": "v0.16.8"},
        "resources": {"gpus": 2},
        "queues": {"training": {"gpu": 2}},
    }
    data = {
        "host": {"provider": "existing", "context": "here", "address": "127.0.0.1"},
        "gpu": {"stack": "fake"},
        "pools": {"a": {"nodes": ["gpu-0"], "gpusPerNode": 4}},
        "teams": {team: mine},
    }
    with connected(target_of(kubeconfig(api.url), "here")) as client:
        found = compared(parse_platform(data, "here"), client, "v1.34.4", whose=whose)
    return {one.id: one for one in found if one.level is Level.ERROR}


def facts(api: FakeApi, whose: Whose) -> Any:
    with connected(target_of(kubeconfig(api.url), "here")) as client:
        return read_facts(client, (), version="v1.34.4", whose=whose)


@pytest.mark.parametrize(
    ("whose", "manager", "ours"),
    [
        (OURS, "pulumi-kubernetes-ours", True),
        (OURS, "pulumi-kubernetes-theirs", False),
        (NOBODYS, "pulumi-kubernetes-ours", False),
        (EVERYBODYS, "pulumi-kubernetes-theirs", True),
        (EVERYBODYS, "kubectl", False),
    ],
)
def test_a_node_in_a_pool_of_the_same_name_is_ours_by_the_field_manager_of_our_state(
    cluster: FakeApi, whose: Whose, manager: str, ours: bool
) -> None:
    cluster.objects["/api/v1/nodes"] = [labelled(manager)]
    found = facts(cluster, whose).nodes["gpu-0"]
    assert (bool(found.ours), found.taints_are_ours) == (ours, ours)
    assert ("node-of-others" in findings(cluster, whose)) is not ours


def test_a_node_of_another_stack_s_other_pool_is_not_said_to_move(cluster: FakeApi) -> None:
    cluster.objects["/api/v1/nodes"] = [labelled("pulumi-kubernetes-theirs", pool="b")]
    assert set(findings(cluster, OURS)) == {"node-of-others"}


@pytest.mark.parametrize(("whose", "used"), [(OURS, {"team-theirs/train": 3}), (EVERYBODYS, {})])
def test_what_another_stack_s_tenants_use_is_in_use(cluster: FakeApi, whose: Whose, used: dict[str, int]) -> None:
    found = facts(cluster, whose).nodes["gpu-0"]
    assert found.used_gpus == used
    assert found.used_cpu == (8 if used else 0)


def test_a_team_whose_namespace_is_another_stack_s_is_refused(cluster: FakeApi) -> None:
    assert "namespace-exists" in findings(cluster, OURS, "theirs")
    assert "namespace-exists" not in findings(cluster, OURS, "ml")
    assert "namespace-exists" not in findings(cluster, EVERYBODYS, "theirs")


def test_a_port_of_another_stack_s_service_is_not_ours(cluster: FakeApi) -> None:
    assert facts(cluster, OURS).node_ports[30443].ours is False
    assert facts(cluster, EVERYBODYS).node_ports[30443].ours is True
