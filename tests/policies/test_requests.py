"""Rules of what is asked for: parts of a GPU, and workloads within their team and queue."""

from __future__ import annotations

import pytest

import tokens
from policies.inventory import PolicyResource
from policies.plain import UNKNOWN
from tests.policies.judged import changed, messages, result
from tests.policies.world import check, job, leaf, pool, resource, team


def part_job(**annotations: str) -> PolicyResource:
    return changed(
        job(containers=[{"name": "c", "image": "docker.io/library/a:1.0"}]),
        "spec/template/metadata/annotations",
        {f"gpu-{key}": value for key, value in annotations.items()},
    )


@pytest.mark.parametrize(("value", "fires"), [(0.0, True), (0.01, False), (1.0, False), (1.01, True), (-0.5, True)])
def test_a_fraction_is_above_zero_and_at_most_one(value: float, fires: bool) -> None:
    for subject in (check(fraction=value), part_job(fraction=str(value))):
        found = messages("fraction-range", [team(), subject])
        assert len(found) == fires
        assert all(f"fraction {value:g} of a GPU; it must be above 0 and at most 1" in message for message in found)


def test_a_fraction_that_is_no_number_is_refused() -> None:
    assert messages("fraction-range", [team(), part_job(fraction="half")]) == [
        "Job ml-job: annotation gpu-fraction must be a number, got 'half'"
    ]


def test_a_fraction_of_a_team_without_gpu_sharing_is_refused() -> None:
    for subject in (check(fraction=0.5), check(gpuMemoryMib=10), part_job(fraction="0.5"), part_job(memory="10")):
        assert "has gpuSharing off" in messages("fraction-range", [team(gpuSharing=False), subject])[0]


def test_a_fraction_and_gpu_memory_together_are_refused() -> None:
    for subject in (check(fraction=0.5, gpuMemoryMib=10), part_job(fraction="0.5", memory="10")):
        assert "asks for a fraction and for GPU memory" in messages("fraction-range", [team(), subject])[0]


def test_whole_gpus_are_none_of_the_fraction_rules_business() -> None:
    assert result("fraction-range", [team(gpuSharing=False), check(), job()]).checked == 0


# of 81920 MiB KAI gives away whole hundreds
@pytest.mark.parametrize(("asked", "fires"), [(1, False), (81900, False), (81901, True), (81920, True), (0, True)])
def test_gpu_memory_is_within_one_gpu_of_the_pool(asked: int, fires: bool) -> None:
    for subject in (check(gpuMemoryMib=asked), part_job(memory=str(asked))):
        found = messages("gpu-memory", [pool(), team(), subject])
        assert len(found) == fires
        assert all(
            f"asks for {asked} MiB, but of a GPU of pool a100 KAI gives away at most 81900 MiB, whole hundreds of" in m
            for m in found
        )


def test_gpu_memory_needs_a_pool_that_says_its_own() -> None:
    found = messages("gpu-memory", [pool(gpuMemoryMib=None), team(), check(gpuMemoryMib=10)])
    assert found == ["GpuCheck ml-check: asks for 10 MiB, but pool a100 does not say gpuMemoryMib; set it"]


@pytest.mark.parametrize(("replicas", "fires"), [(0, True), (1, False), (4, False), (5, True)])
def test_replicas_are_within_the_stacks_maximum(replicas: int, fires: bool) -> None:
    found = messages("replicas-maximum", [pool(replicas=replicas)], maxReplicas=4)
    assert len(found) == fires
    assert all(f"pool a100: {replicas} replicas of a GPU, allowed are 1 to 4; set fewer" in m for m in found)


def test_slices_are_no_replicas_to_that_maximum() -> None:
    assert messages("replicas-maximum", [pool(replicas=7, unit="slice")], maxReplicas=4) == []


def test_a_team_that_shares_gpus_on_replicas_is_refused() -> None:
    shared = pool(replicas=2, unit="replica")
    assert messages("no-fractions-on-replicas", [shared, team()]) == [
        "team ml: gpuSharing on pool a100 with 2 replicas of each GPU; turn gpuSharing off, or use a pool without "
        "replicas"
    ]
    assert messages("no-fractions-on-replicas", [shared, team(gpuSharing=False)]) == []
    assert messages("no-fractions-on-replicas", [pool(), team()]) == []


