"""The labels of a pool's nodes, as far as the stack file says them. Pure: no Pulumi import.

Owns: the labels of GPUs and of sharing that we write, and that NVIDIA's discovery would write in our place.
Leaves to others: who writes them (`components/host/node_pool.py`), and the labels of pools and teams.
"""

from __future__ import annotations

from collections.abc import Mapping

import names
import releases
from settings.infrastructure import Pool


def gpu_labels(pool: Pool) -> dict[str, str]:
    """The labels that say which GPUs a node has; none for a pool without GPUs."""
    if not pool.gpus_per_node:
        return {}
    found = {names.GPU_PRESENT: "true", names.GPU_COUNT: str(pool.gpus_counted_per_node)}
    if pool.gpu_memory_mib is not None and not pool.sharing.cut:
        found[names.GPU_MEMORY] = str(pool.gpu_memory_mib)
    if pool.product is not None:
        found[names.GPU_PRODUCT] = pool.product
    return found


def default_entry(pools: Mapping[str, Pool]) -> str:
    """The entry of the device plugin's config that a node without NODE_LABEL_SHARING_CONFIG has, and every node until
    its label is read.

    It is the first one that shares by MPS, where no pool's nodes need `NO_SHARING` without that label: with another
    default the MPS daemon's sidecar ends and starts again for ever (trap `mps-sidecar` of releases/gpu_software.py).
    """
    by_mps = [name for name, pool in pools.items() if pool.sharing.mps]
    labelled = all(pool.sharing.given or pool.nodes for pool in pools.values() if pool.gpus_per_node)
    return by_mps[0] if by_mps and labelled else releases.NO_SHARING.name


def sharing_labels(name: str, pool: Pool, default: str) -> dict[str, str]:
    """The labels that tell a node how its GPUs are shared. `name`: the pool's; `default`: see `default_entry`."""
    way = pool.sharing.way
    if way is not None:
        return {releases.NODE_LABEL_SHARING_CONFIG: name, **way.labels}
    own = pool.gpus_per_node and pool.nodes and default != releases.NO_SHARING.name
    return {releases.NODE_LABEL_SHARING_CONFIG: releases.NO_SHARING.name} if own else {}
