"""Which workloads are refused, and in what words, before anything is created."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from fractions import Fraction

import pytest

from settings.workload_parts import GpuShare
from settings.workload_rules import gpus_needed
from settings.workloads import Inference
from tests.settings.build import mistakes

CHAT = {
    "kind": "inference",
    "queue": "training",
    "model": "Qwen/Qwen2.5-1.5B-Instruct",
    "weights": "3G",
    "gpu": {"fraction": 0.7},
    "cpu": 1,
    "memory": "4Gi",
}
SHARING = {
    "teams.ml.scheduler": {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True},
    "teams.ml.resources": {"gpus": 2, "cpu": 16, "memory": "64Gi", "pods": 40},
}


def with_workloads(found: Mapping[str, object], **more: object) -> dict[str, object]:
    return {**SHARING, "teams.ml.workloads": found, **{key.replace("__", "."): value for key, value in more.items()}}


def test_the_sources_pair_of_servers_is_valid() -> None:
    small = {**CHAT, "gpu": {"fraction": 0.2}, "queue": "notebooks", "weights": "1G"}
    assert mistakes(with_workloads({"large": CHAT, "small": small})) == []


def test_a_team_without_workloads_is_as_before() -> None:
    assert mistakes({}) == []


def test_a_model_that_cannot_fit_its_share_is_refused_with_the_arithmetic() -> None:
    # 0.2 of 24576 MiB is 4915, less 700 for the CUDA context, rounded down to 0.17: 4177; 3G is 2862 MiB of weights
    assert mistakes(with_workloads({"chat": {**CHAT, "gpu": {"fraction": 0.2}}})) == []
    (line,) = mistakes(with_workloads({"chat": {**CHAT, "gpu": {"fraction": 0.2}, "weights": "4G"}}))
    assert line == (
        "teams.ml.workloads.chat.weights: weights and 10% for the cache must fit what the server may take of its GPU, "
        "got 4239 MiB of 4177 MiB (0.20 of 24576 MiB, less the CUDA context); ask for a larger share, more GPUs "
        "(count), or a smaller model"
    )


def test_servers_that_do_not_fit_together_are_refused() -> None:
    two = {"a": CHAT, "b": {**CHAT, "gpu": {"fraction": 0.6}}}
    # the queue takes 2 and so does the team, so both fit on two GPUs; on one they do not
    assert mistakes(with_workloads(two)) == []
    found = mistakes(
        with_workloads(
            two,
            teams__ml__resources={"gpus": 1, "cpu": 16, "memory": "64Gi"},
            teams__ml__queues={"training": {"gpu": 1}},
        )
    )
    assert found == [
        "teams.ml.workloads: must fit team ml's GPU limit, all at the same time, got 0.7 + 0.6, which takes 2 GPUs "
        "of 1; ask for smaller shares, or raise resources.gpus.limit",
        "teams.ml.queues.training.gpu.limit: must hold the workloads of this queue, all at the same time, got "
        "0.7 + 0.6 = 1.3 of 1; raise it, or give a workload another queue",
    ]


@pytest.mark.parametrize(
    ("workload", "more", "said"),
    [
        ({**CHAT, "gpu": {}}, {}, "chat.gpu: must have exactly one of count, fraction and memoryMib, got none of them"),
        ({**CHAT, "gpu": {"count": 1, "fraction": 0.5}}, {}, "got count and fraction"),
        ({**CHAT, "queue": "nights"}, {}, "must be a leaf queue of team ml, got 'nights'; write one of training"),
        (CHAT, {"pools__gpu__gpuMemoryMib": None}, "needs gpuMemoryMib, without it nobody can say"),
        (CHAT, {"teams__ml__scheduler": {"mode": "virtual", "version": "v0.16.8"}}, "needs scheduler.gpuSharing"),
        ({**CHAT, "cpu": 17}, {}, "resources.cpu of team ml, including what comes with them, got 17050m CPU of 16000m"),
        ({**CHAT, "memory": "70G"}, {}, "must fit resources.memory of team ml"),
        ({**CHAT, "memoryLimit": "2G"}, {}, "memoryLimit: must be at least the request, got 2G below 4Gi"),
        ({**CHAT, "sharedMemory": "4Gi"}, {}, "sharedMemory: counts in the pod's memory"),
        ({**CHAT, "cache": {"size": "200Gi"}}, {}, "must fit resources.storage of team ml"),
        (
            {**CHAT, "cache": {"size": "20Gi"}, "modelVolume": {"claim": "models"}},
            {},
            "has cache (for downloads) or modelVolume (a local directory), got both",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(workload: dict[str, object], more: dict[str, object], said: str) -> None:
    found = mistakes(with_workloads({"chat": workload}, **more))
    assert len(found) == 1, found
    assert said in found[0]


def test_storage_holds_the_virtual_clusters_own_volumes_too() -> None:
    chat = {**CHAT, "cache": {"size": "20Gi"}}

    def of(storage: str, **vcluster: object) -> list[str]:
        resources = {"gpus": 2, "cpu": 16, "memory": "64Gi", "storage": storage}
        return mistakes(with_workloads({"chat": chat}, teams__ml__resources=resources, teams__ml__vcluster=vcluster))

    assert of("25Gi") == []
    # the volume of snapshots is in the same namespace
    assert of("27Gi", snapshots={"size": "2Gi"}) == []
    (said,) = of("26Gi", snapshots={"size": "2Gi"})
    assert "must fit resources.storage of team ml" in said
    assert "got 27648 MiB storage of 26624 MiB storage" in said


def test_small_pods_are_added_up_as_they_are_written() -> None:
    # 100 x 100M are 9537 MiB; each rounded up they would be 9600
    app = {"kind": "app", "cpu": "10m", "memory": "100M", "replicas": 100}
    resources = {"gpus": 2, "cpu": 16, "memory": "10G", "pods": 100}
    assert mistakes(with_workloads({"demo": app}, teams__ml__resources=resources)) == []
    less = {**resources, "memory": "9999M"}
    assert "got 9537 MiB memory of 9536 MiB" in mistakes(with_workloads({"demo": app}, teams__ml__resources=less))[0]


def test_a_workload_on_a_pool_without_gpus_is_refused() -> None:
    found = mistakes(
        {
            "pools.cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0},
            "teams.dev.pool": "cpu",
            "teams.dev.workloads": {"chat": {**CHAT, "gpu": {"count": 1}}},
            "teams.dev.resources": {"cpu": 8, "memory": "32Gi"},
        }
    )
    assert any(
        "workloads.chat.gpu: needs a pool with GPUs, got team dev with pool cpu, which has none" in f for f in found
    )


def test_a_port_that_is_taken_is_refused_whoever_has_it() -> None:
    app = {"kind": "app", "expose": {"nodePort": 30500}}
    two = mistakes(with_workloads({"demo": app, "other": app}))
    assert two == [
        "teams.ml.workloads.other.expose.nodePort: must be free on the host, got 30500, which workload demo of team ml "
        "has; choose another"
    ]
    (of_api,) = mistakes({"teams.ml.access": {"port": 30500}, "teams.ml.workloads": {"demo": app}})
    assert "got 30500, which the API server of team ml has" in of_api
    (no_port,) = mistakes(with_workloads({"demo": {"kind": "app", "expose": {"nodePort": 8080}}}))
    assert "must be a NodePort, 30000 to 32767, got 8080" in no_port


def test_two_apps_cannot_have_one_host_name() -> None:
    app = {"kind": "app", "expose": {"ingress": {"host": "demo.example.com", "controllerNamespace": "ingress"}}}
    (line,) = mistakes(with_workloads({"demo": app, "other": app}))
    assert "must lead to one workload only, got demo.example.com, which workload demo of team ml has" in line


class TestUtilization:
    """`--gpu-memory-utilization` is a share of the whole GPU, and does not bound the CUDA context."""

    @pytest.mark.parametrize(
        ("gpu", "memory", "right"),
        [
            ({"fraction": 0.7}, 81559, 0.69),
            ({"fraction": 0.2}, 81559, 0.19),
            ({"fraction": 0.5}, 24576, 0.47),
            ({"count": 1}, 81559, 0.99),
            ({"count": 2}, 24576, 0.97),
            ({"memory_mib": 3072}, 24576, 0.09),
            ({"fraction": 0.5}, None, 0.47),
            ({"memory_mib": 3072}, None, None),
            ({"memory_mib": 100}, 24576, 0.0),
        ],
    )
    def test_headroom_is_taken_off_the_share(
        self, gpu: dict[str, float], memory: int | None, right: float | None
    ) -> None:
        server = Inference(kind="inference", model="m", weights="1G", gpu=GpuShare(**gpu))
        assert server.utilization(memory) == right

    def test_a_pair_never_asks_for_more_than_the_gpu_has(self) -> None:
        for memory, first in itertools.product((16384, 24576, 81559, 143771), range(1, 100)):
            pair = (GpuShare(fraction=first / 100), GpuShare(fraction=1 - first / 100))
            asked = [
                Inference(kind="inference", model="m", weights="1G", gpu=gpu).utilization(memory) or 0.0 for gpu in pair
            ]
            assert sum(asked) * memory + 2 * 700 <= memory + 1e-6 or min(asked) == 0


class TestGpusNeeded:
    """Parts are packed as they can be, never split over two GPUs."""

    @pytest.mark.parametrize(
        ("shares", "right"),
        [
            ([], 0),
            ([0.7, 0.2], 1),
            ([0.7, 0.7], 2),
            ([0.5, 0.5, 0.5], 2),
            ([0.6, 0.4, 0.6, 0.4], 2),
            ([2, 0.5], 3),
            ([0.7, 0.3], 1),
        ],
    )
    def test_each_example_needs_the_gpus_that_it_says(self, shares: list[float], right: int) -> None:
        assert gpus_needed([Fraction(str(share)) for share in shares]) == right

    def test_the_answer_is_never_below_what_any_placement_needs(self) -> None:
        rng = random.Random(5)
        for _ in range(150):
            shares = [Fraction(rng.randint(1, 9), 10) for _ in range(rng.randint(1, 5))]
            best = best_by_trying(shares)
            assert best <= gpus_needed(shares) <= best + 1


def best_by_trying(shares: list[Fraction]) -> int:
    """The smallest number of GPUs, by trying every placement."""
    for gpus in range(1, len(shares) + 1):
        for places in itertools.product(range(gpus), repeat=len(shares)):
            if all(
                sum((s for s, p in zip(shares, places, strict=True) if p == gpu), Fraction(0)) <= 1
                for gpu in range(gpus)
            ):
                return gpus
    return len(shares)


def test_weights_are_shared_out_over_the_gpus_of_a_server_and_rounded_up() -> None:
    whole = {**CHAT, "weights": "3001Mi"}
    assert Inference.model_validate({**whole, "gpu": {"count": 2}}).weights_mib() == 1501
    assert Inference.model_validate(whole).weights_mib() == 3001


def test_room_for_a_model_is_not_known_without_the_gpu_s_memory() -> None:
    server = Inference.model_validate(CHAT)
    assert server.utilization(None) is not None
    assert server.memory_for_model_mib(None) is None
