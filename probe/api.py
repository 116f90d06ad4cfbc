"""The few calls to the API server that a check's pods make, with the pod's own account.

No client library: the pods run in whatever torch image a team has. A token goes out by https or loopback only, to an
API server that the pod's own authority vouches for, and no redirect is followed with it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from probe.expect import Json

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
LOOPBACK = ("127.0.0.1", "::1")
APPLY = "application/apply-patch+yaml"
SAID_BYTES = 4096  # of a refusal: its message is at the beginning


class ApiError(OSError):
    """The API server did not answer, or refused. status: the HTTP status, None without an answer. No token in it."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def server_of_pod() -> str:
    """The address of the API server, as every pod gets it. GPU_CHECK_API_SERVER is for tests."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    bracketed = f"[{host}]" if ":" in host else host
    return os.environ.get("GPU_CHECK_API_SERVER", f"https://{bracketed}:{port}")


class Api:
    """An API server, and the account to call it with. Raises ApiError where a token would go out in clear."""

    def __init__(self, server: str | None = None, account: str | None = None) -> None:
        self.server = server or server_of_pod()
        self.account = Path(account or os.environ.get("GPU_CHECK_SERVICEACCOUNT_DIR", ACCOUNT))
        url = urllib.parse.urlsplit(self.server)
        if not url.hostname:
            raise ApiError("the API server has no address: KUBERNETES_SERVICE_HOST is not set")
        if url.scheme != "https" and url.hostname not in LOOPBACK:
            raise ApiError("the API server's address must begin with https")
        self.secure, self.address = url.scheme == "https", (url.hostname, url.port or 443)

    def call(
        self,
        path: str,
        method: str = "GET",
        body: Json | None = None,
        content_type: str = "application/json",
        timeout: float = 15,
    ) -> Json | None:
        """The decoded answer; None for 404. Raises ApiError, and ValueError for an answer that is no JSON."""
        sent = None if body is None else json.dumps(body)
        try:
            token = (self.account / "token").read_text(encoding="utf-8").strip()  # read anew: the kubelet renews it
            headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
            connection = self._connection(timeout)
            try:
                connection.request(method, path, sent, headers)
                answer = connection.getresponse()
                # not read(-1): Python 3.11 then waits for an end that a kept connection never has
                text = answer.read(SAID_BYTES) if answer.status >= 300 else answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"the API server was not reached: {type(error).__name__}: {error}") from None
        if answer.status == 404:
            return None
        if answer.status >= 300:
            said = re.search(rb'"message"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
            reason = said[1].decode("utf-8", "replace") if said else answer.reason
            raise ApiError(f"the API server refused: {answer.status} {reason}", answer.status)
        decoded: Json = json.loads(text)
        return decoded

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if not self.secure:
            return http.client.HTTPConnection(*self.address, timeout=timeout)
        trust = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        return http.client.HTTPSConnection(*self.address, timeout=timeout, context=trust)


@dataclass(frozen=True)
class ConfigMap:
    """A ConfigMap that a report goes to.

    Written by server-side apply, so that it may exist or not; its Role needs `create` and `patch` on that one name.
    """

    name: str
    namespace: str
    api: Api

    @classmethod
    def from_environment(cls) -> ConfigMap | None:
        """None without GPU_CHECK_CONFIGMAP; ApiError if the rest is missing or a token would go out in clear."""
        name, namespace = os.environ.get("GPU_CHECK_CONFIGMAP"), os.environ.get("GPU_CHECK_NAMESPACE", "")
        if not name:
            return None
        if not namespace:
            raise ApiError("GPU_CHECK_CONFIGMAP needs GPU_CHECK_NAMESPACE with it")
        return cls(name, namespace, Api())

    def apply(self, data: dict[str, str], timeout: float = 15) -> None:
        """Makes `data` all that this ConfigMap holds; raises ApiError."""
        path = f"/api/v1/namespaces/{urllib.parse.quote(self.namespace)}/configmaps/{urllib.parse.quote(self.name)}"
        named = {"name": self.name, "namespace": self.namespace}
        body: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": data}
        try:
            answer = self.api.call(f"{path}?fieldManager=gpu-check&force=true", "PATCH", body, APPLY, timeout)
        except ValueError:
            return  # it was taken, whatever the answer looks like
        if answer is None:
            raise ApiError(f"the namespace {self.namespace} is not there", 404)
