"""What an install of Helm's that did not end left outside of its namespace goes with that, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from cli.cluster import target_of
from cli.half_made import half_made, owned_half_made
from cli.locks import Lock
from kube.half_made import BINDINGS, CRDS, DEPLOYMENTS, OUTSIDE, ROLES, Install, own_half_made
from names import GPU_OPERATOR_NAMESPACE, KAI_NAMESPACE, MANAGED_BY, OWNED_KINDS
from tests.cli.conftest import Project
from tests.cli.fake_api import FakeApi, kubeconfig, named
from tests.cli.test_resume import HOST, INNER, operation, state

BEFORE, MADE, AFTER = "2026-11-20T10:00:00Z", "2026-11-26T10:00:00Z", "2026-11-26T10:00:05Z"
RELEASE = "kubernetes:helm.sh/v3:Release"
KAI = {"name": "kai-scheduler", "namespace": KAI_NAMESPACE}
OWNER = {"apiVersion": "v1", "kind": "Namespace", "name": KAI_NAMESPACE, "uid": "u-kai"}
QUEUES = "/apis/scheduling.run.ai/v2/queues"
PRIORITIES, MUTATING, VALIDATING = (path for path in OUTSIDE if path not in (ROLES, BINDINGS))


def resource(kind: str, provider: str = HOST, **metadata: str) -> dict[str, Any]:
    """An object as the state has it."""
    urn = f"urn:pulumi:one::gpu-tenancy::{kind}::{metadata.get('name')}-{metadata.get('namespace')}"
    return {"urn": urn, "type": kind, "provider": provider, "inputs": {"metadata": metadata}}


def space(name: str = KAI_NAMESPACE, provider: str = HOST) -> dict[str, Any]:
    return resource("kubernetes:core/v1:Namespace", provider, name=name)


def release(name: str, namespace: str) -> dict[str, Any]:
    found = resource(RELEASE, name=name)
    return {**found, "inputs": {"name": name, "namespace": namespace}}


def complete(namespace: str = KAI_NAMESPACE) -> dict[str, Any]:
    return resource("kubernetes:core/v1:ConfigMap", name=OWNED_KINDS, namespace=namespace)


KILLED = state(operation(RELEASE, KAI), space())
NONE_PENDING: dict[str, Any] = {"version": 3, "deployment": {"resources": [space()]}}


def of_release(name: str = "kai-scheduler", namespace: str = KAI_NAMESPACE) -> dict[str, str]:
    return {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}


def thing(name: str, at: str = AFTER, **more: Any) -> dict[str, Any]:
    """Any object without a namespace."""
    annotations = more.pop("annotations", {})
    metadata = {"uid": f"u-{name}", "creationTimestamp": at, "annotations": annotations, **more.pop("metadata", {})}
    return named("Any", "v1", name, metadata=metadata, **more)


def hook(name: str, **more: Any) -> dict[str, Any]:
    return thing(name, annotations={"helm.sh/hook": "pre-install,pre-upgrade"}, **more)


def binding(name: str, role: str, namespace: str = KAI_NAMESPACE, **more: Any) -> dict[str, Any]:
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return hook(name, subjects=[subject], roleRef={"kind": "ClusterRole", "name": role}, **more)


@pytest.fixture
def cluster(api: FakeApi) -> FakeApi:
    """A host on which an install of KAI was killed."""
    metadata = {"uid": "u-kai", "labels": MANAGED_BY, "creationTimestamp": MADE}
    api.named[f"/api/v1/namespaces/{KAI_NAMESPACE}"] = named("Namespace", "v1", KAI_NAMESPACE, metadata=metadata)
    api.objects.update({path: [] for path in (*OUTSIDE, CRDS, DEPLOYMENTS)})
    return api


def has_crd(api: FakeApi, name: str, at: str = AFTER, **metadata: Any) -> None:
    crd = thing(name, at, metadata=metadata)
    api.objects[CRDS].append(crd)
    api.named[f"{CRDS}/{name}"] = crd


def owned(api: FakeApi) -> list[str]:
    """What KAI's namespace owns now."""
    return sorted(
        one["metadata"]["name"]
        for path in (*OUTSIDE, CRDS)
        for one in api.objects[path]
        if one["metadata"].get("ownerReferences") == [OWNER]
    )


