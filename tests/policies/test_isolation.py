"""A team's guardrails: each rule fires with its words, and stays silent on what is allowed."""

from __future__ import annotations

import pytest

import tokens
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN
from tests.policies.judged import changed, messages, with_, without
from tests.policies.world import guardrails, healthy, resource, team

# --- guardrails -----------------------------------------------------------------------------------------------------


def test_a_team_without_a_limit_range_is_refused() -> None:
    assert messages("limit-range", without(tokens.LIMIT_RANGE)) == [
        "team ml: no LimitRange in host namespace team-ml; create one with default requests and limits"
    ]
    assert len(messages("limit-range", [team(), *guardrails("vision")])) == 1
    assert messages("limit-range", healthy()) == []


@pytest.mark.parametrize(
    "limits",
    [
        [{"type": "Container"}],
        [{"type": "Container", "default": {"memory": "1Gi"}}],
        # a pod's own bound is no default: a container without a limit would be refused
        [{"type": "Pod", "default": {"ephemeral-storage": "50Gi"}}],
        [],
    ],
)
def test_a_limit_range_that_leaves_disk_open_is_refused(limits: object) -> None:
    (found,) = (r for r in healthy() if r.type == tokens.LIMIT_RANGE)
    assert messages("limit-range", with_(changed(found, "spec/limits", limits))) == [
        "team ml: LimitRange ml-limits has no default limit of ephemeral-storage for containers, so one pod may fill "
        "its node's disk; set limits[].default.ephemeral-storage"
    ]


def network(spec: object, name: str = "ml-deny") -> PolicyResource:
    return resource(tokens.NETWORK_POLICY, name, {"metadata": {"name": name, "namespace": "team-ml"}, "spec": spec})


