"""The mark of a paused tenant on the host.

Owns: a ConfigMap in the tenant's namespace, and stopping the tenant's pods before it is made.
Leaves to others: that no pod starts meanwhile (`admission.py`, `guardrails.py`), and that no check runs.

The API server and the scheduler inside stay: without them the tenant could not be previewed, changed or shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
from components.base import Component, live_hook
from components.team.pod_rules import OF_TENANCY
from components.team.tenant import Tenant


@dataclass(frozen=True, kw_only=True)
class PauseArgs:
    """`provider` and `kubeconfig` are the host's. `depends_on`: what prevents pods from starting again."""

    tenant: Tenant
    provider: k8s.Provider
    kubeconfig: pulumi.Output[str]
    depends_on: list[pulumi.Resource]


class Pause(Component):
    """A tenant that is paused."""

    def __init__(self, name: str, args: PauseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        tenant = args.tenant
        super().__init__(name, {"team": tenant.name}, opts)
        kept = {names.SYNCED_NAMESPACE: OF_TENANCY}
        k8s.core.v1.ConfigMap(
            f"{name}-mark",
            metadata={
                "name": "gpu-tenancy-paused",
                "namespace": tenant.namespace,
                "labels": names.labels(team=tenant.name),
            },
            data={"state": tenant.team.state},
            opts=self.child(
                provider=args.provider,
                depends_on=args.depends_on,
                before_create=live_hook(
                    f"{name}-stop",
                    args.kubeconfig,
                    lambda text: kube.stop_pods(text, tenant.namespace, label=names.SYNCED_BY, kept=kept),
                ),
            ),
        )
        self.register_outputs({})
