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


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every live call: its name, the server that the kubeconfig leads to, and what else it was given."""
    found: list[Any] = []

    def noted(name: str) -> Any:
        def call(text: str, *given: object, **more: object) -> None:
            found.append((name, parsed(text)["clusters"][0]["cluster"]["server"], *given, *sorted(more.items())))

        return call

    for name in ("delete_leftovers", "renew_pods", "stop_pods"):
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
    ("hook", "call"),
    [
        ("sweep", ("delete_leftovers", ML, TENANCY)),
        ("clear", ("delete_leftovers", ML, HOOKS)),
        ("renew", ("renew_pods", ML, "kai-scheduler", ("settle", 0))),
    ],
)
def test_around_a_teams_kai_its_own_cluster_is_cleared(
    declare: Declare, calls: list[Any], hook: str, call: tuple[Any, ...]
) -> None:
    run(declare(lab("ml")), f"ml-scheduler-{hook}")
    assert calls == [call]


@pytest.mark.parametrize(("version", "settle"), [("v0.16.8", 0), ("v0.9.8", 20.0)])
def test_around_the_hosts_kai_the_host_is_cleared_and_a_line_that_remakes_its_accounts_settles_first(
    declare: Declare, calls: list[Any], version: str, settle: float
) -> None:
    recorder = declare(under_the_hosts_kai(version))
    for hook in ("sweep", "clear", "renew"):
        run(recorder, f"host-scheduler-{hook}")
    assert calls == [
        ("delete_leftovers", HOST, TENANCY),
        ("delete_leftovers", HOST, HOOKS),
        ("renew_pods", HOST, "kai-scheduler", ("settle", settle)),
    ]


def test_a_team_that_is_paused_is_stopped_on_the_host_but_for_its_dns_and_its_scheduler(
    declare: Declare, calls: list[Any]
) -> None:
    run(declare(lab("ml", teams__ml__state="paused")), "ml-pause-stop")
    wanted = ("label", "vcluster.loft.sh/managed-by")
    assert calls == [("stop_pods", HOST, "team-ml", ("kept", KEPT), wanted)]
