"""SLURM on a GPU host beside the Kubernetes cluster.

Owns: the command that installs it, and the command that removes it.
Leaves to others: what these do (`scripts/`), and that nobody else has its GPUs (`settings/rules/slurm.py`, and
install.sh looks for a device plugin's socket).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.base import Component
from components.command import Script, joined, run
from settings.slurm import Slurm

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True, kw_only=True)
class SlurmClusterArgs:
    """`key`: the private key for `connection.ssh`, a secret."""

    slurm: Slurm
    key: pulumi.Output[str] | None


class SlurmCluster(Component):
    """One host with SLURM."""

    def __init__(self, name: str, args: SlurmClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        slurm = args.slurm
        super().__init__(name, {"host": slurm.host, "gpus": slurm.gpus, "partition": slurm.partition}, opts)
        run(f"{name}-host", script(slurm), slurm.connection, args.key, self.child())
        self.register_outputs({"submit": f"sbatch --partition={slurm.partition} --gres=gpu:1 job.sh"})


def script(slurm: Slurm) -> Script:
    """The two texts and their variables."""
    daemons = SCRIPTS / "daemons.sh"
    return Script(
        install=joined(daemons, SCRIPTS / "install.sh"),
        remove=joined(daemons, SCRIPTS / "remove.sh"),
        variables={
            "PART": "slurm",
            "SLURM_HOST": slurm.host,
            "SLURM_PARTITION": slurm.partition,
            "SLURM_GPU_COUNT": str(slurm.gpus),
            "SLURM_GPU_DEVICES": " ".join(slurm.devices),
            "SLURM_GPU_TYPE": slurm.gpu_type or "",
            "SLURM_ADOPT": "true" if slurm.adopt else "false",
        },
    )
