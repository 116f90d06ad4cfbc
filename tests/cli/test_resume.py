"""After a killed engine: exactly what stands in the way of the next run is removed from the cluster, and nothing else.

The states and Helm's labels are as the real engine and provider left them when they were killed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest
from lightkube import Client

from cli.cluster import connected, target_of
from cli.errors import CommandError
from cli.guards.stamp import RELEASED
from cli.resume import Pending, clear, end_dropped, hinders, pending_operations
from tests.cli.conftest import Project
from tests.cli.fake_api import FakeApi, certificates, kubeconfig, named

OURS = {"app.kubernetes.io/managed-by": "gpu-tenancy"}
HOST = "urn:pulumi:one::gpu-tenancy::pulumi:providers:kubernetes::host-provider::1234"
INNER = "urn:pulumi:one::gpu-tenancy::pulumi:providers:kubernetes::ml-virtual-cluster-inner::1234"
JOBS = "/apis/batch/v1/namespaces/team-ml/jobs/check"


def job(**labels: str) -> dict[str, Any]:
    """A Job as an input and as an object."""
    metadata = {"name": "check", "namespace": "team-ml", "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}


def operation(kind: str, inputs: dict[str, Any], *, what: str = "creating", provider: str = HOST) -> dict[str, Any]:
    """A pending operation as the state has it."""
    urn = f"urn:pulumi:one::gpu-tenancy::{kind}::it"
    return {"type": what, "resource": {"urn": urn, "type": kind, "inputs": inputs, "provider": provider}}


def state(pending: dict[str, Any], *resources: dict[str, Any]) -> dict[str, Any]:
    """An exported state."""
    return {"version": 3, "deployment": {"resources": list(resources), "pending_operations": [pending]}}


def service(name: str) -> dict[str, Any]:
    """A Service of ours on the host, as an input and as an object."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "team-ml", "labels": OURS},
    }


def cleared(api: FakeApi, exported: dict[str, Any]) -> list[str]:
    """What is said, after all of it is done."""

    def connect(_: Pending) -> AbstractContextManager[Client]:
        return connected(target_of(kubeconfig(api.url), "here"))

    return list(clear(pending_operations(exported), connect, []))


