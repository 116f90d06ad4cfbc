"""The client of an API server: what it waits for, by which way it goes, and what it takes for an object."""

from __future__ import annotations

import json

import httpx2
import msgspec
import pytest
from lightkube.models.meta_v1 import ObjectMeta, Status
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, Secret

import lenient
from kube import client
from tests.components.test_kube import kubeconfig, serving


@pytest.mark.parametrize(
    ("host", "by_proxy"),
    [("localhost", False), ("127.0.0.1", False), ("[::1]", False), ("10.0.0.5", True), ("ml.example.com", True)],
)
def test_a_proxy_of_the_surroundings_is_for_other_machines(host: str, by_proxy: bool) -> None:
    with client.connect(json.dumps(kubeconfig(f"https://{host}:6443", token="t"))) as api:
        assert api.trust_env is by_proxy
        assert api.timeout == httpx2.Timeout(15.0)


@pytest.mark.parametrize("version", ["v1beta1", "v1"])
def test_a_login_command_answers_in_any_version(version: str) -> None:
    says = ["-c", """printf '{"status": {"token": "t"}}'"""]
    login = {"apiVersion": f"client.authentication.k8s.io/{version}", "command": "sh", "args": says}
    with serving({("GET", "/readyz"): [(200, "ok")]}) as (text, asked):
        config = json.loads(text)
        config["users"][0]["user"] = {"exec": login}
        with client.connect(json.dumps(config)) as api:
            assert api.get("/readyz").is_success
    assert asked == ["GET /readyz"]


@pytest.mark.parametrize("text", ["<html>log in</html>", "[1]", "[" * 100_000, ""])
def test_what_is_no_object_is_a_failed_call_that_knows_its_request(text: str) -> None:
    request = httpx2.Request("GET", "https://10.0.0.5/api")
    with pytest.raises(httpx2.DecodingError, match="is not a Kubernetes API: HTTP 200") as error:
        client.answered(httpx2.Response(200, text=text, request=request))
    assert error.value.request is request


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_when_a_server_answered_is_a_time_in_utc(zone: str) -> None:
    said = client.when(httpx2.Response(200, headers={"Date": f"Thu, 26 Nov 2026 18:00:00 {zone}"}))
    assert said.isoformat() == "2026-11-26T18:00:00+00:00"


@pytest.mark.parametrize("metadata", [None, [], "ml", {}, {"name": None}, {"name": 3}])
def test_only_what_has_a_name_is_an_object(metadata: object) -> None:
    assert not lenient.named({"metadata": metadata})
    assert lenient.named({"metadata": {"name": "ml"}})


def test_a_failure_is_told_in_its_own_words_or_by_its_kind() -> None:
    assert client.reason_of(httpx2.ReadTimeout("timed out")) == "no answer in time"
    assert client.reason_of(httpx2.ConnectError("refused")) == "refused"
    assert client.reason_of(httpx2.ConnectError("")) == "ConnectError"


def test_every_type_that_threads_meet_is_decoded_before(monkeypatch: pytest.MonkeyPatch) -> None:
    met: set[object] = set()

    def decode(_: bytes, *, type: object = None) -> None:  # noqa: A002  the library's word
        met.add(type)
        raise msgspec.ValidationError

    monkeypatch.setattr(msgspec.json, "decode", decode)
    client.meet_types()
    assert met == {Secret, ConfigMap, Namespace, Pod, CustomResourceDefinition, Status, ObjectMeta}
