"""`make footprint`: tenancy's pods apart from the team's own, requests, use, the store, and the share of a pool."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.footprint import TeamUse, sentences
from kube.footprint import PodUse, Use, pods_of, requested, store_bytes, used, used_now
from settings.claims import declared_footprint
from settings.load import parse_platform
from tests.cli.conftest import Project
from tests.cli.fake_api import certificates
from tests.conftest import Declare, platform_of

INNER = "vcluster.loft.sh/namespace"


def pod(name: str, cpu: str, memory: str, *, phase: str = "Running", inits: Any = (), **labels: str) -> dict[str, Any]:
    asked = {"requests": {"cpu": cpu, "memory": memory}}
    return {
        "metadata": {
            "name": name,
            "namespace": "team-ml",
            "labels": {k.replace("__", "/"): v for k, v in labels.items()},
        },
        "spec": {"containers": [{"name": "main", "image": f"r/{name}:1", "resources": asked}], "initContainers": inits},
        "status": {"phase": phase},
    }


COPY = {"name": "kubernetes", "image": "r/kubernetes:v1.34.4", "resources": {"requests": {"cpu": "300m"}}}
PODS = [
    pod("a-job", "2", "4Gi", **{INNER: "default"}),
    pod("ml-0", "100m", "256Mi", inits=[COPY], app="vcluster"),
    pod("scheduler-x", "50m", "128Mi", **{INNER: "kai-scheduler"}),
    pod("gpu-reservation-x", "1m", "10Mi", **{INNER: "kai-resource-reservation"}),
    pod("crd-upgrader-x", "1", "1Gi", phase="Succeeded", **{INNER: "kai-scheduler"}),
]
ANSWERS: dict[str, Any] = {
    "/api/v1/namespaces/team-ml/pods": {"items": PODS},
    "/apis/metrics.k8s.io/v1beta1/pods": {
        "items": [
            {
                "metadata": {"namespace": "team-ml", "name": "ml-0"},
                "containers": [
                    {"usage": {"cpu": "12345678n", "memory": "300Mi"}},
                    {"usage": {"cpu": "2", "memory": "1Mi"}},
                    {"name": "just-started"},
                ],
            }
        ]
    },
    "/api/v1/nodes/n/proxy/stats/summary": {
        "pods": [
            {
                "podRef": {"namespace": "team-ml", "name": "ml-0"},
                "cpu": {"usageNanoCores": 7_000_000},
                "memory": {"workingSetBytes": 200 * 1024**2},
            },
            {"podRef": {"namespace": "team-ml", "name": "just-started"}},
        ]
    },
}


def test_tenancys_pods_are_told_from_the_teams_own_and_what_ended_counts_nowhere() -> None:
    found = pods_of(ANSWERS.get, "ml", {}) or []
    assert [(one.name, one.tenancy) for one in found] == [
        ("gpu-reservation-x", True),
        ("ml-0", True),
        ("scheduler-x", True),
        ("a-job", False),
    ]


@pytest.mark.parametrize(
    ("label", "value", "tenancy"),
    [
        *(("app", value, True) for value in ("vcluster", "vcluster-etcd", "vcluster-snapshot")),
        *((INNER, value, True) for value in ("kube-system", "kai-scheduler", "kai-resource-reservation")),
        ("app", "web", False),
        (INNER, "default", False),
    ],
)
def test_tenancy_is_known_by_the_charts_label_or_the_namespace_inside(label: str, value: str, tenancy: bool) -> None:
    found = pods_of(lambda _: {"items": [pod("x", "1", "1Gi", **{label: value})]}, "ml", {}) or []
    assert [one.tenancy for one in found] == [tenancy]


def test_of_a_namespace_that_can_not_be_read_nothing_is_known_and_what_failed_takes_nothing() -> None:
    assert pods_of(lambda _: None, "ml", {}) is None
    assert pods_of(lambda _: {"items": [pod("x", "1", "1Gi", phase="Failed")]}, "ml", {}) == []


def test_a_pod_asks_for_what_the_scheduler_counts_its_init_containers_included() -> None:
    found = {one.name: one for one in pods_of(ANSWERS.get, "ml", {"team-ml/ml-0": Use(cpu=7, memory=8)}) or ()}
    assert found["ml-0"] == PodUse(
        name="ml-0",
        tenancy=True,
        init=(("kubernetes", "r/kubernetes:v1.34.4"),),
        main=(("main", "r/ml-0:1"),),
        # the larger of both
        requested=Use(cpu=300, memory=256),
        used=Use(cpu=7, memory=8),
    )
    assert (found["a-job"].requested, found["a-job"].used) == (Use(cpu=2000, memory=4096), None)
    assert requested(one for one in found.values() if one.tenancy) == Use(cpu=351, memory=394)


def test_use_is_the_metrics_apis_word_and_without_one_the_kubelets() -> None:
    assert used_now(ANSWERS.get, ["n"]) == {"team-ml/ml-0": Use(cpu=2012, memory=301)}
    without = {path: answer for path, answer in ANSWERS.items() if "metrics" not in path}
    assert used_now(without.get, ["n"])["team-ml/ml-0"] == Use(cpu=7, memory=200)
    assert used_now(lambda _: None, ["n"]) == {}


def test_a_sum_in_which_one_pod_is_not_measured_is_not_known() -> None:
    found = pods_of(ANSWERS.get, "ml", {"team-ml/ml-0": Use(cpu=7, memory=200)}) or []
    assert used(found) is None
    assert used([one for one in found if one.name == "ml-0"]) == Use(cpu=7, memory=200)
    assert used([]) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('# HELP x\napiserver_storage_size_bytes{storage_cluster_id="etcd-0"} 1.2288e+07\nother 1\n', 12_288_000),
        ("apiserver_storage_size_bytes 4096", 4096),
        ("nothing of the kind", None),
    ],
)
def test_the_store_is_as_large_as_its_api_server_says(text: str, size: int | None) -> None:
    assert store_bytes(text) == size


def test_the_overhead_is_told_in_percent_of_the_pool_where_the_file_says_what_it_has() -> None:
    data = platform_of("lab")
    data["pools"]["a100"] |= {"cpuPerNode": 100, "memoryPerNode": "1000Gi"}
    pools = {name for name, pool in data["pools"].items() if "cpuPerNode" not in pool}
    platform = parse_platform(data, "here")
    one = TeamUse(team="ml", pool="a100", declared=Use(cpu=500, memory=1024), pods=None, store=None)
    nodes = len(data["pools"]["a100"]["nodes"])
    said = sentences([one], platform)
    line = next(text for text in said if text.startswith("pool a100"))
    percent = f"{round(100 * 500 / (100_000 * nodes), 1):g}"
    assert f"CPU 500m ({percent} % of what its nodes have)" in line
    assert all("%" not in text for text in said if any(text.startswith(f"pool {name}") for name in pools))
    assert said[-1] == "the host can't be asked: these are the numbers of the stack file"


def test_the_stack_says_it_as_an_output_before_anything_runs(declare: Declare) -> None:
    found = declare("lab").exports["footprint"]
    assert found == declared_footprint(parse_platform(platform_of("lab"), "here"))
    assert found["teams"]["ml"]["pods"] > found["teams"]["dev"]["pods"] > 0, "a KAI of its own costs"
    asked = {name: found["teams"][name]["cpuMillicores"] for name in ("ml", "research")}
    assert {pool["cpuMillicores"] for pool in found["pools"].values()} >= set(asked.values())


def test_the_command_prints_what_the_cluster_says(project: Project, capsys: Any) -> None:
    project.api.objects |= {path: answer["items"] for path, answer in ANSWERS.items() if path.endswith("team-ml/pods")}
    project.outputs({})
    assert project.run("footprint") == 0
    said = capsys.readouterr().out.splitlines()
    row = next(line for line in said if line.startswith("ml"))
    assert row.split() == ["ml", "3", "3", "(1)", "351m", "-", "394", "MiB", "-", "-", "1"]
    assert "no metrics" in said[-1]
    assert project.run("footprint", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["requested"], found["own"]["pods"]) == ({"cpu": 351, "memory": 394}, 1)
    assert project.run("footprint", "--team", "ml") == 0
    assert "r/kubernetes:v1.34.4" in capsys.readouterr().out


def test_the_store_is_asked_at_the_teams_own_address_and_one_that_does_not_answer_is_not_known(
    project: Project, capsys: Any
) -> None:
    project.api.objects |= {path: answer["items"] for path, answer in ANSWERS.items() if path.endswith("team-ml/pods")}
    project.api.named["/api/v1/namespaces/team-ml/secrets/vc-ml"] = certificates()
    assert project.run("footprint", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert ("GET", "/api/v1/namespaces/team-ml/secrets/vc-ml") in project.api.seen
    assert found["storeBytes"] is None
