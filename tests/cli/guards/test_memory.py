"""What a state remembers, and what a run may not undo without an override."""

from __future__ import annotations

from datetime import date
from typing import Any

from cli.guards.memory import Remembered, another_cluster, left_out, remembered
from cli.preflight import EVERYBODYS, NOBODYS
from components.team.tenant import facts, resolve
from settings.load import parse_platform
from settings.models import Platform
from tests.conftest import platform_of

TODAY = date(2026, 11, 26)
UID = "aaaa-bbbb"
TEAM = "gpu-tenancy:index:Team"
NAMESPACE = "kubernetes:core/v1:Namespace"


def platform(*overrides: dict[str, Any], without: str | None = None, **teams: Any) -> Platform:
    """The lab's stack file on another provider, with some teams changed or left out."""
    data = platform_of("lab")
    data["host"] = {"provider": "existing", "address": "10.0.0.5"}
    for name, change in teams.items():
        data["teams"][name] = {**data["teams"][name], **change}
    data["teams"].pop(without, None)
    data["overrides"] = [{"until": "2026-11-26", "reason": "agreed with everybody", **entry} for entry in overrides]
    return parse_platform(data, "here")


def state(**more: Any) -> dict[str, Any]:
    """The resources of a state in which the lab's three teams are, as the engine's own function gives them."""
    found: dict[str, Any] = {
        "urn:pulumi:dev::gpu-tenancy::x$kubernetes:core/v1:Namespace::host-uid": {
            "type": "kubernetes:core/v1:Namespace",
            "outputs": {"metadata": {"name": "kube-system", "uid": UID}},
        }
    }
    for name, tenant in resolve(platform()).items():
        outputs = {**facts(tenant), **more.get(name, {})}
        found[f"urn:pulumi:dev::gpu-tenancy::{TEAM}::{name}"] = {"type": TEAM, "outputs": outputs}
    return found


def causes(found: list[Any]) -> list[str]:
    return [refusal.cause for refusal in found]


def test_a_state_says_on_which_cluster_it_was_made_and_with_which_teams() -> None:
    was = remembered(state())
    assert was.uid == UID
    assert set(was.teams) == {"ml", "research", "dev"}
    assert was.teams["ml"].facts["gpuLimit"] == 4


def test_an_empty_state_remembers_nothing_and_refuses_nothing() -> None:
    was = remembered({})
    assert was == Remembered(made=False, spaces=frozenset(), managers=frozenset())
    assert Remembered().made, "where no state says so"
    assert another_cluster(was, "other", "here", platform(), "dev", TODAY) == []
    assert left_out(was, platform(), "dev", TODAY) == []


def test_a_run_has_made_something_once_a_provider_is_in_its_state() -> None:
    root = {"urn:pulumi:dev::x::pulumi:pulumi:Stack::x-dev": {"type": "pulumi:pulumi:Stack", "outputs": {}}}
    provider = {"urn:pulumi:dev::x::pulumi:providers:kubernetes::h": {"type": "pulumi:providers:kubernetes"}}
    assert (remembered(root).made, remembered({**root, **provider}).made) == (False, True)


def test_another_cluster_is_refused_by_name_until_an_override_says_that_it_is_meant() -> None:
    was = remembered(state())
    assert another_cluster(was, UID, "here", platform(), "dev", TODAY) == []
    (refusal,) = another_cluster(was, "cccc", "here", platform(), "dev", TODAY)
    assert refusal.cause == f"stack dev was made on cluster {UID}, and context here is cluster cccc"
    assert "`- {allow: [anotherCluster], until: 2026-12-03, reason: " in refusal.fix
    assert another_cluster(was, "cccc", "here", platform({"allow": ["anotherCluster"]}), "dev", TODAY) == []


def test_a_team_that_is_left_out_is_refused_without_an_override() -> None:
    (refusal,) = left_out(remembered(state()), platform(without="ml"), "dev", TODAY)
    assert refusal.cause == "team ml is left out of the stack file, and it is protected against deletion"
    assert "- {team: ml, allow: [delete], until: 2026-12-03" in refusal.fix


def test_with_an_override_the_state_must_let_it_go_too_or_the_engine_would_stop_in_the_middle() -> None:
    let_go = {"team": "ml", "allow": ["delete"]}
    file = platform(let_go, without="ml")
    (refusal,) = left_out(remembered(state()), file, "dev", TODAY)
    assert "the state still protects it" in refusal.cause
    assert "`make up STACK=dev` lifts the protection first" in refusal.fix
    assert left_out(remembered(state()), file, "dev", TODAY, released=frozenset({"ml"})) == []
    assert left_out(remembered(state(ml={"protectedInState": False})), file, "dev", TODAY) == []


