"""NVIDIA's device plugin and GPU Operator: data, and their settings for sharing GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Final

from releases.shapes import DcgmExporterRelease, DevicePluginRelease, GpuOperatorRelease, Trap

_DP_0_20: Final = DevicePluginRelease(
    version="0.20.0",
    released=date(2026, 8, 19),
    repo="https://nvidia.github.io/k8s-device-plugin",
    images=MappingProxyType(
        {
            "image.repository": "nvcr.io/nvidia/k8s-device-plugin",
            "nfd.image.repository": "registry.k8s.io/nfd/node-feature-discovery",
        }
    ),
    pull_policy_keys=("image.pullPolicy", "nfd.image.pullPolicy"),
    source="DP@v0.20.0:deployments/helm/nvidia-device-plugin",
    traps=(
        Trap(
            id="affinity",
            sentence="without NFD its pods run only on nodes with nvidia.com/gpu.present=true, else nowhere, silently",
            handling="we set that label on every named GPU node",
            source="DP@v0.20.0:deployments/helm/nvidia-device-plugin/values.yaml (affinity)",
        ),
        Trap(
            id="mps-label",
            sentence="the MPS daemon runs only on nodes with nvidia.com/mps.capable=true, which only GFD writes",
            handling="we set that label on MPS nodes where GFD is off",
            source="DP@v0.20.0:internal/lm/nvml.go",
        ),
        Trap(
            id="mps-sidecar",
            sentence="a sidecar that reads another entry than before can't tell the MPS daemon, and ends; each start "
            "begins with the default entry, so it ends again and again, and Helm waits for it on several nodes",
            handling="the default is the entry of the pool with MPS, unless a pool found by labels shares nothing; a "
            "second pool with MPS keeps the trap",
            source="DP@v0.20.0:cmd/config-manager/main.go, NVIDIA/k8s-device-plugin#1827, observed",
        ),
        Trap(
            id="mps-one-user",
            sentence="MPS serves one user's processes at a time; where another user's gives up waiting, the daemon "
            "answers nobody until its pod is made anew",
            handling="the host refuses a container with a GPU of such a pool that does not run as user 65532",
            source="https://docs.nvidia.com/deploy/mps/, observed with driver 580.159.04",
        ),
        Trap(
            id="mps-clients-command",
            sentence="each client of MPS may raise the limit of the server that all share, end another client, and end "
            "the server: only the daemon's own limits and its end are root's",
            handling="not handled: no rule can hold it. The check warns of a raised limit",
            source="https://docs.nvidia.com/deploy/mps/, observed with driver 580.159.04",
        ),
        Trap(
            id="mps-waits",
            sentence="the plugin starts beside the MPS daemon, and looks for it again after 30 s: until then the node "
            "shows no GPUs",
            handling="the host's check waits for the GPUs",
            source="DP@v0.20.0:cmd/nvidia-device-plugin/main.go, observed",
        ),
        Trap(
            id="mps-compute-mode",
            sentence="the MPS daemon makes its GPUs' compute mode exclusive, and sets it back only where it ends by "
            "itself: one that is killed leaves it",
            handling="the check names a GPU for one process that pods share",
            source="DP@v0.20.0:cmd/mps-control-daemon/mps/daemon.go",
        ),
        Trap(
            id="xid-takes-one-replica",
            sentence="an Xid makes only one replica of a shared GPU unhealthy: pods still get the others",
            handling="preflight and inventory say so; fence the node",
            source="DP@v0.20.0:internal/rm/health.go (parentToDeviceMap), observed",
        ),
        Trap(
            id="starts-unshared",
            sentence="with a ConfigMap its pod starts with the default entry and reads the node's own some ten "
            "milliseconds later: until then the node shows its GPUs unshared, or none where that entry is MPS's",
            handling="not handled: a pod in that moment gets a whole GPU",
            source="DP@v0.20.0:cmd/config-manager/main.go, observed",
        ),
    ),
)

DEVICE_PLUGIN: Final[Mapping[str, DevicePluginRelease]] = MappingProxyType({r.version: r for r in (_DP_0_20,)})
DEFAULT_DEVICE_PLUGIN: Final = "0.20.0"

NODE_LABEL_GPU_PRESENT: Final = ("nvidia.com/gpu.present", "true")
"""Without NFD the device plugin's affinity needs it on every GPU node."""

