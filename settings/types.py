"""The numbers, quantities and days of a stack file as `Annotated` types, and the base of its models. No Pulumi import.

Owns: one rule for each type, shared by the loader and the JSON Schema, so that both accept the same values. Nothing is
converted: for every reader of the file `"50"` is a text, `true` is no number and `1` is no boolean.
Leaves to others: texts (`texts.py`), rules that need more than one field (`rules/`), what a quantity is (`capacity`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from capacity import QUANTITY, UNLIMITED, number
from settings import grammar
from settings.problems import shown

MOST_GPUS: Final = 1_000_000
"""Far more GPUs, or replicas, than one cluster has: 5,000 nodes with 64 are 320,000. Sums stay exact."""


class Section(BaseModel):
    """Base of every part of a stack file: camelCase in YAML, unknown keys refused, frozen, no infinite numbers."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )


# --- numbers --------------------------------------------------------------------------------------------------------

Whole = Annotated[int, Strict()]
"""A whole number, not in quotes. Each field has its bounds."""

Share = Annotated[float, Strict()]
"""A number, not in quotes. Each field has its bounds."""

Flag = Annotated[bool, Strict()]
"""`true` or `false`; not `yes`, which is text to some YAML readers."""

Port = Annotated[int, Strict(), Field(ge=1, le=65535)]


@dataclass(frozen=True)
class GpuNumber:
    """Metadata of a number of GPUs: -1 (unlimited, as in KAI), or 0 and more."""

    kind: type[int] | type[float]
    stand_ins: ClassVar[tuple[int, int, int]] = (0, MOST_GPUS, 1)
    """Valid numbers for `repair.py`: little, much, another."""

    def check(self, value: int | float) -> int | float:
        if value == UNLIMITED or 0 <= value <= MOST_GPUS:
            return value
        rule = f"must be -1 or at least 0, and at most {MOST_GPUS:,}" if value > 0 else "must be -1 or at least 0"
        # the fix does not suggest -1: a stack's policies may refuse it
        raise ValueError(f"{rule}, got {number(value)}; write a number of GPUs, 0 or more")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del schema, handler
        return gpu_numbers("integer" if self.kind is int else "number")


def gpu_numbers(kind: str) -> JsonSchemaValue:
    """The JSON Schema of a number of GPUs; `kind`: `integer` or `number`."""
    return {"anyOf": [{"const": UNLIMITED}, {"type": kind, "minimum": 0, "maximum": MOST_GPUS}]}


GpuAmount = Annotated[float, Strict(), GpuNumber(float)]
"""A quota or limit in GPUs of the pool (replicas on a time-sliced one). 0.5 is half a GPU; -1 is unlimited."""

GpuCount = Annotated[int, Strict(), GpuNumber(int)]
"""The same in whole GPUs (replicas)."""


# --- quantities -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Metadata of a Kubernetes quantity: a number, or a text with a unit. Kept as text."""

    rule: str
    pattern: str
    least: int
    """The least number without a unit, except 0."""
    most: int
    whole: bool
    example: str
    stand_ins: tuple[str, str, str]
    """Valid quantities for `repair.py`: little, much, another."""

    def check(self, value: object) -> str:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and math.isfinite(value):  # type: ignore[arg-type]  # a number, as just seen
            exact = Decimal(str(value))
            if exact == 0:
                return "0"
            if self.least <= exact <= self.most and not (self.whole and exact % 1):
                return f"{exact.normalize():f}"
        elif isinstance(value, str) and re.fullmatch(self.pattern, value) is not None:
            return value
        if isinstance(value, str) and not QUANTITY.fullmatch(value):
            message = (
                f"is not a quantity, got {shown(value)}; write a number with an optional suffix, like {self.example}"
            )
            raise ValueError(message)
        raise ValueError(f"must be {self.rule}, got {shown(value)}; write it like {self.example}")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del schema, handler
        kind = "integer" if self.whole else "number"
        return {
            "anyOf": [
                *([{"const": 0}] if self.least > 0 else []),
                {"type": kind, "minimum": self.least, "maximum": self.most},
                {"type": "string", "pattern": grammar.anchored(self.pattern)},
            ]
        }


CpuQuantity = Annotated[
    str,
    Quantity(
        rule="CPU in cores, less than a million",
        pattern=grammar.CPU,
        least=0,
        most=999_999,
        whole=False,
        example="8, 0.5 or 500m",
        stand_ins=("0", "999999", "1"),
    ),
]
"""CPU in cores: `8`, `0.5` or `500m`."""

MemoryQuantity = Annotated[
    str,
    Quantity(
        rule="bytes, with a unit, within what Kubernetes can hold (2^63)",
        pattern=grammar.MEMORY,
        least=1_000_000,
        most=10**18 - 1,
        whole=True,
        example="512Gi",
        stand_ins=("0", "999Pi", "1Gi"),
    ),
]
"""Memory or storage in bytes: `512Gi`, `1G`. Without a unit at least 1,000,000: `memory: 8` is never meant."""


# --- days -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Day:
    """Metadata of a day of the calendar."""

    def check(self, value: object) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and re.fullmatch(grammar.DAY, value):
            return date.fromisoformat(value[: len("YYYY-MM-DD")])
        raise ValueError(f"must be a date, got {shown(value)}; write it as YYYY-MM-DD")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            self.check, serialization=core_schema.to_string_ser_schema(when_used="json")
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        del schema, handler
        return {"type": "string", "pattern": grammar.anchored(grammar.DAY)}


Day: TypeAlias = Annotated[date, _Day()]
"""YYYY-MM-DD, with or without quotes; or as the engine passes on an unquoted day (`2026-12-31 00:00:00 +0000 UTC`)."""


# --- short forms -----------------------------------------------------------------------------------------------------


def or_short(short: JsonDict) -> Callable[[JsonDict], None]:
    """Return what makes a field's JSON Schema also accept the short form: `gpus: 2` for `{quota: 2, limit: 2}`."""

    def widen(schema: JsonDict) -> None:
        full: JsonDict = {"$ref": schema.pop("$ref")}
        schema["anyOf"] = [short, full]

    return widen
