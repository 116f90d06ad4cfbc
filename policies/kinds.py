"""The kinds of Kubernetes objects that the pack knows, and their known fields. Data.

A kind that is not here is refused (`known-kinds`), and so is a field (`known-fields`): no rule knows what it does to
pods, quotas, rights or admission. Each part of a path is a key. `*` stands for any one key, `**` for everything below.
The items of a list have their list's path. `podspec.py` says what a workload's pod may have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import tokens

METADATA: Final = (
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.labels.**",
    "metadata.annotations.**",
)
"""What every object may have."""

_CLAIM: Final = (
    "metadata.name",
    "metadata.labels.**",
    "metadata.annotations.**",
    "spec.accessModes",
    "spec.resources.requests.storage",
    "spec.storageClassName",
    "spec.volumeMode",
)
"""Fields of a claim for a new volume. `volumeName` and `selector` are left out: they would take an existing volume."""
_JOB: Final = (
    "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "completionMode", "completions", "manualSelector",
    "maxFailedIndexes", "parallelism", "podFailurePolicy.**", "podReplacementPolicy", "selector.**",
    "successPolicy.**", "suspend", "template.**", "ttlSecondsAfterFinished",
)  # fmt: skip
_QUEUED: Final = ("gpu", "cpu", "memory")
_RIGHTS: Final = ("apiGroups", "resources", "resourceNames", "verbs")
_BINDING: Final = (
    *(f"roleRef.{key}" for key in ("apiGroup", "kind", "name")),
    *(f"subjects.{key}" for key in ("apiGroup", "kind", "name", "namespace")),
)


def _spec(*fields: str) -> tuple[str, ...]:
    return tuple(f"spec.{field}" for field in fields)


FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    tokens.CONFIG_MAP: ("data.**", "binaryData.**", "immutable"),
    tokens.SECRET: ("data.**", "stringData.**", "immutable", "type"),
    tokens.SERVICE_ACCOUNT: ("automountServiceAccountToken", "imagePullSecrets.name"),
    # no externalIPs, no externalName: they would take traffic of others
    tokens.SERVICE: _spec(
        *("type", "selector.**", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "sessionAffinity"),
        *(f"ports.{key}" for key in ("name", "port", "targetPort", "nodePort", "protocol", "appProtocol")),
        *("externalTrafficPolicy", "internalTrafficPolicy", "loadBalancerSourceRanges", "publishNotReadyAddresses"),
    ),
    tokens.NAMESPACE: (),
    tokens.RESOURCE_QUOTA: _spec("hard.**", "scopes", "scopeSelector.**"),
    tokens.LIMIT_RANGE: _spec(
        "limits.type", *(f"limits.{key}.**" for key in ("default", "defaultRequest", "max", "min")),
        "limits.maxLimitRequestRatio.**",
    ),
    tokens.NETWORK_POLICY: _spec("podSelector.**", "policyTypes", "ingress.**", "egress.**"),
    # no defaultBackend: it would take traffic of others; no TLS: it names a Secret that no rule sees
    tokens.INGRESS: _spec(
        "ingressClassName", "rules.host", "rules.http.paths.path", "rules.http.paths.pathType",
        *(f"rules.http.paths.backend.service.{key}" for key in ("name", "port.name")),
    ),
    # no globalDefault: it would apply to every pod of the cluster
    tokens.PRIORITY_CLASS: ("value", "description", "preemptionPolicy"),
    tokens.RUNTIME_CLASS: ("handler",),
    # the pack sees only a part of a patched object, so a patch may set only these
    tokens.NODE_PATCH: _spec("taints.key", "taints.value", "taints.effect"),
    # no conversion: its webhook would see every object of the kind
    tokens.CUSTOM_RESOURCE_DEFINITION: _spec("group", "scope", "names.**", "versions.**"),
    tokens.QUEUE: _spec(
        "displayName", "parentQueue", "priority", "preemptMinRuntime", "reclaimMinRuntime",
        *(f"resources.{kind}.{key}" for kind in _QUEUED for key in ("quota", "limit", "overQuotaWeight")),
    ),
    tokens.TOPOLOGY: _spec("levels.nodeLabel"),
    tokens.VOLUME_CLAIM: _CLAIM,
    tokens.ROLE: tuple(f"rules.{key}" for key in _RIGHTS),
    # no aggregationRule: the rights would come from roles that no rule sees
    tokens.CLUSTER_ROLE: tuple(f"rules.{key}" for key in _RIGHTS),
    tokens.ROLE_BINDING: _BINDING,
    tokens.CLUSTER_ROLE_BINDING: _BINDING,
    # no paramKind, and no rules that exclude resources: the policy itself must say what it judges
    tokens.ADMISSION_POLICY: _spec(
        "failurePolicy",
        *("matchConstraints.namespaceSelector.matchLabels.**", "matchConstraints.resourceRules.**"),
        *("matchConditions.**", "variables.**", "validations.**"),
    ),
    tokens.ADMISSION_BINDING: _spec("policyName", "validationActions"),
    tokens.POD: _spec("**"),
    tokens.POD_TEMPLATE: ("template.**",),
    tokens.REPLICATION_CONTROLLER: _spec("minReadySeconds", "replicas", "selector.**", "template.**"),
    tokens.REPLICA_SET: _spec("minReadySeconds", "replicas", "selector.**", "template.**"),
    tokens.DEPLOYMENT: _spec(
        "minReadySeconds", "paused", "progressDeadlineSeconds", "replicas", "revisionHistoryLimit", "selector.**",
        "strategy.**", "template.**",
    ),
    tokens.DAEMON_SET: _spec(
        "minReadySeconds", "revisionHistoryLimit", "selector.**", "template.**", "updateStrategy.**",
    ),
    tokens.STATEFUL_SET: _spec(
        "minReadySeconds", "ordinals.**", "persistentVolumeClaimRetentionPolicy.**", "podManagementPolicy", "replicas",
        "revisionHistoryLimit", "selector.**", "serviceName", "template.**", "updateStrategy.**",
        *(f"volumeClaimTemplates.{field}" for field in ("apiVersion", "kind", *_CLAIM)),
    ),
    tokens.JOB: _spec(*_JOB),
    tokens.CRON_JOB: _spec(
        "concurrencyPolicy", "failedJobsHistoryLimit", "schedule", "startingDeadlineSeconds",
        "successfulJobsHistoryLimit", "suspend", "timeZone", "jobTemplate.metadata.labels.**",
        "jobTemplate.metadata.annotations.**", *(f"jobTemplate.spec.{field}" for field in _JOB),
    ),
    # no valueYamlFiles, no postrender: values and objects that no rule sees; no reuseValues: it keeps older values
    tokens.RELEASE: (
        "atomic", "chart", "cleanupOnFail", "compat", "description", "disableCRDHooks", "disableOpenapiValidation",
        "disableWebhooks", "lint", "maxHistory", "name", "namespace", "skipAwait", "skipCrds", "timeout", "values.**",
        "version", "waitForJobs", *(f"repositoryOpts.{key}" for key in ("repo", "caFile", "username", "password")),
    ),
}  # fmt: skip
"""The fields of each known kind, besides those of `METADATA`."""

SECRET_TYPES: Final = (
    *("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/dockerconfigjson", "kubernetes.io/ssh-auth"),
    *("kubernetes.io/tls", "kubernetes.io/service-account-token"),
)
"""Types of Secrets that are only data, and the token of an account. A bootstrap token gives the right to join; a
Release's Secret belongs to Helm.
"""
SYSTEM_NAMESPACES: Final = ("kube-system", "kube-public", "kube-node-lease")
"""Kubernetes' own namespaces. They hold its DNS, its accounts, and on some clouds the list of administrators
(`aws-auth`).
"""

MAKERS: Final[Mapping[str, str]] = {
    "Patch": "a patch changes an object that no rule sees whole",
    "List": "a list holds objects that no rule sees",
    "ConfigGroup": "it makes objects that no rule sees before",
    "ConfigFile": "it makes objects that no rule sees before",
    "Chart": "it makes objects that no rule sees before; a chart comes by a component's Release",
    "Directory": "it makes objects that no rule sees before",
}
"""The reason to refuse a kind, by the end of its name, where the reason is more than "unknown kind"."""
