"""What a GPU check registers, and what the host's own checks ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import kube
import releases
from components.check import job
from components.check.gpu_check import facts, verdict_of
from components.check.host import host_requests
from probe import code
from settings.load import parse_platform
from settings.models import Platform, Pool
from tests.components.program import lab
from tests.components.test_job import PAIR, REQUEST
from tests.conftest import Declare, platform_of
from tests.recording import Recorder, Registered, answered

ROLE, BINDING = "kubernetes:rbac.authorization.k8s.io/v1:Role", "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
JOB, ACCOUNT = "kubernetes:batch/v1:Job", "kubernetes:core/v1:ServiceAccount"


class TestHost:
    """The host's own checks."""

    def platform(self, **pools: Any) -> Platform:
        data = platform_of("lab")
        data["pools"] = {**data["pools"], **pools}
        return parse_platform(data, "Pulumi.unit.yaml")

    def test_the_host_checks_each_named_node_and_one_of_a_selector_and_no_cpu_node(self) -> None:
        selected = {"selector": {"gpu": "l4"}, "nodeCount": 2, "gpusPerNode": 1}
        found = host_requests(self.platform(l4s=selected))
        assert {"gpu-0", "gpu-1", "pool-l4s"} <= set(found)
        assert "cpu" not in " ".join(found)
        one, some = found["gpu-0"], found["pool-l4s"]
        assert (one.node, one.node_selector) == ("gpu-0", {"kubernetes.io/hostname": "gpu-0"})
        assert (some.node, some.node_selector, some.pool) == (None, {"gpu": "l4"}, "l4s")
        assert (one.name, one.report, one.namespace) == (
            "gpu-check-gpu-0",
            "gpu-check-report-gpu-0",
            "gpu-tenancy",
        )
        assert (one.mode, one.gpus, one.scheduler_name, one.queue, one.team) == ("host", 1, None, None, "host")

    def test_a_long_node_name_is_cut_in_the_names_of_its_jobs_and_stays_its_own(self) -> None:
        # 47 characters, as a cloud names them; one letter of another node's is different
        nodes = ["ip-10-192-120-110.eu-central-1.compute.internal", "ip-10-192-120-110.eu-central-1.compute.internaq"]
        longest = "a" * 45
        requests = host_requests(self.platform(cloud={"nodes": [*nodes, longest], "gpusPerNode": 1}))
        names = {node: requests[node].name for node in (*nodes, longest)}
        assert len(set(names.values())) == 3
        # the Job with the verdict has the longest name, and a label of it at most 63 characters
        assert all(len(f"{name}-verdict") <= 63 for name in names.values())
        assert names[nodes[0]] == "gpu-check-ip-10-192-120-110.eu-central-1.compu-46d95cb6"
        assert names[longest] == f"gpu-check-{longest}"
        assert requests[nodes[0]].node_selector == {"kubernetes.io/hostname": nodes[0]}

    def test_every_image_comes_from_the_mirror_an_own_one_too(self) -> None:
        data = platform_of("lab")
        data["artifacts"] = {"imageRegistry": "mirror.example:5000"}
        mirrored = parse_platform(data, "Pulumi.unit.yaml")
        data["check"] = {"image": "registry.example/torch:1"}
        own = parse_platform(data, "Pulumi.unit.yaml")
        images = [found.pod.image for platform in (mirrored, own) for found in host_requests(platform).values()]
        pinned = releases.CHECK_IMAGE.partition("/")[2]
        assert set(images) == {f"mirror.example:5000/{pinned}", "mirror.example:5000/torch:1"}

    @pytest.mark.parametrize(
        ("said", "found"),
        [
            ({}, None),
            ({"timeSlicing": {"replicas": 4}}, "timeSlicing"),
            ({"mps": {"replicas": 4}}, "mps"),
            ({"mig": {"profile": "1g.10gb", "slices": 7}}, "mig"),
        ],
    )
    def test_how_a_pools_replicas_are_made_is_told_to_the_probe(self, said: dict[str, Any], found: str | None) -> None:
        pool = Pool.model_validate({"nodes": ["n"], "gpusPerNode": 1, "sharing": said})
        assert pool.sharing.word == found


