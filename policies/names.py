"""Names that the rules match on, besides those in `names`: resource tokens, Kubernetes' and KAI's own.

Every token is checked by a test against the SDK or against what the program registers, so a typing mistake here fails
the build instead of making a rule match nothing.
"""

from __future__ import annotations

from typing import Final

TEAM: Final = "gpu-tenancy:index:Team"
NODE_POOL: Final = "gpu-tenancy:index:NodePool"
GPU_SOFTWARE: Final = "gpu-tenancy:index:GpuSoftware"
VIRTUAL_CLUSTER: Final = "gpu-tenancy:index:VirtualCluster"
KAI_SCHEDULER: Final = "gpu-tenancy:index:KaiScheduler"
GPU_CHECK: Final = "gpu-tenancy:index:GpuCheck"

NAMESPACE: Final = "kubernetes:core/v1:Namespace"
RESOURCE_QUOTA: Final = "kubernetes:core/v1:ResourceQuota"
LIMIT_RANGE: Final = "kubernetes:core/v1:LimitRange"
NETWORK_POLICY: Final = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
QUEUE: Final = "kubernetes:scheduling.run.ai/v2:Queue"

POD: Final = "kubernetes:core/v1:Pod"
JOB: Final = "kubernetes:batch/v1:Job"
CRON_JOB: Final = "kubernetes:batch/v1:CronJob"
DEPLOYMENT: Final = "kubernetes:apps/v1:Deployment"
DAEMON_SET: Final = "kubernetes:apps/v1:DaemonSet"
STATEFUL_SET: Final = "kubernetes:apps/v1:StatefulSet"
WORKLOADS: Final = (POD, JOB, CRON_JOB, DEPLOYMENT, DAEMON_SET, STATEFUL_SET)

POD_SECURITY_LABEL: Final = "pod-security.kubernetes.io/enforce"
HOST_NAME_LABEL: Final = "kubernetes.io/hostname"

FRACTION_ANNOTATION: Final = "gpu-fraction"
FRACTION_DEVICES_ANNOTATION: Final = "gpu-fraction-num-devices"
"""Of how many GPUs the pod gets that fraction; KAI takes one where it is absent."""
GPU_MEMORY_ANNOTATION: Final = "gpu-memory"
"""In MiB (KAI docs/gpu-sharing)."""

GPU_PREFIXES: Final = ("nvidia.com/gpu", "nvidia.com/mig-")
"""How every GPU resource name begins: whole and renamed shared GPUs, and MIG slices."""

HOST: Final = "host"
"""What stands in the place of a team's name on the host's own checks."""
