"""Every release of KAI that we know: data, with the source of each fact.

Sources are `REPO@TAG:path`, a public URL, or "observed" (seen by running that version); see `releases/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Final

from releases.shapes import NVIDIA, Enforcement, KaiRelease, Kind, Leftover, Operand, Trap

_NO_ARGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})

# the organisation changed in March 2026; older releases stayed where they were (KAI@v0.9.15 and
# @v0.9.16:.github/workflows/push-artifacts.yaml)
_CHART_OLD: Final = "oci://ghcr.io/nvidia/kai-scheduler/kai-scheduler"
_IMAGES_OLD: Final = "ghcr.io/nvidia/kai-scheduler"
_CHART_NEW: Final = "oci://ghcr.io/kai-scheduler/kai-scheduler/kai-scheduler"
_IMAGES_NEW: Final = "ghcr.io/kai-scheduler/kai-scheduler"


def _small(name: str, key: str, memory_limit_mib: int = 256) -> Operand:
    """Requests for one tenant's KAI. Upstream's are for whole clusters (0.7.11: 250m for each of five pods). Measured
    when idle: 1m and 17 to 31 MiB for each (docs/runs.md). Limits leave room for bursts; we set no limit for CPU.
    """
    return Operand(name=name, cpu_millicores=5, memory_mib=48, memory_limit_mib=memory_limit_mib, key=key)


# the scheduler keeps a snapshot of all nodes and pods; measured: 2m, 43 to 46 MiB on one node
def _small_scheduler(name: str) -> Operand:
    return Operand(name=name, cpu_millicores=10, memory_mib=96, memory_limit_mib=1024, key="scheduler.resources")


# the operator's own defaults, where the chart takes no requests
# (KAI@v0.9.3:pkg/apis/kai/v1/{binder/binder,pod_grouper/pod_grouper,pod_group_controller/pod_group_controller,
# queue_controller/queue_controller,common/resources}.go; the same numbers at v0.9.8 and v0.12.23)
_BINDER: Final = Operand(name="binder", cpu_millicores=50, memory_mib=200, memory_limit_mib=200, key=None)
_POD_GROUPER: Final = Operand(name="pod-grouper", cpu_millicores=50, memory_mib=200, memory_limit_mib=200, key=None)
_GROUP_CONTROLLER: Final = Operand(
    name="podgroup-controller", cpu_millicores=20, memory_mib=100, memory_limit_mib=100, key=None
)
_QUEUE_CONTROLLER: Final = Operand(
    name="queue-controller", cpu_millicores=20, memory_mib=50, memory_limit_mib=100, key=None
)
_ADMISSION: Final = Operand(name="admission", cpu_millicores=50, memory_mib=256, memory_limit_mib=512, key=None)

CLUSTER_POLICY_CRD: Final = "clusterpolicies.nvidia.com"
"""The CRD behind `needs_cluster_policy_crd`: nvidia.com/v1, kind ClusterPolicy, cluster-scoped; any schema will do."""

RESERVATION_POD: Final = Operand(
    # upstream's own example (KAI@v0.12.23:deployments/kai-scheduler/values.yaml), with more memory for NVML
    name="gpu-reservation",
    cpu_millicores=1,
    memory_mib=10,
    memory_limit_mib=128,
    key="binder.resourceReservationPodResources",
)
"""One pod for each GPU that fractions share. Releases without a key for it use the namespace's defaults."""

SCALE_ADJUSTER: Final = Operand(
    name="node-scale-adjuster", cpu_millicores=50, memory_mib=256, memory_limit_mib=512, key=None
)
"""Only where the file switches it on; with the operator's own requests
(KAI@v0.16.8:pkg/apis/kai/v1/node_scale_adjuster/node_scale_adjuster.go, common/resources.go).
"""

TOPOLOGY_MIGRATION: Final = "topologyMigration.enabled"
"""KAI@v0.12.23:deployments/kai-scheduler/values.yaml, likewise @v0.16.8."""

KAI_OPERATOR: Final = Leftover(api_version="apps/v1", kind="Deployment", name="kai-operator", namespace="kai-scheduler")
"""Of an install that was killed: otherwise Helm deletes it."""
KAI_CONFIG: Final = Leftover(api_version="kai.scheduler/v1", kind="Config", name="kai-config")
_DEFAULT_SHARD: Final = Leftover(api_version="kai.scheduler/v1", kind="SchedulingShard", name="default")

