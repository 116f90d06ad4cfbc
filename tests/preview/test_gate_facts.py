"""The gate on facts alone: what the program itself calls."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from policies.inventory import PolicyResource
from preview.changes import changes
from preview.facts import Facts, facts_of
from preview.gate import Refusal, gate, gate_preview
from preview.kinds import Kind
from preview.read import read_preview
from preview.usage import Usage
from settings.models import Override, Platform
from tests.policies.judged import changed
from tests.policies.world import queue, vcluster
from tests.preview.world import IN_A_WEEK, TODAY, said, step
from tests.report import world


def judged(before: Platform, after: Platform, *, usage: Usage | None = None, **uids: str) -> list[Refusal]:
    """As the program does it, before anything is registered."""
    old, new = facts_of(before, cluster_uid=uids.get("old")), facts_of(after, cluster_uid=uids.get("new"))
    return gate(old, new, usage=usage, overrides=after.overrides, today=TODAY)


ONE = world.platform({"ml": world.team("a100", 4)})


def test_the_same_settings_lose_nothing() -> None:
    assert judged(ONE, ONE) == []


def test_where_nothing_was_nothing_is_lost() -> None:
    assert gate(None, facts_of(ONE), usage=None, overrides=(), today=TODAY) == []
    assert gate(Facts(), facts_of(ONE), usage=None, overrides=(), today=TODAY) == []


def test_a_team_that_is_left_out_is_refused() -> None:
    assert said(judged(ONE, world.platform({}))) == [("ml", "delete")]


def test_a_renamed_team_is_a_removed_one() -> None:
    assert said(judged(ONE, world.platform({"ml2": world.team("a100", 4)}))) == [("ml", "delete")]


@pytest.mark.parametrize("host", [{"context": "other"}, {"kubeconfig": "/other"}, {"name": "other"}])
def test_another_way_to_the_host_is_refused_unless_it_is_the_same_cluster(host: dict[str, Any]) -> None:
    other = world.platform({"ml": world.team("a100", 4)}, host=host)
    assert said(judged(ONE, other)) == [("", "anotherCluster")], "nobody says that it is the same"
    assert judged(ONE, other, old="u1", new="u1") == []
    told = changes(facts_of(ONE, cluster_uid="u1"), facts_of(other, cluster_uid="u1"))
    assert [change.kind for change in told] == [Kind.IN_PLACE]
    (found,) = judged(ONE, other, old="u1", new="u2")
    assert "another cluster under this stack, everything of every team is lost" in found.reason


def test_a_cluster_that_is_known_for_the_first_time_is_no_other_one() -> None:
    assert judged(ONE, ONE, new="u1") == judged(ONE, ONE, old="u1") == []
    old, new = facts_of(ONE), facts_of(ONE, cluster_uid="u1")
    assert list(changes(old, new)) == list(changes(new, old)) == []


def test_another_cluster_behind_the_same_name_is_refused_until_an_override_says_that_it_is_meant() -> None:
    (found,) = judged(ONE, ONE, old="u1", new="u2")
    assert (found.team, found.change) == ("", "anotherCluster")
    assert found.text == (
        "cluster u1 → u2: another cluster under this stack, everything of every team is lost; if that is meant, add to "
        f"overrides: {{allow: [anotherCluster], {IN_A_WEEK}, reason: ...}}"
    )
    meant = Override(allow=("anotherCluster",), until=TODAY, reason="the old one burned down")
    old, new = facts_of(ONE, cluster_uid="u1"), facts_of(ONE, cluster_uid="u2")
    assert gate(old, new, usage=None, overrides=[meant], today=TODAY) == []
    assert len(gate(old, new, usage=None, overrides=[meant], today=TODAY + timedelta(days=1))) == 1


def test_another_provider_is_another_cluster_unless_its_uid_says_that_it_is_the_same() -> None:
    other = world.platform({"ml": world.team("a100", 4)}, host={"provider": "lab"})
    assert said(judged(ONE, other)) == [("", "anotherCluster")]
    assert said(judged(ONE, other, old="u1", new="u2")) == [("", "anotherCluster")]
    assert judged(ONE, other, old="u1", new="u1") == []


def test_a_fact_that_only_an_older_program_kept_is_refused() -> None:
    old = facts_of(ONE)
    strange = Facts(stack=old.stack, pools=old.pools, tenants={"ml": {**old.tenants["ml"], "vcluster.driver": "qemu"}})
    news = Facts(stack=old.stack, pools=old.pools, tenants={"ml": {**old.tenants["ml"], "vcluster.driver": "kvm"}})
    (found,) = gate(strange, news, usage=None, overrides=(), today=TODAY)
    assert found.change == "replace"
    assert "teams.ml.vcluster.driver: this program does not know what a change of it does" in found.reason


def test_two_stack_files_are_judged_beside_the_steps() -> None:
    other = world.platform({"ml": world.team("a100", 4, vcluster={"backingStore": "etcd"})})
    preview = read_preview(json.dumps(world.digest(ONE, other)))
    alone = gate_preview(preview, usage=None, overrides=(), today=TODAY)
    assert gate_preview(preview, usage=None, overrides=(), today=TODAY, old=facts_of(ONE)) == alone
    assert gate_preview(preview, usage=None, overrides=(), today=TODAY, new=facts_of(other)) == alone
    both = gate_preview(preview, usage=None, overrides=(), today=TODAY, old=facts_of(ONE), new=facts_of(other))
    assert (said(alone), said(both)) == ([], [("ml", "replace")])


def test_two_losses_of_one_team_are_two_refusals() -> None:
    old = facts_of(ONE)
    strange, other = (
        Facts(stack=old.stack, pools=old.pools, tenants={"ml": {**old.tenants["ml"], "new.a": value, "new.b": value}})
        for value in (1, 2)
    )
    assert said(gate(strange, other, usage=None, overrides=(), today=TODAY)) == [("ml", "replace")] * 2


def beside(subject: PolicyResource, one: Platform, other: Platform) -> list[tuple[str, str]]:
    """What is refused of a preview that deletes something, beside two stack files."""
    preview = read_preview(json.dumps({"steps": [step("delete", subject)], "changeSummary": {}}))
    found = gate_preview(preview, usage=None, overrides=(), today=TODAY, old=facts_of(one), new=facts_of(other))
    return said(found)


def test_a_team_that_two_stack_files_leave_out_loses_nothing_else() -> None:
    labelled = changed(queue(), "metadata/labels", {"gpu-tenancy/team": "ml"})
    assert beside(labelled, ONE, ONE) == [("ml", "lowerLimit")]
    assert beside(labelled, ONE, world.platform({})) == [("ml", "delete")]


def test_a_volume_that_can_not_shrink_has_no_override() -> None:
    one, other = (
        world.platform({"ml": world.team("a100", 4, vcluster={"snapshots": {"size": size}})}) for size in ("9Gi", "5Gi")
    )
    (found,) = judged(one, other)
    assert (found.team, found.change) == ("ml", "unknown")
    assert "overrides" not in found.reason
    assert beside(vcluster(), one, other) == [("ml", "delete"), ("ml", "unknown")], "told where the team goes, too"
