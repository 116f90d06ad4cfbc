"""The program itself, on real API servers: what people see of `make up`, in the order in which they see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from lightkube import ApiError, Client, KubeConfig
from lightkube.config.models import User
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.authorization_v1 import SelfSubjectRulesReviewSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authorization_v1 import SelfSubjectRulesReview
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import ConfigMap, Namespace, ServiceAccountToken

from lab.binaries import cache_dir
from lab.clusters import HOST
from lab.driver import Summary
from lab.errors import RefusedChangeError
from lab.objects import Json, Reference
from lab.state import State
from names import CHECK_NAMESPACE, CHECK_REPORT
from tests.lab.conftest import ROOT, Lab, example, listens, uncaptured

pytestmark = pytest.mark.lab


def may_go(team: str) -> Json:
    """As the docs write it: a date without quotes."""
    return {"team": team, "allow": ["delete"], "until": date.today() + timedelta(days=1), "reason": "a test removes it"}


@dataclass
class Story:
    """One lab through a module: up, and then one change after the other."""

    lab: Lab
    platform: Json
    first: Summary
    user_kubeconfig: Path
    before: str
    notes: dict[str, object] = field(default_factory=dict)

    def up(self) -> Summary:
        self.lab.platform(self.platform)
        return self.lab.again().up()

    def versions(self) -> dict[str, str]:
        """resourceVersion of every object that the state knows: moves with each write, however small."""
        found = {}
        for urn, entry in State(self.lab.driver.home / "state.json").entries.items():
            if entry.object.get("kind", "Node") != "Node":  # nodes have a heartbeat, releases are no objects
                live = self.lab.objects(entry.cluster).get(Reference(**entry.object))
                assert live, f"{urn} is in the state and not in the cluster"
                found[urn] = live["metadata"]["resourceVersion"]
        return found


@pytest.fixture(scope="module")
def story(labs: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    home = tmp_path_factory.mktemp("home")
    kubeconfig = home / "config"
    kubeconfig.write_text("# somebody's clusters\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPU_TENANCY_CACHE", str(cache_dir()))  # lies in the home that is about to change
        patch.setenv("KUBECONFIG", str(kubeconfig))
        patch.setenv("HOME", str(home))
        platform = example()
        lab = labs((ROOT / "__main__.py").read_text(), platform)
        yield Story(lab, platform, lab.driver.up(), kubeconfig, kubeconfig.read_text())


def changed(summary: Summary) -> list[str]:
    return sorted(
        f"{item.op} {item.name}" for item in summary.recorded if item.custom and item.op not in ("same", "read")
    )


def test_every_object_of_the_program_is_accepted(
    story: Story, request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]
) -> None:
    # recorded, and no bound: seconds are the machine's
    record_testsuite_property("lab_up_seconds", round(story.first.seconds, 1))
    with uncaptured(request):
        print(f"\nlab: a warm up took {story.first.seconds:.1f} s")
    assert story.first.failures == ()
    assert set(story.first.counts) == {"create"}
    assert sorted(story.lab.servers()) == [
        HOST,
        "team-dev-dev",
        "team-ml-ml",
        "team-research-research",
    ]


def test_the_users_own_kubeconfig_and_home_stay_as_they_are(story: Story) -> None:
    assert story.user_kubeconfig.read_text() == story.before
    assert [path.name for path in story.user_kubeconfig.parent.iterdir()] == ["config"], "kwok writes to ~/.kwok"


def test_the_check_says_simulated_and_never_pass(story: Story) -> None:
    text = json.dumps(story.lab.driver.outputs())
    assert '\\"verdict\\": \\"simulated\\"' in text
    assert '\\"pass\\"' not in text


def test_a_checks_age_is_its_last_runs_and_a_new_run_is_another(story: Story) -> None:
    def started(team: str) -> datetime:
        found = story.lab.driver.clusters.client(f"team-{team}-{team}").get(
            ConfigMap, CHECK_REPORT, namespace=CHECK_NAMESPACE
        )
        return datetime.fromisoformat(json.loads((found.data or {})["report.json"])["startedAt"])

    first = {team: started(team) for team in ("ml", "research")}
    story.platform["teams"]["ml"]["check"]["pair"] = [0.4, 0.5]
    done = story.up()
    assert "replace ml-check-verdict" in changed(done)
    assert not [line for line in changed(done) if "research" in line]
    assert started("ml") > first["ml"]
    assert started("research") == first["research"]
    pods = [pod["metadata"]["labels"] for pod in story.lab.objects("team-ml-ml").list("v1", "Pod")]
    assert len([labels for labels in pods if labels.get("gpu-tenancy/check")]) == 3, "the old Jobs' pods are gone"


def test_outputs_hide_secrets_until_they_are_asked_for(story: Story) -> None:
    outputs = story.lab.driver.outputs()
    assert outputs["kubeconfigs"] == "[secret]"
    assert set(outputs["teams"]) == {"ml", "research", "dev"}
    assert "client-key-data" not in json.dumps(outputs)
    assert "client-key-data" in json.dumps(story.lab.driver.outputs(show_secrets=True))


def test_a_teams_kubeconfig_opens_that_teams_api_and_no_other(story: Story) -> None:
    shown = story.lab.driver.outputs(show_secrets=True)["kubeconfigs"]
    seen = {}
    for team in ("ml", "research"):
        config = KubeConfig.from_dict(yaml.safe_load(shown[team]["admin"]))
        with Client(config=config.get(), trust_env=False) as client:
            seen[team] = client.get(Namespace, "kube-system").metadata.uid  # type: ignore[union-attr]
    servers = story.lab.servers()
    assert seen == {team: servers[f"team-{team}-{team}"].uid for team in seen}


def test_no_key_is_in_the_state_file_and_no_file_is_for_others(story: Story) -> None:
    home = story.lab.driver.home
    keys = yaml.safe_load((home / "kubeconfig-team-ml-ml").read_text())["users"][0]["user"]
    assert keys["client-key-data"] not in (home / "state.json").read_text()
    assert home.stat().st_mode & 0o077 == 0
    for path in (*home.glob("kubeconfig-*"), home / "state.json", home / "outputs.json"):
        assert path.stat().st_mode & 0o077 == 0, path.name


@dataclass(frozen=True, kw_only=True)
class CheckPod:
    """A pod of a check as its account sees the team's API server, run here instead of there."""

    client: Client
    environment: Mapping[str, str]

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(ROOT / "probe" / script), *words)

    def verdict(self) -> subprocess.CompletedProcess[str]:
        """What the verdict's pod runs; without the half minute that it waits for pods, which end at once here."""
        hurry = "watch.SYNC_SECONDS = watch.THIRD_SECONDS = 1.0"
        return self._run("-c", f"from probe import verdict, watch; {hurry}; raise SystemExit(verdict.main())")

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        program, env = [sys.executable, *words], dict(self.environment)
        return subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    def rights(self, namespace: str) -> set[tuple[str, str, str]]:
        """(verb, resource, name) of all that the account may do there, less what every account may ask of itself."""
        answer = self.client.create(SelfSubjectRulesReview(spec=SelfSubjectRulesReviewSpec(namespace=namespace)))
        assert answer.status is not None
        return {
            (verb, resource, name)
            for rule in answer.status.resourceRules
            for verb in rule.verbs
            for resource in rule.resources or ()
            for name in rule.resourceNames or ("",)
            if not {"authorization.k8s.io", "authentication.k8s.io"} & set(rule.apiGroups or ())
        }


