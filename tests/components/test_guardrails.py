"""What bounds a tenant on the host: whole specs."""

from __future__ import annotations

import pytest

import names
from components.team.guardrails import PRIORITY_VALUES
from settings.models import TeamPriority
from tests.components.program import lab
from tests.components.specs import OURS, made, of_team
from tests.conftest import Declare

ML = {"labels": of_team("ml"), "namespace": "team-ml"}
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"]
NO_PART_OF_A_GPU = {f"requests.{name}": "0" for name in names.GPU_RESOURCES if name != "nvidia.com/gpu"}

SPECS = {
    "namespace": {
        "metadata": {
            "name": "team-ml",
            "labels": {
                **of_team("ml"),
                "gpu-tenancy/pool": "a100",
                "pod-security.kubernetes.io/enforce": "baseline",
                "pod-security.kubernetes.io/warn": "baseline",
            },
        }
    },
    "quota": {
        "metadata": {**ML, "name": "tenant"},
        "spec": {
            "hard": {
                # the team's 48 CPU and 256Gi, and 270m and 1622Mi of control plane, DNS and KAI v0.9.3
                "requests.cpu": "48270m",
                "requests.memory": "263766Mi",
                "requests.storage": "100Gi",
                "limits.ephemeral-storage": "5900Gi",
                "pods": "59",
                "services.nodeports": "1",
                "services.loadbalancers": "0",
                **NO_PART_OF_A_GPU,
                "requests.nvidia.com/gpu": "4",
            }
        },
    },
    "limit-range": {
        "metadata": {**ML, "name": "tenant"},
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "default": {"ephemeral-storage": "50Gi"},
                    "defaultRequest": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "0"},
                }
            ]
        },
    },
    "network-tenant": {
        "metadata": {**ML, "name": "tenant"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {}}]}],
            "egress": [
                {"to": [{"podSelector": {}}]},
                {
                    "to": [{"namespaceSelector": {}}],
                    "ports": [
                        {"port": 53, "protocol": "UDP"},
                        {"port": 53, "protocol": "TCP"},
                        {"port": 1053, "protocol": "UDP"},
                        {"port": 1053, "protocol": "TCP"},
                    ],
                },
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}}]},
            ],
        },
    },
    "network-control-plane": {
        "metadata": {**ML, "name": "control-plane"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "vcluster", "release": "ml"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": 8443, "protocol": "TCP"}]}],
            "egress": [{"ports": [{"port": port, "protocol": "TCP"} for port in (443, 6443, 16443, 10250)]}],
        },
    },
    "priority": {
        "metadata": {"name": "team-ml", "labels": of_team("ml")},
        "value": 51,
        "description": "all pods of tenant ml; not comparable with KAI's queue priorities",
    },
}


@pytest.mark.parametrize("child", SPECS)
def test_each_bound_is_what_it_is(declare: Declare, child: str) -> None:
    found = made(declare("lab"), "ml-guardrails")
    assert set(found) == set(SPECS)
    assert found[child].spec == SPECS[child]
    assert found[child].provider == "host-provider"
    assert found[child].goes_with == ""
    if child not in ("namespace", "priority"):
        assert "ml-guardrails-namespace" in found[child].needs


def test_a_team_that_nobody_reaches_from_outside_opens_no_way_in(declare: Declare) -> None:
    def ways(**access: object) -> tuple[str, str]:
        data = lab("dev", teams__dev__access=access, host={"provider": "lab"})
        hard = made(declare(data), "dev-guardrails")["quota"].spec["spec"]["hard"]
        return hard["services.nodeports"], hard["services.loadbalancers"]

    assert ways(expose="nodePort") == ("1", "0")
    assert ways(expose="none") == ("0", "0")
    # a load balancer's Service takes a NodePort, too
    assert ways(expose="loadBalancer", hostNames=["dev.example.com"]) == ("1", "1")


def test_the_level_of_isolation_is_the_namespaces_label(declare: Declare) -> None:
    for level in ("restricted", "baseline", "privileged"):
        spec = made(declare(lab("dev", teams__dev__isolation=level)), "dev-guardrails")["namespace"].spec
        assert spec["metadata"]["labels"] == {
            **OURS,
            "gpu-tenancy/team": "dev",
            "gpu-tenancy/pool": "cpu",
            "pod-security.kubernetes.io/enforce": level,
            "pod-security.kubernetes.io/warn": level,
        }


def test_a_team_that_uses_the_hosts_kai_can_borrow_whatever_its_order() -> None:
    # KAI goes by the pod's class where no label says otherwise, and what it takes for non-preemptible never borrows
    assert max(PRIORITY_VALUES.values()) < 100
    order = [PRIORITY_VALUES[each] for each in (TeamPriority.HIGH, TeamPriority.STANDARD, TeamPriority.BEST_EFFORT)]
    assert order == sorted(set(order), reverse=True)
    assert order[-1] == 0, "what a pod without a class has: best effort pushes nobody out"
