"""What the program registers, and the trap that each choice avoids."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

import kube
import names
import releases
from components import retry
from components.team import kai_scheduler
from tests.components.program import (
    CRD,
    JOB,
    NAMESPACE,
    PATCH,
    PRIORITY,
    PROVIDER,
    QUEUE,
    QUOTA,
    RELEASE,
    RUNTIME_CLASS,
    SECRET,
    SERVICE,
    depends_on,
    lab,
    names_of,
    unwrap,
)
from tests.conftest import Declare, platform_of
from tests.recording import Recorder, answered


class TestVirtualCluster:
    """The inner provider must neither read too early nor make every inner object look changed."""

    def test_the_certificates_are_read_from_the_host_and_in_no_state(self, declare: Declare) -> None:
        recorder = declare("lab")
        assert [found.name for found in recorder.of_type(SECRET) if found.read] == []
        of_host = unwrap(recorder.one(PROVIDER, "host-provider").inputs["kubeconfig"])
        assert sorted(recorder.read) == [
            (of_host, f"team-{team}", f"vc-{team}", kube.SECRET_DEADLINE_SECONDS) for team in ("dev", "ml", "research")
        ]

    def test_a_preview_reads_those_that_are_there_and_waits_for_no_start(self, declare: Declare) -> None:
        recorder = declare(lab("ml"), preview=True)
        assert [call[1:] for call in recorder.read] == [("team-ml", "vc-ml", kube.READ_DEADLINE_SECONDS)]
        made = declare(lab("ml")).one(PROVIDER, "ml-virtual-cluster-inner").inputs
        assert recorder.one(PROVIDER, "ml-virtual-cluster-inner").inputs == made, "nothing inside looks changed"

    def test_a_preview_of_a_team_that_is_not_there_reads_nothing(self, declare: Declare) -> None:
        recorder = declare(lab("ml"), preview=True, absent="ml-virtual-cluster-vcluster")
        assert recorder.read == []
        options: Any = recorder.one(PROVIDER, "ml-virtual-cluster-inner").options
        assert unwrap(dict(options.object["kubeconfig"])) == pulumi.runtime.rpc.UNKNOWN

    def test_only_the_releases_end_is_waited_for_and_not_its_status(self, declare: Declare) -> None:
        # a status is unknown at every change of values
        provider = declare("lab").one(PROVIDER, "ml-virtual-cluster-inner")
        of_kubeconfig: Any = provider.options
        needs = {urn.rpartition("::")[2] for urn in of_kubeconfig.propertyDependencies["kubeconfig"].urns}
        assert needs == {"ml-virtual-cluster-vcluster"}

    def test_each_inner_provider_has_a_cluster_identifier_that_no_kubeconfig_changes(self, declare: Declare) -> None:
        recorder = declare("lab")
        identifiers = {p.name: p.inputs["clusterIdentifier"] for p in recorder.of_type(PROVIDER)}
        assert identifiers == {
            "host-provider": "gpu-tenancy/unit/host",
            "ml-virtual-cluster-inner": "gpu-tenancy/unit/ml",
            "research-virtual-cluster-inner": "gpu-tenancy/unit/research",
            "dev-virtual-cluster-inner": "gpu-tenancy/unit/dev",
        }

    def test_everything_inside_goes_with_the_virtual_cluster(self, declare: Declare) -> None:
        recorder = declare("lab")
        inner = [r for r in recorder.resources if "-inner::" in r.provider and not r.read]
        assert len(inner) > 20
        left = [r.name for r in inner if not r.deleted_with.endswith("-virtual-cluster-vcluster")]
        assert left == [], "a delete of these would wait for an API that is gone already"

    def test_a_failed_first_install_is_taken_back(self, declare: Declare) -> None:
        for release in declare("lab").of_type(RELEASE):
            assert release.inputs["atomic"] is True, f"{release.name} would stay in the state, and wedge every preview"

    def test_the_tenants_data_outlive_its_control_plane(self, declare: Declare) -> None:
        release = declare("lab").one(RELEASE, "ml-virtual-cluster-vcluster")
        stateful = release.inputs["values"]["controlPlane"]["statefulSet"]
        assert stateful.get("persistence", {}).get("volumeClaim", {}).get("enabled", "auto") in (True, "auto")

    def test_raising_the_hosts_kai_restarts_no_tenants_api_server(self, declare: Declare) -> None:
        def inside(version: str) -> dict[str, Any]:
            data = lab("research", host={"provider": "lab", "scheduler": {"version": version}})
            data["teams"]["research"]["scheduler"] = {"mode": "host"}
            values: dict[str, Any] = (
                declare(data).one(RELEASE, "research-virtual-cluster-vcluster").inputs["values"]["controlPlane"]
            )
            return values

        assert inside("v0.9.8") == inside("v0.16.8")

    def test_a_tenants_tokens_are_no_annotations_on_the_host(self, declare: Declare) -> None:
        release = declare("lab").one(RELEASE, "ml-virtual-cluster-vcluster")
        assert release.inputs["values"]["sync"]["toHost"]["pods"]["useSecretsForSATokens"] is True

    def test_the_kubeconfig_points_at_the_teams_own_port(self, declare: Declare) -> None:
        recorder = declare(lab("ml", teams__ml__access={"port": 31000}))
        kubeconfig = json.loads(unwrap(recorder.one(PROVIDER, "ml-virtual-cluster-inner").inputs["kubeconfig"]))
        assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:31000"
        assert recorder.one(SERVICE, "ml-virtual-cluster-api").inputs["spec"]["ports"][0]["nodePort"] == 31000

    def test_a_port_does_not_depend_on_which_other_teams_there_are(self, declare: Declare) -> None:
        with_all = declare("lab").one(SERVICE, "research-virtual-cluster-api").inputs["spec"]["ports"]
        alone = declare(lab("research")).one(SERVICE, "research-virtual-cluster-api")
        assert alone.inputs["spec"]["ports"] == with_all


class TestSecrets:
    """Credentials are secrets from source to sink."""

    def test_every_providers_kubeconfig_is_a_secret(self, declare: Declare) -> None:
        providers = declare("lab").of_type(PROVIDER)
        assert len(providers) == 4
        for provider in providers:
            assert "apiVersion" in unwrap(provider.inputs["kubeconfig"])

    def test_no_credential_is_an_input_of_a_component_or_a_plain_output(self, declare: Declare) -> None:
        recorder = declare("lab")
        for canary in ("canary-host-token", "S0VZ", "VE9LRU4="):
            for resource in recorder.resources:
                if resource.type == PROVIDER:
                    continue
                assert canary not in json.dumps(resource.inputs, default=str), f"{canary} in {resource.name}"


class TestKaiScheduler:
    """KAI's versions are not one line."""

    @pytest.mark.parametrize(("version", "needed"), [("v0.9.2", True), ("v0.9.3", True), ("v0.7.11", False)])
    def test_the_kind_that_0_9s_operator_waits_for_is_there_before_it(
        self, declare: Declare, version: str, needed: bool
    ) -> None:
        recorder = declare(lab("ml", teams__ml__scheduler={"mode": "virtual", "version": version, "gpuSharing": True}))
        crds = [crd for crd in recorder.of_type(CRD) if crd.name.startswith("ml-")]
        assert bool(crds) is needed
        if needed:
            assert depends_on(recorder.one(RELEASE, "ml-scheduler-release"), crds[0].name)

    def test_a_change_of_line_replaces_the_release_and_the_old_one_goes_first(self, declare: Declare) -> None:
        triggers = {}
        for version in ("v0.9.2", "v0.9.3", "v0.9.8"):
            recorder = declare(
                lab("ml", teams__ml__scheduler={"mode": "virtual", "version": version, "gpuSharing": True})
            )
            options = recorder.one(RELEASE, "ml-scheduler-release").options
            assert options.deleteBeforeReplace is True
            triggers[version] = options.replacement_trigger.string_value
        assert triggers["v0.9.2"] == triggers["v0.9.3"], "one line: Helm upgrades in place"
        assert triggers["v0.9.3"] != triggers["v0.9.8"], "two lines: Helm refuses"

    def test_what_an_older_lines_hooks_left_is_swept_before_the_next_install(
        self, declare: Declare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder = declare("lab")
        hooks = recorder.one(RELEASE, "ml-scheduler-release").options.hooks.before_create
        assert list(hooks) == ["ml-virtual-cluster-answers", "ml-scheduler-sweep"]
        assert ("Config", "kai-config") in {(left.kind, left.name) for left in kai_scheduler.leftovers()}

    def test_both_of_kais_namespaces_are_ours_so_that_destroy_removes_them(self, declare: Declare) -> None:
        recorder = declare("lab")
        inner = [n for n in recorder.of_type(NAMESPACE) if "ml-virtual-cluster-inner" in n.provider]
        assert {"kai-scheduler", "kai-resource-reservation"} <= names_of(inner)

    def test_two_teams_run_two_versions(self, declare: Declare) -> None:
        recorder = declare("lab")
        assert recorder.one(RELEASE, "ml-scheduler-release").inputs["version"] == "v0.9.3"
        assert recorder.one(RELEASE, "research-scheduler-release").inputs["version"] == "v0.7.11"

    def test_a_team_on_the_default_scheduler_gets_no_kai_and_no_queue(self, declare: Declare) -> None:
        recorder = declare("lab")
        assert not [r for r in recorder.resources if r.name.startswith(("dev-scheduler", "dev-queues"))]


class TestQueues:
    """Exactly two levels, all three resources, explicit limits."""

    def test_leaves_hang_below_one_parent_with_the_teams_numbers(self, declare: Declare) -> None:
        recorder = declare("lab")
        parent = recorder.one(QUEUE, "ml-queues-parent").inputs["spec"]
        assert "parentQueue" not in parent
        assert parent["resources"]["gpu"] == {"quota": 3, "limit": 4, "overQuotaWeight": 1}
        leaf = recorder.one(QUEUE, "ml-queues-training").inputs["spec"]
        assert leaf["parentQueue"] == recorder.one(QUEUE, "ml-queues-parent").metadata["name"]
        assert leaf["resources"]["gpu"] == {"quota": 2, "limit": 4, "overQuotaWeight": 2}

    def test_every_queue_bounds_every_resource(self, declare: Declare) -> None:
        found = declare("lab").of_type(QUEUE)
        assert len(found) == 5
        for queue in found:
            for resource in ("cpu", "memory", "gpu"):
                assert set(queue.inputs["spec"]["resources"][resource]) == {"quota", "limit", "overQuotaWeight"}

    def test_the_parents_limit_is_the_hosts_hard_number(self, declare: Declare) -> None:
        recorder = declare("lab")
        for team in ("ml", "research"):
            limit = recorder.one(QUEUE, f"{team}-queues-parent").inputs["spec"]["resources"]["gpu"]["limit"]
            hard = recorder.one(QUOTA, f"{team}-guardrails-quota").inputs["spec"]["hard"]
            assert str(int(limit)) == hard["requests.nvidia.com/gpu"], "else KAI binds what the host then refuses"

    def test_a_queue_waits_for_its_webhook_before_it_is_made_or_changed(self, declare: Declare) -> None:
        for queue in ("parent", "training"):
            hooks = declare("lab").one(QUEUE, f"ml-queues-{queue}").options.hooks
            assert list(hooks.before_create) == ["ml-virtual-cluster-answers", f"ml-queues-{queue}-admitted"]
            assert list(hooks.before_update) == list(hooks.before_create)
            assert list(hooks.on_error) == ["ml-queues-webhook"]

    def test_a_webhook_that_is_not_up_yet_is_waited_for_and_a_real_refusal_is_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.0)

        def retried(errors: list[str]) -> bool:
            return answered(retry.is_coming(pulumi.ErrorHookArgs("urn", "", "q", QUEUE, errors=errors)))

        not_up = 'failed calling webhook "kai-queue-validation-v2": no endpoints available'
        assert retried([not_up])
        assert not retried(["spec.resources must be specified"])
        assert not retried([not_up] * (retry.RETRIES + 1)), "it must end"
        assert retried(['object is being deleted: jobs.batch "gpu-check" already exists']), "its predecessor goes late"

    def test_one_team_that_waits_does_not_hold_up_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waiting: list[float] = []
        all_wait = asyncio.Event()

        async def pause(seconds: float) -> None:
            waiting.append(seconds)
            if len(waiting) == 10:
                all_wait.set()
            await all_wait.wait()

        monkeypatch.setattr(retry, "asyncio", SimpleNamespace(sleep=pause))
        error = pulumi.ErrorHookArgs("urn", "", "q", QUEUE, errors=["connection refused"])

        async def ten_teams() -> list[bool]:
            return await asyncio.gather(*(retry.is_coming(error) for _ in range(10)))

        assert all(answered(ten_teams()))
        assert waiting == [retry.PAUSE_SECONDS] * 10, "in one event loop: whoever blocks it blocks all"


