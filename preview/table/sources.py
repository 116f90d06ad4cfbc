"""Sources that several rows share."""

from __future__ import annotations

from typing import Final

HERE: Final = "this program"
"""Only this program reads the field, or its own code decides the field's effect."""
STATEFUL_SET: Final = "K8S: concepts/workloads/controllers/statefulset (volumeClaimTemplates can't be updated)"
LIVE_QUOTA: Final = "K8S: concepts/policy/resource-quotas (a quota never touches pods that exist)"
QUEUES: Final = "KAI@v0.16.8:pkg/scheduler/plugins/proportion (limits are read when a pod is to be bound)"
ALLOCATED: Final = (
    "K8S: concepts/extend-kubernetes/compute-storage-net/device-plugins (pods that run keep their devices)"
)
GONE_NODES: Final = "K8S: concepts/workloads/pods/pod-lifecycle (garbage collection of pods without a node)"

NOTHING: Final = "only the arithmetic changes; no object does"
