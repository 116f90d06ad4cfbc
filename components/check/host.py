"""The host's own checks: one pod per GPU node, before a team has anything on its GPUs.

Owns: what those pods ask for. A broken driver, runtime or plugin on a node must not look like a fault of a team's
scheduler.
Leaves to others: the check itself (`gpu_check.py`).
"""

from __future__ import annotations

import names
import releases
from components.check.job import PodSettings, Request
from settings import artifacts
from settings.models import GpuStack, Platform, Pool


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


def _request(platform: Platform, name: str, pool: Pool, node: str | None, selector: dict[str, str]) -> Request:
    suffix = node or f"pool-{name}"
    return Request(
        name=f"{names.CHECK_NAME}-{suffix}",
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
        sharing=sharing(pool),
        tainted=pool.taint,
        product=pool.product,
        pool_gpu_memory_mib=pool.device_memory_mib,
        pod=pod_settings(platform),
        kind="host",
    )


def sharing(pool: Pool) -> str | None:
    """How a pool's replicas are made, in the stack file's words; None without replicas."""
    if pool.sharing.mig:
        return "mig"
    if pool.sharing.mps:
        return "mps"
    return "timeSlicing" if pool.sharing.time_slicing else None


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
