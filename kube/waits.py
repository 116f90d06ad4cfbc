"""What the program reads or waits for, with a time limit: Secrets and reports, a tenant's API, KAI's webhooks.

Owns: when each of them is ready, how long that may take, and the message when it takes longer.
Leaves to others: which resources wait (`components/`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, cast

import httpx2

from capacity import amount_of
from kube.client import answered, connect, connect_to, path, pause, reason_of, said, target
from lenient import table
from names import GPU, QUOTA_NAME, Object, team_namespace

SECRET_DEADLINE_SECONDS: Final = 180.0
"""The Secret comes seconds after its Release, under load a minute (ten teams at once on two cores)."""
READ_DEADLINE_SECONDS: Final = 10.0
"""For what is there already: only an API server that restarts is waited for."""
ANSWER_DEADLINE_SECONDS: Final = 180.0
"""A NodePort works a second after its pod is ready, and a load balancer minutes after its Service was made. A restarted
control plane answers after half a minute, later on a busy node.
"""
ANSWER_TIMEOUT: Final = httpx2.Timeout(5.0)
"""Seconds for one try: an address that drops packets must not use up the deadline in a few tries."""
LOWERED_DEADLINE_SECONDS: Final = 120.0
"""One call lowers a ResourceQuota, a second after the update begins; later if many updates wait for their turn."""
ADMITTED_DEADLINE_SECONDS: Final = 180.0
"""KAI's admission is ready 15 s after helm ends (v0.16.8, idle node), and later on a busy node."""

TRANSIENT: Final = (
    # KAI's webhooks are not up yet, or its kinds do not exist yet
    "failed calling webhook",
    "no matches for kind",
    "connection refused",
    "no endpoints available",
    # the replaced Job is deleted after its pods, and their deletion needs the same webhook
    "object is being deleted",
)


def read_secret(
    kubeconfig: str, namespace: str, name: str, deadline: float = SECRET_DEADLINE_SECONDS
) -> dict[str, str]:
    """Return a vCluster's Secret (base64 values) once it exists. Raises `TimeoutError` that names it and what to look
    at, `PermissionError` where waiting does not change rights.
    """
    return _data(
        kubeconfig,
        path("v1", "Secret", name, namespace),
        deadline,
        lambda why: (
            f"Secret {namespace}/{name} did not appear within {deadline:.0f} s, though its vCluster is "
            f"installed ({why}). See the log of pod {name.removeprefix('vc-')}-0 in namespace {namespace}"
        ),
    )


def read_report(kubeconfig: str, namespace: str, name: str, deadline: float = READ_DEADLINE_SECONDS) -> str:
    """Return the JSON text of a check that has ended. Raises `TimeoutError` and `PermissionError`, as above, and
    `LookupError` where it is gone: then it does not come.
    """
    found = _data(
        kubeconfig,
        path("v1", "ConfigMap", name, namespace),
        deadline,
        lambda why: f"the report, ConfigMap {namespace}/{name}, can't be read: {why}",
        comes=False,
    )
    return found.get("report.json", "{}")


def _data(
    kubeconfig: str, where: str, deadline: float, late: Callable[[str], str], *, comes: bool = True
) -> dict[str, str]:
    """The data of an object at a path, once it exists. `comes`: whether one that does not exist is waited for."""
    found: dict[str, str] = {}

    def missing() -> str | None:
        try:
            answer = api.get(where)
            if answer.is_success:
                data = table(answered(answer), "data")
                found.update({key: value for key, value in data.items() if isinstance(value, str)})
                return None
        except httpx2.RequestError as error:
            return reason_of(error)  # the API server restarts, too
        if answer.status_code in (401, 403):
            raise PermissionError(said(answer))
        if answer.status_code == httpx2.codes.NOT_FOUND and not comes:
            raise LookupError(late(said(answer)))
        return said(answer)

    with connect(kubeconfig) as api:
        until(missing, deadline, late)
    return found


