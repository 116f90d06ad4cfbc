"""The runs that meet a cluster, against a `pulumi` that is a script of the test's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from policies.config import pack_arguments
from preview.read import read_preview
from preview.steps import Op
from report import live
from tests.report.test_rehearsal import stack_file
from tests.report.world import digest, platform, team

SETTINGS = platform({"ml": team("a100", 4)})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    stack_file(tmp_path, SETTINGS)
    (tmp_path / "Pulumi.yaml").write_text("name: gpu-tenancy\nruntime: python\n")
    (tmp_path / "digest.json").write_text(json.dumps(digest(None, SETTINGS)))
    return tmp_path


def pulumi(root: Path, script: str) -> None:
    file = root / "bin" / "pulumi"
    file.write_text(f'#!/bin/sh\necho "$@" > {root}/arguments\n{script}\n')
    file.chmod(0o755)


def preview(root: Path) -> int:
    return live.main(["preview", "--stack", "prod", "--root", str(root), "--out", str(root / "out" / "preview.json")])


def test_the_preview_lists_everything_and_runs_the_policies(root: Path) -> None:
    pulumi(root, f'test "$PULUMI_ENABLE_STREAMING_JSON_PREVIEW" = true && cat {root}/digest.json')
    assert preview(root) == 0
    assert read_preview((root / "out" / "preview.json").read_text()).count(Op.CREATE) > 10
    words = (root / "arguments").read_text().split()
    assert words[:5] == ["--non-interactive", "preview", "--stack", "prod", "--json"]
    assert {"--show-sames", "--policy-pack"} <= set(words)
    assert not {"--show-secrets", "--save-plan"} & set(words)


@pytest.mark.parametrize(("stack", "file"), [("lab", "lab"), ("prod", "prod"), ("customer-7", "prod")])
def test_a_stack_without_levels_of_its_own_gets_those_of_prod(stack: str, file: str) -> None:
    levels = str(Path("policies", "config", f"{file}.json").resolve())
    assert pack_arguments(stack, Path.cwd()) == ["--policy-pack", "policies", "--policy-pack-config", levels]


def test_a_preview_that_a_policy_refused_is_still_written(root: Path) -> None:
    pulumi(root, f"cat {root}/digest.json; exit 255")
    assert preview(root) == 0


def test_an_engine_that_died_is_exit_2(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pulumi(root, "echo '{\"steps\": ['; exit 255")
    assert preview(root) == 2
    assert "exit code 255" in capsys.readouterr().err


def test_the_engines_words_are_shown_without_secrets(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pulumi(root, f"echo 'cannot use token: canary-canary' >&2; cat {root}/digest.json")
    assert preview(root) == 0
    err = capsys.readouterr().err
    assert "cannot use" in err
    assert "canary" not in err


def test_no_engine_is_exit_2(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(root / "bin"))
    assert preview(root) == 2
    assert "`pulumi` is not on PATH" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (255, 1)])
def test_drift_is_exit_1_and_changes_nothing(root: Path, code: int, expected: int) -> None:
    pulumi(root, f"exit {code}")
    assert live.main(["drift", "--stack", "prod", "--root", str(root)]) == expected
    words = (root / "arguments").read_text().split()
    assert {"refresh", "--preview-only", "--expect-no-changes"} <= set(words)
    assert "--yes" not in words


def test_a_lab_has_no_drift_to_look_for(root: Path) -> None:
    stack_file(root, platform({}, host={"provider": "lab"}), "Pulumi.lab.yaml")
    assert live.main(["drift", "--stack", "lab", "--root", str(root)]) == 2


def test_the_engine_finds_the_state_that_make_up_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    passphrase = root / ".pulumi" / "passphrase"
    passphrase.parent.mkdir()
    passphrase.write_text("only for this test\n")
    pulumi(root, f'echo "$PULUMI_BACKEND_URL $PULUMI_CONFIG_PASSPHRASE_FILE" > {root}/found')
    assert live.main(["drift", "--stack", "prod", "--root", str(root)]) == 0
    assert (root / "found").read_text().split() == [f"file://{root}/.pulumi/state", str(passphrase)]
