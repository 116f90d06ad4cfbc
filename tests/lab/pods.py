"""Pods as they reach the host of a platform: ordinary ones, which must be let in, and attacks, which must not be.

Data for `test_admission.py`. A pod of a tenant looks like what vCluster's syncer makes of it (its translator, in
pkg/controllers/resources/pods): its mark, the workload account, no token, host aliases, the team's class, and either a
node that the tenant's own scheduler chose or the pool's selector.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from lightkube.resources.core_v1 import Pod

from names import SYNCED_BY

Data: TypeAlias = dict[str, Any]

TEAM: Data = {
    "resources": {"gpus": 1, "cpu": 1, "memory": "1Gi", "pods": 10},
    "queues": {"work": {"gpu": 1}},
}
VIRTUAL = {"mode": "virtual", "version": "v0.9.3", "gpuSharing": True}
PLATFORM: Data = {
    "host": {"provider": "lab", "scheduler": {"version": "v0.9.3"}},
    "gpu": {"stack": "devicePlugin"},
    "pools": {
        "a100": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 4},
        "l4": {"nodes": ["gpu-2"], "gpusPerNode": 4},
        "any": {"selector": {"kind": "gpu"}, "nodeCount": 2, "gpusPerNode": 4},
        "mps": {"nodes": ["gpu-3"], "gpusPerNode": 1, "sharing": {"mps": {"replicas": 4}}},
        "cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0},
        "spot": {"selector": {"kind": "spot"}, "nodeCount": 2, "gpusPerNode": 0},
    },
    "teams": {
        # virtual: on named nodes; restricted, which goes without shared GPUs; privileged and found by labels
        "ml": {**TEAM, "pool": "a100", "nodes": ["gpu-0"], "scheduler": VIRTUAL},
        "tight": {
            **TEAM,
            "pool": "a100",
            "nodes": ["gpu-1"],
            "scheduler": {"mode": "virtual", "version": "v0.16.8"},
            "isolation": "restricted",
        },
        "open": {**TEAM, "pool": "any", "scheduler": VIRTUAL, "isolation": "privileged"},
        "clients": {**TEAM, "pool": "mps", "scheduler": {"mode": "virtual", "version": "v0.16.8"}},
        # host
        "serving": {
            **TEAM,
            "pool": "l4",
            "scheduler": {"mode": "host", "gpuSharing": True},
            "queues": {"online": {"gpu": 1}},
        },
        "batch": {**TEAM, "pool": "l4", "scheduler": {"mode": "host"}, "queues": {"nightly": {"gpu": 1}}},
        # no KAI: in a pool of named nodes, in one that is found by labels, in none
        "web": {"pool": "cpu", "resources": {"cpu": 1, "memory": "1Gi", "pods": 10}},
        "late": {"pool": "spot", "resources": {"cpu": 1, "memory": "1Gi", "pods": 10}},
        "free": {"resources": {"cpu": 1, "memory": "1Gi", "pods": 10}},
    },
}
PLACES: dict[str, Data] = {
    "ml": {"nodeName": "gpu-0"},
    "tight": {"nodeName": "gpu-1"},
    "open": {"nodeName": "found-1"},
    "clients": {"nodeName": "gpu-3"},
    "serving": {"nodeSelector": {"gpu-tenancy/pool": "l4"}},
    "batch": {"nodeSelector": {"gpu-tenancy/pool": "l4"}},
    "web": {"nodeSelector": {"gpu-tenancy/pool": "cpu"}},
    "late": {"nodeSelector": {"kind": "spot"}},
    "free": {},
}
IMAGE = "registry.example/app:1.0"
GPU = {"limits": {"nvidia.com/gpu": "1"}}


def pod(*, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, **spec: Any) -> Pod:
    """A pod of nobody's: without the syncer's mark. `metadata`: more of it."""
    metadata = spec.pop("metadata", {})
    made = Pod.from_dict(
        {
            "metadata": {"name": "p", "labels": dict(labels or {}), "annotations": dict(annotations or {}), **metadata},
            "spec": {"containers": [container()]} | spec,
        }
    )
    assert isinstance(made, Pod)
    return made


APPARMOR = "container.apparmor.security.beta.kubernetes.io/c"


def container(**more: object) -> Data:
    return {"name": "c", "image": IMAGE} | more


def marked(team: str, *, labels: Mapping[str, str] | None = None, **more: Any) -> Pod:
    """A pod with the syncer's mark, and no more."""
    return pod(labels={SYNCED_BY: team, **(labels or {})}, **more)


