"""The drills' own tools: the stack file that is changed for a moment is a valid one, and is put back."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from settings.load import load_stack_file
from tests.conftest import shipped
from tests.drills import FAULTS, changed, job, run, world_of

REWRITTEN = "'2026-11-30 00:00:00 +0000 UTC'"
"""A day as the engine hands it on."""


def written(folder: Path) -> Path:
    loaded = yaml.safe_load(shipped("lab").read_text())
    platform = loaded["config"]["gpu-tenancy:platform"]
    # known to be read alike by every reader only in quotes
    platform["overrides"] = [{"team": "ml", "allow": ["delete"], "until": "DAY", "reason": "the test is over"}]
    file = folder / "Pulumi.lab.yaml"
    file.write_text("# mine\n" + yaml.safe_dump(loaded).replace("DAY", REWRITTEN))
    return file


def test_the_other_team_gets_some_pods_more_for_a_moment_and_the_file_comes_back(tmp_path: Path) -> None:
    file = written(tmp_path)
    before = file.read_bytes()
    world = world_of("lab", tmp_path)
    assert (world.broken, world.other) == ("ml", "research")
    pods = world.teams["research"].resources.pods
    with suppress(KeyError), changed(world, 2):
        platform = load_stack_file(file)
        assert platform.teams["research"].resources.pods == pods + 2
        assert platform.teams["ml"] == world.teams["ml"]
        raise KeyError  # it stops in the middle
    assert file.read_bytes() == before


def test_a_job_goes_through_a_queue_of_its_own_team(tmp_path: Path) -> None:
    written(tmp_path)
    world = world_of("lab", tmp_path)
    for team in ("ml", "research"):
        label = job(world, team, "x")["spec"]["template"]["metadata"]["labels"]["kai.scheduler/queue"]
        assert label in world.teams[team].queues


def test_on_a_cluster_nothing_is_broken_until_somebody_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, ...]] = []

    def command(_: object, *words: str) -> str:
        ran.append(words)
        (tmp_path / f"kubeconfig-lab-{words[-1]}.yaml").write_text("")
        return ""

    written(tmp_path)
    real = replace(world_of("lab", tmp_path), runs=True)
    monkeypatch.setattr("tests.drills.world_of", lambda *_: real)
    monkeypatch.setattr("tests.drills.command", command)
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with pytest.raises(SystemExit, match="nothing was changed"):
        run("lab", "", tmp_path)
    assert [words[0] for words in ran] == ["kubeconfig", "kubeconfig"]
    assert "this breaks the scheduler of team ml of stack lab" in capsys.readouterr().err


def test_the_slides_four_failures_are_there() -> None:
    assert [fault.name for fault in FAULTS] == ["scheduler-bug", "crd-conflict", "version-mismatch", "resource-leak"]
