"""What an `up` with a check, and a check with a fault planted, gave: rows of the table about real GPUs, and what must
hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.engine import gpus
from tests.engine.conftest import Engine, Row, everything_unprotected, since, told
from tests.engine.gpus import Ground, Pods, finding

GOOD = ("pass", "warn")


def tried(engine: Engine, what: str, platform: dict[str, Any], *teams: str) -> dict[str, Any]:
    """Deploy this, keep the rows for the table, and return the report of the first team.

    From nothing where other teams are there: a team that is left out of the file stays, and keeps its GPUs.
    """
    if set(engine.outputs().get("teams", {})) - set(platform["teams"]):
        everything_unprotected(engine)
        engine.run("destroy", "--yes")
    engine.write(platform)
    began = time.monotonic()
    engine.up()
    seconds = since(began)
    found = teams or tuple(platform["teams"])
    reports = [gpus.report_of(engine, team) for team in found]
    for team, report in zip(found, reports, strict=True):
        whose = what if len(found) == 1 else f"{what}, {team}"
        told(reported(whose, report, seconds))
    return reports[0]


def reported(what: str, report: dict[str, Any], seconds: float) -> Row:
    """A report's line of the table; of a pair the halves say how their GPU came."""
    ways = {half.get("injection") for half in report.get("halves", [report])}
    how = "/".join(sorted(way or "-" for way in ways))
    return Row(what=what, verdict=report["verdict"], how=how, seconds=seconds, sentence=report["sentence"])


def held_together(report: dict[str, Any]) -> None:
    """A pair passed: each half has its grant, both have one GPU, and a third found no room."""
    assert report["verdict"] in GOOD, report["sentence"]
    for half in report["halves"]:
        held_to_its_grant(half, "sharing.granted", "sharing.uuid")
    assert "on one GPU: " in finding(report, "sharing.together")["message"], "by UUID, not by KAI's group"
    assert finding(report, "sharing.third")["severity"] == "info"


def held_to_its_grant(report: dict[str, Any], *ids: str) -> None:
    """The check passed, and compared with what the cluster granted rather than leaving it out."""
    assert report["verdict"] in GOOD, report["sentence"]
    for id_ in ids:
        assert finding(report, id_)["severity"] == "info"
        assert id_ not in report["coverage"]["notJudged"], finding(report, id_)["message"]


def pods_of(engine: Engine, node: Ground, folder: Path) -> Iterator[Pods]:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(engine.outputs(secrets=True)["kubeconfigs"][node.team]["admin"])
    pods = Pods(engine=engine, kubeconfig=str(kubeconfig), folder=folder)
    yield pods
    pods.clear()


def caught(what: str, report: dict[str, Any], id_: str) -> None:
    """The fault was named first; a row for the table."""
    told(reported(f"planted: {what}", report, report["seconds"]))
    assert report["findings"][0]["id"] == id_, report["sentence"]
    assert report["verdict"] != "pass"
