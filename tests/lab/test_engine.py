"""What the engine does with small programs, on one real API server: the cases that the program itself never shows."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
import yaml

from lab.clusters import HOST, MOST_RESTARTS
from lab.driver import LabDriver, Summary
from lab.engine import Recorded
from lab.errors import LabError
from lab.kwok import HELPER_PROGRAMS, SERVER_PROGRAMS
from lab.objects import Reference
from tests.lab.conftest import SMALL, Lab

pytestmark = pytest.mark.lab

START = """
import pulumi
import pulumi_kubernetes as k8s
from components import failures
failures.are_told()
pulumi.run(failures.all_is_answered)
kubeconfig = pulumi.Config("gpu-tenancy").require_secret("kubeconfig")
host = k8s.Provider("host", kubeconfig=kubeconfig)
def on_host(*needs, **more):
    return pulumi.ResourceOptions(provider=host, depends_on=list(needs), **more)
"""
SPACE = START + 'space = k8s.core.v1.Namespace("space", metadata={"name": "space"}, opts=on_host())\n'
KAI = 'kai = k8s.helm.v3.Release("kai", name="kai", namespace="kai", create_namespace=True,'
KAI += ' chart="oci://example.invalid/charts/kai-scheduler", version="v0.9.3", opts=on_host())\n'


def in_space(kind: str, name: str, rest: str = "", needs: str = "space") -> str:
    """A statement that declares an object in the namespace `space`, under a variable of its own name."""
    metadata = f'metadata={{"name": "{name}", "namespace": "space"}}'
    return f'{name} = k8s.{kind}("{name}", {metadata}, {rest} opts=on_host({needs}))\n'


def queue(name: str, gpu: str) -> str:
    return (
        f'k8s.apiextensions.CustomResource("{name}", api_version="scheduling.run.ai/v2", kind="Queue",'
        f' metadata={{"name": "{name}"}}, spec={{"resources": {{"gpu": {gpu}}}}}, opts=on_host(kai))\n'
    )


@pytest.fixture(scope="module")
def lab(labs: Callable[..., Lab]) -> Lab:
    lab = labs(SPACE)
    assert lab.driver.up().ok
    return lab


@pytest.fixture
def up(lab: Lab) -> Iterator[Callable[[str], Summary]]:
    """Make the lab what a program says; the next test starts from one that has nothing but the namespace `space`.

    That stays through all of them: Kubernetes lets five seconds pass before it takes a namespace away.
    """

    def run(program: str) -> Summary:
        lab.program(program)
        return lab.again().up()

    yield run
    lab.program(SPACE)
    assert lab.again().up().ok


def ops(summary: Summary) -> dict[str, str]:
    return {
        item.name: item.op for item in summary.recorded if item.custom and item.type != "pulumi:providers:kubernetes"
    }


def test_a_misspelt_queue_field_is_refused_with_the_cause_first(up: Callable[[str], Summary]) -> None:
    wrong = up(SPACE + KAI + queue("typo", '{"quota": 1, "limits": 2}') + queue("right", '{"quota": 1, "limit": 2}'))
    assert len(wrong.failures) == 1
    assert wrong.failures[0].startswith("typo (Queue): ")
    assert ".spec.resources.gpu.limits: field not declared in schema" in wrong.failures[0]
    assert "API server `host`" in wrong.failures[0]
    assert "\n" not in wrong.failures[0]
    assert ops(wrong)["typo"] == "failed"
    assert ops(wrong)["right"] == "create", "what does not depend on the wrong one goes on"


def test_a_queue_number_of_the_wrong_type_is_refused(up: Callable[[str], Summary]) -> None:
    wrong = up(SPACE + KAI + queue("words", '{"quota": "two", "limit": 2}'))
    assert "quota" in wrong.failures[0]
    assert "numeric" in wrong.failures[0] or "number" in wrong.failures[0]


def test_what_depends_on_a_refused_object_is_not_begun(up: Callable[[str], Summary], lab: Lab) -> None:
    bad = in_space("core.v1.ConfigMap", "bad").replace('"name": "bad"', '"name": "Not_A_Name"')
    after = in_space("core.v1.ConfigMap", "after", needs="bad")
    wrong = up(SPACE + bad + after)
    assert [failure.partition(" ")[0] for failure in wrong.failures] == ["bad"]
    assert "after" not in ops(wrong)
    gone = Reference(api_version="v1", kind="ConfigMap", namespace="space", name="after")
    assert lab.objects().get(gone) is None


def test_a_failure_does_not_cut_short_what_does_not_depend_on_it(up: Callable[[str], Summary]) -> None:
    bad = 'bad = k8s.core.v1.Namespace("bad", metadata={"name": "Not_A_Name"}, opts=on_host())\n'
    chain = [in_space("core.v1.ConfigMap", f"c{index}", needs=f"c{index - 1}") for index in range(1, 8)]
    bad += in_space("core.v1.ConfigMap", "after", needs="bad, space")
    wrong = up(SPACE + in_space("core.v1.ConfigMap", "c0") + "".join(chain) + bad)
    assert len(wrong.failures) == 1
    assert ops(wrong).get("c7") == "create"


def test_a_cluster_that_the_lab_did_not_start_is_refused(up: Callable[[str], Summary]) -> None:
    foreign = yaml.safe_dump(
        {
            "current-context": "prod",
            "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod"}}],
            "clusters": [
                {"name": "prod", "cluster": {"server": "https://127.0.0.1:9", "certificate-authority-data": "QQ=="}}
            ],
            "users": [{"name": "prod", "user": {"token": "canary-token"}}],
        }
    )
    refused = up(SPACE + f'k8s.Provider("prod", kubeconfig={foreign!r})\n')
    assert len(refused.failures) == 1
    assert (
        "names the cluster https://127.0.0.1:9, which this lab did not start; nothing was sent" in refused.failures[0]
    )
    assert "canary-token" not in refused.failures[0]


def test_a_resource_without_a_provider_is_refused(up: Callable[[str], Summary]) -> None:
    refused = up(SPACE + 'k8s.core.v1.Namespace("lost", metadata={"name": "lost"})\n')
    assert "it has no Kubernetes provider" in refused.failures[0]


def test_an_object_that_somebody_deleted_comes_back(up: Callable[[str], Summary], lab: Lab) -> None:
    program = SPACE + in_space("core.v1.ConfigMap", "one")
    assert up(program).ok
    lab.objects().delete(Reference(api_version="v1", kind="ConfigMap", namespace="space", name="one"))
    assert ops(up(program)) == {"space": "same", "one": "create"}


def test_an_immutable_field_means_a_replacement(up: Callable[[str], Summary], lab: Lab) -> None:
    program = SPACE + in_space("core.v1.ConfigMap", "one", 'immutable=True, data={"a": "first"},')
    assert up(program).ok
    lab.program(program.replace("first", "second"))
    assert ops(lab.again().preview())["one"] == "replace"
    assert ops(up(program.replace("first", "second")))["one"] == "replace"
    live = lab.objects().get(Reference(api_version="v1", kind="ConfigMap", namespace="space", name="one"))
    assert live
    assert live["data"] == {"a": "second"}


def test_a_replaced_job_takes_its_pods_along(up: Callable[[str], Summary], lab: Lab) -> None:
    def job(image: str) -> str:
        container = f'{{"name": "c", "image": "{image}"}}'
        pod = f'{{"restartPolicy": "Never", "containers": [{container}]}}'
        return SPACE + in_space("batch.v1.Job", "work", f'spec={{"template": {{"spec": {pod}}}}},')

    def images() -> list[str]:
        return [pod["spec"]["containers"][0]["image"] for pod in lab.objects().list("v1", "Pod")]

    assert up(job("first")).ok
    assert images() == ["first"]
    lab.program(job("second"))
    assert ops(lab.again().preview())["work"] == "replace"
    assert ops(up(job("second")))["work"] == "replace"
    assert images() == ["second"]


def test_a_trigger_and_a_property_that_the_program_names_mean_a_replacement(up: Callable[[str], Summary]) -> None:
    quota = in_space("core.v1.ResourceQuota", "quota", 'spec={"hard": {"pods": "LIMIT"}},')
    options = (
        'pulumi.ResourceOptions(provider=host, depends_on=[space], replace_on_changes=["spec"], replacement_trigger=1)'
    )
    program = SPACE + quota.replace("on_host(space)", options)
    assert up(program.replace("LIMIT", "1")).ok
    assert ops(up(program.replace("LIMIT", "1"))) == {"space": "same", "quota": "same"}
    assert ops(up(program.replace("LIMIT", "2")))["quota"] == "replace"
    assert ops(up(program.replace("LIMIT", "2").replace("trigger=1", "trigger=2")))["quota"] == "replace"
    # an Output without a value is no trigger, like the engine's
    none = program.replace("LIMIT", "2").replace("trigger=1", "trigger=pulumi.Output.from_input(None)")
    assert ops(up(none))["quota"] == "same"
    assert ops(up(none))["quota"] == "same"
    assert ops(up(none.replace('"2"', '"3"')))["quota"] == "replace"


def test_what_gave_up_beside_a_living_server_is_started_again(up: Callable[[str], Summary], lab: Lab) -> None:
    program = SPACE + in_space("core.v1.ConfigMap", "one")
    assert up(program).ok
    clusters = lab.driver.clusters
    before = lab.servers()[HOST].uid
    killed = [pid for pid, name in clusters._processes(HOST) if name in HELPER_PROGRAMS]
    assert len(killed) == len(HELPER_PROGRAMS)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    # a quota is only counted by the controller manager
    again = up(program + in_space("core.v1.ResourceQuota", "quota", 'spec={"hard": {"pods": "1"}},'))
    assert again.ok, again.failures
    assert ops(again) == {"space": "same", "one": "same", "quota": "create"}
    assert lab.servers()[HOST].uid == before, "the same server, with all that is in it"


def test_what_gives_up_again_and_again_is_named_with_its_own_words(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = lab.again().clusters
    monkeypatch.setattr(clusters, "_running", lambda name: SERVER_PROGRAMS - {"kube-controller-manager"})
    monkeypatch.setattr(clusters, "_kwokctl", lambda *_: (0, ""))
    log = clusters._folder(HOST) / "logs" / "kube-controller-manager.log"
    log.write_text("I0101 1 x.go:1] fine\nE0101 1 x.go:2] timed out waiting for the API server\n")
    for _ in range(MOST_RESTARTS):
        clusters.mend(HOST)
    with pytest.raises(LabError, match="kube-controller-manager of the API server `host` keeps ending") as caught:
        clusters.mend(HOST)
    assert "timed out waiting for the API server" in caught.value.cause


def test_a_renamed_object_leaves_nothing_under_its_old_name(up: Callable[[str], Summary], lab: Lab) -> None:
    program = SPACE + in_space("core.v1.ConfigMap", "one").replace('"name": "one"', '"name": "old"')
    assert up(program).ok
    assert ops(up(program.replace('"old"', '"new"')))["one"] == "replace"
    names = [obj["metadata"]["name"] for obj in lab.objects().list("v1", "ConfigMap")]
    assert "new" in names
    assert "old" not in names


def test_a_patch_takes_its_labels_back_and_leaves_the_node(up: Callable[[str], Summary], lab: Lab) -> None:
    node = Reference(api_version="v1", kind="Node", namespace="", name="gpu-0")
    patch = 'k8s.core.v1.NodePatch("mine", metadata={"name": "gpu-0", "labels": {"team": "ml"}}, opts=on_host())\n'

    def labels() -> dict[str, str]:
        live = lab.objects().get(node)
        assert live
        return dict(live["metadata"]["labels"])

    assert up(SPACE + patch).ok
    assert labels()["team"] == "ml"
    assert up(SPACE).ok
    assert "team" not in labels()
    assert labels()["nvidia.com/gpu.count"] == "4", "labels of others stay"


def test_a_patch_of_a_node_that_is_not_there_names_it(up: Callable[[str], Summary]) -> None:
    refused = up(
        SPACE + 'k8s.core.v1.NodePatch("x", metadata={"name": "gpu-9", "labels": {"a": "b"}}, opts=on_host())\n'
    )
    assert "Node gpu-9 does not exist in the cluster" in refused.failures[0]


def test_a_pod_that_no_node_has_room_for_says_so(up: Callable[[str], Summary], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.simulate.JOB_SECONDS", 8.0)
    container = '{"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "5"}}}'
    pod = f'{{"restartPolicy": "Never", "containers": [{container}]}}'
    job = in_space("batch.v1.Job", "big", f'spec={{"template": {{"spec": {pod}}}}},')
    waiting = up(SPACE + job)
    assert "Job space/big does not end: " in waiting.failures[0]
    assert "Insufficient nvidia.com/gpu" in waiting.failures[0]


def test_the_hosts_quota_counts_for_real(up: Callable[[str], Summary]) -> None:
    # none at all: the one that every namespace gets, with the cluster's certificate, may be there before or after
    quota = in_space("core.v1.ResourceQuota", "quota", 'spec={"hard": {"count/configmaps": "0"}},')
    one = in_space("core.v1.ConfigMap", "one", needs="quota")
    refused = up(SPACE + quota + one)
    assert "exceeded quota: quota" in refused.failures[0]


def test_a_secret_is_in_neither_state_nor_steps_nor_outputs(up: Callable[[str], Summary], lab: Lab) -> None:
    program = (
        SPACE
        + in_space("core.v1.Secret", "s", 'string_data={"k": "hunter2-canary"},')
        + in_space("core.v1.ConfigMap", "c", 'data={"k": pulumi.Output.secret("hunter3-canary")},')
        + 'pulumi.export("kept", pulumi.Output.secret("hunter4-canary"))\n'
    )
    first = up(program)
    assert first.ok
    seen = (lab.driver.home / "state.json").read_text() + json.dumps(first.steps()) + json.dumps(lab.driver.outputs())
    assert "canary" not in seen
    assert "hunter4-canary" in json.dumps(lab.driver.outputs(show_secrets=True))
    changed = up(program.replace("hunter2", "hunter5"))
    assert ops(changed)["s"] == "replace", "a changed secret is still a change, and the provider makes it anew"
    assert ops(changed)["c"] == "same"


def test_an_object_whose_namespace_is_not_there_yet_is_previewed_as_not_validated(lab: Lab) -> None:
    lab.program((SPACE + in_space("core.v1.ConfigMap", "one")).replace('"space"', '"elsewhere"'))
    preview = lab.again().preview()
    notes = {item.name: item.note for item in preview.recorded}
    assert notes["elsewhere"] == ""
    assert notes["one"] == "not validated: its namespace is not there yet"
    assert preview.unvalidated == 1
    assert "1 not validated" in preview.text()


def test_a_preview_refuses_what_the_server_would_refuse(lab: Lab) -> None:
    lab.program(START + 'k8s.core.v1.Namespace("bad", metadata={"name": "Not_A_Name"}, opts=on_host())\n')
    preview = lab.again().preview()
    assert not preview.ok
    assert "Not_A_Name" in preview.failures[0]


def test_a_policy_violation_stops_the_run_before_anything_changes(lab: Lab) -> None:
    def no_spaces(recorded: Sequence[Recorded]) -> list[str]:
        return [f"{item.name}: no namespaces here" for item in recorded if item.name == "elsewhere"]

    lab.program(SPACE.replace('"space"', '"elsewhere"'))
    blocked = LabDriver("lab", lab.stack_file, lab.root, policies=no_spaces).up()
    assert blocked.violations == ("elsewhere: no namespaces here",)
    assert not blocked.ok
    elsewhere = Reference(api_version="v1", kind="Namespace", namespace="", name="elsewhere")
    assert lab.objects().get(elsewhere) is None


def test_a_program_that_raises_ends_with_its_own_error_and_deletes_nothing(
    up: Callable[[str], Summary], lab: Lab
) -> None:
    assert up(SPACE).ok
    with pytest.raises(ZeroDivisionError):
        up(START + "1 / 0\n")
    space = Reference(api_version="v1", kind="Namespace", namespace="", name="space")
    assert lab.objects().get(space), "an unfinished program says nothing about what should go"


def test_a_wrong_stack_file_is_refused_before_anything_starts(labs: Callable[..., Lab]) -> None:
    lab = labs(START, {**SMALL, "teams": {"ml": {"pool": "nowhere"}}})
    with pytest.raises(Exception, match="nowhere"):
        lab.driver.up()
    assert lab.processes() == []
    assert not (lab.root / ".lab").exists()
