"""Offline: an exported state is judged by the same rules, and the exit status says what was found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.inventory import PolicyResource
from policies.offline import StateError, main, resources_of
from tests.policies.judged import TODAY
from tests.policies.world import healthy, pool, team


def entry(subject: PolicyResource, **more: object) -> dict[str, object]:
    urn = f"urn:pulumi:prod::gpu-tenancy::{subject.type}::{subject.name}"
    return {
        "urn": urn,
        "type": subject.type,
        "inputs": subject.properties,
        "parent": subject.parent or "urn:parent",
    } | more


def state(resources: list[PolicyResource]) -> dict[str, object]:
    return {"version": 3, "deployment": {"resources": [entry(subject) for subject in resources]}}


def written(tmp_path: Path, content: object) -> str:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_state_gives_its_resources() -> None:
    found = resources_of(state([pool(), team()]))
    assert [(r.type, r.name, r.parent) for r in found] == [
        ("gpu-tenancy:index:NodePool", "a100", "urn:parent"),
        ("gpu-tenancy:index:Team", "ml", "urn:parent"),
    ]
    assert found[0].properties == pool().properties
    assert found[0].urn.endswith("::a100")
    assert resources_of({"resources": [entry(pool())]}) == resources_of([entry(pool())])


def test_what_a_program_only_looks_up_is_left_out() -> None:
    looked_up = entry(pool("a100"), external=True)
    assert [r.name for r in resources_of([looked_up, entry(pool("l4"))])] == ["l4"]


def test_what_waits_for_deletion_is_left_out_and_outputs_serve_where_there_are_no_inputs() -> None:
    gone = entry(team("gone"), delete=True)
    bare = {"urn": "urn::x", "type": "t", "outputs": {"a": 1}}
    found = resources_of([gone, bare])
    assert [(r.name, r.properties) for r in found] == [("x", {"a": 1})]


@pytest.mark.parametrize(
    "content", [{}, {"deployment": {}}, {"deployment": 3}, "text", {"deployment": {"resources": 1}}]
)
def test_a_file_that_is_no_state_is_refused(content: object) -> None:
    with pytest.raises(StateError, match=r"^has no deployment\.resources; write it with: pulumi stack export"):
        resources_of(content)


@pytest.mark.parametrize("item", [3, {"urn": "x"}, {"type": 4}])
def test_an_entry_that_is_no_resource_is_refused(item: object) -> None:
    with pytest.raises(StateError, match=r"^has an entry without a type: "):
        resources_of([item])


def test_a_healthy_state_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([written(tmp_path, state(healthy())), "--today", TODAY.isoformat()]) == 0
    assert "gpu-collision            pass (1 checked)" in capsys.readouterr().out


def test_a_broken_state_fails_and_names_the_team(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, state([pool(), team("ml", gpuLimit=6), team("vision", gpuLimit=3)]))
    assert main([path]) == 1
    assert "ml 6 + vision 3 = 9 of 8" in capsys.readouterr().out
    assert main([path, "--stack", "lab"]) == 0
    assert "ml 6 + vision 3 = 9 of 8" in capsys.readouterr().out


def test_a_configuration_of_ones_own_is_used(tmp_path: Path) -> None:
    path = written(tmp_path, state([pool(), team("ml", gpuLimit=6), team("vision", gpuLimit=3)]))
    own = tmp_path / "own.json"
    own.write_text('{"all": "disabled"}', encoding="utf-8")
    assert main([path, "--config", str(own)]) == 0


@pytest.mark.parametrize("content", ["{", "[3]", "{}", "[" * 100_000, "1" * 5000])
def test_what_cannot_be_judged_is_its_own_exit_status(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state.json"
    path.write_text(content, encoding="utf-8")
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"{path}: ")
    assert main([str(tmp_path / "none.json")]) == 2
    assert main([str(path), "--config", str(tmp_path / "none.json")]) == 2
