"""What a failed run of the engine means: the engine's own words in, team, step, cause and fix out."""

from __future__ import annotations

import pytest

from cli.causes import UNKNOWN, explain, failure_of
from cli.causes.known import KNOWN
from cli.causes.reading import step_of, team_of

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
    ("host-refused", "command:local:Command", "host-install-cluster",
     'error: exit status 3: running "bash -s":\nkind: REFUSED: there is no docker on this host; install Docker Engine',
     "kind on the host: there is no docker on this host"),
    ("host-refused", "command:local:Command", "host-install-cluster",
     'error: exit status 3: running "bash -s":\nmicrok8s: waiting\nmicrok8s: REFUSED: it is left; a and b; remove it',
     "remove it; then run `make up STACK=one` again"),
    ("host-failed", "command:remote:Command", "host-install-cluster",
     'error: Process exited with status 1: running "sudo -n bash -s":\nkind: FAILED with exit code 1: kind load "$x"; '
     "its own words stand above. What was done is written down", 'failed with exit code 1: kind load "$x"'),
    ("sudo-asks", "command:remote:Command", "host-install-cluster",
     'error: Process exited with status 1: running "sudo -n bash -s":\nsudo: a password is required', "NOPASSWD"),
    ("ssh-host-key", "command:remote:Command", "host-install-cluster",
     "error: after 10 failed attempts: ssh: handshake failed: ssh: host key mismatch", "connection.ssh.hostKey"),
    ("ssh-host-key-kind", "command:remote:Command", "host-install-cluster",
     "error: after 10 failed attempts: ssh: handshake failed: ssh: no common algorithm for host key; we offered: "
     "[ssh-rsa], peer offered: [ssh-ed25519 rsa-sha2-512]", "write its ssh-ed25519 or ecdsa key"),
    ("ssh-cut", "command:remote:Command", "host-install-cluster",
     'error: wait: remote command exited without exit status or exit signal: running "sudo -n bash -s":',
     "the connection to the host was cut while its script ran"),
    ("no-sudo", "command:remote:Command", "host-install-cluster",
     'error: Process exited with status 127: running "sudo -n bash -s":\nbash: line 1: sudo: command not found',
     "there is no sudo on the host"),
    ("ssh-unreachable", "command:remote:Command", "host-install-cluster",
     "error: after 10 failed attempts: dial tcp: lookup gpu-9 on 127.0.0.53:53: no such host",
     "no ssh server answers at gpu-9: its name is not known to DNS here"),
    ("ssh-login", "command:remote:Command", "host-install-cluster",
     "error: after 10 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none "
     "publickey], no supported methods remain", "connection.ssh.user"),
    ("ssh-key", "command:remote:Command", "host-install-cluster", "error: ssh: no key found", "keyfile"),
    ("ssh-unreachable", "command:remote:Command", "host-install-cluster",
     "error: after 10 failed attempts: dial tcp [fd00::5]:2222: connect: connection refused",
     "no ssh server answers at [fd00::5]:2222: nothing listens there"),
    ("secret-late", "gpu-tenancy:index:VirtualCluster", "ml-virtual-cluster",
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
     "If the error stays, delete Helm's record"),
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
    ("gone", "kubernetes:core/v1:ResourceQuota", "ml-guardrails-quota",
     'error: Preview failed: update of resource "urn:pulumi:one::gpu-tenancy::kubernetes:core/v1:ResourceQuota::q" '
     'failed: resourcequotas "tenant" not found\n    unable to get cluster state: resourcequotas "tenant" not found',
     'resourcequotas "tenant" is in the state and no longer on the cluster'),
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
    ("helm-hook-stays", RELEASE, "ml-scheduler-release",
     "error: release kai-scheduler failed, and has been uninstalled due to atomic being set: failed pre-install: "
     "warning: Hook pre-install kai-scheduler/templates/hooks/pre/crd-upgrader.yaml failed: 1 error occurred:\n"
     '\t* jobs.batch "crd-upgrader" already exists',
     "jobs.batch crd-upgrader of the run before is still there"),
    ("chart-local", RELEASE, "ml-scheduler-release",
     'error: path "/srv/charts/kai-scheduler-v0.16.8.tgz" not found', "/srv/charts/kai-scheduler-v0.16.8.tgz"),
    ("chart-pull", RELEASE, "ml-virtual-cluster-vcluster",
     'error: failed to download "oci://ghcr.example/kai" at version "v0.16.8"', "downloaded from ghcr.example"),
    ("pod-security", "kubernetes:apps/v1:StatefulSet", "ml-x",
     'error: pods "ml-0" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod must not',
     "Pod Security level restricted:latest refuses a pod: runAsNonRoot"),
    ("admission", "kubernetes:batch/v1:Job", "ml-check-verdict",
     "error: pods is forbidden: ValidatingAdmissionPolicy 'team-ml' with binding 'team-ml' denied request: a pod names "
     "another team's queue", "admission policy team-ml refuses it: a pod names another team's queue"),
    ("webhook-denied", "kubernetes:scheduling.run.ai/v2:Queue", "ml-queues-a",
     'error: admission webhook "vqueue.kb.io" denied the request: spec.resources must not be nil',
     "webhook vqueue.kb.io refuses it: spec.resources must not be nil"),
    ("webhook-foreign", "kubernetes:core/v1:Namespace", "ml-namespace",
     'error: Internal error occurred: failed calling webhook "validate.policy.example": failed to call webhook: Post '
     '"https://policy-svc.policies.svc:443/validate?timeout=10s": x509: certificate signed by unknown authority',
     "of namespace policies does not answer: its certificate comes from a CA that is not trusted"),
    ("webhook", "kubernetes:scheduling.run.ai/v2:Queue", "ml-queues-training",
     'error: failed calling webhook "vqueue.kb.io": Post "https://queue-controller.kai-scheduler.svc:443/x": x509: '
     "certificate signed by unknown authority", "KAI's webhook vqueue.kb.io"),
    ("taint", "kubernetes:batch/v1:Job", "ml-check-verdict",
     "error: 0/3 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: true}. preemption: 0/3",
     "does not tolerate the taint nvidia.com/gpu: true"),
    ("image", RELEASE, "ml-virtual-cluster-vcluster",
     'error: Back-off pulling image "ghcr.io/loft-sh/vcluster-oss:0.36.1": ErrImagePull: failed to resolve reference: '
     "unexpected status from HEAD request: 401 Unauthorized",
     "image ghcr.io/loft-sh/vcluster-oss:0.36.1 can't be pulled: it refuses the login (401)"),
    ("image", RELEASE, "ml-virtual-cluster-vcluster",
     "error: Failed to pull image 'registry.example/x:1': tls: failed to verify certificate: x509: certificate has "
     "expired or is not yet valid", "its certificate has expired"),
    ("certificate-expired", RELEASE, "ml-scheduler-release",
     "error: x509: certificate has expired or is not yet valid: current time 2027-01-01T00:00:00Z is after 2026-12-31",
     "has expired, or a clock is wrong. current time 2027-01-01T00:00:00Z is after 2026-12-31"),
    ("certificate-authority", RELEASE, "ml-scheduler-release",
     'error: Get "https://10.0.0.5:6443/api": tls: failed to verify certificate: x509: certificate signed by unknown '
     "authority", "from a CA that the kubeconfig lacks"),
    ("dns", RELEASE, "ml-scheduler-release",
     'error: Get "https://gpu.example:6443/api": dial tcp: lookup gpu.example on 10.0.0.53:53: no such host',
     "name gpu.example is not known to DNS here"),
]  # fmt: skip


