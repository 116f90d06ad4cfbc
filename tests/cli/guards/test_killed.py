"""A plain run after a killed one: the command that takes it up is named, and only for what stands in the way."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.guards import killed
from cli.guards.killed import asked
from tests.conftest import HANGS_SECONDS

RELEASE = "kubernetes:helm.sh/v3:Release"


def operation(kind: str, name: str, what: str = "creating") -> dict[str, Any]:
    urn = f"urn:pulumi:dev::gpu-tenancy::{kind}::{name}"
    return {"type": what, "resource": {"urn": urn, "type": kind}}


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stub of `pulumi` that prints a file, waited for however busy the machine is."""
    monkeypatch.setattr(killed, "SECONDS", HANGS_SECONDS)
    stub, text = tmp_path / "pulumi", tmp_path / "state"
    asked_for = ["--non-interactive", "stack", "export", "--stack", "dev"]
    stub.write_text(
        f"#!{sys.executable} -IS\nimport sys\n"
        f"print(open({str(text)!r}).read() if sys.argv[1:] == {asked_for} else '')\n"
    )
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin")
    return text


def refusals(says: Path, *pending: dict[str, Any]) -> list[str]:
    says.write_text(json.dumps({"deployment": {"resources": [], "pending_operations": list(pending)}}))
    with asked("dev") as question:
        assert question is not None
        return [str(refusal) for refusal in question.refusals()]


def test_what_was_being_made_is_named_with_the_one_command(says: Path) -> None:
    found = refusals(says, operation(RELEASE, "ml-virtual-cluster-vcluster"), operation("kubernetes:batch/v1:Job", "c"))
    assert found == [
        "the last run was killed while it made Release ml-virtual-cluster-vcluster, Job c: what it left would make "
        "this one fail. Fix: `make up STACK=dev` clears it and goes on from there"
    ]


def test_three_are_named_and_the_rest_is_counted(says: Path) -> None:
    made = [operation("kubernetes:batch/v1:Job", name) for name in "abcd"]
    (three,), (four,) = refusals(says, *made[:3]), refusals(says, *made)
    assert "while it made Job a, Job b, Job c: " in three
    assert "while it made Job a, Job b, Job c and 1 more: " in four


@pytest.mark.parametrize("what", ["reading", "deleting"])
def test_what_is_simply_done_again_is_no_refusal(says: Path, what: str) -> None:
    assert refusals(says, operation("kubernetes:batch/v1:Job", "c", what)) == []


def test_a_clean_state_is_no_refusal(says: Path) -> None:
    assert refusals(says) == []


NONSENSE = ("", "no json", "[]", '{"deployment": 3}', '{"deployment": {"pending_operations": [1]}}')


@pytest.mark.parametrize("text", NONSENSE)
def test_a_state_that_cannot_be_had_is_left_to_the_engine(says: Path, text: str) -> None:
    says.write_text(text)
    with asked("dev") as question:
        assert question is not None
        assert question.refusals() == []


def test_without_an_engine_on_the_path_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with asked("dev") as question:
        assert question is None
