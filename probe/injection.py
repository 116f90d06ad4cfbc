"""How a GPU came into this container, and which GPU the cluster gave to its pod.

Owns: the arguments by which the kubelet tells a pod what it was granted, what they mean, and the traces of each way
that a GPU can come. Leaves to others: judging (`judge`), setting it up (`releases/injection.py`).

KAI and the device plugin say which GPU a pod has in NVIDIA_VISIBLE_DEVICES. A container can't trust its own copy: an
image may set that variable, and every CDI spec replaces it by `void` (nvidia-container-toolkit@v1.20.0:
pkg/nvcdi/wrapper.go). The kubelet knows the value: it read it from KAI's ConfigMap or from the device plugin's answer,
and it writes it into a container's arguments wherever `$(NVIDIA_VISIBLE_DEVICES)` stands there, before any runtime
touches the container (kubernetes: pkg/kubelet/container/helpers.go, ExpandContainerCommandAndArgs). That takes no
right to read anything, and it works for a pod that a virtual cluster synced to the host as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from probe.expect import Facts

VISIBLE = "NVIDIA_VISIBLE_DEVICES"
PORTION = "GPU_PORTION"
MPS_PIPE = "CUDA_MPS_PIPE_DIRECTORY"
TOLD = (VISIBLE, PORTION, MPS_PIPE)
"""What the kubelet is asked for: KAI's two variables, and the device plugin's for clients of MPS."""

Granted = dict[str, Optional[str]]  # noqa: UP045 (evaluated, and the pods may have 3.9)
"""By name; None where neither the pod's spec nor the device plugin sets it."""

VOLUME_MOUNTS = "/var/run/nvidia-container-devices"
"""What the variable says where the device plugin names the GPUs by mounts below this folder (volume-mounts)."""
GPU_NODE = re.compile(r"/dev/(nvidia\d+|dxg|nvmap|nvhost-ctrl-gpu)")
"""A device node that stands for a GPU: on servers, under WSL, on Tegra."""
TEGRA_NODES = ("/dev/nvmap", "/dev/nvhost-ctrl-gpu")
LEGACY_MOUNT = "tmpfs /proc/driver/nvidia"
"""libnvidia-container's own, and no CDI spec's."""


def arguments() -> list[str]:
    """What a container's `args` must hold for the kubelet to fill in what was granted."""
    return [word for name in TOLD for word in ("--granted", f"{name}=$({name})")]


def read_granted(pairs: Sequence[str]) -> Granted | None:
    """What `arguments` became; None without any. What the kubelet can't fill in, it leaves as it stands."""
    if not pairs:
        return None
    split = (pair.partition("=") for pair in pairs)
    return {name: None if value in ("", f"$({name})") else value for name, _, value in split}


@dataclass(frozen=True)
class Grant:
    """What the cluster gave to this pod.

    by: who said so. uuids: the GPUs or MIG slices, None where they are not named by UUID; why: then the reason.
    portion: KAI's share of one GPU. mps: whether the device plugin made it a client of MPS.
    """

    by: str
    uuids: list[str] | None
    why: str
    portion: float | None
    mps: bool


def grant(facts: Mapping[str, Facts]) -> Grant:
    """By the kubelet's word where there is one; else, by hand, by the container's own environment."""
    runtime = facts.get("runtime", {})
    told, environment = runtime.get("granted"), runtime.get("environment", {})
    values = environment if told is None else told
    uuids, why = _named(values.get(VISIBLE), runtime)
    portion = values.get(PORTION) or ""
    return Grant(
        by="this container's environment" if told is None else "the kubelet",
        uuids=uuids,
        why=why,
        portion=float(portion) if re.fullmatch(r"\d*\.?\d+", portion) else None,
        mps=bool(values.get(MPS_PIPE)),
    )


def _named(value: str | None, runtime: Facts) -> tuple[list[str] | None, str]:
    if not value:
        return None, f"{VISIBLE} is not set for this pod"
    if value in ("void", "none"):
        return None, f"{VISIBLE} is {value}, which every CDI spec sets whatever was granted"
    # `k8s.device-plugin.nvidia.com/gpu=GPU-...` is the same GPU by its CDI name
    names = [name.rpartition("=")[2].strip() for name in value.split(",")]
    if value.rstrip("/") == VOLUME_MOUNTS:
        names = [place.rpartition("/")[2] for place in runtime.get("mounts") or () if f"{VOLUME_MOUNTS}/" in place]
    if names == ["all"] or (names and all(name.startswith(("GPU-", "MIG-")) for name in names)):
        return names, ""
    return None, f"{VISIBLE} names {value}, which is no UUID"


@dataclass(frozen=True)
class Injection:
    """The way that the GPU came. mode: none, legacy, csv, cdi, cdi-cri or unknown."""

    mode: str
    words: str


def injection(facts: Mapping[str, Facts]) -> Injection:
    """Which way it was, by what it left in the container beside what the kubelet said."""
    runtime = facts.get("runtime", {})
    nodes, told = runtime.get("deviceNodes"), runtime.get("granted")
    here = runtime.get("environment", {}).get(VISIBLE)
    if nodes is None:
        return Injection("unknown", "what is in this container is not known")
    if not any(map(GPU_NODE.fullmatch, nodes)):
        return Injection("none", "no GPU device is in this container")
    if any(node in TEGRA_NODES for node in nodes):
        return Injection("csv", "mode csv: this is a Tegra")
    if here == "void":
        return _by_cdi(told)
    legacy = LEGACY_MOUNT in (runtime.get("mounts") or ())
    if legacy or (told is not None and here and here == told.get(VISIBLE)) or (told is None and here):
        return Injection("legacy", "mode legacy: libnvidia-container put the GPU in, as the variable says")
    return Injection("unknown", "neither NVIDIA's runtime nor a CDI spec left its traces here")


def _by_cdi(told: Granted | None) -> Injection:
    asked = (told or {}).get(VISIBLE)
    if told is not None and asked is None:
        text = "CDI by the container runtime (the device plugin's cdi-cri or cdi-annotations)"
        return Injection("cdi-cri", text)
    # both leave the same traces; a CDI name is only ever looked up in a spec
    which = "mode cdi" if asked and "=" in asked else "mode cdi or jit-cdi"
    return Injection("cdi", f"CDI by NVIDIA's runtime ({which})")
