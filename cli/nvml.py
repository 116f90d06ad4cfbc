"""Reads the GPUs of the machine that the command runs on, by NVML. Needs the driver; changes nothing."""

from __future__ import annotations

import os
import platform
import socket
from decimal import Decimal
from typing import Final, TypedDict

import pynvml

from cli.errors import InputError
from cli.inventory import Machine
from lenient import rows
from probe.gather.nvml import nvml_gpu

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's name for a CPU architecture, and Kubernetes'."""


class Cut(TypedDict, total=False):
    """The fields of a `Machine` about how its GPUs are cut."""

    cut: str
    way: str
    profile: str
    replicas: int


def this_machine() -> list[Machine]:
    """Return this machine, once for each kind of GPU in it: all GPUs of a pool must be equal.

    Raises `InputError` where there is no NVIDIA driver.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise InputError(
            f"NVML does not start on this machine: {error}.",
            "run this on the GPU host, with NVIDIA's driver loaded (`nvidia-smi` shows its GPUs); or read a cluster: "
            "`make inventory CONTEXT=<context>`",
        ) from None
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        found = [nvml_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
    kinds: dict[tuple[str, int | None], list[dict[str, object]]] = {}
    for gpu in found:
        # feature discovery writes the product with a dash for each blank
        name = str(gpu["name"] or "").replace(" ", "-")
        memory = gpu.get("memoryMib")
        kinds.setdefault((name, memory if isinstance(memory, int) else None), []).append(gpu)
    mixed = ("has GPUs of several kinds: a pool's GPUs are alike, so they can't be given to teams",)
    return [
        Machine(
            name=socket.gethostname().lower(),
            gpus=len(alike),
            architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
            product=product,
            memory_mib=memory,
            driver=str(driver),
            cpu=Decimal(os.cpu_count() or 0),
            memory=Decimal(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
            mig=_mig(alike),
            **_cut(alike),
            notes=(*(mixed if len(kinds) > 1 else ()), *_notes(alike)),
        )
        for (product, memory), alike in kinds.items()
    ]


def _cut(gpus: list[dict[str, object]]) -> Cut:
    """How MIG cuts the GPUs: all into the same number of slices of one profile, or in a way that no pool can
    describe.
    """
    if not any(gpu.get("mig") for gpu in gpus):
        return {}
    cuts = {tuple(str(part["name"]).partition(" MIG ")[2] for part in rows(gpu, "migs")) for gpu in gpus}
    profiles = {profile for cut in cuts for profile in cut}
    if len(cuts) > 1 or len(profiles) != 1 or "" in profiles:
        return {"cut": "uneven"}
    return {"way": "mig", "profile": profiles.pop(), "replicas": len(cuts.pop())}


def _mig(gpus: list[dict[str, object]]) -> str:
    names = [str(part["name"]) for gpu in gpus for part in rows(gpu, "migs")]
    return ", ".join(f"{names.count(name)} x {name}" for name in sorted(set(names))) or (
        "on, no slices" if any(gpu.get("mig") for gpu in gpus) else ""
    )


def _notes(gpus: list[dict[str, object]]) -> list[str]:
    notes = []
    if any(gpu.get("name") is None for gpu in gpus):
        notes.append("NVML can't read every GPU: look at `nvidia-smi` and the kernel's log")
    if any(gpu.get("memoryMib") is None for gpu in gpus):
        notes.append("NVML does not say the memory of its GPUs (it is the machine's own): gpuMemoryMib is left out")
    return notes
