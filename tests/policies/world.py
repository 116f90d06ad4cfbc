"""A small platform as plain data that breaks no rule, and the means to break it in one place."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import podspec
import tokens
from names import HOST_NAME, KAI_QUEUE_LABEL, LABEL_CHECK, LABEL_POOL, LABEL_TEAM
from policies.inventory import PolicyResource
from policies.rules.objects import STAYS
from policies.rules.quota import REQUEST_KEYS
from releases import KAI


def urn(type_: str, name: str, *, project: str = tokens.PROJECT) -> str:
    return f"urn:pulumi:unit::{project}::{type_}::{name}"


def resource(type_: str, name: str, properties: Mapping[str, object], parent: str = "") -> PolicyResource:
    # a URN holds the types of all ancestors, and their names not
    above = f"{parent.split('::')[2]}$" if parent else ""
    return PolicyResource(
        type=type_, name=name, properties=deepcopy(dict(properties)), urn=urn(f"{above}{type_}", name), parent=parent
    )


def pool(name: str = "a100", /, **changes: object) -> PolicyResource:
    return resource(
        tokens.NODE_POOL,
        name,
        {
            "name": name,
            "nodes": ["gpu-0"],
            "size": 1,
            "gpusPerNode": 8,
            "replicas": 1,
            "gpusAllocatable": 8,
            "gpuMemoryMib": 81920,
            "unit": "GPU",
        }
        | changes,
    )


def team(name: str = "ml", /, **changes: object) -> PolicyResource:
    return resource(
        tokens.TEAM,
        name,
        {
            "name": name,
            "pool": "a100",
            "nodes": [],
            "mode": "virtual",
            "schedulerVersion": "v0.9.3",
            "gpuQuota": 4,
            "gpuLimit": 6,
            "isolation": "baseline",
            "gpuSharing": True,
            "queues": {
                "training": {"quota": 3, "limit": 6, "overQuotaWeight": 2, "priority": 100},
                "notebooks": {"quota": 1, "limit": 2, "overQuotaWeight": 1, "priority": 50},
            },
        }
        | changes,
    )


def guardrails(name: str = "ml", limit: object = 6) -> list[PolicyResource]:
    namespace = f"team-{name}"
    meta: dict[str, object] = {"name": "tenant", "namespace": namespace}
    return [
        resource(
            tokens.NAMESPACE,
            namespace,
            {"metadata": {"name": namespace, "labels": {tokens.POD_SECURITY_LABEL: "baseline"}}},
        ),
        resource(
            tokens.RESOURCE_QUOTA,
            f"{name}-quota",
            {
                "metadata": meta,
                "spec": {"hard": dict.fromkeys(REQUEST_KEYS, "0") | {"requests.nvidia.com/gpu": limit}},
            },
        ),
        resource(
            tokens.LIMIT_RANGE,
            f"{name}-limits",
            {
                "metadata": meta,
                "spec": {"limits": [{"type": "Container", "default": {"ephemeral-storage": "50Gi"}}]},
            },
        ),
        resource(
            tokens.NETWORK_POLICY,
            f"{name}-deny",
            {"metadata": meta, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}},
        ),
        *admission(name),
    ]


def admission(name: str = "ml") -> list[PolicyResource]:
    policy = f"gpu-tenancy-team-{name}"
    return [
        resource(tokens.ADMISSION, f"{name}-admission", {"team": name, "rules": ["no-host-path", "own-nodes"]}),
        resource(
            tokens.ADMISSION_POLICY,
            f"{name}-admission-policy",
            {
                "metadata": {"name": policy},
                "spec": {
                    "failurePolicy": "Fail",
                    "matchConstraints": {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": f"team-{name}"}},
                        "resourceRules": [
                            {
                                "apiGroups": [group],
                                "apiVersions": ["v1"],
                                "operations": ["CREATE", "UPDATE"],
                                "resources": list(resources),
                            }
                            for group, resources in podspec.JUDGED
                        ],
                    },
                    "matchConditions": [{"name": "stays", "expression": STAYS}],
                    "validations": [
                        # one that says what broke it, and one that does not
                        {
                            "expression": "true",
                            "messageExpression": f"'gpu-tenancy rule no-host-path, team {name}: do not; got ' + 'v'",
                        },
                        {"expression": "true", "message": f"gpu-tenancy rule own-nodes, team {name}: do not"},
                    ],
                },
            },
        ),
        resource(
            tokens.ADMISSION_BINDING,
            f"{name}-admission-binding",
            {"metadata": {"name": policy}, "spec": {"policyName": policy, "validationActions": ["Deny"]}},
        ),
    ]


def role(**changes: object) -> PolicyResource:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"], "resourceNames": ["report"]}
    metadata = {"name": "gpu-check", "namespace": "gpu-check"}
    return resource(tokens.ROLE, "ml-check-role", {"metadata": metadata, "rules": [rule]} | changes)


def role_binding(type_: str = tokens.ROLE_BINDING, /, **changes: object) -> PolicyResource:
    return resource(
        type_,
        "ml-check-binding",
        {
            "metadata": {"name": "gpu-check", "namespace": "gpu-check"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gpu-check"},
            "subjects": [{"kind": "ServiceAccount", "name": "gpu-check", "namespace": "gpu-check"}],
        }
        | changes,
    )


def priority(**changes: object) -> PolicyResource:
    return resource(
        tokens.PRIORITY_CLASS,
        "ml-priority",
        {"metadata": {"name": "team-ml"}, "value": 500, "description": "of team ml"} | changes,
    )


def node_patch(**changes: object) -> PolicyResource:
    return resource(
        tokens.NODE_PATCH,
        "a100-gpu-0",
        {
            "metadata": {"name": "gpu-0", "labels": {LABEL_POOL: "a100", "nvidia.com/gpu.present": "true"}},
            "spec": {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]},
        }
        | changes,
    )


def check(name: str = "ml-check", /, **changes: object) -> PolicyResource:
    return resource(
        tokens.GPU_CHECK,
        name,
        {"team": "ml", "node": None, "queue": "training", "gpus": 1, "image": "docker.io/pytorch/pytorch:2.7.1"}
        | changes,
    )


def job(name: str = "ml-job", spec: Mapping[str, object] | None = None, /, **pod: object) -> PolicyResource:
    """A Job of team ml that asks for one GPU. `pod` replaces fields of the pod's spec; `spec` of the Job's."""
    return resource(
        tokens.JOB,
        name,
        {
            "metadata": {"name": "gpu-check", "namespace": "gpu-check", "labels": {LABEL_TEAM: "ml"}},
            "spec": {
                "template": {
                    "metadata": {"labels": {LABEL_TEAM: "ml", KAI_QUEUE_LABEL: "training"}},
                    "spec": {
                        "schedulerName": "kai-scheduler",
                        "runtimeClassName": "nvidia",
                        "nodeSelector": {LABEL_POOL: "a100"},
                        "containers": [
                            {
                                "name": "check",
                                "image": "docker.io/pytorch/pytorch:2.7.1",
                                "resources": {"limits": {"nvidia.com/gpu": "1"}},
                            }
                        ],
                    }
                    | pod,
                }
            }
            | dict(spec or {}),
        },
    )


def host_check() -> PolicyResource:
    return resource(
        tokens.JOB,
        "gpu-check-gpu-0",
        {
            "metadata": {"name": "gpu-check-gpu-0", "namespace": "gpu-tenancy", "labels": {LABEL_CHECK: "host"}},
            "spec": {
                "template": {
                    "metadata": {"labels": {LABEL_CHECK: "host"}},
                    "spec": {
                        "runtimeClassName": "nvidia",
                        "nodeSelector": {HOST_NAME: "gpu-0"},
                        "containers": [
                            {
                                "name": "check",
                                "image": "docker.io/pytorch/pytorch:2.7.1",
                                "resources": {"limits": {"nvidia.com/gpu": 8}},
                            }
                        ],
                    },
                }
            },
        },
        parent=urn(tokens.GPU_CHECK, "gpu-check-gpu-0"),
    )


def leaf(quota: object, limit: object) -> dict[str, object]:
    return {"quota": quota, "limit": limit, "overQuotaWeight": 1, "priority": 100}


def queue(name: str = "training", /, **gpu: object) -> PolicyResource:
    block = {"quota": 3, "limit": 6, "overQuotaWeight": 1}
    everything = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
    return resource(
        tokens.QUEUE,
        f"ml-{name}",
        {
            "metadata": {"name": name, "labels": {LABEL_TEAM: "ml"}},
            "spec": {
                "parentQueue": "ml",
                "resources": {"gpu": block | gpu, "cpu": dict(everything), "memory": dict(everything)},
            },
        },
    )


def vcluster(**values: object) -> PolicyResource:
    return resource(
        tokens.RELEASE,
        "ml-vcluster",
        {
            "name": "ml",
            "namespace": "team-ml",
            "chart": "vcluster",
            "version": "0.29.3",
            "repositoryOpts": {"repo": "https://charts.loft.sh"},
            "values": {
                "controlPlane": {
                    "statefulSet": {
                        "image": {"repository": "loft-sh/vcluster-oss"},
                        "persistence": {"volumeClaim": {"enabled": True}},
                    }
                },
                "sync": {
                    "fromHost": {"nodes": {"enabled": True, "selector": {"labels": {LABEL_POOL: "a100"}}}},
                    "toHost": {"pods": {"enforceTolerations": ["nvidia.com/gpu=present:NoSchedule"]}},
                },
            }
            | values,
        },
        parent=virtual_cluster().urn,
    )


def scheduler(**changes: object) -> PolicyResource:
    return resource(
        tokens.KAI_SCHEDULER,
        "ml-kai",
        {
            "team": "ml",
            "version": "v0.9.3",
            "line": KAI["v0.9.3"].line,
            "gpuSharing": True,
            "namespace": "kai-scheduler",
        }
        | changes,
    )


def kai_release(name: str = f"ml-kai-{KAI['v0.9.3'].line}", **changes: object) -> PolicyResource:
    return resource(
        tokens.RELEASE,
        name,
        {
            "name": "kai-scheduler",
            "chart": "oci://ghcr.io/nvidia/kai-scheduler/kai-scheduler",
            "version": "v0.9.3",
            "values": {"global": {"gpuSharing": True, "registry": "ghcr.io/nvidia/kai-scheduler"}},
        }
        | changes,
        parent=scheduler().urn,
    )


def virtual_cluster(**changes: object) -> PolicyResource:
    return resource(tokens.VIRTUAL_CLUSTER, "ml", {"team": "ml", "version": "0.29.3", "persistence": True} | changes)


def software(**changes: object) -> PolicyResource:
    return resource(tokens.GPU_SOFTWARE, "gpu", {"stack": "devicePlugin", "runtimeClass": "nvidia"} | changes)


def healthy() -> list[PolicyResource]:
    """Every kind of resource once."""
    return [
        pool(),
        software(),
        host_check(),
        team(),
        *guardrails(),
        priority(),
        node_patch(),
        role(),
        role_binding(),
        virtual_cluster(),
        vcluster(),
        scheduler(),
        kai_release(),
        queue(),
        check(),
        check("ml-part", gpus=1, fraction=0.5, queue="notebooks"),
        check("ml-memory", gpus=1, gpuMemoryMib=2000, queue="notebooks"),
        job(),
    ]
