"""Objects of Kubernetes: an unknown kind or field is refused, rights are few, and each team's admission rules hold."""

from __future__ import annotations

import pytest

from components.team.admission import Others, policy_spec, rules
from components.team.guardrails import PRIORITY_VALUES
from components.team.tenant import resolve
from policies import names
from policies.plain import UNKNOWN
from policies.rules.objects import MOST_PRIORITY, STAYS
from settings.load import parse_platform
from tests.conftest import platform_of
from tests.policies.judged import ABSENT, changed, messages, with_, without
from tests.policies.world import healthy, job, node_patch, priority, resource, role, role_binding, team

# --- kinds ----------------------------------------------------------------------------------------------------------

PATCH = "a patch changes an object that no rule sees whole"
LIST = "a list holds objects that no rule sees"
MAKES = "it makes objects that no rule sees before"
NOBODY = "nothing says what it does"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        *((f"core/v1:{kind}Patch", PATCH) for kind in ("Pod", "Namespace", "ResourceQuota", "Service", "Secret")),
        ("apps/v1:DeploymentPatch", PATCH),
        ("rbac.authorization.k8s.io/v1:ClusterRolePatch", PATCH),
        ("scheduling.run.ai/v2:QueuePatch", PATCH),
        ("core/v1:PodList", LIST),
        ("rbac.authorization.k8s.io/v1:RoleBindingList", LIST),
        ("yaml:ConfigGroup", MAKES),
        ("yaml/v2:ConfigGroup", MAKES),
        ("yaml:ConfigFile", MAKES),
        ("yaml/v2:ConfigFile", MAKES),
        ("kustomize:Directory", MAKES),
        ("kustomize/v2:Directory", MAKES),
        ("helm.sh/v3:Chart", f"{MAKES}; a chart comes by a component's Release"),
        ("helm.sh/v4:Chart", f"{MAKES}; a chart comes by a component's Release"),
        *(
            (token, NOBODY)
            for token in (
                "core/v1:PersistentVolume",
                "core/v1:Node",
                "core/v1:Binding",
                "core/v1:Endpoints",
                "discovery.k8s.io/v1:EndpointSlice",
                "policy/v1:Eviction",
                "policy/v1:PodDisruptionBudget",
                "authentication.k8s.io/v1:TokenRequest",
                "storage.k8s.io/v1:StorageClass",
                "storage.k8s.io/v1:VolumeAttachment",
                "resource.k8s.io/v1:ResourceClaim",
                "resource.k8s.io/v1:ResourceClaimTemplate",
                "resource.k8s.io/v1:DeviceClass",
                "resource.k8s.io/v1:ResourceSlice",
                "admissionregistration.k8s.io/v1:MutatingWebhookConfiguration",
                "admissionregistration.k8s.io/v1:ValidatingWebhookConfiguration",
                "admissionregistration.k8s.io/v1beta1:MutatingAdmissionPolicy",
                "apiregistration.k8s.io/v1:APIService",
                "networking.k8s.io/v1:Ingress",
                "certificates.k8s.io/v1:CertificateSigningRequest",
                "flowcontrol.apiserver.k8s.io/v1:FlowSchema",
                "coordination.k8s.io/v1:Lease",
                "autoscaling/v2:HorizontalPodAutoscaler",
                # known kinds in versions that no rule reads
                "extensions/v1beta1:Deployment",
                "apps/v1beta1:StatefulSet",
                "batch/v1beta1:CronJob",
                "rbac.authorization.k8s.io/v1beta1:ClusterRole",
                # objects of others
                "kai.scheduler/v1:SchedulingShard",
                "scheduling.run.ai/v2alpha2:PodGroup",
                "argoproj.io/v1alpha1:Workflow",
                "apiextensions.k8s.io:CustomResource",
                "kubevirt.io/v1:VirtualMachine",
            )
        ),
    ],
)
def test_a_kind_that_the_rules_do_not_know_is_refused(token: str, why: str) -> None:
    odd = resource(f"kubernetes:{token}", "odd", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
    assert messages("known-kinds", [odd]) == [
        f"{token.rpartition(':')[2]} odd: kubernetes:{token} is no kind that the rules know: {why}; register objects "
        "of a known kind, or add it to allowedKinds of known-kinds in policies/config/<stack>.json"
    ]
    assert messages("known-kinds", [odd], allowedKinds=[f"kubernetes:{token}"]) == []


def test_what_is_no_object_of_kubernetes_is_left_alone() -> None:
    for token in ("pulumi:providers:kubernetes", "aws:s3/bucket:Bucket", "command:local:Command"):
        assert messages("known-kinds", [resource(token, "x", {})]) == []
        assert messages("known-fields", [resource(token, "x", {"odd": 1})]) == []


# --- fields ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "path", "value"),
    [
        (names.RELEASE, "valueYamlFiles", [{"path": "v.yaml"}]),
        (names.RELEASE, "postrender", "./sed.sh"),
        (names.RELEASE, "reuseValues", True),
        (names.RELEASE, "createNamespace", True),
        (names.RELEASE, "dependencyUpdate", True),
        (names.RELEASE, "devel", True),
        (names.NODE_PATCH, "spec/unschedulable", True),
        (names.NODE_PATCH, "status", {"capacity": {"nvidia.com/gpu": "8"}}),
        (names.PRIORITY_CLASS, "globalDefault", True),
        (names.NAMESPACE, "spec", {"finalizers": ["kubernetes"]}),
        (names.NAMESPACE, "metadata/ownerReferences", [{"kind": "Pod"}]),
        (names.ADMISSION_POLICY, "spec/matchConstraints/excludeResourceRules", [{"resources": ["pods"]}]),
        (names.ADMISSION_POLICY, "spec/matchConstraints/objectSelector", {"matchLabels": {"a": "b"}}),
        (names.ADMISSION_POLICY, "spec/paramKind", {"kind": "ConfigMap"}),
        (names.ADMISSION_BINDING, "spec/matchResources", {"namespaceSelector": {}}),
        (names.ADMISSION_BINDING, "spec/paramRef", {"name": "p"}),
        (names.ROLE_BINDING, "userNames", ["someone"]),
        (names.JOB, "spec/managedBy", "example.com/controller"),
        (names.JOB, "spec/template/spec/workloadRef", {"name": "w"}),
        (names.JOB, "spec/template/spec/madeUpLater", True),
        (names.QUEUE, "spec/resources/gpu/madeUpLater", 1),
        (names.RESOURCE_QUOTA, "spec/madeUpLater", 1),
    ],
)
def test_a_field_that_the_rules_do_not_know_is_refused(token: str, path: str, value: object) -> None:
    found = next(r for r in healthy() if r.type == token)
    field = path.replace("/", ".").replace("spec.template.spec.", "spec.")
    kind = token.rpartition(":")[2]
    assert messages("known-fields", [changed(found, path, value)]) == [
        f"{kind} {found.name}: {field} is no field that the rules know, so nothing judges it; remove it, or add "
        f"{kind}.{field} to allowedFields of known-fields in policies/config/<stack>.json"
    ]
    assert messages("known-fields", [changed(found, path, value)], allowedFields=[f"{kind}.{field}"]) == []