_CRD_UPGRADER: Final = Leftover(api_version="batch/v1", kind="Job", name="crd-upgrader", namespace="kai-scheduler")
# post-delete hooks, which these charts delete only after success
_POST_DELETE: Final = (
    Leftover(api_version="batch/v1", kind="Job", name="post-delete-cleanup", namespace="kai-scheduler"),
    Leftover(api_version="v1", kind="ServiceAccount", name="post-delete-cleanup", namespace="kai-scheduler"),
    Leftover(api_version="rbac.authorization.k8s.io/v1", kind="ClusterRole", name="post-delete-cleanup"),
    Leftover(api_version="rbac.authorization.k8s.io/v1", kind="ClusterRoleBinding", name="post-delete-cleanup"),
)

# the CRDs of the charts' own crds/ and of their crd-upgrader: KAI@<version>:deployments/{,kai-scheduler/}crds
_QUEUE_GROUP: Final = "scheduling.run.ai"
_QUEUE_KINDS: Final = (
    Kind(group=_QUEUE_GROUP, plural="bindrequests", kind="BindRequest", scope="Namespaced"),
    Kind(group=_QUEUE_GROUP, plural="podgroups", kind="PodGroup", scope="Namespaced"),
    Kind(group=_QUEUE_GROUP, plural="queues", kind="Queue"),
)
_OPERATOR_KINDS: Final = (
    Kind(group="kai.scheduler", plural="configs", kind="Config"),
    Kind(group="kai.scheduler", plural="schedulingshards", kind="SchedulingShard"),
)
_TOPOLOGY: Final = Kind(group="kai.scheduler", plural="topologies", kind="Topology")

_KINDS_STAY: Final = Trap(
    id="kinds-stay",
    sentence="an uninstall leaves its CRDs, and with them the Config whose webhooks then refuse every pod",
    handling="KAI's namespace, which is ours, owns the CRDs: Kubernetes removes them with it",
    source="observed; KAI@v0.9.8:pkg/operator/operands/deployable/deployable.go (owner references)",
)
_TOPOLOGY_LEVEL: Final = Trap(
    id="topology-required-level",
    sentence="a job that requires a topology level stays Pending (`not enough resources in the cluster`) if all nodes "
    "that its team sees share a narrower level: one node, or one rack where the job requires a block",
    handling="docs/workloads.md tells users to write the level as the preferred one, too",
    source="observed (0.16.8); KAI@v0.17.0:pkg/scheduler/plugins/topology/common.go (lowestCommonDomainID)",
)
_HOOK_STAYS: Final = Trap(
    id="failed-hook-stays",
    sentence="the Job of a failed hook (crd-upgrader) stays: the next install or upgrade fails with `already exists`",
    handling="we delete these objects before every install and upgrade",
    source="KAI@v0.14.7:deployments/kai-scheduler/templates/hooks/pre/crd-upgrader.yaml (hook-succeeded alone); "
    "https://github.com/kai-scheduler/KAI-Scheduler/issues/1404",
)
_CLEANUP_HOOK_STAYS: Final = Trap(
    id="failed-cleanup-stays",
    sentence="a failed post-delete hook leaves its Job and rights: the next removal fails with `already exists`",
    handling="we delete these objects before every install and upgrade",
    source="KAI@v0.16.8:deployments/kai-scheduler/templates/hooks/post/post-delete-job.yaml (hook-succeeded alone)",
)
_MIG_AT_ZERO: Final = Trap(
    id="mig-name-at-zero",
    sentence="KAI takes a node for one with MIG if a MIG name stays there at 0, and refuses pods with whole GPUs",
    handling="preflight names the node and the resource",
    source="KAI@v0.9.8:pkg/scheduler/api/node_info/node_info.go (IsMIGEnabled); "
    "https://github.com/kai-scheduler/KAI-Scheduler/issues/1120",
)

