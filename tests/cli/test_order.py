"""The order of things in a command, streams and exit codes; `pulumi` is a stub that keeps its calls."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from cli.stack import Stack
from tests.cli.conftest import STACK_FILE, Project
from tests.cli.fake_api import UID, certificates, kubeconfig, served
from tests.conftest import HANGS_SECONDS, nobody

pytestmark = pytest.mark.slow

SOON = date.today() + timedelta(days=30)
"""An override's last day: the commands go by the clock."""


BROKEN = STACK_FILE.replace("gpusPerNode: 4", "gpusPerNode: many").replace("pool: a", "pool: b\n        colour: red")


def test_a_broken_stack_file_reports_every_mistake_before_pulumi_or_the_cluster_is_asked(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(BROKEN)
    assert project.run("up") == 2
    said = capsys.readouterr().err
    assert "gpusPerNode" in said
    assert "colour" in said
    assert project.calls() == []
    assert project.api.seen == []
    assert not (project.root / ".pulumi").exists()


def test_a_missing_pulumi_is_one_line_with_the_way_to_install_it(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert project.run("up") == 1
    said = capsys.readouterr().err
    assert "`pulumi` is not on PATH" in said
    assert "https://www.pulumi.com/docs/install/" in said
    assert "the lab needs none" in said
    assert {method for method, _ in project.api.seen} == {"GET"}


@pytest.mark.parametrize("name", ["../dev", "", "a b", ".x"])
def test_a_stack_name_that_is_no_name_is_refused(project: Project, name: str) -> None:
    assert project.run("outputs", stack=name) == 2
    assert project.calls() == []


def test_the_first_line_names_stack_context_cluster_and_provider(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("up") == 0
    assert capsys.readouterr().err.splitlines()[0] == f"stack one | context here | cluster {UID} | provider existing"


def test_up_makes_backend_passphrase_and_stack_then_runs_the_engine(project: Project) -> None:
    assert project.run("up") == 0
    calls = [" ".join(call[:2]) for call in project.calls()]
    assert calls.index("stack init") < calls.index("up --yes")
    up = next(call for call in project.calls() if call[0] == "up")
    assert {"--yes", "--continue-on-error"} <= set(up)
    assert up[-2:] == ["--stack", "one"]
    key = project.root / ".pulumi/passphrase"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    last = project.environments()[-1]
    assert last["PULUMI_BACKEND_URL"] == f"file://{project.root}/.pulumi/state?metadata=skip"
    assert last["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(key)


@pytest.mark.parametrize(("cores", "steps"), [(2, "32"), (8, "32"), (32, "128"), (None, "32")])
def test_teams_come_up_together_on_a_small_machine_too_unless_the_user_says_how_many(
    project: Project, monkeypatch: pytest.MonkeyPatch, cores: int | None, steps: str
) -> None:
    # on a large one never fewer than the engine itself would
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert project.run("up") == 0
    assert project.environments()[-1]["PULUMI_PARALLEL"] == steps
    monkeypatch.setenv("PULUMI_PARALLEL", "5")
    assert project.run("up") == 0
    assert project.environments()[-1]["PULUMI_PARALLEL"] == "5"


def test_the_engine_collects_its_garbage_less_often_unless_the_user_says_how_often(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    assert project.run("up") == 0
    assert project.environments()[-1]["GOGC"] == "200"
    monkeypatch.setenv("GOGC", "off")
    assert project.run("up") == 0
    assert project.environments()[-1]["GOGC"] == "off"


def test_no_secret_is_on_a_command_line(project: Project) -> None:
    assert project.run("up") == 0
    key = (project.root / ".pulumi/passphrase").read_text().strip()
    assert key
    assert key not in json.dumps(project.calls())


def test_a_second_up_keeps_stack_and_passphrase(project: Project) -> None:
    assert project.run("up") == 0
    key = (project.root / ".pulumi/passphrase").read_text()
    assert project.run("up") == 0
    assert sum(call[:2] == ["stack", "init"] for call in project.calls()) == 1
    assert (project.root / ".pulumi/passphrase").read_text() == key


def test_a_backend_of_the_user_needs_a_passphrase_from_the_user(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{project.home}")
    assert project.run("up") == 2
    assert "PULUMI_CONFIG_PASSPHRASE" in capsys.readouterr().err
    assert not project.did("up")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "theirs")
    assert project.run("up") == 0
    assert not (project.root / ".pulumi").exists()


@pytest.mark.parametrize("command", ["up", "env"])
def test_a_stack_file_with_another_passphrase_s_salt_gets_no_new_passphrase(
    project: Project, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    project.write(STACK_FILE + "encryptionsalt: v1:abc:v1:def:ghi\n")
    for _ in range(2):
        assert project.run(command) == 2
        assert "encryptionsalt" in capsys.readouterr().err
        assert not (project.root / ".pulumi").exists(), "the next try would take it for made"


@pytest.mark.parametrize(("version", "code"), [("v3.259.0", 0), ("v3.1.0", 0), ("v4.0.0", 1), ("v2.9.9", 1)])
def test_an_engine_of_another_major_version_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, version: str, code: int
) -> None:
    monkeypatch.setenv("STUB_VERSION", version)
    assert project.run("up") == code
    assert project.did("up") is (code == 0)


def test_an_older_engine_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_VERSION", "v3.1.0")
    project.run("up")
    assert "older than the SDK's" in capsys.readouterr().err


def test_outputs_are_json_with_teams_and_nothing_else_on_standard_output(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.outputs({"teams": {"ml": {"pool": "a"}}, "kubeconfigs": {"ml": {"admin": "CANARY"}}, "token": "[secret]"})
    assert project.run("outputs") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"teams": {"ml": {"pool": "a"}}}
    assert "CANARY" not in said.err
    assert "stack one" in said.err


def team_in_state(name: str, outputs: dict[str, object]) -> dict[str, object]:
    return {
        "urn": f"urn:pulumi:one::gpu-tenancy::gpu-tenancy:index:Team::{name}",
        "type": "gpu-tenancy:index:Team",
        "inputs": {"name": name, "gpuLimit": 2},
        "outputs": outputs,
    }


def test_after_an_up_that_ended_early_each_whole_team_has_its_outputs_and_the_other_says_so(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    whole: dict[str, object] = {"name": "ml", "gpuLimit": 2, "namespace": "team-ml", "check": None, "failed": []}
    project.outputs({})
    project.export({"deployment": {"resources": [team_in_state("ml", whole), team_in_state("zed", {})]}})
    assert project.run("outputs") == 0
    assert json.loads(capsys.readouterr().out)["teams"] == {
        "ml": whole,
        "zed": {"name": "zed", "gpuLimit": 2, "failed": ["the last update ended before this team was whole"]},
    }


def test_outputs_of_a_stack_that_is_not_there_say_how_to_make_it(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("outputs") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "`make up STACK=one`" in said.err


def test_outputs_work_while_the_cluster_is_away(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project.outputs({"teams": {}})
    with nobody() as held:
        (tmp_path / "kubeconfig").write_text(kubeconfig(f"http://127.0.0.1:{held.getsockname()[1]}"))
        assert project.run("outputs") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"teams": {}}
    assert "not reachable" in said.err.splitlines()[0]


def test_a_kubeconfig_is_written_for_the_owner_alone_and_never_printed(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.outputs({"teams": {"ml": {}}, "kubeconfigs": {"ml": {"admin": "CANARY"}}})
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    before = os.umask(0)
    try:
        assert project.run("kubeconfig", "--team", "ml") == 0
    finally:
        os.umask(before)
    written = project.root / "kubeconfig-one-ml.yaml"
    assert written.read_text() == "CANARY"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert sorted(path.name for path in project.root.iterdir() if "kubeconfig" in path.name) == [written.name]
    said = capsys.readouterr()
    assert "CANARY" not in said.out + said.err


def test_an_open_kubeconfig_left_by_somebody_is_replaced_by_a_private_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.outputs({"teams": {"ml": {}}, "kubeconfigs": {"ml": {"admin": "CANARY"}}})
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    elsewhere = project.root / "elsewhere"
    elsewhere.write_text("")
    (project.root / "kubeconfig-one-ml.yaml").symlink_to(elsewhere)
    assert project.run("kubeconfig", "--team", "ml") == 0
    assert elsewhere.read_text() == ""
    assert stat.S_IMODE((project.root / "kubeconfig-one-ml.yaml").lstat().st_mode) == 0o600


def test_a_kubeconfig_can_be_had_though_the_first_up_failed_before_its_outputs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({})
    project.api.named["/api/v1/namespaces/team-ml/secrets/vc-ml"] = certificates()
    assert project.run("kubeconfig", "--team", "ml") == 0
    written = json.loads((project.root / "kubeconfig-one-ml.yaml").read_text())
    assert written["users"][0]["user"]["client-key-data"] == "bm90IHJlYWw="


@pytest.mark.parametrize("team", ["research", ""])
def test_an_unknown_team_lists_the_teams_before_anything_is_asked(
    project: Project, capsys: pytest.CaptureFixture[str], team: str
) -> None:
    assert project.run("kubeconfig", "--team", team) == 2
    assert "one of: ml" in capsys.readouterr().err
    assert project.calls() == []


def test_a_user_kubeconfig_that_was_not_asked_for_names_the_setting(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.outputs({"teams": {"ml": {}}, "kubeconfigs": {"ml": {"admin": "CANARY"}}})
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    assert project.run("kubeconfig", "--team", "ml", "--user") == 1
    assert "access.userKubeconfig: true" in capsys.readouterr().err


def lock(project: Project, *, pid: int, host: str) -> None:
    """A lock as the file backend writes it."""
    folder = project.root / ".pulumi/state/.pulumi/locks/organization/gpu-tenancy/one"
    folder.mkdir(parents=True)
    said = {"pid": pid, "username": "me", "hostname": host, "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "x.json").write_text(json.dumps(said))


def test_the_lock_of_a_dead_engine_is_removed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    lock(project, pid=gone.pid, host=socket.gethostname())
    assert project.run("up") == 0
    calls = [call[0] for call in project.calls()]
    assert calls.index("cancel") < calls.index("up")
    assert "was killed: its lock is removed" in capsys.readouterr().err


def test_a_lock_whose_number_another_program_has_by_now_is_removed(project: Project) -> None:
    lock(project, pid=os.getpid(), host=socket.gethostname())
    assert project.run("up") == 0
    assert project.did("cancel")


def test_the_lock_of_a_living_engine_is_left_alone(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = tmp_path / "pulumi"
    binary.symlink_to("/bin/sleep")
    with subprocess.Popen([str(binary), "30"]) as living:
        try:
            lock(project, pid=living.pid, host=socket.gethostname())
            assert project.run("up") == 1
        finally:
            living.kill()
    assert f"process {living.pid}" in capsys.readouterr().err
    assert not project.did("cancel")
    assert not project.did("up")


def test_the_lock_of_another_machine_is_left_alone(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    lock(project, pid=1, host="another-machine")
    assert project.run("up") == 1
    assert "another-machine" in capsys.readouterr().err
    assert not project.did("cancel")


def test_pending_operations_are_named_and_dropped_from_the_state(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    resource = {"urn": "urn:pulumi:one::gpu-tenancy::t::ml-kai", "type": "kubernetes:helm.sh/v3:Release"}
    deployment = {"resources": [{"urn": "kept"}], "pending_operations": [{"resource": resource, "type": "creating"}]}
    project.export({"version": 3, "deployment": deployment})
    assert project.run("up") == 0
    assert "creating kubernetes:helm.sh/v3:Release ml-kai" in capsys.readouterr().err
    imported = json.loads((project.home / "imported").read_text())
    assert imported["deployment"] == {"resources": [{"urn": "kept"}]}


def test_operations_of_a_run_that_ended_well_since_the_state_was_read_are_left_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    resource = {"urn": "urn:pulumi:one::gpu-tenancy::t::ml-kai", "type": "kubernetes:helm.sh/v3:Release"}
    project.export(
        {"deployment": {"resources": [], "pending_operations": [{"resource": resource, "type": "creating"}]}}
    )
    read = Stack._export

    def once(stack: Stack) -> Any:
        found = read(stack)
        project.export({"deployment": {"resources": [resource]}})
        return found

    monkeypatch.setattr(Stack, "_export", once)
    assert project.run("up") == 0
    assert not (project.home / "imported").exists()


def test_a_state_without_pending_operations_is_not_written(project: Project) -> None:
    assert project.run("up") == 0
    assert not (project.home / "imported").exists()


@pytest.mark.parametrize(("word", "ends"), [("up", "1"), ("up", "0"), ("down", "0")])
def test_ctrl_c_reaches_the_engine_once_and_waits_for_it(project: Project, word: str, ends: str) -> None:
    """The real engine ends a removal with 0 after an interrupt, with much left."""
    project.export({"deployment": {"resources": []}})
    code = (
        "import sys\nfrom pathlib import Path\nfrom cli.app import main\n"
        f"sys.exit(main(['--stack', 'one', {word!r}], root=Path({str(project.root)!r})))"
    )
    stub = {"PULUMI_CONFIG_PASSPHRASE": "x", "STUB_WAIT": str(HANGS_SECONDS), "STUB_INTERRUPTED": ends}
    environment = {**os.environ, **stub, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (
        served(project.api),
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as command,
    ):
        hangs = Timer(HANGS_SECONDS, command.kill)
        hangs.start()
        assert command.stderr is not None
        said = ""
        for line in command.stderr:  # until the stub says that it is at work, or the command has ended
            said += line
            if "Updating (one)" in line:
                break
        # as a terminal does it: to the whole foreground group
        os.killpg(command.pid, signal.SIGINT)
        said += command.stderr.read()
        command.wait()
        hangs.cancel()
    assert command.returncode == 130
    assert (project.home / "interrupts").read_text() == "x"
    assert "Traceback" not in said
    assert f"`make {word} STACK=one` goes on from here" in said
    assert ("let it end before `make up STACK=one`" in said) == (word == "down")
    assert "done in" not in said