class TestGuardrails:
    """What stands on the host, where the tenant has no rights."""

    def test_every_gpu_name_is_in_every_quota(self, declare: Declare) -> None:
        for team in ("ml", "research", "dev"):
            hard = declare("lab").one(QUOTA, f"{team}-guardrails-quota").inputs["spec"]["hard"]
            missing = [name for name in names.GPU_RESOURCES if f"requests.{name}" not in hard]
            assert missing == [], "a missing key means unlimited"

    def test_a_cpu_team_gets_no_gpu_of_any_name(self, declare: Declare) -> None:
        hard = declare("lab").one(QUOTA, "dev-guardrails-quota").inputs["spec"]["hard"]
        assert {value for key, value in hard.items() if "nvidia.com" in key} == {"0"}

    def test_tenancys_own_cost_is_added_to_what_the_team_asked_for(self, declare: Declare) -> None:
        hard = declare("lab").one(QUOTA, "dev-guardrails-quota").inputs["spec"]["hard"]
        cost = releases.VCLUSTER[releases.DEFAULT_VCLUSTER].footprint("sqlite")
        assert hard["requests.cpu"] == f"{8000 + cost.cpu_millicores}m"
        assert hard["requests.memory"] == f"{16 * 1024 + cost.memory_mib}Mi"
        assert hard["pods"] == str(30 + cost.pods)

    def test_the_virtual_cluster_never_comes_before_its_bounds(self, declare: Declare) -> None:
        recorder = declare("lab")
        release = recorder.one(RELEASE, "ml-virtual-cluster-vcluster")
        for bound in ("ml-guardrails-quota", "ml-guardrails-limit-range", "ml-guardrails-network-tenant"):
            assert depends_on(release, bound), bound

    def test_the_teams_order_is_a_priority_class_each(self, declare: Declare) -> None:
        recorder = declare("lab")
        value = {p.metadata["name"]: p.inputs["value"] for p in recorder.of_type(PRIORITY)}
        assert value["team-ml"] > value["team-research"] > value["team-dev"]
        assert value["team-dev"] == 0, "best effort must not push anybody out"

    def test_a_changed_order_replaces_the_class_whose_value_kubernetes_never_changes(self, declare: Declare) -> None:
        for found in declare("lab").of_type(PRIORITY):
            assert "value" in list(found.options.replaceOnChanges), found.name
            assert found.options.deleteBeforeReplace, "the new one has the old one's name"

    def test_a_runtime_class_with_another_handler_is_made_anew_because_kubernetes_never_changes_it(
        self, declare: Declare
    ) -> None:
        found = declare("dev").of_type(RUNTIME_CLASS)
        assert [(list(r.options.replaceOnChanges), r.options.deleteBeforeReplace) for r in found] == [
            (["handler"], True)
        ]

    def test_no_class_has_a_preemption_policy_of_its_own(self, declare: Declare) -> None:
        # the host's API server refuses a synced pod whose policy is not that of its class
        found = declare("lab").of_type(PRIORITY)
        assert len(found) == 5
        assert [p.name for p in found if "preemptionPolicy" in p.inputs] == []


