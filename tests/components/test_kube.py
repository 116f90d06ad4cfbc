"""Kubeconfigs, and the few calls that the program makes itself, against a server on this machine."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
import yaml

import kube
import kube.client
import kube.waits
from releases import KAI_OPERATOR, Leftover
from tests.serving import serving as serving_it

CONFIG = Leftover(api_version="kai.scheduler/v1", kind="Config", name="kai-config")
PATH = "/apis/kai.scheduler/v1/configs/kai-config"


def kubeconfig(url: str = "https://10.0.0.1", **user: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in ("one", "two")],
        "clusters": [{"name": n, "cluster": {"server": url}} for n in ("one", "two")],
        "users": [{"name": "one", "user": user}, {"name": "two", "user": {"token": "of-another-cluster"}}],
    }


class TestOneContext:
    """Credentials of other clusters must not travel into a stack's state."""

    def test_only_the_wanted_context_is_kept(self) -> None:
        text, name = kube.one_context(yaml.safe_dump(kubeconfig(token="mine")), None, "here")
        assert name == "one"
        assert "mine" in text
        assert "of-another-cluster" not in text

    def test_a_context_that_does_not_exist_lists_those_that_do(self) -> None:
        with pytest.raises(kube.KubeconfigError, match=r"here: no context 'three'; it has: one, two"):
            kube.one_context(yaml.safe_dump(kubeconfig()), "three", "here")

    @pytest.mark.parametrize("text", ["", "a: [", "just words"])
    def test_what_is_no_kubeconfig_says_so(self, text: str) -> None:
        with pytest.raises(kube.KubeconfigError, match="not a kubeconfig"):
            kube.one_context(text, None, "here")

    def test_certificates_named_by_a_relative_path_are_read_in(self, tmp_path: Path) -> None:
        (tmp_path / "me.crt").write_text("CERT")
        given = kubeconfig(**{"client-certificate": "me.crt"})
        text, _ = kube.one_context(yaml.safe_dump(given), None, "here", base=tmp_path)
        user = json.loads(text)["users"][0]["user"]
        assert user == {"client-certificate-data": base64.b64encode(b"CERT").decode()}

    def test_a_certificate_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        given = kubeconfig(**{"client-key": "gone.key"})
        with pytest.raises(kube.KubeconfigError, match=r"client-key .*gone\.key can't be read"):
            kube.one_context(yaml.safe_dump(given), None, "here", base=tmp_path)


APPLIED = {
    "Content-Type": "application/apply-patch+yaml",
    "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json",
}
"""Headers of a server-side apply."""


class Server(BaseHTTPRequestHandler):
    """Answers with what `answers` holds: (method, path) to a list of (code, body), the last one for ever."""

    answers: dict[tuple[str, str], list[tuple[int, object]]]
    asked: list[str]
    sent: list[object] = []  # noqa: RUF012  of the last test

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        self.asked.append(f"{self.command} {path} {query}".strip())
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command in ("POST", "PATCH"):
            self.sent.append(json.loads(sent) if sent.startswith(b"{") else sent.decode())
        found = self.answers.get((self.command, path), [(404, "404 page not found")])
        code, body = found.pop(0) if len(found) > 1 else found[0]
        if self.command == "PATCH" and {name: self.headers[name] for name in APPLIED} != APPLIED:
            code, body = 415, "no server-side apply, or one that is answered with all of the object"
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815  the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Not on the console."""


@contextmanager
def serving(
    answers: dict[tuple[str, str], list[tuple[int, object]]], held: socket.socket | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Serve the answers; `held`: a bound socket to listen on, else a port of its own."""
    asked: list[str] = []
    handler = type("Handler", (Server,), {"answers": answers, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=held is None)
    if held is not None:
        server.socket.close()
        server.socket, server.server_address = held, held.getsockname()
        server.server_port = server.server_address[1]
        server.server_activate()
    with serving_it(server):
        yield json.dumps(kubeconfig(f"http://127.0.0.1:{server.server_port}", token="t")), asked


MISSING = {"kind": "Status", "code": 404, "status": "Failure", "reason": "NotFound", "message": "not found"}
THERE = {"apiVersion": "kai.scheduler/v1", "kind": "Config", "metadata": {"name": "kai-config"}}


class TestPut:
    """An object that no state holds."""

    MAP: ClassVar = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {}}
    WHERE = "/api/v1/namespaces/n/configmaps/c"

    def test_it_is_applied_whatever_is_there(self) -> None:
        with serving({("PATCH", self.WHERE): [(201, self.MAP)]}) as (text, asked):
            kube.put(text, self.MAP)
        assert asked == [f"PATCH {self.WHERE} fieldManager=gpu-tenancy&force=true"]

    def test_a_refusal_names_the_object_and_says_the_servers_words(self) -> None:
        refused = {"kind": "Status", "message": "configmaps is forbidden"}
        with (
            serving({("PATCH", self.WHERE): [(403, refused)]}) as (text, _),
            pytest.raises(RuntimeError, match="ConfigMap n/c can't be written: configmaps is forbidden"),
        ):
            kube.put(text, self.MAP)


