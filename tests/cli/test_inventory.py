"""A cluster's GPUs, or this machine's, become the pools of a stack file; a first file comes of them and answers."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cli.errors import InputError
from cli.first import Answers, divided, places, stack_text, teams_of
from cli.inventory import Machine, block, pools_of
from settings.load import PLATFORM_KEY, load_stack_file, parse_platform
from tests.cli.conftest import Project
from tests.cli.fake_api import named, node
from tests.cli.one_pool import facts

H100 = {
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/cuda.driver-version.full": "580.95.05",
}
CUT = {
    **H100,
    "nvidia.com/gpu.count": "56",
    "nvidia.com/gpu.memory": "9856",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb",
    "nvidia.com/mig.strategy": "single",
}
"""Eight GPUs of seven slices each, as feature discovery labels them with strategy `single`."""
SHARED = {
    "nvidia.com/gpu.count": "1",
    "nvidia.com/gpu.memory": "23034",
    "nvidia.com/gpu.product": "NVIDIA-L4-SHARED",
    "nvidia.com/gpu.replicas": "4",
    "nvidia.com/gpu.sharing-strategy": "time-slicing",
}


def pools(project: Project, *arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    assert project.run("inventory", *arguments) == 0
    said = capsys.readouterr()
    return yaml.safe_load(said.out)["pools"], said.err


class TestCluster:
    """`make inventory` reads nodes."""

    def test_nodes_alike_are_one_pool_by_their_gpus(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        project.api.objects["/api/v1/nodes"] = [
            node("a", gpus=8, labels=H100),
            node("b", gpus=8, labels=H100),
            node("c", gpus=4, labels=SHARED),
            node("d"),
        ]
        found, said = pools(project, capsys=capsys)
        assert found == {
            "h100": {
                "nodes": ["a", "b"],
                "gpusPerNode": 8,
                "gpuMemoryMib": 81559,
                "product": "NVIDIA-H100-80GB-HBM3",
                "architecture": "amd64",
            },
            "l4": {
                "nodes": ["c"],
                "gpusPerNode": 1,
                "gpuMemoryMib": 23034,
                "product": "NVIDIA-L4",
                "architecture": "amd64",
                "sharing": {"timeSlicing": {"replicas": 4}},
            },
            "cpu": {"nodes": ["d"], "gpusPerNode": 0, "architecture": "amd64"},
        }
        assert "580.95.05" in said
        assert [method for method, _ in project.api.seen if method != "GET"] == [], "nothing is changed"

    @pytest.mark.parametrize(
        ("found", "note"),
        [
            (node("n", gpus=3, labels=H100), "advertises 3, which is not 8 GPUs x 1"),
            (node("n", labels=H100), "no device plugin advertises its GPUs"),
            (node("n", gpus=2), "nobody says the memory of its GPUs"),
            (
                node("n", gpus=7, labels=H100, status={"capacity": {"nvidia.com/gpu": "8"}}),
                "1 of 8 are unhealthy",
            ),
            (node("n", gpus=8, labels=H100, spec={"unschedulable": True}), "cordoned"),
            (node("n", gpus=8, labels={**H100, "nvidia.com/mig.strategy": "mixed"}), "MIG of strategy mixed"),
            (node("n", gpus=56, labels=CUT), "MIG cuts its GPUs: write gpusPerNode in whole GPUs"),
        ],
    )
    def test_what_a_pool_can_t_say_is_told_beside_it(
        self, found: dict[str, Any], note: str, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.api.objects["/api/v1/nodes"] = [found]
        assert note in " ".join(pools(project, capsys=capsys)[1].split())

    @pytest.mark.parametrize(
        "found",
        [
            node("n", gpus=8, labels={**H100, "nvidia.com/mig.strategy": "mixed"}),
            # as a kubelet told it of one whole GPU beside one that is cut, without feature discovery
            node("n", gpus=1, status={"allocatable": {"nvidia.com/gpu": "1", "nvidia.com/mig-1g.10gb": "1"}}),
        ],
    )
    def test_a_node_whose_slices_have_names_is_a_comment(
        self, found: dict[str, Any], project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.api.objects["/api/v1/nodes"] = [found]
        assert project.run("inventory") == 0
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        assert [line[:2] for line in lines if "gpusPerNode" in line] == ["# "], lines

    def test_the_gpu_operator_s_strategy_alone_cuts_nothing(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.api.objects["/api/v1/nodes"] = [node("n", gpus=8, labels={**H100, "nvidia.com/mig.strategy": "single"})]
        found, said = pools(project, capsys=capsys)
        assert found["h100"]["gpusPerNode"] == 8
        assert "MIG cuts" not in said
        assert "MIG of" not in said

    def test_replicas_that_nobody_discovers_are_told_by_the_numbers(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ours = {"nvidia.com/gpu.count": "2", "nvidia.com/gpu.memory": "81920"}
        sliced = node("n", gpus=7, labels=ours, status={"capacity": {"nvidia.com/gpu": "8"}})
        project.api.objects["/api/v1/nodes"] = [
            sliced,
            node("m", gpus=8, labels={**ours, "nvidia.com/mps.capable": "true"}),
        ]
        found, said = pools(project, capsys=capsys)
        assert found["gpu"]["sharing"] == {"timeSlicing": {"replicas": 4}}
        assert found["gpu-2"]["sharing"] == {"mps": {"replicas": 4}}
        assert found["gpu"]["gpusPerNode"] == 2
        assert "1 of 8 are unhealthy; a sick GPU's other replicas still get pods" in " ".join(said.split())

    def test_memory_in_bytes_is_read_as_kai_reads_it(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        labels = {**H100, "nvidia.com/gpu.memory": str(81559 * 1024**2)}
        project.api.objects["/api/v1/nodes"] = [node("n", gpus=8, labels=labels)]
        assert pools(project, capsys=capsys)[0]["h100"]["gpuMemoryMib"] == 81559

    def test_slices_are_no_gpus_of_a_pool(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        project.api.objects["/api/v1/nodes"] = [node("n", gpus=56, labels=CUT)]
        assert project.run("inventory") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[1].startswith("      # h100: {nodes: [n], gpusPerNode: 56, ")
        assert lines[1].endswith("sharing.mig by hand (docs/stack-file.md)")

    def test_a_pool_of_any_size_is_one_line(self) -> None:
        names = [f"gpu-{number:04}.of-a-large-cluster.example" for number in range(400)]
        text = block(pools_of(Machine(name=name, gpus=8) for name in names))
        assert len(text.splitlines()) == 2
        assert yaml.safe_load(text)["pools"]["gpu"]["nodes"] == names

    def test_json_holds_the_same_table(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        assert project.run("inventory", "--json") == 0
        assert json.loads(capsys.readouterr().out)[0] | {"notes": ""} == {
            "machine": "gpu-0",
            "arch": "amd64",
            "GPUs": "4",
            "product": "?",
            "memory": "?",
            "sharing": "-",
            "MIG": "-",
            "driver": "-",
            "CPU": "64",
            "RAM": "512 GiB",
            "notes": "",
        }

    def test_a_number_that_no_pool_can_hold_is_a_comment(self) -> None:
        lines = block(pools_of([Machine(name="n", gpus=65)])).splitlines()
        assert lines[1].startswith("      # gpu: {nodes: [n], gpusPerNode: 65}: gpusPerNode: ")

    def test_two_kinds_of_one_model_get_two_names(self) -> None:
        kinds = [Machine(name=name, gpus=gpus, product="NVIDIA-H100") for name, gpus in (("a", 8), ("b", 4))]
        assert list(pools_of(kinds)) == ["h100", "h100-2"]

    def test_a_kubelet_with_other_bounds_says_so(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        small = node("n")
        small["status"]["allocatable"]["pods"] = "30"
        project.api.objects["/api/v1/nodes"] = [small]
        assert pools(project, capsys=capsys)[0]["cpu"]["podsPerNode"] == 30


class TestFirstFile:
    """`make init` writes one file that keeps every rule, or none."""

    ASKED = ("--context", "here", "--address", "10.0.0.5", "--teams", "ml=2,research=1,dev")

    def init(self, project: Project, *more: str, stack: str = "mine") -> int:
        return project.run("init", *self.ASKED, *more, stack=stack)

    def test_flags_make_a_file_that_the_program_takes(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.api.objects["/api/v1/nodes"] = [node("gpu-0", gpus=8, labels=H100), node("cpu-0")]
        assert self.init(project) == 0
        platform = load_stack_file(project.root / "Pulumi.mine.yaml")
        assert {name: (team.pool, team.resources.gpus.limit) for name, team in platform.teams.items()} == {
            "ml": ("h100", 2),
            "research": ("h100", 1),
            "dev": ("cpu", 0),
        }
        assert (platform.host.context, platform.host.address) == ("here", "10.0.0.5")
        assert "next: `make preview STACK=mine`" in capsys.readouterr().err
        assert project.run("preflight", stack="mine") == 0, "and that fits the cluster"
        # 110 pods of the node, less 15 that stay free and 9 of tenancy's own for each of the two teams
        assert platform.teams["ml"].resources.pods == 38

    def test_what_the_cluster_has_already_is_left_to_it(self, project: Project) -> None:
        project.api.objects |= {
            "/apis/apps/v1/deployments": [
                named(
                    "Deployment",
                    "apps/v1",
                    "gpu-operator",
                    spec={"selector": {}, "template": {"spec": {"containers": [{"name": "gpu-operator"}]}}},
                )
            ],
            "/apis/node.k8s.io/v1/runtimeclasses": [
                named("RuntimeClass", "node.k8s.io/v1", "nvidia", handler="nvidia")
            ],
            "/apis/storage.k8s.io/v1/storageclasses": [
                named("StorageClass", "storage.k8s.io/v1", "slow", provisioner="p")
            ],
        }
        assert self.init(project) == 0
        written = yaml.safe_load((project.root / "Pulumi.mine.yaml").read_text())["config"][PLATFORM_KEY]
        assert written["gpu"] == {
            "stack": "gpuOperator",
            "owner": "cluster",
            "runtimeClass": {"handler": "nvidia", "owner": "cluster"},
        }
        assert written["host"]["storageClass"] == "slow"

    def test_gpus_that_something_unseen_advertises_are_the_cluster_s(self, project: Project) -> None:
        assert self.init(project) == 0
        platform = load_stack_file(project.root / "Pulumi.mine.yaml")
        assert (platform.gpu.stack, platform.gpu.owner) == ("devicePlugin", "cluster")

    def test_gpus_that_no_plugin_advertises_yet_are_told_by_hand(self, project: Project) -> None:
        project.api.objects["/api/v1/nodes"] = [node("gpu-0")]
        assert self.init(project, "--gpus", "gpu-0=4") == 0
        assert load_stack_file(project.root / "Pulumi.mine.yaml").pools["gpu"].gpus_per_node == 4

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            (("--teams", "ml=5"), "ml asks for 5 GPUs, and no pool has so many left (gpu 4)"),
            (("--teams", ",".join(f"t{number}" for number in range(60))), "too small for 60 teams"),
            (("--teams", "ml=2,ml=1"), "'ml=1' is named twice"),
            (("--teams", "ml=two"), "'ml=two' is no team"),
            (("--teams", "Ml=2"), "teams.Ml"),
            (("--kai", "v9.9.9"), "v9.9.9"),
            (("--address", "a b"), "host.address"),
            (("--gpus", "gone=4"), "nodes are: gpu-0"),
            (("--gpus", "gpu-0=8"), "gpu-0 advertises 4 GPUs, not 8"),
            (("--context", "gone"), "no context 'gone'"),
        ],
    )
    def test_a_mistake_writes_nothing(
        self, more: tuple[str, ...], said: str, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.init(project, *more) == 2
        assert said in capsys.readouterr().err
        assert not (project.root / "Pulumi.mine.yaml").exists()

    @pytest.mark.parametrize(
        ("teams", "nodes"),
        [
            ("ml=8,research=4,vision=4", {"ml": ["gpu-0"], "research": ["gpu-1"], "vision": ["gpu-1"]}),
            ("ml=6,research=2,dev", {"ml": ["gpu-0"], "research": ["gpu-1"], "dev": None}),
            ("ml=4,research=4,vision=4", {"ml": ["gpu-0"], "research": ["gpu-1"], "vision": ["gpu-0"]}),
            ("ml=12", {"ml": None}),
        ],
    )
    def test_teams_that_share_a_pool_of_several_nodes_get_nodes_of_their_own(
        self, teams: str, nodes: dict[str, list[str] | None], project: Project
    ) -> None:
        project.api.objects["/api/v1/nodes"] = [node(f"gpu-{number}", gpus=8, labels=H100) for number in (0, 1)]
        asked = ("--context", "here", "--address", "10.0.0.5", "--teams", teams)
        assert project.run("init", *asked, stack="mine") == 0
        written = yaml.safe_load((project.root / "Pulumi.mine.yaml").read_text())["config"][PLATFORM_KEY]["teams"]
        assert {name: team.get("nodes") for name, team in written.items()} == nodes

    def test_a_node_that_mig_cuts_is_left_out_and_named(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        project.api.objects["/api/v1/nodes"] = [node("cut", gpus=56, labels=CUT), node("gpu-0", gpus=4, labels=H100)]
        assert self.init(project) == 0
        assert "node cut is left out: MIG cuts its GPUs" in capsys.readouterr().err
        assert list(load_stack_file(project.root / "Pulumi.mine.yaml").pools) == ["h100"]

    def test_a_disk_that_is_full_leaves_no_half_a_file(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        opened = Path.open

        def full(path: Path, mode: str = "r", **more: Any) -> Any:
            file: Any = opened(path, mode, **more)
            if mode == "x":
                file.flush = lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
            return file

        monkeypatch.setattr(Path, "open", full)
        assert self.init(project) == 1
        assert "Pulumi.mine.yaml can't be written: No space left on device" in capsys.readouterr().err
        assert not (project.root / "Pulumi.mine.yaml").exists()

    def test_a_file_that_is_there_stays(self, project: Project) -> None:
        before = (project.root / "Pulumi.one.yaml").read_text()
        assert self.init(project, stack="one") == 2
        assert (project.root / "Pulumi.one.yaml").read_text() == before

    def test_without_a_terminal_what_is_missing_is_named(
        self, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert project.run("init", "--context", "here", "--address", "10.0.0.5", stack="mine") == 2
        assert "TEAMS is not given, and nobody can be asked" in capsys.readouterr().err

    def test_a_person_is_asked_and_an_empty_answer_takes_what_is_shown(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answers = iter(["\n", "\n", "ml=2\n", "\n", "\n"])
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, readline=lambda: next(answers)))
        assert project.run("init", stack="mine") == 0
        platform = load_stack_file(project.root / "Pulumi.mine.yaml")
        assert (platform.host.address, list(platform.teams)) == ("127.0.0.1", ["ml"])
        assert "address at which the teams reach this cluster [127.0.0.1]: " in capsys.readouterr().err


def test_a_team_gets_the_pool_with_the_most_gpus_left() -> None:
    kinds = {"a": [Machine(name="a", gpus=4)], "b": [Machine(name="b", gpus=2, replicas=4)]}
    assert places({"big": 6, "small": 4, "none": 0}, kinds) == {"big": "b", "small": "a", "none": ""}


def test_a_team_larger_than_a_node_gets_whole_nodes_that_nobody_else_sees() -> None:
    pools = {"a": [Machine(name=name, gpus=4) for name in ("a-0", "a-1", "a-2")]}
    where = dict.fromkeys(("big", "small"), "a")
    assert divided({"big": 6, "small": 4}, where, pools) == {"big": ["a-0", "a-1"], "small": ["a-2"]}
    with pytest.raises(
        InputError, match=r"small asks for 2 GPUs, and no node of pool a has so many left \(a-0 0, a-1 0\)"
    ):
        divided({"big": 6, "small": 2}, where, {"a": pools["a"][:2]})


def test_teams_get_a_node_each_and_fill_nodes_up_only_where_they_fit_in_no_other_way() -> None:
    pools = {"a": [Machine(name=name, gpus=8) for name in ("a-0", "a-1")]}
    where = dict.fromkeys(("a", "b", "c", "d", "e"), "a")
    assert divided({"a": 4, "b": 4}, where, pools) == {"a": ["a-0"], "b": ["a-1"]}
    found = divided({"a": 4, "b": 4, "c": 3, "d": 3, "e": 2}, where, pools)
    assert found == {"a": ["a-1"], "b": ["a-1"], "c": ["a-0"], "d": ["a-0"], "e": ["a-0"]}
    with pytest.raises(InputError, match=r"d asks for 3 GPUs.*\(a-0 1, a-1 0\)"):
        divided({"a": 7, "b": 4, "c": 4, "d": 3}, where, pools)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_teams_and_nodes_there_are_the_file_is_valid_or_the_answer_says_why_not(seed: int) -> None:
    random = Random(seed)
    one = Machine(name="n", gpus=0, cpu=Decimal(64), memory=Decimal(512 * 1024**3), pods=250)
    numbers = range(random.randint(1, 5))
    machines = [replace(one, name=f"n-{number}", gpus=random.choice([0, 4, 8, 8, 8])) for number in numbers]
    teams = {f"t{n}": random.choice([0, 1, 2, 3, 4, 6, 8, 12, 16]) for n in range(random.randint(1, 5))}
    answers = Answers(context="here", address="10.0.0.5", teams=teams, stack="devicePlugin")
    try:
        text = stack_text(answers, facts(), pools_of(machines))
    except InputError:
        assert sum(teams.values()) > sum(machine.gpus for machine in machines) / 4, "half-empty nodes have room"
        return
    written = yaml.safe_load(text)["config"][PLATFORM_KEY]
    assert {name: team.resources.gpus.limit for name, team in parse_platform(written, "mine").teams.items()} == teams


def test_no_team_is_a_mistake() -> None:
    with pytest.raises(InputError, match="no team is named"):
        teams_of(" , ")
