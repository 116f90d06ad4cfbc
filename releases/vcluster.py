"""Every release of vCluster that we know, and the Kubernetes that it runs: data, with the source of each fact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from releases.shapes import KaiRelease, Operand, Trap, VclusterRelease

_VCLUSTER_REPO: Final = (
    "https://charts.loft.sh"  # VC@v0.29.3:.github/workflows/release.yaml publishes to no OCI registry
)

_CONTROL_PLANE: Final = Operand(
    # the chart asks for 200m and 256Mi (VC@v0.29.3:chart/values.yaml); idle it needs a fraction of the CPU
    name="vcluster",
    cpu_millicores=100,
    memory_mib=256,
    memory_limit_mib=4096,
    key="controlPlane.statefulSet.resources",
)
_COREDNS: Final = Operand(
    name="coredns",
    cpu_millicores=20,
    memory_mib=64,
    memory_limit_mib=170,
    key="controlPlane.coredns.deployment.resources",
)
_ETCD: Final = Operand(
    name="etcd",
    cpu_millicores=20,
    memory_mib=150,
    memory_limit_mib=1024,
    key="controlPlane.backingStore.etcd.deploy.statefulSet.resources",
)

_VCLUSTER_TRAPS: Final = (
    Trap(
        id="gpus-of-others-look-free",
        sentence="a virtual scheduler sees every GPU of a node as free: other tenants' are never netted out",
        handling="the collision invariant in capacity",
        source="observed; VC@v0.29.3:pkg/controllers/resources/nodes/translate.go",
    ),
    Trap(
        id="pro-image",
        sentence="the chart's own image is vcluster-pro: with a key of a paid feature and no licence it crash-loops",
        handling="vcluster_values names loft-sh/vcluster-oss",
        source="VC@v0.29.3:chart/values.yaml (controlPlane.statefulSet.image)",
    ),
    Trap(
        id="empty-dir",
        sentence="without persistence a restart of the control plane's pod loses everything inside",
        handling="persistence is on outside the lab",
        source="observed (0.29.0)",
    ),
    Trap(
        id="synced-kinds-vanish-inside",
        sentence="with fromHost sync of RuntimeClasses or PriorityClasses on, those made inside are deleted",
        handling="RuntimeClasses are made on the host; PriorityClasses are not synced beside KAI, which brings its own",
        source="VC@v0.36.1:pkg/controllers/resources/{priorityclasses,runtimeclasses}/syncer.go (SyncToHost)",
    ),
    Trap(
        id="secret-lags",
        sentence="the kubeconfig Secret comes some time after Helm is content, later on a busy host",
        handling="whatever reads it waits for it, and survives that it is missing",
        source="observed (0.29.0)",
    ),
    Trap(
        id="second-node-port",
        sentence="with proxyKubelets.byHostname a NodePort Service takes a second, random port",
        handling="vcluster_values switches proxyKubelets off",
        source="VC@v0.29.3:chart/templates/service.yaml",
    ),
)

_KNOWN_KUBERNETES: Final = ("v1.36.0", "v1.35.0", "v1.34.0", "v1.33.4", "v1.32.1", "v1.31.1", "v1.30.2")


def _vcluster(version: str, *, kubernetes: str, ends: date) -> VclusterRelease:
    return VclusterRelease(
        version=version,
        repo=_VCLUSTER_REPO,
        support_ends=ends,
        support_source="VD@HEAD (2026-08-21):static/api/lifecycle/vcluster.json (eolDate)",
        default_kubernetes=kubernetes,
        kubernetes_versions=_KNOWN_KUBERNETES[_KNOWN_KUBERNETES.index(kubernetes) :],
        kubernetes_source=f"VC@v{version}:config/default_extra_values.go, chart/values.yaml",
        backing_stores=("sqlite", "etcd"),
        operands=(_CONTROL_PLANE, _COREDNS),
        etcd=_ETCD,
        traps=_VCLUSTER_TRAPS,
    )


VCLUSTER: Final[Mapping[str, VclusterRelease]] = MappingProxyType(
    {
        r.version: r
        for r in (
            _vcluster("0.29.3", kubernetes="v1.33.4", ends=date(2026, 4, 1)),
            _vcluster("0.30.5", kubernetes="v1.34.0", ends=date(2026, 4, 28)),
            _vcluster("0.31.3", kubernetes="v1.34.0", ends=date(2026, 7, 29)),
            _vcluster("0.32.3", kubernetes="v1.35.0", ends=date(2026, 8, 18)),
            _vcluster("0.33.4", kubernetes="v1.35.0", ends=date(2026, 9, 13)),
            _vcluster("0.34.7", kubernetes="v1.35.0", ends=date(2026, 10, 29)),
            _vcluster("0.35.3", kubernetes="v1.36.0", ends=date(2026, 12, 16)),
            _vcluster("0.36.1", kubernetes="v1.36.0", ends=date(2027, 1, 22)),
        )
    }
)
"""By version, oldest first; the latest patch of each minor. Every key of `vcluster_values` is in all their charts."""

DEFAULT_VCLUSTER: Final = "0.36.1"


def minor(version: str) -> tuple[int, int]:
    major, minor, *_ = version.removeprefix("v").split(".")
    return int(major), int(minor)


def kubernetes_for(vcluster: VclusterRelease, kai: KaiRelease | None) -> str:
    """Return the Kubernetes of a virtual cluster, as a tag of vCluster's image: what its KAI was built for, where this
    vCluster knows it, else the newest below. Without a KAI it is vCluster's own default."""
    if kai is None:
        return vcluster.default_kubernetes
    if kai.kubernetes_default in vcluster.kubernetes_versions:
        return kai.kubernetes_default
    fitting = [v for v in vcluster.kubernetes_versions if minor(v) <= minor(kai.kubernetes_max)]
    return max(fitting, key=minor)


def fits(kubernetes_version: str, kai: KaiRelease) -> bool:
    """Whether a KAI was validated or seen on that Kubernetes (`v1.34.0`) or a newer one."""
    return minor(kubernetes_version) <= minor(kai.kubernetes_max)
