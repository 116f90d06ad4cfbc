"""Deletes the volume claims of a team's namespace as soon as the namespace is being deleted.

Kubernetes looks into a deleted namespace after 5 s, and if something is left, 5 s later once more (v1.34.4,
pkg/controller/namespace). A claim is always left, because its finalizer is removed only after its deletion. If we
delete it within the first 5 s, nothing is left, and a removal takes 5 s less. (Seen, docs/runs.md.)

Owns: the thread that looks. It touches only namespaces that are being deleted, because nothing can keep those. It
deletes a claim by its UID, and only if the claim is older than the deletion.
Leaves to others: deleting the namespace (the engine), waiting for its end.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Final

import httpx2
from lightkube.core.exceptions import ConfigError

from cli.beside import Beside
from cli.cluster import Target
from kube.client import answered, connect_to
from lenient import items, name, text
from names import LABEL_TEAM

INTERVAL_SECONDS: Final = 1.0
QUICK: Final = httpx2.Timeout(5.0, connect=3.0)


class Emptying(Beside):
    """Looks at the namespaces `named` from `__enter__` to `__exit__`. A failure is ignored, because Kubernetes does the
    same later."""

    def __init__(self, host: Target | None, named: Collection[str], interval: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval)
        self._host = host
        self._left = set(named)

    def _run(self) -> None:
        while self._host is not None and self._left and not self._end.wait(self._interval):
            with (
                suppress(httpx2.HTTPError, OSError, ConfigError, ValueError),
                connect_to(self._host.config, QUICK) as api,
            ):
                self._look(api)

    def _look(self, api: httpx2.Client) -> None:
        listed = answered(api.get("/api/v1/namespaces", params={"labelSelector": LABEL_TEAM}))
        for space in items(listed):
            since = text(space, "metadata", "deletionTimestamp")
            if name(space) in self._left and since:
                claims = f"/api/v1/namespaces/{name(space)}/persistentvolumeclaims"
                for claim in items(answered(api.get(claims))):
                    # a younger one belongs to a new namespace of this name
                    if text(claim, "metadata", "creationTimestamp") <= since:
                        self._delete(api, f"{claims}/{name(claim)}", text(claim, "metadata", "uid"))
                self._left.discard(name(space))

    @staticmethod
    def _delete(api: httpx2.Client, path: str, uid: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        api.request("DELETE", path, json=body)
