"""A team: everything that one tenant gets, in the order of creation.

Owns: the order. Guardrails come first, because a virtual cluster must never exist without its limits.
Leaves to others: each step is a component of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi
import pulumi_kubernetes as k8s

import names
from components.base import Component
from components.check import job
from components.check.gpu_check import GpuCheck, GpuCheckArgs
from components.check.host import pod_settings
from components.failures import unless_failed
from components.gpu.software import checked_software
from components.protection import Protection
from components.team.access import Access, AccessArgs
from components.team.admission import Admission, AdmissionArgs, Others
from components.team.guardrails import Guardrails, GuardrailsArgs
from components.team.kai_scheduler import KaiScheduler, KaiSchedulerArgs
from components.team.pause import Pause, PauseArgs
from components.team.queues import Queues, QueuesArgs
from components.team.tenant import Tenant, facts, topologies
from components.team.virtual_cluster import VirtualCluster, VirtualClusterArgs
from components.workloads.workloads import Workloads, WorkloadsArgs
from releases import injection
from settings.models import GpuStack, Isolation, Platform, SchedulerMode, TeamCheck


@dataclass(frozen=True, kw_only=True)
class TeamArgs:
    """`host_kai` is the one KAI on the host, for mode `host`. `others`: what the tenant's pods must not use. `protect`:
    refuse to delete or replace the tenant. `depends_on`: what everything here depends on. `proven`: the host's own
    checks; only what runs on a GPU waits for them. `secrets`: the values for its workloads, by source. `beside`:
    tenants that exchange GPUs with it (`guardrails.py`). `host`: the host's protection. `known`: whether the state has
    the tenant's own `Protection`.
    """

    tenant: Tenant
    others: Others
    platform: Platform
    provider: k8s.Provider
    host_kubeconfig: pulumi.Output[str]
    host_kai: KaiScheduler | None
    protect: bool
    depends_on: list[pulumi.Resource]
    ready: pulumi.ResourceHook | None
    proven: list[pulumi.Resource]
    secrets: Mapping[str, pulumi.Output[str]]
    host: Protection
    known: bool
    beside: Mapping[str, int]


class Team(Component):
    """One tenant. No attribute may have the name of a fact: the SDK sets each fact as an attribute, too."""

    guardrails: Guardrails
    admission: Admission
    virtual_cluster: VirtualCluster
    scheduler: KaiScheduler | None = None
    team_queues: Queues | None = None
    access: Access | None = None
    check: GpuCheck | None = None
    workloads: Workloads | None = None
    failed: pulumi.Output[list[str]]

    def __init__(self, name: str, args: TeamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, facts(args.tenant), opts)
        self._args = args
        self.guardrails = Guardrails(
            f"{name}-guardrails",
            GuardrailsArgs(
                tenant=args.tenant,
                provider=args.provider,
                host_kubeconfig=args.host_kubeconfig,
                beside=args.beside,
            ),
            self.child(),
        )
        self.admission = self._admission(name)
        self.virtual_cluster = self._virtual_cluster(name)
        self.scheduler = self._scheduler(name)
        self.team_queues = self._queues(name)
        self.access = self._access(name)
        self._pause(name)
        self.check = self._check(name)
        self.workloads = self._workloads(name)
        self.failed = self.failures()
        Protection(
            names.protection(name), self.made, known=args.known, after=args.host, opts=self.child(protect=args.protect)
        )
        # a later run reads this in the state to know whether it may leave this team out (cli/guards/memory.py)
        self.register_outputs({**self.outputs(), names.PROTECTED_OUTPUT: args.protect})

    def _admission(self, name: str) -> Admission:
        args = self._args
        return Admission(
            f"{name}-admission",
            AdmissionArgs(
                tenant=args.tenant,
                provider=args.provider,
                runtime_class=args.platform.gpu.runtime_class.name,
                others=args.others,
            ),
            self.child(),
        )

    def _virtual_cluster(self, name: str) -> VirtualCluster:
        args = self._args
        return VirtualCluster(
            f"{name}-virtual-cluster",
            VirtualClusterArgs(
                tenant=args.tenant,
                host=args.platform.host,
                runtime_class=args.platform.gpu.runtime_class,
                artifacts=args.platform.artifacts,
                provider=args.provider,
                host_kubeconfig=args.host_kubeconfig,
                protect=args.protect,
                depends_on=[self.guardrails, self.admission, *args.depends_on],
            ),
            self.child(protect=args.protect),
        )

    def _scheduler(self, name: str) -> KaiScheduler | None:
        args, inner = self._args, self.virtual_cluster
        if not args.tenant.own_kai or args.tenant.kai is None:
            return None
        return KaiScheduler(
            f"{name}-scheduler",
            KaiSchedulerArgs(
                team=args.tenant.name,
                release=args.tenant.kai,
                gpu_sharing=args.tenant.team.scheduler.shares,
                enforce=args.tenant.enforced,
                runtime_class=args.platform.gpu.runtime_class.name,
                fake_gpus=args.platform.gpu.stack is GpuStack.FAKE,
                cdi=injection.kai_cdi(args.platform.gpu.injection),
                artifacts=args.platform.artifacts,
                provider=inner.provider,
                kubeconfig=inner.kubeconfig,
                restricted=args.tenant.team.isolation is Isolation.RESTRICTED,
                topologies=topologies({args.tenant.pool_name: args.tenant.pool}),
            ),
            self.child(),
        )

    def _queues(self, name: str) -> Queues | None:
        args = self._args
        if not args.tenant.queues:
            return None
        if args.tenant.on_host:
            queues = QueuesArgs(
                tenant=args.tenant,
                on_host=True,
                provider=args.provider,
                kubeconfig=args.host_kubeconfig,
                # the cluster's own KAI exists already
                kai=args.host_kai.release.status if args.host_kai else None,
            )
        elif self.scheduler is not None:
            queues = QueuesArgs(
                tenant=args.tenant,
                on_host=False,
                provider=self.virtual_cluster.provider,
                kubeconfig=self.virtual_cluster.kubeconfig,
                kai=self.scheduler.works,
            )
        else:
            return None
        return Queues(f"{name}-queues", queues, self.child())

    def _kai(self) -> list[pulumi.Resource]:
        """The Release of the tenant's own KAI: its queues may be there before it has ended."""
        return [self.scheduler.release] if self.scheduler else []

    def _access(self, name: str) -> Access | None:
        if not self._args.tenant.team.access.user_kubeconfig:
            return None
        inner = self.virtual_cluster
        return Access(
            f"{name}-access",
            AccessArgs(tenant=self._args.tenant, provider=inner.provider),
            self.child(),
        )

    def _pause(self, name: str) -> None:
        args = self._args
        if not args.tenant.team.paused:
            return
        Pause(
            f"{name}-pause",
            PauseArgs(
                tenant=args.tenant,
                provider=args.provider,
                kubeconfig=args.host_kubeconfig,
                # not the queues: the pause must work where a tenant's API is down
                depends_on=[self.guardrails, self.admission],
            ),
            self.child(),
        )

    def _check(self, name: str) -> GpuCheck | None:
        tenant = self._args.tenant
        if not tenant.is_checked:
            return None
        inner = self.virtual_cluster
        return GpuCheck(
            f"{name}-check",
            GpuCheckArgs(
                request=check_request(tenant, self._args.platform),
                checked={"team": checked(tenant), "gpu": checked_software(self._args.platform.gpu)},
                provider=inner.provider,
                kubeconfig=inner.kubeconfig,
                # the engine writes one step after the other, of all teams: first what lets KAI begin, which takes long
                depends_on=self.scheduler.needs if self.scheduler else (),
                ready=self._args.ready if tenant.has_gpus else None,
                after=[
                    *self._args.proven,
                    *([self.team_queues] if self.team_queues else []),
                    # a pair holds its place until its verdict, so where there is little room the Release would wait for
                    # the pair, and the pair for the Release
                    *(self._kai() if tenant.team.check.pair else []),
                ],
                before_verdict=self._kai(),
                install=self.scheduler.install if self.scheduler else None,
                own_namespace=True,
            ),
            self.child(),
        )

    def _workloads(self, name: str) -> Workloads | None:
        args, inner = self._args, self.virtual_cluster
        if not args.tenant.team.workloads:
            return None
        return Workloads(
            f"{name}-workloads",
            WorkloadsArgs(
                tenant=args.tenant,
                platform=args.platform,
                provider=inner.provider,
                host_provider=args.provider,
                namespace=self.guardrails.namespace,
                secrets=args.secrets,
                # a team whose check fails gets no server on top of it
                depends_on=[self.check.finished]
                if self.check
                else [*args.proven, *self._kai(), self.team_queues or inner.release],
            ),
            self.child(),
        )

    def outputs(self) -> dict[str, pulumi.Input[object]]:
        """What `make outputs` says about this tenant; nothing secret.

        All of it also resolves after an update in which something failed. Otherwise the stack would have no outputs at
        all. `failed` lists what failed, by the engine's names; it is empty where everything of the tenant succeeded.
        """
        tenant = self._args.tenant
        found: dict[str, pulumi.Input[object]] = {
            **facts(tenant),
            "namespace": tenant.namespace,
            "endpoint": tenant.server,
            "check": unless_failed(self.check.report) if self.check else None,
            "failed": self.failed,
        }
        return found

    def kubeconfigs(self) -> dict[str, pulumi.Input[str | None]]:
        """The tenant's own credentials, and nothing of any other tenant; None for what could not be made."""
        found: dict[str, pulumi.Input[str | None]] = {"admin": unless_failed(self.virtual_cluster.kubeconfig)}
        if self.access is not None:
            found["user"] = unless_failed(self.access.kubeconfig)
        return found


