"""What a failed run of the engine means: the engine's own words in, team, step, cause and fix out."""

from __future__ import annotations

import pytest

from cli.causes import KNOWN, UNKNOWN, explain, step_of, team_of, without_noise

TENANTS = ["ml", "ml-canary", "research"]


def said(token: str, name: str, error: str) -> str:
    """The engine's "Diagnostics" for one failed resource."""
    body = "\n".join(f"    {line}" for line in error.splitlines())
    return (
        f"Diagnostics:\n  {token} ({name}):\n{body}\n\n  pulumi:pulumi:Stack (gpu-tenancy-one):\n"
        "    error: update failed\n\nResources:\n    1 errored\n"
    )


RELEASE = "kubernetes:helm.sh/v3:Release"

# (id, token, name, the words as seen on the engine, what must stand in cause and fix)
SEEN = [
    ("secret-missing", "kubernetes:core/v1:Secret", "ml-virtual-cluster-certificates",
     "error: Preview failed: resource 'team-ml/vc-ml' does not exist", "kubeconfig Secret vc-ml is not (yet)"),
    ("secret-late", "kubernetes:core/v1:Secret", "ml-virtual-cluster-certificates",
     "error: Secret team-ml/vc-ml did not appear within 180 s, though its vCluster is installed.",
     "did not come up in time"),
    ("webhook", "kubernetes:scheduling.run.ai/v2:Queue", "ml-queues-training",
     'error: Internal error occurred: failed calling webhook "vqueue.kb.io": failed to call webhook: Post "https://x"',
     "KAI's webhook vqueue.kb.io does not answer"),
    ("helm-other-line", RELEASE, "ml-scheduler-release",
     'error: Unable to continue with update: ServiceAccount "binder" in namespace "kai-scheduler" exists and cannot be '
     "imported into the current release: invalid ownership metadata", "ServiceAccount binder belongs to another line"),
    ("helm-other-line", RELEASE, "ml-scheduler-release",
     'error: Config "kai-config" in namespace "" exists and cannot be imported into the current release',
     "kubectl delete Config kai-config"),
    ("no-room", "kubernetes:batch/v1:Job", "ml-check-verdict",
     "error: 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1", "a node is full (cpu)"),
    ("no-room", "kubernetes:batch/v1:Job", "ml-check-verdict",
     "error: [Pod x]: OutOfcpu: Node didn't have enough resource", "a node is full (cpu)"),
    ("helm-name-in-use", RELEASE, "ml-virtual-cluster-vcluster", "error: cannot re-use a name that is still in use",
     "half-installed"),
    ("helm-in-progress", RELEASE, "ml-virtual-cluster-vcluster",
     "error: another operation (install/upgrade/rollback) is in progress", "left its release locked"),
    ("port-taken", "kubernetes:core/v1:Service", "ml-virtual-cluster-api",
     'error: Service "ml-api" is invalid: spec.ports[0].nodePort: Invalid value: 31234: provided port is already '
     "allocated", "NodePort 31234 is taken"),
    ("quota", "kubernetes:batch/v1:Job", "ml-check-job",
     'error: pods "x" is forbidden: exceeded quota: tenant, requested: requests.nvidia.com/gpu=1, used: 2, limited: 2',
     "quota tenant refuses a pod"),
    ("already-exists", "kubernetes:node.k8s.io/v1:RuntimeClass", "runtime-class-nvidia",
     'error: resource "urn:x" was not successfully created by the Kubernetes API server: '
     'runtimeclasses.node.k8s.io "nvidia" already exists', "owner: cluster"),
    ("label-conflict", "kubernetes:core/v1:NodePatch", "a-gpu-0",
     'error: Server-Side Apply field conflict detected. Apply failed with 1 conflict: conflict with "kubectl-label" '
     "using v1: .metadata.labels.nvidia.com/gpu.memory", ".metadata.labels.nvidia.com/gpu.memory"),
    ("forbidden", "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "ml-x",
     'error: clusterroles.rbac.authorization.k8s.io is forbidden: User "dev" cannot create resource "clusterroles" in '
     "API group", "user dev may not create clusterroles"),
    ("unauthorized", RELEASE, "ml-scheduler-release",
     "error: the server has asked for the client to provide credentials", "does not accept the credentials"),
    ("certificate", RELEASE, "ml-scheduler-release",
     "error: x509: certificate is valid for 10.0.0.1, not 10.0.0.5", "valid for 10.0.0.1, not 10.0.0.5"),
    ("unreachable", RELEASE, "ml-scheduler-release",
     'error: configured Kubernetes cluster is unreachable: unable to load schema: Get "https://1.2.3.4:1/openapi": '
     "dial tcp 1.2.3.4:1: connect: connection refused", "API server can't be reached"),
    ("being-deleted", "kubernetes:batch/v1:Job", "ml-check-job",
     'error: resource "urn" was not successfully created by the Kubernetes API server: object is being deleted: '
     'jobs.batch "gpu-check" already exists\n    \n    The resource already exists in the cluster. Note that\n'
     "protected resources (e.g. kube-system) cannot be deleted on destroy.", 'jobs.batch "gpu-check" is still being'),
    ("helm-hook", RELEASE, "ml-scheduler-release",
     "error: release kai-scheduler failed, and has been uninstalled due to atomic being set: failed pre-install: 1 "
     "error occurred:\n\t* job crd-upgrader failed: BackoffLimitExceeded", "own pre-install job crd-upgrader failed"),
    ("image", RELEASE, "ml-virtual-cluster-vcluster",
     "error: ImagePullBackOff: Back-off pulling image", "can't be pulled"),
    ("storage", RELEASE, "ml-virtual-cluster-vcluster",
     "error: 0/1: pod has unbound immediate PersistentVolumeClaims", "host.storageClass"),
    ("timeout", RELEASE, "ml-virtual-cluster-vcluster", "error: context deadline exceeded", "not ready in time"),
    ("check-verdict", "kubernetes:batch/v1:Job", "ml-check-verdict",
     'error: [Pod gpu-check/x]: container "verdict" terminated with exit code 1: team ml: GPU check fail: ECC '
     "errors on GPU 0; drain the node", "ECC errors on GPU 0; drain the node"),
    ("check-failed", "kubernetes:batch/v1:Job", "ml-check-verdict",
     "error: BackoffLimitExceeded: Job has reached the specified backoff limit", "the GPU check failed"),
    ("protected", "gpu-tenancy:index:Team", "ml",
     'error: resource "urn:pulumi:one::gpu-tenancy::gpu-tenancy:index:Team::ml" cannot be deleted\n'
     "because it is protected. To unprotect the resource, either remove the `protect` flag", "write an override"),
    ("disk-full", RELEASE, "ml-virtual-cluster-vcluster",
     "error: write /x: no space left on device", "the disk is full"),
]  # fmt: skip


