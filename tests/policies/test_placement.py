"""Placement rules: each fires with its words, and stays silent on what is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tokens
from names import KAI_QUEUE_LABEL, LABEL_CHECK, LABEL_POOL, LABEL_TEAM
from policies.inventory import PolicyResource
from tests.policies.judged import ABSENT, changed, messages, result
from tests.policies.world import check, host_check, job, pool, software, team, urn

POD_LABELS = "spec/template/metadata/labels"


def labelled(**labels: str | None) -> dict[str, str]:
    every = {LABEL_TEAM: "ml", KAI_QUEUE_LABEL: "training"} | {
        {"team": LABEL_TEAM, "queue": KAI_QUEUE_LABEL}[key]: value for key, value in labels.items()
    }
    return {key: value for key, value in every.items() if value is not None}


@pytest.mark.parametrize(("queue", "said"), [("sales", "'sales'"), (None, "not set"), ("ml-training", "'ml-training'")])
def test_a_gpu_workload_outside_its_teams_queues_is_refused(queue: str | None, said: str) -> None:
    assert messages("queue-of-own-team", [team(), changed(job(), POD_LABELS, labelled(queue=queue))]) == [
        f"Job ml-job: queue label kai.scheduler/queue is {said}, which is no queue of team ml; use one of notebooks, "
        "training"
    ]


def test_on_the_host_a_queue_has_its_teams_name_before_it() -> None:
    for queue, fires in (("ml-training", False), ("training", True), ("vision-training", True)):
        subject = changed(job(), POD_LABELS, labelled(queue=queue))
        assert len(messages("queue-of-own-team", [team(mode="host"), subject])) == fires


def test_a_gpu_workload_of_a_team_without_queues_is_refused() -> None:
    assert "use one of its queues, once it has any" in messages("queue-of-own-team", [team(queues={}), job()])[0]


def test_a_team_without_kai_needs_no_queue_and_no_scheduler_name() -> None:
    subject = changed(job(schedulerName=None), POD_LABELS, labelled(queue=None))
    for rule in ("queue-of-own-team", "scheduler-name"):
        assert messages(rule, [team(mode="default"), subject]) == []


@pytest.mark.parametrize(("name", "said"), [("default-scheduler", "'default-scheduler'"), (None, "not set")])
def test_a_gpu_workload_with_another_scheduler_is_refused(name: str | None, said: str) -> None:
    assert messages("scheduler-name", [team(), job(schedulerName=name)]) == [
        f"Job ml-job: schedulerName is {said}, so the queues of team ml do not count it; set it to kai-scheduler"
    ]
    assert messages("scheduler-name", [team(), job()]) == []


def test_a_gpu_workload_without_a_team_is_refused_by_each_rule_about_teams() -> None:
    stray = changed(changed(job(), POD_LABELS, labelled(team=None)), "metadata/labels", {})
    for rule in ("queue-of-own-team", "scheduler-name", "pool-selector", "workload-within-quota"):
        assert messages(rule, [pool(), team(), stray]) == ["Job ml-job: names no team; add the label gpu-tenancy/team"]


def test_a_label_on_the_workload_itself_is_enough() -> None:
    subject = changed(job(), POD_LABELS, labelled(team=None))
    assert messages("scheduler-name", [team(), subject]) == []


# --- pool-selector --------------------------------------------------------------------------------------------------

TWO = pool(nodes=["gpu-0", "gpu-1"], size=2)


def test_a_gpu_workload_without_a_selector_is_refused() -> None:
    assert messages("pool-selector", [pool(), team(), job(nodeSelector=None)]) == [
        "Job ml-job: nodeSelector is not set, which does not keep it on the nodes of team ml; set it to "
        "gpu-tenancy/pool=a100"
    ]
    assert messages("pool-selector", [pool(), team(), job()]) == []


def test_the_selector_of_another_pool_is_refused() -> None:
    found = messages("pool-selector", [pool(), team(), job(nodeSelector={LABEL_POOL: "l4", "a": "b"})])
    assert found[0].startswith("Job ml-job: nodeSelector is gpu-tenancy/pool=l4,a=b, which ")


def test_the_teams_own_label_is_always_enough() -> None:
    own = job(nodeSelector={"gpu-tenancy/team-ml": "true"})
    assert messages("pool-selector", [TWO, team(nodes=["gpu-1"]), own]) == []
    assert messages("pool-selector", [TWO, team(), own]) == []
    other = job(nodeSelector={"gpu-tenancy/team-vision": "true"})
    assert len(messages("pool-selector", [TWO, team(nodes=["gpu-1"]), other])) == 1


def test_the_pools_label_is_too_wide_for_a_team_with_nodes_of_its_own() -> None:
    assert messages("pool-selector", [TWO, team(nodes=["gpu-1"]), job()]) == [
        "Job ml-job: nodeSelector is gpu-tenancy/pool=a100, which does not keep it on the nodes of team ml; set it to "
        "gpu-tenancy/team-ml=true"
    ]
    assert messages("pool-selector", [TWO, team(nodes=["gpu-1", "gpu-0"]), job()]) == []


def test_a_pool_that_is_found_by_labels_is_selected_by_them() -> None:
    found = pool(nodes=[], size=2, selector={"kind": "a100", "zone": "b"})
    assert messages("pool-selector", [found, team(), job(nodeSelector={"kind": "a100", "zone": "b"})]) == []
    assert len(messages("pool-selector", [found, team(), job(nodeSelector={"kind": "a100"})])) == 1


# --- host-check-node ------------------------------------------------------------------------------------------------


def test_the_hosts_check_must_name_its_node_or_pool() -> None:
    path = "spec/template/spec/nodeSelector"
    assert messages("host-check-node", [changed(host_check(), path, {LABEL_POOL: "a100"})]) == [
        "Job gpu-check-gpu-0: names neither a node nor a pool; set nodeSelector kubernetes.io/hostname to the node, "
        "or to "
        "the pool's selector"
    ]
    assert messages("host-check-node", [host_check()]) == []
    by_name = changed(changed(host_check(), path, ABSENT), "spec/template/spec/nodeName", "gpu-0")
    assert messages("host-check-node", [by_name]) == []
    selected = pool(nodes=[], selector={"kind": "a100"})
    assert messages("host-check-node", [selected, changed(host_check(), path, {"kind": "a100"})]) == []
    assert len(messages("host-check-node", [selected, changed(host_check(), path, {"kind": "l4"})])) == 1


def test_the_hosts_check_has_no_team_and_the_teams_checks_are_not_the_hosts() -> None:
    world = [pool(), team(), job(), host_check(), check(team="host")]
    assert result("host-check-node", world).checked == 1
    for rule in ("queue-of-own-team", "scheduler-name", "pool-selector"):
        assert result(rule, world).checked == 1
    assert result("workload-within-quota", world).checked == 1


def test_a_label_for_the_hosts_check_elsewhere_does_not_hide_a_workload() -> None:
    sly = changed(job(), "metadata/labels", {LABEL_TEAM: "ml", LABEL_CHECK: "host"})
    assert result("queue-of-own-team", [team(), sly]).checked == 1


def test_a_workload_that_only_says_that_it_is_the_hosts_check_is_judged_as_a_teams() -> None:
    """Anybody may write the label; as many GPUs as it likes would be nobody's."""
    by_hand = replace(changed(host_check(), "spec/parallelism", 100), parent="", urn=urn(tokens.JOB, "gpu-check-gpu-0"))
    said = messages("workload-within-quota", [pool(), team(), by_hand])
    assert said == [f"Job gpu-check-gpu-0: names no team; add the label {LABEL_TEAM}"]
    assert result("host-check-node", [pool(), by_hand]).checked == 0


