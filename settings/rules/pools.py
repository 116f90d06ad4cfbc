"""Rules about pools: each names its nodes, and no node is in two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import names
from capacity import listed
from releases import NO_SHARING
from settings.labels import default_entry, gpu_labels, sharing_labels
from settings.models import Platform, Pool
from settings.problems import Path, Problem, shown
from settings.sharing import MOST_SLICES, WAYS

HOST_NAME: Final = "hostname"
"""Name part of the labels that hold a node's own name (`kubernetes.io/hostname`, `k3s.io/hostname`)."""

OUR_LABELS: Final = f"{names.LABEL_POOL.partition('/')[0]}/"


def pools_say_their_nodes(platform: Platform) -> Iterator[Problem]:
    """A pool has nodes by name, or labels that find them and a number of nodes. It shares its GPUs in one way."""
    for name, pool in platform.pools.items():
        path = ("pools", name)
        if pool.nodes and (pool.selector is not None or pool.node_count is not None):
            yield Problem(
                path=path,
                rule="must have either nodes, or selector with nodeCount",
                got="both",
                fix="remove selector and nodeCount, or nodes",
            )
        elif not pool.nodes and not (pool.selector and pool.node_count):
            yield Problem(
                path=path,
                rule="must have either nodes, or selector with nodeCount",
                got=_selector_got(pool),
                fix="write nodes: [name, ...] as kubectl shows them, or selector: {label: value} and nodeCount: N",
            )
        for node in sorted(node for node, times in Counter(pool.nodes).items() if times > 1):
            yield Problem(
                path=(*path, "nodes"), rule="must name each node once", got=f"{node!r} twice", fix="remove one"
            )
        ways = pool.sharing.ways
        if len(ways) > 1:
            *others, last = WAYS
            yield Problem(
                path=(*path, "sharing"),
                rule=f"is one of {', '.join(others)} and {last}",
                got=" and ".join(ways),
                fix=f"keep one ({', '.join(f'{word} {way.bounds}' for word, way in reversed([*WAYS.items()]))})",
            )
        if ways and name == NO_SHARING.name:
            yield Problem(
                path=path,
                rule="has the name of the device plugin's settings for all nodes that share nothing, and would give "
                "them its replicas",
                got=shown(name),
                fix="rename the pool",
            )
        if "taint_value" in pool.model_fields_set and not pool.taint:
            yield Problem(
                path=(*path, "taintValue"), rule="needs taint: true", got="taint: false", fix="set taint: true"
            )
        if pool.gpus_per_node == 0:
            for key, there in (("sharing", bool(ways)), ("taint", pool.taint)):
                if there:
                    yield Problem(
                        path=(*path, key), rule="needs a pool with GPUs", got="gpusPerNode: 0", fix=f"remove {key}"
                    )


def _selector_got(pool: Pool) -> str:
    if pool.selector is None:
        return "neither" if pool.node_count is None else "nodeCount alone"
    return "selector without nodeCount" if pool.selector else "an empty selector, which is every node"


def slices_fit_their_gpu(platform: Platform) -> Iterator[Problem]:
    """A GPU has seven compute slices and its memory, and media engines for one slice with `+me`."""
    for name, pool in platform.pools.items():
        mig = pool.sharing.mig
        if mig is None:
            continue
        path = ("pools", name, "sharing", "mig", "slices")
        most = 1 if "+me" in mig.profile else MOST_SLICES // int(mig.profile[0])
        if mig.slices > most:
            yield Problem(
                path=path,
                rule=f"is at most {most} of {mig.profile}: a GPU has {MOST_SLICES} compute slices"
                + (" and one set of media engines" if "+me" in mig.profile else ""),
                got=str(mig.slices),
                fix=f"write {most}, or a smaller profile (`nvidia-smi mig -lgip` says how many of each)",
            )
        elif pool.gpu_memory_mib is not None and mig.slices * mig.memory_mib > pool.gpu_memory_mib:
            yield Problem(
                path=path,
                rule=f"of {mig.profile} have together at most the {pool.gpu_memory_mib} MiB of one GPU (gpuMemoryMib)",
                got=f"{mig.slices} x {mig.memory_mib} MiB",
                fix="write fewer, a smaller profile, or the GPU's own gpuMemoryMib",
            )


def pools_are_disjoint(platform: Platform) -> Iterator[Problem]:
    """No node is in two pools: quotas are checked against each pool's own number.

    Nodes by name are compared by name. Only the cluster knows which nodes a selector finds. So two selectors must ask
    for different values of one label, which no node can have at the same time. No selector may ask for what every node
    has, for a node's name, or for labels that we write. The preflight, which sees the nodes, compares selectors with
    names.
    """
    first: dict[str, str] = {}
    selectors: dict[str, Mapping[str, str]] = {}
    for name, pool in platform.pools.items():
        for node in dict.fromkeys(pool.nodes):
            if first.setdefault(node, name) != name:
                yield Problem(
                    path=("pools", name, "nodes"),
                    rule="a node belongs to one pool",
                    got=f"{node!r}, which pool {first[node]} has",
                    fix="remove it from one of them",
                )
        if pool.selector:
            path = ("pools", name, "selector")
            yield from _selects_by_its_own_labels(pool.selector, path)
            yield from _selects_apart(pool.selector, selectors, path)
            yield from _selects_no_named_node(pool.selector, platform, path)
            selectors[name] = pool.selector


def _selects_by_its_own_labels(selector: Mapping[str, str], path: Path) -> Iterator[Problem]:
    for key, value in selector.items():
        if key.rpartition("/")[2] == HOST_NAME:
            yield Problem(
                path=path,
                rule="must not select a node by its name, which another pool may have in its nodes",
                got=f"{key}: {shown(value)}",
                fix=f"write nodes: [{value}] instead of selector and nodeCount",
            )
        elif key.startswith(OUR_LABELS):
            yield Problem(
                path=path,
                rule=f"must not select by labels of this program ({OUR_LABELS}...), other pools' nodes get them",
                got=shown(key),
                fix="select by a label that the nodes have already",
            )


def _selects_apart(
    selector: Mapping[str, str], others: Mapping[str, Mapping[str, str]], path: Path
) -> Iterator[Problem]:
    near = [other for other, labels in others.items() if not _apart(selector, labels)]
    if not near:
        return
    labels = others[near[0]]
    if selector == labels:
        how = "equals"
    else:
        how = "overlaps" if selector.keys() & labels.keys() else "has no label in common with"
    yield Problem(
        path=path,
        rule="must not find another pool's nodes",
        got=f"a selector that {how} that of pool {listed(near)}, so a node can match both",
        fix="give them the same label with different values, or name the nodes",
    )


def _apart(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether no node can match both, because it would need two values of one label."""
    return any(other.get(key, value) != value for key, value in one.items())


def _selects_no_named_node(selector: Mapping[str, str], platform: Platform, path: Path) -> Iterator[Problem]:
    for other, pool in platform.pools.items():
        if pool.nodes and selector.items() <= _labels_to_be(platform, other).items():
            yield Problem(
                path=path,
                rule="must not find another pool's nodes",
                got=f"labels that the nodes of pool {other} get as GPU nodes ({listed(sorted(selector))})",
                fix="select by a further label that they don't have, or write this pool's nodes by name",
            )


def _labels_to_be(platform: Platform, name: str) -> dict[str, str]:
    """The labels that the nodes of a pool get, from us or from NVIDIA's discovery, as far as the file says them."""
    pool = platform.pools[name]
    if not pool.gpus_per_node:
        return {}
    return gpu_labels(pool) | sharing_labels(name, pool, default_entry(platform.pools))
