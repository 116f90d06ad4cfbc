"""What `status` says of a stack now, from recordings of real clusters: in 80 columns, as JSON, again and again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cli.driver import Place, TeamState
from cli.look import View
from cli.now import kai_of, show_now, states, watch
from seen.model import Component
from seen.snapshot import snapshot
from settings.sharing import Sharing
from tests.seen.world import NOW, World, platform, recorded


def view_of(recording: str, stack: str = "virtual") -> View:
    look, at = recorded(recording)
    return View(look=look, seen=snapshot(look, platform(stack), stack="dev", at=at))


def place(stack: str = "virtual") -> Place:
    return Place(stack="dev", stack_file=Path("Pulumi.dev.yaml"), root=Path(), platform=platform(stack))


def told(
    view: View, capsys: pytest.CaptureFixture[str], *, stack: str = "virtual", as_json: bool = False
) -> tuple[str, str]:
    show_now(view, place(stack), {}, as_json=as_json)
    said = capsys.readouterr()
    return said.out, said.err


def test_eighty_columns_hold_everything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out, _ = told(view_of("reclaimed"), capsys)
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "age 6 min, namespace team-ml, vCluster 0.36.1, Kubernetes v1.34.4" in out
    assert "pods: 3 Pending, 2 Running; KAI: 7 of 7 ready" in out
    assert "GPUs 2 of 2 GPUs, 2 used" in out
    assert "pool gpu: gpu-0 ready, 4 GPUs: 2 ml, 2 free" in out
    assert "default/build (queue-limit)" in out


@pytest.mark.parametrize("columns", ["80", "400"])
def test_what_a_team_writes_does_not_steer_the_terminal(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    world = World()
    metadata = {"name": "a", "namespace": "default"}
    world.plant({"add": {"ml": {"pods": [{"metadata": metadata, "status": {"reason": "\x1b]0;owned\x07"}}]}}})
    look, seen = world.seen()
    show_now(View(look=look, seen=seen), place("world"), {}, as_json=False)
    said = capsys.readouterr().out
    assert "1 \\x1b]0;owned\\x07" in said
    assert said.replace("\n", "").isprintable()


def test_a_script_gets_numbers_and_no_sentence_to_parse(capsys: pytest.CaptureFixture[str]) -> None:
    body = json.loads(told(view_of("reclaimed"), capsys, as_json=True)[0])
    ml = body["teams"][0]
    assert ml["podsByState"] == {"Pending": 3, "Running": 2}
    assert [part["version"] for part in ml["kaiParts"]] == ["v0.16.8"] * 7
    assert {q["name"]: (q["used"], q["quota"], q["limit"], q["borrowed"]) for q in ml["queueNumbers"]} == {
        "ml": (2, 2, 2, 0),
        "training": (1, 1, 2, 0),
        "notebooks": (1, 1, 1, 0),
    }
    assert [one["id"] for one in ml["waiting"]] == ["queue-limit", "team-limit", "team-limit"]
    assert [unit["state"] for unit in body["pools"][0]["nodes"][0]["gpus"]] == ["used", "used", "free", "free"]
    assert body["notSeen"] == []


def test_who_shares_a_gpu_is_told_with_what_is_left_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    for name, share in (("a", "0.3"), ("b", "0.5")):
        pod = {
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"runai-gpu-group": "g1", "kai.scheduler/queue": "notebooks"},
                "annotations": {"gpu-fraction": share},
            },
            "spec": {"nodeName": "gpu-0", "containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
        world.plant({"add": {"ml": {"pods": [pod]}}})
    reservation = {
        "metadata": {
            "name": "gpu-reservation-x",
            "namespace": "kai-resource-reservation",
            "labels": {"runai-gpu-group": "g1"},
            "annotations": {"run.ai/reserve_for_gpu_index": "GPU-77"},
        },
        "spec": {"nodeName": "gpu-0", "containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    world.plant({"add": {"ml": {"pods": [reservation]}}})
    look, seen = world.seen()
    out, _ = told(View(look=look, seen=seen), capsys, stack="world")
    assert "shared on gpu-0: GPU-77: ml default/a 0.3, ml default/b 0.5 (0.2 free)" in out
    assert "pool gpu: gpu-0 ready, 4 GPUs: 1 shared, 3 free" in out
    assert "pool gpu: gpu-1 ready, 4 GPUs: 2 research, 2 free" in out


@pytest.mark.parametrize(
    ("sharing", "said"),
    [
        ({}, "4 GPUs: 4 free"),
        ({"mps": {"replicas": 4}}, "4 replicas: 4 free"),
        ({"timeSlicing": {"replicas": 4}}, "4 replicas: 4 free"),
        ({"mig": {"profile": "1g.10gb", "slices": 4}}, "4 slices: 4 free"),
    ],
)
def test_the_parts_of_a_shared_gpu_are_not_called_gpus(
    sharing: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # an H100 of four replicas was "4 GPUs: 4 free"
    whole = platform("world")
    cut = whole.pools["gpu"].model_copy(update={"sharing": Sharing.model_validate(sharing)})
    look, _ = World().seen()
    seen = snapshot(look, whole.model_copy(update={"pools": {"gpu": cut}}), stack="dev", at=NOW)
    out, _ = told(View(look=look, seen=seen), capsys, stack="world")
    assert f"pool gpu: gpu-0 ready, {said}" in out


def test_a_team_whose_api_is_down_is_named_and_the_rest_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.api["research"] = "down: no answer in time"
    look, seen = world.seen()
    out, err = told(View(look=look, seen=seen), capsys, stack="world")
    assert "not seen: team research: everything (down: no answer in time)" in err
    assert "research" in out
    # the host still knows who holds its GPUs
    assert "gpu-1 ready, 4 GPUs: 2 research, 2 free" in out
    known = seen.team("research")
    assert known is not None
    assert (known.api, states(known)) == ("down: no answer in time", {"Running": 1})


def test_what_may_not_be_listed_is_named_and_the_rest_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.refused["host"] = {"nodes": "nodes is forbidden"}
    look, seen = world.seen()
    out, err = told(View(look=look, seen=seen), capsys, stack="world")
    assert "not seen: host: nodes (nodes is forbidden)" in err
    assert "pool gpu: no node is seen" in out


def test_a_part_of_kai_that_is_scaled_to_nothing_is_not_ready() -> None:
    team = World().seen()[1].team("ml")
    assert team is not None
    assert kai_of(team) == "5 of 5 ready"
    dead = Component(name="binder", version="v0.16.8", ready=0, wanted=0)
    assert kai_of(replace(team, kai=(*team.kai[:1], dead))) == "1 of 2 ready, not: binder"
    assert kai_of(replace(team, kai=())) == "-"


def test_a_report_of_the_last_run_stands_beside_what_is_seen_now(capsys: pytest.CaptureFixture[str]) -> None:
    state = TeamState(api="up", verdict="pass", checked_at=NOW)
    show_now(view_of("idle"), place(), {"ml": state}, as_json=True)
    teams = {row["team"]: row for row in json.loads(capsys.readouterr().out)["teams"]}
    assert teams["ml"]["check"].startswith("pass")
    assert teams["ml"]["api"] == "up"


def test_watching_draws_until_it_is_interrupted() -> None:
    drawn: list[float] = []

    def pause(seconds: float) -> None:
        drawn.append(seconds)
        if len(drawn) == 3:
            raise KeyboardInterrupt

    watch(lambda: None, pause)
    assert drawn == [5.0, 5.0, 5.0]
