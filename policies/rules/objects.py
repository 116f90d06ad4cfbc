"""Objects of Kubernetes: each has a known kind and known fields, and gives no harmful rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import podspec
import tokens
from names import LABEL_POOL, team_namespace
from policies.facts import team_name
from policies.inventory import PolicyResource
from policies.kinds import FIELDS, MAKERS, METADATA, SECRET_TYPES, SYSTEM_NAMESPACES
from policies.paths import strangers
from policies.plain import flag, get, mapping, mappings, maybe_text, text, texts, whole
from policies.pods import CONTAINERS, pod_spec
from policies.rights import BINDABLE, READ, READABLE, WRITABLE
from policies.rule import Group, Scene, Stage, describe, rule

MOST_PRIORITY: Final = 1000
"""The highest value of a PriorityClass of ours. The system's own begin at 2 * 10^9."""

STAYS: Final = "!object.?metadata.?deletionTimestamp.hasValue()"
"""The only match condition of our admission policies: objects that are being deleted are not judged."""

_rule = partial(rule, group=Group.ISOLATION)


@_rule(
    "known-kinds",
    "Every object of Kubernetes is of a kind that the rules know.",
    tokens.KUBERNETES,
    limits=("allowed_kinds",),
)
def known_kinds(subject: PolicyResource, scene: Scene) -> Iterator[str]:
    """No rule knows what another one does to pods, quotas, rights or admission."""
    if subject.type in scene.limits.allowed_kinds:
        return
    if subject.type in FIELDS:
        yield from _known_place(subject)
        return
    kind = subject.type.rpartition(":")[2]
    why = next((reason for end, reason in MAKERS.items() if kind.endswith(end)), "nothing says what it does")
    yield (
        f"{describe(subject)}: {subject.type} is unknown to the rules: {why}; register objects of a known kind, "
        f"or add it to {scene.option('known-kinds', 'allowed_kinds')}"
    )


def _known_place(subject: PolicyResource) -> Iterator[str]:
    where = ("metadata", "name") if subject.type == tokens.NAMESPACE else ("metadata", "namespace")
    place = maybe_text(subject.properties, *where)
    if place in SYSTEM_NAMESPACES:
        yield f"{describe(subject)}: {place} is Kubernetes' own; put objects of ours elsewhere"
    if subject.type == tokens.SECRET:
        type_ = maybe_text(subject.properties, "type") or "Opaque"
        if type_ not in SECRET_TYPES:
            known = ", ".join(SECRET_TYPES)
            yield f"{describe(subject)}: a Secret of type {type_} is more than data; use one of {known}"
    if subject.type == tokens.INGRESS:
        for key in mapping(subject.properties, "metadata", "annotations"):
            if not key.startswith("pulumi.com/"):
                yield f"{describe(subject)}: annotation {key} is not ours, and the controller obeys it; remove it"
        hosts = [maybe_text(rule, "host") or "*" for rule in mappings(subject.properties, "spec", "rules")]
        if any(host.startswith("*") for host in hosts):
            yield f"{describe(subject)}: answers for host names of others; give each rule its own"


@_rule(
    "known-fields",
    "Every object of Kubernetes has only fields that the rules know.",
    tokens.KUBERNETES,
    limits=("allowed_fields",),
)
def known_fields(subject: PolicyResource, scene: Scene) -> Iterator[str]:
    """Also in a workload's pod."""
    fields = FIELDS.get(subject.type)
    if fields is None:
        return
    kind = subject.type.rpartition(":")[2]
    found = list(strangers(subject.properties, (*METADATA, *fields), zeros=True))
    if subject.type in tokens.WORKLOADS:
        found += _fields_of_pod(subject)
    allowed = scene.limits.allowed_fields
    for field in dict.fromkeys(field for field in found if f"{kind}.{field}" not in allowed):
        yield (
            f"{describe(subject)}: {field} is unknown to the rules, so nothing judges it; remove it, or add "
            f"{kind}.{field} to {scene.option('known-fields', 'allowed_fields')}"
        )


def _fields_of_pod(workload: PolicyResource) -> list[str]:
    spec = pod_spec(workload)
    found = [f"spec.{key}" for key in spec if key not in podspec.POD_FIELDS]
    for place in CONTAINERS:
        for container in mappings(spec, place):
            found += [f"spec.{place}.{key}" for key in container if key not in podspec.CONTAINER_FIELDS]
    return found


