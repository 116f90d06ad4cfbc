"""Delete what a Helm release's hooks made and its removal left.

Owns: the deletion, and the wait for its end.
Leaves to others: what each release leaves (`releases`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import httpx2

from kube.client import connect, path, pause, said
from releases import Leftover

LEFTOVER_DEADLINE_SECONDS: Final = 120.0


def delete_leftovers(
    kubeconfig: str, leftovers: Iterable[Leftover], deadline: float = LEFTOVER_DEADLINE_SECONDS
) -> list[str]:
    """Delete what a Helm release's hooks made and its removal left, and wait until it is gone.

    Returns the names of what was deleted. An object or a kind that does not exist is fine. Raises `TimeoutError`, and
    `RuntimeError` where the API server refuses.
    """
    deleted: list[str] = []
    end = time.monotonic() + deadline
    with connect(kubeconfig) as api:
        for leftover in leftovers:
            where = path(leftover.api_version, leftover.kind, leftover.name, leftover.namespace)
            # not the kind's default: a Job would leave its pods behind. of a Deployment the pods still work until they
            # have ended: it is gone when they are
            policy = "Foreground" if leftover.kind == "Deployment" else "Background"
            answer = api.delete(where, params={"propagationPolicy": policy})
            if answer.status_code == httpx2.codes.NOT_FOUND:
                continue
            what = f"{leftover.kind} {leftover.name}"
            if not answer.is_success:
                raise RuntimeError(f"{what}, left by an earlier release, can't be deleted: {said(answer)}")
            deleted.append(what)
            while api.get(where).status_code != httpx2.codes.NOT_FOUND:
                if time.monotonic() > end:
                    message = f"{what} was deleted but is still there after {deadline:.0f} s; look at its finalizers"
                    raise TimeoutError(message)
                pause()
    return deleted
