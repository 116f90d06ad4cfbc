"""The words for a slot that comes, and what a slot holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from preview.facts import BLUE_GREEN, CANARY_OF, GPU_BOUND, Facts
from preview.judges import slots
from preview.usage import Use

ON: Final = {"scheduler.version": "v1", "vcluster.version": "2", "vcluster.kubernetesVersion": "v1.34.0"}
GREEN: Final = {BLUE_GREEN: "green", CANARY_OF: "ml", **ON}


def test_only_a_slot_is_told_as_one_that_comes() -> None:
    older = {**ON, "vcluster.kubernetesVersion": "v1.35.0"}
    assert slots.comes(Facts(tenants={"ml": older, "g": {CANARY_OF: "ml"}}), "g") is None, "a canary"
    assert slots.comes(Facts(tenants={"ml": {**ON, BLUE_GREEN: "blue", CANARY_OF: None}}), "ml") is None, "it serves"
    told = slots.comes(Facts(tenants={"ml": older, "g": GREEN}), "g")
    assert told == (
        "blue-green: is created beside ml with KAI v1, vCluster 2, Kubernetes v1.34.0; its Kubernetes is a downgrade, "
        "in an empty virtual cluster; ml (KAI v1, vCluster 2, Kubernetes v1.35.0) goes on serving, its pods and queues "
        "notice nothing"
    )


def test_a_slot_holds_what_is_more_than_the_volumes_of_its_own() -> None:
    def held(gib: float, **known: Any) -> str | None:
        used = {"requests.storage": Decimal(gib) * 2**30, GPU_BOUND: Decimal(0)}
        return slots.holds(
            {**GREEN, **{key.replace("_", "."): value for key, value in known.items()}}, Use(bounds=used)
        )

    plane = {"vcluster_persistence": True}
    assert held(0, vcluster_persistence=False) is None
    assert held(1, vcluster_persistence=False) == "it has volumes of 1 GiB"
    assert held(5, **plane) is None, "the control plane's own"
    assert held(6, **plane) == "it has volumes of 1 GiB"
    assert held(14, **plane, vcluster_snapshots_size="9Gi") is None
    assert held(15, **plane, vcluster_snapshots_size="9Gi") == "it has volumes of 1 GiB"
