"""What an edit does of the parts that this program makes beside a team: hosts, SLURM, workloads. Data.

Owns: the rows of those fields. Leaves to others: the table as a whole (`fields.py`).
"""

from __future__ import annotations

from typing import Final

from preview.kinds import Kind, Row

_SCRIPTS: Final = "components/host/scripts, tried against stand-ins (docs/hosts.md)"
_SLURM: Final = "components/slurm/scripts, run on Debian 12 (docs/slurm.md)"
_WORKLOADS: Final = "components/workloads"
_AGAIN: Final = "the host's command runs again; it changes what differs and leaves the rest"


def _rows(prefix: str, fields: str, kind: Kind, means: str, source: str) -> tuple[Row, ...]:
    return tuple(Row(field=f"{prefix}.{name}", kind=kind, means=means, source=source) for name in fields.split())


_SSH: Final = "sudo ssh.host ssh.hostKey ssh.key ssh.port ssh.user"

MADE: Final[tuple[Row, ...]] = (
    *_rows("host.connection", _SSH, Kind.DISRUPTIVE, f"another way to the host: {_AGAIN}", _SCRIPTS),
    *_rows("host.kind", "adopt minDiskGib minMemoryGib images metricsServer toolkit", Kind.IN_PLACE, _AGAIN, _SCRIPTS),
    *_rows(
        "host.kind",
        "image workers gpus ports",
        Kind.DISRUPTIVE,
        "kind can't change a cluster that is there: nothing happens until it is destroyed and made again",
        _SCRIPTS,
    ),
    *_rows(
        "host.kind",
        "changeDocker",
        Kind.DISRUPTIVE,
        "Docker restarts, and every container of the host with it",
        _SCRIPTS,
    ),
    *_rows("host.microk8s", "adopt minDiskGib minMemoryGib user addons", Kind.IN_PLACE, _AGAIN, _SCRIPTS),
    *_rows("host.microk8s", "channel", Kind.DISRUPTIVE, "the snap is refreshed: pods of the node restart", _SCRIPTS),
    *_rows("host.microk8s", "nvidiaAddon", Kind.DISRUPTIVE, "the GPU Operator comes by the addon", _SCRIPTS),
    *_rows("host.k3s", "adopt minDiskGib minMemoryGib", Kind.IN_PLACE, _AGAIN, _SCRIPTS),
    *_rows(
        "host.k3s",
        "version files.binary files.images files.script",
        Kind.DISRUPTIVE,
        "k3s is installed again in the other version: its API server restarts, pods go on",
        _SCRIPTS,
    ),
    *_rows("slurm", "adopt", Kind.IN_PLACE, _AGAIN, _SLURM),
    *_rows("slurm.connection", _SSH, Kind.DISRUPTIVE, f"another way to the host: {_AGAIN}", _SLURM),
    *_rows(
        "slurm",
        "host gpus gpuType devices partition",
        Kind.DISRUPTIVE,
        "SLURM's daemons restart with the other configuration: jobs that run go on, names that are gone are refused",
        _SLURM,
    ),
    *_rows(
        "teams.*.workloads.*",
        "test.contains test.maxTokens test.prompt",
        Kind.IN_PLACE,
        "the completion test runs again",
        _WORKLOADS,
    ),
    *_rows(
        "teams.*.workloads.*",
        "kind model weights gpu.count gpu.fraction gpu.memoryMib queue image command args cpu memory memoryLimit "
        "sharedMemory startSeconds modelVolume.claim token",
        Kind.DISRUPTIVE,
        "its pod is made anew: it does not answer until the new one has loaded",
        _WORKLOADS,
    ),
    *_rows(
        "teams.*.workloads.*",
        "cache.size cache.storageClass",
        Kind.DISRUPTIVE,
        "a claim grows where its class allows it, and never shrinks or moves: Kubernetes refuses that",
        "Kubernetes' documentation of persistent volumes",
    ),
)
