"""Every mistake at once: what can't be read hides nothing else, and nothing is told that only follows from it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import get_args, get_origin

import pytest

from settings.kinds import Kind, as_section, fields, kind, kind_at
from settings.load import load_stack_file
from settings.models import Platform
from settings.problems import Path, SettingsError
from settings.repair import _ABSENT, _put, _stand_in_at, _Variant
from settings.texts import ANY_NAME
from settings.values import Value, copied
from tests.settings.build import TODAY, mistakes, raw

NINE = """\
config:
  gpu-tenancy:platform:
    host: {provider: existing, adress: 10.0.0.5}
    gpu: {stack: devicePlugin, version: 0.1.0}
    pools:
      gpu: {nodes: [gpu-0, GPU-1], gpusPerNode: 4, podsPerNode: 250, product: "NVIDIA H200"}
    teams:
      ml:
        pool: gpu
        priority: urgent
        scheduler: {mode: virtual, version: v0.17.0}
        resources: {gpus: {quota: 2, limit: 2}, pods: "50", storage: 1Gi}
        queues:
          training: {gpu: {quota: 2, limit: 3}}
          notebooks: {gpu: {quota: -0.5, limit: 0}}
      research:
        pool: gqu
        scheduler: {mode: virtual, version: v0.9.3}
        queues: {work: {gpu: 0}}
        access: {port: 8443}
    overrides:
      - {team: ml, allow: [delete], until: 2026-02-30, reason: moved to the pool}