@pytest.mark.parametrize(("id_", "token", "name", "error", "words"), SEEN)
def test_a_known_message_gets_its_cause_and_its_team(id_: str, token: str, name: str, error: str, words: str) -> None:
    first = explain(said(token, name, error), tenants=TENANTS, stack="one")[0]
    assert first.id == id_
    assert words in f"{first.cause} {first.fix}"
    assert first.team == ("ml" if name.startswith("ml") else None)
    assert first.fix
    assert "{team}" not in first.cause + first.fix


def test_a_violation_that_two_teams_share_is_one_with_both() -> None:
    rows = "".join(
        f"        - [mandatory]  pinned-chart  (kubernetes:helm.sh/v3:Release: {team}-virtual-cluster-vcluster)\n"
        f"          A chart is pinned.\n"
        f"          Release {team}-virtual-cluster-vcluster: chart /srv/v.tgz is a local path\n"
        for team in ("ml", "research")
    )
    (only,) = explain(f"Policies:\n    x@v0 (local)\n{rows}", tenants=TENANTS, stack="one")
    assert only.teams == ("ml", "research")
    assert str(only).startswith("teams ml, research, policy pinned-chart: Release ml-virtual-cluster-vcluster: chart")


def test_a_message_outside_diagnostics_is_known_too() -> None:
    for id_, text in {
        "passphrase-wrong": "error: getting stack configuration: get stack secrets manager: incorrect passphrase",
        "passphrase-missing": "error: could not create secrets manager: passphrase must be set with PULUMI_CONFIG_X",
        "locked": "error: the stack is currently locked by 1 lock(s). Either\n  file:///x: created by me (pid 3)",
        "plugin-missing": "error: no resource plugin 'pulumi-resource-kubernetes' found in the workspace",
        "packages-missing": "error: ModuleNotFoundError: No module named 'pulumi_kubernetes'",
        "backend": 'error: could not list stacks: blob (key ".pulumi/meta.yaml") (code=Unknown): StatusCode: 403',
        "policy": "Policies:\n    x@v0 (local)\n        - [mandatory]  quota  (gpu-tenancy:index:Team: ml)",
    }.items():
        assert explain(text, tenants=TENANTS, stack="one")[0].id == id_


