"""State and passphrase are found as the engine finds them, whichever of `make` and `pulumi` was typed first."""

from __future__ import annotations

import argparse
import json
import subprocess
import threading
from datetime import date, timedelta
from pathlib import Path

import pytest

import tokens
from cli.backend import file_backend, find_backend
from cli.begin import place_of
from cli.engine import EngineDriver
from cli.stack import Stack
from tests.cli.conftest import STACK_FILE, Project
from tests.conftest import HANGS_SECONDS

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: gpu-tenancy\nruntime: python\n")
    return tmp_path


def logged_in(root: Path, text: str) -> dict[str, str]:
    (root / "home").mkdir()
    (root / "home/credentials.json").write_text(text)
    return {"PULUMI_HOME": str(root / "home")}


def test_a_variable_goes_before_the_project_and_the_project_before_the_login(root: Path) -> None:
    env = logged_in(root, json.dumps({"current": "s3://login"}))
    assert find_backend(env, root).url == "s3://login"
    (root / "Pulumi.yaml").write_text("name: gpu-tenancy\nbackend: {url: 's3://project'}\n")
    assert find_backend(env, root).url == "s3://project"
    chosen = find_backend({**env, "PULUMI_BACKEND_URL": "s3://variable"}, root)
    assert (chosen.url, chosen.chosen_by, chosen.is_ours) == ("s3://variable", "PULUMI_BACKEND_URL", False)


def test_a_token_alone_means_the_hosted_backend(root: Path) -> None:
    env = {"PULUMI_HOME": str(root), "PULUMI_ACCESS_TOKEN": "x"}
    assert find_backend(env, root).url == "https://api.pulumi.com"
    assert find_backend({**env, "PULUMI_API": "https://mine"}, root).url == "https://mine"


def test_nothing_chosen_is_the_folder_s_own(root: Path) -> None:
    found = find_backend({"PULUMI_HOME": str(root)}, root)
    assert found.is_ours
    assert found.url == f"file://{root}/.pulumi/state?metadata=skip"


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "100%", "a%20b", "größe", "a'b"])
def test_the_folder_s_own_is_found_again_by_its_url_whatever_the_folder_s_name(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: gpu-tenancy\n")
    url = find_backend({"PULUMI_HOME": str(root)}, root).url
    again = find_backend({"PULUMI_BACKEND_URL": url}, root)
    assert (again.folder, again.is_ours) == (root / ".pulumi/state", True)


@pytest.mark.parametrize("text", ["", "{}", '{"current": "", "accessTokens": {}}'])
def test_a_login_that_was_undone_is_none(root: Path, text: str) -> None:
    assert find_backend(logged_in(root, text), root).is_ours


@pytest.mark.parametrize("text", ['{"version": 1, "ciphertext": "AAAA"}', "not json"])
def test_a_login_that_only_the_engine_can_read_is_left_to_it(root: Path, text: str) -> None:
    found = find_backend(logged_in(root, text), root)
    assert not found.is_ours
    assert found.url == "(the engine's own login)"


@pytest.mark.parametrize("url", ["file://.pulumi/state", "file://./.pulumi/state"])
def test_the_folder_s_own_by_another_way_of_writing_is_the_folder_s_own(root: Path, url: str) -> None:
    assert find_backend({"PULUMI_BACKEND_URL": url}, root).is_ours


def test_the_folder_of_a_file_backend_is_read_as_the_engine_reads_it(root: Path) -> None:
    assert file_backend("file:///a%20b?no_tmp_dir=true", root) == Path("/a b")
    assert file_backend("file://state", root) == root / "state"
    assert file_backend("file://~", root) == Path.home()
    assert file_backend("s3://bucket", root) is None


# --- the commands -----------------------------------------------------------------------------------------------------


def test_make_goes_where_pulumi_login_went(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.home / "credentials.json").write_text(json.dumps({"current": f"file://{project.home}/elsewhere"}))
    monkeypatch.setenv("PULUMI_HOME", str(project.home))
    assert project.run("up") == 2
    assert "PULUMI_CONFIG_PASSPHRASE" in capsys.readouterr().err
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "theirs")
    assert project.run("up") == 0
    assert not any("PULUMI_BACKEND_URL" in env for env in project.environments())
    assert not (project.root / ".pulumi/state").exists()