@_rule(
    "plain-rights",
    "Roles and bindings of ours give no rights but those that are known to be harmless.",
    tokens.ROLE,
    tokens.CLUSTER_ROLE,
    tokens.ROLE_BINDING,
    tokens.CLUSTER_ROLE_BINDING,
)
def plain_rights(subject: PolicyResource, _: Scene) -> Iterator[str]:
    """A role gives rights from a short list, and a binding gives known roles to service accounts."""
    who = describe(subject)
    if subject.type in (tokens.ROLE, tokens.CLUSTER_ROLE):
        for label in mapping(subject.properties, "metadata", "labels"):
            if label.startswith(tokens.AGGREGATION_LABEL):
                yield f"{who}: label {label} adds its rights to a role that others have; remove it"
        for rule in mappings(subject.properties, "rules"):
            yield from (f"{who}: {said}" for said in _rights(rule))
        return
    role, kind = text(subject.properties, "roleRef", "name"), text(subject.properties, "roleRef", "kind")
    everywhere = subject.type == tokens.CLUSTER_ROLE_BINDING
    if kind == "ClusterRole" and (everywhere or role not in BINDABLE) and _is_kubernetes_own(role):
        yield f"{who}: gives ClusterRole {role}; give a role of ours, or within a namespace {' or '.join(BINDABLE)}"
    for account in mappings(subject.properties, "subjects"):
        if text(account, "kind") != "ServiceAccount":
            yield f"{who}: gives rights to {text(account, 'kind')} {maybe_text(account, 'name')}; name a ServiceAccount"


def _is_kubernetes_own(role: str) -> bool:
    return role in ("cluster-admin", "admin", "edit", "view") or role.startswith("system:")


def _rights(rule: Mapping[str, object]) -> Iterator[str]:
    if get(rule, "nonResourceURLs"):
        yield "gives rights to URLs of the API server; name resources"
    for group in texts(rule, "apiGroups"):
        for resource in texts(rule, "resources"):
            allowed = set(READ) if resource in READABLE.get(group, ()) else set()
            allowed |= set(WRITABLE.get((group, resource), ()))
            more = [verb for verb in texts(rule, "verbs") if verb not in allowed]
            if more:
                yield (
                    f"gives {', '.join(more)} on {group or 'core'}/{resource}, which is none of the rights that are "
                    "known to be harmless (policies/rights.py); give less"
                )


@_rule(
    "known-roles",
    "A binding gives a role whose rights the rules have judged.",
    tokens.ROLE_BINDING,
    tokens.CLUSTER_ROLE_BINDING,
    stage=Stage.STACK,
)
def known_roles(binding: PolicyResource, scene: Scene) -> Iterator[str]:
    """It is a role of this stack, or a harmless one of Kubernetes."""
    role, kind = text(binding.properties, "roleRef", "name"), text(binding.properties, "roleRef", "kind")
    if kind == "ClusterRole" and binding.type == tokens.ROLE_BINDING and role in BINDABLE:
        return
    type_ = tokens.CLUSTER_ROLE if kind == "ClusterRole" else tokens.ROLE
    if not any(
        kind == "ClusterRole" or found.namespace == binding.namespace for found in scene.inventory.of_name(type_, role)
    ):
        yield (
            f"{describe(binding)}: gives {kind} {role}, which this stack does not make, so nothing judges its rights; "
            "bind a role of this stack"
        )


@_rule("plain-priority", "A PriorityClass of ours goes before no pod of the system's.", tokens.PRIORITY_CLASS)
def plain_priority(subject: PolicyResource, _: Scene) -> Iterator[str]:
    """It is far below the system's classes, and never the default."""
    value = whole(subject.properties, "value")
    if value > MOST_PRIORITY:
        yield f"{describe(subject)}: value {value} is above {MOST_PRIORITY}; lower it, only the order of teams matters"
    if flag(subject.properties, "globalDefault"):
        yield f"{describe(subject)}: is every pod's default; remove globalDefault"


