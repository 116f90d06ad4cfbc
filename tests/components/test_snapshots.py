"""Snapshots: the pod that vCluster's own program runs in, the order of going back, and what each refusal leaves."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from kube.contents import Since, since
from kube.snapshot_pod import POD, Store, pod
from kube.snapshots import SnapshotError, go_back, recorded, take
from settings.snapshots import S3, Snapshots
from tests.components.program import lab
from tests.components.specs import of_team
from tests.conftest import Declare

NOW = datetime(2026, 11, 26, 5, 12, tzinfo=UTC)
SPACE = "/api/v1/namespaces/team-ml"
SET = "/apis/apps/v1/namespaces/team-ml/statefulsets/ml"
VOLUME = Store(team="ml", settings=Snapshots())
BUCKET = Store(team="ml", settings=Snapshots(s3=S3(bucket="b-1", region="eu-central-1", secret="aws")))

STATEFUL_SET: dict[str, Any] = {
    "spec": {
        "template": {
            "spec": {
                "serviceAccountName": "vc-ml",
                "priorityClassName": "team-ml",
                "affinity": {"nodeAffinity": {}},
                "volumes": [{"name": "binaries", "emptyDir": {}}],
                "initContainers": [{"name": "kubernetes", "image": "r.example/loft-sh/kubernetes:v1.34.4"}],
                "containers": [
                    {
                        "name": "syncer",
                        "image": "r.example/loft-sh/vcluster-oss:0.36.1",
                        "env": [{"name": "VCLUSTER_NAME", "value": "ml"}, {"name": "POD_NAME", "valueFrom": {}}],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        "readinessProbe": {},
                    }
                ],
            }
        }
    },
    "status": {"readyReplicas": 1},
}


@dataclass
class Cluster:
    """The host's API as far as a snapshot asks it. `ends`: what becomes of the pod; `calls`: what was changed."""

    ends: dict[str, Any] = field(default_factory=lambda: {"phase": "Succeeded"})
    ready: int = 1
    missing: tuple[str, ...] = ()
    records: list[dict[str, Any]] = field(default_factory=list)
    pod: dict[str, Any] | None = None
    made: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    refuses: Callable[[str], bool] = lambda _: False

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path, body = request.url.path, json.loads(request.content or b"{}")
        if request.method != "GET":
            self.calls.append(f"{request.method} {path} {request.url.query.decode()}".strip())
            if self.refuses(self.calls[-1]):
                return httpx2.Response(403, json={"message": "exceeded quota: tenant"})
        if request.method == "POST":
            self.made.append(body)
            if path == f"{SPACE}/pods":
                self.pod = body
            else:
                self.records.append(body)
            return httpx2.Response(201, json=body)
        if path == f"{SPACE}/pods/{POD}":
            if request.method == "DELETE":
                self.pod = None
            return httpx2.Response(200, json={"status": self.ends}) if self.pod else httpx2.Response(404)
        if path == f"{SPACE}/pods/{POD}/log":
            return httpx2.Response(200, text="I1126 start\nfatal: database is locked\n")
        if path == SET:
            return httpx2.Response(200, json={**STATEFUL_SET, "status": {"readyReplicas": self.ready}})
        if path == f"{SPACE}/configmaps":
            keys = request.url.params["labelSelector"].split(",")
            found = [one for one in self.records if all(chosen(key, one["metadata"]["labels"]) for key in keys)]
            return httpx2.Response(200, json={"items": found})
        if path == f"{SPACE}/pods/ml-0" or path in self.missing:
            return httpx2.Response(404)
        return httpx2.Response(200, json={})

    @property
    def api(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self.answer), base_url="http://127.0.0.1")


def chosen(key: str, labels: dict[str, str]) -> bool:
    """Whether a label selector's `key` or `!key` chooses what has these labels."""
    return key[1:] not in labels if key.startswith("!") else key in labels


def options(body: dict[str, Any]) -> dict[str, Any]:
    variables = {v["name"]: v.get("value", "") for v in body["spec"]["containers"][0]["env"]}
    found: dict[str, Any] = json.loads(base64.b64decode(variables["VCLUSTER_STORAGE_OPTIONS"]))
    return found


