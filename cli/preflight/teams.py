"""What teams need from the cluster: a namespace, a port, a volume, and a Kubernetes that fits the host's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import releases
from cli.preflight.facts import ClusterFacts, NodeFacts, Taint
from cli.preflight.findings import Finding, error, note, ok, warning
from cli.preflight.labels import plugin_is_ours
from cli.preflight.nodes import LIFECYCLE, our_taint
from components.team.protection import override_for
from names import (
    DCGM_NAMESPACE,
    DEVICE_PLUGIN_NAMESPACE,
    GPU,
    GPU_OPERATOR_NAMESPACE,
    HOST_NAMESPACE,
    KAI_NAMESPACE,
    team_namespace,
)
from settings.models import GpuStack, Owner, Platform, SchedulerMode, Team
from settings.workload_rules import each_workload
from settings.workloads import App, Inference, SlurmWorkload

MOST_NODES: Final = 4
"""The most nodes that one finding names."""

OLDEST_KUBERNETES: Final = (1, 30)
"""ValidatingAdmissionPolicy is v1, and on by default, from 1.30."""

OBSERVED_GENERATION: Final = (1, 34)
"""From this version on, a host's Kubernetes reports pods' observedGeneration, which an older API inside drops."""


def version(facts: ClusterFacts) -> Iterator[Finding]:
    """Yield whether the host's Kubernetes has the kinds that `up` makes."""
    found = _minor(facts.version)
    if found is None:
        yield note("version", "Kubernetes", f"the server's version {facts.version!r} is not one that we know")
        return
    if found < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        yield error(
            "version", "Kubernetes", f"{facts.version} is too old", f"upgrade the host cluster to {oldest} or newer"
        )
    else:
        yield ok("version", "Kubernetes", facts.version)


def _minor(version: str) -> tuple[int, int] | None:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


def control_planes(platform: Platform, facts: ClusterFacts) -> Iterator[Finding]:
    """Yield a finding where no node accepts the teams' API servers: they tolerate no taint, so with only tainted nodes
    they would wait for ever. A node that is cordoned or not Ready has its own finding.
    """
    taints = {name: _taints_after(platform, node) for name, node in facts.nodes.items()}
    if not platform.teams or not taints or not all(taints.values()):
        return
    node, (taint, *_) = next(iter(taints.items()))
    pools_of = [name for name, pool in platform.pools.items() if pool.taint and node in pool.nodes]
    off = f"`kubectl taint node {node} {taint.key}-`"
    if pools_of:
        off = f"pools.{pools_of[0]}.taint: false" + (f" and {off}" if taint in facts.nodes[node].taints else "")
    listed = ", ".join(f"{name}: {found[0]}" for name, found in sorted(taints.items())[:MOST_NODES])
    said = f"no node takes the teams' API servers: they tolerate no taint, and every node has one ({listed})"
    fix = f"add a node without a taint, or take it off one: {off}"
    if facts.brings_nodes is False:
        yield error("no-node-for-control-planes", "control planes", said, fix)
        return
    # in clouds, tainted system nodes and all other nodes on demand are usual
    whether = (
        "its autoscaler must bring one" if facts.brings_nodes else "whether an autoscaler brings one can't be read"
    )
    yield warning("no-node-for-control-planes", "control planes", f"{said}; {whether}", f"see that it does, or {fix}")


def _taints_after(platform: Platform, node: NodeFacts) -> list[Taint]:
    """The taints of a node after `up`."""
    named = [pool for pool in platform.pools.values() if node.name in pool.nodes]
    ours = [our_taint(pool) for pool in named if pool.taint]
    theirs = [
        taint
        for taint in node.taints
        if taint.keeps_pods_off
        and not taint.key.startswith(LIFECYCLE)
        and not (node.taints_are_ours and taint.key == GPU)
    ]
    return [*ours, *theirs]


def kubernetes_inside(
    platform: Platform, facts: ClusterFacts, tenants: Mapping[str, Team], today: date
) -> Iterator[Finding]:
    """Yield the tenants whose Kubernetes would go back a minor version, and those whose pods would never show as ready,
    because their Kubernetes is older than the host's.
    """
    for name, team in tenants.items():
        release = releases.VCLUSTER.get(team.vcluster.version or releases.DEFAULT_VCLUSTER)
        if release is None:
            continue
        kai = releases.KAI.get(team.scheduler.version or "") if team.scheduler.mode is SchedulerMode.VIRTUAL else None
        wanted = team.vcluster.kubernetes_version or releases.kubernetes_for(release, kai)
        running = facts.kubernetes_inside.get(team_namespace(name))
        if running is not None and releases.minor(running) > releases.minor(wanted):
            allowed = override_for(name, "replace", platform.overrides, today) is not None
            yield _goes_back(name, running, wanted, kai, allowed=allowed)
        else:
            yield from _stays_unready(name, facts.version, release, wanted)


def _goes_back(name: str, running: str, wanted: str, kai: releases.KaiRelease | None, *, allowed: bool) -> Finding:
    keep = f"set teams.{name}.vcluster.kubernetesVersion: {running}"
    if kai is not None and not releases.fits(running, kai):
        newer = next((one.version for one in releases.KAI.values() if releases.fits(running, one)), None)
        keep += f", and a KAI that runs on it ({newer} or newer)" if newer else ", and leave KAI as it is"
    said = f"runs Kubernetes {running} inside, and {wanted} would replace it; it may not read what the newer one stored"
    if allowed:
        return warning("kubernetes-older", f"team {name}", f"{said} (an override allows it)", keep)
    return error("kubernetes-older", f"team {name}", said, f"{keep}; to go back, add an override with replace")


