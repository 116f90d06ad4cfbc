"""metrics-server on a kind cluster that this program makes.

Owns: its Release, with what kind's kubelets need.
Leaves to others: whether it is asked for (`settings/hosts/kind.py`), the version (`releases/hosts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.base import Component
from releases.hosts import METRICS_SERVER, METRICS_SERVER_REPO


@dataclass(frozen=True, kw_only=True)
class MetricsServerArgs:
    """`provider` is the host's."""

    provider: k8s.Provider


class MetricsServer(Component):
    """What `kubectl top` asks."""

    def __init__(self, name: str, args: MetricsServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, {"version": METRICS_SERVER}, opts)
        k8s.helm.v3.Release(
            f"{name}-release",
            name="metrics-server",
            namespace="kube-system",
            chart="metrics-server",
            version=METRICS_SERVER,
            repository_opts={"repo": METRICS_SERVER_REPO},
            # the certificates of kind's kubelets are not signed by a CA
            values={"args": ["--kubelet-insecure-tls"]},
            atomic=True,
            opts=self.child(provider=args.provider),
        )
        self.register_outputs({})
