"""What it means that a second virtual cluster comes, serves, and goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from preview.changes import Change, changes, snapshots_first
from preview.facts import Facts, facts_of
from preview.gate import gate
from preview.kinds import Kind
from preview.usage import Use, usage_of
from releases import DEFAULT_KUBERNETES
from settings.models import Override, Platform
from tests.report.world import platform, team

TODAY = date(2026, 11, 26)
QUEUES = {"a": {"gpu": 2}, "b": {"gpu": 2}}


def stack(serves: str | None = None, **slots: dict[str, Any]) -> Platform:
    pair = {} if serves is None else {"blueGreen": {"serves": serves, **slots}}
    return platform({"ml": team("a100", 4, 6, version="v0.14.7", queues=QUEUES, **pair)})


BOTH: dict[str, dict[str, Any]] = {"blue": {"gpus": 2}, "green": {"version": "v0.16.8", "gpus": 2}}
ONE, BESIDE, SWITCHED = stack("blue", blue={}), stack("blue", **BOTH), stack("green", **BOTH)
ALONE = stack("green", green=BOTH["green"])


def between(one: Platform, other: Platform, running: dict[str, Any] | None = None) -> dict[str, Change]:
    usage = None if running is None else usage_of(running)
    return {f"{c.tenant} {c.topic}": c for c in changes(facts_of(one), facts_of(other), usage=usage)}


def test_a_team_that_says_blue_green_first_stays_as_it_was() -> None:
    found = between(stack(), ONE).values()
    assert {c.kind for c in found} == {Kind.IN_PLACE}
    assert {c.means for c in found} == {"its GPU check runs again"}


def test_the_new_one_comes_beside_the_one_that_serves_and_nobody_notices() -> None:
    found = between(ONE, BESIDE)
    assert [c.kind for c in found.values()] == [Kind.IN_PLACE]
    means = found["ml-green serves"].means
    assert means.startswith("blue-green: is created beside ml with KAI v0.16.8, vCluster")
    assert "ml (KAI v0.14.7" in means
    assert "downgrade" not in means


def test_an_older_kubernetes_in_the_new_one_is_called_a_downgrade() -> None:
    older = stack("blue", blue={}, green={"kubernetesVersion": "v1.33.4"})
    assert "its Kubernetes is a downgrade, in an empty" in between(ONE, older)["ml-green serves"].means


@pytest.mark.parametrize(("running", "kind"), [(None, Kind.LOSING), (3, Kind.LOSING), (2, Kind.DISRUPTIVE)])
@pytest.mark.parametrize(("one", "other", "goes"), [(BESIDE, SWITCHED, "ml"), (SWITCHED, BESIDE, "ml-green")])
def test_a_switch_says_who_serves_and_is_refused_while_the_old_one_uses_more_than_it_keeps(
    one: Platform, other: Platform, goes: str, running: int | None, kind: Kind
) -> None:
    found = between(one, other, None if running is None else {goes: running})
    said = found[f"{goes} serves"]
    assert (said.kind, said.allow) == (Kind.DISRUPTIVE, None)
    comes = "ml" if goes == "ml-green" else "ml-green"
    assert said.means.startswith(f"blue-green: {comes} (KAI ")
    assert f"{goes} (KAI" in said.means
    assert "needs the other kubeconfig" in said.means
    assert (found[f"{goes} gpus"].kind, found[f"{goes} gpus"].allow) == (
        kind,
        "lowerLimit" if kind is Kind.LOSING else None,
    )


def test_a_switch_to_one_that_is_not_there_says_so() -> None:
    assert "ml-green" in between(ONE, SWITCHED)["ml serves"].means
    assert "which is not there yet and has passed no check" in between(ONE, SWITCHED)["ml serves"].means


@pytest.mark.parametrize(
    "changed",
    [{"version": "v0.16.8"}, {"vclusterVersion": "0.36.0"}, {"kubernetesVersion": "v1.35.0"}],
)
def test_the_one_that_serves_changes_no_version_in_place(changed: dict[str, str]) -> None:
    refused = [c for c in between(BESIDE, stack("blue", **{**BOTH, "blue": changed})).values() if c.kind.refused]
    assert [(c.tenant, c.allow) for c in refused] == [("ml", "replace")], refused
    assert "write the version into the slot that does not serve" in refused[0].means


def test_the_one_beside_changes_in_place() -> None:
    other = stack("blue", blue={}, green={"version": "v0.12.23", "gpus": 2})
    found = between(BESIDE, other)
    assert {c.tenant for c in found.values() if c.means} == {"ml-green"}
    assert not any(c.kind.refused for c in found.values() if c.topic == "scheduler")


def use(gpus: int, **more: int) -> Use:
    bounds = {"requests.nvidia.com/gpu": gpus, **{k.replace("_", "."): v for k, v in more.items()}}
    return replace(Use(), bounds={key: Decimal(value) for key, value in bounds.items()})


GIB = 2**30


@pytest.mark.parametrize(
    ("in_use", "kind", "why"),
    [
        (use(0, requests_storage=5 * GIB), Kind.DISRUPTIVE, "its volumes, too"),
        (use(0, requests_storage=6 * GIB), Kind.LOSING, "; it has volumes of 1 GiB"),
        (use(0), Kind.LOSING, "; whether it has volumes is not known"),
        (use(1, requests_storage=5 * GIB), Kind.LOSING, "; 1 of its GPUs is in use"),
        (use(2, requests_storage=6 * GIB), Kind.LOSING, "; 2 of its GPUs are in use"),
        (replace(Use(), bounds={"requests.storage": Decimal(0)}), Kind.LOSING, "; what it uses is not known"),
        (None, Kind.LOSING, "; what it uses is not known"),
    ],
)
def test_the_old_one_goes_unasked_only_where_it_holds_neither_gpus_nor_volumes(
    in_use: Use | None, kind: Kind, why: str
) -> None:
    usage = None if in_use is None else {"ml": in_use}
    (said,) = (c for c in changes(facts_of(SWITCHED), facts_of(ALONE), usage=usage) if c.tenant == "ml")
    assert (said.kind, said.allow) == (kind, "delete" if kind is Kind.LOSING else None)
    assert said.means.startswith("blue-green: ml-green serves alone, ml (KAI v0.14.7")
    assert said.means.endswith(why)
    allowed = Override.model_validate(
        {"team": "ml", "allow": ["delete"], "until": "2026-11-30", "reason": "moved to the other one"}
    )
    old, new = facts_of(SWITCHED), facts_of(ALONE)
    assert bool(gate(old, new, usage=usage, overrides=[], today=TODAY)) == (kind is Kind.LOSING)
    assert gate(old, new, usage=usage, overrides=[allowed], today=TODAY) == []


def test_the_snapshot_before_a_switch_is_of_the_one_that_served() -> None:
    kept = {"vcluster": {"snapshots": {"beforeChanges": True}}}
    one, other = (
        platform({"ml": team("a100", 4, 6, version="v0.14.7", queues=QUEUES, blueGreen={"serves": s, **BOTH}, **kept)})
        for s in ("blue", "green")
    )
    assert "teams.ml.blueGreen.serves" in {change.path for change in changes(facts_of(one), facts_of(other))}
    found = snapshots_first(other, facts_of(one), facts_of(other))
    assert "ml" in found


def test_facts_of_a_slot_are_a_tenants_own() -> None:
    facts: Facts = facts_of(SWITCHED)
    assert facts.tenants["ml-green"]["vcluster.kubernetesVersion"] == DEFAULT_KUBERNETES
    assert not any(path.startswith("blueGreen.") for known in facts.tenants.values() for path in known)
