"""GPU fractions of a team as a frozen pydantic model. Pure: no Pulumi import.

Owns: shape and defaults of `scheduler.gpuSharing`. Leaves to others: who can enforce (`rules/enforcement.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from settings.on_change import disruptive
from settings.types import Flag, Section


class Enforce(StrEnum):
    """What limits a pod to its part of a GPU's memory. `none`: nothing, KAI only counts. `memory`: the driver, or a
    library in the pod, refuses more.
    """

    NONE = "none"
    MEMORY = "memory"


class GpuSharing(Section):
    """GPU fractions: whether they are allowed, and what enforces them."""

    enabled: Flag = Field(default=False, description="allow fractions; with enforce alone it is on")
    enforce: Annotated[
        Enforce,
        disruptive(
            "the scheduler's pods restart; memory is limited, or no longer, in pods that start from then on",
            topic="scheduler",
            source="KAI@v0.16.8:docs/developer/binder.md (only pods admitted after the change)",
        ),
    ] = Field(default=Enforce.NONE, description="memory: a pod gets no more than its part, where KAI and driver can")


def spelled_out(value: object) -> object:
    """`gpuSharing: true` allows fractions; `{enforce: memory}` does so, too."""
    if isinstance(value, bool):
        return {"enabled": value}
    return {"enabled": True, **value} if isinstance(value, dict) else value