NODE_LABEL_MPS_CAPABLE: Final = ("nvidia.com/mps.capable", "true")
"""Without GFD the MPS daemon's node selector needs it."""

NODE_LABEL_SHARING_CONFIG: Final = "nvidia.com/device-plugin.config"
"""Node label that names the node's entry of the plugin's configs (device plugin and GPU Operator alike)."""


_DCGM_4_8_2: Final = DcgmExporterRelease(
    version="4.8.2",
    released=date(2026, 5, 6),
    repo="https://nvidia.github.io/dcgm-exporter/helm-charts",
    images=MappingProxyType({"image.repository": "nvcr.io/nvidia/k8s/dcgm-exporter"}),
    pull_policy_keys=("image.pullPolicy",),
    source="NVIDIA/dcgm-exporter@4.5.3-4.8.2:deployment",
    traps=(
        Trap(
            id="service-monitor-default",
            sentence="its ServiceMonitor is on by default, and needs a CRD that only a Prometheus operator brings",
            handling="off unless gpu.metrics.serviceMonitor asks for it; preflight looks for the CRD",
            source="NVIDIA/dcgm-exporter@4.5.3-4.8.2:deployment/values.yaml (serviceMonitor)",
        ),
        Trap(
            id="control-plane-toleration-alone",
            sentence="it tolerates only the taint of control planes: on tainted GPU nodes no pod of it runs, silently",
            handling="we let it tolerate nvidia.com/gpu, and select nodes by nvidia.com/gpu.present",
            source="NVIDIA/dcgm-exporter@4.5.3-4.8.2:deployment/values.yaml (tolerations)",
        ),
    ),
)
DCGM_EXPORTER: Final[Mapping[str, DcgmExporterRelease]] = MappingProxyType({r.version: r for r in (_DCGM_4_8_2,)})
DEFAULT_DCGM_EXPORTER: Final = "4.8.2"


@dataclass(frozen=True, kw_only=True)
class SharingConfig:
    """How the plugin advertises the GPUs of a set of nodes. `name` is the value of NODE_LABEL_SHARING_CONFIG there."""

    name: str
    strategy: str
    """`none`, or the stack file's word of a way of sharing, which is the plugin's own but for `mig`."""
    replicas: int = 1


NO_SHARING: Final = SharingConfig(name="default", strategy="none")
"""What nodes without the label get."""


def sharing_config(config: SharingConfig) -> str:
    """Return one file of the plugin's ConfigMap as YAML (config v1)."""
    lines = ["version: v1"]
    if config.strategy == "mig":
        # the plugin advertises existing slices as nvidia.com/gpu; it cuts no GPU
        lines += ["flags:", "  migStrategy: single"]
    elif config.strategy != "none":
        lines += [
            "sharing:",
            f"  {config.strategy}:",
            # for KAI a replica with the name nvidia.com/gpu.shared is no GPU
            "    renameByDefault: false",
            # two replicas may be the same GPU: a pod that asks for two gets no more of it
            "    failRequestsGreaterThanOne: true",
            "    resources:",
            "      - name: nvidia.com/gpu",
            f"        replicas: {config.replicas}",
        ]
    return "\n".join(lines) + "\n"


_NVCR: Final = "nvcr.io/nvidia"
_NVCR_NATIVE: Final = "nvcr.io/nvidia/cloud-native"
_NVCR_K8S: Final = "nvcr.io/nvidia/k8s"

