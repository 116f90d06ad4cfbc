"""NVIDIA's dcgm-exporter: what its chart is told."""

from __future__ import annotations

from collections.abc import Mapping

from names import JSON
from releases.charts import mirrored, put
from releases.gpu_software import NODE_LABEL_GPU_PRESENT
from releases.shapes import NVIDIA, DcgmExporterRelease, PullPolicy


def dcgm_exporter_values(
    release: DcgmExporterRelease,
    *,
    runtime_class: str | None = NVIDIA,
    monitor_labels: Mapping[str, str] | None = None,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of dcgm-exporter. `monitor_labels`: of its ServiceMonitor; None makes none."""
    values: dict[str, JSON] = {}
    if runtime_class is not None:
        values["runtimeClassName"] = runtime_class
    key, present = NODE_LABEL_GPU_PRESENT
    values["nodeSelector"] = {key: present}
    values["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    put(values, "serviceMonitor.enabled", monitor_labels is not None)
    if monitor_labels:
        put(values, "serviceMonitor.additionalLabels", dict(monitor_labels))
    if image_registry is not None:
        for key, images in release.images.items():
            put(values, key, mirrored(images, image_registry))
    if pull_policy is not None:
        for key in release.pull_policy_keys:
            put(values, key, pull_policy)
    return values