class TestOwningKinds:
    """CRDs that go when a namespace does."""

    NAMESPACE: ClassVar = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "uid": "u-1"}}
    WHERE = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    def test_each_gets_the_namespace_as_owner_and_keeps_all_else(self) -> None:
        Server.sent.clear()
        there: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("PATCH", f"{self.WHERE}/{crd}"): [(200, {})] for crd in ("a.x", "b.y")
        }
        with serving({("GET", "/api/v1/namespaces/n"): [(200, self.NAMESPACE)], **there}) as (text, asked):
            kube.own_kinds(text, "n", ["a.x", "b.y"])
        applied = "fieldManager=gpu-tenancy&force=true"
        patches = [f"PATCH {self.WHERE}/a.x {applied}", f"PATCH {self.WHERE}/b.y {applied}"]
        assert asked == ["GET /api/v1/namespaces/n", *patches]
        owner = {"apiVersion": "v1", "kind": "Namespace", "name": "n", "uid": "u-1"}
        assert Server.sent == [
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": crd, "ownerReferences": [owner]},
            }
            for crd in ("a.x", "b.y")
        ]

    def test_an_owner_that_nobody_told_is_none(self) -> None:
        with (
            serving({("GET", "/api/v1/namespaces/n"): [(200, "a login page")]}) as (text, asked),
            pytest.raises(httpx2.DecodingError, match="what answers is not a Kubernetes API"),
        ):
            kube.own_kinds(text, "n", ["a.x"])
        assert asked == ["GET /api/v1/namespaces/n"]

    def test_a_crd_that_is_not_there_is_named(self) -> None:
        refused = {"kind": "Status", "message": "spec.group: Required value"}
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("GET", "/api/v1/namespaces/n"): [(200, self.NAMESPACE)],
            ("PATCH", f"{self.WHERE}/a.x"): [(422, refused)],
        }
        said = "CustomResourceDefinition a.x can't be written: spec.group: Required value"
        with serving(answers) as (text, _), pytest.raises(RuntimeError, match=said):
            kube.own_kinds(text, "n", ["a.x"])

    def test_without_the_namespace_nothing_gets_an_owner(self) -> None:
        with serving({}) as (text, asked), pytest.raises(RuntimeError, match="Namespace n can't be read: HTTP 404"):
            kube.own_kinds(text, "n", ["a.x"])
        assert asked == ["GET /api/v1/namespaces/n"]


class TestLeftovers:
    """What a Helm release's hooks left behind."""

    def test_a_server_that_does_not_know_the_kind_is_fine(self) -> None:
        with serving({}) as (text, _):
            assert kube.delete_leftovers(text, [CONFIG]) == []

    def test_an_object_that_is_not_there_is_fine(self) -> None:
        with serving({("DELETE", PATH): [(404, MISSING)]}) as (text, _):
            assert kube.delete_leftovers(text, [CONFIG]) == []

    def test_one_that_is_there_is_deleted_and_waited_for(self) -> None:
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("DELETE", PATH): [(200, THERE)],
            ("GET", PATH): [(200, THERE), (200, THERE), (404, MISSING)],
        }
        with serving(answers) as (text, asked):
            assert kube.delete_leftovers(text, [CONFIG]) == ["Config kai-config"]
        assert asked.count(f"GET {PATH}") == 3

    def test_one_that_never_goes_is_an_error_that_names_it(self) -> None:
        answers: dict[tuple[str, str], list[tuple[int, object]]] = {
            ("DELETE", PATH): [(200, THERE)],
            ("GET", PATH): [(200, THERE)],
        }
        with serving(answers) as (text, _), pytest.raises(TimeoutError, match=r"Config kai-config .* finalizers"):
            kube.delete_leftovers(text, [CONFIG], deadline=0.05)

    def test_a_refusal_is_not_taken_for_gone(self) -> None:
        refusal = {**MISSING, "code": 403, "reason": "Forbidden", "message": "not yours"}
        with (
            serving({("DELETE", PATH): [(403, refusal)]}) as (text, _),
            pytest.raises(
                RuntimeError, match="Config kai-config, left by an earlier release, can't be deleted: not yours"
            ),
        ):
            kube.delete_leftovers(text, [CONFIG])

    def test_a_job_goes_with_its_pods(self) -> None:
        where = "/apis/batch/v1/namespaces/kai-scheduler/jobs/crd-upgrader"
        job = Leftover(api_version="batch/v1", kind="Job", name="crd-upgrader", namespace="kai-scheduler")
        with serving({("DELETE", where): [(200, {"kind": "Job"})]}) as (text, asked):
            assert kube.delete_leftovers(text, [job]) == ["Job crd-upgrader"]
        assert asked[0] == f"DELETE {where} propagationPolicy=Background", "a Job's own way leaves them behind"

    def test_a_deployment_is_gone_when_its_pods_are(self) -> None:
        """In the background the operator of a killed install works for some seconds after its Deployment is gone."""
        where = "/apis/apps/v1/namespaces/kai-scheduler/deployments/kai-operator"
        with serving({("DELETE", where): [(200, {"kind": "Deployment"})]}) as (text, asked):
            assert kube.delete_leftovers(text, [KAI_OPERATOR]) == ["Deployment kai-operator"]
        assert asked[0] == f"DELETE {where} propagationPolicy=Foreground"
