"""Every release of vCluster that we know, and the Kubernetes that it runs: data, with the source of each fact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from releases.shapes import KaiRelease, Operand, Trap, VclusterRelease, minor

_VCLUSTER_REPO: Final = (
    "https://charts.loft.sh"  # VC@v0.29.3:.github/workflows/release.yaml publishes to no OCI registry
)

_CONTROL_PLANE: Final = Operand(
    # the chart asks for 200m and 256Mi (VC@v0.29.3:chart/values.yaml); measured with KAI inside and nothing to do: 45m
    # to 53m, 541 to 587 MiB (docs/runs.md). Who uses more memory than it asked for is evicted first
    name="vcluster",
    cpu_millicores=60,
    memory_mib=640,
    memory_limit_mib=4096,
    key="controlPlane.statefulSet.resources",
)
_COREDNS: Final = Operand(
    name="coredns",
    # measured: 1m, 11 MiB
    cpu_millicores=5,
    memory_mib=32,
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

SNAPSHOT_POD: Final = Operand(
    # it streams the store through a pipe
    name="vcluster-snapshot",
    cpu_millicores=50,
    memory_mib=64,
    memory_limit_mib=0,
    key=None,
)
"""Room for one in the bounds of a team that keeps snapshots. Without a limit of its own."""

_VCLUSTER_TRAPS: Final = (
    Trap(
        id="gpus-of-others-look-free",
        sentence="a scheduler in a virtual cluster sees every GPU of a node as free, also those that other tenants use",
        handling="the collision guard: limits must add up to at most the node's GPUs",
        source="observed; VC@v0.29.3:pkg/controllers/resources/nodes/translate.go",
    ),
    Trap(
        id="pro-image",
        sentence="the chart's own image is vcluster-pro: with a paid feature and no licence it keeps crashing",
        handling="we set the image loft-sh/vcluster-oss",
        source="VC@v0.29.3:chart/values.yaml (controlPlane.statefulSet.image)",
    ),
    Trap(
        id="empty-dir",
        sentence="without persistence a restart of the control plane's pod loses everything inside",
        handling="persistence is on by default",
        source="observed (0.29.0)",
    ),
    Trap(
        id="synced-kinds-vanish-inside",
        sentence="if RuntimeClasses or PriorityClasses are synced from the host, those made inside are deleted",
        handling="RuntimeClasses are made on the host; PriorityClasses are not synced beside KAI, which brings its own",
        source="VC@v0.36.1:pkg/controllers/resources/{priorityclasses,runtimeclasses}/syncer.go (SyncToHost)",
    ),
    Trap(
        id="runs-as-root",
        sentence="the chart's control plane runs as root: the Pod Security level restricted refuses it",
        handling="with `isolation: restricted` it runs as another user",
        source="VC@v0.36.1:chart/values.yaml (controlPlane.statefulSet.security)",
    ),
    Trap(
        id="port-lags",
        sentence="a NodePort answers only a moment after its pod is ready: the first objects inside fail",
        handling="nothing is sent to a tenant's API before it answers at the address that we use",
        source="observed (0.36.1)",
    ),
    Trap(
        id="secret-lags",
        sentence="the kubeconfig Secret comes some time after Helm reports success, later on a busy host",
        handling="all that read it wait for it",
        source="observed (0.29.0)",
    ),
    Trap(
        id="second-node-port",
        sentence="with proxyKubelets.byHostname a NodePort Service takes a second, random port",
        handling="we switch proxyKubelets off",
        source="VC@v0.29.3:chart/templates/service.yaml",
    ),
)

_STAYS_UNREADY: Final = Trap(
    id="older-kubernetes-stays-unready",
    sentence="with Kubernetes 1.33 or older inside and 1.34 or newer on the host, pods may never be shown as ready",
    handling="preflight says so; the default inside is 1.34",
    source="https://github.com/loft-sh/vcluster/pull/4037 (fixed in 0.35.3 and 0.36.1)",
)

_KNOWN_KUBERNETES: Final = ("v1.36.0", "v1.35.0", "v1.34.0", "v1.33.4", "v1.32.1", "v1.31.1", "v1.30.2")

DEFAULT_KUBERNETES: Final = "v1.34.4"
"""What runs inside a virtual cluster unless the stack file says otherwise: what docs/runs.md ran, with every release of
vCluster and KAI there. A newer one that vCluster knows can be written; it becomes the default when it was run. Released
2026-02-10; upstream ended 1.34 on 2026-10-27 (https://kubernetes.io/releases/1.34)."""

DEFAULT_KUBERNETES_RELEASED: Final = date(2026, 2, 10)


def _vcluster(
    version: str,
    *,
    released: date,
    kubernetes: str,
    ends: date,
    ends_source: str = "VD@HEAD (2026-08-21):static/api/lifecycle/vcluster.json (eolDate)",
    read_at: str | None = None,
    observed: tuple[str, ...] = (),
    stays_unready: bool = False,
) -> VclusterRelease:
    """`read_at`: the tag whose chart was read, where it is not the release's own."""
    return VclusterRelease(
        version=version,
        released=released,
        repo=_VCLUSTER_REPO,
        support_ends=ends,
        support_source=ends_source,
        kubernetes_versions=_KNOWN_KUBERNETES[_KNOWN_KUBERNETES.index(kubernetes) :],
        kubernetes_observed=observed,
        kubernetes_source=f"VC@v{read_at or version}:config/default_extra_values.go, chart/values.yaml",
        older_kubernetes_stays_unready=stays_unready,
        backing_stores=("sqlite", "etcd"),
        operands=(_CONTROL_PLANE, _COREDNS),
        etcd=_ETCD,
        traps=(*_VCLUSTER_TRAPS, *([_STAYS_UNREADY] if stays_unready else [])),
    )


# dates of release: the tags of VC
VCLUSTER: Final[Mapping[str, VclusterRelease]] = MappingProxyType(
    {
        r.version: r
        for r in (
            _vcluster(
                "0.29.3",
                released=date(2025, 12, 17),
                kubernetes="v1.33.4",
                ends=date(2026, 4, 1),
                observed=("v1.34.4",),  # docs/runs.md
                stays_unready=True,
            ),
            _vcluster(
                "0.30.5",
                released=date(2026, 4, 7),
                kubernetes="v1.34.0",
                ends=date(2026, 4, 28),
                stays_unready=True,
            ),
            _vcluster(
                "0.31.3",
                released=date(2026, 4, 20),
                kubernetes="v1.34.0",
                ends=date(2026, 7, 29),
                stays_unready=True,
            ),
            _vcluster(
                "0.32.3",
                released=date(2026, 5, 29),
                kubernetes="v1.35.0",
                ends=date(2026, 8, 18),
                stays_unready=True,
            ),
            _vcluster(
                "0.33.4",
                released=date(2026, 6, 18),
                kubernetes="v1.35.0",
                ends=date(2026, 9, 13),
                stays_unready=True,
            ),
            _vcluster(
                "0.34.7",
                released=date(2026, 7, 30),
                kubernetes="v1.35.0",
                ends=date(2026, 10, 29),
                stays_unready=True,
            ),
            _vcluster("0.35.3", released=date(2026, 8, 7), kubernetes="v1.36.0", ends=date(2026, 12, 16)),
            _vcluster("0.36.1", released=date(2026, 7, 29), kubernetes="v1.36.0", ends=date(2027, 1, 22)),
            _vcluster(
                "0.37.1",
                released=date(2026, 9, 19),
                kubernetes="v1.36.0",
                # a minor ends six months after its first release, as those above do
                ends=date(2027, 3, 8),
                ends_source="six months after 0.37.0 (2026-09-08); the vendor's own date was not seen",
                read_at="0.37.0-rc.1",
            ),
        )
    }
)
"""By version, oldest first; the latest known patch of each minor. Every key of `vcluster_values` is in all their
charts. The chart of 0.37 was read at its release candidate; 0.38 is in no public source that could be read here."""

DEFAULT_VCLUSTER: Final = "0.36.1"
"""The newest that was run (docs/runs.md)."""


def kubernetes_for(vcluster: VclusterRelease, kai: KaiRelease | None) -> str:
    """Return the Kubernetes of a virtual cluster, as a tag of vCluster's image: the one that our runs used, where this
    vCluster and its KAI go with it, else the newest below that this vCluster names."""
    if vcluster.takes(DEFAULT_KUBERNETES) and (kai is None or fits(DEFAULT_KUBERNETES, kai)):
        return DEFAULT_KUBERNETES
    named = [v for v in vcluster.kubernetes_versions if minor(v) < minor(DEFAULT_KUBERNETES)]
    return max((v for v in named if kai is None or fits(v, kai)), key=minor)


def fits(kubernetes_version: str, kai: KaiRelease) -> bool:
    """Whether a KAI was validated or seen on that Kubernetes (`v1.34.0`) or a newer one."""
    return minor(kubernetes_version) <= minor(kai.kubernetes_max)
