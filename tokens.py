"""Resource tokens, and names of Kubernetes and KAI that several folders use. Pure: no Pulumi import.

A test compares every token with the SDK or with what the program registers. So a typing mistake here fails the build,
instead of making a rule match nothing.
"""

from __future__ import annotations

from typing import Final

import names

OURS: Final = "gpu-tenancy:index:"
"""The prefix of the tokens of our components."""
PROJECT: Final = "gpu-tenancy"
"""The program's own project."""
KUBERNETES: Final = "kubernetes:"
"""The prefix of the tokens of Kubernetes objects; a rule of this type is about all of them."""

STACK: Final = "pulumi:pulumi:Stack"
"""The resource that every stack has, even an empty one."""

HOST_CLUSTER: Final = f"{OURS}HostCluster"
INSTALLED_HOST: Final = f"{OURS}InstalledHost"
SLURM_CLUSTER: Final = f"{OURS}SlurmCluster"
TEAM: Final = f"{OURS}Team"
TEAM_WORKLOADS: Final = f"{OURS}Workloads"
NODE_POOL: Final = f"{OURS}NodePool"
GPU_SOFTWARE: Final = f"{OURS}GpuSoftware"
VIRTUAL_CLUSTER: Final = f"{OURS}VirtualCluster"
KAI_SCHEDULER: Final = f"{OURS}KaiScheduler"
GPU_CHECK: Final = f"{OURS}GpuCheck"
SLINKY_CLUSTER: Final = f"{OURS}SlinkyCluster"
ADMISSION: Final = f"{OURS}Admission"
PROTECTION: Final = f"{OURS}Protection"

CONFIG_MAP: Final = "kubernetes:core/v1:ConfigMap"
CUSTOM_RESOURCE_DEFINITION: Final = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
INGRESS: Final = "kubernetes:networking.k8s.io/v1:Ingress"
LIMIT_RANGE: Final = "kubernetes:core/v1:LimitRange"
NAMESPACE: Final = "kubernetes:core/v1:Namespace"
NETWORK_POLICY: Final = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
NODE_PATCH: Final = "kubernetes:core/v1:NodePatch"
PRIORITY_CLASS: Final = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
QUEUE: Final = f"kubernetes:{names.QUEUE_API_VERSION}:Queue"
TOPOLOGY: Final = f"kubernetes:{names.TOPOLOGY_API_VERSION}:Topology"
VOLUME_CLAIM: Final = "kubernetes:core/v1:PersistentVolumeClaim"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
RESOURCE_QUOTA: Final = "kubernetes:core/v1:ResourceQuota"
RUNTIME_CLASS: Final = "kubernetes:node.k8s.io/v1:RuntimeClass"
SECRET: Final = "kubernetes:core/v1:Secret"
SERVICE: Final = "kubernetes:core/v1:Service"
SERVICE_ACCOUNT: Final = "kubernetes:core/v1:ServiceAccount"

COMMANDS: Final = ("command:local:Command", "command:remote:Command")
"""Scripts, on this machine and by SSH."""

ROLE: Final = "kubernetes:rbac.authorization.k8s.io/v1:Role"
CLUSTER_ROLE: Final = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
ROLE_BINDING: Final = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
CLUSTER_ROLE_BINDING: Final = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
ADMISSION_POLICY: Final = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
ADMISSION_BINDING: Final = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"

POD: Final = "kubernetes:core/v1:Pod"
POD_TEMPLATE: Final = "kubernetes:core/v1:PodTemplate"
REPLICATION_CONTROLLER: Final = "kubernetes:core/v1:ReplicationController"
JOB: Final = "kubernetes:batch/v1:Job"
CRON_JOB: Final = "kubernetes:batch/v1:CronJob"
DEPLOYMENT: Final = "kubernetes:apps/v1:Deployment"
REPLICA_SET: Final = "kubernetes:apps/v1:ReplicaSet"
DAEMON_SET: Final = "kubernetes:apps/v1:DaemonSet"
STATEFUL_SET: Final = "kubernetes:apps/v1:StatefulSet"
WORKLOADS: Final = (
    POD,
    POD_TEMPLATE,
    REPLICATION_CONTROLLER,
    JOB,
    CRON_JOB,
    DEPLOYMENT,
    REPLICA_SET,
    DAEMON_SET,
    STATEFUL_SET,
)
"""All built-in kinds of Kubernetes that make pods."""

POD_SECURITY_LABEL: Final = "pod-security.kubernetes.io/enforce"
AGGREGATION_LABEL: Final = "rbac.authorization.k8s.io/aggregate-to-"
"""A ClusterRole with such a label adds its rights to another ClusterRole (`admin`, `edit`, `view`)."""

KAI_PRIORITY_CLASSES: Final = ("train", "build-preemptible", "build", "inference")
"""The classes that KAI's chart makes (all releases); values 50 to 125."""

GPU_PREFIXES: Final = ("nvidia.com/gpu", names.MIG)
"""The prefixes of GPU resource names: whole and renamed shared GPUs, and MIG slices."""

HOST: Final = "host"
"""What the host's own checks have in place of a team's name."""