# only the parts that run with our values: no vGPU, no virtual machines
# (GO@v25.10.1:deployments/gpu-operator/values.yaml)
_OPERATOR_IMAGES: Final = {
    "validator.repository": _NVCR,
    "operator.repository": _NVCR,
    "driver.repository": _NVCR,
    "driver.manager.repository": _NVCR_NATIVE,
    "toolkit.repository": _NVCR_K8S,
    "devicePlugin.repository": _NVCR,
    "dcgm.repository": _NVCR_NATIVE,
    "dcgmExporter.repository": _NVCR_K8S,
    "gfd.repository": _NVCR,
    "migManager.repository": _NVCR_NATIVE,
    "node-feature-discovery.image.repository": "registry.k8s.io/nfd/node-feature-discovery",
}
_OPERATOR_PULL_POLICY_KEYS: Final = (
    *(
        key.replace(".repository", ".imagePullPolicy")
        for key in _OPERATOR_IMAGES
        if not key.startswith("node-feature-discovery")
    ),
    "node-feature-discovery.image.pullPolicy",
)

_OPERATOR_TRAPS: Final = (
    Trap(
        id="config-map-alone",
        sentence="a time-slicing ConfigMap does nothing until the ClusterPolicy names it; nobody watches its changes",
        handling="the ClusterPolicy names it, and its name changes with its content",
        source="https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-sharing.html",
    ),
    Trap(
        id="gpu-present-is-its-own",
        sentence="it keeps nvidia.com/gpu.present in step with NFD's labels: nobody else may set that label",
        handling="we set it only where the device plugin comes without the operator",
        source="GO@v26.7.0:controllers/nodelabeling_controller.go",
    ),
    Trap(
        id="crds-stay",
        sentence="an uninstall leaves its CRDs; the chart's cleanup Job also deletes NFD's, and can block the removal",
        handling="they are removed with its namespace; those that others may use (NFD's, resource.nvidia.com) stay",
        source="GO@v26.7.0:deployments/gpu-operator/templates/cleanup_crd.yaml (hook pre-delete)",
    ),
)
_SERVICE_MONITOR: Final = Trap(
    id="service-monitor-default",
    sentence="dcgm-exporter's ServiceMonitor is on by default, and needs a CRD that only a Prometheus operator brings",
    handling="we switch it off, unless gpu.metrics.serviceMonitor asks for it",
    source="GO@v26.7.0:deployments/gpu-operator/values.yaml (dcgmExporter.serviceMonitor)",
)

_GO_25_10_1: Final = GpuOperatorRelease(
    version="v25.10.1",
    released=date(2025, 12, 3),
    repo="https://helm.ngc.nvidia.com/nvidia",
    kubernetes=None,
    images=MappingProxyType(
        {**_OPERATOR_IMAGES, "operator.initContainer.repository": _NVCR},
    ),
    pull_policy_keys=(*_OPERATOR_PULL_POLICY_KEYS, "operator.initContainer.imagePullPolicy"),
    crds=("clusterpolicies.nvidia.com", "nvidiadrivers.nvidia.com"),
    source="GO@v25.10.1:deployments/gpu-operator",
    traps=_OPERATOR_TRAPS,
)
_GO_26_7_0: Final = replace(
    _GO_25_10_1,
    version="v26.7.0",
    released=date(2026, 8, 20),
    # https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/platform-support.html
    kubernetes="1.33 to 1.36",
    images=MappingProxyType(_OPERATOR_IMAGES),
    pull_policy_keys=_OPERATOR_PULL_POLICY_KEYS,
    crds=(
        *_GO_25_10_1.crds,
        "gpuclusters.nvidia.com",
        "computedomains.resource.nvidia.com",
        "computedomaincliques.resource.nvidia.com",
    ),
    source="GO@v26.7.0:deployments/gpu-operator",
    traps=(*_OPERATOR_TRAPS, _SERVICE_MONITOR),
)

GPU_OPERATOR: Final[Mapping[str, GpuOperatorRelease]] = MappingProxyType(
    {r.version: r for r in (_GO_25_10_1, _GO_26_7_0)}
)
"""By version, oldest first."""

DEFAULT_GPU_OPERATOR: Final = "v26.7.0"

CHECK_IMAGE: Final = "docker.io/pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"
"""Python, torch and CUDA 12.8 (Blackwell, too) for the GPU check; some 3 GB. By tag: its digest is not known here."""
