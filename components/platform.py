"""The whole platform, in the order of creation: host, GPU software, host checks and teams.

Owns: the order, and what one part passes to the next.
Leaves to others: reading config (`__main__.py`), every object (the components).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pulumi
import pulumi_kubernetes as k8s

import names
import releases
from components.check.gpu_check import GpuCheck, GpuCheckArgs, Programs
from components.check.host import host_requests
from components.gpu.software import GpuSoftware, GpuSoftwareArgs, checked_software
from components.host.cluster import HostCluster, HostClusterArgs
from components.host.install import InstalledHost, InstalledHostArgs
from components.host.metrics_server import MetricsServer, MetricsServerArgs
from components.host.node_pool import NodePool, NodePoolArgs
from components.protection import Protection
from components.slurm.cluster import SlurmCluster, SlurmClusterArgs
from components.team.admission import others
from components.team.kai_scheduler import KaiScheduler, KaiSchedulerArgs
from components.team.protection import protected
from components.team.team import Team, TeamArgs
from components.team.tenant import Tenant, topologies
from releases import injection
from settings.labels import default_entry
from settings.models import Enforce, GpuStack, Owner, Platform, SchedulerMode
from settings.models import Team as ATeam


@dataclass(frozen=True, kw_only=True)
class HostParts:
    """The parts of the host that every team depends on."""

    cluster: HostCluster
    metrics: MetricsServer | None
    pools: Mapping[str, NodePool]
    software: GpuSoftware
    kai: KaiScheduler | None
    checks: Mapping[str, GpuCheck]


def cluster(
    platform: Platform,
    tenants: Mapping[str, Tenant],
    known: tuple[str, str] | None,
    secrets: Mapping[str, pulumi.Output[str]],
) -> HostCluster:
    """Declare the host cluster: the existing one of `known` (kubeconfig and context), or one that is made."""
    provider, made = platform.host.provider, None
    if known is not None:
        kubeconfig, context = pulumi.Output.secret(known[0]), known[1]
    else:
        ssh = platform.host.connection.ssh if platform.host.connection else None
        made = InstalledHost(
            "host-install",
            InstalledHostArgs(
                platform=platform,
                ports=published_ports(platform, tenants),
                key=secrets[f"config/{ssh.key}"] if ssh else None,
            ),
        )
        kubeconfig, context = made.kubeconfig, made.context
    return HostCluster(
        "host", HostClusterArgs(kubeconfig=kubeconfig, context=context, provider=provider.value, install=made)
    )


def published_ports(platform: Platform, tenants: Mapping[str, Tenant]) -> tuple[int, ...]:
    """The NodePorts that people reach from outside: those of each team's API server and of exposed apps."""
    found = {tenant.node_port for tenant in tenants.values() if tenant.node_port is not None}
    for team in platform.teams.values():
        for workload in team.workloads.values():
            if workload.way_in.node_port is not None:
                found.add(workload.way_in.node_port)
    return tuple(sorted(found | set(platform.host.kind.ports if platform.host.kind else ())))


def host(
    platform: Platform, cluster: HostCluster, tenants: Mapping[str, Tenant], patches: Mapping[str, str]
) -> HostParts:
    """Declare everything that comes before the teams. `patches`: in the state, by node."""
    metrics = _metrics(platform, cluster)
    pools = _pools(platform, cluster, tenants, patches)
    software = GpuSoftware(
        "gpu-software",
        GpuSoftwareArgs(
            gpu=platform.gpu,
            host=platform.host.provider,
            pools=dict(platform.pools),
            artifacts=platform.artifacts,
            provider=cluster.provider,
            kubeconfig=cluster.kubeconfig,
            depends_on=list(pools.values()),
        ),
    )
    kai = _host_kai(platform, cluster, software)
    return HostParts(
        cluster=cluster,
        metrics=metrics,
        pools=pools,
        software=software,
        kai=kai,
        checks=_host_checks(platform, cluster, software, pools),
    )


def _metrics(platform: Platform, cluster: HostCluster) -> MetricsServer | None:
    if platform.host.kind is None or not platform.host.kind.metrics_server:
        return None
    return MetricsServer("metrics-server", MetricsServerArgs(provider=cluster.provider))


def _pools(
    platform: Platform, cluster: HostCluster, tenants: Mapping[str, Tenant], patches: Mapping[str, str]
) -> dict[str, NodePool]:
    # a name that a patch has now is no other one's former name
    named = {names.node_patch(name, node) for name, pool in platform.pools.items() for node in pool.nodes}
    moved = {node: patch for node, patch in patches.items() if patch not in named}
    divided = {name: tenant for name, tenant in tenants.items() if tenant.team.nodes}
    return {
        name: NodePool(
            name,
            NodePoolArgs(
                pool=pool,
                provider=cluster.provider,
                teams_of_node={
                    node: [tenant for tenant, found in divided.items() if node in found.nodes] for node in pool.nodes
                },
                # the GPU Operator's feature discovery writes these itself
                label_gpus=platform.gpu.stack is not GpuStack.GPU_OPERATOR,
                label_sharing=platform.gpu.owner is Owner.OURS,
                moved=moved,
                default_entry=default_entry(platform.pools),
            ),
        )
        for name, pool in platform.pools.items()
    }


