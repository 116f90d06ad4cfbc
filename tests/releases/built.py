"""Values as plain data: what is at a path, and the values of a team."""

from __future__ import annotations

from releases import (
    DEFAULT_KUBERNETES,
    JSON,
    VclusterRelease,
    vcluster_values,
)

MIRROR = "mirror.example:5000/proxy"


def at(values: JSON, path: str) -> JSON:
    """The value at a dotted path; None where there is nothing."""
    for name in path.split("."):
        if not isinstance(values, dict) or name not in values:
            return None
        values = values[name]
    return values


def paths(values: JSON, prefix: str = "") -> set[str]:
    """The dotted paths of all leaves."""
    if isinstance(values, dict) and values:
        return {path for name, value in values.items() for path in paths(value, f"{prefix}{name}.")}
    return {prefix.removesuffix(".")}


def strings(values: JSON) -> set[str]:
    """Every string in the values."""
    if isinstance(values, dict):
        return {text for value in values.values() for text in strings(value)}
    if isinstance(values, list):
        return {text for value in values for text in strings(value)}
    return {values} if isinstance(values, str) else set()


def team(release: VclusterRelease, **changes: object) -> dict[str, JSON]:
    """The values of a team with KAI inside."""
    arguments: dict[str, object] = {
        "team": "ml",
        "namespace": "team-ml",
        "kubernetes_version": DEFAULT_KUBERNETES,
        "server": "https://ml.team-ml.svc",
        "virtual_scheduler": True,
        **changes,
    }
    return vcluster_values(release, **arguments)  # type: ignore[arg-type]


def since(version: str, first: str) -> bool:
    """Whether a version is this one or a later one."""
    one, other = ([int(part) for part in each.removeprefix("v").split(".")] for each in (version, first))
    return one >= other
