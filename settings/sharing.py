"""How the GPUs of a pool are shared, a model for each way. Pure: no Pulumi import.

Owns: the shape of `pools.<pool>.sharing`, and what the program asks of every way.
Leaves to others: what the device plugin is told (`releases/gpu_software.py`), how a check judges a way (`probe/judge`).

A way is one model here, with its word in `WAYS` and its field in `Sharing`, and a word in the probe's `SHARINGS`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

import releases
from settings.on_change import in_place, losing
from settings.texts import MigProfile
from settings.types import Section, Whole

MOST_MPS_CLIENTS: Final = 48
"""Clients that one GPU can have since Volta (NVIDIA MPS; device plugin v0.20.0:cmd/mps-control-daemon/mps/device.go
refuses more).
"""
MOST_TIME_SLICES: Final = 1000
"""The plugin sends all replicas to the kubelet in one message of at most 4 MiB, some 60 bytes each. 64 GPUs with 1000
replicas each fill it. Time-slicing itself has no limit.
"""
_UP_TO_80_GB: Final[Mapping[str, tuple[int, ...]]] = {"1": (5, 6, 10, 20), "2": (10, 12, 20)}
"""GB in the names of small slices of an A30, A100 or H100 (80 GB), by their compute slices."""
MOST_SLICES: Final = 7
"""Slices of one GPU: no NVIDIA GPU has more compute slices than seven (NVIDIA MIG User Guide, supported profiles)."""

OTHER_UNIT: Final = losing(
    "the unit changes under every limit of the pool: 8 GPUs become 8 replicas, which may be 2 GPUs",
    "lowerLimit",
    topic="gpus",
    source="DP@v0.20.0:README.md (shared access to GPUs)",
)
_CUT: Final = in_place("checks expect other slices; this program cuts no GPUs")


class Way(Section):
    """A way of sharing."""

    bounds: ClassVar[str]
    """What it does for those who share, as a clause."""
    unit: ClassVar[str] = "replica"
    """What a quota counts."""
    labels: ClassVar[Mapping[str, str]] = {}
    """Labels that its nodes need beside the name of their config."""
    cuts: ClassVar[bool] = False
    """Whether the hardware cuts the GPU: each part is counted as a GPU, and has its own memory."""

    @property
    @abstractmethod
    def each(self) -> int:
        """How often each physical GPU is advertised."""


class Replicas(Way):
    """Each GPU of the node is advertised this many times."""

    bounds: ClassVar[str] = "bounds nothing"

    replicas: Annotated[Whole, OTHER_UNIT] = Field(
        ge=2, le=MOST_TIME_SLICES, description="how often each physical GPU is advertised; quotas count these"
    )

    @property
    def each(self) -> int:
        """Its replicas."""
        return self.replicas


class MpsReplicas(Replicas):
    """Each GPU of the node is shared by this many MPS clients."""

    bounds: ClassVar[str] = "bounds memory"
    labels: ClassVar[Mapping[str, str]] = dict([releases.NODE_LABEL_MPS_CAPABLE])

    replicas: Annotated[Whole, OTHER_UNIT] = Field(
        ge=2, le=MOST_MPS_CLIENTS, description="how often each physical GPU is advertised; quotas count these"
    )


class Mig(Way):
    """Each GPU of the node is cut into slices of one size. The hardware isolates memory and faults."""

    bounds: ClassVar[str] = "keeps memory and faults apart"
    unit: ClassVar[str] = "slice"
    cuts: ClassVar[bool] = True

    strategy: Annotated[Literal["single"], _CUT] = Field(
        default="single",
        description="all slices are equal, as nvidia.com/gpu; mixed is refused: KAI takes no whole GPUs there",
    )
    profile: Annotated[MigProfile, _CUT] = Field(
        description="the slices' profile, like 1g.10gb, as `nvidia-smi mig -lgip` lists it"
    )
    slices: Annotated[Whole, OTHER_UNIT] = Field(
        ge=1, le=MOST_SLICES, description="slices of each physical GPU; quotas count these"
    )

    @property
    def each(self) -> int:
        """Its slices."""
        return self.slices

    @property
    def memory_mib(self) -> int:
        """The least memory of one slice, in MiB. The profile's name rounds up by up to 5 % (NVIDIA MIG User Guide:
        1g.5gb of an A100 has 4.75 GiB), that of a small slice of more than 80 GB by up to a ninth (`nvidia-smi mig
        -lgip`: 1g.18gb of an H200 has 16384 MiB, 2g.35gb 33280, 1g.12gb of an H100 NVL 11008, 1g.24gb 22144).
        """
        gigabytes = int(self.profile.split(".")[1].split("gb")[0])
        if self.profile[0] in "12" and gigabytes not in _UP_TO_80_GB[self.profile[0]]:
            return gigabytes * 1024 * 8 // 9
        return gigabytes * 1024 * 19 // 20


WAYS: Final[Mapping[str, type[Way]]] = {"timeSlicing": Replicas, "mps": MpsReplicas, "mig": Mig}
"""Every way by its word, which is its key in `Sharing`."""


class Sharing(Section):
    """How GPUs are shared. MIG isolates memory and faults, MPS limits memory, time-slicing isolates nothing."""

    time_slicing: Replicas | None = Field(
        default=None, description="GPUs shared by taking turns; neither memory nor faults are isolated"
    )
    mps: MpsReplicas | None = Field(
        default=None,
        description="GPUs shared by NVIDIA's MPS; each gets an equal part of the memory, faults are not isolated, and "
        "all pods with a GPU run as user 65532",
    )
    mig: Mig | None = Field(
        default=None, description="GPUs cut into slices of one size; the hardware isolates memory and faults"
    )

    @property
    def ways(self) -> dict[str, Way]:
        """The ways that are written, by their words; a valid file has one at most."""
        found: Iterator[tuple[str, Way | None]] = (
            (field.alias or name, getattr(self, name)) for name, field in type(self).model_fields.items()
        )
        return {word: way for word, way in found if way is not None}

    @property
    def word(self) -> str | None:
        """The word of the way; None without sharing."""
        return next(reversed(self.ways), None)

    @property
    def way(self) -> Way | None:
        """How GPUs are shared; None without sharing."""
        return self.ways[self.word] if self.word else None

    @property
    def given(self) -> bool:
        """Whether GPUs are shared at all."""
        return bool(self.ways)

    @property
    def cut(self) -> bool:
        """Whether GPUs are cut by the hardware, so that each part counts as a GPU with its own memory."""
        return self.way is not None and self.way.cuts