def said(api: FakeApi, exported: dict[str, Any]) -> list[str]:
    return list(owned_half_made(half_made(exported), target_of(kubeconfig(api.url), "here")))


LEFT = "what the unfinished Helm release kai-scheduler/kai-scheduler left outside of its namespace"


class TestWhichInstalls:
    """By the state alone."""

    def test_a_release_that_was_being_made_on_the_host(self) -> None:
        inputs = {"name": "ml", "namespace": "team-ml"}
        assert half_made(state(operation(RELEASE, inputs))) == [Install(namespace="team-ml", release="ml")]

    @pytest.mark.parametrize(
        "exported",
        [
            state(operation(RELEASE, KAI, provider=INNER)),
            state(operation(RELEASE, KAI, what="updating"), release("kai-scheduler", KAI_NAMESPACE)),
            state(operation("kubernetes:core/v1:Secret", {"metadata": {"name": "a"}})),
            {"deployment": {"resources": [space(), release("kai-scheduler", KAI_NAMESPACE), complete()]}},
            {"deployment": {"resources": [space(provider=INNER)]}},
            {"deployment": {"resources": [space("team-ml"), release("ml", "team-ml")]}},
            {"deployment": {"resources": [{**space(), "delete": True}]}},
            {},
        ],
    )
    def test_and_no_other(self, exported: dict[str, Any]) -> None:
        assert half_made(exported) == []

    @pytest.mark.parametrize("recorded", [False, True])
    def test_a_chart_with_crds_whose_record_of_them_never_came(self, recorded: bool) -> None:
        # the install failed, or Ctrl-C came: no operation is pending then
        for namespace, name, crd, used in (
            (KAI_NAMESPACE, "kai-scheduler", "queues.scheduling.run.ai", QUEUES),
            (GPU_OPERATOR_NAMESPACE, "gpu-operator", "clusterpolicies.nvidia.com", ""),
        ):
            # one of another namespace says nothing
            found = [space(namespace), complete("elsewhere"), *([release(name, namespace)] if recorded else [])]
            (install,) = half_made({"deployment": {"resources": found}})
            assert (install.namespace, install.release, install.recorded) == (namespace, name, recorded)
            assert crd in install.crds
            assert install.used == used

    def test_no_crd_that_other_software_brings_too(self) -> None:
        (install,) = half_made({"deployment": {"resources": [space(GPU_OPERATOR_NAMESPACE)]}})
        assert "gpuclusters.nvidia.com" in install.crds
        assert not [crd for crd in install.crds if crd.endswith("resource.nvidia.com")]


