"""Rules of a SLURM host beside the Kubernetes nodes."""

from __future__ import annotations

from collections.abc import Iterator

from settings.models import Platform
from settings.problems import Problem, shown


def slurm_has_its_own_gpus(platform: Platform) -> Iterator[Problem]:
    """Kubernetes and SLURM never give away the same GPU: neither sees what the other has taken."""
    slurm = platform.slurm
    if slurm is None:
        return
    for name, pool in platform.pools.items():
        if slurm.host in pool.nodes and pool.gpus_per_node and slurm.gpus:
            yield Problem(
                path=("slurm", "host"),
                rule="must be no node of a pool with GPUs: Kubernetes and SLURM would both give away its GPUs",
                got=f"{slurm.host!r}, a node of pool {name} with {pool.gpus_per_node} GPUs",
                fix=f"take it out of pools.{name}.nodes, or remove slurm",
            )
    if slurm.devices and len(slurm.devices) != slurm.gpus:
        yield Problem(
            path=("slurm", "devices"),
            rule="names one device a GPU",
            got=f"{len(slurm.devices)} devices and gpus: {slurm.gpus}",
            fix="make them equal, or remove devices",
        )
    for index, device in enumerate(slurm.devices):
        if device in slurm.devices[:index]:
            yield Problem(
                path=("slurm", "devices", index), rule="names each device once", got=shown(device), fix="remove one"
            )