def check_pod(story: Story, folder: Path, job: str, namespace: str) -> CheckPod:
    """The pod of one of ml's check Jobs, with the token that the kubelet would give it."""
    server = story.lab.driver.clusters.kubeconfig("team-ml-ml")
    admin = story.lab.driver.clusters.client("team-ml-ml")
    found = admin.get(Job, job, namespace=namespace)
    assert found.spec is not None
    spec = found.spec.template.spec
    assert spec is not None
    assert spec.serviceAccountName is not None
    request = ServiceAccountToken(metadata=ObjectMeta(), spec=TokenRequestSpec(audiences=[]))
    answer = admin.create(request, spec.serviceAccountName, namespace=namespace)
    assert answer.status is not None
    token = answer.status.token
    assert token is not None
    cluster = KubeConfig.from_file(server).get().cluster  # type: ignore[union-attr]
    folder.mkdir()
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes(b64decode(cluster.certificate_auth_data or ""))
    address = urlsplit(cluster.server)
    environment = {item.name: item.value for item in spec.containers[0].env or () if item.value is not None}
    return CheckPod(
        client=Client(config=KubeConfig.from_one(cluster=cluster, user=User(token=token)), trust_env=False),
        environment={
            "PATH": os.environ["PATH"],
            **environment,
            "GPU_CHECK_RUN": str(found.metadata.uid),  # type: ignore[union-attr]
            "GPU_CHECK_SERVICEACCOUNT_DIR": str(folder),
            "GPU_CHECK_TERMINATION_LOG": str(folder / "log"),
            "KUBERNETES_SERVICE_HOST": str(address.hostname),
            "KUBERNETES_SERVICE_PORT": str(address.port),
        },
    )


