"""A node is in one pool, sizes are such that the node has them, and the Kubernetes inside."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cli.preflight import Level, compare
from cli.preflight.nodes import cores, gibibytes
from settings.load import parse_platform
from settings.models import Override
from tests.cli.one_pool import GIB, facts, found, node, one, platform


class TestPoolsAndSizes:
    """Real nodes: in one pool each, and as large as the file says, rounded so that the file then holds."""

    def test_a_node_by_name_that_a_selector_finds_too_is_refused(self) -> None:
        two = parse_platform(
            {
                "host": {"provider": "existing", "address": "10.0.0.5"},
                "gpu": {"stack": "devicePlugin"},
                "pools": {
                    "a": {"nodes": ["gpu-0"], "gpusPerNode": 8},
                    "b": {"selector": {"kind": "h100"}, "nodeCount": 1, "gpusPerNode": 8},
                },
                "teams": {},
            },
            "here",
        )
        assert one(two, facts(node(labels={"kind": "h100"}))).id == "node-two-pools"

    @pytest.mark.parametrize(
        ("pool", "change", "key"),
        [
            ({"cpuPerNode": 64}, {"cpu": Decimal("63.996")}, "cpuPerNode"),
            ({"memoryPerNode": "16Gi"}, {"memory": Decimal(16 * GIB - 1)}, "memoryPerNode"),
        ],
    )
    def test_the_size_that_is_advised_is_one_that_the_node_has(
        self, pool: dict[str, Any], change: dict[str, Any], key: str
    ) -> None:
        small = facts(node(**change))
        advice = next(f.fix for f in found(platform(pool), small) if f.id in ("node-cpu", "node-memory"))
        value = advice.removeprefix(f"set {key}: ")
        again = [f.id for f in found(platform({key: value}), small)]
        assert "node-cpu" not in again
        assert "node-memory" not in again

    def test_sizes_are_rounded_down_in_the_unit_that_shows_them(self) -> None:
        assert [cores(Decimal(text)) for text in ("63.999", "64", "0.25")] == ["63.99", "64", "0.25"]
        assert [gibibytes(Decimal(size)) for size in (2 * GIB - 1, GIB, GIB - 1)] == ["1Gi", "1Gi", "1023Mi"]


class TestKubernetesInside:
    """Not older than what runs, and one whose pods can be ready."""

    @pytest.mark.parametrize(
        ("vcluster", "host", "told"),
        [
            ({"version": "0.33.4", "kubernetesVersion": "v1.33.4"}, "v1.34.4", True),
            ({"version": "0.33.4"}, "v1.34.4", False),
            ({"version": "0.33.4", "kubernetesVersion": "v1.33.4"}, "v1.33.9", False),
            ({"version": "0.36.1", "kubernetesVersion": "v1.33.4"}, "v1.34.4", False),
        ],
    )
    def test_an_older_kubernetes_inside_is_told_where_its_pods_stay_unready(
        self, vcluster: dict[str, str], host: str, told: bool
    ) -> None:
        base = platform()
        team = base.teams["ml"]
        changed = team.model_copy(
            update={
                "vcluster": team.vcluster.model_copy(
                    update={
                        "version": vcluster["version"],
                        "kubernetes_version": vcluster.get("kubernetesVersion"),
                    }
                )
            }
        )
        what = base.model_copy(update={"teams": {"ml": changed}})
        told_as = [(finding.id, finding.level) for finding in found(what, facts(version=host))]
        assert told_as == ([("kubernetes-inside", Level.WARNING)] if told else [])

    @pytest.mark.parametrize(
        ("running", "wanted", "kai", "fix"),
        [
            ("v1.36.0", None, "v0.16.8", "set teams.ml.vcluster.kubernetesVersion: v1.36.0; to go back"),
            ("v1.36.0", "v1.35.0", "v0.16.8", "set teams.ml.vcluster.kubernetesVersion: v1.36.0; to go back"),
            ("v1.36.0", None, "v0.9.3", "v1.36.0, and a KAI that runs on it (v0.16.8 or newer); to go back"),
            ("v1.99.0", None, "v0.16.8", "v1.99.0, and leave KAI as it is; to go back"),
            ("v1.36.0", "v1.36.0", "v0.16.8", None),
            ("v1.34.9", None, "v0.16.8", None),
            ("v1.33.4", None, "v0.16.8", None),
        ],
    )
    def test_kubernetes_inside_is_not_taken_back_a_minor(
        self, running: str, wanted: str | None, kai: str, fix: str | None
    ) -> None:
        base = platform()
        team = base.teams["ml"]
        changed = team.model_copy(
            update={
                "scheduler": team.scheduler.model_copy(update={"version": kai}),
                "vcluster": team.vcluster.model_copy(update={"kubernetes_version": wanted}),
            }
        )
        what = base.model_copy(update={"teams": {"ml": changed}})
        told = found(what, facts(kubernetes_inside={"team-ml": running, "team-other": "v1.99.0"}))
        if fix is None:
            assert told == []
        else:
            [finding] = told
            assert (finding.id, finding.level) == ("kubernetes-older", Level.ERROR)
            assert fix in finding.fix

    @pytest.mark.parametrize(("until", "level"), [(date(2026, 5, 1), Level.WARNING), (date(2026, 4, 30), Level.ERROR)])
    def test_an_override_lets_it_go_back_and_says_so(self, until: date, level: Level) -> None:
        reason = "the team starts anew in May"
        override = Override(team="ml", allow=("replace",), until=until, reason=reason)
        what = platform().model_copy(update={"overrides": (override,)})
        where = facts(kubernetes_inside={"team-ml": "v1.36.0"})
        every = compare(what, where, ports={}, today=date(2026, 5, 1))
        assert [finding.level for finding in every if finding.id == "kubernetes-older"] == [level]
