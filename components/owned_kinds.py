"""CRDs that are deleted with a namespace.

Owns: the owner reference on CRDs that a chart brings, and the record of it. Leaves to others: which CRDs those are.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
from components.base import Component, live_hook


def own_kinds(
    component: Component,
    name: str,
    *,
    namespace: str,
    crds: Sequence[str],
    release: k8s.helm.v3.Release,
    provider: k8s.Provider,
    kubeconfig: pulumi.Output[str],
    team: str | None = None,
) -> None:
    """Make a namespace the owner of the CRDs that a chart brought.

    Helm never deletes a CRD. So Kubernetes' garbage collector does it, after the namespace. This needs no running part
    of the chart; a Job of the chart would block the removal where its image can't be pulled.

    A hook sets the owner before the ConfigMap that records it is written. So an update that can't set it fails, and the
    next one tries again. Patches of the CRDs would be worse: the provider keeps each whole object in the state, which
    the engine writes after every step (0.5 MB for each KAI).
    """
    owning = live_hook(f"{name}-own-kinds", kubeconfig, lambda text: kube.own_kinds(text, namespace, crds))
    k8s.core.v1.ConfigMap(
        f"{name}-owned-kinds",
        metadata={"name": names.OWNED_KINDS, "namespace": namespace, "labels": names.labels(team=team)},
        # nothing more: the provider replaces a ConfigMap whose data change, and a new version often brings no new kind
        data={"crds": " ".join(crds)},
        opts=component.child(provider=provider, depends_on=[release], first=owning),
    )
