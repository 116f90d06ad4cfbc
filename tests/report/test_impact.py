"""What a change means for a team, in words."""

from __future__ import annotations

import json
from typing import Any

import pulumi_kubernetes as k8s
import pytest

import tokens
from preview.read import read_preview
from preview.steps import Preview
from preview.usage import Usage, usage_of
from report.impact import Gravity, Impact, Owners, impacts
from settings.models import Platform
from tests.report.world import INDEX, World, diff, digest, platform, team


def between(
    base: Platform | None, head: Platform | None, *, sames: bool = True, usage: Usage | None = None
) -> tuple[Impact, ...]:
    raw = digest(base, head)
    if not sames:
        raw["steps"] = [step for step in raw["steps"] if step["op"] != "same"]
    return impacts(base, head, read_preview(json.dumps(raw)), usage=usage)


RESOURCES: dict[str, Any] = {"resources": {"gpus": 4, "cpu": 4, "memory": "8Gi", "pods": 20}}
IDLE = usage_of(
    {
        "items": [
            {
                "metadata": {"namespace": "team-ml"},
                "status": {"used": {"requests.nvidia.com/gpu": "0", "requests.cpu": "0", "pods": "3"}},
            }
        ]
    }
)


def with_ml(**changes: Any) -> Platform:
    settings: dict[str, Any] = {"quota": 4, **changes}
    return platform({"ml": team("a100", **settings), "research": team("l4", 1)})


def only(found: tuple[Impact, ...]) -> Impact:
    assert len(found) == 1, found
    return found[0]


class TestVersions:
    """Releases of one line are upgraded in place, others replaced."""

    def test_another_line_takes_the_scheduler_away(self) -> None:
        impact = only(between(with_ml(version="v0.7.11"), with_ml(version="v0.9.3")))
        assert (impact.team, impact.gravity) == ("ml", Gravity.AWAY)
        assert "scheduler replaced: away for about a minute (52 to 74 s" in impact.text

    def test_the_same_line_rolls_in_place(self) -> None:
        impact = only(between(with_ml(version="v0.9.2"), with_ml(version="v0.9.3")))
        assert "upgraded in place" in impact.text
        assert "running pods go on, new ones are bound some seconds later, queues are kept" in impact.text
        assert "(both are of line 0.9.2-0.9.3)" in impact.text

    @pytest.mark.parametrize("both_files", [True, False])
    def test_a_promotion_is_called_one(self, both_files: bool) -> None:
        stable = {"mode": "virtual", "version": "v0.14.7"}
        was = with_ml(scheduler={**stable, "canary": {"version": "v0.16.8"}}, resources={"gpus": 3})
        now = with_ml(scheduler={**stable, "version": "v0.16.8"}, resources={"gpus": 3})
        idle = usage_of({"ml": 3, "ml-canary": 0, "research": 0})
        found = impacts(was if both_files else None, now, read_preview(json.dumps(digest(was, now))), usage=idle)
        assert [(impact.team, impact.gravity, impact.text.partition(":")[0]) for impact in found] == [
            ("ml", Gravity.AWAY, "promotion of its canary's v0.16.8, scheduler replaced"),
            ("ml-canary", Gravity.AWAY, "promoted, and so removed"),
        ]
        dropped = impacts(
            was, with_ml(scheduler=stable, resources={"gpus": 3}), read_preview('{"steps": []}'), usage=idle
        )
        assert [(impact.team, impact.text.partition(":")[0]) for impact in dropped] == [("ml-canary", "removed")]

    @pytest.mark.parametrize("both_files", [True, False])
    def test_a_second_virtual_cluster_comes_serves_and_goes_in_words(self, both_files: bool) -> None:
        def pair(serves: str, *slots: str) -> Platform:
            said = {"blue": {}, "green": {"version": "v0.16.8"}}
            few = {"gpus": 3, "cpu": 4, "memory": "8Gi", "pods": 20}
            return with_ml(
                version="v0.14.7", blueGreen={"serves": serves, **{s: said[s] for s in slots}}, resources=few
            )

        idle = usage_of({"ml": 0, "ml-green": 0, "research": 0})

        def told(was: Platform, now: Platform) -> list[tuple[str, Gravity, str]]:
            preview = read_preview(json.dumps(digest(was, now)))
            found = impacts(was if both_files else None, now, preview, usage=idle)
            return [(i.team, i.gravity, i.text.partition(" (")[0]) for i in found if i.gravity is not Gravity.LESS]

        both, alone = ("blue", "green"), pair("green", "green")
        (comes,) = told(pair("blue", "blue"), pair("blue", *both))
        assert comes[:2] == ("ml-green", Gravity.NEWS)
        assert comes[2].startswith("blue-green: is created beside ml with KAI v0.16.8")
        assert told(pair("blue", *both), pair("green", *both)) == [("ml", Gravity.AWAY, "blue-green: ml-green")]
        (goes,) = told(pair("green", *both), alone)
        assert goes == ("ml", Gravity.LOSS, "blue-green: ml-green serves alone, ml"), "nobody knows of its volumes"

    def test_another_version_than_the_canarys_is_no_promotion(self) -> None:
        was = with_ml(scheduler={"mode": "virtual", "version": "v0.14.7", "canary": {"version": "v0.16.8"}})
        now = with_ml(scheduler={"mode": "virtual", "version": "v0.12.23"})
        assert not any("promot" in impact.text for impact in between(was, now))

    def test_another_vcluster_version_restarts_the_api(self) -> None:
        newer = {"vcluster": {"version": "0.36.1"}}
        impact = only(between(with_ml(vcluster={"version": "0.35.3"}), with_ml(**newer)))
        assert impact.text.startswith("vCluster 0.35.3 → 0.36.1: its API server restarts")
        older = only(between(with_ml(**newer), with_ml(vcluster={"version": "0.35.3"})))
        assert (older.gravity, "is a downgrade" in older.text) == (Gravity.LOSS, True)

    def test_a_restart_that_no_setting_asked_for_is_told_by_its_step(self) -> None:
        settings = with_ml()
        old, new = World("prod", settings), World("prod", settings)
        urn = next(u for u in new.resources if u.endswith("::ml-virtual-cluster-vcluster"))
        new.resources[urn] = {**new.resources[urn], "inputs": {**new.resources[urn]["inputs"], "atomic": False}}
        impact = only(impacts(settings, settings, read_preview(json.dumps(diff(old, new)))))
        assert impact.text.startswith("its API server restarts")


