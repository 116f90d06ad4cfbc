"""The ways that a GPU gets into a container: what device plugin, KAI and check need for each. Data, not ifs.

Owns: the modes' names, which are the vendors' own (NVIDIA's container runtime: legacy, cdi, jit-cdi, csv; the device
plugin: cdi-cri, cdi-annotations), and the values that follow from one.
Leaves to others: which mode a host has (`gpu.injection` in the stack file), and which one a container shows
(`probe/injection.py`).

Sources as in `releases`; TK = github.com/NVIDIA/nvidia-container-toolkit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, kw_only=True)
class InjectionMode:
    """One mode. `seen`: its name in the check's report; modes with the same traces have the same name there."""

    name: str
    by: str
    """Who puts the device in, after the kubelet has named it."""
    device_list_strategy: str | None
    """The device plugin's value of that name; None leaves the chart's default, the variable NVIDIA_VISIBLE_DEVICES."""
    driver_root: str | None
    """The device plugin's nvidiaDriverRoot: the plugin writes a CDI spec of the files there."""
    kai_cdi: bool
    """Whether KAI must name a fraction's GPU as the device plugin's CDI spec does."""
    variable: str
    """The value of NVIDIA_VISIBLE_DEVICES inside a container."""
    seen: str
    seen_of_fractions: str
    """The same for fractions: KAI only uses the variable, so in every mode NVIDIA's container runtime puts the GPU
    in.
    """
    node: str
    """What the node must have."""
    tried: str
    source: str


_RUNTIME: Final = "NVIDIA's container runtime"
_KUBELET: Final = "the container runtime, by CDI"
_WITH_CLASS: Final = "RuntimeClass or default runtime nvidia"
_BOTH: Final = "containerd 1.7, CRI-O 1.24 or newer; for fractions also the RuntimeClass nvidia (KAI issue 1544)"

_LEGACY: Final = InjectionMode(
    name="legacy",
    by=f"{_RUNTIME} (libnvidia-container)",
    device_list_strategy=None,
    driver_root=None,
    kai_cdi=False,
    variable="the GPU's UUID",
    seen="legacy",
    seen_of_fractions="legacy",
    node=f"{_WITH_CLASS}; the mode named in the toolkit's config (from 1.18 on auto is jit-cdi); "
    "libnvidia-container of the toolkit's version",
    tried="2026-11-26, H100: pair, whole (toolkit 1.20.0, libnvidia-container 1.15, KAI v0.16.8)",
    source="TK@v1.20.0:internal/info/auto.go, cmd/nvidia-container-runtime-hook/main.go",
)
_CDI: Final = InjectionMode(
    name="cdi",
    by=_RUNTIME,
    device_list_strategy=None,
    driver_root=None,
    kai_cdi=False,
    variable="void",
    seen="cdi",
    seen_of_fractions="cdi",
    node=f"{_WITH_CLASS}; a CDI spec nvidia.com/gpu that names GPUs by UUID, made anew with each driver",
    tried="2026-11-26, H100: whole, fraction, MiB, pair (toolkit 1.20.0, KAI v0.16.8)",
    source="TK@v1.20.0:internal/modifier/cdi.go",
)
_JIT_CDI: Final = InjectionMode(
    name="jit-cdi",
    by=_RUNTIME,
    device_list_strategy=None,
    driver_root=None,
    kai_cdi=False,
    variable="void",
    seen="cdi",
    seen_of_fractions="cdi",
    node=f"{_WITH_CLASS}; toolkit 1.18 or newer, where auto means this",
    tried="2026-11-26, H100: pair, and a share for each of two teams with mode host (toolkit 1.20.0, KAI v0.16.8)",
    source="TK@v1.20.0:internal/info/auto.go",
)
_CSV: Final = InjectionMode(
    name="csv",
    by=f"{_RUNTIME} on Tegra",
    device_list_strategy=None,
    driver_root=None,
    kai_cdi=False,
    variable="void",
    seen="csv",
    seen_of_fractions="csv",
    node=f"{_WITH_CLASS}, JetPack's CSV files",
    tried="not run",
    source="TK@v1.20.0:internal/modifier/csv.go",
)
_CDI_CRI: Final = InjectionMode(
    name="cdi-cri",
    by=f"{_KUBELET} (the device plugin's answer names the device)",
    device_list_strategy="cdi-cri",
    driver_root="/",
    kai_cdi=True,
    variable="void",
    seen="cdi-cri",
    seen_of_fractions="cdi",
    node=_BOTH,
    tried="2026-11-26, H100: pair, whole (toolkit 1.20.0, containerd 1.7.32, KAI v0.16.8)",
    source="DP@v0.20.0:internal/plugin/server.go, docs/cdi.md",
)
_CDI_ANNOTATIONS: Final = InjectionMode(
    name="cdi-annotations",
    by=f"{_KUBELET} (the device plugin's annotation names the device)",
    device_list_strategy="cdi-annotations",
    driver_root="/",
    kai_cdi=True,
    variable="void",
    seen="cdi-cri",
    seen_of_fractions="cdi",
    node=_BOTH,
    tried="2026-11-26, H100: pair, whole (toolkit 1.20.0, containerd 1.7.32, KAI v0.16.8)",
    source="DP@v0.20.0:internal/plugin/server.go, docs/cdi.md",
)

INJECTION: Final[Mapping[str, InjectionMode]] = MappingProxyType(
    {mode.name: mode for mode in (_LEGACY, _CDI, _JIT_CDI, _CSV, _CDI_CRI, _CDI_ANNOTATIONS)}
)
"""By name."""


def chosen(name: str | None) -> InjectionMode | None:
    """The mode that the stack file names; None where it names none."""
    return INJECTION[name] if name else None


def kai_cdi(name: str | None) -> bool | None:
    """Whether KAI names a fraction's GPU by its CDI name; None leaves that to the release."""
    mode = chosen(name)
    return mode.kai_cdi if mode else None


def seen(name: str | None, *, fraction: bool) -> str | None:
    """The mode's name in the check's report; None where the stack file names none."""
    mode = chosen(name)
    if mode is None:
        return None
    return mode.seen_of_fractions if fraction else mode.seen


def _plugin(mode: InjectionMode) -> str:
    """The device plugin's values, as its chart has them."""
    if mode.device_list_strategy is None:
        return "the chart's own"
    return f"`deviceListStrategy: {mode.device_list_strategy}`, `nvidiaDriverRoot: {mode.driver_root}`"


def page() -> list[str]:
    """The lines of docs/versions.md about them."""
    lines = [
        "",
        "## How a GPU gets into a container",
        "",
        "`gpu.injection` says which way the host has. Without it nothing is set: device plugin and KAI then name GPUs",
        "in NVIDIA_VISIBLE_DEVICES, which NVIDIA's container runtime acts on in each of its modes. The kubelet tells",
        "the check which GPU was granted, so it needs no value in any mode; its report says in `injection` what it",
        "saw. KAI v0.9.2 and v0.9.3 take no `cdi`: they go by the GPU Operator's ClusterPolicy.",
        "",
        "| `gpu.injection` | who puts the GPU in | device plugin | KAI: `cdi` | variable inside | "
        "the check sees | the node needs | tried | source |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for mode in INJECTION.values():
        fractions = "" if mode.seen == mode.seen_of_fractions else f"; fractions `{mode.seen_of_fractions}`"
        cells = (
            f"`{mode.name}`",
            mode.by,
            _plugin(mode),
            str(mode.kai_cdi).lower(),
            mode.variable,
            f"`{mode.seen}`{fractions}",
            mode.node,
            mode.tried,
            mode.source,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