def test_every_entry_of_the_table_has_an_example_here() -> None:
    shown = {case[0] for case in SEEN} | {
        "passphrase-wrong",
        "passphrase-missing",
        "locked",
        "plugin-missing",
        "packages-missing",
        "backend",
    }
    assert {known.id for known in KNOWN} == shown


CHART = (
    'error: failed to pull chart: looks like "https://charts.example.com/x" is not a valid chart repository '
    "or cannot be "
)
CHARTS = {
    "reached: failed to fetch https://charts.example.com/x/index.yaml : 401 Unauthorized": "it refuses the login (401)",
    'reached: Get "https://charts.example.com/x/index.yaml": dial tcp: lookup charts.example.com: no such host': (
        "its name is not known to DNS here"
    ),
    'reached: Get "https://charts.example.com/x/index.yaml": context deadline exceeded (Client.Timeout exceeded while '
    "awaiting headers)": "it does not answer in time",
    'reached: Get "https://charts.example.com/x/index.yaml": tls: failed to verify certificate: x509: certificate '
    "signed by unknown authority": "its certificate comes from a CA that is not trusted here",
    'reached: Get "https://charts.example.com/x/index.yaml": dial tcp 192.0.2.1:443: connect: connection refused': (
        "nothing listens there"
    ),
    'reached: Get "https://charts.example.com/x/index.yaml": proxyconnect tcp: dial tcp: lookup proxy: no such host': (
        "the proxy refuses"
    ),
}


@pytest.mark.parametrize(("symptom", "why"), CHARTS.items())
def test_a_chart_that_cannot_be_had_is_no_fault_of_the_cluster(symptom: str, why: str) -> None:
    found = explain(said(RELEASE, "ml-virtual-cluster-vcluster", CHART + symptom), tenants=TENANTS, stack="one")
    assert [failure.id for failure in found] == ["chart-pull"]
    assert f"can't be downloaded from charts.example.com: {why}" in found[0].cause
    assert "nothing is wrong with the cluster" in found[0].cause
    assert "artifacts.charts" in found[0].fix
    assert ("helm registry login charts.example.com" in found[0].fix) == ("401" in symptom)