def test_a_checks_account_may_write_its_own_report_and_do_nothing_else(story: Story, tmp_path: Path) -> None:
    own = {(verb, "configmaps", "gpu-check-report-2") for verb in ("create", "get", "patch")}
    pod = check_pod(story, tmp_path / "half", "gpu-check", "gpu-check-2")
    assert pod.rights("gpu-check") == {*own, ("get", "configmaps", "gpu-check-report")}
    for elsewhere in ("gpu-check-2", "default", "kube-system"):
        assert pod.rights(elsewhere) == set()
    with pytest.raises(ApiError, match="forbidden"):
        pod.client.create(ConfigMap(metadata=ObjectMeta(name="other")), namespace="gpu-check")

    verdict = check_pod(story, tmp_path / "verdict", "gpu-check-verdict", "gpu-check")
    watching = {("list", "pods", ""), ("list", "events", ""), ("get", "jobs", "gpu-check")}
    reports = {(verb, "configmaps", "gpu-check-report") for verb in ("create", "get", "patch")}
    halves = {("get", "configmaps", f"gpu-check-report-{index}") for index in (1, 2)}
    assert verdict.rights("gpu-check") == watching | reports | halves
    third = {("create", "pods", ""), ("get", "pods", "gpu-check-third"), ("delete", "pods", "gpu-check-third")}
    assert verdict.rights("gpu-check-2") == watching | third
    assert verdict.rights("default") == set()


def test_the_reports_of_a_pair_go_by_the_pods_own_accounts(story: Story, tmp_path: Path) -> None:
    for index, namespace in enumerate(("gpu-check", "gpu-check-2"), start=1):
        half = check_pod(story, tmp_path / namespace, "gpu-check", namespace)
        done = half.run("probe.py", "--simulate", str(ROOT / "probe/simulations/fraction.json"))
        assert "configmap" not in done.stderr.lower(), done.stderr
        admin = story.lab.driver.clusters.client("team-ml-ml")
        report = admin.get(ConfigMap, f"gpu-check-report-{index}", namespace="gpu-check").data or {}
        assert json.loads(report["report.json"])["run"] == half.environment["GPU_CHECK_RUN"]

    # the lab's pods end at once, so they were not seen together; all the calls on the way to that word are real
    verdict = check_pod(story, tmp_path / "verdict", "gpu-check-verdict", "gpu-check")
    told = verdict.verdict()
    assert "could-not-tell: The two pods did not run at the same time" in told.stdout, told.stdout + told.stderr
    assert "could not be written" not in told.stderr
    assert "gpu-check-third" in told.stdout
    assert told.returncode == 1, "not to know is no pass"
    pods = story.lab.objects("team-ml-ml").list("v1", "Pod")
    assert "gpu-check-third" not in [found["metadata"]["name"] for found in pods]


