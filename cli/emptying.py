"""The volume claims of a team's namespace that goes are deleted at once, not when Kubernetes comes by.

Kubernetes looks into a namespace 5 s after its deletion, and where something is left, 5 s later once more (v1.34.4,
pkg/controller/namespace). A claim is always left: its finalizer is taken off only after the deletion. Deleted within
the first 5 s it has gone by then, so a removal is 5 s shorter. (Seen, docs/runs.md.)

Owns: the thread that looks, and that it touches nothing but what goes anyway: a namespace that is being deleted can't
be kept. A claim is deleted by its UID, and none that is younger than the deletion.
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
    """Looks at the namespaces `named` from `__enter__` to `__exit__`. What fails is left to Kubernetes, which does the
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
                    # a younger one is of a namespace that was made anew under this name
                    if text(claim, "metadata", "creationTimestamp") <= since:
                        self._delete(api, f"{claims}/{name(claim)}", text(claim, "metadata", "uid"))
                self._left.discard(name(space))

    @staticmethod
    def _delete(api: httpx2.Client, path: str, uid: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        api.request("DELETE", path, json=body)
