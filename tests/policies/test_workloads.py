"""Workloads of ours: what reaches the host, names a device or asks past the quota is refused; ordinary ones pass."""

from __future__ import annotations

import pytest

import podspec
import tokens
from names import GPU_RESOURCES
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN
from tests.policies.judged import changed, messages
from tests.policies.world import host_check, job, resource, team

Pod = dict[str, object]


def container(**security: object) -> dict[str, object]:
    return {"name": "c", "image": "docker.io/library/a:1.0", "securityContext": security}


def with_container(**fields: object) -> Pod:
    return {"containers": [{"name": "c", "image": "docker.io/library/a:1.0", **fields}]}


def volume(**source: object) -> Pod:
    return {"volumes": [{"name": "v", **source}]}


# --- plain-workload -------------------------------------------------------------------------------------------------

OFF = "isolation is 'baseline'; turn it off"
OUT = "isolation is 'baseline'; leave it out"
ANOTHER = "isolation is 'baseline'; use another volume"


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        ({"hostNetwork": True}, f"hostNetwork is on, {OFF}"),
        ({"hostPID": True}, f"hostPID is on, {OFF}"),
        ({"hostIPC": True}, f"hostIPC is on, {OFF}"),
        (volume(hostPath={"path": "/etc"}), f"mounts host path '/etc', {ANOTHER}"),
        (volume(hostPath={}), f"mounts host path None, {ANOTHER}"),
        (volume(nfs={"server": "s", "path": "/"}), f"volume v is of kind nfs, {ANOTHER}"),
        (volume(csi={"driver": "d"}), f"volume v is of kind csi, {ANOTHER}"),
        (volume(emptyDir={"medium": "HugePages"}), f"volume v takes the node's huge pages, {ANOTHER}"),
        (
            volume(ephemeral={"volumeClaimTemplate": {"spec": {"volumeName": "pv"}}}),
            f"volume v takes a volume that is there already, {ANOTHER}",
        ),
        (
            volume(ephemeral={"volumeClaimTemplate": {"spec": {"selector": {"matchLabels": {"a": "b"}}}}}),
            f"volume v takes a volume that is there already, {ANOTHER}",
        ),
        (volume(projected={"sources": [{"podCertificate": {}}]}), f"volume v projects podCertificate, {ANOTHER}"),
        ({"containers": [container(privileged=True)]}, f"container c is privileged, {OFF}"),
        ({"ephemeralContainers": [container(privileged=True)]}, f"container c is privileged, {OFF}"),
        (
            {"initContainers": [container(capabilities={"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"]})]},
            "container c adds capabilities NET_RAW, SYS_ADMIN; drop them",
        ),
        (
            {"containers": [container(windowsOptions={"hostProcess": True})]},
            f"container c securityContext sets windowsOptions, {OUT}",
        ),
        ({"containers": [container(procMount="Unmasked")]}, f"container c procMount is not Default, {OUT}"),
        (
            {"containers": [container(seccompProfile={"type": "Unconfined"})]},
            f"container c seccompProfile is Unconfined, {OUT}",
        ),
        (
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
            f"appArmorProfile is Unconfined, {OUT}",
        ),
        (
            {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
            f"seLinuxOptions are none of a container's, {OUT}",
        ),
        (
            {"containers": [container(seLinuxOptions={"user": "root"})]},
            f"container c seLinuxOptions are none of a container's, {OUT}",
        ),
        (
            {"containers": [container(seLinuxOptions={"role": "sysadm_r"})]},
            f"container c seLinuxOptions are none of a container's, {OUT}",
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            f"sysctl kernel.msgmax is the node's, {OUT}",
        ),
        (
            with_container(ports=[{"containerPort": 80, "hostPort": 80}]),
            "container c takes a port of its node, isolation is 'baseline'; remove hostPort",
        ),
        *(
            (
                with_container(**{probe: {way: {"host": "169.254.169.254", "port": 80}}}),
                f"container c has its node call another host in {probe}, isolation is 'baseline'; remove host",
            )
            for probe in ("livenessProbe", "readinessProbe", "startupProbe")
            for way in ("httpGet", "tcpSocket")
        ),
        (
            with_container(lifecycle={"preStop": {"httpGet": {"host": "h", "port": 80}}}),
            "container c has its node call another host in lifecycle.preStop, isolation is 'baseline'; remove host",
        ),
        (
            with_container(lifecycle={"postStart": {"tcpSocket": {"host": "h", "port": 80}}}),
            "container c has its node call another host in lifecycle.postStart, isolation is 'baseline'; remove host",
        ),
    ],
)
def test_a_workload_that_reaches_the_host_is_refused(pod: Pod, said: str) -> None:
    assert messages("plain-workload", [team(), job("ml-job", None, **pod)]) == [f"Job ml-job: {said}"]
    assert messages("plain-workload", [team(isolation="privileged"), job("ml-job", None, **pod)]) == []


