"""A tenant's admission rules on a real API server: what is refused, with which words, and what is let through."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.config.models import User
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.models.rbac_v1 import PolicyRule, RoleRef, Subject
from lightkube.resources.admissionregistration_v1 import ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding
from lightkube.resources.core_v1 import Namespace, Pod, PodEphemeralcontainers, ServiceAccount, ServiceAccountToken
from lightkube.resources.node_v1 import RuntimeClass
from lightkube.resources.rbac_authorization_v1 import Role, RoleBinding
from lightkube.types import PatchType

from components.team.admission import SYNCED_LABEL, binding_spec, others, policy_name, policy_spec, rules
from components.team.tenant import Tenant, resolve
from lab.binaries import Binaries
from lab.clusters import Clusters
from settings.load import parse_platform

pytestmark = pytest.mark.lab

SYNC_SECONDS = 30.0
"""How long a new policy may take to be enforced; it is a few seconds."""

TEAM: dict[str, Any] = {
    "resources": {"gpus": 1, "cpu": 1, "memory": "1Gi", "pods": 10},
    "queues": {"work": {"gpu": 1}},
}
VIRTUAL = {"mode": "virtual", "version": "v0.9.3", "gpuSharing": True}
PLATFORM: dict[str, Any] = {
    "host": {"provider": "lab", "scheduler": {"version": "v0.9.3"}},
    "gpu": {"stack": "devicePlugin"},
    "pools": {
        "a100": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 4},
        "l4": {"nodes": ["gpu-2"], "gpusPerNode": 4},
        "any": {"selector": {"kind": "gpu"}, "nodeCount": 2, "gpusPerNode": 4},
        "cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0},
    },
    "teams": {
        "ml": {**TEAM, "pool": "a100", "nodes": ["gpu-0"], "scheduler": VIRTUAL},
        "tight": {**TEAM, "pool": "a100", "nodes": ["gpu-1"], "scheduler": VIRTUAL, "isolation": "restricted"},
        "open": {**TEAM, "pool": "any", "scheduler": VIRTUAL, "isolation": "privileged"},
        "serving": {
            **TEAM,
            "pool": "l4",
            "scheduler": {"mode": "host", "gpuSharing": True},
            "queues": {"online": {"gpu": 1}},
        },
        "batch": {**TEAM, "pool": "l4", "scheduler": {"mode": "host"}, "queues": {"nightly": {"gpu": 1}}},
        "web": {"pool": "cpu", "resources": {"cpu": 1, "memory": "1Gi", "pods": 10}},
        "free": {"resources": {"cpu": 1, "memory": "1Gi", "pods": 10}},
    },
}
IMAGE = "registry.example/app:1.0"
GPU = {"limits": {"nvidia.com/gpu": "1"}}


@dataclass(frozen=True, kw_only=True)
class Host:
    """The host's API server, with clients that ask as an administrator and as each tenant's syncer."""

    admin: Client
    syncers: Mapping[str, Client]

    def refusal(self, team: str, pod: Pod, *, syncer: bool = False) -> str | None:
        """Ask for a pod without making one; return what the server says, or None when it would take it."""
        client = self.syncers[team] if syncer else self.admin
        try:
            client.create(deepcopy(pod), namespace=f"team-{team}", dry_run=True)
        except ApiError as error:
            return str(error.status.message)
        return None


def tenants() -> dict[str, Tenant]:
    return resolve(parse_platform(PLATFORM, "test"))


def install(admin: Client, tenant: Tenant) -> None:
    found = rules(tenant, others(tenants(), tenant.name), "nvidia")
    metadata = {"name": policy_name(tenant.name)}
    policy = ValidatingAdmissionPolicy.from_dict({"metadata": metadata, "spec": policy_spec(tenant, found)})
    binding = ValidatingAdmissionPolicyBinding.from_dict({"metadata": metadata, "spec": binding_spec(tenant)})
    assert isinstance(policy, ValidatingAdmissionPolicy)
    assert isinstance(binding, ValidatingAdmissionPolicyBinding)
    admin.create(policy)
    admin.create(binding)


def syncer(admin: Client, server: Path, team: str) -> Client:
    """A client with the rights that a vCluster's own account has over pods."""
    namespace, account = f"team-{team}", f"vc-{team}"
    metadata = ObjectMeta(name=account, namespace=namespace)
    admin.create(ServiceAccount(metadata=metadata))
    everything = PolicyRule(apiGroups=[""], resources=["pods", "pods/ephemeralcontainers"], verbs=["*"])
    admin.create(Role(metadata=metadata, rules=[everything]))
    admin.create(
        RoleBinding(
            metadata=metadata,
            roleRef=RoleRef(apiGroup="rbac.authorization.k8s.io", kind="Role", name=account),
            subjects=[Subject(kind="ServiceAccount", name=account, namespace=namespace)],
        )
    )
    answer = admin.create(
        ServiceAccountToken(metadata=ObjectMeta(), spec=TokenRequestSpec(audiences=[])), account, namespace=namespace
    )
    assert answer.status is not None
    known = KubeConfig.from_file(server).get()
    assert known is not None
    return Client(config=KubeConfig.from_one(cluster=known.cluster, user=User(token=answer.status.token)))


