"""What a change means for a team, in words."""

from __future__ import annotations

import json
from typing import Any

import pulumi_kubernetes as k8s
import pytest

from preview.read import read_preview
from preview.steps import Preview
from report.impact import NAMESPACE, QUEUE, RELEASE, Gravity, Impact, Owners, impacts
from settings.models import Platform
from tests.report.world import INDEX, World, diff, digest, platform, team


def between(base: Platform | None, head: Platform | None, *, sames: bool = True) -> tuple[Impact, ...]:
    raw = digest(base, head)
    if not sames:
        raw["steps"] = [step for step in raw["steps"] if step["op"] != "same"]
    return impacts(base, head, read_preview(json.dumps(raw)))


def with_ml(**changes: Any) -> Platform:
    settings: dict[str, Any] = {"quota": 4, **changes}
    return platform({"ml": team("a100", **settings), "research": team("l4", 1)})


def only(found: tuple[Impact, ...]) -> Impact:
    assert len(found) == 1, found
    return found[0]


class TestVersions:
    """Releases of one line are upgraded in place, others replaced."""

    def test_another_line_takes_the_scheduler_away_for_40_seconds(self) -> None:
        impact = only(between(with_ml(version="v0.7.11"), with_ml(version="v0.9.3")))
        assert (impact.team, impact.gravity) == ("ml", Gravity.AWAY)
        assert "scheduler replaced: away for about 40 s" in impact.text

    def test_the_same_line_rolls_in_place(self) -> None:
        impact = only(between(with_ml(version="v0.9.2"), with_ml(version="v0.9.3")))
        assert "upgraded in place" in impact.text

    def test_another_vcluster_version_restarts_the_api(self) -> None:
        impact = only(between(with_ml(), with_ml(vcluster={"version": "0.29.9"})))
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
        impact = only(between(with_ml(queues=queues), with_ml(queues={"a": {"gpu": 2}})))
        assert impact.text == "queue ml-queue-b goes: pods in it wait"


class TestNumbers:
    """Less than before is felt, more is not."""

    @pytest.mark.parametrize(
        ("before", "after", "text"),
        [
            ({"limit": 8}, {"limit": 6}, "limit 8 → 6: pods that run go on"),
            ({"limit": -1}, {"limit": 6}, "limit unlimited → 6"),
            ({"quota": 4, "limit": 8}, {"quota": 2, "limit": 8}, "quota 4 → 2: less is guaranteed"),
        ],
    )
    def test_less_is_named(self, before: dict[str, Any], after: dict[str, Any], text: str) -> None:
        impact = only(between(with_ml(**before), with_ml(**after)))
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
            world.add(RELEASE, "host-scheduler-release", {"version": version}, parent, trigger=version)
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
    assert (release.pulumi_type, namespace.pulumi_type) == (RELEASE, NAMESPACE)
    assert QUEUE == "kubernetes:scheduling.run.ai/v2:Queue"
