"""What each release of KAI, vCluster, the device plugin and the GPU Operator needs: data, not ifs.

Owns: the known versions, where their charts are, their values keys, their requests, their support ends and their traps
(`kai.py`, `vcluster.py`, `gpu_software.py`), the Helm values that follow (`charts.py`), and the page for people
(`page.py`). Pure: no Pulumi import.
Leaves to others: mirrors (`settings/artifacts.py`), which version a team asks for (`settings`), creating anything.

To raise a version:
 1. add an entry to `KAI`, `VCLUSTER`, `DEVICE_PLUGIN` or `GPU_OPERATOR` (its neighbour with `replace`); compare values
    and templates of the chart between the two tags, and read upstream's SUPPORT.md and migration guides;
 2. point the `DEFAULT_...` below it at the new entry;
 3. `python -m releases` (writes docs/versions.md), `make test`, one run on a real cluster for docs/runs.md.

Each fact names its source: `REPO@TAG:path`, a public URL, or "observed" (seen by running that version). Repositories:
KAI = github.com/kai-scheduler/KAI-Scheduler, VC = github.com/loft-sh/vcluster, VD = github.com/loft-sh/vcluster-docs,
DP = github.com/NVIDIA/k8s-device-plugin, GO = github.com/NVIDIA/gpu-operator.
"""

from __future__ import annotations

from names import JSON
from releases.ages import STALE_DAYS, ages
from releases.charts import (
    CONTROL_PLANE_PROBES,
    CONTROL_PLANE_STORAGE,
    device_plugin_values,
    gpu_operator_values,
    kai_values,
    mirrored,
    vcluster_values,
)
from releases.gpu_software import (
    CHECK_IMAGE,
    DCGM_EXPORTER,
    DEFAULT_DCGM_EXPORTER,
    DEFAULT_DEVICE_PLUGIN,
    DEFAULT_GPU_OPERATOR,
    DEVICE_PLUGIN,
    GPU_OPERATOR,
    NO_SHARING,
    NODE_LABEL_MPS_CAPABLE,
    NODE_LABEL_SHARING_CONFIG,
    SharingConfig,
    sharing_config,
)
from releases.kai import (
    CLUSTER_POLICY_CRD,
    DEFAULT_KAI,
    KAI,
    KAI_CONFIG,
    KAI_OPERATOR,
    RESERVATION_POD,
    RETRACTED_KAI,
    SCALE_ADJUSTER,
    TOPOLOGY_MIGRATION,
    same_line,
)
from releases.metrics import dcgm_exporter_values
from releases.page import markdown
from releases.shapes import (
    Footprint,
    GpuOperatorRelease,
    KaiRelease,
    Kind,
    Leftover,
    VclusterRelease,
    minor,
    total,
)
from releases.vcluster import DEFAULT_KUBERNETES, DEFAULT_VCLUSTER, SNAPSHOT_POD, VCLUSTER, fits, kubernetes_for
