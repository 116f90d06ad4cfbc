"""Sources that several rows share."""

from __future__ import annotations

from typing import Final

STATEFUL_SET: Final = "K8S: concepts/workloads/controllers/statefulset (volumeClaimTemplates can't be updated)"
LIVE_QUOTA: Final = "K8S: concepts/policy/resource-quotas (a quota never touches pods that exist)"
GONE_NODES: Final = "K8S: concepts/workloads/pods/pod-lifecycle (garbage collection of pods without a node)"
