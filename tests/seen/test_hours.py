"""GPU hours of teams and queues: a counted truth, fractions by their share, and what is not in it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from names import KAI_RESERVATION_NAMESPACE
from seen.hours import GONE, NO_QUEUE, Account, Measured, Spent, account
from seen.model import Gap, Pod, Team
from tests.page.world import NOW, pod, queue, seen, team

DAY = NOW - timedelta(hours=24)
QUEUES = (
    queue("ml", "ml", quota=4.0),
    queue("training", "ml", "ml", quota=3.0),
    queue("notebooks", "ml", "ml", quota=1.0),
)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def ran(name: str, began: float, ended: float | None = None, *, waited: float = 0.0, **changes: Any) -> Pod:
    """A pod that got its GPUs `began` hours ago after it had waited, and ended so many hours ago."""
    over = {"phase": "Succeeded", "ended": ago(ended)} if ended is not None else {}
    times = {"created": ago(began + waited), "started": ago(began), "node": "gpu-0", "host_name": f"{name}-x-ml"}
    return pod("ml", name, **{**times, **over, **changes})


def fraction(name: str, share: float | None, began: float, ended: float | None = None, **changes: Any) -> Pod:
    return ran(name, began, ended, **{"gpus": 0.0, "devices": 1, "fraction": share, "groups": ("g",), **changes})


def of(*pods: Pod, metrics: dict[tuple[str, str], Measured] | None = None, **changes: Any) -> Account:
    made: Team = team("ml", **{"queues": QUEUES, "pods": pods, "made": ago(100), **changes})
    return account(seen(teams=(made,)), DAY, metrics)


def row(found: Account, name: str = "") -> Spent:
    return next(one for one in found.rows if one.queue == name)


class TestWhatAnHourIs:
    def test_a_pod_asks_from_its_creation_and_has_from_its_start(self) -> None:
        found = row(of(ran("a", 4.0, 1.0, waited=2.0, gpus=2.0)))
        assert [found.asked, found.given] == pytest.approx([10.0, 6.0])

    def test_one_that_runs_counts_until_now(self) -> None:
        assert row(of(ran("a", 3.0))).given == pytest.approx(3.0)

    def test_one_that_waits_asks_and_has_nothing(self) -> None:
        waits = pod("ml", "a", phase="Pending", created=ago(5), started=None)
        found = row(of(waits))
        assert [found.asked, found.given] == pytest.approx([5.0, 0.0])

    def test_what_was_before_the_window_is_not_in_it(self) -> None:
        found = row(of(ran("a", 30.0), ran("b", 40.0, 30.0)))
        assert [found.asked, found.given] == pytest.approx([24.0, 24.0])

    def test_a_fraction_counts_by_its_share(self) -> None:
        assert row(of(fraction("a", 0.25, 8.0), fraction("b", 0.5, 4.0, devices=2))).given == pytest.approx(6.0)

    def test_a_reservation_pod_is_no_second_user(self) -> None:
        held = ran("gpu-reservation", 8.0, namespace=KAI_RESERVATION_NAMESPACE, ours=True, groups=("g",))
        assert row(of(held, fraction("a", 0.25, 8.0))).given == pytest.approx(2.0)

    def test_a_container_that_ended_ends_no_pod(self) -> None:
        assert row(of(ran("a", 4.0, 3.0, phase="Running"))).given == pytest.approx(4.0)

    def test_a_pod_that_its_node_refused_had_nothing(self) -> None:
        refused = ran("a", 4.0, phase="Failed", state="OutOfnvidia.com/gpu", ended=None)
        found = of(refused)
        assert (row(found).asked, row(found).given) == (0.0, 0.0)
        assert "team ml: default/a ended and tells no time; not counted" in found.gaps


class TestQueues:
    def test_each_queue_has_a_row_and_the_team_has_their_sum(self) -> None:
        found = of(
            ran("a", 2.0, queue="training"),
            ran("b", 3.0, queue="notebooks"),
            ran("c", 1.0, queue=""),
            ran("d", 1.0, queue="old"),
        )
        assert {one.queue: one.given for one in found.rows} == pytest.approx(
            {"": 7.0, "training": 2.0, "notebooks": 3.0, NO_QUEUE: 1.0, "old": 1.0}
        )

    def test_queues_on_the_host_are_told_by_their_short_names(self) -> None:
        queues = (queue("ml", "ml"), queue("ml-training", "ml", "ml", shown="training"))
        assert row(of(ran("a", 2.0, queue="ml-training"), queues=queues), "training").given == pytest.approx(2.0)

    def test_the_quota_counts_as_long_as_the_team_is_there(self) -> None:
        young = of(ran("a", 1.0), made=ago(10))
        assert row(young).quota == pytest.approx(40.0)
        assert row(young).of_quota == pytest.approx(1 / 40)
        assert row(young).far_below
        assert row(of()).quota == pytest.approx(96.0)

    def test_without_a_bound_nobody_is_below(self) -> None:
        free = row(of(queues=(queue("ml", "ml", quota=-1.0),)))
        assert (free.quota, free.of_quota, free.far_below) == (None, None, False)
        assert row(of(queues=())).quota is None


class TestMetrics:
    def test_without_them_nobody_says_what_worked(self) -> None:
        found = of(ran("a", 2.0))
        assert (row(found).used, row(found).idle) == (None, None)
        assert "used and idle are not known: no metrics were asked" in found.gaps
        assert any("deleted meanwhile" in gap for gap in found.gaps)

    def test_what_worked_is_the_pod_s_by_its_name_on_the_host(self) -> None:
        metrics = {
            ("team-ml", "a-x-ml"): Measured(held=2.0, worked=1.5),
            ("team-other", "a-x-ml"): Measured(held=9, worked=9),
        }
        found = of(ran("a", 2.0, queue="training"), metrics=metrics)
        assert row(found, "training").used == pytest.approx(1.5)
        assert row(found).idle == pytest.approx(0.5)
        assert found.gaps == ()

    def test_a_shared_gpu_s_work_is_divided_by_the_shares(self) -> None:
        held = ran("res", 8.0, namespace=KAI_RESERVATION_NAMESPACE, ours=True, groups=("g",), host_name="res-x-ml")
        pods = held, fraction("a", 0.5, 8.0, queue="training"), fraction("b", 0.25, 8.0, queue="notebooks")
        found = of(*pods, metrics={("team-ml", "res-x-ml"): Measured(held=8.0, worked=3.0)})
        assert row(found, "training").used == pytest.approx(2.0)
        assert row(found, "notebooks").used == pytest.approx(1.0)
        assert row(found).used == pytest.approx(3.0)

    def test_pods_that_are_gone_are_remembered(self) -> None:
        found = of(ran("a", 1.0), metrics={("team-ml", "gone"): Measured(held=6.0, worked=2.0)})
        assert (row(found, GONE).given, row(found, GONE).used) == (6.0, 2.0)
        assert row(found).given == pytest.approx(7.0)
        assert row(found).used == pytest.approx(2.0)

    def test_metrics_of_other_pods_alone_are_told(self) -> None:
        found = of(ran("a", 1.0), metrics={("monitoring", "dcgm"): Measured(held=1.0, worked=1.0)})
        assert "the metrics name no pod of a team" in found.gaps


class TestWhatIsNotInIt:
    def test_a_team_that_is_silent(self) -> None:
        found = of(api="down: no answer in time")
        assert "team ml: its API is down: no answer in time; only what the host has of it is counted" in found.gaps

    def test_a_share_that_nobody_can_tell(self) -> None:
        found = of(fraction("a", None, 8.0))
        assert row(found).given == 0.0
        assert "team ml: default/a asked by memory, of GPUs whose size no label tells; not counted" in found.gaps

    def test_a_kind_that_could_not_be_read(self) -> None:
        gaps = (Gap(what="host: pods", why="forbidden"), Gap(what="host: events", why="forbidden"))
        found = account(seen(gaps=gaps), DAY)
        assert "host: pods could not be read: forbidden" in found.gaps
        assert not any("events" in gap for gap in found.gaps)


def test_a_counted_truth_is_within_one_percent() -> None:
    """A day of 300 pods, counted every minute as somebody with a clock would: whole GPUs, fractions, waits."""
    dice = random.Random(17)
    pods, asked, given = [], {"training": 0.0, "notebooks": 0.0}, {"training": 0.0, "notebooks": 0.0}
    for number in range(300):
        created = dice.uniform(0, 36)  # hours ago; the window is 24
        began = max(0.0, created - dice.choice((0.0, 0.1, 2.0)))
        ended = max(0.0, began - dice.expovariate(0.5))
        name, share = dice.choice(("training", "notebooks")), dice.choice((1.0, 2.0, 8.0, 0.3, 0.5))
        kind = {"gpus": share} if share >= 1 else {"gpus": 0.0, "devices": 1, "fraction": share}
        runs = ended == 0.0
        pods.append(ran(f"p{number}", began, None if runs else ended, waited=created - began, queue=name, **kind))
        for minute in range(24 * 60):
            at = minute / 60
            asked[name] += share / 60 * (ended <= at < created)
            given[name] += share / 60 * (ended <= at < began)
    found = of(*pods)
    for name in ("training", "notebooks"):
        assert row(found, name).asked == pytest.approx(asked[name], rel=0.01)
        assert row(found, name).given == pytest.approx(given[name], rel=0.01)
    assert row(found).given == pytest.approx(sum(given.values()), rel=0.01)
