"""KAI's Config is applied while Helm installs KAI, out of Helm's own record, and nothing else is touched. Then KAI's
operator is asked whether KAI works."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from typing import Any

import pytest
import yaml

import kube
from kube import kai_config
from tests.components.test_kube import MISSING, THERE, Server, kubeconfig, serving

RECORDS = "/api/v1/namespaces/kai-scheduler/secrets"
PATH = "/apis/kai.scheduler/v1/configs/kai-config"
TEXT = """
# the chart's own words
apiVersion: kai.scheduler/v1
kind: Config
metadata:
  name: kai-config
spec:
  global: {namespaceLabelSelector: {a: "on"}}
"""
GET = f"GET {PATH}"
PATCH = f"PATCH {PATH} fieldManager=kai-config-deployer"
LIST = f"GET {RECORDS} labelSelector=owner%3Dhelm%2Cname%3Dkai-scheduler%2Cstatus%3Dpending-install"

Answers = dict[tuple[str, str], list[tuple[int, object]]]


def hook(events: list[str], name: str = "kai-config-manifest") -> dict[str, Any]:
    manifest = {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"kai-config.yaml": TEXT}}
    return {"name": name, "kind": "ConfigMap", "events": events, "manifest": yaml.safe_dump(manifest)}


DEPLOYER = hook(["post-install", "post-upgrade"])


def record(*hooks: dict[str, Any], uid: str = "new") -> dict[str, Any]:
    """A Secret as Helm writes it."""
    packed = base64.b64encode(gzip.compress(json.dumps({"name": "kai-scheduler", "hooks": hooks}).encode()))
    data = {"release": base64.b64encode(packed).decode()}
    return {"metadata": {"name": f"sh.helm.release.v1.kai-scheduler.{uid}", "uid": uid}, "data": data}


def found(*records: dict[str, Any]) -> tuple[int, object]:
    return 200, {"kind": "SecretList", "items": [*records]}


def config(status: str = "True", seen: int = 2, kind: str = "Available") -> tuple[int, object]:
    """The Config of generation 2, with a condition that its operator wrote when it saw another one."""
    condition = {"type": kind, "status": status, "observedGeneration": seen}
    return 200, {**THERE, "metadata": {"name": "kai-config", "generation": 2}, "status": {"conditions": [condition]}}


WORKS = config()
WORKING = "KAI works"


def asked_of(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked and told, to the end; fails where anything was raised or printed, even in the thread."""
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    Server.sent.clear()
    with serving(answers) as (text, asked):
        thread = kube.apply_beside_helm(text, "kai-scheduler", "kai-scheduler", lambda: asked.append(WORKING))
        assert thread is not None
        assert thread.daemon, "a program that is done does not wait for it"
        thread.join()
    assert not raised
    return asked


def test_it_is_applied_word_for_word_as_the_charts_own_hook_will_once_helm_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = hook(["post-install"], name="another")
    answers: Answers = {
        ("GET", RECORDS): [found(), found(), found(record(other, DEPLOYER))],
        ("GET", PATH): [(404, MISSING), WORKS],
        ("PATCH", PATH): [(201, THERE)],
    }
    assert asked_of(answers, monkeypatch) == [LIST, LIST, LIST, GET, PATCH, GET, WORKING]
    assert Server.sent == [TEXT]


def test_the_record_of_an_install_that_was_killed_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    old = record(hook(["post-install"]), uid="old")
    answers: Answers = {
        ("GET", RECORDS): [found(old), found(old), found(old, record(DEPLOYER))],
        ("GET", PATH): [(404, MISSING), WORKS],
        ("PATCH", PATH): [(201, THERE)],
    }
    assert asked_of(answers, monkeypatch) == [LIST, LIST, LIST, GET, PATCH, GET, WORKING]


def test_a_config_that_is_there_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Answers = {("GET", RECORDS): [found(), found(record(DEPLOYER))], ("GET", PATH): [(200, THERE), WORKS]}
    assert asked_of(answers, monkeypatch) == [LIST, LIST, GET, GET, WORKING]


@pytest.mark.parametrize(
    "not_yet",
    [
        (404, MISSING),
        (200, THERE),
        (502, "a login page"),
        config("False"),
        config("Unknown"),
        config(seen=1),  # of the generation before
        config(kind="Reconciling"),
    ],
)
def test_it_works_when_its_operator_says_so_of_the_config_that_is_there_now(
    not_yet: tuple[int, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Answers = {
        ("GET", RECORDS): [found(), found(record(DEPLOYER))],
        ("GET", PATH): [(200, THERE), not_yet, not_yet, WORKS],
    }
    assert asked_of(answers, monkeypatch) == [LIST, LIST, GET, GET, GET, GET, WORKING]


def test_a_kai_that_never_works_is_not_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kai_config, "WORKS_SECONDS", 0.02)
    answers: Answers = {
        ("GET", RECORDS): [found(), found(record(DEPLOYER))],
        ("GET", PATH): [(200, THERE), config("False")],
    }
    assert set(asked_of(answers, monkeypatch)) == {LIST, GET}


@pytest.mark.parametrize(
    "hooks", [[], [hook(["pre-install", "pre-upgrade"])], [hook(["post-install"], name="kai-config")]]
)
def test_a_chart_that_does_it_another_way_is_left_alone(
    hooks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Answers = {("GET", RECORDS): [found(), found(record(*hooks))], ("PATCH", PATH): [(201, THERE)]}
    assert asked_of(answers, monkeypatch) == [LIST, LIST]


@pytest.mark.parametrize("last", [(201, THERE), (409, {"message": "conflict"})])
def test_it_is_tried_again_until_its_crd_is_there_and_knows_its_fields_and_a_conflict_ends_it(
    last: tuple[int, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {"message": "failed to create typed patch object: .spec.new: field not declared in schema"}
    answers: Answers = {
        ("GET", RECORDS): [found(), found(record(DEPLOYER))],
        ("GET", PATH): [*[(404, MISSING)] * 4, WORKS],
        ("PATCH", PATH): [(404, MISSING), (404, "404 page not found"), (500, old), last],
    }
    assert asked_of(answers, monkeypatch).count(PATCH) == 4


@pytest.mark.parametrize("data", ["", "no base64", base64.b64encode(b"bm8gZ3ppcA==").decode()])
def test_a_record_that_is_none_ends_it_without_a_word(
    data: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = {"metadata": {"name": "r", "uid": "new"}, "data": {"release": data}}
    assert asked_of({("GET", RECORDS): [found(), found(broken)]}, monkeypatch) == [LIST, LIST]
    assert capfd.readouterr() == ("", "")


def test_where_helm_never_begins_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kai_config, "DEADLINE_SECONDS", 0.02)
    assert set(asked_of({("GET", RECORDS): [found()]}, monkeypatch)) == {LIST}


@pytest.mark.parametrize("text", ["", json.dumps(kubeconfig("http://127.0.0.1:1"))])
def test_an_api_that_does_not_answer_is_no_error_here(text: str) -> None:
    assert kube.apply_beside_helm(text, "kai-scheduler", "kai-scheduler", lambda: None) is None
