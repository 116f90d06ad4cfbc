"""A script over ssh by the real engine, the real provider and a real ssh server.

Needs `pulumi` with the command plugin on PATH, and `sshd` (Debian: openssh-server) at its usual place; no cluster, no
GPU. The server is this test's own, on 127.0.0.1, with keys of its own, and ends with it.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.engine

PROGRAM: Final = """\
import pulumi
from components.command import Script, run
from settings.connection import Connection
config = pulumi.Config()
script = Script(
    install="echo made >>$FOLDER/made; echo begun; [ ! -e $FOLDER/hang ] || tail -f /dev/null",
    remove="echo removed >>$FOLDER/made",
    variables={"PART": "try", "FOLDER": config.require("folder"), "EDIT": config.get("edit") or ""},
)
ssh = {name: config.require(name) for name in ("host", "user", "port", "hostKey")}
ssh["port"] = int(ssh["port"])
run("try", script, Connection.model_validate({"ssh": {**ssh, "key": "try"}}), config.require_secret("key"), None)
"""
PASSPHRASE: Final = "of this test"  # its state is gone with it


@dataclass(frozen=True, kw_only=True)
class Far:
    """A host behind ssh, and a stack whose script runs there."""

    folder: Path
    server: subprocess.Popen[str]

    def pulumi(self, *words: str, stdin: str | None = None) -> tuple[int, str]:
        done = subprocess.run(
            ["pulumi", *words, "--stack", "try", "--non-interactive"],
            cwd=self.folder / "program",
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
        )
        return done.returncode, done.stdout + done.stderr

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PULUMI_BACKEND_URL": (self.folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(ROOT),
        }

    def up(self) -> tuple[int, str]:
        return self.pulumi("up", "--yes", "--skip-preview")

    def say(self, name: str, value: str) -> None:
        code, said = self.pulumi("config", "set", name, value)
        assert code == 0, said

    def made(self) -> list[str]:
        """What the script wrote on the host, a line a run."""
        path = self.folder / "made"
        return path.read_text().split() if path.exists() else []

    def public(self, name: str) -> str:
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def private(self, name: str) -> str:
        return (self.folder / name).read_text()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        pytest.skip("no sshd on this machine: a script over ssh is not tried for real")
    if shutil.which("pulumi") is None or shutil.which("pulumi-resource-command") is None:
        pytest.skip("no pulumi with its command plugin on PATH: a script over ssh is not tried for real")
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for name in ("host", "user", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"PasswordAuthentication no\nAuthorizedKeysFile {folder}/user.pub\n"
    )
    # it takes nothing but an absolute path, and a folder of its own where it runs as root
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("program", "state", "home"):
        (folder / name).mkdir()
    (folder / "program" / "Pulumi.yaml").write_text(
        f"name: try\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
    )
    (folder / "program" / "__main__.py").write_text(PROGRAM)
    with subprocess.Popen(
        [sshd, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        assert "Server listening" in server.stderr.readline()
        found = Far(folder=folder, server=server)
        try:
            assert found.pulumi("stack", "init")[0] == 0
            said = {"folder": str(folder), "host": "127.0.0.1", "port": str(port), "user": getpass.getuser()}
            for name, value in {**said, "hostKey": found.public("host")}.items():
                found.say(name, value)
            assert found.pulumi("config", "set", "--secret", "key", stdin=found.private("user"))[0] == 0
            yield found
        finally:
            server.terminate()


def test_a_script_runs_once_and_its_key_is_nowhere_in_clear(far: Far) -> None:
    code, said = far.up()
    assert (code, far.made()) == (0, ["made"]), said
    code, again = far.up()
    assert (code, far.made()) == (0, ["made"]), again
    secret = far.private("user").splitlines()[1]
    kept = [path.read_text() for path in far.folder.rglob("*.json")]
    assert any("try-removal" in text for text in kept), "the state"
    assert all(secret not in text for text in (said, again, *kept))


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [("hostKey", "other", "ssh: host key mismatch"), ("key", "other", "ssh: unable to authenticate")],
)
def test_neither_a_stranger_is_told_nor_a_stranger_let_in(far: Far, name: str, wrong: str, words: str) -> None:
    right = {"hostKey": far.public("host"), "key": far.private("user")}
    other = {"hostKey": far.public(wrong), "key": far.private(wrong)}
    before = far.made()
    secret = ["--secret"] if name == "key" else []
    assert far.pulumi("config", "set", *secret, name, stdin=other[name])[0] == 0
    try:
        code, said = far.up()
        assert (code != 0, words in said, far.made()) == (True, True, before), said
    finally:
        assert far.pulumi("config", "set", *secret, name, stdin=right[name])[0] == 0


def test_a_connection_that_is_cut_fails_and_the_next_run_does_it_again(far: Far) -> None:
    (far.folder / "hang").touch()
    far.say("edit", "one")
    before = far.made()
    with subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", "try", "--non-interactive"],
        cwd=far.folder / "program",
        env=far.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        while far.made() == before:
            assert running.poll() is None, running.stdout.read() if running.stdout else ""
        sessions = subprocess.run(["pgrep", "-P", str(far.server.pid)], capture_output=True, text=True, check=True)
        for pid in sessions.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        said, _ = running.communicate()
    assert (running.returncode != 0, "exited without exit status" in said) == (True, True), said
    (far.folder / "hang").unlink()
    code, said = far.up()
    assert (code, far.made()) == (0, [*before, "made", "made"]), said


def test_a_preview_asks_no_host(far: Far) -> None:
    assert far.pulumi("up", "--yes", "--skip-preview")[0] == 0
    before = far.made()
    far.server.send_signal(signal.SIGSTOP)
    try:
        code, said = far.pulumi("preview", "--expect-no-changes")
    finally:
        far.server.send_signal(signal.SIGCONT)
    assert (code, far.made()) == (0, before), said


def test_destroy_takes_it_back(far: Far) -> None:
    code, said = far.pulumi("destroy", "--yes", "--skip-preview")
    assert (code, far.made()[-1]) == (0, "removed"), said