def test_an_override_that_ended_yesterday_is_none() -> None:
    late = {"team": "ml", "allow": ["delete"], "until": "2026-11-25"}
    found = left_out(remembered(state(ml={"protectedInState": False})), platform(late, without="ml"), "dev", TODAY)
    assert causes(found) == ["team ml is left out of the stack file, and it is protected against deletion"]


def test_a_canary_comes_and_goes() -> None:
    was = state()
    urn = f"urn:pulumi:dev::gpu-tenancy::{TEAM}::ml-canary"
    was[urn] = {"type": TEAM, "outputs": {"name": "ml-canary", "canaryOf": "ml"}}
    assert left_out(remembered(was), platform(), "dev", TODAY) == []


def test_a_team_whose_run_never_came_to_its_end_is_protected_all_the_same() -> None:
    was = state()
    was[f"urn:pulumi:dev::gpu-tenancy::{TEAM}::ml"]["outputs"] = {}
    (refusal,) = left_out(remembered(was), platform(without="ml"), "dev", TODAY)
    assert refusal.cause.startswith("team ml is left out")


def test_the_protection_of_an_exported_state_is_the_state_s_own_word() -> None:
    was = remembered(state()).with_state(frozenset({"ml"}), half_labelled=False)
    assert {name for name, team in was.teams.items() if team.protected} == {"ml"}


def patch(pool: str, node: str, manager: str) -> dict[str, Any]:
    """The state's entry of what labels a node."""
    kind = "kubernetes:core/v1:NodePatch"
    outputs = {"metadata": {"name": node}, "__fieldManager": manager}
    return {f"urn:pulumi:dev::x::gpu-tenancy:index:NodePool${kind}::{pool}-{node}": {"type": kind, "outputs": outputs}}


def space(name: str, below: str = "gpu-tenancy:index:KaiScheduler") -> dict[str, Any]:
    outputs = {"metadata": {"name": name}}
    return {f"urn:pulumi:dev::x::{below}${NAMESPACE}::{name}": {"type": NAMESPACE, "outputs": outputs}}


def test_a_state_says_which_objects_on_the_cluster_are_this_stack_s() -> None:
    inside = space("shop", f"{TEAM}$gpu-tenancy:index:VirtualCluster")
    was = remembered(
        {**state(), **space("kai-scheduler"), **inside, **patch("a", "gpu-0", "p-1"), **patch("a", "n", "p-2")}
    )
    assert was.whose.spaces == frozenset({"kai-scheduler", "team-ml", "team-research", "team-dev"})
    assert was.whose.managers == frozenset({"p-1", "p-2"})
    assert was.patches == {"gpu-0": "a-gpu-0", "n": "a-n"}


def test_before_the_first_run_nothing_is_and_without_a_state_all_that_has_our_label() -> None:
    assert remembered({}).whose is NOBODYS
    assert Remembered().whose == EVERYBODYS


def test_where_a_state_does_not_say_its_field_managers_all_that_has_our_label_is_ours() -> None:
    assert remembered({**state(), **patch("a", "gpu-0", "p-1"), **patch("a", "n", "")}).whose.managers is None


def test_after_a_kill_while_a_node_was_labelled_its_labels_pass_for_ours() -> None:
    was = remembered({**state(), **patch("a", "gpu-0", "p-1")})
    assert was.with_state(frozenset(), half_labelled=True).whose.managers is None
    assert was.with_state(frozenset(), half_labelled=False).whose.managers == frozenset({"p-1"})


def test_only_the_clusters_own_namespace_says_which_cluster_it_is() -> None:
    team_s = {"metadata": {"name": "team-ml", "uid": "of the team's namespace"}}
    more = {"urn:pulumi:dev::x::kubernetes:core/v1:Namespace::ml": {"type": NAMESPACE, "outputs": team_s}}
    assert remembered({**state(), **more}).uid == UID
    assert remembered(more).uid is None


def test_a_state_says_what_stands_on_all_of_a_team() -> None:
    kind = "gpu-tenancy:index:Protection"
    assert remembered({**state(), f"urn::{kind}::ml-protection": {"type": kind}}).protections == {"ml-protection"}


def test_a_canary_is_not_protected_unless_the_state_says_so() -> None:
    made = {"ml": {}, "a": {"canaryOf": "ml"}, "b": {"canaryOf": "ml", "protectedInState": True}}
    was = remembered({f"urn::{TEAM}::{name}": {"type": TEAM, "outputs": said} for name, said in made.items()})
    assert {name: team.protected for name, team in was.teams.items()} == {"ml": True, "a": False, "b": True}
