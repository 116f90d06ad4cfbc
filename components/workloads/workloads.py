"""A team's workloads: the namespace that they share, and one component for each.

Owns: the namespace, and the choice by kind. A new kind is a model in `settings/workloads.py`, a file here, and an entry
in `KINDS`.
Leaves to others: each kind's objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

import names
from components.base import Component
from components.team.tenant import Tenant
from components.workloads.app import AppServer
from components.workloads.inference import InferenceServer
from components.workloads.pods import NAMESPACE, placement
from components.workloads.server import ServerArgs
from components.workloads.slurm import SlinkyCluster
from settings.models import Platform
from settings.workloads import AnyWorkload, App, Inference, SlurmWorkload

KINDS: Final[Mapping[type[AnyWorkload], Callable[..., Component]]] = {
    Inference: InferenceServer,
    App: AppServer,
    SlurmWorkload: SlinkyCluster,
}
"""The component of each kind."""


@dataclass(frozen=True, kw_only=True)
class WorkloadsArgs:
    """`provider` is the tenant's, `host_provider` the host's. `secrets`: values by source
    (`components/secrets.py`). `depends_on`: the team's queues and check; if these fail, the workloads fail, too."""

    tenant: Tenant
    platform: Platform
    provider: k8s.Provider
    host_provider: k8s.Provider
    namespace: pulumi.Resource
    secrets: Mapping[str, pulumi.Output[str]]
    depends_on: list[pulumi.Resource]


class Workloads(Component):
    """All workloads of one team."""

    def __init__(self, name: str, args: WorkloadsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        tenant = args.tenant
        kinds = {key: workload.kind for key, workload in sorted(tenant.team.workloads.items())}
        super().__init__(name, {"team": tenant.name, "workloads": kinds}, opts)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": NAMESPACE, "labels": names.labels(team=tenant.name)},
            opts=self.child(provider=args.provider, depends_on=args.depends_on),
        )
        place = placement(tenant, args.platform)
        for key, workload in tenant.team.workloads.items():
            KINDS[type(workload)](
                f"{name}-{key}",
                ServerArgs(
                    name=key,
                    workload=workload,
                    place=place,
                    platform=args.platform,
                    provider=args.provider,
                    host_provider=args.host_provider,
                    host_namespace=tenant.namespace,
                    secrets=args.secrets,
                    paused=tenant.team.paused,
                    depends_on=[namespace],
                    host_depends_on=[args.namespace],
                ),
                self.child(),
            )
        self.register_outputs({})
