"""Two virtual clusters of one team: what is declared, what a switch changes, and who gets GPUs first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import kube
from components.team.team import checked
from components.team.tenant import facts, resolve
from settings.load import parse_platform
from tests.components.test_kube import serving
from tests.conftest import Declare, platform_of
from tests.recording import Recorder, answered

PATH = "/api/v1/namespaces/team-ml/resourcequotas/tenant"


def lab(serves: str = "blue", *, gpus: int = 3, **slots: Any) -> dict[str, Any]:
    """The lab, whose team ml has two virtual clusters."""
    data = platform_of("lab")
    data["teams"], data["check"] = {"ml": data["teams"]["ml"]}, {"host": False}
    slots = slots or {"blue": {}, "green": {"version": "v0.16.8"}}
    data["teams"]["ml"] |= {"blueGreen": {"serves": serves, **slots}, "resources": {"gpus": gpus, "cpu": 2, "pods": 20}}
    data["teams"]["ml"] |= {"queues": {"training": {"gpu": {"quota": 2, "limit": 3}}, "notebooks": {"gpu": 1}}}
    return data


def bound(recorder: Recorder, tenant: str) -> int:
    quota = recorder.one("kubernetes:core/v1:ResourceQuota", f"{tenant}-guardrails-quota")
    return int(quota.inputs["spec"]["hard"]["requests.nvidia.com/gpu"])


def test_the_one_that_serves_has_the_teams_gpus_and_the_other_one_few(declare: Declare) -> None:
    blue, green = declare(lab()), declare(lab("green"))
    assert [bound(blue, t) for t in ("ml", "ml-green")] == [3, 1]
    assert [bound(green, t) for t in ("ml", "ml-green")] == [1, 3]


def test_a_switch_makes_nothing_anew_and_restarts_nothing(declare: Declare) -> None:
    before, after = declare(lab()), declare(lab("green"))
    assert {each.name for each in before.resources} == {each.name for each in after.resources}
    olds = {each.name: each for each in before.resources}
    components = "gpu-tenancy:index:"  # these say who serves, and nothing runs because of that
    changed = {
        each.name
        for each in after.resources
        if each.inputs != olds[each.name].inputs and not each.type.startswith(components)
    }
    numbers = ("guardrails-quota", "queues-parent", "queues-training", "queues-notebooks")
    assert changed == {f"{tenant}-{name}" for tenant in ("ml", "ml-green") for name in numbers}


def test_only_the_one_that_serves_is_protected(declare: Declare) -> None:
    team = "gpu-tenancy:index:Team"
    for serves, wanted in (("blue", [True, False]), ("green", [False, True])):
        recorder = declare(lab(serves))
        assert [recorder.one(team, name).options.protect for name in ("ml", "ml-green")] == wanted


def test_a_slot_is_told_by_its_facts_and_a_team_without_has_the_facts_that_it_had() -> None:
    found = resolve(parse_platform(lab("green"), "test"))
    assert {name: (facts(t)["blueGreen"], facts(t)["canaryOf"]) for name, t in found.items()} == {
        "ml": ("blue", "ml-green"),
        "ml-green": ("green", None),
    }
    assert all("blueGreen" not in facts(tenant) for tenant in resolve(parse_platform(platform_of("lab"), "x")).values())


def test_what_a_check_proves_of_a_slot_does_not_depend_on_who_serves() -> None:
    one, other = (resolve(parse_platform(lab(serves), "test")) for serves in ("blue", "green"))
    assert {name: (checked(t), t.check_queue, t.team.check) for name, t in one.items()} == {
        name: (checked(t), t.check_queue, t.team.check) for name, t in other.items()
    }


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [(None, 3, True), (0, 1, True), (1, 3, True), (3, 1, False), (3, 3, False), (1, 0, False)],
)
def test_more_gpus_wait_until_the_other_one_has_fewer_and_fewer_wait_for_nobody(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, before: int | None, after: int, asked: bool
) -> None:
    recorder = declare(lab("green"))
    for tenant, beside in (("ml-green", {"team-ml": 1}), ("ml", {"team-ml-green": 3})):
        hook = recorder.hooks.by_name[f"{tenant}-guardrails-lowered"]
        seen: list[object] = []
        monkeypatch.setattr(kube, "wait_until_lowered", lambda _, bounds, seen=seen: seen.append(bounds))
        old, new = (
            None if gpus is None else {"spec": {"hard": {"requests.nvidia.com/gpu": str(gpus)} if gpus else {}}}
            for gpus in (before, after)
        )
        answered(hook.callback(SimpleNamespace(old_inputs=old, new_inputs=new)))
        assert seen == ([beside] if asked else [])


def test_a_team_alone_waits_for_nobody(declare: Declare) -> None:
    quota = declare("lab").one("kubernetes:core/v1:ResourceQuota", "ml-guardrails-quota")
    assert not list(quota.options.hooks.before_update)


def quota(spec: int, status: int | None = None) -> tuple[int, object]:
    found = {"spec": {"hard": {"requests.nvidia.com/gpu": str(spec)}}}
    return 200, found if status is None else {**found, "status": {"hard": {"requests.nvidia.com/gpu": str(status)}}}


def test_the_wait_ends_when_the_bound_is_low_enough_or_is_not_there() -> None:
    answers = [quota(3), (500, {"message": "busy"}), quota(1, status=3), quota(1, status=1)]
    with serving({("GET", PATH): answers}) as (text, asked):
        kube.wait_until_lowered(text, {"team-ml": 1})
    assert len(asked) == 4
    with serving({("GET", PATH): [(404, {"message": "none"})]}) as (text, asked):
        kube.wait_until_lowered(text, {"team-ml": 1})
    assert len(asked) == 1
    # one that bounds no GPUs gives none
    with serving({("GET", PATH): [(200, {"spec": {"hard": {"pods": "9"}}})]}) as (text, asked):
        kube.wait_until_lowered(text, {"team-ml": 0})
    assert len(asked) == 1


def test_a_bound_that_is_never_lowered_is_an_error_that_names_it() -> None:
    with serving({("GET", PATH): [quota(3)]}) as (text, _), pytest.raises(TimeoutError) as caught:
        kube.wait_until_lowered(text, {"team-ml": 1}, deadline=-1)
    assert str(caught.value) == (
        "ResourceQuota team-ml/tenant was not lowered to 1 GPUs in -1 s (it is 3), so nobody else gets them. See why, "
        "and run the update again"
    )


def test_every_bound_is_waited_for() -> None:
    other = PATH.replace("team-ml", "team-other")
    answers = {("GET", PATH): [quota(1)], ("GET", other): [quota(2), quota(0)]}
    with serving(answers) as (text, asked):
        kube.wait_until_lowered(text, {"team-ml": 1, "team-other": 0})
    assert asked == [f"GET {PATH}", f"GET {other}"] * 2
