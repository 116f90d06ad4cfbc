"""Kubeconfigs as text. Pure: no call, no Pulumi import.

Owns: making a kubeconfig hold one context and nothing else; building a team's kubeconfig from its certificates.
Leaves to others: where the host's kubeconfig comes from (`stack.py`), using it (`client.py`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import yaml


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
