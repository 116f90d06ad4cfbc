"""What feature discovery's labels say about a node's GPUs. Pure; the only reader of these labels.

Owns: the values of those labels and their units (DP@v0.20.0:docs/gpu-feature-discovery/README.md).
Leaves to others: who wrote a label, and what it means for a stack file (`labels.py`) or for a new one (`inventory.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from capacity import BYTES_FROM, memory_in_label
from names import GPU_COUNT, GPU_MEMORY, GPU_PRODUCT
from releases import NODE_LABEL_MPS_CAPABLE

REPLICAS: Final = "nvidia.com/gpu.replicas"
SHARING: Final = "nvidia.com/gpu.sharing-strategy"
DRIVER: Final = "nvidia.com/cuda.driver-version.full"
DRIVER_MAJOR: Final = ("nvidia.com/cuda.driver-version.major", "nvidia.com/cuda.driver.major")
"""The new and the old label."""
STRATEGY: Final = "nvidia.com/mig.strategy"
WAYS: Final = {"time-slicing": "timeSlicing", "mps": "mps"}
"""The label's name for a way of sharing, and the stack file's."""
_MARKS: Final = re.compile(r"(-SHARED|-MIG-.*)$")
"""What feature discovery adds to a product's name on a node that shares its GPUs."""
_CUT: Final = re.compile(r"-MIG-(\S+)$")


@dataclass(frozen=True, kw_only=True)
class Discovered:
    """What the labels say; empty and None where they don't."""

    count: int | None
    """Physical GPUs, or slices of them where `cut` is set."""
    product: str
    """As written, with the marks of sharing."""
    memory: str | None
    """As written."""
    memory_mib: int | None
    """As KAI reads it: in bytes from a TiB on. None where it is not a number, or 0."""
    in_bytes: bool
    replicas: int | None
    way: str
    """`timeSlicing` or `mps`; MPS also where only its marks exist."""
    strategy: str
    driver: str
    driver_major: int | None

    @property
    def plain_product(self) -> str:
        """The GPU's product, without marks of sharing."""
        return _MARKS.sub("", self.product)

    @property
    def cut(self) -> str:
        """The one MIG profile of all its GPUs; then the labels have the number of slices, and a slice's memory."""
        found = _CUT.search(self.product)
        return found[1] if found else ""


def discovered(labels: Mapping[str, str]) -> Discovered:
    """Read a node's labels."""
    memory = _number(labels.get(GPU_MEMORY))
    key, capable = NODE_LABEL_MPS_CAPABLE
    way = WAYS.get(labels.get(SHARING, ""), "mps" if labels.get(key) == capable else "timeSlicing")
    return Discovered(
        count=_number(labels.get(GPU_COUNT)),
        product=labels.get(GPU_PRODUCT, ""),
        memory=labels.get(GPU_MEMORY),
        memory_mib=memory_in_label(labels.get(GPU_MEMORY)),
        in_bytes=memory is not None and memory >= BYTES_FROM,
        replicas=_number(labels.get(REPLICAS)),
        way=way,
        strategy=labels.get(STRATEGY, ""),
        driver=labels.get(DRIVER, ""),
        driver_major=_number(next((labels[key] for key in DRIVER_MAJOR if key in labels), None)),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
