"""The SDK's modules of the kinds that every team has, loaded while something else is waited for.

They take half a second to load, most of it `core.v1`. The guards wait about as long for the engine and the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Final

MODULES: Final = (
    "core.v1",
    "batch.v1",
    "helm.v3",
    "networking.v1",
    "rbac.v1",
    "admissionregistration.v1",
    "scheduling.v1",
)


@contextmanager
def loading() -> Iterator[None]:
    """Load them in a thread until the end of the block, which declares nothing: the SDK's own way of loading a module
    at its first use is not safe in two threads.
    """
    with ThreadPoolExecutor(max_workers=1) as beside:
        beside.submit(_load)
        yield


def _load() -> None:
    for module in MODULES:
        import_module(f"pulumi_kubernetes.{module}")