def wait_until_enforced(host: Host, team: str) -> None:
    """A policy is enforced some time after it was created. Every team's refuses one of these."""
    queue = {"kai.scheduler/queue": "nobody" if team in ("serving", "batch") else "serving-online"}
    end = time.monotonic() + SYNC_SECONDS
    while "gpu-tenancy rule" not in (host.refusal(team, pod(labels={SYNCED_LABEL: team, **queue})) or ""):
        said = host.refusal(team, pod(labels={SYNCED_LABEL: team, **queue}))
        assert time.monotonic() < end, f"the policy of team {team} is not enforced after {SYNC_SECONDS:.0f} s: {said}"
        time.sleep(0.3)


def pod(*, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, **spec: Any) -> Pod:
    made = Pod.from_dict(
        {
            "metadata": {"name": "p", "labels": dict(labels or {}), "annotations": dict(annotations or {})},
            "spec": {"containers": [container()]} | spec,
        }
    )
    assert isinstance(made, Pod)
    return made


def container(**more: object) -> dict[str, object]:
    return {"name": "c", "image": IMAGE} | more


def synced(team: str, *, labels: Mapping[str, str] | None = None, **more: Any) -> Pod:
    """A pod as the team's syncer would bring it."""
    return pod(labels={SYNCED_LABEL: team, **(labels or {})}, **more)


