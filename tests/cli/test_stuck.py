"""What can't start, out of pods and events: named with its cause, and what passes by itself is not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from cli.stuck import GOES_ON
from tests.cli.pods import DENIED, NOW, TEAMS, causes, container, event, pod, stuck


def test_an_image_that_cannot_be_pulled_is_named_with_its_reason() -> None:
    ((id_, team, cause),) = causes(pod(containerStatuses=[container("ImagePullBackOff", DENIED)]))
    assert (id_, team) == ("image", "ml")
    assert cause == "image ghcr.io/loft-sh/vcluster-oss:0.36.1 can't be pulled: it denies access (403)"


def test_an_init_container_counts_too() -> None:
    ((id_, _, _),) = causes(pod(initContainerStatuses=[container("ErrImagePull", DENIED)]))
    assert id_ == "image"


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_is_being_made_is_well(reason: str) -> None:
    found, well = stuck([pod(containerStatuses=[container(reason)])], [], teams=TEAMS, stack="one")
    assert (found, well) == ([], {"team-ml/ml-0"})


def test_a_full_node_a_taint_and_a_missing_volume_are_named() -> None:
    def unscheduled(message: str) -> dict[str, Any]:
        return pod(conditions=[{"type": "PodScheduled", "status": "False", "message": message}])

    ids = [
        causes(unscheduled(message))[0][0]
        for message in (
            "0/1 nodes are available: 1 Insufficient cpu.",
            "0/1 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: true}.",
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        )
    ]
    assert ids == ["no-room", "taint", "storage"]


REFUSAL = (
    'create Pod ml-0 in StatefulSet ml failed: pods "ml-0" is forbidden: violates PodSecurity '
    '"restricted:latest": runAsNonRoot != true'
)


def test_a_refused_pod_is_an_event_of_what_should_make_it() -> None:
    ((id_, team, cause),) = causes(events=[event("FailedCreate", REFUSAL, kind="StatefulSet", name="ml")])
    assert (id_, team) == ("pod-security", "ml")
    assert "runAsNonRoot" in cause
    assert causes(events=[event("Killing", REFUSAL, kind="StatefulSet", name="ml")]) == []


class TestWhatPasses:
    """An event tells of a moment. It is a cause only where it goes on and what it is about is not well."""

    ACCOUNT = 'Error creating: pods "k-" is forbidden: serviceaccount "scheduler" not found'

    @pytest.mark.parametrize(
        ("lasted", "ago", "told"),
        [
            (GOES_ON, timedelta(), 1),
            (GOES_ON - timedelta(seconds=1), timedelta(), 0),
            (GOES_ON, 2 * GOES_ON, 1),
            (GOES_ON, 2 * GOES_ON + timedelta(seconds=1), 0),
        ],
    )
    def test_what_was_seen_only_for_a_moment_is_not_told(self, lasted: timedelta, ago: timedelta, told: int) -> None:
        found = event("FailedCreate", self.ACCOUNT, kind="ReplicaSet", name="k", lasted=lasted, ago=ago)
        assert len(causes(events=[found])) == told

    def test_refusals_that_name_another_pod_each_time_are_one_that_goes_on(self) -> None:
        moment: dict[str, Any] = {"kind": "Job", "name": "gpu-check", "lasted": timedelta()}
        first = event("FailedCreate", 'pods "gpu-check-aaaaa" is forbidden: no', ago=GOES_ON, **moment)
        last = event("FailedCreate", 'pods "gpu-check-bbbbb" is forbidden: no', **moment)
        ((_, _, cause),) = causes(events=[last, first])
        assert "gpu-check-bbbbb" in cause

    def test_events_of_the_newer_kind_go_on_as_well(self) -> None:
        found = event("FailedCreate", self.ACCOUNT, kind="ReplicaSet", name="k")
        began, last = found.pop("firstTimestamp"), found.pop("lastTimestamp")
        assert causes(events=[{**found, "eventTime": began}]) == []
        assert len(causes(events=[{**found, "eventTime": began, "series": {"lastObservedTime": last}}])) == 1

    @pytest.mark.parametrize(("made", "told"), [(NOW, 0), (NOW - timedelta(seconds=1), 1)])
    def test_what_has_made_its_pod_meanwhile_is_well(self, made: datetime, told: int) -> None:
        child = pod("k-1")
        child["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "k"}]
        child["metadata"]["creationTimestamp"] = made.isoformat()
        assert len(causes(child, events=[event("FailedCreate", self.ACCOUNT, kind="ReplicaSet", name="k")])) == told

    @pytest.mark.parametrize(
        ("state", "told"), [({"waiting": {"reason": "ContainerCreating"}}, 1), ({"running": {}}, 0), (None, 0)]
    )
    def test_a_volume_came_late_where_the_container_runs_or_the_pod_is_gone(
        self, state: dict[str, Any] | None, told: int
    ) -> None:
        said = event("FailedMount", 'secret "tls" not found', kind="Pod", name="ml-0")
        pods = [] if state is None else [pod(containerStatuses=[{"name": "c", "state": state}])]
        assert len(causes(*pods, events=[said])) == told

    def test_what_comes_by_itself_is_not_called_somebody_else_s(self) -> None:
        said = 'services "queue-controller" already exists'
        found, _ = stuck(
            [], [event("SyncError", said, kind="Service", name="queue-controller")], teams=TEAMS, stack="one"
        )
        assert str(found[0].failure) == f"team ml, Service queue-controller: SyncError: {said}"
        assert "owner: cluster" not in found[0].failure.fix

    def test_the_kubelet_s_time_out_is_told_in_its_own_words(self) -> None:
        said = "failed to sync secret cache: timed out waiting for the condition"
        waits = pod(containerStatuses=[container("ContainerCreating")])
        ((id_, _, cause),) = causes(waits, events=[event("FailedMount", said, kind="Pod", name="ml-0")])
        assert (id_, cause) == ("waiting", f"FailedMount: {said}")

    def test_a_name_that_somebody_made_up_gets_into_no_command(self) -> None:
        found, _ = stuck([], [event("SyncError", "no", kind="Service", name="x;reboot")], teams=TEAMS, stack="one")
        assert "involvedObject.name=<name>`" in found[0].failure.fix


def test_a_container_that_crashes_says_how_it_ended() -> None:
    crash = container("CrashLoopBackOff", "back-off 10s", lastState={"terminated": {"exitCode": 7, "message": "boom"}})
    ((id_, _, cause),) = causes(pod(containerStatuses=[crash]))
    assert id_ == "waiting"
    assert "exit code 7: boom" in cause
