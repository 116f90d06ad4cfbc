"""The labels of a pool's nodes, as far as the stack file says them. Pure: no Pulumi import.

Owns: the labels of GPUs and of sharing that we write, and that NVIDIA's discovery would write in our place.
Leaves to others: who writes them (`components/host/node_pool.py`), and the labels of pools and teams.
"""

from __future__ import annotations

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


def sharing_labels(name: str, pool: Pool) -> dict[str, str]:
    """The labels that tell a node how its GPUs are shared. `name`: the pool's."""
    way = pool.sharing.way
    return {releases.NODE_LABEL_SHARING_CONFIG: name, **way.labels} if way else {}
