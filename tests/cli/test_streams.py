"""What a shell may start us with: closed streams, a full disk, a poor encoding, a folder of others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.files import write_whole
from cli.reach import kubeconfig_in
from settings.load import parse_platform
from tests.cli.conftest import Project
from tests.conftest import ROOT
from tests.settings.build import TODAY, WHERE, raw

SAYS = "from cli import say; say.begin(); say.result('a \u00b1 b'); say.line('told')"


def started(code: str, *, before: Callable[[], object], **env: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, preexec_fn=before, capture_output=True, check=False
    )


@pytest.mark.slow
def test_a_closed_stream_is_as_if_nobody_read_it() -> None:
    assert started(SAYS, before=lambda: os.close(1)).stderr == b"told\n"
    assert started(SAYS, before=lambda: os.close(2)).returncode == 0


@pytest.mark.slow
def test_no_file_takes_the_place_of_a_closed_stream() -> None:
    opens = "import os; from cli import say; say.begin(); print(os.open(os.devnull, os.O_RDONLY) > 2)"
    assert started(opens, before=lambda: os.close(0)).stdout == b"True\n"


@pytest.mark.slow
def test_what_an_encoding_lacks_is_spelled_out() -> None:
    assert started(SAYS, before=lambda: None, PYTHONIOENCODING="ascii").stdout == b"a \\xb1 b\n"


@pytest.mark.slow
def test_a_log_that_takes_no_more_ends_no_update() -> None:
    full = (
        "import os; from cli import say; os.dup2(os.open('/dev/full', os.O_WRONLY), 2); say.line('told'); print('on')"
    )
    assert started(full, before=lambda: None).stdout == b"on\n"


def test_a_folder_that_may_not_be_written_is_told_in_a_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/project/.lab")

    monkeypatch.setattr("cli.begin.driver_for", refuse)
    assert project.run("status") == 1
    assert capsys.readouterr().err == (
        "error: /project/.lab: Permission denied.\n  fix: free space, or check who may write there\n"
    )


def test_a_file_keeps_its_owner_whoever_edits_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("os.fchown", lambda _, uid, gid: given.append((uid, gid)))
    file = tmp_path / "Pulumi.one.yaml"
    write_whole(file, "a", mode=0o644)
    there = file.stat()
    write_whole(file, "b", mode=0o644)
    assert given == [], "it is its own already"
    monkeypatch.setattr("os.geteuid", lambda: there.st_uid + 1)
    write_whole(file, "c", mode=0o644)
    assert given == [(there.st_uid, there.st_gid)]
    assert file.read_text() == "c"


def test_the_fix_for_a_slots_user_kubeconfig_names_its_team(tmp_path: Path) -> None:
    tree = raw({"teams.research": None, "teams.ml.resources": {"gpus": 2}})
    tree["teams"]["ml"]["blueGreen"] = {"serves": "blue", "blue": {}, "green": {"gpus": 1}}
    platform = parse_platform(tree, WHERE, today=TODAY)
    with pytest.raises(CommandError, match=r"set teams\.ml\.access\.userKubeconfig: true") as told:
        kubeconfig_in({}, "ml-green", user=True, platform=platform, stack="one")
    assert "of team ml-green" in told.value.cause