@pytest.mark.parametrize(
    "text",
    [
        'failed to pull chart: GET "https://ghcr.example/token?scope=x": response status code 403: denied: denied',
        'failed to perform "FetchReference" on source: GET "https://ghcr.example/v2/a/manifests/1": response status '
        "code 403: denied: denied",
        "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
        "https://ghcr.example/token: 403 Forbidden",
    ],
)
def test_a_registry_that_denies_names_the_stale_login(text: str) -> None:
    failure = explain(said(RELEASE, "ml-scheduler-release", f"error: {text}"), tenants=TENANTS, stack="one")[0]
    assert failure.cause.startswith("the chart can't be downloaded from ghcr.example: it denies access (403)")
    assert "helm registry logout ghcr.example" in failure.fix


def test_a_password_in_a_url_is_not_repeated() -> None:
    text = 'error: failed to pull chart: Get "https://ann:hunter2@charts.example.com/index.yaml": 401 Unauthorized'
    failure = explain(said(RELEASE, "ml-scheduler-release", text), tenants=TENANTS, stack="one")[0]
    assert "from charts.example.com:" in failure.cause
    assert "hunter2" not in failure.cause + failure.fix


def test_teams_with_one_cause_stand_in_one_line() -> None:
    teams = [f"team{index}" for index in range(15)]
    text = "".join(
        said(RELEASE, f"{team}-scheduler-release", f"error: {CHARTS_401}")
        + said("gpu-tenancy:index:VirtualCluster", f"{team}-virtual-cluster",
               f"error: Secret team-{team}/vc-{team} did not appear within 180 s")
        for team in teams
    )  # fmt: skip
    found = explain(text, tenants=teams, stack="one")
    assert [failure.id for failure in found] == ["chart-pull"]
    assert found[0].teams == tuple(teams)
    assert str(found[0]).startswith("teams team0, team1, team2, team3, team4, team5 and 9 more, the KAI scheduler: ")


CHARTS_401 = CHART + next(iter(CHARTS))


def test_the_same_cause_under_each_team_s_own_name_is_one() -> None:
    text = "".join(
        said(
            "gpu-tenancy:index:VirtualCluster",
            f"{team}-virtual-cluster",
            f"error: Secret team-{team}/vc-{team} did not appear",
        )
        for team in ("ml", "research")
    )
    found = explain(text, tenants=TENANTS, stack="one")
    assert [(failure.id, failure.teams) for failure in found] == [("secret-late", ("ml", "research"))]


def test_what_only_follows_is_left_out_in_its_own_team_alone() -> None:
    text = (
        said(RELEASE, "ml-virtual-cluster-vcluster", "error: context deadline exceeded")
        + said("kubernetes:batch/v1:Job", "ml-check", "error: 0/2 nodes are available: 2 Insufficient cpu.")
        + said(RELEASE, "research-virtual-cluster-vcluster", "error: context deadline exceeded")
    )
    found = [(failure.id, failure.team) for failure in explain(text, tenants=TENANTS, stack="one")]
    assert found == [("no-room", "ml"), ("timeout", "research")]


def test_what_was_seen_of_pods_meanwhile_stands_before_the_engine_s_own_too_late() -> None:
    image = failure_of('Back-off pulling image "x.example/a:1": not found', team="ml", step="pod ml-0", stack="one")
    assert image is not None
    text = said(RELEASE, "ml-virtual-cluster-vcluster", "error: context deadline exceeded")
    found = explain(text, tenants=TENANTS, stack="one", seen=[image])
    assert [failure.id for failure in found] == ["image"]
    assert "x.example/a:1" in str(found[0])


