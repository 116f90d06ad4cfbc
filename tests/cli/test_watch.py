"""What can't start is named while it is seen, once, and kept; a team's own pods are its own affair."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli import watch
from cli.cluster import target_of
from cli.failures import explained
from cli.watch import Place, Trouble, Watch, host_places, inner_places, troubles
from components.team.tenant import resolve
from settings.load import parse_platform
from tests.cli.fake_api import FakeApi, kubeconfig
from tests.conftest import platform_of

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
PODS = "/api/v1/namespaces/team-ml/pods"
EVENTS = "/api/v1/namespaces/team-ml/events"


def pod(name: str = "ml-0", inside: str | None = None, **status: Any) -> dict[str, Any]:
    annotations = {"vcluster.loft.sh/object-namespace": inside} if inside else {}
    return {"metadata": {"name": name, "annotations": annotations}, "status": status}


def waiting(reason: str, message: str = "", image: str = "example/none:1") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "c", "image": image, "state": state}]}


def unscheduled(seconds: int) -> dict[str, Any]:
    since = (NOW - timedelta(seconds=seconds)).isoformat()
    condition = {"type": "PodScheduled", "status": "False", "lastTransitionTime": since}
    return {
        "phase": "Pending",
        "conditions": [{**condition, "message": "0/1 nodes are available: 1 Insufficient cpu."}],
    }


def event(reason: str, name: str, message: str) -> dict[str, Any]:
    about = {"kind": "Job", "name": name}
    return {"type": "Warning", "reason": reason, "message": message, "involvedObject": about, "count": 3}


def told(pods: Sequence[dict[str, Any]] = (), events: Sequence[dict[str, Any]] = ()) -> list[str]:
    return [str(found) for found in troubles(pods, events, team="ml", now=NOW)]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (waiting("ImagePullBackOff"), "image example/none:1 can't be pulled"),
        (waiting("ErrImagePull", "not found"), "image example/none:1 can't be pulled"),
        (waiting("InvalidImageName", image="A:b:c"), "image A:b:c can't be pulled"),
        (waiting("CrashLoopBackOff"), "its container c does not run (CrashLoopBackOff)"),
        (waiting("CreateContainerConfigError", "secret"), "its container c does not run (CreateContainerConfigError)"),
        (unscheduled(30), "finds no node: 0/1 nodes are available: 1 Insufficient cpu."),
        (
            {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource"},
            "the node is full (OutOfcpu): Node didn't have enough resource",
        ),
    ],
)
def test_a_pod_that_cannot_start_says_why(status: dict[str, Any], words: str) -> None:
    assert told([pod(**status)]) == [f"team ml, pod ml-0: {words}"]


def test_an_init_container_s_image_counts_too() -> None:
    status = {"initContainerStatuses": waiting("ErrImagePull")["containerStatuses"]}
    assert told([pod(**status)]) == ["team ml, pod ml-0: image example/none:1 can't be pulled"]


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Running", "containerStatuses": [{"name": "c", "state": {"running": {}}}]},
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        unscheduled(5),
        {"phase": "Failed", "reason": "Evicted"},
        {},
    ],
)
def test_a_pod_that_is_on_its_way_is_no_news(status: dict[str, Any]) -> None:
    assert told([pod(**status)]) == []


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("FailedCreate", "its pods are refused: exceeded quota"),
        ("SyncError", "the host refuses its pod: exceeded quota"),
        ("ProvisioningFailed", "its volume can't be made: exceeded quota"),
    ],
)
def test_what_keeps_a_pod_from_being_there_at_all_is_told(reason: str, words: str) -> None:
    assert told(events=[event(reason, "check", "exceeded quota")]) == [f"team ml, Job check: {words}"]


@pytest.mark.parametrize(
    ("reason", "count", "told_of"), [("FailedMount", 2, 0), ("FailedMount", 3, 1), ("SyncError", 1, 0)]
)
def test_what_a_new_pod_meets_for_a_moment_is_no_news(reason: str, count: int, told_of: int) -> None:
    assert len(told(events=[{**event(reason, "x", "m"), "count": count}])) == told_of


def test_an_event_whose_words_change_is_told_once() -> None:
    first, second = (list(troubles([], [event("FailedMount", "x", words)], team="ml", now=NOW)) for words in "ab")
    assert first[0].key == second[0].key


def test_events_that_echo_what_the_pod_says_are_left_out() -> None:
    assert told(events=[event("BackOff", "x", "m"), {**event("FailedCreate", "x", "m"), "type": "Normal"}]) == []


def test_a_team_s_own_pods_are_its_own_affair() -> None:
    theirs = pod("train-x-default-x-ml", "default", **waiting("ErrImagePull"))
    ours = pod("check-x-gpu-check-x-ml", "gpu-check", **waiting("ErrImagePull", image="ours:1"))
    assert told([theirs, ours]) == ["team ml, pod check-x-gpu-check-x-ml: image ours:1 can't be pulled"]
    refusals = [event("FailedMount", "train-x-default-x-ml", "m"), event("FailedMount", "b-x-kai-scheduler-x-ml", "m")]
    assert told(events=refusals) == ["team ml, Job b-x-kai-scheduler-x-ml: a volume can't be mounted: m"]


@pytest.mark.parametrize(
    ("message", "hopeless"),
    [
        ("failed to resolve reference: docker.io/none/none:1: not found", True),
        ("pull access denied, repository does not exist", True),
        ("dial tcp: lookup registry.none on 10.0.0.1:53: no such host", True),
        ("toomanyrequests: you have reached your pull rate limit", False),
        ("context deadline exceeded", False),
    ],
)
def test_only_what_waiting_cannot_mend_is_hopeless(message: str, hopeless: bool) -> None:
    (found,) = troubles([pod(**waiting("ErrImagePull", message))], [], team="ml", now=NOW)
    assert found.hopeless is hopeless


# --- looking ----------------------------------------------------------------------------------------------------------


def place(api: FakeApi, namespace: str = "team-ml", team: str | None = "ml") -> Place:
    return Place(target=target_of(kubeconfig(api.url), "here"), team=team, namespace=namespace)


def test_each_trouble_is_new_once_and_kept_when_its_pod_is_gone(api: FakeApi) -> None:
    api.objects[PODS] = [pod(**waiting("ErrImagePull", "not found"))]
    looker = Watch(lambda: [place(api)])
    assert [str(new) for new in looker.look()] == ["team ml, pod ml-0: image example/none:1 can't be pulled"]
    assert looker.look() == []
    api.objects[PODS] = [pod(name="ml-1", **waiting("ImagePullBackOff"))]
    assert looker.look() == [], "the same image of the same team"
    api.objects[PODS] = []
    looker.look()
    assert [str(kept) for kept in looker.kept] == ["team ml, pod ml-0: image example/none:1 can't be pulled"]


def test_an_event_from_before_this_run_is_no_news(api: FakeApi) -> None:
    old, new = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    api.objects[EVENTS] = [
        {**event("FailedCreate", "old", "m"), "lastTimestamp": old.isoformat()},
        {**event("FailedCreate", "new", "n"), "lastTimestamp": new.isoformat()},
    ]
    assert [str(found) for found in Watch(lambda: [place(api)]).look()] == ["team ml, Job new: its pods are refused: n"]


def test_a_cluster_that_does_not_answer_or_may_not_be_read_stops_nothing(api: FakeApi) -> None:
    api.refused[PODS] = 403
    dead = FakeApi(url="http://127.0.0.1:1")
    assert Watch(lambda: [place(api), place(dead)]).look() == []


def test_what_is_hopeless_is_so_only_while_it_is_there_and_after_a_while(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("cli.watch.time.monotonic", lambda: clock[0])
    api.objects[PODS] = [pod(**waiting("ErrImagePull", "not found"))]
    looker = Watch(lambda: [place(api)])
    looker.look()
    assert looker.hopeless() is None
    clock[0] += watch.HOPELESS_SECONDS
    assert str(looker.hopeless()) == "team ml, pod ml-0: image example/none:1 can't be pulled"
    api.objects[PODS] = []
    looker.look()
    assert looker.hopeless() is None


def test_every_place_of_ours_is_watched() -> None:
    data = {**platform_of("dev"), "host": {**platform_of("dev")["host"], "scheduler": {"version": "v0.14.7"}}}
    platform = parse_platform(data, "here")
    target = target_of(kubeconfig("http://127.0.0.1:1"), "here")
    spaces = {(p.team, p.namespace) for p in host_places(platform, resolve(platform), target)}
    assert spaces == {
        ("ml", "team-ml"),
        ("research", "team-research"),
        ("dev", "team-dev"),
        (None, "gpu-tenancy"),
        (None, "kai-scheduler"),
        (None, "nvidia-device-plugin"),
    }
    inside = {p.namespace for p in inner_places("ml", target)}
    assert inside == {"kube-system", "kai-scheduler", "gpu-check", "gpu-check-2"}


# --- a failed run -----------------------------------------------------------------------------------------------------

TIMED_OUT = """\
Diagnostics:
  kubernetes:helm.sh/v3:Release (ml-virtual-cluster-vcluster):
    error: context deadline exceeded
