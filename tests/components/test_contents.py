"""What changed in a cluster since a moment: every kind that it keeps, by the objects' own times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import pytest

from kube.contents import Since, since

NOW: Final = datetime(2026, 11, 26, 5, 12, tzinfo=UTC)
EARLY, THEN, LATE = "2026-11-26T05:00:00Z", "2026-11-26T05:12:00Z", "2026-11-26T06:00:00Z"
KINDS: Final = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def kind(resource: str, name: str | None, *verbs: str) -> dict[str, Any]:
    return {"resource": resource, "verbs": list(verbs), **({"responseKind": {"kind": name}} if name else {})}


def version(name: str, *kinds: dict[str, Any]) -> dict[str, Any]:
    return {"version": name, "resources": list(kinds)}


def one(name: str, made: str | None, *writers: dict[str, str], namespace: str | None = "a") -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    return {"metadata": {"name": name, "creationTimestamp": made, "managedFields": list(writers), **place}}


def found(*groups: dict[str, Any], core: Mapping[str, Any] | None = None, **lists: object) -> tuple[Since, list[str]]:
    """What is found where the server has these groups, and lists by the end of their path; and what was asked."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        asked.append(path)
        if path in ("/api", "/apis"):
            if request.headers["Accept"] != KINDS:
                return httpx2.Response(406)
            here = [core] if path == "/api" else list(groups)
            return httpx2.Response(200, json={"items": [each for each in here if each]})
        listed = lists.get(path.rpartition("/")[2], [])
        if request.headers["Accept"] != METADATA or not isinstance(listed, list):
            return httpx2.Response(403, json={"items": [one("unseen", LATE)]})
        return httpx2.Response(200, json={"items": listed})

    with httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://127.0.0.1") as api:
        return since(api, NOW), asked


MAPS: Final = kind("configmaps", "ConfigMap", "get", "list")


def test_an_object_is_new_or_changed_by_its_own_times() -> None:
    items = [
        one("new", LATE, {"time": LATE}),
        one("changed", EARLY, {"time": EARLY}, {"time": LATE}),
        one("old", THEN, {"time": EARLY}, {"time": THEN}),
        one("status-alone", EARLY, {"time": LATE, "subresource": "status"}),
        one("no-times", None, {}),
        # without a zone it is UTC
        one("plain", "2026-11-26T05:13:00"),
    ]
    assert found(core={"versions": [version("v1", MAPS)]}, configmaps=items) == (
        Since(made=("ConfigMap a/new", "ConfigMap a/plain"), changed=("ConfigMap a/changed",)),
        ["/api", "/api/v1/configmaps", "/apis"],
    )


def test_every_kind_is_asked_for_once_at_the_version_that_its_server_prefers() -> None:
    jobs = kind("jobs", None, "list")
    batch = {"metadata": {"name": "batch"}, "versions": [version("v1", jobs), version("v1beta1", jobs)]}
    other = {"metadata": {"name": "x.example.com"}, "versions": [version("v2", jobs, kind("racks", "Rack", "list"))]}
    core = {"versions": [version("v1", MAPS, kind("tokenreviews", "TokenReview", "create"), {"resource": "bindings"})]}
    assert found(batch, other, core=core, jobs=[one("j", LATE)], racks=[one("r", LATE, namespace=None)]) == (
        # where a server does not say what it answers with, the resource's own name stands for the kind
        Since(made=("Rack r", "jobs a/j", "jobs a/j"), changed=()),
        [
            *("/api", "/api/v1/configmaps", "/apis"),
            *("/apis/batch/v1/jobs", "/apis/x.example.com/v2/jobs", "/apis/x.example.com/v2/racks"),
        ],
    )


@pytest.mark.parametrize(
    "resource",
    ["events", "leases", "endpoints", "endpointslices", "componentstatuses", "nodes", "csinodes"],
)
def test_what_a_cluster_writes_by_itself_is_nobodys_change(resource: str) -> None:
    core = {"versions": [version("v1", kind(resource, "Own", "list"))]}
    assert found(core=core, **{resource: [one("x", LATE)]}) == (Since(made=(), changed=()), ["/api", "/apis"])


def test_a_kind_that_is_not_served_now_is_passed_over() -> None:
    core = {"versions": [version("v1", MAPS, kind("secrets", "Secret", "list"))]}
    said, _ = found(core=core, configmaps="refused", secrets=[one("s", LATE)])
    assert said == Since(made=("Secret a/s",), changed=())


def test_kinds_that_may_not_be_listed_are_an_error() -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(403, json={"message": "not yours"}))
    with (
        httpx2.Client(transport=transport, base_url="http://127.0.0.1") as api,
        pytest.raises(RuntimeError, match="its kinds can't be listed: not yours"),
    ):
        since(api, NOW)
