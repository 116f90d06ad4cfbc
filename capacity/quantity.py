"""Kubernetes quantities: the one parser of the program. Pure.

Two readers, one table of suffixes: `parse_quantity` for what users write, which refuses what nobody writes on purpose;
`api_quantity` for what an API server answers, which takes all that Kubernetes itself writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final

from releases import Footprint

_MIB: Final = 1024**2

_SUFFIXES: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    "M": Decimal(1000) ** 2,
    "G": Decimal(1000) ** 3,
    "T": Decimal(1000) ** 4,
    "P": Decimal(1000) ** 5,
    "Ki": Decimal(1024),
    "Mi": Decimal(1024) ** 2,
    "Gi": Decimal(1024) ** 3,
    "Ti": Decimal(1024) ** 4,
    "Pi": Decimal(1024) ** 5,
}
QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")


def parse_quantity(text: str) -> Decimal:
    """Return a Kubernetes quantity (`8`, `0.5`, `500m`, `512Gi`) in its base unit: cores, or bytes.

    Raises `ValueError` when the text is not a quantity. Exponents (`1e3`) and signs are not accepted: nobody writes
    a quota that way on purpose.
    """
    match = QUANTITY.fullmatch(text)
    if match is None:
        message = f"is not a quantity, got {text!r}; write a number with an optional suffix, like 8, 0.5, 500m or 512Gi"
        raise ValueError(message)
    return Decimal(match.group(1)) * _SUFFIXES[match.group(2) or ""]


def millicores(text: str, *, rounding: str = ROUND_CEILING) -> int:
    """Return a CPU quantity in thousandths of a core. Rounds up: what is asked for must fit."""
    return int((parse_quantity(text) * 1000).to_integral_value(rounding))


def mebibytes(text: str, *, rounding: str = ROUND_CEILING) -> int:
    """Return a memory quantity in MiB. Rounds up: what is asked for must fit."""
    return int((parse_quantity(text) / _MIB).to_integral_value(rounding))


def amounts(*, cpu: str, memory: str, pods: int) -> Footprint:
    """Return what is asked for, as numbers, rounded up."""
    return Footprint(cpu_millicores=millicores(cpu), memory_mib=mebibytes(memory), pods=pods)
