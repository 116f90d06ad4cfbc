"""A deleted namespace of a team is gone soon after its last pod.

Kubernetes looks into a deleted namespace after 5 s, and if something is left, 5 s later once more. If something is left
then, too, it looks again after half of the longest grace period of its pods: after 16 s for 30 s of grace. Each update
of the namespace makes it look 5 s later, if that is sooner (v1.34.4, pkg/controller/namespace). So, while the engine
runs:

- The volume claims are deleted at once. A claim is always left at first, because its finalizer is removed only later.
- An annotation of the namespace gets a new value each second.

The pods end as they would. A shorter grace changes nothing, because the kubelet keeps to that of the first deletion
(v1.34.4, kubelet.go, SyncTerminatingPod). Without any grace the API would call a process gone that still has its GPU.
(Seen, docs/runs.md.)

Owns: the thread that looks, and that it touches nothing but what goes anyway: a namespace that is being deleted can't
be kept. Namespaces and claims are named by their UIDs, and no claim is touched that is younger than the deletion.
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
from kube.puts import MERGE
from lenient import Json, items, name, text
from names import LABEL_TEAM

INTERVAL_SECONDS: Final = 1.0
QUICK: Final = httpx2.Timeout(5.0, connect=3.0)

LOOKS: Final = "gpu-tenancy/looks"
"""The annotation: how many looks there were."""


class Emptying(Beside):
    """Looks at the namespaces `named` from `__enter__` to `__exit__`. A failure is ignored, because Kubernetes does the
    same later."""

    def __init__(self, host: Target | None, named: Collection[str], interval: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval)
        self._host = host
        self._named = frozenset(named)
        self._looks = 0
        self._freed: set[str] = set()
        """The UIDs of the namespaces whose claims are deleted."""

    def _run(self) -> None:
        while self._host is not None and self._named and not self._end.wait(self._interval):
            with (
                suppress(httpx2.HTTPError, OSError, ConfigError, ValueError),
                connect_to(self._host.config, QUICK) as api,
            ):
                self._look(api)
                # as long as all goes well: each connection runs the kubeconfig's credential plugin anew
                while not self._end.wait(self._interval):
                    self._look(api)

    def _look(self, api: httpx2.Client) -> None:
        self._looks += 1
        for space in items(answered(api.get("/api/v1/namespaces", params={"labelSelector": LABEL_TEAM}))):
            since = text(space, "metadata", "deletionTimestamp")
            if name(space) in self._named and since:
                self._empty(api, space, since)

    def _empty(self, api: httpx2.Client, space: Json, since: str) -> None:
        path, uid = f"/api/v1/namespaces/{name(space)}", text(space, "metadata", "uid")
        touch = {"metadata": {"uid": uid, "annotations": {LOOKS: str(self._looks)}}}
        api.patch(path, json=touch, headers=MERGE)
        if uid not in self._freed:
            claims = f"{path}/persistentvolumeclaims"
            for claim in items(answered(api.get(claims))):
                # a younger one belongs to a new namespace of this name
                if text(claim, "metadata", "creationTimestamp") <= since:
                    self._delete(api, f"{claims}/{name(claim)}", text(claim, "metadata", "uid"))
            self._freed.add(uid)

    @staticmethod
    def _delete(api: httpx2.Client, path: str, uid: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        api.request("DELETE", path, json=body)
