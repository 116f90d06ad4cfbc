"""A tenant's kubeconfig without admin rights.

Owns: the account, its rights and its token inside the virtual cluster.
Leaves to others: the admin kubeconfig (`virtual_cluster.py`), how the API is reached (its Service).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
from components.base import Component, TenantProvider
from components.team.tenant import Tenant

ACCOUNT = "team-user"
NAMESPACE = "default"
"""Users work in the virtual cluster's `default` namespace. A tenant's admin can make more namespaces and bindings."""


@dataclass(frozen=True, kw_only=True)
class AccessArgs:
    """`provider` is the tenant's."""

    tenant: Tenant
    provider: TenantProvider


class Access(Component):
    """One account that may run work, and may not change queues, roles or the scheduler."""

    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, {"team": args.tenant.name}, opts)
        self._child = self.child(provider=args.provider)
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account", metadata=self._metadata(args, ACCOUNT, NAMESPACE), opts=self._child
        )
        self._rights(name, args)
        token = k8s.core.v1.Secret(
            f"{name}-token",
            metadata={
                **self._metadata(args, f"{ACCOUNT}-token", NAMESPACE),
                "annotations": {"kubernetes.io/service-account.name": ACCOUNT},
            },
            type="kubernetes.io/service-account-token",
            opts=self.child(provider=args.provider, depends_on=[account]),
        )
        server = args.tenant.server
        self.kubeconfig = pulumi.Output.secret(
            token.data.apply(
                lambda data: kube.user_kubeconfig(
                    args.tenant.name, server, data.get("ca.crt", ""), data.get("token", "")
                )
            )
        )
        self.register_outputs({"account": ACCOUNT})

    def _rights(self, name: str, args: AccessArgs) -> None:
        subjects = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]
        k8s.rbac.v1.RoleBinding(
            f"{name}-edit",
            metadata=self._metadata(args, f"{ACCOUNT}-edit", NAMESPACE),
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            subjects=subjects,
            opts=self._child,
        )
        k8s.rbac.v1.ClusterRole(
            f"{name}-see-queues",
            metadata=self._metadata(args, f"{ACCOUNT}-see-queues"),
            rules=[
                {
                    "apiGroups": ["scheduling.run.ai"],
                    "resources": ["queues", "podgroups"],
                    "verbs": ["get", "list", "watch"],
                },
                {"apiGroups": [""], "resources": ["nodes", "namespaces"], "verbs": ["get", "list", "watch"]},
            ],
            opts=self._child,
        )
        k8s.rbac.v1.ClusterRoleBinding(
            f"{name}-see-queues-binding",
            metadata=self._metadata(args, f"{ACCOUNT}-see-queues"),
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{ACCOUNT}-see-queues"},
            subjects=subjects,
            opts=self._child,
        )

    @staticmethod
    def _metadata(args: AccessArgs, name: str, namespace: str | None = None) -> dict[str, object]:
        place = {"namespace": namespace} if namespace else {}
        return {"name": name, "labels": names.labels(team=args.tenant.name), **place}
