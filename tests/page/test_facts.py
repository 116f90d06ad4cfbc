"""What the page shows: faults first and each with what to do, teams with marks of their own."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from page.facts import MOST_PODS, facts, marks_of
from seen.model import Check, Component, Gap, GpuState, Pool
from seen.why import Why
from tests.page.world import EVIL, KAI, NOW, holder, node, pod, queue, seen, some, team, unit

WAITS = Why(id="x", team="ml", namespace="default", pod="b", cause="it waits", fix="wait")


def page(*args: Any, **more: Any) -> Any:
    """The facts as the browser gets them."""
    return json.loads(json.dumps(facts(*args, **more)))


def faults(**changes: Any) -> list[tuple[str, str, str]]:
    found = page(seen(**changes))["faults"]
    assert isinstance(found, list)
    return [(one["level"], one["about"], one["text"]) for one in found]


def of_node(*units: Any, **changes: Any) -> list[tuple[str, str, str]]:
    return faults(pools=(Pool(name="a", nodes=(node("gpu-0", *units, **changes),)),))


def of_team(**changes: Any) -> list[tuple[str, str, str]]:
    return faults(teams=(team("ml", **changes),))


def test_a_healthy_stack_has_no_fault() -> None:
    assert faults(teams=(team("ml"),), pools=(Pool(name="a", nodes=(node("gpu-0", unit(0)),)),)) == []


class TestFaults:
    def test_the_worst_come_first(self) -> None:
        found = page(some())["faults"]
        assert isinstance(found, list)
        levels = [one["level"] for one in found]
        assert levels == sorted(levels, key=["error", "warning", "unseen"].index)
        assert set(levels) == {"error", "warning", "unseen"}

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"ready": False}, ("error", "node gpu-0", "is not Ready")),
            ({"cordoned": True}, ("warning", "node gpu-0", "is cordoned")),
            ({"pressures": ("DiskPressure",)}, ("error", "node gpu-0", "has DiskPressure")),
            ({"fenced": "Xid 79", "cordoned": True, "ready": False}, ("warning", "node gpu-0", "is fenced: Xid 79")),
        ],
    )
    def test_a_node_has_its_faults(self, changes: dict[str, Any], told: tuple[str, str, str]) -> None:
        assert of_node(unit(0), **changes) == [told]

    def test_a_gpu_has_its_faults(self) -> None:
        assert of_node(unit(0, GpuState.UNHEALTHY), unit(1)) == [
            ("error", "node gpu-0", "1 of its 2 GPUs is unhealthy")
        ]
        twice = unit(0, GpuState.USED, holder("ml"), holder("research", 0.5, "other"))
        assert of_node(twice) == [
            ("error", "node gpu-0", "one GPU holds more than its whole: ml default/train-0, research default/other")
        ]
        shares = [holder("ml", share, str(share)) for share in (0.1, 0.2, 0.7)]
        assert of_node(unit(0, GpuState.USED, *shares)) == []

    @pytest.mark.parametrize(("node_", "fix"), [("gpu-0", "make fence STACK=prod NODE=gpu-0"), ("$(reboot)", "")])
    def test_a_check_that_failed_says_how_to_take_its_node_out_where_the_host_has_it(
        self, node_: str, fix: str
    ) -> None:
        bad = Check(verdict="fail", at=None, sentence="Bad.", node=node_)
        world = seen(pools=(Pool(name="a", nodes=(node("gpu-0"),)),), teams=(team("ml", check=bad),))
        (found,) = page(world)["faults"]
        assert (found["text"], found["fix"]) == ("Bad.", fix)

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"api": "down: no answer in time"}, ("error", "team ml", "its API is down: no answer in time")),
            ({"api": "not made", "kai": ()}, ("warning", "team ml", "is not made yet")),
            ({"api": "not asked", "kai": ()}, ("unseen", "team ml", "its API was not asked: no kubeconfig at hand")),
            ({"kai": ()}, ("error", "team ml", "has no KAI in its cluster")),
            (
                {"kai": (Component(name="binder", version="v1", ready=0, wanted=1),)},
                ("error", "team ml", "binder: 0 of 1 ready"),
            ),
            (
                {"kai": (Component(name="binder", version="v1", ready=0, wanted=0),)},
                ("warning", "team ml", "binder is at 0 replicas"),
            ),
            ({"check": Check(verdict="fail", at=None, sentence="Bad.")}, ("error", "team ml, check", "Bad.")),
            (
                {"check": Check(verdict="could-not-tell", at=None, sentence="")},
                ("warning", "team ml, check", "its check says could-not-tell"),
            ),
            (
                {"pods": (pod("ml", "a", phase="Failed", state="OutOfcpu"),)},
                ("warning", "team ml", "1 of its pods failed (1 OutOfcpu), last a"),
            ),
            (
                {
                    "pods": (
                        pod(
                            "ml",
                            "ml-0",
                            phase="Pending",
                            state="ImagePullBackOff",
                            ready=False,
                            ours=True,
                            namespace="team-ml",
                        ),
                    )
                },
                ("warning", "team ml", "team-ml/ml-0 is ImagePullBackOff"),
            ),
        ],
    )
    def test_a_team_has_its_faults(self, changes: dict[str, Any], told: tuple[str, str, str]) -> None:
        assert of_team(**changes) == [told]

    @pytest.mark.parametrize("verdict", ["pass", "simulated", "no-capacity"])
    def test_a_check_that_found_nothing_is_none(self, verdict: str) -> None:
        assert of_team(check=Check(verdict=verdict, at=NOW, sentence="x")) == []

    def test_a_team_without_kai_by_intention_is_none(self) -> None:
        assert of_team(mode="default", kai=()) == []
        assert of_team(mode="host", kai=KAI) == []

    def test_the_lab_runs_no_kai(self) -> None:
        assert page(seen(teams=(team("ml", kai=()),), simulated=True))["faults"] == []

    def test_what_could_not_be_read_is_said_once(self) -> None:
        gaps = (Gap(what="team ml: everything", why="down: x"), Gap(what="team ml: queues", why="forbidden"))
        found = faults(teams=(team("ml", api="down: x"),), gaps=gaps)
        assert [text for _, _, text in found] == ["its API is down: x", "could not be read: forbidden"]


class TestMarks:
    def test_a_name_gives_its_first_letters(self) -> None:
        assert marks_of(["ml", "research", "web"]) == {"ml": "ml", "research": "re", "web": "we"}

    def test_names_that_begin_alike_are_told_by_what_differs(self) -> None:
        assert marks_of(["team-1", "team-2", "team-03"]) == {"team-1": "m1", "team-2": "m2", "team-03": "03"}

    def test_no_two_are_alike(self) -> None:
        dice = random.Random(3)
        teams = [f"{dice.choice(('a', 'ab', 'x-1', 'team'))}{number}" for number in range(500)] + ["-", "ü", "a"]
        marks = marks_of(teams)
        assert len(set(marks.values())) == len(teams)
        assert {len(mark) for mark in marks.values()} <= {1, 2}


class TestWhatIsShown:
    def test_a_parent_queue_stands_before_its_leaves_and_numbers_are_round(self) -> None:
        queues = (queue("training", "ml", "ml", used=0.1 + 0.2, quota=0.1), queue("ml", "ml"))
        (shown,) = page(seen(teams=(team("ml", queues=queues),)))["teams"]
        found = shown["queues"]
        assert [(one["name"], one["leaf"]) for one in found] == [("ml", False), ("training", True)]
        assert (found[1]["used"], found[1]["borrowed"]) == (0.3, 0.2)

    def test_pods_that_wait_are_listed_up_to_a_bound(self) -> None:
        pods = tuple(pod("ml", str(number), phase="Pending", ready=False) for number in range(MOST_PODS + 5))
        whys = iter([replace(WAITS, pod=one.name) for one in pods])
        found = page(seen(teams=(team("ml", pods=pods),)), whys)
        assert len(found["waiting"]) == MOST_PODS
        assert found["unlisted"] == 5
        assert len(list(whys)) == 5, "why the others wait is not even asked"

    def test_tenancy_s_own_pods_are_not_counted_as_the_team_s(self) -> None:
        pods = (pod("ml", "a"), pod("ml", "b"), pod("ml", "ml-0", ours=True))
        (shown,) = page(seen(teams=(team("ml", pods=pods),)))["teams"]
        assert shown["pods"] == {"Running": 2}

    def test_it_is_plain_json(self) -> None:
        evil = page(replace(some(), stack=EVIL), [WAITS])
        assert json.loads(json.dumps(evil)) == evil
