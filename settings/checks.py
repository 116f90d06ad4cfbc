"""The GPU check as frozen pydantic models: what all of them do, and what a team's asks for. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `check` and `teams.<team>.check`.
Leaves to others: whether a team's check can run (`rules/checks.py`), the check (`components/check`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, Strict

from settings.infrastructure import MOST_MEMORY_MIB
from settings.on_change import in_place
from settings.texts import DnsLabel, ImageReference
from settings.types import MOST_GPUS, Flag, Section, Share, Whole

LONGEST_CHECK: Final = 86_400
"""A day, in seconds: a deploy waits for its checks."""
_ITS_CHECK: Final = in_place("its GPU check runs again")
_ALL_CHECKS: Final = in_place("every GPU check runs again")

PartOfGpu = Annotated[float, Strict(), Field(gt=0, lt=1)]


class TeamCheck(Section):
    """How the GPU check asks for GPUs: as the team's own workloads would. At most one of fraction, gpuMemoryMib and
    pair.
    """

    enabled: Annotated[Flag, _ITS_CHECK] = Field(default=True, description="whether this team is checked")
    gpus: Annotated[Whole, _ITS_CHECK] = Field(default=1, ge=1, le=MOST_GPUS, description="whole GPUs (or replicas)")
    fraction: Annotated[Share | None, _ITS_CHECK] = Field(
        default=None, gt=0, le=1, description="share of one GPU; needs gpuSharing"
    )
    gpu_memory_mib: Annotated[Whole | None, _ITS_CHECK] = Field(
        default=None, ge=1, le=MOST_MEMORY_MIB, description="memory of one GPU in MiB; needs gpuSharing"
    )
    pair: Annotated[tuple[PartOfGpu, PartOfGpu] | None, _ITS_CHECK] = Field(
        default=None,
        description="two shares of one GPU, together at most 1: two pods in two namespaces must run on it at the same "
        "time, and a third must find no room beside them; needs gpuSharing",
    )
    queue: Annotated[DnsLabel | None, _ITS_CHECK] = Field(
        default=None,
        description="leaf queue; default: the team's first by name that has room, with mode host one of its own that "
        "takes only what is free",
    )

    @property
    def share(self) -> float | None:
        """The total share of one GPU: the fraction, or the sum of a pair; None where neither is written."""
        return self.fraction if self.pair is None else round(sum(self.pair), 6)


class OnFailure(StrEnum):
    """Which verdict of a check fails the deploy. `fail`: only a failure. `warn`: a warning, too."""

    FAIL = "fail"
    WARN = "warn"


class Check(Section):
    """The GPU check that runs in every GPU team after a deploy."""

    image: Annotated[ImageReference | None, _ALL_CHECKS] = Field(
        default=None, description="with Python and torch; default: the pinned one in releases.py"
    )
    gpu_memory_fraction: Annotated[Share, _ALL_CHECKS] = Field(
        default=0.5, gt=0, le=0.95, description="share of one GPU's memory to allocate, 0 to 0.95"
    )
    deadline_seconds: Annotated[Whole, _ALL_CHECKS] = Field(
        default=600,
        ge=30,
        le=LONGEST_CHECK,
        description="seconds until a check ends in any case, including the wait for a GPU",
    )
    on_failure: Annotated[OnFailure, _ALL_CHECKS] = Field(
        default=OnFailure.FAIL, description="which verdict fails the deploy"
    )
    host: Annotated[Flag, _ALL_CHECKS] = Field(
        default=True, description="first prove driver, runtime and plugin on every GPU node"
    )
