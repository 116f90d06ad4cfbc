"""Which rights a role of ours may give, and which of Kubernetes' own roles. Data."""

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
"""What a role of ours may let somebody read, by API group. No Secrets: they are rights."""
WRITABLE: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "configmaps"): ("create", "patch", "update"),
    ("", "pods"): ("create", "delete"),
}
"""What it may let somebody change."""
BINDABLE: Final = ("edit", "view")
"""Kubernetes' own roles that may be given, within a namespace."""
