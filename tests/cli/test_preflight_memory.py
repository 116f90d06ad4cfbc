"""A node's memory of a GPU, by feature discovery's label, against what the pool promises."""

from __future__ import annotations

import pytest

from cli.preflight import Level
from names import GPU_MEMORY
from tests.cli.one_pool import BY_OPERATOR, OPERATOR, facts, node, one, platform


class TestMemoryLabel:
    """Feature discovery's label is MiB, and was bytes once."""

    @pytest.mark.parametrize(("owner", "level"), [("devicePlugin", Level.ERROR), ("gpuOperator", Level.WARNING)])
    def test_bytes_are_never_repeated_as_advice(self, owner: str, level: Level) -> None:
        gpu = {"stack": owner, "owner": "cluster", "runtimeClass": {"owner": "cluster"}}
        where = facts(
            node(labels={GPU_MEMORY: str(81920 * 1024**2)}), device_plugins=[BY_OPERATOR],
            gpu_operators=[OPERATOR] if owner == "gpuOperator" else [],
        )  # fmt: skip
        finding = one(platform({"gpuMemoryMib": 81920}, gpu), where)
        assert (finding.id, finding.level) == ("gpu-memory", level)
        assert "which is bytes: 81920 MiB" in finding.message
        assert "gpuMemoryMib stays 81920" in finding.fix
        assert "gpuMemoryMib: 85899345920" not in finding.fix

    def test_gibibytes_are_what_kai_takes_for_mebibytes(self) -> None:
        finding = one(platform({"gpuMemoryMib": 81920}), facts(node(labels={GPU_MEMORY: "80"})))
        assert "which is GiB: 81920 MiB" in finding.message
        assert "gpuMemoryMib: 80" not in finding.fix

    def test_bytes_of_another_gpu_are_told_as_bytes_and_as_another_gpu(self) -> None:
        finding = one(platform({"gpuMemoryMib": 81920}), facts(node(labels={GPU_MEMORY: str(24576 * 1024**2)})))
        assert "24576 MiB of another GPU" in finding.message
        assert finding.level is Level.ERROR

    def test_what_is_no_number_is_told(self) -> None:
        finding = one(platform({"gpuMemoryMib": 81920}), facts(node(labels={GPU_MEMORY: "80GB"})))
        assert "is no number" in finding.message
