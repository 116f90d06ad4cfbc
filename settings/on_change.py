"""What a change of a field does to those who work on the platform: metadata that a field of a model carries. Pure.

    priority: Annotated[TeamPriority, replacing("the team's PriorityClass is made anew", source="K8S: ...")]

Owns: the kinds, what an override can let through, and what several sections say.
Leaves to others: a change that is judged by its two values, or by what runs now. Such a field carries nothing and has a
row in `preview/table`; a test asks for one of the two.

Sources: VC = github.com/loft-sh/vcluster, VD = github.com/loft-sh/vcluster-docs, KAI =
github.com/kai-scheduler/KAI-Scheduler, DP = github.com/NVIDIA/k8s-device-plugin, GO =
github.com/NVIDIA/gpu-operator, each TAG:path; K8S = Kubernetes' docs.
A path without a tag is this repository's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

TeamChange: TypeAlias = Literal["delete", "replace", "lowerLimit"]
"""What an override can allow for one team."""

StackChange: TypeAlias = Literal["anotherCluster", "slurm", "preflight", "quotaRules"]
"""What an override can allow for the whole stack."""

HERE: Final = "this program"
"""Only this program reads the field, or its own code decides the field's effect."""


class Kind(StrEnum):
    """What a change does to the users of the platform, the harmless kinds first."""

    IN_PLACE = "in place"
    """Nobody notices."""
    DISRUPTIVE = "disruptive"
    """Something does not answer for a while, or less is available; nothing that runs is lost."""
    REPLACING = "replacing"
    """An object is deleted and made anew; what the team keeps in it is not touched."""
    LOSING = "losing"
    """Something that exists or runs is lost. Needs an override."""
    UNKNOWN = "unknown"
    """This program can't say. Refused like a loss."""

    @property
    def refused(self) -> bool:
        """Whether it needs an override."""
        return self in (Kind.LOSING, Kind.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class OnChange:
    """What a change of one field does, at worst. `means`: in words."""

    kind: Kind
    means: str
    allow: TeamChange | StackChange | None = None
    """The override that lets it through; None where it needs none."""
    topic: str = ""
    """What it is about. Two effects on one topic of one team count once."""
    source: str = HERE
    """The source of the fact: a vendor's source code or page, or docs/runs.md for what was tried."""


def in_place(means: str, *, source: str = HERE) -> OnChange:
    """Nobody notices."""
    return OnChange(kind=Kind.IN_PLACE, means=means, source=source)


def disruptive(means: str, *, topic: str = "", source: str = HERE) -> OnChange:
    """Something does not answer for a while, or less may be had from now on."""
    return OnChange(kind=Kind.DISRUPTIVE, means=means, topic=topic, source=source)


def replacing(means: str, *, topic: str = "", source: str = HERE) -> OnChange:
    """An object is deleted and made anew."""
    return OnChange(kind=Kind.REPLACING, means=means, topic=topic, source=source)


def losing(means: str, allow: TeamChange | StackChange, *, topic: str = "", source: str = HERE) -> OnChange:
    """Something is gone afterwards, unless the override `allow` is written."""
    return OnChange(kind=Kind.LOSING, means=means, allow=allow, topic=topic, source=source)


ARITHMETIC: Final = in_place("only the arithmetic changes; no object does")
ASKED_FIRST: Final = "read before the host is changed; changes nothing on it"
NEW_ADDRESS: Final = disruptive(
    "its API server is reached at another address: kubeconfigs with the old one stop working", topic="address"
)
