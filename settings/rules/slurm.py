"""Rules of a SLURM host beside the Kubernetes nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from releases.slinky import RESERVED_PARTITIONS
from settings.models import Platform
from settings.problems import Problem, shown

OF_NO_HOST: Final = ("default", "localhost")
"""`NodeName=DEFAULT`, in upper or lower case, holds the defaults of all nodes (slurm.conf(5)). localhost is every
host.
"""


def slurm_has_its_own_gpus(platform: Platform) -> Iterator[Problem]:
    """Kubernetes and SLURM must not have the same GPUs: neither sees what the other has given to jobs."""
    slurm = platform.slurm
    if slurm is None:
        return
    for name, pool in platform.pools.items():
        # a node may be known by its whole name, and slurm.host is the short one
        node = next((node for node in pool.nodes if slurm.host in (node, node.partition(".")[0])), None)
        if node is not None and pool.gpus_per_node and slurm.gpus:
            yield Problem(
                path=("slurm", "host"),
                rule="must be no node of a pool with GPUs: Kubernetes and SLURM would both give away its GPUs",
                got=f"{node!r}, a node of pool {name} with {pool.gpus_per_node} GPUs",
                fix=f"take it out of pools.{name}.nodes, or remove slurm",
            )
    reserved = {
        "host": (slurm.host in OF_NO_HOST, "is not the name of one host"),
        "partition": (slurm.partition in RESERVED_PARTITIONS, "is a word of SLURM's own"),
        "gpuType": ((slurm.gpu_type or "").isdigit(), "is a number, which SLURM would take for a count"),
    }
    said = {"host": slurm.host, "partition": slurm.partition, "gpuType": slurm.gpu_type}
    for key, (taken, why) in reserved.items():
        if taken:
            yield Problem(path=("slurm", key), rule=why, got=shown(said[key]), fix="choose another name")
    if slurm.devices and len(slurm.devices) != slurm.gpus:
        yield Problem(
            path=("slurm", "devices"),
            rule="must name one device for each GPU",
            got=f"{len(slurm.devices)} devices and gpus: {slurm.gpus}",
            fix="make them equal, or remove devices",
        )
    for index, device in enumerate(slurm.devices):
        if device in slurm.devices[:index]:
            yield Problem(
                path=("slurm", "devices", index), rule="must name each device once", got=shown(device), fix="remove one"
            )