class TestComponent:
    """What the component registers around those specs."""

    def of_check(self, recorder: Recorder, token: str, name: str = "ml-check") -> list[Registered]:
        return [found for found in recorder.of_type(token) if found.name.startswith(name) and not found.read]

    def test_the_code_is_in_no_state(self, declare: Declare) -> None:
        packed = code.packed()
        assert [each.name for each in declare("lab").resources if packed in json.dumps(each.inputs, default=str)] == []

    @pytest.mark.parametrize(
        ("hook", "namespace", "waits"),
        [
            ("ml-check-prepared", "gpu-check", True),
            ("ml-check-prepared-1", "gpu-check-2", True),
            ("host-check-gpu-0-prepared", "gpu-tenancy", False),  # no webhook to wait for
        ],
    )
    def test_before_each_asking_job_its_code_is_put_and_then_its_pod_is_asked_for(
        self, declare: Declare, monkeypatch: pytest.MonkeyPatch, hook: str, namespace: str, waits: bool
    ) -> None:
        calls: list[tuple[str, Any]] = []
        monkeypatch.setattr(kube, "put", lambda _, manifest: calls.append(("put", manifest)))
        monkeypatch.setattr(kube, "wait_until_admitted", lambda _, manifest: calls.append(("asked", manifest)))
        recorder = declare(lab("ml", checked=True), stack="prepared")
        (job_,) = (each for each in recorder.of_type(JOB) if hook in each.options.hooks.before_create)
        answered(recorder.hooks.by_name[hook].callback(None))
        assert [word for word, _ in calls] == ["put", "asked"][: 2 if waits else 1]
        programs = calls[0][1]
        assert programs == {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "gpu-check-programs", "namespace": namespace, "labels": job_.metadata["labels"]},
            "data": code.data(),
            "binaryData": code.binary_data(),
        }
        assert job_.metadata["namespace"] == namespace
        volume = job_.inputs["spec"]["template"]["spec"]["volumes"][0]
        assert volume["configMap"] == {"name": "gpu-check-programs"}

    def test_the_checks_of_the_hosts_nodes_share_one_copy_of_the_code(
        self, declare: Declare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[str] = []

        def put(_: str, manifest: dict[str, Any]) -> None:
            written.append(manifest["metadata"]["namespace"])
            if len(written) == 1:
                raise RuntimeError("refused")

        monkeypatch.setattr(kube, "put", put)
        hosts = {**lab("ml research", checked=True), "teams": {}}
        hooks = declare(hosts, stack="programs").hooks.by_name
        with pytest.raises(RuntimeError, match="refused"):
            answered(hooks["host-check-gpu-0-prepared"].callback(None))
        for node in ("gpu-0", "gpu-1", "gpu-0"):
            answered(hooks[f"host-check-{node}-prepared"].callback(None))
        assert written == ["gpu-tenancy"] * 2, "what was refused is tried again, and what is there is not"

    @pytest.mark.parametrize(
        ("report", "verdict"),
        [
            ('{"verdict": "pass"}', "pass"),
            *((said, "could-not-tell") for said in ("{}", "", "no JSON", "[]", "[" * 100_000, '{"verdict": {}}')),
        ],
    )
    def test_whatever_a_team_writes_into_its_report_ends_no_update(self, report: str, verdict: str) -> None:
        assert verdict_of(report) == verdict

    def test_a_report_is_no_secret_though_a_secret_leads_to_it(self, declare: Declare) -> None:
        outputs = {urn.rpartition("::")[2]: said for urn, said in declare(lab("ml", checked=True)).outputs.items()}
        assert json.loads(outputs["ml"]["check"])["verdict"] == outputs["ml-check"]["verdict"] == "pass"

    @pytest.mark.parametrize("error", [LookupError("not found"), TimeoutError("no answer"), PermissionError("may not")])
    def test_a_report_that_its_team_deleted_is_told_and_ends_no_update(
        self, declare: Declare, error: Exception
    ) -> None:
        def refuse(*_: object) -> str:
            raise error

        recorder = declare(lab("ml", checked=True), reported=refuse, stack=type(error).__name__)
        found = recorder.exports["teams"]["ml"]
        assert json.loads(found["check"]) == {"verdict": "could-not-tell", "sentence": str(error)}
        assert found["failed"] == []

    @pytest.mark.parametrize(
        ("asks", "fraction", "mib"),
        [
            ({}, None, None),
            ({"pair": (0.1, 0.2)}, 0.3, None),
            ({"pair": (0.1234561, 0.1)}, 0.223456, None),
            ({"fraction": 0.5}, 0.5, None),
            ({"gpu_memory_mib": 16000}, None, 16000),
        ],
    )
    def test_what_a_policy_may_read_about_it(
        self, asks: dict[str, Any], fraction: float | None, mib: int | None
    ) -> None:
        assert facts(replace(REQUEST, **asks)) == {
            "team": "ml",
            "node": None,
            "queue": "training",
            "gpus": 2,
            "fraction": fraction,
            "gpuMemoryMib": mib,
            "image": "registry/torch:1",
            "onFailure": "fail",
        }

    def test_every_account_has_its_own_role_where_the_reports_are(self, declare: Declare) -> None:
        recorder = declare("lab")
        accounts = {each.name: each.metadata for each in self.of_check(recorder, ACCOUNT)}
        assert {name: (m["namespace"], m["name"]) for name, m in accounts.items()} == {
            "ml-check-probe-account": ("gpu-check", "gpu-check"),
            "ml-check-probe-1-account": ("gpu-check-2", "gpu-check"),
            "ml-check-verdict-account": ("gpu-check", "gpu-check-verdict"),
        }
        roles = {
            each.name: (each.metadata["namespace"], each.inputs["rules"]) for each in self.of_check(recorder, ROLE)
        }
        assert platform_of("lab")["teams"]["ml"]["check"]["pair"] == [0.3, 0.5]
        first, second = job.asked(PAIR)
        assert roles == {
            "ml-check-probe-role": ("gpu-check", job.probe_rules(first)),
            "ml-check-probe-1-role": ("gpu-check", job.probe_rules(second)),
            "ml-check-verdict-role": ("gpu-check", job.verdict_rules(PAIR)),
            "ml-check-verdict-1-role": ("gpu-check-2", job.third_rules(PAIR)),
        }
        bound = {}
        for each in self.of_check(recorder, BINDING):
            (subject,) = each.inputs["subjects"]
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": each.metadata["name"]}
            assert each.inputs["roleRef"] == reference
            assert recorder.one(ROLE, each.name.replace("-binding", "-role")).metadata == each.metadata
            bound[each.name] = (subject["kind"], subject["namespace"], subject["name"])
        assert bound == {
            "ml-check-probe-binding": ("ServiceAccount", "gpu-check", "gpu-check"),
            "ml-check-probe-1-binding": ("ServiceAccount", "gpu-check-2", "gpu-check"),
            "ml-check-verdict-binding": ("ServiceAccount", "gpu-check", "gpu-check-verdict"),
            "ml-check-verdict-1-binding": ("ServiceAccount", "gpu-check", "gpu-check-verdict"),
        }

    def test_everything_of_a_teams_check_goes_with_its_virtual_cluster(self, declare: Declare) -> None:
        recorder = declare("lab")
        found = [each for each in recorder.resources if each.name.startswith("ml-check-") and not each.read]
        assert len(found) > 12
        assert [each.name for each in found if not each.deleted_with.endswith("ml-virtual-cluster-vcluster")] == []

    def test_a_preemptible_class_of_its_own_below_every_class_of_kai(self, declare: Declare) -> None:
        found = declare("lab").one("kubernetes:scheduling.k8s.io/v1:PriorityClass", "ml-check-priority")
        assert (found.inputs["value"], found.metadata["name"]) == (10, "gpu-check")