@pytest.mark.parametrize(("id_", "token", "name", "error", "words"), SEEN)
def test_a_known_message_gets_its_cause_and_its_team(id_: str, token: str, name: str, error: str, words: str) -> None:
    first = explain(said(token, name, error), tenants=TENANTS, stack="one")[0]
    assert first.id == id_
    assert words in f"{first.cause} {first.fix}"
    assert first.team == ("ml" if name.startswith("ml") else None)
    assert first.fix
    assert "{team}" not in first.cause + first.fix


def test_a_message_outside_diagnostics_is_known_too() -> None:
    for id_, text in {
        "passphrase-wrong": "error: getting stack configuration: get stack secrets manager: incorrect passphrase",
        "passphrase-missing": "error: could not create secrets manager: passphrase must be set with PULUMI_CONFIG_X",
        "locked": "error: the stack is currently locked by 1 lock(s). Either\n  file:///x: created by me (pid 3)",
        "plugin-missing": "error: no resource plugin 'pulumi-resource-kubernetes' found in the workspace",
        "policy": "Policies:\n    x@v0 (local)\n        - [mandatory]  quota  (gpu-tenancy:index:Team: ml)",
    }.items():
        assert explain(text, tenants=TENANTS, stack="one")[0].id == id_


def test_every_entry_of_the_table_has_an_example_here() -> None:
    shown = {case[0] for case in SEEN} | {
        "passphrase-wrong",
        "passphrase-missing",
        "locked",
        "plugin-missing",
    }
    assert {known.id for known in KNOWN} == shown