DENY: dict[str, object] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize(
    "spec",
    [
        DENY | {"policyTypes": ["Ingress"]},
        DENY | {"policyTypes": ["Egress"]},
        DENY | {"podSelector": {"matchLabels": {"app": "x"}}},
        DENY | {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
        {},
    ],
)
def test_a_policy_that_leaves_a_pod_or_a_direction_out_is_no_default_deny(spec: object) -> None:
    world = without(tokens.NETWORK_POLICY) if spec == {} else with_(network(spec))
    assert messages("default-deny-network", world) == [
        "team ml: no default-deny NetworkPolicy in host namespace team-ml; create one with an empty podSelector and "
        "policyTypes Ingress and Egress"
    ]


@pytest.mark.parametrize(
    ("direction", "rule"),
    [
        ("ingress", {}),
        ("egress", {}),
        ("ingress", {"from": []}),
        ("ingress", {"from": [{"namespaceSelector": {}}]}),
        ("ingress", {"from": [{"namespaceSelector": {"matchLabels": {}}, "podSelector": {"matchExpressions": []}}]}),
        ("egress", {"to": [{"podSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "::/0", "except": []}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "0::/0"}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "10.0.0.0/0"}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "128.0.0.0/1"}}]}),
        ("egress", {"ports": [{"port": 1, "endPort": 65535}]}),
        ("egress", {"ports": [{"port": 32768, "endPort": 65535}]}),
        ("egress", {"ports": [{"port": 1, "endPort": 32767}, {"port": 32768, "endPort": 65535}]}),
        ("ingress", {"ports": [{"protocol": "TCP"}]}),
        ("ingress", {"ports": [{"port": 53}, {}]}),
        *(
            ("ingress", {"from": [{"namespaceSelector": {"matchExpressions": [{"key": "k", **operator}]}}]})
            for operator in (
                {"operator": "Exists"},
                {"operator": "DoesNotExist"},
                {"operator": "NotIn", "values": ["a"]},
            )
        ),
    ],
)
def test_a_rule_that_lets_every_peer_in_or_out_is_refused(direction: str, rule: object) -> None:
    peers = "from" if direction == "ingress" else "to"
    opened = network(DENY | {direction: [rule]}, "ml-open")
    assert messages("default-deny-network", [*healthy(), opened]) == [
        f"team ml: NetworkPolicy ml-open allows {direction} of every peer on every port; name peers in {peers!r}, or "
        "ports"
    ]


@pytest.mark.parametrize(
    ("direction", "rule"),
    [
        ("ingress", {"ports": [{"port": 8443}]}),
        ("ingress", {"ports": [{"port": 1, "endPort": 32767}]}),
        ("ingress", {"ports": [{"port": "https"}, {"port": 30000, "endPort": 32767}]}),
        (
            "ingress",
            {"from": [{"namespaceSelector": {"matchExpressions": [{"key": "k", "operator": "In", "values": ["a"]}]}}]},
        ),
        ("egress", {"to": [{"ipBlock": {"cidr": "0.0.0.0/1"}}]}),
        ("egress", {"to": [{"namespaceSelector": {}}], "ports": [{"port": 53}]}),
        ("egress", {"to": [{"podSelector": {}}]}),
        ("egress", {"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}),
        ("egress", {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "dns"}}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}),
        ("egress", {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}),
    ],
)
def test_a_rule_with_named_peers_or_ports_passes(direction: str, rule: object) -> None:
    assert messages("default-deny-network", [*healthy(), network(DENY | {direction: [rule]}, "ml-more")]) == []


def test_rules_that_let_everybody_in_together_are_refused() -> None:
    halves = [{"to": [{"ipBlock": {"cidr": half}}]} for half in ("0.0.0.0/1", "128.0.0.0/1")]
    assert (
        "allows egress of every peer"
        in messages("default-deny-network", [*healthy(), network(DENY | {"egress": halves}, "ml-halves")])[0]
    )


def test_a_half_with_an_exception_does_not_make_everybody() -> None:
    halves = [{"cidr": "0.0.0.0/1"}, {"cidr": "128.0.0.0/1", "except": ["203.0.113.0/24"]}]
    apart = [{"to": [{"ipBlock": half}]} for half in halves]
    assert messages("default-deny-network", [*healthy(), network(DENY | {"egress": apart}, "ml-halves")]) == []


def test_what_lets_everybody_in_is_named_and_what_stands_beside_it_is_not() -> None:
    peers = {
        "ml-open": {"ipBlock": {"cidr": "0.0.0.0/0"}},
        "ml-but-one": {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}},
        "ml-own": {"podSelector": {}},
    }
    beside = [network(DENY | {"egress": [{"to": [peer]}]}, name) for name, peer in peers.items()]
    (found,) = messages("default-deny-network", [*healthy(), *beside])
    assert "ml-open allows egress of every peer" in found


def of_ports(first: int, last: int, name: str, **peers: object) -> PolicyResource:
    rule = {"ports": [{"port": first, "endPort": last}], **peers}
    return network({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}, name)


def test_ports_that_several_policies_allow_to_everybody_add_up() -> None:
    thirds = [(1, 22000), (22001, 44000), (44001, 65535)]
    parts = [of_ports(*ports, f"ml-part-{place}") for place, ports in enumerate(thirds)]
    said = [f"NetworkPolicy ml-part-{place} allows egress of every peer on every port" for place in range(3)]
    found = messages("default-deny-network", [*healthy(), *parts])
    assert [line.removeprefix("team ml: ").partition(";")[0] for line in found] == said
    # a third is not every port, and two of three with peers of their own are not everybody
    assert messages("default-deny-network", [*healthy(), parts[0]]) == []
    named = [of_ports(*ports, f"ml-named-{ports[0]}", to=[{"podSelector": {}}]) for ports in thirds[1:]]
    assert messages("default-deny-network", [*healthy(), parts[0], *named]) == []


def test_peers_that_several_policies_allow_add_up() -> None:
    halves = [
        network({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": half}}]}]}, name)
        for half, name in (("0.0.0.0/1", "ml-low"), ("128.0.0.0/1", "ml-high"))
    ]
    assert messages("default-deny-network", [*healthy(), halves[0]]) == []
    assert [line.split()[3] for line in messages("default-deny-network", [*healthy(), *halves])] == [
        "ml-low",
        "ml-high",
    ]


def test_a_block_that_is_none_can_not_be_judged() -> None:
    odd = network(DENY | {"egress": [{"to": [{"ipBlock": {"cidr": "everywhere"}}]}]}, "ml-odd")
    assert "'everywhere' is no block of addresses" in messages("default-deny-network", [*healthy(), odd])[0]


def test_a_peer_that_is_not_known_is_a_violation() -> None:
    opened = network(DENY | {"ingress": [{"from": [{"namespaceSelector": UNKNOWN}]}]}, "ml-open")
    assert "namespaceSelector is not known at preview" in messages("default-deny-network", [*healthy(), opened])[0]


def namespace(level: str | None, name: str = "team-ml") -> PolicyResource:
    labels = {tokens.POD_SECURITY_LABEL: level} if level else {}
    return resource(tokens.NAMESPACE, "team-ml", {"metadata": {"name": name, "labels": labels}})


@pytest.mark.parametrize(
    ("declared", "enforced", "fires"),
    [
        ("restricted", "restricted", False),
        ("restricted", "baseline", True),
        ("baseline", "restricted", False),
        ("baseline", "baseline", False),
        ("baseline", "privileged", True),
        ("baseline", None, True),
        ("baseline", "none-such", True),
        ("privileged", None, False),
    ],
)
def test_the_namespace_enforces_at_least_the_declared_level(declared: str, enforced: str | None, fires: bool) -> None:
    found = messages("pod-security-level", [namespace(None, "other"), team(isolation=declared), namespace(enforced)])
    assert len(found) == fires
    if fires:
        assert found[0] == (
            f"team ml: namespace team-ml enforces Pod Security level {enforced or 'privileged'!r}, declared is "
            f"{declared!r}; "
            f"set label pod-security.kubernetes.io/enforce: {declared}"
        )


def test_a_team_without_a_namespace_is_refused() -> None:
    for world in ([team()], [team(), namespace("baseline", "team-vision")]):
        assert messages("pod-security-level", world) == [
            "team ml: no host namespace team-ml; create it with label pod-security.kubernetes.io/enforce: baseline"
        ]


def test_a_level_that_does_not_exist_is_refused() -> None:
    assert messages("pod-security-level", [team(isolation="strict"), namespace("restricted")]) == [
        "team ml: isolation 'strict' is unknown; use one of privileged, baseline, restricted"
    ]


def test_a_namespace_whose_name_is_not_known_hides_nothing() -> None:
    hidden = resource(tokens.NAMESPACE, "other", {"metadata": {"name": UNKNOWN}})
    assert messages("pod-security-level", [hidden, team(), namespace("baseline")]) == []


def test_a_second_namespace_of_the_name_is_judged_too() -> None:
    # the one that is applied last is what the host has
    open_ = resource(tokens.NAMESPACE, "again", {"metadata": {"name": "team-ml"}})
    assert "enforces Pod Security level 'privileged'" in messages("pod-security-level", [*healthy(), open_])[0]


@pytest.mark.parametrize(("version", "count"), [("v1.20", 1), ("latest", 0)])
def test_a_namespace_is_held_to_todays_pod_security(version: str, count: int) -> None:
    labels = {tokens.POD_SECURITY_LABEL: "baseline", f"{tokens.POD_SECURITY_LABEL}-version": version}
    pinned = resource(tokens.NAMESPACE, "team-ml", {"metadata": {"name": "team-ml", "labels": labels}})
    said = f"namespace team-ml enforces Pod Security as of {version}, which lacks what came later"
    fix = f"remove label {tokens.POD_SECURITY_LABEL}-version"
    assert messages("pod-security-level", with_(pinned)) == [f"team ml: {said}; {fix}"] * count
