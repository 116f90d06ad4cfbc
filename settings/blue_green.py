"""A team's two virtual clusters as frozen pydantic models, and their rule. Pure: no Pulumi import.

Owns: shape and defaults of `blueGreen`, and what can't stand beside it.
Leaves to others: which tenants follow from it (`tenants.py`), the sums (`rules/`), its edits (`edit.py`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from settings.on_change import OnChange, disruptive, losing
from settings.texts import Version
from settings.types import MOST_GPUS, Port, Section, Whole

SlotName: TypeAlias = Literal["blue", "green"]
SLOTS: Final[tuple[SlotName, SlotName]] = ("blue", "green")
SWITCH: Final = "serves"
"""The topic of which slot serves."""


def _as(field: str, more: str = "") -> OnChange:
    return losing(f"like teams.*.{field}, for that slot alone{more}", "replace")


_NOT_IN_PLACE: Final = "; refused for the one that serves"


class Slot(Section):
    """One of a team's two virtual clusters: what it has instead of the team's own."""

    version: Annotated[Version | None, _as("scheduler.version", _NOT_IN_PLACE)] = Field(
        default=None, description="KAI release; default: the team's scheduler.version"
    )
    vcluster_version: Annotated[Version | None, _as("vcluster.version", _NOT_IN_PLACE)] = Field(
        default=None, description="vCluster; default: the team's vcluster.version"
    )
    kubernetes_version: Annotated[Version | None, _as("vcluster.kubernetesVersion", _NOT_IN_PLACE)] = Field(
        default=None, description="Kubernetes inside; default: the team's vcluster.kubernetesVersion"
    )
    gpus: Annotated[Whole, _as("resources.gpus.limit")] = Field(
        default=1,
        ge=1,
        le=MOST_GPUS,
        description="quota and limit while the other one serves, at most the team's limit; they count in the pool",
    )
    port: Annotated[Port | None, _as("access.port")] = Field(
        default=None, description="NodePort of its API server; default: blue has the team's, green one by its name"
    )


class BlueGreen(Section):
    """A new version comes as a second virtual cluster beside the one that serves, never in place."""

    serves: Annotated[
        SlotName,
        disruptive(
            "the other virtual cluster serves the team, with another kubeconfig; what runs in this one goes on",
            topic=SWITCH,
        ),
    ] = Field(description="which one is the team's: it has the team's GPUs, the other one `gpus`")
    blue: Slot | None = Field(default=None, description="the virtual cluster <team>")
    green: Slot | None = Field(default=None, description="the virtual cluster <team>-green")

    @property
    def slots(self) -> dict[SlotName, Slot]:
        """The slots that exist, by name."""
        both = dict(zip(SLOTS, (self.blue, self.green), strict=True))
        return {name: slot for name, slot in both.items() if slot is not None}

    @property
    def other(self) -> SlotName:
        """The slot that does not serve; it may not exist."""
        return "green" if self.serves == "blue" else "blue"
