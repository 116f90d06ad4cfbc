"""What runs now, read from a mapping or from kubectl's lists."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import JsonValue

from preview.usage import UsageError, Use, usage_of
from settings.types import MOST_GPUS

GPU = "requests.nvidia.com/gpu"


def quota(namespace: str, **used: str) -> dict[str, Any]:
    named = {key.replace("__", "/").replace("_", "."): value for key, value in used.items()}
    return {"kind": "ResourceQuota", "metadata": {"namespace": namespace}, "status": {"used": named}}


def pod(namespace: str, node: str | None = "n1", phase: str = "Running", **more: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"resources": {"limits": {"nvidia.com/gpu": 2}}}]}
    if node:
        spec["nodeName"] = node
    metadata = {"namespace": namespace, **more}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": phase}}


def test_a_mapping_is_gpus_in_use() -> None:
    assert {team: use.gpus for team, use in usage_of({"ml": 3, "vision": 0.5}).items()} == {
        "ml": 3,
        "vision": Decimal("0.5"),
    }


def test_a_list_of_quotas_says_every_bound_and_no_node() -> None:
    found = usage_of(
        {
            "items": [
                quota("team-ml", requests_nvidia_com__gpu="3") | {"kind": None},
                {"metadata": {"namespace": "team-ml"}, "status": {"used": {GPU: "3", "requests.cpu": "1500m"}}},
                {"metadata": {"namespace": "team-ml"}, "status": {"used": {GPU: "2", "requests.memory": "1Gi"}}},
                {"metadata": {"namespace": "team-dev"}, "status": {"used": {"count/pods": "2"}}},
                {"metadata": {"namespace": "kube-system"}, "status": {"used": {GPU: "9"}}},
            ]
        }
    )
    assert found["ml"].gpus == 3, "of two quotas the one that counts more"
    assert found["ml"].bounds["requests.cpu"] == Decimal("1.5")
    assert found["ml"].bounds["requests.memory"] == 1024**3
    assert found["ml"].nodes is None
    assert found["dev"].gpus is None
    assert found.keys() == {"ml", "dev"}


def test_pods_say_where_they_are_and_in_which_queue() -> None:
    labels = {"kai.scheduler/queue": "train"}
    found = usage_of(
        {
            "items": [
                quota("team-idle"),
                pod("team-ml", labels=labels),
                pod("team-ml", "n2", labels=labels, annotations={"gpu-fraction": "0.5"}),
                pod("team-ml", "n2", labels=labels, annotations={"gpu-memory": "2000"}),
                pod("team-ml", None, "Pending"),
                pod("team-ml", "n3", "Succeeded"),
                pod("team-ml", "n3", "Failed"),
                pod("team-ml", "n3", labels={"app": "vcluster"}),
                pod("default", "n4"),
            ]
        }
    )
    assert found["ml"].nodes == {"n1": 1, "n2": 2}
    assert found["ml"].gpus == Decimal("3.5")
    assert found["ml"].queues == {"train": Decimal("3.5")}
    assert found["idle"].nodes == {}, "the pods were listed, and none is its own"
    assert found.keys() == {"ml", "idle"}


def test_the_quotas_own_number_counts_before_the_pods() -> None:
    used = {"metadata": {"namespace": "team-ml"}, "status": {"used": {GPU: "4"}}}
    assert usage_of({"items": [used, pod("team-ml")]})["ml"].gpus == 4


def test_a_quantity_that_cannot_be_read_is_not_known() -> None:
    used = {"metadata": {"namespace": "team-ml"}, "status": {"used": {GPU: "many", "requests.cpu": "1"}}}
    assert usage_of({"items": [used]})["ml"] == Use(bounds={"requests.cpu": Decimal(1)})


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"ml": "3"},
        {"ml": True},
        {"ml": -1},
        {"ml": float("nan")},
        {"ml": float("inf")},
        {"ml": 1, "b": []},
        3,
        None,
    ],
)
def test_another_shape_is_refused(content: JsonValue) -> None:
    with pytest.raises(UsageError, match=r"^must be \{.*kubectl get resourcequota,pods -A -o json$"):
        usage_of(content)


@pytest.mark.parametrize("share", ["-100", "NaN", "Infinity", "1e999", "2", "0", "half", ""])
def test_a_team_can_not_write_less_than_it_holds(share: str) -> None:
    whole, odd = (
        pod("team-ml"),
        pod("team-ml", annotations={"gpu-fraction": share}, labels={"kai.scheduler/queue": "q"}),
    )
    found = usage_of({"items": [whole, odd]})["ml"]
    assert found.gpus == 3, "a share that is none is a whole GPU"
    assert found.queues == {"q": Decimal(1)}


def test_a_share_of_several_gpus_counts_for_each() -> None:
    def held(**annotations: str) -> Decimal | None:
        return usage_of({"items": [pod("team-ml", annotations=annotations)]})["ml"].gpus

    many = "gpu-fraction-num-devices"
    assert held(**{"gpu-fraction": "0.5", many: "3"}) == Decimal("1.5")
    assert held(**{"gpu-memory": "2000", many: "2"}) == 2
    assert held(**{"gpu-fraction": "0.5", many: "-3"}) == Decimal("0.5")
    assert held(**{"gpu-fraction": "0.5", many: "1e9"}) == Decimal("0.5")


def test_a_pod_may_have_a_share_of_all_gpus_of_a_node_and_of_no_more() -> None:
    for devices, held in ((MOST_GPUS, MOST_GPUS), (MOST_GPUS + 1, 1)):
        one = pod("team-ml", annotations={"gpu-memory": "2000", "gpu-fraction-num-devices": str(devices)})
        assert usage_of({"items": [one]})["ml"].gpus == held


def test_a_part_of_a_gpu_that_is_asked_for_by_its_name_is_one() -> None:
    one = pod("team-ml")
    one["spec"]["containers"] = [{"resources": {"limits": {"nvidia.com/mig-1g.10gb": "2", "nvidia.com/other": "9"}}}]
    assert usage_of({"items": [one]})["ml"].gpus == 2


def test_sidecars_and_init_containers_hold_gpus_too() -> None:
    def asks(gpus: object, **more: str) -> dict[str, Any]:
        return {"resources": {"limits": {"nvidia.com/gpu": gpus}}, **more}

    one = pod("team-ml")
    one["spec"]["initContainers"] = [asks("1", restartPolicy="Always"), asks("4")]
    assert usage_of({"items": [one]})["ml"].gpus == 5, "beside the sidecar the second init container has 4"


@pytest.mark.parametrize(
    ("said", "means"), [("1e3", 1000), ("500m", Decimal("0.5")), ("2Ei", 2 * 2**60), ("5n", Decimal("5e-9"))]
)
def test_what_is_used_is_read_as_kubernetes_writes_it(said: str, means: Decimal) -> None:
    used = {"metadata": {"namespace": "team-ml"}, "status": {"used": {"requests.memory": said}}}
    assert usage_of({"items": [used]})["ml"].bounds == {"requests.memory": means}
