"""What the program waits for itself, against a server on this machine."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

import kube
import kube.client
import kube.waits
from tests.components.conftest import MOST_LOOKS
from tests.components.test_kube import MISSING, Server, kubeconfig, serving
from tests.conftest import nobody


class Late:
    """A server that refuses every connection until somebody has tried `refusals` times, like a NodePort that is not
    served yet."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, answers: dict[tuple[str, str], list[tuple[int, object]]]
    ) -> None:
        self.tries = 0
        self._answers, self._open = answers, ExitStack()
        self._held = self._open.enter_context(nobody())
        self.port: int = self._held.getsockname()[1]
        self.text = json.dumps(kubeconfig(f"http://127.0.0.1:{self.port}", token="t"))
        self.asked: list[str] = []
        monkeypatch.setattr(kube.waits, "pause", self._pause)

    def _pause(self) -> None:
        """Each pause is one refused try; after the third the server is there."""
        self.tries += 1
        assert self.tries < MOST_LOOKS, "no end"
        if self.tries == 3:
            _, self.asked = self._open.enter_context(serving(self._answers, self._held))

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Late]]:
    made: list[Late] = []

    def make(answers: dict[tuple[str, str], list[tuple[int, object]]]) -> Late:
        made.append(Late(monkeypatch, answers))
        return made[-1]

    yield make
    for each in made:
        each.close()


NOT_READY = "[-]etcd failed: reason withheld"


class TestWaitUntilItAnswers:
    """A virtual cluster's port is served a moment after its pod is ready, and not while its API server restarts."""

    def test_refused_connections_are_waited_for(self, late: Callable[..., Late]) -> None:
        server = late({("GET", "/readyz"): [(200, "ok")]})
        kube.wait_until_it_answers(server.text, "ml")
        assert server.tries == 3
        assert server.asked == ["GET /readyz"]

    def test_a_server_that_is_up_and_not_ready_is_waited_for(self) -> None:
        with serving({("GET", "/readyz"): [(500, NOT_READY), (401, MISSING), (200, "ok")]}) as (text, asked):
            kube.wait_until_it_answers(text, "ml")
        assert len(asked) == 3

    def test_an_address_that_never_answers_is_an_error_with_team_address_and_fix(
        self, late: Callable[..., Late]
    ) -> None:
        server = late({})
        with pytest.raises(TimeoutError) as caught:
            kube.wait_until_it_answers(server.text, "ml", deadline=-1)
        said = str(caught.value)
        assert f"team ml: its API server does not answer at http://127.0.0.1:{server.port}" in said
        assert "Connection refused" in said
        assert "pod ml-0 in namespace team-ml" in said
        assert "host.address" in said

    def test_the_last_answer_is_told_and_no_credential(self) -> None:
        with serving({("GET", "/readyz"): [(500, NOT_READY)]}) as (text, _), pytest.raises(TimeoutError) as caught:
            kube.wait_until_it_answers(text, "ml", deadline=-1)
        assert "etcd failed" in str(caught.value)
        assert json.loads(text)["users"][0]["user"]["token"] == "t"
        assert "token" not in str(caught.value)


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "vc-ml"},
    "data": {"certificate-authority": "Q0E=", "client-key": "S0VZ"},
}


class TestReadSecret:
    """The Secret lags its Release."""

    PATH = "/api/v1/namespaces/team-ml/secrets/vc-ml"

    def test_it_returns_the_data_once_the_secret_is_there(self) -> None:
        with serving({("GET", self.PATH): [(404, MISSING), (404, MISSING), (200, SECRET)]}) as (text, asked):
            found = kube.read_secret(text, "team-ml", "vc-ml")
        assert found == {"certificate-authority": "Q0E=", "client-key": "S0VZ"}
        assert len(asked) == 3

    def test_a_host_whose_api_server_restarts_is_waited_for(self, late: Callable[..., Late]) -> None:
        server = late({("GET", self.PATH): [(503, "starting"), (200, "a login page"), (200, SECRET)]})
        assert kube.read_secret(server.text, "team-ml", "vc-ml")["client-key"] == "S0VZ"
        assert server.asked == [f"GET {self.PATH}"] * 3

    @pytest.mark.parametrize("code", [401, 403])
    def test_a_missing_right_is_told_at_once(self, code: int) -> None:
        refusal = {**MISSING, "code": code, "reason": "Forbidden", "message": "may not get secrets"}
        with (
            serving({("GET", self.PATH): [(code, refusal)]}) as (text, asked),
            pytest.raises(PermissionError, match="may not get secrets"),
        ):
            kube.read_secret(text, "team-ml", "vc-ml")
        assert len(asked) == 1

    @pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"client-key": 3}}])
    def test_one_without_data_is_empty(self, data: dict[str, object]) -> None:
        with serving({("GET", self.PATH): [(200, {"kind": "Secret", **data})]}) as (text, _):
            assert kube.read_secret(text, "team-ml", "vc-ml") == {}

    def test_a_secret_that_never_comes_names_it_and_the_pod_to_look_at(self) -> None:
        with (
            serving({("GET", self.PATH): [(404, MISSING)]}) as (text, _),
            pytest.raises(TimeoutError, match="pod ml-0") as caught,
        ):
            kube.read_secret(text, "team-ml", "vc-ml", deadline=0.05)
        assert str(MISSING["message"]) in str(caught.value)


