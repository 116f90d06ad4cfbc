"""`gpuSharing`: its short forms, and who can hold a pod to its part of a GPU. Topologies, run times, scale adjuster."""

from __future__ import annotations

from typing import Any

import pytest

from settings.load import parse_platform
from settings.models import Enforce
from settings.sharing import WAYS, Sharing
from tests.settings.build import TODAY, mistakes, raw

AT = "teams.ml.scheduler.gpuSharing.enforce"
OPERATOR = {"gpu": {"stack": "gpuOperator", "owner": "cluster", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}}


def scheduler(version: str, sharing: object = None) -> dict[str, object]:
    found = {"enforce": "memory"} if sharing is None else sharing
    return {"teams.ml.scheduler": {"mode": "virtual", "version": version, "gpuSharing": found}}


def said(changes: dict[str, object]) -> list[str]:
    return [line for line in mistakes(changes) if line.startswith(AT)]


@pytest.mark.parametrize(
    ("written", "on", "how"),
    [
        (True, True, Enforce.NONE),
        (False, False, Enforce.NONE),
        ({"enforce": "none"}, True, Enforce.NONE),
        ({"enabled": False}, False, Enforce.NONE),
        ({}, True, Enforce.NONE),
    ],
)
def test_a_flag_alone_is_the_short_form(written: object, on: bool, how: Enforce) -> None:
    found = parse_platform(raw(scheduler("v0.16.8", written)), "x", today=TODAY).teams["ml"].scheduler
    assert (found.shares, found.gpu_sharing.enforce) == (on, how)


def test_a_kai_that_only_counts_is_refused_with_those_that_can() -> None:
    assert said(scheduler("v0.14.7")) == [
        f"{AT}: KAI v0.14.7 of ml can't limit pods to their part of a GPU, v0.16.8 and newer can, got memory; "
        "choose v0.16.8 or newer, or write none"
    ]


def test_hamis_library_comes_from_the_node_so_only_a_privileged_team_can_have_it() -> None:
    (line,) = said(scheduler("v0.16.8"))
    assert "a path of the node, and isolation baseline refuses such pods" in line
    assert "choose v0.18.6 or newer, whose driver does it" in line
    assert said({**scheduler("v0.16.8"), "teams.ml.isolation": "privileged"}) == []


