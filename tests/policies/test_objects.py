"""Objects of Kubernetes: an unknown kind or field is refused, rights are few, and each team's admission rules hold."""

from __future__ import annotations

import pytest

import tokens
from components.team.guardrails import PRIORITY_VALUES
from policies.plain import UNKNOWN
from policies.rules.objects import MOST_PRIORITY
from tests.policies.judged import changed, messages
from tests.policies.world import healthy, job, node_patch, priority, resource, role, role_binding

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
                "networking.k8s.io/v1:IngressClass",
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
        f"{token.rpartition(':')[2]} odd: kubernetes:{token} is unknown to the rules: {why}; register objects "
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
        (tokens.RELEASE, "valueYamlFiles", [{"path": "v.yaml"}]),
        (tokens.RELEASE, "postrender", "./sed.sh"),
        (tokens.RELEASE, "reuseValues", True),
        (tokens.RELEASE, "createNamespace", True),
        (tokens.RELEASE, "dependencyUpdate", True),
        (tokens.RELEASE, "devel", True),
        (tokens.NODE_PATCH, "spec/unschedulable", True),
        (tokens.NODE_PATCH, "status", {"capacity": {"nvidia.com/gpu": "8"}}),
        (tokens.PRIORITY_CLASS, "globalDefault", True),
        (tokens.NAMESPACE, "spec", {"finalizers": ["kubernetes"]}),
        (tokens.NAMESPACE, "metadata/ownerReferences", [{"kind": "Pod"}]),
        (tokens.ADMISSION_POLICY, "spec/matchConstraints/excludeResourceRules", [{"resources": ["pods"]}]),
        (tokens.ADMISSION_POLICY, "spec/matchConstraints/objectSelector", {"matchLabels": {"a": "b"}}),
        (tokens.ADMISSION_POLICY, "spec/paramKind", {"kind": "ConfigMap"}),
        (tokens.ADMISSION_BINDING, "spec/matchResources", {"namespaceSelector": {}}),
        (tokens.ADMISSION_BINDING, "spec/paramRef", {"name": "p"}),
        (tokens.ROLE_BINDING, "userNames", ["someone"]),
        (tokens.JOB, "spec/managedBy", "example.com/controller"),
        (tokens.JOB, "spec/template/spec/workloadRef", {"name": "w"}),
        (tokens.JOB, "spec/template/spec/madeUpLater", True),
        (tokens.QUEUE, "spec/resources/gpu/madeUpLater", 1),
        (tokens.RESOURCE_QUOTA, "spec/madeUpLater", 1),
    ],
)
def test_a_field_that_the_rules_do_not_know_is_refused(token: str, path: str, value: object) -> None:
    found = next(r for r in healthy() if r.type == token)
    field = path.replace("/", ".").replace("spec.template.spec.", "spec.")
    kind = token.rpartition(":")[2]
    assert messages("known-fields", [changed(found, path, value)]) == [
        f"{kind} {found.name}: {field} is unknown to the rules, so nothing judges it; remove it, or add "
        f"{kind}.{field} to allowedFields of known-fields in policies/config/<stack>.json"
    ]
    assert messages("known-fields", [changed(found, path, value)], allowedFields=[f"{kind}.{field}"]) == []


@pytest.mark.parametrize(
    ("token", "properties", "field"),
    [
        (tokens.SERVICE, {"spec": {"externalIPs": ["10.0.0.1"]}}, "spec.externalIPs"),
        (tokens.SERVICE, {"spec": {"type": "ExternalName", "externalName": "x"}}, "spec.externalName"),
        (tokens.CLUSTER_ROLE, {"aggregationRule": {"clusterRoleSelectors": [{}]}}, "aggregationRule"),
        (tokens.CUSTOM_RESOURCE_DEFINITION, {"spec": {"conversion": {"strategy": "Webhook"}}}, "spec.conversion"),
        (
            tokens.RUNTIME_CLASS,
            {"handler": "nvidia", "scheduling": {"tolerations": [{"operator": "Exists"}]}},
            "scheduling",
        ),
        (
            tokens.STATEFUL_SET,
            {"spec": {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"volumeName": "pv"}}]}},
            "spec.volumeClaimTemplates.spec.volumeName",
        ),
        (tokens.POD, {"spec": {"containers": [{"name": "c", "madeUpLater": 1}]}}, "spec.containers.madeUpLater"),
        (tokens.POD, {"spec": {"initContainers": [{"name": "c", "odd": 1}]}}, "spec.initContainers.odd"),
        (tokens.POD, {"spec": {"ephemeralContainers": [{"name": "c", "odd": 1}]}}, "spec.ephemeralContainers.odd"),
        (tokens.CRON_JOB, {"spec": {"jobTemplate": {"spec": {"odd": 1}}}}, "spec.jobTemplate.spec.odd"),
        (tokens.DEPLOYMENT, {"spec": {"odd": 1}}, "spec.odd"),
        (tokens.POD_TEMPLATE, {"template": {"spec": {"odd": 1}}}, "spec.odd"),
    ],
)
def test_a_field_beside_the_known_ones_is_refused(token: str, properties: dict[str, object], field: str) -> None:
    said = messages("known-fields", [resource(token, "x", {"metadata": {"name": "x"}} | properties)])
    assert len(said) == 1
    assert f" x: {field} is unknown to the rules" in said[0]