CHECKED = (
    "pool",
    "nodes",
    "mode",
    "schedulerVersion",
    "vclusterVersion",
    "kubernetesVersion",
    "gpuQuota",
    "gpuLimit",
    "gpuSharing",
    "gpuSharingEnforce",
    "queues",
)


OF_THE_ROLE = ("gpuQuota", "gpuLimit", "queues")


def checked(tenant: Tenant) -> dict[str, object]:
    """The parts of a tenant that its check proves. CPU, memory and the like are not among them: changing them runs no
    check again.
    """
    found = facts(tenant)
    # a slot gets other numbers when it serves, but keeps its versions, so its check stays valid
    return {name: found[name] for name in CHECKED if name in found and not (tenant.slot and name in OF_THE_ROLE)}


def check_request(tenant: Tenant, platform: Platform) -> job.Request:
    """What a tenant's check asks for, in the same way as its own work would."""
    ask, mode, pool = tenant.team.check, tenant.team.scheduler.mode, tenant.pool
    pod = pod_settings(platform)
    if not tenant.gpu_limit:
        ask, pod = TeamCheck(), replace(pod, runtime_class=None, injection=None)
    kai = mode is not SchedulerMode.DEFAULT
    return job.Request(
        name=names.CHECK_NAME,
        namespace=names.CHECK_NAMESPACE,
        report_namespace=names.CHECK_NAMESPACE,
        report=names.CHECK_REPORT,
        team=tenant.name,
        pool=tenant.pool_name,
        node=None,
        # a virtual cluster shows only the tenant's nodes; on the host only this selector keeps the pod there
        node_selector=tenant.node_selector,
        queue=tenant.check_queue if kai else None,
        scheduler_name=names.KAI_SCHEDULER_NAME if kai else None,
        scheduler_version=tenant.kai.version if tenant.kai else None,
        # on the host, KAI would look for a class of the host; its own lowest class comes with every KAI
        priority_class=None if mode is SchedulerMode.HOST else names.CHECK_NAME,
        kai_priority="train" if mode is SchedulerMode.HOST else names.CHECK_NAME if kai else None,
        gpus=min(ask.gpus, tenant.gpu_limit),
        fraction=ask.fraction,
        pair=ask.pair,
        gpu_memory_mib=ask.gpu_memory_mib,
        enforced=tenant.enforced,
        replicas=pool.replicas if pool else 1,
        sharing=pool.sharing.word if pool else None,
        tainted=bool(pool and pool.taint),
        product=pool.product if pool else None,
        pool_gpu_memory_mib=pool.device_memory_mib if pool else None,
        pod=pod,
        kind="team",
    )