def test_baseline_lets_a_container_add_what_it_has_anyway() -> None:
    # Kubernetes' Pod Security Standards, baseline, "Capabilities"
    has = [
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"),
        *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    ]
    assert messages("plain-workload", [team(), job(containers=[container(capabilities={"add": has})])]) == []


def test_what_baseline_adds_is_too_much_for_restricted() -> None:
    adds = job(containers=[container(capabilities={"add": ["CHOWN", "NET_BIND_SERVICE"]})])
    assert messages("plain-workload", [team(), adds]) == []
    assert messages("plain-workload", [team(isolation="restricted"), adds]) == [
        "Job ml-job: container c adds capabilities CHOWN; drop them"
    ]


@pytest.mark.parametrize(
    "pod",
    [
        {"hostNetwork": False, "volumes": [{"name": "v", "emptyDir": {}}], "containers": [container(privileged=False)]},
        volume(emptyDir={"medium": "Memory", "sizeLimit": "8Gi"}),
        volume(configMap={"name": "c"}),
        volume(secret={"secretName": "s"}),
        volume(persistentVolumeClaim={"claimName": "c"}),
        volume(downwardAPI={"items": []}),
        volume(image={"reference": "docker.io/library/a:1.0"}),
        volume(ephemeral={"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}),
        volume(projected={"sources": [{name: {}} for name in podspec.PROJECTIONS]}),
        {"securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}},
        {
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": 1,
                "seccompProfile": {"type": "RuntimeDefault"},
                "appArmorProfile": {"type": "Localhost", "localhostProfile": "p"},
                "seLinuxOptions": {"type": "container_t", "level": "s0"},
            }
        },
        with_container(
            ports=[{"containerPort": 80}],
            livenessProbe={"httpGet": {"path": "/", "port": 80}},
            lifecycle={"preStop": {"exec": {"command": ["true"]}}},
        ),
    ],
)
def test_an_ordinary_workload_passes(pod: Pod) -> None:
    assert messages("plain-workload", [team(), job("ml-job", None, **pod)]) == []


def test_a_workload_of_the_host_is_held_to_baseline() -> None:
    sly = changed(host_check(), "spec/template/spec/hostPID", True)
    assert messages("plain-workload", [sly]) == [
        "Job gpu-check-gpu-0: hostPID is on, isolation is 'baseline'; turn it off"
    ]


def test_a_workload_of_an_unknown_team_is_a_violation_and_not_skipped() -> None:
    assert messages("plain-workload", [team("vision"), job()]) == [
        "Job ml-job: names team 'ml', which this stack does not have"
    ]


SPEC_OF_POD = {
    tokens.POD: "spec",
    tokens.POD_TEMPLATE: "template/spec",
    tokens.CRON_JOB: "spec/jobTemplate/spec/template/spec",
}


@pytest.mark.parametrize("kind", tokens.WORKLOADS)
def test_every_kind_that_makes_pods_is_looked_into(kind: str) -> None:
    place = SPEC_OF_POD.get(kind, "spec/template/spec")
    bare = resource(kind, "w", {"metadata": {"name": "w", "labels": {"gpu-tenancy/team": "ml"}}})
    bad = changed(changed(bare, f"{place}/hostPID", True), f"{place}/containers", [container(privileged=True)])
    assert len(messages("plain-workload", [team(), bad])) == 2
    asks = [{"name": "c", "resources": {"limits": {"example.com/gpu": "1"}}}]
    assert len(messages("counted-resources", [team(), changed(bare, f"{place}/containers", asks)])) == 1
    names_one = [{"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}]
    assert len(messages("no-devices-by-name", [team(), changed(bare, f"{place}/containers", names_one)])) == 1
    assert len(messages("known-priority", [team(), changed(bare, f"{place}/priorityClassName", "first")])) == 1


# --- counted-resources ----------------------------------------------------------------------------------------------

UNCOUNTED = "which no ResourceQuota of ours counts; ask for nvidia.com/gpu"


def asking(place: str = "containers", of: str = "limits", **resources: object) -> PolicyResource:
    return job("ml-job", None, **{place: [{"name": "c", "image": "a:1.0", "resources": {of: resources}}]})


@pytest.mark.parametrize("name", ["nvidia.com/rtx4090", "amd.com/gpu", "nvidia.com/gpu-x", "hugepages-2Mi", "rdma/hca"])
@pytest.mark.parametrize("place", ["containers", "initContainers"])
@pytest.mark.parametrize("of", ["limits", "requests"])
def test_what_no_quota_counts_is_refused(name: str, place: str, of: str) -> None:
    assert messages("counted-resources", [asking(place, of, **{name: "1"})]) == [
        f"Job ml-job: container c asks for {name}, {UNCOUNTED}"
    ]


def test_what_a_quota_counts_passes() -> None:
    known = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi", **dict.fromkeys(GPU_RESOURCES, "0")}
    assert messages("counted-resources", [asking(**known)]) == []
    assert messages("counted-resources", [job("ml-job", None, resources={"limits": {"cpu": "1"}})]) == []


def test_a_pod_asks_for_no_gpu_as_a_whole() -> None:
    assert messages("counted-resources", [job("ml-job", None, resources={"limits": {"nvidia.com/gpu": "1"}})]) == [
        f"Job ml-job: the pod asks for nvidia.com/gpu, {UNCOUNTED}"
    ]


def test_a_device_by_claim_is_refused() -> None:
    claims = job("ml-job", None, resourceClaims=[{"name": "gpu", "resourceClaimName": "any"}])
    assert messages("counted-resources", [claims]) == [
        "Job ml-job: resourceClaims asks for devices that no ResourceQuota counts; ask for nvidia.com/gpu"
    ]
    of_container = asking()
    used = changed(of_container, "spec/template/spec/containers/0/resources/claims", [{"name": "gpu"}])
    assert messages("counted-resources", [used]) == [
        "Job ml-job: container c asks for a device by claim, which no ResourceQuota counts; ask for nvidia.com/gpu"
    ]


def test_resources_that_are_not_known_are_a_violation() -> None:
    hidden = changed(job(), "spec/template/spec/containers/0/resources/limits", UNKNOWN)
    assert "limits is not known at preview" in messages("counted-resources", [hidden])[0]


# --- no-devices-by-name ---------------------------------------------------------------------------------------------


def env(name: str, **value: object) -> PolicyResource:
    return job("ml-job", None, **with_container(env=[{"name": name, **value}]))


@pytest.mark.parametrize("name", podspec.DEVICE_VARIABLES)
@pytest.mark.parametrize(
    "value", [{"value": "all"}, {"value": "GPU-1"}, {"valueFrom": {"configMapKeyRef": {"name": "n", "key": "k"}}}]
)
def test_a_variable_that_names_devices_is_refused(name: str, value: dict[str, object]) -> None:
    assert messages("no-devices-by-name", [env(name, **value)]) == [
        f"Job ml-job: container c sets {name}, which names devices; remove it and ask for nvidia.com/gpu"
    ]


@pytest.mark.parametrize("value", [{"value": ""}, {"value": "void"}, {"value": "none"}, {}])
def test_a_variable_that_hides_devices_passes(value: dict[str, object]) -> None:
    assert messages("no-devices-by-name", [env("NVIDIA_VISIBLE_DEVICES", **value)]) == []
    assert messages("no-devices-by-name", [env("NVIDIA_DRIVER_CAPABILITIES", value="all")]) == []


@pytest.mark.parametrize(
    "key",
    [
        "cdi.k8s.io/x",
        "nvidia.cdi.k8s.io/container",
        "io.kubernetes.cri-o.Devices",
        "io.katacontainers.config.hypervisor.x",
        "k8s.v1.cni.cncf.io/networks",
        "v1.multus-cni.io/default-network",
        "devices.noderesource.dev/container.main",
        "cdi-devices.noderesource.dev/pod",
        "mounts.nri.io/container.main",
        "dev.gvisor.internal.nvproxy",
        "io.containerd.runc.v2.group",
    ],
)
def test_an_annotation_that_the_nodes_runtime_obeys_is_refused(key: str) -> None:
    sly = changed(job(), "spec/template/metadata/annotations", {key: "nvidia.com/gpu=all"})
    assert messages("no-devices-by-name", [sly]) == [
        f"Job ml-job: annotation {key} names a device or a setting of the node's runtime; remove it"
    ]


APPARMOR = "container.apparmor.security.beta.kubernetes.io/probe"


@pytest.mark.parametrize(("profile", "refused"), [("unconfined", 1), ("runtime/default", 0), ("localhost/mine", 0)])
def test_a_profile_by_the_older_annotation_is_judged_like_the_field(profile: str, refused: int) -> None:
    sly = changed(job(), "spec/template/metadata/annotations", {APPARMOR: profile})
    said = [f"Job ml-job: annotation {APPARMOR} is unconfined, {OUT}"]
    assert messages("plain-workload", [team(), sly]) == said * refused


@pytest.mark.parametrize("key", ["gpu-fraction", "example.com/cdi.k8s.io", "prometheus.io/scrape", "notcdi.k8s.io/x"])
def test_an_annotation_that_nobody_on_the_node_obeys_passes(key: str) -> None:
    assert messages("no-devices-by-name", [changed(job(), "spec/template/metadata/annotations", {key: "x"})]) == []


def test_a_mount_that_names_a_device_is_refused() -> None:
    mounts = [{"name": "v", "mountPath": "/var/run/nvidia-container-devices/all"}, {"name": "w", "mountPath": "/data"}]
    assert messages("no-devices-by-name", [job("ml-job", None, **with_container(volumeMounts=mounts))]) == [
        "Job ml-job: container c mounts /var/run/nvidia-container-devices/all, which names a device; remove it"
    ]


# --- known-priority -------------------------------------------------------------------------------------------------


def test_a_workload_goes_before_nobody_elses() -> None:
    for name in ("system-node-critical", "team-vision", "anything"):
        assert messages("known-priority", [job("ml-job", None, priorityClassName=name)]) == [
            f"Job ml-job: priorityClassName is {name}; use one of gpu-check, train, build-preemptible, build, "
            "inference, team-ml, or none"
        ]
    for known in ("gpu-check", "train", "inference", "team-ml", "", None):
        assert messages("known-priority", [job("ml-job", None, priorityClassName=known)]) == []
    hosts = changed(host_check(), "spec/template/spec/priorityClassName", "team-ml")
    assert len(messages("known-priority", [hosts])) == 1