class TestWhatGoesWithTheNamespace:
    """What is this install's without doubt."""

    def test_the_crds_and_what_the_release_and_its_hooks_made(self, cluster: FakeApi) -> None:
        has_crd(cluster, "queues.scheduling.run.ai")
        has_crd(cluster, "configs.kai.scheduler")
        cluster.objects[ROLES] += [thing("kai-operator", annotations=of_release()), hook("crd-manager")]
        cluster.objects[BINDINGS] += [binding("crd-manager", "crd-manager")]
        cluster.objects[PRIORITIES].append(thing("train", annotations=of_release()))
        cluster.objects[MUTATING].append(thing("kai-mutating", annotations=of_release()))
        cluster.objects[VALIDATING].append(thing("kai-validating", annotations=of_release()))
        assert said(cluster, KILLED) == [
            f"{LEFT} goes with it from now on: ClusterRole kai-operator, ClusterRole crd-manager, "
            "ClusterRoleBinding crd-manager and 5 more"
        ]
        assert owned(cluster) == [
            *("configs.kai.scheduler", "crd-manager", "crd-manager", "kai-mutating", "kai-operator", "kai-validating"),
            *("queues.scheduling.run.ai", "train"),
        ]

    def test_of_a_release_that_the_state_has_helm_removes_its_own(self, cluster: FakeApi) -> None:
        has_crd(cluster, "configs.kai.scheduler")
        cluster.objects[ROLES] += [thing("kai-operator", annotations=of_release()), hook("crd-manager")]
        cluster.objects[BINDINGS] += [binding("crd-manager", "crd-manager")]
        said(cluster, {"deployment": {"resources": [space(), release("kai-scheduler", KAI_NAMESPACE)]}})
        assert owned(cluster) == ["configs.kai.scheduler", "crd-manager", "crd-manager"]

    def test_of_the_gpu_operator_its_crds(self, cluster: FakeApi) -> None:
        metadata = {"uid": "u-gpu", "labels": MANAGED_BY, "creationTimestamp": MADE}
        where = f"/api/v1/namespaces/{GPU_OPERATOR_NAMESPACE}"
        cluster.named[where] = named("Namespace", "v1", GPU_OPERATOR_NAMESPACE, metadata=metadata)
        has_crd(cluster, "clusterpolicies.nvidia.com")
        said(cluster, {"deployment": {"resources": [space(GPU_OPERATOR_NAMESPACE)]}})
        (owner,) = cluster.objects[CRDS][0]["metadata"]["ownerReferences"]
        assert owner["uid"] == "u-gpu"

    def test_of_a_virtual_cluster_its_role(self, cluster: FakeApi) -> None:
        metadata = {"uid": "u-ml", "labels": MANAGED_BY, "creationTimestamp": MADE}
        cluster.named["/api/v1/namespaces/team-ml"] = named("Namespace", "v1", "team-ml", metadata=metadata)
        cluster.objects[ROLES].append(thing("vc-ml", annotations=of_release("ml", "team-ml")))
        said(cluster, state(operation(RELEASE, {"name": "ml", "namespace": "team-ml"})))
        owner = {**OWNER, "name": "team-ml", "uid": "u-ml"}
        assert cluster.objects[ROLES][0]["metadata"]["ownerReferences"] == [owner]

    def test_each_kind_is_named(self, cluster: FakeApi) -> None:
        for path, kind in ((PRIORITIES, "PriorityClass"), (MUTATING, "Mutating"), (VALIDATING, "Validating")):
            name = kind if kind == "PriorityClass" else f"{kind}WebhookConfiguration"
            cluster.objects[path] = [thing("it", annotations=of_release())]
            assert said(cluster, KILLED) == [f"{LEFT} goes with it from now on: {name} it"]
            cluster.objects[path] = []

    def test_what_was_made_in_the_same_second_as_the_namespace(self, cluster: FakeApi) -> None:
        has_crd(cluster, "queues.scheduling.run.ai", MADE)
        cluster.objects[BINDINGS] += [binding("crd-manager", "crd-manager", metadata={"creationTimestamp": MADE})]
        said(cluster, KILLED)
        assert owned(cluster) == ["crd-manager", "queues.scheduling.run.ai"]

    def test_also_where_its_crd_serves_nothing_yet(self, cluster: FakeApi) -> None:
        has_crd(cluster, "queues.scheduling.run.ai")
        cluster.objects[QUEUES] = []
        cluster.refused[QUEUES] = 404
        said(cluster, KILLED)
        assert owned(cluster) == ["queues.scheduling.run.ai"]

    def test_an_owner_is_merged_into_the_very_object_that_was_read(self, cluster: FakeApi) -> None:
        seen: list[tuple[str, str, dict[str, Any]]] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            body = json.loads(request.content or b"{}")
            seen.append((request.method, request.url.path, {"headers": request.headers, "body": body}))
            code, found = cluster.answer(request.method, request.url.path, body)
            return httpx2.Response(code, json=found)

        has_crd(cluster, "queues.scheduling.run.ai")
        (install,) = half_made(KILLED)
        with httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://127.0.0.1") as api:
            list(own_half_made(api, install))
        where = f"{CRDS}/queues.scheduling.run.ai"
        read = next(how for method, path, how in seen if (method, path) == ("GET", where))
        assert "PartialObjectMetadata" in read["headers"]["Accept"], "of a CRD's 0.2 MB nothing else is needed"
        (patch,) = (how for method, path, how in seen if (method, path) == ("PATCH", where))
        assert patch["headers"]["Content-Type"] == "application/merge-patch+json"
        uid = "u-queues.scheduling.run.ai"
        assert patch["body"] == {"metadata": {"uid": uid, "ownerReferences": [OWNER]}}


