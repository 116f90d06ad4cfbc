"""`why` and `would` as commands: what they print, and what they say about bad input."""

from __future__ import annotations

import json

import pytest

from cli.errors import CommandError, InputError
from cli.look import View
from cli.why import show_why, show_would
from names import HOST_NAMESPACE
from seen.snapshot import snapshot
from seen.why import Request
from tests.cli.conftest import Project
from tests.seen.world import World, platform, recorded


def real(recording: str) -> View:
    look, at = recorded(recording)
    return View(look=look, seen=snapshot(look, platform("virtual"), stack="dev", at=at))


def small(world: World) -> View:
    look, seen = world.seen()
    return View(look=look, seen=seen)


def test_every_pod_that_waits_has_a_cause_and_a_fix_and_what_was_lost_comes_after(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_why(real("reclaimed"), "", "", stack="dev", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "team ml, default/build: queue training is at its limit: 1 of 2 GPUs used, 2 asked"
    assert lines[1].startswith("  fix: wait for default/first (1) to end, or raise teams.ml.queues.training.gpu.limit")
    assert lines[6] == "evicted by KAI in the last hour:"
    assert lines[7] == (
        "team ml, default/second: KAI took its GPUs back at 04:58:10 UTC for default/notebook of queue notebooks: "
        "queue training used 2 GPUs with a quota of 1"
    )


def test_a_script_gets_the_kind_of_each_cause(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(real("reclaimed"), "ml", "", stack="dev", as_json=True)
    body = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in body["waiting"]] == ["queue-limit", "team-limit", "team-limit"]
    assert [(one["id"], one["pod"]) for one in body["lost"]] == [("reclaimed", "second")]
    assert body["notSeen"] == []


def test_pods_that_wait_for_the_same_are_one_answer(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(real("pods"), "research", "", stack="dev", as_json=False)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        "team research, default/small-10, default/small-11, default/small-12 and 1 more: "
        "the host's quota of team research is used up: 19 of 19 pods used, 1 asked"
    )
    assert len(said) == 2


def test_what_a_team_writes_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    image = "x\x1b]0;owned\x07\x1b[2J\u202e"
    state = {"waiting": {"reason": "InvalidImageName", "message": image}}
    status = {"phase": "Pending", "conditions": [], "containerStatuses": [{"image": image, "state": state}]}
    pod = {"metadata": {"name": "a", "namespace": "default"}, "spec": {"nodeName": "gpu-0"}, "status": status}
    world.plant({"add": {"ml": {"pods": [pod]}}})
    show_why(small(world), "ml", "", stack="dev", as_json=False)
    said = capsys.readouterr().out
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202e" in said
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["wide", "default/wide", "Job/wide", "wide-q27ld"])
def test_a_pod_may_be_named_by_what_made_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_why(real("idle"), "ml", name, stack="dev", as_json=False)
    assert "default/wide-q27ld: queue training is at its limit" in capsys.readouterr().out


def test_a_pod_that_runs_does_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(real("idle"), "ml", "runs", stack="dev", as_json=False)
    assert capsys.readouterr().out == "runs does not wait\n"


def test_nothing_waits_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    show_why(small(World()), "", "", stack="dev", as_json=False)
    assert capsys.readouterr().out == "nothing waits\n"


def test_what_every_team_stands_on_waits_too(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    full = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.",
    }
    check = {"metadata": {"name": "gpu-check-gpu-0", "namespace": HOST_NAMESPACE}, "status": {"conditions": [full]}}
    plugin = {"metadata": {"name": "plugin-1", "namespace": "nvidia-device-plugin"}, "status": {"phase": "Pending"}}
    others = {"metadata": {"name": "others", "namespace": "default"}, "status": {"phase": "Pending"}}
    ended = {"metadata": {"name": "ended", "namespace": HOST_NAMESPACE}, "status": {"phase": "Succeeded"}}
    world.plant({"add": {"host": {"pods": [check, plugin, others, ended]}}})
    show_why(small(world), "", "", stack="dev", as_json=False)
    assert " ".join(capsys.readouterr().out.split()) == (
        "the host, gpu-tenancy/gpu-check-gpu-0: Pending: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu. "
        "the host, nvidia-device-plugin/plugin-1: Pending"
    )
    show_why(small(world), "", "", stack="dev", as_json=True)
    assert [one["pod"] for one in json.loads(capsys.readouterr().out)["host"]] == ["gpu-check-gpu-0", "plugin-1"]
    show_why(small(world), "ml", "", stack="dev", as_json=False)
    assert capsys.readouterr().out == "nothing waits\n"


def test_a_name_that_is_near_is_offered() -> None:
    with pytest.raises(InputError, match="no pod 'gate'") as error:
        show_why(real("idle"), "ml", "gate", stack="dev", as_json=False)
    assert "default/gated" in error.value.fix


def test_a_team_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match="no team 'vision'") as error:
        show_why(small(World()), "vision", "", stack="dev", as_json=False)
    assert error.value.fix.endswith("ml, research")