@pytest.mark.parametrize(("namespace", "refused"), [("team-ml", False), ("workloads", False), ("team-zed", True)])
def test_a_workload_in_the_namespace_of_another_team_is_refused(namespace: str, refused: bool) -> None:
    placed = changed(job(), "metadata/namespace", namespace)
    said = messages("queue-of-own-team", [pool(), team(), team("zed", isolation="privileged"), placed])
    assert said == (
        ["Job ml-job: names team 'ml' in team-zed, the namespace of another team; put it into team-ml"]
        if refused
        else []
    )


# --- runtime-class --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", ["devicePlugin", "gpuOperator"])
def test_a_gpu_workload_without_the_runtime_class_is_refused(stack: str) -> None:
    for name, said in ((None, "not set"), ("runc", "'runc'")):
        assert messages("runtime-class", [software(stack=stack), job(runtimeClassName=name)]) == [
            f"Job ml-job: runtimeClassName is {said}, and with GPU stack {stack} only 'nvidia' shows a container its "
            "GPU; set "
            "it to nvidia"
        ]
    assert messages("runtime-class", [software(stack=stack), job()]) == []


def test_fake_gpus_need_no_runtime_class() -> None:
    assert messages("runtime-class", [software(stack="fake"), job(runtimeClassName=None)]) == []


