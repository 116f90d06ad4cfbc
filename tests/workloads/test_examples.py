"""docs/examples/workloads: what a tenant applies is what KAI reads, and every file is shown by the guide."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import names

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "examples" / "workloads"
FILES = sorted(FOLDER.glob("*.yaml"))


@cache
def manifests() -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple((path.name, one) for path in FILES for one in yaml.load_all(path.read_text(), yaml.CSafeLoader))


def pods() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for file, manifest in manifests():
        if manifest["kind"] == "Queue":
            continue
        template = manifest if manifest["kind"] == "Pod" else manifest["spec"]["template"]
        yield file, template["metadata"], template["spec"]


@pytest.mark.parametrize(("file", "metadata", "pod"), list(pods()))
def test_every_pod_goes_through_a_queue_of_the_team(file: str, metadata: dict[str, Any], pod: dict[str, Any]) -> None:
    assert pod["schedulerName"] == names.KAI_SCHEDULER_NAME
    assert metadata["labels"][names.KAI_QUEUE_LABEL] in ("training", "notebooks")


@pytest.mark.parametrize(("file", "metadata", "pod"), list(pods()))
def test_a_gpu_is_asked_for_in_one_way_with_its_runtime(
    file: str, metadata: dict[str, Any], pod: dict[str, Any]
) -> None:
    whole = any(names.GPU in c["resources"].get("limits", {}) for c in pod["containers"])
    part = [key for key in ("gpu-fraction", "gpu-memory") if key in metadata.get("annotations", {})]
    assert len(part) + whole <= 1
    assert all(isinstance(value, str) for value in metadata.get("annotations", {}).values()), "KAI reads text"
    if whole or part:
        assert pod["runtimeClassName"] == "nvidia"
        assert pod["tolerations"] == [{"key": names.GPU, "operator": "Exists", "effect": "NoSchedule"}]
    else:
        assert file == "quickstart.yaml"


@pytest.mark.parametrize(("file", "metadata", "pod"), list(pods()))
def test_every_container_says_what_it_needs_and_names_a_version(
    file: str, metadata: dict[str, Any], pod: dict[str, Any]
) -> None:
    for container in pod["containers"]:
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        tag = container["image"].rpartition(":")[2]
        assert "/" not in tag
        assert tag != "latest"


def test_every_file_stands_in_the_guide() -> None:
    guide = (ROOT / "docs" / "workloads.md").read_text()
    assert [path.name for path in FILES if path.name not in guide] == []