def test_a_second_up_changes_nothing_and_writes_nothing(story: Story) -> None:
    before = story.versions()
    again = story.up()
    assert changed(again) == []
    assert story.versions() == before


def test_the_preview_of_an_unchanged_stack_is_empty(story: Story) -> None:
    preview = story.lab.again().preview()
    assert preview.ok
    assert preview.changes == 0


def test_a_preview_names_what_would_change_and_changes_nothing(story: Story) -> None:
    platform, before = deepcopy(story.platform), story.versions()
    platform["teams"]["dev"]["resources"]["cpu"] = 6
    story.lab.platform(platform)
    preview = story.lab.again().preview()
    assert changed(preview) == ["update dev-guardrails-quota"]
    steps = {step["urn"].rpartition("::")[2]: step for step in preview.steps() if step["op"] == "update"}
    assert steps.keys() == {"dev", "dev-guardrails-quota"}, "the team as it says itself, and its quota"
    assert list(steps["dev-guardrails-quota"]["detailedDiff"]) == ['spec.hard["requests.cpu"]']
    assert story.versions() == before


def test_editing_one_quota_changes_that_quotas_object_alone(story: Story) -> None:
    before = story.versions()
    story.platform["teams"]["dev"]["resources"]["cpu"] = 6
    assert changed(story.up()) == ["update dev-guardrails-quota"]
    moved = {urn.rpartition("::")[2] for urn, version in story.versions().items() if before[urn] != version}
    assert moved == {"dev-guardrails-quota"}


def test_a_team_whose_server_died_gets_it_back_with_everything_in_it(story: Story) -> None:
    victim = next(pid for pid, program in story.lab.driver.clusters._processes("team-ml-ml") if program == "etcd")
    os.kill(victim, 9)
    again = story.up()
    assert again.ok
    assert {"update ml-virtual-cluster-vcluster", "create ml-queues-parent"} <= set(changed(again))
    assert not [line for line in changed(again) if "research" in line or "dev" in line], "other teams stay as they are"
    assert changed(story.up()) == []


def test_a_removed_team_takes_its_objects_and_its_server(story: Story) -> None:
    port = story.platform["teams"].pop("research")["access"]["port"]
    before = story.versions()
    refused = story.up()
    assert [(refusal.team, refusal.change) for refusal in refused.refusals] == [("research", "delete")]
    assert story.versions() == before
    assert listens(port)
    story.platform["overrides"] = [may_go("research")]
    gone = story.up()
    assert gone.ok
    assert {item.op for item in gone.recorded if "research" in item.urn} == {"delete"}
    assert {item.op for item in gone.recorded if "research" not in item.urn} <= {"same", "read"}
    assert "team-research-research" not in story.lab.servers()
    assert not listens(port)
    left = [obj["metadata"]["name"] for obj in story.lab.objects().list("v1", "Namespace")]
    assert "team-research" not in left
    assert "team-ml" in left


def test_down_leaves_no_process_port_or_file(story: Story) -> None:
    record = json.loads((story.lab.driver.home / "lab.json").read_text())
    ports = [port for server in record["clusters"].values() for port in server["ports"].values()]
    assert any(map(listens, ports))
    with pytest.raises(RefusedChangeError, match="team ml: deletes"):
        story.lab.again().down()
    story.platform["overrides"] = [may_go("ml"), may_go("dev")]
    story.lab.platform(story.platform)
    story.lab.again().down()
    assert story.lab.processes() == []
    assert not any(map(listens, ports))
    assert not (story.lab.root / ".lab").exists()
    assert story.user_kubeconfig.read_text() == story.before
