"""Where images come from: a mirror has each by its whole name, and Slinky's charts are told how to pull."""

from __future__ import annotations

import pytest

from releases.charts import mirrored
from releases.slinky import DEFAULT_SLINKY, SLINKY, Workers, slinky_operator_values, slinky_values
from tests.releases.built import MIRROR, at, paths

WORKERS = Workers(replicas=1, gpus=1, cpu="1", memory="1Gi", memory_limit="2Gi", labels={}, pod={})
POLICY = "imagePullPolicy"


@pytest.mark.parametrize(
    ("image", "there"),
    [
        ("ubuntu:24.04", "docker.io/library/ubuntu:24.04"),
        ("library/ubuntu", "docker.io/library/ubuntu"),
        ("index.docker.io/ubuntu", "index.docker.io/library/ubuntu"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu"),
        ("nvcr.io/nvidia/cuda", "nvcr.io/nvidia/cuda"),
        ("localhost/cuda", "localhost/cuda"),
        ("mirror:5000/cuda", "mirror:5000/cuda"),
    ],
)
def test_a_short_name_is_docker_hubs_and_every_other_name_says_its_host(image: str, there: str) -> None:
    assert mirrored(image, f"{MIRROR}/") == f"{MIRROR}/{there.partition('/')[2]}"


def test_slinkys_images_are_pulled_as_the_stack_file_says() -> None:
    release = SLINKY[DEFAULT_SLINKY]
    operator = slinky_operator_values(release, namespace="workloads", pull_policy="Never")
    cluster = slinky_values(release, WORKERS, partition="gpu", storage="5Gi", pull_policy="Never")
    assert {path for path in paths(operator) if at(operator, path) == "Never"} == {
        *(POLICY, f"operator.{POLICY}", f"webhook.{POLICY}"),
    }
    assert at(cluster, POLICY) == "Never"
    for silent in (
        slinky_operator_values(release, namespace="workloads"),
        slinky_values(release, WORKERS, partition="gpu", storage="5Gi"),
    ):
        assert [path for path in paths(silent) if path.endswith(POLICY)] == []
