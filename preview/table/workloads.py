"""Rows of `teams.*.workloads`. Data."""

from __future__ import annotations

from typing import Final

from preview.judges import workloads
from preview.kinds import Kind, Row

_AT: Final = "teams.*.workloads.*"
_CLAIM: Final = "K8S: concepts/storage/persistent-volumes (a claim grows, and nothing else of it changes)"

WORKLOADS: Final[tuple[Row, ...]] = (
    Row(
        field=f"{_AT}.kind",
        kind=Kind.LOSING,
        means="another kind is refused, because its names are taken; a workload that is left out is removed",
        allow="lowerLimit",
        judge=workloads.kind,
    ),
    Row(
        field=f"{_AT}.cache.size",
        kind=Kind.LOSING,
        means="larger: in place, if its class allows it; smaller: refused; none: what is in it is lost",
        allow="replace",
        judge=workloads.cache_size,
        source=_CLAIM,
    ),
    Row(
        field=f"{_AT}.cache.storageClass",
        kind=Kind.LOSING,
        means="another class is refused, its pod keeps the old claim from going; remove the cache in one update (what "
        "is in it is lost), and add it in the next",
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
)
