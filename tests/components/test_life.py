"""What a team's jobs can ask of its KAI: run times, topologies, limits on memory, and room from a node autoscaler."""

from __future__ import annotations

import pytest

from components.team.tenant import facts, resolve
from releases import KAI, kai_values
from settings.claims import shared_cost
from settings.load import parse_platform
from tests.components.program import lab
from tests.components.specs import made, of_team
from tests.components.test_queues import host_mode
from tests.conftest import Declare, platform_of

RACKS = ["topology.example.com/rack", "kubernetes.io/hostname"]
NEW = {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True}


def test_run_times_stand_in_the_queue_that_has_them_and_in_no_other(declare: Declare) -> None:
    data = lab("ml")
    data["teams"]["ml"]["queues"]["training"] |= {"preemptMinRuntime": "90s", "reclaimMinRuntime": "10m"}
    found = made(declare(data), "ml-queues")
    spec = found["training"].spec["spec"]
    assert (spec["preemptMinRuntime"], spec["reclaimMinRuntime"]) == ("90s", "10m")
    assert all("MinRuntime" not in key for name, one in found.items() if name != "training" for key in one.spec["spec"])


def test_a_pools_levels_are_a_topology_in_each_cluster_whose_kai_places_by_it(declare: Declare) -> None:
    data = lab("ml", pools__a100__topology=RACKS, teams__ml__scheduler=NEW)
    recorder = declare(data)
    topology = made(recorder, "ml-scheduler")["topology-a100"]
    assert topology.spec["metadata"] == {"name": "a100", "labels": {**of_team("ml"), "gpu-tenancy/pool": "a100"}}
    assert topology.spec["spec"] == {"levels": [{"nodeLabel": label} for label in RACKS]}
    assert topology.replaced_on == ("spec",), "its levels never change"
    assert "ml-scheduler-release" in topology.needs
    others = [r.name for r in recorder.resources if "-topology-" in r.name]
    assert others == ["ml-scheduler-topology-a100"]


def test_the_hosts_kai_has_the_topologies_of_the_pools_that_it_serves(declare: Declare) -> None:
    data = host_mode()
    pool = data["teams"]["research"]["pool"]
    data["pools"][pool]["topology"] = RACKS
    for name, team in data["teams"].items():
        if team.get("pool") == pool and name != "research":
            team["scheduler"] = NEW
    found = made(declare(data), "host-scheduler")
    assert found[f"topology-{pool}"].provider == "host-provider"


def test_the_scale_adjuster_comes_with_a_namespace_of_ours_and_is_counted(declare: Declare) -> None:
    data = host_mode()
    plain = shared_cost(parse_platform(data, "x"))
    data["host"]["scheduler"]["scaleAdjuster"] = True
    found = made(declare(data), "host-scheduler")
    assert found["release"].spec["values"]["global"]["clusterAutoscaling"] is True
    assert "kai-scale-adjust" in found, "so that it goes with the rest"
    more = shared_cost(parse_platform(data, "x"))
    assert plain is not None
    assert more is not None
    assert more.pods == plain.pods + 1
    quiet = made(declare(host_mode()), "host-scheduler")
    assert "clusterAutoscaling" not in quiet["release"].spec["values"]["global"]


HAMI = ("v0.16.8", ("binder", "plugins", "hamicore", "enabled"), True)
DRIVER = ("v0.18.6", ("global", "gpuSharingMode"), "NvFractions")


@pytest.mark.parametrize(("version", "path", "word"), [HAMI, DRIVER])
def test_memory_is_enforced_by_the_releases_own_key(version: str, path: tuple[str, ...], word: object) -> None:
    def at(enforce: bool) -> object:
        found: object = kai_values(KAI[version], gpu_sharing=True, enforce=enforce)
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        return found

    assert at(True) == word
    assert at(False) != word


def test_a_release_that_only_counts_refuses_to_enforce() -> None:
    with pytest.raises(ValueError, match=r"KAI v0\.9\.8 holds no pod to its part"):
        kai_values(KAI["v0.9.8"], gpu_sharing=True, enforce=True)


def test_a_stack_from_before_sees_no_new_fact() -> None:
    tenants = resolve(parse_platform(platform_of("lab"), "x"))
    assert all("gpuSharingEnforce" not in facts(tenant) for tenant in tenants.values())
    assert {facts(tenant)["gpuSharing"] for tenant in tenants.values()} <= {True, False}
