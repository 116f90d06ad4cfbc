"""SLURM on a GPU host beside the cluster, as it stands in a stack file. Pure: no Pulumi import.

Owns: the shape of `slurm`, and the rule that a GPU has one owner.
Leaves to others: the commands (`components/slurm`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from settings.connection import Connection
from settings.problems import Problem, shown
from settings.texts import DnsLabel, Text
from settings.types import Flag, Section, Whole

if TYPE_CHECKING:
    from settings.models import Platform


Device = Annotated[
    str,
    Text(
        rule="a path below /dev without spaces and quotes",
        pattern=r"/dev/[A-Za-z0-9._/+:@=,-]+",
        longest=200,
        example="'/dev/nvidia0'",
        stand_in="/dev/stand-in-{}",
    ),
]


class Slurm(Section):
    """A SLURM cluster of one host: Debian or Ubuntu, its own packages, GPUs as GRES for batch jobs."""

    host: DnsLabel = Field(description="the host's own short name, as `hostname -s` says it")
    connection: Connection = Field(default=Connection(), description="how the host is reached")
    gpus: Whole = Field(ge=0, le=64, description="number of its GPUs, /dev/nvidia0 and following")
    gpu_type: DnsLabel | None = Field(default=None, description="name in --gres=gpu:<type>:1; default: none")
    devices: tuple[Device, ...] = Field(
        default=(), max_length=64, description="device files instead of /dev/nvidia0...; as many as gpus"
    )
    partition: DnsLabel = Field(default="gpu", description="name of the one partition")
    adopt: Flag = Field(default=False, description="replace a slurm.conf of somebody else; destroy puts it back")


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
