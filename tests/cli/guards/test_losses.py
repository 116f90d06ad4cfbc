"""What a change loses is refused by what the state remembers, held against what runs; an override lets it through."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import tokens
from cli.cluster import target_of
from cli.guards.losses import _refusal, losses
from components.team.tenant import facts, resolve
from names import LABEL_TEAM, LABEL_WORKLOAD
from preview.gate import Refusal as Judged
from tests.cli.fake_api import FakeApi, kubeconfig
from tests.cli.guards.test_memory import platform, state
from tests.conftest import platform_of

TODAY = date(2026, 11, 26)
LESS = {"resources": {"gpus": 2, "cpu": 48, "memory": "256Gi"}, "queues": {"notebooks": {"gpu": 1}}}


def runs(api: FakeApi, gpus: int) -> None:
    """The team's ResourceQuota on the host says that so many GPUs are in use, by one pod."""
    metadata = {"name": "tenant", "namespace": "team-ml", "labels": {"gpu-tenancy/team": "ml"}}
    api.objects["/api/v1/resourcequotas"] = [
        {"metadata": metadata, "status": {"used": {"requests.nvidia.com/gpu": str(gpus)}}}
    ]
    limits = {"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    api.objects["/api/v1/namespaces/team-ml/pods"] = [
        {
            "metadata": {"name": "train", "namespace": "team-ml"},
            "spec": {"nodeName": "gpu-0", "containers": [limits]},
            "status": {"phase": "Running"},
        }
    ]


def found(api: FakeApi, *overrides: dict[str, Any], **teams: Any) -> list[Any]:
    host = target_of(kubeconfig(api.url), "here")
    return losses(state(), platform(*overrides, **teams), "dev", TODAY, host)


def test_what_stays_as_it_was_loses_nothing_and_asks_nobody(api: FakeApi) -> None:
    assert found(api) == []
    assert api.seen == []


def test_a_limit_below_what_runs_is_refused_until_an_override_names_it(api: FakeApi) -> None:
    runs(api, 3)
    refusals = found(api, ml=LESS)
    assert any("4" in one.cause and "2" in one.cause and one.cause.startswith("team ml: ") for one in refusals)
    assert all("allow: [lowerLimit], until: 2026-12-03" in one.fix for one in refusals)
    assert found(api, {"team": "ml", "allow": ["lowerLimit"]}, ml=LESS) == []


def test_a_limit_that_still_holds_what_runs_is_fine(api: FakeApi) -> None:
    runs(api, 1)
    assert found(api, ml=LESS) == []


def test_where_nobody_can_say_what_runs_it_counts_as_a_loss(api: FakeApi) -> None:
    api.refused["/api/v1/resourcequotas"] = 403
    assert found(api, ml=LESS) != []
    assert losses(state(), platform(ml=LESS), "dev", TODAY, None) != []


def test_a_store_that_starts_empty_is_a_loss_whatever_runs(api: FakeApi) -> None:
    runs(api, 0)
    was = state()
    name = "gpu-tenancy:index:VirtualCluster"
    facts = {"team": "ml", "version": "0.36.1", "kubernetesVersion": "v1.34.0", "persistence": True}
    was[f"urn:x::y::{name}::ml-virtual-cluster"] = {"type": name, "outputs": {**facts, "backingStore": "sqlite"}}
    host = target_of(kubeconfig(api.url), "here")
    etcd = platform(ml={"vcluster": {"version": "0.36.1", "backingStore": "etcd"}})
    causes = [one.cause for one in losses(was, etcd, "dev", TODAY, host)]
    assert any(cause.startswith("team ml: ") and "etcd" in cause for cause in causes), causes


