"""What is true of the text of every script. What each does on a host has a file for each provider."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from components.command import COMMON
from settings.hosts import INSTALLS
from tests.hosts.machine import of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("script", sorted(COMMON.parents[1].rglob("*.sh")), ids=lambda path: path.stem)
def test_what_a_script_says_to_do_is_said_whole(script: Path) -> None:
    """The last semicolon parts what is wrong from what to do (`cli/causes/hosts.py`)."""
    lines = [line for line in script.read_text().splitlines() if 'refuse "' in line]
    for said in (line.partition('refuse "')[2].rpartition('"')[0] for line in lines):
        todo = said.rpartition("; ")[2]
        assert todo.count("(") == todo.count(")"), said


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck: the scripts are not linted")
@pytest.mark.parametrize("provider", INSTALLS)
@pytest.mark.parametrize("part", ["install", "remove"])
def test_the_scripts_pass_shellcheck(provider: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / f"{part}.sh"
    path.write_text(getattr(of(provider), part))
    done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
