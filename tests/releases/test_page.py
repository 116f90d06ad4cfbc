"""Traps of each version, and the page that is written from them."""

from __future__ import annotations

import pytest

import releases
from releases import (
    DEVICE_PLUGIN,
    GPU_OPERATOR,
    KAI,
    VCLUSTER,
)
from tests.conftest import ROOT


def every_release() -> list[object]:
    return [*KAI.values(), *VCLUSTER.values(), *DEVICE_PLUGIN.values(), *GPU_OPERATOR.values()]


def test_each_trap_has_a_source_and_a_handling() -> None:
    for release in every_release():
        traps = getattr(release, "traps", ())
        assert traps, release
        assert len({trap.id for trap in traps}) == len(traps)
        for trap in traps:
            assert trap.handling, trap.id
            assert any(mark in trap.source for mark in ("observed", "https://", "@v")), trap.id


@pytest.mark.parametrize(
    ("trap", "flag"),
    [
        ("cluster-policy-crd", "needs_cluster_policy_crd"),
        ("remade-operands", "upgrade_remakes_operands"),
        ("default-queue", "default_queue_key"),
        ("reservation-without-runtime-class", "fractions_need_default_runtime"),
        ("helm-wait", "operator"),
        ("mig-name-at-zero", "mig_names_count_at_zero"),
    ],
)
def test_a_release_lists_a_trap_exactly_when_its_flag_is_up(trap: str, flag: str) -> None:
    for version, release in KAI.items():
        assert (trap in {known.id for known in release.traps}) == bool(getattr(release, flag)), version


def test_the_page_of_versions_is_written_from_the_data() -> None:
    page = ROOT / "docs" / "versions.md"
    assert page.read_text(encoding="utf-8") == releases.markdown(), "stale: run `python -m releases`"


def test_the_page_names_every_version_and_every_trap() -> None:
    page = releases.markdown()
    for release in every_release():
        assert str(getattr(release, "version", None)) in page
        for trap in getattr(release, "traps", ()):
            assert trap.sentence in page