class TestWhatStays:
    """What may be somebody else's."""

    @pytest.mark.parametrize(
        ("path", "other"),
        [
            (ROLES, thing("another-release", annotations=of_release("kai-two"))),
            (ROLES, thing("another-namespace", annotations=of_release(namespace="kai"))),
            (ROLES, thing("nobody-s")),
            (ROLES, hook("cluster-admin", metadata={"creationTimestamp": BEFORE})),
            (ROLES, thing("cluster-admin")),
            (ROLES, hook("bound-by-nobody")),
            (BINDINGS, binding("elsewhere", "cluster-admin", namespace="kai")),
            (BINDINGS, binding("older", "cluster-admin", metadata={"creationTimestamp": BEFORE})),
            (BINDINGS, {**binding("nobody", "cluster-admin"), "subjects": []}),
            (PRIORITIES, hook("a-hook-s-class")),
        ],
    )
    def test_another_one_s_object(self, cluster: FakeApi, path: str, other: dict[str, Any]) -> None:
        cluster.objects[BINDINGS].append(binding("ours", "cluster-admin"))
        cluster.objects[path].append(other)
        said(cluster, KILLED)
        assert owned(cluster) == ["ours"]

    def test_a_binding_that_gives_rights_to_another_namespace_too(self, cluster: FakeApi) -> None:
        both = binding("both", "kai")
        both["subjects"].append({"kind": "ServiceAccount", "name": "x", "namespace": "kai"})
        cluster.objects[BINDINGS].append(both)
        assert said(cluster, KILLED) == []
        assert owned(cluster) == []

    def test_a_crd_that_is_older_than_the_namespace_or_has_an_owner(self, cluster: FakeApi) -> None:
        has_crd(cluster, "queues.scheduling.run.ai", BEFORE)
        has_crd(cluster, "configs.kai.scheduler", ownerReferences=[{"kind": "Other"}])
        has_crd(cluster, "anything.else.com")
        assert said(cluster, KILLED) == []
        assert owned(cluster) == []

    @pytest.mark.parametrize(
        ("path", "user", "told"),
        [
            (
                DEPLOYMENTS,
                ("kai-scheduler-default", "kai", "r.example.com/x:1"),
                "Deployment kai/kai-scheduler-default",
            ),
            (DEPLOYMENTS, ("operator", "run", "r.example.com/kai-scheduler/operator:v1"), "Deployment run/operator"),
            (QUEUES, ("theirs", "", ""), "queues/theirs"),
        ],
    )
    def test_crds_that_somebody_else_may_use_and_how_to_remove_them(
        self, cluster: FakeApi, path: str, user: tuple[str, str, str], told: str
    ) -> None:
        name, namespace, image = user
        has_crd(cluster, "queues.scheduling.run.ai")
        has_crd(cluster, "configs.kai.scheduler")
        cluster.objects[ROLES].append(thing("kai-operator", annotations=of_release()))
        spec = {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}
        found = named("Any", "v1", name, metadata={"namespace": namespace}, spec=spec)
        cluster.objects.setdefault(path, []).append(found)
        crds = "configs.kai.scheduler queues.scheduling.run.ai"
        lines = said(cluster, KILLED)
        assert lines == [
            f"{LEFT} goes with it from now on: ClusterRole kai-operator",
            f"{LEFT}, and that stays, because {told} may use it: {crds}. If nobody does: `kubectl delete crd {crds}`",
        ]
        assert owned(cluster) == ["kai-operator"]

    def test_our_own_operator_and_queues_are_nobody_else(self, cluster: FakeApi) -> None:
        has_crd(cluster, "queues.scheduling.run.ai")
        ours = {"namespace": KAI_NAMESPACE}
        cluster.objects[DEPLOYMENTS] += [
            named("Deployment", "apps/v1", "kai-operator", metadata=ours),
            named("Deployment", "apps/v1", "web", metadata={"namespace": "shop"}),
        ]
        cluster.objects[QUEUES] = [named("Queue", "scheduling.run.ai/v2", "ml", metadata={"labels": MANAGED_BY})]
        said(cluster, KILLED)
        assert owned(cluster) == ["queues.scheduling.run.ai"]

    @pytest.mark.parametrize("labels", [None, {}, {"app.kubernetes.io/managed-by": "Helm"}])
    def test_all_of_it_where_the_namespace_is_not_ours(self, cluster: FakeApi, labels: dict[str, str] | None) -> None:
        has_crd(cluster, "queues.scheduling.run.ai")
        where = f"/api/v1/namespaces/{KAI_NAMESPACE}"
        cluster.named[where]["metadata"]["labels"] = labels or {}
        if labels is None:
            del cluster.named[where]
        assert said(cluster, KILLED) == []
        assert owned(cluster) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        *((ROLES, 403), (DEPLOYMENTS, 404), (QUEUES, 403), (QUEUES, 503)),
        *((f"{CRDS}/queues.scheduling.run.ai", 503), (f"/api/v1/namespaces/{KAI_NAMESPACE}", 403)),
    ],
)
def test_a_cluster_that_does_not_say_what_it_has_stops_no_run_and_nothing_is_taken(
    cluster: FakeApi, path: str, code: int
) -> None:
    has_crd(cluster, "queues.scheduling.run.ai")
    cluster.refused[path] = code
    assert said(cluster, KILLED) == [
        "what unfinished Helm releases left outside of namespace kai-scheduler was not looked at: "
        f"{path} can't be read: refused: {path}"
    ]
    assert owned(cluster) == []


