"""After an upgrade in place: pods that hold the token of an account that is gone are made anew, and no others."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

import kube
import kube.client
from tests.components.specs import made
from tests.components.test_kube import serving
from tests.recording import Recorder

Declare = Callable[[Any], Recorder]
SPACE = "/api/v1/namespaces/kai-scheduler"
BEFORE, UPGRADE, AFTER = "2026-11-26T05:00:00Z", "2026-11-26T05:10:00Z", "2026-11-26T05:10:09Z"


def account(name: str, since: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": since}}


def pod(name: str, of: str, since: str, kind: str = "ReplicaSet") -> dict[str, Any]:
    owner = [{"kind": kind, "name": name, "controller": True}] if kind else []
    return {
        "metadata": {"name": name, "creationTimestamp": since, "ownerReferences": owner},
        "spec": {"serviceAccountName": of},
    }


def listed(*items: dict[str, Any]) -> tuple[int, object]:
    return 200, {"items": list(items)}


def renewed(accounts: list[tuple[int, object]], *pods: dict[str, Any], settle: float = 0) -> list[str]:
    answers: dict[tuple[str, str], list[tuple[int, object]]] = {
        ("GET", f"{SPACE}/serviceaccounts"): accounts,
        ("GET", f"{SPACE}/pods"): [listed(*pods)],
        **{("DELETE", f"{SPACE}/pods/{each['metadata']['name']}"): [(200, {})] for each in pods},
    }
    with serving(answers) as (text, asked):
        names = kube.renew_pods(text, "kai-scheduler", settle=settle)
    assert [call for call in asked if call.startswith("DELETE")] == [f"DELETE {SPACE}/pods/{name}" for name in names]
    return names


def test_only_what_is_older_than_its_account_is_made_anew() -> None:
    accounts = [listed(account("scheduler", UPGRADE), account("binder", BEFORE))]
    pods = (
        pod("scheduler-0", "scheduler", BEFORE),
        pod("scheduler-1", "scheduler", AFTER),
        pod("scheduler-2", "scheduler", UPGRADE),
        pod("binder-0", "binder", AFTER),
        pod("stranger", "no-account-of-the-list", BEFORE),
    )
    assert renewed(accounts, *pods) == ["scheduler-0"]


def test_a_pod_that_names_no_account_has_the_namespace_s_own() -> None:
    accounts = [listed(account("default", UPGRADE), account("scheduler", BEFORE))]
    assert renewed(accounts, {**pod("bare", "", BEFORE), "spec": {}}) == ["bare"]


def test_what_nobody_would_make_again_stays() -> None:
    pods = pod("hook", "scheduler", BEFORE, "Job"), pod("bare", "scheduler", BEFORE, "")
    assert renewed([listed(account("scheduler", UPGRADE))], *pods) == []


def test_an_account_that_is_made_anew_a_moment_after_helm_is_done_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # a clock that goes a second at each look, so that a slow machine looks as often as a fast one
    clock, pauses = count(100), count()
    monkeypatch.setattr("kube.pods.time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr("kube.pods.pause", lambda: next(pauses))
    late = [listed(account("scheduler", BEFORE)), listed(), listed(account("scheduler", UPGRADE))]
    assert renewed(late, pod("scheduler-0", "scheduler", BEFORE), settle=5) == ["scheduler-0"]
    # until the third look, and then 5 s without one to renew
    assert next(pauses) == 2 + 4


def test_an_account_that_may_not_be_read_is_an_error() -> None:
    answers: dict[tuple[str, str], list[tuple[int, object]]] = {
        ("GET", f"{SPACE}/serviceaccounts"): [(403, {"kind": "Status", "message": "forbidden here"})]
    }
    with serving(answers) as (text, _), pytest.raises(RuntimeError, match="forbidden here"):
        kube.renew_pods(text, "kai-scheduler", settle=0)


def test_every_kai_of_ours_is_looked_after_once_it_was_updated(declare: Declare) -> None:
    assert made(declare("lab"), "ml-scheduler")["release"].after_update == ("ml-scheduler-renew",)