class TestReadReport:
    """A check's report, which its team may have changed or deleted."""

    PATH = "/api/v1/namespaces/gpu-check/configmaps/gpu-check-report"

    @pytest.mark.parametrize(("data", "report"), [({"report.json": "[]"}, "[]"), ({"verdict": "pass"}, "{}")])
    def test_it_is_the_text_that_was_written(self, data: dict[str, str], report: str) -> None:
        with serving({("GET", self.PATH): [(503, "starting"), (200, {"kind": "ConfigMap", "data": data})]}) as (
            text,
            _,
        ):
            assert kube.read_report(text, "gpu-check", "gpu-check-report") == report

    @pytest.mark.parametrize(("code", "error"), [(404, LookupError), (503, TimeoutError)])
    def test_one_that_is_gone_is_named_at_once_and_a_server_that_starts_is_waited_for(
        self, monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
    ) -> None:
        waits: list[None] = []
        monkeypatch.setattr(kube.waits, "pause", lambda: waits.append(None))
        with (
            serving({("GET", self.PATH): [(code, MISSING)]}) as (text, _),
            pytest.raises(error, match="ConfigMap gpu-check/gpu-check-report, can't be read: not found"),
        ):
            kube.read_report(text, "gpu-check", "gpu-check-report", deadline=0.05)
        assert bool(waits) is (error is TimeoutError)


NOT_UP = {
    **MISSING,
    "code": 500,
    "reason": "InternalError",
    "message": 'Internal error occurred: failed calling webhook "admission": no endpoints available for service',
}
QUEUE = {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": "ml"}, "spec": {}}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "gpu-check", "namespace": "gpu-check"},
    "spec": {"containers": [{"name": "probe", "image": "i", "env": [{"name": "A", "value": "1"}]}]},
}


@pytest.mark.parametrize(
    "said",
    [
        'failed calling webhook "admission": EOF',
        'no matches for kind "Queue" in version "scheduling.run.ai/v2"',
        "dial tcp 10.96.0.9:443: connect: connection refused",
        'no endpoints available for service "admission"',
        'object is being deleted: jobs.batch "gpu-check" already exists',
    ],
)
def test_what_passes_by_itself_comes_later_and_nothing_else(said: str) -> None:
    assert kube.comes_later(f"Internal error occurred: {said}")
    assert not kube.comes_later('admission webhook "admission" denied the request: queue a has no parent')


@pytest.mark.parametrize(
    ("manifest", "path"),
    [(QUEUE, "/apis/scheduling.run.ai/v2/queues"), (POD, "/api/v1/namespaces/gpu-check/pods")],
    ids=["queue", "pod"],
)
class TestWaitUntilAdmitted:
    """KAI's webhooks answer some time after its release is installed."""

    def test_it_returns_once_the_webhook_answers_and_makes_nothing(self, manifest: dict[str, Any], path: str) -> None:
        with serving({("POST", path): [(500, NOT_UP), (500, NOT_UP), (201, manifest)]}) as (text, asked):
            kube.wait_until_admitted(text, manifest)
        assert asked == [f"POST {path} dryRun=All"] * 3
        assert Server.sent[-3:] == [manifest] * 3

    def test_a_refusal_that_waiting_does_not_change_is_left_to_whoever_makes_the_object(
        self, manifest: dict[str, Any], path: str
    ) -> None:
        for code, answer in (
            (403, {**MISSING, "code": 403, "reason": "Forbidden", "message": "no"}),
            (404, "not found"),
        ):
            with serving({("POST", path): [(code, answer)]}) as (text, asked):
                kube.wait_until_admitted(text, manifest)
            assert len(asked) == 1

    def test_it_ends_at_the_deadline_without_an_error(
        self, manifest: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seconds = itertools.count()
        monkeypatch.setattr(kube.waits, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
        with serving({("POST", path): [(500, NOT_UP)]}) as (text, asked):
            kube.wait_until_admitted(text, manifest, deadline=3)
        assert len(asked) == 2

    def test_an_api_server_that_restarts_is_waited_for(
        self, manifest: dict[str, Any], path: str, late: Callable[..., Late]
    ) -> None:
        server = late({("POST", path): [(201, manifest)]})
        kube.wait_until_admitted(server.text, manifest)
        assert server.asked == [f"POST {path} dryRun=All"]
