"""SLURM on a GPU host beside the cluster, as it stands in a stack file. Pure: no Pulumi import.

Owns: the shape of `slurm`.
Leaves to others: the rule that a GPU has one owner (`rules/slurm.py`), the commands (`components/slurm`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.connection import Connection
from settings.on_change import ASKED_FIRST, in_place
from settings.texts import DnsLabel, Text
from settings.types import Flag, Section, Whole

Device = Annotated[
    str,
    Text(
        rule="a path below /dev without spaces and quotes, of one device, no part of it empty, . or ..",
        # gres.conf takes a comma and brackets for a list
        pattern=r"/dev(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._+:@=-]+)+",
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
    adopt: Annotated[Flag, in_place(ASKED_FIRST, source="components/slurm/scripts")] = Field(
        default=False, description="replace a slurm.conf of somebody else; destroy puts it back"
    )
