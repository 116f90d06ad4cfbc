"""The two runs of a pull request's workflow that meet a cluster: a preview as JSON, and drift."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.guards.stamp import RELEASED
from cli.progress import Run
from policies.config import Level
from preview.read import read_preview
from preview.steps import Op
from settings.load import PLATFORM_KEY
from tests.cli.conftest import STACK_FILE, Project
from tests.conftest import ROOT
from tests.report.world import digest, platform, team

pytestmark = pytest.mark.slow

SETTINGS = platform({"ml": team("a100", 4)})


@pytest.fixture
def there(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose stack exists, with a preview to show."""
    project.outputs({})
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "only for this test")
    monkeypatch.setenv("STUB_DIGEST", json.dumps(digest(None, SETTINGS)))
    return project


def file(project: Project) -> Path:
    return project.root / "out" / "preview.json"


def preview(project: Project) -> int:
    return project.run("preview", "--json", str(file(project)))


def last(project: Project, word: str) -> list[str]:
    return [call for call in project.calls() if call[0] == word][-1]


def test_the_preview_lists_everything_and_shows_no_secret(there: Project) -> None:
    assert preview(there) == 0
    assert read_preview(file(there).read_text()).count(Op.CREATE) > 10
    words = last(there, "preview")
    assert {"--json", "--show-sames"} <= set(words)
    assert words[-2:] == ["--stack", "one"]
    assert not {"--show-secrets", "--save-plan", "--diff"} & set(words)
    called = dict(zip((call[0] for call in there.calls()), there.environments(), strict=True))
    assert called["preview"]["PULUMI_ENABLE_STREAMING_JSON_PREVIEW"] == "true"


@pytest.mark.parametrize(("kind", "clean"), [("core/v1:NodePatch", True), ("core/v1:ConfigMap", False)])
def test_the_program_asks_for_a_killed_runs_leavings_only_where_there_are_some(
    there: Project, kind: str, clean: bool
) -> None:
    left = {"type": "creating", "resource": {"urn": "urn:pulumi:one::p::t::n", "type": f"kubernetes:{kind}"}}
    there.export({"version": 3, "deployment": {"pending_operations": [left]}})
    assert preview(there) == 0
    called = dict(zip((call[0] for call in there.calls()), there.environments(), strict=True))
    assert called["preview"].get(RELEASED) == ("" if clean else None)


def test_it_makes_no_stack(there: Project) -> None:
    (there.home / "stacks").unlink()
    assert preview(there) == 0
    assert [call for call in there.calls() if call[:2] == ["stack", "init"]] == []


def levels(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(words[words.index("--policy-pack-config") + 1]).read_text())
    return found


def test_an_override_of_a_quota_rule_reaches_it_too(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (there.root / "policies").symlink_to(ROOT / "policies")
    seen: list[dict[str, Any]] = []

    def run_shown(command: list[str], *, result: Path, **_: object) -> Run:
        seen.append(levels(command))  # the file is there as long as the engine runs
        result.write_text(json.dumps(digest(None, SETTINGS)))
        return Run(code=0, text="", interrupted=False)

    monkeypatch.setattr("cli.engine.run_shown", run_shown)
    settings = yaml.safe_load(STACK_FILE)
    until = str(date.today() + timedelta(days=1))
    settings["config"][PLATFORM_KEY]["overrides"] = [
        {"allow": ["quotaRules"], "of": ["replicas-maximum"], "until": until, "reason": "agreed with all of them"}
    ]
    there.write(yaml.safe_dump(settings))
    assert preview(there) == 0
    assert seen[0]["replicas-maximum"]["enforcementLevel"] == Level.ADVISORY.value


def test_a_preview_that_a_policy_refused_is_still_written(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_CODE", "255")
    assert preview(there) == 0
    assert read_preview(file(there).read_text()).steps


def test_an_engine_that_died_is_an_error(
    there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_DIGEST", '{"steps": [')
    monkeypatch.setenv("STUB_CODE", "255")
    assert preview(there) == 1
    assert "exit code 255" in capsys.readouterr().err


def test_an_engine_that_wrote_nothing_and_is_content_is_an_error(
    there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_DIGEST", "")
    assert preview(there) == 1
    assert "wrote no preview" in capsys.readouterr().err


def test_the_engines_words_are_shown_without_secrets(
    there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_SAYS", "cannot use token: canary-canary")
    assert preview(there) == 0
    captured = capsys.readouterr()
    assert "cannot use" in captured.err
    assert "canary" not in captured.err + captured.out


def test_a_folder_that_cannot_be_written_is_an_error(there: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (there.root / "out").write_text("a file")
    assert preview(there) == 1
    assert "preview.json can't be written" in capsys.readouterr().err


def test_no_drift_is_exit_0(there: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert there.run("drift") == 0
    assert "the cluster is what the state says" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "says"), [("7", ""), ("255", "error: no changes were expected for refresh but changes were proposed")]
)
def test_drift_is_exit_1_and_changes_nothing(
    there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str, says: str
) -> None:
    monkeypatch.setenv("STUB_CODE", code)
    monkeypatch.setenv("STUB_SAYS", f"~ kubernetes:core/v1:ConfigMap one\n{says}")
    assert there.run("drift") == 1
    words = last(there, "refresh")
    assert {"--preview-only", "--expect-no-changes", "--run-program"} <= set(words)
    assert "--yes" not in words
    err = capsys.readouterr().err
    assert "ConfigMap one" in err
    assert "differs from its state" in err


def test_what_the_state_only_read_is_no_drift(there: Project) -> None:
    # the engine's refresh calls it changed where the program of today reads it no more
    urn = "urn:pulumi:one::gpu-tenancy::kubernetes:core/v1:Secret::ml-virtual-cluster-certificates"
    ours = {"urn": "urn:pulumi:one::gpu-tenancy::kubernetes:core/v1:Secret::ours", "type": "kubernetes:core/v1:Secret"}
    there.export({"version": 3, "deployment": {"resources": [ours, {**ours, "urn": urn, "external": True}]}})
    assert there.run("drift") == 0
    assert [word for word in last(there, "refresh") if "exclude" in word] == [f"--exclude={urn}"]


def test_a_refresh_that_failed_is_told_from_drift(
    there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_CODE", "255")
    monkeypatch.setenv("STUB_SAYS", "error: something else")
    assert there.run("drift") == 1
    err = capsys.readouterr().err
    assert "error: something else" in err
    assert "differs from its state" not in err


@pytest.mark.parametrize("command", [("drift",), ("preview", "--json", "out.json")])
def test_a_failure_is_explained_without_secrets(
    there: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("STUB_CODE", "255")
    monkeypatch.setenv("STUB_DIGEST", "")
    monkeypatch.setenv("STUB_SAYS", "error: cannot use token: canary-canary")
    monkeypatch.chdir(there.root)
    assert there.run(*command) == 1
    captured = capsys.readouterr()
    assert "cannot use" in captured.err
    assert "canary" not in captured.err + captured.out
