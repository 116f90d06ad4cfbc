"""Isolation: a team's namespace on the host has its guardrails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

import tokens
from names import team_namespace
from policies.facts import team_name
from policies.inventory import PolicyResource
from policies.plain import Unreadable, get, mapping, mappings, maybe_text, text, texts, whole
from policies.rule import Group, Scene, Stage, describe, rule

POD_SECURITY_ORDER: Final = ("privileged", "baseline", "restricted")
"""From the least to the most strict (Kubernetes' Pod Security Standards)."""


DISK: Final = "ephemeral-storage"
"""What a pod writes to its node: its own files, its logs, its emptyDirs."""
MOST_PORTS: Final = 32_768
"""Ranges with half of all ports count as every port."""

_rule = partial(rule, group=Group.ISOLATION)


@_rule("limit-range", "Each team's host namespace has a LimitRange.", tokens.TEAM, stage=Stage.STACK)
def limit_range(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """Without it a pod without requests is refused or has no limits."""
    name = team_name(team)
    ranges = scene.inventory.in_namespace(tokens.LIMIT_RANGE, team_namespace(name))
    if not ranges:
        yield f"team {name}: no LimitRange in host namespace team-{name}; create one with default requests and limits"
    elif not any(
        get(limit, "default", DISK) is not None and maybe_text(limit, "type") == "Container"
        for found in ranges
        for limit in mappings(found.properties, "spec", "limits")
    ):
        yield (
            f"team {name}: {describe(ranges[0])} has no default limit of {DISK} for containers, so one pod may fill "
            f"its node's disk; set limits[].default.{DISK}"
        )


@_rule(
    "default-deny-network",
    "Each team's host namespace denies network traffic that no policy allows.",
    tokens.TEAM,
    stage=Stage.STACK,
)
def default_deny(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """A NetworkPolicy selects every pod of the namespace for both directions, and none allows everything."""
    name = team_name(team)
    policies = scene.inventory.in_namespace(tokens.NETWORK_POLICY, team_namespace(name))
    if not any(_denies_by_default(policy) for policy in policies):
        yield (
            f"team {name}: no default-deny NetworkPolicy in host namespace team-{name}; create one with an empty "
            "podSelector and policyTypes Ingress and Egress"
        )
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for policy in _open(policies, direction, peers):
            yield (
                f"team {name}: {describe(policy)} allows {direction} of every peer on every port; name peers in "
                f"{peers!r}, or ports"
            )


def _open(policies: Iterable[PolicyResource], direction: str, peers: str) -> list[PolicyResource]:
    """The policies of a namespace that let everybody in at every port, or out: what several allow adds up."""
    rules = [(policy, rule) for policy in policies for rule in mappings(policy.properties, "spec", direction)]
    at_all_ports = [(policy, mappings(rule, peers)) for policy, rule in rules if _every_port([rule])]
    if any(not found for _, found in at_all_ports) or _everybody([peer for _, found in at_all_ports for peer in found]):
        whose = [policy for policy, found in at_all_ports if not found or any(map(_is_wide, found))]
    else:
        to_all = [(policy, rule) for policy, rule in rules if _to_everybody(mappings(rule, peers))]
        whose = [policy for policy, _ in to_all] if to_all and _every_port([rule for _, rule in to_all]) else []
    return [policy for place, policy in enumerate(whose) if policy not in whose[:place]]


def _to_everybody(peers: Sequence[Mapping[str, object]]) -> bool:
    return not peers or _everybody(peers)


def _is_wide(peer: Mapping[str, object]) -> bool:
    """Whether a peer may be a part of everybody: any namespace, or a block without exceptions."""
    return _any_namespace(peer) or bool(maybe_text(peer, "ipBlock", "cidr") and not texts(peer, "ipBlock", "except"))


def _every_port(rules: Iterable[Mapping[str, object]]) -> bool:
    """Whether rules are together about every port, or about half of them and more."""
    there = [mappings(rule, "ports") for rule in rules]
    # an item without a port means all ports of its protocol
    if any(not ports or any(get(port, "port") is None for port in ports) for ports in there):
        return True
    ranges = [port for ports in there for port in ports if get(port, "endPort") is not None]
    return sum(whole(port, "endPort") - whole(port, "port") + 1 for port in ranges) >= MOST_PORTS


def _everybody(peers: Iterable[Mapping[str, object]]) -> bool:
    """Whether the peers are everybody: any namespace, or blocks that add up to all addresses."""
    networks = []
    for peer in peers:
        if _any_namespace(peer):
            return True
        block = maybe_text(peer, "ipBlock", "cidr")
        if block and not texts(peer, "ipBlock", "except"):
            networks.append(_network(block))
    four = [*collapse_addresses(found for found in networks if isinstance(found, IPv4Network))]
    six = [*collapse_addresses(found for found in networks if isinstance(found, IPv6Network))]
    return any(found.prefixlen == 0 for found in four) or any(found.prefixlen == 0 for found in six)


def _network(block: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(block, strict=False)  # the API server accepts 10.0.0.0/0, too
    except ValueError:
        raise Unreadable(f"ipBlock.cidr {block!r} is no block of addresses, so this cannot be checked") from None


def _any_namespace(peer: Mapping[str, object]) -> bool:
    if get(peer, "namespaceSelector") is None:
        return False
    selector = mapping(peer, "namespaceSelector")
    # the other operators match namespaces that nobody expects
    named = mapping(selector, "matchLabels") or any(
        text(found, "operator") == "In" for found in mappings(selector, "matchExpressions")
    )
    return not named and _selects_all(peer)


def _denies_by_default(policy: PolicyResource) -> bool:
    spec = mapping(policy.properties, "spec")
    return _selects_all(spec) and {"Ingress", "Egress"} <= set(texts(spec, "policyTypes"))


def _selects_all(properties: Mapping[str, object]) -> bool:
    selector = mapping(properties, "podSelector")
    return not mapping(selector, "matchLabels") and not mappings(selector, "matchExpressions")


@_rule(
    "pod-security-level",
    "Each team's host namespace enforces the Pod Security level that the team declares.",
    tokens.TEAM,
    stage=Stage.STACK,
)
def pod_security(team: PolicyResource, scene: Scene) -> Iterator[str]:
    name, declared = team_name(team), text(team.properties, "isolation")
    if declared not in POD_SECURITY_ORDER:
        yield f"team {name}: isolation {declared!r} is unknown; use one of {', '.join(POD_SECURITY_ORDER)}"
        return
    found = scene.inventory.of_name(tokens.NAMESPACE, team_namespace(name))
    if not found:
        label = f"{tokens.POD_SECURITY_LABEL}: {declared}"
        yield f"team {name}: no host namespace team-{name}; create it with label {label}"
    for namespace in found:
        level = maybe_text(namespace.properties, "metadata", "labels", tokens.POD_SECURITY_LABEL) or "privileged"
        if level not in POD_SECURITY_ORDER or POD_SECURITY_ORDER.index(level) < POD_SECURITY_ORDER.index(declared):
            yield (
                f"team {name}: namespace team-{name} enforces Pod Security level {level!r}, declared is {declared!r}; "
                f"set label {tokens.POD_SECURITY_LABEL}: {declared}"
            )
        version = maybe_text(namespace.properties, "metadata", "labels", f"{tokens.POD_SECURITY_LABEL}-version")
        if version not in (None, "latest"):
            yield (
                f"team {name}: namespace team-{name} enforces Pod Security as of {version}, which lacks what came "
                f"later; remove label {tokens.POD_SECURITY_LABEL}-version"
            )


RULES: Final = (limit_range, default_deny, pod_security)
