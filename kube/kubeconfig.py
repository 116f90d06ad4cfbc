"""Kubeconfigs as text. Pure: no call, no Pulumi import.

Owns: cutting a kubeconfig to one context; building a team's kubeconfig from its certificates.
Leaves to others: where the host's kubeconfig comes from (`stack.py`), using it (`client.py`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from names import in_url


class KubeconfigError(Exception):
    """A kubeconfig that can't be used. The text names the file, what is wrong, and the fix."""


def one_context(text: str, context: str | None, where: str, base: Path | None = None) -> tuple[str, str]:
    """Return a kubeconfig (JSON) that has only `context`, with the content of its certificate files, and the context's
    name.

    Other clusters' credentials in the same file must not get into this stack's state. `base`: the folder from which
    relative certificate paths start. Raises `KubeconfigError`.
    """
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # an invalid date is a ValueError
        raise KubeconfigError(f"{where}: not a kubeconfig (not YAML); check host.kubeconfig") from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("contexts"), list):
        raise KubeconfigError(f"{where}: not a kubeconfig (no contexts); check host.kubeconfig")
    wanted = str(context or loaded.get("current-context"))
    found = _by_name(loaded, "contexts", "context", where)
    if wanted not in found:
        message = (
            f"{where}: no context {wanted!r}; it has: {', '.join(found) or 'none'}. Set host.context to one of them"
        )
        raise KubeconfigError(message)
    picked = found[wanted]
    cut: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": wanted,
        "contexts": [{"name": wanted, "context": picked}],
    }
    for section, key in (("clusters", "cluster"), ("users", "user")):
        named = str(picked.get(key))
        holder = _by_name(loaded, section, key, where).get(named)
        if holder is None:
            message = f"{where}: the context names {key} {named!r}, which is not in {section}; repair the kubeconfig"
            raise KubeconfigError(message)
        cut[section] = [{"name": named, key: _with_files(holder, base, where)}]
    # YAML reads an unquoted 2026-11-26 as a date, and a name may look like that
    return json.dumps(cut, sort_keys=True, default=str), wanted


def at_address(text: str, address: str | None) -> str:
    """Return a kubeconfig (JSON) of one cluster with another host of the server: k3s and microk8s write 127.0.0.1."""
    if address is None:
        return text
    loaded = json.loads(text)
    for entry in loaded["clusters"]:
        url = urlsplit(entry["cluster"]["server"])
        entry["cluster"]["server"] = f"{url.scheme}://{in_url(address)}:{url.port or 443}"
    return json.dumps(loaded, sort_keys=True)


def _by_name(config: Mapping[str, object], section: str, key: str, where: str) -> dict[str, Mapping[str, object]]:
    """A section's entries by name; of two with one name the first, as in kubectl."""
    found: dict[str, Mapping[str, object]] = {}
    entries = config.get(section) or []
    for entry in entries if isinstance(entries, list) else [entries]:
        below = (entry.get(key) or {}) if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(below, dict):
            message = f"{where}: not a kubeconfig ({section} is no list of {{name, {key}}}); check host.kubeconfig"
            raise KubeconfigError(message)
        found.setdefault(str(entry.get("name")), below)
    return found


def _with_files(holder: Mapping[str, object], base: Path | None, where: str) -> dict[str, object]:
    """A cluster or user with the content of the files that it names: the state is read on other machines, too."""
    found = dict(holder)
    for key in ("certificate-authority", "client-certificate", "client-key"):
        named = found.pop(key, None)
        if named is None or f"{key}-data" in found:
            continue
        path = (base or Path()) / str(named)
        try:
            found[f"{key}-data"] = base64.b64encode(path.read_bytes()).decode()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise KubeconfigError(f"{where}: {key} {path} can't be read ({why}); repair the kubeconfig") from error
    return found


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