def test_a_refused_policy_names_the_file_and_the_key() -> None:
    text = "Policies:\n    x@v0 (local)\n        - [mandatory]  pinned-chart  (gpu-tenancy:index:Team: ml)"
    fix = explain(text, tenants=TENANTS, stack="mine")[0].fix
    assert "policies/config/mine.json" in fix
    assert '"pinned-chart"' in fix
    assert "override" not in fix


def test_a_full_node_stands_before_the_webhook_that_it_silences() -> None:
    webhook = said("kubernetes:scheduling.run.ai/v2:Queue", "ml-queues-a", 'error: failed calling webhook "w"')
    room = said("kubernetes:batch/v1:Job", "research-check", "error: 0/2 nodes are available: 2 Insufficient cpu.")
    found = explain(webhook + room, tenants=TENANTS, stack="one")
    assert [(failure.id, failure.team) for failure in found] == [("no-room", "research"), ("webhook", "ml")]


def test_what_was_in_the_middle_when_something_failed_is_no_cause_of_its_own() -> None:
    stopped = said("kubernetes:core/v1:ResourceQuota", "research-q", "error: failed to run policy: context canceled")
    broken = said(RELEASE, "ml-scheduler-release", "error: something new")
    assert [failure.cause for failure in explain(stopped + broken, tenants=TENANTS, stack="one")] == ["something new"]
    assert len(explain(stopped, tenants=TENANTS, stack="one")) == 1


def test_an_unknown_error_is_shown_as_it_is_and_the_stack_s_own_echo_is_not() -> None:
    found = explain(said(RELEASE, "ml-scheduler-release", "error: something new"), tenants=TENANTS, stack="one")
    assert [(failure.id, failure.team, failure.cause) for failure in found] == [(UNKNOWN, "ml", "something new")]


def test_the_same_cause_of_a_team_is_said_once() -> None:
    words = "".join(said(RELEASE, name, "error: context deadline exceeded") for name in ("ml-a", "ml-b"))
    assert len(explain(words, tenants=TENANTS, stack="one")) == 1


@pytest.mark.parametrize(
    ("name", "team"),
    [
        *(("ml-scheduler", "ml"), ("ml-canary-scheduler", "ml-canary"), ("team-ml", "ml")),
        *(("html-x", None), ("host-provider", None)),
    ],
)
def test_the_team_is_the_longest_tenant_in_the_name(name: str, team: str | None) -> None:
    assert team_of(name, TENANTS) == team


def test_the_kai_release_and_the_vcluster_release_are_told_apart() -> None:
    assert step_of(RELEASE, "ml-scheduler-release") == "the KAI scheduler"
    assert step_of(RELEASE, "ml-virtual-cluster-vcluster") == "the virtual cluster"


@pytest.mark.parametrize(
    ("name", "last", "beside"),
    [
        ("ml-scheduler-release", "resource ml-scheduler-release [kubernetes:x] failed to register", "all is new"),
        ("ml-virtual-cluster", "team ml: all is odd", "team ml: all is odd"),
    ],
)
def test_what_a_program_ends_with_is_told_beside_its_resource_alone(name: str, last: str, beside: str) -> None:
    ended = f"error: {last}\n    error: an unhandled error occurred: program exited with non-zero exit code: 1"
    text = said("pulumi:pulumi:Stack", "gpu-tenancy-one", ended) + said(RELEASE, name, f"error: {beside}")
    assert [(each.team, each.cause) for each in explain(text, tenants=TENANTS, stack="one")] == [("ml", beside)]


def test_a_fault_of_the_program_itself_is_shown_by_its_last_line() -> None:
    fault = "error: Program failed with an unhandled exception:\nTraceback (most recent call last):\n  File x\n"
    fault += "KeyError: 'pool'"
    found = explain(said("pulumi:pulumi:Stack", "gpu-tenancy-one", fault), tenants=TENANTS, stack="one")
    assert [(failure.step, failure.cause) for failure in found] == [("the program", "KeyError: 'pool'")]