@pytest.mark.parametrize("asks", [{"fraction": 0.5}, {"gpuMemoryMib": 10}])
def test_a_check_for_a_part_of_a_replica_is_refused(asks: dict[str, object]) -> None:
    world = [pool(replicas=2), pool("l4"), team(gpuSharing=False), team("far", pool="l4")]
    assert messages("no-fractions-on-replicas", [*world, check(**asks)]) == [
        "GpuCheck ml-check: asks for a part of a GPU on pool a100 with replicas; ask for whole replicas"
    ]
    assert messages("no-fractions-on-replicas", [*world, check(team="far", **asks)]) == []
    assert messages("no-fractions-on-replicas", [*world, check()]) == []


def asking(count: object, **spec: object) -> PolicyResource:
    return job(
        "ml-job",
        spec,
        containers=[
            {"name": "c", "image": "docker.io/library/a:1.0", "resources": {"limits": {"nvidia.com/gpu": count}}}
        ],
    )


def test_a_workload_above_its_teams_limit_is_refused() -> None:
    roomy = team(queues={"training": leaf(1, -1)})
    for subject in (check(gpus=7), asking("7"), asking(1, parallelism=7)):
        found = messages("workload-within-quota", [roomy, subject])
        assert len(found) == 1
        assert found[0].endswith(": asks for 7, team ml has a limit of 6; ask for less")
    for subject in (check(gpus=6), asking("6"), asking(2, parallelism=3)):
        assert messages("workload-within-quota", [roomy, subject]) == []


def test_a_workload_above_its_queues_limit_is_refused() -> None:
    tight = team(queues={"training": leaf(1, 2), "notebooks": leaf(1, 6)})
    for subject in (check(gpus=3), asking(3)):
        found = messages("workload-within-quota", [tight, subject])
        assert len(found) == 1
        assert found[0].endswith(
            ": asks for 3, queue training of team ml has a limit of 2; ask for less, or use another queue"
        )
    assert messages("workload-within-quota", [tight, check(gpus=2)]) == []
    assert messages("workload-within-quota", [tight, check(gpus=3, queue="notebooks")]) == []


def test_a_queue_on_the_host_is_known_by_the_teams_name_too() -> None:
    tight = team(mode="host", queues={"training": leaf(1, 2)})
    assert len(messages("workload-within-quota", [tight, check(gpus=3, queue="ml-training")])) == 1


def test_a_fraction_counts_as_its_share() -> None:
    small = team(gpuLimit=1, queues={"training": leaf(0.5, 0.5)})
    assert messages("workload-within-quota", [small, check(gpus=1, fraction=0.5)]) == []
    assert len(messages("workload-within-quota", [small, check(gpus=1, fraction=0.6)])) == 1
    assert messages("workload-within-quota", [small, part_job(fraction="0.5")]) == []
    assert len(messages("workload-within-quota", [small, part_job(fraction="0.6")])) == 1


def test_a_fraction_of_several_gpus_counts_for_each() -> None:
    small = team(gpuLimit=1, queues={"training": leaf(1, 1)})
    assert (
        messages("workload-within-quota", [small, part_job(**{"fraction": "0.5", "fraction-num-devices": "2"})]) == []
    )
    found = messages("workload-within-quota", [small, part_job(**{"fraction": "0.5", "fraction-num-devices": "3"})])
    assert "asks for 1.5, team ml has a limit of 1" in found[0]


def test_a_fraction_of_one_gpu_that_says_so_is_the_fraction() -> None:
    small = team(gpuLimit=1, queues={"training": leaf(1, 0.5)})
    assert (
        messages("workload-within-quota", [small, part_job(**{"fraction": "0.5", "fraction-num-devices": "1"})]) == []
    )
    found = messages("workload-within-quota", [small, part_job(**{"fraction": "0.6", "fraction-num-devices": "1"})])
    assert "asks for 0.6, queue training of team ml has a limit of 0.5" in found[0]


def test_the_workers_of_slurm_ask_for_their_gpus_each() -> None:
    tight = team(queues={"training": leaf(1, 4), "notebooks": leaf(1, -1)})

    def said(**facts: object) -> list[str]:
        cluster = resource(tokens.SLINKY_CLUSTER, "slurm", {"team": "ml", "queue": "training"} | facts)
        return messages("workload-within-quota", [tight, cluster])

    assert said(gpus=2, replicas=2) == []
    (found,) = said(gpus=2, replicas=3)
    assert found.startswith("SlinkyCluster slurm: asks for 6, queue training of team ml has a limit of 4; ask for less")
    assert said(gpus=2, replicas=3, queue="notebooks") == []
    assert said(gpus=1, replicas=7, queue="notebooks") == [
        "SlinkyCluster slurm: asks for 7, team ml has a limit of 6; ask for less"
    ]