def _host_kai(platform: Platform, cluster: HostCluster, software: GpuSoftware) -> KaiScheduler | None:
    shared = platform.host.scheduler
    if shared is None or shared.owner is Owner.CLUSTER:
        return None
    return KaiScheduler(
        "host-scheduler",
        KaiSchedulerArgs(
            team=None,
            release=releases.KAI[shared.version],
            gpu_sharing=any(team.scheduler.shares for team in platform.teams.values()),
            # one KAI enforces it for all teams or for none (rules/enforcement.py)
            enforce=any(
                by_host(team) and team.scheduler.gpu_sharing.enforce is Enforce.MEMORY
                for team in platform.teams.values()
            ),
            runtime_class=platform.gpu.runtime_class.name,
            fake_gpus=platform.gpu.stack is GpuStack.FAKE,
            cdi=injection.kai_cdi(platform.gpu.injection),
            artifacts=platform.artifacts,
            provider=cluster.provider,
            kubeconfig=cluster.kubeconfig,
            scale_adjuster=shared.scale_adjuster,
            topologies=topologies(
                {t.pool: platform.pools.get(t.pool or "") for t in platform.teams.values() if by_host(t)}
            ),
        ),
        pulumi.ResourceOptions(depends_on=[software]),
    )


def by_host(team: ATeam) -> bool:
    """Whether a team's pods are placed by the host's KAI."""
    return team.scheduler.mode is SchedulerMode.HOST


def _foreign_kai(platform: Platform) -> bool:
    return platform.host.scheduler is not None and platform.host.scheduler.owner is Owner.CLUSTER


def _host_checks(
    platform: Platform, cluster: HostCluster, software: GpuSoftware, pools: Mapping[str, NodePool]
) -> dict[str, GpuCheck]:
    requests = host_requests(platform) if platform.check.host else {}
    if not requests:
        return {}
    namespace = k8s.core.v1.Namespace(
        "host-check-namespace",
        metadata={"name": names.HOST_NAMESPACE, "labels": names.labels()},
        opts=pulumi.ResourceOptions(provider=cluster.provider, parent=cluster),
    )
    programs = Programs()
    return {
        suffix: GpuCheck(
            f"host-check-{suffix}",
            GpuCheckArgs(
                request=request,
                checked={"gpu": checked_software(platform.gpu)},
                provider=cluster.provider,
                kubeconfig=cluster.kubeconfig,
                depends_on=[namespace, software, *([pools[request.pool]] if request.pool else [])],
                ready=software.ready,
                own_namespace=False,
                programs=programs,
            ),
        )
        for suffix, request in requests.items()
    }


def slurm(platform: Platform, secrets: Mapping[str, pulumi.Output[str]]) -> SlurmCluster | None:
    """Declare SLURM on its host, where the stack file has it. It depends on nothing in the Kubernetes cluster."""
    declared = platform.slurm
    if declared is None:
        return None
    ssh = declared.connection.ssh
    return SlurmCluster("slurm", SlurmClusterArgs(slurm=declared, key=secrets[f"config/{ssh.key}"] if ssh else None))


def protection(parts: HostParts, cluster: SlurmCluster | None, known: frozenset[str]) -> Protection:
    """Declare the host's protection: it depends on the whole host and on SLURM, and protected teams depend on it.

    `known`: the names of the protections in the state, as everywhere here."""
    host = (parts.cluster, parts.cluster.install, parts.metrics)
    below = [*host, *parts.pools.values(), parts.software, parts.kai, *parts.checks.values(), cluster]
    name = names.protection(None)
    return Protection(name, [made for part in below if part for made in part.made], known=name in known)


def teams(
    platform: Platform,
    parts: HostParts,
    tenants: Mapping[str, Tenant],
    today: date,
    secrets: Mapping[str, pulumi.Output[str]],
    host: Protection,
    known: frozenset[str],
) -> dict[str, Team]:
    """Declare every tenant. A tenant comes up while the host checks of its nodes run, and runs nothing on a GPU before
    they have passed. No team depends on another team.
    """
    return {name: _team(platform, parts, tenants, name, today, secrets, host, known) for name in tenants}


def _team(
    platform: Platform,
    parts: HostParts,
    tenants: Mapping[str, Tenant],
    name: str,
    today: date,
    secrets: Mapping[str, pulumi.Output[str]],
    host: Protection,
    known: frozenset[str],
) -> Team:
    tenant = tenants[name]
    # a canary, and a slot that does not serve, may go without an override; a team may not
    protect = tenant.canary_of is None and protected(name, platform.overrides, today)
    return Team(
        name,
        TeamArgs(
            tenant=tenant,
            others=others(tenants, name, foreign_kai=_foreign_kai(platform)),
            platform=platform,
            provider=parts.cluster.provider,
            host_kubeconfig=parts.cluster.kubeconfig,
            host_kai=parts.kai,
            protect=protect,
            secrets=secrets,
            host=host,
            known=names.protection(name) in known,
            beside={
                other.namespace: other.gpu_limit
                for other in tenants.values()
                if other is not tenant and other.owner == tenant.owner
            },
            # only its own nodes: otherwise each of 300 teams that divide a pool would depend on 300 nodes
            depends_on=parts.pools[tenant.pool_name].patches_of(tenant.nodes) if tenant.pool_name else [],
            ready=parts.software.ready,
            proven=[
                check.finished
                for suffix, check in parts.checks.items()
                if suffix in tenant.nodes or suffix == f"pool-{tenant.pool_name}"
            ],
        ),
        pulumi.ResourceOptions(protect=protect),
    )