def test_a_plain_pulumi_is_told_once_how_to_find_what_make_made(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("up") == 0
    assert 'eval "$(make -s env STACK=one)"' in capsys.readouterr().err
    assert project.run("env") == 0
    lines = capsys.readouterr().out
    assert lines == (
        f"export PULUMI_BACKEND_URL='file://{project.root}/.pulumi/state?metadata=skip'\n"
        f"export PULUMI_CONFIG_PASSPHRASE_FILE={project.root}/.pulumi/passphrase\n"
    )
    for line in lines.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, value)
    before = [call for call in project.calls() if call[:2] == ["stack", "init"]]
    assert project.run("up") == 0
    assert [call for call in project.calls() if call[:2] == ["stack", "init"]] == before
    assert project.run("env") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "nothing to export" in said.err


def test_what_is_told_before_anything_was_made_is_there_for_the_first_plain_pulumi(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("env") == 0
    assert capsys.readouterr().out == (
        f"export PULUMI_BACKEND_URL='file://{project.root}/.pulumi/state?metadata=skip'\n"
        f"export PULUMI_CONFIG_PASSPHRASE_FILE={project.root}/.pulumi/passphrase\n"
    )
    # the engine makes neither: it ends at a folder that is missing, and asks for a passphrase
    assert (project.root / ".pulumi/state").is_dir()
    kept = (project.root / ".pulumi/passphrase").read_text()
    assert project.run("up") == 0
    assert (project.root / ".pulumi/passphrase").read_text() == kept


def test_the_folder_s_own_passphrase_is_used_when_only_the_backend_is_exported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.run("up") == 0
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{project.root}/.pulumi/state")
    assert project.run("up") == 0
    assert project.environments()[-1]["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(project.root / ".pulumi/passphrase")


def test_a_passphrase_of_the_user_is_never_overridden(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert project.run("up") == 0
    assert not (project.root / ".pulumi/passphrase").exists()
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in project.environments()[-1]


def test_a_second_state_for_the_same_cluster_is_not_made_by_a_change_of_backend(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = project.root / ".pulumi/state/.pulumi/stacks/gpu-tenancy"
    kept.mkdir(parents=True)
    (kept / "one.json").write_text("{}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{project.home}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "theirs")
    assert project.run("up") == 2
    said = capsys.readouterr().err
    assert "stack one has a state in this folder (.pulumi/state), and none in" in said
    assert "unset PULUMI_BACKEND_URL" in said
    assert not project.did("up")


# --- a stack file that is broken or gone ------------------------------------------------------------------------------

TEAM = {
    "urn": "urn:pulumi:one::p::gpu-tenancy:index:Team::ml",
    "type": "gpu-tenancy:index:Team",
    "protect": True,
    "outputs": {"namespace": "team-ml", "pool": "a", "gpuQuota": 2, "gpuLimit": 2, "mode": "virtual"},
}
STATE = {
    "deployment": {"secrets_providers": {"type": "passphrase", "state": {"salt": "v1:the-salt"}}, "resources": [TEAM]}
}


@pytest.mark.parametrize("text", [None, "config: [", "config: {}", STACK_FILE.replace("gpus: 2", "gpus: many")])
def test_down_and_status_go_on_without_the_stack_file(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({})
    project.export(STATE)
    file = project.root / "Pulumi.one.yaml"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    assert project.run("status", "--json") == 0
    said = capsys.readouterr()
    (row,) = json.loads(said.out)["teams"]
    assert (row["team"], row["pool"], row["gpus"]) == ("ml", "a", "2 of 2")
    assert "status goes on without the stack file" in said.err

    assert project.run("down") == 2
    said = capsys.readouterr()
    assert "protected against deletion: ml; nothing was removed" in said.err
    assert "`make down STACK=one TEAM=ml`" in said.err
    assert not project.did("destroy")
    assert project.run("down", "--team", "ml") == 0
    destroy = next(call for call in project.calls() if call[0] == "destroy")
    assert "--ignore-protect" in destroy
    assert "--config-file" in destroy, "the engine could not read the stack file either"


def test_an_override_in_a_broken_file_still_counts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({})
    project.export(STATE)
    soon = date.today() + timedelta(days=30)
    override = f"{{team: ml, allow: [delete], until: {soon}, reason: taken down by a test}}"
    project.write(STACK_FILE.replace("gpus: 2", "gpus: many") + f"    overrides: [{override}]\n")
    assert project.run("down") == 0


@pytest.mark.parametrize("protect", [True, False])
def test_a_team_that_never_became_whole_goes_by_its_override(
    project: Project, monkeypatch: pytest.MonkeyPatch, protect: bool
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    half = {**TEAM, "urn": str(TEAM["urn"]).replace("::ml", "::gone"), "protect": protect, "outputs": {}}
    inner = {**half, "type": tokens.VIRTUAL_CLUSTER, "urn": f"{half['urn']}-virtual-cluster", "parent": half["urn"]}
    project.export({"deployment": {**STATE["deployment"], "resources": [half, inner]}})
    soon = date.today() + timedelta(days=30)
    override = f"{{team: gone, allow: [delete], until: {soon}, reason: taken away by a test}}"
    project.write(STACK_FILE + f"    overrides: [{override}]\n")
    driver = EngineDriver(place_of(argparse.Namespace(stack="one"), project.root))
    assert driver._let_go() == ["gone"]
    unprotected = [call for call in project.calls() if call[:2] == ["state", "unprotect"]]
    # each call of the engine reads and writes the whole state
    assert [call[2:4] for call in unprotected] == ([[half["urn"], inner["urn"]]] if protect else [])


@pytest.mark.parametrize("made", [True, False])
def test_the_state_and_the_outputs_are_read_once_each(
    project: Project, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    if made:
        project.outputs({})
        project.export(STATE)
    driver = EngineDriver(place_of(argparse.Namespace(stack="one"), project.root))
    assert set(driver.reach().made) == ({"ml"} if made else set())
    assert set(driver.states()) == ({"ml"} if made else set())
    assert sorted(call[:2] for call in project.calls() if call[0] == "stack") == [
        ["stack", "export"],
        ["stack", "output"],
    ]


def test_the_outputs_are_read_before_the_engine_has_said_its_version(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({})
    project.export(STATE)
    reads, ask = threading.Event(), Stack.ask

    def asked(stack: Stack, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        if arguments[:2] == ("stack", "output"):
            reads.set()
        if arguments == ("version",):
            assert reads.wait(HANGS_SECONDS)
        return ask(stack, *arguments, given=given)

    monkeypatch.setattr(Stack, "ask", asked)
    assert project.run("status") == 0


@pytest.mark.parametrize("made", [True, False])
def test_an_engine_of_another_major_version_is_refused_with_and_without_a_stack(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], made: bool
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    monkeypatch.setenv("STUB_VERSION", "v2.9.0")
    if made:
        project.outputs({})
        project.export(STATE)
    assert project.run("status") == 1
    assert "the engine is v2.9.0" in capsys.readouterr().err


@pytest.mark.parametrize("op", ["same", "delete"])
def test_what_runs_is_asked_only_where_a_preview_has_changes(
    project: Project, monkeypatch: pytest.MonkeyPatch, op: str
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({})
    project.export(STATE)
    urn = "urn:pulumi:one::gpu-tenancy::kubernetes:core/v1:ConfigMap::told"
    monkeypatch.setenv("STUB_DIGEST", json.dumps({"steps": [{"op": op, "urn": urn}], "changeSummary": {op: 1}}))
    assert project.run("preview") == 0
    asked = [path for _, path in project.api.seen if path.endswith("/resourcequotas")]
    assert len(asked) == (op == "delete")


def test_a_lab_is_reset_whatever_its_stack_file_is(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    home = project.root / ".lab/one"
    home.mkdir(parents=True)
    for text in ("config: [", "config: {}"):
        project.write(text)
        home.mkdir(parents=True, exist_ok=True)
        assert project.run("lab-reset") == 0
        assert not home.exists()
    (project.root / "Pulumi.one.yaml").unlink()
    home.mkdir(parents=True)
    assert project.run("lab-reset") == 0
    assert not home.exists()


@pytest.mark.parametrize("command", ["up", "preview", "status", "outputs", "down"])
def test_any_command_may_be_the_first_in_a_folder(
    project: Project, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """The engine fails, and not with `no stack named`, where its state's folder is not there."""
    assert project.run(command) == (1 if command == "outputs" else 0)
    said = capsys.readouterr().err
    assert "state directory" not in said
    assert ("stack one does not exist yet" in said) == (command == "outputs")


@pytest.mark.parametrize("text", [None, "config: [", "config: {}"])
def test_a_lab_s_status_and_down_need_no_stack_file_either(
    project: Project, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    home = project.root / ".lab/one"
    home.mkdir(parents=True)
    facts = {"pool": "a", "mode": "virtual", "gpuQuota": 2, "gpuLimit": 2, "namespace": "team-ml"}
    (home / "outputs.json").write_text(json.dumps({"teams": {"ml": facts}}))
    file = project.root / "Pulumi.one.yaml"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    assert project.run("status", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["teams"]
    assert (row["team"], row["pool"]) == ("ml", "a")
    assert project.run("down") == 0
    assert not home.exists()