def test_an_object_that_is_gone_meanwhile_is_fine_and_a_refusal_is_said(cluster: FakeApi) -> None:
    cluster.objects[ROLES].append(thing("kai-operator", annotations=of_release()))
    for code, line in ((404, "goes with it from now on"), (409, "goes with it from now on"), (403, "not looked at")):
        cluster.refused[f"{ROLES}/kai-operator"] = code
        (told,) = said(cluster, KILLED)
        assert line in told


def test_without_a_cluster_nothing_is_asked(cluster: FakeApi) -> None:
    assert list(owned_half_made(half_made(KILLED), None)) == []
    assert cluster.seen == []


@pytest.mark.parametrize("command", ["up", "down"])
def test_it_is_done_before_the_engine_runs(
    project: Project,
    cluster: FakeApi,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    has_crd(cluster, "queues.scheduling.run.ai")
    project.export(NONE_PENDING)
    assert project.run(command) == 0
    said = capsys.readouterr().err
    assert f"{LEFT} goes with it from now on: CRD queues.scheduling.run.ai" in said
    assert owned(cluster) == ["queues.scheduling.run.ai"]
    assert project.did("destroy" if command == "down" else "up")


@pytest.mark.parametrize("exported", [KILLED, NONE_PENDING])
@pytest.mark.parametrize("locked", ["error: the stack is currently locked by 1 lock(s).", ""])
def test_what_a_run_on_a_remote_backend_installs_is_not_taken_for_half_made(
    project: Project, cluster: FakeApi, monkeypatch: pytest.MonkeyPatch, exported: dict[str, Any], locked: str
) -> None:
    """The engine's lock says that it is at work; a bucket's can't be read from here."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    monkeypatch.setenv("STUB_LOCKED", locked)
    has_crd(cluster, "queues.scheduling.run.ai")
    project.export(exported)
    assert project.run("up") == (1 if locked else 0)
    assert owned(cluster) == ([] if locked else ["queues.scheduling.run.ai"])


def test_what_a_run_finished_since_the_state_was_read_is_not_half_made(
    project: Project, cluster: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> list[Lock]:
        project.export({"version": 3, "deployment": {"resources": [space(), complete()]}})
        return []

    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    monkeypatch.setattr("cli.engine.read_locks", ended)
    has_crd(cluster, "queues.scheduling.run.ai")
    project.export(NONE_PENDING)
    assert project.run("up") == 0
    assert owned(cluster) == []