_ORPHANED_NAMESPACE: Final = Trap(
    id="reservation-namespace-stays",
    sentence="an uninstall leaves the namespace kai-resource-reservation (resource-policy keep)",
    handling="on the host we make and delete that namespace; inside, it is removed with the virtual cluster",
    source="observed; KAI@v0.9.3:deployments/kai-scheduler/templates/services/resourcereservation-namespace.yaml",
)
_CLUSTER_POLICY: Final = Trap(
    id="cluster-policy-crd",
    sentence="KAI's operator keeps restarting without the GPU Operator's CRD clusterpolicies.nvidia.com",
    handling="we make a minimal CRD of that name first, if nobody else does",
    source="observed (0.9.3); from 0.12.0 it looks first: KAI@v0.12.23:pkg/operator/controller/config_controller.go",
)
_WAIT: Final = Trap(
    id="helm-wait",
    sentence="Helm reports success 30 to 45 s before KAI's operator has made binder, admission and queue-controller",
    handling="Queues and checks wait until the webhooks accept them; a check follows every change",
    source="observed (0.9.3)",
)
_CONFIG_AFTER_WAIT: Final = Trap(
    id="config-after-wait",
    sentence="the operator gets its Config from a post-install hook, when Helm has waited for the operator (10 to "
    "15 s); only then it makes its services, and its admission takes 10 s, too",
    handling="the program applies the hook's own text, out of Helm's record, while Helm waits. Queues and the check's "
    "pod begin when the operator calls the Config available, and not when Helm has ended (ADR 11)",
    source="KAI@v0.12.23:deployments/kai-scheduler/templates/hooks/post/kai-config-deployer; observed (0.16.8)",
)
_ACCOUNTING: Final = Trap(
    id="fractions-are-accounting",
    sentence="a GPU fraction is a number in the scheduler: a pod may use all memory of the GPU that it shares",
    handling="docs and check reports say so; `enforce: memory` limits it where KAI can, and the check tries the limit",
    source="https://github.com/kai-scheduler/KAI-Scheduler/issues/49",
)
_ROLLBACK: Final = Trap(
    id="helm-rollback",
    sentence="`helm rollback` fails and leaves the release broken, in every version",
    handling="we go back by a replacement",
    source="KAI@v0.17.0:docs/migrationguides/README.md",
)
_OFF_MAIN: Final = Trap(
    id="off-main",
    sentence="Helm refuses to upgrade 0.9.2 and 0.9.3, which were tagged on main, to 0.9.4 and later, and back",
    handling="we replace KAI at a change of line",
    source='observed (0.9.3 to 0.9.8: ServiceAccount "binder" cannot be imported into the current release)',
)
_REQUESTS_MISPLACED: Final = Trap(
    id="operand-requests-misplaced",
    sentence="the chart indents the requests of KAI's services wrongly: it renders invalid YAML, or drops them",
    handling="we set none there; the operator's own requests apply",
    source="KAI@v0.9.3:deployments/kai-scheduler/templates/kai-config.yaml (nindent 6), likewise @v0.9.8",
)
_CONFIG_STAYS: Final = Trap(
    id="config-stays",
    sentence="an uninstall leaves kai-config and its pods, because a hook made it: Helm then refuses an older chart",
    handling="we delete what is left at a change of line",
    source='observed (0.9.8 to 0.9.3: Config "kai-config" cannot be imported into the current release)',
)
_SHARD_STAYS: Final = Trap(
    id="shard-stays",
    sentence="an uninstall leaves the SchedulingShard `default`: under an older chart it starts a second scheduler",
    handling="we delete what is left at a change of line",
    source="KAI@v0.17.0:docs/migrationguides/v0.13.0/README.md; the second scheduler is inferred",
)
# the same in 0.10 to 0.12.21 and 0.13 to 0.14.5 also leaves the scheduler, which is the shard's there, with the token
# of a ServiceAccount that is gone: 401 for 48 minutes, Ready all the while. that is why those are not listed
_REMADE_OPERANDS: Final = Trap(
    id="remade-operands",
    sentence="every upgrade makes kai-config anew, and with it admission, pod-grouper and controllers",
    handling="pods whose account was deleted are made anew; Queues and checks wait for the webhooks; a check follows",
    source="https://github.com/kai-scheduler/KAI-Scheduler/issues/1536; 0.9's scheduler stays: observed (0.9.8)",
)
_EMPTY_RESERVATION_CLASS: Final = Trap(
    id="empty-reservation-runtime-class",
    sentence="without a chart value the reservation pod has no RuntimeClass: fractions then find no NVML",
    handling="we set that value",
    source="KAI@v0.9.8:deployments/kai-scheduler/templates/services/binder.yaml; KAI@v0.16.8:CHANGELOG.md (0.16.0)",
)
_FORCED_CLASS: Final = Trap(
    id="forced-pod-runtime-class",
    sentence="KAI's admission gives every GPU pod the RuntimeClass nvidia; an empty value does not switch that off",
    handling="the virtual cluster has that class",
    source="KAI@v0.9.8:deployments/kai-scheduler/templates/kai-config.yaml (default nvidia), likewise @v0.12.23",
)
_DEFAULT_QUEUE: Final = Trap(
    id="default-queue",
    sentence="the chart makes a default queue without a limit: pods that name no queue run there",
    handling="we switch that queue off",
    source="KAI@v0.12.23:deployments/kai-scheduler/templates/default-queue.yaml",
)
_CLEANUP_NAMESPACE: Final = Trap(
    id="cleanup-namespace",
    sentence="an uninstall deletes every Deployment of the namespace kai-scheduler, whatever namespace KAI was in",
    handling="the namespace kai-scheduler has KAI in it and nothing else",
    source="KAI@v0.12.23:deployments/kai-scheduler/templates/hooks/post/post-delete-job.yaml",
)

