"""A pod in Kubernetes' own terms: which fields, volumes and settings are known, and which are harmless. Pure.

Facts that the host's admission rules and the policy pack share, so that both mean the same. Sources: Kubernetes' API up
to 1.36 (core/v1), Pod Security Standards (baseline, restricted), NVIDIA's container toolkit.
"""

from __future__ import annotations

from typing import Final

BASELINE_CAPABILITIES: Final = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
"""Capabilities that a container has by default, so adding them adds nothing (Pod Security Standards, baseline)."""
RESTRICTED_CAPABILITIES: Final = ("NET_BIND_SERVICE",)

JUDGED: Final = (
    # debug containers and resizes come by their own subresources
    ("", ("pods", "pods/ephemeralcontainers", "pods/resize", "pods/binding", "persistentvolumeclaims", "services")),
    ("resource.k8s.io", ("resourceclaims", "resourceclaimtemplates")),
)
"""The resources that a tenant's admission policy judges, by API group."""
POD_FIELDS: Final = (
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers", "dnsConfig", "dnsPolicy",
    "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostUsers",
    "hostname", "hostnameOverride", "imagePullSecrets", "initContainers", "nodeName", "nodeSelector", "os", "overhead",
    "preemptionPolicy", "priority", "priorityClassName", "readinessGates", "resourceClaims", "resources",
    "restartPolicy", "runtimeClassName", "schedulerName", "schedulingGates", "securityContext", "serviceAccount",
    "serviceAccountName", "setHostnameAsFQDN", "shareProcessNamespace", "subdomain", "terminationGracePeriodSeconds",
    "tolerations", "topologySpreadConstraints", "volumes",
)  # fmt: skip
"""Fields of a pod's spec up to Kubernetes 1.36 that these rules judge, or that affect only the pod."""
CONTAINER_FIELDS: Final = (
    "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name", "ports",
    "readinessProbe", "resizePolicy", "resources", "restartPolicy", "restartPolicyRules", "securityContext",
    "startupProbe", "stdin", "stdinOnce", "targetContainerName", "terminationMessagePath", "terminationMessagePolicy",
    "tty", "volumeDevices", "volumeMounts", "workingDir",
)  # fmt: skip
POD_SECURITY_FIELDS: Final = (
    "appArmorProfile", "fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser",
    "seLinuxChangePolicy", "seLinuxOptions", "seccompProfile", "supplementalGroups", "supplementalGroupsPolicy",
    "sysctls",
)  # fmt: skip
CONTAINER_SECURITY_FIELDS: Final = (
    "allowPrivilegeEscalation", "appArmorProfile", "capabilities", "privileged", "procMount",
    "readOnlyRootFilesystem", "runAsGroup", "runAsNonRoot", "runAsUser", "seLinuxOptions", "seccompProfile",
)  # fmt: skip
"""`windowsOptions` is in neither list: its `hostProcess` gives access to the node."""
SELINUX_TYPES: Final = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
SYSCTLS: Final = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
)  # fmt: skip
"""Safe sysctls, which affect only the pod (Pod Security Standards, baseline; likewise SELinux types and profiles)."""
PROFILES: Final = ("RuntimeDefault", "Localhost")
APPARMOR_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/"
"""The older annotation for a container's profile, followed by `/` and the container's name. A kubelet uses it where no
field is set.
"""
APPARMOR_PROFILES: Final = r"runtime/default|localhost/.*"

VOLUMES: Final = (
    "configMap",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
"""Kinds of volumes whose content is the pod's own, or an object of its namespace that counts there."""
PROJECTIONS: Final = ("configMap", "downwardAPI", "secret", "serviceAccountToken")

RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")
"""What a container may ask for besides GPUs. No quota counts anything else (hugepages, devices of other plugins)."""

DEVICE_VARIABLES: Final = (
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_MIG_CONFIG_DEVICES",
    "NVIDIA_MIG_MONITOR_DEVICES",
    "NVIDIA_IMEX_CHANNELS",
)
"""Variables that make NVIDIA's runtime give devices by name, without kubelet and quota (container toolkit, docker
images).
"""
NO_DEVICES: Final = ("", "none", "void")
DEVICE_MOUNTS: Final = "nvidia-container-devices"
"""A mount below /var/run/nvidia-container-devices names a device, too (container toolkit, volume-mounts)."""
RUNTIME_ANNOTATIONS: Final = (
    r"(^|\.)cdi\.k8s\.io/"  # containerd, CRI-O and NVIDIA's runtime inject the device that it names
    r"|^io\.kubernetes\.cri-o\."  # CRI-O: devices, user namespaces, mounts
    r"|^io\.katacontainers\.|^dev\.gvisor\."  # kata, gVisor: settings of the hypervisor and of the sandbox
    r"|^io\.containerd\."  # containerd: what it passes to runtimes and snapshotters
    r"|(^|\.)(noderesource\.dev|nri\.io|nri\.containerd\.io)/"  # NRI plugins: devices, mounts, limits
    r"|^(k8s\.)?v1(\.multus-cni\.io|\.cni\.cncf\.io)/"  # a second network interface, past every NetworkPolicy
)
"""Annotations that a container runtime or a network plugin of the node obeys."""
