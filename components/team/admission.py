"""What the host's API server refuses in a tenant's namespace, whoever asks.

Owns: one ValidatingAdmissionPolicy and its binding per tenant, with the tenant's own numbers as literals.
Leaves to others: sums (the ResourceQuota), what Pod Security already refuses, anything inside the virtual cluster.

A tenant is admin inside its virtual cluster, so what its pods may be stands here. Its pods reach the host by the
syncer, which copies labels, annotations and runtime class as they are, drops the node selector where the tenant's own
scheduler has chosen a node, adds the tenant's where none has, and marks each pod with a label of its own
(vCluster pkg/controllers/resources/pods).
What these rules cannot hold is in docs/policies.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

import names
from components.base import Component
from components.team.tenant import Tenant
from settings.models import Isolation, SchedulerMode

Spec = dict[str, Any]

SYNCED_LABEL: Final = "vcluster.loft.sh/managed-by"
"""The syncer puts it on every pod of a tenant, over whatever the tenant wrote (vCluster pkg/util/translate)."""

GPU_RUNTIME_CLASSES: Final = ("nvidia", "nvidia-cdi", "nvidia-legacy", "nvidia-experimental")
"""What k3s and the GPU Operator register; each of them lets a container see GPUs that it did not ask for."""

BASELINE_CAPABILITIES: Final = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
"""What a container has by default, so adding it adds nothing (Pod Security Standards, baseline)."""
RESTRICTED_CAPABILITIES: Final = ("NET_BIND_SERVICE",)

OLD_QUEUE_LABEL: Final = "project"
"""Where KAI looks for a queue when its own label is not there."""
FRACTION_LABEL: Final = "runai-gpu-group"
"""KAI's binder writes it, alone or with `/<group>` behind it, on a pod that it bound to a part of a GPU."""
_NAMES_GPU: Final = f"k.startsWith('{names.GPU}') || k.startsWith('nvidia.com/mig-')"
"""In CEL: whether the resource name `k` stands for a GPU or a part of one."""
FRACTION_ANNOTATIONS: Final = ("gpu-fraction", "gpu-memory")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition in CEL that a pod must fulfil, and what to say when it does not."""

    name: str
    expression: str
    fix: str

    def message(self, team: str) -> str:
        """What the one who asked reads: the rule, whose it is, and what to do."""
        return f"gpu-tenancy rule {self.name}, team {team}: {self.fix}"


@dataclass(frozen=True, kw_only=True)
class Others:
    """What only other tenants have, by name: nodes, and queues of the host's KAI."""

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
    """The policy's spec: every pod of the tenant's namespace must fulfil every rule."""
    return {
        # a rule that cannot be evaluated refuses
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.namespace}},
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    # a debug container is added by a subresource of its own
                    "resources": ["pods", "pods/ephemeralcontainers"],
                }
            ],
        },
        # a pod on its way out only loses finalizers; refusing that would keep it for ever
        "matchConditions": [{"name": "stays", "expression": "!has(object.metadata.deletionTimestamp)"}],
        "variables": [
            {"name": "labels", "expression": "object.metadata.?labels.orValue({})"},
            {"name": "annotations", "expression": "object.metadata.?annotations.orValue({})"},
            {"name": "fromTenant", "expression": _from_tenant(tenant)},
            {"name": "asksGpu", "expression": _asks_gpu()},
            {"name": "asksPart", "expression": _asks_part()},
        ],
        "validations": [
            {"expression": rule.expression, "message": rule.message(tenant.name), "reason": "Forbidden"}
            for rule in found
        ],
    }


def binding_spec(tenant: Tenant) -> Spec:
    """The binding's spec: what breaks a rule is refused."""
    return {"policyName": policy_name(tenant.name), "validationActions": ["Deny"]}


def rules(tenant: Tenant, strangers: Others, runtime_class: str) -> list[Rule]:
    """Return the rules of a tenant's namespace."""
    return [
        *_isolation(tenant.team.isolation),
        *_nodes(tenant, strangers),
        *_queues(tenant, strangers),
        _counted_gpus(),
        *_runtime_class(tenant, runtime_class),
    ]


# --- what a pod may reach -------------------------------------------------------------------------------------------