def test_the_pods_of_a_cron_job_are_counted() -> None:
    nightly = asking(1, parallelism=7)
    cron = PolicyResource(
        type=tokens.CRON_JOB,
        name="ml-cron",
        properties={"metadata": nightly.properties["metadata"], "spec": {"jobTemplate": nightly.properties}},
    )
    assert "asks for 7, team ml has a limit of 6" in messages("workload-within-quota", [team(), cron])[0]


def test_an_unlimited_team_lets_any_number_through() -> None:
    free = team(gpuLimit=-1, queues={"training": leaf(1, -1)})
    assert messages("workload-within-quota", [free, check(gpus=64)]) == []


def test_the_larger_of_init_containers_and_containers_counts() -> None:
    def container(count: int) -> dict[str, object]:
        return {"name": "c", "resources": {"requests": {"nvidia.com/gpu": count}}}

    tight = team(gpuLimit=4, queues={"training": leaf(1, -1)})
    both = job(initContainers=[container(3), container(4)], containers=[container(2), container(2)])
    assert messages("workload-within-quota", [tight, both]) == []
    more = job(initContainers=[container(5)], containers=[container(2)])
    assert "asks for 5" in messages("workload-within-quota", [tight, more])[0]


@pytest.mark.parametrize(
    ("init", "main", "asked"),
    [
        # one that stays runs beside all that come later, and beside the containers
        ([(2, True)], [2], 4),
        ([(2, True), (2, True)], [1], 5),
        ([(1, True), (4, False)], [1], 5),
        ([(4, False), (1, True)], [1], 4),
        ([(1, True), (3, False), (2, True)], [2], 5),
    ],
)
def test_init_containers_that_stay_add_up_with_what_runs_beside_them(
    init: list[tuple[int, bool]], main: list[int], asked: int
) -> None:
    def container(count: int, stays: bool = False) -> dict[str, object]:
        always = {"restartPolicy": "Always"} if stays else {}
        return {"name": "c", "resources": {"limits": {"nvidia.com/gpu": count}}, **always}

    subject = job(initContainers=[container(*found) for found in init], containers=[container(n) for n in main])
    tight = team(gpuLimit=0, gpuQuota=0, queues={"training": leaf(0, -1)})
    assert f"asks for {asked}, team ml" in messages("workload-within-quota", [tight, subject])[0]


def test_a_daemon_set_asks_on_each_node_that_its_team_sees() -> None:
    each = PolicyResource(type=tokens.DAEMON_SET, name="d", properties=asking(1).properties)
    pools = pool(nodes=["gpu-0", "gpu-1", "gpu-2"], size=3)
    for nodes, asked in (([], 3), (["gpu-0", "gpu-1"], 2)):
        tight = team(gpuLimit=1, gpuQuota=1, nodes=nodes, queues={"training": leaf(1, -1)})
        assert f"asks for {asked}, team ml" in messages("workload-within-quota", [pools, tight, each])[0]
    found = pool(nodes=[], size=4, selector={"kind": "a100"})
    assert "asks for 4" in messages("workload-within-quota", [found, team(gpuLimit=1, gpuQuota=1), each])[0]


def test_mig_slices_and_shared_gpus_are_counted_and_other_resources_are_not() -> None:
    tight = team(gpuLimit=1, queues={"training": leaf(1, -1)})
    for name, fires in (("nvidia.com/mig-1g.5gb", True), ("nvidia.com/gpu.shared", True), ("cpu", False)):
        subject = job(containers=[{"name": "c", "resources": {"limits": {name: 2, "nvidia.com/gpu": 0}}}])
        assert len(messages("workload-within-quota", [tight, subject])) == fires


def test_a_request_that_is_no_whole_number_is_a_violation() -> None:
    assert messages("workload-within-quota", [team(), asking("some")]) == [
        "Job ml-job: asks for 'some' of nvidia.com/gpu, which is not a whole number"
    ]
    assert "not known at preview" in messages("workload-within-quota", [team(), asking(UNKNOWN)])[0]


def test_replicas_of_a_deployment_are_counted() -> None:
    deployment = changed(asking(2, replicas=4), "kind", "Deployment")
    assert "asks for 8" in messages("workload-within-quota", [team(), deployment])[0]