def until(asked: Callable[[], str | None], deadline: float, late: Callable[[str], str]) -> None:
    """Ask again and again, at least once, until there is no reason to wait. After `deadline` seconds raises
    `TimeoutError` with the message for the last reason.
    """
    end = time.monotonic() + deadline
    while (why := asked()) is not None:
        if time.monotonic() > end:
            raise TimeoutError(late(why))
        pause()


def wait_until_it_answers(kubeconfig: str, whose: str, deadline: float = ANSWER_DEADLINE_SECONDS) -> None:
    """Return once the API server answers at the kubeconfig's address, with its credentials, that it is ready.

    A ready pod is not enough: a Service's port works a moment later. Raises `TimeoutError` with the team `whose` API it
    is, the address, the last answer and what to look at.
    """
    found = target(kubeconfig)
    with connect_to(found, ANSWER_TIMEOUT) as api:
        until(
            lambda: _not_ready(api),
            deadline,
            lambda why: (
                f"team {whose}: its API server does not answer at {found.cluster.server} within {deadline:.0f} s "
                f"({why}). Look at pod {whose}-0 in namespace {team_namespace(whose)}; if it is Ready, this machine "
                "can't reach that address: see host.address and the team's access.expose. Then run the update again"
            ),
        )


def _not_ready(api: httpx2.Client) -> str | None:
    try:
        answer = api.get("/readyz")
    except httpx2.TransportError as error:
        return reason_of(error)
    return None if answer.is_success else said(answer)


def wait_until_lowered(kubeconfig: str, bounds: Mapping[str, int], deadline: float = LOWERED_DEADLINE_SECONDS) -> None:
    """Return once each namespace's ResourceQuota allows at most this number of GPUs (replicas), or does not exist.

    Raises `TimeoutError` with the namespace, its number and what to look at.
    """

    def above() -> str | None:
        for namespace, most in bounds.items():
            if (why := _above(api, namespace, most)) is not None:
                return f"{namespace}/{QUOTA_NAME} was not lowered to {most} GPUs in {deadline:.0f} s ({why})"
        return None

    with connect(kubeconfig) as api:
        until(
            above,
            deadline,
            lambda why: f"ResourceQuota {why}, so nobody else gets them. See why, and run the update again",
        )


def _above(api: httpx2.Client, namespace: str, most: int) -> str | None:
    """Why a ResourceQuota may still allow more GPUs than that; None where it does not."""
    try:
        answer = api.get(path("v1", "ResourceQuota", QUOTA_NAME, namespace))
        if answer.status_code == 404:
            return None  # it will be made later, with its own number
        if not answer.is_success:
            return said(answer)
        quota, key = answered(answer), f"requests.{GPU}"
    except httpx2.RequestError as error:
        return reason_of(error)
    # the status counts for pods, and it follows the spec
    bound = max(amount_of(table(quota, part, "hard").get(key)) or 0 for part in ("spec", "status"))
    return f"it is {bound}" if bound > most else None


def comes_later(error: str) -> bool:
    """Whether an API server's refusal passes by itself after KAI was installed or replaced."""
    return any(text in error for text in TRANSIENT)


def wait_until_admitted(
    kubeconfig: str, manifest: Mapping[str, object], deadline: float = ADMITTED_DEADLINE_SECONDS
) -> None:
    """Return once the API server would accept this object, by a dry run, which asks the webhooks and keeps nothing.

    Also returns at the deadline and on permanent errors: the real create reports them.
    """
    end = time.monotonic() + deadline
    metadata = cast(Object, manifest["metadata"])
    where = path(str(manifest["apiVersion"]), str(manifest["kind"]), namespace=metadata.get("namespace"))
    with connect(kubeconfig) as api:
        while time.monotonic() < end:
            try:
                answer = api.post(where, params={"dryRun": "All"}, json=dict(manifest))
            except httpx2.TransportError:
                pass  # a hanging webhook takes longer than our time-out for one answer
            else:
                if answer.is_success or not comes_later(said(answer)):
                    return
            pause()