@pytest.mark.parametrize(
    ("token", "properties", "field"),
    [
        (names.SERVICE, {"spec": {"externalIPs": ["10.0.0.1"]}}, "spec.externalIPs"),
        (names.SERVICE, {"spec": {"type": "ExternalName", "externalName": "x"}}, "spec.externalName"),
        (names.CLUSTER_ROLE, {"aggregationRule": {"clusterRoleSelectors": [{}]}}, "aggregationRule"),
        (names.CUSTOM_RESOURCE_DEFINITION, {"spec": {"conversion": {"strategy": "Webhook"}}}, "spec.conversion"),
        (
            names.RUNTIME_CLASS,
            {"handler": "nvidia", "scheduling": {"tolerations": [{"operator": "Exists"}]}},
            "scheduling",
        ),
        (
            names.STATEFUL_SET,
            {"spec": {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"volumeName": "pv"}}]}},
            "spec.volumeClaimTemplates.spec.volumeName",
        ),
        (names.POD, {"spec": {"containers": [{"name": "c", "madeUpLater": 1}]}}, "spec.containers.madeUpLater"),
        (names.POD, {"spec": {"initContainers": [{"name": "c", "odd": 1}]}}, "spec.initContainers.odd"),
        (names.POD, {"spec": {"ephemeralContainers": [{"name": "c", "odd": 1}]}}, "spec.ephemeralContainers.odd"),
        (names.CRON_JOB, {"spec": {"jobTemplate": {"spec": {"odd": 1}}}}, "spec.jobTemplate.spec.odd"),
        (names.DEPLOYMENT, {"spec": {"odd": 1}}, "spec.odd"),
        (names.POD_TEMPLATE, {"template": {"spec": {"odd": 1}}}, "spec.odd"),
    ],
)
def test_a_field_beside_the_known_ones_is_refused(token: str, properties: dict[str, object], field: str) -> None:
    said = messages("known-fields", [resource(token, "x", {"metadata": {"name": "x"}} | properties)])
    assert len(said) == 1
    assert f" x: {field} is no field that the rules know" in said[0]


