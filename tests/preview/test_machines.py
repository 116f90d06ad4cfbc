"""A host that the program makes, and SLURM beside it: what an edit of them loses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

import tokens
from components.host.install import InstalledHost
from components.slurm.cluster import SlurmCluster
from preview.changes import changes
from preview.facts import MADE, facts_of
from preview.gate import Refusal, gate, gate_preview
from preview.judges import machines
from preview.kinds import Kind
from preview.observed import facts_in_state
from preview.read import read_preview
from settings.models import Override, Platform, StackChange
from tests.preview.world import TODAY, said

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB6qZx0yNn9l5fXe0m0mQ0oQ2W1H8c4Jp0m3cF6wZb2T"
SSH = {"host": "gpu-1.example.com", "key": "gpu-1", "hostKey": KEY}
SLURM_OF = {"host": "gpu-1", "gpus": 4}


def stack(host: dict[str, Any] | None = None, slurm: dict[str, Any] | None = None, teams: bool = True) -> Platform:
    ml = {"pool": "a", "resources": {"gpus": 2}, "queues": {"q": {"gpu": 2}}}
    return Platform.model_validate(
        {
            "host": {"provider": "kind", "name": "lab-a", **(host or {})},
            "gpu": {"stack": "devicePlugin"},
            "pools": {"a": {"nodes": ["lab-a-worker"], "gpusPerNode": 4}},
            "teams": {"ml": ml} if teams else {},
            **({"slurm": slurm} if slurm else {}),
        }
    )


def judged(before: Platform, after: Platform, *overrides: Override) -> list[Refusal]:
    return gate(facts_of(before), facts_of(after), usage=None, overrides=overrides, today=TODAY)


def worst(before: Platform, after: Platform) -> Kind:
    return changes(facts_of(before), facts_of(after))[0].kind


def lets(change: StackChange) -> Override:
    return Override(allow=(change,), until=TODAY, reason="nothing there is needed any more")


MADE_HERE = stack({"kind": {}})


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (stack(), "the cluster kind lab-a on this machine is taken down, unless it was there before"),
        (stack({"kind": {}, "name": "lab-b"}), "kind lab-a on this machine becomes kind lab-b on this machine"),
        (stack({"kind": {}, "connection": {"ssh": SSH}}), "becomes kind lab-a on gpu-1.example.com"),
        (stack({"provider": "k3s", "k3s": {}}), "kind lab-a on this machine becomes k3s lab-a on this machine"),
    ],
)
def test_a_host_that_is_left_out_or_made_elsewhere_loses_everything(after: Platform, words: str) -> None:
    refusals = judged(MADE_HERE, after)
    assert said(refusals) == [("", "anotherCluster")]
    assert words in " ".join(change.means for change in changes(facts_of(MADE_HERE), facts_of(after)))
    assert judged(MADE_HERE, after, lets("anotherCluster")) == []
    assert len(judged(MADE_HERE, after, lets("slurm"))) == 1


def test_a_host_without_teams_is_taken_down_by_an_override_too() -> None:
    assert said(judged(stack({"kind": {}}, teams=False), stack(teams=False))) == [("", "anotherCluster")]


def test_a_host_that_is_made_from_now_on_may_be_another_one() -> None:
    assert said(judged(stack(), MADE_HERE)) == [("", "anotherCluster")]
    assert judged(stack(teams=False), stack({"kind": {}}, teams=False)) == []


def test_another_host_key_may_be_another_machine() -> None:
    one = stack({"kind": {}, "connection": {"ssh": SSH}})
    other = stack({"kind": {}, "connection": {"ssh": {**SSH, "hostKey": KEY.replace("Zb2T", "Zb2U")}}})
    assert said(judged(one, other)) == [("", "anotherCluster")]
    same = stack({"kind": {}, "connection": {"ssh": {**SSH, "user": "admin", "port": 2222}, "sudo": True}})
    assert judged(one, same) == []


@pytest.mark.parametrize(
    ("way", "before", "after", "kind"),
    [
        ("k3s", {"version": "v1.34.4+k3s1"}, {"version": "v1.33.1+k3s1"}, Kind.LOSING),
        ("k3s", {"version": "v1.34.4+k3s1"}, {"version": "v1.35.0+k3s1"}, Kind.DISRUPTIVE),
        ("microk8s", {"channel": "1.34/stable"}, {"channel": "1.32/stable"}, Kind.LOSING),
        ("microk8s", {"channel": "1.34/stable"}, {"channel": "1.35/candidate"}, Kind.DISRUPTIVE),
        ("microk8s", {"nvidiaAddon": False}, {"nvidiaAddon": True}, Kind.DISRUPTIVE),
        ("kind", {"changeDocker": False}, {"changeDocker": True}, Kind.DISRUPTIVE),
        ("kind", {"changeDocker": True}, {"changeDocker": False}, Kind.IN_PLACE),
        ("kind", {"workers": 1}, {"workers": 3}, Kind.IN_PLACE),
    ],
)
def test_an_edit_of_a_host_that_is_made(way: str, before: dict[str, Any], after: dict[str, Any], kind: Kind) -> None:
    one, other = (stack({"provider": way, way: each}) for each in (before, after))
    assert worst(one, other) is kind
    assert [refusal.change for refusal in judged(one, other)] == (["anotherCluster"] if kind.refused else [])


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (None, Kind.LOSING),
        ({**SLURM_OF, "host": "gpu-2"}, Kind.LOSING),
        ({**SLURM_OF, "connection": {"ssh": SSH}}, Kind.LOSING),
        ({**SLURM_OF, "partition": "batch"}, Kind.LOSING),
        ({**SLURM_OF, "gpus": 3}, Kind.LOSING),
        ({**SLURM_OF, "gpus": 5}, Kind.DISRUPTIVE),
        ({**SLURM_OF, "gpuType": "a100"}, Kind.DISRUPTIVE),
        ({**SLURM_OF, "adopt": True}, Kind.IN_PLACE),
    ],
)
def test_an_edit_of_slurm_is_judged_by_what_is_lost(after: dict[str, Any] | None, kind: Kind) -> None:
    one, other = stack(slurm=SLURM_OF), stack(slurm=after)
    assert worst(one, other) is kind
    assert said(judged(one, other)) == ([("", "slurm")] if kind.refused else [])
    assert judged(one, other, lets("slurm")) == []


def test_slurm_that_comes_loses_nothing() -> None:
    assert judged(stack(), stack(slurm=SLURM_OF)) == []


def test_another_host_key_of_slurm_may_be_another_machine() -> None:
    one, other = (
        stack(slurm={**SLURM_OF, "connection": {"ssh": {**SSH, "hostKey": key}}})
        for key in (KEY, KEY.replace("Zb2T", "Zb2U"))
    )
    assert said(judged(one, other)) == [("", "slurm")]


# --- what a state and a preview say ----------------------------------------------------------------------------------


def test_the_types_are_the_components_own() -> None:
    assert tokens.INSTALLED_HOST.rpartition(":")[2] == InstalledHost.__name__
    assert tokens.SLURM_CLUSTER.rpartition(":")[2] == SlurmCluster.__name__


def state(components: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    host = {"type": tokens.HOST_CLUSTER, "outputs": {"hostProvider": "kind", "context": "kind-lab-a"}}
    return {"urn:host": host, **{f"urn:{kind}": {"type": kind, "outputs": said} for kind, said in components.items()}}


def test_a_state_says_what_was_made() -> None:
    was = facts_in_state(
        state(
            {
                tokens.INSTALLED_HOST: {"provider": "kind", "name": "lab-a"},
                tokens.SLURM_CLUSTER: {"host": "gpu-1", "gpus": 4, "partition": "gpu"},
            }
        )
    )
    assert was is not None
    of_file = facts_of(stack({"kind": {}}, slurm=SLURM_OF)).stack
    assert {key: was.stack[key] for key in (MADE, "slurm.host", "slurm.gpus", "slurm.partition")} == {
        key: of_file[key] for key in (MADE, "slurm.host", "slurm.gpus", "slurm.partition")
    }
    assert said(gate(was, facts_of(stack(slurm=SLURM_OF)), usage=None, overrides=(), today=TODAY)) == [
        ("", "anotherCluster")
    ]
    assert said(gate(was, facts_of(stack({"kind": {}})), usage=None, overrides=(), today=TODAY)) == [("", "slurm")]


def test_a_state_with_neither_says_so() -> None:
    was = facts_in_state(state({}))
    assert was is not None
    assert (was.stack[MADE], was.stack["slurm.host"]) == (None, None)


def command(parent: str, op: str, *, delete: str = "bash -c ...", kind: str = "local") -> dict[str, Any]:
    urn = f"urn:pulumi:prod::gpu-tenancy::{parent}$command:{kind}:Command::made"
    inputs = {"create": "bash -c ...", **({"delete": delete} if delete else {})}
    return {"op": op, "urn": urn, "oldState": {"type": f"command:{kind}:Command", "inputs": inputs}}


@pytest.mark.parametrize("op", ["delete", "replace"])
@pytest.mark.parametrize(
    ("parent", "change"),
    [
        (tokens.INSTALLED_HOST, "anotherCluster"),
        (tokens.SLURM_CLUSTER, "slurm"),
        ("gpu-tenancy:index:Other", "unknown"),
    ],
)
@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_script_that_is_taken_back_takes_what_it_made(op: str, parent: str, change: str, kind: str) -> None:
    preview = read_preview(json.dumps({"steps": [command(parent, op, kind=kind)], "changeSummary": {}}))
    (found,) = gate_preview(preview, usage=None, overrides=(), today=TODAY)
    assert said([found]) == [("", change)]
    lost = {"anotherCluster": "the host cluster and all that is in it", "slurm": "SLURM and its jobs"}
    assert (
        f"and with it {lost[change]}; if" in found.reason
        if change in lost
        else "does not know what is lost" in found.reason
    )
    assert found.about == {"anotherCluster": machines.HOST, "slurm": machines.SLURM}.get(change, found.about)


def test_a_script_that_takes_nothing_back_may_go() -> None:
    preview = read_preview(
        json.dumps({"steps": [command(tokens.INSTALLED_HOST, "delete", delete="")], "changeSummary": {}})
    )
    assert gate_preview(preview, usage=None, overrides=(), today=TODAY) == []
