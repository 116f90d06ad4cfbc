"""Stopping a tenant's pods.

Owns: which of them, and waiting for their end.
Leaves to others: that none comes again (`components/team/admission.py`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from kube.client import connect, path, pause, said

STOP_DEADLINE_SECONDS: Final = 180.0
"""A pod has 30 s to end unless it says otherwise; one that says more than this is named."""
QUIET_LOOKS: Final = 3
"""Looks without a pod until all are taken for gone: an admission rule holds a moment after it was written."""


def stop_pods(
    kubeconfig: str,
    namespace: str,
    *,
    label: str,
    kept: Mapping[str, Collection[str]],
    deadline: float = STOP_DEADLINE_SECONDS,
) -> list[str]:
    """Delete the namespace's pods that have `label`, but those whose labels have one of the `kept` values, and wait for
    their end. Returns their names. Raises `TimeoutError` that names those that stay, and `RuntimeError` where the API
    server refuses.
    """
    stopped: dict[str, None] = {}
    end, quiet = time.monotonic() + deadline, 0
    with connect(kubeconfig) as api:
        while quiet < QUIET_LOOKS:
            answer = api.get(path("v1", "Pod", namespace=namespace), params={"labelSelector": label})
            if not answer.is_success:
                message = f"the pods of namespace {namespace} can't be listed: {said(answer)}"
                raise RuntimeError(message)
            going = [pod for pod in answer.json()["items"] if not _is_kept(pod, kept)]
            quiet = 0 if going else quiet + 1
            names = [str(pod["metadata"]["name"]) for pod in going]
            if names and time.monotonic() > end:
                message = f"pods of namespace {namespace} were stopped but are still there: {', '.join(names[:5])}"
                raise TimeoutError(message)
            for pod, name in zip(going, names, strict=True):
                if name in stopped and "deletionTimestamp" in pod["metadata"]:
                    continue
                stopped[name] = None
                api.delete(path("v1", "Pod", name, namespace))  # whether it goes is seen at the next look
            pause()
    return list(stopped)


def _is_kept(pod: Mapping[str, Any], kept: Mapping[str, Collection[str]]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return any(labels.get(key) in values for key, values in kept.items())