@pytest.fixture(scope="module")
def host(programs: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    clusters = Clusters(tmp_path_factory.mktemp("admission"), lambda: programs)
    try:
        kubeconfig = clusters.ensure("host").kubeconfig
        admin = clusters.client("host")
        for runtime_class in ("nvidia", "nvidia-cdi", "kata"):
            admin.create(RuntimeClass(metadata=ObjectMeta(name=runtime_class), handler=runtime_class))
        syncers = {}
        for tenant in tenants().values():
            admin.create(Namespace(metadata=ObjectMeta(name=tenant.namespace)))
            install(admin, tenant)
            syncers[tenant.name] = syncer(admin, kubeconfig, tenant.name)
        found = Host(admin=admin, syncers=syncers)
        for tenant in tenants().values():
            wait_until_enforced(found, tenant.name)
        yield found
    finally:
        clusters.stop_all()


ON: dict[str, Any] = {"nodeName": "gpu-0"}
SECURE: dict[str, Any] = {"securityContext": {"privileged": True}}
ADDS: dict[str, Any] = {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}
CHOWN: dict[str, Any] = {"securityContext": {"capabilities": {"add": ["CHOWN"]}}}
BIND: dict[str, Any] = {"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}}

REFUSED = [
    # what a pod may reach
    ("ml", "not-privileged", synced("ml", **ON, containers=[container(**SECURE)])),
    ("ml", "not-privileged", synced("ml", **ON, initContainers=[container(**SECURE) | {"name": "i"}])),
    ("ml", "no-host-path", synced("ml", **ON, volumes=[{"name": "v", "hostPath": {"path": "/etc"}}])),
    ("ml", "no-host-namespaces", synced("ml", **ON, hostNetwork=True)),
    ("ml", "no-host-namespaces", synced("ml", **ON, hostPID=True)),
    ("ml", "no-host-namespaces", synced("ml", **ON, hostIPC=True)),
    ("ml", "no-added-capabilities", synced("ml", **ON, containers=[container(**ADDS)])),
    ("ml", "no-added-capabilities", synced("ml", **ON, initContainers=[container(**ADDS) | {"name": "i"}])),
    ("tight", "no-added-capabilities", synced("tight", nodeName="gpu-1", containers=[container(**CHOWN)])),
    # the control plane's own pods are held to the same
    ("ml", "not-privileged", pod(containers=[container(**SECURE)], labels={"app": "vcluster", "release": "ml"})),
    # where it may run
    ("ml", "own-nodes", synced("ml")),
    ("ml", "own-nodes", synced("ml", nodeName="gpu-1")),
    ("ml", "own-nodes", synced("ml", nodeSelector={"gpu-tenancy/pool": "a100"})),
    ("ml", "own-nodes", synced("ml", nodeSelector={"gpu-tenancy/team-ml": "false"})),
    ("ml", "own-nodes", synced("ml", labels={"app": "vcluster", "release": "ml"})),
    ("open", "own-nodes", synced("open", nodeName="gpu-0")),
    ("open", "own-nodes", synced("open")),
    ("serving", "own-nodes", synced("serving", nodeName="gpu-0")),
    ("serving", "own-nodes", synced("serving")),
    ("web", "own-nodes", synced("web", nodeName="gpu-0")),
    # which queue counts it
    ("serving", "own-queues", synced("serving", nodeName="gpu-2", labels={"kai.scheduler/queue": "batch-nightly"})),
    ("serving", "own-queues", synced("serving", nodeName="gpu-2", labels={"kai.scheduler/queue": "serving"})),
    (
        "serving",
        "own-queues",
        synced("serving", nodeSelector={"gpu-tenancy/pool": "l4"}, schedulerName="kai-scheduler"),
    ),
    (
        "serving",
        "gpus-through-kai",
        synced("serving", nodeSelector={"gpu-tenancy/pool": "l4"}, containers=[container(resources=GPU)]),
    ),
    (
        "serving",
        "gpus-through-kai",
        synced(
            "serving",
            nodeName="gpu-2",
            schedulerName="kai-scheduler",
            labels={"kai.scheduler/queue": "serving-online"},
            containers=[container(resources=GPU)],
        ),
    ),
    (
        "serving",
        "gpus-through-kai",
        synced("serving", nodeSelector={"gpu-tenancy/pool": "l4"}, annotations={"gpu-fraction": "0.5"}),
    ),
    ("ml", "not-the-hosts-queues", synced("ml", **ON, labels={"kai.scheduler/queue": "serving-online"})),
    ("ml", "not-the-hosts-queues", synced("ml", **ON, labels={"project": "batch"})),
    (
        "free",
        "not-the-hosts-queues",
        synced("free", schedulerName="kai-scheduler", labels={"kai.scheduler/queue": "default-queue"}),
    ),
    # who may see a GPU
    ("ml", "runtime-class-for-gpus", synced("ml", **ON, runtimeClassName="nvidia")),
    ("ml", "runtime-class-for-gpus", synced("ml", **ON, runtimeClassName="nvidia-cdi")),
    (
        "ml",
        "runtime-class-for-gpus",
        synced(
            "ml",
            **ON,
            runtimeClassName="nvidia",
            containers=[container(resources={"limits": {"nvidia.com/gpu": "0", "cpu": "1"}})],
        ),
    ),
    ("free", "runtime-class-for-gpus", synced("free", runtimeClassName="nvidia")),
    # a name that no quota counts: of nothing at all, and of a slice that is not in the list
    *(
        (
            "ml",
            "counted-gpus",
            synced("ml", **ON, runtimeClassName="nvidia", containers=[container(resources={"limits": {name: "1"}})]),
        )
        for name in ("nvidia.com/gpu-of-nobody", "nvidia.com/mig-1g.5gb.me")
    ),
    # a mark of KAI's where the team has no KAI that shares GPUs
    ("free", "runtime-class-for-gpus", synced("free", runtimeClassName="nvidia", labels={"runai-gpu-group": "g"})),
    ("free", "runtime-class-for-gpus", synced("free", runtimeClassName="nvidia", annotations={"gpu-fraction": "0.5"})),
]

ADMITTED = [
    ("ml", synced("ml", **ON)),
    ("ml", synced("ml", nodeSelector={"gpu-tenancy/team-ml": "true", "more": "x"})),
    ("ml", synced("ml", **ON, containers=[container(**CHOWN)])),
    ("ml", synced("ml", **ON, containers=[container(securityContext={"privileged": False})])),
    ("ml", synced("ml", **ON, volumes=[{"name": "v", "emptyDir": {}}], hostNetwork=False)),
    ("tight", synced("tight", nodeName="gpu-1", containers=[container(**BIND)])),
    ("open", synced("open", nodeName="found-1", containers=[container(**SECURE)], hostNetwork=True)),
    ("open", synced("open", nodeSelector={"kind": "gpu"})),
    # whole GPU, MIG slice, bound fraction, fraction that waits, KAI's reservation pod
    ("ml", synced("ml", **ON, runtimeClassName="nvidia", containers=[container(resources=GPU)])),
    (
        "ml",
        synced(
            "ml",
            **ON,
            runtimeClassName="nvidia",
            containers=[container(resources={"limits": {"nvidia.com/mig-1g.5gb": "1"}})],
        ),
    ),
    ("ml", synced("ml", **ON, runtimeClassName="nvidia", labels={"runai-gpu-group": "g"})),
    ("ml", synced("ml", **ON, runtimeClassName="nvidia", labels={"runai-gpu-group/g-2": "g"})),
    ("ml", synced("ml", **ON, runtimeClassName="nvidia", annotations={"gpu-memory": "2000"})),
    (
        "ml",
        synced(
            "ml",
            **ON,
            runtimeClassName="nvidia",
            labels={"app": "kai-resource-reservation"},
            containers=[container(resources=GPU)],
        ),
    ),
    ("ml", synced("ml", **ON, runtimeClassName="kata")),
    ("ml", synced("ml", **ON, schedulerName="kai-scheduler", labels={"kai.scheduler/queue": "training"})),
    # control plane, made by the StatefulSet's controller: no mark, any node
    ("ml", pod(labels={"app": "vcluster", "release": "ml"}, nodeSelector={"kubernetes.io/os": "linux"})),
    (
        "serving",
        synced(
            "serving",
            nodeSelector={"gpu-tenancy/pool": "l4"},
            schedulerName="kai-scheduler",
            labels={"kai.scheduler/queue": "serving-online"},
            containers=[container(resources=GPU)],
            runtimeClassName="nvidia",
        ),
    ),
    (
        "serving",
        synced(
            "serving",
            nodeSelector={"gpu-tenancy/pool": "l4"},
            schedulerName="kai-scheduler",
            labels={"kai.scheduler/queue": "serving-online"},
            annotations={"gpu-fraction": "0.5"},
            runtimeClassName="nvidia",
        ),
    ),
    ("serving", synced("serving", nodeSelector={"gpu-tenancy/pool": "l4"})),
    ("web", synced("web", nodeSelector={"gpu-tenancy/pool": "cpu"})),
    ("free", synced("free")),
]


@pytest.mark.parametrize(("team", "rule", "asked"), REFUSED, ids=[f"{team}-{rule}" for team, rule, _ in REFUSED])
def test_a_forbidden_pod_is_refused_with_the_rules_name(host: Host, team: str, rule: str, asked: Pod) -> None:
    said = host.refusal(team, asked)
    assert said is not None
    assert f"gpu-tenancy rule {rule}, team {team}: " in said


@pytest.mark.parametrize(("team", "asked"), ADMITTED)
def test_an_allowed_pod_is_admitted(host: Host, team: str, asked: Pod) -> None:
    assert host.refusal(team, asked) is None


def test_a_syncer_that_leaves_its_mark_off_is_known_by_its_account(host: Host) -> None:
    said = host.refusal("ml", pod(nodeName="gpu-1"), syncer=True)
    assert said is not None
    assert "gpu-tenancy rule own-nodes, team ml: pods run on the nodes gpu-0 only" in said
    assert host.refusal("ml", pod(**ON), syncer=True) is None


def test_a_queue_cannot_be_changed_later(host: Host) -> None:
    fine = synced("serving", nodeSelector={"gpu-tenancy/pool": "l4"}, labels={"kai.scheduler/queue": "serving-online"})
    host.admin.create(fine, namespace="team-serving")
    change = {"metadata": {"labels": {"kai.scheduler/queue": "batch-nightly"}}}
    with pytest.raises(ApiError, match="gpu-tenancy rule own-queues, team serving"):
        host.admin.patch(Pod, "p", change, namespace="team-serving", patch_type=PatchType.MERGE)
    host.admin.patch(
        Pod, "p", {"metadata": {"labels": {"a": "b"}}}, namespace="team-serving", patch_type=PatchType.MERGE
    )


def test_a_debug_container_is_held_to_the_rules(host: Host) -> None:
    host.admin.create(synced("ml", **ON), namespace="team-ml")
    for more, refused in ((SECURE, True), ({}, False)):
        debug = {"spec": {"ephemeralContainers": [container(**more) | {"name": "debug"}]}}
        if refused:
            with pytest.raises(ApiError, match="gpu-tenancy rule not-privileged, team ml"):
                host.admin.patch(PodEphemeralcontainers, "p", debug, namespace="team-ml")
        else:
            host.admin.patch(PodEphemeralcontainers, "p", debug, namespace="team-ml")


def test_other_namespaces_are_left_alone(host: Host) -> None:
    bad = pod(containers=[container(**SECURE)], hostNetwork=True, runtimeClassName="nvidia")
    host.admin.create(bad, namespace="default", dry_run=True)
