"""Rules of clusters that this program makes, whichever way."""

from __future__ import annotations

from collections.abc import Iterator

from settings.hosts import INSTALLS, Kind
from settings.models import Platform
from settings.problems import Problem


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
    yield from install.problems(platform.site())


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
