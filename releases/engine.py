"""The versions of Pulumi's engine, SDK and Kubernetes provider.

pyproject.toml pins SDK and provider. The engine is the `pulumi` on PATH; the default is the one that docs/runs.md
records. To raise one, run it and add the run there. Pulumi supports an engine that is newer than the SDK, but not an
SDK that is newer than its engine.
"""

from __future__ import annotations

from datetime import date
from typing import Final

DEFAULT_ENGINE: Final = "3.274.1"
ENGINE: Final = {DEFAULT_ENGINE: date(2026, 11, 5)}
"""With its day, the newest known last (https://github.com/pulumi/pulumi/releases)."""

DEFAULT_SDK: Final = "3.272.0"
SDK: Final = {DEFAULT_SDK: date(2026, 10, 22)}
"""Likewise; its package comes out for some of the engine's versions only."""

DEFAULT_PROVIDER: Final = "4.32.0"
PROVIDER: Final = {DEFAULT_PROVIDER: date(2026, 6, 8), "4.34.2": date(2026, 9, 21)}
"""Likewise (https://github.com/pulumi/pulumi-kubernetes/releases); the newest one's day is of its package's files."""

PROVIDER_WAITS: Final = (
    "The provider is not the newest: 4.34.2 could not be downloaded where the runs were made, and its Python\n"
    "package needs the same version."
)
