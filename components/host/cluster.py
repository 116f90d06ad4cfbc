"""The host cluster as a provider.

Owns: the Kubernetes provider of the host, and the cluster's UID.
Leaves to others: making a cluster, or any object on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.base import Component


@dataclass(frozen=True, kw_only=True)
class HostClusterArgs:
    """`kubeconfig` is the text (a secret) of a kubeconfig with one context; `context` is for people. `install`: what
    made the cluster, where this program did."""

    kubeconfig: pulumi.Output[str]
    context: str
    provider: str
    install: Component | None


class HostCluster(Component):
    """The cluster that holds the GPU nodes and all virtual clusters."""

    install: Component | None
    provider: k8s.Provider
    uid: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    context: str

    def __init__(self, name: str, args: HostClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, {"context": args.context, "hostProvider": args.provider}, opts)
        self.install = args.install
        self.kubeconfig = args.kubeconfig
        self.context = args.context
        self.provider = k8s.Provider(
            f"{name}-provider",
            kubeconfig=args.kubeconfig,
            # new credentials or a new address must never look like another cluster: that would replace every object of
            # every team. the cluster's UID is checked before anything is applied
            cluster_identifier=f"{pulumi.get_project()}/{pulumi.get_stack()}/host",
            opts=self.child(),
        )
        system = k8s.core.v1.Namespace.get(f"{name}-uid", "kube-system", opts=self.child(provider=self.provider))
        self.uid = system.metadata.uid
        self.register_outputs({"uid": self.uid})