def _isolation(level: Isolation) -> list[Rule]:
    if level is Isolation.PRIVILEGED:
        return []
    restricted = level is Isolation.RESTRICTED
    allowed = RESTRICTED_CAPABILITIES if restricted else BASELINE_CAPABILITIES
    return [
        Rule(
            name="not-privileged",
            expression=_every_container("!c.?securityContext.?privileged.orValue(false)"),
            fix="a container must not be privileged; remove securityContext.privileged",
        ),
        Rule(
            name="no-host-path",
            expression="object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))",
            fix="a pod must not mount a path of the node; use an emptyDir or a PersistentVolumeClaim",
        ),
        Rule(
            name="no-host-namespaces",
            expression=" && ".join(
                f"!object.spec.?{key}.orValue(false)" for key in ("hostNetwork", "hostPID", "hostIPC")
            ),
            fix="a pod must not use the node's network, processes or IPC; remove hostNetwork, hostPID and hostIPC",
        ),
        Rule(
            name="no-added-capabilities",
            expression=_every_container(
                f"c.?securityContext.?capabilities.?add.orValue([]).all(a, a in {_list(allowed)})"
            ),
            fix=f"a container may add only the capabilities {', '.join(allowed)}; remove the others",
        ),
    ]


def _every_container(condition: str) -> str:
    # three lists of two types, which CEL does not add up
    return " && ".join(
        f"object.spec.?{field}.orValue([]).all(c, {condition})"
        for field in ("containers", "initContainers", "ephemeralContainers")
    )


# --- where it may run -----------------------------------------------------------------------------------------------


def _nodes(tenant: Tenant, strangers: Others) -> list[Rule]:
    if not tenant.node_selector:
        return []
    selected = " && ".join(
        f"object.spec.?nodeSelector[?{_text(key)}].orValue('') == {_text(value)}"
        for key, value in sorted(tenant.node_selector.items())
    )
    if tenant.nodes:
        chosen = f"object.spec.?nodeName.orValue('') in {_list(tenant.nodes)}"
        where = f"the nodes {', '.join(tenant.nodes)}"
    elif tenant.own_kai:
        # the pool is found by labels, which admission cannot look up: refuse at least what is known to be another's
        taken = _list(strangers.nodes)
        chosen = f"object.spec.?nodeName.orValue('') != '' && !(object.spec.nodeName in {taken})"
        where = "nodes that are no other team's"
    else:
        chosen, where = "false", "its pool's nodes"
    selector = ", ".join(f"{key}={value}" for key, value in sorted(tenant.node_selector.items()))
    return [
        Rule(
            name="own-nodes",
            expression=f"!variables.fromTenant || ({chosen}) || ({selected})",
            fix=f"pods run on {where} only, by nodeName or by nodeSelector {selector}",
        )
    ]


# --- which queue counts it ------------------------------------------------------------------------------------------


def _queues(tenant: Tenant, strangers: Others) -> list[Rule]:
    label = f"variables.labels[?{_text(names.KAI_QUEUE_LABEL)}].orValue('')"
    by_kai = f"object.spec.?schedulerName.orValue('') == {_text(names.KAI_SCHEDULER_NAME)}"
    if tenant.team.scheduler.mode is not SchedulerMode.HOST:
        if not strangers.queues:
            return []
        # the syncer copies the labels, and the host's KAI would count the pod in that queue
        named = " || ".join(
            f"variables.labels[?{_text(key)}].orValue('') in {_list(strangers.queues)}"
            for key in (names.KAI_QUEUE_LABEL, OLD_QUEUE_LABEL)
        )
        return [
            Rule(
                name="not-the-hosts-queues",
                expression=f"!({named}) && !({by_kai} && object.spec.?nodeName.orValue('') == '')",
                fix="the host's KAI is not for this team: name none of its queues, and not its scheduler",
            )
        ]
    own = _host_queues(tenant)
    return [
        Rule(
            name="own-queues",
            # without the label KAI falls back to another label, and then to a queue that all share
            expression=f"!variables.fromTenant || (!({by_kai}) && {label} == '') || {label} in {_list(own)}",
            fix=f"a pod for KAI needs the label {names.KAI_QUEUE_LABEL} with a queue of the team: {', '.join(own)}",
        ),
        Rule(
            name="gpus-through-kai",
            # a pod that arrives with a node never meets the scheduler that counts; later the node is KAI's choice
            expression="!variables.fromTenant || !(variables.asksGpu || variables.asksPart) || "
            f"({by_kai} && (request.operation != 'CREATE' || object.spec.?nodeName.orValue('') == ''))",
            fix=f"a pod that asks for a GPU needs schedulerName {names.KAI_SCHEDULER_NAME} and no nodeName",
        ),
    ]


