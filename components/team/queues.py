"""A tenant's KAI queues: one parent, and leaves below it.

Owns: the Queue objects. Exactly two levels (KAI up to 0.12 orders jobs by leaf and direct parent only), all three
resources, each with an explicit limit (an absent limit is zero, an absent resource blocks every pod that asks for it).
Leaves to others: the host's hard caps. A tenant is admin in its virtual cluster and can edit its queues.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

import names
from capacity import UNLIMITED
from components.base import DELETED_AT_ONCE, Component
from components.retry import when_admitted, when_it_comes
from components.team.tenant import Tenant


@dataclass(frozen=True, kw_only=True)
class QueuesArgs:
    """`provider` and `kubeconfig` are those of the cluster that KAI runs in. `kai` resolves when it works; None if the
    KAI is not ours."""

    tenant: Tenant
    on_host: bool
    kai: pulumi.Output[object] | None
    provider: k8s.Provider
    kubeconfig: pulumi.Output[str]


class Queues(Component):
    """A parent queue with the team's numbers, and its leaves."""

    parent: k8s.apiextensions.CustomResource
    leaves: dict[str, k8s.apiextensions.CustomResource]

    def __init__(self, name: str, args: QueuesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        tenant = args.tenant
        super().__init__(name, {"team": tenant.name, "gpuQuota": tenant.gpu_quota, "gpuLimit": tenant.gpu_limit}, opts)
        retry = when_it_comes(f"{name}-webhook")
        self.parent = self._queue(f"{name}-parent", args, retry, names.parent_queue(tenant.name), parent_spec(tenant))
        self.leaves = {
            leaf: self._queue(
                # the engine's name for the parent is taken
                f"{name}-{leaf}" if leaf != "parent" else f"{name}-leaf-parent",
                args,
                retry,
                names.leaf_queue(tenant.name, leaf, on_host=args.on_host),
                leaf_spec(tenant, leaf),
                self.parent,
            )
            for leaf in tenant.queues
        }
        self.register_outputs({"parent": names.parent_queue(tenant.name), "leaves": sorted(self.leaves)})

    def _queue(
        self,
        name: str,
        args: QueuesArgs,
        retry: pulumi.ErrorHook,
        queue: str,
        spec: dict[str, object],
        *after: pulumi.Resource,
    ) -> k8s.apiextensions.CustomResource:
        metadata = {"name": queue, "labels": names.labels(team=args.tenant.name), "annotations": DELETED_AT_ONCE}
        manifest = {"apiVersion": names.QUEUE_API_VERSION, "kind": "Queue", "metadata": metadata, "spec": spec}
        shown = spec["displayName"]
        if args.kai is not None:
            # A preview asks the API server about an object, and the server asks KAI's webhook. The webhook of a failed
            # KAI would block the way back. An object with an unknown value is not asked about, and this value is
            # unknown while KAI itself is to be made or changed. An existing Queue keeps its value, so a preview shows
            # no change. This value also makes the Queue depend on that KAI.
            shown = args.kai.apply(lambda _: spec["displayName"])
        return k8s.apiextensions.CustomResource(
            name,
            api_version=names.QUEUE_API_VERSION,
            kind="Queue",
            metadata=metadata,
            spec={**spec, "displayName": shown},
            opts=self.child(
                provider=args.provider,
                depends_on=list(after),
                ignore_changes=["spec.displayName"],
                first=when_admitted(f"{name}-admitted", args.kubeconfig, manifest),
                retry=retry,
            ),
        )


def parent_spec(tenant: Tenant) -> dict[str, object]:
    """The parent queue: the team's quota, and as limit the host's ResourceQuota. So KAI itself says why a pod waits,
    instead of binding a pod that the host then refuses.
    """
    return {
        "displayName": tenant.name,
        "resources": {
            "gpu": {"quota": tenant.gpu_quota, "limit": tenant.gpu_limit, "overQuotaWeight": 1},
            **_unbounded(),
        },
    }


def leaf_spec(tenant: Tenant, leaf: str) -> dict[str, object]:
    """A leaf queue with the stack file's numbers."""
    queue = tenant.queues[leaf]
    runtimes = {"preemptMinRuntime": queue.preempt_min_runtime, "reclaimMinRuntime": queue.reclaim_min_runtime}
    return {
        "displayName": leaf,
        "parentQueue": names.parent_queue(tenant.name),
        "priority": queue.priority,
        **{key: value for key, value in runtimes.items() if value is not None},
        "resources": {
            "gpu": {
                "quota": queue.gpu.quota,
                "limit": queue.gpu.limit,
                "overQuotaWeight": queue.gpu.over_quota_weight,
            },
            **_unbounded(),
        },
    }


def _unbounded() -> dict[str, object]:
    # the host's ResourceQuota limits both
    free = {"quota": UNLIMITED, "limit": UNLIMITED, "overQuotaWeight": 1}
    return {"cpu": free, "memory": dict(free)}
