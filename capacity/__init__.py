"""Pure arithmetic on nodes, quotas, queues and ports. No Pulumi and no pydantic import.

Owns: every sum that decides whether a platform fits its nodes, and the messages about it. The settings' rules and the
policies call the same functions with plain numbers, so that both say the same.
Leaves to others: where the numbers come from, and the path in the file of a verdict.

`quantity.py` reads Kubernetes quantities, `pods.py` what a pod asks for, `claims.py` holds what goes in and what comes
out, `memory.py` has what one GPU has, `gpus.py`, `room.py` and `ports.py` add up, `sets.py` says over which nodes.

Why the sums are per node: each virtual cluster's scheduler sees a node as if no other tenant used its GPUs. vCluster
subtracts other tenants' CPU, memory and pods from a node, but never GPUs. So two schedulers can give the same GPU to
two pods, and the second pod fails. Hard caps that add up to at most the node's GPUs prevent this.
"""

from __future__ import annotations

from capacity.claims import NOTHING, UNLIMITED, LeafClaim, Mode, PoolCapacity, TenantClaim, Verdict
from capacity.fenced import unfit
from capacity.gpus import (
    collisions,
    gpus_within_nodes,
    hard_cap,
    leaf_queues,
    node_claims,
    pool_quotas,
    quota_against_limit,
    visible_gpus,
)
from capacity.memory import BYTES_FROM, memory_as_share, memory_in_label, memory_in_parts
from capacity.pods import asked_by, resources_of
from capacity.ports import NODE_PORTS, node_port, port_clashes
from capacity.quantity import (
    QUANTITY,
    amount_of,
    amounts,
    api_quantity,
    mebibytes,
    millicores,
    parse_quantity,
    pod_request,
)
from capacity.room import room
from capacity.sets import visible_nodes
from capacity.words import listed, number, plural