def test_a_full_node_stands_before_the_webhook_that_it_silences() -> None:
    webhook = said("kubernetes:scheduling.run.ai/v2:Queue", "ml-queues-a", 'error: failed calling webhook "w"')
    room = said("kubernetes:batch/v1:Job", "research-check", "error: 0/2 nodes are available: 2 Insufficient cpu.")
    found = explain(webhook + room, tenants=TENANTS, stack="one")
    assert [(failure.id, failure.team) for failure in found] == [("no-room", "research"), ("webhook", "ml")]


def test_an_unknown_error_is_shown_as_it_is_and_the_stack_s_own_echo_is_not() -> None:
    found = explain(said(RELEASE, "ml-scheduler-release", "error: something new"), tenants=TENANTS, stack="one")
    assert [(failure.id, failure.team, failure.cause) for failure in found] == [(UNKNOWN, "ml", "something new")]


def test_the_same_cause_of_a_team_is_said_once() -> None:
    words = said(RELEASE, "ml-a", "error: context deadline exceeded") + said(
        RELEASE, "ml-b", "error: context deadline exceeded"
    )
    assert len(explain(words, tenants=TENANTS, stack="one")) == 1


@pytest.mark.parametrize(
    ("name", "team"),
    [
        ("ml-scheduler", "ml"),
        ("ml-canary-scheduler", "ml-canary"),
        ("html-x", None),
        ("host-provider", None),
        ("team-ml", "ml"),
    ],
)
def test_the_team_is_the_longest_tenant_in_the_name(name: str, team: str | None) -> None:
    assert team_of(name, TENANTS) == team


def test_the_kai_release_and_the_vcluster_release_are_told_apart() -> None:
    assert step_of(RELEASE, "ml-scheduler-release") == "the KAI scheduler"
    assert step_of(RELEASE, "ml-virtual-cluster-vcluster") == "the virtual cluster"


def test_the_interrupted_host_s_traceback_is_left_out_and_a_real_one_is_kept() -> None:
    noise = "before\n  Traceback (most recent call last):\n    File x\n    KeyboardInterrupt\nafter"
    assert without_noise(noise) == "before\nafter"
    twice = (
        "a\nTraceback (most recent call last):\n  x\nKeyboardInterrupt\n"
        "During handling of the above exception, another exception occurred:\n"
        "Traceback (most recent call last):\n  y\nKeyboardInterrupt\nb"
    )
    assert without_noise(twice) == "a\nb"
    real = "a\nTraceback (most recent call last):\n  x\nValueError: broken\nb"
    assert without_noise(real) == real


HOST_ECHO = """\
error: Program failed with an unhandled exception:
Traceback (most recent call last):
  File "exec", line 232, in <module>
    data = await self._data
pulumi.runtime.stack.ResourceRegistrationFailed: resource ml-scheduler-release [x] failed to register"""


def test_the_program_s_echo_of_a_failed_resource_is_no_cause_and_is_left_out() -> None:
    text = said("pulumi:pulumi:Stack", "gpu-tenancy-one", HOST_ECHO) + said(
        RELEASE, "ml-scheduler-release", "error: new"
    )
    assert [failure.cause for failure in explain(text, tenants=TENANTS, stack="one")] == ["new"]
    assert "await" not in without_noise(text)
    assert "error: new" in without_noise(text)


def test_a_fault_of_the_program_itself_is_shown_by_its_last_line() -> None:
    fault = HOST_ECHO.rsplit("\n", 1)[0] + "\nKeyError: 'pool'"
    found = explain(said("pulumi:pulumi:Stack", "gpu-tenancy-one", fault), tenants=TENANTS, stack="one")
    assert [(failure.step, failure.cause) for failure in found] == [("the program", "KeyError: 'pool'")]
