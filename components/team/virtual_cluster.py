"""A tenant's virtual cluster and the provider of its API.

Owns: the vCluster Release, the Service by which tenants reach it, the read of its certificates, the inner provider, and
that nothing is sent to the tenant's API before it answers.
Leaves to others: everything inside the virtual cluster.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
import releases
from components.base import Component, TenantProvider, live_hook
from components.failures import FailedError, or_failed, why_failed
from components.helm import installed
from components.team import network
from components.team.tenant import Tenant, cluster_facts
from kube.snapshot_pod import claim_name
from settings.artifacts import chart_for
from settings.models import Artifacts, Expose, Host, Isolation, RuntimeClass, SchedulerMode

INNER_TIMEOUT_SECONDS: Final = 60
"""For one call of the inner provider: a dead tenant API must fail fast, and only for itself."""


@dataclass(frozen=True, kw_only=True)
class VirtualClusterArgs:
    """`host_kubeconfig` is a secret text; `runtime_class` is synced where the tenant has GPUs."""

    tenant: Tenant
    host: Host
    runtime_class: RuntimeClass
    artifacts: Artifacts
    provider: k8s.Provider
    host_kubeconfig: pulumi.Output[str]
    protect: bool
    depends_on: list[pulumi.Resource]


class VirtualCluster(Component):
    """One tenant's own Kubernetes API."""

    release: k8s.helm.v3.Release
    service: k8s.core.v1.Service | None
    provider: TenantProvider
    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: VirtualClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        tenant = args.tenant
        super().__init__(name, cluster_facts(tenant), opts)
        self.release = self._release(name, args)
        self.service = self._service(name, args)
        self._snapshots(name, args)
        self.kubeconfig = self._kubeconfig(args)
        self.provider = self._inner_provider(name, args)
        self.register_outputs({"server": tenant.server})

    def _release(self, name: str, args: VirtualClusterArgs) -> k8s.helm.v3.Release:
        tenant = args.tenant
        return installed(
            f"{name}-vcluster",
            chart_for("vcluster", tenant.vcluster.version, args.artifacts),
            name=tenant.name,
            namespace=tenant.namespace,
            values=values(args),
            # everything that the team has inside is deleted with it
            opts=self.child(
                provider=args.provider,
                depends_on=args.depends_on,
                protect=args.protect,
                # only a start needs it, so a running control plane is not restarted for it
                ignore_changes=[f"values.{releases.CONTROL_PLANE_PROBES}"],
            ),
        )

    def _service(self, name: str, args: VirtualClusterArgs) -> k8s.core.v1.Service | None:
        tenant = args.tenant
        if tenant.team.access.expose is Expose.NONE:
            return None
        port: dict[str, object] = {"name": "https", "port": 443, "targetPort": network.TENANT_API_PORT}
        if tenant.node_port is not None:
            port["nodePort"] = tenant.node_port
        return k8s.core.v1.Service(
            f"{name}-api",
            metadata={
                "name": f"{tenant.name}-api",
                "namespace": tenant.namespace,
                "labels": names.labels(team=tenant.name),
            },
            spec={
                "type": "NodePort" if tenant.node_port is not None else "LoadBalancer",
                "selector": {"app": "vcluster", "release": tenant.name},
                "ports": [port],
            },
            opts=self.child(provider=args.provider, depends_on=args.depends_on),
        )

    def _snapshots(self, name: str, args: VirtualClusterArgs) -> None:
        """The volume of its snapshots. It is not part of the Release, because snapshots must survive a replacement."""
        tenant, kept = args.tenant, args.tenant.team.vcluster.snapshots
        if kept is None or kept.claim is None:
            return
        storage_class = {"storageClassName": args.host.storage_class} if args.host.storage_class else {}
        k8s.core.v1.PersistentVolumeClaim(
            f"{name}-snapshots",
            metadata={
                "name": claim_name(tenant.name),
                "namespace": tenant.namespace,
                "labels": names.labels(team=tenant.name),
                # most classes make the volume only when a pod uses it
                "annotations": {"pulumi.com/skipAwait": "true"},
            },
            spec={
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": kept.claim}},
                **storage_class,
            },
            # not protected: the gate refuses to switch snapshots off, and an override allows it at once
            opts=self.child(provider=args.provider, depends_on=args.depends_on),
        )

    def _kubeconfig(self, args: VirtualClusterArgs) -> pulumi.Output[str]:
        """The tenant's admin kubeconfig. In an update it resolves when the API answers at its address, so everything
        that needs it comes later. In a preview it resolves at once, and not at all for a Release that is not there.

        The certificates are read here and are no resource: the state would hold them twice, and the engine writes the
        state after every step.
        """
        tenant = args.tenant

        async def when_it_answers(known: list[str]) -> str:
            text = await or_failed(asyncio.to_thread(_admin_kubeconfig, tenant, known[1]), self)
            if not pulumi.runtime.is_dry_run():
                if self.service is not None:
                    await _not_refused(self.service, whole=tenant.node_port is None)
                await or_failed(asyncio.to_thread(kube.wait_until_it_answers, text, tenant.name), self)
            return text

        # depends on the Release's id, never its status: a change of values makes the status unknown at preview, and
        # then every inner object would show a false "update"
        known: pulumi.Output[list[str]] = pulumi.Output.all(self.release.id, args.host_kubeconfig)
        return pulumi.Output.secret(known.apply(when_it_answers))

    def _inner_provider(self, name: str, args: VirtualClusterArgs) -> TenantProvider:
        tenant = args.tenant.name
        return TenantProvider(
            f"{name}-inner",
            kubeconfig=self.kubeconfig,
            cluster_identifier=f"{pulumi.get_project()}/{pulumi.get_stack()}/{tenant}",
            timeout_seconds=INNER_TIMEOUT_SECONDS,
            vcluster=self.release,
            # the API server may also restart in the middle of an update
            answers=live_hook(
                f"{name}-answers", self.kubeconfig, lambda text: kube.wait_until_it_answers(text, tenant)
            ),
            opts=self.child(depends_on=[self.release], deleted_with=self.release),
        )


