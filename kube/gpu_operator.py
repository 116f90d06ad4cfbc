"""The GPU Operator's own state.

Helm's Release is ready when the operator's Deployment is; toolkit, device plugin and validation come minutes later.
Source: gpu-operator v26.7.0, controllers/clusterpolicy_controller.go and internal/conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import httpx2

from kube.client import answered, connect, reason_of, said
from kube.waits import until
from lenient import Json, rows, table, text

READY_DEADLINE_SECONDS: Final = 900.0
"""Its images have some gigabytes, and the container runtime restarts meanwhile."""
DRIVER_SECONDS: Final = 1260.0
"""The additional time for the driver's pod to compile and load it: its startup probe waits 60 s, then 120 times 10 s
(GO@v26.7.0:deployments/gpu-operator/values.yaml, driver.startupProbe).
"""
POLICY: Final = "/apis/nvidia.com/v1/clusterpolicies/cluster-policy"
NOTHING_FOUND: Final = frozenset({"NFDLabelsMissing", "NoGPUNodes"})
"""Reasons with which the operator calls itself ready although it has found no GPU (yet)."""


def wait_for_gpu_operator(
    kubeconfig: str, deadline: float = READY_DEADLINE_SECONDS, *, brings_driver: bool = False
) -> None:
    """Return once the operator says that all of its parts are ready on nodes with GPUs.

    `deadline` in seconds; with `brings_driver` DRIVER_SECONDS more.
    Raises `TimeoutError` with the operator's message and what to look at; `PermissionError` where the account may not
    read its state.
    """
    if brings_driver:
        deadline += DRIVER_SECONDS
    with connect(kubeconfig) as api:
        until(
            lambda: _not_ready(api),
            deadline,
            lambda why: (
                f"the GPU Operator is not ready after {deadline:.0f} s ({why}). Look at the pods in namespace "
                "gpu-operator that are not Running, and at their logs; then run the update again"
            ),
        )


def _not_ready(api: httpx2.Client) -> str | None:
    try:
        answer = api.get(POLICY)
        if answer.status_code in (401, 403):
            raise PermissionError(said(answer))
        if not answer.is_success:
            return said(answer)
        status = table(answered(answer), "status")
    except httpx2.RequestError as error:
        return reason_of(error)  # the API server may restart with the container runtime
    state, conditions = text(status, "state"), list(_true(status))
    if state == "ready" and not any(reason in NOTHING_FOUND for reason, _ in conditions):
        return None
    words = "; ".join(message for _, message in conditions if message)
    return f"ClusterPolicy cluster-policy is {state or 'without a state'}{': ' if words else ''}{words}"


def _true(status: Json) -> Iterator[tuple[str, str]]:
    """Reason and message of each condition that is true."""
    return (
        (text(each, "reason"), text(each, "message"))
        for each in rows(status, "conditions")
        if each.get("status") == "True"
    )
