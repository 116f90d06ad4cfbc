"""What an edit of a stack file does to whom: the kind, and the words."""

from __future__ import annotations

from typing import Any

import pytest

from preview.changes import EVERYONE, Change, changes, snapshots_first
from preview.facts import HARD, Facts, facts_of
from preview.judges.numbers import DISK
from preview.kinds import Kind
from preview.usage import usage_of
from releases import DEFAULT_KUBERNETES
from tests.report.world import platform, team

BASE: dict[str, Any] = {"ml": team("a100", 4, 6, version="v0.14.7", queues={"a": {"gpu": 2}, "b": {"gpu": 2}})}


def between(head: dict[str, Any], running: dict[str, Any] | None = None, **more: Any) -> list[Change]:
    usage = None if running is None else usage_of(running)
    return list(changes(facts_of(platform(BASE)), facts_of(platform(head, **more)), usage=usage))


def ml(**more: Any) -> dict[str, Any]:
    """The team with something else: a section is replaced as a whole."""
    return {"ml": {**BASE["ml"], **more}}


def only(found: list[Change]) -> Change:
    told = [change for change in found if change.kind is not Kind.IN_PLACE]
    assert len(told) == 1, found
    return told[0]


@pytest.mark.parametrize(
    ("head", "kind", "words"),
    [
        (
            ml(scheduler={"mode": "virtual", "version": "v0.9.3"}),
            Kind.REPLACING,
            "Helm can't upgrade line 0.14 to 0.9.2",
        ),
        (ml(scheduler={"mode": "virtual", "version": "v0.14.7", "gpuSharing": True}), Kind.DISRUPTIVE, "pods restart"),
        (ml(isolation="restricted"), Kind.DISRUPTIVE, "new ones that do not comply are refused"),
        (ml(access={"expose": "none"}), Kind.DISRUPTIVE, "reached at another address"),
        (ml(access={"hostNames": ["a.example"]}), Kind.DISRUPTIVE, "reached at another address"),
        (ml(priority="high"), Kind.REPLACING, "PriorityClass is made anew"),
        (ml(vcluster={"version": "0.35.3"}), Kind.LOSING, "vCluster 0.36.1 → 0.35.3 is a downgrade"),
        (ml(vcluster={"kubernetesVersion": "v1.33.4"}), Kind.LOSING, f"kubernetesVersion: {DEFAULT_KUBERNETES}"),
        (
            ml(vcluster={"kubernetesVersion": "v1.34.0"}),
            Kind.DISRUPTIVE,
            "is a downgrade to an older patch release: its API",
        ),
        (ml(vcluster={"kubernetesVersion": "v1.35.0"}), Kind.DISRUPTIVE, "its API server restarts"),
        (ml(vcluster={"persistence": False}), Kind.LOSING, "starts empty"),
        (ml(vcluster={"backingStore": "etcd"}), Kind.LOSING, "starts empty"),
        (ml(check={"gpus": 2}), Kind.IN_PLACE, ""),
        (ml(isolation="privileged"), Kind.IN_PLACE, ""),
    ],
)
def test_an_edit_of_a_team_has_a_kind(head: dict[str, Any], kind: Kind, words: str) -> None:
    worst = between(head)[0]
    assert (worst.tenant, worst.kind) == ("ml", kind)
    assert words in worst.means


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("v0.9.2", "v0.9.3", Kind.DISRUPTIVE),
        ("v0.9.3", "v0.9.2", Kind.DISRUPTIVE),
        ("v0.9.3", "v0.9.8", Kind.REPLACING),
        ("v0.9.8", "v0.9.3", Kind.REPLACING),
        ("v0.9.8", "v9.9.9", Kind.UNKNOWN),
        ("v9.9.9", "v0.9.8", Kind.UNKNOWN),
    ],
)
def test_kai_goes_both_ways_alike(before: str, after: str, kind: Kind) -> None:
    pinned = {"kubernetesVersion": "v1.34.0"}
    one, other = (platform({"ml": team("a100", 4, version=v, vcluster=pinned)}) for v in (before, after))
    assert only(list(changes(facts_of(one), facts_of(other)))).kind is kind


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ({"address": "elsewhere.example"}, Kind.DISRUPTIVE),
        ({"headroom": {"pods": 3}}, Kind.IN_PLACE),
        ({"storageClass": "fast"}, Kind.LOSING),
        ({"context": "other"}, Kind.UNKNOWN),
    ],
)
def test_an_edit_of_the_host_has_a_kind(host: dict[str, Any], kind: Kind) -> None:
    worst = between(BASE, host=host)[0]
    assert worst.kind is kind
    assert worst.tenant == ("ml" if kind is Kind.LOSING else EVERYONE)


