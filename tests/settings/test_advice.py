"""A fix is what passes: the program's own rules and the strictest policies take what a message says to write."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from settings.words import choose, nearest_version
from tests.settings.build import TODAY, mistakes

KAI_RELEASES = ("v0.7.11", "v0.9.2", "v0.9.3", "v0.9.8", "v0.12.23", "v0.14.7", "v0.16.8")
TWO_NODES = {"pools.gpu.nodes": ["gpu-0", "gpu-1"], "teams.research": None}
EIGHT = {**TWO_NODES, "teams.ml.resources.gpus": 8, "teams.ml.queues": {"w": {"gpu": 8}}}

UNLIMITED_IS_NEAR: dict[str, dict[str, Any]] = {
    "a leaf's limit above its team's": {"teams.ml.queues.training.gpu": {"quota": 1, "limit": 9}},
    "a leaf's limit below its quota": {"teams.ml.queues.training.gpu": {"quota": 1, "limit": 0}},
    "a leaf's quota below zero": {"teams.ml.queues.training.gpu": {"quota": -0.5, "limit": 1}},
    "an unlimited quota with a limit": {"teams.ml.resources.gpus": {"quota": -1, "limit": 2}},
    "a team's limit above its nodes": {"teams.ml.resources.gpus": {"quota": 1, "limit": 9}},
    "a team's quota below zero": {"teams.ml.resources.gpus": -5},
    "no queue for an unlimited team": {**TWO_NODES, "teams.ml.resources.gpus": -1, "teams.ml.queues": {}},
}


@pytest.mark.parametrize("changes", UNLIMITED_IS_NEAR.values(), ids=UNLIMITED_IS_NEAR)
def test_no_fix_names_minus_one_which_policies_may_refuse(changes: dict[str, Any]) -> None:
    told = mistakes(changes)
    assert told
    for line in told:
        assert "-1" not in line.rpartition("; ")[2], line


@pytest.mark.parametrize(
    ("changes", "fix", "mended"),
    [
        (
            {"teams.ml.queues.training.gpu": {"quota": 1, "limit": 9}},
            "lower it to 2",
            {"teams.ml.queues.training.gpu": {"quota": 1, "limit": 2}},
        ),
        (
            {"teams.ml.queues.training.gpu": {"quota": 3, "limit": 1}},
            "lower the quota to 1 or less",
            {"teams.ml.queues.training.gpu": {"quota": 1, "limit": 1}},
        ),
        (
            {"teams.ml.queues.notebooks.gpu": 0.5, "pools.gpu.sharing": {"mps": {"replicas": 2}}},
            "write a whole number of replicas",
            {"teams.ml.queues.notebooks.gpu": 1, "pools.gpu.sharing": {"mps": {"replicas": 2}}},
        ),
        ({"teams.dev.check": {"fraction": 0.5}}, "remove fraction", {}),
        ({**EIGHT, "teams.ml.check": {"gpus": 5}}, "lower it to 4", {**EIGHT, "teams.ml.check": {"gpus": 4}}),
        ({"teams.ml.scheduler.version": "0.9.3"}, "did you mean 'v0.9.3'?", {}),
    ],
)  # fmt: skip
def test_what_a_fix_says_passes(changes: dict[str, Any], fix: str, mended: dict[str, Any]) -> None:
    assert fix in [line.rpartition("; ")[2] for line in mistakes(changes)]
    assert mistakes(mended) == []


def test_a_port_outside_of_the_range_is_no_clash_and_no_advice() -> None:
    told = mistakes({"teams.ml.access": {"port": 8443}, "teams.research.access": {"port": 8443}})
    assert [line.partition(": must be a NodePort")[0] for line in told] == [
        "teams.ml.access.port",
        "teams.research.access.port",
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("v0.17.0", "v0.16.8"),
        ("v1.0.0", "v0.16.8"),
        ("v9.9.9", "v0.16.8"),
        ("v0.16.9", "v0.16.8"),
        ("0.16.8", "v0.16.8"),
        ("v0.9.4", "v0.9.3"),
        ("v0.10.2", "v0.9.8"),
        ("v0.13.0", "v0.14.7"),
        ("v0.1.0", "v0.7.11"),
        ("v0.12", "v0.12.23"),
        ("v0.16.8-rc1", "v0.16.8"),
        ("latest", None),
    ],
)
def test_the_nearest_version_is_near_by_number(typed: str, meant: str | None) -> None:
    assert nearest_version(typed, KAI_RELEASES) == meant


def test_a_long_word_is_not_compared() -> None:
    assert choose("existing" * 1000, ("existing", "kind")) == "write one of existing, kind"


class TestOverrides:
    """An override ends soon."""

    @staticmethod
    def until(day: object) -> list[str]:
        return mistakes(
            {"overrides": [{"team": "gone", "allow": ["delete"], "until": str(day), "reason": "moved to the cloud"}]}
        )

    def test_ninety_days_ahead_is_the_most(self) -> None:
        assert self.until(TODAY + timedelta(days=90)) == []
        assert self.until(TODAY + timedelta(days=91)) == [
            "overrides[0].until: must be at most 90 days ahead: an override is for one change, not for good, "
            "got 2027-02-21 (91 days); write 2027-02-20 or earlier"
        ]

    def test_the_year_9999_is_told_in_days(self) -> None:
        assert "got 9999-12-31 (2,912,117 days)" in self.until("9999-12-31")[0]

    def test_one_that_has_ended_is_no_mistake(self) -> None:
        assert self.until("2020-01-01") == []
        assert self.until("0001-01-01") == []
