"""The manual way of the benches: its files hold all that their pods need, though not all of it is a resource."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine import bench

TEAM = {
    "pool": "gpu",
    "scheduler": {"mode": "virtual", "version": "v0.16.8"},
    "resources": {"gpus": 1, "cpu": 1, "memory": "2Gi"},
    "queues": {"work": {"gpu": 1}},
}
PLATFORM: dict[str, Any] = {
    "host": {"provider": "lab"},
    "gpu": {"stack": "fake"},
    "pools": {"gpu": {"nodes": ["gpu-0"], "gpusPerNode": 4}},
    "teams": {"bench-0": TEAM},
    "check": {"host": False},
}


def objects(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def mounted(job: dict[str, Any]) -> set[str]:
    volumes = job["spec"]["template"]["spec"]["volumes"]
    return {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("by-hand")
    bench.laid_out(PLATFORM, place)
    return place / "bench-0"


def test_every_configmap_that_a_pod_of_the_check_mounts_is_in_its_file(files: Path) -> None:
    check = objects(files / "check.yaml")
    jobs = [found for found in check if found["kind"] == "Job"]
    there = {found["metadata"]["name"]: found for found in check if found["kind"] == "ConfigMap"}
    assert [job["metadata"]["name"] for job in jobs] == ["gpu-check", "gpu-check-verdict"]
    assert set().union(*map(mounted, jobs)) == {"gpu-check-programs"} == set(there)
    code = there["gpu-check-programs"]
    assert code["metadata"]["namespace"] == jobs[0]["metadata"]["namespace"]
    assert code["data"].keys() | code["binaryData"].keys()


def test_the_scripts_have_a_file_for_each_of_their_steps(files: Path) -> None:
    team = {found.name for found in files.iterdir()}
    asked = {"host.yaml", "inside.yaml", "queues.yaml", "check.yaml", "kai.chart", "kai.values"}
    assert team == asked | {"vcluster.chart", "vcluster.values"}
    for script in (bench.SCRIPTS / "by_hand.sh", bench.SCRIPTS / "by_hand_scheduler.sh"):
        asked -= {name for name in asked if f"$dir/{name}" in script.read_text()}
    assert asked == set()
