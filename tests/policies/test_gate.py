"""The gate's command: files in, a line for each refusal out, and an exit status that a workflow can stand on."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies.gate import main
from settings.load import PLATFORM_KEY
from tests.policies.world import team
from tests.preview.world import UNKNOWN, step
from tests.report import world

TODAY = date(2026, 11, 22)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A preview that lowers ml's limit from 6 to 4, and its stack file."""
    write_preview(tmp_path, step("update", team(gpuLimit=6), team(gpuLimit=4)))
    write_stack_file(tmp_path / "Pulumi.prod.yaml")
    return tmp_path


def write_preview(folder: Path, *steps: dict[str, object], diagnostics: tuple[dict[str, str], ...] = ()) -> None:
    digest = {"steps": list(steps), "changeSummary": {}, "diagnostics": list(diagnostics)}
    (folder / "preview.json").write_text(json.dumps(digest))


def write_stack_file(path: Path, *, limit: int = 4, overrides: tuple[dict[str, Any], ...] = ()) -> None:
    settings = world.platform({"ml": world.team("a100", 2, limit)})
    data = settings.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    path.write_text(json.dumps({"config": {PLATFORM_KEY: {**data, "overrides": list(overrides)}}}))


def run(folder: Path, *more: str) -> int:
    files = ["--preview", str(folder / "preview.json"), "--stack-file", str(folder / "Pulumi.prod.yaml")]
    return main([*files, "--today", TODAY.isoformat(), *more])


@pytest.mark.parametrize("left_out", ["--preview", "--stack-file"])
def test_without_one_of_its_files_the_command_does_nothing(left_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word for file in ("--preview", "--stack-file") if file != left_out for word in (file, "x")])
    assert ended.value.code == 2
    assert f"the following arguments are required: {left_out}" in capsys.readouterr().err


def usage(folder: Path, content: object) -> str:
    (folder / "usage.json").write_text(json.dumps(content))
    return str(folder / "usage.json")


def test_a_refusal_is_a_line_and_exit_1(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files) == 1
    assert capsys.readouterr().out.splitlines() == [
        "gate: team ml: lowers the GPU limit from 6 to 4, and what runs now is not known (pass --usage); if that is "
        "meant, add to overrides: {team: ml, allow: [lowerLimit], until: 2026-11-29, reason: ...}",
        "gate: 1 steps, 1 refused",
    ]


def test_the_stack_files_override_lets_it_through_until_its_last_day(files: Path) -> None:
    override = {"team": "ml", "allow": ["lowerLimit"], "until": "2026-11-22", "reason": "agreed with the team"}
    write_stack_file(files / "Pulumi.prod.yaml", overrides=(override,))
    assert run(files) == 0
    assert run(files, "--today", "2026-11-23") == 1


@pytest.mark.parametrize(("running", "code"), [({"ml": 4}, 0), ({"ml": 5}, 1), ({"vision": 1}, 1), ({}, 1)])
def test_what_runs_decides_and_a_team_that_is_not_listed_may_run_anything(
    files: Path, running: dict[str, int], code: int
) -> None:
    assert run(files, "--usage", usage(files, running)) == code


def test_what_kubectl_lists_is_usage_too(files: Path) -> None:
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"namespace": "team-ml"},
        "status": {"used": {"requests.nvidia.com/gpu": "4"}},
    }
    assert run(files, "--usage", usage(files, {"kind": "List", "items": [quota]})) == 0


def test_the_stack_file_before_says_what_the_preview_does_not(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_preview(files)
    write_stack_file(files / "base.yaml", limit=6)
    assert run(files) == 0
    assert run(files, "--base-file", str(files / "base.yaml")) == 1
    assert "lowers the GPU limit from 6 to 4" in capsys.readouterr().out


def test_a_preview_that_failed_is_no_pass(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_preview(files, diagnostics=({"severity": "error", "message": "no"},))
    assert run(files) == 1
    assert "the preview failed, so its steps are not the whole change" in capsys.readouterr().out


def test_an_operation_that_nobody_knows_is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_preview(files, step("teleport", team()))
    assert run(files) == 1
    assert "the operation 'teleport' is unknown to this program" in capsys.readouterr().out


def test_a_value_that_is_not_known_yet_is_refused(files: Path) -> None:
    write_preview(files, step("update", team(gpuLimit=6), team(gpuLimit=UNKNOWN)))
    assert run(files) == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("preview.json", "{", "is not JSON at line 1"),
        ("preview.json", "[]", "preview.json"),
        ("preview.json", '{"steps": %s' % ("[" * 100_000), "preview.json: what begins at line 1 has"),
        ("preview.json", None, "preview.json: cannot be read"),
        ("Pulumi.prod.yaml", "config: {}", "Pulumi.prod.yaml"),
        ("usage.json", "{", "usage.json: is not JSON"),
        ("usage.json", '{"ml": "many"}', "kubectl get resourcequota,pods -A -o json"),
        ("usage.json", "[" * 100_000, "usage.json: is not JSON"),
        ("usage.json", '{"ml": %s}' % ("1" * 5000), "usage.json: is not JSON"),
        ("usage.json", '{"ml": NaN}', "kubectl get resourcequota,pods -A -o json"),
        ("usage.json", '{"ml": true}', "kubectl get resourcequota,pods -A -o json"),
        ("usage.json", None, "usage.json: cannot be read"),
    ],
)
def test_a_broken_file_is_exit_2_and_one_line_that_names_it(
    files: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, words: str
) -> None:
    usage(files, {"ml": 4})
    if text is None:
        (files / name).unlink()
    else:
        (files / name).write_text(text)
    assert run(files, "--usage", str(files / "usage.json")) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("gate: could not run: ")
    assert words in captured.err
