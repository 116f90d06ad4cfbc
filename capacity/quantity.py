"""Kubernetes quantities: the one parser of the program. Pure.

Three readers share one table of suffixes. `parse_quantity` is for what users write, and refuses what nobody writes on
purpose. `api_quantity` is for answers of an API server, and accepts everything that Kubernetes writes. `amount_of` is
for JSON that may contain anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Final

from releases import Footprint

_MIB: Final = 1024**2

_SUFFIXES: Final[Mapping[str, Decimal]] = {
    "n": Decimal("0.000000001"),
    "u": Decimal("0.000001"),
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(1000),
    "M": Decimal(1000) ** 2,
    "G": Decimal(1000) ** 3,
    "T": Decimal(1000) ** 4,
    "P": Decimal(1000) ** 5,
    "E": Decimal(1000) ** 6,
    "Ki": Decimal(1024),
    "Mi": Decimal(1024) ** 2,
    "Gi": Decimal(1024) ** 3,
    "Ti": Decimal(1024) ** 4,
    "Pi": Decimal(1024) ** 5,
    "Ei": Decimal(1024) ** 6,
}
QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
"""What users may write."""

_API: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i))?"
)
"""Kubernetes' own grammar (apimachinery, pkg/api/resource/quantity.go)."""


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


def api_quantity(text: str | None) -> Decimal:
    """Return a quantity as an API server writes it, in its base unit; a missing one is 0.

    Raises `ValueError` when the text is not a quantity.
    """
    if text is None:
        return Decimal(0)
    match = _API.fullmatch(text)
    if match is None:
        raise ValueError(f"is not a quantity, got {text!r}")
    number = Decimal(match["number"])
    return number.scaleb(int(match["exponent"])) if match["exponent"] else number * _SUFFIXES[match["suffix"] or ""]


def amount_of(value: object) -> Decimal | None:
    """Return a quantity from JSON that anybody may have written, in its base unit; None where it is not a quantity."""
    if not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        return api_quantity(str(value))
    except ValueError:
        return None


def millicores(text: str, *, rounding: str = ROUND_CEILING) -> int:
    """Return a CPU quantity in thousandths of a core, rounded up."""
    return int((parse_quantity(text) * 1000).to_integral_value(rounding))


def mebibytes(text: str, *, rounding: str = ROUND_CEILING) -> int:
    """Return a memory quantity in MiB, rounded up."""
    return int((parse_quantity(text) / _MIB).to_integral_value(rounding))


def amounts(*, cpu: str, memory: str, pods: int) -> Footprint:
    """Return what is asked for, as numbers, rounded up."""
    return Footprint(cpu_millicores=millicores(cpu), memory_mib=mebibytes(memory), pods=pods)


def pod_request(
    containers: Sequence[Decimal],
    init_containers: Sequence[tuple[Decimal, bool]],
    *,
    overhead: Decimal,
    whole: Decimal | None,
) -> Decimal:
    """Return what one pod asks of a node, as scheduler, quota and kubelet count it (Kubernetes' resource helpers,
    PodRequests).

    `init_containers`: in their order, each with whether it is a sidecar (`restartPolicy: Always`). A sidecar runs
    beside everything that starts after it; the others run one at a time before the containers. `whole`: the pod-level
    request, which replaces the sum. `overhead`: that of its RuntimeClass.
    """
    if whole is not None:
        return whole + overhead
    sidecars = highest = Decimal(0)
    for asked, is_sidecar in init_containers:
        highest = max(highest, sidecars + asked)
        sidecars += asked if is_sidecar else 0
    return max(sum(containers, sidecars), highest) + overhead
