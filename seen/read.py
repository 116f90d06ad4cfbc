"""Asks the clusters for plain lists, all clusters at once. A cluster that does not answer costs one time-out.

Owns: which kinds are asked for, and the answers (`Said`). It reads no Secret and changes nothing.
Leaves to others: connections (`kube/client.py`), what the answers mean (`snapshot.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import httpx2
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from kube.client import answered, connect_to, reason_of, said
from lenient import Json, name, named, namespace, rows, text
from names import CHECK_NAMESPACE, CHECK_REPORT, KAI_NAMESPACE

QUICK: Final = httpx2.Timeout(8.0, connect=2.0)
"""Seconds for one answer; all clusters are asked at once."""
ASKED_AT_ONCE: Final = 16

_WARNINGS: Final = "/api/v1/events?fieldSelector=type%3DWarning"
_EVICTIONS: Final = "/api/v1/events?fieldSelector=reason%3DEvict"
_NOT_READY: Final = "/api/v1/events?fieldSelector=reason%3DNotReady"
"""KAI reports an eviction, and a gang that is not complete, by Normal events of the pod group (KAI@v0.16.8:
pkg/scheduler/cache/status_updater/default_status_updater.go).
"""

BOTH: Final[Mapping[str, str]] = {
    "nodes": "/api/v1/nodes",
    "namespaces": "/api/v1/namespaces",
    "pods": "/api/v1/pods",
    "resourcequotas": "/api/v1/resourcequotas",
    "persistentvolumeclaims": "/api/v1/persistentvolumeclaims",
    "warnings": _WARNINGS,
    "evictions": _EVICTIONS,
    "gangs": _NOT_READY,
    "kai": f"/apis/apps/v1/namespaces/{KAI_NAMESPACE}/deployments",
    "queues": "/apis/scheduling.run.ai/v2/queues",
    "podgroups": "/apis/scheduling.run.ai/v2alpha2/podgroups",
    "priorityclasses": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "runtimeclasses": "/apis/node.k8s.io/v1/runtimeclasses",
}
"""Kinds by their name in a gap. A kind that a server does not have is an empty list."""
ON_HOST: Final[Mapping[str, str]] = {**BOTH, "daemonsets": "/apis/apps/v1/daemonsets"}
IN_TEAM: Final[Mapping[str, str]] = {
    **BOTH,
    "bindrequests": "/apis/scheduling.run.ai/v1alpha2/bindrequests",
    "jobs": "/apis/batch/v1/jobs",
    "replicasets": "/apis/apps/v1/replicasets",
    "statefulsets": "/apis/apps/v1/statefulsets",
    "check": f"/api/v1/namespaces/{CHECK_NAMESPACE}/configmaps/{CHECK_REPORT}",
}

UP: Final = "up"
NOT_ASKED: Final = "not asked"


@dataclass(frozen=True, kw_only=True)
class Said:
    """The answers of one API server. `api`: `up`, `not asked`, or `down: <why>`. `refused`: why a kind could not be
    read.
    """

    api: str = NOT_ASKED
    version: str = ""
    objects: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def pods(self) -> Mapping[tuple[str, str], Json]:
        """Pods by namespace and name."""
        return {(namespace(pod), name(pod)): pod for pod in self.all("pods")}

    def all(self, kind: str) -> tuple[Json, ...]:
        """The objects of a kind; empty where they could not be read."""
        return self.objects.get(kind, ())


@dataclass(frozen=True, kw_only=True)
class Look:
    host: Said
    teams: Mapping[str, Said]

    def of(self, team: str) -> Said:
        """What a team's cluster said; nothing where it was not asked."""
        return self.teams.get(team, Said())


class Clusters:
    """The clusters of a stack, each connected once, because loading the certificates costs more than all requests.

    A cluster without a known kubeconfig is None.
    """

    def __init__(self, host: SingleConfig | None, teams: Mapping[str, SingleConfig | None]) -> None:
        self._host = _Cluster(host, ON_HOST)
        self._teams = {team: _Cluster(config, IN_TEAM) for team, config in teams.items()}

    def look(self) -> Look:
        """Ask the host and each team's virtual cluster. Raises nothing."""
        with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
            asked = {team: pool.submit(cluster.ask) for team, cluster in self._teams.items()}
            return Look(host=self._host.ask(), teams={team: answer.result() for team, answer in asked.items()})


@dataclass
class _Cluster:
    """One API server, and the kinds to ask for. Used by one thread at a time."""

    config: SingleConfig | None
    kinds: Mapping[str, str]
    client: httpx2.Client | None = None

    def ask(self) -> Said:
        if self.config is None:
            return Said()
        try:
            self.client = self.client or connect_to(self.config, QUICK)
            return ask(self.client, self.kinds)
        except (OSError, ConfigError, ValueError) as error:
            return Said(api=f"down: {reason_of(error)}")


def ask(api: httpx2.Client, kinds: Mapping[str, str]) -> Said:
    """Ask one API server. After the first failed connection it counts as down."""
    version, objects, refused = "", {}, {}
    try:
        first = api.get("/version")
        if not first.is_success:
            return Said(api=f"down: {said(first)}")
        version = text(answered(first), "gitVersion")
        for kind, path in kinds.items():
            answer = api.get(path)
            if answer.is_success:
                try:
                    found = answered(answer)
                except httpx2.DecodingError as error:
                    refused[kind] = str(error)
                    continue
                objects[kind] = (found,) if named(found) else tuple(rows(found, "items"))
            elif answer.status_code == httpx2.codes.UNAUTHORIZED:
                return Said(api="down: it does not accept the credentials", version=version)
            elif answer.status_code == httpx2.codes.NOT_FOUND:
                objects[kind] = ()  # a kind that this server does not have
            else:
                refused[kind] = said(answer)
    except (httpx2.HTTPError, OSError, ConfigError, ValueError) as error:
        why = reason_of(error)
        if not objects:
            return Said(api=f"down: {why}")
        refused |= {kind: why for kind in kinds if kind not in objects}
    return Said(api=UP, version=version, objects=objects, refused=refused)
