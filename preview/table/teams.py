"""Rows of `pools`, and of `teams` without their workloads. Data."""

from __future__ import annotations

from typing import Final

from preview.judges import nodes, numbers, queues, settings, versions
from preview.kinds import Kind, Row
from settings.quotas import READ_AT_BIND

_LIVE_QUOTA: Final = "K8S: concepts/policy/resource-quotas (a quota never touches pods that exist)"
_GONE_NODES: Final = "K8S: concepts/workloads/pods/pod-lifecycle (garbage collection of pods without a node)"

POOLS: Final[tuple[Row, ...]] = (
    Row(
        field="pools.*.nodes",
        kind=Kind.LOSING,
        means="a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source=_GONE_NODES,
    ),
    Row(
        field="pools.*.selector",
        kind=Kind.LOSING,
        means="other nodes: a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source=_GONE_NODES,
    ),
)

PLACE: Final[tuple[Row, ...]] = (
    *(
        Row(
            field=f"teams.*.{name}",
            kind=Kind.LOSING,
            means="nodes that the team no longer sees: its pods there are lost",
            allow="lowerLimit",
            judge=nodes.lost,
            source=_GONE_NODES,
        )
        for name in ("pool", "nodes")
    ),
    Row(
        field="teams.*.state",
        kind=Kind.LOSING,
        means="paused: its pods are stopped; if they use GPUs, this needs an override",
        allow="lowerLimit",
        judge=settings.state,
    ),
    Row(
        field="teams.*.scheduler.mode",
        kind=Kind.LOSING,
        means="its scheduler and its queues are removed; if GPUs are in use there, this needs an override",
        allow="replace",
        judge=settings.mode,
    ),
    Row(
        field="teams.*.scheduler.version",
        kind=Kind.UNKNOWN,
        means=versions.KAI_CHANGES,
        allow="replace",
        judge=versions.kai_version,
        source="docs/runs.md; KAI@v0.17.0:docs/migrationguides/README.md",
    ),
    Row(
        field="teams.*.scheduler.gpuSharing.enabled",
        kind=Kind.DISRUPTIVE,
        means="the scheduler's pods restart; off: new pods that ask for a fraction are refused",
        judge=settings.sharing,
        source="KAI@v0.16.8:pkg/admission",
    ),
)

NUMBERS: Final[tuple[Row, ...]] = (
    Row(
        field="teams.*.resources.gpus.quota",
        kind=Kind.DISRUPTIVE,
        means="lower: less is guaranteed, and what is above it may be reclaimed",
        judge=numbers.gpu_quota,
        source=READ_AT_BIND,
    ),
    Row(
        field="teams.*.resources.gpus.limit",
        kind=Kind.LOSING,
        means="lower than what runs: running pods go on, but a pod that restarts does not come back",
        allow="lowerLimit",
        judge=numbers.gpu_limit,
        source=_LIVE_QUOTA,
    ),
    *(
        Row(
            field=f"teams.*.resources.{name}",
            kind=Kind.LOSING,
            means="lower than what is used: running pods go on, but a pod that restarts does not come back",
            allow="lowerLimit",
            judge=numbers.lowered_bound(key),
            source=_LIVE_QUOTA,
        )
        for name, key in (
            ("cpu", "requests.cpu"),
            ("memory", "requests.memory"),
            ("pods", "pods"),
            ("storage", "requests.storage"),
        )
    ),
    Row(
        field="teams.*.queues.*.gpu.limit",
        kind=Kind.LOSING,
        means="lower than what runs in the queue, or a queue removed while work runs in it",
        allow="lowerLimit",
        judge=queues.limit,
        source=READ_AT_BIND,
    ),
)

CLUSTER: Final[tuple[Row, ...]] = (
    Row(
        field="teams.*.isolation",
        kind=Kind.DISRUPTIVE,
        means="stricter: running pods stay, new ones that do not comply are refused",
        judge=settings.isolation,
        source="K8S: concepts/security/pod-security-admission",
    ),
    Row(
        field="teams.*.access.userKubeconfig",
        kind=Kind.DISRUPTIVE,
        means="off: kubeconfigs without admin rights stop working",
        judge=settings.user_kubeconfig,
    ),
    Row(
        field="teams.*.vcluster.version",
        kind=Kind.LOSING,
        means="newer: its API server restarts; older by a minor version: vCluster does not support it",
        allow="replace",
        judge=versions.vcluster_version,
        source="VD: vcluster/manage/upgrade/upgrade-version.mdx",
    ),
    Row(
        field="teams.*.vcluster.kubernetesVersion",
        kind=Kind.LOSING,
        means="newer: its API server restarts; older by a minor version: what is stored may not be readable",
        allow="replace",
        judge=versions.kubernetes_version,
        source="K8S: releases/version-skew-policy",
    ),
    Row(
        field="teams.*.vcluster.backingStore",
        kind=Kind.LOSING,
        means="its virtual cluster starts empty, or does not start: vCluster supports no move between the two",
        allow="replace",
        judge=settings.backing_store,
        source="VD: vcluster/manage/upgrade/upgrade-version.mdx, vcluster-docs#2518; VC@v0.36.1:config/config.go",
    ),
    Row(
        field="teams.*.vcluster.persistence",
        kind=Kind.LOSING,
        means="its virtual cluster starts empty: everything in it is lost",
        allow="replace",
        judge=settings.persistence,
        source="VC@v0.36.1:chart/templates/_persistence.tpl (a Deployment without a volume, or a StatefulSet with one)",
    ),
    *(
        Row(
            field=f"teams.*.vcluster.snapshots.{name}",
            kind=Kind.LOSING,
            means="off, or a bucket instead: the volume is deleted with its snapshots; it can grow, never shrink",
            allow="delete",
            judge=settings.snapshots,
            source="K8S: concepts/storage/persistent-volumes (expanding claims, reclaiming)",
        )
        for name in ("size", "s3.bucket")
    ),
)
