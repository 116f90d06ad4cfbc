"""`make usage`: its three formats, what a Prometheus of the cluster adds, and what is written wrong."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from cli.usage import as_csv, as_table, span_of
from seen.hours import Account, Spent
from tests.cli.conftest import Project
from tests.cli.fake_api import named

PROMETHEUS = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query"


def stamp(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(autouse=True)
def cluster(project: Project) -> None:
    """A pod of team ml as the host has it: two GPUs, given three hours ago."""
    space = {"labels": {"gpu-tenancy/team": "ml"}, "creationTimestamp": stamp(48)}
    project.api.objects["/api/v1/namespaces"] = [named("Namespace", "v1", "team-ml", metadata=space)]
    limits = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    metadata = {
        "namespace": "team-ml",
        "creationTimestamp": stamp(4),
        "labels": {"kai.scheduler/queue": "training"},
        "annotations": {"vcluster.loft.sh/object-name": "a", "vcluster.loft.sh/object-namespace": "default"},
    }
    spec = {"nodeName": "gpu-0", "containers": [{"name": "c", **limits}]}
    status = {"phase": "Running", "startTime": stamp(3)}
    project.api.objects["/api/v1/pods"] = [
        named("Pod", "v1", "a-x-default-x-ml", metadata=metadata, spec=spec, status=status)
    ]
    project.outputs({})


def scraped(project: Project, *results: tuple[dict[str, str], str, str]) -> None:
    """A Prometheus: labels of a series, the sum of its samples, their number."""
    original = project.api.answer

    def answer(method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path != PROMETHEUS:
            return original(method, path, body)
        place = 1 if "sum_over_time" in unquote(project.api.query) else 2
        found = [{"metric": result[0], "value": [1764130000, result[place]]} for result in results]
        return 200, {"status": "success", "data": {"resultType": "vector", "result": found}}

    project.api.answer = answer  # type: ignore[method-assign]


def account(project: Project, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    capsys.readouterr()
    assert project.run("usage", "--json", *more) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_hours_of_a_pod_count_for_its_team_and_its_queue(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    found = account(project, capsys)
    rows = {(row["team"], row["queue"]): row for row in found["rows"]}
    assert rows["ml", ""]["askedHours"] == pytest.approx(8.0, rel=0.01)
    assert rows["ml", "training"]["givenHours"] == pytest.approx(6.0, rel=0.01)
    assert rows["ml", ""]["usedHours"] is None
    assert found["gaps"][0].startswith("used and idle are not known: no metrics were asked (PROMETHEUS=")


def test_what_prometheus_knows_is_asked_through_the_api_server(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {
        "exported_namespace": "team-ml",
        "exported_pod": "a-x-default-x-ml",
        "namespace": "gpu",
        "pod": "dcgm-exporter-x",
    }
    gone = {"namespace": "team-ml", "pod": "gone"}
    # two GPUs, three hours, every minute; half of the time a kernel ran
    scraped(project, (own, "1.8e+04", "360"), (gone, "NaN", "60"), ({"pod": ""}, "7", "7"))
    found = account(project, capsys, "--prometheus", "monitoring/prometheus:9090", "--since", "1d")
    rows = {(row["team"], row["queue"]): row for row in found["rows"]}
    assert rows["ml", "training"]["usedHours"] == pytest.approx(3.0, rel=0.01)
    assert rows["ml", "training"]["idleHours"] == pytest.approx(3.0, rel=0.02)
    assert rows["ml", "(pods that are gone)"]["givenHours"] == pytest.approx(1.0)
    assert "[24h:1m]" in unquote(project.api.query)


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda project: None, "Prometheus monitoring/prometheus:9090 does not answer like a Prometheus"),
        (lambda project: scraped(project), "has no DCGM_FI_DEV_GPU_UTIL: no dcgm-exporter is scraped"),
        (lambda project: project.api.refused.update({PROMETHEUS: 403}), "answers HTTP 403"),
    ],
)
def test_metrics_that_can_not_be_had_are_said_and_the_rest_is_there(
    project: Project, capsys: pytest.CaptureFixture[str], prepare: Any, says: str
) -> None:
    prepare(project)
    found = account(project, capsys, "--prometheus", "monitoring/prometheus:9090")
    assert says in found["gaps"][0]
    assert found["rows"][0]["givenHours"] == pytest.approx(6.0, rel=0.01)


@pytest.mark.parametrize("span", ["0h", "24", "1w", "-1h", "400d", "1.5h", ""])
def test_a_span_that_is_none_is_refused_before_anything_is_asked(
    project: Project, capsys: pytest.CaptureFixture[str], span: str
) -> None:
    assert project.run("usage", f"--since={span}") == 2
    assert f"{span!r} is not a time span up to a year." in capsys.readouterr().err
    assert project.api.seen == []


@pytest.mark.parametrize("service", ["prometheus", "a/b", "a/b:c", "../x:1", "a/b:9090/../../secrets", "a/b:9090?x"])
def test_a_service_that_is_none_is_refused(project: Project, capsys: pytest.CaptureFixture[str], service: str) -> None:
    assert project.run("usage", "--prometheus", service) == 2
    assert "write namespace/name:port" in capsys.readouterr().err
    assert project.api.seen == []


def test_spans_are_hours_and_days() -> None:
    assert (span_of("24h"), span_of("7d")) == (timedelta(hours=24), timedelta(days=7))


def row(**changes: Any) -> Spent:
    base: dict[str, Any] = {"team": "ml", "queue": "", "quota": 96.0, "asked": 10.0, "given": 9.0, "used": None}
    return Spent(**{**base, **changes})


def of(*rows: Spent) -> Account:
    now = datetime.now(UTC)
    return Account(since=now - timedelta(hours=24), until=now, rows=rows, gaps=())


def test_a_spreadsheet_calculates_nothing_that_a_tenant_wrote() -> None:
    evil = "=HYPERLINK(1)"
    head, first, second = csv.reader(as_csv(of(row(), row(queue=evil, used=4.0))).splitlines())
    assert head[:2] == ["team", "queue"]
    assert first == ["ml", "", "96.0", "10.0", "9.0", "", "", "0.0938"]
    assert second[1] == f"'{evil}"
    assert second[5:7] == ["4.0", "5.0"]


def test_the_table_marks_who_is_far_below(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    assert project.run("usage") == 0
    out, err = capsys.readouterr()
    assert out.startswith("GPU hours, ")
    assert "not in it: used and idle are not known" in err
    cells = [list(column.cells) for column in as_table(of(row(), row(queue="q"))).columns]
    assert cells[-1] == ["9% !", "9%"]
    assert cells[0] == ["ml", ""]


def test_two_formats_at_once_are_refused(project: Project) -> None:
    with pytest.raises(SystemExit):
        project.run("usage", "--json", "--csv")
