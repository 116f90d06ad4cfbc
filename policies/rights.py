"""The rights that a role of ours may give, and the roles of Kubernetes that may be bound. Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

READ: Final = ("get", "list", "watch")
READABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        *("configmaps", "endpoints", "events", "limitranges", "namespaces", "nodes", "persistentvolumeclaims"),
        *("pods", "pods/log", "pods/status", "replicationcontrollers", "resourcequotas", "services"),
    ),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "batch": ("cronjobs", "jobs"),
    "events.k8s.io": ("events",),
    "kai.scheduler": ("configs", "schedulingshards", "topologies"),
    "metrics.k8s.io": ("nodes", "pods"),
    "node.k8s.io": ("runtimeclasses",),
    "scheduling.k8s.io": ("priorityclasses",),
    "scheduling.run.ai": ("bindrequests", "podgroups", "queues"),
}
"""What a role of ours may allow to read, by API group. No Secrets: they contain credentials."""
WRITABLE: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "configmaps"): ("create", "patch", "update"),
    ("", "pods"): ("create", "delete"),
}
"""What a role of ours may allow to change."""
BINDABLE: Final = ("edit", "view")
"""Kubernetes' own roles that may be bound within a namespace."""
