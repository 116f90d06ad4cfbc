"""The record of what was run keeps up with the versions that people can get, and get by default."""

from __future__ import annotations

import pytest

import releases
from releases import slinky
from releases.engine import DEFAULT_ENGINE, DEFAULT_PROVIDER, DEFAULT_SDK
from tests.conftest import ROOT

RECORD = (ROOT / "docs" / "runs.md").read_text()
TABLE = RECORD.partition("\n## ")[0]
KNOWN = {
    "KAI": list(releases.KAI),
    "vCluster": list(releases.VCLUSTER),
    "device plugin": list(releases.DEVICE_PLUGIN),
    "dcgm-exporter": list(releases.DCGM_EXPORTER),
    "GPU Operator": list(releases.GPU_OPERATOR),
    "Slinky": list(slinky.SLINKY),
}
QUOTE = '"'
RUN_BEFORE_DEFAULT = {"KAI": releases.DEFAULT_KAI, "vCluster": releases.DEFAULT_VCLUSTER}
"""What GPU software does needs a GPU host; these need none, so their defaults are run first."""


def rows(what: str, version: str) -> list[str]:
    """The results of the table's rows for one version."""
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in TABLE.splitlines() if line[:1] == "|"]
    return [row[2] for row in cells if row[0] == what and version in row[1].split(", ")]


@pytest.mark.parametrize(("what", "version"), [(what, version) for what, known in KNOWN.items() for version in known])
def test_every_version_is_recorded_once_as_run_or_as_not_run(what: str, version: str) -> None:
    [result] = rows(what, version)
    assert result.startswith(("run 20", "**not run**", "see "))
    if result.startswith("see "):
        assert f" {result.removeprefix('see ').strip(QUOTE)}\n" in RECORD, "a section of this page"


@pytest.mark.parametrize("what", RUN_BEFORE_DEFAULT)
def test_a_default_was_run(what: str) -> None:
    [result] = rows(what, RUN_BEFORE_DEFAULT[what])
    assert result.startswith("run 20")


@pytest.mark.parametrize(
    ("what", "version"),
    [
        ("Pulumi engine", DEFAULT_ENGINE),
        ("Pulumi SDK", DEFAULT_SDK),
        ("Pulumi kubernetes provider", DEFAULT_PROVIDER),
    ],
)
def test_engine_sdk_and_provider_were_run(what: str, version: str) -> None:
    [result] = rows(what, version)
    assert result.startswith("run 20")


def test_the_default_kubernetes_was_run_inside_the_default_vcluster() -> None:
    [result] = rows("vCluster", releases.DEFAULT_VCLUSTER)
    assert f"Kubernetes {releases.DEFAULT_KUBERNETES.removeprefix('v')} inside" in result