def test_the_drivers_way_needs_the_operator_that_has_it() -> None:
    (line,) = said(scheduler("v0.18.6"))
    assert "needs GPU Operator v26.7.1 and driver 615 or newer, got gpu.stack devicePlugin, no GPU Operator" in line
    ours: dict[str, Any] = {"gpu": {"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}}
    (line,) = said({**scheduler("v0.18.6"), **ours})
    assert "got gpu.stack gpuOperator, version v26.7.0" in line
    assert said({**scheduler("v0.18.6"), **OPERATOR}) == []


def test_without_fractions_there_is_nothing_to_enforce() -> None:
    assert said(scheduler("v0.14.7", {"enabled": False, "enforce": "memory"})) == []


def test_fake_gpus_have_no_memory() -> None:
    assert "has no meaning with stack fake" in said({**scheduler("v0.16.8"), "gpu": {"stack": "fake"}})[0]


def test_the_hosts_one_kai_enforces_for_all_or_for_none() -> None:
    host: dict[str, object] = {"host.scheduler": {"version": "v0.18.6"}, **OPERATOR}
    for team, sharing in (("ml", {"enforce": "memory"}), ("research", True)):
        host[f"teams.{team}.scheduler"] = {"mode": "host", "gpuSharing": sharing}
    assert said(host) == [
        f"{AT}: is one setting of the host's KAI for all teams, and it is missing at research, got memory; "
        "write the same for all teams with mode host"
    ]
    assert said({**host, "teams.research.scheduler": {"mode": "host"}}) == []


RACKS = ["topology.example.com/rack", "kubernetes.io/hostname"]
NEW = {"teams.ml.scheduler.version": "v0.16.8", "teams.research.scheduler.version": "v0.12.23"}


def test_a_topology_needs_a_kai_that_has_one_on_every_team_of_the_pool() -> None:
    assert mistakes({**NEW, "pools.gpu.topology": RACKS}) == []
    (line,) = mistakes({**NEW, "teams.ml.scheduler.version": "v0.9.8", "pools.gpu.topology": RACKS})
    assert line.startswith("pools.gpu.topology: KAI v0.9.8 of ml has no Topology of its own, v0.12.23 and newer have")


def test_its_levels_are_what_the_api_server_takes() -> None:
    (line,) = mistakes({**NEW, "pools.gpu.topology": RACKS[::-1]})
    assert "kubernetes.io/hostname is the last level, nothing is narrower" in line
    (line,) = mistakes({**NEW, "pools.gpu.topology": [RACKS[0], RACKS[0]]})
    assert "each label is one level, got topology.example.com/rack twice" in line


def test_run_times_are_written_as_kai_reads_them() -> None:
    at = "teams.ml.queues.training"
    fine = {f"{at}.preemptMinRuntime": "90s", f"{at}.reclaimMinRuntime": "10m"}
    assert mistakes(fine) == []
    (line,) = mistakes({f"{at}.reclaimMinRuntime": "10 min"})
    assert "must be a time: a whole number and s, m or h" in line


def test_the_scale_adjuster_is_switched_on_by_whoever_installs_the_kai() -> None:
    shared = {"version": "v0.16.8", "scaleAdjuster": True}
    assert mistakes({"host.scheduler": shared}) == []
    (line,) = mistakes({"host.scheduler": {**shared, "owner": "cluster"}})
    assert line.startswith("host.scheduler.scaleAdjuster: is switched on by whoever installs the KAI")


def test_what_is_neither_is_told_both_forms() -> None:
    (line,) = mistakes({"teams.ml.scheduler.gpuSharing": "often"})
    assert line == (
        "teams.ml.scheduler.gpuSharing: must be true, false or a mapping, got 'often'; "
        "put keys below it (enabled, enforce)"
    )


TIME = {"timeSlicing": {"replicas": 4}}
MPS = {"mps": {"replicas": 4}}
THEIRS = {"stack": "devicePlugin", "owner": "cluster"}


@pytest.mark.parametrize(
    ("sharing", "gpu", "one"),
    [
        ({}, {"stack": "devicePlugin"}, False),
        (TIME, {"stack": "devicePlugin"}, True),
        (MPS, {"stack": "devicePlugin"}, True),
        (MPS, THEIRS, True),
        # how the cluster's own plugin shares is its own affair, and what fakes GPUs refuses nothing
        (TIME, THEIRS, False),
        (MPS, {"stack": "fake"}, False),
    ],
)
def test_a_pod_asks_for_one_replica_where_the_plugin_gives_no_more(
    sharing: dict[str, object], gpu: dict[str, object], one: bool
) -> None:
    app = {"kind": "app", "cpu": "100m", "memory": "128Mi", "gpu": {"count": 2}}
    changes: dict[str, object] = {
        "gpu": gpu,
        "pools.gpu.sharing": sharing,
        "teams.ml.queues": {"work": {"gpu": 2}},
        "teams.ml.check": {"gpus": 2},
        "teams.ml.workloads": {"web": app},
    }
    why = "is 1 on a pool of replicas: two replicas may be one GPU, and the device plugin refuses a pod that asks for"
    at = ("teams.ml.check.gpus", "teams.ml.workloads.web.gpu.count")
    assert mistakes(changes) == ([f"{place}: {why} more than one, got 2; write 1" for place in at] if one else [])


def test_a_pool_that_shares_has_another_name_than_the_settings_of_all_others() -> None:
    pool = {"nodes": ["gpu-1"], "gpusPerNode": 1}
    assert mistakes({"pools.default": pool}) == []
    (line,) = mistakes({"pools.default": {**pool, "sharing": TIME}})
    assert line == (
        "pools.default: has the name of the device plugin's settings for all nodes that share nothing, and would give "
        "them its replicas, got 'default'; rename the pool"
    )


def test_each_way_has_the_word_that_a_stack_file_has_for_it() -> None:
    assert set(WAYS) == {field.alias or name for name, field in Sharing.model_fields.items()}