def test_the_shared_scheduler_is_felt_by_those_that_it_schedules() -> None:
    teams = {"ml": BASE["ml"], "batch": team("l4", 1, scheduler={"mode": "host"})}
    one, other = (platform(teams, host={"scheduler": {"version": v}}) for v in ("v0.14.7", "v0.16.8"))
    change = only(list(changes(facts_of(one), facts_of(other))))
    assert (change.tenant, change.kind) == ("batch", Kind.REPLACING)
    assert change.means.startswith("the host's shared scheduler is replaced")


@pytest.mark.parametrize(("running", "kind"), [(None, Kind.LOSING), ({"ml": 5}, Kind.LOSING), ({"ml": 2}, None)])
def test_a_lower_limit_is_a_loss_below_what_runs(running: dict[str, Any] | None, kind: Kind | None) -> None:
    head = {"ml": team("a100", 2, 3, version="v0.14.7", queues={"a": {"gpu": 2}, "b": {"gpu": 2}})}
    found = {change.topic: change.kind for change in between(head, running)}
    assert found["gpus"] is (kind or Kind.DISRUPTIVE)
    assert found["quota"] is Kind.DISRUPTIVE


def test_more_and_new_disrupt_nobody() -> None:
    head = {
        "ml": team("a100", 6, 8, version="v0.14.7", queues={"a": {"gpu": 4}, "b": {"gpu": 2}, "c": {"gpu": 0}}),
        "new": team("l4", 1),
    }
    assert [change for change in between(head) if change.kind is not Kind.IN_PLACE] == []


def test_another_mode_says_once_that_its_queues_go() -> None:
    head = {"ml": {**BASE["ml"], "scheduler": {"mode": "default"}, "queues": {}}}
    topics = [change.topic for change in between(head) if change.kind.refused]
    assert topics == ["scheduler"]


def test_the_gravest_comes_first_and_each_thing_once() -> None:
    head = ml(vcluster={"backingStore": "etcd", "persistence": False}, isolation="restricted")
    found = between(head)
    assert [change.kind for change in found[:2]] == [Kind.LOSING, Kind.DISRUPTIVE]
    assert sum(change.topic == "cluster" for change in found) == 1


@pytest.mark.parametrize(("running", "kind"), [(6, Kind.LOSING), (5, Kind.DISRUPTIVE)])
def test_room_for_a_canary_is_made_by_a_lower_limit_and_refused_while_it_is_in_use(running: int, kind: Kind) -> None:
    scheduler = {"mode": "virtual", "version": "v0.14.7", "canary": {"version": "v0.16.8"}}
    resources = {**BASE["ml"]["resources"], "gpus": {"quota": 4, "limit": 5}}
    found = only(between(ml(scheduler=scheduler, resources=resources), {"ml": running}))
    assert (found.tenant, found.kind) == ("ml", kind)
    assert found.allow == ("lowerLimit" if kind is Kind.LOSING else None)


@pytest.mark.parametrize(
    ("running", "kind", "words"),
    [
        ({"ml": 0}, Kind.DISRUPTIVE, "paused"),
        ({"ml": 2}, Kind.LOSING, "2 GPUs in use now"),
        (None, Kind.LOSING, "not known"),
    ],
)
def test_a_team_is_paused_in_one_change_and_needs_an_override_while_gpus_are_in_use(
    running: dict[str, Any] | None, kind: Kind, words: str
) -> None:
    found = only(between(ml(state="paused"), running))
    assert (found.tenant, found.kind, found.path) == ("ml", kind, "teams.ml.state")
    assert words in found.means
    assert found.allow == ("lowerLimit" if kind is Kind.LOSING else None)


def test_a_team_that_is_resumed_loses_nothing() -> None:
    paused, active = (facts_of(platform(head)) for head in (ml(state="paused"), ml()))
    assert {change.kind for change in changes(paused, active, usage=None)} == {Kind.IN_PLACE}


def test_storage_that_is_lowered_with_a_pause_is_still_told() -> None:
    less = ml(state="paused", resources={**BASE["ml"]["resources"], "storage": "10Gi"})
    assert any(change.path == "teams.ml.resources.storage" for change in between(less, None))


@pytest.mark.parametrize(("used", "kind"), [(0, Kind.DISRUPTIVE), (1, Kind.LOSING)])
@pytest.mark.parametrize("mode", ["host", "default"])
def test_a_move_to_another_mode_is_one_change_that_ends_with_a_check(mode: str, used: int, kind: Kind) -> None:
    way = {"scheduler": {"mode": mode}, **({"queues": {}} if mode == "default" else {})}
    found = only(between(ml(**way), {"ml": used}, host={"scheduler": {"version": "v0.16.8"}}))
    assert (found.kind, found.allow) == (kind, "replace" if used else None)
    for words in (f"virtual → {mode}", "its API server restarts", "running pods go on", "its check follows"):
        assert words in found.means


