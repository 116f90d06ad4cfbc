"""Reads our device plugin's settings for sharing: the files of its ConfigMap. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection

from lightkube import Client
from lightkube.resources.core_v1 import ConfigMap

from names import DEVICE_PLUGIN_NAMESPACE, GPU_OPERATOR_NAMESPACE


def plugin_configs(client: Client, our_spaces: Collection[str]) -> dict[str, str] | None:
    """Return the files by name; None where no namespace of GPU software is ours. Raises `ApiError`.

    The plugin's chart names its ConfigMap `...-configs`; ours for the GPU Operator is `gpu-sharing-...`
    (`releases/charts.py`).
    """
    ours = [space for space in (DEVICE_PLUGIN_NAMESPACE, GPU_OPERATOR_NAMESPACE) if space in our_spaces]
    if not ours:
        return None
    found: dict[str, str] = {}
    for config in (each for space in ours for each in client.list(ConfigMap, namespace=space)):
        name = (config.metadata.name if config.metadata else None) or ""
        if name.endswith("-configs") or name.startswith("gpu-sharing-"):
            found.update(config.data or {})
    return found