def synced(team: str, *, annotations: Mapping[str, str] | None = None, **more: Any) -> Pod:
    """A pod of the team as the syncer brings it, at a place of the team's."""
    usual: Data = {
        "serviceAccountName": f"vc-workload-{team}",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["kubernetes", "kubernetes.default"]}],
        "hostname": "p",
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "5"}]},
        "priorityClassName": f"team-{team}",
        **({} if "nodeName" in more or "nodeSelector" in more else PLACES[team]),
    }
    written = {
        "vcluster.loft.sh/name": "p",
        "vcluster.loft.sh/namespace": "default",
        "vcluster.loft.sh/labels": 'app="x"',
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
        **(annotations or {}),
    }
    return marked(team, annotations=written, **(usual | more))


def asking(team: str, **more: Any) -> Pod:
    """A pod that asks for a GPU the team's own way."""
    by_kai: Data = {"runtimeClassName": "nvidia", "schedulerName": "kai-scheduler"}
    queue = {"serving": "serving-online", "batch": "batch-nightly"}.get(team, "work")
    labels = {"kai.scheduler/queue": queue, **more.pop("labels", {})}
    return synced(team, labels=labels, **(by_kai | {"containers": [container(resources=GPU)]} | more))


def ephemeral(*, annotations: Mapping[str, str] | None = None, **spec: object) -> Data:
    """A volume whose claim Kubernetes makes: its own accounts, without the syncer's mark."""
    usual = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"annotations": dict(annotations or {})}, "spec": usual | spec}
    return {"ephemeral": {"volumeClaimTemplate": template}}


# --- ordinary -------------------------------------------------------------------------------------------------------

PROBE = {"httpGet": {"path": "/health", "port": 8000}, "initialDelaySeconds": 60, "periodSeconds": 10}
SHARED_MEMORY: Data = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}
TIGHT: Data = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}

