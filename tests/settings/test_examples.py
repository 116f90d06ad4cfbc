"""The stack files that come with the program say what their comments and the documentation say."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

import releases
from capacity import collisions, node_claims
from settings.claims import pool_capacities, tenant_claims
from settings.load import load_stack_file
from settings.models import GpuStack, HostProvider, Platform, SchedulerMode
from settings.tenants import tenants
from tests.conftest import shipped

ROOT = Path(__file__).parents[2]
EXAMPLES = ("lab", "dev", "prod", "versions", "inference")
TODAY = date(2026, 11, 22)
"""When Pulumi.prod.yaml was last looked at. Raise its versions together with this."""


def example(stack: str) -> Platform:
    return load_stack_file(shipped(stack))


def gpus(platform: Platform) -> dict[str, tuple[int, int]]:
    return {name: (t.resources.gpus.quota, t.resources.gpus.limit) for name, t in tenants(platform).items()}


def versions(platform: Platform) -> dict[str, str | None]:
    return {name: team.scheduler.version for name, team in tenants(platform).items()}


@pytest.mark.parametrize("stack", EXAMPLES)
def test_an_editor_finds_the_schema(stack: str) -> None:
    first = shipped(stack).read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=docs/stack-file.schema.json"


@pytest.mark.parametrize("stack", EXAMPLES)
def test_the_stack_files_at_the_top_are_the_ones_that_the_tests_run_on(stack: str) -> None:
    own = ROOT / f"Pulumi.{stack}.yaml"
    if own.read_bytes() != shipped(stack).read_bytes() and not os.environ.get("CI"):
        pytest.skip(f"{own.name} is your own by now; the tests run on tests/stacks/{own.name}, which came with it")
    assert own.read_bytes() == shipped(stack).read_bytes(), f"copy {own.name} to tests/stacks"


def test_every_stack_file_that_comes_with_the_program_is_one_of_the_examples() -> None:
    found = [path.name for path in shipped("lab").parent.iterdir()]
    assert sorted(found) == sorted(f"Pulumi.{stack}.yaml" for stack in EXAMPLES)


def test_the_lab_has_a_gpu_node_each_for_fractions_and_whole_gpus() -> None:
    lab = example("lab")
    assert lab.host.provider is HostProvider.LAB
    assert lab.gpu.stack is GpuStack.FAKE
    assert {name: team.pool for name, team in lab.teams.items()} == {"ml": "a100", "research": "h200", "dev": "cpu"}
    assert {name: (pool.size, pool.gpus_allocatable) for name, pool in lab.pools.items()} == {
        "a100": (1, 4),
        "h200": (1, 8),
        "cpu": (1, 0),
    }
    assert gpus(lab) == {"ml": (3, 4), "research": (8, 8), "dev": (0, 0)}
    assert versions(lab) == {"ml": "v0.9.3", "research": "v0.7.11", "dev": None}
    assert [name for name, team in lab.teams.items() if team.scheduler.shares] == ["ml"]
    assert lab.teams["ml"].check.pair == (0.3, 0.5)


def test_dev_has_three_teams_on_one_gpu_in_four_replicas() -> None:
    dev = example("dev")
    pool = dev.pools["gpu"]
    assert (pool.nodes, pool.gpus_per_node, pool.gpus_allocatable, pool.unit) == (("gpu-host",), 1, 4, "replica")
    assert gpus(dev) == {"ml": (2, 2), "research": (1, 1), "dev": (0, 0)}
    assert versions(dev) == {"ml": "v0.9.3", "research": "v0.7.11", "dev": None}
    assert dev.teams["dev"].scheduler.mode is SchedulerMode.DEFAULT
    [node] = node_claims(pool_capacities(dev), tenant_claims(dev))
    assert node.arithmetic == "node gpu-host: ml 2 + research 1 = 3 of 4"


def test_versions_has_two_releases_of_one_line_side_by_side() -> None:
    both = example("versions")
    assert versions(both) == {"team-stable": "v0.9.2", "team-beta": "v0.9.3"}
    stable, beta = (releases.KAI[version or ""] for version in versions(both).values())
    assert stable.line == beta.line
    assert stable.needs_cluster_policy_crd
    assert beta.needs_cluster_policy_crd
    assert gpus(both) == {"team-stable": (1, 1), "team-beta": (1, 1)}


class TestProd:
    """An existing cluster of several pools, with what its vendors support."""

    def test_every_version_is_supported(self) -> None:
        prod = example("prod")
        shared = prod.host.scheduler
        assert shared is not None
        kais = {version for version in [*versions(prod).values(), shared.version] if version is not None}
        assert kais == {"v0.14.7", "v0.16.8"}
        for version in kais:
            ends = releases.KAI[version].support_ends
            assert ends is not None, version
            assert ends > TODAY, version
        for team in prod.teams.values():
            assert releases.VCLUSTER[team.vcluster.version or releases.DEFAULT_VCLUSTER].support_ends > TODAY

    def test_the_numbers_are_those_of_its_pools(self) -> None:
        prod = example("prod")
        assert {name: pool.gpus_allocatable for name, pool in prod.pools.items()} == {
            "h200": 32,
            "a100": 8,
            "l40s": 16,
            "cpu": 0,
        }
        assert gpus(prod) == {
            "foundation": (24, 24),
            "vision": (8, 8),
            "speech": (6, 7),
            "speech-canary": (1, 1),
            "serving": (10, 16),
            "batch": (6, 16),
            "web": (0, 0),
        }

    def test_no_node_can_be_given_away_twice(self) -> None:
        prod = example("prod")
        assert collisions(pool_capacities(prod), tenant_claims(prod)) == []
        said = [group.arithmetic for group in node_claims(pool_capacities(prod), tenant_claims(prod)) if group.claims]
        assert said == [
            "each of the nodes h200-0, h200-1, h200-2: foundation 8 = 8 of 8",
            "node h200-3: vision 8 = 8 of 8",
            "node a100-0: speech 7 + speech-canary 1 = 8 of 8",
            "each of the 4 nodes of pool l40s: (serving, batch on the host's scheduler) 4 = 4 of 4",
        ]


def test_the_inference_example_puts_two_servers_on_one_gpu() -> None:
    platform = example("inference")
    servers = platform.teams["ai"].workloads
    assert [server.gpu and server.gpu.fraction for server in servers.values()] == [0.7, 0.2]
    assert platform.pools["gpu"].gpus_allocatable == 1
