"""A team's workloads: what an edit of them does, and what it loses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import tokens
from components.workloads.pods import selector
from names import LABEL_TEAM, LABEL_WORKLOAD
from preview.changes import Change, changes, differ
from preview.facts import facts_of
from preview.gate import gate_preview
from preview.kinds import Kind
from preview.observed import facts_in_state
from preview.read import read_preview
from settings.models import Override, Platform
from tests.policies.world import team as team_of_the_world
from tests.preview.world import TODAY, override, said
from tests.preview.world import step as step_of
from tests.report import world

CHAT = {"kind": "inference", "model": "m", "weights": "1G", "gpu": {"count": 1}}
CACHED = {**CHAT, "cache": {"size": "20Gi", "storageClass": "fast"}}
SLURM = {"kind": "slurm", "gpu": {"count": 8}, "storage": "4Gi"}
DEMO = {"kind": "app", "replicas": 2, "expose": {"nodePort": 30100}, "secrets": {"KEY": {"config": "one"}}}


def stack(**workloads: dict[str, Any]) -> Platform:
    return world.platform({"ml": world.team("a100", 4, workloads=workloads)})


def between(before: dict[str, Any], after: dict[str, Any] | None) -> Change:
    one, other = stack(w=before), stack(**({} if after is None else {"w": after}))
    return changes(facts_of(one), facts_of(other))[0]


@pytest.mark.parametrize(
    ("before", "after", "kind", "words"),
    [
        (CHAT, None, Kind.LOSING, "workload w is removed"),
        (CHAT, {"kind": "app"}, Kind.LOSING, "becomes another kind (inference → app)"),
        (CHAT, {**CHAT, "model": "n"}, Kind.DISRUPTIVE, "workload w restarts"),
        (CHAT, {**CHAT, "gpu": {"fraction": 0.5}}, Kind.DISRUPTIVE, "workload w restarts"),
        (CHAT, {**CHAT, "weights": "2G"}, Kind.IN_PLACE, ""),
        (CHAT, {**CHAT, "test": {"prompt": "x"}}, Kind.IN_PLACE, ""),
        (CHAT, CACHED, Kind.DISRUPTIVE, "workload w restarts"),
        (CACHED, CHAT, Kind.LOSING, "cache of workload w is removed"),
        (CACHED, {**CHAT, "cache": {"size": "20Gi"}}, Kind.LOSING, "in another class: its pod keeps the old claim"),
        (CACHED, {**CHAT, "cache": {"size": "9Gi", "storageClass": "fast"}}, Kind.LOSING, "a volume can't shrink"),
        (CACHED, {**CHAT, "cache": {"size": "30Gi", "storageClass": "fast"}}, Kind.IN_PLACE, "the volume grows"),
        (SLURM, {**SLURM, "storage": "8Gi"}, Kind.LOSING, "controller 4Gi → 8Gi: its jobs and their history are lost"),
        (DEMO, {**DEMO, "replicas": 1}, Kind.DISRUPTIVE, "fewer pods: 2 → 1"),
        (DEMO, {**DEMO, "replicas": 3}, Kind.IN_PLACE, ""),
        (DEMO, {**DEMO, "expose": {"nodePort": 30101}}, Kind.DISRUPTIVE, "reached at another address"),
        (DEMO, {**DEMO, "expose": {}}, Kind.DISRUPTIVE, "reached at another address"),
        (DEMO, {**DEMO, "secrets": {"KEY": {"config": "two"}}}, Kind.DISRUPTIVE, "workload w restarts"),
        (DEMO, {**DEMO, "port": 9000}, Kind.DISRUPTIVE, "workload w restarts"),
    ],
)
def test_an_edit_of_a_workload_is_judged_by_its_worst_field(
    before: dict[str, Any], after: dict[str, Any] | None, kind: Kind, words: str
) -> None:
    worst = between(before, after)
    assert (worst.tenant, worst.kind) == ("ml", kind)
    assert words in worst.means


@pytest.mark.parametrize(
    ("before", "field", "again"),
    [
        (SLURM, "storage", "4096Mi"),
        (CACHED, "cache", {"size": "20480Mi", "storageClass": "fast"}),
        (CHAT, "weights", "1000M"),
        (CHAT, "cpu", "4000m"),
        (DEMO, "memory", "2048Mi"),
    ],
)
def test_the_same_amount_in_other_units_is_no_change(before: dict[str, Any], field: str, again: Any) -> None:
    """Kubernetes writes both in one way: no volume is made anew, and no pod."""
    assert changes(facts_of(stack(w=before)), facts_of(stack(w={**before, field: again}))) == ()


@pytest.mark.parametrize(
    ("path", "was", "now", "differs"),
    [
        ("teams.ml.resources.memory", "1Gi", "1024Mi", False),
        ("teams.ml.resources.memory", "1Gi", "1G", True),
        ("teams.ml.resources.memory", "1Gi", None, True),
        ("teams.ml.resources.cpu", 4, "4", False),
        ("pools.a.memoryPerNode", "1Ti", "1024Gi", False),
        ("host.headroom.cpu", "500m", "0.5", False),
        # not a quantity, whatever it looks like
        ("host.k3s.version", "1.30", "1.3", True),
        ("teams.ml.workloads.w.model", "1k", "1000", True),
    ],
)
def test_only_quantities_are_compared_by_their_amount(path: str, was: Any, now: Any, differs: bool) -> None:
    assert differ(path, was, now) is differs


@pytest.mark.parametrize(
    ("before", "volume"),
    [
        (DEMO, ""),
        (CHAT, ""),
        (CACHED, ", and its own volume is deleted"),
        ({"kind": "slurm", "gpu": {"count": 8}}, ", and its own volume is deleted"),
    ],
)
def test_a_workload_that_is_removed_loses_the_volume_that_it_has(before: dict[str, Any], volume: str) -> None:
    assert between(before, None).means == f"workload w is removed: its pods end{volume}"


def test_of_a_workload_that_only_the_state_knows_it_is_not_said_that_it_has_a_volume() -> None:
    known = facts_of(stack(w=DEMO))
    old = replace(
        known, tenants={"ml": {p: v for p, v in known.tenants["ml"].items() if not p.startswith("workloads.")}}
    )
    old.tenants["ml"]["workloads.w.kind"] = "app"  # type: ignore[index]  # made just before
    means = changes(old, facts_of(stack()))[0].means
    assert means == "workload w is removed: its pods end, and its own volume, if it has one, is deleted"


@pytest.mark.parametrize("cache", [{"size": "20Gi"}, {"size": "9Gi", "storageClass": "fast"}])
def test_a_cache_that_kubernetes_can_not_change_is_let_through_by_no_override(cache: dict[str, Any]) -> None:
    """A claim that a pod uses does not go, and none shrinks: `up` would wait in vain, or fail."""
    worst = between(CACHED, {**CHAT, "cache": cache})
    assert worst.allow is None
    assert worst.means.endswith("remove the cache in one update, and add it in the next")
    assert between(CACHED, CHAT).allow == "replace"


def test_another_kind_under_one_name_is_let_through_by_no_override() -> None:
    """The engine makes the new Deployment before it deletes the old one, and both would have one name."""
    worst = between(CHAT, {"kind": "app"})
    assert worst.allow is None
    assert "give it another name, or remove it in one update and add it in the next" in worst.means


def test_two_workloads_that_restart_are_two_changes() -> None:
    one, other = stack(a=CHAT, b=CHAT), stack(a={**CHAT, "model": "n"}, b={**CHAT, "model": "n"})
    assert [c.topic for c in changes(facts_of(one), facts_of(other)) if c.kind is Kind.DISRUPTIVE] == [
        "workload a",
        "workload b",
    ]


def test_a_state_knows_which_workloads_there_are() -> None:
    team = {"type": "gpu-tenancy:index:Team", "outputs": {"name": "ml", "pool": "a100"}}
    mine = {"type": tokens.TEAM_WORKLOADS, "outputs": {"team": "ml", "workloads": {"chat": "inference"}}}
    was = facts_in_state({"urn:1": team, "urn:2": mine})
    assert was is not None
    gone = [change for change in changes(was, facts_of(stack())) if change.topic == "workload chat"]
    assert [change.kind for change in gone] == [Kind.LOSING]


# --- steps ----------------------------------------------------------------------------------------------------------


def object_(kind: str, op: str, name: str = "chat") -> dict[str, Any]:
    labels = {LABEL_TEAM: "ml", **selector(name)}
    inputs = {"metadata": {"name": name, "namespace": "workloads", "labels": labels}, "spec": {}}
    urn = f"urn:pulumi:prod::gpu-tenancy::gpu-tenancy:index:Workloads$kubernetes:{kind}::ml-{name}"
    state = {"type": f"kubernetes:{kind}", "inputs": inputs}
    return {"op": op, "urn": urn, "oldState": state, **({"newState": state} if op == "replace" else {})}


def refused(*steps: dict[str, Any], overrides: tuple[Override, ...] = ()) -> list[tuple[str, str]]:
    preview = read_preview(json.dumps({"steps": list(steps), "changeSummary": {}}))
    return said(gate_preview(preview, usage=None, overrides=overrides, today=TODAY))


@pytest.mark.parametrize(
    ("kind", "op", "change"),
    [
        ("apps/v1:Deployment", "delete", "lowerLimit"),
        ("core/v1:PersistentVolumeClaim", "delete", "replace"),
        ("core/v1:PersistentVolumeClaim", "replace", "replace"),
    ],
)
def test_a_workloads_object_that_goes_is_refused(kind: str, op: str, change: Any) -> None:
    assert refused(object_(kind, op)) == [("ml", change)]
    assert refused(object_(kind, op), overrides=(override(change),)) == []


def claim(op: str, before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a team that stays, and of its model server's cache."""
    step = object_("core/v1:PersistentVolumeClaim", op)
    labels = step["oldState"]["inputs"]["metadata"]["labels"]

    def side(spec: dict[str, Any]) -> dict[str, Any]:
        size = {"resources": {"requests": {"storage": spec["size"]}}}
        chosen = {"storageClassName": spec["class"]} if "class" in spec else {}
        return {
            "type": "x",
            "inputs": {"metadata": {"name": "chat-cache", "labels": labels}, "spec": {**size, **chosen}},
        }

    stays = step_of("same", team_of_the_world(), team_of_the_world())
    return [stays, {**step, "oldState": side(before), "newState": side(after)}]