@_rule("plain-node", "On a node we write labels of ours and of the GPU's vendor only.", tokens.NODE_PATCH)
def plain_node(subject: PolicyResource, _: Scene) -> Iterator[str]:
    """Labels about its place, and taints that keep other pods away."""
    for key in mapping(subject.properties, "metadata", "labels"):
        if not key.startswith((f"{LABEL_POOL.partition('/')[0]}/", "nvidia.com/", "run.ai/")):
            yield f"{describe(subject)}: label {key} belongs to the node; leave it out"
    for key in mapping(subject.properties, "metadata", "annotations"):
        if not key.startswith("pulumi.com/"):
            yield f"{describe(subject)}: annotation {key} is not ours, and network or kubelet may obey it; leave it out"
    for taint in mappings(subject.properties, "spec", "taints"):
        if text(taint, "effect") == "NoExecute":
            yield f"{describe(subject)}: taint {text(taint, 'key')} would end pods that run there; use NoSchedule"


@_rule("team-admission", "The host has each team's admission rules, and they refuse.", tokens.TEAM, stage=Stage.STACK)
def team_admission(team: PolicyResource, scene: Scene) -> Iterator[str]:
    """There is a policy that fails closed, and a binding."""
    name = team_name(team)
    wanted = f"gpu-tenancy-{team_namespace(name)}"
    policies = scene.inventory.of_name(tokens.ADMISSION_POLICY, wanted)
    if not policies:
        yield f"team {name}: no ValidatingAdmissionPolicy {wanted}, so the host lets every pod in; create it"
    for policy in policies:
        yield from (f"team {name}: {describe(policy)} {said}" for said in _policy(policy, name, scene))
    bindings = scene.inventory.of_name(tokens.ADMISSION_BINDING, wanted)
    if not bindings or not all(
        maybe_text(found.properties, "spec", "policyName") == wanted
        and "Deny" in texts(found.properties, "spec", "validationActions")
        for found in bindings
    ):
        yield f"team {name}: no binding of {wanted} with validationActions [Deny], so nothing is refused; create it"


def _judges_all(rule: Mapping[str, object]) -> bool:
    return (
        {"CREATE", "UPDATE"} <= set(texts(rule, "operations"))
        and not {"v1", "*"}.isdisjoint(texts(rule, "apiVersions"))
        and not texts(rule, "resourceNames")
        and (maybe_text(rule, "scope") or "*") in ("*", "Namespaced")
    )


def _policy(policy: PolicyResource, team: str, scene: Scene) -> Iterator[str]:
    spec = mapping(policy.properties, "spec")
    if maybe_text(spec, "failurePolicy") != "Fail":
        yield "lets in what it can't judge; set failurePolicy: Fail"
    selector = mapping(spec, "matchConstraints", "namespaceSelector", "matchLabels")
    if dict(selector) != {"kubernetes.io/metadata.name": team_namespace(team)}:
        yield f"is not about namespace {team_namespace(team)}; select it by kubernetes.io/metadata.name"
    if any(text(found, "expression") != STAYS for found in mappings(spec, "matchConditions")):
        yield f"leaves objects out by a condition of its own; keep {STAYS} alone"
    judged = {
        (group, resource)
        for found in mappings(spec, "matchConstraints", "resourceRules")
        if _judges_all(found)
        for group in texts(found, "apiGroups")
        for resource in texts(found, "resources")
    }
    if missing := [name for group, known in podspec.JUDGED for name in known if (group, name) not in judged]:
        yield f"does not judge every {', '.join(missing)} that is made or changed; match CREATE and UPDATE of them"
    # a message that says what broke the rule is an expression, which begins with a quote
    said = [
        (maybe_text(found, "message") or maybe_text(found, "messageExpression") or "").lstrip("'\"")
        for found in mappings(spec, "validations")
    ]
    declared = [
        known
        for admission in scene.inventory.of_team(tokens.ADMISSION, team)
        for known in texts(admission.properties, "rules")
    ]
    for known in declared or ["(any)"]:
        if not any(message.startswith(f"gpu-tenancy rule {known}, team {team}: ") for message in said):
            yield f"lacks the rule {known} that its Admission declares; add it"


RULES: Final = (known_kinds, known_fields, plain_rights, known_roles, plain_priority, plain_node, team_admission)