_V0_7_11: Final = KaiRelease(
    version="v0.7.11",
    released=date(2025, 7, 29),
    line="0.7",
    chart=_CHART_OLD,
    images=_IMAGES_OLD,
    support_ends=None,
    support_source="KAI@v0.17.0:SUPPORT.md does not list 0.7",
    kubernetes_max="1.34",
    kubernetes_source="observed on 1.34.4 (CPU only); built with client-go 0.32.5 (KAI@v0.7.11:go.mod)",
    operands=(
        _small_scheduler("scheduler"),
        _small("binder", "binder.resources"),
        _small("podgrouper", "podgrouper.resources"),
        _small("podgroup-controller", "podgroupcontroller.resources"),
        _small("queuecontroller", "queuecontroller.resources"),
    ),
    operator=False,
    needs_cluster_policy_crd=False,
    upgrade_remakes_operands=False,
    gpu_sharing_key="global.gpuSharing",
    gpu_sharing_words=(False, True),
    reservation_runtime_class_keys=(),
    reservation_runtime_class=None,
    reservation_resources_key=None,
    pod_runtime_class_key=None,
    cdi_key="binder.cdi",
    # it does not look at the nodes' labels: KAI@v0.7.11:cmd/binder/app/options.go
    fake_gpu_args=MappingProxyType({"binder.additionalArgs": ("--fake-gpu-nodes=true",)}),
    pull_policy_keys=(
        "binder.image.pullPolicy",
        "scheduler.image.pullPolicy",
        "podgrouper.image.pullPolicy",
        "podgroupcontroller.image.pullPolicy",
        "queuecontroller.image.pullPolicy",
        "webhookmanager.image.pullPolicy",
        "crdupgrader.image.pullPolicy",
    ),
    default_queue_key=None,
    topology_migration_key=None,
    enforcement=None,
    fractions_need_default_runtime=True,
    mig_names_count_at_zero=True,
    leftovers=(),
    hook_objects=(_CRD_UPGRADER,),
    kinds=_QUEUE_KINDS,
    restricted=False,
    traps=(
        Trap(
            id="reservation-without-runtime-class",
            sentence="the reservation pod has no RuntimeClass: fractions fail unless nvidia is the default runtime",
            handling="vCluster gives the RuntimeClass to every pod of the team",
            source="https://github.com/kai-scheduler/KAI-Scheduler/issues/349 (fixed in 0.7.12); our way: inferred",
        ),
        _HOOK_STAYS,
        _MIG_AT_ZERO,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
        _KINDS_STAY,
    ),
)