@pytest.mark.parametrize(
    ("op", "after"),
    [("replace", {"size": "20Gi"}), ("replace", {"size": "20Gi", "class": "slow"}), ("update", {"size": "9Gi"})],
)
def test_the_steps_alone_refuse_another_class_or_a_smaller_cache_whatever_overrides_there_are(
    op: str, after: dict[str, Any]
) -> None:
    steps = claim(op, {"size": "20Gi", "class": "fast"}, after)
    assert refused(*steps) == [("ml", "unknown")]
    assert refused(*steps, overrides=(override("replace"),)) == [("ml", "unknown")]


@pytest.mark.parametrize("size", ["20Gi", "20480Mi", "30Gi"])
def test_a_cache_of_the_same_class_that_is_replaced_is_lost_by_an_override(size: str) -> None:
    """For another reason; by its size alone it would grow in place."""
    steps = claim("replace", {"size": "20Gi", "class": "fast"}, {"size": size, "class": "fast"})
    assert refused(*steps) == [("ml", "replace")]
    assert refused(*steps, overrides=(override("replace"),)) == []


def test_a_deployment_that_goes_while_team_and_workload_stay_is_refused() -> None:
    stays = step_of("same", team_of_the_world(), team_of_the_world())
    assert refused(stays, object_("apps/v1:Deployment", "delete")) == [("ml", "lowerLimit")]


