"""The gate on steps: teams that go, and what it does not know."""

from __future__ import annotations

from typing import Any

import pytest

import tokens
from policies.inventory import PolicyResource
from preview.kinds import Allow
from preview.usage import usage_of
from releases import KAI
from tests.policies.judged import changed
from tests.policies.world import kai_release, queue, team, vcluster, virtual_cluster
from tests.preview.world import IN_A_WEEK, NAMESPACE, QUOTA, UNKNOWN, override, refused, said, step

# --- teams that go ---


@pytest.mark.parametrize("subject", [team(), virtual_cluster(), vcluster(), NAMESPACE], ids=lambda s: s.type)
@pytest.mark.parametrize(
    ("op", "change"),
    [("delete", "delete"), ("replace", "replace"), ("create-replacement", "replace"), ("delete-replaced", "replace")],
)
def test_a_team_that_goes_needs_an_override(subject: PolicyResource, op: str, change: Allow) -> None:
    steps = [step(op, subject)]
    kind = subject.type.rsplit(":", 1)[-1]
    (found,) = refused(steps)
    assert (found.team, found.change) == ("ml", change)
    assert found.reason == (
        f"{change}s {kind} {subject.name}, and with it everything in the team's virtual cluster; if that is meant, add "
        f"to overrides: {{team: ml, allow: [{change}], {IN_A_WEEK}, reason: ...}}"
    )
    assert refused(steps, [override(change)]) == []
    assert refused(steps, [override(change, days=0)]) == []
    assert len(refused(steps, [override(change, team_="vision")])) == 1
    other: Allow = "replace" if change == "delete" else "delete"
    assert len(refused(steps, [override(other, "lowerLimit")])) == 1


def test_one_override_lets_a_team_go_with_everything_that_is_its_own() -> None:
    labelled = changed(queue(), "metadata/labels", {"gpu-tenancy/team": "ml"})
    steps = [step("delete", subject) for subject in (team(), virtual_cluster(), vcluster(), NAMESPACE, QUOTA, labelled)]
    assert said(refused(steps)) == [("ml", "delete")]
    assert refused(steps, [override("delete")]) == []


def test_an_override_that_ended_is_named_with_its_last_day() -> None:
    late = [override("delete", days=-1), override("delete", days=-9)]
    assert refused([step("delete", team())], late)[0].reason.endswith(" (its override ended on 2026-11-21)")


def test_an_override_of_another_team_or_change_is_no_ended_one() -> None:
    late = [override("delete", team_="vision", days=-1), override("lowerLimit", days=-1)]
    assert refused([step("delete", team())], late)[0].reason.endswith("reason: ...}")


def test_an_upgrade_across_lines_is_told_even_where_the_team_goes() -> None:
    across = step("update", kai_release("ml"), kai_release("ml", version="v0.9.8"))
    assert said(refused([step("delete", team()), across])) == [("ml", "delete"), ("ml", "upgrade")]


def test_a_team_is_refused_once_and_teams_come_in_order() -> None:
    steps = [
        step("delete", team("vision")),
        step("delete", vcluster()),
        step("delete", team()),
        step("replace", NAMESPACE),
        step("update", team("alpha"), team("alpha", gpuLimit=1)),
    ]
    assert said(refused(steps)) == [("alpha", "lowerLimit"), ("ml", "delete"), ("vision", "delete")]


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
    assert refused([step(op, subject, None if op == "delete" else subject)]) == []


def test_a_team_whose_name_cannot_be_told_is_still_refused() -> None:
    bare: list[dict[str, object]] = [
        {"op": "delete", "urn": f"urn:pulumi:s::p::{type_}::x"} for type_ in (tokens.TEAM, tokens.VIRTUAL_CLUSTER)
    ]
    assert said(refused(bare)) == [("?", "delete")]


@pytest.mark.parametrize(("running", "passes"), [(None, False), ({}, False), ({"ml": 1}, False), ({"ml": 0}, True)])
def test_a_canary_comes_and_goes_while_nothing_runs_in_it(running: dict[str, Any] | None, passes: bool) -> None:
    steps = [step("delete", team(canaryOf="mlops")), step("delete", vcluster())]
    usage = None if running is None else usage_of(running)
    assert (refused(steps, usage=usage) == []) is passes


def test_a_canarys_cluster_that_goes_alone_may_go_only_where_nothing_is_known_to_run() -> None:
    steps = [step("same", team(canaryOf="mlops"), team(canaryOf="mlops")), step("delete", vcluster())]
    assert said(refused(steps)) == [("ml", "delete")]
    assert said(refused(steps, usage=usage_of({"ml": 1}))) == [("ml", "delete")]
    assert refused(steps, usage=usage_of({"ml": 0})) == []


# --- what the gate does not know ---


