"""A team's namespace that goes loses its volume claims at once, and Kubernetes looks into it again soon; nothing else
is touched."""

from __future__ import annotations

import threading
from typing import Any

import httpx2
import pytest
from lightkube.config.kubeconfig import SingleConfig

from cli.cluster import target_of
from cli.emptying import Emptying
from kube.client import connect_to
from tests.cli.fake_api import FakeApi, kubeconfig, running
from tests.conftest import HANGS_SECONDS

LIST = "/api/v1/namespaces"
CLAIMS = f"{LIST}/team-ml/persistentvolumeclaims"
GOES = {"deletionTimestamp": "2026-11-26T17:48:38Z"}


def space(name: str, **more: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-of-{name}", **more}}


def claim(name: str, made: str = "2026-11-20T08:00:00Z") -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": made}}


class Counting(FakeApi):
    """An API that says when it was asked for namespaces once more than so many times: after so many whole looks. Each
    namespace has two claims."""

    def __init__(self, looks: int, *spaces: dict[str, Any]) -> None:
        claims = {
            f"{LIST}/{each['metadata']['name']}/persistentvolumeclaims": [claim("data"), claim("c")] for each in spaces
        }
        super().__init__(objects={LIST: list(spaces), **claims})
        self.left, self.enough = looks + 1, threading.Event()
        self.bodies: list[dict[str, Any]] = []
        self.touches: list[tuple[str, dict[str, Any]]] = []
        self.queries: set[tuple[str, str]] = set()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.left -= path == LIST
        if self.left <= 0:
            self.enough.set()
            return 500, {}
        self.bodies += [body] if method == "DELETE" else []
        self.touches += [(path, body)] if method == "PATCH" else []
        self.queries.add((path, self.query))
        return super().answer(method, path, body)

    @property
    def deleted(self) -> list[str]:
        return [path for method, path in self.seen if method == "DELETE"]


def look(api: Counting, *named: str) -> None:
    with running(api), Emptying(target_of(kubeconfig(api.url), "a test"), named, interval=0.001):
        assert api.enough.wait(HANGS_SECONDS)


def test_the_claims_of_a_named_namespace_that_goes_are_deleted_once_and_no_other_s() -> None:
    api = Counting(2, space("team-ml", **GOES), space("team-stays"), space("team-others", **GOES))
    look(api, "team-ml", "team-stays")
    assert api.deleted == [f"{CLAIMS}/data", f"{CLAIMS}/c"]
    assert [body["preconditions"] for body in api.bodies] == [{"uid": "uid-of-data"}, {"uid": "uid-of-c"}]
    assert (LIST, "labelSelector=gpu-tenancy%2Fteam") in api.queries


def test_a_claim_of_a_namespace_that_was_made_anew_under_that_name_is_left_alone() -> None:
    api = Counting(1, space("team-ml", **GOES))
    api.objects[CLAIMS] = [claim("data", "2026-11-26T17:48:51Z"), claim("old")]
    look(api, "team-ml")
    assert api.deleted == [f"{CLAIMS}/old"]


def test_each_look_changes_a_namespace_that_goes_so_that_kubernetes_looks_into_it_5_seconds_later() -> None:
    api = Counting(2, space("team-ml", **GOES), space("team-stays"), space("team-others", **GOES))
    look(api, "team-ml", "team-stays")
    touched = [{"metadata": {"uid": "uid-of-team-ml", "annotations": {"gpu-tenancy/looks": n}}} for n in ("1", "2")]
    assert api.touches == [(f"{LIST}/team-ml", each) for each in touched]


def test_all_looks_go_over_one_connection_because_each_runs_the_credential_plugin_of_a_kubeconfig(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[SingleConfig] = []

    def connect(found: SingleConfig, timeout: httpx2.Timeout) -> httpx2.Client:
        opened.append(found)
        return connect_to(found, timeout)

    class Asked(Counting):
        def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            by.extend([len(opened)] if method == "PATCH" else [])
            return super().answer(method, path, body)

    by: list[int] = []
    monkeypatch.setattr("cli.emptying.connect_to", connect)
    look(Asked(3, space("team-ml", **GOES)), "team-ml")
    assert by == [1, 1, 1]


@pytest.mark.parametrize(("refused", "deleted"), [(f"{LIST}/team-ml", [f"{CLAIMS}/data", f"{CLAIMS}/c"]), (CLAIMS, [])])
def test_what_a_user_may_not_do_is_left_out_and_nothing_is_said(
    capsys: pytest.CaptureFixture[str], refused: str, deleted: list[str]
) -> None:
    api = Counting(2, space("team-ml", **GOES))
    api.refused[refused] = 403
    look(api, "team-ml")
    assert api.deleted == deleted
    assert len(api.touches) == 2
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("code", [403, 500])
def test_a_list_that_is_refused_is_asked_for_again_and_nothing_is_said(
    capsys: pytest.CaptureFixture[str], code: int
) -> None:
    api = Counting(2, space("team-ml", **GOES))
    api.refused[LIST] = code
    look(api, "team-ml")
    assert api.deleted == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("named", [[], ["team-ml"]])
def test_without_a_host_or_a_team_that_goes_nothing_is_asked(named: list[str]) -> None:
    api = Counting(1, space("team-ml", **GOES))
    with running(api):
        host = None if named else target_of(kubeconfig(api.url), "a test")
        with Emptying(host, named, interval=0.001) as emptying:
            emptying._thread.join(HANGS_SECONDS)
            assert not emptying._thread.is_alive(), "there is nothing to look for"
    assert api.seen == []
