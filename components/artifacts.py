"""Where charts and images come from: their own registries, a mirror or a local path. Pure: no Pulumi import.

Owns: the words of `artifacts` in a stack file turned into a chart reference and an image reference.
Leaves to others: which chart version (`releases.py`), whether a path exists (preflight).
"""

from __future__ import annotations

from typing import Final

_DOCKER_HUB: Final = "docker.io"


def mirrored(reference: str, registry: str) -> str:
    """Return an image reference (or a path of images) with its registry host replaced by the mirror."""
    host, _, path = reference.partition("/")
    if path and ("." in host or ":" in host or host == "localhost"):
        return f"{registry.rstrip('/')}/{path}"
    return f"{registry.rstrip('/')}/{reference}"
