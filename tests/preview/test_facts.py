"""Facts: from a stack file, out of a preview's steps, out of a state; all say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import JsonValue

from components.team.tenant import facts as team_facts
from components.team.tenant import resolve
from lab.recording import record
from preview.changes import changes
from preview.facts import CANARY_OF, DERIVED, Facts, bounds, facts_of, fields, replicas
from preview.observed import facts_after, facts_before, facts_in_state
from preview.read import read_preview
from report.rehearsal import compare
from settings.load import parse_platform
from settings.sharing import Sharing
from tests.conftest import ROOT, platform_of
from tests.report.world import platform, team

WHOLE = pytest.mark.slow
STACKS = ("dev", "prod")


def json_of(value: object) -> JsonValue:
    found: JsonValue = json.loads(json.dumps(value))
    return found


def of(stack: str) -> Facts:
    return facts_of(parse_platform(platform_of(stack), stack))


def test_defaults_are_filled_in_and_everything_is_a_number() -> None:
    found = facts_of(platform({"ml": team("a100", -1)})).tenants["ml"]
    assert found["resources.gpus.limit"] == 16
    assert found["nodes"] == ["gpu-0", "gpu-1"]
    assert str(found["vcluster.kubernetesVersion"]).startswith("v1.")
    assert found["access.port"] is not None


def test_what_the_host_says_holds_no_pool_and_no_team_and_no_context_that_nobody_wrote() -> None:
    said, silent = (facts_of(platform({"ml": team("a100", 4)}, host={"context": one})).stack for one in ("here", None))
    assert (said["host.context"], "host.context" in silent) == ("here", False)
    assert {path.partition(".")[0] for path in said} & {"pools", "teams"} == set()


def test_a_bound_of_none_on_a_part_of_a_gpu_says_nothing() -> None:
    gpu, slice_ = "requests.nvidia.com/gpu", "requests.nvidia.com/mig-1g.10gb"
    assert bounds({gpu: "0", slice_: "0", "pods": "0"}) == {gpu: "0", "pods": "0"}
    assert bounds({gpu: "1", slice_: "2"}) == {gpu: "1", slice_: "2"}


def test_a_canary_is_a_tenant_of_its_own() -> None:
    found = of("prod").tenants
    assert found["speech-canary"][CANARY_OF] == "speech"
    assert found["speech-canary"]["scheduler.version"] != found["speech"]["scheduler.version"]
    assert [path for known in found.values() for path in known if "canary." in path] == []


def test_a_version_that_nobody_knows_is_no_reason_to_fail() -> None:
    found = facts_of(platform({"ml": team("a100", 4, vcluster={"version": "0.1.0"})})).tenants["ml"]
    assert found["vcluster.version"] == "0.1.0"
    assert "vcluster.kubernetesVersion" not in found


@pytest.fixture(scope="module", params=STACKS)
def program(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The program's own resources for a stack file, as a preview of an unchanged stack."""
    stack = str(request.param)
    recorded = record(ROOT / f"Pulumi.{stack}.yaml", ROOT)
    return stack, compare(recorded, recorded, made_by="a test")


@WHOLE
def test_the_programs_steps_say_the_same_as_its_stack_file(program: tuple[str, dict[str, Any]]) -> None:
    stack, steps = program
    seen, said = facts_after(read_preview(json.dumps(steps))), of(stack)
    pairs = [(seen.stack, said.stack), *((seen.pools[name], said.pools[name]) for name in said.pools)]
    pairs += [(seen.tenants[name], said.tenants[name]) for name in said.tenants]
    assert seen.tenants.keys() == said.tenants.keys()
    # a rehearsal has the lab for a host, whatever the file says
    skipped = {*DERIVED - {"hard"}, "host.provider", "host.context"}
    differ = {
        path: (one[path], other[path])
        for one, other in pairs
        for path in one.keys() & other.keys() - skipped
        if one[path] != other[path]
    }
    assert differ == {}
    for known in seen.tenants.values():
        judged = {
            "vcluster.backingStore",
            "vcluster.persistence",
            "vcluster.kubernetesVersion",
            "nodes",
            "pool",
            "hard",
        }
        assert judged <= known.keys(), "what the gate judges is in the steps"


@WHOLE
def test_an_unchanged_preview_is_no_change(program: tuple[str, dict[str, Any]]) -> None:
    _, steps = program
    preview = read_preview(json.dumps(steps))
    assert changes(facts_before(preview), facts_after(preview)) == ()


@WHOLE
def test_a_state_says_the_same_as_the_stack_file_that_it_was_made_from(program: tuple[str, dict[str, Any]]) -> None:
    stack, steps = program
    state: dict[str, JsonValue] = {
        step["urn"]: {"type": step["urn"].split("::")[2].split("$")[-1], "outputs": step["newState"]["inputs"]}
        for step in steps["steps"]
    }
    old, new = facts_in_state(state), of(stack)
    assert old is not None
    found = [change for change in changes(old, new) if change.path not in ("host.provider", "host.context")]
    assert found == [], "nothing changed"
    urn = next(urn for urn in state if urn.endswith("-virtual-cluster-vcluster"))
    assert changes(old, Facts(tenants={})), f"{urn}: and what is left out is seen"


def test_an_older_programs_state_says_what_it_kept() -> None:
    """It registered a team's facts, and of a virtual cluster no more than its address: the release says the rest."""
    settings = parse_platform(platform_of("prod"), "prod")
    values = {"controlPlane": {"backingStore": {"etcd": {"deploy": {"enabled": True}}}}}
    release = {"namespace": "team-vision", "chart": "vcluster", "version": "0.36.1", "values": values}
    old = facts_in_state(
        {
            "urn:1": {"type": "gpu-tenancy:index:Team", "outputs": json_of(team_facts(resolve(settings)["vision"]))},
            "urn:2": {"type": "gpu-tenancy:index:VirtualCluster", "outputs": {"server": "https://x"}},
            "urn:3": {"type": "kubernetes:helm.sh/v3:Release", "outputs": release},
            "urn:4": {
                "type": "kubernetes:core/v1:Namespace",
                "outputs": {"metadata": {"name": "kube-system", "uid": "u1"}},
            },
            "urn:5": "not a resource",
        }
    )
    assert old is not None
    assert old.stack["cluster.uid"] == "u1"
    assert old.tenants["vision"]["resources.gpus.limit"] == 8
    refused = [change for change in changes(old, facts_of(settings, cluster_uid="u1")) if change.kind.refused]
    assert [(change.tenant, change.path) for change in refused] == [("vision", "teams.vision.vcluster.backingStore")]


@pytest.mark.parametrize(
    "resources", [{}, {"urn:1": {"type": "kubernetes:core/v1:ConfigMap", "outputs": {}}}, {"urn:1": None}]
)
def test_a_state_without_a_platform_has_no_facts(resources: dict[str, JsonValue]) -> None:
    assert facts_in_state(resources) is None


UNSHARED: dict[str, JsonValue] = {f"sharing.{path}": None for path in fields(Sharing)}
"""A pool that says no way of sharing."""


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({}, None),
        ({"replicas": 4}, 4),
        (UNSHARED, 1),
        ({**UNSHARED, "sharing.mig.slices": 7}, 7),
        ({"sharing.timeSlicing.replicas": None, "sharing.mps.replicas": 3}, 3),
        ({"sharing.timeSlicing.replicas": None}, None),
    ],
)
def test_a_pools_unit_is_known_or_it_is_not(pool: dict[str, JsonValue], expected: int | None) -> None:
    assert replicas(pool) == expected
