"""Rules for clusters that this program makes: kind, microk8s, k3s."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from settings.hosts import INSTALLS, Install, Kind, Microk8s
from settings.models import Platform
from settings.problems import Problem, shown

CONTROL_PLANE: Final = "-control-plane"
"""What kind adds to the cluster's name for the control plane's node, the longest node name."""
LONGEST_NODE_NAME: Final = 63
"""Characters: the kubelet writes it into the label kubernetes.io/hostname."""
API_SERVER_PORT: Final = 6443
"""The API server's port in kind's control plane; kind publishes it itself."""
GPU_ADDONS: Final = ("nvidia", "gpu")
"""Two names of one addon of microk8s."""


def hosts_are_made_in_one_way(platform: Platform) -> Iterator[Problem]:
    """A section that makes a cluster goes with its provider, and the GPU software fits what the cluster brings."""
    host = platform.host
    for key in INSTALLS:
        if getattr(host, key) is not None and host.provider.value != key:
            yield Problem(
                path=("host", key),
                rule=f"makes a {key} cluster, and provider says another",
                got=f"provider: {host.provider.value}",
                fix=f"write provider: {key}, or remove it",
            )
            return
    install = host.install
    if install is None:
        if host.connection is not None:
            yield Problem(
                path=("host", "connection"),
                rule="is for a cluster that this program makes",
                got=f"none of {', '.join(f'host.{key}' for key in INSTALLS)}",
                fix="remove it, or write one of them",
            )
        return
    for key in ("kubeconfig", "context"):
        if getattr(host, key) is not None:
            yield Problem(
                path=("host", key),
                rule=f"comes from the cluster that host.{host.provider.value} makes",
                got="one of your own",
                fix="remove it",
            )
    if host.connection is not None and host.connection.ssh is not None and host.address is None:
        yield Problem(
            path=("host", "address"),
            rule="is needed with connection.ssh: the kubeconfig's server is that host, not this machine",
            got="nothing",
            fix="write the host's name or IP",
        )
    yield from _gpus_fit_the_way(platform, install)
    yield from _kind_can_make_it(platform, install)


def control_planes_have_a_node(platform: Platform) -> Iterator[Problem]:
    """A team's API server tolerates no taint, so it would wait for ever where every node has one. kind taints its own
    control plane if there are workers; the other providers make one node.
    """
    install, tainted = platform.host.install, [name for name, pool in platform.pools.items() if pool.taint]
    if install is None or install.adopt or not platform.teams:
        return
    nodes = install.workers if isinstance(install, Kind) else 1
    if sum(platform.pools[name].size for name in tainted) >= nodes:
        more = f", or host.kind.workers: {nodes + 1}" if isinstance(install, Kind) else ""
        yield Problem(
            path=("pools", tainted[0], "taint"),
            rule="must leave a node for the teams' API servers, which tolerate no taint",
            got=f"true, on all {nodes} nodes" if nodes > 1 else "true, on the only node",
            fix=f"write taint: false{more}",
        )


def _gpus_fit_the_way(platform: Platform, install: Install) -> Iterator[Problem]:
    wanted = sum(pool.size * pool.gpus_per_node for pool in platform.pools.values())
    fake = platform.gpu.stack.value == "fake"
    if isinstance(install, Kind) and wanted and not fake and install.gpus == "none":
        yield Problem(
            path=("host", "kind", "gpus"),
            rule="gives the nodes their GPUs, and the pools say that they have some",
            got="none",
            fix="write gpus: all (or each: one GPU a worker), or gpusPerNode: 0",
        )
    if isinstance(install, Kind) and fake and install.gpus == "each":
        yield Problem(
            path=("host", "kind", "gpus"),
            rule="gives each worker a GPU of the host, and with gpu.stack: fake there is none",
            got="each",
            fix="write gpus: none, or gpu.stack: devicePlugin",
        )
    if isinstance(install, Microk8s) and install.nvidia_addon and platform.gpu.owner.value == "ours":
        yield Problem(
            path=("host", "microk8s", "nvidiaAddon"),
            rule="brings the GPU Operator itself: two owners of one device plugin are a race",
            got="gpu.owner: ours",
            fix="write gpu.owner: cluster, or nvidiaAddon: false",
        )
    if isinstance(install, Microk8s):
        for index, addon in enumerate(install.addons):
            if addon in GPU_ADDONS:
                yield Problem(
                    path=("host", "microk8s", "addons", index),
                    rule="is the GPU Operator, which has a key of its own",
                    got=shown(addon),
                    fix="write nvidiaAddon: true, and remove it here",
                )
    if isinstance(install, Kind):
        known = {f"{platform.host.name}-worker{number or ''}" for number in (0, *range(2, install.workers + 1))}
        for name, pool in platform.pools.items():
            for node in pool.nodes:
                if node not in known:
                    yield Problem(
                        path=("pools", name, "nodes"),
                        rule="names the workers that kind makes",
                        got=shown(node),
                        fix=f"write one of {', '.join(sorted(known))}",
                    )


def _kind_can_make_it(platform: Platform, install: Install) -> Iterator[Problem]:
    if not isinstance(install, Kind):
        return
    longest = LONGEST_NODE_NAME - len(CONTROL_PLANE)
    if len(platform.host.name) > longest:
        yield Problem(
            path=("host", "name"),
            rule=f"has at most {longest} characters with kind, whose node is named <host.name>{CONTROL_PLANE}",
            got=f"{len(platform.host.name)}",
            fix="write a shorter one",
        )
    if API_SERVER_PORT in install.ports:
        yield Problem(
            path=("host", "kind", "ports", install.ports.index(API_SERVER_PORT)),
            rule="is a spare NodePort, and in kind's node this one is the API server's",
            got=str(API_SERVER_PORT),
            fix="write another",
        )
