"""NVIDIA's dcgm-exporter: its chart's values."""

from __future__ import annotations

from collections.abc import Mapping

from names import JSON
from releases.charts import put, put_images
from releases.gpu_software import NODE_LABEL_GPU_PRESENT
from releases.shapes import NVIDIA, DcgmExporterRelease, PullPolicy


def dcgm_exporter_values(
    release: DcgmExporterRelease,
    *,
    runtime_class: str = NVIDIA,
    monitor_labels: Mapping[str, str] | None = None,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of dcgm-exporter. `monitor_labels`: of its ServiceMonitor; None makes none."""
    values: dict[str, JSON] = {"runtimeClassName": runtime_class}
    key, present = NODE_LABEL_GPU_PRESENT
    values["nodeSelector"] = {key: present}
    values["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    put(values, "serviceMonitor.enabled", monitor_labels is not None)
    if monitor_labels:
        put(values, "serviceMonitor.additionalLabels", dict(monitor_labels))
    put_images(values, release, image_registry, pull_policy)
    return values
