"""A small Kubernetes API: it answers reads from plain data, and access reviews from a list of denials."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.conftest import nobody
from tests.serving import serving

UID = "11111111-2222-3333-4444-555555555555"

Objects = dict[str, list[dict[str, Any]]]

KINDS = {
    "/api/v1/namespaces": ("v1", "Namespace"),
    "/api/v1/nodes": ("v1", "Node"),
    "/api/v1/pods": ("v1", "Pod"),
    "/api/v1/services": ("v1", "Service"),
    "/api/v1/namespaces/gpu-tenancy/configmaps": ("v1", "ConfigMap"),
    "/apis/apps/v1/daemonsets": ("apps/v1", "DaemonSet"),
    "/apis/apps/v1/deployments": ("apps/v1", "Deployment"),
    "/apis/node.k8s.io/v1/runtimeclasses": ("node.k8s.io/v1", "RuntimeClass"),
    "/apis/storage.k8s.io/v1/storageclasses": ("storage.k8s.io/v1", "StorageClass"),
}
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass
class FakeApi:
    """`objects` by list path, `named` by full path, `refused` status code by path; `seen` is every request."""

    objects: Objects = field(default_factory=dict)
    named: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    denied: set[tuple[str, str]] = field(default_factory=set)
    version: str = "v1.34.4"
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    garbled: dict[str, bytes] = field(default_factory=dict)
    """What is said instead of an object, with 200, below each path."""
    query: str = ""
    """Of the request that is being answered."""
    address: socket.socket | None = None
    """What nobody else has while it runs."""

    def reply(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Answer a request: its status code and its body."""
        path, _, self.query = target.partition("?")
        code, answer = self.answer(method, path, json.loads(body or b"{}"))
        said = [said for below, said in self.garbled.items() if path.startswith(below)]
        return (200, said[0]) if said else (code, json.dumps(answer).encode())

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.seen.append((method, path))
        if path in self.refused:
            return self.refused[path], failure(self.refused[path], f"refused: {path}")
        if path == "/version":
            return 200, {"gitVersion": self.version}
        if path == "/api/v1/namespaces/kube-system":
            return 200, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": UID}}
        if path == REVIEWS and method == "POST":
            asked = body["spec"]["resourceAttributes"]
            allowed = (asked["verb"], asked["resource"]) not in self.denied
            return 201, {**body, "status": {"allowed": allowed}}
        if path in KINDS and method == "GET":
            version, kind = KINDS[path]
            items = self.objects.get(path, [])
            return 200, {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": items}
        if path in self.objects and method == "GET":
            return 200, {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": self.objects[path]}
        if path in self.named and method == "GET":
            return 200, self.named[path]
        if method == "PATCH" and (found := self._listed(path)) is not None:
            merge(found, body)
            return 200, found
        if method == "DELETE" and (path in self.named or path.rpartition("/")[0] in self.objects):
            return 200, {"apiVersion": "v1", "kind": "Status", "status": "Success"}
        return 404, failure(404, f"{path} not found")

    def _listed(self, path: str) -> dict[str, Any] | None:
        folder, _, name = path.rpartition("/")
        return next((each for each in self.objects.get(folder, []) if each["metadata"]["name"] == name), None)


def merge(onto: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """A JSON merge patch (RFC 7386)."""
    for key, value in patch.items():
        if value is None:
            onto.pop(key, None)
        elif isinstance(value, dict):
            merge(onto.setdefault(key, {}), value)
        else:
            onto[key] = value


def failure(code: int, message: str) -> dict[str, Any]:
    """A Kubernetes Status."""
    return {"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "code": code}


@contextmanager
def running(api: FakeApi) -> Iterator[FakeApi]:
    """Let the API answer until the end of the block: in place of what this process would send to its address."""
    send = httpx2.HTTPTransport.handle_request

    def in_place(transport: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
        if f"{request.url.scheme}://{request.url.netloc.decode()}" != api.url:
            return send(transport, request)
        code, data = api.reply(request.method, request.url.raw_path.decode(), request.read())
        return httpx2.Response(code, headers={"Content-Type": "application/json"}, content=data)

    with nobody() as held, pytest.MonkeyPatch.context() as patch:
        api.url, api.address = f"http://127.0.0.1:{held.getsockname()[1]}", held
        patch.setattr(httpx2.HTTPTransport, "handle_request", in_place)
        yield api


@contextmanager
def served(api: FakeApi) -> Iterator[None]:
    """Let other processes reach the API that is running here."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1  # header and body in one packet: two would wait for each other

        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            code, data = api.reply(self.command, self.path, self.rfile.read(length))
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_PATCH = _reply  # noqa: N815  (names that http.server looks for)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    assert api.address is not None, "it is running"
    server = ThreadingHTTPServer(api.address.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = api.address.dup()
    server.server_activate()
    with serving(server):
        yield


def certificates() -> dict[str, Any]:
    """A Secret as a virtual cluster writes it; the values are no certificates."""
    keys = ("certificate-authority", "client-certificate", "client-key")
    return named("Secret", "v1", "vc-ml", data=dict.fromkeys(keys, "bm90IHJlYWw="))


def kubeconfig(server: str, *, context: str = "here", token: str = "not-a-real-token") -> str:
    """A kubeconfig for one server."""
    said: str = yaml.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": token}}],
        },
        Dumper=yaml.CSafeDumper,
    )
    return said


def write_kubeconfig(folder: Path, server: str, *, context: str = "here") -> Path:
    """Write one and return its path."""
    path = folder / "kubeconfig"
    path.write_text(kubeconfig(server, context=context))
    return path


def node(
    name: str, *, gpus: int | None = None, labels: Mapping[str, str] | None = None, **changes: Any
) -> dict[str, Any]:
    """A Ready node with 64 CPUs, 512 GiB, 110 pods."""
    allocatable = {"cpu": "64", "memory": "512Gi", "pods": "110"}
    if gpus is not None:
        allocatable["nvidia.com/gpu"] = str(gpus)
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/arch": "amd64", **(labels or {})}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": allocatable},
    }
    for key, value in changes.items():
        body[key] = {**body[key], **value}
    return body


def named(kind: str, version: str, name: str, **more: Any) -> dict[str, Any]:
    """Any object with a name."""
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}
