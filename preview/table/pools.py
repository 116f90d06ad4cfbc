"""Rows of `pools`, and of what is about all teams: `check`, `artifacts`, `overrides`. Data."""

from __future__ import annotations

from typing import Final

from preview.judges import nodes, numbers
from preview.kinds import Kind, Row
from preview.table.sources import GONE_NODES, HERE, NOTHING

POOLS: Final[tuple[Row, ...]] = (
    Row(
        field="pools.*.nodes",
        kind=Kind.LOSING,
        means="a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source=GONE_NODES,
    ),
    Row(
        field="pools.*.selector",
        kind=Kind.LOSING,
        means="other nodes: a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source=GONE_NODES,
    ),
    Row(
        field="pools.*.topology",
        kind=Kind.REPLACING,
        means="the Topology is made anew: pods that run stay where they are, new jobs are placed by the new levels",
        source="KAI@v0.16.8:deployments/kai-scheduler/crds/kai.scheduler_topologies.yaml (levels can't be changed)",
    ),
    Row(field="pools.*.nodeCount", kind=Kind.IN_PLACE, means="what is declared; limits of -1 follow it", source=HERE),
    Row(
        field="pools.*.gpusPerNode",
        kind=Kind.IN_PLACE,
        means="what is declared; the nodes' label follows it, and limits of -1",
        source=HERE,
    ),
    Row(
        field="pools.*.gpuMemoryMib",
        kind=Kind.IN_PLACE,
        means="the nodes' label changes: KAI counts memory requests by it from then on",
        source="KAI@v0.16.8:pkg/scheduler/api/node_info/node_info.go",
    ),
    *(
        Row(
            field=f"pools.*.{name}",
            kind=Kind.IN_PLACE,
            means="the nodes' label changes; checks expect it",
            source=HERE,
        )
        for name in ("product", "architecture")
    ),
    *(
        Row(field=f"pools.*.{name}", kind=Kind.IN_PLACE, means=NOTHING, source=HERE)
        for name in ("cpuPerNode", "memoryPerNode", "podsPerNode")
    ),
    *(
        Row(
            field=f"pools.*.sharing.{name}",
            kind=Kind.LOSING,
            means="the unit changes under every limit of the pool: 8 GPUs become 8 replicas, which may be 2 GPUs",
            allow="lowerLimit",
            topic=numbers.GPUS,
            judge=numbers.unit,
            source="DP@v0.20.0:README.md (shared access to GPUs)",
        )
        for name in ("timeSlicing.replicas", "mps.replicas", "mig.slices")
    ),
    *(
        Row(
            field=f"pools.*.sharing.mig.{name}",
            kind=Kind.IN_PLACE,
            means="checks expect other slices; nobody's GPUs are cut by this program",
            source=HERE,
        )
        for name in ("profile", "strategy")
    ),
    Row(
        field="pools.*.taint",
        kind=Kind.IN_PLACE,
        means="new pods without a toleration keep off, or may come; pods that run stay (NoSchedule)",
        source="K8S: concepts/scheduling-eviction/taint-and-toleration",
    ),
    Row(
        field="pools.*.taintValue",
        kind=Kind.IN_PLACE,
        means="the team's new pods tolerate that value; pods that run stay (NoSchedule)",
        source="K8S: concepts/scheduling-eviction/taint-and-toleration",
    ),
)

REST: Final[tuple[Row, ...]] = (
    *(
        Row(field=f"check.{name}", kind=Kind.IN_PLACE, means="every GPU check runs again", source=HERE)
        for name in ("image", "gpuMemoryFraction", "deadlineSeconds", "onFailure", "host")
    ),
    *(
        Row(
            field=f"artifacts.{name}",
            kind=Kind.DISRUPTIVE,
            means="charts and images come from elsewhere: control planes and schedulers restart, pods that run go on",
            topic="artifacts",
            source=HERE,
        )
        for name in ("charts", "imageRegistry", "imagePullPolicy")
    ),
    Row(field="overrides", kind=Kind.IN_PLACE, means="what is let through, until a date", source=HERE),
)
