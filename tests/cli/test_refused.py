"""What `up` and `down` refuse before the engine runs, and what a failed run says."""

from __future__ import annotations

import json
import stat

import pytest

from cli.guards.stamp import RELEASED
from tests.cli.conftest import STACK_FILE, Project
from tests.cli.test_order import SOON

pytestmark = pytest.mark.slow


def test_a_preflight_error_stops_up_before_the_engine_runs(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.api.objects["/api/v1/nodes"] = []
    assert project.run("up") == 1
    said = capsys.readouterr().err
    assert "pool a, node gpu-0: the cluster has no such node" in said
    assert not project.did("up")
    assert not (project.root / ".pulumi/passphrase").exists()


def test_preflight_needs_no_pulumi_and_changes_nothing(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert project.run("preflight", "--json") == 0
    said = capsys.readouterr()
    assert {entry["id"] for entry in json.loads(said.out)} >= {"version", "pool", "storage", "rights"}
    assert {method for method, path in project.api.seen if "accessreviews" not in path} == {"GET"}


def test_a_stack_made_on_another_cluster_is_left_alone(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    name = "kubernetes:core/v1:Namespace::host-uid"
    read = {"urn": f"urn:pulumi:one::gpu-tenancy::{name}", "type": "kubernetes:core/v1:Namespace"}
    project.export({"deployment": {"resources": [{**read, "outputs": {"metadata": {"uid": "another"}}}]}})
    for command in ("up", "down"):
        assert project.run(command) == 1
        assert "was made on cluster another" in capsys.readouterr().err
    assert not project.did("up")
    assert not project.did("destroy")


def test_a_failed_up_says_the_cause_first_then_the_engine_s_words(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "Diagnostics:\n"
        "  kubernetes:scheduling.run.ai/v2:Queue (ml-training):\n"
        '    error: admission webhook: failed calling webhook "queue.kai": no endpoints\n'
        "  pulumi:pulumi:Stack (one):\n    error: update failed\n"
        "    Traceback (most recent call last):\n      File x\n    KeyboardInterrupt\n"
    )
    monkeypatch.setenv("STUB_SAYS", words)
    monkeypatch.setenv("STUB_CODE", "255")
    assert project.run("up") == 1
    said = capsys.readouterr().err
    cause = said.index("error: team ml, the queues: KAI's webhook queue.kai does not answer")
    own_words = "--- the engine's own words (all of them: .pulumi/logs/one-up.log) ---"
    assert cause < said.index("  fix: ") < said.index(own_words) < said.index("Diagnostics:")
    assert stat.S_IMODE((project.root / ".pulumi/logs/one-up.log").stat().st_mode) == 0o600
    assert "KeyboardInterrupt" not in said


def test_down_of_a_stack_that_was_never_made_is_fine(project: Project) -> None:
    assert project.run("down") == 0
    assert not project.did("destroy")


def test_down_destroys_without_a_preview_that_nobody_reads(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({})
    assert project.run("down") == 0
    assert next(call for call in project.calls() if call[0] == "destroy")[1:3] == ["--yes", "--skip-preview"]


def test_down_leaves_protected_teams_alone_until_an_override_names_them(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.outputs({})
    team = {"urn": "urn:pulumi:one::p::gpu-tenancy:index:Team::ml", "type": "gpu-tenancy:index:Team", "protect": True}
    inner = {"urn": "urn:pulumi:one::p::x::ml-vc", "type": "x", "protect": True, "parent": team["urn"]}
    project.export({"version": 3, "deployment": {"resources": [team, inner]}})
    assert project.run("down") == 2
    said = capsys.readouterr().err
    assert "protected against deletion: ml; nothing was removed" in said
    assert "- {team: ml, allow: [delete]" in said
    assert not project.did("destroy")
    override = f"{{team: ml, allow: [delete], until: {SOON}, reason: taken down by a test}}"
    project.write(STACK_FILE + f"    overrides: [{override}]\n")
    assert project.run("down") == 0
    assert "--ignore-protect" in next(call for call in project.calls() if call[0] == "destroy")


def test_up_refuses_to_leave_out_a_protected_team_before_anything_of_it_is_deleted(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    urn = "urn:pulumi:one::p::gpu-tenancy:index:Team::gone"
    team = {"urn": urn, "type": "gpu-tenancy:index:Team", "protect": True}
    project.export({"version": 3, "deployment": {"resources": [team]}})
    assert project.run("up") == 2
    said = capsys.readouterr().err
    assert "team gone is left out of the stack file, and it is protected against deletion; nothing was changed" in said
    assert "- {team: gone, allow: [delete]" in said
    assert not project.did("up")
    override = f"{{team: gone, allow: [delete], until: {SOON}, reason: removed by a test}}"
    project.write(STACK_FILE + f"    overrides: [{override}]\n")
    assert project.run("up") == 0
    assert ["state", "unprotect", urn] in [call[:3] for call in project.calls()]


@pytest.mark.parametrize(("named", "protect"), [("ml", True), ("gone", True), ("gone", False)])
def test_a_preview_shows_the_removal_that_an_override_lets_through(
    project: Project, monkeypatch: pytest.MonkeyPatch, named: str, protect: bool
) -> None:
    """`up` lifts the protection first; the engine would refuse to preview what it still protects."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    urn = f"urn:pulumi:one::p::gpu-tenancy:index:Team::{named}"
    team = {"urn": urn, "type": "gpu-tenancy:index:Team", "protect": protect}
    by_hand = {"urn": "urn:pulumi:one::p::x::kept", "type": "x", "protect": True}
    project.export({"version": 3, "deployment": {"resources": [team, by_hand]}})
    assert project.run("preview") == 0
    call, environment = next(
        (call, env) for call, env in zip(project.calls(), project.environments(), strict=True) if call[0] == "preview"
    )
    assert ("--ignore-protect" in call) == (named == "gone" and protect)
    assert environment[RELEASED] == ("gone" if named == "gone" else "")
    assert not any(call[:2] == ["state", "unprotect"] for call in project.calls())


@pytest.mark.parametrize(
    ("op", "protect", "refused"),
    [
        ("delete", True, True),
        ("replace", True, True),
        ("replace", False, False),  # in the program it is protected no longer: the engine lets it go
        ("update", True, False),
    ],
)
@pytest.mark.parametrize("to_file", [False, True])
def test_a_preview_refuses_what_the_engine_protects_beside_the_team_that_goes(
    project: Project,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    op: str,
    protect: bool,
    refused: bool,
    to_file: bool,
) -> None:
    """With `--ignore-protect` the engine says nothing of it, and `up` runs without."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    team = {
        "urn": "urn:pulumi:one::p::gpu-tenancy:index:Team::gone",
        "type": "gpu-tenancy:index:Team",
        "protect": True,
    }
    kept = {"urn": "urn:pulumi:one::p::x:y:Z::kept", "type": "x:y:Z", "protect": True}
    other = {**kept, "urn": "urn:pulumi:one::p::x:y:Z::other", "protect": False}
    project.export({"version": 3, "deployment": {"resources": [team, kept, other]}})
    new = {"inputs": {}, "protect": protect}
    steps = [
        {"op": "delete", "urn": team["urn"], "oldState": {"inputs": {}}},
        {"op": "delete", "urn": other["urn"], "oldState": {"inputs": {}}},
        {"op": op, "urn": kept["urn"], "oldState": {"inputs": {}}, **({} if op == "delete" else {"newState": new})},
    ]
    monkeypatch.setenv("STUB_DIGEST", json.dumps({"steps": steps, "changeSummary": {"delete": 2}}))
    arguments = ("--json", str(project.root / "preview.json")) if to_file else ()
    assert project.run("preview", *arguments) == (1 if refused else 0)
    said = capsys.readouterr().err
    cause = f"error: the engine will not delete or replace what the state protects: {kept['urn']}.\n"
    fix = f"if it may go: `pulumi state unprotect '{kept['urn']}' --stack one`"
    assert (cause in said, fix in said) == (refused, refused)


def test_up_lifts_the_protection_of_teams_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    by_hand = {"urn": "urn:pulumi:one::p::x::kept", "type": "x", "protect": True}
    project.export({"version": 3, "deployment": {"resources": [by_hand]}})
    assert project.run("up") == 0
    assert not any(call[:2] == ["state", "unprotect"] for call in project.calls())


def test_lab_reset_is_refused_for_a_stack_that_is_no_lab(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run("lab-reset") == 2
    assert "is not a lab" in capsys.readouterr().err
