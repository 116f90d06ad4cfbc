"""A team's first pod, by the words of docs/tenants.md alone, on real API servers."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from lab.objects import APPEAR_SECONDS, Json, Reference
from tests.lab.conftest import ROOT, Lab, example

pytestmark = pytest.mark.lab

GUIDE = (ROOT / "docs" / "tenants.md").read_text()


def first_pod(queue: str, **annotations: str) -> Json:
    """The guide's pod in another queue; with an annotation for a part of a GPU it has no limit."""
    (block,) = re.findall(r"```yaml pod\n(.*?)```", GUIDE, flags=re.DOTALL)
    pod: Json = copy.deepcopy(yaml.safe_load(block))
    pod["metadata"]["labels"]["kai.scheduler/queue"] = queue
    pod["metadata"]["namespace"] = "default"
    if annotations:
        pod["metadata"]["annotations"] = annotations
        del pod["spec"]["containers"][0]["resources"]
    return pod


@pytest.fixture(scope="module")
def lab(labs: Callable[..., Lab]) -> Lab:
    """A team with its own KAI and one under the host's, each on a pool that we taint."""
    shared = {
        "pool": "h200",
        "scheduler": {"mode": "host"},
        "resources": {"gpus": 2, "cpu": 4, "memory": "8Gi", "pods": 10},
        "queues": {"work": {"gpu": 2}},
    }
    platform = example(shared=shared)
    assert all(platform["pools"][pool]["taint"] for pool in ("a100", "h200"))
    platform["host"]["scheduler"] = {"version": "v0.16.8"}
    platform["teams"] = {team: platform["teams"][team] for team in ("ml", "shared")}
    made = labs((ROOT / "__main__.py").read_text(), platform)
    summary = made.driver.up()
    assert summary.failures == ()
    return made


@pytest.mark.parametrize(
    ("team", "queue", "annotations"),
    [
        ("ml", "training", {}),
        ("ml", "notebooks", {"gpu-fraction": "0.5"}),
        ("shared", "shared-work", {}),
    ],
)
def test_it_runs_where_the_pool_has_a_taint_too(lab: Lab, team: str, queue: str, annotations: dict[str, str]) -> None:
    inside = lab.objects(f"team-{team}-{team}")
    pod = first_pod(queue, **annotations)
    pod["metadata"]["name"] = f"first-{queue}"
    inside.apply(pod, force=True)
    reference = Reference(api_version="v1", kind="Pod", namespace="default", name=pod["metadata"]["name"])

    def phase() -> str:
        return str(((inside.get(reference) or {}).get("status") or {}).get("phase"))

    inside.wait(
        lambda: phase() in ("Running", "Succeeded"),
        APPEAR_SECONDS,
        lambda: f"{reference}: {why(inside.get(reference))}",
    )


def why(pod: Json | None) -> Any:
    """Why a pod waits, in the scheduler's words."""
    return [condition.get("message") for condition in ((pod or {}).get("status") or {}).get("conditions") or []]
