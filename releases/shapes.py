"""The types of releases: frozen data, and what follows from one release alone.

Owns: `KaiRelease`, `VclusterRelease`, `DevicePluginRelease`, `GpuOperatorRelease` and their parts.
Leaves to others: the releases themselves (`kai.py`, `vcluster.py`, `gpu_software.py`), Helm values (`charts.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias

from names import JSON

PullPolicy: TypeAlias = Literal["Always", "IfNotPresent", "Never"]

NVIDIA: Final = "nvidia"
"""The usual name of the RuntimeClass, and of its handler."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What tenancy itself asks of the nodes: the sum of requests and the number of pods, without hooks' pods."""

    cpu_millicores: int
    memory_mib: int
    pods: int

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(
            cpu_millicores=self.cpu_millicores + other.cpu_millicores,
            memory_mib=self.memory_mib + other.memory_mib,
            pods=self.pods + other.pods,
        )


@dataclass(frozen=True, kw_only=True)
class Operand:
    """One long-running pod of a chart and its requests.

    `key`: the value path of the requests. None where the chart takes none (or renders them wrongly): then the numbers
    are the release's own requests.
    """

    name: str
    cpu_millicores: int
    memory_mib: int
    memory_limit_mib: int
    key: str | None


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """An object of a chart's hooks that stays when it should not. Cluster-scoped without a `namespace`."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind that a chart brings as a CRD."""

    group: str
    plural: str
    kind: str
    scope: Literal["Cluster", "Namespaced"] = "Cluster"

    @property
    def crd(self) -> str:
        """The name of its CRD."""
        return f"{self.plural}.{self.group}"


@dataclass(frozen=True, kw_only=True)
class Trap:
    """Something that goes wrong with a release, in one sentence, and what handles it here."""

    id: str
    sentence: str
    handling: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Enforcement:
    """How a release limits a pod to its part of a GPU's memory, and what it needs for that."""

    key: str
    """The value path that switches it on."""
    word: JSON
    """What stands there."""
    by: Literal["driver", "library"]
    """`driver`: the driver itself. `library`: HAMi's, which its resource-isolator mounts into each pod from a path of
    the node."""
    driver: int | None
    """Oldest major version of the driver; None: any."""
    gpu_operator: str | None
    """Oldest GPU Operator, with v; None: any GPU software."""
    source: str


@dataclass(frozen=True, kw_only=True)
class KaiRelease:
    """A release of the KAI scheduler. Value paths are dotted; None or empty where the release has no such knob."""

    version: str
    """With v, as chart version and image tag."""
    released: date
    line: str
    """Releases of one line may be upgraded in place by Helm; a change of line is a replacement: uninstall, delete the
    leftovers, install."""
    chart: str
    """oci URL without version."""
    images: str
    """Registry and path of its images; what `global.registry` says."""
    support_ends: date | None
    """Last day; None: upstream never promised any support."""
    support_source: str
    kubernetes_max: str
    """Newest Kubernetes minor that it was validated or seen with."""
    kubernetes_source: str
    operands: tuple[Operand, ...]
    operator: bool
    """An operator makes the other pods after Helm is done: `helm --wait` is no readiness."""
    needs_cluster_policy_crd: bool
    """Its operator hangs unless the CRD clusterpolicies.nvidia.com exists."""
    upgrade_remakes_operands: bool
    """An upgrade in place, of values alone, too, takes admission, pod-grouper and controllers away for a while."""
    gpu_sharing_key: str
    gpu_sharing_words: tuple[JSON, JSON]
    """What the key says where fractions are off, and where they are on."""
    reservation_runtime_class_keys: tuple[str, ...]
    """Where the RuntimeClass of the reservation pods goes: without it they find no NVML and fractions hang."""
    reservation_runtime_class: str | None
    """What it is when no key says it; None: the node's default runtime."""
    reservation_resources_key: str | None
    """Where the requests of the reservation pods go (one pod for each GPU that fractions share)."""
    pod_runtime_class_key: str | None
    """Where the RuntimeClass goes that admission puts on GPU pods."""
    cdi_key: str | None
    """Where it goes whether the binder names GPUs by CDI; None: it follows the GPU Operator's ClusterPolicy."""
    fake_gpu_args: Mapping[str, tuple[str, ...]]
    """Extra arguments by value path for fake GPUs; where empty the node label run.ai/fake.gpu=true does the same. Then
    the reservation pod only sleeps, and whatever fakes the GPUs must name its GPU in its annotation (not tried)."""
    pull_policy_keys: tuple[str, ...]
    default_queue_key: str | None
    """The chart's own default queue, which we switch off: ours are the only queues."""
    topology_migration_key: str | None
    """A hook before each install that copies Kueue's Topologies into KAI's. It takes 3 to 5 s, whatever there is."""
    enforcement: Enforcement | None
    """What makes a fraction's GPU memory a limit; None: nothing, it is accounting."""
    fractions_need_default_runtime: bool
    """Fractions work only where `nvidia` is the default runtime, or every pod gets the RuntimeClass on the host."""
    mig_names_count_at_zero: bool
    """Whether a MIG resource name whose amount is 0 makes a node one with MIG, where whole-GPU pods are refused."""
    leftovers: tuple[Leftover, ...]
    """Delete them between two lines: they are of use while the release is there."""
    hook_objects: tuple[Leftover, ...]
    """Delete them before every install and upgrade: a hook that failed leaves them, and its next run can't begin."""
    kinds: tuple[Kind, ...]
    """Its own. Helm never removes their CRDs, and with them stay its Queues, and the Config that owns its webhooks."""
    restricted: bool
    """Whether values can make all of its pods fit the Pod Security level `restricted`, but for reservation pods."""
    traps: tuple[Trap, ...]

    @property
    def footprint(self) -> Footprint:
        """Requests and number of its pods, without the reservation pods of shared GPUs."""
        return total(self.operands)

    @property
    def topology(self) -> bool:
        """Whether it has a Topology of its own, and places by it."""
        return any(kind.plural == "topologies" and kind.group == "kai.scheduler" for kind in self.kinds)

    @property
    def hard_coded_runtime_class(self) -> str | None:
        """The RuntimeClass of the reservation pods where no value changes it."""
        return None if self.reservation_runtime_class_keys else self.reservation_runtime_class