_V0_9_3: Final = KaiRelease(
    version="v0.9.3",
    released=date(2025, 9, 17),
    line="0.9.2-0.9.3",
    chart=_CHART_OLD,
    images=_IMAGES_OLD,
    support_ends=date(2026, 9, 30),
    support_source="KAI@v0.17.0:SUPPORT.md (0.9: Sep 2026)",
    kubernetes_max="1.34",
    kubernetes_source="observed on 1.34.4 (advertised GPUs, not real ones); client-go 0.32.5 (KAI@v0.9.3:go.mod)",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("scheduler"),
        _BINDER,
        _POD_GROUPER,
        _GROUP_CONTROLLER,
        _QUEUE_CONTROLLER,
        _ADMISSION,
    ),
    operator=True,
    needs_cluster_policy_crd=True,
    upgrade_remakes_operands=False,
    gpu_sharing_key="global.gpuSharing",
    gpu_sharing_words=(False, True),
    reservation_runtime_class_keys=(),
    # hard-coded: KAI@v0.9.3:pkg/binder/binding/resourcereservation/resource_reservation.go
    reservation_runtime_class=NVIDIA,
    reservation_resources_key=None,
    pod_runtime_class_key=None,
    cdi_key=None,  # KAI@v0.9.3:pkg/operator/operands/binder/resources.go
    fake_gpu_args=_NO_ARGS,
    pull_policy_keys=(
        "operator.image.pullPolicy",
        "binder.image.pullPolicy",
        "scheduler.image.pullPolicy",
        "podgroupcontroller.image.pullPolicy",
        "queuecontroller.image.pullPolicy",
        "admission.image.pullPolicy",
        "crdupgrader.image.pullPolicy",
    ),
    default_queue_key=None,
    topology_migration_key=None,
    enforcement=None,
    fractions_need_default_runtime=False,
    mig_names_count_at_zero=True,
    hook_objects=(_CRD_UPGRADER,),
    leftovers=(),  # kai-config is an object of the release here, and is deleted with it
    kinds=(*_OPERATOR_KINDS, *_QUEUE_KINDS),
    # the operator's pod takes no security context before 0.16 (KAI@v0.14.7:.../templates/services/operator.yaml)
    restricted=False,
    traps=(
        _CLUSTER_POLICY,
        _WAIT,
        _OFF_MAIN,
        _REQUESTS_MISPLACED,
        _HOOK_STAYS,
        _MIG_AT_ZERO,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
        _KINDS_STAY,
    ),
)
_V0_9_2: Final = replace(_V0_9_3, version="v0.9.2", released=date(2025, 9, 15))

_V0_9_8: Final = replace(
    _V0_9_3,
    version="v0.9.8",
    released=date(2025, 11, 14),
    # the v0.9 branch, 0.9.4 to 0.9.20: binder and scheduler are Deployments of the chart
    # (KAI@v0.9.8:pkg/operator/controller/config_controller.go)
    line="0.9.4-0.9.20",
    kubernetes_source="observed on 1.34.4; client-go 0.34.1 (KAI@v0.9.8:go.mod)",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("scheduler"),
        _small("binder", "binder.resources"),
        _POD_GROUPER,
        _GROUP_CONTROLLER,
        _QUEUE_CONTROLLER,
        _ADMISSION,
    ),
    upgrade_remakes_operands=True,
    reservation_runtime_class_keys=("global.resourceReservation.runtimeClassName",),
    reservation_runtime_class=None,
    pod_runtime_class_key="admission.gpuPodRuntimeClassName",
    cdi_key="binder.cdi",
    # its binder does not belong to the operator, so nothing looks at the nodes' labels
    fake_gpu_args=MappingProxyType({"binder.additionalArgs": ("--fake-gpu-nodes=true",)}),
    leftovers=(KAI_CONFIG,),
    traps=(
        _CLUSTER_POLICY,
        _WAIT,
        _OFF_MAIN,
        _REQUESTS_MISPLACED,
        _CONFIG_STAYS,
        _REMADE_OPERANDS,
        _EMPTY_RESERVATION_CLASS,
        _FORCED_CLASS,
        _HOOK_STAYS,
        _MIG_AT_ZERO,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
        _KINDS_STAY,
    ),
)

_HOOK_PULL_POLICY_KEYS: Final = (
    "crdupgrader.image.pullPolicy",
    "kaiConfigDeployer.image.pullPolicy",
    "topologyMigration.image.pullPolicy",
    "postCleanup.image.pullPolicy",
)

