"""The only way in which the program itself calls an API server: plain HTTP with a kubeconfig's credentials.

Owns: the connection, the path of an object, and messages about an answer.
Leaves to others: what is asked (`waits.py`, `leftovers.py`).

Hooks run in threads, and the typed client's decoder (msgspec 0.22) crashes the interpreter when two threads decode a
type for the first time at once. So answers are plain JSON here.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast
from urllib.parse import urlsplit

import httpx2
import msgspec
import yaml
from lightkube import KubeConfig
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig
from lightkube.models.meta_v1 import ObjectMeta, Status
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, Secret

from names import Object

TIMEOUT: Final = httpx2.Timeout(15.0)
"""Seconds for one answer: a webhook may take 10 of them (Kubernetes' default)."""
LOGIN: Final = "client.authentication.k8s.io/v1"
"""The version in which most login commands of kubeconfigs answer."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
POLL_SECONDS: Final = 0.5
"""The time between two looks at what is awaited."""
_MEETING: Final = threading.Lock()


def read_kubeconfig(text: str) -> Object:
    """Return the content of a kubeconfig text, which may be of any type. Raises `ValueError` or `yaml.YAMLError` where
    it is neither JSON nor YAML.
    """
    try:
        found = json.loads(text)
    except ValueError:
        # only for what is not JSON: this reader is slow, and each create and update in a tenant comes here
        found = yaml.safe_load(text)
    return cast(Object, found)


def target(kubeconfig: str) -> SingleConfig:
    """Return the current context of a kubeconfig text. It holds credentials: never print it."""
    found = KubeConfig.from_dict(read_kubeconfig(kubeconfig)).get()
    assert found is not None, "a kubeconfig of ours has a current context"
    if found.user is not None and found.user.exec is not None and found.user.exec.apiVersion == LOGIN:
        # the client only accepts the older name; the answer (status.token) is the same in both
        found.user.exec.apiVersion = f"{LOGIN}beta1"
    return found


def connect(kubeconfig: str) -> httpx2.Client:
    """Return a client for the current context of a kubeconfig text."""
    return connect_to(target(kubeconfig))


def connect_to(found: SingleConfig, timeout: httpx2.Timeout = TIMEOUT) -> httpx2.Client:
    """Return a client for a context from `target`, because threads can't parse kubeconfigs (see above)."""
    return client_adapter.Client(found, client_adapter.ConnectionParams(timeout=timeout, trust_env=is_elsewhere(found)))


def is_elsewhere(found: SingleConfig) -> bool:
    """Whether a context's cluster is on another machine. Only then a proxy of the environment is used, as kubectl and
    the engine's provider do.
    """
    return urlsplit(found.cluster.server).hostname not in LOOPBACK


def pause() -> None:
    """Wait a moment before another look."""
    time.sleep(POLL_SECONDS)


def path(api_version: str, kind: str, name: str = "", namespace: str | None = None) -> str:
    """Return the path of an object; without a name, that of its collection. For kinds whose plural ends in `s`."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{place}/{kind.lower()}s" + (f"/{name}" if name else "")


def answered(answer: httpx2.Response) -> Object:
    """Return the JSON object in an answer. Raises `httpx2.DecodingError` where there is none: a login page, a proxy's
    answer, an answer that was cut off.
    """
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = f"what answers is not a Kubernetes API: HTTP {answer.status_code} without an object"
        raise httpx2.DecodingError(message, request=answer.request)
    return found


def when(answer: httpx2.Response) -> datetime:
    """Return when a server answered, by its own clock: what a cluster writes has its time, and this machine's may be
    minutes off. By this machine's where the answer does not say."""
    try:
        found = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def said(answer: httpx2.Response) -> str:
    """Return the API server's message about a refusal; it contains no credential."""
    with contextlib.suppress(httpx2.DecodingError):
        status = answered(answer)
        if status.get("message"):
            return str(status["message"])
    return f"HTTP {answer.status_code}: {answer.text.strip()[:200]}"


def reason_of(error: Exception) -> str:
    """Return why a call failed; the text contains no credential."""
    return "no answer in time" if isinstance(error, httpx2.TimeoutException) else str(error) or type(error).__name__


def meet_types() -> None:
    """Decode once every type that threads of a typed client will decode, before there are threads."""
    with _MEETING:
        for known in (Secret, ConfigMap, Namespace, Pod, CustomResourceDefinition, Status, ObjectMeta):
            # the decoder builds the type before it reads the text, so a text without a required field is enough
            with contextlib.suppress(msgspec.ValidationError):
                msgspec.json.decode(b"{}", type=known)
