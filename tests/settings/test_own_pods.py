"""Settings that would have our own guardrails refuse our own pods: each once with the mistake, once without."""

from __future__ import annotations

from typing import Any

from releases import DEFAULT_KAI
from tests.settings.build import mistakes


def host_mode(team: str, **more: Any) -> dict[str, Any]:
    """Changes that put a team of the small platform under the host's KAI."""
    return {
        "host.scheduler": {"version": "v0.16.8"},
        f"teams.{team}.scheduler": {"mode": "host"},
        **{f"teams.{team}.{key}": value for key, value in more.items()},
    }


def test_a_team_cannot_have_the_name_of_the_hosts_own_checks() -> None:
    assert mistakes({"teams.host": {"resources": {"cpu": 1}}}) == [
        "teams.host: a team can't be called host, the host's own checks have it, got 'host'; rename the team"
    ]
    assert mistakes({"teams.hosts": {"resources": {"cpu": 1}}}) == []


def test_storage_holds_the_control_planes_own_volume() -> None:
    said = (
        "teams.ml.resources.storage: the control plane's own volume takes 5Gi of it, got '1Gi'; "
        "write at least 5Gi and what the team's volumes take"
    )
    assert mistakes({"teams.ml.resources.storage": "1Gi"}) == [said]
    assert mistakes({"teams.ml.resources.storage": "5Gi"}) == []
    assert mistakes({"teams.ml.resources.storage": "5G"}) == [said.replace("1Gi", "5G")], "5G is less than 5Gi"
    # kept in memory it takes none
    assert mistakes({"teams.ml.resources.storage": "1Gi", "teams.ml.vcluster": {"persistence": False}}) == []
    # a team that has a canary is told once
    canary = {"teams.ml.scheduler.canary": {"version": "v0.16.8", "gpus": 1}}
    assert mistakes({"teams.ml.resources.storage": "1Gi", **canary}) == [said]


def test_a_team_with_its_own_scheduler_needs_a_pool() -> None:
    alone = {"scheduler": {"mode": "virtual", "version": "v0.16.8"}, "queues": {"work": {}}, "resources": {"cpu": 1}}
    assert mistakes({"teams.solo": alone}) == [
        "teams.solo.pool: mode virtual needs a pool, else the team's own scheduler binds pods to every node of the "
        "host, got none; write pool (one with gpusPerNode: 0 is for CPU alone), or mode: default"
    ]
    cpu = {"pools.cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0}}
    assert mistakes({"teams.solo": {**alone, "pool": "cpu"}, **cpu}) == []
    assert mistakes({"teams.solo": {"resources": {"cpu": 1}}}) == []


def test_a_restricted_team_runs_a_kai_whose_own_pods_fit_that_level() -> None:
    assert mistakes({"teams.ml.isolation": "restricted"}) == [
        "teams.ml.scheduler.version: isolation: restricted needs a KAI whose own pods fit that level "
        f"(v0.16.8 and newer), got 'v0.9.3'; write {DEFAULT_KAI}, or isolation: baseline"
    ]
    newest = {"teams.ml.isolation": "restricted", "teams.ml.scheduler.version": "v0.16.8"}
    assert mistakes(newest) == []
    assert mistakes({**newest, "teams.ml.scheduler.canary": {"version": "v0.14.7", "gpus": 1}}) == [
        "teams.ml.scheduler.canary.version: isolation: restricted needs a KAI whose own pods fit that level "
        f"(v0.16.8 and newer), got 'v0.14.7'; write {DEFAULT_KAI}, or isolation: baseline"
    ]


def test_a_restricted_team_shares_no_gpus_by_a_kai_of_its_own() -> None:
    newest = {"teams.ml.isolation": "restricted", "teams.ml.scheduler.version": "v0.16.8"}
    assert mistakes({**newest, "teams.ml.scheduler.gpuSharing": True}) == [
        "teams.ml.scheduler.gpuSharing: can't go with isolation: restricted, which refuses KAI's "
        "reservation pods, got true; remove gpuSharing, or write isolation: baseline or mode: host"
    ]
    # the host's KAI has its reservation pods in a namespace of its own
    assert mistakes(host_mode("ml", isolation="restricted")) == []
    assert mistakes({"teams.dev.isolation": "restricted"}) == []


def test_the_queue_of_a_check_on_the_host_has_its_name_to_itself() -> None:
    assert mistakes(host_mode("ml", queues={"gpu-check": {"gpu": 2}})) == [
        "teams.ml.queues.gpu-check: ml-gpu-check is the queue of the check of team ml, got 'gpu-check'; "
        "rename it, or write teams.ml.check.queue"
    ]
    # its own queues are all that such a check needs
    assert mistakes(host_mode("ml", queues={"gpu-check": {"gpu": 2}}, check={"queue": "gpu-check"})) == []
    other = {
        "teams.ml-gpu-check": {"pool": "gpu", "scheduler": {"mode": "host"}, "queues": {"work": {}}},
    }
    assert mistakes({**host_mode("ml"), **other}) == [
        "teams.ml-gpu-check: ml-gpu-check is the queue of the check of team ml, got 'ml-gpu-check'; "
        "rename it, or write teams.ml.check.queue"
    ]
    # in a virtual cluster no check has a queue of its own
    assert mistakes({"teams.ml.queues": {"gpu-check": {"gpu": 2}}}) == []
