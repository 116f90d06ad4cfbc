"""A tenant's KAI queues: whole specs."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.output import Unknown

import kube
from components.team.queues import leaf_spec
from components.team.tenant import resolve
from settings.load import parse_platform
from tests.components.program import QUEUE, lab
from tests.components.specs import Made, made, of_team, plain
from tests.conftest import Declare
from tests.recording import answered

FREE = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
AT_ONCE = {"pulumi.com/deletionPropagationPolicy": "background"}


def queue(team: str, name: str, gpu: dict[str, float], **more: Any) -> dict[str, Any]:
    """A whole Queue; `gpu` is quota, limit and weight."""
    return {
        "metadata": {"name": name, "labels": of_team(team), "annotations": AT_ONCE},
        "spec": {"resources": {"gpu": gpu, "cpu": FREE, "memory": FREE}, **more},
    }


def gpu(quota: float, limit: float, weight: float = 1) -> dict[str, float]:
    return {"quota": quota, "limit": limit, "overQuotaWeight": weight}


def host_mode(**changes: Any) -> dict[str, Any]:
    """The lab's `research` alone, under the host's KAI."""
    data = lab("research", host={"provider": "lab", "scheduler": {"version": "v0.16.8"}})
    data["teams"]["research"].update(scheduler={"mode": "host"}, check={})
    data["teams"]["research"].update(changes)
    return data


def specs(found: dict[str, Made]) -> dict[str, Any]:
    return {name: each.spec for name, each in found.items()}


def test_in_a_virtual_cluster_a_leaf_has_its_own_name_and_goes_with_the_cluster(declare: Declare) -> None:
    found = made(declare("lab"), "ml-queues")
    assert specs(found) == {
        "parent": queue("ml", "ml", gpu(3, 4), displayName="ml"),
        "training": queue("ml", "training", gpu(2, 4, 2), displayName="training", parentQueue="ml", priority=100),
        "notebooks": queue("ml", "notebooks", gpu(1, 2), displayName="notebooks", parentQueue="ml", priority=50),
    }
    for name, each in found.items():
        assert each.provider == "ml-virtual-cluster-inner"
        assert each.goes_with == "ml-virtual-cluster-vcluster"
        assert "ml-scheduler-release" in each.needs
        assert ("ml-queues-parent" in each.needs) is (name != "parent"), "a leaf without its parent is dropped by KAI"


def test_on_the_host_the_team_stands_before_a_leafs_name_and_the_check_has_a_leaf_of_its_own(declare: Declare) -> None:
    found = made(declare(host_mode()), "research-queues")
    leaf = {"parentQueue": "research"}
    assert specs(found) == {
        "parent": queue("research", "research", gpu(8, 8), displayName="research"),
        "experiments": queue(
            "research", "research-experiments", gpu(8, 8), displayName="experiments", priority=100, **leaf
        ),
        # nothing guaranteed and no share of the rest: KAI reclaims nothing for it
        "gpu-check": queue("research", "research-gpu-check", gpu(0, 1, 0), displayName="gpu-check", priority=1, **leaf),
    }
    for each in found.values():
        assert (each.provider, each.goes_with) == ("host-provider", "")
        assert "host-scheduler-release" in each.needs


def test_a_check_that_names_a_queue_goes_through_it_and_needs_none_of_its_own(declare: Declare) -> None:
    recorder = declare(host_mode(check={"queue": "experiments"}))
    assert set(made(recorder, "research-queues")) == {"parent", "experiments"}
    job = made(recorder, "research-check")["job"].spec["spec"]["template"]["metadata"]["labels"]
    assert job["kai.scheduler/queue"] == "research-experiments"


def test_the_check_of_a_team_on_the_host_asks_through_its_own_leaf_and_may_be_preempted(declare: Declare) -> None:
    template = made(declare(host_mode()), "research-check")["job"].spec["spec"]["template"]
    assert template["metadata"]["labels"]["kai.scheduler/queue"] == "research-gpu-check"
    assert template["metadata"]["labels"]["priorityClassName"] == "train"


def test_a_team_without_a_check_has_no_queue_for_one(declare: Declare) -> None:
    assert set(made(declare(host_mode(check={"enabled": False})), "research-queues")) == {"parent", "experiments"}


def test_under_a_kai_that_is_the_clusters_own_a_team_has_its_queues_too(declare: Declare) -> None:
    data = host_mode()
    data["host"]["scheduler"]["owner"] = "cluster"
    found = made(declare(data), "research-queues")
    assert set(found) == {"parent", "experiments", "gpu-check"}
    assert not any("host-scheduler-release" in each.needs for each in found.values())


def test_a_leaf_that_is_called_parent_is_a_queue_like_any(declare: Declare) -> None:
    data = lab("research", teams__research__queues={"parent": {"gpu": 8}})
    found = made(declare(data), "research-queues")
    assert {name: each.spec["metadata"]["name"] for name, each in found.items()} == {
        "parent": "research",
        "leaf-parent": "parent",
    }


def test_a_leaf_has_the_runtimes_that_the_stack_file_gives_it_and_no_others() -> None:
    queues = {"one": {"gpu": 1, "preemptMinRuntime": "10m", "reclaimMinRuntime": "5m"}, "two": {"gpu": 1}}
    tenant = resolve(parse_platform(lab("ml", teams__ml__queues=queues, teams__ml__check={}), "test"))["ml"]
    plain_leaf = queue("ml", "two", gpu(1, 1), displayName="two", parentQueue="ml", priority=100)["spec"]
    assert leaf_spec(tenant, "two") == plain_leaf
    runtimes = {"preemptMinRuntime": "10m", "reclaimMinRuntime": "5m"}
    assert leaf_spec(tenant, "one") == {**plain_leaf, "displayName": "one", **runtimes}


def test_before_a_queue_its_webhook_is_asked_for_that_very_queue(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(kube, "wait_until_admitted", lambda _, manifest: asked.append(manifest))
    recorder = declare("lab")
    queues = [each for each in recorder.of_type(QUEUE) if each.name.startswith("ml-queues-")]
    for each in queues:
        for event in (each.options.hooks.before_create, each.options.hooks.before_update):
            answered(recorder.hooks.by_name[event[-1]].callback(None))
    assert asked == [plain(each.inputs) for each in queues for _ in range(2)]


def test_a_dead_kai_holds_no_queues_deletion(declare: Declare) -> None:
    # in the foreground a deletion ends with an update, and for updates KAI's webhook is asked
    for data in ("lab", host_mode()):
        for resource in declare(data).of_type(QUEUE):
            assert resource.metadata["annotations"]["pulumi.com/deletionPropagationPolicy"] == "background"


def test_a_preview_asks_no_webhook_of_a_kai_that_is_to_be_made_and_a_queue_that_is_there_shows_no_change(
    declare: Declare,
) -> None:
    # the provider asks the API server for a dry run unless a value is unknown; a Release's status is, while it changes
    for data, queues in ((lab("ml"), "ml-queues"), (host_mode(), "research-queues")):
        for each in made(declare(data, preview=True), queues).values():
            assert isinstance(each.spec["spec"]["displayName"], Unknown)
            assert each.ignored == ("spec.displayName",)
    data = host_mode()
    data["host"]["scheduler"]["owner"] = "cluster"
    shown = [each.spec["spec"]["displayName"] for each in made(declare(data, preview=True), "research-queues").values()]
    assert sorted(shown) == ["experiments", "gpu-check", "research"]