def test_a_runtime_class_of_another_name_is_the_one_that_counts() -> None:
    own = software(runtimeClass="nvidia-cdi")
    assert messages("runtime-class", [own, job(runtimeClassName="nvidia-cdi")]) == []
    assert len(messages("runtime-class", [own, job()])) == 1


def test_gpu_software_that_does_not_say_its_runtime_class_is_a_violation() -> None:
    bad = changed(software(), "runtimeClass", ABSENT)
    assert messages("runtime-class", [bad, job()]) == [
        "Job ml-job: runtimeClass is missing, so this cannot be checked; set it"
    ]


NO_GPU: dict[str, object] = {"containers": [{"name": "c", "image": "docker.io/library/a:1.0"}]}


@pytest.mark.parametrize("name", ["nvidia", "kata-nvidia-gpu", "runc"])
def test_a_workload_without_gpus_has_no_runtime_class(name: str) -> None:
    assert messages("runtime-class", [software(), job("ml-job", None, **NO_GPU, runtimeClassName=name)]) == [
        f"Job ml-job: runtimeClassName is {name!r}, and it asks for no GPU; leave it out"
    ]


def test_a_node_by_name_is_one_of_the_teams_whatever_the_selector_says() -> None:
    asks: tuple[dict[str, object], ...] = ({}, NO_GPU)
    for pod in asks:
        for nodes, others in (([], "gpu-0, gpu-1"), (["gpu-1"], "gpu-1")):
            assert messages("pool-selector", [TWO, team(nodes=nodes), job("ml-job", None, **pod, nodeName="l4-0")]) == [
                f"Job ml-job: nodeName is l4-0, which is no node of team ml ({others}); leave it to the scheduler"
            ]
        own = job("ml-job", None, **pod, nodeName="gpu-1", nodeSelector=None)
        assert messages("pool-selector", [TWO, team(nodes=["gpu-1"]), own]) == []
    found = pool(nodes=[], size=2, selector={"kind": "a100"})
    assert "(its pool is found by labels)" in messages("pool-selector", [found, team(), job(nodeName="x")])[0]


def test_a_workload_without_gpus_is_none_of_placements_business() -> None:
    plain = job("ml-job", None, **NO_GPU, nodeSelector=None, schedulerName=None, runtimeClassName=None)
    for rule in ("queue-of-own-team", "scheduler-name", "pool-selector", "runtime-class", "host-check-node"):
        assert result(rule, [pool(), team(), software(), plain]).checked == 0


@pytest.mark.parametrize("key", ["gpu-fraction", "gpu-memory"])
def test_a_part_of_a_gpu_is_a_gpu_workload(key: str) -> None:
    part = changed(
        job(containers=[{"name": "c", "image": "docker.io/library/a:1.0"}]),
        "spec/template/metadata/annotations",
        {key: "1"},
    )
    assert result("queue-of-own-team", [team(), part]).checked == 1


@pytest.mark.parametrize("type_", tokens.WORKLOADS)
def test_every_kind_of_workload_is_looked_into(type_: str) -> None:
    template = {
        "metadata": {"labels": {LABEL_TEAM: "ml"}},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": 1}}}]},
    }
    properties: dict[str, object] = {"spec": {"template": template}}
    if type_ == tokens.POD:
        properties = dict(template)
    elif type_ == tokens.POD_TEMPLATE:
        properties = {"template": template}
    elif type_ == tokens.CRON_JOB:
        properties = {"spec": {"jobTemplate": {"spec": {"template": template}}}}
    subject = PolicyResource(type=type_, name="w", properties=properties)
    assert "schedulerName is not set" in messages("scheduler-name", [team(), subject])[0]
