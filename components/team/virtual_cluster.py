"""A tenant's virtual cluster and the provider of its API.

Owns: the vCluster Release, the Service that tenants come in by, the read of its certificates, the inner provider.
Leaves to others: everything inside the virtual cluster.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
import releases
from components.base import Component
from components.team import network
from components.team.tenant import Tenant
from settings.artifacts import chart_for
from settings.models import Artifacts, Expose, Host, RuntimeClass, SchedulerMode

GPU_TAINT = f"{names.GPU}={names.GPU_TAINT_VALUE}:NoSchedule"


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
    secret: k8s.core.v1.Secret
    provider: k8s.Provider
    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: VirtualClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        tenant = args.tenant
        super().__init__(
            name,
            {
                "team": tenant.name,
                "version": tenant.vcluster.version,
                "kubernetesVersion": tenant.kubernetes,
                "persistence": tenant.team.vcluster.persistence,
                "backingStore": tenant.team.vcluster.backing_store,
            },
            opts,
        )
        self.release = self._release(name, args)
        self._service(name, args)
        self.secret = self._secret(name, args)
        self.kubeconfig = pulumi.Output.secret(
            self.secret.data.apply(lambda data: kube.team_kubeconfig(tenant.name, tenant.server, data))
        )
        self.provider = self._inner_provider(name, args)
        self.register_outputs({"server": tenant.server})

    def _release(self, name: str, args: VirtualClusterArgs) -> k8s.helm.v3.Release:
        tenant = args.tenant
        chart = chart_for("vcluster", tenant.vcluster.version, args.artifacts)
        return k8s.helm.v3.Release(
            f"{name}-vcluster",
            name=tenant.name,
            namespace=tenant.namespace,
            chart=chart.chart,
            version=chart.version,
            repository_opts={"repo": chart.repo} if chart.repo else None,
            values=values(args),
            # without atomic a failed first install stays in the state with a known id while its Secret does not exist,
            # and every later preview ends with "does not exist"
            atomic=True,
            cleanup_on_fail=True,
            max_history=5,
            timeout=600,
            # with it goes everything that the team has inside
            opts=self.child(provider=args.provider, depends_on=args.depends_on, protect=args.protect),
        )

    def _service(self, name: str, args: VirtualClusterArgs) -> None:
        tenant = args.tenant
        if tenant.team.access.expose is Expose.NONE:
            return
        port: dict[str, object] = {"name": "https", "port": 443, "targetPort": network.TENANT_API_PORT}
        if tenant.node_port is not None:
            port["nodePort"] = tenant.node_port
        k8s.core.v1.Service(
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

    def _secret(self, name: str, args: VirtualClusterArgs) -> k8s.core.v1.Secret:
        namespace, secret = args.tenant.namespace, names.team_secret(args.tenant.name)

        async def when_there(known: list[str]) -> str:
            # the Secret lags the Release under load, and a read of a missing one ends the update for all teams
            if not pulumi.runtime.is_dry_run():
                await asyncio.to_thread(kube.wait_for_secret, known[1], namespace, secret)
            return f"{namespace}/{secret}"

        # keyed on the Release's id, never its status: a change of values makes the status unknown at preview, and with
        # it every inner object a false "update"
        known: pulumi.Output[list[str]] = pulumi.Output.all(self.release.id, args.host_kubeconfig)
        found: pulumi.Output[str] = known.apply(when_there)
        return k8s.core.v1.Secret.get(
            f"{name}-certificates",
            id=pulumi.Output.unsecret(found),
            opts=self.child(provider=args.provider, depends_on=[self.release]),
        )

    def _inner_provider(self, name: str, args: VirtualClusterArgs) -> k8s.Provider:
        return k8s.Provider(
            f"{name}-inner",
            kubeconfig=self.kubeconfig,
            cluster_identifier=f"{pulumi.get_project()}/{pulumi.get_stack()}/{args.tenant.name}",
            # a dead tenant API must fail fast, and alone
            kube_client_settings={"timeout": 60},
            opts=self.child(depends_on=[self.release], deleted_with=self.release),
        )


def values(args: VirtualClusterArgs) -> dict[str, releases.JSON]:
    """The chart values of a tenant's virtual cluster."""
    tenant = args.tenant
    mode = tenant.team.scheduler.mode
    has_gpus = tenant.gpu_limit > 0
    return releases.vcluster_values(
        tenant.vcluster,
        team=tenant.name,
        namespace=tenant.namespace,
        kubernetes_version=tenant.kubernetes,
        # the tenant's own scheduler binds pods, so it must see real nodes; without it the host schedules
        virtual_scheduler=mode is SchedulerMode.VIRTUAL,
        node_selector_labels=dict(tenant.node_selector),
        enforce_tolerations=(GPU_TAINT,) if tenant.pool and tenant.pool.taint else (),
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
        # KAI on the host groups pods by their owner, and the owner would be the vCluster's Service
        set_owner=mode is not SchedulerMode.HOST,
        priority_class=names.team_priority_class(tenant.name),
        image_registry=args.artifacts.image_registry,
        pull_policy=args.artifacts.image_pull_policy,
    )
