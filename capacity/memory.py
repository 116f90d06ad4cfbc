"""The memory of one GPU as KAI counts it. Pure."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

BYTES_FROM: Final = 1024**2
"""KAI takes a node's label of a TiB (in MiB) and more for bytes, because feature discovery once wrote bytes
(KAI@v0.16.8:pkg/scheduler/api/node_info/node_info.go, gpu-feature-discovery issue 26)."""
_MIB: Final = 1024**2
KAI_COUNTS: Final = 100
"""MiB of a GPU's memory that KAI counts as one, and parts of a GPU that it counts a queue's use in."""


def memory_in_parts(gpu_mib: int) -> int:
    """Return how many MiB of one GPU KAI gives away at most: whole hundreds, so all that a GPU has never fits it
    (KAI@v0.16.8:pkg/scheduler/api/node_info/node_info.go: getNodeGpuMemory; the same at v0.9.3)."""
    return gpu_mib - gpu_mib % KAI_COUNTS


def memory_as_share(asked_mib: int | float, gpu_mib: int) -> Fraction:
    """Return the part of a GPU that memory counts as in KAI's queues: hundredths, rounded up (gpu_sharing_node_info.go:
    getGpuMemoryFractionalOnNode); a whole GPU where that has less than KAI counts."""
    whole = memory_in_parts(gpu_mib)
    return Fraction(math.ceil(Fraction(asked_mib) * KAI_COUNTS / whole), KAI_COUNTS) if whole else Fraction(1)


def memory_in_label(text: object) -> int | None:
    """Return the MiB that a node's label `nvidia.com/gpu.memory` says to KAI; None where it is no number, or 0."""
    if not isinstance(text, str) or not (text.isascii() and text.isdecimal()):
        return None
    found = int(text)
    return (found // _MIB if found >= BYTES_FROM else found) or None