"""


class TestAllTold:
    """A file with mistakes of every kind."""

    def test_thirteen_planted_are_thirteen_told_each_at_its_line(self, tmp_path: FilePath) -> None:
        file = tmp_path / "Pulumi.unit.yaml"
        file.write_text(NINE)
        with pytest.raises(SettingsError) as caught:
            load_stack_file(file, today=TODAY)
        head, *lines = str(caught.value).splitlines()
        assert head == "Pulumi.unit.yaml: 13 mistakes, nothing was changed"
        assert [line.removeprefix("  Pulumi.unit.yaml:").split(": ")[:2] for line in lines] == [
            ["3", "host.adress"],
            ["4", "gpu.version"],
            ["6", "pools.gpu.nodes[1]"],
            ["6", "pools.gpu.product"],
            ["10", "teams.ml.priority"],
            ["11", "teams.ml.scheduler.version"],
            ["12", "teams.ml.resources.pods"],
            ["12", "teams.ml.resources.storage"],
            ["14", "teams.ml.queues.training.gpu.limit"],
            ["15", "teams.ml.queues.notebooks.gpu.quota"],
            ["17", "teams.research.pool"],
            ["20", "teams.research.access.port"],
            ["22", "overrides[0].until"],
        ]

    def test_a_wrong_type_does_not_hide_the_teams_other_checks(self) -> None:
        told = mistakes(
            {
                "teams.ml.resources.pods": "50",
                "teams.ml.queues": {
                    "w": {"gpu": {"quota": 2.5, "limit": 4}},
                    "b": {"gpu": {"quota": -0.5, "limit": 0}},
                },
            }
        )
        assert [line.partition(": ")[0] for line in told] == [
            "teams.ml.resources.pods",
            "teams.ml.queues.b.gpu.quota",
            "teams.ml.queues.w.gpu.quota",
            "teams.ml.queues.w.gpu.limit",
            "teams.ml.queues",
        ]
        assert "must be -1 or at least 0, got -0.5; write a number of GPUs, 0 or more" in told[1]
        assert "a part of a GPU needs scheduler.gpuSharing, got 2.5" in told[2]
        assert "must be at most the team's limit 2, got 4; lower it to 2" in told[3]
        assert "must add up to at most the team's quota 2, got w 2.5 = 2.5 of 2" in told[4]

    def test_a_sum_that_is_broken_without_the_broken_number_is_told(self) -> None:
        told = mistakes({"teams.ml.resources.gpus": {"quota": "two"}, "teams.research.resources.gpus": 5})
        assert [line.partition(": ")[0] for line in told] == [
            "teams.ml.resources.gpus.quota",
            "teams.research.resources.gpus.limit",
        ]

    def test_a_bad_name_does_not_hide_what_is_below_it(self) -> None:
        told = mistakes({"teams.ML": {"pool": "gpv", "resources": {"storage": "1Gi"}, "access": {"port": 80}}})
        assert [line.partition(": ")[0] for line in told] == [
            "teams.ML",
            "teams.ML.pool",
            "teams.ML.access.port",
            "teams.ML.resources.storage",
        ]

    def test_a_scalar_that_readers_differ_on_hides_nothing(self, tmp_path: FilePath) -> None:
        file = tmp_path / "Pulumi.unit.yaml"
        file.write_text(NINE.replace('pods: "50"', "pods: 1:20"))
        with pytest.raises(SettingsError, match="13 mistakes") as caught:
            load_stack_file(file, today=TODAY)
        said = (
            "teams.ml.resources.pods: is read differently by different YAML readers, got '1:20'; write a plain decimal"
        )
        assert f"  Pulumi.unit.yaml:12: {said} number\n" in str(caught.value)

    def test_a_key_that_is_there_twice_hides_nothing(self, tmp_path: FilePath) -> None:
        file = tmp_path / "Pulumi.unit.yaml"
        file.write_text(NINE.replace("priority: urgent", "priority: urgent\n        priority: high"))
        with pytest.raises(SettingsError, match="13 mistakes") as caught:
            load_stack_file(file, today=TODAY)
        assert "Pulumi.unit.yaml:11: teams.ml: has the key 'priority' twice (first on line 10)" in str(caught.value)


class TestNoEchoes:
    """What follows from a broken value alone is not told."""

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"pools.gpu.gpusPerNode": "4"}, "pools.gpu.gpusPerNode"),
            ({"pools.gpu": 5}, "pools.gpu"),
            ({"pools": []}, "pools"),
            ({"pools.gpu.nodes": None, "pools.gpu.node": ["gpu-0"]}, "pools.gpu.node"),
            ({"teams.ml": 5}, "teams.ml"),
            ({"teams.ml.scheduler": "virtual"}, "teams.ml.scheduler"),
            ({"teams.ml.scheduler.mode": "virtuel"}, "teams.ml.scheduler.mode"),
            ({"teams.ml.scheduler": None, "teams.ml.sheduler": {"mode": "virtual"}}, "teams.ml.sheduler"),
            ({"teams.ml.pool": 5}, "teams.ml.pool"),
            ({"teams.ml.pool": None, "teams.ml.pol": "gpu"}, "teams.ml.pol"),
            ({"teams.ml.resources": []}, "teams.ml.resources"),
            ({"teams.ml.resources": None, "teams.ml.ressources": {"gpus": 2}}, "teams.ml.ressources"),
            ({"teams.ml.resources.gpus": "two"}, "teams.ml.resources.gpus"),
            ({"teams.ml.queues": {"training": 5}, "teams.ml.check": {"queue": "training"}}, "teams.ml.queues.training"),
            ({"host.address": None, "host.adress": "10.0.0.5"}, "host.adress"),
            ({"host.address": 10}, "host.address"),
            ({"host": "existing"}, "host"),
            ({"gpu.stack": "plugin", "gpu.version": "0.20.0"}, "gpu.stack"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_it_is_one_line(self, changes: dict[str, object], path: str) -> None:
        assert [line.partition(": ")[0] for line in mistakes(changes)] == [path]

    def test_two_doubts_on_two_sides_of_a_sum_are_two_lines(self) -> None:
        told = mistakes({"teams.ml.resources.cpu": "x", "teams.ml.workloads": {"page": {"kind": "job"}}})
        assert [line.partition(": ")[0] for line in told] == ["teams.ml.resources.cpu", "teams.ml.workloads.page.kind"]


def _places(here: Kind, path: Path) -> Iterator[Path]:
    """Every place that a platform can have, one name for each free one."""
    yield path
    section = as_section(here.bare)
    for key, info in fields(section).items() if section else ():
        yield from _places(kind(info.annotation, tuple(info.metadata)), (*path, key))
    arguments = get_args(here.bare)
    if get_origin(here.bare) is dict:
        yield from _places(kind(arguments[1]), (*path, "entry"))
    elif get_origin(here.bare) is tuple:
        yield from _places(kind(arguments[0]), (*path, 0))


_ROOT = kind_at(())
assert _ROOT is not None
PLACES = [path for path in _places(_ROOT, ()) if path]


@pytest.mark.parametrize("variant", _Variant)
def test_what_stands_in_is_valid_at_every_place(variant: _Variant) -> None:
    numbers = itertools.count()
    for path in PLACES:
        whole: Value = _put(copied(raw()), (), _filled(path, variant, numbers))
        Platform.model_validate(whole, by_alias=True, by_name=False, context={ANY_NAME: True})
    assert len(PLACES) > 150


@pytest.mark.parametrize("variant", _Variant)
@pytest.mark.parametrize("tag", ["inference", "app"])
def test_what_stands_in_for_one_of_several_sections_is_valid(variant: _Variant, tag: str) -> None:
    tree = raw({"teams.dev.workloads": {"entry": {"kind": tag}}})
    found = _stand_in_at(("teams", "dev", "workloads", "entry"), variant, itertools.count(), tree)
    whole = _put(tree, ("teams", "dev", "workloads", "entry"), found)
    platform = Platform.model_validate(whole, by_alias=True, by_name=False, context={ANY_NAME: True})
    assert [one.kind for one in platform.teams["dev"].workloads.values()] == ([] if found is _ABSENT else [tag])


def _filled(path: Path, variant: _Variant, numbers: Iterator[int]) -> Value:
    """The small platform with sections down to the path, and a value that stands in at the path."""
    tree = copied(raw())
    for end in range(1, len(path)):
        above = path[:end]
        if isinstance(path[end], int):
            tree = _grown(tree, above, [None] * 2)
            for position in (0, 1):
                other = _stand_in_at((*above, position), variant, numbers, tree)
                tree = _put(tree, (*above, position), None if other is _ABSENT else other)
        else:
            found = _stand_in_at(above, _Variant.OTHER, numbers, tree)
            tree = _grown(tree, above, {} if found in (None, _ABSENT) else found)
    return _put(tree, path, _stand_in_at(path, variant, numbers, tree))


def _grown(tree: Value, path: Path, value: object) -> Value:
    here = tree
    for step in path:
        if not isinstance(here, dict | list):
            break
        try:
            here = here[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            break
    else:
        return tree
    return _put(tree, path, value)  # type: ignore[arg-type]
