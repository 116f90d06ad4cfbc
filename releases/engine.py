"""The engine that the program is run by, the SDK that it is written with, and the provider of its Kubernetes objects.

SDK and provider are the pins of pyproject.toml; the engine is whatever `pulumi` is on PATH, and the default is what
docs/runs.md has a record of. Each is raised with a run there. An engine newer than the SDK is what Pulumi supports
(they agree on what both know); an SDK that is newer than its engine is not.
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
    "The provider is not the newest: of 4.34.2 neither the program nor its source could be had where the runs were\n"
    "made, and its Python package goes with it."
)
