"""SLURM on Kubernetes, by Slinky, in a team's cluster. Rendered against its charts, not run.

Owns: the operator's Release, and the one of the SLURM cluster whose workers go through the team's queue.
Leaves to others: the values (`releases/slinky.py`), what the workers may be (`settings/slurm_workload_rules.py`).
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

import names
from components.helm import installed
from components.workloads.pods import NAMESPACE, Placement, Spec
from components.workloads.server import Server, ServerArgs
from names import JSON
from releases import slinky
from settings.artifacts import chart_for
from settings.workloads import SlurmWorkload


class SlinkyCluster(Server[SlurmWorkload]):
    """One SLURM cluster."""

    def __init__(self, name: str, args: ServerArgs[SlurmWorkload], opts: pulumi.ResourceOptions | None = None) -> None:
        workload, release = args.workload, slinky.SLINKY[slinky.DEFAULT_SLINKY]
        super().__init__(
            name,
            {
                "team": args.place.team,
                "gpus": workload.gpu.count or 0,
                "replicas": workload.replicas,
                "queue": args.place.queue(workload.queue),
                "partition": workload.partition,
                "version": release.version,
            },
            opts,
        )
        self._args = args
        operator = self._release(
            f"{name}-operator",
            slinky.OPERATOR_CHART,
            f"{args.name}-operator",
            slinky.slinky_operator_values(
                release,
                namespace=NAMESPACE,
                image_registry=args.platform.artifacts.image_registry,
                pull_policy=args.platform.artifacts.image_pull_policy,
            ),
            args.depends_on,
        )
        self._release(
            f"{name}-cluster",
            slinky.CLUSTER_CHART,
            args.name,
            slinky.slinky_values(
                release,
                workers(workload, args.place),
                partition=workload.partition,
                storage=workload.storage,
                image_registry=args.platform.artifacts.image_registry,
                pull_policy=args.platform.artifacts.image_pull_policy,
            ),
            [operator],
        )
        self.register_outputs({})

    def _release(
        self, name: str, chart_name: str, release_name: str, values: dict[str, JSON], needs: list[pulumi.Resource]
    ) -> k8s.helm.v3.Release:
        args = self._args
        return installed(
            name,
            chart_for(chart_name, slinky.DEFAULT_SLINKY, args.platform.artifacts),
            name=release_name,
            namespace=NAMESPACE,
            values=values,
            opts=self._opts(needs),
        )


def workers(workload: SlurmWorkload, place: Placement) -> slinky.Workers:
    """The workers of a SLURM. They are placed like all work of the team: by its queue, on its nodes."""
    pod: Spec = {"automountServiceAccountToken": False}
    if place.scheduler_name is not None:
        pod["schedulerName"] = place.scheduler_name
    if place.runtime_class is not None:
        pod["runtimeClassName"] = place.runtime_class
    if place.node_selector:
        pod["nodeSelector"] = dict(place.node_selector)
    if place.tainted:
        pod["tolerations"] = [{"key": names.GPU, "operator": "Exists", "effect": "NoSchedule"}]
    queue = place.queue(workload.queue)
    return slinky.Workers(
        replicas=workload.replicas,
        gpus=workload.gpu.count or 0,
        cpu=workload.cpu,
        memory=workload.memory,
        memory_limit=workload.memory_at_most,
        labels={**place.labels, **({names.KAI_QUEUE_LABEL: queue} if queue else {})},
        pod=pod,
    )
