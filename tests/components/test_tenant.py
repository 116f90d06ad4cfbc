"""A tenant, whole: all that the program works out of a stack file, and what a policy and the quota are told of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

import pytest

from components.team.tenant import Tenant, cluster_facts, facts, quota_hard, resolve, topologies
from names import GPU, GPU_RESOURCES
from settings.load import parse_platform
from settings.models import Pool
from tests.settings.build import raw

PROPERTIES: Final = ("namespace", "owner", "own_kai", "on_host", "enforced", "is_checked", "check_queue")

ML: Final[dict[str, Any]] = {
    "name": "ml",
    "canary_of": None,
    "slot": None,
    "pool_name": "gpu",
    "pool": ("gpu-0",),
    "nodes": ("gpu-0",),
    "node_selector": {"gpu-tenancy/pool": "gpu"},
    "gpu_quota": 2,
    "gpu_limit": 2,
    "has_gpus": True,
    "kai": "v0.9.3",
    "vcluster": "0.36.1",
    "kubernetes": "v1.34.4",
    "cost": (270, 1622, 9),
    "node_port": 30868,
    "server": "https://10.0.0.5:30868",
    "certificate_names": ("ml.team-ml.svc", "10.0.0.5"),
    "namespace": "team-ml",
    "owner": "ml",
    "own_kai": True,
    "on_host": False,
    "enforced": False,
    "is_checked": True,
    "check_queue": "notebooks",
    "queues": {"training": (1, 2, 1, 100), "notebooks": (1, 1, 1, 100)},
}
"""Mode `virtual`; a release by its version, a queue by quota, limit, weight and priority, a cost by millicores, MiB and
pods, a pool by its nodes."""
DEV: Final[dict[str, Any]] = {
    **ML,
    "name": "dev",
    "namespace": "team-dev",
    "owner": "dev",
    "pool_name": None,
    "pool": None,
    "nodes": (),
    "node_selector": {},
    "gpu_quota": 0,
    "gpu_limit": 0,
    "has_gpus": False,
    "is_checked": False,
    "queues": {},
    "check_queue": None,
    "kai": None,
    "own_kai": False,
    "cost": (65, 672, 2),
    "node_port": 31167,
    "server": "https://10.0.0.5:31167",
    "certificate_names": ("dev.team-dev.svc", "10.0.0.5"),
}
FEW: Final = {"gpu_quota": 1, "gpu_limit": 1, "queues": {"training": (0, 1, 1, 100), "notebooks": (1, 1, 1, 100)}}
"""What a second virtual cluster has of GPUs."""
TWO: Final = {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 4, "gpuMemoryMib": 24576, "podsPerNode": 250}
ON_HOST: Final[dict[str, object]] = {
    "host.scheduler": {"version": "v0.16.8"},
    "teams.ml.scheduler": {"mode": "host"},
}


def tenants(changes: dict[str, object]) -> dict[str, Tenant]:
    return resolve(parse_platform(raw(changes), "unit"))


def tenant(name: str = "ml", /, **changes: object) -> Tenant:
    return tenants(changes)[name]


def whole(tenant: Tenant) -> dict[str, Any]:
    """Every field and property, but the team as the stack file says it."""
    found = {field.name: getattr(tenant, field.name) for field in fields(tenant) if field.name != "team"}
    cost = tenant.cost
    return {
        **found,
        **{name: getattr(tenant, name) for name in PROPERTIES},
        "pool": tenant.pool and tenant.pool.nodes,
        "kai": tenant.kai and tenant.kai.version,
        "vcluster": tenant.vcluster.version,
        "cost": (cost.cpu_millicores, cost.memory_mib, cost.pods),
        "queues": {
            name: (queue.gpu.quota, queue.gpu.limit, queue.gpu.over_quota_weight, queue.priority)
            for name, queue in tenant.queues.items()
        },
    }


def test_a_team_with_a_kai_of_its_own_has_these_facts() -> None:
    assert whole(tenant()) == ML


def test_a_team_without_gpus_has_no_node_and_no_check() -> None:
    assert whole(tenant("dev")) == DEV


def test_a_team_under_the_hosts_kai_pays_for_none_and_gets_a_queue_for_its_check() -> None:
    queues = {**ML["queues"], "gpu-check": (0, 1, 0, 1)}
    hosts = {"kai": "v0.16.8", "own_kai": False, "on_host": True, "cost": (65, 672, 2)}
    assert whole(tenant(**ON_HOST)) == {**ML, **hosts, "queues": queues, "check_queue": "ml-gpu-check"}
    assert whole(tenant("dev", **ON_HOST)) == DEV
    named = tenant(**ON_HOST, **{"teams.ml.check": {"queue": "training"}})
    assert whole(named) == {**ML, **hosts, "check_queue": "ml-training"}


def test_only_a_kai_that_runs_inside_decides_what_kubernetes_runs_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("releases.kubernetes_for", lambda _, kai: f"fits {kai.version if kai else 'vCluster'}")
    assert (tenant().kubernetes, tenant(**ON_HOST).kubernetes) == ("fits v0.9.3", "fits vCluster")


def test_the_queue_of_a_check_has_no_more_than_the_check_asks_for_and_the_team_has() -> None:
    asked = tenant(**ON_HOST, **{"teams.ml.check": {"gpus": 2}})
    assert asked.queues["gpu-check"].gpu.limit == 2
    unchecked = tenant(**ON_HOST, **{"teams.ml.check": {"enabled": False}})
    assert set(unchecked.queues) == {"training", "notebooks"}
    assert (unchecked.is_checked, unchecked.check_queue) == (False, "ml-notebooks")


def test_a_team_with_the_clusters_own_scheduler_has_no_queue_and_is_checked_all_the_same() -> None:
    found = tenant(**{"teams.ml.scheduler": {"mode": "default"}, "teams.ml.queues": None})
    none: dict[str, Any] = {"kai": None, "own_kai": False, "cost": (65, 672, 2), "queues": {}, "check_queue": None}
    assert whole(found) == {**ML, **none}


def test_a_canary_counts_with_its_team_and_changes_nothing_of_it() -> None:
    found = tenants({"teams.ml.scheduler.canary": {"version": "v0.16.8", "gpus": 1}})
    assert whole(found["ml"]) == ML
    assert whole(found["ml-canary"]) == {
        **ML,
        **FEW,
        "name": "ml-canary",
        "namespace": "team-ml-canary",
        "canary_of": "ml",
        "kai": "v0.16.8",
        "cost": (105, 1056, 9),
        "node_port": 31270,
        "server": "https://10.0.0.5:31270",
        "certificate_names": ("ml-canary.team-ml-canary.svc", "10.0.0.5"),
    }
    assert facts(found["ml-canary"])["canaryOf"] == "ml"


def test_the_slot_that_serves_has_the_teams_gpus_and_the_other_counts_with_it() -> None:
    pair = {"serves": "green", "blue": {"version": "v0.9.3"}, "green": {"version": "v0.16.8"}}
    found = tenants({"teams.ml.blueGreen": pair, "teams.research": None})
    green = {
        "name": "ml-green",
        "namespace": "team-ml-green",
        "owner": "ml-green",
        "slot": "green",
        "kai": "v0.16.8",
        "cost": (105, 1056, 9),
        "node_port": 31444,
        "server": "https://10.0.0.5:31444",
        "certificate_names": ("ml-green.team-ml-green.svc", "10.0.0.5"),
    }
    assert whole(found["ml-green"]) == {**ML, **green}
    assert whole(found["ml"]) == {**ML, **FEW, "slot": "blue", "canary_of": "ml-green", "owner": "ml-green"}
    said = facts(found["ml"])
    assert (said["blueGreen"], said["kubernetesVersion"], said["canaryOf"]) == ("blue", "v1.34.4", "ml-green")


def test_a_paused_team_keeps_its_cluster_and_has_no_gpu_in_any_queue() -> None:
    found = tenant(**{"teams.ml.state": "paused"})
    stopped = {"training": (0, 0, 1, 100), "notebooks": (0, 0, 1, 100)}
    assert whole(found) == {**ML, "gpu_quota": 0, "gpu_limit": 0, "is_checked": False, "queues": stopped}
    assert facts(found)["state"] == "paused"
    assert "gpu-check" not in tenant(**ON_HOST, **{"teams.ml.state": "paused"}).queues


def test_nodes_of_its_own_bound_a_team_and_no_limit_is_what_they_have() -> None:
    own: dict[str, object] = {"pools.gpu": TWO, "teams.ml.nodes": ["gpu-1"], "teams.research.nodes": ["gpu-0"]}
    found = tenant(**own, **{"teams.ml.resources": {"gpus": {"quota": 2, "limit": -1}}})
    label = {"gpu-tenancy/team-ml": "true"}
    bound = {"pool": ("gpu-0", "gpu-1"), "nodes": ("gpu-1",), "node_selector": label, "gpu_limit": 4}
    assert whole(found) == {**ML, **bound}
    all_ = {"pools.gpu": TWO, "teams.research": None, "teams.ml.resources": {"gpus": {"quota": -1, "limit": -1}}}
    both = {"pool": ("gpu-0", "gpu-1"), "nodes": ("gpu-0", "gpu-1"), "gpu_quota": 8, "gpu_limit": 8}
    assert whole(tenant(**all_)) == {**ML, **both}


def test_a_pool_that_is_found_by_labels_has_those_and_no_names() -> None:
    pool: dict[str, object] = {**TWO, "selector": {"example.com/kind": "a100"}, "nodeCount": 2}
    del pool["nodes"]
    found = tenant(**{"pools.gpu": pool, "teams.research": None})
    assert whole(found) == {**ML, "pool": (), "nodes": (), "node_selector": {"example.com/kind": "a100"}}


@pytest.mark.parametrize(
    ("access", "port", "server", "more"),
    [
        ({"port": 30123}, 30123, "https://10.0.0.5:30123", ("10.0.0.5",)),
        ({"hostNames": ["ml.example.com"]}, 30868, "https://10.0.0.5:30868", ("ml.example.com", "10.0.0.5")),
        (
            {"expose": "loadBalancer", "hostNames": ["ml.example.com", "ml.example.org"]},
            *(None, "https://ml.example.com", ("ml.example.com", "ml.example.org")),
        ),
        (
            {"expose": "none", "hostNames": ["ml.example.com"]},
            *(None, "https://ml.team-ml.svc", ("ml.example.com",)),
        ),
    ],
)
def test_where_its_api_server_is_and_whose_names_its_certificate_has(
    access: dict[str, Any], port: int | None, server: str, more: tuple[str, ...]
) -> None:
    found = whole(tenant(**{"teams.ml.access": access}))
    assert found == {**ML, "node_port": port, "server": server, "certificate_names": ("ml.team-ml.svc", *more)}


def test_a_queue_of_the_teams_own_that_has_the_checks_name_is_one_like_any_other() -> None:
    queues = {"gpu-check": {"gpu": {"quota": 0, "limit": 1}}, "work": {"gpu": 2}}
    found = tenant(**{"teams.ml.queues": queues, "teams.ml.check": {"gpus": 2}})
    # the first by name that has room for the check
    assert found.check_queue == "work"


def test_an_address_of_ipv6_is_in_brackets_in_a_url_and_in_none_in_a_certificate() -> None:
    found = tenant(**{"host.address": "fd00::5"})
    assert found.server == "https://[fd00::5]:30868"
    assert found.certificate_names == ("ml.team-ml.svc", "fd00::5")


def test_versions_of_its_own_and_a_volume_for_snapshots() -> None:
    own = tenant(**{"teams.ml.vcluster": {"kubernetesVersion": "v1.33.4", "snapshots": {}}})
    assert whole(own) == {**ML, "kubernetes": "v1.33.4", "cost": (320, 1686, 10)}
    assert cluster_facts(own) == {
        "team": "ml",
        "version": "0.36.1",
        "kubernetesVersion": "v1.33.4",
        "persistence": True,
        "backingStore": "sqlite",
        "snapshotsSize": "2Gi",
    }
    assert "snapshotsSize" not in cluster_facts(tenant())


def test_a_fraction_of_a_gpu_is_enforced_where_the_team_asks_for_it() -> None:
    shares = {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True}
    kai = {"kai": "v0.16.8", "cost": (105, 1056, 9)}
    shared = tenant(**{"teams.ml.scheduler": shares})
    assert whole(shared) == {**ML, **kai}
    assert (facts(shared)["gpuSharing"], "gpuSharingEnforce" in facts(shared)) == (True, False)
    limited = {**shares, "gpuSharing": {"enforce": "memory"}}
    enforced = tenant(**{"teams.ml.scheduler": limited, "teams.ml.isolation": "privileged"})
    assert (enforced.enforced, facts(enforced)["gpuSharingEnforce"]) == (True, "memory")


def test_a_policy_is_told_of_a_team_in_literals() -> None:
    found = facts(tenant(**{"teams.ml.isolation": "restricted", "teams.ml.priority": "high",
                            "teams.ml.scheduler": {"mode": "virtual", "version": "v0.16.8"}}))  # fmt: skip
    assert found == {
        "name": "ml",
        "pool": "gpu",
        "nodes": ["gpu-0"],
        "mode": "virtual",
        "schedulerVersion": "v0.16.8",
        "vclusterVersion": "0.36.1",
        "gpuQuota": 2,
        "gpuLimit": 2,
        "cpu": "4",
        "memory": "8Gi",
        "pods": 50,
        "isolation": "restricted",
        "priority": "high",
        "gpuSharing": False,
        "canaryOf": None,
        "queues": {
            "training": {"quota": 1, "limit": 2, "overQuotaWeight": 1, "priority": 100},
            "notebooks": {"quota": 1, "limit": 1, "overQuotaWeight": 1, "priority": 100},
        },
    }
    assert facts(tenant("dev"))["schedulerVersion"] is None


def test_the_quota_has_every_gpu_resource_and_adds_what_tenancy_costs() -> None:
    assert quota_hard(tenant()) == {
        "requests.cpu": "4270m",
        "requests.memory": "9814Mi",
        "requests.storage": "100Gi",
        "pods": "59",
        "limits.ephemeral-storage": "5900Gi",
        "services.nodeports": "1",
        "services.loadbalancers": "0",
        **{f"requests.{resource}": "0" for resource in GPU_RESOURCES},
        f"requests.{GPU}": "2",
    }


@pytest.mark.parametrize(
    ("expose", "ways"), [("nodePort", ("1", "0")), ("loadBalancer", ("1", "1")), ("none", ("0", "0"))]
)
def test_the_one_way_in_from_outside_is_ours(expose: str, ways: tuple[str, str]) -> None:
    access = {"expose": expose, "hostNames": ["dev.example.com"]}
    hard = quota_hard(tenant("dev", **{"teams.dev.access": access}))
    assert (hard["services.nodeports"], hard["services.loadbalancers"]) == ways


def test_each_app_with_a_port_of_the_nodes_has_a_service_of_ours_more() -> None:
    app = {"kind": "app", "image": "a/b:1", "port": 80}
    apps = {"inside": app, "too": app, "outside": {**app, "expose": {"nodePort": 30900}}}
    assert (
        quota_hard(tenant("dev", **{"teams.dev.resources": {"cpu": 8}, "teams.dev.workloads": apps}))[
            "services.nodeports"
        ]
        == "2"
    )


def test_a_topology_is_told_of_each_pool_that_has_levels() -> None:
    levels = ["example.com/rack", "kubernetes.io/hostname"]
    pools = parse_platform(raw({"pools.racks": {**TWO, "nodes": ["a"], "topology": levels}}), "unit").pools
    asked: dict[str | None, Pool | None] = dict(pools.items())
    assert topologies({**asked, None: None, "gone": None}) == {"racks": tuple(levels)}
