"""The Makefile explains its two variables, and speaks on standard error while it prepares."""

from __future__ import annotations

import os
import re
import subprocess

from releases.engine import DEFAULT_ENGINE
from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def test_help_says_what_stack_and_team_are_and_which_stacks_there_are() -> None:
    said = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", "help"], capture_output=True, text=True, check=True
    ).stdout
    assert "STACK  which stack file: Pulumi.<STACK>.yaml. Now lab; here are: " in said
    assert {"dev", "lab", "prod", "versions"} <= set(said.split("here are: ")[1].splitlines()[0].split())
    assert "TEAM   a team of that file: `make kubeconfig STACK=lab TEAM=ml`" in said
    assert 'eval "$(make -s env)"' in said


def test_what_is_installed_first_leaves_standard_output_to_the_command() -> None:
    recipe = MAKEFILE.split("$(READY): requirements.lock\n")[1].split("\n\n")[0]
    talks = [line for line in recipe.splitlines() if re.search(r"echo|-m (?:venv|pip)", line)]
    assert len(talks) == 3
    assert [line for line in talks if not line.endswith(">&2")] == []


def test_every_command_of_the_program_has_a_target() -> None:
    from cli.app import parser

    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    assert commands is not None
    included = [(ROOT / name).read_text() for name in re.findall(r"^-include (.+)$", MAKEFILE, flags=re.MULTILINE)]
    targets = set(re.findall(r"^([a-z-]+):", "\n".join((MAKEFILE, *included)), flags=re.MULTILINE))
    assert set(commands) <= targets


def test_the_engine_that_a_workflow_installs_is_the_one_that_was_run() -> None:
    said = subprocess.run(["make", "--silent", "engine-version"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == f"{DEFAULT_ENGINE}\n"


def test_what_python_compiles_is_kept_for_the_next_command_whatever_the_shell_says() -> None:
    asked = subprocess.run(
        ["make", "--silent", "-f", "-", "asked"],
        input='include Makefile\nasked:\n\t@echo "[$$PYTHONDONTWRITEBYTECODE]"\n',
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == "[]\n"


def said_by_make(what: str, *options: str, **shell: str) -> str:
    """What make says of a variable, with these options behind it and these variables in the shell."""
    asked = subprocess.run(
        ["make", "--silent", "-f", "-", "asked", *options],
        input=f'include Makefile\nasked:\n\t@echo "[{what}]"\n',
        cwd=ROOT,
        env={**os.environ, **shell},
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()


def test_what_a_command_is_told_stands_behind_make_and_not_in_the_shell() -> None:
    options = re.findall(r"[A-Z_]+", MAKEFILE.split("OPTIONS := ")[1].split("\n$(")[0])
    used = set(re.findall(r"\$[($]([A-Z_]+)\b", MAKEFILE.split("up: $(READY)")[1]))
    # STACK may be exported, and the rest is the Makefile's own
    assert used - {"STACK", "READY", "RUN", "PY", "PYTHON", "VENV", "ALL_CORES", "MAKE"} == set(options)
    for option in options:
        assert said_by_make(f"$({option})$${option}", **{option: "stray"}) == "[]", option
    assert said_by_make("$(YES)$$YES", "YES=1", YES="stray") == "[11]"
    assert said_by_make("$(STACK)", STACK="prod") == "[prod]"


def test_python_finds_the_program_whatever_the_shell_says() -> None:
    assert said_by_make("$$PYTHONSAFEPATH", PYTHONSAFEPATH="1") == "[]"