class TestRemoval:
    """What is gone afterwards."""

    def test_a_removed_team_loses_everything_and_that_is_said_once(self) -> None:
        impact = only(between(with_ml(), platform({"research": team("l4", 1)})))
        assert (impact.team, impact.gravity) == ("ml", Gravity.LOSS)
        assert impact.text.startswith("removed: its virtual cluster")

    def test_a_virtual_cluster_that_is_made_anew_is_a_loss(self) -> None:
        settings = with_ml()
        old, new = World("prod", settings), World("prod", settings)
        urn = next(u for u in new.resources if u.endswith("::ml-virtual-cluster-vcluster"))
        new.resources[urn] = {**new.resources[urn], "trigger": "new"}
        impact = only(impacts(settings, settings, read_preview(json.dumps(diff(old, new)))))
        assert (impact.team, impact.gravity) == ("ml", Gravity.LOSS)
        assert "made anew: everything in it is lost" in impact.text

    def test_who_loses_everything_need_not_hear_that_the_scheduler_is_away(self) -> None:
        before, after = with_ml(version="v0.7.11"), with_ml(version="v0.9.3")
        old, new = World("prod", before), World("prod", after)
        urn = next(u for u in new.resources if u.endswith("::ml-virtual-cluster-vcluster"))
        new.resources[urn] = {**new.resources[urn], "trigger": "new"}
        assert only(impacts(before, after, read_preview(json.dumps(diff(old, new))))).gravity is Gravity.LOSS

    def test_a_removed_queue_leaves_its_pods_waiting(self) -> None:
        queues = {"a": {"gpu": 2}, "b": {"gpu": 2}}
        less = with_ml(queues={"a": {"gpu": 2}})
        impact = only(between(with_ml(queues=queues), less, usage=usage_of({"ml": 0})))
        assert (impact.gravity, impact.text) == (Gravity.LESS, "queue b is removed: pods that name it wait")
        assert "and what runs now is not known" in only(between(with_ml(queues=queues), less)).text


