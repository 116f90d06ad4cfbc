"""A tenant's limits on the host, where the tenant has no rights.

Owns: Namespace, ResourceQuota, LimitRange, NetworkPolicies, PriorityClass.
Leaves to others: admission rules (`admission.py`), anything inside the virtual cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

import kube
import names
from components.base import Component
from components.team import network
from components.team.tenant import Tenant, quota_hard
from lenient import text
from settings.models import SchedulerMode, TeamPriority

PRIORITY_VALUES: Final = {TeamPriority.HIGH: 51, TeamPriority.STANDARD: 50, TeamPriority.BEST_EFFORT: 0}
"""The order of the teams on the host; only the order matters. Where a pod has no label `priorityClassName`, the host's
KAI uses this class. From 100 on KAI takes a pod for non-preemptible, and it may never go over its queue's quota
(KAI@v0.16.8:pkg/scheduler/constants/priorities.go, PriorityBuildNumber; the same at v0.7.11). 50 is KAI's own `train`,
its default. 0 is the priority of a pod without a class, so best effort evicts nobody.
"""
DEFAULT_REQUEST: Final = {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "0"}
"""For containers that request nothing, because a ResourceQuota on requests refuses a pod without them. Without the
request for disk, the default limit would be the request.
"""
DEFAULT_LIMIT: Final = {"ephemeral-storage": "50Gi"}
"""How much a container without a limit may write to its node's disk (its own files, logs, emptyDirs) before the kubelet
evicts its pod. A container that needs more sets its own limit, within the team's quota.
"""


@dataclass(frozen=True, kw_only=True)
class GuardrailsArgs:
    """`provider` and `host_kubeconfig` are the host's. `beside`: tenants that take GPUs from each other, like a team
    and its canary, by namespace; each with the GPUs (replicas) that it has after the update.
    """

    tenant: Tenant
    provider: k8s.Provider
    host_kubeconfig: pulumi.Output[str]
    beside: Mapping[str, int]


def lowered_first(name: str, kubeconfig: pulumi.Output[str], beside: Mapping[str, int]) -> pulumi.ResourceHook:
    """A hook before a tenant's ResourceQuota gets more GPUs: it waits until the other tenant's is lowered, so that both
    never have the same GPUs. A dependency can't express this, because each update may lower the other one of the two. A
    ResourceQuota that is lowered waits for nobody, so the two never wait for each other.
    """

    async def run(args: pulumi.ResourceHookArgs) -> None:
        where = await kubeconfig.future()
        if where is not None and _gpus(args.new_inputs) > _gpus(args.old_inputs):
            await asyncio.to_thread(kube.wait_until_lowered, where, beside)

    return pulumi.ResourceHook(name, run)


def _gpus(quota: object) -> int:
    return int(text(quota, "spec", "hard", f"requests.{names.GPU}") or 0)


class Guardrails(Component):
    """The host's side of a tenant."""

    namespace: k8s.core.v1.Namespace
    quota: k8s.core.v1.ResourceQuota

    def __init__(self, name: str, args: GuardrailsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, {"team": args.tenant.name}, opts)
        self.namespace = self._namespace(name, args)
        self.quota = self._quota(name, args)
        self._limit_range(name, args)
        self._network(name, args)
        self._priority_class(name, args)
        self.register_outputs({"namespace": args.tenant.namespace})

    def _namespace(self, name: str, args: GuardrailsArgs) -> k8s.core.v1.Namespace:
        level = args.tenant.team.isolation.value
        by_host = args.tenant.team.scheduler.mode is SchedulerMode.HOST
        return k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={
                "name": args.tenant.namespace,
                "labels": {
                    **names.labels(team=args.tenant.name, pool=args.tenant.pool_name),
                    **({names.LABEL_SCHEDULER: names.SCHEDULED_BY_HOST} if by_host else {}),
                    "pod-security.kubernetes.io/enforce": level,
                    "pod-security.kubernetes.io/warn": level,
                },
            },
            opts=self.child(provider=args.provider),
        )

    def _quota(self, name: str, args: GuardrailsArgs) -> k8s.core.v1.ResourceQuota:
        return k8s.core.v1.ResourceQuota(
            f"{name}-quota",
            metadata=self._metadata(args, "tenant"),
            spec={"hard": quota_hard(args.tenant)},
            opts=self.child(
                provider=args.provider,
                depends_on=[self.namespace],
                first=lowered_first(f"{name}-lowered", args.host_kubeconfig, args.beside) if args.beside else None,
            ),
        )

    def _limit_range(self, name: str, args: GuardrailsArgs) -> None:
        k8s.core.v1.LimitRange(
            f"{name}-limit-range",
            metadata=self._metadata(args, "tenant"),
            spec={"limits": [{"type": "Container", "default": DEFAULT_LIMIT, "defaultRequest": DEFAULT_REQUEST}]},
            opts=self.child(provider=args.provider, depends_on=[self.namespace]),
        )

    def _network(self, name: str, args: GuardrailsArgs) -> None:
        for policy, spec in network.policies(args.tenant.name).items():
            k8s.networking.v1.NetworkPolicy(
                f"{name}-network-{policy}",
                metadata=self._metadata(args, policy),
                spec=spec,
                opts=self.child(provider=args.provider, depends_on=[self.namespace]),
            )

    def _priority_class(self, name: str, args: GuardrailsArgs) -> None:
        k8s.scheduling.v1.PriorityClass(
            f"{name}-priority",
            metadata={
                "name": names.team_priority_class(args.tenant.name),
                "labels": names.labels(team=args.tenant.name),
            },
            # no preemptionPolicy: a tenant's pod comes with its own cluster's default, and the host refuses a pod whose
            # policy differs from its class
            value=PRIORITY_VALUES[args.tenant.team.priority],
            description=f"all pods of tenant {args.tenant.name}; not comparable with KAI's queue priorities",
            opts=self.child(provider=args.provider, replace_on_changes=["value"]),
        )

    @staticmethod
    def _metadata(args: GuardrailsArgs, name: str) -> dict[str, object]:
        return {"name": name, "namespace": args.tenant.namespace, "labels": names.labels(team=args.tenant.name)}