def _stays_unready(name: str, version: str, release: releases.VclusterRelease, inside: str) -> Iterator[Finding]:
    host = _minor(version)
    if host is None or host < OBSERVED_GENERATION or not release.older_kubernetes_stays_unready:
        return
    if releases.minor(inside) < OBSERVED_GENERATION:
        yield warning(
            "kubernetes-inside",
            f"team {name}",
            f"vCluster {release.version} with Kubernetes {inside} inside may show no pod as ready on a host with "
            f"{version}",
            f"set vcluster.kubernetesVersion: {releases.DEFAULT_KUBERNETES}, or vcluster.version: "
            f"{releases.DEFAULT_VCLUSTER}",
        )


def storage(platform: Platform, facts: ClusterFacts, tenants: Mapping[str, Team]) -> Iterator[Finding]:
    """Yield whether the volumes of the virtual clusters, and of workloads, have a StorageClass."""
    if facts.storage_classes is None:
        return
    yield from _storage_of_workloads(platform, facts.storage_classes)
    keep = [name for name, team in tenants.items() if team.vcluster.persistence]
    if not keep:
        return
    wanted = platform.host.storage_class
    there = ", ".join(sorted(facts.storage_classes)) or "none"
    if wanted is not None and wanted not in facts.storage_classes:
        yield error(
            "storage-class", f"StorageClass {wanted}", "does not exist", f"set host.storageClass to one of: {there}"
        )
    elif wanted is None and not any(facts.storage_classes.values()):
        yield error(
            "storage-default",
            "StorageClass",
            f"the cluster has no default one, and {len(keep)} virtual clusters keep their data on a volume",
            f"set host.storageClass (there are: {there}), or mark one as default",
        )
    else:
        yield ok(
            "storage",
            "StorageClass",
            wanted or next(name for name, default in facts.storage_classes.items() if default),
        )


def _storage_of_workloads(platform: Platform, there: Mapping[str, bool]) -> Iterator[Finding]:
    """A claim whose class does not exist waits for ever, and its server with it. The claim is made on the host."""
    names = ", ".join(sorted(there)) or "none"
    for team, _, key, workload, _ in each_workload(platform):
        cache = workload.cache if isinstance(workload, Inference) else None
        subject = f"team {team}, workload {key}"
        if cache is not None and cache.storage_class is not None and cache.storage_class not in there:
            said = f"its cache is of StorageClass {cache.storage_class}, which does not exist"
            yield error("storage-class", subject, said, f"set cache.storageClass to one of: {names}")
        elif not any(there.values()) and (
            isinstance(workload, SlurmWorkload) or (cache is not None and cache.storage_class is None)
        ):
            said, fix = "the cluster has no default StorageClass, and its volume names none", "mark one as default"
            named = f"set cache.storageClass (there are: {names}), or " if cache is not None else ""
            yield error("storage-default", subject, said, named + fix)


def namespaces(platform: Platform, facts: ClusterFacts, tenants: Mapping[str, Team]) -> Iterator[Finding]:
    """Yield the teams' namespaces that somebody else made, and those of ours that are still being deleted."""
    if facts.namespaces is None:
        return
    for space in (*map(team_namespace, tenants), *_shared(platform)):
        if space in facts.ending:
            said = "is still being deleted, and nothing can be made in it"
            fix = f"wait until it is gone; if it does not go, `kubectl get all -n {space}` shows what is left"
            yield error("namespace-ending", f"namespace {space}", said, fix)
    for name in tenants:
        space = team_namespace(name)
        found = facts.namespaces.get(space)
        if found is not None and not found.ours:
            yield error(
                "namespace-exists",
                f"team {name}",
                f"namespace {space} exists already, and this stack did not make it"
                f"{f' ({found.detail})' if found.detail else ''}",
                "rename the team, or remove that namespace if nobody needs it",
            )


def _shared(platform: Platform) -> Iterator[str]:
    """The other namespaces that this stack makes. Any other one may be in deletion for ever."""
    kai, gpu = platform.host.scheduler, platform.gpu
    if platform.check.host:
        yield HOST_NAMESPACE
    if kai is not None and kai.owner is Owner.OURS:
        yield KAI_NAMESPACE
    if plugin_is_ours(platform):
        yield GPU_OPERATOR_NAMESPACE if gpu.stack is GpuStack.GPU_OPERATOR else DEVICE_PLUGIN_NAMESPACE
        if gpu.metrics is not None and gpu.stack is GpuStack.DEVICE_PLUGIN:
            yield DCGM_NAMESPACE


def node_ports(platform: Platform, facts: ClusterFacts, ports: Mapping[str, int]) -> Iterator[Finding]:
    """Yield the ports of teams and apps that another Service has, also one of ours, because the engine creates before
    it deletes."""
    if facts.node_ports is None:
        return
    wanted = [
        (f"team {team}", port, f"{team_namespace(team)}/{team}-api", f"teams.{team}.access.port")
        for team, port in ports.items()
    ]
    for team, _, key, workload, path in each_workload(platform):
        port = workload.expose.node_port if isinstance(workload, App) else None
        if port is not None:
            service = f"{team_namespace(team)}/{key}-app"
            wanted.append(
                (f"team {team}, workload {key}", port, service, ".".join((*map(str, path), "expose.nodePort")))
            )
    for subject, port, service, field in wanted:
        holder = facts.node_ports.get(port)
        if holder is None or (holder.ours and holder.name == service):
            continue
        said = f"its NodePort {port} is taken by Service {holder.name}"
        if holder.ours:
            said += ", which is deleted or changed only after the new one is made"
        yield error("node-port", subject, said, f"set {field} to a free one between 30000 and 32767")
