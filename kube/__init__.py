"""The few live calls that the program makes itself, and kubeconfig texts. No Pulumi import.

Owns: making a kubeconfig hold one context and nothing else; building a team's kubeconfig from its certificates;
waiting for a vCluster's Secret and for KAI's webhooks; deleting what KAI's hooks leave behind.
Leaves to others: every object that Pulumi can own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

import httpx2
import msgspec
import yaml
from lightkube import ApiError, Client, KubeConfig
from lightkube.generic_resource import (
    GenericGlobalResource,
    GenericNamespacedResource,
    create_global_resource,
    create_namespaced_resource,
)
from lightkube.models.meta_v1 import ObjectMeta, Status
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, Secret
from lightkube.types import CascadeType

from releases import Leftover

SECRET_DEADLINE_SECONDS: Final = 180.0
"""The Secret lags its Release by seconds, under load by a minute (ten teams at once on two cores)."""
LEFTOVER_DEADLINE_SECONDS: Final = 120.0
ADMITTED_DEADLINE_SECONDS: Final = 180.0
"""KAI's admission is ready 15 s after helm is content (v0.16.8, idle node), and later where the node is busy."""
POLL_SECONDS: Final = 0.5
_MEETING: Final = threading.Lock()

TRANSIENT: Final = (
    # KAI's webhooks are not up yet, or its kinds are not there yet
    "failed calling webhook",
    "no matches for kind",
    "connection refused",
    "no endpoints available",
    # the Job that is replaced goes when its pods do, and those go by the same webhook
    "object is being deleted",
)


class KubeconfigError(Exception):
    """A kubeconfig that can't be used; the text names the file, what is wrong, and the fix."""


def one_context(text: str, context: str | None, where: str, base: Path | None = None) -> tuple[str, str]:
    """Return a kubeconfig (JSON) that holds only `context`, with certificate files read in, and the context's name.

    Other clusters' credentials in the same file must not travel into this stack's state. `base` is the folder that
    relative certificate paths start from. Raises `KubeconfigError`.
    """
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        message = f"{where}: not a kubeconfig (not YAML); check host.kubeconfig"
        raise KubeconfigError(message) from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("contexts"), list):
        message = f"{where}: not a kubeconfig (no contexts); check host.kubeconfig"
        raise KubeconfigError(message)
    wanted = context or loaded.get("current-context")
    names = [entry.get("name") for entry in loaded["contexts"]]
    if wanted not in names:
        known = ", ".join(str(name) for name in names) or "none"
        message = f"{where}: no context {wanted!r}; it has: {known}. Set host.context to one of them"
        raise KubeconfigError(message)
    picked = next(entry["context"] for entry in loaded["contexts"] if entry.get("name") == wanted)
    cluster = _named(loaded, "clusters", "cluster", picked.get("cluster"), where)
    user = _named(loaded, "users", "user", picked.get("user"), where)
    for holder in (cluster, user):
        _inline_files(holder, base, where)
    cut = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": wanted,
            "contexts": [{"name": wanted, "context": picked}],
            "clusters": [{"name": picked["cluster"], "cluster": cluster}],
            "users": [{"name": picked["user"], "user": user}],
        },
        sort_keys=True,
    )
    return cut, str(wanted)


def at_address(text: str, address: str | None) -> str:
    """Return a kubeconfig (JSON) of one cluster with the server's host replaced: k3s and microk8s say 127.0.0.1."""
    if address is None:
        return text
    loaded = json.loads(text)
    for entry in loaded["clusters"]:
        url = urlsplit(entry["cluster"]["server"])
        host = f"[{address}]" if ":" in address else address
        entry["cluster"]["server"] = f"{url.scheme}://{host}:{url.port or 443}"
    return json.dumps(loaded, sort_keys=True)


def _named(config: Mapping[str, object], section: str, key: str, name: object, where: str) -> dict[str, object]:
    for entry in cast(list[dict[str, object]], config.get(section) or []):
        if entry.get("name") == name:
            return dict(cast(dict[str, object], entry.get(key) or {}))
    message = f"{where}: the context names {key} {name!r}, which is not in {section}; repair the kubeconfig"
    raise KubeconfigError(message)


def _inline_files(holder: dict[str, object], base: Path | None, where: str) -> None:
    for key in ("certificate-authority", "client-certificate", "client-key"):
        named = holder.pop(key, None)
        if isinstance(named, str) and f"{key}-data" not in holder:
            path = (base or Path()) / named
            try:
                holder[f"{key}-data"] = base64.b64encode(path.read_bytes()).decode()
            except OSError as error:
                message = f"{where}: {key} {path} can't be read ({error.strerror}); repair the kubeconfig"
                raise KubeconfigError(message) from error


def team_kubeconfig(team: str, server: str, secret: Mapping[str, str]) -> str:
    """Return a tenant's admin kubeconfig (JSON) from the data of its `vc-<team>` Secret (base64 values)."""
    return _kubeconfig(
        team,
        server,
        ca=secret["certificate-authority"],
        user={"client-certificate-data": secret["client-certificate"], "client-key-data": secret["client-key"]},
    )


def user_kubeconfig(team: str, server: str, ca: str, token: str) -> str:
    """Return a tenant's kubeconfig without admin rights (JSON). `ca` and `token` are base64, as a Secret has them."""
    return _kubeconfig(team, server, ca=ca, user={"token": base64.b64decode(token).decode()})


