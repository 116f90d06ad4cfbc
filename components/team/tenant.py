"""A tenant, with everything that follows from the stack file. Pure: no Pulumi import.

Owns: which nodes a tenant sees, its literal GPU numbers, its releases, what tenancy itself costs it, its endpoint.
Leaves to others: checking that the stack file makes sense (settings), making objects (the other files here).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import capacity
import names
import releases
from capacity import UNLIMITED
from settings.claims import tenancy_cost
from settings.models import Enforce, Expose, Platform, Pool, Queue, QueueResource, SchedulerMode, Team
from settings.tenants import canary_of, slot_of, tenants, tenants_now

CHECK_QUEUE_PRIORITY: Final = 1
"""Below every queue of the team's own (100 unless the stack file says otherwise)."""

DISK_PER_POD_GIB: Final = 100
"""A tenant's pods together may write this much, times their number, to their nodes' disks. It is twice the default
limit of a container (`guardrails.py`), so pods with a sidecar fit, and one pod may use the share of many.
"""


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """`gpu_limit` is a number: -1 in the stack file becomes the number of GPUs of the tenant's nodes."""

    name: str
    team: Team
    canary_of: str | None
    """For a canary, or a slot that does not serve: the tenant that serves."""
    slot: str | None
    pool_name: str | None
    pool: Pool | None
    nodes: tuple[str, ...]
    node_selector: Mapping[str, str]
    gpu_quota: int
    gpu_limit: int
    has_gpus: bool
    """Whether it has GPUs when it is not paused: a pause does not change its virtual cluster."""
    kai: releases.KaiRelease | None
    vcluster: releases.VclusterRelease
    kubernetes: str
    cost: releases.Footprint
    node_port: int | None
    server: str
    certificate_names: tuple[str, ...]

    @property
    def namespace(self) -> str:
        """The tenant's namespace on the host."""
        return names.team_namespace(self.name)

    @property
    def owner(self) -> str:
        """The tenant that its GPUs count with: itself, or for a canary or second slot the one that serves."""
        return self.canary_of or self.name

    @property
    def own_kai(self) -> bool:
        """Whether a KAI runs inside the virtual cluster."""
        return self.team.scheduler.mode is SchedulerMode.VIRTUAL

    @property
    def on_host(self) -> bool:
        """Whether the host's KAI places its pods."""
        return self.team.scheduler.mode is SchedulerMode.HOST

    @property
    def enforced(self) -> bool:
        """Whether a fraction of a GPU's memory is a limit."""
        return self.team.scheduler.shares and self.team.scheduler.gpu_sharing.enforce is Enforce.MEMORY

    @property
    def queues(self) -> Mapping[str, Queue]:
        """The leaf queues: the stack file's, and with mode `host` one for the check, unless the file names one.

        The check's queue has no quota and no weight. KAI reclaims for a queue only up to its fair share, which is 0
        here. So the check takes what is free and evicts nobody's pods
        (KAI@v0.16.8:pkg/scheduler/plugins/proportion/reclaimable/reclaimable.go, the same at v0.7.11).
        """
        check = self.team.check
        if not (self.on_host and check.enabled and self.gpu_limit and self.team.queues) or check.queue is not None:
            return self.team.queues
        most = QueueResource(quota=0, limit=min(check.gpus, self.gpu_limit), over_quota_weight=0)
        return {**self.team.queues, names.CHECK_QUEUE: Queue(gpu=most, priority=CHECK_QUEUE_PRIORITY)}

    @property
    def is_checked(self) -> bool:
        """Whether it has a check: with GPUs a check that takes some, with a KAI a check that goes through a queue."""
        shown = self.gpu_limit != 0 or self.check_queue is not None
        return self.team.check.enabled and shown and not self.team.paused

    @property
    def check_queue(self) -> str | None:
        """The name of the leaf queue that the check goes through."""
        # one of that name that the team has itself is a queue like any other
        made = names.CHECK_QUEUE in self.queues and names.CHECK_QUEUE not in self.team.queues
        leaf = self.team.check.queue or (names.CHECK_QUEUE if made else self.team.checked_queue)
        return None if leaf is None else names.leaf_queue(self.name, leaf, on_host=self.on_host)


def resolve(platform: Platform) -> dict[str, Tenant]:
    """Return every tenant of a valid stack file, canaries included, by name."""
    with_gpus = {name for name, team in tenants(platform).items() if team.resources.gpus.limit != 0}
    return {name: _tenant(platform, name, team, name in with_gpus) for name, team in tenants_now(platform).items()}


def _tenant(platform: Platform, name: str, team: Team, has_gpus: bool) -> Tenant:
    pool = platform.pools[team.pool] if team.pool else None
    kai = _kai(platform, team)
    vcluster = releases.VCLUSTER[team.vcluster.version or releases.DEFAULT_VCLUSTER]
    port = (team.access.port or capacity.node_port(name)) if team.access.expose is Expose.NODE_PORT else None
    return Tenant(
        name=name,
        team=team,
        canary_of=canary_of(platform, name),
        slot=slot_of(platform, name),
        pool_name=team.pool,
        pool=pool,
        nodes=(team.nodes or pool.nodes) if pool else (),
        node_selector=_node_selector(name, team, pool),
        gpu_quota=_literal(team.resources.gpus.quota, team, pool),
        gpu_limit=_literal(team.resources.gpus.limit, team, pool),
        has_gpus=has_gpus,
        kai=kai,
        vcluster=vcluster,
        # the host's KAI must not change the version inside: raising it would restart every tenant's API server
        kubernetes=team.vcluster.kubernetes_version
        or releases.kubernetes_for(vcluster, kai if team.scheduler.mode is SchedulerMode.VIRTUAL else None),
        cost=tenancy_cost(team),
        node_port=port,
        server=_server(platform, name, team, port),
        certificate_names=_certificate_names(platform, name, team),
    )


