"""What each hook of the program does to a cluster, and with whose credentials: a hook is a name to the engine."""

from __future__ import annotations

from typing import Any

import pytest

import kube
from components.team import kai_scheduler
from tests.components.program import lab
from tests.components.specs import parsed
from tests.conftest import Declare
from tests.recording import Recorder, answered

HOST, ML = "https://127.0.0.1:1", "https://127.0.0.1:30868"
KEPT = {"vcluster.loft.sh/namespace": ("kube-system", "kai-scheduler")}
TENANCY, HOOKS = kai_scheduler.leftovers(), kai_scheduler.hook_objects()
EARLY = ("kai-scheduler", "kai-scheduler")
"""The namespace and the release whose Config is applied while Helm installs it."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every live call: its name, the server that the kubeconfig leads to, and what else it was given."""
    found: list[Any] = []

    def noted(name: str) -> Any:
        def call(text: str, *given: object, **more: object) -> None:
            told = [each for each in given if not callable(each)]
            found.append((name, parsed(text)["clusters"][0]["cluster"]["server"], *told, *sorted(more.items())))

        return call

    for name in ("apply_beside_helm", "delete_leftovers", "renew_pods", "stop_pods"):
        monkeypatch.setattr(kube, name, noted(name))
    return found


def run(recorder: Recorder, hook: str) -> None:
    answered(recorder.hooks.by_name[hook].callback(None))


def under_the_hosts_kai(version: str) -> dict[str, Any]:
    return lab(
        "ml",
        host={"provider": "lab", "scheduler": {"version": version}},
        teams__ml__scheduler={"mode": "host", "gpuSharing": True},
        teams__ml__check={"gpus": 1},
    )


@pytest.mark.parametrize(
    ("hook", "wanted"),
    [
        # the Config of an earlier KAI goes first; and an upgrade's old operator must not see the new one early
        ("sweep", [("delete_leftovers", ML, TENANCY), ("apply_beside_helm", ML, *EARLY)]),
        ("clear", [("delete_leftovers", ML, HOOKS)]),
        ("renew", [("renew_pods", ML, "kai-scheduler", ("settle", 0))]),
    ],
)
def test_around_a_teams_kai_its_own_cluster_is_cleared(
    declare: Declare, calls: list[Any], hook: str, wanted: list[Any]
) -> None:
    run(declare(lab("ml")), f"ml-scheduler-{hook}")
    assert calls == wanted


def test_a_preview_clears_nothing_and_applies_nothing(declare: Declare) -> None:
    hooks = declare(lab("ml")).hooks.by_name
    for name in ("sweep", "clear", "renew"):
        options = hooks[f"ml-scheduler-{name}"].opts
        assert not (options and options.on_dry_run), name


@pytest.mark.parametrize(("version", "settle"), [("v0.16.8", 0), ("v0.9.8", 20.0)])
def test_around_the_hosts_kai_the_host_is_cleared_and_a_line_that_remakes_its_accounts_settles_first(
    declare: Declare, calls: list[Any], version: str, settle: float
) -> None:
    recorder = declare(under_the_hosts_kai(version))
    for hook in ("sweep", "clear", "renew"):
        run(recorder, f"host-scheduler-{hook}")
    assert calls == [
        ("delete_leftovers", HOST, TENANCY),
        ("apply_beside_helm", HOST, *EARLY),
        ("delete_leftovers", HOST, HOOKS),
        ("renew_pods", HOST, "kai-scheduler", ("settle", settle)),
    ]


def test_a_team_that_is_paused_is_stopped_on_the_host_but_for_its_dns_and_its_scheduler(
    declare: Declare, calls: list[Any]
) -> None:
    run(declare(lab("ml", teams__ml__state="paused")), "ml-pause-stop")
    wanted = ("label", "vcluster.loft.sh/managed-by")
    assert calls == [("stop_pods", HOST, "team-ml", ("kept", KEPT), wanted)]
