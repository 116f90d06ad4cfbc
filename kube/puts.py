"""Putting an object into a cluster that no state is to hold.

Owns: the call, and what a refusal says. Leaves to others: which object, and when (`components/check`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kube.client import connect, path, said

APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}
"""Server-side apply; JSON is YAML."""
MANAGER: Final = "gpu-tenancy"


def put(kubeconfig: str, manifest: Mapping[str, object]) -> None:
    """Make a namespaced object, or make it what the manifest says. Raises `RuntimeError` where the server refuses."""
    metadata = manifest["metadata"]
    assert isinstance(metadata, Mapping)
    kind, name, namespace = str(manifest["kind"]), str(metadata["name"]), str(metadata["namespace"])
    where = path(str(manifest["apiVersion"]), kind, name, namespace)
    with connect(kubeconfig) as api:
        answer = api.patch(where, params={"fieldManager": MANAGER, "force": "true"}, json=dict(manifest), headers=APPLY)
        if not answer.is_success:
            message = f"{kind} {namespace}/{name} can't be written: {said(answer)}"
            raise RuntimeError(message)