class TestThePod:
    """It is the control plane's own template with vCluster's command, and nothing that would make it one."""

    def test_a_snapshot_runs_beside_the_control_plane_and_writes_to_the_volume_of_its_own(self) -> None:
        body = pod(STATEFUL_SET, VOLUME, "snapshot", "x")
        spec, (container,) = body["spec"], body["spec"]["containers"]
        assert container["command"] == ["/vcluster", "snapshot"]
        assert container["image"] == "r.example/loft-sh/vcluster-oss:0.36.1"
        assert container["volumeMounts"] == [
            {"name": "data", "mountPath": "/data"},
            {"name": "snapshots", "mountPath": "/snapshots"},
        ]
        assert {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"][1:]} == {
            "data": "data-ml-0",
            "snapshots": "ml-snapshots",
        }
        assert options(body) == {"type": "container", "container": {"path": "/snapshots/x.tar.gz"}}
        (rule,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert rule["labelSelector"] == {"matchLabels": {"app": "vcluster", "release": "ml"}}
        assert "initContainers" not in spec, "its store runs already"

    def test_it_fits_the_bounds_of_the_team_on_the_host(self) -> None:
        body = pod(STATEFUL_SET, VOLUME, "snapshot", "x")
        assert (body["spec"]["serviceAccountName"], body["spec"]["priorityClassName"]) == ("vc-ml", "team-ml")
        assert body["metadata"]["labels"] == {**of_team("ml"), "app": POD}
        assert body["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}}
        assert "readinessProbe" not in body["spec"]["containers"][0]

    def test_it_is_the_control_plane_by_name_and_has_its_other_variables(self) -> None:
        names = {
            v["name"]: v.get("value")
            for v in pod(STATEFUL_SET, VOLUME, "snapshot", "x")["spec"]["containers"][0]["env"]
        }
        assert names.pop("VCLUSTER_STORAGE_OPTIONS")
        assert names == {"VCLUSTER_NAME": "ml", "POD_NAME": "ml-0"}

    def test_going_back_starts_the_store_itself_and_may_run_anywhere(self) -> None:
        spec = pod(STATEFUL_SET, VOLUME, "restore", "x")["spec"]
        assert [container["name"] for container in spec["initContainers"]] == ["kubernetes"]
        assert "affinity" not in spec

    def test_a_bucket_takes_its_credentials_from_a_secret_and_not_from_the_options(self) -> None:
        body = pod(STATEFUL_SET, BUCKET, "snapshot", "x")
        key = "snapshots/ml/x.tar.gz"
        assert options(body) == {"type": "s3", "s3": {"bucket": "b-1", "key": key, "region": "eu-central-1"}}
        assert body["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "aws"}}]
        assert [volume["name"] for volume in body["spec"]["volumes"]] == ["binaries", "data"]

    def test_a_store_that_is_not_aws_is_reached_by_its_address_alone(self) -> None:
        store = Store(team="ml", settings=Snapshots(s3=S3(bucket="b-1", endpoint="https://minio:9000", secret="aws")))
        assert store.options("x")["s3"]["url"] == "https://minio:9000"
        assert store.options("x")["s3"]["force-path-style"] is True


class TestTaking:
    """What is recorded is there; what failed is not recorded."""

    def test_a_snapshot_is_recorded_with_the_versions_that_it_has_in_it(self) -> None:
        cluster = Cluster()
        taken = take(cluster.api, VOLUME, why="asked for", scheduler="v0.16.8", now=NOW)
        assert (taken.name, taken.vcluster, taken.kubernetes) == ("20261126-051200", "0.36.1", "v1.34.4")
        assert recorded(cluster.api, VOLUME) == [taken]
        assert cluster.pod is None, "the pod is taken away"

    def test_the_newest_is_listed_first(self) -> None:
        cluster = Cluster()
        for hour in (3, 1, 2):
            take(cluster.api, VOLUME, why="", scheduler=None, now=NOW.replace(hour=hour))
        assert [one.taken.hour for one in recorded(cluster.api, VOLUME)] == [3, 2, 1]

    def test_what_a_team_writes_into_its_own_cluster_is_no_record(self) -> None:
        cluster = Cluster()
        taken = take(cluster.api, VOLUME, why="asked for", scheduler="v0.16.8", now=NOW)
        (record,) = cluster.records
        synced = {**record["metadata"]["labels"], "vcluster.loft.sh/managed-by": "ml"}
        forged = {"metadata": {"labels": synced}, "data": {**record["data"], "name": "../other/20261126-051300"}}
        cluster.records += [forged, {"metadata": {"labels": synced}, "data": {}}]
        assert recorded(cluster.api, VOLUME) == [taken]

    def test_one_that_failed_is_told_in_vclusters_last_words_and_not_recorded(self) -> None:
        cluster = Cluster(ends={"phase": "Failed"})
        with pytest.raises(SnapshotError, match="vCluster's snapshot failed: fatal: database is locked"):
            take(cluster.api, VOLUME, why="", scheduler=None)
        assert (cluster.records, cluster.pod) == ([], None)

    def test_a_pod_that_cannot_start_is_not_waited_for(self) -> None:
        waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
        cluster = Cluster(ends={"phase": "Pending", "containerStatuses": [waiting]})
        with pytest.raises(SnapshotError, match="ImagePullBackOff: no such image"):
            take(cluster.api, VOLUME, why="", scheduler=None)

    def test_a_pod_that_finds_no_room_says_what_it_waits_for(self) -> None:
        unbound = {"status": "False", "message": "0/1 nodes are available"}
        cluster = Cluster(ends={"phase": "Pending", "conditions": [unbound]})
        with pytest.raises(SnapshotError, match="did not end within 0 s: 0/1 nodes are available"):
            take(cluster.api, VOLUME, why="", scheduler=None, deadline=0)

    @pytest.mark.parametrize(
        ("cluster", "store", "words"),
        [
            (Cluster(missing=(f"{SPACE}/persistentvolumeclaims/ml-snapshots",)), VOLUME, "`make up` makes it"),
            (Cluster(missing=(f"{SPACE}/secrets/aws",)), BUCKET, "Secret team-ml/aws is not there"),
            (Cluster(pod={}, ends={"phase": "Running"}), VOLUME, "does not run"),
            (Cluster(ready=0), VOLUME, "the control plane of team ml does not run"),
            (Cluster(refuses=lambda call: call.endswith("/pods")), VOLUME, "takes no pod for it: exceeded quota"),
        ],
    )
    def test_what_can_not_be_is_refused_before_anything_changes(
        self, cluster: Cluster, store: Store, words: str
    ) -> None:
        if cluster.pod == {}:
            cluster.pod, words = {"there": True}, "another one is going on"
        with pytest.raises(SnapshotError, match=words):
            take(cluster.api, store, why="", scheduler=None)
        assert cluster.records == []
        assert [call for call in cluster.calls if not call.endswith("/pods")] == []


class TestGoingBack:
    """The control plane stops first and starts in any case."""

    def back(self, cluster: Cluster, kubernetes: str = "v1.34.4") -> list[str]:
        taken = take(cluster.api, VOLUME, why="", scheduler=None, now=NOW)
        cluster.calls.clear()
        changed = {**vars(taken), "kubernetes": kubernetes}
        go_back(cluster.api, VOLUME, type(taken)(**changed))
        return cluster.calls

    def test_it_stops_the_control_plane_then_its_pods_writes_and_starts_it(self) -> None:
        assert self.back(Cluster()) == [
            f"PATCH {SET}/scale",
            f"DELETE {SPACE}/pods labelSelector=vcluster.loft.sh%2Fmanaged-by%3Dml",
            f"POST {SPACE}/pods",
            f"DELETE {SPACE}/pods/{POD} gracePeriodSeconds=0",
            f"PATCH {SET}/scale",
        ]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, httpx2.ReadTimeout("slow")])
    def test_a_pod_that_writes_the_store_is_never_cut_off(
        self, error: BaseException, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster = Cluster()
        taken = take(cluster.api, VOLUME, why="", scheduler=None, now=NOW)
        cluster.calls.clear()
        cluster.ends = {"phase": "Running"}

        def interrupted() -> None:
            raise error

        monkeypatch.setattr("kube.snapshots.pause", interrupted)
        with pytest.raises(SnapshotError, match=r"team ml stays stopped\. When the pod has ended"):
            go_back(cluster.api, VOLUME, taken)
        assert cluster.pod is not None, "it goes on"
        assert cluster.calls[0] == f"PATCH {SET}/scale"
        assert cluster.calls[-1] == f"POST {SPACE}/pods", "nothing starts on half a store"

    def test_a_pod_whose_creation_was_not_answered_is_taken_away_before_anything_starts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster = Cluster()
        taken = take(cluster.api, VOLUME, why="", scheduler=None, now=NOW)
        cluster.calls.clear()
        cluster.ends = {"phase": "Pending"}
        answer = Cluster.answer

        def lost(self: Cluster, request: httpx2.Request) -> httpx2.Response:
            found = answer(self, request)
            if request.method == "POST":
                raise httpx2.ReadTimeout("slow")
            return found

        monkeypatch.setattr(Cluster, "answer", lost)
        with pytest.raises(httpx2.ReadTimeout):
            go_back(cluster.api, VOLUME, taken)
        assert cluster.pod is None
        assert cluster.calls[-2:] == [f"DELETE {SPACE}/pods/{POD} gracePeriodSeconds=0", f"PATCH {SET}/scale"]

    def test_a_second_interrupt_starts_nothing_either(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Cluster()
        taken = take(cluster.api, VOLUME, why="", scheduler=None, now=NOW)
        cluster.calls.clear()
        cluster.ends = {"phase": "Running"}
        answer = Cluster.answer

        def interrupted() -> None:
            def again(self: Cluster, request: httpx2.Request) -> httpx2.Response:
                if request.url.path.endswith(POD):
                    raise KeyboardInterrupt
                return answer(self, request)

            monkeypatch.setattr(Cluster, "answer", again)
            raise KeyboardInterrupt

        monkeypatch.setattr("kube.snapshots.pause", interrupted)
        with pytest.raises(SnapshotError, match="stays stopped"):
            go_back(cluster.api, VOLUME, taken)
        assert cluster.calls[-1] == f"POST {SPACE}/pods"

    def test_an_interrupt_before_anything_is_written_starts_it_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Cluster()
        taken = take(cluster.api, VOLUME, why="", scheduler=None, now=NOW)
        cluster.calls.clear()
        cluster.ends = {"phase": "Pending"}

        def interrupted() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("kube.snapshots.pause", interrupted)
        with pytest.raises(KeyboardInterrupt):
            go_back(cluster.api, VOLUME, taken)
        assert cluster.pod is None
        assert cluster.calls[-1] == f"PATCH {SET}/scale"

    def test_it_starts_the_control_plane_after_a_failure_too(self) -> None:
        cluster = Cluster()
        taken = take(cluster.api, VOLUME, why="", scheduler=None, now=NOW)
        cluster.ends = {"phase": "Failed"}
        with pytest.raises(SnapshotError, match="vCluster's restore failed"):
            go_back(cluster.api, VOLUME, taken)
        assert cluster.calls[-1] == f"PATCH {SET}/scale"

    def test_a_snapshot_of_a_newer_kubernetes_is_refused_and_nothing_stops(self) -> None:
        cluster = Cluster()
        with pytest.raises(SnapshotError, match=r"is of Kubernetes v1\.35\.0; v1\.34\.4 runs inside now"):
            self.back(cluster, "v1.35.0")
        assert cluster.calls == []

    def test_one_of_an_older_kubernetes_is_fine(self) -> None:
        assert self.back(Cluster(), "v1.33.4") != []


LISTED = {"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "verbs": ["list"]}
EVENTS = {"resource": "events", "responseKind": {"kind": "Event"}, "verbs": ["list"]}
REVIEWS = {"resource": "tokenreviews", "responseKind": {"kind": "TokenReview"}, "verbs": ["create"]}


def test_what_was_made_or_changed_since_a_moment_is_found_by_the_objects_own_times() -> None:
    def entry(time: str, subresource: str = "") -> dict[str, str]:
        return {"time": time, **({"subresource": subresource} if subresource else {})}

    def item(name: str, made: str, *writers: dict[str, str]) -> dict[str, Any]:
        return {"metadata": {"namespace": "a", "name": name, "creationTimestamp": made, "managedFields": list(writers)}}

    early, late = "2026-11-26T05:00:00Z", "2026-11-26T06:00:00Z"
    items = [
        item("new", late, entry(late)),
        item("changed", early, entry(early), entry(late)),
        item("old", early, entry(early)),
        item("status-alone", early, entry(late, "status")),
    ]
    core = {"versions": [{"version": "v1", "resources": [LISTED, EVENTS, REVIEWS]}]}
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        if request.url.path in ("/api", "/apis"):
            return httpx2.Response(200, json={"items": [core] if request.url.path == "/api" else []})
        return httpx2.Response(200, json={"items": items})

    api = httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://127.0.0.1")
    assert since(api, NOW) == Since(made=("ConfigMap a/new",), changed=("ConfigMap a/changed",))
    assert asked == ["/api", "/api/v1/configmaps", "/apis"], "no events, and nothing that can't be listed"


CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"


def test_the_volume_is_the_teams_and_not_the_releases(declare: Declare) -> None:
    data = lab("ml", teams__ml__vcluster={"snapshots": {"size": "3Gi"}})
    recorder = declare(data)
    claim = recorder.one(CLAIM, "ml-virtual-cluster-snapshots")
    assert claim.metadata["name"] == "ml-snapshots"
    assert claim.metadata["namespace"] == "team-ml"
    assert claim.inputs["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert claim.deleted_with == ""
    assert len(recorder.of_type(CLAIM)) == 1


def test_a_bucket_and_a_team_without_snapshots_have_no_volume(declare: Declare) -> None:
    data = lab("ml", teams__ml__vcluster={"snapshots": {"s3": {"bucket": "b-1", "secret": "aws"}}})
    assert declare(data).of_type(CLAIM) == []
    assert declare("lab").of_type(CLAIM) == []
