"""Stop a tenant's pods, and renew pods that have an invalid token.

Owns: which pods, and the wait for their end.
Leaves to others: that no pod comes back (`components/team/admission.py`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final

import httpx2

from kube.client import answered, connect, path, pause, said
from lenient import Json, items, name, rows, table, text
from names import GPU_RESOURCES

STOP_DEADLINE_SECONDS: Final = 180.0
"""A pod has 30 s to end by default. A pod with a longer time than this is reported."""
QUIET_LOOKS: Final = 3
"""Looks without a pod after which all count as gone: an admission rule takes effect a moment after it is written."""


def stop_pods(
    kubeconfig: str,
    namespace: str,
    *,
    label: str,
    kept: Mapping[str, Collection[str]],
    deadline: float = STOP_DEADLINE_SECONDS,
) -> list[str]:
    """Delete the namespace's pods that have `label`, and wait for their end. Pods without a GPU whose labels have one
    of the `kept` values stay. Returns the names of the deleted pods. Raises `TimeoutError` with the names of those that
    do not end, and `RuntimeError` where the API server refuses.
    """
    stopped: dict[str, None] = {}
    end, quiet = time.monotonic() + deadline, 0
    with connect(kubeconfig) as api:
        while quiet < QUIET_LOOKS:
            going = [pod for pod in _items(api, "Pod", namespace, labelSelector=label) if not _is_kept(pod, kept)]
            quiet = 0 if going else quiet + 1
            names = [name(pod) for pod in going]
            if names and time.monotonic() > end:
                message = f"pods of namespace {namespace} were stopped but are still there: {', '.join(names[:5])}"
                raise TimeoutError(message)
            for pod, called in zip(going, names, strict=True):
                if called in stopped and "deletionTimestamp" in table(pod, "metadata"):
                    continue
                stopped[called] = None
                api.delete(path("v1", "Pod", called, namespace))  # the next look shows whether it is gone
            pause()
    return list(stopped)


def _is_kept(pod: Json, kept: Mapping[str, Collection[str]]) -> bool:
    """Whether a pod stays. A pod with a GPU does not, because a tenant may run its work in any of its namespaces."""
    labels = table(pod, "metadata", "labels")
    return any(labels.get(key) in values for key, values in kept.items()) and not _has_gpu(pod)


def _has_gpu(pod: Json) -> bool:
    limits = (table(one, "resources", "limits") for one in rows(pod, "spec", "containers"))
    return any(resource in GPU_RESOURCES for one in limits for resource in one)


def renew_pods(kubeconfig: str, namespace: str, *, settle: float) -> list[str]:
    """Delete the namespace's pods that are older than their ServiceAccount; their controllers make others.

    When an account is deleted and made again with the same name, its pods keep the old token: the API server answers
    401, and the pods stay Ready. Looks at least once, and until it found none for `settle` seconds. Returns their
    names. Raises `RuntimeError` where the API server refuses.
    """
    renewed: dict[str, None] = {}
    with connect(kubeconfig) as api:
        quiet_since = time.monotonic()
        while True:
            made = {name(item): _made(item) for item in _items(api, "ServiceAccount", namespace)}
            for pod in _items(api, "Pod", namespace):
                called, account = name(pod), text(pod, "spec", "serviceAccountName") or "default"
                # both are UTC to the second, in the same format
                old = _made(pod) < made.get(account, "")
                if old and called not in renewed and _is_controlled(pod):
                    api.delete(path("v1", "Pod", called, namespace))
                    renewed[called] = None
                    quiet_since = time.monotonic()
            if time.monotonic() - quiet_since >= settle:
                return list(renewed)
            pause()


def _is_controlled(pod: Json) -> bool:
    owners = rows(pod, "metadata", "ownerReferences")
    # a Job's pod is not a server
    return any(owner.get("controller") and owner.get("kind") != "Job" for owner in owners)


def _made(thing: Json) -> str:
    return text(thing, "metadata", "creationTimestamp")


def _items(api: httpx2.Client, kind: str, namespace: str, **query: str) -> list[Json]:
    answer = api.get(path("v1", kind, namespace=namespace), params=query)
    if not answer.is_success:
        raise RuntimeError(f"{kind}s of namespace {namespace} can't be listed: {said(answer)}")
    return items(answered(answer))
