"""A command on a host, whole: by which way, with whose key, what takes it back, and what of it may reach a log."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import command
from components.command import Script
from settings.connection import Connection

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzLSPMZUQDdOZAoDCMJJOWkMrqYqDPzlhLsGLzUbkJm"
SCRIPT = Script(install="make it", remove="take it back", variables={"B": "two words", "A": "1"})
OPTS = pulumi.ResourceOptions(protect=True)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """What would be registered: where, under which name, with what."""
    found: list[tuple[str, str, dict[str, Any]]] = []

    def remember(where: str) -> Any:
        def command_(name: str, **given: Any) -> Any:
            found.append((where, name, {key: value for key, value in given.items() if value is not None}))
            registered: Any = object.__new__(pulumi.Resource)
            registered.stdout = f"printed by {name}"
            return registered

        return command_

    monkeypatch.setattr("components.command.pulumi.get_project", lambda: "project")
    monkeypatch.setattr("components.command.pulumi.get_stack", lambda: "stack")
    monkeypatch.setattr("components.command.command.local.Command", remember("here"))
    monkeypatch.setattr("components.command.command.remote.Command", remember("there"))
    return found


def over_ssh(*, sudo: bool) -> Connection:
    ssh = {"host": "10.0.0.9", "user": "admin", "port": 2222, "key": "batch", "hostKey": HOST_KEY}
    return Connection.model_validate({"ssh": ssh, "sudo": sudo})


def test_a_script_on_this_machine_runs_in_bash(made: list[tuple[str, str, dict[str, Any]]]) -> None:
    command.run("unit", SCRIPT, Connection.model_validate({}), None, OPTS)
    alike = {"logging": "stderr", "add_previous_output_in_env": False}
    for (where, name, given), expected in zip(made, of_both("bash -s"), strict=True):
        assert where == "here"
        assert given.pop("opts").protect is True
        assert (name, given) == (expected[0], {**alike, **expected[1]})


def test_what_takes_a_script_back_is_registered_before_it_runs(made: list[tuple[str, str, dict[str, Any]]]) -> None:
    command.run("unit", SCRIPT, Connection.model_validate({}), None, OPTS)
    needs = {name: [str(other.stdout) for other in given["opts"].depends_on or ()] for _, name, given in made}
    assert needs == {"unit-removal": [], "unit": ["printed by unit-removal"]}


def of_both(shell: str) -> list[tuple[str, dict[str, str]]]:
    """What takes it back comes first."""
    owned = replace(SCRIPT, variables={**SCRIPT.variables, "OWNER": "project/stack"})
    return [
        ("unit-removal", {"delete": shell, "stdin": owned.text("take it back")}),
        ("unit", {"create": shell, "stdin": owned.text("make it")}),
    ]


def test_a_script_over_ssh_asks_whose_host_it_is_and_may_run_as_root(
    made: list[tuple[str, str, dict[str, Any]]],
) -> None:
    key: Any = "the private key"
    command.run("unit", SCRIPT, over_ssh(sudo=True), key, OPTS)
    alike = {"logging": "stderr", "add_previous_output_in_env": False}
    for (where, name, given), expected in zip(made, of_both("sudo -n bash -s"), strict=True):
        ssh = given.pop("connection")
        assert (ssh.host, ssh.user, ssh.port, ssh.private_key) == ("10.0.0.9", "admin", 2222, key)
        assert ssh.host_key == HOST_KEY
        assert where == "there"
        assert given.pop("opts").protect is True
        assert (name, given) == (expected[0], {**alike, **expected[1]})


@pytest.mark.parametrize("sudo", [False, True])
def test_what_prints_a_secret_is_logged_nowhere_and_its_output_is_secret(
    made: list[tuple[str, str, dict[str, Any]]], sudo: bool
) -> None:
    key: Any = "the private key"
    for connection in (Connection.model_validate({"sudo": sudo}), over_ssh(sudo=sudo)):
        printed: object = command.read("unit", "cat it", connection, key, OPTS)
        assert printed == "printed by unit"
    for _, _, given in made:
        assert given["create"] == ("sudo -n cat it" if sudo else "cat it")
        assert "delete" not in given
        assert given["logging"] == "none"
        assert given["add_previous_output_in_env"] is False
        assert given["opts"].additional_secret_outputs == ["stdout", "stderr"]
        assert given["opts"].protect is True
    assert [where for where, *_ in made] == ["here", "there"]
    ssh = made[1][2]["connection"]
    assert (ssh.host, ssh.private_key, ssh.host_key) == ("10.0.0.9", key, HOST_KEY)


def test_a_script_stands_behind_what_all_of_them_share(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"of {name}")
    assert command.joined(tmp_path / "a", tmp_path / "b") == f"{command.COMMON.read_text()}\nof a\nof b"


def test_the_variables_stand_before_the_text_and_no_command_reads_the_rest_of_it() -> None:
    text = Script(install="", remove="", variables={"A": "it's $HOME"}).text('cat; echo "$A"; exit 4')
    done = subprocess.run(["bash", "-s"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (4, "it's $HOME\n", "")


def test_a_script_takes_little_from_its_callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "K3S_URL", "SLURM_CONF", "PULUMI_CONFIG_PASSPHRASE", "KIND_EXPERIMENTAL_PROVIDER", "B"):
        monkeypatch.setenv(name, "of the caller")
    kept = (
        *("https_proxy", "HTTPS_PROXY", "DOCKER_HOST", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR"),
        # a proxy that opens TLS comes with an authority of its own, and curl reads where that is
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "HOST_ROOT", "LOCK_SECONDS", "WAIT_STEP"),
    )
    for name in kept:
        monkeypatch.setenv(name, "kept")
    text = Script(install="", remove="", variables={"A": "1", "B": "ours"}).text("env")
    done = subprocess.run(["bash", "-s"], input=text, capture_output=True, text=True, check=False)
    assert "of the caller" not in done.stdout
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert {"A": "1", "B": "ours", **dict.fromkeys(kept, "kept")}.items() <= found.items()
    assert found.keys() >= {"PATH", "HOME"}, done.stderr


def test_nothing_runs_of_a_text_that_was_cut_off() -> None:
    text = SCRIPT.text("echo begun")
    done = subprocess.run(["bash", "-s"], input=text[:-20], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
