"""Local charts are looked for before anything is made."""

from __future__ import annotations

from pathlib import Path

from cli.preflight import Finding, Level, compare
from settings.models import Platform
from tests.cli.test_preflight import facts, platform


def charts(what: Platform) -> list[Finding]:
    found = compare(what, facts(), ports={})
    return [finding for finding in found if finding.id == "chart-local"]


def with_kai_at(place: Path) -> Platform:
    new = platform()
    return new.model_copy(
        update={"artifacts": new.artifacts.model_copy(update={"charts": {"kai-scheduler@v0.9.3": str(place)}})}
    )


def test_a_chart_that_is_not_there_is_an_error_with_its_path(tmp_path: Path) -> None:
    [finding] = charts(with_kai_at(tmp_path / "kai.tgz"))
    assert (finding.level, finding.subject) == (Level.ERROR, "chart kai-scheduler v0.9.3")
    assert str(tmp_path / "kai.tgz") in finding.message
    assert "helm pull --version v0.9.3" in finding.fix


def test_a_folder_without_a_chart_in_it_is_none(tmp_path: Path) -> None:
    assert [finding.level for finding in charts(with_kai_at(tmp_path))] == [Level.ERROR]


def test_an_archive_and_a_folder_with_a_chart_are_fine(tmp_path: Path) -> None:
    (tmp_path / "kai.tgz").touch()
    (tmp_path / "kai").mkdir()
    (tmp_path / "kai" / "Chart.yaml").touch()
    assert [finding.level for finding in charts(with_kai_at(tmp_path / "kai.tgz"))] == [Level.OK]
    assert [finding.level for finding in charts(with_kai_at(tmp_path / "kai"))] == [Level.OK]


def test_charts_from_elsewhere_are_not_looked_for_here() -> None:
    assert charts(platform()) == []
