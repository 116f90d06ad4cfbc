"""What a command prints where, and what of the engine's words it keeps."""

from __future__ import annotations

import json
import stat

import pytest

from tests.cli.conftest import STACK_FILE, Project
from tests.cli.test_order import SOON
from tests.report import world

pytestmark = pytest.mark.slow


def test_the_engine_s_words_are_kept_for_the_owner_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUB_SAYS", "\n".join(f"line {number}" for number in range(4400)))
    monkeypatch.setenv("STUB_CODE", "255")
    monkeypatch.setenv("STUB_DIGEST", "")
    assert project.run("preview") == 1
    said = capsys.readouterr()
    assert said.out == "", "a preview that failed is no result"
    assert len(said.err.splitlines()) < 50
    log = project.root / ".pulumi/logs/one-preview.log"
    assert "line 4399" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_preview_is_a_result_on_standard_output(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = world.platform({"ml": world.team("a100", 4)})
    more = world.platform({"ml": world.team("a100", 6)})
    warning = {"severity": "warning", "message": "warning: the provider is old\n", "urn": ""}
    digest = {**world.digest(settings, more), "diagnostics": [warning, warning]}
    monkeypatch.setenv("STUB_DIGEST", json.dumps(digest))
    monkeypatch.setenv("STUB_SAYS", "@ previewing update....")
    assert project.run("preview") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "team ml"
    assert "      gpuLimit: 4 → 6" in lines
    assert "@ previewing" not in said.out
    assert "\x1b" not in said.out, "colour only on a terminal"
    assert "stack one | context here" in said.err
    assert "gpuLimit" not in said.err
    assert said.err.count("  warning: the provider is old\n") == 1


def test_a_preview_says_what_the_gate_of_a_pull_request_refuses(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    four, two = (world.platform({"ml": world.team("a100", gpus)}) for gpus in (4, 2))
    monkeypatch.setenv("STUB_DIGEST", json.dumps(world.digest(four, two)))
    refused = "  the gate of a pull request refuses this: team ml: lowers the GPU limit from 4 to 2, "
    assert project.run("preview") == 0
    assert refused in capsys.readouterr().err
    override = f"{{team: ml, allow: [lowerLimit], until: {SOON}, reason: agreed with the team}}"
    project.write(STACK_FILE + f"    overrides: [{override}]\n")
    assert project.run("preview") == 0
    assert refused not in capsys.readouterr().err


def test_a_preview_that_the_policies_or_the_guards_refuse_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = world.digest(None, world.platform({"ml": world.team("a100", 4)}))
    team = next(step["urn"] for step in found["steps"] if step["urn"].endswith("index:Team::ml"))
    monkeypatch.setenv("STUB_CODE", "255")
    violation = {"resourceUrn": team, "policyName": "gpu-limit-bounded", "enforcementLevel": "mandatory"}
    events = [
        {"preludeEvent": {}},
        {"policyEvent": {**violation, "message": "A limit is a number.\nteam ml has no limit; write one"}},
        {"summaryEvent": {"resourceChanges": {"create": 1}}},
    ]
    monkeypatch.setenv("STUB_DIGEST", "\n".join(map(json.dumps, events)))
    assert project.run("preview") == 1
    said = capsys.readouterr()
    assert said.out == "", "a preview that failed is no result"
    assert "error: team ml, policy gpu-limit-bounded: team ml has no limit; write one\n" in said.err
    assert 'below "gpu-limit-bounded"' in said.err
    message = "refused before anything was changed:\n- team ml: lowers the GPU limit, and 3 run now. Fix: undo it\n"
    error = {"urn": "", "severity": "error", "message": message}
    monkeypatch.setenv("STUB_DIGEST", json.dumps({"diagnostics": [error], "changeSummary": {}}))
    assert project.run("preview") == 2
    said = capsys.readouterr()
    assert "error: team ml: lowers the GPU limit, and 3 run now" in said.err
    assert "fix: undo it" in said.err


def test_what_the_program_refused_is_the_error_and_nothing_else(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = (
        "Diagnostics:\n  pulumi:pulumi:Stack (gpu-tenancy-one):\n    error: refused before anything was changed:\n"
        "    - team ml: lowers the GPU limit from 4 to 2, and 3 run now. Fix: undo it\n"
        "    error: an unhandled error occurred: program exited with non-zero exit code: 1\n"
    )
    monkeypatch.setenv("STUB_SAYS", refused)
    monkeypatch.setenv("STUB_CODE", "255")
    assert project.run("up") == 2
    said = capsys.readouterr().err
    assert (
        "error: team ml: lowers the GPU limit from 4 to 2, and 3 run now; nothing was changed.\n  fix: undo it" in said
    )
    assert "unhandled error" not in said
