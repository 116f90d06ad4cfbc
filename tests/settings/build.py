"""A small valid platform as plain data, and what is wrong with a changed one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, Final

import jsonschema

from settings.load import parse_platform
from settings.problems import SettingsError
from settings.schema import stack_file_schema

WHERE = "Pulumi.unit.yaml"
TODAY: Final = date(2026, 11, 22)
"""The day on which the tests read a stack file: an override may end some time after it."""


@cache
def validator() -> jsonschema.Draft202012Validator:
    """What an editor holds a stack file against; made when it is asked for, because each worker reads all tests."""
    return jsonschema.Draft202012Validator(stack_file_schema())


def raw(changes: Mapping[str, object] | None = None) -> dict[str, Any]:
    """One node with 4 GPUs; ml and research with a KAI each, 2 + 1; dev without GPUs. `changes`: dotted path to value,
    None removes."""
    tree: dict[str, Any] = {
        "host": {"provider": "existing", "address": "10.0.0.5"},
        "gpu": {"stack": "devicePlugin"},
        "pools": {"gpu": {"nodes": ["gpu-0"], "gpusPerNode": 4, "gpuMemoryMib": 24576, "podsPerNode": 250}},
        "teams": {
            "ml": {
                "pool": "gpu",
                "scheduler": {"mode": "virtual", "version": "v0.9.3"},
                "resources": {"gpus": 2},
                "queues": {"training": {"gpu": {"quota": 1, "limit": 2}}, "notebooks": {"gpu": 1}},
            },
            "research": {
                "pool": "gpu",
                "scheduler": {"mode": "virtual", "version": "v0.7.11"},
                "resources": {"gpus": 1},
                "queues": {"work": {"gpu": 1}},
            },
            "dev": {"resources": {"cpu": 2}},
        },
    }
    for path, value in (changes or {}).items():
        *above, last = path.split(".")
        here = tree
        for step in above:
            here = here.setdefault(step, {})
        if value is None:
            here.pop(last, None)
        else:
            here[last] = copy.deepcopy(value)
    return tree


def mistakes(changes: Mapping[str, object] | None = None) -> list[str]:
    """Every mistake of the changed platform, a line each, without the file's name; empty when it is valid."""
    return mistakes_of(raw(changes))


def mistakes_of(tree: object) -> list[str]:
    try:
        parse_platform(tree, WHERE, today=TODAY)
    except SettingsError as error:
        head, *lines = str(error).splitlines()
        assert head.startswith(f"{WHERE}: {len(lines)} mistake"), "one line for each mistake, and their number above"
        return [line.removeprefix(f"  {WHERE}: ") for line in lines]
    return []
