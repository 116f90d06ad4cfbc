"""Local charts: the files that `artifacts.charts` names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli.preflight.findings import Finding, error, ok
from settings.artifacts import chart_for, installed_charts
from settings.models import Platform


def local_charts(platform: Platform) -> Iterator[Finding]:
    """Yield the local charts that the platform installs, and whether each is there: a file (Helm reads what is in it),
    or a folder with a Chart.yaml."""
    for name, version in installed_charts(platform):
        place = chart_for(name, version, platform.artifacts).chart
        if not place.startswith("/"):
            continue
        subject = f"chart {name} {version}"
        if Path(place).is_file() or (Path(place) / "Chart.yaml").is_file():
            yield ok("chart-local", subject, f"{place} is there")
        else:
            yield error(
                "chart-local",
                subject,
                f"{place} is no chart (an archive, or a folder with Chart.yaml)",
                f"put it there, or correct artifacts.charts (relative paths begin at the project): "
                f"`helm pull --version {version}` makes the archive",
            )
