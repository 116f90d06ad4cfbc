"""Helm's installs on the host that did not end, and what they left there outside of their namespaces.

Owns: which installs those are, by an exported state.
Leaves to others: what they left, and whose it is (`kube/half_made.py`), their records (`resume.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import httpx2
from lightkube.core.exceptions import ConfigError

import names
import releases
import tokens
from cli.cluster import TIMEOUT, Target
from cli.resume import HOST_PROVIDER, pending_operations, provider_name
from kube.client import connect_to, reason_of
from kube.half_made import Install, own_half_made
from lenient import rows, text
from names import Object

CRDS: Final = {
    names.KAI_NAMESPACE: (
        names.KAI_RELEASE,
        tuple(dict.fromkeys(kind.crd for release in releases.KAI.values() for kind in release.kinds)),
        f"/apis/{names.QUEUE_API_VERSION}/queues",
    ),
    names.GPU_OPERATOR_NAMESPACE: (
        "gpu-operator",
        tuple(dict.fromkeys(crd for release in releases.GPU_OPERATOR.values() for crd in release.own_crds)),
        "",
    ),
}
"""The charts on the host that bring CRDs, by namespace: the release's name, the CRDs of any known version, and where
their use by others shows."""


def owned_half_made(installs: Sequence[Install], host: Target | None) -> Iterator[str]:
    """Give what unfinished installs left to their namespaces; yields a line for each thing to say. A failure is said,
    too: what is left then does not stop a run."""
    if not installs or host is None:
        return
    try:
        with connect_to(host.config, TIMEOUT) as api:
            for install in installs:
                yield from own_half_made(api, install)
    except (httpx2.HTTPError, OSError, ConfigError, RuntimeError, ValueError) as error:
        spaces = ", ".join(install.namespace for install in installs)
        yield f"what unfinished Helm releases left outside of namespace {spaces} was not looked at: {reason_of(error)}"


def half_made(exported: Object) -> list[Install]:
    """Return the installs on the host that a state shows as begun and not as ended: their release is a pending
    operation, or their namespace is there and the record of their CRDs is not."""
    there = [entry for entry in rows(exported, "deployment", "resources") if not entry.get("delete")]
    on_host = [entry for entry in there if provider_name(text(entry, "provider")) == HOST_PROVIDER]
    spaces = {text(one, "inputs", "metadata", "name") for one in on_host if one.get("type") == tokens.NAMESPACE}
    complete = {
        text(one, "inputs", "metadata", "namespace")
        for one in on_host
        if one.get("type") == tokens.CONFIG_MAP and text(one, "inputs", "metadata", "name") == names.OWNED_KINDS
    }
    recorded = {text(one, "inputs", "namespace") for one in on_host if one.get("type") == tokens.RELEASE}
    begun = {
        text(one.inputs, "namespace"): text(one.inputs, "name")
        for one in pending_operations(exported)
        if one.on_host and one.kind == tokens.RELEASE and one.operation == "creating" and not one.known
    }
    begun |= {space: chart[0] for space, chart in CRDS.items() if space in spaces - complete}
    return [
        Install(namespace=space, release=release, crds=crds, used=used, recorded=space in recorded)
        for space, release in begun.items()
        for _, crds, used in [CRDS.get(space, ("", (), ""))]
    ]
