"""A broken or missing stack file: what is still known of the stack.

Owns: what `down`, `status` and `lab-reset` use then. Leaves to others: everything that makes something, which needs a
valid file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from settings.load import PLATFORM_KEY
from settings.models import Gpu, GpuStack, Host, HostProvider, Override, Platform, Pool
from settings.overrides import ends_too_late
from settings.problems import SettingsError
from settings.reader import read_stack_file
from settings.types import Section
from settings.values import Value, child

LABS = ".lab"
"""The folder of a project with a subfolder for each lab (`lab/driver.py`)."""

T = TypeVar("T", bound=Section)


def salvaged(stack: str, stack_file: Path, root: Path) -> Platform:
    """Return a platform without teams: host and overrides where they can be read, a lab where there is one."""
    said = _platform(stack_file)
    host = _section(Host, said.get("host"))
    if host is None or (root / LABS / stack).is_dir():
        host = Host(provider=HostProvider.LAB if (root / LABS / stack).is_dir() else HostProvider.EXISTING)
    overrides = said.get("overrides")
    return Platform(
        host=host,
        gpu=Gpu(stack=GpuStack.FAKE),
        pools={"unknown": Pool(nodes=("unknown",), gpus_per_node=0)},
        overrides=tuple(_overrides(overrides)),
    )


def _platform(stack_file: Path) -> Mapping[str, Value]:
    try:
        config = child(read_stack_file(stack_file).value, "config")
        found = child(config, PLATFORM_KEY)
    except (SettingsError, LookupError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _section(model: type[T], value: object) -> T | None:
    try:
        return model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError:
        return None


def _overrides(entries: object) -> Iterator[Override]:
    for entry in entries if isinstance(entries, list) else []:
        found = _section(Override, entry)
        if found is not None and not ends_too_late(found, date.today()):
            yield found
