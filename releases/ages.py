"""How old the default versions of a stack file are, compared with the newest known ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from releases.engine import DEFAULT_ENGINE, DEFAULT_PROVIDER, DEFAULT_SDK, ENGINE, PROVIDER, SDK
from releases.gpu_software import (
    DCGM_EXPORTER,
    DEFAULT_DCGM_EXPORTER,
    DEFAULT_DEVICE_PLUGIN,
    DEFAULT_GPU_OPERATOR,
    DEVICE_PLUGIN,
    GPU_OPERATOR,
)
from releases.kai import DEFAULT_KAI, KAI
from releases.vcluster import DEFAULT_KUBERNETES, DEFAULT_KUBERNETES_RELEASED, DEFAULT_VCLUSTER, VCLUSTER

STALE_DAYS: Final = 60
"""Days. A default may be this old while a newer version is known: time to read its chart and to run it."""

NEWEST_KUBERNETES: Final = ("v1.36.0", date(2026, 4, 22))
"""The newest that a vCluster names itself, and when it came (https://kubernetes.io/releases)."""


@dataclass(frozen=True, kw_only=True)
class Age:
    """A default version and the newest known one of the same thing."""

    what: str
    default: str
    released: date
    newest: str
    newest_released: date

    def stale(self, today: date) -> bool:
        """Whether the default is too old while a newer one is known."""
        return self.newest != self.default and (today - self.released).days > STALE_DAYS


def ages() -> list[Age]:
    """Return the age of every default."""
    found = []
    for what, default, table in (
        ("KAI", DEFAULT_KAI, {v: r.released for v, r in KAI.items()}),
        ("vCluster", DEFAULT_VCLUSTER, {v: r.released for v, r in VCLUSTER.items()}),
        (
            "Kubernetes in a virtual cluster",
            DEFAULT_KUBERNETES,
            {DEFAULT_KUBERNETES: DEFAULT_KUBERNETES_RELEASED, NEWEST_KUBERNETES[0]: NEWEST_KUBERNETES[1]},
        ),
        ("device plugin", DEFAULT_DEVICE_PLUGIN, {v: r.released for v, r in DEVICE_PLUGIN.items()}),
        ("dcgm-exporter", DEFAULT_DCGM_EXPORTER, {v: r.released for v, r in DCGM_EXPORTER.items()}),
        ("GPU Operator", DEFAULT_GPU_OPERATOR, {v: r.released for v, r in GPU_OPERATOR.items()}),
        ("Pulumi engine", DEFAULT_ENGINE, ENGINE),
        ("Pulumi SDK", DEFAULT_SDK, SDK),
        ("Pulumi kubernetes provider", DEFAULT_PROVIDER, PROVIDER),
    ):
        newest = [*table][-1]
        found.append(
            Age(
                what=what,
                default=default,
                released=table[default],
                newest=newest,
                newest_released=table[newest],
            )
        )
    return found