def test_a_workload_of_an_unknown_team_is_refused() -> None:
    assert messages("workload-within-quota", [team(), check(team="who")]) == [
        "GpuCheck ml-check: names team 'who', which this stack does not have"
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_an_annotation_that_nothing_can_be_compared_with_is_refused(value: str) -> None:
    for key, rule in (("fraction", "fraction-range"), ("fraction", "workload-within-quota"), ("memory", "gpu-memory")):
        assert messages(rule, [pool(), team(), part_job(**{key: value})]) == [
            f"Job ml-job: annotation gpu-{key} must be a number, got {value!r}"
        ]


@pytest.mark.parametrize("devices", ["-4", "0", "0.5", "1.5", "nan"])
def test_a_share_is_of_one_gpu_or_more(devices: str) -> None:
    part = part_job(**{"fraction": "0.5", "fraction-num-devices": devices})
    (found,) = messages("workload-within-quota", [team(), part])
    assert "annotation gpu-fraction-num-devices must be " in found


@pytest.mark.parametrize("gpus", [-4, 0.5, float("nan"), float("inf"), "-4", "\u0663", "1e3"])
def test_no_container_asks_for_less_than_nothing(gpus: object) -> None:
    image = "docker.io/library/a:1.0"
    eight, odd = ({"name": f"c{n}", "image": image, "resources": {"limits": {"nvidia.com/gpu": n}}} for n in (8, gpus))
    (found,) = messages("workload-within-quota", [team(gpuLimit=4), job(containers=[eight, odd])])
    assert "of nvidia.com/gpu, which is not a whole number" in found


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_of_a_team_that_nothing_can_be_compared_with_is_refused(number: float) -> None:
    assert messages("workload-within-quota", [team(gpuLimit=number), job()]) != []


def annotated(kind: str = tokens.DEPLOYMENT, /, replicas: object = 1, **marks: str) -> PolicyResource:
    asks = job("ml-job", None, containers=[{"name": "c", "image": "a:1.0"}])
    marked = changed(asks, "spec/template/metadata/annotations", {k.replace("_", "-"): v for k, v in marks.items()})
    return resource(kind, "w", changed(marked, "spec/replicas", replicas).properties)


@pytest.mark.parametrize(
    ("workload", "asked"),
    [
        (annotated(gpu_memory="40950", replicas=14), "7"),
        (annotated(gpu_memory="81900", gpu_fraction_num_devices="7"), "7"),
        # a whole GPU beside a part is no part
        (
            changed(
                annotated(gpu_fraction="0.5"),
                "spec/template/spec/containers",
                [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "7"}}}],
            ),
            "7.5",
        ),
    ],
)
def test_parts_by_memory_and_whole_gpus_beside_parts_are_counted(workload: PolicyResource, asked: str) -> None:
    assert messages("workload-within-quota", [pool(), team(), workload])[0] == (
        f"Deployment w: asks for {asked}, team ml has a limit of 6; ask for less"
    )


def test_memory_within_the_limit_passes() -> None:
    assert messages("workload-within-quota", [pool(), team(), annotated(gpu_memory="40950", replicas=12)]) == []
    # 0.5001 counts as 0.51
    assert (
        "asks for 6.12"
        in messages("workload-within-quota", [pool(), team(), annotated(gpu_memory="40960", replicas=12)])[0]
    )


def test_workloads_of_a_paused_team_are_within_what_it_has_again_when_it_is_resumed() -> None:
    none = {"gpuQuota": 0, "gpuLimit": 0, "queues": {"training": leaf(0, 0)}}
    whole = annotated(gpu_fraction="0.5")
    assert messages("workload-within-quota", [pool(), team(**none, state="paused"), whole]) == []
    assert len(messages("workload-within-quota", [pool(), team(**none), whole])) >= 1


def test_a_check_by_memory_counts_as_its_part_of_a_gpu() -> None:
    small = team(queues={"training": leaf(0.25, 0.25)})
    assert messages("workload-within-quota", [pool(), small, check(gpuMemoryMib=20475)]) == []
    assert "asks for 0.26" in messages("workload-within-quota", [pool(), small, check(gpuMemoryMib=20476)])[0]


def test_memory_of_a_pool_that_does_not_say_its_own_is_told_once_by_the_memory_rule() -> None:
    world = [pool(gpuMemoryMib=None), team(gpuLimit=0, queues={"training": leaf(0, 0)}), annotated(gpu_memory="40960")]
    assert messages("workload-within-quota", world) == []
    assert len(messages("gpu-memory", world)) == 1


def test_no_pods_ask_for_nothing() -> None:
    none = team(gpuLimit=0, queues={"training": leaf(0, 0)})
    assert messages("workload-within-quota", [pool(), none, annotated(gpu_fraction="0.5", replicas=0)]) == []


@pytest.mark.parametrize("replicas", [-3, 1.5])
def test_a_number_of_pods_that_is_none_is_a_violation(replicas: float) -> None:
    asks = annotated(gpu_fraction="0.5", replicas=replicas)
    assert messages("workload-within-quota", [pool(), team(), asks]) == [
        f"Deployment w: replicas must be a whole number, 0 or more, got {replicas}"
    ]
