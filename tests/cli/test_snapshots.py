"""`make snapshot` and `make restore`: refusals before anything is asked, what is lost in words, the question."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pulumi
import pytest

from cli import snapshots
from cli.driver import Place
from cli.errors import InputError
from cli.guards import snapshots as first
from cli.guards.snapshots import before_changes
from cli.snapshots import lost, store_of
from components.team.tenant import cluster_facts, resolve
from kube.contents import Since
from kube.snapshots import Snapshot, SnapshotError
from preview.changes import snapshots_first
from preview.facts import facts_of
from settings.load import parse_platform
from settings.models import Platform
from tests.cli.conftest import Project
from tests.cli.fake_api import kubeconfig
from tests.cli.guards.test_memory import platform, state
from tests.conftest import platform_of

TAKEN = Snapshot(
    name="20261126-051200",
    taken=datetime(2026, 11, 26, 5, 12, tzinfo=UTC),
    why="asked for",
    vcluster="0.36.1",
    kubernetes="v1.34.4",
    scheduler="v0.16.8",
)


def place(data: Platform) -> Place:
    return Place(stack="one", stack_file=Path("Pulumi.one.yaml"), root=Path(), platform=data)


class TestWhose:
    """Who has no snapshots hears why, and what to write."""

    def test_a_team_without_them_is_told_the_line_to_write(self, project: Project, capsys: Any) -> None:
        assert project.run("snapshot", "--team", "ml") == 2
        said = capsys.readouterr().err
        assert "team ml keeps no snapshots: Pulumi.one.yaml has no teams.ml.vcluster.snapshots." in said
        assert "write `vcluster: {snapshots: {}}` for it" in said
        assert project.api.seen == [], "nothing was asked"

    def test_a_team_that_is_not_there_is_told_who_is(self) -> None:
        with pytest.raises(InputError, match=r"there is no team 'x'.*dev, ml, research"):
            store_of(place(platform()), "x")

    @pytest.mark.parametrize("command", ["snapshot", "restore"])
    def test_another_cluster_s_team_of_the_same_name_is_safe(
        self, command: str, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        name = "kubernetes:core/v1:Namespace"
        urn = f"urn:pulumi:one::gpu-tenancy::{name}::host-uid"
        read = {"urn": urn, "type": name, "outputs": {"metadata": {"uid": "another"}}}
        project.export({"version": 3, "deployment": {"resources": [read]}})
        text = (project.root / "Pulumi.one.yaml").read_text()
        project.write(text.replace("      ml:\n", "      ml:\n        vcluster: {snapshots: {}}\n"))
        assert project.run(command, "--team", "ml") == 1
        assert "was made on cluster another" in capsys.readouterr().err
        assert not [path for _, path in project.api.seen if "team-ml" in path], "nothing of the team was asked for"

    def test_a_lab_has_none(self) -> None:
        with pytest.raises(InputError, match="is a lab"):
            store_of(place(parse_platform(platform_of("lab"), "here")), "ml")


class TestLost:
    """Going back says what it loses before it asks."""

    def test_what_is_new_and_what_changed_is_counted_and_the_first_are_named(self) -> None:
        made = tuple(f"Pod a/p{n}" for n in range(7))
        said = lost("ml", TAKEN, Since(made=made, changed=()))
        assert said[0] == "team ml goes back to 20261126-051200 (taken 2026-11-26 05:12:00 UTC, asked for):"
        assert said[1] == "  made since, and lost: 7 (Pod a/p0, Pod a/p1, Pod a/p2, Pod a/p3, Pod a/p4, and 2 more)"
        assert said[2] == "  changed since, and back to what they were: nothing"

    def test_an_api_that_does_not_answer_is_said_and_no_reason_to_stop(self) -> None:
        assert "can't be listed" in lost("ml", TAKEN, None)[1]

    def test_nobody_is_asked_where_nobody_can_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
        assert snapshots._agreed() is False

    def test_another_name_lists_those_that_there_are(self) -> None:
        store = store_of(place(platform(ml={"vcluster": {"snapshots": {}}})), "ml")
        with pytest.raises(InputError, match="has no snapshot 'x'") as error:
            snapshots._chosen(place(platform()), store, [TAKEN], "x")
        assert error.value.detail == "  20261126-051200  asked for"


KEPT = {"vcluster": {"snapshots": {"beforeChanges": True}}}
NEW_KAI = {**KEPT, "scheduler": {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True}}


def with_cluster(data: Platform, was: dict[str, Any]) -> dict[str, Any]:
    name = "gpu-tenancy:index:VirtualCluster"
    for team, tenant in resolve(data).items():
        was[f"urn:x::y::{name}::{team}-virtual-cluster"] = {"type": name, "outputs": cluster_facts(tenant)}
    return was


class TestFirst:
    """`beforeChanges`: before anything is registered, and only for a team that notices."""

    def taken(self, monkeypatch: pytest.MonkeyPatch, data: Platform, error: str = "") -> tuple[list[str], list[Any]]:
        asked: list[str] = []

        def take(_: object, store: Any, *, why: str, scheduler: str) -> Snapshot:
            asked.append(f"{store.team}: {why} ({scheduler})")
            if error:
                raise SnapshotError(error)
            return replace(TAKEN, why=why)

        monkeypatch.setattr(first, "take", take)
        monkeypatch.setattr(pulumi.log, "info", lambda *_: None)
        was = with_cluster(platform(ml=KEPT), state())
        return asked, before_changes(was, data, "aaaa-bbbb", kubeconfig("http://127.0.0.1:1"))

    def test_another_scheduler_takes_one_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked, refused = self.taken(monkeypatch, platform(ml=NEW_KAI))
        assert len(asked) == 1
        assert asked[0].startswith("ml: before: scheduler ")
        assert asked[0].endswith(f"({platform().teams['ml'].scheduler.version})"), "the one that is in it"
        assert refused == []

    def test_what_nobody_notices_and_another_teams_change_take_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.taken(monkeypatch, platform(ml={**KEPT, "check": {"enabled": False}}))[0] == []
        assert self.taken(monkeypatch, platform(ml=KEPT, research={"priority": "high"}))[0] == []

    def test_a_file_that_does_not_ask_for_it_takes_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        quiet = {**NEW_KAI, "vcluster": {"snapshots": {}}}
        assert self.taken(monkeypatch, platform(ml=quiet))[0] == []

    def test_one_that_fails_refuses_the_update(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, (refusal,) = self.taken(monkeypatch, platform(ml=NEW_KAI), "no space left on device")
        assert refusal.cause == "team ml: the snapshot before this update: no space left on device"
        assert "beforeChanges: false" in refusal.fix

    def test_a_team_that_is_new_has_nothing_to_keep(self) -> None:
        new = facts_of(platform(ml=KEPT))
        old = replace(new, tenants={name: known for name, known in new.tenants.items() if name != "ml"})
        assert snapshots_first(platform(ml=KEPT), old, new) == {}


def test_snapshots_that_would_go_with_their_volume_are_refused_without_an_override() -> None:
    from cli.guards.losses import losses

    was = with_cluster(platform(ml=KEPT), state())
    today = date(2026, 11, 26)
    gone, smaller = platform(ml={"vcluster": {}}), platform(ml={"vcluster": {"snapshots": {"size": "1Gi"}}})
    (refusal,) = losses(was, gone, "dev", today, None)
    assert "its snapshots on the volume of 2Gi are deleted with it" in refusal.cause
    let = {"team": "ml", "allow": ["delete"], "until": "2026-11-26", "reason": "they are not needed"}
    assert losses(was, platform(let, ml={"vcluster": {}}), "dev", today, None) == []
    (refusal,) = losses(was, smaller, "dev", today, None)
    assert "2Gi → 1Gi: Kubernetes refuses one that shrinks" in refusal.cause
    larger = platform(ml={"vcluster": {"snapshots": {"size": "3Gi"}}})
    assert losses(was, larger, "dev", today, None) == []
