"""A paused team: its pods are stopped, its GPUs are others', and everything that it keeps stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import kube
import kube.client
import kube.pods
from components.team.tenant import Tenant, quota_hard, resolve
from names import GPU
from settings.load import parse_platform
from tests.components.program import alone
from tests.components.specs import made
from tests.components.test_kube import serving
from tests.recording import Recorder
from tests.settings.build import mistakes, raw

Declare = Callable[[Any], Recorder]
PODS = "/api/v1/namespaces/team-ml/pods"
KEPT = {"vcluster.loft.sh/namespace": ("kube-system", "kai-scheduler")}


def lab(state: str) -> dict[str, Any]:
    data = alone("lab", "ml")
    data["teams"]["ml"].update(state=state, check={})
    return data


def tenant(state: str) -> Tenant:
    return resolve(parse_platform(lab(state), "test"))["ml"]


def test_its_gpus_are_free_for_others_until_it_is_resumed() -> None:
    more: dict[str, object] = {
        "teams.research.resources.gpus": 4,
        "teams.research.queues": {"work": {"gpu": 4}},
    }
    assert mistakes({**more, "teams.ml.state": "paused"}) == []
    assert "node gpu-0: ml 2 + research 4 = 6 of 4" in mistakes({**more, "teams.ml.state": "active"})[0]


def test_what_is_wrong_with_it_is_told_while_it_is_paused() -> None:
    wrong: dict[str, object] = {"teams.ml.queues.training.gpu": {"quota": 3, "limit": 3}, "teams.ml.state": "paused"}
    assert any("at most the team's limit 2" in line for line in mistakes(wrong))


def test_its_canary_is_paused_with_it() -> None:
    canary = {"teams.ml.scheduler.canary": {"version": "v0.16.8", "gpus": 1}, "teams.ml.state": "paused"}
    found = resolve(parse_platform(raw(canary), "test"))
    assert {name: found[name].gpu_limit for name in ("ml", "ml-canary")} == {"ml": 0, "ml-canary": 0}


def test_the_host_bounds_it_to_what_its_own_control_plane_needs() -> None:
    active, paused = quota_hard(tenant("active")), quota_hard(tenant("paused"))
    assert (active[f"requests.{GPU}"], paused[f"requests.{GPU}"]) == ("4", "0")
    assert int(paused["pods"]) == tenant("paused").cost.pods + 10
    # what is kept on volumes stays
    assert paused["requests.storage"] == active["requests.storage"]


def test_nothing_of_its_virtual_cluster_changes_so_its_api_server_stays_up(declare: Declare) -> None:
    active, paused = (made(declare(lab(state)), "ml-virtual-cluster") for state in ("active", "paused"))
    assert active == paused


def test_its_queues_stay_and_give_nothing(declare: Declare) -> None:
    active, paused = (made(declare(lab(state)), "ml-queues") for state in ("active", "paused"))
    assert active.keys() == paused.keys()
    for queue in paused.values():
        gpu = queue.spec["spec"]["resources"]["gpu"]
        assert (gpu["quota"], gpu["limit"]) == (0, 0)


def test_its_pods_are_stopped_once_no_new_one_may_start_and_nothing_checks_it(declare: Declare) -> None:
    recorder = declare(lab("paused"))
    mark = made(recorder, "ml-pause")["mark"]
    assert mark.before_create == ("ml-pause-stop",)
    assert {"ml-guardrails-quota", "ml-admission-binding"} <= mark.needs
    # a tenant whose API is down is stopped all the same
    assert not any(need.startswith(("ml-virtual-cluster", "ml-queues")) for need in mark.needs)
    assert not any(resource.name.startswith("ml-check") for resource in recorder.resources)
    active = [resource.name for resource in declare(lab("active")).resources]
    assert any(name.startswith("ml-check") for name in active)
    assert not any("pause" in name for name in active)


def test_only_its_dns_and_its_scheduler_may_start_pods(declare: Declare) -> None:
    recorder = declare(lab("paused"))
    *before, last = made(recorder, "ml-admission")["policy"].spec["spec"]["validations"]
    assert last["message"].startswith("gpu-tenancy rule paused, team ml: the team is paused")
    assert "['kube-system','kai-scheduler']" in last["expression"]
    # a preview shows one rule more, and no other that moved
    assert before == made(declare(lab("active")), "ml-admission")["policy"].spec["spec"]["validations"]


def pod(name: str, inside: str, **metadata: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"vcluster.loft.sh/namespace": inside}, **metadata}}


def listing(*pods: dict[str, Any]) -> tuple[int, object]:
    return 200, {"items": list(pods)}


class TestStopping:
    """Pods are deleted by name and waited for; those of tenancy stay."""

    def test_pods_of_tenancy_stay_and_all_others_are_waited_for(self) -> None:
        dns, mine, late = pod("dns", "kube-system"), pod("mine", "work"), pod("late", "work")
        going = pod("mine", "work", deletionTimestamp="2026-11-26T00:00:00Z")
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("GET", PODS): [listing(dns, mine), listing(dns, going), listing(dns), listing(dns, late), listing(dns)],
            ("DELETE", f"{PODS}/mine"): [(200, {})],
            ("DELETE", f"{PODS}/late"): [(200, {})],
        }
        with serving(answers) as (text, asked):
            assert kube.stop_pods(text, "team-ml", label="ours", kept=KEPT) == ["mine", "late"]
        assert [call for call in asked if call.startswith("DELETE")] == [f"DELETE {PODS}/mine", f"DELETE {PODS}/late"]
        assert asked[0] == f"GET {PODS} labelSelector=ours"

    def test_three_looks_in_a_row_without_a_pod_are_the_end(self) -> None:
        dns, late = listing(pod("dns", "kube-system")), listing(pod("late", "work"))
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("GET", PODS): [dns],
            ("DELETE", f"{PODS}/late"): [(200, {})],
        }
        with serving(answers) as (text, asked):
            assert kube.stop_pods(text, "team-ml", label="ours", kept=KEPT) == []
            assert len(asked) == 3
            asked.clear()
            answers["GET", PODS][:] = [dns, dns, late, dns]
            assert kube.stop_pods(text, "team-ml", label="ours", kept=KEPT) == ["late"]
        assert [call.split()[0] for call in asked] == ["GET", "GET", "GET", "DELETE", "GET", "GET", "GET"]

    def test_a_pod_that_comes_again_under_its_name_is_stopped_again_and_one_that_goes_already_is_ours_too(self) -> None:
        again = pod("again", "work")
        going = pod("going", "work", deletionTimestamp="2026-11-26T00:00:00Z")
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("GET", PODS): [listing(again, going), listing(again, going), listing()],
            ("DELETE", f"{PODS}/again"): [(200, {})],
            ("DELETE", f"{PODS}/going"): [(200, {})],
        }
        with serving(answers) as (text, asked):
            assert kube.stop_pods(text, "team-ml", label="ours", kept=KEPT) == ["again", "going"]
        deleted = [call.rpartition("/")[2] for call in asked if call.startswith("DELETE")]
        assert deleted == ["again", "going", "again"]

    def test_work_on_a_gpu_is_stopped_in_tenancy_s_own_namespaces_too(self) -> None:
        hidden = pod("hidden", "kube-system")
        hidden["spec"] = {"containers": [{"name": "side"}, {"name": "x", "resources": {"limits": {GPU: "1"}}}]}
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("GET", PODS): [listing(pod("dns", "kube-system"), hidden), listing(pod("dns", "kube-system"))],
            ("DELETE", f"{PODS}/hidden"): [(200, {})],
        }
        with serving(answers) as (text, _):
            assert kube.stop_pods(text, "team-ml", label="ours", kept=KEPT) == ["hidden"]

    def test_one_that_never_ends_is_named(self) -> None:
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("GET", PODS): [listing(pod("stuck", "work"))],
            ("DELETE", f"{PODS}/stuck"): [(200, {})],
        }
        with serving(answers) as (text, _), pytest.raises(TimeoutError, match="still there: stuck"):
            kube.stop_pods(text, "team-ml", label="ours", kept=KEPT, deadline=0.05)

    def test_pods_that_can_not_be_listed_are_an_error(self) -> None:
        refused = {"kind": "Status", "message": "pods is forbidden"}
        with serving({("GET", PODS): [(403, refused)]}) as (text, _), pytest.raises(RuntimeError, match="is forbidden"):
            kube.stop_pods(text, "team-ml", label="ours", kept=KEPT)