def test_what_the_provider_fills_in_is_no_field_of_anybodys() -> None:
    # the kubernetes provider's Check writes every switch of a Release that is off
    (found, *_) = (r for r in healthy() if r.type == names.RELEASE)
    for field, value in (("reuseValues", False), ("postrender", ""), ("valueYamlFiles", []), ("maxHistory", 0.0)):
        assert messages("known-fields", [changed(found, field, value)]) == []


def test_one_field_in_many_items_is_told_once() -> None:
    odd = job("ml-job", None, containers=[{"name": "a", "odd": 1}, {"name": "b", "odd": 2}])
    assert len(messages("known-fields", [odd])) == 1


def test_fields_that_are_not_known_at_preview_are_a_violation() -> None:
    assert "spec is not known at preview" in messages("known-fields", [changed(job(), "spec", UNKNOWN)])[0]


# --- rights ---------------------------------------------------------------------------------------------------------


def rule(group: str, resource_: str, *verbs: str) -> dict[str, object]:
    return {"apiGroups": [group], "resources": [resource_], "verbs": list(verbs)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rule("*", "*", "*"), "gives * on */*"),
        (rule("", "*", "get"), "gives get on core/*"),
        (rule("", "secrets", "get", "list"), "gives get, list on core/secrets"),
        (rule("", "pods/exec", "create"), "gives create on core/pods/exec"),
        (rule("", "pods", "get", "patch"), "gives patch on core/pods"),
        (rule("", "configmaps", "delete"), "gives delete on core/configmaps"),
        (rule("", "nodes", "update"), "gives update on core/nodes"),
        (rule("", "serviceaccounts/token", "create"), "gives create on core/serviceaccounts/token"),
        (rule("rbac.authorization.k8s.io", "clusterroles", "escalate"), "gives escalate on rbac.authorization"),
        (rule("", "users", "impersonate"), "gives impersonate on core/users"),
        (rule("certificates.k8s.io", "certificatesigningrequests", "create"), "gives create on certificates.k8s.io"),
        ({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, "gives rights to URLs of the API server"),
    ],
)
def test_a_right_that_is_not_known_to_be_harmless_is_refused(given: dict[str, object], said: str) -> None:
    for found in (role(rules=[given]), resource(names.CLUSTER_ROLE, "r", {"rules": [given]})):
        messages_ = messages("plain-rights", [found])
        assert len(messages_) == 1
        assert said in messages_[0]


