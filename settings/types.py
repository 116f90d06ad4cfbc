"""The small types that the settings are made of. Pure: no Pulumi import.

Owns: names, quantities and counts as `Annotated` types, each with a message that says the rule and gives an example.
Leaves to others: rules that need more than one field (`rules.py`), what a quantity is (`capacity`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue

from capacity import QUANTITY, UNLIMITED, parse_quantity

__all__ = [
    "UNLIMITED",
    "CpuQuantity",
    "DnsLabel",
    "GpuAmount",
    "MemoryQuantity",
    "Port",
    "Section",
    "parse_quantity",
]

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class Section(BaseModel):
    """Base of every part of a stack file: camelCase in YAML, unknown keys refused, frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
    )


def _quantity(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        message = f"must be a quantity, got {value!r}; write it like 8, 0.5, 500m or 512Gi"
        raise ValueError(message)
    text = str(value)
    parse_quantity(text)
    return text


def _dns_label(value: Any) -> str:
    if not isinstance(value, str) or _DNS_LABEL.fullmatch(value) is None or len(value) > 63:
        message = (
            f"must be a DNS label (lower-case letters, digits and '-', at most 63 characters), got {value!r}; "
            "for example 'ml' or 'research-2'"
        )
        raise ValueError(message)
    return value


_QUANTITY_SCHEMA: Final[JsonSchemaValue] = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{QUANTITY.pattern}$"}]
}

DnsLabel = Annotated[str, BeforeValidator(_dns_label), Field(pattern=f"^{_DNS_LABEL.pattern}$", max_length=63)]
"""A name that Kubernetes accepts for namespaces and services (RFC 1123 label)."""

CpuQuantity = Annotated[str, BeforeValidator(_quantity), WithJsonSchema(_QUANTITY_SCHEMA)]
"""CPU in cores: `8`, `0.5` or `500m`."""

MemoryQuantity = Annotated[str, BeforeValidator(_quantity), WithJsonSchema(_QUANTITY_SCHEMA)]
"""Memory or storage in bytes: `512Gi`, `1G`."""

GpuAmount = Annotated[float, Field(ge=UNLIMITED)]
"""A quota or limit in GPUs of the pool (replicas on a time-sliced one). 0.5 is half a GPU; -1 is unlimited."""

Port = Annotated[int, Field(ge=1, le=65535)]
