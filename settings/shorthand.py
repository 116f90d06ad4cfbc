"""Short forms of a section for editors: `gpus: 2` beside `gpus: {quota: 2, limit: 2}`. Pure: no import of ours."""

from __future__ import annotations

from collections.abc import Callable

from pydantic.config import JsonDict


def or_short(short: JsonDict) -> Callable[[JsonDict], None]:
    """Return what makes a field's JSON Schema also accept the short form."""

    def widen(schema: JsonDict) -> None:
        full: JsonDict = {"$ref": schema.pop("$ref")}
        schema["anyOf"] = [short, full]

    return widen
