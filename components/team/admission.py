"""What the host's API server refuses in a tenant's namespace, for everybody.

Owns: one ValidatingAdmissionPolicy and its binding for each tenant, with the tenant's values as literals.
Leaves to others: the conditions (`pod_isolation.py`, `pod_rules.py`, `object_rules.py`), sums (the ResourceQuota),
anything inside the virtual cluster.

A tenant is admin inside its virtual cluster, so the host limits its pods. The syncer brings the pods to the host. It
copies labels, annotations and runtime class unchanged. It drops the node selector where the tenant's own scheduler has
chosen a node, and otherwise adds the tenant's. It marks each object with its own label (vCluster
pkg/controllers/resources/pods). docs/policies.md says what these rules can't prevent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pulumi
import pulumi_kubernetes as k8s

import names
import podspec
from components.base import Component
from components.team import object_rules, pod_isolation, pod_rules
from components.team.cel import Rule, variable
from components.team.tenant import Tenant
from names import Object
from settings.models import SchedulerMode

Spec: TypeAlias = Object


@dataclass(frozen=True, kw_only=True)
class Others:
    """What only other tenants have, by name: nodes, and queues in which a KAI on the host that is not ours would count
    this tenant's pods.
    """

    nodes: tuple[str, ...]
    queues: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AdmissionArgs:
    """`provider` is the host's, `runtime_class` the platform's."""

    tenant: Tenant
    provider: k8s.Provider
    runtime_class: str
    others: Others


class Admission(Component):
    """The admission rules of one tenant's namespace."""

    policy: k8s.admissionregistration.v1.ValidatingAdmissionPolicy
    binding: k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding

    def __init__(self, name: str, args: AdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        tenant = args.tenant
        found = rules(tenant, args.others, args.runtime_class)
        super().__init__(name, {"team": tenant.name, "rules": [rule.name for rule in found]}, opts)
        metadata = {"name": policy_name(tenant.name), "labels": names.labels(team=tenant.name)}
        self.policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{name}-policy",
            metadata=metadata,
            spec=policy_spec(tenant, found),
            opts=self.child(provider=args.provider),
        )
        self.binding = k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-binding",
            metadata=metadata,
            spec=binding_spec(tenant),
            opts=self.child(provider=args.provider, depends_on=[self.policy]),
        )
        self.register_outputs({"policy": policy_name(tenant.name)})


def policy_name(team: str) -> str:
    """The name of a tenant's policy and binding. Both are cluster-wide objects."""
    return f"gpu-tenancy-{names.team_namespace(team)}"


def policy_spec(tenant: Tenant, found: Sequence[Rule]) -> Spec:
    """The policy's spec: every object of the tenant's namespace must fulfil every rule about its kind."""
    return {
        # a rule that can't be evaluated refuses the object
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.namespace}},
            "resourceRules": [
                {
                    "apiGroups": [group],
                    "apiVersions": ["v1"] if group == "" else ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": list(resources),
                }
                for group, resources in podspec.JUDGED
            ],
        },
        # an update of an object that is being deleted only removes finalizers; to refuse that would keep the object for
        # ever
        "matchConditions": [{"name": "stays", "expression": "!object.?metadata.?deletionTimestamp.hasValue()"}],
        "variables": [
            {"name": name, "expression": expression}
            for name, expression in (
                *pod_rules.variables(tenant).items(),
                *((variable(rule.name), rule.offenders) for rule in found if rule.offenders is not None),
            )
        ],
        "validations": [rule.validation(tenant.name) for rule in found],
    }


def binding_spec(tenant: Tenant) -> Spec:
    """The binding's spec: an object that breaks a rule is refused."""
    return {"policyName": policy_name(tenant.name), "validationActions": ["Deny"]}


def rules(tenant: Tenant, strangers: Others, runtime_class: str) -> list[Rule]:
    """Return the rules of a tenant's namespace. The API server reports the first broken one."""
    return [
        *pod_isolation.isolation(tenant.team.isolation),
        pod_rules.own_account(tenant),
        pod_rules.own_priority(tenant),
        *pod_rules.nodes(tenant, strangers.nodes),
        *pod_rules.queues(tenant, strangers.queues),
        pod_rules.counted_resources(),
        pod_rules.no_resource_claims(),
        pod_rules.no_devices_by_name(tenant),
        pod_rules.runtime_class(tenant, runtime_class),
        pod_isolation.known_fields(),
        object_rules.own_volumes(),
        object_rules.no_external_ips(),
        *object_rules.own_bindings(tenant, strangers.nodes),
        object_rules.no_claims_of_devices(),
        # last: the others keep their places, so a preview shows only one new rule
        *pod_rules.one_mps_user(tenant),
        *pod_rules.paused(tenant),
    ]


def others(tenants: Mapping[str, Tenant], name: str, *, foreign_kai: bool = False) -> Others:
    """Return what the other tenants have and this one has not.

    foreign_kai: the KAI on the host is the cluster's own, so it may look at any namespace.
    """
    own = set(tenants[name].nodes)
    strangers = [tenant for tenant in tenants.values() if tenant.name != name]
    return Others(
        nodes=tuple(sorted({node for tenant in strangers for node in tenant.nodes} - own)),
        queues=tuple(
            queue
            for tenant in strangers
            if foreign_kai and tenant.team.scheduler.mode is SchedulerMode.HOST
            for queue in (names.parent_queue(tenant.name), *pod_rules.host_queues(tenant))
        ),
    )
