"""How our device plugin shares a node's GPUs now, by its own ConfigMap. Pure.

Owns: reading a file of that ConfigMap back (`releases.sharing_config` writes them).
Leaves to others: asking the cluster for it (`cli/sharing.py`), what it means for a stack file (`gpus.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from releases import NO_SHARING, NODE_LABEL_SHARING_CONFIG


def replicas_now(labels: Mapping[str, str], configs: Mapping[str, str]) -> int | None:
    """How often our plugin advertises each GPU of a node with these labels, by its files `configs`.

    1 where it has no file for the node. None where that is not known: MIG slices depend on the hardware, and somebody
    else may have written a file.
    """
    text = configs.get(labels.get(NODE_LABEL_SHARING_CONFIG, NO_SHARING.name))
    if text is None:
        return 1 if not configs else None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(found, dict) or found.get("flags"):
        return None
    sharing = found.get("sharing") or {}
    for way in ("timeSlicing", "mps"):
        for resource in (sharing.get(way) or {}).get("resources") or ():
            replicas = resource.get("replicas")
            return replicas if isinstance(replicas, int) else None
    return 1
