"""What a command of the lab says when it could not, or may not: each cause once, the first one first. No server."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import say
from cli.driver import Place
from cli.errors import CommandError, Exit
from cli.simulation import LabBridge
from lab.driver import Summary
from lab.errors import RefusedChangeError
from preview.gate import Refusal
from settings.load import load_stack_file
from tests.conftest import shipped

FAILURES = (
    "ml-queues-parent (Queue): spec is wrong (refused by the API server `ml`). Fix: correct this object.",
    "dev-quota (ResourceQuota): is not counted. Fix: look at it with kubectl.",
)
REFUSALS = tuple(
    Refusal(team=team, change="delete", reason=f"deletes what {team} has; if that is meant, add an override")
    for team in ("ml", "dev")
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    say.about("lab")  # as the command does first
    file = tmp_path / "Pulumi.lab.yaml"
    shutil.copy(shipped("lab"), file)
    return Place(stack="lab", stack_file=file, root=tmp_path, platform=load_stack_file(file))


def said(place: Place, summary: Summary, capsys: pytest.CaptureFixture[str], command: str = "up") -> tuple[str, Exit]:
    def down() -> None:
        raise RefusedChangeError(summary.refusals)

    bridge = LabBridge(place)
    lab = SimpleNamespace(up=lambda: summary, preview=lambda: summary, down=down)
    bridge._lab = lab  # type: ignore[assignment]
    with pytest.raises(CommandError) as caught:
        getattr(bridge, command)()
    say.complain(caught.value)
    return capsys.readouterr().err, caught.value.code


def summary(**what: object) -> Summary:
    return Summary(stack="lab", recorded=(), counts={"create": 3}, **what)  # type: ignore[arg-type]


def test_a_failure_is_said_once_with_its_own_fix_and_how_to_go_on(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    text, code = said(place, summary(failures=FAILURES), capsys)
    assert text.splitlines() == [
        "lab: up: 3 create: 3 changes, in 0 s",
        "error: ml-queues-parent (Queue): spec is wrong (refused by the API server `ml`).",
        "  fix: correct this object; run `make up STACK=lab` again: the rest is as it should be",
        "",
        f"also: {FAILURES[1]}",
    ]
    assert code is Exit.FAILED


@pytest.mark.parametrize("command", ["up", "preview", "down"])
def test_a_refusal_is_said_once_each_on_a_line_of_its_own(
    place: Place, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    text, code = said(place, summary(refusals=REFUSALS), capsys, command)
    assert text.splitlines() == [
        "error: refused, nothing was changed: team ml: deletes what ml has; if that is meant, add an override",
        "  fix: add the overrides to the stack file, or throw the lab away with `make lab-reset`.",
        "",
        "also: team dev: deletes what dev has; if that is meant, add an override",
    ]
    assert code is Exit.BAD_INPUT


def test_a_violation_is_said_once_with_the_levels_file(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    text, code = said(place, summary(violations=("policy a: one", "policy b: two")), capsys)
    assert text.splitlines() == [
        "error: the policies refuse this, nothing was changed: policy a: one",
        "  fix: do what it says, or set the rule's level in policies/config/lab.json",
        "",
        "also: policy b: two",
    ]
    assert code is Exit.FAILED