def _kubeconfig(team: str, server: str, *, ca: str, user: Mapping[str, str]) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": team,
            "contexts": [{"name": team, "context": {"cluster": team, "user": team}}],
            "clusters": [{"name": team, "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": team, "user": dict(user)}],
        },
        sort_keys=True,
    )


def meet_types() -> None:
    """Decode every type that threads of ours meet, once, before there are threads.

    The client's decoder (msgspec 0.22) crashes the interpreter when two threads meet a type for the first time at once.
    """
    with _MEETING:
        for known in (Secret, ConfigMap, Namespace, Pod, CustomResourceDefinition, Status, ObjectMeta):
            # the type is built before the text is looked at, so one that lacks a field will do
            with contextlib.suppress(msgspec.ValidationError):
                msgspec.json.decode(b"{}", type=known)


def client(kubeconfig: str) -> Client:
    """Return a client for the current context of a kubeconfig text."""
    meet_types()
    config = KubeConfig.from_dict(yaml.safe_load(kubeconfig))
    return Client(config=config.get(), timeout=httpx2.Timeout(15.0))


def wait_for_secret(kubeconfig: str, namespace: str, name: str, deadline: float = SECRET_DEADLINE_SECONDS) -> None:
    """Return once the Secret exists. Raises `TimeoutError` that names it and what to look at."""
    end = time.monotonic() + deadline
    api = client(kubeconfig)
    while True:
        try:
            api.get(Secret, name, namespace=namespace)
        except ApiError as error:
            if error.status.code != 404:
                raise
        else:
            return
        if time.monotonic() > end:
            message = (
                f"Secret {namespace}/{name} did not appear within {deadline:.0f} s, though its vCluster is installed. "
                f"See the log of pod {name.removeprefix('vc-')}-0 in namespace {namespace}"
            )
            raise TimeoutError(message)
        time.sleep(POLL_SECONDS)


def comes_later(error: str) -> bool:
    """Whether an API server's refusal is of the kind that passes by itself after KAI was installed or replaced."""
    return any(text in error for text in TRANSIENT)


def wait_until_admitted(
    kubeconfig: str, manifest: Mapping[str, object], deadline: float = ADMITTED_DEADLINE_SECONDS
) -> None:
    """Return once the API server would take this object, by a dry run, which asks the webhooks and keeps nothing.

    Returns at the deadline, too, and at any answer that waiting does not change: whoever makes the object hears it
    again. `manifest`: a Pod, or an object without a namespace.
    """
    end = time.monotonic() + deadline
    api = client(kubeconfig)
    if manifest["kind"] == "Pod":
        create = partial(api.create, msgspec.convert(manifest, Pod), dry_run=True)
    else:
        kind = _generic(str(manifest["apiVersion"]), str(manifest["kind"]))
        create = partial(api.create, kind.from_dict(dict(manifest)), dry_run=True)
    while time.monotonic() < end:
        try:
            create()
        except httpx2.HTTPStatusError as error:
            if not comes_later(str(error)):
                return
        except httpx2.TransportError:
            pass  # a webhook that hangs takes longer than we wait for one answer
        else:
            return
        time.sleep(POLL_SECONDS)


def delete_leftovers(
    kubeconfig: str, leftovers: Iterable[Leftover], deadline: float = LEFTOVER_DEADLINE_SECONDS
) -> list[str]:
    """Delete what a Helm release's hooks made and its removal left, and wait until it is gone.

    Returns the names of what was deleted. An object or a kind that does not exist is fine. Raises `TimeoutError`.
    """
    api = client(kubeconfig)
    deleted: list[str] = []
    end = time.monotonic() + deadline
    for leftover in leftovers:
        kind = _kind_of(leftover)
        try:
            # a Job's pods go with it; left to itself the API would keep them
            api.delete(kind, leftover.name, namespace=leftover.namespace, cascade=CascadeType.BACKGROUND)
        except httpx2.HTTPStatusError as error:
            # a kind that the server does not know is answered in plain text, which is no ApiError
            if error.response.status_code != 404:
                raise
            continue
        deleted.append(f"{leftover.kind} {leftover.name}")
        while _exists(api, kind, leftover):
            if time.monotonic() > end:
                message = f"{deleted[-1]} was deleted but is still there after {deadline:.0f} s; look at its finalizers"
                raise TimeoutError(message)
            time.sleep(POLL_SECONDS)
    return deleted


_Generic: TypeAlias = type[GenericGlobalResource] | type[GenericNamespacedResource]


def _kind_of(leftover: Leftover) -> _Generic:
    # never the library's typed kinds: their decoder is not safe in threads (see meet_types)
    if leftover.namespace is None:
        return _generic(leftover.api_version, leftover.kind)
    group, _, version = leftover.api_version.rpartition("/")
    with _MEETING:
        return create_namespaced_resource(group, version, leftover.kind, f"{leftover.kind.lower()}s")


def _generic(api_version: str, kind: str) -> type[GenericGlobalResource]:
    group, version = api_version.rsplit("/", 1)
    with _MEETING:  # the client keeps one class for each kind, and refuses the second that two threads make at once
        return create_global_resource(group, version, kind, f"{kind.lower()}s")


def _exists(api: Client, kind: _Generic, leftover: Leftover) -> bool:
    try:
        api.get(kind, leftover.name, namespace=leftover.namespace)
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 404:
            return False
        raise
    return True
