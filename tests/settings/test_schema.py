"""The committed JSON Schema is the models' own, and an editor can live by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from settings.schema import SCHEMA_FILE, schema_text
from tests.settings import build
from tests.settings.build import mistakes_of, raw

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    found = build.validator()
    found.check_schema(found.schema)
    return found


def file_with(changes: Mapping[str, object] | None = None) -> dict[str, object]:
    return {"config": {"gpu-tenancy:platform": raw(changes)}}


def test_the_committed_schema_is_fresh() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run `make schema` and commit docs/stack-file.schema.json"


@pytest.mark.parametrize("file", sorted((ROOT / "tests" / "stacks").iterdir()), ids=lambda path: path.name)
def test_the_examples_are_valid(file: Path, validator: jsonschema.Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(yaml.safe_load(file.read_text()))] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"teams.ml.priorty": "high"},
        {"host.provider": "cloud"},
        {"pools.gpu.gpusPerNode": None},
        {"teams.ml.resources.cpu": "8 cores"},
        {"teams.ml.resources.gpus": "two"},
        {"teams.ml.access": {"port": 70000}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_program_refuses_an_editor_underlines(
    changes: dict[str, object], validator: jsonschema.Draft202012Validator
) -> None:
    assert mistakes_of(raw(changes))
    assert not validator.is_valid(file_with(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"teams.ml.resources.gpus": {"quota": 2, "limit": 2}},
        {"teams.ml.resources.memory": "16Gi"},
        {"teams.ml.resources.cpu": 3.5},
        {"gpu.runtimeClass": "nvidia"},
    ],
    ids=str,
)
def test_short_and_long_forms_are_fine_for_both(
    changes: dict[str, object], validator: jsonschema.Draft202012Validator
) -> None:
    assert mistakes_of(raw(changes)) == []
    assert validator.is_valid(file_with(changes))


def test_a_kubeconfig_in_clear_is_underlined(validator: jsonschema.Draft202012Validator) -> None:
    file: dict[str, Any] = file_with()
    file["config"]["gpu-tenancy:kubeconfig"] = "apiVersion: v1"
    assert not validator.is_valid(file)
    file["config"]["gpu-tenancy:kubeconfig"] = {"secure": "v1:abc"}
    assert validator.is_valid(file)


def _fields(node: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
        for value in node.values():
            yield from _fields(value)


def test_every_key_is_described() -> None:
    schema = json.loads(schema_text())
    top = {"config", "gpu-tenancy:platform"}
    undescribed = {name for name, field in _fields(schema) if "description" not in field} - top
    assert undescribed == set()