CHAT = {"kind": "inference", "model": "m", "weights": "1G", "gpu": {"count": 1}}


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        ({"size": "20Gi", "storageClass": "fast"}, None),
        ({"size": "20480Mi", "storageClass": "fast"}, None),
        ({"size": "30Gi", "storageClass": "fast"}, None),
        ({"size": "20Gi", "storageClass": "slow"}, "in another class"),
        ({"size": "20Gi"}, "in another class"),
        ({"size": "9Gi", "storageClass": "fast"}, "can't shrink"),
    ],
)
def test_a_cache_that_can_not_change_is_refused_whatever_overrides_there_are(
    api: FakeApi, cache: dict[str, Any], words: str | None
) -> None:
    """As by the gate of a pull request: `up` would wait for a claim that its pod keeps from going."""
    labels = {LABEL_TEAM: "ml", LABEL_WORKLOAD: "chat-cache"}  # as the program labels the claim
    spec = {"storageClassName": "fast", "resources": {"requests": {"storage": "20Gi"}}}
    claim = {"type": tokens.VOLUME_CLAIM, "outputs": {"metadata": {"labels": labels}, "spec": spec}}
    kinds = {"type": tokens.TEAM_WORKLOADS, "outputs": {"team": "ml", "workloads": {"chat": "inference"}}}
    more = platform_of("lab")["teams"]["ml"]["resources"] | {"storage": "100Gi"}
    to = platform(
        {"team": "ml", "allow": ["replace"]}, ml={"workloads": {"chat": {**CHAT, "cache": cache}}, "resources": more}
    )
    was = {**state(), "urn:p::q::r": claim, "urn:p::q::s": kinds}
    found = [one.cause for one in losses(was, to, "dev", TODAY, target_of(kubeconfig(api.url), "here"))]
    assert [cause.startswith("team ml: cache of workload chat ") for cause in found] == ([True] if words else [])
    assert not words or words in found[0]


def test_a_team_that_is_left_out_is_told_elsewhere(api: FakeApi) -> None:
    host = target_of(kubeconfig(api.url), "here")
    assert losses(state(), platform(without="ml"), "dev", TODAY, host) == []


def test_nothing_was_there_nothing_is_lost(api: FakeApi) -> None:
    assert losses({}, platform(), "dev", TODAY, None) == []


@pytest.mark.parametrize("nonsense", [None, 3, {"type": 3}, {"type": "gpu-tenancy:index:Team", "outputs": []}])
def test_a_state_with_nonsense_in_it_stops_nothing(nonsense: Any, api: FakeApi) -> None:
    host = target_of(kubeconfig(api.url), "here")
    assert losses({**state(), "urn:x::y::z": nonsense}, platform(), "dev", TODAY, host) == []


@pytest.mark.parametrize(("in_use", "refused"), [(0, False), (1, True), (None, True)])
def test_a_canary_in_which_gpus_are_in_use_is_not_left_out(api: FakeApi, in_use: int | None, refused: bool) -> None:
    scheduler = {"mode": "virtual", "version": "v0.9.3", "gpuSharing": True}
    both = platform(ml={**LESS, "scheduler": {**scheduler, "canary": {"version": "v0.16.8"}}})
    was: dict[str, Any] = {}
    for name, tenant in resolve(both).items():
        kind = "gpu-tenancy:index:Team"
        was[f"urn:x::y::{kind}::{name}"] = {"type": kind, "outputs": facts(tenant)}
    metadata = {"name": "tenant", "namespace": "team-ml-canary", "labels": {"gpu-tenancy/team": "ml-canary"}}
    used = {"metadata": metadata, "status": {"used": {"requests.nvidia.com/gpu": str(in_use)}}}
    api.objects["/api/v1/resourcequotas"] = [] if in_use is None else [used]
    alone, host = platform(ml={**LESS, "scheduler": scheduler}), target_of(kubeconfig(api.url), "here")
    causes = [one.cause for one in losses(was, alone, "dev", TODAY, host)]
    assert [cause.startswith("team ml-canary: removed") for cause in causes] == ([True] if refused else [])
    allowed = {"team": "ml-canary", "allow": ["delete"]}
    let_go = platform(allowed, ml={**LESS, "scheduler": scheduler})
    assert losses(was, let_go, "dev", TODAY, host) == []


@pytest.mark.parametrize(
    ("team", "change", "line"),
    [
        ("ml", "lowerLimit", "- {team: ml, allow: [lowerLimit], until: 2026-12-03"),
        ("", "slurm", "- {allow: [slurm], until: 2026-12-03"),
        ("ml", "unreadable", None),
        ("", "unreadable", None),
    ],
)
def test_an_override_is_offered_only_where_there_is_one(team: str, change: str, line: str | None) -> None:
    fix = _refusal(Judged(team=team, change=change, reason="r", about="a"), "dev", TODAY).fix
    assert fix.startswith("undo it in Pulumi.dev.yaml")
    assert ("overrides" in fix) is (line is not None)
    assert (line or "") in fix