@dataclass(frozen=True, kw_only=True)
class VclusterRelease:
    version: str
    """Without v, as chart version."""
    released: date
    repo: str
    support_ends: date
    support_source: str
    kubernetes_versions: tuple[str, ...]
    """Tags of ghcr.io/loft-sh/kubernetes that this release names itself, one for each minor, newest first."""
    kubernetes_observed: tuple[str, ...]
    """Tags of further minors that were seen to run."""
    kubernetes_source: str
    older_kubernetes_stays_unready: bool
    """Whether pods may stay unready inside, where Kubernetes is older than 1.34 and the host's is not."""
    backing_stores: tuple[str, ...]
    operands: tuple[Operand, ...]
    etcd: Operand
    """One more pod with `backing_store="etcd"`."""
    traps: tuple[Trap, ...]

    def takes(self, kubernetes: str) -> bool:
        """Whether a Kubernetes can run inside: any patch release of a minor that this release knows. There is an image
        for each of them (https://github.com/loft-sh/kubernetes: built daily for all stable releases)."""
        return KUBERNETES.fullmatch(kubernetes) is not None and minor(kubernetes) in self.minors

    @property
    def minors(self) -> set[tuple[int, int]]:
        """The minor releases of Kubernetes that this release knows, or that ran in it."""
        return {minor(tag) for tag in (*self.kubernetes_versions, *self.kubernetes_observed)}

    def footprint(self, backing_store: str = "sqlite") -> Footprint:
        """Requests and number of its pods: control plane, CoreDNS and, where chosen, etcd."""
        return total((*self.operands, self.etcd) if backing_store == "etcd" else self.operands)


@dataclass(frozen=True, kw_only=True)
class DevicePluginRelease:
    version: str
    """Without v, as chart version."""
    released: date
    repo: str
    images: Mapping[str, str]
    """Images without tag by value path."""
    pull_policy_keys: tuple[str, ...]
    source: str
    traps: tuple[Trap, ...]


@dataclass(frozen=True, kw_only=True)
class DcgmExporterRelease(DevicePluginRelease):
    """A release of NVIDIA's dcgm-exporter. `version` is the chart's."""


@dataclass(frozen=True, kw_only=True)
class GpuOperatorRelease:
    version: str
    """With v, as chart version."""
    released: date
    repo: str
    kubernetes: str | None
    """Range that upstream validated; None: not looked up."""
    images: Mapping[str, str]
    """Registry and path of its images by value path."""
    pull_policy_keys: tuple[str, ...]
    crds: tuple[str, ...]
    """They stay after uninstalling."""
    source: str
    traps: tuple[Trap, ...]

    @property
    def own_crds(self) -> tuple[str, ...]:
        """Those that nobody else brings: NVIDIA's DRA driver brings its own group's, too."""
        return tuple(crd for crd in self.crds if not crd.endswith(".resource.nvidia.com"))


KUBERNETES: Final = re.compile(r"v1\.[0-9]{1,2}\.[0-9]{1,2}")
"""A tag of vCluster's Kubernetes image: one stable patch release."""


def minor(version: str) -> tuple[int, int]:
    """Return major and minor of a version, with or without v."""
    major, second, *_ = version.removeprefix("v").split(".")
    return int(major), int(second)


def total(operands: Sequence[Operand]) -> Footprint:
    return Footprint(
        cpu_millicores=sum(o.cpu_millicores for o in operands),
        memory_mib=sum(o.memory_mib for o in operands),
        pods=len(operands),
    )
