"""Levels and limits of the rules for one stack: frozen, validated, in the engine's own file format.

One file serves the engine (`--policy-pack-config policies/config/prod.json`), the lab and the offline run:

    {"all": "mandatory", "replicas-maximum": {"enforcementLevel": "advisory", "maxReplicas": 4}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from settings.problems import escaped
from settings.sharing import MOST_TIME_SLICES
from settings.types import Section

FOLDER: Final = Path(__file__).parent / "config"
PACK: Final = "policies"
"""The pack's folder in a project."""
FALLBACK: Final = "prod"
"""A stack without its own file gets the strictest levels."""


LEVELS: Final = f"{PACK}/config/<stack>.json"
"""The file with a stack's levels and limits, for messages that don't know the stack."""


class Level(StrEnum):
    """What a violation does, in Pulumi's own terms. `remediate` is left out, because no rule changes a resource."""

    ADVISORY = "advisory"
    MANDATORY = "mandatory"
    DISABLED = "disabled"


class Limits(Section):
    """Every number and list that a stack may set, with its default."""

    allow_unlimited: bool = Field(default=False, description="accept -1 as a GPU quota or limit")
    max_replicas: int = Field(default=8, ge=1, le=MOST_TIME_SLICES, description="most replicas of one GPU")
    require_persistence: bool = Field(default=True, description="virtual clusters keep their data on a volume")
    chart_sources: tuple[str, ...] = Field(
        default=(
            "oci://ghcr.io/nvidia/",
            "oci://ghcr.io/kai-scheduler/",
            "https://charts.loft.sh",
            "https://nvidia.github.io/k8s-device-plugin",
            "https://nvidia.github.io/dcgm-exporter/helm-charts",
            "https://helm.ngc.nvidia.com/nvidia",
            "oci://ghcr.io/slinkyproject/",
        ),
        description="prefixes of the allowed chart locations",
    )
    allow_local_charts: bool = Field(default=False, description="accept charts from a local path")
    registries: tuple[str, ...] = Field(
        default=(
            *("docker.io/pytorch/", "docker.io/vllm/", "docker.io/library/"),
            *("ghcr.io/", "nvcr.io/nvidia/", "registry.k8s.io/"),
        ),
        description="prefixes of the allowed image names, with the registry",
    )
    require_digest: bool = Field(default=False, description="images need a digest, a tag is not enough")
    warn_days: int = Field(default=60, ge=0, description="warn this many days before support of a version ends")
    allowed_kinds: tuple[str, ...] = Field(
        default=(), description="kinds of Kubernetes' objects that this stack may have besides the known ones, by token"
    )
    allowed_fields: tuple[str, ...] = Field(
        default=(), description="fields besides the known ones, like Service.spec.externalIPs or Pod.spec.hostNetwork"
    )
    allowed_values: tuple[str, ...] = Field(
        default=(), description="paths in our charts' values besides the known ones; ** for everything below"
    )


class ConfigError(ValueError):
    """A policy configuration that can't be used. The text lists every mistake."""


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Levels by rule, and the limits."""

    default: Level = Level.MANDATORY
    levels: Mapping[str, Level] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    source: str = LEVELS
    """The file to change, for messages."""

    def level(self, rule: str) -> Level:
        return self.levels.get(rule, self.default)


def parse(data: object, known: Mapping[str, tuple[str, ...]], *, where: str = "policy config") -> PolicyConfig:
    """Return the configuration in `data`. `known` gives the fields of `Limits` that each rule may set.

    Raises `ConfigError` with all mistakes at once.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: must be a JSON object by rule name, got {type(data).__name__}")
    mistakes: list[str] = []
    default = Level.MANDATORY
    levels: dict[str, Level] = {}
    chosen: dict[str, object] = {}
    for rule, value in data.items():
        entry = dict(value) if isinstance(value, dict) else {"enforcementLevel": value}
        if rule != "all" and rule not in known:
            close = get_close_matches(rule, known, n=1)
            mistakes.append(f"{rule}: no such rule" + (f"; did you mean {close[0]!r}?" if close else ""))
            continue
        if "enforcementLevel" in entry:
            level = entry.pop("enforcementLevel")
            if level not in list(Level):
                mistakes.append(f"{rule}.enforcementLevel: must be one of {', '.join(Level)}, got {level!r}")
            elif rule == "all":
                default = Level(level)
            else:
                levels[rule] = Level(level)
        allowed = {alias(name) for name in known.get(rule, ())}
        for key, limit in entry.items():
            if key in allowed:
                chosen[key] = limit
            else:
                mistakes.append(f"{rule}.{key}: no such limit; it has {', '.join(sorted(allowed)) or 'none'}")
    limits = Limits()
    try:
        limits = Limits.model_validate(chosen)
    except ValidationError as error:
        mistakes += [f"{item['loc'][0]}: {item['msg']}, got {item['input']!r}" for item in error.errors()]
    if mistakes:
        raise ConfigError("\n".join(escaped(f"{where}: {mistake}") for mistake in mistakes))
    return PolicyConfig(default=default, levels=levels, limits=limits)


def own_file(stack: str) -> str:
    """Return the file for a stack's own levels and limits, as messages name it."""
    own = f"{PACK}/config/{stack}.json"
    if path_for(stack).name != f"{stack}.json":
        own += f" (a copy of {FALLBACK}.json, which holds while there is none)"
    return own


def alias(name: str) -> str:
    """Return a limit's name as it is written in a file."""
    return str(Limits.model_fields[name].alias)


def load(path: Path, known: Mapping[str, tuple[str, ...]]) -> PolicyConfig:
    """Return the configuration in a file. Raises `ConfigError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path.name}: is not JSON: {error}") from error
    return parse(data, known, where=path.name)


def pack_arguments(stack: str, root: Path) -> list[str]:
    """Return the engine's arguments for the pack in `root`, with the stack's levels and limits."""
    levels = path_for(stack, root / PACK / "config")
    return ["--policy-pack", PACK, "--policy-pack-config", str(levels)]


def path_for(stack: str, folder: Path = FOLDER) -> Path:
    """Return the file of a stack: its own, or that of `prod`."""
    own = folder / f"{stack}.json"
    return own if own.is_file() else folder / f"{FALLBACK}.json"


def schema(fields: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Return the JSON Schema properties of these limits, for the engine's config schema."""
    properties = Limits.model_json_schema()["properties"]
    return {alias(name): properties[alias(name)] for name in fields}