"""


def test_the_cause_of_a_wait_in_vain_is_what_was_seen_while_it_lasted() -> None:
    seen = [
        Trouble(team="research", place="pod r-0", words="finds no node: full"),
        Trouble(team="ml", place="pod ml-0", words="image example/none:1 can't be pulled", fix="check its name"),
    ]
    error = explained(TIMED_OUT, "failed", tenants=["ml", "research"], stack="dev", kept=None, seen=seen)
    assert error.cause == (
        "team ml, the virtual cluster: it was not ready in time: pod ml-0, image example/none:1 can't be pulled"
    )
    assert error.fix == "check its name"
    assert "seen meanwhile: team research, pod r-0: finds no node: full" in error.detail
    assert error.detail.count("example/none") == 0, "each cause once"


def test_a_cause_that_says_why_itself_stays_first() -> None:
    said = TIMED_OUT.replace("context deadline exceeded", 'x509: certificate is valid for "a"')
    seen = [Trouble(team="ml", place="pod ml-0", words="finds no node: full")]
    error = explained(said, "failed", tenants=["ml"], stack="dev", kept=None, seen=seen)
    assert "certificate does not fit" in error.cause
    assert "seen meanwhile: team ml, pod ml-0" in error.detail


def test_the_same_cause_of_many_teams_is_one_line() -> None:
    names = [f"team{number}" for number in range(20)]
    text = "Diagnostics:\n" + "".join(
        f"  kubernetes:helm.sh/v3:Release ({name}-vcluster):\n    error: no space left on device\n" for name in names
    )
    error = explained(text, "failed", tenants=names, stack="dev", kept=None)
    assert error.detail.count("the disk is full") == 1
    assert "19 times: the disk is full" in error.detail
