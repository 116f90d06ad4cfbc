"""What a pod of JSON asks of its node, whoever wrote it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from capacity import asked_by, resources_of
from seen.pods import gpus_asked, requests


def asks(cpu: object, **more: object) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


def test_sidecars_run_beside_all_that_start_after_them() -> None:
    spec = {"initContainers": [asks("2"), asks("1", restartPolicy="Always"), asks("4")], "containers": [asks("3")]}
    assert asked_by(spec, "cpu") == 5
    spec["containers"].append(asks("500m"))
    spec["containers"].append(asks("1"))
    assert asked_by(spec, "cpu") == Decimal("5.5")


def test_a_request_of_the_pod_as_such_stands_for_the_sum_and_the_runtime_costs_its_own() -> None:
    spec = {"containers": [asks("3")], "resources": {"requests": {"cpu": "2"}}, "overhead": {"cpu": "250m"}}
    assert asked_by(spec, "cpu") == Decimal("2.25")
    del spec["resources"]
    assert asked_by(spec, "cpu") == Decimal("3.25")


def test_what_is_not_requested_is_the_limit_of_its_own_container() -> None:
    one = {"resources": {"requests": {"memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}}
    assert asked_by({"containers": [one]}, "cpu") == 2
    assert asked_by({"containers": [one]}, "memory") == 2**30


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, [None, 3, {"resources": 3}], {"a": 1}, True])
def test_what_is_no_list_and_no_quantity_asks_for_nothing(odd: object) -> None:
    for spec in (odd, {"containers": odd, "initContainers": odd, "overhead": odd, "resources": odd}):
        assert asked_by(spec, "cpu") == 0
        assert resources_of(spec) == frozenset()
    assert asked_by({"containers": [asks(odd)]}, "cpu") == (3 if odd == 3 else 0)


def test_less_than_nothing_is_taken_off_nobody() -> None:
    assert asked_by({"containers": [asks("-8"), asks("1"), asks("1n")]}, "cpu") == Decimal("1.000000001")


def test_a_gpu_of_a_sidecar_is_seen() -> None:
    gpu = {"resources": {"limits": {"nvidia.com/gpu": "1", "cpu": "1"}}}
    pod = {"spec": {"initContainers": [{**gpu, "restartPolicy": "Always"}], "containers": [gpu, asks("2")]}}
    assert gpus_asked(pod) == {"nvidia.com/gpu": 2.0}
    assert requests(pod) == (4.0, 0.0)


def test_a_request_of_nothing_is_one_and_no_limit_stands_for_it() -> None:
    one = {"resources": {"requests": {"cpu": "0"}, "limits": {"cpu": "2"}}}
    assert asked_by({"containers": [one]}, "cpu") == 0


def test_every_resource_is_named_that_any_container_or_the_pod_asks_for_or_is_bounded_by() -> None:
    spec = {
        "containers": [asks("1"), {"resources": {"limits": {"memory": "1Gi"}}}],
        "initContainers": [{"resources": {"requests": {"nvidia.com/gpu": "1"}}}],
        "resources": {"requests": {"hugepages-2Mi": "2Mi"}},
    }
    assert resources_of(spec) == {"cpu", "memory", "nvidia.com/gpu", "hugepages-2Mi"}
