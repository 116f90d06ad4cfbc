"""Rows of `teams.*.workloads`. Data."""

from __future__ import annotations

from typing import Final

from preview.judges import workloads
from preview.kinds import Kind, Row
from preview.table.sources import HERE

_AT: Final = "teams.*.workloads.*"
_TEMPLATE: Final = "K8S: concepts/workloads/controllers/deployment (another pod template is a rollout)"
_CLAIM: Final = "K8S: concepts/storage/persistent-volumes (a claim grows, and nothing else of it changes)"

WORKLOADS: Final[tuple[Row, ...]] = (
    Row(
        field=f"{_AT}.kind",
        kind=Kind.LOSING,
        means="another kind: refused, its names are still taken; one that is left out goes, with what runs of it",
        allow="lowerLimit",
        judge=workloads.kind,
        source=HERE,
    ),
    *(
        Row(
            field=f"{_AT}.{name}",
            kind=Kind.DISRUPTIVE,
            means="its pods are made anew: it does not answer until they are ready",
            judge=workloads.restarts,
            source=_TEMPLATE,
        )
        for name in (
            "image",
            "queue",
            "cpu",
            "memory",
            "memoryLimit",
            "gpu.count",
            "gpu.fraction",
            "gpu.memoryMib",
            "command",
            "args",
            "model",
            "modelVolume.claim",
            "sharedMemory",
            "startSeconds",
            "token",
            "port",
            "partition",
            "healthPath",
            "secrets.*.config",
            "secrets.*.environment",
        )
    ),
    Row(
        field=f"{_AT}.replicas",
        kind=Kind.DISRUPTIVE,
        means="more or fewer pods",
        judge=workloads.replicas,
        source=_TEMPLATE,
    ),
    *(
        Row(
            field=f"{_AT}.expose.{name}",
            kind=Kind.DISRUPTIVE,
            means="it is reached at another address",
            judge=workloads.address,
            source=HERE,
        )
        for name in ("nodePort", "ingress.host", "ingress.className", "ingress.controllerNamespace")
    ),
    Row(
        field=f"{_AT}.cache.size",
        kind=Kind.LOSING,
        means="larger: in place, where its class can; smaller: refused by Kubernetes; none: what is in it is lost",
        allow="replace",
        judge=workloads.cache_size,
        source=_CLAIM,
    ),
    Row(
        field=f"{_AT}.cache.storageClass",
        kind=Kind.LOSING,
        means="its volume is made anew: what is in it is lost",
        allow="replace",
        judge=workloads.cache_class,
        source=_CLAIM,
    ),
    Row(
        field=f"{_AT}.storage",
        kind=Kind.LOSING,
        means="the volume of SLURM's controller is made anew: its jobs and their history are lost",
        allow="replace",
        judge=workloads.controller_volume,
        source="SO: helm/slurm (a StatefulSet's claims never change)",
    ),
    Row(field=f"{_AT}.weights", kind=Kind.IN_PLACE, means="only the arithmetic changes; no object does", source=HERE),
    *(
        Row(field=f"{_AT}.test.{name}", kind=Kind.IN_PLACE, means="its completion test runs again", source=HERE)
        for name in ("prompt", "maxTokens", "contains")
    ),
)
