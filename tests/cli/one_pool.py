"""A cluster of one pool, and what preflight finds on it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from cli.preflight import ClusterFacts, Finding, Level, NodeFacts, ObjectFacts, compare
from settings.load import parse_platform
from settings.models import Platform

GIB = 1024**3
PLUGIN = ObjectFacts(name="kube-system/nvidia-gpu-device-plugin-large-cos", ours=False)
OPERATOR = ObjectFacts(name="gpu-operator/gpu-operator", ours=False)
BY_OPERATOR = ObjectFacts(name="gpu-operator/nvidia-device-plugin-daemonset", ours=False, detail="operator")


def platform(
    pool: dict[str, Any] | None = None,
    gpu: dict[str, Any] | None = None,
    *,
    kai: str | None = "v0.16.8",
    sharing: bool = False,
) -> Platform:
    """One pool `a` of the node gpu-0 with 8 GPUs, and one team with a KAI of its own, or with none."""
    scheduler = {"mode": "virtual", "version": kai, "gpuSharing": sharing} if kai else {"mode": "default"}
    team = {"pool": "a", "scheduler": scheduler, "resources": {"gpus": 1}}
    return parse_platform(
        {
            "host": {"provider": "existing", "address": "10.0.0.5"},
            "gpu": {"stack": "devicePlugin", **(gpu or {})},
            "pools": {"a": {"nodes": ["gpu-0"], "gpusPerNode": 8, **(pool or {})}},
            "teams": {"ml": {**team, **({"queues": {"work": {"gpu": 1}}} if kai else {})}},
        },
        "here",
    )


def node(**changes: Any) -> NodeFacts:
    """A Ready node with 8 GPUs."""
    healthy = NodeFacts(
        name="gpu-0",
        ready=True,
        labels={},
        gpus=8,
        gpu_capacity=8,
        cpu=Decimal(64),
        memory=Decimal(512 * GIB),
        pods=110,
    )
    return replace(healthy, **changes)


def facts(*nodes: NodeFacts, **changes: Any) -> ClusterFacts:
    """A healthy cluster after an `up` of ours, with a node beside the pool for the teams' API servers."""
    found = (*(nodes or (node(),)), node(name="cpu-0", gpus=None, gpu_capacity=None))
    healthy = ClusterFacts(
        version="v1.34.4",
        nodes={entry.name: entry for entry in found},
        runtime_classes={"nvidia": ObjectFacts(name="nvidia", ours=True, detail="nvidia")},
        storage_classes={"standard": True},
        namespaces={},
        node_ports={},
        device_plugins=[ObjectFacts(name="nvidia-device-plugin/nvidia-device-plugin", ours=True)],
        gpu_operators=[],
    )
    return replace(healthy, **changes)


def found(what: Platform, where: ClusterFacts) -> list[Finding]:
    """Everything but what is well."""
    every = compare(what, where, ports={})
    return [finding for finding in every if finding.level is not Level.OK and finding.id != "default-runtime"]


def one(what: Platform, where: ClusterFacts) -> Finding:
    """The only finding."""
    findings = found(what, where)
    assert len(findings) == 1, findings
    return findings[0]