def test_an_operation_that_nobody_knows_is_refused_whatever_the_overrides_say() -> None:
    (found,) = refused([step("detach", team(), team())], [override("delete", "replace", "lowerLimit")])
    assert found.change == "unknown"
    assert "Team ml: the operation 'detach' is unknown to this program" in found.text


@pytest.mark.parametrize("op", ["delete", "replace"])
def test_what_is_lost_with_an_unknown_type_is_refused(op: str) -> None:
    claim = PolicyResource(
        type="kubernetes:core/v1:PersistentVolumeClaim",
        name="data",
        properties={"metadata": {"name": "data", "labels": {"gpu-tenancy/team": "ml"}}},
    )
    (found,) = refused([step(op, claim)])
    assert (found.team, found.change) == ("ml", op)
    assert "does not know what is lost with a kubernetes:core/v1:PersistentVolumeClaim" in found.reason
    assert refused([step(op, claim)], [override("delete", "replace")]) == []
    nobodys = PolicyResource(type=claim.type, name="data", properties={})
    assert said(refused([step(op, nobodys)], [override("delete", "replace")])) == [("", "unknown")]


def test_a_kind_that_goes_takes_its_objects_with_it_unless_kais_operator_alone_waits_for_it() -> None:
    crd = PolicyResource(type="kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", name="jobs", properties={})
    gone = step("delete", crd)
    assert said(refused([gone])) == [("", "unknown")]
    gone["urn"] = f"urn:pulumi:prod::gpu-tenancy::{tokens.TEAM}$gpu-tenancy:index:KaiScheduler${crd.type}::jobs"
    assert refused([gone]) == []


def test_a_limit_that_is_not_known_is_refused() -> None:
    found = refused([step("update", team(), team(gpuLimit=UNKNOWN))])
    assert said(found) == [("ml", "unreadable")]
    assert "gpus.limit is not known at preview" in found[0].reason


def test_a_deletion_whose_team_is_not_known_is_refused() -> None:
    hidden = changed(NAMESPACE, "metadata/name", UNKNOWN)
    assert [refusal.change for refusal in refused([step("delete", hidden)])] == ["unreadable"]


# --- KAI's lines ---


def test_kai_is_not_upgraded_in_place_across_lines_whatever_the_overrides_say() -> None:
    assert KAI["v0.9.3"].line != KAI["v0.9.8"].line
    across = [step("update", kai_release(), kai_release(version="v0.9.8"))]
    (found,) = refused(across, [override("delete", "replace", "lowerLimit")])
    assert (found.team, found.change) == (kai_release().name, "upgrade")
    assert found.reason == (
        "updates KAI in place from v0.9.3 to v0.9.8, which are not of one line; Helm cannot do that, so the release "
        "must be replaced"
    )
    assert refused([step("replace", kai_release(), kai_release(version="v0.9.8"))]) == []


def test_kai_is_upgraded_in_place_within_a_line() -> None:
    assert KAI["v0.9.2"].line == KAI["v0.9.3"].line
    assert refused([step("update", kai_release(version="v0.9.2"), kai_release())]) == []
    assert refused([step("update", kai_release(version="v9"), kai_release(version="v9", name="x"))]) == []


@pytest.mark.parametrize("versions", [("v9", "v0.9.3"), ("v0.9.3", "v9"), ("v8", "v9"), (None, "v0.9.3")])
def test_a_version_whose_line_nobody_knows_is_not_upgraded_in_place(versions: tuple[str | None, str]) -> None:
    before, after = (kai_release(version=version) for version in versions)
    assert len(refused([step("update", before, after)])) == 1


def test_other_charts_are_upgraded_as_they_like() -> None:
    assert refused([step("update", vcluster(), changed(vcluster(), "version", "0.36.1"))]) == []


def test_a_team_that_is_made_anew_is_told_once_and_others_beside_it() -> None:
    moves = [step("update", team(name), team(name, mode="host")) for name in ("ml", "vision")]
    assert said(refused(moves)) == [("ml", "replace"), ("vision", "replace")]
    anew = [step("replace", virtual_cluster()), *moves]
    found = refused(anew)
    assert said(found) == [("ml", "replace"), ("vision", "replace")]
    assert found[0].reason.startswith("replaces VirtualCluster ml"), "the gravest reason is the one that is told"


def test_what_can_not_be_judged_is_told_even_where_the_team_goes() -> None:
    unread = step("update", team("ml", gpuLimit=4), team("ml", gpuLimit="many"))
    found = refused([step("delete", vcluster()), unread])
    assert said(found) == [("ml", "delete"), ("ml", "unreadable")]


@pytest.mark.parametrize(
    "type_", ["kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinitionPatch", "pulumi:providers:kubernetes"]
)
def test_what_stays_on_the_cluster_and_a_provider_may_go(type_: str) -> None:
    assert refused([step("delete", PolicyResource(type=type_, name="x", properties={}))]) == []