class TestProtection:
    """What a team has inside goes only with a named override."""

    def protected(self, recorder: Recorder) -> set[str]:
        return {r.name for r in recorder.resources if not r.read and r.options.protect}

    def test_team_and_virtual_cluster_are_protected_and_what_must_be_replaceable_is_not(self, declare: Declare) -> None:
        found = {name for name in self.protected(declare("lab")) if name.startswith("ml")}
        assert found == {"ml", "ml-protection", "ml-virtual-cluster", "ml-virtual-cluster-vcluster"}

    def test_an_override_lifts_it_for_one_team_until_its_date(self, declare: Declare) -> None:
        override = {
            "team": "ml",
            "allow": ["delete"],
            "until": str(date.today() + timedelta(days=30)),
            "reason": "the team is dissolved",
        }
        lifted = self.protected(declare(lab("ml research", overrides=[override])))
        assert "ml" not in lifted
        assert "research" in lifted

    def test_the_virtual_cluster_comes_after_its_admission_rules(self, declare: Declare) -> None:
        assert depends_on(declare("lab").one(RELEASE, "ml-virtual-cluster-vcluster"), "ml-admission-binding")


class TestHost:
    """What exists is declared, not discovered."""

    def test_a_runtime_class_of_the_clusters_own_is_left_alone(self, declare: Declare) -> None:
        assert names_of(declare("lab").of_type(RUNTIME_CLASS)) == {"nvidia"}
        theirs = {"stack": "fake", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}
        assert declare(lab("ml", gpu=theirs)).of_type(RUNTIME_CLASS) == []

    def test_gpu_nodes_carry_the_labels_that_plugin_and_kai_read(self, declare: Declare) -> None:
        labels = declare("lab").one(PATCH, "a100-gpu-0").metadata["labels"]
        assert labels[names.GPU_PRESENT] == "true"
        assert labels[names.GPU_MEMORY] == "81920"
        assert labels[names.LABEL_POOL] == "a100"
        assert names.GPU_PRESENT not in declare("lab").one(PATCH, "cpu-cpu-0").metadata["labels"]

    def test_a_time_sliced_pool_tells_the_plugin_how_to_share(self, declare: Declare) -> None:
        recorder = declare("dev")
        plugin = next(r for r in recorder.of_type(RELEASE) if r.inputs["name"] == "nvidia-device-plugin")
        (pool,) = platform_of("dev")["pools"]
        patch = next(p for p in recorder.of_type(PATCH) if p.name.startswith(f"{pool}-"))
        label = patch.metadata["labels"][releases.NODE_LABEL_SHARING_CONFIG]
        assert '"replicas": 4' in json.dumps(plugin.inputs["values"]) or "replicas: 4" in json.dumps(
            plugin.inputs["values"]
        )
        assert label in plugin.inputs["values"]["config"]["map"]

    def test_a_canary_is_a_tenant_of_its_own_with_the_other_version(self, declare: Declare) -> None:
        scheduler = {
            "mode": "virtual",
            "version": "v0.9.3",
            "gpuSharing": True,
            "canary": {"version": "v0.9.8", "gpus": 1},
        }
        data = lab("ml", teams__ml__scheduler=scheduler, teams__ml__resources={"gpus": 3, "cpu": 16, "memory": "64Gi"})
        data["teams"]["ml"].update(queues={"notebooks": {"gpu": 1}}, check={"queue": "notebooks"})
        recorder = declare(data)
        assert recorder.one(RELEASE, "ml-canary-scheduler-release").inputs["version"] == "v0.9.8"
        assert recorder.one(RELEASE, "ml-scheduler-release").inputs["version"] == "v0.9.3"
        quota = recorder.one(QUOTA, "ml-canary-guardrails-quota")
        assert quota.inputs["spec"]["hard"]["requests.nvidia.com/gpu"] == "1"
        # its GPUs were its team's until then (test_blue_green.py)
        assert list(quota.options.hooks.before_create) == ["ml-canary-guardrails-lowered"]
        queues = {res.metadata["name"] for res in recorder.of_type(QUEUE) if res.name.startswith("ml-canary-")}
        assert queues == {"ml-canary", "notebooks"}
        job = recorder.one(JOB, "ml-canary-check-job").inputs["spec"]["template"]["metadata"]["labels"]
        assert job["kai.scheduler/queue"] == "notebooks"