def test_a_pod_needs_its_team() -> None:
    with pytest.raises(InputError, match="POD needs its TEAM"):
        show_why(small(World()), "", "train-0", stack="dev", as_json=False)


def test_a_team_that_can_t_be_seen_is_said_and_the_others_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.api["ml"] = "down: refused"
    show_why(small(world), "", "", stack="dev", as_json=False)
    said = capsys.readouterr()
    assert said.err == "not seen: team ml: everything (down: refused)\n"
    assert said.out == "no pod waits, as far as can be seen\n"
    with pytest.raises(CommandError, match="can't be seen: its API is down: refused"):
        show_why(small(world), "ml", "train-0", stack="dev", as_json=False)


def test_yes_and_no_are_the_first_word(capsys: pytest.CaptureFixture[str]) -> None:
    show_would(small(World()), "ml", Request(gpus=2, queue="training"), stack="dev", as_json=False)
    said = capsys.readouterr().out
    assert said == "yes: a pod of team ml with 2 GPUs in queue training would be placed now, on node gpu-0\n"
    show_would(small(World()), "ml", Request(gpus=0, queue="training"), stack="dev", as_json=False)
    said, _ = capsys.readouterr()
    assert said == "yes: a pod of team ml without a GPU in queue training would be placed now, on node gpu-0\n"
    show_would(small(World()), "ml", Request(fraction=0.5, cpu="40"), stack="dev", as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("no: a pod of team ml with 0.5 of a GPU in queue notebooks would wait: nodes gpu-0, gpu-1:")
    assert "\n  fix: " in said


def test_nobody_has_to_say_that_a_pod_has_one_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    show_would(small(World()), "ml", Request(gpus=None, queue="training"), stack="dev", as_json=False)
    assert capsys.readouterr().out.startswith("yes: a pod of team ml with 1 GPU in queue training would be placed now")


def test_would_prints_json_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    show_would(small(World()), "ml", Request(gpus=3, queue="notebooks"), stack="dev", as_json=True)
    body = json.loads(capsys.readouterr().out)
    assert (body["would"], body["id"], body["queue"]) == (False, "beyond-limit", "notebooks")


@pytest.mark.parametrize(
    ("team", "request_", "said"),
    [
        ("", Request(), "no team is named"),
        ("vision", Request(), "no team 'vision'"),
        ("ml", Request(queue="trainin"), "no queue 'trainin'"),
    ],
)
def test_what_is_not_there_can_t_be_asked_about(team: str, request_: Request, said: str) -> None:
    with pytest.raises(InputError, match=said):
        show_would(small(World()), team, request_, stack="dev", as_json=False)


@pytest.mark.parametrize(
    "arguments", [["--gpus", "-1"], ["--gpus", "2.5"], ["--fraction", "1.5"], ["--fraction", "half"], ["--cpu", "many"]]
)
def test_a_number_that_is_none_is_refused_before_anything_is_asked(arguments: list[str], project: Project) -> None:
    with pytest.raises(SystemExit) as end:
        project.run("would", "--team", "ml", *arguments)
    assert end.value.code == 2
    assert project.api.seen == []


def test_a_stack_that_was_never_made_is_no_error(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run("why") == 0
    said = capsys.readouterr()
    assert said.out == "no pod waits, as far as can be seen\n"
    assert "not seen: team ml: everything (not asked)" in said.err


def test_how_long_it_took_is_said_after_what_makes_or_writes(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({"teams": {}, "kubeconfigs": {"ml": {"admin": "apiVersion: v1"}}})
    assert project.run("kubeconfig", "--team", "ml") == 0
    assert "\nkubeconfig: done in " in capsys.readouterr().err
    assert project.run("outputs") == 0
    assert "done in" not in capsys.readouterr().err
