"""A tenant's virtual cluster: whole specs, and that nothing is sent to its API before it answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

import kube
from components.failures import FailedError
from components.team import virtual_cluster
from components.team.tenant import resolve
from settings.load import parse_platform
from tests.components.program import lab
from tests.components.specs import made, of_team, parsed, plain
from tests.conftest import Declare
from tests.recording import Recorder, answered, certificates, kubeconfig

RELEASE = {
    "name": "ml",
    "namespace": "team-ml",
    "chart": "vcluster",
    "version": "0.36.1",
    "repositoryOpts": {"repo": "https://charts.loft.sh"},
    "atomic": True,
    "cleanupOnFail": True,
    "maxHistory": 5,
    "timeout": 600,
}
OFF = {"enabled": False}


def resources(cpu: str, memory: str, limit: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}


def values(**changes: Any) -> dict[str, Any]:
    """The lab's values of `ml`, with some at a dotted path changed."""
    found: dict[str, Any] = {
        "controlPlane": {
            "backingStore": {"database": {"embedded": {"enabled": True}}},
            "coredns": {"deployment": {"resources": resources("5m", "32Mi", "170Mi")}},
            "distro": {"k8s": {"enabled": True, "image": {"tag": "v1.34.4"}, "scheduler": {"enabled": True}}},
            "proxy": {"extraSANs": ["ml.team-ml.svc", "ml.team-ml.svc", "127.0.0.1"]},
            "service": {"spec": {"type": "ClusterIP"}},
            "statefulSet": {
                "image": {"repository": "loft-sh/vcluster-oss"},
                "persistence": {"volumeClaim": {"enabled": True, "size": "5Gi"}},
                "probes": {"startupProbe": {"periodSeconds": 1, "failureThreshold": 1800}},
                "resources": resources("60m", "640Mi", "4096Mi"),
                "scheduling": {"priorityClassName": "team-ml"},
            },
        },
        "exportKubeConfig": {"context": "ml", "server": "https://127.0.0.1:30868"},
        "networking": {"advanced": {"proxyKubelets": {"byHostname": False, "byIP": False}}},
        "policies": {"limitRange": OFF, "networkPolicy": OFF, "resourceQuota": OFF},
        "sync": {
            "fromHost": {
                "nodes": {
                    "clearImageStatus": True,
                    "enabled": True,
                    "selector": {"labels": {"gpu-tenancy/pool": "a100"}},
                },
                "priorityClasses": OFF,
                "runtimeClasses": {"enabled": True},
            },
            "toHost": {
                "pods": {
                    "enforceTolerations": ["nvidia.com/gpu=present:NoSchedule"],
                    "priorityClassName": "team-ml",
                    "useSecretsForSATokens": True,
                }
            },
        },
    }
    for path, value in changes.items():
        *steps, last = path.split("__")
        holder = found
        for step in steps:
            holder = holder.setdefault(step, {})
        if value is None:
            holder.pop(last)
        else:
            holder[last] = value
    return found


def release(recorder: Recorder) -> dict[str, Any]:
    return dict(made(recorder, "ml-virtual-cluster")["vcluster"].spec)