def test_what_the_provider_fills_in_is_no_field_of_anybodys() -> None:
    # the kubernetes provider's Check writes every switch of a Release that is off
    (found, *_) = (r for r in healthy() if r.type == tokens.RELEASE)
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
    for found in (role(rules=[given]), resource(tokens.CLUSTER_ROLE, "r", {"rules": [given]})):
        messages_ = messages("plain-rights", [found])
        assert len(messages_) == 1
        assert said in messages_[0]


def test_a_role_that_adds_to_others_is_refused() -> None:
    labels = {"name": "r", "labels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}
    assert messages("plain-rights", [resource(tokens.CLUSTER_ROLE, "r", {"metadata": labels, "rules": []})]) == [
        "ClusterRole r: label rbac.authorization.k8s.io/aggregate-to-admin adds its rights to a role that others have; "
        "remove it"
    ]


def binds(name: str, kind: str = "ClusterRole", *, everywhere: bool = False) -> list[str]:
    type_ = tokens.CLUSTER_ROLE_BINDING if everywhere else tokens.ROLE_BINDING
    found = role_binding(type_, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
    ours = resource(tokens.CLUSTER_ROLE, "see", {"metadata": {"name": "see"}, "rules": []})
    return [*messages("plain-rights", [found]), *messages("known-roles", [found, role(), ours])]


@pytest.mark.parametrize("name", ["cluster-admin", "admin", "system:node", "somebodys"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_role_that_no_rule_has_judged_is_given_to_nobody(name: str, everywhere: bool) -> None:
    said = binds(name, everywhere=everywhere)
    assert said[-1] == (
        f"{'ClusterRoleBinding' if everywhere else 'RoleBinding'} ml-check-binding: gives ClusterRole {name}, which "
        "this stack does not make, so nothing judges its rights; bind a role of this stack"
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
            f"NodePatch a100-gpu-0: label {key} belongs to the node; leave it out"
        ]
    for key in ("gpu-tenancy/team-ml", "nvidia.com/gpu.memory", "run.ai/fake.gpu"):
        assert messages("plain-node", [changed(node_patch(), "metadata/labels", {key: "x"})]) == []


@pytest.mark.parametrize("key", ["projectcalico.org/IPv4Address", "flannel.alpha.coreos.com/public-ip"])
def test_an_annotation_that_the_nodes_network_goes_by_is_not_ours_to_write(key: str) -> None:
    assert messages("plain-node", [changed(node_patch(), "metadata/annotations", {key: "x"})]) == [
        f"NodePatch a100-gpu-0: annotation {key} is not ours, and network or kubelet may obey it; leave it out"
    ]
    ours = changed(node_patch(), "metadata/annotations", {"pulumi.com/patchForce": "true"})
    assert messages("plain-node", [ours]) == []


def test_a_taint_that_ends_running_pods_is_refused() -> None:
    assert messages("plain-node", [changed(node_patch(), "spec/taints/0/effect", "NoExecute")]) == [
        "NodePatch a100-gpu-0: taint nvidia.com/gpu would end pods that run there; use NoSchedule"
    ]


@pytest.mark.parametrize("type_", ["bootstrap.kubernetes.io/token", "helm.sh/release.v1", "sealed"])
def test_a_secret_that_is_more_than_data_is_refused(type_: str) -> None:
    secret = resource(tokens.SECRET, "s", {"metadata": {"name": "s"}, "type": type_})
    assert f"Secret s: a Secret of type {type_} is more than data" in messages("known-kinds", [secret])[0]
    for plain in (None, "Opaque", "kubernetes.io/dockerconfigjson", "kubernetes.io/service-account-token"):
        assert messages("known-kinds", [changed(secret, "type", plain)]) == []
    assert "type is not known at preview" in messages("known-kinds", [changed(secret, "type", UNKNOWN)])[0]


def test_an_ingress_answers_for_its_own_host_names_and_tells_its_controller_nothing_else() -> None:
    ours = resource(tokens.INGRESS, "i", {"metadata": {"name": "i"}, "spec": {"rules": [{"host": "demo.example.com"}]}})
    assert messages("known-kinds", [ours]) == []
    assert messages("known-kinds", [changed(ours, "metadata/annotations", {"pulumi.com/skipAwait": "true"})]) == []
    snippet = {"nginx.ingress.kubernetes.io/configuration-snippet": "return 200;"}
    assert messages("known-kinds", [changed(ours, "metadata/annotations", snippet)]) == [
        "Ingress i: annotation nginx.ingress.kubernetes.io/configuration-snippet is not ours, and the controller "
        "obeys it; remove it"
    ]
    for host in ({}, {"host": ""}, {"host": "*.example.com"}):
        assert messages("known-kinds", [changed(ours, "spec/rules", [{"host": "demo.example.com"}, host])]) == [
            "Ingress i: answers for host names of others; give each rule its own"
        ]
    caught = changed(ours, "spec/defaultBackend", {"service": {"name": "s"}})
    assert "spec.defaultBackend is unknown to the rules" in messages("known-fields", [caught])[0]


@pytest.mark.parametrize("place", ["kube-system", "kube-public", "kube-node-lease"])
def test_an_object_among_kubernetes_own_is_refused(place: str) -> None:
    said = f"x: {place} is Kubernetes' own; put objects of ours elsewhere"
    auth = resource(tokens.CONFIG_MAP, "x", {"metadata": {"name": "aws-auth", "namespace": place}})
    assert messages("known-kinds", [auth]) == [f"ConfigMap {said}"]
    itself = resource(tokens.NAMESPACE, "x", {"metadata": {"name": place}})
    assert messages("known-kinds", [itself]) == [f"Namespace {said}"]
    assert messages("known-kinds", [changed(auth, "metadata/namespace", "team-ml")]) == []
