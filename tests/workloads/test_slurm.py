"""SLURM as a workload of a team (Slinky): what is registered, what its charts are told, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import tokens
from capacity import millicores
from components.team.tenant import resolve
from components.workloads.pods import placement
from components.workloads.slurm import workers
from policies.inventory import PolicyResource
from releases import slinky
from settings.load import parse_platform
from settings.workloads import SlurmWorkload
from tests.components.specs import made
from tests.conftest import Declare
from tests.policies import world
from tests.policies.judged import changed, messages
from tests.settings.build import mistakes_of

RELEASE = "kubernetes:helm.sh/v3:Release"
SLURM = {"kind": "slurm", "gpu": {"count": 4}, "replicas": 2, "cpu": 8, "memory": "32Gi", "partition": "batch"}


def raw(workload: dict[str, Any] | None = None, **team: object) -> dict[str, Any]:
    """Two nodes of four GPUs, and a team that has both of them for SLURM."""
    return {
        "host": {"provider": "existing", "address": "10.0.0.5"},
        "gpu": {"stack": "devicePlugin"},
        "check": {"host": False},
        "pools": {"gpu": {"nodes": ["n1", "n2"], "gpusPerNode": 4, "gpuMemoryMib": 81559, "taint": True}},
        "teams": {
            "hpc": {
                "pool": "gpu",
                "isolation": "privileged",
                "scheduler": {"mode": "virtual", "version": "v0.16.8"},
                "resources": {"gpus": 8, "cpu": 17, "memory": "66Gi", "storage": "20Gi", "pods": 20},
                "queues": {"batch": {"gpu": 8}},
                "check": {"enabled": False},
                "workloads": {"slurm": {**SLURM, **(workload or {})}},
                **team,
            }
        },
    }


def values(declare: Declare, data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = declare(data).one(RELEASE, name).inputs["values"]
    return found


def test_both_releases_are_whole_and_its_facts_say_what_it_takes(declare: Declare) -> None:
    artifacts = {
        "imageRegistry": "mirror.example.com",
        "imagePullPolicy": "IfNotPresent",
        "charts": {"slurm": "https://charts.example.com/slurm"},
    }
    recorder = declare({**raw(), "artifacts": artifacts})
    found = made(recorder, "hpc-workloads-slurm")
    release = slinky.SLINKY[slinky.DEFAULT_SLINKY]
    platform = parse_platform(raw(), "here")
    place, workload = placement(resolve(platform)["hpc"], platform), platform.teams["hpc"].workloads["slurm"]
    assert isinstance(workload, SlurmWorkload)
    alike = {
        "namespace": "workloads",
        "version": slinky.DEFAULT_SLINKY,
        "atomic": True,
        "cleanupOnFail": True,
        "maxHistory": 5,
        "timeout": 600,
    }
    assert found["operator"].spec == {
        **alike,
        "name": "slurm-operator",
        "chart": "oci://ghcr.io/slinkyproject/charts/slurm-operator",
        "values": slinky.slinky_operator_values(
            release, namespace="workloads", image_registry="mirror.example.com", pull_policy="IfNotPresent"
        ),
    }
    assert found["cluster"].spec == {
        **alike,
        "name": "slurm",
        "chart": "slurm",
        "repositoryOpts": {"repo": "https://charts.example.com/slurm"},
        "values": slinky.slinky_values(
            release,
            workers(workload, place),
            partition="batch",
            storage="4Gi",
            image_registry="mirror.example.com",
            pull_policy="IfNotPresent",
        ),
    }
    for each in found.values():
        assert (each.provider, each.goes_with) == ("hpc-virtual-cluster-inner", "hpc-virtual-cluster-vcluster")
    assert "hpc-workloads-namespace" in found["operator"].needs
    component = recorder.one("gpu-tenancy:index:SlinkyCluster", "hpc-workloads-slurm")
    assert component.inputs == {
        "team": "hpc",
        "gpus": 4,
        "replicas": 2,
        "queue": "batch",
        "partition": "batch",
        "version": slinky.DEFAULT_SLINKY,
    }


def test_its_workers_go_through_the_team_s_queue_and_hold_whole_nodes(declare: Declare) -> None:
    worker = values(declare, raw(), "hpc-workloads-slurm-cluster")["nodesets"][slinky.NODE_SET]
    assert worker["replicas"] == 2
    assert worker["metadata"]["labels"]["kai.scheduler/queue"] == "batch"
    assert worker["podSpec"] == {
        "automountServiceAccountToken": False,
        "schedulerName": "kai-scheduler",
        "runtimeClassName": "nvidia",
        "nodeSelector": {"gpu-tenancy/pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }
    assert worker["slurmd"]["resources"] == {
        "requests": {"cpu": "8", "memory": "32Gi"},
        "limits": {"memory": "32Gi", "nvidia.com/gpu": 4},
    }
    assert worker["extraConfMap"] == {"Gres": ["gpu:4"]}


def test_jobs_can_ask_for_gpus_in_one_partition(declare: Declare) -> None:
    found = values(declare, raw(), "hpc-workloads-slurm-cluster")
    assert found["configFiles"] == {"gres.conf": "AutoDetect=nvidia\n"}
    assert found["controller"]["extraConfMap"] == {"GresTypes": ["gpu"]}
    assert found["partitions"] == {"batch": {"enabled": True, "nodesets": ["worker"], "configMap": {"Default": "YES"}}}
    assert found["controller"]["persistence"] == {"resources": {"requests": {"storage": "4Gi"}}}


def test_the_operator_is_the_team_s_own_and_comes_first(declare: Declare) -> None:
    recorder = declare(raw())
    operator = recorder.one(RELEASE, "hpc-workloads-slurm-operator").inputs
    assert operator["chart"] == "oci://ghcr.io/slinkyproject/charts/slurm-operator"
    assert operator["version"] == slinky.DEFAULT_SLINKY
    assert operator["values"]["crds"] == {"enabled": True}
    assert operator["values"]["certManager"] == {"enabled": False}
    assert operator["values"]["operator"]["namespaces"] == operator["namespace"] == "workloads"
    cluster = recorder.one(RELEASE, "hpc-workloads-slurm-cluster")
    assert any(urn.endswith("::hpc-workloads-slurm-operator") for urn in cluster.dependencies)


def test_every_image_is_pinned_and_comes_from_the_mirror(declare: Declare) -> None:
    data = {**raw(), "artifacts": {"imageRegistry": "mirror.example:5000", "imagePullPolicy": "IfNotPresent"}}
    recorder = declare(data)
    found: dict[str, Any] = recorder.one(RELEASE, "hpc-workloads-slurm-cluster").inputs["values"]
    images = [
        *(found["controller"][part]["image"] for part in ("slurmctld", "reconfigure", "logfile")),
        found["restapi"]["slurmrestd"]["image"],
        *(found["nodesets"][slinky.NODE_SET][part]["image"] for part in ("slurmd", "logfile")),
    ]
    assert all(image["repository"].startswith("mirror.example:5000/") for image in images)
    assert {image["tag"] for image in images} == {"26.05-ubuntu26.04", "3.22"}
    operator: dict[str, Any] = recorder.one(RELEASE, "hpc-workloads-slurm-operator").inputs["values"]
    assert operator["webhook"]["image"]["repository"] == "mirror.example:5000/slinkyproject/slurm-operator-webhook"


def test_on_the_host_s_kai_its_queue_is_the_host_s(declare: Declare) -> None:
    data = raw(scheduler={"mode": "host"})
    data["host"]["scheduler"] = {"version": "v0.16.8"}
    worker = values(declare, data, "hpc-workloads-slurm-cluster")["nodesets"][slinky.NODE_SET]
    assert worker["metadata"]["labels"]["kai.scheduler/queue"] == "hpc-batch"


def test_it_fits_its_team_with_what_comes_beside_the_workers() -> None:
    beside = slinky.cost(slinky.SLINKY[slinky.DEFAULT_SLINKY], 2)
    assert mistakes_of(raw()) == []
    assert beside.cpu_millicores <= 17000 - 2 * millicores("8")
    (line,) = mistakes_of(raw(resources={"gpus": 8, "cpu": 16, "memory": "66Gi", "storage": "20Gi", "pods": 20}))
    assert f"got {16000 + beside.cpu_millicores}m CPU of 16000m CPU" in line
    (line,) = mistakes_of(raw(resources={"gpus": 8, "cpu": 17, "memory": "66Gi", "storage": "20Gi", "pods": 5}))
    assert "got 6 pods of 5 pods" in line, "two workers and four pods of Slinky's"


@pytest.mark.parametrize(
    ("workload", "team", "said"),
    [
        ({"gpu": {"count": 2}}, {}, "gpu: a worker is privileged and sees every GPU of its node, whatever Kubernetes"),
        ({"gpu": {"fraction": 0.5}}, {"scheduler": {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True}},
         "got a part of one of 4; write gpu: {count: 4}"),
        ({"gpu": {}}, {}, "gpu: must have exactly one of count, fraction and memoryMib, got none of them"),
        ({"replicas": 3}, {}, "replicas: each worker is alone on a node of team hpc, got 3 of 2"),
        ({}, {"nodes": ["n1"], "resources": {"gpus": 4, "cpu": 17, "memory": "66Gi", "storage": "20Gi", "pods": 20},
              "queues": {"batch": {"gpu": 4}}}, "got 2 of 1; lower replicas"),
        ({}, {"resources": {"gpus": 4, "cpu": 17, "memory": "66Gi", "storage": "20Gi", "pods": 20}},
         "must fit team hpc's GPU limit, all at the same time, got 4 + 4, which takes 8 GPUs of 4"),
        ({}, {"queues": {"batch": {"gpu": {"quota": 4, "limit": 4}}}}, "got 4 + 4 = 8 of 4"),
        ({}, {"isolation": "baseline"}, "teams.hpc.isolation: SLURM's workers are privileged containers, and this"),
        ({}, {"scheduler": {"mode": "default"}, "queues": {}}, "which needs KAI, got scheduler.mode default"),
        ({"queue": "night"}, {}, "queue: must be a leaf queue of team hpc, got 'night'; write one of batch"),
        ({"partition": "default"}, {}, "partition: is a word of SLURM's own (all, default), got 'default'"),
        ({"partition": "Night Jobs"}, {}, "partition"),
        ({"storage": "18Gi"}, {}, "must fit resources.storage of team hpc"),
        ({"storage": "0"}, {}, "workloads.slurm.storage: "),
        ({"image": "example/slurmd:1"}, {}, "image"),
    ],
)  # fmt: skip
def test_what_can_t_work_is_refused(workload: dict[str, Any], team: dict[str, Any], said: str) -> None:
    found = mistakes_of(raw(workload, **team))
    assert any(said in line for line in found), found


def test_a_pool_that_shares_its_gpus_and_one_without_any_are_refused() -> None:
    shared, none = raw(), raw()
    shared["pools"]["gpu"]["sharing"] = {"timeSlicing": {"replicas": 2}}
    assert any("need whole GPUs, not replicas or slices" in line for line in mistakes_of(shared))
    none["pools"]["gpu"].update(gpusPerNode=0, gpuMemoryMib=None)
    none["teams"]["hpc"].update(queues={"batch": {"gpu": 0}}, resources={"gpus": 0, "cpu": 17, "memory": "66Gi"})
    assert any("needs a pool with GPUs" in line for line in mistakes_of(none))


def test_a_team_has_one_of_it_under_a_short_name() -> None:
    two = raw({"replicas": 1})
    two["teams"]["hpc"]["workloads"]["more"] = {**SLURM, "replicas": 1}
    assert any("a team has one SLURM: its operator and its kinds" in line for line in mistakes_of(two))
    long = raw()
    long["teams"]["hpc"]["workloads"] = {"s" * 31: SLURM}
    assert any("has at most 30 characters" in line for line in mistakes_of(long))


class TestRules:
    """The policy pack judges its component and both of its charts."""

    def cluster(self, **more: object) -> PolicyResource:
        facts = {"team": "ml", "gpus": 4, "replicas": 1, "queue": "training", **more}
        return world.resource(tokens.SLINKY_CLUSTER, "ml-workloads-slurm", facts)

    def test_it_stays_within_the_quota_of_its_team_and_queue(self) -> None:
        assert messages("workload-within-quota", [*world.healthy(), self.cluster()]) == []
        found = messages("workload-within-quota", [*world.healthy(), self.cluster(replicas=2)])
        assert any("asks for 8, team ml has a limit of 6" in line for line in found), found

    def test_its_charts_hold_no_value_that_nobody_judged(self, declare: Declare) -> None:
        recorder = declare(raw())
        for name in ("operator", "cluster"):
            inputs = copy.deepcopy(recorder.one(RELEASE, f"hpc-workloads-slurm-{name}").inputs)
            release = world.resource(tokens.RELEASE, f"hpc-{name}", inputs, world.urn(tokens.SLINKY_CLUSTER, "slurm"))
            assert messages("known-values", [*world.healthy(), release]) == []
            open_door = changed(release, "values/extraObjects", [{"kind": "ClusterRoleBinding"}])
            assert any("extraObjects" in line for line in messages("known-values", [*world.healthy(), open_door]))


def test_a_stack_without_it_installs_no_chart_of_slinky_s() -> None:
    from settings.artifacts import installed_charts

    with_it, without = parse_platform(raw(), "here"), raw()
    assert ("slurm-operator", "1.2.1") in installed_charts(with_it)
    without["teams"]["hpc"]["workloads"] = {}
    assert not [name for name, _ in installed_charts(parse_platform(without, "here")) if "slurm" in name]