class TestSpecs:
    """What is made on the host for a tenant's API."""

    def test_the_release_of_a_team_with_its_own_kai(self, declare: Declare) -> None:
        found = made(declare("lab"), "ml-virtual-cluster")
        assert set(found) == {"vcluster", "api", "inner"}
        assert found["vcluster"].spec == {**RELEASE, "values": values()}
        assert (found["vcluster"].provider, found["vcluster"].protected) == ("host-provider", True)

    def test_a_control_plane_that_stands_is_not_restarted_for_the_way_that_a_start_is_watched(
        self, declare: Declare
    ) -> None:
        found = made(declare("lab"), "ml-virtual-cluster")["vcluster"]
        assert found.ignored == ("values.controlPlane.statefulSet.probes",)

    def test_its_service_leads_to_the_control_plane(self, declare: Declare) -> None:
        found = made(declare("lab"), "ml-virtual-cluster")["api"]
        assert found.spec == {
            "metadata": {"name": "ml-api", "namespace": "team-ml", "labels": of_team("ml")},
            "spec": {
                "type": "NodePort",
                "selector": {"app": "vcluster", "release": "ml"},
                "ports": [{"name": "https", "port": 443, "targetPort": 8443, "nodePort": 30868}],
            },
        }
        assert (found.provider, found.protected) == ("host-provider", False)

    def test_its_inner_provider_goes_with_it_and_fails_fast(self, declare: Declare) -> None:
        found = made(declare("lab"), "ml-virtual-cluster")["inner"]
        spec = dict(found.spec)
        assert parsed(spec.pop("kubeconfig")) == {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "ml",
            "contexts": [{"name": "ml", "context": {"cluster": "ml", "user": "ml"}}],
            "clusters": [
                {"name": "ml", "cluster": {"server": "https://127.0.0.1:30868", "certificate-authority-data": "Q0E="}}
            ],
            "users": [
                {"name": "ml", "user": {"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}},
            ],
        }
        assert spec == {"clusterIdentifier": "gpu-tenancy/unit/ml", "kubeClientSettings": '{"timeout": 60}'}
        assert found.goes_with == "ml-virtual-cluster-vcluster"

    def test_a_load_balancer_has_the_teams_first_name_and_no_node_port_of_ours(self, declare: Declare) -> None:
        data = lab(
            "ml", teams__ml__access={"expose": "loadBalancer", "hostNames": ["ml.example.com", "ml.example.org"]}
        )
        found = made(declare(data), "ml-virtual-cluster")
        assert found["api"].spec["spec"]["type"] == "LoadBalancer"
        assert found["api"].spec["spec"]["ports"] == [{"name": "https", "port": 443, "targetPort": 8443}]
        assert found["vcluster"].spec["values"] == values(
            exportKubeConfig__server="https://ml.example.com",
            controlPlane__proxy__extraSANs=["ml.team-ml.svc", "ml.team-ml.svc", "ml.example.com", "ml.example.org"],
        )

    def test_under_the_hosts_kai_no_scheduler_runs_inside_and_pods_have_no_owner(self, declare: Declare) -> None:
        data = lab(
            "ml",
            host={"provider": "lab", "scheduler": {"version": "v0.16.8"}},
            teams__ml__scheduler={"mode": "host", "gpuSharing": True},
            teams__ml__check={},
        )
        assert release(declare(data))["values"] == values(
            controlPlane__distro__k8s={
                "enabled": True,
                "image": {"tag": "v1.34.4"},
                "scheduler": {"enabled": False},
            },
            experimental={"syncSettings": {"setOwner": False}},
        )

    def test_a_restricted_team_has_a_control_plane_that_the_level_admits(self, declare: Declare) -> None:
        as_nobody = {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        security = {"podSecurityContext": {"fsGroup": 65532}, "containerSecurityContext": as_nobody}
        data = lab(
            "ml",
            teams__ml__isolation="restricted",
            teams__ml__vcluster={"backingStore": "etcd"},
            teams__ml__scheduler={"mode": "virtual", "version": "v0.16.8"},
            teams__ml__check={},
        )
        found = release(declare(data))["values"]["controlPlane"]
        assert found["distro"]["k8s"]["securityContext"] == as_nobody
        assert found["statefulSet"]["security"] == security
        assert found["backingStore"]["etcd"]["deploy"]["statefulSet"]["security"] == security
        assert found["coredns"]["security"] == {"podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}

    def test_a_mirror_is_where_chart_and_images_come_from(self, declare: Declare) -> None:
        artifacts = {
            "charts": {"vcluster": "oci://registry.example.com/charts/vcluster"},
            "imageRegistry": "registry.example.com",
            "imagePullPolicy": "IfNotPresent",
        }
        found = release(declare(lab("ml", artifacts=artifacts)))
        assert found["chart"] == "oci://registry.example.com/charts/vcluster"
        assert "repositoryOpts" not in found
        assert found["values"] == values(
            controlPlane__advanced={"defaultImageRegistry": "registry.example.com"},
            controlPlane__statefulSet__imagePullPolicy="IfNotPresent",
            controlPlane__distro__k8s__imagePullPolicy="IfNotPresent",
        )


class TestAnswers:
    """The first objects inside must not meet a port that nobody serves yet."""

    def test_everything_inside_waits_for_the_api_before_each_create_and_update(self, declare: Declare) -> None:
        inner = [
            each
            for each in declare("lab").resources
            if "-inner::" in each.provider and not each.read and not each.name.endswith("-inner")
        ]
        assert len(inner) > 40
        for each in inner:
            team = each.name.partition("-")[0]
            assert each.options.hooks.before_create[0] == f"{team}-virtual-cluster-answers", each.name
            assert each.options.hooks.before_update[0] == f"{team}-virtual-cluster-answers", each.name

    def test_the_kubeconfig_is_there_only_once_the_api_answers_at_its_address(self, declare: Declare) -> None:
        recorder = declare("lab")
        asked = [(team, parsed(text)["clusters"][0]["cluster"]["server"]) for text, team in recorder.asked]
        assert sorted(asked) == [
            ("dev", "https://127.0.0.1:31167"),
            ("ml", "https://127.0.0.1:30868"),
            ("research", "https://127.0.0.1:31034"),
        ]
        registered = [each.name for each in recorder.resources]
        # the Service that the address is about is made before
        assert registered.index("ml-virtual-cluster-api") < registered.index("ml-virtual-cluster-inner")

    def test_a_preview_asks_nobody(self, declare: Declare) -> None:
        assert declare(lab("ml"), preview=True).asked == []

    def test_the_hook_asks_with_the_teams_own_credentials(
        self, declare: Declare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder = declare("lab")
        hook = recorder.hooks.by_name["research-virtual-cluster-answers"]
        asked: list[tuple[str, str]] = []
        monkeypatch.setattr(kube, "wait_until_it_answers", lambda text, team: asked.append((text, team)))
        answered(hook.callback(None))
        assert [team for _, team in asked] == ["research"]
        assert parsed(asked[0][0])["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:31034"


class TestTheServiceThatTenantsComeInBy:
    """A NodePort's is not waited for longer than it takes to be there: the provider calls it ready 10 s later."""

    async def awaited(self, *, whole: bool, answers: bool | None) -> bool:
        """Whether the wait is over before the engine has said anything, or after it said how the Service did."""
        said: asyncio.Future[str] = asyncio.Future()
        service: Any = SimpleNamespace(urn=SimpleNamespace(future=lambda: said))
        if answers is False:
            said.set_exception(FailedError("resource ml-api failed to register"))
        waiting = asyncio.ensure_future(virtual_cluster._not_refused(service, whole=whole))
        for _ in range(5):
            await asyncio.sleep(0)
        over = waiting.done()
        if answers:
            said.set_result("urn")
        await waiting
        return over

    def test_a_node_port_is_asked_while_the_provider_still_waits(self) -> None:
        assert answered(self.awaited(whole=False, answers=None))

    def test_a_load_balancer_has_its_address_first(self) -> None:
        assert not answered(self.awaited(whole=True, answers=True))

    @pytest.mark.parametrize("expose", ["nodePort", "loadBalancer"])
    def test_only_a_load_balancer_is_waited_for(
        self, declare: Declare, monkeypatch: pytest.MonkeyPatch, expose: str
    ) -> None:
        asked: list[bool] = []

        async def not_refused(_: object, *, whole: bool) -> None:
            asked.append(whole)

        monkeypatch.setattr(virtual_cluster, "_not_refused", not_refused)
        declare(lab("ml", teams__ml__access={"expose": expose, "hostNames": ["ml.example.com"]}), stack=f"by-{expose}")
        assert asked == [expose == "loadBalancer"]

    @pytest.mark.parametrize("whole", [True, False])
    def test_nobody_is_asked_behind_one_that_was_refused(self, whole: bool) -> None:
        with pytest.raises(FailedError, match="resource ml-api failed to register"):
            answered(self.awaited(whole=whole, answers=False))


@pytest.mark.parametrize("missing", ["certificate-authority", "client-certificate", "client-key", None])
def test_a_secret_without_its_certificates_is_that_teams_failure_and_names_the_secret(
    monkeypatch: pytest.MonkeyPatch, missing: str | None
) -> None:
    data = {key: value for key, value in certificates().items() if missing and key != missing}
    monkeypatch.setattr(kube, "read_secret", lambda *_: data)
    tenant = resolve(parse_platform(lab("ml"), "test"))["ml"]
    with pytest.raises(LookupError, match="team ml: Secret team-ml/vc-ml has no certificates"):
        virtual_cluster._admin_kubeconfig(tenant, kubeconfig("unit"))


def test_its_certificates_alone_make_a_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "read_secret", certificates)
    tenant = resolve(parse_platform(lab("ml"), "test"))["ml"]
    (user,) = parsed(virtual_cluster._admin_kubeconfig(tenant, kubeconfig("unit")))["users"]
    assert user["user"] == {"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}


def test_outputs_are_plain_data() -> None:
    assert plain({"a": [1.0, 0.5]}) == {"a": [1, 0.5]}