def _kai(platform: Platform, team: Team) -> releases.KaiRelease | None:
    if team.scheduler.mode is SchedulerMode.VIRTUAL and team.scheduler.version:
        return releases.KAI[team.scheduler.version]
    if team.scheduler.mode is SchedulerMode.HOST and platform.host.scheduler:
        return releases.KAI[platform.host.scheduler.version]
    return None


def _literal(number: int, team: Team, pool: Pool | None) -> int:
    if pool is None:
        return 0
    seen = (len(team.nodes) or pool.size) * pool.gpus_allocatable_per_node
    return seen if number == UNLIMITED else number


def _node_selector(name: str, team: Team, pool: Pool | None) -> dict[str, str]:
    if pool is None:
        return {}
    if team.nodes:
        return {names.team_node_label(name): "true"}
    return dict(pool.selector) if pool.selector else {names.LABEL_POOL: team.pool or ""}


def _server(platform: Platform, name: str, team: Team, port: int | None) -> str:
    if team.access.expose is Expose.NODE_PORT:
        return f"https://{names.in_url(platform.host.reachable_at or '')}:{port}"
    # the balancer's address comes later; without a host name, use the address inside the cluster
    if team.access.expose is Expose.LOAD_BALANCER and team.access.host_names:
        return f"https://{team.access.host_names[0]}"
    return f"https://{name}.{names.team_namespace(name)}.svc"


def _certificate_names(platform: Platform, name: str, team: Team) -> tuple[str, ...]:
    # vCluster's own certificate has <name> and <name>.<namespace>, not <name>.<namespace>.svc
    found = [f"{name}.{names.team_namespace(name)}.svc", *team.access.host_names]
    if team.access.expose is Expose.NODE_PORT and platform.host.reachable_at:
        found.append(platform.host.reachable_at)
    return tuple(dict.fromkeys(found))


def topologies(pools: Mapping[str | None, Pool | None]) -> dict[str, tuple[str, ...]]:
    """The Topology levels of each pool that has any, by the pool's name."""
    return {name: pool.topology for name, pool in pools.items() if name and pool and pool.topology}


def quota_hard(tenant: Tenant) -> dict[str, str]:
    """The hard limits of the tenant's ResourceQuota: the team's own, plus what tenancy itself needs.

    Every GPU resource name is there: a missing key means unlimited. In mode `virtual` KAI's reservation pod for a
    fraction lands in this namespace and counts as a whole GPU.
    """
    team = tenant.team.resources
    total = capacity.amounts(cpu=team.cpu, memory=team.memory, pods=team.pods) + tenant.cost
    hard = {
        "requests.cpu": f"{total.cpu_millicores}m",
        "requests.memory": f"{total.memory_mib}Mi",
        "requests.storage": team.storage,
        # not `count/pods`: it also counts pods that have ended, so a team's finished Jobs would block its next ones
        "pods": str(total.pods),
        "limits.ephemeral-storage": f"{total.pods * DISK_PER_POD_GIB}Gi",
        # the only way in from outside is ours; a tenant could otherwise open another one
        "services.nodeports": str((1 if tenant.team.access.expose is not Expose.NONE else 0) + _exposed(tenant.team)),
        "services.loadbalancers": "1" if tenant.team.access.expose is Expose.LOAD_BALANCER else "0",
    }
    hard.update({f"requests.{resource}": "0" for resource in names.GPU_RESOURCES})
    hard[f"requests.{names.GPU}"] = str(tenant.gpu_limit)
    return hard


def _exposed(team: Team) -> int:
    """How many of a team's workloads have a NodePort, by a Service of ours on the host."""
    return sum(1 for w in team.workloads.values() if w.way_in.node_port is not None)


def cluster_facts(tenant: Tenant) -> dict[str, object]:
    """What a policy, and a later run in the state, may read about a tenant's virtual cluster."""
    snapshots = tenant.team.vcluster.snapshots
    return {
        "team": tenant.name,
        "version": tenant.vcluster.version,
        "kubernetesVersion": tenant.kubernetes,
        "persistence": tenant.team.vcluster.persistence,
        "backingStore": tenant.team.vcluster.backing_store,
        **({"snapshotsSize": snapshots.claim} if snapshots and snapshots.claim else {}),
    }


def facts(tenant: Tenant) -> dict[str, object]:
    """What a policy may read about a tenant: literals, known at every preview."""
    team = tenant.team
    return {
        "name": tenant.name,
        "pool": tenant.pool_name,
        "nodes": list(tenant.nodes),
        "mode": team.scheduler.mode.value,
        "schedulerVersion": tenant.kai.version if tenant.kai else None,
        "vclusterVersion": tenant.vcluster.version,
        "gpuQuota": tenant.gpu_quota,
        "gpuLimit": tenant.gpu_limit,
        "cpu": team.resources.cpu,
        "memory": team.resources.memory,
        "pods": team.resources.pods,
        "isolation": team.isolation.value,
        "priority": team.priority.value,
        "gpuSharing": team.scheduler.shares,
        # left out where it is not set, so that older stacks see no change
        **({"gpuSharingEnforce": team.scheduler.gpu_sharing.enforce.value} if tenant.enforced else {}),
        "canaryOf": tenant.canary_of,
        **({"blueGreen": tenant.slot, "kubernetesVersion": tenant.kubernetes} if tenant.slot else {}),
        **({"state": team.state} if team.paused else {}),
        "queues": {
            name: {
                "quota": queue.gpu.quota,
                "limit": queue.gpu.limit,
                "overQuotaWeight": queue.gpu.over_quota_weight,
                "priority": queue.priority,
            }
            for name, queue in tenant.queues.items()
        },
    }
