"""Write an object, or a part of one, that is not in the engine's state.

Owns: the call, and the message of a refusal. Leaves to others: which object, and when (`components/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import httpx2

from kube.client import answered, connect, path, said
from lenient import text

METADATA: Final = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json"}
"""An answer without a body: of a CRD of KAI it has up to 0.2 MB."""
APPLY: Final = {
    "Content-Type": "application/apply-patch+yaml",
    **METADATA,
}
"""Server-side apply; JSON is YAML. The answer has no body, because nobody reads it."""
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
"""A change of the named fields alone."""
MANAGER: Final = "gpu-tenancy"


def put(kubeconfig: str, manifest: Mapping[str, object]) -> None:
    """Make an object, or set the fields that the manifest names. Raises `RuntimeError` where the server refuses."""
    with connect(kubeconfig) as api:
        _put(api, manifest)


def own_kinds(kubeconfig: str, namespace: str, crds: Iterable[str]) -> None:
    """Make a namespace the owner of existing CRDs. Raises `RuntimeError` where the server refuses."""
    with connect(kubeconfig) as api:
        answer = api.get(path("v1", "Namespace", namespace))
        if not answer.is_success:
            raise RuntimeError(f"Namespace {namespace} can't be read: {said(answer)}")
        uid = text(answered(answer), "metadata", "uid")
        owner = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid}
        for crd in crds:
            metadata = {"name": crd, "ownerReferences": [owner]}
            _put(
                api,
                {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata},
            )


def _put(api: httpx2.Client, manifest: Mapping[str, object]) -> None:
    metadata = manifest["metadata"]
    assert isinstance(metadata, Mapping)
    kind, name, namespace = str(manifest["kind"]), str(metadata["name"]), metadata.get("namespace")
    where = path(str(manifest["apiVersion"]), kind, name, namespace)
    answer = api.patch(where, params={"fieldManager": MANAGER, "force": "true"}, json=dict(manifest), headers=APPLY)
    if not answer.is_success:
        what = f"{namespace}/{name}" if namespace else name
        raise RuntimeError(f"{kind} {what} can't be written: {said(answer)}")