def gone(api: FakeApi, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    """What is said of a run that ended early, after all of it is done."""

    def connect(_: Pending) -> AbstractContextManager[Client]:
        return connected(target_of(kubeconfig(api.url), "here"))

    return list(end_dropped({"deployment": {"resources": before}}, {"deployment": {"resources": after}}, connect))


def deleted(api: FakeApi) -> list[str]:
    """Paths that were deleted."""
    return [path for method, path in api.seen if method == "DELETE"]


JOB = "kubernetes:batch/v1:Job"
RELEASE = "kubernetes:helm.sh/v3:Release"


def test_a_half_made_object_of_ours_is_removed(api: FakeApi) -> None:
    api.named[JOBS] = job(**OURS)
    assert cleared(api, state(operation(JOB, job(**OURS)))) == ["removed the half-made Job team-ml/check"]
    assert deleted(api) == [JOBS]


def test_what_a_removal_only_took_out_of_the_state_is_removed_where_the_removal_did_not_come(api: FakeApi) -> None:
    """As a `down` that was interrupted left it: the engine had not deleted these, because their release would go."""
    vcluster = {"urn": "urn:v", "type": RELEASE, "inputs": {"name": "ml", "namespace": "team-ml"}, "provider": HOST}
    mine = {"urn": "urn:j", "type": JOB, "inputs": job(**OURS), "provider": INNER, "deletedWith": "urn:v"}
    api.named[JOBS] = job(**OURS)
    assert gone(api, [vcluster, mine], [vcluster, mine]) == []  # the state has it still
    assert gone(api, [vcluster, {**mine, "deletedWith": ""}], [vcluster]) == []  # the engine has deleted it itself
    assert gone(api, [vcluster, {**mine, "external": True}], [vcluster]) == []  # it was only read
    assert gone(api, [vcluster, mine], []) == []  # it went with its release
    assert deleted(api) == []
    assert gone(api, [vcluster, mine], [vcluster]) == [
        "1 resource had left the state only, for a removal that never came: removed the half-made Job team-ml/check"
    ]
    assert deleted(api) == [JOBS]


def test_an_object_of_somebody_else_is_left_alone(api: FakeApi) -> None:
    api.named[JOBS] = job(**{"app.kubernetes.io/managed-by": "Helm"})
    assert cleared(api, state(operation(JOB, job(**OURS)))) == []
    assert deleted(api) == []


def test_an_object_that_was_never_made_is_fine(api: FakeApi) -> None:
    assert cleared(api, state(operation(JOB, job(**OURS)))) == []


def test_an_object_that_the_state_has_is_left_alone(api: FakeApi) -> None:
    api.named[JOBS] = job(**OURS)
    pending = operation(JOB, job(**OURS))
    assert cleared(api, state(pending, {"urn": pending["resource"]["urn"]})) == []
    assert deleted(api) == []


@pytest.mark.parametrize("mark", ["pendingReplacement", "delete"])
def test_in_the_middle_of_a_replacement_the_new_object_is_the_half_made_one(api: FakeApi, mark: str) -> None:
    api.named[JOBS] = job(**OURS)
    pending = operation(JOB, job(**OURS))
    cleared(api, state(pending, {"urn": pending["resource"]["urn"], mark: True}))
    assert deleted(api) == [JOBS]


@pytest.mark.parametrize("what", ["updating", "deleting", "reading"])
def test_what_was_being_changed_or_read_is_simply_done_again(api: FakeApi, what: str) -> None:
    api.named[JOBS] = job(**OURS)
    assert cleared(api, state(operation(JOB, job(**OURS), what=what))) == []
    assert deleted(api) == []


def test_a_node_is_never_deleted_for_a_pending_patch(api: FakeApi) -> None:
    api.named["/api/v1/nodes/gpu-0"] = named("Node", "v1", "gpu-0", metadata={"labels": OURS})
    inputs = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gpu-0"}}
    assert cleared(api, state(operation("kubernetes:core/v1:NodePatch", inputs))) == []
    assert deleted(api) == []


def test_a_queue_is_found_though_its_kind_is_no_kubernetes_kind(api: FakeApi) -> None:
    path = "/apis/scheduling.run.ai/v2/queues/ml"
    queue = {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": "ml", "labels": OURS}}
    api.named[path] = queue
    assert cleared(api, state(operation("kubernetes:scheduling.run.ai/v2:Queue", queue, provider=INNER)))
    assert deleted(api) == [path]


def test_a_topology_is_found_by_the_plural_of_its_own_kind(api: FakeApi) -> None:
    path = "/apis/kai.scheduler/v1alpha1/topologies/a100"
    found = {"apiVersion": "kai.scheduler/v1alpha1", "kind": "Topology", "metadata": {"name": "a100", "labels": OURS}}
    api.named[path] = found
    assert cleared(api, state(operation("kubernetes:kai.scheduler/v1alpha1:Topology", found, provider=INNER)))
    assert deleted(api) == [path]


def helm(api: FakeApi, *statuses: str) -> None:
    """Helm's records of release `ml`, one a revision."""
    api.objects["/api/v1/namespaces/team-ml/secrets"] = [
        named("Secret", "v1", f"sh.helm.release.v1.ml.v{number}", metadata={"labels": {"status": status}})
        for number, status in enumerate(statuses, 1)
    ]


def record(number: int) -> str:
    return f"/api/v1/namespaces/team-ml/secrets/sh.helm.release.v1.ml.v{number}"


INPUTS = {"name": "ml", "namespace": "team-ml"}


@pytest.mark.parametrize("status", ["pending-install", "deployed", "failed"])
def test_of_a_release_that_the_state_lacks_the_record_is_removed(api: FakeApi, status: str) -> None:
    helm(api, status)
    said = cleared(api, state(operation(RELEASE, INPUTS)))
    assert said == [f"removed the record of the unfinished Helm release team-ml/ml ({status})"]
    assert deleted(api) == [record(1)]


def test_of_a_known_release_only_the_unfinished_revision_is_removed(api: FakeApi) -> None:
    helm(api, "superseded", "deployed", "pending-upgrade")
    pending = operation(RELEASE, INPUTS, what="updating")
    cleared(api, state(pending, {"urn": pending["resource"]["urn"]}))
    assert deleted(api) == [record(3)]


def test_an_interrupted_uninstall_is_simply_done_again(api: FakeApi) -> None:
    helm(api, "uninstalling")
    pending = operation(RELEASE, INPUTS, what="deleting")
    assert cleared(api, state(pending, {"urn": pending["resource"]["urn"]})) == []
    assert deleted(api) == []


def test_the_cluster_of_an_operation_follows_from_its_provider() -> None:
    host, inner, other = (
        pending_operations(state(operation(JOB, {}, provider=provider)))[0]
        for provider in (HOST, INNER, HOST.replace("host-provider", "default_4_32_0"))
    )
    assert (host.on_host, host.tenant) == (True, None)
    assert (inner.on_host, inner.tenant) == (False, "ml")
    assert (other.on_host, other.tenant) == (False, None)


def test_a_dead_virtual_cluster_does_not_stop_the_run() -> None:
    def connect(_: Pending) -> AbstractContextManager[Client]:
        raise CommandError("it is away")

    pending, left = pending_operations(state(operation(JOB, job(**OURS), provider=INNER))), list[Pending]()
    assert list(clear(pending, connect, left)) == ["it: could not be looked at (it is away)"]
    assert left == pending, "to be looked at by the next run"


def test_a_virtual_cluster_that_does_not_answer_is_waited_for_once(api: FakeApi) -> None:
    asked: list[str | None] = []

    def connect(pending: Pending) -> AbstractContextManager[Client]:
        asked.append(pending.tenant)
        return connected(target_of(kubeconfig("http://127.0.0.1:1"), "here"))

    exported = state(operation(JOB, job(**OURS), provider=INNER))
    exported["deployment"]["pending_operations"] *= 3
    pending, left = pending_operations(exported), list[Pending]()
    assert not hinders(pending, connect)
    assert asked == ["ml"]
    assert len(list(clear(pending, connect, left))) == len(left) == 3
    assert asked == ["ml", "ml"]


@pytest.mark.parametrize(
    ("provider", "kind", "answers", "hindered"),
    [
        (HOST, JOB, False, True),
        (INNER, JOB, True, True),
        (INNER, JOB, False, False),
        (INNER, JOB, None, False),
        (INNER, "kubernetes:core/v1:NodePatch", True, False),
    ],
)
def test_a_virtual_cluster_that_does_not_answer_hinders_no_preview(
    api: FakeApi, provider: str, kind: str, answers: bool | None, hindered: bool
) -> None:
    def connect(pending: Pending) -> AbstractContextManager[Client] | None:
        assert pending.tenant == "ml", "the host is not asked"
        if answers is None:
            return None
        return connected(target_of(kubeconfig(api.url if answers else "http://127.0.0.1:1"), "here"))

    pending = pending_operations(state(operation(kind, job(**OURS), provider=provider)))
    assert hinders(pending, connect) is hindered


def test_a_virtual_cluster_is_asked_before_the_half_made_service_that_leads_to_it_goes(api: FakeApi) -> None:
    way = "/api/v1/namespaces/team-ml/services/ml-api"
    api.named[way] = service("ml-api")
    helm(api, "pending-install")

    def connect(pending: Pending) -> AbstractContextManager[Client]:
        if pending.tenant and way in deleted(api):
            raise CommandError("connection refused")
        return connected(target_of(kubeconfig(api.url), "here"))

    exported = state(operation("kubernetes:core/v1:Service", service("ml-api")))
    exported["deployment"]["pending_operations"].append(operation(RELEASE, INPUTS, provider=INNER))
    assert list(clear(pending_operations(exported), connect, [])) == [
        "removed the record of the unfinished Helm release team-ml/ml (pending-install)",
        "removed the half-made Service team-ml/ml-api",
    ]
    assert deleted(api) == [record(1), way]


@pytest.mark.slow
def test_operations_of_a_virtual_cluster_that_does_not_answer_stay_in_the_state(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import of the state would drop all of them, and Helm would refuse the name once the cluster is back."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    project.api.named["/api/v1/namespaces/team-ml/secrets/vc-ml"] = certificates()
    monkeypatch.setattr("cli.reach.team_kubeconfig", lambda *_: kubeconfig("http://127.0.0.1:1"))
    inner = "urn:pulumi:one::gpu-tenancy::pulumi:providers:kubernetes::ml-virtual-cluster-inner::1"
    resource = {
        "urn": "urn:pulumi:one::gpu-tenancy::t::ml-kai",
        "type": "kubernetes:helm.sh/v3:Release",
        "provider": inner,
        "inputs": {"name": "kai-scheduler", "namespace": "kai-scheduler"},
    }
    pending = [{"resource": resource, "type": "creating"}]
    project.export({"version": 3, "deployment": {"resources": [], "pending_operations": pending}})
    assert project.run("up") == 0
    assert "ml-kai: could not be looked at" in capsys.readouterr().err
    assert not (project.home / "imported").exists()
    assert project.run("preview") == 0
    (environment,) = (
        env for call, env in zip(project.calls(), project.environments(), strict=True) if call[0] == "preview"
    )
    assert environment[RELEASED] == "", "the program does not refuse it"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["up", "down"])
@pytest.mark.parametrize(
    "locked",
    [
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end",
        "error: [409] Conflict: Another update is currently in progress.",
        "",
    ],
)
def test_what_a_run_on_a_remote_backend_is_making_is_not_taken_for_half_made(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, locked: str
) -> None:
    """The engine's lock says that it is at work; a bucket's can't be read from here."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    monkeypatch.setenv("STUB_LOCKED", locked)
    project.api.named[JOBS] = job(**OURS)
    project.export(state(operation(JOB, job(**OURS))))
    assert project.run(command) == (1 if locked else 0)
    assert deleted(project.api) == ([] if locked else [JOBS])
    assert ("another run holds the stack" in capsys.readouterr().err) is bool(locked)
    assert (project.home / "imported").exists() is not bool(locked)