def _host_queues(tenant: Tenant) -> list[str]:
    return [names.leaf_queue(tenant.name, leaf, on_host=True) for leaf in tenant.queues]


# --- who may see a GPU ----------------------------------------------------------------------------------------------


def _counted_gpus() -> Rule:
    known = _list(names.GPU_RESOURCES)
    return Rule(
        name="counted-gpus",
        # the ResourceQuota overlooks a name that it does not list, and a kubelet one that its node does not have: the
        # pod would pass for one that asks for a GPU, and ask for nothing
        expression=_every_container(f"c.?resources.?limits.orValue({{}}).all(k, !({_NAMES_GPU}) || k in {known})"),
        fix=f"a pod asks for GPUs by a name that the team's ResourceQuota counts; ask for {names.GPU}",
    )


def _runtime_class(tenant: Tenant, runtime_class: str) -> list[Rule]:
    if tenant.gpu_limit > 0 and tenant.kai is not None and tenant.kai.fractions_need_default_runtime:
        # this KAI's reservation pods name no class, so the syncer gives every pod of the tenant the GPUs' one
        return []
    classes = sorted({*GPU_RUNTIME_CLASSES, runtime_class})
    asks, whom = ["variables.asksGpu"], "pods that ask for a GPU, and gpuSharing is off"
    if tenant.team.scheduler.gpu_sharing:
        # elsewhere no pod is bound to a part of a GPU, so the mark is the tenant's own invention
        asks, whom = [*asks, "variables.asksPart"], "pods that ask for a GPU or a part of one"
    return [
        Rule(
            name="runtime-class-for-gpus",
            expression=" || ".join([f"!(object.spec.?runtimeClassName.orValue('') in {_list(classes)})", *asks]),
            fix=f"runtime class {runtime_class} is for {whom}; remove it",
        )
    ]


def _asks_gpu() -> str:
    # KAI's reservation pod asks for a whole GPU, so it needs no rule of its own
    one = f"c.?resources.?limits.orValue({{}}).exists(k, ({_NAMES_GPU}) && string(c.resources.limits[k]) != '0')"
    return " || ".join(
        f"object.spec.?{field}.orValue([]).exists(c, {one})" for field in ("containers", "initContainers")
    )


def _asks_part() -> str:
    bound = f"variables.labels.exists(k, k == '{FRACTION_LABEL}' || k.startsWith('{FRACTION_LABEL}/'))"
    asked = f"variables.annotations.exists(k, k in {_list(FRACTION_ANNOTATIONS)})"
    return f"{bound} || {asked}"


def _from_tenant(tenant: Tenant) -> str:
    account = f"system:serviceaccount:{tenant.namespace}:vc-{tenant.name}"
    return f"{_text(SYNCED_LABEL)} in variables.labels || request.userInfo.username == {_text(account)}"


# --- words ----------------------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    """A CEL string. JSON's escapes are CEL's, too."""
    return json.dumps(value)


def _list(values: Iterable[str]) -> str:
    return json.dumps(list(values))


def others(tenants: Mapping[str, Tenant], name: str) -> Others:
    """Return what the other tenants have and this one has not."""
    own = set(tenants[name].nodes)
    strangers = [tenant for tenant in tenants.values() if tenant.name != name]
    return Others(
        nodes=tuple(sorted({node for tenant in strangers for node in tenant.nodes} - own)),
        queues=tuple(
            queue
            for tenant in strangers
            if tenant.team.scheduler.mode is SchedulerMode.HOST
            for queue in (names.parent_queue(tenant.name), *_host_queues(tenant))
        ),
    )
