"""`promote` and `drop-canary` edit the stack file, show the difference, and touch nothing else."""

from __future__ import annotations

import json
import stat

import pytest
import yaml

from cli.status import rows
from settings.load import load_stack_file
from tests.cli.conftest import STACK_FILE, Project

WITH_ONE = STACK_FILE.replace("version: v0.9.3}", "version: v0.9.3, canary: {version: v0.16.8, gpus: 1}}  # two")
PROMOTED = STACK_FILE.replace("version: v0.9.3}", "version: v0.16.8}  # two")


def checked(verdict: str, *failed: str, version: str = "v0.16.8") -> dict[str, object]:
    """What the last run's outputs say of the canary."""
    said = {"check": json.dumps({"verdict": verdict}), "failed": list(failed), "schedulerVersion": version}
    return {"teams": {"ml-canary": said}}


def text(project: Project) -> str:
    return (project.root / "Pulumi.one.yaml").read_text()


@pytest.mark.parametrize(
    ("command", "after", "shown"),
    [
        ("promote", PROMOTED, "+        scheduler: {mode: virtual, version: v0.16.8}  # two"),
        ("drop-canary", WITH_ONE.replace(", canary: {version: v0.16.8, gpus: 1}", ""), "version: v0.9.3}  # two"),
    ],
)
def test_the_file_is_edited_and_the_difference_is_the_result(
    project: Project, capsys: pytest.CaptureFixture[str], command: str, after: str, shown: str
) -> None:
    project.write(WITH_ONE)
    (project.root / "Pulumi.one.yaml").chmod(0o640)
    project.outputs(checked("pass"))
    assert project.run(command, "--team", "ml") == 0
    found = capsys.readouterr()
    assert text(project) == after
    assert stat.S_IMODE((project.root / "Pulumi.one.yaml").stat().st_mode) == 0o640
    assert found.out.startswith("--- Pulumi.one.yaml\n+++ Pulumi.one.yaml\n")
    assert shown in found.out
    assert "make preview STACK=one" in found.err
    assert "has not passed" not in found.err
    assert not project.did("up")
    assert not project.did("preview")


@pytest.mark.parametrize("outputs", [checked("fail"), checked("pass", "Release ml-canary-vcluster: timed out")])
def test_a_canary_whose_check_failed_is_not_promoted(
    project: Project, capsys: pytest.CaptureFixture[str], outputs: dict[str, object]
) -> None:
    project.write(WITH_ONE)
    project.outputs(outputs)
    assert project.run("promote", "--team", "ml") == 1
    assert "the last check of ml-canary failed" in capsys.readouterr().err
    assert text(project) == WITH_ONE
    assert project.run("drop-canary", "--team", "ml") == 0


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (checked("simulated"), "simulated"),
        ({}, "its verdict is not known"),
        (checked("pass", version="v0.14.7"), "its verdict is not known"),
    ],
)
def test_a_canary_that_did_not_pass_is_promoted_with_a_word_on_it(
    project: Project, capsys: pytest.CaptureFixture[str], outputs: dict[str, object], said: str
) -> None:
    project.write(WITH_ONE)
    project.outputs(outputs)
    assert project.run("promote", "--team", "ml") == 0
    assert f"the check of ml-canary has not passed here: {said}" in capsys.readouterr().err
    assert text(project) == PROMOTED


