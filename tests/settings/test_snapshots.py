"""`vcluster.snapshots`: where it can't be, and what it takes of the team's storage and bounds."""

from __future__ import annotations

from typing import Any

import releases
from settings.claims import tenancy_cost
from settings.load import parse_platform
from settings.tenants import tenants
from tests.settings.build import TODAY, mistakes, mistakes_of, raw

AT = "teams.ml.vcluster.snapshots"


def test_a_deployed_etcd_and_a_store_in_a_pod_have_none() -> None:
    assert mistakes({"teams.ml.vcluster": {"snapshots": {}, "backingStore": "etcd"}}) == [
        f"{AT}: vCluster takes no snapshot of a deployed etcd, got backingStore: etcd; "
        "remove snapshots; back the etcd pod up with etcd's own tools"
    ]
    assert mistakes({"teams.ml.vcluster": {"snapshots": {}, "persistence": False}}) == [
        f"{AT}: a snapshot is taken of a volume, and there is none, got persistence: false; "
        "remove snapshots, or write persistence: true for a new virtual cluster"
    ]
    assert mistakes({"teams.ml.vcluster": {"snapshots": {}}}) == []


def test_its_volume_counts_in_the_storage_of_the_team_beside_the_control_planes() -> None:
    changes = {"teams.ml.vcluster": {"snapshots": {"size": "4Gi"}}, "teams.ml.resources.storage": "8Gi"}
    assert mistakes(changes) == [
        "teams.ml.resources.storage: the control plane's own volume takes 5Gi of it and that of its snapshots takes "
        "4Gi of it, got '8Gi'; write at least 5Gi + 4Gi and what the team's volumes take"
    ]
    assert mistakes({**changes, "teams.ml.resources.storage": "9Gi"}) == []
    bucket = {"snapshots": {"s3": {"bucket": "b-1", "secret": "aws"}}}
    assert mistakes({"teams.ml.vcluster": bucket, "teams.ml.resources.storage": "5Gi"}) == []


def test_there_is_room_for_the_pod_that_takes_one_and_a_canary_takes_none() -> None:
    plain = parse_platform(raw(), "x", today=TODAY).teams["ml"]
    data = raw({"teams.ml.vcluster": {"snapshots": {}}, "teams.ml.scheduler.canary": {"version": "v0.9.8"}})
    data["pools"]["gpu"]["gpusPerNode"] = 8
    found = tenants(parse_platform(data, "x", today=TODAY))
    one = releases.total([releases.SNAPSHOT_POD])
    assert tenancy_cost(found["ml"]) == tenancy_cost(plain) + one
    assert found["ml-canary"].vcluster.snapshots is None


def test_the_words_for_a_bucket_are_checked() -> None:
    wrong = {"bucket": "B_1", "secret": "aws", "endpoint": "http://minio", "prefix": "/a"}
    found = mistakes({"teams.ml.vcluster": {"snapshots": {"s3": wrong}}})
    assert [line.split(":")[0] for line in found] == [f"{AT}.s3.{key}" for key in ("bucket", "prefix", "endpoint")]


def test_ten_teams_with_a_kai_each_ask_for_less_than_a_host_of_two_cores_and_24_gib_has() -> None:
    """As measured (docs/runs.md); a core and 2 GiB stay free for the host's own pods."""
    data = raw()
    data["pools"]["gpu"] |= {"gpusPerNode": 10, "cpuPerNode": 2, "memoryPerNode": "24Gi"}
    data["host"]["headroom"] = {"cpu": "0.5", "memory": "2Gi", "pods": 20}
    team: dict[str, Any] = {
        "pool": "gpu",
        "scheduler": {"mode": "virtual", "version": "v0.16.8"},
        "resources": {"gpus": 1, "cpu": "40m", "memory": "512Mi", "pods": 10},
        "queues": {"work": {"gpu": 1}},
    }
    data["teams"] = {f"t{number}": {**team, "access": {"port": 30000 + number}} for number in range(10)}
    assert mistakes_of(data) == []
    data["teams"]["t10"] = {**team, "resources": {**team["resources"], "cpu": "1"}, "access": {"port": 30010}}
    assert any("CPU and tenancy's own must fit" in line for line in mistakes_of(data)), "the sum is looked at"