def workloads(*names: str) -> dict[str, Any]:
    """The component of a team's workloads, as a preview shows it."""
    said = {"team": "ml", "workloads": dict.fromkeys(names, "inference")}
    return {"type": tokens.TEAM_WORKLOADS, "inputs": said}


@pytest.mark.parametrize(
    ("after", "told"),
    [(("demo",), ("workloads.chat.kind", "workload chat")), (("chat", "demo"), ("", "workload chat"))],
)
def test_an_object_that_goes_with_its_whole_workload_is_told_with_it(after: Any, told: Any) -> None:
    urn = f"urn:pulumi:prod::gpu-tenancy::{tokens.TEAM}${tokens.TEAM_WORKLOADS}::ml-workloads"
    whole = {"op": "update", "urn": urn, "oldState": workloads("chat", "demo"), "newState": workloads(*after)}
    stays = step_of("same", team_of_the_world(), team_of_the_world())
    preview = read_preview(
        json.dumps({"steps": [stays, whole, object_("apps/v1:Deployment", "delete")], "changeSummary": {}})
    )
    (found,) = gate_preview(preview, usage=None, overrides=(), today=TODAY)
    assert found.about == told[1]
    assert ("deletes Deployment" in found.reason) is (told[0] == "")


@pytest.mark.parametrize("kind", ["core/v1:Service", "batch/v1:Job", "networking.k8s.io/v1:Ingress", "core/v1:Secret"])
def test_what_can_be_had_again_may_go(kind: str) -> None:
    assert refused(object_(kind, "delete")) == []


def test_a_deployment_that_is_made_anew_is_no_loss() -> None:
    assert refused(object_("apps/v1:Deployment", "replace")) == []


def test_a_deployment_of_nobody_is_not_known() -> None:
    step = object_("apps/v1:Deployment", "delete")
    del step["oldState"]["inputs"]["metadata"]["labels"]
    assert refused(step) == [("", "unknown")]


def test_a_workloads_objects_are_found_by_the_label_that_they_have() -> None:
    assert selector("chat") == {LABEL_WORKLOAD: "chat"}
