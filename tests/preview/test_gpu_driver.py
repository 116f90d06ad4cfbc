"""Driver and container toolkit of the GPU nodes: what runs on GPUs while they change hands."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

import tokens
from preview.changes import changes
from preview.facts import DRIVER, Facts, facts_of
from preview.gate import gate
from preview.kinds import Kind
from preview.observed import facts_in_state
from preview.usage import Use
from settings.load import parse_platform
from settings.models import Platform
from tests.preview.world import TODAY, said
from tests.settings.build import raw

OPERATOR = {"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}
LOST = [("dev", "lowerLimit"), ("ml", "lowerLimit"), ("research", "lowerLimit")]


def stack(driver: str | None = None, toolkit: str = "operator", **gpu: str) -> Platform:
    parts = {} if driver is None else {"operator": {"driver": driver, "toolkit": toolkit}}
    return parse_platform(raw({"gpu": {**OPERATOR, **gpu, **parts}}), "unit")


def kinds(before: Platform | Facts, after: Platform) -> dict[str, set[Kind]]:
    old = before if isinstance(before, Facts) else facts_of(before)
    found: dict[str, set[Kind]] = {}
    for change in changes(old, facts_of(after)):
        found.setdefault(change.path, set()).add(change.kind)
    return found


def test_what_is_said_of_driver_and_toolkit_by_default_changes_nothing() -> None:
    assert kinds(stack(), stack("host", "operator")) == {}


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (stack(), stack("operator"), {DRIVER: {Kind.DISRUPTIVE}}),
        (stack("operator"), stack(), {DRIVER: {Kind.LOSING}}),
        (
            stack("operator", version="v25.10.1"),
            stack("operator"),
            {DRIVER: {Kind.LOSING}, "gpu.version": {Kind.DISRUPTIVE}},
        ),
        (stack(version="v25.10.1"), stack(), {"gpu.version": {Kind.DISRUPTIVE}}),
        (stack(), stack("host", "host"), {"gpu.operator.toolkit": {Kind.DISRUPTIVE}}),
    ],
    ids=["comes", "goes", "another", "the host's stays", "toolkit"],
)
def test_only_a_driver_of_the_operator_that_goes_takes_pods_along(
    before: Platform, after: Platform, found: dict[str, set[Kind]]
) -> None:
    assert kinds(before, after) == found
    lost = LOST if Kind.LOSING in found.get(DRIVER, ()) else []
    assert said(gate(facts_of(before), facts_of(after), usage=None, overrides=(), today=TODAY)) == lost


def test_a_team_that_uses_no_gpu_loses_nothing_with_the_driver() -> None:
    none, two = (replace(Use(), bounds={"requests.nvidia.com/gpu": Decimal(number)}) for number in (0, 2))
    old, new = facts_of(stack("operator")), facts_of(stack())
    (found,) = gate(old, new, usage={"dev": none, "ml": two, "research": none}, overrides=(), today=TODAY)
    assert (found.team, found.change) == ("ml", "lowerLimit")
    assert found.reason.startswith(
        "the GPU Operator's driver is removed from the nodes, and what runs on their GPUs ends; 2 GPUs in use now"
    )


@pytest.mark.parametrize(
    ("outputs", "same"),
    [({}, stack()), ({"driver": "operator"}, stack("operator"))],
    ids=["host", "operator"],
)
def test_a_state_says_whose_driver_it_is(outputs: dict[str, str], same: Platform) -> None:
    known = {"stack": "gpuOperator", "owner": "ours", "version": "v26.7.0", "runtimeClass": "nvidia", **outputs}
    was = facts_in_state(
        {
            "urn:host": {"type": tokens.HOST_CLUSTER, "outputs": {"hostProvider": "existing"}},
            "urn:gpu": {"type": tokens.GPU_SOFTWARE, "outputs": known},
        }
    )
    assert was is not None
    assert was.stack[DRIVER] == facts_of(same).stack[DRIVER]
