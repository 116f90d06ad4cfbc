"""The engine that the program is run by, and the provider of its Kubernetes objects: the pins of pyproject.toml.

Engine, SDK and provider are raised together and only with a run in docs/runs.md. An engine newer than the SDK is what
Pulumi supports (they agree on what both know); an SDK that is newer than its engine is not, so the SDK waits for the
engine that was run.
"""

from __future__ import annotations

from datetime import date
from typing import Final

DEFAULT_ENGINE: Final = "3.259.0"
ENGINE: Final = {DEFAULT_ENGINE: date(2026, 8, 19), "3.272.0": date(2026, 10, 22)}
"""With their days, the newest known last (https://github.com/pulumi/pulumi/releases). The SDK has the same."""

DEFAULT_PROVIDER: Final = "4.32.0"
PROVIDER: Final = {DEFAULT_PROVIDER: date(2026, 6, 8), "4.34.2": date(2026, 9, 21)}
"""Likewise (https://github.com/pulumi/pulumi-kubernetes/releases); the newest one's day is of its package's files."""
