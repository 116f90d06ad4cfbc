"""The gate on what a virtual cluster keeps."""

from __future__ import annotations

import pytest

from policies.inventory import PolicyResource
from tests.policies.judged import changed
from tests.policies.world import team, vcluster, virtual_cluster
from tests.preview.world import override, refused, step


@pytest.mark.parametrize(
    ("field", "before", "after", "words"),
    [
        ("backingStore", "sqlite", "etcd", "backing store sqlite → etcd: its virtual cluster starts empty"),
        ("backingStore", "etcd", "sqlite", "backing store etcd → sqlite: its virtual cluster starts empty"),
        ("persistence", True, False, "persistence off: "),
        ("persistence", False, True, "persistence on: "),
        ("version", "0.36.1", "0.35.3", "vCluster 0.36.1 → 0.35.3 is a downgrade"),
        ("kubernetesVersion", "v1.34.0", "v1.33.4", "Kubernetes v1.34.0 → v1.33.4 is a downgrade"),
        ("kubernetesVersion", "v1.34.0", "newest", "can't be compared"),
    ],
)
def test_what_loses_the_virtual_cluster_needs_an_override(
    field: str, before: object, after: object, words: str
) -> None:
    one, other = (changed(virtual_cluster(), field, value) for value in (before, after))
    steps = [step("update", one, other)]
    (found,) = refused(steps)
    assert (found.team, found.change) == ("ml", "replace")
    assert words in found.reason
    assert refused(steps, [override("replace")]) == []


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("version", "0.35.3", "0.36.1"),
        ("version", "0.36.1", "0.36.0"),
        ("kubernetesVersion", "v1.33.4", "v1.34.0"),
        ("kubernetesVersion", "v1.34.4", "v1.34.0"),
    ],
)
def test_an_upgrade_and_another_patch_pass(field: str, before: object, after: object) -> None:
    assert refused([step("update", *(changed(virtual_cluster(), field, value) for value in (before, after)))]) == []


def test_another_storage_class_is_only_had_by_a_new_virtual_cluster() -> None:
    def released(storage_class: str | None) -> PolicyResource:
        claim = {"enabled": True} | ({"storageClass": storage_class} if storage_class else {})
        return vcluster(controlPlane={"statefulSet": {"persistence": {"volumeClaim": claim}}})

    steps = [step("same", team(), team()), step("update", released(None), released("fast"))]
    (found,) = refused(steps)
    assert (found.team, found.change) == ("ml", "replace")
    assert "storage class default → fast" in found.reason
