"""A node out of service: the cordon, the arithmetic without it, who is told, and the way back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from cli.preflight import Fence, Level
from names import CHECK_REPORT
from settings.load import parse_platform
from settings.models import Platform
from tests.cli.conftest import STACK_FILE, Project
from tests.cli.fake_api import kubeconfig, named
from tests.cli.fake_api import node as api_node
from tests.cli.one_pool import facts, found, node

pytestmark = pytest.mark.slow

NODES = "/api/v1/nodes"
REPORTS = "/api/v1/namespaces/gpu-tenancy/configmaps"
TWO_NODES = STACK_FILE.replace("[gpu-0]", "[gpu-0, gpu-1]").replace("gpus: 2", "gpus: {quota: 6, limit: 8}")
XID = Fence(since="2026-11-26T04:00:00Z", reason="Xid 79", cordoned_before=False)


def fence(project: Project, name: str = "gpu-0", reason: str = "Xid 79") -> int:
    return project.run("fence", "--node", name, "--reason", reason)


def there(project: Project, name: str = "gpu-0") -> dict[str, Any]:
    """The node as the cluster has it."""
    return next(each for each in project.api.objects[NODES] if each["metadata"]["name"] == name)


def ids(findings: Sequence[Any]) -> list[str]:
    return [finding.id for finding in findings]


class TestTheNode:
    def test_a_fence_cordons_the_node_and_says_why_on_it(self, project: Project) -> None:
        assert fence(project) == 0
        metadata, spec = there(project)["metadata"], there(project)["spec"]
        assert spec["unschedulable"] is True
        assert metadata["labels"]["gpu-tenancy/fenced"] == "true"
        assert metadata["annotations"]["gpu-tenancy/fenced-for"] == "Xid 79"

    def test_one_request_does_all_of_it(self, project: Project) -> None:
        fence(project)
        assert [call for call in project.api.seen if call[0] == "PATCH"] == [("PATCH", f"{NODES}/gpu-0")]

    def test_lifting_it_leaves_the_node_as_it_was(self, project: Project) -> None:
        before = json.loads(json.dumps(there(project)))
        fence(project)
        assert project.run("unfence", "--node", "gpu-0") == 0
        after = there(project)
        assert after["spec"] == before["spec"]
        assert after["metadata"]["labels"] == before["metadata"]["labels"]
        assert after["metadata"].get("annotations", {}) == {}

    def test_a_cordon_of_somebody_else_outlives_the_fence(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        there(project)["spec"]["unschedulable"] = True
        fence(project)
        fence(project, reason="Xid 79 again")  # the second one must not take our own cordon for theirs, nor lose theirs
        project.run("unfence", "--node", "gpu-0")
        assert there(project)["spec"]["unschedulable"] is True
        assert "was cordoned before it was fenced, and stays so: `kubectl uncordon gpu-0`" in capsys.readouterr().out

    def test_a_second_fence_has_the_first_one_s_time_and_its_own_reason(self, project: Project) -> None:
        fence(project)
        there(project)["metadata"]["annotations"]["gpu-tenancy/fenced-since"] = "2026-11-01T00:00:00Z"
        fence(project, reason="waits for the vendor")
        said = there(project)["metadata"]["annotations"]
        assert said["gpu-tenancy/fenced-since"] == "2026-11-01T00:00:00Z"
        assert said["gpu-tenancy/fenced-for"] == "waits for the vendor"
        project.run("unfence", "--node", "gpu-0")
        assert "unschedulable" not in there(project)["spec"]

    def test_pods_that_hold_gpus_there_are_named_and_left(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def pod(name: str, where: str, phase: str = "Running") -> dict[str, Any]:
            asks = {"requests": {"nvidia.com/gpu": "1"}}
            spec = {"nodeName": where, "containers": [{"name": "c", "resources": asks}]}
            metadata = {"namespace": "team-ml"}
            return named("Pod", "v1", name, spec=spec, status={"phase": phase}, metadata=metadata)

        project.api.objects["/api/v1/pods"] = [
            pod("here", "gpu-0"),
            pod("elsewhere", "gpu-1"),
            pod("over", "gpu-0", "Failed"),
        ]
        fence(project)
        out = capsys.readouterr().out
        assert "still there with GPUs: team-ml/here; `kubectl drain gpu-0" in out
        assert {method for method, _ in project.api.seen} <= {"GET", "PATCH", "POST"}


class TestWhatIsRefused:
    @pytest.mark.parametrize("reason", ["", "  ", "a\nb", "\x1b[31m", "x" * 201])
    def test_a_reason_is_one_short_line(
        self, project: Project, capsys: pytest.CaptureFixture[str], reason: str
    ) -> None:
        assert fence(project, reason=reason) == 2
        assert "a reason must be one line of 1 to 200 printable characters" in capsys.readouterr().err
        assert "unschedulable" not in there(project)["spec"]

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("gpu-O", "node 'gpu-O' is not in the cluster; nothing was done.\n  fix: write gpu-0"),
            ("cpu-7", "node 'cpu-7' is in no pool of the stack file; nothing was done."),
        ],
    )
    def test_only_a_node_of_a_pool_is_fenced(
        self, project: Project, capsys: pytest.CaptureFixture[str], name: str, says: str
    ) -> None:
        project.api.objects[NODES].append(api_node("cpu-7"))
        assert fence(project, name) == 2
        assert says in capsys.readouterr().err
        assert not [call for call in project.api.seen if call[0] == "PATCH"]

    def test_what_is_not_fenced_is_not_unfenced(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        there(project)["spec"]["unschedulable"] = True
        assert project.run("unfence", "--node", "gpu-0") == 2
        err = capsys.readouterr().err
        assert "node 'gpu-0' is not fenced." in err
        assert "cordoned by somebody else: `kubectl uncordon gpu-0`" in err
        assert there(project)["spec"]["unschedulable"] is True

    def test_another_cluster_s_node_of_the_same_name_is_safe(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        uid = {"metadata": {"uid": "another"}}
        urn = "urn:pulumi:one::gpu-tenancy::kubernetes:core/v1:Namespace::host-uid"
        entry = {"urn": urn, "type": "kubernetes:core/v1:Namespace", "outputs": uid}
        project.export({"version": 3, "deployment": {"resources": [entry]}})
        assert fence(project) == 1
        assert "was made on cluster another" in capsys.readouterr().err
        assert "unschedulable" not in there(project)["spec"]

    def test_without_the_right_to_patch_nodes_it_says_so(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        original = project.api.answer

        def answer(method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if method == "PATCH":
                return 403, {"kind": "Status", "code": 403, "message": 'cannot patch resource "nodes"'}
            return original(method, path, body)

        project.api.answer = answer  # type: ignore[method-assign]
        assert fence(project) == 1
        assert "may not do this" in capsys.readouterr().err


class TestTheArithmetic:
    def test_the_teams_that_no_longer_fit_are_told_at_once(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert fence(project) == 0
        out = capsys.readouterr().out
        assert (
            "does not fit any more: ml: it must see a node, and none is left without gpu-0, got a GPU quota of 2" in out
        )

    def test_a_team_that_still_fits_is_not_named(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        project.write(TWO_NODES.replace("quota: 6", "quota: 4"))
        project.api.objects[NODES].append(api_node("gpu-1", gpus=4))
        fence(project)
        assert "every team's quota fits" in capsys.readouterr().out

    def test_every_up_is_refused_until_it_fits_or_an_override_says_otherwise(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.write(TWO_NODES)
        project.api.objects[NODES].append(api_node("gpu-1", gpus=4))
        fence(project)
        assert project.run("up") == 1
        err = capsys.readouterr().err
        assert "its GPU quota must be there, and 4 GPUs are left without gpu-0, got a GPU quota of 6" in err
        assert not project.did("up")
        override = "{allow: [preflight], of: [fenced-unfit], until: 2026-12-03, reason: gpu-0 is mended this week}"
        assert "of: [fenced-unfit]" in err
        project.write(TWO_NODES + f"    overrides: [{override}]\n")
        assert project.run("up") == 0
        assert "Xid 79" in capsys.readouterr().err
        project.write(TWO_NODES.replace("quota: 6", "quota: 4"))
        assert project.run("up") == 0

    def test_nothing_else_is_asked_of_a_node_that_is_out(self) -> None:
        dead = node(ready=False, cordoned=True, gpus=0, fence=XID, pressures=("DiskPressure",), pods=1)
        findings = found(platform_of_two(quota=8), facts(dead, node(name="gpu-1")))
        assert ids(findings) == ["node-fenced"]
        assert "is fenced since 2026-11-26T04:00:00Z (Xid 79): its 8 GPUs no longer count" in findings[0].message

    def test_a_fence_that_somebody_opened_is_told(self) -> None:
        opened = found(platform_of_two(quota=8), facts(node(fence=XID), node(name="gpu-1")))
        assert [(finding.id, finding.level) for finding in opened] == [("fence-open", Level.WARNING)]
        assert "new pods may go there" in opened[0].message

    def test_a_label_that_is_wrong_is_still_told(self) -> None:
        wrong = node(cordoned=True, fence=XID, labels={"nvidia.com/gpu.product": "NVIDIA-L4"})
        two = platform_of_two(quota=8, product="NVIDIA-H200")
        assert ids(found(two, facts(wrong, node(name="gpu-1")))) == ["gpu-product", "node-fenced"]

    def test_teams_that_are_too_many_together_are_told_together(self) -> None:
        two = platform(
            pools={"a": {"selector": {"kind": "a"}, "nodeCount": 2, "gpusPerNode": 8}},
            teams={
                name: {
                    "pool": "a",
                    "scheduler": {"mode": "host"},
                    "resources": {"gpus": 6},
                    "queues": {"q": {"gpu": 6}},
                }
                for name in ("ml", "research")
            },
            scheduler={"version": "v0.16.8"},
        )
        label = {"kind": "a"}
        out = facts(node(labels=label, cordoned=True, fence=XID), node(name="gpu-1", labels=label))
        error = next(finding for finding in found(two, out) if finding.level is Level.ERROR)
        assert error.subject == "teams ml, research"
        assert "ml 6 + research 6 = 12 of 8" in error.message


def platform(*, pools: dict[str, Any], teams: dict[str, Any], **host: Any) -> Platform:
    here = {"provider": "existing", "address": "10.0.0.5", **host}
    return parse_platform({"host": here, "gpu": {"stack": "devicePlugin"}, "pools": pools, "teams": teams}, "here")


def platform_of_two(*, quota: int, **pool: Any) -> Platform:
    return platform(
        pools={"a": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 8, **pool}},
        teams={
            "ml": {
                "pool": "a",
                "scheduler": {"mode": "virtual", "version": "v0.16.8"},
                "resources": {"gpus": {"quota": quota, "limit": 16}},
                "queues": {"work": {"gpu": 1}},
            }
        },
    )


class TestWhatShouldBeFenced:
    def test_a_gpu_that_the_plugin_holds_back_is_a_reason(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status = there(project)["status"]
        status["capacity"] = {**status["allocatable"], "nvidia.com/gpu": "5"}
        assert project.run("fence") == 0
        out = capsys.readouterr().out
        assert out.startswith("node gpu-0 holds 1 of 5 nvidia.com/gpu for unhealthy (Xid: see the device plugin's log)")
        assert "`make fence STACK=one NODE=gpu-0 REASON=...` takes it out of service" in out

    def test_a_check_that_failed_is_a_reason(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        said = {"verdict": "fail", "node": "gpu-0", "sentence": "GPU 0: pages are retired.\x1b[2J"}
        report = named("ConfigMap", "v1", f"{CHECK_REPORT}-pool-a", data={"report.json": json.dumps(said)})
        broken = named("ConfigMap", "v1", f"{CHECK_REPORT}-x", data={"report.json": "{"})
        project.api.objects[REPORTS] = [broken, report, named("ConfigMap", "v1", "kube-root-ca.crt")]
        project.run("fence")
        out = capsys.readouterr().out
        assert (
            "node gpu-0 has a check that says fail: GPU 0: pages are retired.\\x1b[2J; `make fence STACK=one NODE=gpu-0"
            in out
        )

    def test_a_team_s_check_that_failed_is_a_reason_and_says_whose_it_is(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "only for this test")
        said = {"verdict": "fail", "node": "gpu-0", "sentence": "GPU 1: wrong products."}
        report = named("ConfigMap", "v1", CHECK_REPORT, data={"verdict": "fail", "report.json": json.dumps(said)})
        project.api.named[f"/api/v1/namespaces/gpu-check/configmaps/{CHECK_REPORT}"] = report
        project.outputs({"teams": {"ml": {}}, "kubeconfigs": {"ml": {"admin": kubeconfig(project.api.url)}}})
        project.run("fence")
        assert "node gpu-0 has a check of team ml that says fail: GPU 1: wrong products." in capsys.readouterr().out

    def test_a_node_that_is_well_is_none(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        said = {"verdict": "pass", "node": "gpu-0", "sentence": "well"}
        report = named("ConfigMap", "v1", f"{CHECK_REPORT}-gpu-0", data={"report.json": json.dumps(said)})
        project.api.objects[REPORTS] = [report]
        assert project.run("fence") == 0
        assert capsys.readouterr().out == "no node is fenced, and none has a fault that is seen\n"

    def test_what_is_still_wrong_is_said_when_the_fence_is_lifted(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        there(project)["status"]["conditions"] = []
        fence(project)
        assert project.run("unfence", "--node", "gpu-0") == 0
        assert "look at it: it is not Ready" in capsys.readouterr().out


class TestDrift:
    """The nightly run tells what is out of service, though the state is what the cluster is."""

    @pytest.fixture(autouse=True)
    def there_is_a_stack(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        project.outputs({})
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "only for this test")

    def test_a_fence_fails_it(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        fence(project)
        capsys.readouterr()
        assert project.run("drift") == 1
        err = capsys.readouterr().err
        assert "node gpu-0 is fenced since " in err
        assert "(Xid 79); `make unfence STACK=one NODE=gpu-0` when it works again" in err
        assert "does not fit any more: ml" in err
        assert "nodes of stack one differ from the stack file" in err

    def test_an_unhealthy_gpu_fails_it(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        there(project)["status"]["capacity"] = {"nvidia.com/gpu": "5"}
        assert project.run("drift") == 1
        assert "holds 1 of 5" in capsys.readouterr().err