_V0_12_23: Final = replace(
    _V0_9_3,
    version="v0.12.23",
    released=date(2026, 7, 8),
    # upstream upgrades from minor to minor in place (its migration guides), but all pods stayed pending after one such
    # step (issue 1124), and none was run here. so each minor is its own line, and a replacement keeps the queues
    line="0.12",
    chart=_CHART_NEW,
    images=_IMAGES_NEW,
    support_ends=date(2026, 12, 31),
    support_source="KAI@v0.17.0:SUPPORT.md (0.12: Dec 2026)",
    kubernetes_source="client-go 0.34.3 (KAI@v0.12.23:go.mod); 0.12.17 observed to start on 1.34.4",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("kai-scheduler-default"),
        _small("binder", "binder.resources"),
        _POD_GROUPER,  # the chart has no key for it before 0.13
        _small("podgroup-controller", "podgroupcontroller.resources"),
        _small("queue-controller", "queuecontroller.resources"),
        _small("admission", "admission.resources", memory_limit_mib=512),
    ),
    needs_cluster_policy_crd=False,
    reservation_runtime_class_keys=("binder.runtimeClassName",),
    # KAI@v0.12.23:pkg/apis/kai/v1/binder/binder.go
    reservation_runtime_class=NVIDIA,
    reservation_resources_key=RESERVATION_POD.key,
    pod_runtime_class_key="admission.gpuPodRuntimeClassName",
    cdi_key="binder.cdiEnabled",
    pull_policy_keys=(
        "operator.image.pullPolicy",
        "binder.image.pullPolicy",
        "scheduler.image.pullPolicy",
        "podgroupcontroller.image.pullPolicy",
        "queuecontroller.image.pullPolicy",
        "admission.image.pullPolicy",
        *_HOOK_PULL_POLICY_KEYS,
    ),
    default_queue_key="defaultQueue.createDefaultQueue",
    topology_migration_key=TOPOLOGY_MIGRATION,
    # names at 0 are skipped: KAI@v0.12.23:pkg/scheduler/api/resource_info/resource_info.go
    mig_names_count_at_zero=False,
    leftovers=(KAI_CONFIG, _DEFAULT_SHARD),
    hook_objects=(_CRD_UPGRADER, *_POST_DELETE),
    kinds=(*_OPERATOR_KINDS, _TOPOLOGY, *_QUEUE_KINDS),
    traps=(
        _WAIT,
        _CONFIG_AFTER_WAIT,
        _CONFIG_STAYS,
        _SHARD_STAYS,
        _FORCED_CLASS,
        _DEFAULT_QUEUE,
        _CLEANUP_NAMESPACE,
        _HOOK_STAYS,
        _CLEANUP_HOOK_STAYS,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
        _KINDS_STAY,
        _TOPOLOGY_LEVEL,
    ),
)

_V0_14_7: Final = replace(
    _V0_12_23,
    version="v0.14.7",
    released=date(2026, 7, 8),
    line="0.14",
    support_ends=date(2027, 3, 31),
    support_source="KAI@v0.17.0:SUPPORT.md (0.14: Mar 2027)",
    kubernetes_max="1.35",
    kubernetes_source="KAI@v0.17.0:SUPPORT.md (1.31 to 1.35)",
    operands=(
        _small("kai-operator", "operator.resources", memory_limit_mib=512),
        _small_scheduler("kai-scheduler-default"),
        _small("binder", "binder.resources"),
        _small("pod-grouper", "podgrouper.resources"),
        _small("podgroup-controller", "podgroupcontroller.resources"),
        _small("queue-controller", "queuecontroller.resources"),
        _small("admission", "admission.resources", memory_limit_mib=512),
    ),
    pull_policy_keys=(
        *_V0_12_23.pull_policy_keys,
        "podgrouper.image.pullPolicy",
        "binder.resourceReservationImage.pullPolicy",
    ),
    # from 0.13 a hook deletes kai-config, too; it is here for when that hook did not run
    traps=(
        _WAIT,
        _CONFIG_AFTER_WAIT,
        _SHARD_STAYS,
        _DEFAULT_QUEUE,
        _CLEANUP_NAMESPACE,
        _HOOK_STAYS,
        _CLEANUP_HOOK_STAYS,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
        _KINDS_STAY,
        _TOPOLOGY_LEVEL,
    ),
)

_WHOLE_GPU_PODS: Final = Trap(
    id="whole-gpu-pods-without-class",
    sentence="admission names no RuntimeClass on whole-GPU pods: they need one where nvidia is not the default",
    handling="our pods name it; docs/tenants.md tells users to",
    source="KAI@v0.16.8:CHANGELOG.md (0.16.0)",
)
_SHARING_BY_DEFAULT: Final = Trap(
    id="sharing-by-default",
    sentence="fractions are on by default; global.gpuSharingMode replaces the deprecated global.gpuSharing",
    handling="we write global.gpuSharingMode: Disabled or NonMemoryEnforced",
    source="https://github.com/kai-scheduler/KAI-Scheduler/pull/2043; chart read on main, September 2026",
)
_DEPLOYMENTS_GROUPED: Final = Trap(
    id="deployments-grouped",
    sentence="the pods of a new Deployment are one PodGroup (minMember 1) where each pod had its own: queue, priority "
    "and preemption hold for the Deployment",
    handling="nothing of ours is a Deployment; users are told here",
    source="https://github.com/kai-scheduler/KAI-Scheduler/pull/2130, issue 2109",
)

