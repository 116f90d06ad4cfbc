"""The host's own checks: one pod per GPU node, before a team has anything on its GPUs.

Owns: what those pods ask for. A broken driver, runtime or plugin on a node must not look like a fault of a team's
scheduler.
Leaves to others: the check itself (`gpu_check.py`).
"""

from __future__ import annotations

import hashlib
from typing import Final

import names
import releases
from components.check.job import PodSettings, Request
from settings import artifacts
from settings.models import GpuStack, Platform, Pool

LONGEST_SUFFIX: Final = 63 - len(f"{names.CHECK_NAME}-") - len("-verdict")
"""Characters of a node's name in those of its Jobs: their pods carry these as a label, which has at most 63. A node of
a cloud (ip-10-192-120-110.eu-central-1.compute.internal) has more."""
_DIGITS: Final = 8


def host_requests(platform: Platform) -> dict[str, Request]:
    """Return the checks by node: one for each named GPU node, one for each pool that a selector finds."""
    found: dict[str, Request] = {}
    for name, pool in platform.pools.items():
        if pool.gpus_per_node == 0:
            continue
        for node in pool.nodes:
            found[node] = _request(platform, name, pool, node, {names.HOST_NAME: node})
        if pool.selector:
            found[f"pool-{name}"] = _request(platform, name, pool, None, pool.selector)
    return found


def short(suffix: str) -> str:
    """Return a name of a node or pool as it stands in a Job's name: a long one is cut, and told apart by a hash."""
    if len(suffix) <= LONGEST_SUFFIX:
        return suffix
    digits = hashlib.sha256(suffix.encode()).hexdigest()[:_DIGITS]
    return f"{suffix[: LONGEST_SUFFIX - _DIGITS - 1].rstrip('-.')}-{digits}"


def _request(platform: Platform, name: str, pool: Pool, node: str | None, selector: dict[str, str]) -> Request:
    suffix = node or f"pool-{name}"
    return Request(
        name=f"{names.CHECK_NAME}-{short(suffix)}",
        namespace=names.HOST_NAMESPACE,
        report_namespace=names.HOST_NAMESPACE,
        report=f"{names.CHECK_REPORT}-{suffix}",
        team="host",
        pool=name,
        node=node,
        node_selector=selector,
        queue=None,
        scheduler_name=None,
        scheduler_version=None,
        priority_class=None,
        kai_priority=None,
        gpus=1,
        fraction=None,
        pair=None,
        gpu_memory_mib=None,
        enforced=False,
        replicas=pool.replicas,
        sharing=pool.sharing.word,
        tainted=pool.taint,
        product=pool.product,
        pool_gpu_memory_mib=pool.device_memory_mib,
        pod=pod_settings(platform),
        kind="host",
    )


def pod_settings(platform: Platform) -> PodSettings:
    """The settings that all check pods of a platform share."""
    fake = platform.gpu.stack is GpuStack.FAKE
    return PodSettings(
        # fake GPUs come without a runtime
        runtime_class=None if fake else platform.gpu.runtime_class.name,
        image=artifacts.image(platform.check.image or releases.CHECK_IMAGE, platform.artifacts),
        pull_policy=platform.artifacts.image_pull_policy,
        memory_fraction=platform.check.gpu_memory_fraction,
        deadline_seconds=platform.check.deadline_seconds,
        on_failure=platform.check.on_failure.value,
        fake=fake,
        injection=platform.gpu.injection,
    )
