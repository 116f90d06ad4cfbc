"""The pods that a workload makes, read from its literal inputs. Every reader raises `Unreadable`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite, nan
from typing import Final

import tokens
from names import GPU_FRACTION, GPU_MEMORY_ASKED, KAI_QUEUE_LABEL
from policies.inventory import PolicyResource
from policies.plain import Number, Unreadable, get, mapping, mappings, maybe_text

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
"""The fields with a pod's containers. All three run with the pod's rights."""
_DIGITS: Final = re.compile(r"[0-9]+")


def pod_template(workload: PolicyResource) -> Mapping[str, object]:
    """Return the pod (`metadata` and `spec`) that a workload makes."""
    if workload.type == tokens.POD:
        return workload.properties
    if workload.type == tokens.POD_TEMPLATE:
        return mapping(workload.properties, "template")
    if workload.type == tokens.CRON_JOB:
        return mapping(workload.properties, "spec", "jobTemplate", "spec", "template")
    return mapping(workload.properties, "spec", "template")


def pod_spec(workload: PolicyResource) -> Mapping[str, object]:
    return mapping(pod_template(workload), "spec")


def containers(workload: PolicyResource) -> list[Mapping[str, object]]:
    """Return all containers of a workload's pod, init and debug containers too."""
    pod = pod_template(workload)
    return [container for kind in CONTAINERS for container in mappings(pod, "spec", kind)]


def asked_resources(place: Mapping[str, object]) -> list[str]:
    return sorted({*mapping(place, "resources", "requests"), *mapping(place, "resources", "limits")})


def gpu_request(workload: PolicyResource) -> Number:
    """Return how many whole GPUs (or replicas, or MIG slices) one pod of a workload asks for.

    Adds up as Kubernetes does: init containers run one after the other; sidecars (`restartPolicy: Always`) run beside
    everything that comes later.
    """
    pod = pod_template(workload)
    staying: Number = 0
    most: Number = 0
    for container in mappings(pod, "spec", "initContainers"):
        asked = _gpus(container)
        most = max(most, staying + asked)
        if maybe_text(container, "restartPolicy") == "Always":
            staying += asked
    return max(most, staying + sum(_gpus(container) for container in mappings(pod, "spec", "containers")))


def _gpus(container: Mapping[str, object]) -> Number:
    requests = mapping(container, "resources", "requests")
    limits = mapping(container, "resources", "limits")
    return sum(
        # the key itself has dots, so read it in one step
        _count(name, get(limits if name in limits else requests, name))
        for name in asked_resources(container)
        if name.startswith(tokens.GPU_PREFIXES)
    )


def _count(name: str, value: object) -> Number:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    # a negative number would hide the request of another container
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value % 1 == 0:
        return value
    raise Unreadable(f"asks for {value!r} of {name}, which is not a whole number")


def annotation(workload: PolicyResource, key: str) -> str | None:
    return maybe_text(pod_template(workload), "metadata", "annotations", key)


def decimal_annotation(workload: PolicyResource, key: str) -> Number | None:
    """Return an annotation that must be a number; None when absent."""
    value = annotation(workload, key)
    if value is None:
        return None
    try:
        found = float(value)
    except ValueError:
        found = nan
    if not isfinite(found):  # "nan" is never above a limit
        raise Unreadable(f"annotation {key} must be a number, got {value!r}")
    return found


def uses_gpu(workload: PolicyResource) -> bool:
    """Say whether a workload's pods ask for a GPU or for a part of one."""
    return (
        gpu_request(workload) > 0
        or annotation(workload, GPU_FRACTION) is not None
        or annotation(workload, GPU_MEMORY_ASKED) is not None
    )


def queue_of(workload: PolicyResource) -> str | None:
    """Return the queue label of a workload's pod."""
    return maybe_text(pod_template(workload), "metadata", "labels", KAI_QUEUE_LABEL)