NOTEBOOK: Data = {
    "securityContext": {"fsGroup": 100, "runAsUser": 1000, "fsGroupChangePolicy": "OnRootMismatch"},
    "containers": [
        container(
            command=["start-notebook.sh"],
            ports=[{"name": "http", "containerPort": 8888}],
            env=[
                {"name": "JUPYTER_TOKEN", "valueFrom": {"secretKeyRef": {"name": "t", "key": "token"}}},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility"},
            ],
            envFrom=[{"configMapRef": {"name": "settings", "optional": True}}],
            readinessProbe={"tcpSocket": {"port": "http"}},
            lifecycle={"preStop": {"exec": {"command": ["sleep", "5"]}}},
            volumeMounts=[{"name": "home", "mountPath": "/home/jovyan"}, {"name": "shm", "mountPath": "/dev/shm"}],
            resources={"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}},
            stdin=True,
            tty=True,
            workingDir="/home/jovyan",
        )
    ],
    "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}, SHARED_MEMORY],
}
TRAINING: Data = {
    "restartPolicy": "Never",
    "activeDeadlineSeconds": 86400,
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "initContainers": [
        container(name="fetch", command=["sh", "-c", "fetch"], securityContext=TIGHT),
        container(name="log", restartPolicy="Always"),  # a native sidecar
    ],
    "containers": [
        container(
            command=["torchrun", "--nproc-per-node=1", "train.py"],
            env=[{"name": "NCCL_DEBUG", "value": "INFO"}],
            resources={
                "requests": {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "20Gi"},
                "limits": {"nvidia.com/gpu": "1", "ephemeral-storage": "100Gi"},
            },
            volumeMounts=[{"name": "shm", "mountPath": "/dev/shm"}, {"name": "scratch", "mountPath": "/scratch"}],
            terminationMessagePolicy="FallbackToLogsOnError",
        )
    ],
    "volumes": [SHARED_MEMORY, {"name": "scratch", "emptyDir": {"sizeLimit": "50Gi"}}],
}
VLLM: Data = {
    "terminationGracePeriodSeconds": 120,
    "containers": [
        container(
            args=["--model", "m", "--gpu-memory-utilization", "0.5"],
            ports=[{"containerPort": 8000}],
            livenessProbe=PROBE,
            readinessProbe=PROBE,
            startupProbe={**PROBE, "failureThreshold": 60},
            env=[{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}],
            resources=GPU,
            volumeMounts=[{"name": "cache", "mountPath": "/root/.cache"}, {"name": "shm", "mountPath": "/dev/shm"}],
            securityContext={"capabilities": {"add": ["CHOWN"], "drop": ["NET_RAW"]}, "privileged": False},
        )
    ],
    "volumes": [{"name": "cache", "emptyDir": {}}, SHARED_MEMORY],
}
COREDNS: Data = {
    "dnsPolicy": "Default",
    "dnsConfig": None,
    "containers": [
        container(
            args=["-conf", "/etc/coredns/Corefile"],
            livenessProbe={"httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"}},
            readinessProbe={"httpGet": {"path": "/ready", "port": 8181, "scheme": "HTTP"}},
            securityContext={
                "allowPrivilegeEscalation": False,
                "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "runAsGroup": 1000,
                "runAsNonRoot": True,
                "runAsUser": 1000,
            },
            volumeMounts=[{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
        )
    ],
    "volumes": [
        {
            "name": "config-volume",
            "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
        },
        {"name": "custom-config-volume", "configMap": {"name": "coredns-custom", "optional": True}},
    ],
}
PLAIN: Data = {
    # a Job's pod with completions, an account's token (as the syncer makes it and as it is), the downward API
    "restartPolicy": "OnFailure",
    "containers": [
        container(
            env=[
                {
                    "name": "JOB_COMPLETION_INDEX",
                    "valueFrom": {
                        "fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
                    },
                }
            ],
            volumeMounts=[{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        )
    ],
    "volumes": [
        {
            "name": "token",
            "projected": {
                "sources": [
                    {"secret": {"name": "p-token", "items": [{"key": "token", "path": "token"}]}},
                    {"serviceAccountToken": {"path": "t", "expirationSeconds": 3607}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
                ]
            },
        },
        {"name": "info", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "more", "secret": {"secretName": "s"}},
        {"name": "model", "image": {"reference": "registry.example/model:1"}},
    ],
    "imagePullSecrets": [{"name": "pull"}],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "x"}},
        }
    ],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}
            ]
        }
    },
}
DAEMON: Data = {
    # a DaemonSet's pod: its controller adds these
    "tolerations": [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
        for key, effect in (("not-ready", "NoExecute"), ("disk-pressure", "NoSchedule"))
    ],
    "shareProcessNamespace": True,
    "setHostnameAsFQDN": False,
    "readinessGates": [{"conditionType": "example.com/ready"}],
    "securityContext": {
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        "supplementalGroups": [5],
        "seLinuxOptions": {"level": "s0:c1,c2", "type": "container_t"},
        "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"},
        "appArmorProfile": {"type": "RuntimeDefault"},
    },
}
HEADLESS: Data = {
    # a StatefulSet's pod with a subdomain: the syncer rewrites its hosts file
    "initContainers": [
        container(
            name="vcluster-rewrite-hosts",
            command=["sh"],
            args=["-c", "sed ..."],
            securityContext={**TIGHT, "runAsUser": 12345, "runAsGroup": 12345},
            volumeMounts=[{"name": "vcluster-rewrite-hosts", "mountPath": "/hosts"}],
        )
    ],
    "containers": [
        container(
            volumeMounts=[
                {"name": "vcluster-rewrite-hosts", "mountPath": "/etc/hosts", "subPath": "hosts"},
                {"name": "data", "mountPath": "/data"},
            ]
        )
    ],
    "volumes": [
        {"name": "vcluster-rewrite-hosts", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}},
    ],
}
KAI: Data = {
    # KAI's own in a virtual cluster: certificates, a leader's lease, its chart's limits
    "containers": [
        container(
            args=["--scheduler-name=kai-scheduler"],
            ports=[{"containerPort": 9443, "name": "webhook-server", "protocol": "TCP"}],
            securityContext={**TIGHT, "runAsUser": 10000},
            resources={"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
            volumeMounts=[{"name": "cert", "mountPath": "/tmp/k8s-webhook-server/serving-certs", "readOnly": True}],
        )
    ],
    "volumes": [{"name": "cert", "secret": {"secretName": "kai-admission", "defaultMode": 420}}],
}
RESERVATION: Data = {
    "runtimeClassName": "nvidia",
    "containers": [
        container(
            env=[{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            resources={
                "requests": {"cpu": "1m", "memory": "10Mi", "nvidia.com/gpu": "1"},
                "limits": {"nvidia.com/gpu": "1"},
            },
        )
    ],
}
FRACTION: Data = {
    "schedulerName": "kai-scheduler",
    "runtimeClassName": "nvidia",
    "containers": [
        container(
            env=[
                {
                    "name": name,
                    "valueFrom": {"configMapKeyRef": {"name": "p-abc-shared-gpu-0", "key": name}},
                }
                for name in ("NVIDIA_VISIBLE_DEVICES", "RUNAI_NUM_OF_GPUS", "GPU_PORTION")
            ],
            envFrom=[{"configMapRef": {"name": "p-abc-shared-gpu-0-evar", "optional": True}}],
        )
    ],
    "volumes": [{"name": "p-abc-shared-gpu-0-vol", "configMap": {"name": "p-abc-shared-gpu-0"}}],
}
MARKS = {"annotations": {"gpu-fraction": "0.5"}, "labels": {"runai-gpu-group": "g", "kai.scheduler/queue": "work"}}

CONTROL_PLANE: Data = {
    # vCluster's chart, statefulset.yaml: no mark of the syncer's, any node, root
    "serviceAccountName": "vc-{team}",
    "priorityClassName": "team-{team}",
    "terminationGracePeriodSeconds": 15,
    "enableServiceLinks": True,
    "initContainers": [
        container(
            name="kubernetes",
            command=["cp"],
            securityContext={"runAsUser": 0, "runAsGroup": 0},
            volumeMounts=[{"name": "binaries", "mountPath": "/binaries"}],
        )
    ],
    "containers": [
        container(
            name="syncer",
            livenessProbe={"httpGet": {"path": "/healthz", "port": 8443, "scheme": "HTTPS"}},
            startupProbe={"httpGet": {"path": "/readyz", "port": 8443, "scheme": "HTTPS"}},
            securityContext={"allowPrivilegeEscalation": False, "runAsUser": 0, "runAsGroup": 0},
            env=[{"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}],
            resources={
                "limits": {"ephemeral-storage": "10Gi", "memory": "4Gi"},
                "requests": {"cpu": "100m", "ephemeral-storage": "400Mi", "memory": "256Mi"},
            },
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
        )
    ],
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-{team}-0"}},
        *({"name": name, "emptyDir": {}} for name in ("helm-cache", "binaries", "tmp", "certs")),
        {"name": "vcluster-config", "secret": {"secretName": "vc-config-{team}"}},
    ],
}


def control_plane(team: str) -> Pod:
    labels = {"app": "vcluster", "release": team, "statefulset.kubernetes.io/pod-name": f"{team}-0"}
    spec: Data = json.loads(json.dumps(CONTROL_PLANE).replace("{team}", team))
    return pod(labels=labels, nodeSelector={"kubernetes.io/os": "linux"}, **spec)


_ALL = tuple(PLACES)
_KAI_TEAMS = ("ml", "tight", "open")
ORDINARY: list[tuple[str, str, Pod]] = [
    # of every team
    *(
        (name, team, synced(team, **spec))
        for team in _ALL
        for name, spec in (("plain", PLAIN), ("daemon", DAEMON), ("headless", HEADLESS), ("coredns", COREDNS))
    ),
    *(("control plane", team, control_plane(team)) for team in _ALL),
    *(("bare", team, synced(team)) for team in _ALL),
    # by the team's KAI
    *(
        (name, team, asking(team, **spec))
        for team in ("ml", "open", "serving", "batch")
        for name, spec in (("notebook", NOTEBOOK), ("training", TRAINING), ("vllm", VLLM))
    ),
    *(("whole GPU", team, asking(team)) for team in (*_KAI_TEAMS, "serving", "batch")),
    # clients of MPS, all of one user
    ("a client of MPS", "clients", asking("clients", securityContext={"runAsUser": 65532})),
    (
        "a client of MPS by its container's word",
        "clients",
        asking(
            "clients",
            securityContext={"runAsUser": 0},
            containers=[container(resources=GPU, securityContext={"runAsUser": 65532}), container(name="proxy")],
        ),
    ),
    *((name, team, synced(team, **spec)) for team in _KAI_TEAMS for name, spec in (("kai", KAI),)),
    *(("reservation", team, synced(team, **RESERVATION, labels=MARKS["labels"])) for team in ("ml", "open")),
    *(("fraction", team, synced(team, **FRACTION, **MARKS)) for team in ("ml", "open")),
    ("fraction in two groups", "ml", synced("ml", **FRACTION, labels={"runai-gpu-group/g-2": "g"})),
    ("fraction by memory", "ml", synced("ml", **FRACTION, annotations={"gpu-memory": "2000"})),
    (
        "fraction that waits",
        "serving",
        synced(
            "serving",
            **FRACTION,
            annotations={"gpu-fraction": "0.5"},
            labels={"kai.scheduler/queue": "serving-online"},
        ),
    ),
    ("MIG slice", "ml", asking("ml", containers=[container(resources={"limits": {"nvidia.com/mig-1g.5gb": "1"}})])),
    (
        "GPU hidden",
        "ml",
        synced("ml", containers=[container(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}])]),
    ),
    (
        "no GPU",
        "ml",
        synced("ml", containers=[container(resources={"limits": {"nvidia.com/gpu": "0", "cpu": "1"}})]),
    ),
    # names that mean something on the host and nothing here
    ("host's leaf as label", "ml", asking("ml", labels={"kai.scheduler/queue": "serving-online"})),
    ("host's team as label", "ml", asking("ml", labels={"kai.scheduler/queue": "serving"})),
    ("project of a host team", "ml", synced("ml", labels={"project": "batch"})),
    ("project of a host team", "web", synced("web", labels={"project": "batch"})),
    ("project of a host team", "free", synced("free", labels={"project": "serving", "app": "x"})),
    ("project of another", "serving", synced("serving", labels={"project": "batch"})),
    # the node by selector, too, where the syncer adds it
    ("by selector", "ml", synced("ml", nodeSelector={"gpu-tenancy/team-ml": "true", "more": "x"})),
    ("by selector", "open", synced("open", nodeSelector={"kind": "gpu"})),
    ("node and its own selector", "ml", synced("ml", nodeName="gpu-0", nodeSelector={"gpu-tenancy/team-ml": "true"})),
    # what each level allows
    (
        "adds a capability",
        "ml",
        synced("ml", containers=[container(securityContext={"capabilities": {"add": ["CHOWN"]}})]),
    ),
    (
        "binds a low port",
        "tight",
        synced("tight", containers=[container(securityContext={"capabilities": {"add": ["NET_BIND_SERVICE"]}})]),
    ),
    (
        "privileged where the level is",
        "open",
        synced(
            "open",
            containers=[container(securityContext={"privileged": True})],
            hostNetwork=True,
            hostUsers=True,
            volumes=[{"name": "v", "hostPath": {"path": "/etc"}}, {"name": "n", "nfs": {"server": "s", "path": "/"}}],
        ),
    ),
    ("user namespace", "ml", synced("ml", hostUsers=False)),
    *(
        ("profile by annotation", "ml", synced("ml", annotations={APPARMOR: profile}))
        for profile in ("runtime/default", "localhost/mine")
    ),
    *(
        ("new volume", team, synced(team, volumes=[{"name": "v", **ephemeral(storageClassName=name)}]))
        for team, name in (("ml", "fast"), ("web", None))
    ),
]

# --- attacks --------------------------------------------------------------------------------------------------------


def secure(**context: object) -> Data:
    return {"containers": [container(securityContext=context)]}


def on(field: str) -> Data:
    return {field: True}


def init(**more: object) -> Data:
    return {"initContainers": [container(name="i", **more)]}


def volume(**source: object) -> Data:
    return {"volumes": [{"name": "v", **source}]}


OF_SOMEBODY: list[Data] = [
    {"volumeName": "somebodys"},
    {"selector": {"matchLabels": {"owner": "another"}}},
    {"storageClassName": ""},
    {"annotations": {"volume.beta.kubernetes.io/storage-class": ""}},
    {"dataSourceRef": {"apiGroup": "example.com", "kind": "Backup", "name": "b"}},
]
"""What a claim says that wants a volume that is there already, or data from elsewhere."""


UNKNOWN_VOLUMES: list[Data] = [
    {"nfs": {"server": "10.0.0.1", "path": "/"}},
    {"iscsi": {"targetPortal": "10.0.0.1:3260", "iqn": "iqn.2000-01.x:y", "lun": 0}},
    {"csi": {"driver": "csi.example"}},
    {"cephfs": {"monitors": ["10.0.0.1"]}},
    {"rbd": {"monitors": ["10.0.0.1"], "image": "i"}},
    {"fc": {"targetWWNs": ["w"], "lun": 0}},
    {"glusterfs": {"endpoints": "e", "path": "p"}},
    {"flexVolume": {"driver": "example/d"}},
    {"awsElasticBlockStore": {"volumeID": "v"}},
    {"gcePersistentDisk": {"pdName": "p"}},
    {"azureDisk": {"diskName": "d", "diskURI": "https://a.blob.core.windows.net/x/d.vhd"}},
    {"portworxVolume": {"volumeID": "v"}},
    {"vsphereVolume": {"volumePath": "p"}},
    {"gitRepo": {"repository": "https://git.example/r"}},
    {"emptyDir": {"medium": "HugePages"}},
    *(ephemeral(**claim) for claim in OF_SOMEBODY),
]


def env(name: str, **value: object) -> Data:
    return {"containers": [container(env=[{"name": name, **value}])]}


def resources(name: str, amount: str = "1", *, of: str = "limits") -> Data:
    return {"containers": [container(resources={of: {name: amount}})]}


ATTACKS: list[tuple[str, str, Pod]] = [
    # what a pod may reach
    ("ml", "not-privileged", synced("ml", **secure(privileged=True))),
    ("ml", "not-privileged", synced("ml", **init(securityContext={"privileged": True}))),
    ("ml", "not-privileged", pod(**secure(privileged=True), labels={"app": "vcluster", "release": "ml"})),
    ("ml", "no-host-path", synced("ml", **volume(hostPath={"path": "/etc"}))),
    *(("ml", "no-host-namespaces", synced("ml", **on(key))) for key in ("hostNetwork", "hostPID", "hostIPC")),
    ("ml", "no-added-capabilities", synced("ml", **secure(capabilities={"add": ["SYS_ADMIN"]}))),
    (
        "ml",
        "no-added-capabilities",
        synced("ml", **init(securityContext={"capabilities": {"add": ["CHOWN", "NET_ADMIN"]}})),
    ),
    ("tight", "no-added-capabilities", synced("tight", **secure(capabilities={"add": ["CHOWN"]}))),
    *(("ml", "known-volumes", synced("ml", **volume(**source))) for source in UNKNOWN_VOLUMES),
    *(
        ("ml", "known-security", synced("ml", **spec))
        for spec in (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
            {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
            {"securityContext": {"seLinuxOptions": {"user": "root"}}},
            secure(seccompProfile={"type": "Unconfined"}),
            secure(appArmorProfile={"type": "Unconfined"}),
            secure(seLinuxOptions={"role": "r"}),
            {**secure(procMount="Unmasked"), "hostUsers": False},
            init(securityContext={"windowsOptions": {"runAsUserName": "x"}}),
        )
    ),
    ("ml", "known-security", synced("ml", annotations={APPARMOR: "unconfined"})),
    ("ml", "no-host-ports", synced("ml", containers=[container(ports=[{"containerPort": 80, "hostPort": 80}])])),
    *(
        (
            "ml",
            "no-host-ports",
            synced("ml", containers=[container(**{place: {"httpGet": {"host": "169.254.169.254", "port": 80}}})]),
        )
        for place in ("livenessProbe", "readinessProbe", "startupProbe")
    ),
    (
        "ml",
        "no-host-ports",
        synced("ml", containers=[container(livenessProbe={"tcpSocket": {"host": "10.0.0.1", "port": 22}})]),
    ),
    (
        "ml",
        "no-host-ports",
        synced("ml", containers=[container(lifecycle={"postStart": {"httpGet": {"host": "10.0.0.1", "port": 80}}})]),
    ),
    # as whom
    ("ml", "own-account", synced("ml", serviceAccountName="vc-ml")),
    ("free", "own-account", synced("free", serviceAccountName="vc-free")),
    # before whom
    *(
        ("ml", "own-priority", synced("ml", priorityClassName=name))
        for name in ("system-node-critical", "system-cluster-critical", "team-serving")
    ),
    # where
    ("ml", "own-nodes", marked("ml")),
    ("ml", "own-nodes", synced("ml", nodeName="gpu-1")),
    ("ml", "own-nodes", synced("ml", nodeName="gpu-1", nodeSelector={"gpu-tenancy/team-ml": "true"})),
    ("ml", "own-nodes", synced("ml", nodeSelector={"gpu-tenancy/pool": "a100"})),
    ("ml", "own-nodes", synced("ml", nodeSelector={"gpu-tenancy/team-ml": "false"})),
    ("ml", "own-nodes", marked("ml", labels={"app": "vcluster", "release": "ml"})),
    ("open", "own-nodes", synced("open", nodeName="gpu-0")),
    ("open", "own-nodes", marked("open")),
    ("serving", "own-nodes", synced("serving", nodeName="gpu-0")),
    ("serving", "own-nodes", synced("serving", nodeName="gpu-0", nodeSelector={"gpu-tenancy/pool": "l4"})),
    ("serving", "own-nodes", marked("serving")),
    ("web", "own-nodes", synced("web", nodeName="gpu-0")),
    ("late", "own-nodes", synced("late", nodeName="gpu-0", nodeSelector={"kind": "spot"})),
    ("late", "own-nodes", marked("late")),
    ("free", "own-nodes", synced("free", nodeName="gpu-0")),
    ("free", "own-nodes", synced("free", tolerations=[{"operator": "Exists"}])),
    (
        "free",
        "own-nodes",
        synced("free", tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]),
    ),
    # by whom, and in which queue
    ("free", "own-scheduler", synced("free", schedulerName="kai-scheduler")),
    ("web", "own-scheduler", synced("web", schedulerName="another")),
    ("serving", "own-scheduler", synced("serving", schedulerName="another")),
    ("ml", "own-scheduler", synced("ml", schedulerName="kai-scheduler", nodeSelector={"gpu-tenancy/team-ml": "true"})),
    ("serving", "own-queues", asking("serving", labels={"kai.scheduler/queue": "batch-nightly"})),
    ("serving", "own-queues", asking("serving", labels={"kai.scheduler/queue": "serving"})),
    ("serving", "own-queues", synced("serving", schedulerName="kai-scheduler")),
    ("serving", "own-queues", synced("serving", schedulerName="kai-scheduler", labels={"project": "serving-online"})),
    ("serving", "gpus-through-kai", synced("serving", containers=[container(resources=GPU)])),
    ("serving", "gpus-through-kai", asking("serving", nodeName="gpu-2")),
    ("serving", "gpus-through-kai", synced("serving", annotations={"gpu-fraction": "0.5"})),
    ("serving", "no-kai-marks", asking("serving", labels={"runai-gpu-group": "g"})),
    ("serving", "no-kai-marks", asking("serving", labels={"runai-gpu-group/g": "g"})),
    # KAI would count these as less than they get
    ("serving", "no-kai-marks", asking("serving", annotations={"nvidia.com/mig-1g.5gb": "0"})),
    ("serving", "no-kai-marks", asking("serving", annotations={"kai.scheduler/skip-podgrouper": "true"})),
    *(
        ("serving", "no-kai-marks", asking("serving", containers=[container()], annotations={"gpu-fraction": fraction}))
        for fraction in ("NaN", "nan", "Inf", "0x1p-2", "", " 0.5")
    ),
    # what no quota counts: a GPU by another name, one of a list that is too short, what is no GPU
    *(
        ("ml", "counted-gpus", synced("ml", **resources(name)))
        for name in (
            "nvidia.com/rtx4090",
            "nvidia.com/gpu-of-nobody",
            "nvidia.com/mig-1g.5gb.me",
            "nvidia.com/GPU",
            "amd.com/gpu",
            "gpu.intel.com/i915",
            "example.com/gpu",
            "rdma/hca",
        )
    ),
    ("ml", "counted-gpus", synced("ml", **init(resources={"limits": {"nvidia.com/rtx4090": "1"}}))),
    (
        "ml",
        "counted-gpus",
        synced(
            "ml", containers=[container(resources={"limits": {"hugepages-2Mi": "2Mi", "memory": "1Gi", "cpu": "1"}})]
        ),
    ),
    # a device by claim
    (
        "ml",
        "no-resource-claims",
        synced("ml", resourceClaims=[{"name": "gpu", "resourceClaimName": "any"}]),
    ),
    (
        "free",
        "no-resource-claims",
        synced(
            "free",
            resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "any"}],
            containers=[container(resources={"claims": [{"name": "gpu"}]})],
        ),
    ),
    # a device by name
    *(
        ("ml", "no-devices-by-name", synced("ml", **env("NVIDIA_VISIBLE_DEVICES", value=value)))
        for value in ("all", "0", "GPU-6f2ae3d4", "$(X)", "none,0")
    ),
    ("ml", "no-devices-by-name", asking("ml", **env("NVIDIA_VISIBLE_DEVICES", value="all"))),
    (
        "ml",
        "no-devices-by-name",
        synced(
            "ml",
            **env("NVIDIA_VISIBLE_DEVICES", valueFrom={"fieldRef": {"fieldPath": "metadata.annotations['x']"}}),
            annotations={"gpu-fraction": "0.5", "x": "all"},
        ),
    ),
    (
        "ml",
        "no-devices-by-name",
        synced("ml", **env("NVIDIA_VISIBLE_DEVICES", valueFrom={"configMapKeyRef": {"name": "mine", "key": "k"}})),
    ),
    (
        "batch",
        "no-devices-by-name",
        synced("batch", **env("NVIDIA_VISIBLE_DEVICES", valueFrom={"configMapKeyRef": {"name": "mine", "key": "k"}})),
    ),
    ("web", "no-devices-by-name", synced("web", **env("NVIDIA_MIG_CONFIG_DEVICES", value="all"))),
    ("web", "no-devices-by-name", synced("web", **init(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]))),
    (
        "ml",
        "no-devices-by-name",
        synced(
            "ml",
            containers=[container(volumeMounts=[{"name": "v", "mountPath": "/var/run/nvidia-container-devices/all"}])],
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
    ),
    *(
        ("ml", "no-devices-by-name", synced("ml", annotations={key: "nvidia.com/gpu=all"}))
        for key in (
            "cdi.k8s.io/x",
            "nvidia.cdi.k8s.io/container",
            "io.kubernetes.cri-o.Devices",
            "io.katacontainers.config.hypervisor.default_vcpus",
            "k8s.v1.cni.cncf.io/networks",
            "v1.multus-cni.io/default-network",
            "devices.noderesource.dev/container.main",
            "cdi-devices.noderesource.dev/pod",
            "mounts.nri.io/container.main",
            "dev.gvisor.internal.nvproxy",
            "io.containerd.runc.v2.group",
        )
    ),
    # who may see a GPU
    *(
        ("ml", "runtime-class-for-gpus", synced("ml", runtimeClassName=name))
        for name in ("nvidia", "nvidia-cdi", "kata", "kata-nvidia-gpu")
    ),
    ("ml", "runtime-class-for-gpus", asking("ml", runtimeClassName="nvidia-cdi")),
    ("ml", "runtime-class-for-gpus", synced("ml", runtimeClassName="nvidia", **resources("nvidia.com/gpu", "0"))),
    ("ml", "runtime-class-for-gpus", synced("ml", runtimeClassName="nvidia", **resources("nvidia.com/gpu", "0e3"))),
    ("free", "runtime-class-for-gpus", synced("free", runtimeClassName="nvidia")),
    # a mark of KAI's where the team has no KAI that shares GPUs
    ("free", "runtime-class-for-gpus", synced("free", runtimeClassName="nvidia", labels={"runai-gpu-group": "g"})),
    ("free", "runtime-class-for-gpus", synced("free", runtimeClassName="nvidia", annotations={"gpu-fraction": "0.5"})),
    # clients of MPS that keep the others out: the image's user, another one, in a further container, by a namespace
    *(
        ("clients", "one-mps-user", asking("clients", **spec))
        for spec in (
            {},
            {"securityContext": {"runAsUser": 0}},
            {"securityContext": {"runAsUser": 65532, "runAsGroup": 65532}, "hostUsers": False},
            {
                "securityContext": {"runAsUser": 65532},
                "containers": [container(resources=GPU, securityContext={"runAsUser": 1000})],
            },
            {
                "securityContext": {"runAsUser": 65532},
                **init(resources=GPU, securityContext={"runAsUser": 0}),
            },
        )
    ),
    # on its way out from the start
    (
        "ml",
        "not-privileged",
        synced(
            "ml",
            **secure(privileged=True),
            metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/f"]},
        ),
    ),
]
