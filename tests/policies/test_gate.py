"""The gate: what a preview may not do without an override, and what it may."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from components.team.protection import Change
from policies import names
from policies.gate import GateError, Refusal, gate, main, steps_of, usage_of
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN
from releases import KAI
from settings.models import Override
from tests.policies.world import changed, guardrails, kai_release, team, vcluster, virtual_cluster

TODAY = date(2026, 11, 22)


def step(op: str, old: PolicyResource | None, new: PolicyResource | None = None) -> dict[str, object]:
    subject = old or new
    assert subject is not None
    made: dict[str, object] = {
        "op": op,
        "urn": f"urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Team${subject.type}::{subject.name}",
    }
    for key, state in (("oldState", old), ("newState", new)):
        if state is not None:
            made[key] = {"type": state.type, "inputs": state.properties}
    return made


def override(*allow: Change, team_: str = "ml", days: int = 1) -> Override:
    return Override(team=team_, allow=allow, until=TODAY + timedelta(days=days), reason="agreed with the team")


NAMESPACE = guardrails()[0]
QUOTA = guardrails()[1]


@pytest.mark.parametrize("subject", [team(), virtual_cluster(), vcluster(), NAMESPACE], ids=lambda s: s.type)
@pytest.mark.parametrize(
    ("op", "change"),
    [("delete", "delete"), ("replace", "replace"), ("create-replacement", "replace"), ("delete-replaced", "replace")],
)
def test_a_team_that_goes_needs_an_override(subject: PolicyResource, op: str, change: Change) -> None:
    steps = [step(op, subject)]
    kind = subject.type.rsplit(":", 1)[-1]
    assert gate(steps, [], TODAY) == [
        Refusal(
            team="ml",
            change=change,
            reason=f"{change}s {kind} {subject.name}, and with it everything in the team's virtual cluster; if that is "
            f"meant, add to overrides: {{team: ml, allow: [{change}], until: DATE, reason: ...}}",
        )
    ]
    assert gate(steps, [override(change)], TODAY) == []
    assert gate(steps, [override(change, days=0)], TODAY) == []
    assert len(gate(steps, [override(change, team_="vision")], TODAY)) == 1
    other: Change = "replace" if change == "delete" else "delete"
    assert len(gate(steps, [override(other, "lowerLimit")], TODAY)) == 1


def test_an_override_that_ended_is_named_with_its_last_day() -> None:
    late = [override("delete", days=-1), override("delete", days=-9)]
    assert gate([step("delete", team())], late, TODAY)[0].reason.endswith(" (its override ended on 2026-11-21)")


def test_an_override_of_another_team_or_change_is_no_ended_one() -> None:
    late = [override("delete", team_="vision", days=-1), override("lowerLimit", days=-1)]
    assert gate([step("delete", team())], late, TODAY)[0].reason.endswith("reason: ...}")


def test_an_upgrade_across_lines_is_told_even_where_the_team_goes() -> None:
    across = step("update", kai_release("ml"), kai_release("ml", version="v0.9.8"))
    assert [r.change for r in gate([step("delete", team()), across], [], TODAY)] == ["delete", "upgrade"]


def test_a_team_is_refused_once_and_teams_come_in_order() -> None:
    steps = [
        step("delete", team("vision")),
        step("delete", vcluster()),
        step("delete", team()),
        step("replace", NAMESPACE),
        step("update", team(), team(gpuLimit=1)),
        step("update", team("alpha"), team("alpha", gpuLimit=1)),
    ]
    assert [(r.team, r.change) for r in gate(steps, [], TODAY)] == [
        ("alpha", "lowerLimit"),
        ("ml", "delete"),
        ("vision", "delete"),
    ]


@pytest.mark.parametrize(
    ("op", "subject"),
    [
        ("same", team()),
        ("create", team()),
        ("update", team()),
        ("delete", kai_release()),
        ("delete", changed(NAMESPACE, "metadata/name", "gpu-check")),
        ("delete", changed(vcluster(), "namespace", "elsewhere")),
        ("delete", QUOTA),
        ("delete", changed(kai_release(), "namespace", "team-ml")),
        ("replace", kai_release()),
    ],
)
def test_other_steps_pass(op: str, subject: PolicyResource) -> None:
    assert gate([step(op, subject, subject)], [], TODAY) == []


def test_a_team_whose_name_cannot_be_told_is_still_refused() -> None:
    bare = [{"op": "delete", "urn": f"urn:pulumi:s::p::{type_}::x"} for type_ in (names.TEAM, names.VIRTUAL_CLUSTER)]
    assert [(r.team, r.change) for r in gate(bare, [], TODAY)] == [("?", "delete")]


# --- limits ---------------------------------------------------------------------------------------------------------


def lowered(before: object, after: object) -> list[dict[str, object]]:
    return [step("update", team(gpuLimit=before), team(gpuLimit=after))]


@pytest.mark.parametrize(("runs", "fires"), [(3, False), (4, False), (5, True)])
def test_a_limit_below_what_runs_needs_an_override(runs: int, fires: bool) -> None:
    found = gate(lowered(6, 4), [], TODAY, {"ml": runs})
    assert (
        found
        == [
            Refusal(
                team="ml",
                change="lowerLimit",
                reason=f"lowers the GPU limit from 6 to 4, and {runs} run now; if that is meant, add to overrides: "
                "{team: ml, allow: [lowerLimit], until: DATE, reason: ...}",
            )
        ]
        * fires
    )
    assert gate(lowered(6, 4), [override("lowerLimit")], TODAY, {"ml": runs}) == []


def test_a_lower_limit_is_refused_when_nobody_knows_what_runs() -> None:
    assert "and what runs now is not known (pass --usage); if" in gate(lowered(6, 5), [], TODAY)[0].reason
    for usage in ({}, {"vision": 0}, usage_of({"items": []})):
        assert "not known (the usage does not name the team); if" in gate(lowered(6, 5), [], TODAY, usage)[0].reason
    assert gate(lowered(6, 0), [], TODAY, {"ml": 0}) == []


@pytest.mark.parametrize(("before", "after"), [(6, 6), (6, 7), (6, -1), (-1, -1), (None, 4), (6, None)])
def test_a_limit_that_does_not_fall_passes(before: object, after: object) -> None:
    assert gate(lowered(before, after), [], TODAY) == []


def test_a_bound_where_there_was_none_is_a_lower_limit() -> None:
    assert "from unlimited to 4, and 5 run now" in gate(lowered(-1, 4), [], TODAY, {"ml": 5})[0].reason


def test_the_hosts_quota_counts_as_the_limit() -> None:
    low = changed(QUOTA, "spec/hard", {"requests.nvidia.com/gpu": "2"})
    assert "from 6 to 2, and 3 run now" in gate([step("update", QUOTA, low)], [], TODAY, {"ml": 3})[0].reason
    elsewhere = [changed(quota, "metadata/namespace", "kube-system") for quota in (QUOTA, low)]
    assert gate([step("update", *elsewhere)], [], TODAY) == []


def test_a_replaced_team_may_lose_its_limit_only_by_another_override() -> None:
    steps = [step("replace", team(), team(gpuLimit=1))]
    assert [r.change for r in gate(steps, [override("replace")], TODAY)] == ["lowerLimit"]
    assert gate(steps, [override("replace", "lowerLimit")], TODAY) == []


def test_a_limit_that_is_not_known_is_refused() -> None:
    found = gate(lowered(6, UNKNOWN), [], TODAY)
    assert [(r.team, r.change) for r in found] == [("ml", "unreadable")]
    assert "gpuLimit is not known at preview" in found[0].reason
    assert found[0].reason.startswith("update of urn:")


# --- KAI's lines ----------------------------------------------------------------------------------------------------


def test_kai_is_not_upgraded_in_place_across_lines_whatever_the_overrides_say() -> None:
    assert KAI["v0.9.3"].line != KAI["v0.9.8"].line
    across = [step("update", kai_release(), kai_release(version="v0.9.8"))]
    allowed = [override("delete", "replace", "lowerLimit")]
    assert gate(across, allowed, TODAY) == [
        Refusal(
            team=kai_release().name,
            change="upgrade",
            reason="updates KAI in place from v0.9.3 to v0.9.8, which are not of one line; Helm cannot do that, so the "
            "release must be replaced",
        )
    ]
    assert gate([step("replace", kai_release(), kai_release(version="v0.9.8"))], [], TODAY) == []


def test_kai_is_upgraded_in_place_within_a_line() -> None:
    assert KAI["v0.9.2"].line == KAI["v0.9.3"].line
    assert gate([step("update", kai_release(version="v0.9.2"), kai_release())], [], TODAY) == []
    assert gate([step("update", kai_release(version="v9"), kai_release(version="v9", name="x"))], [], TODAY) == []


@pytest.mark.parametrize("versions", [("v9", "v0.9.3"), ("v0.9.3", "v9"), ("v8", "v9"), (None, "v0.9.3")])
def test_a_version_whose_line_nobody_knows_is_not_upgraded_in_place(versions: tuple[str | None, str]) -> None:
    before, after = (kai_release(version=version) for version in versions)
    assert len(gate([step("update", before, after)], [], TODAY)) == 1


def test_other_charts_are_upgraded_as_they_like() -> None:
    assert gate([step("update", vcluster(), changed(vcluster(), "version", "0.36.1"))], [], TODAY) == []


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [{"op": "delete"}, {"urn": "u"}, {"op": 1, "urn": "u"}])
def test_a_step_that_is_none_stops_the_gate(bad: dict[str, object]) -> None:
    with pytest.raises(GateError, match=r"^the preview has a step without op or urn: "):
        gate([bad], [], TODAY)


@pytest.mark.parametrize("content", [{}, {"steps": 3}, {"steps": [3]}, "text", None])
def test_a_preview_without_steps_stops_the_gate(content: object) -> None:
    with pytest.raises(GateError, match=r"^has no list of steps; write it with: pulumi preview --json"):
        steps_of(content)
    assert steps_of({"steps": []}) == steps_of([]) == []


def test_usage_is_read_from_a_mapping_or_from_kubectl() -> None:
    assert usage_of({"ml": 3, "vision": 0.5}) == {"ml": 3, "vision": 0.5}
    listed = {
        "items": [
            {"metadata": {"namespace": "team-ml"}, "status": {"used": {"requests.nvidia.com/gpu": "3"}}},
            {"metadata": {"namespace": "team-ml"}, "status": {"used": {"requests.nvidia.com/gpu": "2"}}},
            {"metadata": {"namespace": "team-dev"}, "status": {"used": {"pods": "2"}}},
            {"metadata": {"namespace": "team-idle"}, "status": {"used": {"requests.nvidia.com/gpu": "0"}}},
            {"metadata": {"namespace": "kube-system"}, "status": {"used": {"requests.nvidia.com/gpu": "9"}}},
        ]
    }
    assert usage_of(listed) == {"ml": 3, "idle": 0}


@pytest.mark.parametrize("content", [[], {"ml": "3"}, {"ml": True}, 3])
def test_usage_of_another_shape_is_refused(content: object) -> None:
    with pytest.raises(GateError, match=r"^must be \{"):
        usage_of(content)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    platform = {
        "host": {"provider": "lab"},
        "gpu": {"stack": "fake"},
        "pools": {"a100": {"nodes": ["gpu-0"], "gpusPerNode": 8}},
        "overrides": [{"team": "ml", "allow": ["delete"], "until": "2026-12-24", "reason": "agreed with the team"}],
    }
    found = {name: tmp_path / name for name in ("preview.json", "Pulumi.prod.yaml", "usage.json")}
    found["Pulumi.prod.yaml"].write_text(yaml.safe_dump({"config": {"gpu-tenancy:platform": platform}}))
    found["preview.json"].write_text(json.dumps({"steps": [step("delete", team()), *lowered(6, 4)]}))
    found["usage.json"].write_text('{"ml": 5}')
    return found


def run(files: dict[str, Path], *more: str, today: str = "2026-12-24") -> int:
    return main(
        [
            "--preview",
            str(files["preview.json"]),
            "--stack-file",
            str(files["Pulumi.prod.yaml"]),
            "--today",
            today,
            *more,
        ]
    )


def test_an_override_in_the_stack_file_lets_a_deletion_through(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files["preview.json"].write_text(json.dumps([step("delete", team())]))
    assert run(files) == 0
    assert capsys.readouterr().out == "gate: 1 steps, 0 refused\n"
    assert run(files, today="2026-12-25") == 1
    said = capsys.readouterr().out
    assert said.startswith("gate: team ml: deletes Team ml, and with it everything")
    assert said.endswith("(its override ended on 2026-12-24)\ngate: 1 steps, 1 refused\n")


def test_usage_from_a_file_is_what_a_limit_is_measured_by(files: dict[str, Path]) -> None:
    files["preview.json"].write_text(json.dumps(lowered(6, 4)))
    assert run(files, "--usage", str(files["usage.json"])) == 1
    files["usage.json"].write_text('{"ml": 4}')
    assert run(files, "--usage", str(files["usage.json"])) == 0


@pytest.mark.parametrize("broken", ["preview.json", "Pulumi.prod.yaml", "usage.json"])
@pytest.mark.parametrize("content", [None, "{", "3"])
def test_a_gate_that_cannot_run_is_no_pass(
    files: dict[str, Path], broken: str, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        files[broken].unlink()
    else:
        files[broken].write_text(content)
    assert run(files, "--usage", str(files["usage.json"])) == 2
    said = capsys.readouterr()
    assert said.err.startswith("gate: could not run: ")
    assert said.out == ""


@pytest.mark.parametrize("left_out", ["--preview", "--stack-file"])
def test_what_is_judged_must_be_named(files: dict[str, Path], left_out: str) -> None:
    given = {"--preview": files["preview.json"], "--stack-file": files["Pulumi.prod.yaml"]}
    with pytest.raises(SystemExit) as raised:
        main([text for key, path in given.items() if key != left_out for text in (key, str(path))])
    assert raised.value.code == 2
