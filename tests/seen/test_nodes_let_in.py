"""Which nodes let a pod in: affinity and tolerations as Kubernetes reads them, one node at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from seen.model import Node
from seen.why import room
from seen.why.model import Case
from seen.why.search import case_of
from tests.seen.test_why import plant
from tests.seen.world import World


def asked(spec: dict[str, Any], node: dict[str, Any]) -> tuple[Case, Node]:
    """A waiting pod with this spec, and node gpu-0 with that written into it."""
    world = World()
    world.plant({"change": {"host": {"nodes": {"gpu-0": node}}}})
    plant(world, {"waits": {"spec": spec}})
    look, seen = world.seen()
    team = seen.team("ml")
    assert team is not None
    pod = next(pod for pod in team.pods if pod.name == "train-0")
    return case_of(look, seen, team, pod), next(node for node in seen.nodes if node.name == "gpu-0")


def refusal(spec: dict[str, Any], node: dict[str, Any]) -> str | None:
    block = room.blocked(*asked(spec, node))
    return None if block is None else block.id


def affinity(key: str, operator: str, *values: str, what: str = "matchExpressions") -> dict[str, Any]:
    term = {what: [{"key": key, "operator": operator, "values": list(values)}]}
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    }


NODE = {"metadata": {"labels": {"zone": "a", "cores": "8"}}}


@pytest.mark.parametrize(
    ("expression", "let_in"),
    [
        (("zone", "In", "a", "b"), True),
        (("zone", "In", "b"), False),
        (("zone", "NotIn", "b"), True),
        (("zone", "NotIn", "a"), False),
        (("rack", "NotIn", "a"), True),
        (("zone", "Exists"), True),
        (("rack", "Exists"), False),
        (("rack", "DoesNotExist"), True),
        (("zone", "DoesNotExist"), False),
        (("cores", "Gt", "7"), True),
        (("cores", "Gt", "8"), False),
        (("cores", "Lt", "9"), True),
        (("cores", "Lt", "8"), False),
        (("rack", "Lt", "8"), False),
        (("rack", "Gt", "0"), False),
    ],
)
def test_an_affinity_lets_in_what_its_operator_says(expression: tuple[str, ...], let_in: bool) -> None:
    assert refusal(affinity(*expression), NODE) == (None if let_in else "node-affinity")


def test_a_term_may_name_the_node_itself_and_one_of_several_terms_is_enough() -> None:
    assert refusal(affinity("metadata.name", "In", "gpu-0", what="matchFields"), NODE) is None
    assert refusal(affinity("metadata.name", "In", "gpu-1", what="matchFields"), NODE) == "node-affinity"
    either = affinity("zone", "In", "b")
    required = either["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    required["nodeSelectorTerms"].append({"matchExpressions": [{"key": "zone", "operator": "Exists"}]})
    assert refusal(either, NODE) is None


def test_a_term_that_says_nothing_lets_in_nobody() -> None:
    empty = affinity("zone", "In", "a")
    required = empty["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    required["nodeSelectorTerms"] = [{}]
    assert refusal(empty, NODE) == "node-affinity"


def test_a_gpus_memory_is_what_kai_gives_away_of_it() -> None:
    case, node = asked({}, {"metadata": {"labels": {"nvidia.com/gpu.memory": "81559"}}})

    def of(mib: int) -> str | None:
        block = room.blocked(replace(case, pod=replace(case.pod, memory_mib=mib, devices=1)), node)
        return None if block is None else block.id

    assert of(81500) is None
    assert of(81501) == "gpu-memory"


TAINT = {"key": "team", "value": "x", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("taint", "toleration", "let_in"),
    [
        (TAINT, None, False),
        ({**TAINT, "effect": "NoExecute"}, None, False),
        ({**TAINT, "effect": "PreferNoSchedule"}, None, True),
        ({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}, None, True),
        (TAINT, {"key": "team", "value": "x", "effect": "NoSchedule"}, True),
        (TAINT, {"key": "team", "value": "x"}, True),
        (TAINT, {"key": "team", "value": "y"}, False),
        (TAINT, {"key": "team", "operator": "Exists"}, True),
        (TAINT, {"key": "other", "operator": "Exists"}, False),
        (TAINT, {"operator": "Exists"}, True),
        (TAINT, {"key": "team", "value": "x", "effect": "NoExecute"}, False),
        (TAINT, {"value": "x"}, False),
    ],
)
def test_a_taint_keeps_off_what_does_not_tolerate_it(
    taint: dict[str, str], toleration: dict[str, str] | None, let_in: bool
) -> None:
    spec = {"tolerations": [toleration]} if toleration else {}
    assert refusal(spec, {"spec": {"taints": [taint]}}) == (None if let_in else "taint")


def test_a_node_short_of_disk_takes_no_new_pod_and_keeps_the_one_it_has() -> None:
    short = {
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]}
    }
    assert refusal({}, short) == "node-pressure"
    assert refusal({"nodeName": "gpu-0"}, short) != "node-pressure"