def test_a_snapshot_comes_before_what_the_team_notices_and_only_where_it_is_asked_for() -> None:
    kept = {"snapshots": {"beforeChanges": True}}
    before, after, more = (
        platform({"ml": {**BASE["ml"], **change}, "other": team("l4", 1, vcluster=kept)})
        for change in (
            {"vcluster": kept},
            {"vcluster": {**kept, "kubernetesVersion": "v1.35.0"}},
            {"vcluster": kept, "check": {"gpus": 2}},
        )
    )
    assert set(snapshots_first(after, facts_of(before), facts_of(after))) == {"ml"}
    assert snapshots_first(more, facts_of(before), facts_of(more)) == {}, "nobody notices it"
    new = Facts(stack=facts_of(before).stack, pools=facts_of(before).pools, tenants={})
    assert snapshots_first(after, new, facts_of(after)) == {}, "a new team has nothing to lose"


def test_what_touches_no_team_is_nobodys_change() -> None:
    one, other = (facts_of(platform({}, host={"storageClass": name})) for name in ("slow", "fast"))
    (found,) = changes(one, other)
    assert (found.tenant, found.kind, found.means, found.path) == (EVERYONE, Kind.IN_PLACE, "", "host.storageClass")


def test_a_team_that_goes_is_told_as_a_team() -> None:
    assert [(c.tenant, c.topic, c.allow) for c in between({}) if c.kind.refused] == [("ml", "team", "delete")]


def test_a_queue_that_is_new_is_told_with_what_it_may_have() -> None:
    resources = {**BASE["ml"]["resources"]}
    more = between(ml(queues={**BASE["ml"]["queues"], "c": {"gpu": 1}}, resources=resources))
    assert [(c.path, c.before, c.after) for c in more if c.path.endswith("queues.c.gpu.limit")] == [
        ("teams.ml.queues.c.gpu.limit", None, 1)
    ]


def bounded(**hard: Any) -> Facts:
    """The facts of one team whose ResourceQuota says these numbers, and no field of the settings does."""
    return Facts(stack={}, pools={}, tenants={"ml": {HARD: hard}})


def test_a_part_of_a_gpu_that_is_no_more_bounded_is_bounded_by_none() -> None:
    part = "requests.nvidia.com/mig-1g.10gb"
    (found,) = changes(bounded(**{part: "2"}), bounded())
    assert (found.path, found.kind, found.allow) == (f"teams.ml.resources ({part})", Kind.LOSING, "lowerLimit")
    assert list(changes(bounded(**{"count/secrets": "2"}), bounded())) == [], "without a bound there may be more"


@pytest.mark.parametrize(
    ("name", "key", "high", "low", "runs"),
    [
        ("cpu", "requests.cpu", 8, 4, "1"),
        ("memory", "requests.memory", "16Gi", "8Gi", "1Gi"),
        ("pods", "pods", 30, 20, "1"),
        ("storage", "requests.storage", "20Gi", "10Gi", "1Gi"),
    ],
)
def test_a_limit_that_falls_is_held_against_what_runs_of_the_same_kind(
    name: str, key: str, high: object, low: object, runs: str
) -> None:
    before, after = (platform(ml(resources={**BASE["ml"]["resources"], name: each})) for each in (high, low))
    metadata = {"namespace": "team-ml", "labels": {"gpu-tenancy/team": "ml"}}
    quota = {"kind": "ResourceQuota", "metadata": metadata, "status": {"used": {key: runs}}}
    found = changes(facts_of(before), facts_of(after), usage=usage_of({"items": [quota]}))
    assert [(c.path, c.kind) for c in found if c.path.startswith(f"teams.ml.resources.{name}")] == [
        (f"teams.ml.resources.{name}", Kind.DISRUPTIVE)
    ]


def test_a_bound_that_is_no_number_is_refused() -> None:
    (found,) = changes(bounded(pods="2"), bounded(pods="many"))
    assert (found.kind, found.allow) == (Kind.UNKNOWN, None)
    assert found.topic == "unreadable teams.ml.resources.gpus.limit"


@pytest.mark.parametrize(
    ("key", "field"),
    [("count/pods", "pods"), ("pods", "pods"), ("requests.storage", "storage"), ("requests.cpu", "cpu")],
)
def test_a_bound_that_falls_is_told_by_the_field_that_says_it(key: str, field: str) -> None:
    (found,) = changes(bounded(**{key: "9"}), bounded(**{key: "5"}))
    assert found.path == f"teams.ml.resources.{field}"


def test_the_nodes_disk_is_judged_by_its_pods_where_they_are_known() -> None:
    was, now = ({DISK: each, "count/pods": "9"} for each in ("100Gi", "50Gi"))
    assert [c.path for c in changes(bounded(**was), bounded(**now))] == ["teams.ml.resources.pods"]
    metadata = {"namespace": "team-ml", "labels": {"gpu-tenancy/team": "ml"}}
    known = usage_of({"items": [{"kind": "ResourceQuota", "metadata": metadata, "status": {"used": {"pods": "3"}}}]})
    assert list(changes(bounded(**was), bounded(**now), usage=known)) == []