async def _not_refused(service: pulumi.Resource, *, whole: bool) -> None:
    """Fail where the Service failed, because nothing will listen at its address. `whole`: also wait until the Service
    is ready.

    A NodePort works as soon as the Service exists, long before its Release is ready. The provider calls the Service
    ready 10 s after the pod behind it (pulumi-kubernetes v4.32.0: await/service.go), and a load balancer once it has
    its address.
    """
    refused = asyncio.ensure_future(why_failed(service))
    await asyncio.wait({refused}, timeout=None if whole else 0)
    if refused.done() and (why := refused.result()) is not None:
        raise FailedError(why)


def _admin_kubeconfig(tenant: Tenant, host_kubeconfig: str) -> str:
    secret = names.team_secret(tenant.name)
    # under load the Secret comes later than the Release
    deadline = kube.READ_DEADLINE_SECONDS if pulumi.runtime.is_dry_run() else kube.SECRET_DEADLINE_SECONDS
    data = kube.read_secret(host_kubeconfig, tenant.namespace, secret, deadline)
    if not {"certificate-authority", "client-certificate", "client-key"} <= data.keys():
        message = (
            f"team {tenant.name}: Secret {tenant.namespace}/{secret} has no certificates of its virtual cluster. "
            f"Look at the log of pod {tenant.name}-0 in that namespace, and run the update again"
        )
        raise LookupError(message)
    return kube.team_kubeconfig(tenant.name, tenant.server, data)


def values(args: VirtualClusterArgs) -> dict[str, releases.JSON]:
    """The chart values of a tenant's virtual cluster."""
    tenant = args.tenant
    mode = tenant.team.scheduler.mode
    has_gpus = tenant.has_gpus
    return releases.vcluster_values(
        tenant.vcluster,
        team=tenant.name,
        namespace=tenant.namespace,
        kubernetes_version=tenant.kubernetes,
        # the tenant's own scheduler binds pods, so it must see real nodes; without one the host schedules
        virtual_scheduler=mode is SchedulerMode.VIRTUAL,
        node_selector_labels=dict(tenant.node_selector),
        enforce_tolerations=(
            (f"{names.GPU}={tenant.pool.taint_value}:NoSchedule",) if tenant.pool and tenant.pool.taint else ()
        ),
        sync_runtime_classes=has_gpus,
        # KAI 0.7.11's reservation pod has no runtime class of its own
        runtime_class=(
            args.runtime_class.name if has_gpus and tenant.kai and tenant.kai.fractions_need_default_runtime else None
        ),
        persistence=tenant.team.vcluster.persistence,
        storage_class=args.host.storage_class,
        backing_store=tenant.team.vcluster.backing_store,
        server=tenant.server,
        extra_sans=tenant.certificate_names,
        # KAI on the host groups pods by their owner, and the owner of all of them would be the vCluster's Service
        set_owner=mode is not SchedulerMode.HOST,
        restricted=tenant.team.isolation is Isolation.RESTRICTED,
        priority_class=names.team_priority_class(tenant.name),
        image_registry=args.artifacts.image_registry,
        pull_policy=args.artifacts.image_pull_policy,
    )
