"""Going back to a snapshot: the control plane stops first, and starts in any case but one."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from kube.snapshot_pod import pod
from kube.snapshots import Snapshot, SnapshotError, go_back
from tests.components.snapshot_world import NOW, POD_PATH, SET, SPACE, STATEFUL_SET, VOLUME, Cluster

TAKEN = Snapshot(name="x", taken=NOW, why="", vcluster="0.36.1", kubernetes="v1.34.4", scheduler="")
STOPPED, STARTED = {"spec": {"replicas": 0}}, {"spec": {"replicas": 1}}
REMOVAL = f"DELETE {POD_PATH} gracePeriodSeconds=0"
PODS = f"DELETE {SPACE}/pods labelSelector=vcluster.loft.sh%2Fmanaged-by%3Dml"


def test_it_stops_the_control_plane_then_its_pods_writes_and_starts_it() -> None:
    cluster = Cluster(stays=2)
    go_back(cluster.api, VOLUME, TAKEN)
    stops = cluster.asked.index(f"PATCH {SET}/scale")
    assert cluster.asked[stops:] == [
        f"PATCH {SET}/scale",
        *[f"GET {SPACE}/pods/ml-0"] * 3,
        PODS,
        f"POST {SPACE}/pods",
        f"GET {POD_PATH}",
        REMOVAL,
        f"GET {POD_PATH}",
        f"PATCH {SET}/scale",
    ]
    assert cluster.made == [pod(STATEFUL_SET, VOLUME, "restore", "x")]
    assert cluster.scaled == [STOPPED, STARTED]


def interrupted_by(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def pause() -> None:
        raise error

    monkeypatch.setattr("kube.snapshots.pause", pause)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), httpx2.ReadTimeout("slow")])
@pytest.mark.parametrize("last", [{"phase": "Running"}, {}, 500])
def test_a_pod_that_writes_the_store_is_never_cut_off(
    error: BaseException, last: dict[str, str] | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(ends=[{"phase": "Running"}, last])
    interrupted_by(monkeypatch, error)
    with pytest.raises(SnapshotError) as caught:
        go_back(cluster.api, VOLUME, TAKEN)
    assert str(caught.value) == (
        "pod vcluster-snapshot still writes the store, and nobody waits for it; the control plane of team ml stays "
        "stopped. When the pod has ended, delete it (`kubectl -n team-ml delete pod vcluster-snapshot`) and go back "
        "once more"
    )
    assert cluster.pod is not None, "it goes on"
    assert cluster.calls[-1] == f"POST {SPACE}/pods", "nothing starts on half a store"
    assert cluster.scaled == [STOPPED]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), httpx2.ReadTimeout("slow")])
def test_a_second_interrupt_starts_nothing_either(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(ends=[{"phase": "Running"}])

    def again(request: httpx2.Request) -> None:
        if request.url.path == POD_PATH:
            raise error

    def pause() -> None:
        cluster.watch = again
        raise error

    monkeypatch.setattr("kube.snapshots.pause", pause)
    with pytest.raises(SnapshotError, match="stays stopped"):
        go_back(cluster.api, VOLUME, TAKEN)
    assert cluster.calls[-1] == f"POST {SPACE}/pods"


@pytest.mark.parametrize("last", [{"phase": "Pending"}, {"phase": "Succeeded"}, {"phase": "Failed"}, 404])
def test_an_interrupt_while_nothing_is_written_starts_it_again(
    last: dict[str, str] | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(ends=[{"phase": "Pending"}, last])
    interrupted_by(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        go_back(cluster.api, VOLUME, TAKEN)
    assert cluster.pod is None
    assert cluster.calls[-2:] == [REMOVAL, f"PATCH {SET}/scale"]
    assert cluster.scaled == [STOPPED, STARTED]


def test_a_pod_whose_creation_was_not_answered_is_taken_away_before_anything_starts() -> None:
    def lost(request: httpx2.Request) -> None:
        if request.method == "POST":
            raise httpx2.ReadTimeout("slow")

    cluster = Cluster(ends=[{"phase": "Pending"}], watch=lost)
    with pytest.raises(httpx2.ReadTimeout):
        go_back(cluster.api, VOLUME, TAKEN)
    assert cluster.pod is None
    assert cluster.calls[-2:] == [REMOVAL, f"PATCH {SET}/scale"]


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        (Cluster(ends=[{"phase": "Failed"}]), "vCluster's restore failed: fatal: database is locked"),
        (Cluster(answers={("DELETE", f"{SPACE}/pods"): 403}), "the pods of team ml can't be ended: exceeded quota"),
        (Cluster(answers={("POST", f"{SPACE}/pods"): 403}), "the host takes no pod for it"),
    ],
    ids=["failed", "pods stay", "no pod"],
)
def test_it_starts_the_control_plane_after_a_failure_too(cluster: Cluster, words: str) -> None:
    with pytest.raises(SnapshotError, match=words):
        go_back(cluster.api, VOLUME, TAKEN)
    assert cluster.scaled == [STOPPED, STARTED]


def test_one_that_can_not_be_stopped_is_told() -> None:
    cluster = Cluster(answers={("PATCH", f"{SET}/scale"): 403})
    with pytest.raises(SnapshotError, match="the control plane of team ml can't be scaled to 1: exceeded quota"):
        go_back(cluster.api, VOLUME, TAKEN)
    assert set(cluster.calls) == {f"PATCH {SET}/scale"}


def test_a_control_plane_that_never_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube.snapshots.STOP_SECONDS", -1.0)
    cluster = Cluster(stays=9)
    with pytest.raises(SnapshotError, match=r"^ml-0 is still there after -1 s$"):
        go_back(cluster.api, VOLUME, TAKEN)
    assert cluster.scaled == [STOPPED, STARTED]
    assert cluster.made == []


def test_a_snapshot_of_a_newer_kubernetes_is_refused_and_nothing_stops() -> None:
    cluster = Cluster()
    with pytest.raises(SnapshotError, match=r"is of Kubernetes v1\.35\.0; v1\.34\.4 runs inside now"):
        go_back(cluster.api, VOLUME, replace(TAKEN, kubernetes="v1.35.0"))
    assert cluster.calls == []


@pytest.mark.parametrize("kubernetes", ["v1.33.4", "v1.34.9", "", "latest"])
def test_one_of_the_same_an_older_or_an_unknown_kubernetes_is_fine(kubernetes: str) -> None:
    cluster = Cluster()
    go_back(cluster.api, VOLUME, replace(TAKEN, kubernetes=kubernetes))
    assert cluster.scaled == [STOPPED, STARTED]