def test_without_an_engine_the_file_is_edited_all_the_same(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    project.write(WITH_ONE)
    assert project.run("promote", "--team", "ml") == 0
    assert "the last run can't be asked: `pulumi` is not on PATH" in capsys.readouterr().err
    assert text(project) == PROMOTED


@pytest.mark.parametrize("command", ["promote", "drop-canary"])
@pytest.mark.parametrize(
    ("team", "file", "said"),
    [
        ("ml", STACK_FILE, "team ml has no canary in Pulumi.one.yaml"),
        ("", WITH_ONE, "no team is named"),
        ("ml-canary", WITH_ONE, "there is no team 'ml-canary'"),
    ],
)
def test_a_team_without_a_canary_is_bad_input(
    project: Project, capsys: pytest.CaptureFixture[str], command: str, team: str, file: str, said: str
) -> None:
    project.write(file)
    assert project.run(command, "--team", team) == 2
    assert said in capsys.readouterr().err
    assert text(project) == file
    assert project.calls() == []


def test_what_an_anchor_says_for_two_teams_is_left_to_the_user(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    few = WITH_ONE.replace("scheduler: {", "scheduler: &s {").replace("{gpus: 2}", "{gpus: 2, pods: 9}")
    other = (
        "pool: a\n        scheduler: *s\n        resources: {gpus: 0, pods: 9}\n        queues: {training: {gpu: 0}}"
    )
    shared = f"{few}      other:\n        {other}\n"
    project.write(shared)
    assert project.run("drop-canary", "--team", "ml") == 1
    assert "by an anchor, a merge key or in several places" in capsys.readouterr().err
    assert text(project) == shared


SLOTS = "blueGreen: {serves: blue, blue: {}, green: {version: v0.16.8}}"
PAIR = STACK_FILE.replace("        resources: {gpus: 2}", f"        {SLOTS}\n        resources: {{gpus: 2, pods: 20}}")


def passed(verdict: str = "pass", tenant: str = "ml-green", version: str = "v0.16.8") -> dict[str, object]:
    said = {"check": json.dumps({"verdict": verdict}), "failed": [], "schedulerVersion": version}
    return {"teams": {tenant: said}}


def test_of_two_virtual_clusters_the_other_one_serves_and_the_same_command_is_the_way_back(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(PAIR)
    project.outputs(passed())
    assert project.run("promote", "--team", "ml") == 0
    assert text(project) == PAIR.replace("serves: blue", "serves: green")
    assert "ml-green serves team ml with the team's limits, ml stays beside it" in capsys.readouterr().err
    project.outputs(passed(tenant="ml", version="v0.9.3"))
    assert project.run("promote", "--team", "ml") == 0
    assert text(project) == PAIR


@pytest.mark.parametrize("outputs", [passed("fail"), passed("no capacity"), passed(version="v0.12.23"), {}])
def test_one_that_has_not_passed_does_not_serve(
    project: Project, capsys: pytest.CaptureFixture[str], outputs: dict[str, object]
) -> None:
    project.write(PAIR)
    project.outputs(outputs)
    assert project.run("promote", "--team", "ml") == 1
    assert "the last check of ml-green has not passed" in capsys.readouterr().err
    assert text(project) == PAIR


def test_the_one_that_does_not_serve_is_dropped(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write(PAIR)
    assert project.run("drop-canary", "--team", "ml") == 0
    assert text(project) == PAIR.replace(", green: {version: v0.16.8}", "")
    assert "ml-green is removed with all that is in it, ml serves alone" in capsys.readouterr().err


def test_without_another_one_the_line_to_write_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write(PAIR.replace(", green: {version: v0.16.8}", ""))
    for command in ("promote", "drop-canary"):
        assert project.run(command, "--team", "ml") == 2
        assert "write teams.ml.blueGreen.green with its version" in capsys.readouterr().err


def test_a_teams_kubeconfig_is_that_of_the_one_that_serves_and_a_slot_has_its_own_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.write(PAIR.replace("serves: blue", "serves: green"))
    texts = {name: yaml.safe_dump({"of": name}) for name in ("ml", "ml-green")}
    project.outputs({"kubeconfigs": {name: {"admin": text} for name, text in texts.items()}})
    for word, tenant in (("ml", "ml-green"), ("ml-blue", "ml"), ("ml-green", "ml-green")):
        assert project.run("kubeconfig", "--team", word) == 0
        assert (project.root / f"kubeconfig-one-{word}.yaml").read_text() == texts[tenant]


def test_status_says_which_one_serves(project: Project) -> None:
    project.write(PAIR.replace("serves: blue", "serves: green"))
    found = rows(load_stack_file(project.root / "Pulumi.one.yaml"), {})
    assert {row.team: row.mode for row in found} == {"ml-green": "virtual, serves", "ml": "virtual, beside ml-green"}
