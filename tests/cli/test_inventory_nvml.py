"""The GPUs of the machine that `make inventory NVML=1` runs on become a pool, where a pool can say them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from cli import nvml
from tests.cli.conftest import Project
from tests.cli.test_inventory import pools


class TestThisMachine:
    """`make inventory NVML=1` asks the driver."""

    @pytest.fixture
    def gpus(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name, answer in (
            ("nvmlInit", None),
            ("nvmlShutdown", None),
            ("nvmlSystemGetDriverVersion", "580.95.05"),
        ):
            monkeypatch.setattr(pynvml, name, lambda answer=answer: answer)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: len(found))
        monkeypatch.setattr(nvml, "nvml_gpu", lambda _nvml, index: found[index])
        monkeypatch.setattr(nvml, "platform", SimpleNamespace(machine=lambda: "aarch64"))
        monkeypatch.setattr(nvml, "socket", SimpleNamespace(gethostname=lambda: "Gpu-Host"))
        return found

    def test_gpus_alike_are_counted_with_product_and_memory(
        self, gpus: list[dict[str, Any]], project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        gpus += [{"name": "NVIDIA H200", "memoryMib": 143771, "mig": False, "migs": []}] * 2
        found, _ = pools(project, "--nvml", capsys=capsys)
        assert found["h200"] == {
            "nodes": ["gpu-host"],
            "gpusPerNode": 2,
            "gpuMemoryMib": 143771,
            "product": "NVIDIA-H200",
            "architecture": "arm64",
        }
        assert project.api.seen == [], "no cluster is asked"

    def test_mig_slices_and_a_memory_that_is_not_told_are_said(
        self, gpus: list[dict[str, Any]], project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        part = {"name": "NVIDIA A100 MIG 1g.5gb"}
        gpus.append({"name": "NVIDIA GB10", "memoryMib": None, "mig": True, "migs": [part, part]})
        found, said = pools(project, "--nvml", capsys=capsys)
        assert found["gb10"]["sharing"] == {"mig": {"profile": "1g.5gb", "slices": 2}}
        assert "gpuMemoryMib" not in found["gb10"]
        assert "2 x NVIDIA A100 MIG 1g.5gb" in " ".join(said.split())
        assert "NVML does not say the memory" in " ".join(said.split())

    @pytest.mark.parametrize(
        "cuts",
        [
            [["1g.10gb", "3g.40gb"]],
            [["1g.10gb", "1g.10gb"], ["1g.10gb"]],
            [["1g.10gb"], []],
            [[]],
        ],
    )
    def test_a_cut_that_no_pool_can_say_is_a_comment(
        self, gpus: list[dict[str, Any]], cuts: list[list[str]], project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for cut in cuts:
            parts = [{"name": f"NVIDIA H100 MIG {profile}"} for profile in cut]
            gpus.append({"name": "NVIDIA H100", "memoryMib": 81559, "mig": True, "migs": parts})
        assert project.run("inventory", "--nvml") == 0
        out = capsys.readouterr().out
        assert "# h100:" in out
        assert "MIG cuts its GPUs" in out

    def test_without_a_driver_one_error_says_so(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fails() -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

        monkeypatch.setattr(pynvml, "nvmlInit", fails)
        assert project.run("inventory", "--nvml") == 2
        assert "NVML does not start on this machine" in capsys.readouterr().err