def test_a_role_that_adds_to_others_is_refused() -> None:
    labels = {"name": "r", "labels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}
    assert messages("plain-rights", [resource(names.CLUSTER_ROLE, "r", {"metadata": labels, "rules": []})]) == [
        "ClusterRole r: label rbac.authorization.k8s.io/aggregate-to-admin adds its rights to a role that others have; "
        "remove it"
    ]


def binds(name: str, kind: str = "ClusterRole", *, everywhere: bool = False) -> list[str]:
    type_ = names.CLUSTER_ROLE_BINDING if everywhere else names.ROLE_BINDING
    found = role_binding(type_, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
    ours = resource(names.CLUSTER_ROLE, "see", {"metadata": {"name": "see"}, "rules": []})
    return [*messages("plain-rights", [found]), *messages("known-roles", [found, role(), ours])]


@pytest.mark.parametrize("name", ["cluster-admin", "admin", "system:node", "somebodys"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_role_that_no_rule_has_judged_is_given_to_nobody(name: str, everywhere: bool) -> None:
    said = binds(name, everywhere=everywhere)
    assert said[-1] == (
        f"{'ClusterRoleBinding' if everywhere else 'RoleBinding'} ml-check-binding: gives ClusterRole {name}, which is "
        "none of this stack's; nothing judges its rights"
    )
    assert (len(said) == 2) is (name != "somebodys")


def test_a_harmless_role_is_given_within_a_namespace_only() -> None:
    for name in ("edit", "view"):
        assert binds(name) == []
        assert binds(name, everywhere=True)[0].endswith(
            f"gives ClusterRole {name}; give a role of ours, or within a namespace edit or view"
        )
    assert binds("see") == binds("see", everywhere=True) == binds("gpu-check", "Role") == []


def test_a_role_of_another_namespace_is_none() -> None:
    other = changed(role(), "metadata/namespace", "elsewhere")
    assert len(messages("known-roles", [role_binding(), other])) == 1
    assert messages("known-roles", [role_binding(), role()]) == []


@pytest.mark.parametrize("kind", ["User", "Group"])
def test_rights_go_to_service_accounts_only(kind: str) -> None:
    given = role_binding(subjects=[{"kind": kind, "name": "system:authenticated"}])
    assert messages("plain-rights", [given]) == [
        f"RoleBinding ml-check-binding: gives rights to {kind} system:authenticated; name a ServiceAccount"
    ]


# --- priority and nodes ---------------------------------------------------------------------------------------------


def test_a_priority_class_is_far_below_the_systems() -> None:
    assert messages("plain-priority", [priority(value=MOST_PRIORITY)]) == []
    assert messages("plain-priority", [priority(value=MOST_PRIORITY + 1)]) == [
        "PriorityClass ml-priority: value 1001 is above 1000; lower it, only the order of teams matters"
    ]
    assert messages("plain-priority", [priority(globalDefault=True)]) == [
        "PriorityClass ml-priority: is every pod's default; remove globalDefault"
    ]
    assert max(PRIORITY_VALUES.values()) <= MOST_PRIORITY


def test_a_label_of_the_nodes_own_is_not_ours_to_write() -> None:
    for key in ("kubernetes.io/hostname", "node-role.kubernetes.io/control-plane", "gpu-tenancy", "kind"):
        assert messages("plain-node", [changed(node_patch(), "metadata/labels", {key: "x"})]) == [
            f"NodePatch a100-gpu-0: label {key} is none of ours; the node's own labels are not ours to change"
        ]
    for key in ("gpu-tenancy/team-ml", "nvidia.com/gpu.memory", "run.ai/fake.gpu"):
        assert messages("plain-node", [changed(node_patch(), "metadata/labels", {key: "x"})]) == []


# --- admission ------------------------------------------------------------------------------------------------------


def test_a_team_without_its_policy_or_its_binding_is_refused() -> None:
    assert messages("team-admission", without(names.ADMISSION_POLICY)) == [
        "team ml: no ValidatingAdmissionPolicy gpu-tenancy-team-ml, so the host lets every pod in; create it"
    ]
    assert messages("team-admission", without(names.ADMISSION_BINDING)) == [
        "team ml: no binding of gpu-tenancy-team-ml with validationActions [Deny], so nothing is refused; create it"
    ]
    assert messages("team-admission", healthy()) == []


@pytest.mark.parametrize(
    ("token", "path", "value", "said"),
    [
        (names.ADMISSION_BINDING, "spec/validationActions", ["Audit"], "so nothing is refused; create it"),
        (names.ADMISSION_BINDING, "spec/validationActions", ["Warn", "Audit"], "so nothing is refused; create it"),
        (names.ADMISSION_BINDING, "spec/policyName", "other", "so nothing is refused; create it"),
        (
            names.ADMISSION_POLICY,
            "spec/failurePolicy",
            "Ignore",
            "lets in what it can't judge; set failurePolicy: Fail",
        ),
        (names.ADMISSION_POLICY, "spec/failurePolicy", ABSENT, "lets in what it can't judge"),
        (
            names.ADMISSION_POLICY,
            "spec/matchConstraints/namespaceSelector/matchLabels",
            {"kubernetes.io/metadata.name": "team-vision"},
            "is not about namespace team-ml",
        ),
        (
            names.ADMISSION_POLICY,
            "spec/matchConstraints/namespaceSelector/matchLabels/more",
            "x",
            "is not about namespace team-ml",
        ),
        (
            names.ADMISSION_POLICY,
            "spec/matchConditions",
            [{"name": "stays", "expression": STAYS}, {"name": "x", "expression": "object.metadata.name != 'sly'"}],
            "leaves objects out by a condition of its own",
        ),
        (
            names.ADMISSION_POLICY,
            "spec/matchConstraints/resourceRules/0/operations",
            ["UPDATE"],
            "does not judge pods that are made and changed",
        ),
        (
            names.ADMISSION_POLICY,
            "spec/matchConstraints/resourceRules/0/operations",
            ["CREATE"],
            "does not judge pods that are made and changed",
        ),
        (
            names.ADMISSION_POLICY,
            "spec/matchConstraints/resourceRules/0/resources",
            ["services"],
            "does not judge pods that are made and changed",
        ),
        (names.ADMISSION_POLICY, "spec/validations", [], "lacks the rule own-nodes that its Admission declares"),
        (names.ADMISSION_POLICY, "spec", UNKNOWN, "spec is not known at preview"),
    ],
)
def test_a_policy_that_holds_less_is_refused(token: str, path: str, value: object, said: str) -> None:
    found = next(r for r in healthy() if r.type == token)
    assert any(said in message for message in messages("team-admission", with_(changed(found, path, value))))


def test_without_an_admission_component_nothing_is_declared_and_that_is_a_violation() -> None:
    assert "lacks the rule (any) that its Admission declares" in messages("team-admission", without(names.ADMISSION))[0]


def test_the_programs_own_policies_hold() -> None:
    for tenant in resolve(parse_platform(platform_of("prod"), "test")).values():
        found = rules(tenant, Others(nodes=(), queues=()), "nvidia")
        name = f"gpu-tenancy-team-{tenant.name}"
        world = [
            team(tenant.name),
            resource(names.ADMISSION, "a", {"team": tenant.name, "rules": [rule.name for rule in found]}),
            resource(names.ADMISSION_POLICY, "p", {"metadata": {"name": name}, "spec": policy_spec(tenant, found)}),
            resource(
                names.ADMISSION_BINDING,
                "b",
                {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}},
            ),
        ]
        assert messages("team-admission", world) == []
        assert messages("known-fields", world) == []
