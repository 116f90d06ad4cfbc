"""Two virtual clusters of a team: which tenants follow, what they have, what can't stand beside them."""

from __future__ import annotations

from typing import Any

import pytest

from settings.load import parse_platform
from settings.models import Platform
from settings.problems import SettingsError
from settings.tenants import canary_of, meant, owner_of, path_of, said_at, slot_of, team_of, tenants
from tests.conftest import platform_of

BOTH = {"serves": "blue", "blue": {}, "green": {"version": "v0.16.8", "vclusterVersion": "0.35.3", "port": 30999}}


def raw(pair: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = platform_of("lab")
    team = data["teams"]["ml"]
    queues = {"training": {"gpu": {"quota": 2, "limit": 3}}, "notebooks": {"gpu": 1}}
    few = {"gpus": 3, "cpu": 2, "memory": "4Gi", "pods": 20}
    data["teams"] = {"ml": {**team, "blueGreen": pair, "resources": few, "queues": queues, **more}}
    return data


def parsed(serves: str, **more: Any) -> Platform:
    return parse_platform(raw({**BOTH, "serves": serves}, **more), "here")


def mistakes(pair: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_platform(raw(pair, **more), "here")
    return [line.partition("here: ")[2] for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize(("serves", "beside"), [("blue", "ml-green"), ("green", "ml")])
def test_each_slot_is_a_tenant_that_keeps_its_name_and_its_versions(serves: str, beside: str) -> None:
    platform = parsed(serves)
    found = tenants(platform)
    assert set(found) == {"ml", "ml-green"}
    assert [found[n].scheduler.version for n in ("ml", "ml-green")] == ["v0.9.3", "v0.16.8"]
    assert [found[n].vcluster.version for n in ("ml", "ml-green")] == [None, "0.35.3"]
    assert [found[n].access.port for n in ("ml", "ml-green")] == [None, 30999]
    one = "ml" if serves == "blue" else "ml-green"
    assert {name: canary_of(platform, name) for name in found} == {one: None, beside: one}
    assert {owner_of(platform, name) for name in found} == {one}
    assert {team_of(platform, name) for name in found} == {"ml"}
    assert [slot_of(platform, name) for name in ("ml", "ml-green")] == ["blue", "green"]


def test_the_one_beside_has_few_gpus_and_the_teams_other_numbers() -> None:
    found = tenants(parsed("blue", vcluster={"snapshots": {}}))
    one, beside = found["ml"], found["ml-green"]
    assert (one.resources.gpus.limit, beside.resources.gpus.limit) == (3, 1)
    numbers = ("cpu", "memory", "pods", "storage")
    assert [getattr(beside.resources, n) for n in numbers] == [getattr(one.resources, n) for n in numbers]
    assert {name: queue.gpu.quota for name, queue in beside.queues.items()} == {
        "training": 0.67,
        "notebooks": 0.33,
    }
    # else a switch would delete the volume of the one that served
    assert beside.vcluster.snapshots == one.vcluster.snapshots is not None


def test_a_mistake_is_told_where_it_is_written() -> None:
    platform = parsed("green")
    assert path_of(platform, "ml-green") == ("teams", "ml")
    assert path_of(platform, "ml") == ("teams", "ml", "blueGreen", "blue")
    assert said_at(platform, "ml", "version") == ("teams", "ml", "scheduler", "version")
    assert said_at(platform, "ml-green", "version") == ("teams", "ml", "blueGreen", "green", "version")
    assert said_at(platform, "ml", "port") == ("teams", "ml", "access", "port")
    assert said_at(platform, "ml-green", "port") == ("teams", "ml", "blueGreen", "green", "port")


def test_a_team_by_its_name_is_the_one_that_serves() -> None:
    platform = parsed("green")
    words = ("ml", "ml-blue", "ml-green", "other-blue", "")
    assert [meant(platform, word) for word in words] == ["ml-green", "ml", "ml-green", "other-blue", ""]
    assert meant(parse_platform(platform_of("lab"), "here"), "ml-blue") == "ml-blue"


def test_both_count_on_the_node() -> None:
    (line,) = mistakes({**BOTH, "green": {"gpus": 2}})
    assert "pools.a100: the GPU limits" in line
    assert "ml-green 2 + ml 3 = 5 of 4" in line or "ml 3 + ml-green 2 = 5 of 4" in line


@pytest.mark.parametrize(
    ("pair", "more", "said"),
    [
        ({"serves": "green", "blue": {}}, {}, "teams.ml.blueGreen.serves: names a virtual cluster that is there"),
        ({"serves": "blue"}, {}, "got blue and no blue; write blue: {}"),
        ({"serves": "green", "blue": {}}, {}, "write green: {}, or serves: blue"),
        ({**BOTH, "green": {"version": "v0.9.9"}}, {}, "teams.ml.blueGreen.green.version: is not a KAI release"),
        (
            {**BOTH, "green": {"vclusterVersion": "9.9.9"}},
            {},
            "teams.ml.blueGreen.green.vclusterVersion: is not a vCluster release",
        ),
        (
            {**BOTH, "green": {"kubernetesVersion": "v1.36.0"}},
            {},
            "teams.ml.blueGreen.green.kubernetesVersion: KAI v0.9.3 of ml-green runs on Kubernetes 1.34 at most",
        ),
        ({**BOTH, "green": {"port": 30868}}, {}, "teams.ml.blueGreen.green.port"),
        (
            BOTH,
            {"scheduler": {"mode": "virtual", "version": "v0.9.3", "canary": {"version": "v0.16.8", "gpus": 0}}},
            "does not serve is the trial, got both; write the canary's version into blueGreen.green",
        ),
        (
            BOTH,
            {"workloads": {"web": {"kind": "app", "image": "a/b:1", "port": 80}}},
            "blueGreen: can't go with workloads",
        ),
        (
            BOTH,
            {"access": {"expose": "loadBalancer", "hostNames": ["a.example"]}},
            "virtual cluster, got both; write expose",
        ),
        (BOTH, {"scheduler": {"mode": "default"}, "queues": {}}, "teams.ml.blueGreen: needs mode virtual"),
    ],
)
def test_what_can_not_be_is_refused(pair: dict[str, Any], more: dict[str, Any], said: str) -> None:
    found = mistakes(pair, **more)
    assert any(said in line for line in found), found


def test_what_the_team_says_for_both_is_told_once() -> None:
    found = mistakes({"serves": "blue", "blue": {}, "green": {"version": "v0.16.8"}}, vcluster={"version": "9.9.9"})
    assert sum("teams.ml.vcluster.version" in line for line in found) == 1


def test_the_name_of_the_other_one_is_taken() -> None:
    data = raw({"serves": "blue", "blue": {}})
    data["teams"]["ml-green"] = {"scheduler": {"mode": "default"}, "resources": {"cpu": 1, "memory": "1Gi", "pods": 5}}
    with pytest.raises(SettingsError, match="is the name of the green slot of ml"):
        parse_platform(data, "here")


def test_only_where_there_is_another_slot_is_it_offered() -> None:
    assert not any("or serves" in line for line in mistakes({"serves": "blue"}))
