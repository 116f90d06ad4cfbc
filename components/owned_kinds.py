"""CRDs that go with a namespace.

Owns: the owner of CRDs that a chart brings, and the record of it. Leaves to others: which CRDs those are.
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

    Helm never deletes a CRD, so Kubernetes' garbage collector does, after the namespace. Nobody of the chart's has to
    be alive for that; a Job of the chart's own holds the removal where its image can't be pulled.

    Done before the ConfigMap that says so is written, so an update that can't do it fails, and the next one tries
    again. No patches of the CRDs: the provider keeps the whole object of each in the state, which the engine writes
    after every step (0.5 MB for each KAI)."""
    owning = live_hook(f"{name}-own-kinds", kubeconfig, lambda text: kube.own_kinds(text, namespace, crds))
    k8s.core.v1.ConfigMap(
        f"{name}-owned-kinds",
        metadata={"name": names.OWNED_KINDS, "namespace": namespace, "labels": names.labels(team=team)},
        # nothing else: the provider replaces a ConfigMap whose data change, and a new version may bring no new kind
        data={"crds": " ".join(crds)},
        opts=component.child(provider=provider, depends_on=[release], first=owning),
    )
