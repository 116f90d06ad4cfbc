"""A command on a host, whole: by which way, with whose key, what takes it back, and what of it may reach a log."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components import command
from components.command import Script
from settings.connection import Connection

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzLSPMZUQDdOZAoDCMJJOWkMrqYqDPzlhLsGLzUbkJm"
SCRIPT = Script(install="make it", remove="take it back", variables={"B": "two words", "A": "1"})
HEAD = "export A=1\nexport B='two words'\n"
OPTS = pulumi.ResourceOptions(protect=True)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """What would be registered: where, under which name, with what."""
    found: list[tuple[str, str, dict[str, Any]]] = []

    def remember(where: str) -> Any:
        def command_(name: str, **given: Any) -> SimpleNamespace:
            found.append((where, name, given))
            return SimpleNamespace(stdout=f"printed by {name}")

        return command_

    monkeypatch.setattr("components.command.command.local.Command", remember("here"))
    monkeypatch.setattr("components.command.command.remote.Command", remember("there"))
    return found


def over_ssh(*, sudo: bool) -> Connection:
    ssh = {"host": "10.0.0.9", "user": "admin", "port": 2222, "key": "batch", "hostKey": HOST_KEY}
    return Connection.model_validate({"ssh": ssh, "sudo": sudo})


def test_a_script_on_this_machine(made: list[tuple[str, str, dict[str, Any]]]) -> None:
    command.run("unit", SCRIPT, Connection.model_validate({}), None, OPTS)
    assert made == [
        (
            "here",
            "unit",
            {
                "create": SCRIPT.text("make it", sudo=False),
                "delete": SCRIPT.text("take it back", sudo=False),
                "logging": "stderr",
                "add_previous_output_in_env": False,
                "opts": OPTS,
            },
        )
    ]


def test_a_script_over_ssh_asks_whose_host_it_is_and_may_run_as_root(
    made: list[tuple[str, str, dict[str, Any]]],
) -> None:
    key: Any = "the private key"
    command.run("unit", SCRIPT, over_ssh(sudo=True), key, OPTS)
    ((where, name, given),) = made
    ssh = given.pop("connection")
    assert (ssh.host, ssh.user, ssh.port, ssh.private_key) == ("10.0.0.9", "admin", 2222, key)
    assert ssh.host_key == HOST_KEY
    assert (where, name) == ("there", "unit")
    assert given == {
        "create": SCRIPT.text("make it", sudo=True),
        "delete": SCRIPT.text("take it back", sudo=True),
        "logging": "stderr",
        "add_previous_output_in_env": False,
        "opts": OPTS,
    }


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


def test_the_variables_stand_before_the_text_in_bash_whoever_runs_it() -> None:
    plain = SCRIPT.text("make it", sudo=False)
    assert plain.startswith("bash -c ")
    assert SCRIPT.text("make it", sudo=True) == f"sudo -n {plain}"
    bare = Script(install="", remove="", variables={"A": "1"})
    assert bare.text("id", sudo=False) == "bash -c 'export A=1\nid'"