class TestNumbers:
    """Less than before is felt, more is not."""

    @pytest.mark.parametrize(
        ("before", "after", "text"),
        [
            ({"limit": 8}, {"limit": 6}, "lowers the GPU limit from 8 to 6: running pods go on"),
            ({"limit": -1}, {"limit": 6}, "lowers the GPU limit from 16 to 6: running pods go on"),
            ({"quota": 4, "limit": 8}, {"quota": 2, "limit": 8}, "quota 4 → 2: less is guaranteed"),
            (RESOURCES, {"resources": {**RESOURCES["resources"], "cpu": 2}}, "lowers the CPU limit from 4 cores to 2"),
            (RESOURCES, {"resources": {**RESOURCES["resources"], "pods": 9}}, "lowers the pods limit from 20 pods to"),
        ],
    )
    def test_less_is_named(self, before: dict[str, Any], after: dict[str, Any], text: str) -> None:
        queue = {"queues": {"default": {"gpu": 1}}}
        impact = only(between(with_ml(**before, **queue), with_ml(**after, **queue), usage=IDLE))
        assert impact.gravity is Gravity.LESS
        assert impact.text.startswith(text)

    @pytest.mark.parametrize("after", [{"limit": 8}, {"limit": -1}])
    def test_more_disrupts_nobody(self, after: dict[str, Any]) -> None:
        assert between(with_ml(limit=6), with_ml(**after)) == ()

    def test_a_new_team_disrupts_nobody(self) -> None:
        assert between(platform({"ml": team("a100", 4)}), with_ml()) == ()


class TestHost:
    """What is everyone's."""

    def test_other_gpu_software_is_felt_by_all(self) -> None:
        settings = with_ml()
        old, new = World("prod", settings), World("prod", settings)
        urn = next(u for u in new.resources if u.endswith("::device-plugin"))
        new.resources[urn] = {**new.resources[urn], "inputs": {**new.resources[urn]["inputs"], "version": "9.9.9"}}
        impact = only(impacts(settings, settings, read_preview(json.dumps(diff(old, new)))))
        assert impact.team == ""
        assert "GPU software" in impact.text

    def test_the_shared_scheduler_is_felt_by_the_teams_that_it_schedules(self) -> None:
        settings = platform({"ml": team("a100", 4), "batch": team("l4", 1, scheduler={"mode": "host"})})
        old, new = World("prod", settings), World("prod", settings)
        for world, version in ((old, "v0.14.7"), (new, "v0.16.8")):
            parent = world.add("KaiScheduler", "host-scheduler", {"team": None, "version": version})
            world.add(tokens.RELEASE, "host-scheduler-release", {"version": version}, parent, trigger=version)
        impact = only(impacts(settings, settings, read_preview(json.dumps(diff(old, new)))))
        assert (impact.team, impact.gravity) == ("batch", Gravity.AWAY)
        assert "the host's shared scheduler is replaced" in impact.text


class TestOwners:
    """Every resource is some team's or the host's, with and without unchanged parents in the preview."""

    @pytest.mark.parametrize("sames", [True, False])
    def test_a_canarys_resources_are_not_its_teams(self, sames: bool) -> None:
        canary = {"mode": "virtual", "version": "v0.9.2", "canary": {"version": "v0.7.11", "gpus": 1}}
        newer = {**canary, "canary": {"version": "v0.9.3", "gpus": 1}}
        found = between(with_ml(scheduler=canary), with_ml(scheduler=newer), sames=sames)
        assert [impact.team for impact in found] == ["ml-canary"]

    def test_each_resource_of_a_team_is_its_own_and_the_rest_the_hosts(self) -> None:
        settings = with_ml()
        raw = digest(None, settings)
        preview: Preview = read_preview(json.dumps(raw))
        owners = Owners(preview, frozenset(settings.teams))
        for step in preview.changes:
            expected = next((t for t in settings.teams if f"{INDEX}Team" in step.urn and f"::{t}" in step.urn), "")
            assert owners.team_of(step) == expected, step.urn


def test_the_type_tokens_are_the_providers_own() -> None:
    release: Any = k8s.helm.v3.Release
    namespace: Any = k8s.core.v1.Namespace
    assert (release.pulumi_type, namespace.pulumi_type) == (tokens.RELEASE, tokens.NAMESPACE)
    assert tokens.QUEUE == "kubernetes:scheduling.run.ai/v2:Queue"
