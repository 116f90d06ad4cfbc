"""Snapshots: what is recorded is there, what failed is not recorded, and what each refusal leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kube.snapshot_pod import Store, pod
from kube.snapshots import Snapshot, SnapshotError, recorded, take
from tests.components.program import lab
from tests.components.snapshot_world import (
    BUCKET,
    CLAIM_PATH,
    NOW,
    POD_PATH,
    SECRET_PATH,
    SET,
    SPACE,
    STATEFUL_SET,
    VOLUME,
    Cluster,
)
from tests.components.specs import of_team
from tests.conftest import Declare

BUSY = "another one is going on: pod vcluster-snapshot is there"


def taken(cluster: Cluster, **more: Any) -> Snapshot:
    return take(cluster.api, VOLUME, **{"why": "", "scheduler": None, **more})


class TestTaking:
    """What is recorded is there; what failed is not recorded."""

    def test_a_snapshot_has_the_clusters_time_and_not_this_machines(self) -> None:
        found = taken(Cluster(clock="Thu, 26 Nov 2020 05:12:07 GMT"))
        assert found.taken == datetime(2020, 11, 26, 5, 12, 7, tzinfo=UTC)
        assert found.name == "20201126-051207"

    @pytest.mark.parametrize("clock", ["", "yesterday"])
    def test_a_cluster_that_tells_no_time_leaves_this_machines(self, clock: str) -> None:
        begun = datetime.now(UTC).replace(microsecond=0)
        assert taken(Cluster(clock=clock)).taken >= begun

    def test_a_snapshot_is_recorded_with_the_versions_that_it_has_in_it(self) -> None:
        starting = [{"state": {"waiting": {"reason": "PodInitializing"}}}]
        running = {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}
        cluster = Cluster(
            ends=[{"phase": "Pending", "containerStatuses": starting}, 503, running, {"phase": "Succeeded"}]
        )
        found = taken(cluster, why="asked for", scheduler="v0.16.8", now=NOW.replace(microsecond=5))
        name = "20261126-051200"
        assert found == Snapshot(
            name=name, taken=NOW, why="asked for", vcluster="0.36.1", kubernetes="v1.34.4", scheduler="v0.16.8"
        )
        assert cluster.made == [
            pod(STATEFUL_SET, VOLUME, "snapshot", name),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"snapshot-{name}", "labels": {**of_team("ml"), "gpu-tenancy/snapshot": name}},
                "data": {**vars(found), "taken": "2026-11-26T05:12:00+00:00"},
            },
        ]
        assert recorded(cluster.api, VOLUME) == [found]
        assert cluster.pod is None, "the pod is taken away"

    def test_what_has_no_tag_and_what_is_not_there_has_no_version(self) -> None:
        syncer = {"name": "syncer", "image": "r.example:5000/vcluster@sha256:0123"}
        bare = {"spec": {"template": {"spec": {"containers": [syncer]}}}, "status": {"readyReplicas": 1}}
        found = taken(Cluster(set=bare))
        assert (found.vcluster, found.kubernetes, found.scheduler) == ("", "", "")
        assert found.taken.tzinfo is UTC

    def test_a_pod_that_was_deleted_meanwhile_is_no_snapshot(self) -> None:
        cluster = Cluster(ends=[{"phase": "Running"}, 404])
        with pytest.raises(SnapshotError, match="pod vcluster-snapshot was deleted meanwhile"):
            taken(cluster)
        assert cluster.records == []

    @pytest.mark.parametrize(
        ("log", "words"),
        [
            ("I1126 start\nfatal: database is locked\n\n", "fatal: database is locked"),
            ("", "phase Failed"),
        ],
    )
    def test_one_that_failed_is_told_in_vclusters_last_words_and_not_recorded(self, log: str, words: str) -> None:
        cluster = Cluster(ends=[{"phase": "Failed"}], log=log)
        with pytest.raises(SnapshotError, match=f"^vCluster's snapshot failed: {words}$"):
            taken(cluster)
        assert (cluster.records, cluster.pod) == ([], None)

    def test_without_a_log_the_pods_own_words_are_told(self) -> None:
        cluster = Cluster(ends=[{"phase": "Failed"}], answers={("GET", f"{POD_PATH}/log"): 500})
        with pytest.raises(SnapshotError, match=r"^vCluster's snapshot failed: phase Failed$"):
            taken(cluster)

    @pytest.mark.parametrize(
        "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"]
    )
    @pytest.mark.parametrize("place", ["initContainerStatuses", "containerStatuses"])
    def test_a_pod_that_cannot_start_is_not_waited_for(self, reason: str, place: str) -> None:
        waiting = {"state": {"waiting": {"reason": reason, "message": "no such image"}}}
        cluster = Cluster(ends=[{"phase": "Pending", place: [{"state": {"running": {}}}, {}, waiting]}])
        with pytest.raises(SnapshotError, match=f"did not end within 300 s: {reason}: no such image$"):
            taken(cluster)

    def test_a_pod_that_finds_no_room_says_what_it_waits_for(self) -> None:
        conditions = [
            {"status": "False", "message": "0/1 nodes are available"},
            {"status": "False"},
            {"status": "True", "message": "fine"},
        ]
        starting = {"state": {"waiting": {"reason": "PodInitializing"}}}
        for status, words in (
            ({"phase": "Pending", "conditions": conditions}, "0/1 nodes are available"),
            (
                {"phase": "Pending", "conditions": conditions, "containerStatuses": [starting]},
                "PodInitializing; 0/1 nodes are available",
            ),
            ({"phase": "Pending"}, "phase Pending"),
            (503, "phase unknown"),
        ):
            cluster = Cluster(ends=[status])
            with pytest.raises(SnapshotError, match=f"^vCluster's snapshot did not end within 0 s: {words}$"):
                taken(cluster, deadline=0)
            assert cluster.pod is None

    @pytest.mark.parametrize(
        ("answers", "store", "words"),
        [
            ({("GET", CLAIM_PATH): 404}, VOLUME, "its volume is not there yet, `make up` makes it"),
            ({("GET", SECRET_PATH): 404}, BUCKET, "Secret team-ml/aws is not there"),
            ({("GET", SET): 404}, VOLUME, "team ml has no virtual cluster on this host yet"),
            ({("GET", SET): 403}, VOLUME, "the control plane of team ml can't be read: exceeded quota: tenant"),
            ({("POST", f"{SPACE}/pods"): 403}, VOLUME, "the host takes no pod for it: exceeded quota: tenant"),
            ({("POST", f"{SPACE}/pods"): 409}, VOLUME, BUSY),
        ],
    )
    def test_what_can_not_be_is_refused_before_anything_changes(
        self, answers: dict[tuple[str, str], int], store: Store, words: str
    ) -> None:
        cluster = Cluster(answers=answers)
        with pytest.raises(SnapshotError, match=words):
            take(cluster.api, store, why="", scheduler=None)
        assert cluster.made == []

    @pytest.mark.parametrize("status", [{"readyReplicas": 0}, {}, None])
    def test_a_control_plane_that_does_not_run_has_nothing_to_read(self, status: object) -> None:
        cluster = Cluster(set={**STATEFUL_SET, "status": status})
        with pytest.raises(SnapshotError, match="the control plane of team ml does not run"):
            taken(cluster)
        assert cluster.calls == []

    def test_only_one_snapshot_is_taken_at_a_time(self) -> None:
        cluster = Cluster(pod={"there": True}, ends=[{"phase": "Running"}])
        with pytest.raises(SnapshotError, match=BUSY):
            taken(cluster)
        assert cluster.calls == []

    def test_a_snapshot_without_its_record_is_told(self) -> None:
        cluster = Cluster(answers={("POST", f"{SPACE}/configmaps"): 403})
        with pytest.raises(SnapshotError, match="the snapshot is written, and its record can't be: exceeded quota"):
            taken(cluster)


class TestRecords:
    """A ConfigMap on the host for each."""

    def test_the_newest_is_listed_first(self) -> None:
        cluster = Cluster()
        for hour in (3, 1, 2):
            taken(cluster, now=NOW.replace(hour=hour))
        assert [one.taken.hour for one in recorded(cluster.api, VOLUME)] == [3, 2, 1]

    def test_what_a_team_writes_into_its_own_cluster_is_no_record(self) -> None:
        cluster = Cluster()
        found = taken(cluster, why="asked for", scheduler="v0.16.8", now=NOW)
        (record,) = cluster.records
        synced = {**record["metadata"]["labels"], "vcluster.loft.sh/managed-by": "ml"}
        forged = {"metadata": {"name": "f", "labels": synced}, "data": {**record["data"], "name": "../other/x"}}
        cluster.records += [forged, {"metadata": {"name": "g", "labels": synced}, "data": {}}]
        assert recorded(cluster.api, VOLUME) == [found]

    @pytest.mark.parametrize("data", [None, {}, {"name": "x", "taken": "long ago"}, {"taken": "2026-11-26T05:12:00"}])
    def test_what_somebody_has_made_something_else_of_is_none(self, data: object) -> None:
        labels = {"gpu-tenancy/snapshot": "x"}
        assert (
            recorded(Cluster(records=[{"metadata": {"name": "x", "labels": labels}, "data": data}]).api, VOLUME) == []
        )

    def test_a_time_without_a_zone_is_utc_and_what_is_not_said_is_empty(self) -> None:
        record = {"metadata": {"name": "x", "labels": {"gpu-tenancy/snapshot": "x"}}}
        data = {"name": "x", "taken": "2026-11-26T05:12:00"}
        assert recorded(Cluster(records=[{**record, "data": data}]).api, VOLUME) == [
            Snapshot(
                name="x",
                taken=datetime(2026, 11, 26, 5, 12, tzinfo=UTC),
                why="",
                vcluster="",
                kubernetes="",
                scheduler="",
            )
        ]
        plus = {**data, "taken": "2026-11-26T06:12:00+01:00"}
        (found,) = recorded(Cluster(records=[{**record, "data": plus}]).api, VOLUME)
        assert found.taken == NOW

    def test_records_that_may_not_be_listed_are_an_error(self) -> None:
        cluster = Cluster(answers={("GET", f"{SPACE}/configmaps"): 403})
        with pytest.raises(SnapshotError, match="the snapshots of team ml can't be listed: exceeded quota: tenant"):
            recorded(cluster.api, VOLUME)


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
