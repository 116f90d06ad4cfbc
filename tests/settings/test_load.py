"""Reading a stack file: every mistake at once, each where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings.hosts import HostProvider
from settings.load import load_stack_file
from settings.problems import SettingsError
from tests.policies.work import SIZES, calls, grows_with_the_teams
from tests.settings.build import mistakes, mistakes_of, raw
from tests.settings.fuzz_text import Tree

GOOD = """\
config:
  gpu-tenancy:platform:
    host: {provider: lab}
    gpu: {stack: fake}
    pools:
      gpu: {nodes: [gpu-0], gpusPerNode: 2}
    teams:
      ml:
        pool: gpu
        scheduler: {mode: virtual, version: v0.9.3}
        resources: {gpus: 2}
        queues:
          work: {gpu: 2}
"""


def refusal(tmp_path: Path, text: str) -> str:
    file = tmp_path / "Pulumi.unit.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_stack_file(file)
    return str(caught.value)


class TestFiles:
    """What can be wrong before there is anything to look at."""

    def test_a_good_file_becomes_a_platform(self, tmp_path: Path) -> None:
        file = tmp_path / "Pulumi.unit.yaml"
        file.write_text(GOOD)
        assert load_stack_file(file).teams["ml"].resources.gpus.limit == 2

    def test_a_missing_file_names_the_stacks_that_are_there(self, tmp_path: Path) -> None:
        (tmp_path / "Pulumi.dev.yaml").touch()
        (tmp_path / "Pulumi.lab.yaml").touch()
        (tmp_path / "Pulumi.yaml").touch()
        with pytest.raises(SettingsError, match="no such file; the stacks here are dev, lab; name one of them"):
            load_stack_file(tmp_path / "Pulumi.prod.yaml")

    def test_bad_yaml_is_told_with_its_line(self, tmp_path: Path) -> None:
        text = refusal(tmp_path, GOOD + "      dev: {pool: [}\n")
        assert "  Pulumi.unit.yaml:14: is not valid YAML" in text

    def test_a_key_that_is_there_twice_is_refused(self, tmp_path: Path) -> None:
        text = refusal(tmp_path, GOOD + "      ml: {}\n")
        assert text.splitlines()[1] == (
            "  Pulumi.unit.yaml:14: teams: has the key 'ml' twice (first on line 8); "
            "keep one of them; YAML would silently drop the first"
        )

    def test_an_anchor_may_be_merged_and_overridden(self, tmp_path: Path) -> None:
        file = tmp_path / "Pulumi.unit.yaml"
        file.write_text(
            GOOD.replace("{nodes: [gpu-0], gpusPerNode: 2}", "&one {nodes: [gpu-0], gpusPerNode: 2}").replace(
                "    teams:", "      more: {<<: *one, nodes: [gpu-1]}\n    teams:"
            )
        )
        assert load_stack_file(file).pools["more"].gpus_per_node == 2

    @pytest.mark.parametrize("text", ["", "config: {}\n", "config:\n  aws:region: x\n"])
    def test_a_file_without_the_platform_says_which_key_is_missing(self, tmp_path: Path, text: str) -> None:
        assert "gpu-tenancy:platform" in refusal(tmp_path, text)

    def test_a_mistyped_config_key_names_the_right_one(self, tmp_path: Path) -> None:
        text = refusal(tmp_path, GOOD.replace("gpu-tenancy:platform", "gpu-tenancy:platfrom"))
        assert "config.gpu-tenancy:platfrom: is not a key of this program; write gpu-tenancy:platform" in text

    def test_a_kubeconfig_in_clear_is_refused_without_being_repeated(self, tmp_path: Path) -> None:
        text = refusal(tmp_path, GOOD + "  gpu-tenancy:kubeconfig: 'token: hunter2'\n")
        assert "must be encrypted" in text
        assert "hunter2" not in text

    def test_other_programs_keys_are_none_of_ours(self, tmp_path: Path) -> None:
        file = tmp_path / "Pulumi.unit.yaml"
        file.write_text(GOOD + "  aws:region: x\nencryptionsalt: v1:abc\n")
        assert load_stack_file(file).teams


class TestShape:
    """pydantic's errors in the file's own words."""

    def test_a_mistake_has_file_line_path_rule_value_and_fix(self, tmp_path: Path) -> None:
        text = refusal(tmp_path, GOOD.replace("work: {gpu: 2}", "work:\n            gpu: {quota: 2, limit: 1}"))
        assert text == (
            "Pulumi.unit.yaml: 1 mistake, nothing was changed\n"
            "  Pulumi.unit.yaml:14: teams.ml.queues.work.gpu.limit: must be -1 (unlimited) or at least the quota 2, "
            "got 1; raise the limit to 2, or lower the quota"
        )

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"host.adress": "x"}, "host.adress: is not a known key; did you mean 'address'?"),
            (
                {"teams.ml.check.gpu_memory": 3},
                "teams.ml.check.gpu_memory: is not a known key; did you mean 'gpuMemoryMib'?",
            ),
            (
                {"host.provider": "exsting"},
                f"host.provider: must be one of {', '.join(HostProvider)}, got 'exsting'; did you mean 'existing'?",
            ),
            (
                {"pools.gpu.gpusPerNode": None},
                "pools.gpu.gpusPerNode: is missing; write it (physical GPUs of each node; 0 is a CPU pool)",
            ),
            (
                {"teams.ml.resources.cpu": "5x"},
                "teams.ml.resources.cpu: is not a quantity, got '5x'; "
                "write a number with an optional suffix, like 8, 0.5 or 500m",
            ),
            (
                {"teams.ml.resources.pods": 0},
                "teams.ml.resources.pods: must be at least 1, got 0; write a number at least 1",
            ),
            (
                {"teams.ml.resources.gpus": "two"},
                "teams.ml.resources.gpus: must be a whole number or quota and limit, got 'two'; "
                "put keys below it (quota, limit)",
            ),
            (
                {"teams.ml.resources.gpus": "2"},
                "teams.ml.resources.gpus: must be a whole number or quota and limit, got '2'; "
                "write it without quotes, or put keys below it (quota, limit)",
            ),
            # what is empty, or a sign alone, is no number without its quotes either
            *(
                (
                    {"teams.ml.resources": {"gpus": {"quota": value, "limit": 2}}},
                    f"teams.ml.resources.gpus.quota: must be a whole number, got {value!r}; "
                    "write it without a fraction or a unit",
                )
                for value in ("", "-", ".")
            ),
            # only a queue's gpu has a short form
            (
                {"gpu": 1},
                "gpu: must be a mapping, got 1; "
                "put keys below it (stack, owner, version, runtimeClass, injection, operator, metrics)",
            ),
            (
                {"teams.ml.workloads": {"chat": {"kind": "app", "gpu": 1}}},
                "teams.ml.workloads.chat.gpu: must be a mapping, got 1; put keys below it (count, fraction, memoryMib)",
            ),
            (
                {"teams.ml.resources.gpus": -5},
                "teams.ml.resources.gpus: must be -1 or at least 0, got -5; write a number of GPUs, 0 or more",
            ),
            (
                {"teams.ml.vcluster.version": 0.36},
                "teams.ml.vcluster.version: must be text, got 0.36; put it in quotes, like '0.36'",
            ),
            (
                {"teams.ml.queues.notebooks.gpu": {"quota": "one"}},
                "teams.ml.queues.notebooks.gpu.quota: must be a number, got 'one'; write it without a unit",
            ),
            (
                {"teams.dev.access.userKubeconfig": "perhaps"},
                "teams.dev.access.userKubeconfig: must be true or false, got 'perhaps'; write true or false",
            ),
            (
                {"pools.gpu.nodes": "gpu-0"},
                "pools.gpu.nodes: must be a list, got 'gpu-0'; write it like [a, b]",
            ),
        ],
    )
    def test_a_mistake_of_the_shape_is_told_in_the_files_words(self, changes: dict[str, object], expected: str) -> None:
        assert mistakes(changes) == [expected]

    def test_a_team_with_a_bad_name_is_told_by_its_name(self) -> None:
        told = mistakes({"teams.ML": {}})
        assert len(told) == 1
        assert told[0].startswith("teams.ML: must be a DNS label")

    def test_a_long_value_is_cut(self) -> None:
        told = mistakes({"host.provider": "x" * 500})
        assert len(told[0]) < 250

    @pytest.mark.parametrize("tree", [None, 5, [], "text"])
    def test_anything_but_a_mapping_is_one_clear_error(self, tree: object) -> None:
        told = mistakes_of(tree)
        assert len(told) == 1
        assert "must be a mapping" in told[0]


class TestAllAtOnce:
    """Rules across fields run on what is sound, and a broken part has no echo."""

    def test_a_broken_team_does_not_hide_another_teams_mistake(self) -> None:
        told = mistakes({"teams.ml.priority": "urgent", "teams.research.resources.gpus": 5})
        assert [line.partition(":")[0] for line in told] == [
            "teams.ml.priority",
            "teams.research.resources.gpus.limit",
            "pools.gpu",  # ml counts all the same
        ]

    def test_a_broken_pool_does_not_make_its_teams_wrong(self) -> None:
        told = mistakes({"pools.gpu.gpusPerNod": 4})
        assert told == ["pools.gpu.gpusPerNod: is not a known key; did you mean 'gpusPerNode'?"]

    def test_a_broken_pool_beside_a_sound_one_does_not_make_its_teams_wrong(self) -> None:
        told = mistakes({"pools.gpu.gpusPerNod": 4, "pools.cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0}})
        assert told == ["pools.gpu.gpusPerNod: is not a known key; did you mean 'gpusPerNode'?"]

    def test_a_broken_only_queue_is_not_called_missing(self) -> None:
        told = mistakes({"teams.research.queues.work": {"gpus": 1}, "teams.research.check": {"queue": "work"}})
        assert told == ["teams.research.queues.work.gpus: is not a known key; did you mean 'gpu'?"]

    def test_a_broken_queue_does_not_hide_its_siblings_mistake(self) -> None:
        told = mistakes({"teams.ml.queues.training": {"gpus": 1}, "teams.ml.queues.notebooks": {"gpu": 3}})
        assert [line.partition(":")[0] for line in told] == [
            "teams.ml.queues.training.gpus",
            "teams.ml.queues.notebooks.gpu.limit",
            "teams.ml.queues",
        ]

    def test_a_mistyped_address_is_not_called_missing(self) -> None:
        told = mistakes({"host.address": None, "host.adress": "10.0.0.5"})
        assert told == ["host.adress: is not a known key; did you mean 'address'?"]

    def test_a_broken_host_does_not_hide_a_collision(self) -> None:
        told = mistakes({"host.provider": "cloud", "teams.research.resources.gpus": 3})
        assert len(told) == 2
        assert "= 5 of 4" in told[1]

    def test_mistakes_come_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        text = refusal(
            tmp_path,
            GOOD.replace("provider: lab", "provider: moon")
            .replace("gpusPerNode: 2", "gpusPerNode: 1")
            .replace("work:", "ml:"),
        )
        numbers = [int(line.split(":")[1]) for line in text.splitlines()[1:]]
        assert numbers == sorted(numbers)
        assert len(numbers) >= 3


def with_teams(count: int) -> Tree:
    tree = raw()
    tree["pools"] = {
        f"p{i}": {"nodes": [f"n{i}"], "gpusPerNode": 4, "podsPerNode": 250, "cpuPerNode": 64} for i in range(count // 2)
    }
    tree["teams"] = {}
    for i in range(count):
        team = {**raw()["teams"]["ml"], "pool": f"p{i // 2}", "access": {"port": 30000 + i}}
        tree["teams"][f"team-{i}"] = team
    return tree


def test_ten_more_teams_are_as_much_work_as_the_ten_before_them() -> None:
    work = {count: calls(mistakes_of, with_teams(count)) for count in SIZES}
    assert grows_with_the_teams(work), work


def test_three_hundred_teams_are_read() -> None:
    assert mistakes_of(with_teams(300)) == []