_V0_16_8: Final = replace(
    _V0_14_7,
    version="v0.16.8",
    released=date(2026, 7, 29),
    line="0.16",
    support_ends=date(2027, 6, 30),
    support_source="KAI@v0.17.0:SUPPORT.md (0.16: Jun 2027)",
    kubernetes_max="1.36",
    kubernetes_source="KAI@v0.17.0:SUPPORT.md (1.28 to 1.36)",
    # since 0.16.0 whole-GPU pods are left alone, and the reservation pod's class is empty by default
    # (KAI@v0.16.8:CHANGELOG.md, pkg/apis/kai/v1/{admission/admission,binder/binder}.go)
    reservation_runtime_class=None,
    pod_runtime_class_key="admission.gpuFractionRuntimeClassName",
    enforcement=Enforcement(
        key="binder.plugins.hamicore.enabled",
        word=True,
        by="library",
        driver=None,
        gpu_operator=None,
        source="KAI@v0.16.8:docs/developer/binder.md, docs/gpu-sharing/hami/README.md",
    ),
    # its crd-upgrader is replaced by the next one (before-hook-creation)
    hook_objects=_POST_DELETE,
    restricted=True,
    traps=(
        _WAIT,
        _CONFIG_AFTER_WAIT,
        _SHARD_STAYS,
        _EMPTY_RESERVATION_CLASS,
        _WHOLE_GPU_PODS,
        _DEFAULT_QUEUE,
        _CLEANUP_HOOK_STAYS,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
        _KINDS_STAY,
        _TOPOLOGY_LEVEL,
    ),
)

_V0_18_6: Final = replace(
    _V0_16_8,
    version="v0.18.6",
    released=date(2026, 10, 18),
    line="0.18",
    support_ends=date(2027, 9, 30),
    support_source="an even minor is supported for a year (KAI@v0.17.0:SUPPORT.md), and 0.18.0 came on 2026-09-23",
    kubernetes_source="KAI@main (2026-08-07):SUPPORT.md (next line: 1.28 to 1.36)",
    enforcement=Enforcement(
        key="global.gpuSharingMode",
        word="NvFractions",
        by="driver",
        driver=615,
        gpu_operator="v26.7.1",
        source="https://github.com/kai-scheduler/KAI-Scheduler/issues/2191; chart read on main, September 2026",
    ),
    gpu_sharing_key="global.gpuSharingMode",
    gpu_sharing_words=("Disabled", "NonMemoryEnforced"),
    traps=(
        _WAIT,
        _CONFIG_AFTER_WAIT,
        _SHARD_STAYS,
        _EMPTY_RESERVATION_CLASS,
        _WHOLE_GPU_PODS,
        _DEFAULT_QUEUE,
        _SHARING_BY_DEFAULT,
        _DEPLOYMENTS_GROUPED,
        _CLEANUP_HOOK_STAYS,
        _ACCOUNTING,
        _ROLLBACK,
        _ORPHANED_NAMESPACE,
        _KINDS_STAY,
    ),
)

KAI: Final[Mapping[str, KaiRelease]] = MappingProxyType(
    {r.version: r for r in (_V0_7_11, _V0_9_2, _V0_9_3, _V0_9_8, _V0_12_23, _V0_14_7, _V0_16_8, _V0_18_6)}
)
"""By version, oldest first. 0.17 is missing: an odd minor is supported only until the next one. The chart of 0.18 was
read on its main branch of September 2026, between its release candidate and 0.18.6.
"""

RETRACTED_KAI: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("v0.20.0", "v0.20.1"),
        "was tagged by mistake in November 2025 and is retracted: it is older than 0.12 "
        "(KAI@v0.20 branch, pull request 701)",
    )
)
"""Tags that are not releases. A release 0.20 is in no public source that could be read here."""

DEFAULT_KAI: Final = "v0.16.8"
"""The newest supported long-term line that was run (docs/runs.md)."""


def same_line(a: KaiRelease, b: KaiRelease) -> bool:
    """Whether Helm may upgrade one to the other in place. Else: uninstall, delete the leftovers of `a`, install `b`."""
    return a.line == b.line
