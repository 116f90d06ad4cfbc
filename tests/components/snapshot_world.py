"""The host's API as far as a snapshot asks it. What it does not know fails the test that asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

from kube.snapshot_pod import Store
from settings.snapshots import S3, Snapshots

NOW: Final = datetime(2026, 11, 26, 5, 12, tzinfo=UTC)
SPACE: Final = "/api/v1/namespaces/team-ml"
SET: Final = "/apis/apps/v1/namespaces/team-ml/statefulsets/ml"
POD_PATH: Final = f"{SPACE}/pods/vcluster-snapshot"
CLAIM_PATH: Final = f"{SPACE}/persistentvolumeclaims/ml-snapshots"
SECRET_PATH: Final = f"{SPACE}/secrets/aws"
VOLUME: Final = Store(team="ml", settings=Snapshots())
BUCKET: Final = Store(team="ml", settings=Snapshots(s3=S3(bucket="b-1", region="eu-central-1", secret="aws")))

STATEFUL_SET: Final[dict[str, Any]] = {
    "spec": {
        "template": {
            "spec": {
                "serviceAccountName": "vc-ml",
                "priorityClassName": "team-ml",
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "securityContext": {"fsGroup": 65532},
                "imagePullSecrets": [{"name": "registry"}],
                "terminationGracePeriodSeconds": 15,
                "affinity": {"nodeAffinity": {}},
                "volumes": [{"name": "binaries", "emptyDir": {}}],
                "initContainers": [{"name": "kubernetes", "image": "r.example/loft-sh/kubernetes:v1.34.4"}],
                "containers": [
                    {"name": "sidecar", "image": "r.example/other:1"},
                    {
                        "name": "syncer",
                        "image": "r.example:5000/loft-sh/vcluster-oss:0.36.1@sha256:0123",
                        "imagePullPolicy": "Never",
                        "env": [{"name": "VCLUSTER_NAME", "value": "ml"}, {"name": "POD_NAME", "valueFrom": {}}],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        "securityContext": {"runAsUser": 65532},
                        "readinessProbe": {},
                    },
                ],
            }
        }
    },
    "status": {"readyReplicas": 1},
}


@dataclass
class Cluster:
    """`ends`: the pod's status at each look, the last one for ever; `stays`: looks at which the control plane's pod is
    still there; `answers`: (method, path) to the status code of an answer that is not the usual one; `clock`: the time
    that an answer says; `asked`: every call, `calls`: those that change something, `scaled`: to how many replicas."""

    ends: list[dict[str, Any] | int] = field(default_factory=lambda: [{"phase": "Succeeded"}])
    stays: int = 0
    answers: dict[tuple[str, str], int] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    set: dict[str, Any] = field(default_factory=lambda: STATEFUL_SET)
    log: str = "I1126 start\nfatal: database is locked\n\n"
    clock: str = ""
    pod: dict[str, Any] | None = None
    made: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    scaled: list[object] = field(default_factory=list)
    watch: Callable[[httpx2.Request], None] = lambda _: None

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path, method = request.url.path, request.method
        self.asked.append(f"{method} {path} {request.url.query.decode()}".strip())
        if method != "GET":
            self.calls.append(self.asked[-1])
        if (method, path) in self.answers:
            return httpx2.Response(self.answers[method, path], json={"message": "exceeded quota: tenant"})
        found = self._read(request) if method == "GET" else self._write(request)
        self.watch(request)
        return found

    def _write(self, request: httpx2.Request) -> httpx2.Response:
        path, body = request.url.path, json.loads(request.content or b"{}")
        if request.method == "PATCH":
            assert (path, request.headers["Content-Type"]) == (f"{SET}/scale", "application/merge-patch+json")
            self.scaled.append(body)
        elif request.method == "POST":
            self.made.append(body)
            if path == f"{SPACE}/pods":
                self.pod = body
            else:
                assert path == f"{SPACE}/configmaps"
                self.records.append(body)
        elif path == POD_PATH:
            self.pod = None
        else:
            assert path == f"{SPACE}/pods"
        return httpx2.Response(200, json={})

    def _read(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == POD_PATH:
            if self.pod is None:
                return httpx2.Response(404)
            state = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
            return httpx2.Response(state) if isinstance(state, int) else httpx2.Response(200, json={"status": state})
        if path == f"{POD_PATH}/log":
            assert dict(request.url.params) == {"tailLines": "15"}
            return httpx2.Response(200, text=self.log)
        if path == SET:
            return httpx2.Response(200, json=self.set, headers={"Date": self.clock} if self.clock else {})
        if path == f"{SPACE}/configmaps":
            keys = request.url.params["labelSelector"].split(",")
            found = [one for one in self.records if all(_chosen(key, one["metadata"]["labels"]) for key in keys)]
            return httpx2.Response(200, json={"items": found})
        if path == f"{SPACE}/pods/ml-0":
            self.stays -= 1
            return httpx2.Response(200 if self.stays >= 0 else 404)
        assert path in (CLAIM_PATH, SECRET_PATH), path
        return httpx2.Response(200, json={})

    @property
    def api(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self.answer), base_url="http://127.0.0.1")


def _chosen(key: str, labels: dict[str, str]) -> bool:
    """Whether a label selector's `key` or `!key` chooses what has these labels."""
    return key[1:] not in labels if key.startswith("!") else key in labels
